"""Ward's clustering of neighbors, as `sklearn.cluster.AgglomerativeClustering` with connectivity.

The clusters are the same. scikit-learn takes 2 s to import, and twice the time for the few hundred
superpixels of an image.
"""

import heapq
from collections.abc import Collection, Sequence

import numpy as np

Mean = tuple[float, float, float, float]


def ward_clusters(
    features: np.ndarray, neighbours: Sequence[Collection[int]], clusters: int
) -> np.ndarray:
    """The cluster of each node: int64 (N,), numbered from 0 in any order.

    While there are more than `clusters`, the two neighbors are joined whose union adds least to the
    sum of squared distances of nodes from the means of their clusters.

    Args:
        features: float64 (N, 4).
        neighbours: of each node; the graph is connected.
        clusters: largest number of clusters.
    """
    count = len(features)
    sizes = [1.0] * count
    sums: list[Mean] = list(zip(*features.T.tolist(), strict=True))
    means = list(sums)
    adjacent = [set(nodes) for nodes in neighbours]
    parents = list(range(count))
    queue = _edges(features, neighbours)
    push, pop = heapq.heappush, heapq.heappop
    for new in range(count, 2 * count - clusters):
        _, i, j = pop(queue)
        while parents[i] != i or parents[j] != j:  # one of them has been joined
            _, i, j = pop(queue)
        parents[i] = parents[j] = new
        parents.append(new)
        size = sizes[i] + sizes[j]
        (a, b, c, d), (e, f, g, h) = sums[i], sums[j]
        total = a + e, b + f, c + g, d + h
        a, b, c, d = mean = total[0] / size, total[1] / size, total[2] / size, total[3] / size
        sizes.append(size)
        sums.append(total)
        means.append(mean)
        around = adjacent[i] | adjacent[j]
        around.discard(i)
        around.discard(j)
        adjacent.append(around)
        for other in around:
            nodes = adjacent[other]
            nodes.discard(i)
            nodes.discard(j)
            nodes.add(new)
            e, f, g, h = means[other]
            e, f, g, h = a - e, b - f, c - g, d - h
            weight = (size * sizes[other]) / (size + sizes[other])
            push(queue, ((e * e + f * f + g * g + h * h) * weight, new, other))
    return _numbered(parents)[:count]


def _edges(
    features: np.ndarray, neighbours: Sequence[Collection[int]]
) -> list[tuple[float, int, int]]:
    """A heap of what joining two neighbors i > j adds to the sum of squares, with i and j."""
    pairs = [(i, j) for i, nodes in enumerate(neighbours) for j in nodes if j < i]
    if not pairs:
        return []
    one, other = np.array(pairs).T
    squares = np.square(features[one] - features[other])
    distances = squares[:, 0] + squares[:, 1] + squares[:, 2] + squares[:, 3]
    queue = list(zip((distances * 0.5).tolist(), *zip(*pairs, strict=True), strict=True))
    heapq.heapify(queue)
    return queue


def _numbered(parents: list[int]) -> np.ndarray:
    """Number of the root of each node; a parent comes after its children."""
    for node in range(len(parents) - 1, -1, -1):
        parents[node] = parents[parents[node]]
    numbered: np.ndarray = np.unique(parents, return_inverse=True)[1]
    return numbered
