"""The baselines learn from the training images what they predict of the test images."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
import torch
from scipy import stats

from rsfiqa import samples
from rsfiqa.benchmark.baselines import BASELINES
from rsfiqa.benchmark.probe import whole_image_statistics
from rsfiqa.model import Batch
from rsfiqa.samples import Samples
from tests.support.columns import with_column


def samples_of(grid_features: np.ndarray, quality: np.ndarray | None = None) -> Samples:
    """Images of one region with grid features (N, 2, C, G, G) and quality (N,), all else empty."""
    images, _, channels, *grid = grid_features.shape
    batch = Batch(
        grid_features=torch.from_numpy(grid_features),
        coverage=torch.zeros(images, 1, grid[0] * grid[1]),
        text=torch.zeros(images, 1, 2),
        ratings=torch.zeros(images, 1, 5),
        geometry=torch.zeros(images, 1, 7),
        present=torch.ones(images, 1, dtype=torch.bool),
    )
    rows = None if quality is None else pa.table({"quality": quality})
    return Samples("a", rows, batch, None, None, (channels,), None, {}, rows)


def test_statistics_of_grid_cells_are_those_of_the_image():
    whole = np.random.default_rng(0).normal(5, 2, (3, 7, 12, 20))  # N, C, H, W
    grid_features = whole.reshape(3, 7, 4, 3, 4, 5)
    stacked = np.stack([grid_features.mean((3, 5)), grid_features.std((3, 5))], axis=1)
    found = whole_image_statistics(samples_of(stacked))
    expected = np.concatenate([whole.mean((2, 3)), whole.std((2, 3))], axis=1)
    np.testing.assert_allclose(found, expected, rtol=1e-12)


@pytest.mark.parametrize("name", sorted(BASELINES))
def test_a_baseline_learns(pipeline, name):
    """On its own training images, whose features determine their quality; finite for a flat one."""
    data = samples.load(pipeline / "tiny")
    found = BASELINES[name].load()(data, data)
    assert found.shape == (len(data),)
    assert np.isfinite(found).all()
    assert np.corrcoef(found, data.quality)[0, 1] > 0.3


@pytest.mark.parametrize("name", sorted(BASELINES))
def test_a_baseline_learns_from_few_images_of_one_group(pipeline, name):
    data = samples.load(pipeline / "tiny")
    rows = with_column(data.rows, "group", ["g"] * len(data))
    few = replace(data, rows=rows).take(np.arange(len(data)) < 10)
    assert np.isfinite(BASELINES[name].load()(few, data)).all()


@pytest.mark.parametrize("name", ["mlp", "probe"])
def test_a_baseline_ranks_images_that_it_was_not_fitted_on(name):
    random = np.random.default_rng(0)
    grid_features = random.normal(2, 0.2, (300, 2, 60, 1, 1))
    latent = random.normal(size=300)
    grid_features[:, :, :30] += 0.2 * latent[:, None, None, None, None]
    data = samples_of(grid_features, 0.5 + 0.15 * latent)
    train = np.arange(300) < 220
    found = BASELINES[name].load()(data.take(train), data.take(~train))
    assert stats.spearmanr(found, latent[~train])[0] > 0.8
