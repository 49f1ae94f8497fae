from collections import Counter

import numpy as np
import pytest

from rsfiqa.datasets import demo
from rsfiqa.errors import InputError
from rsfiqa.images.load import load_rgb
from rsfiqa.io.checksum import sha256_of
from rsfiqa.vocabulary import FAMILIES, SEVERITIES

TWO = ("skimage/data/astronaut.png", "sklearn/datasets/images/flower.jpg")


@pytest.fixture(scope="module")
def entries(tmp_path_factory):
    return demo.make(tmp_path_factory.mktemp("demo"), seed=0, long_side=64, sources=TWO)


def test_one_pristine_and_three_severities_of_each_distortion(entries):
    assert len(entries) == len({entry.image_id for entry in entries}) == 2 * (1 + 4 * 3)
    assert {entry.group for entry in entries} == {"astronaut", "flower"}
    assert set(demo.FAMILIES) <= set(FAMILIES)
    pristine = [entry for entry in entries if entry.distortion is None]
    assert [(entry.severity, entry.mos) for entry in pristine] == [(0, 100.0)] * 2
    assert max(load_rgb(pristine[1].path).shape) == 64


def test_the_pseudo_mos_falls_with_the_level(entries):
    for distortion in demo.FAMILIES:
        scores = [entry.mos for entry in entries if entry.distortion == distortion]
        assert len(scores) == 6
        for of_one in (scores[:3], scores[3:]):
            assert of_one == sorted(of_one, reverse=True)
            assert 0 <= of_one[-1] < of_one[0] < 100


def test_the_severities_are_equally_frequent():
    """In turn over the sources, and over the families of one."""
    counts = Counter(severity for turn in demo.IN_TURN for severity in turn)
    assert counts == dict.fromkeys(SEVERITIES, 3)
    assert all(list(turn) == sorted(set(turn)) for turn in demo.IN_TURN)


def test_the_next_source_has_other_severities(entries):
    found = {
        group: [e.severity for e in entries if e.group == group and e.distortion == "noise"]
        for group in ("astronaut", "flower")
    }
    assert found == {"astronaut": [1, 3, 5], "flower": [1, 2, 4]}


def test_the_same_bytes_each_time(entries, tmp_path):
    again = demo.make(tmp_path, seed=0, long_side=64, sources=TWO)
    assert [sha256_of(a.path) for a in again] == [sha256_of(b.path) for b in entries]
    assert [a.mos for a in again] == [b.mos for b in entries]
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(a.image_id for a in again)


def test_the_noise_depends_on_the_seed(entries, tmp_path):
    other = demo.make(tmp_path, seed=1, long_side=64, sources=TWO[:1])
    same = [sha256_of(a.path) == sha256_of(b.path) for a, b in zip(other, entries, strict=False)]
    assert same == [entry.distortion != "noise" for entry in other]


def test_the_pseudo_mos_is_never_negative():
    random = np.random.default_rng(0)
    image = random.integers(0, 256, (32, 32, 3)).astype(np.uint8)
    assert demo.pseudo_mos(image, image) == 100
    assert demo.pseudo_mos(255 - image, image) == 0


def test_every_source_is_installed():
    groups = [demo._installed(source).stem for source in demo.SOURCES]
    assert len(set(groups)) == len(groups) == 17


@pytest.mark.parametrize("source", ["skimage/data/none.png", "no_such_package/none.png"])
def test_a_missing_photograph_is_named(tmp_path, source):
    with pytest.raises(InputError, match=r"demo: needs .*none.png of the Python package .*install"):
        demo.make(tmp_path, seed=0, sources=[source])
