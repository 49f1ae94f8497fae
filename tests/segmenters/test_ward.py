"""Ward's clustering against that of scikit-learn."""

import numpy as np
import pytest
from scipy.sparse import coo_array
from sklearn.cluster import AgglomerativeClustering

from rsfiqa.segmenters.partition import shared_borders
from rsfiqa.segmenters.ward import ward_clusters


@pytest.mark.parametrize("clusters", [1, 3, 12, 60])
@pytest.mark.parametrize("levels", [2, 1000])  # with many equal distances, and with few
def test_clusters_are_those_of_scikit_learn(clusters, levels):
    random = np.random.default_rng(clusters)
    labels = np.arange(80).reshape(8, 10).repeat(3, 0).repeat(3, 1)
    features = random.integers(0, levels, (80, 4)).astype(np.float64)
    neighbours = shared_borders(labels)
    pairs = np.array([(i, j) for i, nodes in enumerate(neighbours) for j in nodes]).T
    connectivity = coo_array((np.ones(pairs.shape[1]), tuple(pairs)), shape=(80, 80)).tocsr()
    expected = AgglomerativeClustering(
        n_clusters=clusters, linkage="ward", connectivity=connectivity
    ).fit_predict(features)
    found = ward_clusters(features, neighbours, clusters)
    pairs_of_names = set(zip(found.tolist(), expected.tolist(), strict=True))
    assert len(pairs_of_names) == clusters == len(set(found.tolist()))


def test_clusters_by_hand():
    """Of a chain 0 1 9 10 the ends are joined first; 1 and 9 are no neighbors of 0 and 10."""
    features = np.array([[0.0], [1.0], [9.0], [10.0]]) * [1, 0, 0, 0]
    found = ward_clusters(features, [[1], [0, 2], [1, 3], [2]], 2)
    assert found[0] == found[1] != found[2] == found[3]
