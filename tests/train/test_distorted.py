"""Images with one distorted region, against grid features computed from pixels."""

import numpy as np
import torch

from rsfiqa.backbones.backbone import grid_statistics
from rsfiqa.model import Batch
from rsfiqa.train.distorted import (
    MIN_AREA,
    choose_region,
    mix_distorted_region,
    mix_statistics,
)

GRID = 2


def batch(coverage: torch.Tensor) -> Batch:
    """Images without content, whose regions have this coverage (B, R, G * G)."""
    images, regions, cells = coverage.shape
    grid = round(cells**0.5)
    return Batch(
        grid_features=torch.zeros(images, 2, 3, grid, grid),
        coverage=coverage,
        text=torch.zeros(images, regions, 2),
        ratings=torch.full((images, regions, 5), torch.nan),
        geometry=torch.zeros(images, regions, 7),
        present=coverage.sum(-1) > 0,
    )


def test_the_statistics_of_a_mixture_are_those_of_its_pixels() -> None:
    random = torch.Generator().manual_seed(0)
    intact, other = torch.randn(2, 1, 3, 8, 8, generator=random)
    mask = torch.zeros(8, 8, dtype=torch.bool)
    # rows 0 to 2 are three quarters of the upper grid cells; all rows are alike, so that a part
    # of a cell has the statistics of the whole cell
    mask[:3] = True
    intact, other = (x[..., :1, :].expand(1, 3, 8, 8) for x in (intact, other))
    mixed = torch.where(mask, other, intact)
    fraction = torch.tensor([[0.75, 0.75, 0.0, 0.0]])
    computed = mix_statistics(grid_statistics(intact, GRID), grid_statistics(other, GRID), fraction)
    torch.testing.assert_close(computed, grid_statistics(mixed, GRID), atol=1e-5, rtol=0)


def test_a_fraction_of_0_changes_nothing() -> None:
    grid_features = torch.rand(2, 2, 3, GRID, GRID).half()
    other = torch.full_like(grid_features, torch.inf).nan_to_num(9)
    computed = mix_statistics(grid_features, other, torch.zeros(2, 4))
    assert computed.dtype == torch.float32
    torch.testing.assert_close(computed, grid_features.float(), atol=1e-3, rtol=0)


def test_one_present_region_of_sufficient_size_is_distorted() -> None:
    coverage = torch.zeros(200, 4, 100)
    coverage[:, 0, :60], coverage[:, 1, 60:98] = 1, 1
    coverage[:, 2, 98:] = 1  # smaller than MIN_AREA
    assert coverage[0, 2].mean() < MIN_AREA
    intact = batch(coverage)
    views = torch.ones_like(intact.grid_features)
    mixed, region = mix_distorted_region(intact, views, torch.Generator().manual_seed(0))
    assert set(region.tolist()) == {0, 1}
    for grid_features, row, chosen in zip(mixed.grid_features, coverage, region, strict=True):
        torch.testing.assert_close(grid_features[0, 0].flatten(), row[chosen])
    assert mixed.text is intact.text


def test_in_an_image_of_small_regions_one_of_them_is_distorted() -> None:
    coverage = torch.zeros(20, 60, 100)
    coverage[:, torch.arange(50).repeat_interleave(2), torch.arange(100)] = 1  # 10 rows are padding
    intact = batch(coverage)
    _, region = mix_distorted_region(intact, intact.grid_features, torch.Generator().manual_seed(0))
    assert (region < 50).all()
    assert len(set(region.tolist())) > 5


def test_the_region_depends_only_on_the_generator() -> None:
    coverage = torch.full((50, 5, 4), 0.2)
    seeds = (0, 0, 1)
    regions = [
        mix_distorted_region(
            batch(coverage), torch.zeros(50, 2, 3, 2, 2), torch.Generator().manual_seed(seed)
        )[1]
        for seed in seeds
    ]
    assert np.array_equal(regions[0], regions[1])
    assert not np.array_equal(regions[0], regions[2])


def test_small_regions_are_chosen_only_if_there_are_no_others() -> None:
    random = np.random.default_rng(0)
    assert {choose_region(np.array([0.01, 0.5, 0.029, 0.03]), random) for _ in range(50)} == {1, 3}
    assert {choose_region(np.array([0.01, 0.02, 0.0]), random) for _ in range(50)} == {0, 1, 2}
