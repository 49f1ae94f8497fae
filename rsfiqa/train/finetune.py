"""Training backbone and model together, from a model that was trained on frozen features."""

import io
import logging
import math
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from rsfiqa.backbones.backbone import Backbone, statistics
from rsfiqa.errors import InputError
from rsfiqa.io.atomic import write_bytes
from rsfiqa.model import (
    RSA,
    Batch,
    Prediction,
    localization_loss,
    quality_loss,
    with_layouts,
)
from rsfiqa.samples import Samples
from rsfiqa.splits import seed_of
from rsfiqa.train.crops import Crop, Crops
from rsfiqa.train.fit import averaged, decay_groups, expect_number, rate_of
from rsfiqa.train.options import TrainOptions
from rsfiqa.train.stopping import BestEpoch

log = logging.getLogger("rsfiqa")
WARMUP = 0.1  # share of the steps in which rates rise
FLOOR = 1e-8  # of variances; live channels have 0.01 and more
CLIP = 5.0  # longest gradient
DISTORTED_EVERY = 8  # one in so many crops is also seen with a region spoilt
POINTING = 0.1  # weight of that, over its weight on frozen features, where a step has more copies
SAVE_STEPS = 50  # a training that is killed loses fewer steps than these


class Tuned(nn.Module):
    """A backbone and the model on top of it.

    Args:
        backbone: its normalisation layers keep their statistics.
        model: trained on frozen features of the same backbone.
        grid: G, cells on each side.
        bf16: the backbone computes in bfloat16.
    """

    mean: Tensor
    std: Tensor

    def __init__(self, backbone: Backbone, model: RSA, grid: int, bf16: bool = False) -> None:
        super().__init__()
        # channels last: half the time a step on a processor
        self.stages = backbone.stages.to(memory_format=torch.channels_last).requires_grad_(True)
        self.model, self.grid, self.bf16 = model, grid, bf16
        self.backbone = backbone
        self.register_buffer("mean", backbone.mean, persistent=False)
        self.register_buffer("std", backbone.std, persistent=False)

    def train(self, mode: bool = True) -> "Tuned":
        """As usual, but for batch normalisation, which stays as it was trained."""
        super().train(mode)
        for module in self.stages.modules():
            if isinstance(module, nn.modules.batchnorm._BatchNorm):
                module.eval()
        return self

    @property
    def extractor(self) -> Backbone:
        """The backbone as it is now, where it is now."""
        return replace(self.backbone, stages=self.stages, mean=self.mean, std=self.std)

    def grid_features(self, pixels: Sequence[np.ndarray]) -> Tensor:
        """Float (B, 2, C, G, G) of B images uint8 (3, h, w); those of one size go together."""
        shapes = sorted({tuple(image.shape) for image in pixels})
        found: list[Tensor | None] = [None] * len(pixels)
        for shape in shapes:
            places = [i for i, image in enumerate(pixels) if tuple(image.shape) == shape]
            x = torch.from_numpy(np.stack([pixels[i] for i in places]))
            x = x.to(self.mean.device).float() / 255
            x = ((x - self.mean) / self.std).contiguous(memory_format=torch.channels_last)
            with torch.autocast(x.device.type, torch.bfloat16, enabled=self.bf16):
                found_maps = self.backbone.maps(x)
            stages = [statistics(stage.float(), self.grid, FLOOR) for stage in found_maps]
            for i, grid_features in zip(places, torch.cat(stages, dim=2), strict=True):
                found[i] = grid_features
        return torch.stack(found)  # type: ignore[arg-type]

    def forward(
        self,
        pixels: Sequence[np.ndarray],
        batch: Batch,
        augmented_views: Mapping[int, np.ndarray] | None = None,
    ) -> tuple[Prediction, Tensor]:
        """What the model says of B images, and of copies of some in which a region is spoilt.

        From the copies the model learns, and not the backbone, which opinions alone change.

        Args:
            pixels: uint8 (3, h, w) of each image.
            batch: of the images; its cells are not looked at.
            augmented_views: S copies, by the place of their image.

        Returns:
            The prediction of the images, and float (S, R), the fall of each region's quality.
        """
        grid_features = self.grid_features(pixels)
        found = self.model(replace(batch, grid_features=grid_features))
        if not augmented_views:
            return found, found.region_quality[:0]
        some = torch.tensor(list(augmented_views), device=grid_features.device)
        with torch.no_grad():
            distorted = self.grid_features(list(augmented_views.values()))
        both = torch.cat([grid_features.detach()[some], distorted])
        intact, distorted_image = self.model(
            replace(batch.take(some.repeat(2)), grid_features=both)
        ).region_quality.chunk(2)
        return found, intact - distorted_image


def fit_tuned(
    tuned: Tuned,
    data: Samples,
    folder: Path,
    options: TrainOptions,
    *,
    seed: int,
    state: Path,
    lineage: str,
    long_side: int,
    best: BestEpoch | None = None,
    progress: Callable[[int, float], None] | None = None,
) -> list[float]:
    """Train in place and leave it in evaluation mode, with averaged weights.

    Every step's pictures and dropout depend on the seed and the step's number alone, so that a
    training that was killed goes on from its last saved state to the same result. Under torchrun
    every process takes its share of each batch.

    Args:
        tuned: on the device where it is to be trained.
        data: the training images.
        folder: of the data set, for label maps.
        options: epochs, rates, sizes.
        seed: of crops, shuffling and dropout.
        state: file for the state between steps; the caller removes it when the result is kept.
        lineage: of the training; a state of another is not taken up.
        long_side: larger images are reduced to it.
        best: judges the averaged weights after each epoch; the best are taken.
        progress: called with the epoch, from 1, and its mean loss.

    Returns:
        Mean training loss of each epoch.

    Raises:
        InputError: an image or label map cannot be read any more, or the training diverges.
    """
    device = tuned.mean.device
    rank, world = processes()
    parts = options.finetune.micro_batches * world
    size = min(options.finetune.batch_size, len(data) // parts * parts)
    steps = len(data) // size
    total = options.finetune.epochs * steps
    optimizer = torch.optim.AdamW(parameter_groups(tuned, options))
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda step: rate_of(step, total, WARMUP)
    )
    parallel: nn.Module = tuned
    if world > 1:  # gives all processes the weights of the first
        parallel = nn.parallel.DistributedDataParallel(tuned, broadcast_buffers=False)
    average = averaged(tuned, options.ema)
    kept = {"tuned": tuned, "average": average, "optimizer": optimizer, "schedule": schedule}
    kept |= {} if best is None else {"best": best}
    losses = _resume(state, lineage, kept)
    first = len(losses)
    localization = POINTING * options.localization_weight if tuned.model.regions is not None else 0
    crops = Crops(
        data,
        folder,
        side=options.finetune.crop,
        long_side=long_side,
        seed=seed,
        distorted_fraction=1 / DISTORTED_EVERY if localization else 0,
    )
    loader = DataLoader(
        crops,
        batch_sampler=_Steps(
            len(data), size, options.finetune.epochs, seed, first=first, rank=rank, world=world
        ),
        num_workers=options.finetune.workers,
        collate_fn=list,
    )
    quality = torch.from_numpy(data.quality)
    tuned.train()
    over = best is not None and best.over  # killed after its last step
    for step, items in enumerate(() if over else loader, start=first):
        for _, crop in items:
            if isinstance(crop, InputError):
                raise crop
        torch.manual_seed(seed_of(seed, step, rank))  # of dropout
        optimizer.zero_grad()
        value = 0.0
        split = _split(items, options.finetune.micro_batches)
        for part in split:
            index = torch.tensor([i for i, _ in part])
            seen = [crop for _, crop in part]
            batch = with_layouts(data.batch.take(index), seen).to(device)
            loss = _loss(parallel, seen, batch, quality[index].to(device), localization) / len(
                split
            )
            loss.backward()
            value += loss.item()
        expect_number(value, step // steps + 1, "train.finetune.lr")
        nn.utils.clip_grad_norm_(tuned.parameters(), CLIP)
        optimizer.step()
        schedule.step()
        average.update_parameters(tuned)
        losses.append(value)
        ended = (step + 1) % steps == 0
        if progress and ended:
            progress((step + 1) // steps, sum(losses[-steps:]) / steps)
        enough = best is not None and ended and _agreed(best.stop(average.module), device)
        if rank == 0 and (step + 1) % SAVE_STEPS == 0:
            _save(state, lineage, kept, losses)
        if enough:
            break
    tuned.load_state_dict(average.module.state_dict() if best is None else best.best)
    tuned.eval()
    return [sum(losses[i : i + steps]) / steps for i in range(0, len(losses), steps)]


def _loss(
    tuned: nn.Module, crops: Sequence[Crop], batch: Batch, quality: Tensor, localization: float
) -> Tensor:
    """Of the scores of B crops, and of telling the region that is spoilt in some of them."""
    augmented_views = {
        i: crop.distorted for i, crop in enumerate(crops) if crop.distorted is not None
    }
    found, fall = tuned([crop.pixels for crop in crops], batch, augmented_views)
    loss = quality_loss(found.head_quality, quality)
    if not augmented_views:
        return loss
    region = torch.tensor([crops[i].region for i in augmented_views], device=fall.device)
    return loss + localization * localization_loss(
        fall, region, batch.present[list(augmented_views)]
    )


def processes() -> tuple[int, int]:
    """The number of this process and how many there are, as torchrun tells them."""
    return int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))


def _agreed(enough: bool, device: torch.device) -> bool:
    """What the first process says: sums in another order may have led others to another view."""
    if processes()[1] == 1:
        return enough
    said = torch.tensor(int(enough), device=device)
    torch.distributed.broadcast(said, src=0)
    return bool(said.item())


def check(options: TrainOptions, images: int) -> None:
    """Refuse batches that cannot be split evenly, in which images would count unequally.

    Raises:
        InputError: so it is, or there are too few images for one.
    """
    parts = options.finetune.micro_batches * processes()[1]
    if options.finetune.batch_size % parts or options.finetune.batch_size < 2 * parts:
        raise InputError(
            f"train.finetune.batch_size: must be a multiple, at least twofold, of micro_batches times"
            f" processes ({parts}), found {options.finetune.batch_size}; change one of them"
        )
    if images < 2 * parts:
        raise InputError(
            f"train.finetune.micro_batches: times processes ({parts}) takes {2 * parts} images to train on"
            f" or more, found {images}; lower it"
        )


def parameter_groups(tuned: Tuned, options: TrainOptions) -> list[dict]:
    """Rates that fall from the top of the backbone to its bottom; the model's own on top.

    Biases and the gains of normalisation are not decayed.
    """
    layers: dict[str, list[tuple[str, nn.Parameter]]] = {}
    for name, parameter in tuned.stages.named_parameters():
        layers.setdefault(layer_of(name), []).append((name, parameter))
    groups = []
    for depth, layer in enumerate(reversed(layers.values())):
        rate = options.finetune.lr * options.finetune.layer_decay**depth
        groups += decay_groups(layer, rate, options.weight_decay)
    return groups + decay_groups(
        tuned.model.named_parameters(), options.finetune.head_lr, options.weight_decay
    )


def layer_of(name: str) -> str:
    """The layer of a backbone's tensor: its name up to the first numbers in it.

    `blocks.3.1.conv_pw.weight` is of `blocks.3.1`, `layer1.0.downsample.0.weight` of `layer1.0`,
    `model.blocks.5.attn.qkv.weight` of `model.blocks.5`.
    """
    parts = name.split(".")
    numbers = [part.isdigit() for part in parts]
    if True not in numbers[:4]:
        return parts[0]
    end = numbers.index(True)
    while end < len(parts) and numbers[end]:
        end += 1
    return ".".join(parts[:end])


class _Steps:
    """Keys of the crops of each step that is left, of this process's share."""

    def __init__(
        self,
        images: int,
        size: int,
        epochs: int,
        seed: int,
        *,
        first: int,
        rank: int,
        world: int,
    ) -> None:
        self.images, self.size, self.steps, self.epochs = images, size, images // size, epochs
        self.seed, self.first, self.rank, self.world = seed, first, rank, world

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        for epoch in range(self.first // self.steps, self.epochs):
            shuffling = torch.Generator().manual_seed(seed_of(self.seed, epoch))
            order = torch.randperm(self.images, generator=shuffling).tolist()
            for step in range(self.steps):
                if epoch * self.steps + step >= self.first:
                    batch = order[step * self.size : (step + 1) * self.size]
                    yield [(epoch, index) for index in batch[self.rank :: self.world]]

    def __len__(self) -> int:
        return self.epochs * self.steps - self.first


def _split(items: list, parts: int) -> list[list]:
    """The items in about equal parts, none of them empty."""
    size = math.ceil(len(items) / parts)
    return [items[start : start + size] for start in range(0, len(items), size)]


def _save(path: Path, lineage: str, kept: Mapping[str, Any], losses: list[float]) -> None:
    content = {name: part.state_dict() for name, part in kept.items()}
    state = io.BytesIO()
    torch.save({"origin": lineage, **content, "losses": losses}, state)
    write_bytes(path, state.getbuffer())


def _resume(path: Path, lineage: str, kept: Mapping[str, Any]) -> list[float]:
    """The losses of the steps so far, whose end the parts of `kept` are brought to."""
    if not path.is_file():
        return []
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
        same = content["origin"] == lineage
    except (OSError, RuntimeError, EOFError, KeyError, TypeError, UnpicklingError):
        same = False
    if not same:
        log.warning("%s: of another training, or damaged; it is not taken up", path)
        return []
    for name, part in kept.items():
        part.load_state_dict(content[name])
    log.info("training goes on after step %d", len(content["losses"]))
    return content["losses"]
