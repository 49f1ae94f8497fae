"""A segmenter that is added by one registration runs wherever the others run."""

import numpy as np
import pytest
from PIL import Image

from rsfiqa import segmenters
from rsfiqa.images import resize
from rsfiqa.prepare import stage as prepare
from rsfiqa.prepare.options import PrepareOptions
from rsfiqa.products import regions
from rsfiqa.products.paths import product_path
from rsfiqa.products.regions import ImageRegions, region_table
from rsfiqa.products.versions import VERSIONS
from rsfiqa.score.scorer import Scorer
from rsfiqa.segment import stage as segment
from rsfiqa.segment.options import SegmentOptions
from rsfiqa.segmenters import SEGMENTERS, SegmenterEntry
from rsfiqa.segmenters.base import Segmenter
from tests.support.checkpoints import with_card
from tests.support.pipeline import made


class Halves(Segmenter):
    """Divides an image into its left and right half."""

    def __init__(self, options: SegmentOptions) -> None:
        self.options = options

    def segment(self, image, image_id=""):
        height, width = resize.reduced_shape(image.shape[:2], self.options.long_side)
        labels = np.zeros((height, width), np.uint16)
        labels[:, (width + 1) // 2 :] = 1
        return ImageRegions(image_id, labels, region_table(labels))


@pytest.fixture
def halves():
    SEGMENTERS.register("halves", SegmenterEntry(target=f"{__name__}:Halves"))
    yield SegmentOptions(backend="halves", long_side=64)
    SEGMENTERS.remove("halves")


def test_it_runs_through_the_stage(halves, noise, tmp_path):
    (tmp_path / "images").mkdir()
    Image.fromarray(noise).save(tmp_path / "images/a.png")
    options = PrepareOptions(layout="folder", root=str(tmp_path / "images"))
    folder = tmp_path / "set"
    prepare.run(folder, options, shard_size=10, max_failed_fraction=0, seed=0)
    segment.run(folder, halves, max_failed_fraction=0)
    reader = regions.Reader(product_path(folder, "segment", "00000"))
    assert reader.table("a.png")["area"].tolist() == [2048, 2048]
    assert reader.provenance.options == {
        "backend": "halves",
        "long_side": 64,
        "max_regions": 12,
        "min_area_fraction": 0.01,
    }
    assert reader.provenance.models == {}


def test_it_runs_through_the_single_image_pipeline(halves, noise, tmp_path, tmp_path_factory):
    card_part = {"version": VERSIONS["segment"], **halves.recorded()}
    source = made(tmp_path_factory) / "train/tiny.full/split-00"
    folder = with_card(source, tmp_path / "halves", segment=card_part)
    score = Scorer(folder).score(noise)
    assert [region.box for region in score.regions] == [(0, 0, 32, 64), (32, 0, 64, 64)]


def test_a_name_that_is_not_registered():
    with pytest.raises(ValueError, match="should be one of superpixel, sam"):
        SegmentOptions(backend="halves")


def test_facts_are_those_of_the_entries():
    assert segmenters.checkpoint_of(SegmentOptions()) is None
    assert (SEGMENTERS["sam"].needs_checkpoint, SEGMENTERS["sam"].uses_processes) == (True, True)
    assert not SEGMENTERS["superpixel"].needs_torch
    for entry in SEGMENTERS.values():
        assert set(entry.shaping_options) < set(SegmentOptions.model_fields)
