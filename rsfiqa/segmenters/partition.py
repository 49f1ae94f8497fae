"""The partition rule: overlapping masks with gaps become regions that share no pixel."""

import heapq
from itertools import pairwise

import cv2
import numpy as np
from scipy.sparse import coo_array, csr_array

SMALLEST = 16  # pixels; a label map with a shorter side is one region, whatever the backend


def partition(masks: np.ndarray, *, max_regions: int, min_area_fraction: float) -> np.ndarray:
    """Every pixel in exactly one region: uint16 (H, W), 0..R-1 by falling area.

    The smaller of two overlapping masks lies on top; each connected part of what no mask claims
    becomes a region; then `merge_small_regions` joins slivers to neighbours. The order
    of the masks does not matter.

    Args:
        masks: bool, shape (M, H, W), M >= 0.
        max_regions: R at most.
        min_area_fraction: regions below this share of the image join a neighbour.
    """
    return merge_small_regions(
        paint(masks), max_regions=max_regions, min_area_fraction=min_area_fraction
    )


def paint(masks: np.ndarray) -> np.ndarray:
    """Labels int32 (H, W): i where masks[i] lies on top, M and above for the parts of the gaps.

    Args:
        masks: bool, shape (M, H, W); the smaller of two lies on top.
    """
    areas = masks.sum(axis=(1, 2))
    # equal areas: by content, so that the order of the masks does not matter
    order = sorted(range(len(masks)), key=lambda i: (-areas[i], masks[i].tobytes()))
    labels = np.full(masks.shape[1:], -1, np.int32)
    for index in order:
        labels[masks[index]] = index
    _, gaps = cv2.connectedComponents((labels < 0).astype(np.uint8), connectivity=4)
    return np.where(gaps > 0, gaps - 1 + len(masks), labels)


def merge_small_regions(
    labels: np.ndarray, *, max_regions: int, min_area_fraction: float
) -> np.ndarray:
    """Join small regions to neighbours and number the rest: uint16 (H, W), by falling area.

    While the smallest region is below `min_area_fraction` or there are more than `max_regions`, it
    joins the neighbour with which it shares most border (the larger one where that ties).
    """
    compact = number_by_area(labels)
    areas = np.bincount(compact.ravel())
    parents = _join(areas, shared_borders(compact), max_regions, min_area_fraction * labels.size)
    return number_by_area(parents[compact]).astype(np.uint16)


def shared_borders(labels: np.ndarray) -> csr_array:
    """Pairs of 4-neighbouring pixels between regions: int64 (R, R), symmetric, zero diagonal."""
    count = int(labels.max()) + 1
    pairs = []
    for a, b in ((labels[:, :-1], labels[:, 1:]), (labels[:-1], labels[1:])):
        differ = a != b
        pairs.append(np.stack([a[differ], b[differ]]))
    rows, columns = np.concatenate(pairs, axis=1).astype(np.int64)
    borders = coo_array((np.ones(len(rows), np.int64), (rows, columns)), shape=(count, count))
    return csr_array(borders + borders.T)


def _join(areas: np.ndarray, borders: csr_array, most: int, least_area: float) -> np.ndarray:
    """The region that each region ends up in, int64 (R,).

    A queue and a dictionary of neighbours per region: noisy masks leave 10^4 gaps, for which a
    matrix would take gigabytes.
    """
    area = areas.tolist()
    row, neighbours = borders.indptr.tolist(), borders.indices.tolist()
    shared = borders.data.tolist()
    near = [
        dict(zip(neighbours[start:end], shared[start:end], strict=True))
        for start, end in pairwise(row)
    ]
    parents = list(range(len(area)))
    queue = [(size, index) for index, size in enumerate(area)]
    heapq.heapify(queue)
    alive = len(area)
    while alive > 1:
        size, smallest = heapq.heappop(queue)
        if parents[smallest] != smallest or size != area[smallest]:
            continue  # joined, or grown since it was queued
        if size >= least_area and alive <= most:
            break
        into = max(near[smallest], key=lambda i: (near[smallest][i], area[i], -i))
        for other, length in near[smallest].items():
            del near[other][smallest]
            if other != into:
                near[into][other] = near[other][into] = near[into].get(other, 0) + length
        parents[smallest] = into
        area[into] += size
        heapq.heappush(queue, (area[into], into))
        alive -= 1
    for index in range(len(parents)):
        while parents[index] != parents[parents[index]]:
            parents[index] = parents[parents[index]]
    return np.array(parents)


def number_by_area(labels: np.ndarray) -> np.ndarray:
    """The same regions (labels >= 0) as intp 0..R-1: by falling area, then in reading order."""
    flat = labels.ravel()
    areas = np.bincount(flat)  # 20 times faster than np.unique, which sorts the pixels
    first = np.empty(len(areas), np.intp)
    first[flat[::-1]] = np.arange(labels.size)[::-1]
    names = np.flatnonzero(areas)
    rank = np.zeros(len(areas), np.intp)
    rank[names[np.lexsort((first[names], -areas[names]))]] = np.arange(len(names))
    return rank[labels]
