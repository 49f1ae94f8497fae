"""Attention stays where it belongs; pooling follows the law of total variance."""

import torch

from rsfiqa.model.attention import (
    RegionSelfAttention,
    attend_within,
    masked_softmax,
    pool_statistics,
)
from tests.support.tiny_model import random_batch, untrained_model


def test_attention_stays_inside_the_region() -> None:
    torch.manual_seed(0)
    coverage = (torch.rand(2, 3, 16) * (torch.rand(2, 3, 16) < 0.4)).clamp(0, 1)
    coverage[0, 1] = 0
    within = attend_within(100 * torch.randn(2, 3, 16), coverage)
    assert (within[coverage == 0] == 0).all()
    inside = coverage.sum(-1) > 0
    torch.testing.assert_close(within.sum(-1), inside.float())


def test_equal_logits_attend_by_coverage() -> None:
    coverage = torch.tensor([[[1.0, 0.5, 0.5, 0.0]]])
    attention = attend_within(torch.full((1, 1, 4), 40.0), coverage)
    torch.testing.assert_close(attention, torch.tensor([[[0.5, 0.25, 0.25, 0.0]]]))


def test_no_importance_for_absent_regions() -> None:
    weight = masked_softmax(torch.tensor([[0.0, 0.0, 9.0]]), torch.tensor([[True, True, False]]))
    torch.testing.assert_close(weight, torch.tensor([[0.5, 0.5, 0.0]]))


def test_pooled_cells_have_the_statistics_of_their_pixels() -> None:
    torch.manual_seed(0)
    pixels = torch.randn(2, 5, 4, 6, dtype=torch.float64)  # (B, C, N, pixels of a cell)
    std, mean = torch.std_mean(pixels, dim=-1, correction=0)
    grid_features = torch.stack([mean, std]).permute(1, 3, 0, 2)  # (B, N, 2, C)
    half = torch.tensor([0.5, 0.5, 0, 0], dtype=torch.float64)
    weights = torch.stack([torch.full_like(half, 0.25), half]).expand(2, 2, 4)
    statistics = pool_statistics(grid_features, weights)
    regions = (pixels, pixels[:, :, :2])
    for region, pooled in zip(regions, statistics.unbind(1), strict=True):
        std, mean = torch.std_mean(region.flatten(2), dim=-1, correction=0)
        # The constant under the root moves standard deviations of about 1 by 5e-7.
        torch.testing.assert_close(pooled, torch.cat([mean, std], -1), atol=1e-6, rtol=0)


def test_regions_attend_to_present_ones_only() -> None:
    torch.manual_seed(0)
    layer = RegionSelfAttention(8, heads=2, dropout=0.0)
    torch.nn.init.normal_(layer.out_proj.weight)
    tokens, present = torch.randn(1, 3, 8), torch.tensor([[True, True, False]])
    alone = layer(tokens[:, :2], present[:, :2])
    torch.testing.assert_close(layer(tokens, present)[:, :2], alone)
    tokens[0, 1] = torch.randn(8)
    assert (layer(tokens, present)[0, 0] - alone[0, 0]).abs().max() > 1e-3


def test_an_untrained_model_attends_to_the_centre() -> None:
    attention = untrained_model().eval()(random_batch()).attention  # (3, 4, 4)
    at = (torch.arange(4) + 0.5) / 4 - 0.5
    bell = torch.exp(-(at[:, None] ** 2 + at[None, :] ** 2) / (2 * 0.2**2))
    torch.testing.assert_close(attention, (bell / bell.sum()).expand(3, 4, 4))
