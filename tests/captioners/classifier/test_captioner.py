"""Captions by the perception: which distortions are named, ratings and sentences."""

from pathlib import Path

import numpy as np
import pytest

from rsfiqa import captioners
from rsfiqa.caption.options import CaptionOptions
from rsfiqa.captioners.classifier.perceived import Perceived, named, rate, rows_of
from rsfiqa.captioners.rule_based.statistics import region_statistics
from rsfiqa.datasets.demo import photograph
from rsfiqa.images.realistic.distort import RealisticDistortion, distort
from rsfiqa.vocabulary import RATINGS, REALISTIC_FAMILIES

FAMILIES = tuple(REALISTIC_FAMILIES)


def perceived(quality: float, **families: tuple[float, float, float]) -> Perceived:
    """One region with probability, severity and cost of some families, 0 for the others."""
    values = np.zeros((3, 1, len(FAMILIES)), np.float32)
    for name, given in families.items():
        values[:, 0, FAMILIES.index(name)] = given
    return Perceived(FAMILIES, *values, np.zeros(1, np.float32), np.array([quality], np.float32))


def test_the_family_that_costs_most_comes_first():
    found = perceived(0.7, noise=(0.2, 4.6, 0.05), defocus=(0.4, 2.4, 0.2), haze=(0.9, 5, 0.1))
    assert named(found, 0) == [
        {"family": "defocus", "severity": 2},
        {"family": "haze", "severity": 5},
        {"family": "noise", "severity": 5},
    ]


@pytest.mark.parametrize(("probability", "count"), [(0.24, 0), (0.26, 1)])
def test_a_family_is_named_from_half_a_severity(probability, count):
    found = perceived(0.7, motion_blur=(probability, 2, 0.03))
    assert len(named(found, 0)) == count


def test_severities_stay_in_their_range():
    found = perceived(0.3, noise=(0.9, 0.6, 0.1), haze=(0.9, 7.0, 0.2))
    assert [one["severity"] for one in named(found, 0)] == [5, 1]


def test_ratings_by_hand():
    ratings = rate(perceived(0.25, defocus=(0.5, 2, 0.1), noise=(1, 9, 0.1)))
    assert {name: float(value[0]) for name, value in ratings.items()} == pytest.approx(
        {"color": 5, "noise": 1, "artifact": 5, "blur": 4.2, "overall": 2}
    )


@pytest.mark.parametrize(("quality", "overall"), [(-0.2, 1), (0.5, 3), (1.3, 5)])
def test_overall_is_the_quality_of_the_region(quality, overall):
    image, labels = np.zeros((8, 8, 3), np.uint8), np.zeros((8, 8), np.uint16)
    (row,) = rows_of(labels, region_statistics(image, labels), perceived(quality))
    assert row.ratings["overall"] == overall
    assert tuple(row.ratings) == RATINGS


def test_captions_of_photographs_by_the_stage_captioner():
    image = photograph("skimage/data/chelsea.png", 384)
    labels = np.zeros(image.shape[:2], np.uint16)
    labels[:, 200:] = 1
    distorted = distort(
        image, RealisticDistortion("defocus", "defocus", 5), np.random.default_rng(0)
    )
    with captioners.load(CaptionOptions(backend="classifier"), log=Path()) as captioner:
        before, after = captioner.caption(image, labels), captioner.caption(distorted, labels)
        maps = captioner.perception.backbone.image_maps(image)
        assert captioner.caption_maps(image, labels, maps) == before
        assert list(captioner.model_digests.values()) == [captioner.backbone_sha256]
    for good, bad in zip(before, after, strict=True):
        assert bad.distortions[0]["family"] == "defocus"
        assert bad.expectations["overall"] < good.expectations["overall"] - 1
        assert bad.expectations["blur"] < 3.5 < good.expectations["blur"]
