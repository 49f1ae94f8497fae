"""What is refused before a training begins."""

import shutil
from dataclasses import replace

import pyarrow as pa
import pytest

from rsfiqa import manifest, train
from rsfiqa.errors import InputError
from rsfiqa.stages import TrainOptions
from tests.pipeline import SEED, TEST_SHARE, TRAIN, made

SPLIT = {"variant": "full", "split": "split-00", "test_share": TEST_SHARE, "seed": SEED}


@pytest.fixture
def tiny(tmp_path_factory, tmp_path):
    """A copy of the data set of 12 images."""
    return shutil.copytree(made(tmp_path_factory) / "tiny", tmp_path / "tiny")


def change(folder, **columns):
    """Give the manifest's columns one value each."""
    path = folder / "manifest.parquet"
    table, provenance = manifest.read(path)
    for name, value in columns.items():
        field = table.schema.field(name)
        column = pa.array([value] * len(table), field.type)
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
