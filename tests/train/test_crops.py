import numpy as np
import pytest

from rsfiqa.region_layout import coverage
from rsfiqa.train.crops import random_crop

SEEDS = range(12)


@pytest.fixture
def scene():
    """An image 60 x 80 of three colors, one per region: left, top right, bottom right."""
    labels = np.zeros((30, 40), np.uint16)
    labels[:, 20:] = 1
    labels[15:, 20:] = 2
    colors = np.array([[10, 0, 0], [0, 20, 0], [0, 0, 30]], np.uint8)
    return colors[labels].repeat(2, axis=0).repeat(2, axis=1), labels


def crop(scene, seed, side=40, distorted_fraction=0):
    image, labels = scene
    return random_crop(
        image,
        labels,
        max_regions=5,
        side=side,
        grid=4,
        seed=seed,
        distorted_fraction=distorted_fraction,
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_image_and_regions_stay_together(scene, seed):
    """The fraction of a grid cell with a region's color is the coverage of the region."""
    made = crop(scene, seed)
    pixels = made.pixels
    assert pixels.shape == (3, 40, 40)
    for region, color in enumerate((10, 20, 30)):
        fraction = (pixels[region] == color).reshape(4, 10, 4, 10).mean((1, 3)).ravel()
        np.testing.assert_allclose(made.coverage[region], fraction, atol=1e-6)
    assert made.present.tolist() == [bool(part.any()) for part in made.coverage]
    np.testing.assert_allclose(made.coverage.sum(0), 1, atol=1e-6)


@pytest.mark.parametrize("seed", SEEDS)
def test_geometry_is_that_of_the_crop(scene, seed):
    made = crop(scene, seed)
    for region, color in enumerate((10, 20, 30)):
        inside = made.pixels[region] == color
        if not inside.any():
            assert (made.geometry[region] == 0).all()
            continue
        y, x = np.nonzero(inside)
        area, cx, cy, *box = made.geometry[region].tolist()
        assert area == pytest.approx(np.log(inside.mean()), abs=1e-5)
        assert (cx, cy) == pytest.approx(((x.mean() + 0.5) / 40, (y.mean() + 0.5) / 40), abs=1e-5)
        edges = (x.min(), y.min(), x.max() + 1, y.max() + 1)
        assert box == pytest.approx([edge / 40 for edge in edges], abs=1e-5)


def test_crops_differ_and_depend_only_on_the_seed(scene):
    noise = np.random.default_rng(0).integers(0, 256, (60, 80, 3)).astype(np.uint8)
    made = [crop((noise, scene[1]), seed).pixels.tobytes() for seed in SEEDS]
    assert len(set(made)) == len(made)
    assert made == [crop((noise, scene[1]), seed).pixels.tobytes() for seed in SEEDS]


def test_an_image_smaller_than_the_crop_is_kept_whole(scene):
    made = crop(scene, 0, side=100)
    assert made.pixels.shape == (3, 60, 80)
    mirrored = bool((made.pixels[0, :, -1] == 10).all())
    labels = scene[1][:, ::-1] if mirrored else scene[1]
    whole = coverage(np.ascontiguousarray(labels), 4)
    np.testing.assert_allclose(made.coverage[:3], whole, atol=1e-6)


@pytest.mark.parametrize("seed", SEEDS)
def test_one_region_is_distorted_and_the_others_are_not(scene, seed):
    noise = np.random.default_rng(0).integers(0, 256, (60, 80, 3)).astype(np.uint8)
    plain = crop((noise, scene[1]), seed)
    assert (plain.distorted, plain.region) == (None, -1)
    made = crop((noise, scene[1]), seed, distorted_fraction=1)
    np.testing.assert_array_equal(made.pixels, plain.pixels)
    assert made.present[made.region]
    changed = (made.distorted != made.pixels).any(0).reshape(4, 10, 4, 10).mean((1, 3)).ravel()
    own = made.coverage[made.region]
    assert changed[own == 1].min(initial=1) > 0.5
    assert changed[own == 0].mean() < 0.1  # its border is blended


def test_a_fraction_of_the_crops_has_a_distorted_region(scene):
    crops = [crop(scene, seed, distorted_fraction=0.25) for seed in range(80)]
    assert 10 < sum(each.distorted is not None for each in crops) < 32
    assert {each.region for each in crops} == {-1, 0, 1, 2}
