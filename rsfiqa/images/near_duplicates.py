"""Near-duplicates: images that show the same, such as two exports of one photograph.

They are found by the difference hash (dHash): the image is reduced to 16 rows of 17 grey values,
and each bit says whether a value is larger than its left neighbour. Two images are near-duplicates
if at most `MAX_DISTANCE` of the 256 bits differ.
"""

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
    count = hashes.sum(axis=1)
    telling = np.flatnonzero((count >= MIN_BITS) & (count <= BITS - MIN_BITS))
    signs = np.where(hashes[telling], 1, -1).astype(np.float32)
    pairs = [np.empty((0, 2), int)]
    for start in range(0, len(signs), ROWS):
        product = signs[start : start + ROWS] @ signs.T  # bits that agree less those that differ
        first, second = np.nonzero(product >= BITS - 2 * MAX_DISTANCE)
        rising = first + start < second
        pairs.append(np.column_stack([first[rising] + start, second[rising]]))
    found: np.ndarray = telling[np.concatenate(pairs)]
    return found
