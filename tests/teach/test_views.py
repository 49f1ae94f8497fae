from collections import Counter

import numpy as np
import pytest
import skimage

from rsfiqa.images.distort import SEVERITIES
from rsfiqa.teach import views
from rsfiqa.teach.views import CHAIN, OPPOSITE
from rsfiqa.vocabulary import FAMILIES

LABELS = np.repeat(np.repeat([[0, 1, 2], [3, 4, 5]], 64, 0), 64, 1).astype(np.uint16)


@pytest.fixture(scope="module")
def coffee():
    """A photograph, uint8 (128, 192, 3)."""
    return skimage.data.coffee()[100:228, 150:342].copy()


def taught(coffee, kind, seed=0, **changes):
    options = {"questions": 3, "two_distortions_fraction": 0.0} | changes
    return views.taught(coffee, LABELS, kind, random=np.random.default_rng(seed), **options)


def changed(view) -> np.ndarray:
    return (view.image != view.pristine).any(axis=2)


def test_of_five_views_one_is_pristine_two_are_global_two_local():
    assert Counter(views.KINDS) == {"pristine": 1, "global": 2, "local": 2}


def test_every_family_at_every_level_once_and_none_as_often_as_a_family():
    found = list(views.every_one())
    named = Counter((one.family, one.severity) for several in found for one in several)
    assert named == {(family, severity): 1 for family in FAMILIES for severity in SEVERITIES}
    assert found.count(()) == len(SEVERITIES)


def test_a_view_is_a_part_of_the_photograph_perhaps_mirrored(coffee):
    seen = set()
    for seed in range(8):
        image, labels = views.view_of(coffee, LABELS, np.random.default_rng(seed))
        assert image.shape[:2] == labels.shape
        assert all(0.59 * a <= b <= a for a, b in zip(LABELS.shape, labels.shape, strict=True))
        assert set(np.unique(labels)) == set(range(labels.max() + 1))
        windows = np.lib.stride_tricks.sliding_window_view(coffee, (*labels.shape, 3))[
            ..., 0, :, :, :
        ]
        both = [(windows == each).all(axis=(2, 3, 4)).any() for each in (image, image[:, ::-1])]
        assert any(both)
        seen.add(both[0])
    assert seen == {True, False}


def test_a_varied_photograph_keeps_its_regions():
    """Regions differ by lightness alone; they still do, in the same order, wherever they went."""
    image = np.repeat((40 + 35 * LABELS).astype(np.uint8)[..., None], 3, 2)
    shapes, first = set(), set()
    for seed in range(40):
        found, labels = views.varied(image, LABELS, np.random.default_rng(seed))
        assert found.shape == (*labels.shape, 3)
        assert found.dtype == np.uint8
        light = [np.median(found[labels == region]) for region in range(6)]
        assert light == sorted(set(light))
        shapes.add(labels.shape)
        first.add(light[0])
    assert shapes == {(128, 192), (192, 128)}  # as small as it is, it is not reduced
    assert 36 <= min(first) < 40 < max(first) <= 45


def test_varied_photographs_are_reduced_at_most_by_half():
    image = np.zeros((300, 900, 3), np.uint8)
    labels = np.zeros((300, 900), np.uint16)
    sides = {
        tuple(sorted(views.varied(image, labels, np.random.default_rng(seed))[1].shape))
        for seed in range(40)
    }
    assert len(sides) > 10
    assert max(sides) == (300, 900)
    assert 220 <= min(sides)[0] < 240


def test_varied_by_the_seed_alone(coffee):
    found = [views.varied(coffee, LABELS, np.random.default_rng(s))[0] for s in (1, 1, 2, 3, 4)]
    assert np.array_equal(found[0], found[1])
    assert len({image.tobytes() for image in found}) > 2


def test_pristine(coffee):
    view = taught(coffee, "pristine")
    assert not changed(view).any()
    assert list(view.asked.values()) == [()] * 3


def test_global(coffee):
    view = taught(coffee, "global", seed=3)
    (distortions,) = set(view.asked.values())
    assert len(distortions) == 1
    assert changed(view)[:8].any()
    assert changed(view)[-8:].any()


def test_local_has_regions_with_distortions_of_their_own_and_one_without(coffee):
    for seed in range(6):
        view = taught(coffee, "local", seed)
        spoilt = [region for region, distortions in view.asked.items() if distortions]
        assert len(view.asked) == 3
        assert len(spoilt) == 2
        inside = np.isin(view.labels, spoilt)
        assert changed(view)[inside].mean() > 0.1
        blended = skimage.morphology.dilation(inside, np.ones((11, 11)))
        assert not changed(view)[~blended].any()


def test_tested_views_have_one_spoilt_region(coffee):
    blur = views.tested(coffee, LABELS, next(views.every_one()), np.random.default_rng(0))
    assert blur.kind == "local"
    ((region, distortions),) = blur.asked.items()
    assert [one.family for one in distortions] == [FAMILIES[0]]
    assert changed(blur)[blur.labels == region].mean() > 0.8
    none = views.tested(coffee, LABELS, (), np.random.default_rng(0))
    assert none.kind == "pristine"
    assert not changed(none).any()


def test_two_distortions_come_in_order_and_do_not_undo_each_other():
    random = np.random.default_rng(0)
    drawn = [views.draw(random, two_distortions_fraction=1.0) for _ in range(300)]
    for pair in drawn:
        first, second = (CHAIN.index(one.family) for one in pair)
        assert first < second
        assert {one.family for one in pair} not in OPPOSITE
    assert {one.family for pair in drawn for one in pair} == set(FAMILIES)


def test_the_chain_has_every_family():
    assert sorted(CHAIN) == sorted(FAMILIES)


def test_small_regions_are_not_asked_about(coffee):
    labels = np.zeros(LABELS.shape, np.uint16)
    labels[:8, :8] = 1
    for seed in range(4):
        view = views.taught(
            coffee,
            labels,
            "local",
            questions=5,
            two_distortions_fraction=0,
            random=np.random.default_rng(seed),
        )
        assert list(view.asked) == [0]
