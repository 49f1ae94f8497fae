import numpy as np
import pytest
from numpy.testing import assert_allclose

from rsfiqa.label_runs import LabelRuns

LABELS = np.array([[0, 0, 1, 1], [0, 2, 2, 1], [0, 0, 0, 0]], np.uint16)
VALUES = np.arange(12, dtype=np.float32).reshape(3, 4)


def test_runs_by_hand():
    runs = LabelRuns(LABELS)
    assert (runs.count, runs.areas.tolist()) == (3, [7, 3, 2])
    assert runs.regions.tolist() == [0, 1, 0, 2, 1, 0]
    assert runs.rows.tolist() == [0, 0, 1, 1, 1, 2]
    assert runs.first.tolist() == [0, 2, 0, 1, 3, 0]
    assert runs.end.tolist() == [2, 4, 1, 3, 4, 4]
    assert runs.of_runs(VALUES).tolist() == [1, 5, 4, 11, 7, 38]


def test_sums_means_and_places_by_hand():
    runs = LabelRuns(LABELS)
    assert runs.sums(VALUES).tolist() == [43, 12, 11]
    assert runs.sums(VALUES > 5).tolist() == [4, 1, 1]
    assert_allclose(runs.means(VALUES), [43 / 7, 4, 5.5])
    assert_allclose(runs.centroids, [[7 / 7, 9 / 7], [8 / 3, 1 / 3], [1.5, 1]])
    assert runs.boxes.tolist() == [[0, 0, 4, 3], [2, 0, 4, 2], [1, 1, 3, 2]]


@pytest.mark.parametrize("dtype", [np.uint16, np.int64])
def test_histograms_count_each_value(dtype):
    labels = LABELS.astype(dtype)
    values = np.array([[0, 255, 7, 7], [0, 1, 2, 9], [3, 3, 3, 3]], np.uint8)
    found = LabelRuns(labels).histogram(values)
    assert found.shape == (3, 256)
    assert found.sum(1).tolist() == [7, 3, 2]
    assert (found[0, [0, 3, 255]].tolist(), found[1, [7, 9]].tolist()) == ([2, 4, 1], [2, 1])


@pytest.mark.parametrize("order", ["C", "F"])
def test_the_layout_in_memory_does_not_matter(order):
    drawn = np.random.default_rng(0)
    labels = np.sort(drawn.integers(0, 5, (40, 50)), axis=0).astype(np.uint16)
    values = drawn.random((40, 50), np.float32)
    found = LabelRuns(np.asarray(labels, order=order)).sums(np.asarray(values, order=order))
    assert_allclose(found, np.bincount(labels.ravel(), values.ravel()), rtol=1e-6)


def test_a_single_pixel():
    runs = LabelRuns(np.zeros((1, 1), np.uint16))
    assert (runs.count, runs.boxes.tolist()) == (1, [[0, 0, 1, 1]])
