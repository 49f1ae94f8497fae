"""Training of backbone and model together, from a model trained on frozen features."""

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from rsfiqa.errors import InputError
from rsfiqa.model import Batch, localization_loss, quality_loss, with_layouts
from rsfiqa.samples import Samples
from rsfiqa.splits import seed_of
from rsfiqa.train.crops import Crop, CropDataset
from rsfiqa.train.finetuned_model import FinetunedModel, finetuning_groups
from rsfiqa.train.optim import average_weights, check_finite, warmup_cosine
from rsfiqa.train.options import TrainOptions
from rsfiqa.train.state import Stateful, TrainingState
from rsfiqa.train.stopping import BestEpoch

WARMUP = 0.1  # fraction of the steps in which the learning rates rise
MAX_GRADIENT_NORM = 5.0
DISTORTED_EVERY = 8  # one in so many crops also has a view with a distorted region
# times train.localization_weight: a step has fewer views with a distorted region than a step on
# frozen features
LOCALIZATION_WEIGHT = 0.1
SAVE_EVERY = 50  # steps

Item = tuple[int, Crop | InputError]


@dataclass(frozen=True)
class Processes:
    """The processes that share a training, as torchrun sets them up.

    Attributes:
        rank: number of this process, from 0.
        count: number of processes.
    """

    rank: int
    count: int

    @classmethod
    def current(cls) -> "Processes":
        """Read the environment variables of torchrun; a single process without it."""
        return cls(int(os.environ.get("RANK", "0")), int(os.environ.get("WORLD_SIZE", "1")))

    def broadcast(self, value: bool, device: torch.device) -> bool:
        """Return the value of the first process."""
        if self.count == 1:
            return value
        shared = torch.tensor(int(value), device=device)
        torch.distributed.broadcast(shared, src=0)
        return bool(shared.item())


def finetune(
    finetuned: FinetunedModel,
    data: Samples,
    folder: Path,
    options: TrainOptions,
    *,
    seed: int,
    state: Path,
    fingerprint: str,
    long_side: int,
    best: BestEpoch[FinetunedModel] | None = None,
    progress: Callable[[int, float], None] | None = None,
    save_every: int = SAVE_EVERY,
    distorted_every: int = DISTORTED_EVERY,
) -> list[float]:
    """Train a model in place; leave it in evaluation mode, with averaged weights.

    Crops and dropout of a step depend on the seed and the number of the step alone, so that a
    killed training resumes from its last saved state to the same result. Under torchrun each
    process computes its part of each batch.

    Args:
        finetuned: on the device where it is to be trained.
        data: the training images.
        folder: folder of the data set, which holds the label maps.
        options: epochs, learning rates, sizes.
        seed: seed of crops, shuffling and dropout.
        state: file for the state between steps; the caller deletes it when the result is written.
        fingerprint: see `TrainingState`.
        long_side: images with a longer side are first reduced to it, pixels.
        best: evaluates the averaged weights after each epoch; the best ones are kept.
        progress: called after each epoch with its number, from 1, and its mean loss.
        save_every: number of steps between two saved states.
        distorted_every: one in so many crops also has a view with a distorted region.

    Returns:
        Mean training loss of each epoch.

    Raises:
        InputError: an image or label map cannot be read any more, or the training diverges.
    """
    device, processes = finetuned.mean.device, Processes.current()
    batches = BatchSchedule.of(options, images=len(data), seed=seed, processes=processes)
    optimizer = torch.optim.AdamW(finetuning_groups(finetuned, options))
    schedule = warmup_cosine(optimizer, steps=batches.epochs * batches.steps, warmup=WARMUP)
    module: nn.Module = finetuned
    if processes.count > 1:  # gives all processes the weights of the first
        module = nn.parallel.DistributedDataParallel(finetuned, broadcast_buffers=False)
    average = average_weights(finetuned, options.ema)
    parts: dict[str, Stateful] = {
        "finetuned": finetuned,
        "average": average,
        "optimizer": optimizer,
        "schedule": schedule,
    }
    if best is not None:
        parts["best"] = best
    saved = TrainingState(state, fingerprint, parts)
    losses = saved.resume()
    stopped = best is not None and best.should_stop  # killed after the last step
    weight = LOCALIZATION_WEIGHT * options.localization_weight
    if finetuned.model.regions is None:
        weight = 0
    crops = CropDataset(
        data,
        folder,
        side=options.finetune.crop,
        long_side=long_side,
        seed=seed,
        distorted_fraction=1 / distorted_every if weight else 0,
    )
    loader: DataLoader[Item] = DataLoader(
        crops,
        batch_sampler=batches.after(len(losses)),
        num_workers=options.finetune.workers,
        collate_fn=list,
    )
    quality = torch.from_numpy(data.quality)
    finetuned.train()
    for step, items in enumerate(() if stopped else loader, start=len(losses)):
        torch.manual_seed(seed_of(seed, step, processes.rank))  # of dropout
        optimizer.zero_grad()
        total = 0.0
        for index, part in _micro_batches(_readable(items), options.finetune.micro_batches):
            batch = with_layouts(data.batch.take(index), part).to(device)
            loss = batch_loss(module, part, batch, quality[index].to(device), weight)
            loss = loss / options.finetune.micro_batches
            torch.autograd.backward(loss)
            total += loss.item()
        check_finite(total, epoch=step // batches.steps + 1, option="train.finetune.lr")
        nn.utils.clip_grad_norm_(finetuned.parameters(), MAX_GRADIENT_NORM)
        optimizer.step()
        schedule.step()
        average.update_parameters(finetuned)
        losses.append(total)
        if (step + 1) % batches.steps == 0:
            if progress:
                progress((step + 1) // batches.steps, batches.epoch_losses(losses)[-1])
            if best is not None:  # processes round differently and may disagree
                stopped = processes.broadcast(best.update(average.module), device)
        if processes.rank == 0 and (step + 1) % save_every == 0:
            saved.save(losses)
        if stopped:
            break
    finetuned.load_state_dict(average.module.state_dict() if best is None else best.weights)
    finetuned.eval()
    return batches.epoch_losses(losses)


def _readable(items: Sequence[Item]) -> list[tuple[int, Crop]]:
    """Return the crops of a step.

    Raises:
        InputError: an image could not be read.
    """
    crops = []
    for index, crop in items:
        if isinstance(crop, InputError):
            raise crop
        crops.append((index, crop))
    return crops


def _micro_batches(
    items: Sequence[tuple[int, Crop]], number: int
) -> list[tuple[Tensor, list[Crop]]]:
    """Divide the crops of a step into equal micro-batches, each with the indices of its images."""
    size = len(items) // number
    parts = [items[start : start + size] for start in range(0, len(items), size)]
    return [(torch.tensor([i for i, _ in part]), [crop for _, crop in part]) for part in parts]


def batch_loss(
    finetuned: nn.Module,
    crops: Sequence[Crop],
    batch: Batch,
    quality: Tensor,
    localization_weight: float,
) -> Tensor:
    """Compute the loss of a micro-batch.

    Args:
        finetuned: a `FinetunedModel` or a wrapper of it.
        crops: B crops.
        batch: the same, as a batch.
        quality: float (B,), their targets.
        localization_weight: weight of distorted-region localization in the crops that have a view
            with a distorted region.
    """
    distorted = {i: crop.distorted for i, crop in enumerate(crops) if crop.distorted is not None}
    prediction, drop = finetuned([crop.pixels for crop in crops], batch, distorted)
    loss = quality_loss(prediction.head_quality, quality)
    if not distorted:
        return loss
    index = list(distorted)
    region = torch.tensor([crops[i].region for i in index], device=drop.device)
    return loss + localization_weight * localization_loss(drop, region, batch.present[index])


def check_batch_size(options: TrainOptions, images: int) -> None:
    """Refuse batches that cannot be divided into micro-batches of equal size.

    Raises:
        InputError: the batch size is no multiple of the micro-batches of all processes, or there
            are too few images for one batch.
    """
    parts = options.finetune.micro_batches * Processes.current().count
    size = options.finetune.batch_size
    if size % parts or size < 2 * parts:
        raise InputError(
            "train.finetune.batch_size: must be a multiple, at least twofold, of"
            f" train.finetune.micro_batches times processes ({parts}), found {size}; change one of"
            " them"
        )
    if images < 2 * parts:
        raise InputError(
            f"train.finetune.micro_batches: times processes ({parts}) takes {2 * parts} images to"
            f" train on or more, found {images}; lower it"
        )


@dataclass(frozen=True)
class BatchSchedule:
    """The crops of each step: a batch sampler that can start at any step.

    Attributes:
        images: number of training images.
        size: images per step, over all processes.
        epochs: passes over the images.
        seed: seed of shuffling.
        processes: each takes its part of each batch.
        first: step to start at, from 0.
    """

    images: int
    size: int
    epochs: int
    seed: int
    processes: Processes
    first: int = 0

    @classmethod
    def of(
        cls, options: TrainOptions, *, images: int, seed: int, processes: Processes
    ) -> "BatchSchedule":
        """Return the schedule of a whole training; small data sets have smaller batches."""
        parts = options.finetune.micro_batches * processes.count
        size = min(options.finetune.batch_size, images // parts * parts)
        return cls(images, size, options.finetune.epochs, seed, processes)

    @property
    def steps(self) -> int:
        """Number of steps in an epoch."""
        return self.images // self.size

    def after(self, step: int) -> "BatchSchedule":
        """Return the schedule without the first steps."""
        return replace(self, first=step)

    def epoch_losses(self, losses: Sequence[float]) -> list[float]:
        """Return the mean loss of each epoch from the loss of each step."""
        starts = range(0, len(losses), self.steps)
        return [sum(losses[i : i + self.steps]) / self.steps for i in starts]

    def __iter__(self) -> Iterator[list[tuple[int, int]]]:
        for epoch in range(self.first // self.steps, self.epochs):
            random = torch.Generator().manual_seed(seed_of(self.seed, epoch))
            order = torch.randperm(self.images, generator=random).tolist()
            for step in range(self.steps):
                if epoch * self.steps + step >= self.first:
                    batch = order[step * self.size : (step + 1) * self.size]
                    own = batch[self.processes.rank :: self.processes.count]
                    yield [(epoch, index) for index in own]

    def __len__(self) -> int:
        return self.epochs * self.steps - self.first
