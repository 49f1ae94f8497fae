"""Test trained models and baselines against opinion scores."""

import hashlib
import logging
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from rsfiqa import checkpoints, samples
from rsfiqa.backbones.backbone import Backbone
from rsfiqa.benchmark.baselines import BASELINES
from rsfiqa.benchmark.overlap import check_overlap
from rsfiqa.benchmark.perception import check_perception, options_of
from rsfiqa.benchmark.record import recorded_options, splits_of
from rsfiqa.checkpoints import Card
from rsfiqa.errors import InputError
from rsfiqa.io.json_files import write_json
from rsfiqa.io.provenance import Provenance, refuse_other_options
from rsfiqa.metrics import compute_metrics
from rsfiqa.model import RSA
from rsfiqa.model.inference import predict_batch
from rsfiqa.products import results
from rsfiqa.products.finished import provenance_of_table
from rsfiqa.products.lineage import check_lineage
from rsfiqa.products.paths import checkpoint_folder, results_path, stats_path
from rsfiqa.products.results import ResultRow
from rsfiqa.products.versions import VERSIONS
from rsfiqa.runtime.devices import device_of
from rsfiqa.samples import Samples
from rsfiqa.splits import OFFICIAL, RANDOM

log = logging.getLogger("rsfiqa")

CHUNK = 128  # images
Predict = Callable[[Samples], np.ndarray]


def run(
    root: Path,
    *,
    train: str,
    test: str,
    methods: Sequence[str],
    number: int,
    test_fraction: float,
    seed: int,
    official: bool = False,
    replace: bool = True,
) -> list[Path]:
    """Test methods that are trained on one data set on the same or on another data set.

    Args:
        root: folder of all results.
        train: data set to train on.
        test: data set to test on: the test parts of its splits if it is `train`, else all of it.
        methods: variants of the model and baselines.
        number: number of splits; of training seeds on an official split and across data sets.
        test_fraction: fraction of images in the test part of a random split, in (0, 1).
        seed: of the random splits.
        official: use the official split of the data set instead of random ones.
        replace: replace tables of results that were made with other options; else refuse to.

    Returns:
        The table of results of each method.

    Raises:
        InputError: a product or checkpoint that is missing or was made in another way; images
            that are in both data sets; a table that was made with other options and must not be
            replaced.
    """
    kind = "all" if train != test else OFFICIAL if official else RANDOM
    recorded = {
        method: recorded_options(
            method, kind=kind, number=number, test_fraction=test_fraction, seed=seed
        )
        for method in methods
    }
    if not replace:
        for method in methods:
            _refuse_other_options(results_path(root, train, test, method), recorded[method])
    torch.set_num_threads(1)
    started = time.time()  # loading the data counts as work of the first method
    test_data = samples.load(root / test)
    if kind != OFFICIAL:
        layout = test_data.provenance["manifest"].options.get("layout", "")
        check_perception(test, layout, options_of(test_data.lineage), across=train != test)
    train_data = test_data if train == test else samples.load(root / train)
    if train != test:
        check_overlap(train, train_data.rows, test, test_data.rows)
    task = _Task(root, train_data, test_data, kind, number, test_fraction, seed)
    paths = []
    for method in methods:
        paths.append(_run_method(task, method, recorded[method], started))
        started = time.time()
    return paths


def _refuse_other_options(path: Path, given: Mapping[str, Any]) -> None:
    """Raise if the table at hand was made with other options than those given."""
    recorded = provenance_of_table(path) if path.is_file() else None
    if recorded is not None and recorded.version == VERSIONS["benchmark"]:
        refuse_other_options(path, recorded.options, given, "benchmark")


@dataclass(frozen=True)
class _Task:
    """A pair of data sets and its splits; the arguments of `run`."""

    root: Path
    train: Samples
    test: Samples
    kind: str
    number: int
    test_fraction: float
    seed: int

    @property
    def within(self) -> bool:
        """Whether training and test images come from the same data set."""
        return self.train is self.test

    def predictor(self, method: str, split: str) -> tuple[Predict, np.ndarray]:
        """Predictions of a method trained on a split, and the test part of the split."""
        fraction, seed = self.test_fraction, self.seed
        if method in BASELINES:
            return _baseline_predictor(method, self.train, split, test_fraction=fraction, seed=seed)
        folder = checkpoint_folder(self.root, self.train.dataset, method, split)
        return predictor(folder, self.train, split, test_fraction=fraction, seed=seed)


def _run_method(task: _Task, method: str, recorded: dict[str, Any], started: float) -> Path:
    """Test one method on all splits and write its results; returns the path of the table."""
    rows, predictions, tested, weights = [], [], {}, {}
    for split in splits_of(method, task.kind, task.number):
        predict, test_part = task.predictor(method, split)
        data = task.test.take(test_part) if task.within else task.test
        predicted = predict(data)
        row = _result_row(task, method, split, predicted, data)
        log.info("%s %s: SRCC %.3f, PLCC %.3f, n %d", method, split, row.srcc, row.plcc, row.n)
        rows.append(row)
        predictions.append(_predictions(data, split, predicted))
        tested[split] = _digest(data)
        if method not in BASELINES:
            folder = checkpoint_folder(task.root, task.train.dataset, method, split)
            weights[split] = checkpoints.read_card(folder)[1]
    path = results_path(task.root, task.train.dataset, task.test.dataset, method)
    provenance = Provenance(
        "results",
        results.VERSION,
        "benchmark",
        VERSIONS["benchmark"],
        options=recorded,
        inputs=tested,
    )
    stats_path(path).unlink(missing_ok=True)  # its presence marks a finished table
    results.write(path, rows, pa.concat_tables(predictions), provenance)
    stats = {
        "provenance": provenance.to_json(),
        "started": started,
        "ended": time.time(),
        "images": len(task.test),
        "weights_sha256": weights,
    }
    write_json(stats_path(path), stats)
    return path


def _digest(data: Samples) -> str:
    """SHA-256 of the tested images and their scores."""
    digests = data.image_digests(np.ones(len(data), bool))
    return hashlib.sha256("".join(digests[name] for name in sorted(digests)).encode()).hexdigest()


def _result_row(
    task: _Task, method: str, split: str, predicted: np.ndarray, data: Samples
) -> ResultRow:
    """Metrics on one split, RMSE in MOS points of the test set."""
    metrics = compute_metrics(predicted, data.quality)
    points = abs(data.scale.span) if data.scale else 1.0
    metrics = replace(metrics, rmse=metrics.rmse * points)
    return ResultRow(task.train.dataset, task.test.dataset, split, method, **asdict(metrics))


def _predictions(data: Samples, split: str, predicted: np.ndarray) -> pa.Table:
    columns = {
        "image_id": data.image_ids,
        "split": [split] * len(data),
        "mos": data.mos,
        "quality": data.quality.astype(np.float64),
        "predicted": predicted,
    }
    return pa.table(columns, schema=results.PREDICTIONS)


def predict_quality(
    model: RSA,
    data: Samples,
    backbone: Backbone | None = None,
    long_side: int = 0,
    *,
    chunk: int = CHUNK,
) -> np.ndarray:
    """Predicted quality float64 (N,), on the scale of the training set.

    Args:
        model: in evaluation mode.
        data: N images.
        backbone: a fine-tuned backbone, which computes the features of the images anew.
        long_side: size limit for that backbone, pixels; larger images are reduced to it.
        chunk: largest number of images in memory as inputs of the model.
    """
    if backbone is None:
        return predict_batch(model, data.batch, chunk).double().numpy()
    data = replace(data, mirrored=None, distorted=None)  # only training needs these large arrays
    chunks = np.arange(len(data)) // chunk
    scores = []
    for number in np.unique(chunks):
        part = data.take(chunks == number).with_grid_features(backbone, long_side)
        scores.append(predict_batch(model, part.batch, chunk))
    return torch.cat(scores).double().numpy()


def _baseline_predictor(
    name: str, train: Samples, split: str, *, test_fraction: float, seed: int
) -> tuple[Predict, np.ndarray]:
    """As `predictor`, for a baseline, which is fitted when it predicts."""
    fit_predict = BASELINES[name].load()
    test_part = train.test_mask(split, test_fraction=test_fraction, seed=seed)
    lineage = {"backbone": train.lineage["backbone"]}

    def predict(data: Samples) -> np.ndarray:
        check_lineage(f"{name} on {train.dataset}", lineage, data.lineage, data.dataset)
        return fit_predict(train.take(~test_part), data)

    return predict, test_part


def predictor(
    folder: Path, train: Samples, split: str, *, test_fraction: float, seed: int
) -> tuple[Predict, np.ndarray]:
    """A function that predicts with a checkpoint, and the test part of its split, bool (N,).

    Args:
        folder: of the checkpoint.
        train: N images; the checkpoint was trained on the training part of their split.
        split: name of the split.
        test_fraction: fraction of images in the test part of a random split, in (0, 1).
        seed: of the random splits.

    Raises:
        InputError: a checkpoint of another split or of other scores. The returned function raises
            it for inputs that were made in another way than those of the training.
    """
    model, card = checkpoints.read(folder)
    backbone = checkpoints.read_backbone(folder, card)
    if backbone is not None:
        backbone = backbone.to(device_of("auto", "benchmark"))
    test_part = train.test_mask(split, test_fraction=test_fraction, seed=seed)
    for key, value in {"name": split, **train.image_digests(~test_part)}.items():
        if (recorded := card.split.get(key)) != value:
            raise InputError(
                f"{folder}: must be trained on {split} of {train.dataset} and its scores, found"
                f" {key} {str(recorded)[:12]}, expected {value[:12]}; train it again"
            )

    def predict(data: Samples) -> np.ndarray:
        check_lineage(str(folder), card.lineage, data.lineage, data.dataset)
        _check_added(folder, card, data)
        return predict_quality(model, data, backbone, card.backbone["long_side"])

    return predict, test_part


def _check_added(folder: Path, card: Card, data: Samples) -> None:
    """Raise if the checkpoint was trained on some of these images, as an added data set."""
    if data.dataset in card.datasets[1:] and data.official_training_part.any():
        raise InputError(
            f"{folder}: must be tested on images that it was not trained on, found"
            f" {data.official_training_part.sum()} of {data.dataset} among its training images;"
            " test on the official test part"
        )
