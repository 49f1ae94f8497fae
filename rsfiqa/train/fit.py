"""Training one model on images whose features are in memory."""

import math
from collections.abc import Callable, Iterable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from rsfiqa.errors import InputError
from rsfiqa.model import RSA, Batch, localization_loss, quality_loss
from rsfiqa.model.inference import predict_batch
from rsfiqa.train.distorted import distort_region
from rsfiqa.train.stopping import BestEpoch

DISTORTED_EVERY = 4  # one in so many images of a step is also seen with a region spoilt


def fit(
    model: RSA,
    data: Batch,
    quality: Tensor,
    *,
    epochs: int = 10,
    batch_size: int = 64,
    lr: float = 2e-3,
    weight_decay: float = 0.05,
    warmup: float = 0.05,
    ema: float = 0.99,
    seed: int = 0,
    mirrored: Tensor | None = None,
    distorted: Tensor | None = None,
    localization: float = 0.3,
    best: BestEpoch | None = None,
    progress: Callable[[int, float], None] | None = None,
) -> list[float]:
    """Trains `model` in place and leaves it calibrated, in evaluation mode, with averaged weights.

    The result depends on the arguments alone, not on the state of any global generator (which is
    left as it was); on a CPU also on the number of threads. The model's initial weights are the
    caller's: make the model under `torch.random.fork_rng` for a reproducible run.

    Args:
        model: on the device where it is to be trained; `standardise` is called here.
        data: the training images, (N, ...), on any device.
        quality: float (N,), MOS mapped to [0, 1], higher is better.
        epochs: passes over the images.
        batch_size: images of a step; what is left over after whole batches waits for the next
            shuffling.
        lr: highest learning rate of AdamW; it rises in the `warmup` share of steps and falls to 0
            along a cosine.
        weight_decay: of AdamW, on matrices only.
        warmup: share of the steps, in [0, 1).
        ema: decay per step of the averaged weights, in [0, 1); less in the first steps, so that
            a short training is not an average with its random start.
        seed: of shuffling and dropout.
        mirrored: (N, 2, C, G, G), cells of the mirrored images, in the place of their own; half of
            the images of a step are seen so.
        distorted: likewise of a distorted copy of each image, from which the model
            learns to tell spoilt regions.
        localization: weight of that in the loss.
        best: judges the averaged weights after each epoch; the best are taken.
        progress: called with the epoch, from 1, and its mean loss.

    Returns:
        Mean training loss of each epoch.

    Raises:
        InputError: the training diverges.
    """
    device = next(model.parameters()).device
    if model.regions is None:
        localization = 0
    model.standardise(data, quality)
    size = min(batch_size, len(data))
    steps = len(data) // size
    optimizer = torch.optim.AdamW(decay_groups(model.named_parameters(), lr, weight_decay))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: rate_of(step, epochs * steps, warmup)
    )
    average = averaged(model, ema)
    shuffling = torch.Generator().manual_seed(seed)
    losses = []
    model.train()
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)
        for epoch in range(1, epochs + 1):
            total = 0.0
            order = torch.randperm(len(data), generator=shuffling)
            for index in order[: steps * size].view(steps, size):
                batch = data.take(index)
                if mirrored is not None:
                    batch = _some_mirrored(batch, mirrored[index], shuffling)
                batch = batch.to(device)
                prediction = model(batch)
                value = quality_loss(prediction.head_quality, quality[index].to(device))
                if distorted is not None and localization:
                    some = torch.arange(-(-size // DISTORTED_EVERY))
                    augmented_views = distorted[index[some]].to(device)
                    intact = prediction.region_quality[some]
                    value = value + localization * _pointing(
                        model, batch.take(some), intact, augmented_views, shuffling
                    )
                optimizer.zero_grad()
                value.backward()
                optimizer.step()
                schedule.step()
                average.update_parameters(model)
                total += value.item()
            losses.append(total / steps)
            expect_number(losses[-1], epoch, "train.lr")
            if progress:
                progress(epoch, losses[-1])
            if best is not None and best.stop(average.module):
                break
    model.load_state_dict(average.module.state_dict() if best is None else best.best)
    model.eval()
    scores = predict_batch(model, data)
    expect_number(float(scores.sum()), len(losses), "train.lr")
    model.calibrate(scores, quality.to(device))
    return losses


def expect_number(value: float, epoch: int, option: str) -> None:
    """Refuse to go on with a training that diverges.

    Raises:
        InputError: a loss, or a sum of scores, is no number.
    """
    if not math.isfinite(value):
        raise InputError(
            f"{option}: must let the training converge, found {value} in epoch {epoch}; lower it"
        )


def _some_mirrored(batch: Batch, mirrored: Tensor, random: torch.Generator) -> Batch:
    """The images, each with an even chance as its mirrored copy (B, 2, C, G, G) is seen."""
    chosen = torch.rand(len(batch), generator=random) < 0.5
    return replace(
        batch, grid_features=torch.where(chosen.view(-1, 1, 1, 1, 1), mirrored, batch.grid_features)
    )


def _pointing(
    model: RSA, batch: Batch, intact: Tensor, augmented_views: Tensor, random: torch.Generator
) -> Tensor:
    """The loss of telling which region of each image was spoilt, given its qualities before."""
    distorted, region = distort_region(batch, augmented_views, random)
    return localization_loss(intact - model(distorted).region_quality, region, batch.present)


def decay_groups(
    named: Iterable[tuple[str, nn.Parameter]], lr: float, weight_decay: float
) -> list[dict[str, Any]]:
    """Groups for AdamW: matrices decay; biases, norms and the spread of attention do not."""
    decayed: list[nn.Parameter] = []
    free: list[nn.Parameter] = []
    for name, parameter in named:
        (decayed if parameter.ndim > 1 and "bias" not in name else free).append(parameter)
    groups = [
        {"params": decayed, "lr": lr, "weight_decay": weight_decay},
        {"params": free, "lr": lr, "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def averaged(model: nn.Module, ema: float) -> torch.optim.swa_utils.AveragedModel:
    """The running average of a model's weights, with a decay that rises to `ema`."""
    return torch.optim.swa_utils.AveragedModel(
        model, avg_fn=lambda old, new, step: old.lerp(new, 1 - decay_of(int(step), ema))
    )


def rate_of(step: int, steps: int, warmup: float) -> float:
    """Share of the highest learning rate at a step, from 0, of so many.

    It rises in the share `warmup` of the steps; one below a step is left out.
    """
    warmup = warmup if warmup * steps >= 1 else 0
    done = step / steps
    if done < warmup:
        return done / warmup
    return 0.5 * (1 + math.cos(math.pi * (done - warmup) / (1 - warmup)))


def decay_of(step: int, ema: float) -> float:
    """Decay of the averaged weights after `step` steps: rises from 0.1 to `ema`."""
    return min(ema, (1 + step) / (10 + step))
