"""The train stage: what it refuses, and what its checkpoints depend on."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from pydantic import ValidationError

from rsfiqa import checkpoints, samples
from rsfiqa.architecture import CAPTION_SCALE
from rsfiqa.errors import InputError
from rsfiqa.products import manifest
from rsfiqa.train import stage as train
from rsfiqa.train.options import FinetuneOptions, TrainOptions
from tests.support.pipeline import SEED, TEST_FRACTION, TRAIN

SPLIT = {"variant": "full", "split": "split-00", "test_fraction": TEST_FRACTION, "seed": SEED}
FRACTION = ("test_fraction", "seed")


def change(folder, **columns):
    """Set columns of the manifest to one value, or to a list with one value per image."""
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


def test_a_mos_that_is_the_same_for_all_images(tiny):
    change(tiny, mos=3.0, quality=0.5)
    refused(tiny, r"tiny: 'mos' must differ between images, found 3 for all 12; give the scores of")


def test_one_group_only(tiny):
    change(tiny, group="g")
    refused(tiny, r"tiny: a split needs at least 2 groups with images on both sides, found 1; give")


def test_a_width_that_the_heads_do_not_divide():
    with pytest.raises(ValidationError, match=r"width\n.* multiple of 4"):
        TrainOptions(width=10)


FINETUNE = FinetuneOptions(enabled=True, epochs=2, batch_size=2, crop=48)


@pytest.mark.parametrize("finetune", [FinetuneOptions(), FINETUNE])
def test_the_scores_of_test_images_have_no_influence(tiny, finetune):
    """Neither on the weights nor on the choice of an epoch."""
    changes = {"validation_fraction": 0.3, "epochs": 4, "finetune": finetune}
    options = TRAIN.model_copy(update=changes)
    data = samples.load(tiny)
    is_test = data.test_mask("split-00", test_fraction=TEST_FRACTION, seed=SEED)
    train.run(tiny, tiny / "before", options, **SPLIT)
    table, _ = manifest.read(tiny / "manifest.parquet")
    names = set(np.array(data.image_ids)[is_test])
    for column, low, high in (("mos", 1.0, 5.0), ("quality", 0.0, 1.0)):
        old = zip(table["image_id"].to_pylist(), table[column].to_pylist(), strict=True)
        reversed_ = [low + high - value if image_id in names else value for image_id, value in old]
        change(tiny, **{column: reversed_})
    train.run(tiny, tiny / "after", options, **SPLIT)
    assert (samples.load(tiny).quality != data.quality).sum() == is_test.sum() > 0
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


def test_a_validation_part_that_leaves_nothing_to_rank(tiny):
    change(tiny, group=[str(i) for i in range(13)])
    options = TRAIN.model_copy(update={"validation_fraction": 0.5})
    data = samples.load(tiny)
    parts = train.divide(data, options, **{name: SPLIT[name] for name in ("split", *FRACTION)})
    names = set(parts.train.image_ids)
    table, _ = manifest.read(tiny / "manifest.parquet")
    for column, value in (("mos", 3.0), ("quality", 0.5)):
        old = zip(table["image_id"].to_pylist(), table[column].to_pylist(), strict=True)
        change(tiny, **{column: [value if image_id in names else found for image_id, found in old]})
    message = (
        rf"tiny: split-00 needs images of different MOS to train on beside .* found {len(names)}"
        r" of one; lower train.validation_fraction, or set it to 0$"
    )
    refused(tiny, message, options)


def test_an_image_that_cannot_be_read_moves_no_other_to_validation(tiny):
    change(tiny, group=[str(i) for i in range(13)])
    data = samples.load(tiny)
    fractions = {"fraction": 0.4, "test_fraction": TEST_FRACTION, "seed": SEED}
    validation = data.validation_mask("split-00", **fractions)
    for lost in range(12):
        kept = np.arange(12) != lost
        remaining = data.take(kept).validation_mask("split-00", **fractions)
        np.testing.assert_array_equal(remaining, validation[kept])


def test_a_validation_part_is_neither_trained_nor_tested_on(tiny):
    options = TRAIN.model_copy(update={"validation_fraction": 0.3, "epochs": 6, "patience": 2})
    train.run(tiny, tiny / "checkpoint", options, **SPLIT)
    _, card = checkpoints.read(tiny / "checkpoint")
    table = pq.read_table(tiny / "checkpoint/split.parquet")
    groups = dict(zip(samples.load(tiny).image_ids, samples.load(tiny).groups, strict=True))
    parts: dict[str, set[str]] = {}
    for image_id, part in zip(*table.to_pydict().values(), strict=True):
        parts.setdefault(part, set()).add(groups[image_id])
    assert sum(map(len, parts.values())) == 6  # no group is in two parts
    assert {part: card.split[part] for part in parts} == {
        part: 2 * len(names) for part, names in parts.items()
    }
    assert parts.keys() == {"train", "validation", "test"}
    assert 1 <= len(card.losses) <= 6
    train.run(tiny, tiny / "whole", TRAIN, **SPLIT)
    _, whole = checkpoints.read(tiny / "whole")
    assert card.split["sha256"] == whole.split["sha256"]  # of all images that are not tested


def test_a_checkpoint_states_the_scale_of_its_captions(tiny):
    train.run(tiny, tiny / "checkpoint", TRAIN, **SPLIT)
    model, card = checkpoints.read(tiny / "checkpoint")
    assert card.model["caption_scale"] == CAPTION_SCALE == model.caption_projection.scale
