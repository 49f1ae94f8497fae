"""Fine-tuning within the train stage: checks, the training, calibration on whole images."""

import json
import logging
import os
from pathlib import Path

import numpy as np
import torch

from rsfiqa import splits
from rsfiqa.backbones.backbone import Backbone
from rsfiqa.backbones.loading import load_backbone
from rsfiqa.errors import InputError
from rsfiqa.model import RSA
from rsfiqa.model.inference import predict_batch
from rsfiqa.products.versions import VERSIONS
from rsfiqa.runtime.devices import device_of
from rsfiqa.samples import Samples
from rsfiqa.train.finetune import Processes, check_batch_size, finetune
from rsfiqa.train.finetuned_model import FinetunedModel
from rsfiqa.train.optim import check_finite
from rsfiqa.train.options import TrainOptions
from rsfiqa.train.progress import progress_bar
from rsfiqa.train.stopping import BestEpoch
from rsfiqa.train.validation import validation_srcc

CALIBRATION_IMAGES = 200  # training images on which a fine-tuned model is calibrated, at most

log = logging.getLogger("rsfiqa")


def load_source(data: Samples, options: TrainOptions, weights: str) -> Backbone:
    """Load the backbone to be fine-tuned, and check the options of fine-tuning.

    Args:
        data: the training images.
        options: of the training.
        weights: of the backbone, as in the extract stage.

    Raises:
        InputError: the weights are not those that made the features, there is no such device,
            batches cannot be divided evenly, or there are too few images.
    """
    check_batch_size(options, len(data))
    device_of(options.finetune.device, "train.finetune.device")
    lineage = data.lineage["backbone"]
    backbone = load_backbone(lineage["backbone"], weights)
    if backbone.sha256 != lineage["sha256"]:
        raise InputError(
            f"extract.weights: must be those that made the features of {data.dataset}"
            f" ({lineage['sha256'][:12]}), found {backbone.sha256[:12]}; give the same"
        )
    return backbone


def training_device(options: TrainOptions) -> torch.device:
    """Return the device of a fine-tuning; under torchrun each process has its own GPU."""
    device = device_of(options.finetune.device, "train.finetune.device")
    if device.type == "cuda" and "LOCAL_RANK" in os.environ:
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
    return device


def train_backbone(
    model: RSA,
    backbone: Backbone,
    data: Samples,
    options: TrainOptions,
    *,
    folder: Path,
    state: Path,
    seed: int,
    validation: Samples | None = None,
) -> tuple[FinetunedModel, list[float]]:
    """Fine-tune a backbone together with a model, and calibrate the model.

    Args:
        model: trained on frozen features; on the device where it is to be trained.
        backbone: the backbone that made the features.
        data: the training images.
        options: of the training.
        folder: folder of the data set.
        state: file for the state between steps.
        seed: seed of crops, shuffling, dropout and calibration images.
        validation: images that choose the best epoch, if any.

    Returns:
        The fine-tuned model on the CPU, and the mean loss of each epoch.
    """
    long_side = data.lineage["backbone"]["long_side"]
    device = model.mean_quality.device
    distributed = Processes.current().count > 1
    if distributed:
        torch.distributed.init_process_group("nccl" if device.type == "cuda" else "gloo")
    finetuned = FinetunedModel(
        backbone,
        model,
        data.batch.grid_features.shape[-1],
        bf16=options.finetune.precision == "bf16",
    ).to(device)
    if options.finetune.compile:
        finetuned.network.compile()
    best = None
    if validation is not None:

        def evaluate(candidate: FinetunedModel) -> float:
            computed = validation.with_grid_features(candidate.backbone, long_side)
            return validation_srcc(candidate.model, computed)

        best = BestEpoch(evaluate, options.patience)
    with progress_bar("finetune", options.finetune.epochs) as update:

        def progress(epoch: int, loss: float) -> None:
            update(loss)
            log.info("finetune: epoch %d, loss %.4f", epoch, loss)

        losses = finetune(
            finetuned,
            data,
            folder,
            options,
            seed=seed,
            state=state,
            fingerprint=fingerprint(data, options, seed, validation),
            long_side=long_side,
            best=best,
            progress=progress,
        )
    if distributed:
        torch.distributed.destroy_process_group()
    chosen = data.take(calibration_images(len(data), seed))
    calibrate(finetuned, chosen.with_grid_features(finetuned.backbone, long_side), losses)
    return finetuned.to("cpu"), losses


def fingerprint(
    data: Samples, options: TrainOptions, seed: int, validation: Samples | None = None
) -> str:
    """Return everything that a fine-tuning depends on, as a string to compare."""
    content = {
        "images": [
            part.image_digests(np.ones(len(part), bool)) | {"content": part.content_sha256}
            for part in (data, validation)
            if part is not None
        ],
        "lineage": data.lineage,
        "extract": data.provenance["extract"].options,
        "options": options.recorded(),
        "seed": seed,
        "processes": Processes.current().count,
        "version": VERSIONS["train"],
    }
    return json.dumps(content, sort_keys=True)


def calibration_images(number: int, seed: int) -> np.ndarray:
    """Choose the training images on which a model is calibrated: bool (number,).

    At random, not every k-th: many data sets list the severities of a distortion in turn.
    """
    random = np.random.default_rng(splits.seed_of(seed, "calibration"))
    chosen = np.zeros(number, bool)
    chosen[random.permutation(number)[:CALIBRATION_IMAGES]] = True
    return chosen


def calibrate(finetuned: FinetunedModel, data: Samples, losses: list[float]) -> None:
    """Fit the calibration of a fine-tuned model anew, as `fit` does on frozen features.

    Args:
        finetuned: in evaluation mode.
        data: calibration images, whole, with grid features of the fine-tuned backbone.
        losses: mean loss of each epoch of the training.

    Raises:
        InputError: the scores are not finite.
    """
    model = finetuned.model
    model.calibration.copy_(torch.tensor([1.0, 0.0]))
    scores = predict_batch(model, data.batch)
    check_finite(float(scores.sum()), epoch=len(losses), option="train.finetune.lr")
    model.calibrate(scores, torch.from_numpy(data.quality).to(scores.device))
