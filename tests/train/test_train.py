"""What is refused before a training begins."""

import shutil
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from rsfiqa import samples
from rsfiqa.errors import InputError
from rsfiqa.extract import stage as extract
from rsfiqa.products import checkpoints, manifest
from rsfiqa.train import stage as train
from rsfiqa.train.options import TrainOptions
from tests.support.pipeline import EXTRACT, SEED, TEST_FRACTION, TRAIN, made

SPLIT = {"variant": "full", "split": "split-00", "test_fraction": TEST_FRACTION, "seed": SEED}


@pytest.fixture
def tiny(tmp_path_factory, tmp_path):
    """A copy of the data set of 12 images."""
    return shutil.copytree(made(tmp_path_factory) / "tiny", tmp_path / "tiny")


def change(folder, **columns):
    """Give the manifest's columns one value each, or a list with one for each image."""
    path = folder / "manifest.parquet"
    table, provenance = manifest.read(path)
    for name, value in columns.items():
        field = table.schema.field(name)
        values = value if isinstance(value, list) else [value] * len(table)
        column = pa.array(values, field.type)
        table = table.set_column(table.schema.get_field_index(name), field, column)
    manifest.write(path, table, replace(provenance))


def refused(folder, message, options: TrainOptions = TRAIN):
    with pytest.raises(InputError, match=message) as error:
        train.run(folder, folder / "checkpoint", options, **SPLIT)
    assert "\n" not in str(error.value)
    assert not (folder / "checkpoint").exists()


def test_too_few_images(tiny):
    message = r"tiny: training needs at least 20 images \(train.min_images\), found 12; add images"
    refused(tiny, message, TrainOptions())


def test_a_mos_that_never_differs(tiny):
    change(tiny, mos=3.0, quality=0.5)
    refused(tiny, r"tiny: 'mos' must differ between images, found 3 for all 12; give the scores of")


def test_one_group_only(tiny):
    change(tiny, group="g")
    refused(tiny, r"tiny: a split needs at least 2 groups with images on both sides, found 1; give")


def test_a_width_that_the_heads_do_not_divide():
    with pytest.raises(ValidationError, match=r"width\n.* multiple of 4"):
        TrainOptions(width=10)


def test_what_a_killed_training_may_not_go_on_from(tiny):
    """Every one of these shapes the weights."""

    def found(changes=None, seed=SEED):
        options = TRAIN.model_copy(update=changes or {})
        return train._fingerprint(samples.load(tiny), options, seed)

    before = {found(), found(seed=SEED + 1), found({"tune_rate": 1e-3})}
    extract.run(
        tiny, EXTRACT.model_copy(update={"augmented_views": False}), max_failed_fraction=0.2
    )
    before |= {found()}
    change(tiny, mos=3.0, quality=0.5)
    before |= {found()}
    assert len(before) == 5
    data = samples.load(tiny)
    other_ratings = replace(data.batch, ratings=data.batch.ratings + 1)
    bytes_differ = pa.array(["0" * 64] * len(data))
    place = data.rows.schema.get_field_index("sha256")
    for changed, validation in (
        (replace(data, batch=other_ratings), None),
        (replace(data, rows=data.rows.set_column(place, "sha256", bytes_differ)), None),
        (data, data.take(np.arange(12) < 3)),
        (data, data.take(np.arange(12) < 4)),
    ):
        before |= {train._fingerprint(changed, TRAIN, SEED, validation)}
    assert len(before) == 9


def test_the_scale_is_fixed_by_images_of_every_level():
    """Names of many sets list five levels in turn."""
    chosen = train.calibrating(5000, seed=1)
    assert chosen.sum() == 200
    assert chosen.reshape(-1, 5).sum(0).min() > 25
    np.testing.assert_array_equal(chosen, train.calibrating(5000, seed=1))
    assert (chosen != train.calibrating(5000, seed=2)).any()
    assert train.calibrating(9, seed=1).all()


TUNED = {"finetune": True, "tune_epochs": 2, "tune_batch_size": 2, "crop": 48}


@pytest.mark.parametrize("changes", [{}, TUNED])
def test_what_tested_images_are_worth_changes_nothing(tiny, changes):
    """Neither the training nor the choice of an epoch sees it."""
    options = TRAIN.model_copy(update={"validation_fraction": 0.3, "epochs": 4} | changes)
    data = samples.load(tiny)
    tested = data.test_mask("split-00", test_fraction=TEST_FRACTION, seed=SEED)
    train.run(tiny, tiny / "before", options, **SPLIT)
    table, _ = manifest.read(tiny / "manifest.parquet")
    names = set(np.array(data.image_ids)[tested])
    for column, low, high in (("mos", 1.0, 5.0), ("quality", 0.0, 1.0)):
        old = zip(table["image_id"].to_pylist(), table[column].to_pylist(), strict=True)
        turned = [low + high - value if image_id in names else value for image_id, value in old]
        change(tiny, **{column: turned})
    train.run(tiny, tiny / "after", options, **SPLIT)
    assert (samples.load(tiny).quality != data.quality).sum() == tested.sum() > 0
    weights = {(tiny / name / "model.safetensors").read_bytes() for name in ("before", "after")}
    assert len(weights) == 1


def test_a_validation_part_that_cannot_be_ranked(tiny):
    change(tiny, group=[str(i) for i in range(13)])
    options = TRAIN.model_copy(update={"validation_fraction": 0.05})
    message = (
        r"tiny: split-00 needs images of different MOS to validate, found 1 of one; raise"
        r" train.validation_fraction, or set it to 0"
    )
    refused(tiny, message, options)


def test_an_image_that_cannot_be_read_moves_no_other_to_validation(tiny):
    change(tiny, group=[str(i) for i in range(13)])
    data = samples.load(tiny)
    fractions = {"share": 0.4, "test_fraction": TEST_FRACTION, "seed": SEED}
    validated = data.validation_mask("split-00", **fractions)
    for lost in range(12):
        kept = np.arange(12) != lost
        found = data.take(kept).validation_mask("split-00", **fractions)
        np.testing.assert_array_equal(found, validated[kept])


def test_a_validation_part_is_neither_trained_nor_tested_on(tiny):
    options = TRAIN.model_copy(update={"validation_fraction": 0.3, "epochs": 6, "patience": 2})
    train.run(tiny, tiny / "checkpoint", options, **SPLIT)
    _, card = checkpoints.read(tiny / "checkpoint")
    table = pq.read_table(tiny / "checkpoint/split.parquet")
    groups = dict(zip(samples.load(tiny).image_ids, samples.load(tiny).groups, strict=True))
    found: dict[str, set[str]] = {}
    for image_id, part in zip(*table.to_pydict().values(), strict=True):
        found.setdefault(part, set()).add(groups[image_id])
    assert sum(map(len, found.values())) == 6  # no group is in two parts
    assert {part: card.split[part] for part in found} == {
        part: 2 * len(ensemble_heads) for part, ensemble_heads in found.items()
    }
    assert found.keys() == {"train", "validation", "test"}
    assert 1 <= len(card.losses) <= 6
    train.run(tiny, tiny / "whole", TRAIN, **SPLIT)
    _, whole = checkpoints.read(tiny / "whole")
    assert card.split["sha256"] == whole.split["sha256"]  # of all images that are not tested
