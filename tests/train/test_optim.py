"""The optimizer, the learning rate schedule and the averaged weights."""

import copy

import pytest
import torch
from torch import nn

from rsfiqa.errors import InputError
from rsfiqa.train.optim import (
    EagerAdamW,
    average_weights,
    check_finite,
    ema_decay,
    lr_factor,
    parameter_groups,
    warmup_cosine,
)


def network() -> nn.Module:
    torch.manual_seed(0)
    return nn.Sequential(nn.Linear(4, 8), nn.LayerNorm(8), nn.Linear(8, 1))


def test_eager_adamw_takes_the_steps_of_adamw() -> None:
    first = network()
    second = copy.deepcopy(first)
    optimizers = [
        kind(parameter_groups(model.named_parameters(), lr=0.01, weight_decay=0.1))
        for kind, model in ((torch.optim.AdamW, first), (EagerAdamW, second))
    ]
    x = torch.randn(16, 4)
    for _ in range(5):
        for model, optimizer in zip((first, second), optimizers, strict=True):
            optimizer.zero_grad()
            model(x).square().mean().backward()
            optimizer.step()
    for expected, actual in zip(first.parameters(), second.parameters(), strict=True):
        assert torch.equal(actual, expected)
        assert actual.requires_grad


def test_weight_decay_applies_to_matrices_only() -> None:
    model = network()
    matrices, vectors = parameter_groups(model.named_parameters(), lr=0.01, weight_decay=0.1)
    assert [tuple(p.shape) for p in matrices["params"]] == [(8, 4), (1, 8)]
    assert all(p.ndim == 1 for p in vectors["params"])
    assert (matrices["weight_decay"], vectors["weight_decay"]) == (0.1, 0)
    assert len(matrices["params"]) + len(vectors["params"]) == len(list(model.parameters()))


def test_the_learning_rate_rises_and_falls() -> None:
    factors = [lr_factor(step, steps=100, warmup=0.1) for step in (0, 5, 10, 55, 100)]
    assert factors == pytest.approx([0, 0.5, 1, 0.5, 0])
    assert lr_factor(0, steps=100, warmup=0.0) == 1


def test_the_schedule_applies_to_each_group() -> None:
    model = network()
    groups = parameter_groups(model.named_parameters(), lr=0.01, weight_decay=0.1)
    groups[1]["lr"] = 0.1
    optimizer = EagerAdamW(groups)
    schedule = warmup_cosine(optimizer, steps=100, warmup=0.1)
    assert [group["lr"] for group in optimizer.param_groups] == [0, 0]
    for _ in range(5):
        optimizer.step()
        schedule.step()
    assert [group["lr"] for group in optimizer.param_groups] == pytest.approx([0.005, 0.05])


def test_the_decay_of_the_average_rises() -> None:
    assert [ema_decay(step, 0.9) for step in (0, 5, 1000)] == pytest.approx([0.1, 0.4, 0.9])
    assert ema_decay(1000, 0.0) == 0


def test_the_average_starts_at_the_first_update() -> None:
    model = nn.Linear(1, 1, bias=False)
    average = average_weights(model, 0.9)
    for value in (1.0, 3.0):
        nn.init.constant_(model.weight, value)
        average.update_parameters(model)
    decay = ema_decay(1, 0.9)
    assert average.module.weight.item() == pytest.approx(decay * 1 + (1 - decay) * 3)


@pytest.mark.parametrize("value", [float("nan"), float("inf")])
def test_a_loss_that_is_not_finite(value: float) -> None:
    message = rf"^train.lr: must let the training converge, found {value} in epoch 3; lower it$"
    with pytest.raises(InputError, match=message):
        check_finite(value, epoch=3, option="train.lr")
