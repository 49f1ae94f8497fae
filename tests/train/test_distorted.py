"""Images with one region spoilt, against cells worked out from pixels."""

import numpy as np
import torch

from rsfiqa.backbones.backbone import statistics
from rsfiqa.model import Batch
from rsfiqa.train.distorted import SMALLEST, blend, distort_region, draw_region

GRID = 2


def batch(coverage: torch.Tensor) -> Batch:
    """Images of nothing, with these regions (B, R, N)."""
    images, regions, grid_features = coverage.shape
    grid = round(grid_features**0.5)
    return Batch(
        grid_features=torch.zeros(images, 2, 3, grid, grid),
        coverage=coverage,
        text=torch.zeros(images, regions, 2),
        ratings=torch.full((images, regions, 5), torch.nan),
        geometry=torch.zeros(images, regions, 7),
        present=coverage.sum(-1) > 0,
    )


def test_a_blend_has_the_statistics_of_the_mixed_pixels() -> None:
    random = torch.Generator().manual_seed(0)
    intact, other = torch.randn(2, 1, 3, 8, 8, generator=random)
    mask = torch.zeros(8, 8, dtype=torch.bool)
    # rows 0 to 2: three quarters of the upper cells; statistics of both parts alike, so that
    # those of a quarter of the pixels are those of the cell
    mask[:3] = True
    intact, other = (x[..., :1, :].expand(1, 3, 8, 8) for x in (intact, other))
    mixed = torch.where(mask, other, intact)
    fraction = torch.tensor([[0.75, 0.75, 0.0, 0.0]])
    found = blend(statistics(intact, GRID), statistics(other, GRID), fraction)
    torch.testing.assert_close(found, statistics(mixed, GRID), atol=1e-5, rtol=0)


def test_without_a_share_nothing_changes() -> None:
    grid_features = torch.rand(2, 2, 3, GRID, GRID).half()
    found = blend(
        grid_features, torch.full_like(grid_features, torch.inf).nan_to_num(9), torch.zeros(2, 4)
    )
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, grid_features.float(), atol=1e-3, rtol=0)


def test_one_present_region_of_some_size_is_spoilt() -> None:
    coverage = torch.zeros(200, 4, 100)
    coverage[:, 0, :60], coverage[:, 1, 60:98] = 1, 1
    coverage[:, 2, 98:] = 1  # less than the smallest
    assert coverage[0, 2].mean() < SMALLEST
    intact = batch(coverage)
    copies = torch.ones_like(intact.grid_features)
    found, region = distort_region(intact, copies, torch.Generator().manual_seed(0))
    assert set(region.tolist()) == {0, 1}
    for grid_features, row, chosen in zip(found.grid_features, coverage, region, strict=True):
        torch.testing.assert_close(grid_features[0, 0].flatten(), row[chosen])
    assert found.text is intact.text


def test_an_image_of_slivers_has_one_of_them_spoilt() -> None:
    coverage = torch.zeros(20, 60, 100)
    coverage[:, torch.arange(50).repeat_interleave(2), torch.arange(100)] = 1  # 10 rows only pad
    intact = batch(coverage)
    _, region = distort_region(intact, intact.grid_features, torch.Generator().manual_seed(0))
    assert (region < 50).all()
    assert len(set(region.tolist())) > 5


def test_the_generator_alone_decides() -> None:
    coverage = torch.full((50, 5, 4), 0.2)
    seeds = (0, 0, 1)
    regions = [
        distort_region(
            batch(coverage), torch.zeros(50, 2, 3, 2, 2), torch.Generator().manual_seed(s)
        )[1]
        for s in seeds
    ]
    assert np.array_equal(regions[0], regions[1])
    assert not np.array_equal(regions[0], regions[2])


def test_slivers_are_spoilt_in_pixels_only_where_there_is_nothing_else() -> None:
    random = np.random.default_rng(0)
    assert {draw_region(np.array([0.01, 0.5, 0.029, 0.03]), random) for _ in range(50)} == {1, 3}
    assert {draw_region(np.array([0.01, 0.02, 0.0]), random) for _ in range(50)} == {0, 1, 2}
