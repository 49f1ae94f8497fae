"""Memory that is freed stays with the process, for the next tensor of the same size.

As released, the C library of Linux gives large blocks back to the system at once; each layer's
output is then new memory, whose pages the system must find and clear one by one. On a processor
that takes a third of the time of a convolutional backbone, and half of it in training.
"""

import ctypes

TRIM_THRESHOLD, MMAP_THRESHOLD, MMAP_MAX = -1, -3, -4  # of mallopt(3)


LARGEST = 32 * 2**20  # bytes; the C library takes no higher threshold


KEPT, KEPT_LARGE = 2**29, 2**31 - 1  # bytes


def tune_malloc(*, large: bool = False) -> None:
    """Tell the C library to keep freed memory; others than glibc go on as they do.

    Args:
        large: blocks above 32 MiB, too: for trainings, whose tensors have the same sizes in every
            step; elsewhere such blocks would leave gaps.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (AttributeError, TypeError):  # TypeError: Windows has no library without a name
        return
    mallopt(TRIM_THRESHOLD, KEPT_LARGE if large else KEPT)
    mallopt(MMAP_THRESHOLD, LARGEST)
    if large:
        mallopt(MMAP_MAX, 0)
