"""The train stage: trains one model on one split of a data set and writes a checkpoint.

Images of further data sets can be added to the training part.
"""

import logging
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import torch

from rsfiqa import checkpoints, samples, splits
from rsfiqa.architecture import CAPTION_SCALE
from rsfiqa.backbones import PACKAGED
from rsfiqa.errors import InputError
from rsfiqa.io.json_files import write_json
from rsfiqa.io.provenance import refuse_other_options
from rsfiqa.model import RSA
from rsfiqa.products.card import SplitRecord, training_record
from rsfiqa.products.paths import card_path, checkpoint_stats_path, dataset_name
from rsfiqa.products.versions import VERSIONS
from rsfiqa.runtime.memory import tune_malloc
from rsfiqa.samples import Samples
from rsfiqa.train.added import check_names, check_overlap, load_added, record
from rsfiqa.train.fit import fit
from rsfiqa.train.options import TrainOptions
from rsfiqa.train.progress import progress_bar
from rsfiqa.train.sets import TrainingSet
from rsfiqa.train.stopping import BestEpoch
from rsfiqa.train.validation import validation_srcc

if TYPE_CHECKING:  # imports timm and torchvision, which frozen features do not need
    from rsfiqa.train.finetuned_model import FinetunedModel

log = logging.getLogger("rsfiqa")


def run(
    folder: Path,
    output: Path,
    options: TrainOptions,
    *,
    variant: str,
    split: str,
    test_fraction: float,
    seed: int,
    weights: str = PACKAGED,
    also: Sequence[Path] = (),
    data: Samples | None = None,
    added: Sequence[Samples] | None = None,
    replace: bool = True,
) -> None:
    """Train a variant on the training part of a split and write the checkpoint.

    Args:
        folder: folder of the data set, which gives the split and the scale of the scores.
        output: folder of the checkpoint.
        options: of the training.
        variant: a variant of the model; all variants train on the same images of a split.
        split: name of the split.
        test_fraction: fraction of the images in the test part of a random split.
        seed: seed of splits, initial weights and batches.
        weights: weights of the backbone, for fine-tuning, as in the extract stage.
        also: folders of data sets whose images outside the official test part are trained on too,
            each with a scale of its own; on frozen features only.
        data: samples of the folder; loaded if None.
        added: those of `also`, as from `load_added`; loaded if None.
        replace: replace a checkpoint that was trained with other options; else refuse to.

    Raises:
        InputError: the data set or the options do not allow the training, it diverges, or the
            checkpoint was trained with other options and must not be replaced.
    """
    if not replace:
        given = training_record(
            options.recorded(),
            split=split,
            seed=seed,
            test_fraction=test_fraction,
            also=[dataset_name(each) for each in also],
        )
        given = {"folder": dataset_name(folder), "variant": variant, "split": split} | given
        _refuse_other_options(output, given)
    check_names(folder, also)
    if also and options.finetune.enabled:
        raise InputError(
            f"train.also: data sets are added on frozen features only, found {len(also)} with"
            " train.finetune.enabled; leave one of them out"
        )
    torch.set_num_threads(options.finetune.threads if options.finetune.enabled else 1)
    if options.finetune.enabled:
        tune_malloc(large=True)
    started = time.time()
    data = samples.load(folder) if data is None else data
    check_scores(data, options.min_images)
    parts = divide(data, options, split=split, test_fraction=test_fraction, seed=seed)
    added = load_added(also, data) if added is None else added
    check_overlap(added, data, parts.names != "train")
    training_seed = splits.seed_of(seed, data.dataset, split, variant)
    model = make_model(parts.train, options, variant, training_seed)
    state = output / "state.pt"
    finetuned: FinetunedModel | None = None
    if options.finetune.enabled:
        from rsfiqa.train import backbone_training
        from rsfiqa.train.finetune import Processes

        backbone = backbone_training.load_source(parts.train, options, weights)
        # both trainings: on a CPU the one on frozen features takes minutes
        model.to(backbone_training.training_device(options))
        losses = train(model, parts.train, options, seed=training_seed, validation=parts.validation)
        finetuned, finetune_losses = backbone_training.train_backbone(
            model,
            backbone,
            parts.train,
            options,
            folder=folder,
            state=state,
            seed=training_seed,
            validation=parts.validation,
        )
        losses += finetune_losses
        if Processes.current().rank != 0:
            return  # the first process writes the checkpoint
    else:
        losses = train(
            model,
            parts.train,
            options,
            seed=training_seed,
            validation=parts.validation,
            added=added,
        )
    digests = data.image_digests(parts.names != "test")
    card = checkpoints.Card(
        **make_card(parts.train, options, model_arguments(parts.train, options, variant), added),
        split=SplitRecord(
            name=split,
            seed=seed,
            test_fraction=test_fraction,
            train=parts.count("train"),
            validation=parts.count("validation"),
            test=parts.count("test"),
            sha256=digests["sha256"],
            scores_sha256=digests["scores_sha256"],
        ),
        seed=training_seed,
        losses=[round(loss, 6) for loss in losses],
        finetuned=options.finetune.enabled,
    )
    table = pa.table(
        {"image_id": data.image_ids, "part": parts.names.tolist()}, schema=checkpoints.SPLIT
    )
    network = None if finetuned is None else finetuned.network
    checkpoints.write(output, model, card, table, network)
    state.unlink(missing_ok=True)
    ended = time.time()
    images = len(parts.train) + sum(map(len, added))
    stats = {"started": started, "ended": ended, "images": images}
    write_json(checkpoint_stats_path(output), stats)
    log.info("train %s %s: %d images, %.0f s", variant, split, images, ended - started)


def _refuse_other_options(output: Path, given: Mapping[str, Any]) -> None:
    """Raise if the checkpoint at hand was trained with other options than those given."""
    try:
        card, _ = checkpoints.read_card(output)
    except InputError:  # none, or a damaged one: there is nothing to lose
        return
    if card.options.get("version") == VERSIONS["train"]:
        trained = {
            "folder": card.datasets[0],
            "variant": card.model.get("variant", "full"),
            "split": card.split["name"],
        }
        refuse_other_options(card_path(output), trained | card.training, given, "train")


def check_scores(data: Samples, min_images: int) -> None:
    """Refuse a data set that cannot be trained on.

    Raises:
        InputError: there are too few images, or all have the same MOS.
    """
    if len(data) < min_images:
        raise InputError(
            f"{data.dataset}: training needs at least {min_images} images (train.min_images), found"
            f" {len(data)}; add images"
        )
    if np.ptp(data.mos) == 0:
        raise InputError(
            f"{data.dataset}: 'mos' must differ between images, found {data.mos[0]:g} for all"
            f" {len(data)}; give the scores of observers"
        )


@dataclass(frozen=True)
class Parts:
    """The parts of a data set under a split.

    Attributes:
        names: object (N,), train, validation or test for each image.
        train: the training images.
        validation: the images that choose the best epoch, if any.
    """

    names: np.ndarray
    train: Samples
    validation: Samples | None

    def count(self, name: str) -> int:
        """Number of images in the part of this name."""
        return int((self.names == name).sum())


def divide(
    data: Samples, options: TrainOptions, *, split: str, test_fraction: float, seed: int
) -> Parts:
    """Divide the images of a data set into the parts of a split."""
    is_test = data.test_mask(split, test_fraction=test_fraction, seed=seed)
    names = np.where(is_test, "test", "train").astype(object)
    if options.validation_fraction:
        is_validation = data.validation_mask(
            split, fraction=options.validation_fraction, test_fraction=test_fraction, seed=seed
        )
        names[is_validation] = "validation"
    validation = data.take(names == "validation") if options.validation_fraction else None
    return Parts(names, data.take(names == "train"), validation)


def model_arguments(data: Samples, options: TrainOptions, variant: str) -> dict[str, Any]:
    """Return the arguments of `RSA` for the images of a data set."""
    return {
        "stage_channels": data.channels,
        "text_dim": data.batch.text.shape[-1],
        "width": options.width,
        "ensemble_heads": options.ensemble_heads,
        "hidden": options.hidden,
        "variant": variant,
        "anchored": True,
        "caption_scale": CAPTION_SCALE,
    }


def make_model(data: Samples, options: TrainOptions, variant: str, seed: int) -> RSA:
    """Return an untrained model, whose initial weights depend on the seed alone."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return RSA(**model_arguments(data, options, variant))


def train(
    model: RSA,
    data: Samples,
    options: TrainOptions,
    *,
    seed: int,
    validation: Samples | None = None,
    added: Sequence[Samples] = (),
) -> list[float]:
    """Train a model on frozen features.

    Args:
        model: on the device where it is to be trained.
        data: the training images.
        options: of the training.
        seed: seed of shuffling and dropout.
        validation: images that choose the best epoch, if any.
        added: training images of further data sets.

    Returns:
        Mean loss of each epoch.
    """
    best: BestEpoch[RSA] | None = None
    if validation is not None:
        best = BestEpoch(lambda candidate: validation_srcc(candidate, validation), options.patience)
    with progress_bar("train", options.epochs) as update:
        return fit(
            model,
            data.batch,
            torch.from_numpy(data.quality),
            epochs=options.epochs,
            batch_size=options.batch_size,
            lr=options.lr,
            weight_decay=options.weight_decay,
            ema=options.ema,
            seed=seed,
            mirrored=data.mirrored,
            distorted=data.distorted,
            localization_weight=options.localization_weight,
            added=[TrainingSet.of(each) for each in added],
            best=best,
            progress=lambda _, loss: update(loss),
        )


def make_card(
    data: Samples, options: TrainOptions, model: dict[str, Any], added: Sequence[Samples] = ()
) -> dict[str, Any]:
    """Return the fields of a card that describe the model, the data and the earlier stages."""
    return {
        "model": model,
        **data.lineage,
        "datasets": [each.dataset for each in (data, *added)],
        "added": [record(each) for each in added],
        "mos_range": (data.scale.low, data.scale.high) if data.scale else None,
        "lower_better": data.scale.lower_better if data.scale else False,
        "options": {"version": VERSIONS["train"], **options.recorded()},
    }
