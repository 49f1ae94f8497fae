"""One model on one split of one data set."""

import json
import logging
import os
import time
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from tqdm import tqdm

from rsfiqa import metrics, samples, splits
from rsfiqa.backbones import loading as backbones
from rsfiqa.backbones import weights as backbone_weights
from rsfiqa.backbones.backbone import Backbone
from rsfiqa.errors import InputError
from rsfiqa.io.json_files import write_json
from rsfiqa.model import RSA
from rsfiqa.model.inference import predict_batch
from rsfiqa.products import checkpoints
from rsfiqa.products.card import SplitRecord
from rsfiqa.products.paths import checkpoint_stats_path
from rsfiqa.products.versions import VERSIONS
from rsfiqa.runtime.devices import device_of
from rsfiqa.runtime.memory import tune_malloc
from rsfiqa.samples import Samples
from rsfiqa.train import finetune
from rsfiqa.train.finetune import Tuned, fit_tuned
from rsfiqa.train.fit import expect_number, fit
from rsfiqa.train.options import TrainOptions
from rsfiqa.train.stopping import BestEpoch

CALIBRATED = 200  # training images that fix the scale of a fine-tuned model, at most


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
    weights: str = backbone_weights.PACKAGED,
) -> None:
    """Train a variant on the training part of a split of a data set's folder.

    Writes the checkpoint to `output`. The same split has the same images for every variant.
    `weights` are those of the backbone, for fine-tuning.
    """
    # trainings are the unit of parallel work
    torch.set_num_threads(options.finetune.threads if options.finetune.enabled else 1)
    if options.finetune.enabled:
        tune_malloc(large=True)
    started = time.time()
    data = samples.load(folder)
    _check_scores(data, options.min_images)
    tested = data.test_mask(split, test_fraction=test_fraction, seed=seed)
    parts = np.where(tested, "test", "train").astype(object)
    if options.validation_fraction:
        validated = data.validation_mask(
            split, fraction=options.validation_fraction, test_fraction=test_fraction, seed=seed
        )
        parts[validated] = "validation"
    trained = data.take(parts == "train")
    validation = data.take(parts == "validation") if options.validation_fraction else None
    training_seed = splits.seed_of(seed, data.dataset, split, variant)
    model = make_model(trained, options, variant, training_seed)
    source = None
    if options.finetune.enabled:
        source = _check_tuning(trained, options, weights)
        model.to(_tuning_device(options))  # both trainings, the first takes minutes without
    losses = train(model, trained, options, training_seed, validation)
    tuned, state = None, output / "state.pt"
    if source is not None:
        tuned, more = tune(
            model, source, trained, folder, state, options, training_seed, validation
        )
        losses += more
        if finetune.processes()[0]:
            return  # the first process writes what all have made
    table = pa.table({"image_id": data.image_ids, "part": parts}, schema=checkpoints.SPLIT)
    digests = data.image_digests(~tested)
    card = make_card(trained, options, model=model_arguments(trained, options, variant))
    checkpoints.write(
        output,
        model,
        checkpoints.Card(
            **card,
            split=SplitRecord(
                name=split,
                seed=seed,
                test_fraction=test_fraction,
                train=int((parts == "train").sum()),
                validation=int((parts == "validation").sum()),
                test=int((parts == "test").sum()),
                sha256=digests["sha256"],
                scores_sha256=digests["scores_sha256"],
            ),
            seed=training_seed,
            losses=[round(loss, 6) for loss in losses],
            finetuned=options.finetune.enabled,
        ),
        table,
        None if tuned is None else tuned.stages,
    )
    state.unlink(missing_ok=True)
    ended = time.time()
    stats = {"started": started, "ended": ended, "images": len(trained)}
    write_json(checkpoint_stats_path(output), stats)
    log.info("train %s %s: %d images, %.0f s", variant, split, len(trained), ended - started)


def _check_scores(data: Samples, least: int) -> None:
    """Refuse what nothing can be learnt from.

    Raises:
        InputError: too few images, or a MOS that is the same for all.
    """
    if len(data) < least:
        raise InputError(
            f"{data.dataset}: training needs at least {least} images (train.min_images), found"
            f" {len(data)}; add images"
        )
    if np.ptp(data.mos) == 0:
        raise InputError(
            f"{data.dataset}: 'mos' must differ between images, found {data.mos[0]:g} for all"
            f" {len(data)}; give the scores of observers"
        )


def model_arguments(data: Samples, options: TrainOptions, variant: str) -> dict[str, Any]:
    """The arguments of `RSA` for these images."""
    return {
        "stage_channels": data.channels,
        "text_dim": data.batch.text.shape[-1],
        "width": options.width,
        "ensemble_heads": options.ensemble_heads,
        "hidden": options.hidden,
        "variant": variant,
    }


def make_model(data: Samples, options: TrainOptions, variant: str, seed: int) -> RSA:
    """An untrained model; its weights depend on the seed alone."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        return RSA(**model_arguments(data, options, variant))


def train(
    model: RSA,
    data: Samples,
    options: TrainOptions,
    seed: int,
    validation: Samples | None = None,
) -> list[float]:
    """Train on all images of `data`; the mean loss of each epoch.

    With images for `validation`, the weights are those of the epoch that ranks them best.
    """
    best = None
    if validation is not None:
        best = BestEpoch(lambda found: _srcc(found, validation), options.patience)
    with tqdm(total=options.epochs, desc="train", unit="epoch", disable=None) as bar:

        def progress(epoch: int, loss: float) -> None:
            bar.update()
            bar.set_postfix(loss=f"{loss:.4f}")

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
            localization=options.localization_weight,
            best=best,
            progress=progress,
        )


def _srcc(model: RSA, data: Samples) -> float:
    """How well a model ranks some images; -1 if it gives all the same score, or one no number."""
    found = metrics.srcc(predict_batch(model, data.batch).cpu().numpy(), data.quality)
    return -1.0 if np.isnan(found) else found


def _check_tuning(data: Samples, options: TrainOptions, weights: str) -> Backbone:
    """The backbone to be fine-tuned, with the weights that made the features.

    Raises:
        InputError: other weights, no such device, batches that cannot be split evenly, or images
            too few for it.
    """
    finetune.check(options, len(data))
    device_of(options.finetune.device, "train.finetune.device")
    lineage = data.lineage["backbone"]
    source = backbones.load(lineage["backbone"], weights)
    if source.sha256 != lineage["sha256"]:
        raise InputError(
            f"extract.weights: must be those that made the features of {data.dataset}"
            f" ({lineage['sha256'][:12]}), found {source.sha256[:12]}; give the same"
        )
    return source


def _tuning_device(options: TrainOptions) -> torch.device:
    """Where a model is fine-tuned: under torchrun each process has a GPU of its own."""
    device = device_of(options.finetune.device, "train.finetune.device")
    if device.type == "cuda" and "LOCAL_RANK" in os.environ:
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
    return device


def tune(
    model: RSA,
    source: Backbone,
    data: Samples,
    folder: Path,
    state: Path,
    options: TrainOptions,
    seed: int,
    validation: Samples | None = None,
) -> tuple[Tuned, list[float]]:
    """Go on with the backbone's weights free, calibrate; the mean loss of each epoch.

    The model is on the device where it is to be trained.
    """
    lineage = data.lineage["backbone"]
    device = model.mean_quality.device
    shared = finetune.processes()[1] > 1
    if shared:
        torch.distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    half = options.finetune.precision == "bf16"
    tuned = Tuned(source, model, data.batch.grid_features.shape[-1], half).to(device)
    if options.finetune.compile:
        tuned.stages.compile()
    best = None
    if validation is not None:

        def judge(found: Tuned) -> float:
            seen = validation.with_grid_features(found.extractor, lineage["long_side"])
            return _srcc(found.model, seen)

        best = BestEpoch(judge, options.patience)
    with tqdm(total=options.finetune.epochs, desc="finetune", unit="epoch", disable=None) as bar:

        def progress(epoch: int, loss: float) -> None:
            bar.update()
            bar.set_postfix(loss=f"{loss:.4f}")
            log.info("finetune: epoch %d, loss %.4f", epoch, loss)

        losses = fit_tuned(
            tuned,
            data,
            folder,
            options,
            seed=seed,
            state=state,
            lineage=_fingerprint(data, options, seed, validation),
            long_side=lineage["long_side"],
            best=best,
            progress=progress,
        )
    if shared:
        torch.distributed.destroy_process_group()
    seen = data.take(calibrating(len(data), seed))
    _calibrate(tuned, seen, lineage["long_side"], len(losses))
    return tuned.to("cpu"), losses


def _fingerprint(
    data: Samples, options: TrainOptions, seed: int, validation: Samples | None = None
) -> str:
    """Of all that a training depends on."""
    parts = {
        "images": [
            part.image_digests(np.ones(len(part), bool)) | {"content": part.content_sha256}
            for part in (data, validation)
            if part is not None
        ],
        "origin": data.lineage,
        "extract": data.provenance["extract"].options,
        "options": options.recorded(),
        "seed": seed,
        "processes": finetune.processes()[1],
        "version": VERSIONS["train"],
    }
    return json.dumps(parts, sort_keys=True)


def calibrating(number: int, seed: int) -> np.ndarray:
    """Which of so many training images fix the scale: bool (number,).

    Drawn, not every so many: sets list the levels of a distortion in turn.
    """
    random = np.random.default_rng(splits.seed_of(seed, "calibration"))
    chosen = np.zeros(number, bool)
    chosen[random.permutation(number)[:CALIBRATED]] = True
    return chosen


def _calibrate(tuned: Tuned, data: Samples, long_side: int, epochs: int) -> None:
    """As at the end of the frozen training, after so many epochs, on images seen whole."""
    seen = data.with_grid_features(tuned.extractor, long_side)
    tuned.model.calibration.copy_(torch.tensor([1.0, 0.0]))
    scores = predict_batch(tuned.model, seen.batch)
    expect_number(float(scores.sum()), epochs, "train.finetune.lr")
    tuned.model.calibrate(scores, torch.from_numpy(seen.quality).to(scores.device))


def make_card(data: Samples, options: TrainOptions, model: dict[str, Any]) -> dict[str, Any]:
    """What the card says of the data and of the stages before this one."""
    return {
        "model": model,
        **data.lineage,
        "datasets": [data.dataset],
        "mos_range": (data.scale.low, data.scale.high) if data.scale else None,
        "lower_better": data.scale.lower_better if data.scale else False,
        "options": {"version": VERSIONS["train"], **options.recorded()},
    }
