"""Trains and tests the variants of a condition on one split."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.ablation.conditions import (
    BIQ2021,
    IN_PART,
    LOCALIZATION,
    MMP2K,
    ORACLE,
    ORDERING,
    SEED,
    SHUFFLED,
    TEST_FRACTION,
    WHOLE,
    Condition,
    check_size,
)
from benchmarks.ablation.oracle import read_statements
from benchmarks.localization import Trial, localization_trials, ordering_trials
from benchmarks.perception.measures import contains, local_boxes
from rsfiqa import Scorer, samples, splits
from rsfiqa.benchmark.overlap import check_overlap
from rsfiqa.errors import InputError
from rsfiqa.model import RSA
from rsfiqa.model.inference import inference
from rsfiqa.products import statements
from rsfiqa.products.lineage import check_lineage
from rsfiqa.products.statements import Statement
from rsfiqa.samples import Part, Samples
from rsfiqa.train import stage as train
from rsfiqa.train.options import TrainOptions

EPOCHS, MIN_EPOCHS = 15, 3
MIN_STEPS, MAX_STEPS = 105, 240
CHUNK = 256  # images
SPLIT: dict[str, Any] = {"test_fraction": TEST_FRACTION, "seed": SEED}
Rows = Iterator[dict[str, Any]]


def options_for(images: int) -> TrainOptions:
    """The options of a training on this number of images: the defaults but for the epochs.

    15 epochs, more where they have fewer than `MIN_STEPS` steps, fewer where more than `MAX_STEPS`.
    """
    defaults = TrainOptions()
    steps = images // min(defaults.batch_size, images)  # of an epoch
    epochs = max(EPOCHS, -(-MIN_STEPS // steps))
    return defaults.model_copy(update={"epochs": max(MIN_EPOCHS, min(epochs, MAX_STEPS // steps))})


@dataclass(frozen=True)
class Bench:
    """Where the sets lie.

    Attributes:
        root: folder of results with the products of all sets.
        pristine: folder of Kodak's photographs.
    """

    root: Path
    pristine: Path

    def samples(self, name: str, part: Part = "all") -> Samples:
        """The images of a set; the training parts of two sets at most stay in memory."""
        return _samples(self.root / name, part)

    def training_set(self, name: str) -> Samples:
        """The images of a set that may be trained on: of BIQ2021 the official training part."""
        return self.samples(name, "train" if name == BIQ2021 else "all")

    def test_set(self, name: str) -> Samples:
        """The images of a set that is tested on: of BIQ2021 the official test part."""
        return self.samples(name, "test" if name == BIQ2021 else "all")


@lru_cache(maxsize=6)
def _samples(folder: Path, part: Part) -> Samples:
    return samples.load(folder, part=part)


def run_unit(bench: Bench, condition: Condition, split: str) -> list[dict[str, Any]]:
    """The rows of a unit: predictions of each variant on each test set."""
    torch.set_num_threads(1)
    if condition.part == "f":
        return list(_fine_grained(bench, condition, split))
    return [
        row for variant in condition.variants for row in _rows(bench, condition, split, variant)
    ]


def _rows(bench: Bench, condition: Condition, split: str, variant: str) -> Rows:
    """Predictions of one variant."""
    name, architecture = condition.train[0], variant
    data = source = bench.training_set(name)
    if variant in (ORACLE, SHUFFLED):
        architecture = "full"
        data = bench.training_set(f"{name}_{variant}")
        check_same_images(source, data)
    mask = training_mask(source, condition, split)
    training = [data.take(mask), *map(bench.training_set, condition.train[1:])]
    model = trained(training, architecture, splits.seed_of(SEED, condition.name, split))
    if condition.division == "split":
        tested = {name: data.take(source.test_mask(split, **SPLIT))}
    else:
        tested = {test: bench.test_set(test) for test in condition.tests}
    for test, images in tested.items():
        for part in training:
            check_overlap(part.dataset, part.rows, test, images.rows)
        check_lineage(condition.name, training[0].lineage, images.lineage, test)
        yield from predictions(model, images, variant, test, _tags(bench, test))


def check_same_images(first: Samples, second: Samples) -> None:
    """Refuse two sets that must hold the same images and do not.

    Raises:
        InputError: names both.
    """
    if first.image_ids != second.image_ids:
        raise InputError(
            f"{second.dataset}: must hold the {len(first)} images of {first.dataset}, found"
            f" {len(second)} images; delete the folder of {second.dataset} to make it again"
        )


def training_mask(data: Samples, condition: Condition, split: str) -> np.ndarray:
    """The images that a unit trains on: bool (N,).

    Args:
        data: the N images of the set that may be trained on.
        condition: of the unit.
        split: of the unit.

    Raises:
        InputError: there are fewer than the condition needs.
    """
    number = int(split.rpartition("-")[2])
    mask = np.ones(len(data), bool)
    if condition.division == "split":
        mask = ~data.test_mask(split, **SPLIT)
    elif condition.division == "draw" and condition.n is None:
        mask = ~splits.random_split(
            data.groups, dataset=f"{data.dataset}, draw", split=number, **SPLIT
        )
    check_size(condition, int(mask.sum()))
    if condition.n is None:
        return mask
    # the seed does not depend on n: smaller draws lie within larger ones
    random = np.random.default_rng(splits.seed_of(SEED, data.dataset, "draw", split))
    drawn = np.zeros(len(data), bool)
    drawn[random.permutation(np.flatnonzero(mask))[: condition.n]] = True
    return drawn


def trained(training: Sequence[Samples], variant: str, seed: int) -> RSA:
    """A model that was trained on the images of one or more sets, the first with its scale."""
    data, *added = training
    options = options_for(sum(map(len, training)))
    train.check_scores(data, 2)
    model = train.make_model(data, options, variant, seed)
    train.train(model, data, options, seed=seed, added=added)
    return model


@inference()
def predictions(
    model: RSA, data: Samples, variant: str, test: str, tags: "Tags"
) -> list[dict[str, Any]]:
    """Rows of `units.SCHEMA`: the predicted quality of images, and whether the worst region hits.

    Args:
        model: that is tested.
        data: images to test on.
        variant: its name.
        test: name of the set.
        tags: of the images.
    """
    rows: list[dict[str, Any]] = []
    described = zip(data.image_ids, data.groups, data.quality.tolist(), strict=True)
    for index in torch.split(torch.arange(len(data)), CHUNK):
        batch = data.batch.take(index)
        found = model(batch)
        quality = found.region_quality.masked_fill(~batch.present, np.inf)
        centers = batch.geometry[torch.arange(len(index)), quality.argmin(1), 1:3].tolist()
        for score, center in zip(found.quality.tolist(), centers, strict=True):
            image_id, group, opinion = next(described)
            rows.append(
                {
                    "variant": variant,
                    "test": test,
                    "image_id": image_id,
                    "group": group,
                    "tag": tags.tag(image_id),
                    "quality": opinion,
                    "predicted": score,
                    "hit": tags.hit(image_id, center) if model.regions is not None else None,
                }
            )
    return rows


@dataclass(frozen=True)
class Tags:
    """Tags of the images of a set.

    Attributes:
        test: name of the set.
        said: statements about its images.
    """

    test: str
    said: dict[str, list[Statement]]

    def tag(self, image_id: str) -> str:
        """The tag of an image: what is stated in part of MMP-2k, the subset of BIQ2021."""
        if self.test == BIQ2021:
            return image_id.partition(" ")[0].lower()
        if self.test != MMP2K:
            return ""
        is_local = any(one.position != WHOLE_IMAGE for one in self.said.get(image_id, ()))
        return IN_PART if is_local else WHOLE

    def hit(self, image_id: str, center: list[float]) -> float | None:
        """Whether a point lies in a stated part; None where statements do not say where."""
        boxes = local_boxes(self.said.get(image_id, ()))
        return float(contains(boxes, center)) if boxes else None


WHOLE_IMAGE = next(iter(statements.POSITIONS))


def _tags(bench: Bench, test: str) -> Tags:
    return Tags(test, read_statements(bench.root / MMP2K) if test == MMP2K else {})


def _fine_grained(bench: Bench, condition: Condition, split: str) -> Rows:
    """Trials of localization and ordering of each variant, whose checkpoint is kept."""
    name = condition.train[0]
    data = bench.training_set(name)
    for variant in condition.variants:
        output = bench.root / "train" / f"{condition.name}.{variant}" / split
        train.run(
            bench.root / name,
            output,
            options_for(len(data)),
            variant=variant,
            split=split,
            data=data,
            **SPLIT,
        )
        scorer = Scorer.load(output)
        for task, trials in (
            (LOCALIZATION, localization_trials(scorer, bench.pristine)),
            (ORDERING, ordering_trials(scorer, bench.pristine)),
        ):
            yield from (_trial_row(variant, task, trial) for trial in trials)


def _trial_row(variant: str, task: str, trial: Trial) -> dict[str, Any]:
    return {
        "variant": variant,
        "test": task,
        "image_id": f"{trial.photograph}/{trial.kind}/{trial.name}",
        "group": trial.photograph,
        "tag": trial.kind,
        "quality": None,
        "predicted": None,
        "hit": float(trial.right),
    }
