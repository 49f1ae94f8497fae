"""The check that data sets share no images."""

import json
import shutil

import pytest

from rsfiqa import cli
from rsfiqa.benchmark import overlap
from rsfiqa.errors import InputError


@pytest.fixture
def copy(pipeline, tmp_path):
    """Manifests alone, to be changed."""
    for name in ("tiny", "other"):
        (tmp_path / name).mkdir()
        shutil.copy(pipeline / name / "manifest.parquet", tmp_path / name)
    return tmp_path


def test_data_sets_without_shared_images(copy):
    assert cli.main(["overlap", str(copy), "--dataset", "tiny", "--dataset", "other"]) == 0
    found = json.loads((copy / "benchmark/overlap.json").read_text("utf-8"))
    assert found == {"images": {"other": 6, "tiny": 13}}


def test_a_pair_among_several_that_shares_images(copy):
    shutil.copytree(copy / "other", copy / "third")
    message = (
        r"third: must share no image with other, found the bytes of 00.png in 00.png and 5 more;"
        r" leave one of them out, or set benchmark.cross false"
    )
    with pytest.raises(InputError, match=message):
        overlap.run(copy, ["tiny", "other", "third"])
    assert not (copy / "benchmark").exists()


def test_a_missing_manifest_is_named(copy):
    with pytest.raises(InputError, match=r"none/manifest.parquet: no such file"):
        overlap.run(copy, ["tiny", "none"])
