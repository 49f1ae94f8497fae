"""Training of the RSA model on frozen features, which are in memory."""

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from rsfiqa.model import RSA, Batch, localization_loss
from rsfiqa.model.inference import predict_batch
from rsfiqa.train.distorted import mix_distorted_region
from rsfiqa.train.optim import (
    EagerAdamW,
    average_weights,
    check_finite,
    parameter_groups,
    warmup_cosine,
)
from rsfiqa.train.sets import SetScales, TrainingSet, TrainingSets
from rsfiqa.train.stopping import BestEpoch

DISTORTED_EVERY = 4  # a quarter of the images of a step also has a view with a distorted region


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
    localization_weight: float = 0.3,
    added: Sequence[TrainingSet] = (),
    best: BestEpoch[RSA] | None = None,
    progress: Callable[[int, float], None] | None = None,
) -> list[float]:
    """Train a model in place; leave it calibrated, in evaluation mode, with averaged weights.

    The result depends on the arguments alone, not on the state of a global random generator
    (which is left as it was); on a CPU also on the number of threads. The initial weights are the
    caller's: make the model under `torch.random.fork_rng` for a reproducible run.

    Args:
        model: on the device where it is to be trained; `standardise` is called here.
        data: N training images, on any device.
        quality: float (N,), MOS mapped to [0, 1], higher is better.
        epochs: number of passes over the images.
        batch_size: images per step; images beyond the last full batch are left out of an epoch.
        lr: peak learning rate of AdamW; the rate rises during the warm-up and falls to 0 along a
            cosine.
        weight_decay: weight decay of AdamW, applied to matrices only.
        warmup: fraction of the steps in the warm-up, in [0, 1).
        ema: decay per step of the averaged weights, in [0, 1); see `ema_decay`.
        seed: seed of shuffling and dropout.
        mirrored: (N, 2, C, G, G), grid features of the mirrored images, mirrored back in place;
            half of the images of a step are replaced by them.
        distorted: (N, 2, C, G, G), grid features of distorted views of the images, for
            distorted-region localization.
        localization_weight: weight of distorted-region localization in the loss.
        added: images of further data sets, which are trained on together with the others, each
            set with a scale of its own. Quality and calibration are those of `data`. Views are
            used where all sets have them.
        best: evaluates the averaged weights after each epoch; the best ones are kept.
        progress: called after each epoch with its number, from 1, and its mean loss.

    Returns:
        Mean training loss of each epoch.

    Raises:
        InputError: the training diverges.
    """
    device = next(model.parameters()).device
    images = TrainingSets([TrainingSet(data, quality, mirrored, distorted), *added])
    localizes = model.regions is not None and localization_weight > 0 and images.have("distorted")
    mirrors = images.have("mirrored")
    model.standardise(data, quality, *(one.batch for one in added))
    size = min(batch_size, len(images))
    steps = len(images) // size
    scales = SetScales(len(added)).to(device)
    trained = [*model.named_parameters(), *(scales.named_parameters() if added else ())]
    optimizer = EagerAdamW(parameter_groups(trained, lr=lr, weight_decay=weight_decay))
    schedule = warmup_cosine(optimizer, steps=epochs * steps, warmup=warmup)
    average = average_weights(model, ema)
    random = torch.Generator().manual_seed(seed)
    losses: list[float] = []
    model.train()
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        torch.manual_seed(seed)  # of dropout
        for epoch in range(1, epochs + 1):
            total = 0.0
            order = torch.randperm(len(images), generator=random)
            for index in order[: steps * size].view(steps, size):
                batch = images.batch(index)
                if mirrors:
                    batch = _mirror_some(batch, images.views("mirrored", index), random)
                views = None
                if localizes:
                    some = index[: math.ceil(size / DISTORTED_EVERY)]
                    views = images.views("distorted", some).to(device)
                optimizer.zero_grad()
                loss = _loss(
                    model,
                    batch.to(device),
                    images.quality(index).to(device),
                    dataset=images.dataset(index).to(device),
                    scales=scales,
                    distorted_views=views,
                    localization_weight=localization_weight,
                    random=random,
                )
                torch.autograd.backward(loss)
                optimizer.step()
                schedule.step()
                average.update_parameters(model)
                total += loss.item()
            losses.append(total / steps)
            check_finite(losses[-1], epoch=epoch, option="train.lr")
            if progress:
                progress(epoch, losses[-1])
            if best is not None and best.update(average.module):
                break
    model.load_state_dict(average.module.state_dict() if best is None else best.weights)
    model.eval()
    scores = predict_batch(model, data)
    check_finite(float(scores.sum()), epoch=len(losses), option="train.lr")
    model.calibrate(scores, quality.to(device))
    return losses


def _mirror_some(batch: Batch, mirrored: Tensor, random: torch.Generator) -> Batch:
    """Replace each image by its mirrored view (2, C, G, G) with probability 1/2."""
    chosen = (torch.rand(len(batch), generator=random) < 0.5).view(-1, 1, 1, 1, 1)
    return replace(batch, grid_features=torch.where(chosen, mirrored, batch.grid_features))


def _loss(
    model: RSA,
    batch: Batch,
    quality: Tensor,
    *,
    dataset: Tensor,
    scales: SetScales,
    distorted_views: Tensor | None,
    localization_weight: float,
    random: torch.Generator,
) -> Tensor:
    """Compute the loss of a step.

    Args:
        model: in training mode.
        batch: B images.
        quality: float (B,), their targets, each on the scale of its own set.
        dataset: int64 (B,), number of each image's set; 0 is the first.
        scales: of the added sets.
        distorted_views: (K, 2, C, G, G), grid features of distorted views of the first K images;
            None without distorted-region localization.
        localization_weight: weight of distorted-region localization.
        random: chooses the regions that are distorted.
    """
    prediction = model(batch)
    loss = scales.loss(prediction.head_quality, quality, dataset)
    if distorted_views is None:
        return loss
    first = torch.arange(len(distorted_views), device=quality.device)
    mixed, region = mix_distorted_region(batch.take(first), distorted_views, random)
    drop = prediction.region_quality[first] - model(mixed).region_quality
    return loss + localization_weight * localization_loss(drop, region, mixed.present)
