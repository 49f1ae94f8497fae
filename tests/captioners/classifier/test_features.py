"""The further hand-crafted features of the classifier, by hand-computed numbers."""

import numpy as np
import pytest

from rsfiqa.captioners.classifier.features import FEATURES, FURTHER, pixel_features
from rsfiqa.captioners.rule_based import features as rule_based

HALVES = np.repeat(np.array([[0, 1]], np.uint16), 32, axis=1).repeat(64, axis=0)  # 64 x 64


def features(image: np.ndarray, labels: np.ndarray = HALVES) -> list[dict[str, float]]:
    """Features of each region by their names."""
    return [dict(zip(FEATURES, row, strict=True)) for row in pixel_features(image, labels)]


def gray(values: np.ndarray) -> np.ndarray:
    return np.repeat(values.astype(np.uint8)[..., None], 3, axis=2)


def test_they_follow_those_of_the_rule_based_captioner():
    image = np.random.default_rng(0).integers(0, 256, (64, 64, 3), np.uint8)
    found = pixel_features(image, HALVES)
    assert (*rule_based.FEATURES, *FURTHER) == FEATURES
    np.testing.assert_array_equal(
        found[:, : len(rule_based.FEATURES)], rule_based.pixel_features(image, HALVES)
    )


def test_a_cast_shifts_light_and_dark_pixels_alike():
    """sRGB (200, 180, 160) and (60, 50, 40) have a = 4, b = 13 and a = 3, b = 8 in 8 bits."""
    image = np.full((64, 64, 3), (60, 50, 40), np.uint8)
    image[:16] = (200, 180, 160)
    for found in features(image):
        assert (found["light_a"], found["light_b"]) == (4, 13)
        assert (found["dark_a"], found["dark_b"]) == (3, 8)
        assert found["a"] == pytest.approx(0.25 * 4 + 0.75 * 3)
        assert found["spread_b"] == pytest.approx(np.sqrt(0.25 * 0.75) * 5)
    neutral = features(gray(np.full((64, 64), 90)))[0]
    assert [neutral[name] for name in ("a", "b", "light_a", "dark_b", "saturation")] == [0] * 5


def test_haze_is_the_lowest_channel_nearby():
    image = np.full((64, 64, 3), 64, np.uint8)
    image[:, 32:] = (64, 128, 255)
    image[20:30, 50:60] = 0  # 7 pixels further, all is dark
    left, right = features(image)
    assert (left["haze"], left["haze_light"]) == (8, pytest.approx(64 / 65))
    assert right["haze"] < 8
    assert (left["saturation"], right["saturation"]) == (
        0,
        pytest.approx((1 - 100 / 2048) * 191 / 255),
    )


def test_quartiles_of_lightness():
    """Of grays 0, 119 and 255, CIELAB lightness is 0, 50 and 100."""
    rows = np.repeat([0, 119, 119, 255], 16)
    found = features(gray(np.tile(rows[:, None], (1, 64))))[0]
    assert (found["quarter"], found["three_quarters"]) == (0, pytest.approx(50, abs=0.3))
    assert found["median"] == pytest.approx(50, abs=0.3)


def test_motion_leaves_edges_of_one_direction():
    """White noise has 0.5: neighboring differences share a pixel, so half of them agree."""
    noise = np.random.default_rng(0).uniform(0, 255, (64, 64))
    for found in features(gray(noise)):
        assert found["coherence"] == pytest.approx(0.5, abs=0.03)
        assert found["cross"] == pytest.approx(0.5, abs=0.03)
    for found in features(gray(np.tile(noise[:, :1], (1, 64)))):  # streaks
        assert found["coherence"] == pytest.approx(1, abs=0.01)
        assert found["cross"] == pytest.approx(0, abs=0.01)
    diagonal = np.add.outer(np.arange(64), np.arange(64)) * 2
    assert features(gray(diagonal))[0]["cross"] == pytest.approx(1, abs=0.1)


def test_detail_compares_gradients_with_those_at_half_the_size():
    """Steps of 0 and 60 in turn vanish at half the size: log(60.3 / 0.3)."""
    steps = np.tile([0, 60], (64, 32))
    found = features(gray(steps), np.zeros((64, 64), np.uint16))[0]
    assert found["detail"] == pytest.approx(np.log((60 * 63 / 64 + 0.3) / 0.3), abs=1e-4)
    assert found["half_gradient"] == pytest.approx(np.log(0.3))


def test_the_numbers_of_regions_do_not_matter():
    image = np.random.default_rng(1).integers(0, 256, (64, 64, 3), np.uint8)
    found, turned = pixel_features(image, HALVES), pixel_features(image, 1 - HALVES)
    np.testing.assert_allclose(found, turned[::-1], atol=1e-9)


@pytest.mark.parametrize("size", [(1, 1), (1, 9), (7, 1), (5, 6)])
def test_the_smallest_pictures_have_finite_features(size):
    image = np.random.default_rng(2).integers(0, 256, (*size, 3), np.uint8)
    labels = np.zeros(size, np.uint16)
    labels[-1:, -1:] = size != (1, 1)
    assert np.isfinite(pixel_features(image, labels)).all()
