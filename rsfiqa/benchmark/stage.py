"""Trained models and peers against opinion scores."""

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch

from rsfiqa import samples, splits
from rsfiqa.backbones.backbone import Backbone
from rsfiqa.benchmark.baselines import BASELINES
from rsfiqa.errors import InputError
from rsfiqa.io.json_files import write_json
from rsfiqa.io.provenance import Provenance
from rsfiqa.metrics import compute_metrics
from rsfiqa.model import RSA
from rsfiqa.products import checkpoints, results
from rsfiqa.products.paths import checkpoint_folder, results_path, stats_path
from rsfiqa.products.versions import VERSIONS
from rsfiqa.runtime.devices import device_of
from rsfiqa.samples import Samples
from rsfiqa.train.fit import scores_of

log = logging.getLogger("rsfiqa")


AT_ONCE = 128  # images


Predict = Callable[[Samples], np.ndarray]


def run(
    root: Path,
    *,
    train: str,
    test: str,
    variant: str,
    number: int,
    test_fraction: float,
    seed: int,
    official: bool = False,
) -> Path:
    """Test a variant or a peer; returns where the table of results was written.

    Args:
        root: the folder of all results.
        train: data set trained on.
        test: data set tested on; if it is `train`, the test parts of splits, else all of it.
        variant: of the model, or the name of a peer.
        number: of splits, or of seeds across data sets.
        test_fraction: of the splits, for a peer.
        seed: of the splits, for a peer.
        official: the data set's official split, with several seeds, in place of random ones.
    """
    torch.set_num_threads(1)
    started = time.time()
    tested = samples.load(root / test)
    trained = tested if train == test else samples.load(root / train)
    if train != test:
        _refuse_leaks(trained, tested)
    kind = ("official" if official else "split") if train == test else "all"
    rows, tables = [], []
    for name in (splits.split_name(kind, i) for i in range(number)):
        if variant in BASELINES:
            predict, part = _peer(variant, name, trained, test_fraction, seed)
        else:
            folder = checkpoint_folder(root, train, variant, name)
            predict, part = predictor(folder, trained, name, test_fraction=test_fraction, seed=seed)
        chosen = tested.take(part) if train == test else tested
        predicted = predict(chosen)
        found = compute_metrics(predicted, chosen.quality)
        row = {"train": train, "test": test, "split": name, "variant": variant, **asdict(found)}
        row["rmse"] *= abs(chosen.scale.span) if chosen.scale else 1
        rows.append(row)
        tables.append(_predictions(chosen, name, predicted))
        log.info("%s: SRCC %.3f, PLCC %.3f, n %d", name, row["srcc"], row["plcc"], row["n"])
    path = results_path(root, train, test, variant)
    provenance = Provenance("results", results.VERSION, "benchmark", VERSIONS["benchmark"])
    table = pa.Table.from_pylist(rows, schema=results.SCHEMA)
    results.write(path, table, pa.concat_tables(tables), provenance)
    ended = time.time()
    write_json(stats_path(path), {"started": started, "ended": ended, "images": len(tested)})
    return path


def _refuse_leaks(trained: Samples, tested: Samples) -> None:
    """Raise where a data set is tested by an image that the other is trained on."""
    names = dict(zip(trained.rows["sha256"].to_pylist(), trained.image_ids, strict=True))
    for digest, image_id in zip(tested.rows["sha256"].to_pylist(), tested.image_ids, strict=True):
        if digest in names:
            raise InputError(
                f"{tested.dataset}: must share no image with {trained.dataset}, found the bytes of"
                f" {image_id} in {names[digest]}; leave one of them out, or set benchmark.cross"
                " false"
            )


def predict_quality(
    model: RSA, data: Samples, tuned: Backbone | None = None, long_side: int = 0
) -> np.ndarray:
    """Predicted quality float64 (N,), on the train set's scale.

    Args:
        model: in evaluation mode.
        data: N images.
        tuned: a fine-tuned backbone, by which the images are seen anew.
        long_side: for it, larger images are reduced to this.
    """
    found = []
    data = replace(data, mirrored=None, distorted=None)  # for training, and large to copy
    parts = np.arange(len(data)) // AT_ONCE
    for part in np.unique(parts):
        chosen = data.take(parts == part)
        if tuned is not None:
            chosen = samples.with_grid_features(chosen, tuned, long_side)
        found.append(scores_of(model, chosen.batch))
    return torch.cat(found).double().numpy()


def _peer(
    name: str, split: str, trained: Samples, test_fraction: float, seed: int
) -> tuple[Predict, np.ndarray]:
    part = trained.test_mask(split, test_fraction=test_fraction, seed=seed)
    own = {"backbone": trained.lineage["backbone"]}

    def predict(data: Samples) -> np.ndarray:
        _expect_lineage(f"{name} on {trained.dataset}", own, data)
        return BASELINES[name](trained.take(~part), data)

    return predict, part


def predictor(
    folder: Path, trained: Samples, split: str, *, test_fraction: float, seed: int
) -> tuple[Predict, np.ndarray]:
    """A checkpoint's predictions, and which images its split tests: bool (N,).

    Args:
        folder: of the checkpoint.
        trained: N images, of whose split it was trained.
        split: the name of that split.
        test_fraction: of the splits.
        seed: of the splits.

    Raises:
        InputError: trained on another split or other scores; and, from the predictions, inputs
            that were made in another way than those trained on.
    """
    model, card = checkpoints.read(folder)
    tuned = checkpoints.read_backbone(folder, card)
    if tuned is not None:
        tuned = tuned.to(device_of("auto", "benchmark"))
    part = trained.test_mask(split, test_fraction=test_fraction, seed=seed)
    for key, value in {"name": split, **trained.digests(~part)}.items():
        if (found := card.split.get(key)) != value:
            raise InputError(
                f"{folder}: must be trained on {split} of {trained.dataset} and its scores, found"
                f" {key} {str(found)[:12]}, expected {value[:12]}; train it again"
            )

    def predict(data: Samples) -> np.ndarray:
        _expect_lineage(str(folder), card.lineage, data)
        return predict_quality(model, data, tuned, card.backbone["long_side"])

    return predict, part


def _expect_lineage(subject: str, lineage: Mapping[str, Mapping[str, Any]], data: Samples) -> None:
    """Refuse inputs that other options or weights have made than those trained on."""
    for part, trained in lineage.items():
        found = data.lineage[part]
        for key in sorted(trained.keys() | found.keys()):
            if trained.get(key) != found.get(key):
                raise InputError(
                    f"{subject}: trained with {part} {key} {trained.get(key)}, found"
                    f" {found.get(key)} in {data.dataset}; make both with the same options"
                )


def _predictions(data: Samples, split: str, predicted: np.ndarray) -> pa.Table:
    columns = {
        "image_id": data.image_ids,
        "split": [split] * len(data),
        "mos": data.mos,
        "quality": data.quality.astype(np.float64),
        "predicted": predicted,
    }
    return pa.table(columns, schema=results.PREDICTIONS)
