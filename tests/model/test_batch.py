"""Batches check their shapes, and are padded with absent regions."""

from dataclasses import replace

import pytest
import torch

from rsfiqa.model import collate
from tests.support.tiny_model import random_batch


def test_collate_pads_to_the_most_regions() -> None:
    few, many = random_batch(1, 2), random_batch(2, 5)
    batch = collate([few, many])
    assert len(batch) == 3
    assert batch.present.sum(1).tolist() == [2, 5, 5]
    assert torch.equal(batch.text[0, :2], few.text[0])
    assert batch.coverage[0, 2:].abs().sum() == 0
    assert torch.equal(batch.coverage[1:], many.coverage)
    torch.testing.assert_close(batch.coverage.sum(1), torch.ones(3, 16))


def test_take_keeps_the_order() -> None:
    batch = random_batch(3)
    taken = batch.take(torch.tensor([2, 0]))
    assert torch.equal(taken.grid_features, batch.grid_features[[2, 0]])
    assert torch.equal(taken.present, batch.present[[2, 0]])


@pytest.mark.parametrize("name", ["coverage", "text", "ratings", "geometry", "grid_features"])
def test_wrong_shapes_are_named(name: str) -> None:
    batch = random_batch(3)
    with pytest.raises(ValueError, match=rf"batch: '{name}' must have the shape .* found"):
        replace(batch, **{name: getattr(batch, name)[:2]})
