"""The gates of the multi-scale features."""

import pytest
import torch

from rsfiqa.model import MHF


def test_gates_sum_to_1_and_start_equal() -> None:
    torch.manual_seed(0)
    mhf = MHF((3, 4, 5), width=8)
    features, gates = mhf(torch.randn(2, 16, 2, 12))
    assert features.shape == (2, 16, 8)
    torch.testing.assert_close(gates, torch.full((2, 16, 3), 1 / 3))
    torch.nn.init.normal_(mhf.gate)
    _, gates = mhf(torch.randn(2, 16, 2, 12))
    torch.testing.assert_close(gates.sum(-1), torch.ones(2, 16))
    assert gates.std() > 0.01


@pytest.mark.parametrize("stage", [0, 1, 2])
def test_each_stage_is_projected_by_itself(stage: int) -> None:
    torch.manual_seed(0)
    channels, starts = (3, 4, 5), (0, 3, 7)
    mhf = MHF(channels, width=8)
    grid_features = torch.zeros(1, 1, 2, 12)
    part = slice(starts[stage], starts[stage] + channels[stage])
    grid_features[..., part] = torch.randn(1, 1, 2, channels[stage])
    projected = [
        torch.nn.functional.gelu(layer(grid_features[..., start : start + n].flatten(2)))
        for layer, start, n in zip(mhf.project, starts, channels, strict=True)
    ]
    features, _ = mhf(grid_features)
    torch.testing.assert_close(features, sum(projected) / 3)
    for i, features in enumerate(projected):
        empty = torch.nn.functional.gelu(mhf.project[i](torch.zeros(1, 1, 2 * channels[i])))
        assert torch.equal(features, empty) == (i != stage)
