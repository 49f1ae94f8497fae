"""Near-duplicates: images that show the same, such as two exports of one photograph.

They are found by the difference hash (dHash): the image is reduced to 16 rows of 17 grey values,
and each bit says whether a value is larger than its left neighbour. Two images are near-duplicates
if at most `MAX_DISTANCE` of the 256 bits differ.
"""

from collections.abc import Iterator

import cv2
import numpy as np

SIDE = 16
BITS = SIDE * SIDE
# On BIQ2021 pairs are the same photograph up to a distance of 6; up to 16 they are the same or the
# same scene in another exposure; beyond 20 other scenes come in.
MAX_DISTANCE = 12
# Fewer set or unset bits than this are the hash of a flat image or of a smooth gradient, such as a
# white picture and a clear sky, which says nothing about what is shown.
MIN_BITS = 26
FAR = BITS + 1  # larger than any distance
ROWS = 1000  # compared with all images at once: 40 MB for 10,000 images


def difference_hash(image: np.ndarray) -> np.ndarray:
    """The difference hash of an image: bool (256,).

    Args:
        image: uint8 (H, W, 3).
    """
    grey = cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)
    small = cv2.resize(grey, (SIDE + 1, SIDE), interpolation=cv2.INTER_AREA)
    bits: np.ndarray = (small[:, 1:] > small[:, :-1]).ravel()
    return bits


def near_duplicates(hashes: np.ndarray) -> np.ndarray:
    """The pairs of images that are near-duplicates: int (P, 2), each pair in rising order.

    The time grows with the square of the number of images: 2 s for 12,000.

    Args:
        hashes: bool (N, 256), difference hashes.
    """
    pairs = [np.empty((0, 2), int)]
    for start, distances in _distances(hashes):
        first, second = np.nonzero(distances <= MAX_DISTANCE)
        pairs.append(np.column_stack([first, second]) + start)
    return np.concatenate(pairs)


def nearest(hashes: np.ndarray, max_distance: int, most: int) -> np.ndarray:
    """Pairs of images of similar hashes, the most similar first: int (P, 2), in rising order.

    The memory that they take is bounded by `most`, also where thousands of images are alike.

    Args:
        hashes: bool (N, 256), difference hashes.
        max_distance: largest number of bits that differ.
        most: number of later images that one image is paired with, the nearest ones.
    """
    pairs, sizes = [np.empty((0, 2), int)], [np.empty(0, int)]
    for start, distances in _distances(hashes):
        near = distances <= max_distance
        for row in np.flatnonzero(near.sum(axis=1) > most):
            near[row] = False
            near[row, np.argsort(distances[row], kind="stable")[:most]] = True
        first, second = np.nonzero(near)
        pairs.append(np.column_stack([first, second]) + start)
        sizes.append(distances[first, second])
    order = np.argsort(np.concatenate(sizes), kind="stable")
    found: np.ndarray = np.concatenate(pairs)[order]
    return found


def distance(first: np.ndarray, second: np.ndarray) -> int:
    """Number of bits in which two hashes bool (256,) differ."""
    return int(np.count_nonzero(first != second))


def _distances(hashes: np.ndarray) -> Iterator[tuple[int, np.ndarray]]:
    """Blocks of the table of distances: number of the first row, int16 (rows, N - that number).

    Rows and columns begin with the same image. A pair has its distance in the row of its first
    image; all else, and whatever concerns a hash that says nothing, is `FAR`.
    """
    count = hashes.sum(axis=1)
    silent = (count < MIN_BITS) | (count > BITS - MIN_BITS)
    signs = np.where(hashes, 1, -1).astype(np.float32)
    for start in range(0, len(signs), ROWS):
        rows, rest = signs[start : start + ROWS], signs[start:]
        product = rows @ rest.T  # bits that agree less those that differ
        distances = ((BITS - product) / 2).astype(np.int16)
        distances[:, silent[start:]] = distances[silent[start : start + ROWS]] = FAR
        distances[:, : len(rows)][np.tri(len(rows), dtype=bool)] = FAR
        yield start, distances
