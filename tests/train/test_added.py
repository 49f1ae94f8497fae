"""Data sets that are added to a training: what is used of them, and what is refused."""

import shutil
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from rsfiqa import checkpoints, samples
from rsfiqa.benchmark import stage as benchmark
from rsfiqa.errors import InputError
from rsfiqa.extract import stage as extract
from rsfiqa.products import features, manifest
from rsfiqa.products.paths import manifest_path, product_path
from rsfiqa.train import stage as train
from rsfiqa.train.command import Train
from tests.support.pipeline import EXTRACT, TRAIN

TESTED = ("04.png", "05.png")  # of the added set of 6 images


@pytest.fixture
def results(root: Path, tmp_path: Path) -> Path:
    """Copies of both data sets: `tiny`, MOS 1 to 5, and `other`, DMOS 0 to 100."""
    for name in ("tiny", "other"):
        shutil.copytree(root / name, tmp_path / name)
    return tmp_path


def set_columns(folder: Path, **change: Callable[[dict[str, Any]], Any]) -> None:
    """Set columns of a manifest to functions of the rows."""
    table, provenance = manifest.read(manifest_path(folder))
    rows = [row | {name: new(row) for name, new in change.items()} for row in table.to_pylist()]
    manifest.write(
        manifest_path(folder), pa.Table.from_pylist(rows, schema=manifest.SCHEMA), provenance
    )


def mark_tested(folder: Path) -> None:
    set_columns(folder, subset=lambda row: "test" if row["image_id"] in TESTED else "train")


def weights(results: Path, name: str, split: dict[str, Any], *also: str) -> bytes:
    """Train on tiny and the added sets; the bytes of the weights."""
    output = results / name
    train.run(results / "tiny", output, TRAIN, also=[results / each for each in also], **split)
    return (output / "model.safetensors").read_bytes()


def test_the_card_lists_all_data_sets(results, split):
    mark_tested(results / "other")
    alone = weights(results, "alone", split)
    assert weights(results, "joint", split, "other") != alone
    card, _ = checkpoints.read_card(results / "joint")
    assert card.datasets == ["tiny", "other"]
    assert (card.scale.low, card.scale.high, card.lower_better) == (1, 5, False)
    assert card.split["train"] == 8
    data = samples.load(results / "other", part="train")
    digests = data.image_digests(np.ones(4, bool))
    assert card.added == [{"dataset": "other", "train": 4, **digests}]
    assert checkpoints.label_of(card, 12 * "0") == f"tiny+other {12 * '0'}"
    alone_card, _ = checkpoints.read_card(results / "alone")
    assert (alone_card.datasets, alone_card.added) == (["tiny"], [])
    assert alone_card.split == card.split


def test_the_same_sets_give_the_same_weights(results, split):
    first, second = (weights(results, name, split, "other") for name in ("first", "second"))
    assert first == second


def test_images_marked_test_of_an_added_set_change_no_weight(results, split):
    """Neither their scores nor their features, those that left the test part included."""
    other = results / "other"
    mark_tested(other)
    set_columns(
        other,
        subset=lambda row: "test_near_duplicate" if row["image_id"] == "04.png" else row["subset"],
    )
    before = weights(results, "before", split, "other")
    set_columns(other, quality=lambda row: 0.0 if row["image_id"] in TESTED else row["quality"])
    path = product_path(other, "extract", "00000")
    content, provenance = features.read(path)
    for name in features.VIEWS:
        view = getattr(content, name)
        for place, image_id in enumerate(content.image_ids):
            view[place] *= 0.5 if image_id in TESTED else 1
    features.write(path, content, provenance)
    assert weights(results, "after", split, "other") == before
    set_columns(other, subset=lambda _: None)
    assert weights(results, "all", split, "other") != before


def test_an_image_of_the_group_of_a_test_image_is_not_trained_on(results):
    mark_tested(results / "other")
    set_columns(results / "other", group=lambda row: "g" if row["image_id"] > "02.png" else "h")
    data = samples.load(results / "other", part="train")
    assert data.image_ids == ["00.png", "02.png"]


def refused(results: Path, message: str, split: dict[str, Any], *also: str, options=TRAIN) -> None:
    with pytest.raises(InputError, match=message) as error:
        train.run(
            results / "tiny",
            results / "output",
            options,
            also=[results / each for each in also],
            **split,
        )
    assert "\n" not in str(error.value)
    assert not (results / "output").exists()


def test_a_set_that_is_given_twice(results, split):
    message = r"train.also: the names of all data sets must differ, found tiny twice; leave one out"
    refused(results, message, split, "other", "tiny")
    refused(results, message.replace("tiny", "other"), split, "other", "other")


def test_fine_tuning_takes_no_added_sets(results, split, options):
    message = r"train.also: data sets are added on frozen features only, found 1 with train.finet"
    refused(results, message, split, "other", options=options())


def test_an_added_set_of_other_products(results, split):
    grid = EXTRACT.model_copy(update={"grid": 8})
    extract.run(results / "other", grid, max_failed_fraction=0.5)
    message = r"train.also: tiny: trained with backbone grid 4, found 8 in other; make both with"
    refused(results, message, split, "other")


def test_an_added_set_without_augmented_views(results, split):
    path = product_path(results / "other", "extract", "00000")
    content, provenance = features.read(path)
    features.write(path, replace(content, mirrored=content.mirrored[:0]), provenance)
    message = r"other: must have augmented views as tiny has, found no mirrored ones; extract both"
    refused(results, message, split, "other")


def test_an_added_set_of_test_images_only(results, split):
    set_columns(results / "other", subset=lambda _: "test")
    message = r"manifest.parquet: must hold images of the official train part, found none of 6; use"
    refused(results, message, split, "other")


def test_an_added_set_with_an_image_of_the_test_part(results, split):
    whole = samples.load(results / "tiny")
    tested = whole.test_mask("split-00", test_fraction=split["test_fraction"], seed=split["seed"])
    copy = results / "copy"
    shutil.copytree(results / "tiny", copy)
    image_id = whole.take(tested).image_ids[0]
    message = (
        rf"copy: must share no image with the test and .* of tiny, found the bytes of {image_id}"
    )
    refused(results, message, split, "copy")


def test_the_command_names_the_checkpoint_after_all_sets(results):
    given = TRAIN.model_dump() | {"seed": 0, "test_fraction": 1 / 3}
    folder = results / "train/tiny+other.full/split-00"
    Train(folder=results / "tiny", also=(results / "other",), **given).run()
    assert checkpoints.read_card(folder)[0].datasets == ["tiny", "other"]
    message = "train.also must be other, with which it was made, found none; set it to that"
    with pytest.raises(InputError, match=message):
        Train(folder=results / "tiny", output=folder, **given).run()


def test_a_checkpoint_is_not_tested_on_the_images_of_an_added_set(results, split):
    mark_tested(results / "other")
    weights(results, "joint", split, "other")
    data, other = (samples.load(results / name) for name in ("tiny", "other"))
    arguments = {name: split[name] for name in ("test_fraction", "seed")}
    predict, part = benchmark.predictor(results / "joint", data, "split-00", **arguments)
    assert np.isfinite(predict(data.take(part))).all()
    assert len(predict(other.take(~other.official_training_part))) == len(TESTED)
    message = r"joint: must be tested on images that it was not trained on, found 4 of other among"
    with pytest.raises(InputError, match=message):
        predict(other)
