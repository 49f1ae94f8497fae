"""The check that data sets share no images."""

import json
import shutil
from dataclasses import dataclass

import pytest

from rsfiqa import cli
from rsfiqa.backbones.weights import PERCEPTION_FILE
from rsfiqa.benchmark import overlap
from rsfiqa.errors import InputError
from rsfiqa.io.checksum import sha256_of
from rsfiqa.io.provenance import Provenance


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


@dataclass
class Set:
    """A test set as far as the check reads it."""

    layout: str
    caption: str
    backbone: str
    dataset: str = "rated"

    @property
    def provenance(self):
        options = {"layout": self.layout}
        return {"manifest": Provenance("manifest", 1, "prepare", 1, options)}

    @property
    def lineage(self):
        return {"caption": {"sha256": self.caption}, "backbone": {"sha256": self.backbone}}


PERCEPTION = sha256_of(PERCEPTION_FILE)


@pytest.mark.parametrize(
    ("caption", "backbone", "option"),
    [(PERCEPTION, "other", "caption.backend"), ("other", PERCEPTION, "extract.weights")],
)
def test_images_that_the_perception_learned_from_are_not_tested_on(caption, backbone, option):
    overlap.check_captioner_overlap(Set("livec", caption, backbone))
    overlap.check_captioner_overlap(Set("biq2021", "other", "other"))
    with pytest.raises(InputError, match=f"official split where {option} learned"):
        overlap.check_captioner_overlap(Set("biq2021", caption, backbone))
