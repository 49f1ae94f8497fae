from collections import Counter

import numpy as np
import pytest
import skimage

from rsfiqa.teach import views
from rsfiqa.vocabulary import FAMILIES, SEVERITIES, are_opposite, imaging_order

LABELS = np.repeat(np.repeat([[0, 1, 2], [3, 4, 5]], 64, 0), 64, 1).astype(np.uint16)


@pytest.fixture(scope="module")
def coffee():
    """A photograph, uint8 (128, 192, 3)."""
    return skimage.data.coffee()[100:228, 150:342].copy()


def training_view(coffee, kind, seed=0, **changes):
    options = {"regions": 3, "two_distortions_fraction": 0.0} | changes
    random = np.random.default_rng(seed)
    return views.training_view(coffee, LABELS, kind, random=random, **options)


def changed(view) -> np.ndarray:
    return (view.image != view.pristine).any(axis=2)


def test_of_five_views_one_is_pristine_two_are_global_two_local():
    assert Counter(views.KINDS) == {"pristine": 1, "global": 2, "local": 2}


def test_every_family_at_every_severity_once_and_none_as_often_as_a_family():
    all_distortions = list(views.all_distortions())
    named = Counter((one.family, one.severity) for several in all_distortions for one in several)
    assert named == {(family, severity): 1 for family in FAMILIES for severity in SEVERITIES}
    assert all_distortions.count(()) == len(SEVERITIES)


def test_a_crop_is_a_part_of_the_photograph_sometimes_mirrored(coffee):
    is_plain = set()
    for seed in range(8):
        image, labels = views.random_crop(coffee, LABELS, np.random.default_rng(seed))
        assert image.shape[:2] == labels.shape
        assert all(0.59 * a <= b <= a for a, b in zip(LABELS.shape, labels.shape, strict=True))
        assert set(np.unique(labels)) == set(range(labels.max() + 1))
        windows = np.lib.stride_tricks.sliding_window_view(coffee, (*labels.shape, 3))[
            ..., 0, :, :, :
        ]
        both = [(windows == each).all(axis=(2, 3, 4)).any() for each in (image, image[:, ::-1])]
        assert any(both)
        is_plain.add(both[0])
    assert is_plain == {True, False}


def test_an_augmented_photograph_keeps_its_regions():
    """Regions differ by lightness alone; they still do, in the same order, wherever they are."""
    image = np.repeat((40 + 35 * LABELS).astype(np.uint8)[..., None], 3, 2)
    shapes, darkest = set(), set()
    for seed in range(40):
        augmented, labels = views.augment(image, LABELS, np.random.default_rng(seed))
        assert augmented.shape == (*labels.shape, 3)
        assert augmented.dtype == np.uint8
        light = [np.median(augmented[labels == region]) for region in range(6)]
        assert light == sorted(set(light))
        shapes.add(labels.shape)
        darkest.add(light[0])
    assert shapes == {(128, 192), (192, 128)}  # too small to be reduced
    assert 36 <= min(darkest) < 40 < max(darkest) <= 45


def test_augmentation_reduces_by_a_half_at_most():
    image = np.zeros((300, 900, 3), np.uint8)
    labels = np.zeros((300, 900), np.uint16)
    sides = {
        tuple(sorted(views.augment(image, labels, np.random.default_rng(seed))[1].shape))
        for seed in range(40)
    }
    assert len(sides) > 10
    assert max(sides) == (300, 900)
    assert 220 <= min(sides)[0] < 240


def test_augmentation_depends_on_the_seed_alone(coffee):
    images = [
        views.augment(coffee, LABELS, np.random.default_rng(seed))[0] for seed in (1, 1, 2, 3, 4)
    ]
    assert np.array_equal(images[0], images[1])
    assert len({image.tobytes() for image in images}) > 2


def test_a_pristine_view_is_unchanged(coffee):
    view = training_view(coffee, "pristine")
    assert not changed(view).any()
    assert list(view.distortions.values()) == [()] * 3


def test_a_global_view_has_one_distortion_everywhere(coffee):
    view = training_view(coffee, "global", seed=3)
    (distortions,) = set(view.distortions.values())
    assert len(distortions) == 1
    assert changed(view)[:8].any()
    assert changed(view)[-8:].any()


def test_a_local_view_has_regions_with_distortions_of_their_own_and_one_without(coffee):
    for seed in range(6):
        view = training_view(coffee, "local", seed)
        distorted = [region for region, distortions in view.distortions.items() if distortions]
        assert len(view.distortions) == 3
        assert len(distorted) == 2
        inside = np.isin(view.labels, distorted)
        assert changed(view)[inside].mean() > 0.1
        blended = skimage.morphology.dilation(inside, np.ones((11, 11)))
        assert not changed(view)[~blended].any()


def test_evaluation_views_have_one_distorted_region(coffee):
    first = next(views.all_distortions())
    view = views.evaluation_view(coffee, LABELS, first, np.random.default_rng(0))
    assert view.kind == "local"
    ((region, distortions),) = view.distortions.items()
    assert [one.family for one in distortions] == [next(iter(FAMILIES))]
    assert changed(view)[view.labels == region].mean() > 0.8
    none = views.evaluation_view(coffee, LABELS, (), np.random.default_rng(0))
    assert none.kind == "pristine"
    assert not changed(none).any()


def test_two_distortions_come_in_imaging_order_and_do_not_undo_each_other():
    random, order = np.random.default_rng(0), imaging_order()
    drawn = [views.draw_distortions(random, two_distortions_fraction=1.0) for _ in range(300)]
    for first, second in drawn:
        assert order.index(first.family) < order.index(second.family)
        assert not are_opposite(first.family, second.family)
    assert {one.family for pair in drawn for one in pair} == set(FAMILIES)


def test_imaging_order_has_every_family():
    assert sorted(imaging_order()) == sorted(FAMILIES)


def test_examples_are_not_about_small_regions(coffee):
    labels = np.zeros(LABELS.shape, np.uint16)
    labels[:8, :8] = 1
    for seed in range(4):
        view = views.training_view(
            coffee,
            labels,
            "local",
            regions=5,
            two_distortions_fraction=0,
            random=np.random.default_rng(seed),
        )
        assert list(view.distortions) == [0]
