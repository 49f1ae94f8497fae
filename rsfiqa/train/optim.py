"""Optimizer, learning rate schedule and weight averaging of both trainings."""

import inspect
import math
from collections.abc import Iterable
from typing import Any

import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel

from rsfiqa.errors import InputError


class EagerAdamW(torch.optim.AdamW):
    """AdamW without the wrappers that let torch.compile trace it.

    The first call of a wrapper imports torch._dynamo, which takes about a second: as long as a
    training on the frozen features of a thousand images. The arithmetic is that of the base class.
    """

    add_param_group = inspect.unwrap(torch.optim.AdamW.add_param_group)
    zero_grad = inspect.unwrap(torch.optim.AdamW.zero_grad)
    step = torch.no_grad()(inspect.unwrap(torch.optim.AdamW.step))


def parameter_groups(
    named: Iterable[tuple[str, nn.Parameter]], *, lr: float, weight_decay: float
) -> list[dict[str, Any]]:
    """Return groups for AdamW: weight decay applies to matrices, not to biases and gains."""
    decayed: list[nn.Parameter] = []
    other: list[nn.Parameter] = []
    for name, parameter in named:
        (decayed if parameter.ndim > 1 and "bias" not in name else other).append(parameter)
    groups: list[dict[str, Any]] = [
        {"params": decayed, "lr": lr, "weight_decay": weight_decay},
        {"params": other, "lr": lr, "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def warmup_cosine(
    optimizer: torch.optim.Optimizer, *, steps: int, warmup: float
) -> torch.optim.lr_scheduler.LambdaLR:
    """Return a schedule that raises the learning rates linearly and lowers them along a cosine.

    torch's LinearLR and CosineAnnealingLR accumulate rounding errors from step to step and cannot
    start at 0, so the schedule is a function of the step.

    Args:
        optimizer: holds the peak learning rate of each parameter group.
        steps: length of the training.
        warmup: fraction of the steps in which the rates rise, in [0, 1).
    """
    return torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: lr_factor(step, steps=steps, warmup=warmup)
    )


def lr_factor(step: int, *, steps: int, warmup: float) -> float:
    """Return the learning rate of a step, counted from 0, relative to its peak, in [0, 1].

    A warm-up of less than one step is left out.
    """
    warmup = warmup if warmup * steps >= 1 else 0
    progress = step / steps
    if progress < warmup:
        return progress / warmup
    return 0.5 * (1 + math.cos(math.pi * (progress - warmup) / (1 - warmup)))


def average_weights(model: nn.Module, ema: float) -> AveragedModel:
    """Return an exponential moving average of a model's weights, to be updated every step.

    Args:
        model: its present weights are the first ones.
        ema: decay per step, in [0, 1); see `ema_decay`.
    """
    return AveragedModel(
        model, avg_fn=lambda average, new, step: average.lerp(new, 1 - ema_decay(int(step), ema))
    )


def ema_decay(step: int, ema: float) -> float:
    """Return the decay of the averaged weights after a number of steps.

    It rises from 0.1 to `ema`, so that the average of a short training is not dominated by the
    initial weights.
    """
    return min(ema, (1 + step) / (10 + step))


def check_finite(value: float, *, epoch: int, option: str) -> None:
    """Stop a training that diverges.

    Args:
        value: a loss or a sum of scores.
        epoch: number of the epoch, for the message.
        option: the learning rate to be lowered, such as train.lr, for the message.

    Raises:
        InputError: `value` is infinite or NaN.
    """
    if not math.isfinite(value):
        raise InputError(
            f"{option}: must let the training converge, found {value} in epoch {epoch}; lower it"
        )
