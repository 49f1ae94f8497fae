"""The partition rule: overlapping masks with gaps become disjoint regions without gaps."""

import heapq
from dataclasses import dataclass
from typing import Self

import cv2
import numpy as np


def partition(masks: np.ndarray, *, max_regions: int, min_area_fraction: float) -> np.ndarray:
    """Partition of an image by masks: uint16 (H, W), labels 0..R-1 by decreasing area.

    The smaller of two overlapping masks lies on top, each connected component of the uncovered
    pixels becomes a region, and `merge_small_regions` removes slivers. The result does not depend
    on the order of the masks.

    Args:
        masks: bool (M, H, W), M >= 0.
        max_regions: largest number of regions R.
        min_area_fraction: smallest area of a region as a fraction of the image.
    """
    return merge_small_regions(
        paint(masks), max_regions=max_regions, min_area_fraction=min_area_fraction
    )


def paint(masks: np.ndarray) -> np.ndarray:
    """Labels int32 (H, W): i where masks[i] lies on top, M and above for components of the gaps.

    Args:
        masks: bool (M, H, W); the smaller of two overlapping masks lies on top.
    """
    areas = masks.sum(axis=(1, 2))
    # ties are broken by content, so that the order of the masks does not matter
    order = sorted(range(len(masks)), key=lambda i: (-areas[i], masks[i].tobytes()))
    labels = np.full(masks.shape[1:], -1, np.int32)
    for index in order:
        labels[masks[index]] = index
    _, gaps = cv2.connectedComponents((labels < 0).astype(np.uint8), connectivity=4)
    return np.where(gaps > 0, gaps - 1 + len(masks), labels)


def merge_small_regions(
    labels: np.ndarray, *, max_regions: int, min_area_fraction: float
) -> np.ndarray:
    """Merge small regions into neighbours: uint16 (H, W), labels 0..R-1 by decreasing area.

    While the smallest region is below `min_area_fraction` or there are more than `max_regions`, it
    is merged into the neighbour with the longest shared border, the larger one of equals.

    Args:
        labels: int (H, W), >= 0, with or without gaps in the numbering.
        max_regions: largest number of regions R.
        min_area_fraction: smallest area of a region as a fraction of the image.
    """
    compact = number_by_area(labels)
    names = RegionGraph.of(compact).merged(max_regions, min_area_fraction)
    merged: np.ndarray = names.astype(np.uint16)[compact]
    return merged


@dataclass(frozen=True, eq=False)
class RegionGraph:
    """R regions of an image and their borders, of which fewer can be made without their pixels.

    Attributes:
        areas: int64 (R,), pixels.
        first: int64 (R,), place of the first pixel in raster order.
        borders: number of 4-neighbour pixel pairs by neighbour, for each region.
    """

    areas: np.ndarray
    first: np.ndarray
    borders: list[dict[int, int]]

    @classmethod
    def of(cls, labels: np.ndarray) -> Self:
        """The graph of a label map int (H, W), 0..R-1."""
        return cls(*_areas_and_first(labels), shared_borders(labels))

    def joined(self, names: np.ndarray) -> "RegionGraph":
        """The graph of groups of regions.

        Args:
            names: int64 (R,), number of the group of each region, 0..G-1.
        """
        count = int(names.max()) + 1
        first = np.full(count, self.first.max(), np.int64)
        np.minimum.at(first, names, self.first)
        borders: list[dict[int, int]] = [{} for _ in range(count)]
        groups = names.tolist()
        for group, shared in zip(groups, self.borders, strict=True):
            own = borders[group]
            for other, length in shared.items():
                if (target := groups[other]) != group:
                    own[target] = own.get(target, 0) + length
        areas = np.bincount(names, self.areas, count).astype(np.int64)
        return RegionGraph(areas, first, borders)

    def merged(self, max_regions: int, min_area_fraction: float) -> np.ndarray:
        """The number of each region after `merge_small_regions`: int64 (R,), by decreasing area.

        Of equal areas the region of the lower number is the smaller one.
        """
        min_area = min_area_fraction * int(self.areas.sum())
        parents = _merge(self.areas, self.borders, max_regions, min_area)
        roots, names = np.unique(parents, return_inverse=True)
        areas = np.bincount(names, self.areas, len(roots)).astype(np.int64)
        first = np.full(len(roots), self.first.max(), np.int64)
        np.minimum.at(first, names, self.first)
        merged: np.ndarray = rank_by_area(areas, first)[names]
        return merged


def shared_borders(labels: np.ndarray) -> list[dict[int, int]]:
    """Number of 4-neighbour pixel pairs by neighbour, for each region.

    Args:
        labels: int (H, W), 0..R-1.
    """
    count = int(labels.max()) + 1
    codes = []
    for a, b in ((labels[:, :-1], labels[:, 1:]), (labels[:-1], labels[1:])):
        at = a != b
        one, other = a[at].astype(np.int64), b[at]
        codes.append(np.minimum(one, other) * count + np.maximum(one, other))
    found, lengths = np.unique(np.concatenate(codes), return_counts=True)
    borders: list[dict[int, int]] = [{} for _ in range(count)]
    for code, length in zip(found.tolist(), lengths.tolist(), strict=True):
        one, other = divmod(code, count)
        borders[one][other] = borders[other][one] = length
    return borders


def _merge(
    areas: np.ndarray, neighbours: list[dict[int, int]], max_regions: int, min_area: float
) -> np.ndarray:
    """The region into which each region is merged, itself if it remains: int64 (R,).

    A priority queue and a dictionary of neighbours per region: noisy masks leave 10^4 gaps, for
    which a dense matrix would take gigabytes.
    """
    area = areas.tolist()
    parents = list(range(len(area)))
    queue = [(size, index) for index, size in enumerate(area)]
    heapq.heapify(queue)
    alive = len(area)
    while alive > 1:
        size, smallest = heapq.heappop(queue)
        if parents[smallest] != smallest or size != area[smallest]:
            continue  # merged, or grown since it was queued
        if size >= min_area and alive <= max_regions:
            break
        shared = neighbours[smallest]
        target = max(shared, key=lambda i: (shared[i], area[i], -i))
        for other, length in shared.items():
            del neighbours[other][smallest]
            if other != target:
                total = neighbours[target].get(other, 0) + length
                neighbours[target][other] = neighbours[other][target] = total
        parents[smallest] = target
        area[target] += size
        heapq.heappush(queue, (area[target], target))
        alive -= 1
    return _roots(parents)


def _roots(parents: list[int]) -> np.ndarray:
    """The last ancestor of each node of a forest: int64 (R,)."""
    for index in range(len(parents)):
        while parents[index] != parents[parents[index]]:
            parents[index] = parents[parents[index]]
    return np.array(parents)


def number_by_area(labels: np.ndarray) -> np.ndarray:
    """The same regions numbered 0..R-1 by decreasing area, then in raster order: intp (H, W)."""
    numbered: np.ndarray = rank_by_area(*_areas_and_first(labels))[labels]
    return numbered


def rank_by_area(areas: np.ndarray, first: np.ndarray) -> np.ndarray:
    """The number of each region by decreasing area, then in raster order: intp (R,).

    Args:
        areas: int64 (R,), pixels; 0 for a region that is not there, whose number is 0.
        first: int64 (R,), place of the first pixel.
    """
    names = np.flatnonzero(areas)
    rank = np.zeros(len(areas), np.intp)
    rank[names[np.lexsort((first[names], -areas[names]))]] = np.arange(len(names))
    return rank


def _areas_and_first(labels: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Pixels of each region of a label map, and the place of the first one: int64 (R,)."""
    flat = labels.ravel()
    areas = np.bincount(flat)  # 20 times faster than np.unique, which sorts the pixels
    begins = np.concatenate([[0], np.flatnonzero(flat[1:] != flat[:-1]) + 1])  # of equal labels
    first = np.zeros(len(areas), np.int64)
    first[flat[begins][::-1]] = begins[::-1]
    return areas, first
