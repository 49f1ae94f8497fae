import numpy as np
import pytest

from rsfiqa.captioners.rule_based.features import FEATURES, pixel_features
from rsfiqa.captioners.rule_based.statistics import region_statistics
from rsfiqa.images.distort import PIXELATION, QUANTIZATION, distort

HALVES = np.repeat(np.repeat([[0, 1]], 128, 1), 256, 0).astype(np.uint16)


def named(image: np.ndarray, labels: np.ndarray = HALVES) -> dict[str, np.ndarray]:
    found = pixel_features(image, labels, region_statistics(image, labels))
    return dict(zip(FEATURES, found.T, strict=True))


def distorted(image: np.ndarray, family: str, severity: int) -> np.ndarray:
    """The right half distorted."""
    worse = distort(image, family, severity, np.random.default_rng(0))
    return np.concatenate([image[:, :128], worse[:, 128:]], axis=1)


@pytest.mark.parametrize("severity", [1, 2, 3, 4, 5])
def test_blocks_of_pixels_are_found_with_their_side(astronaut, severity):
    found = np.exp(named(distorted(astronaut, "pixelation", severity))["side"])
    np.testing.assert_allclose(found, [1, PIXELATION[severity - 1]])


@pytest.mark.parametrize("severity", [1, 3, 5])
def test_few_values_are_counted(astronaut, severity):
    found = np.exp(named(distorted(astronaut, "quantization", severity))["values"]) - 1
    assert found[0] > 40
    assert QUANTIZATION[severity - 1] * 0.5 <= found[1] <= QUANTIZATION[severity - 1] + 1e-9


def test_blocks_of_coders(astronaut):
    found = named(distorted(astronaut, "compression", 5))
    assert np.exp(found["blocks_8"][0]) == pytest.approx(1, abs=0.1)
    assert np.exp(found["blocks_8"][1]) > 1.5


def test_clipped_and_even_by_hand():
    image = np.full((256, 256, 3), 128, np.uint8)
    image[:, :64] = 255
    image[:64, 128:] = 0
    image[64:128, 128:] = (255, 0, 0)
    found = named(image)
    np.testing.assert_allclose(found["whites"] ** 2, [0.5, 0])
    np.testing.assert_allclose(found["blacks"] ** 2, [0, 0.25])
    np.testing.assert_allclose(found["clipped_high"] ** 2, [0.5, 0.25])
    np.testing.assert_allclose(found["clipped_low"] ** 2, [0, 0.5])
    np.testing.assert_allclose(found["clipped_color"] ** 2, [0, 0.25])
    assert (found["even"] > 0.98).all()
    np.testing.assert_allclose(found["lightest"][0], 100)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (2, 2), (8, 8), (17, 9)])
def test_tiny_images_have_finite_features(shape):
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3)).astype(np.uint8)
    labels = np.arange(image[..., 0].size, dtype=np.uint16).reshape(shape)  # a region per pixel
    assert np.isfinite(pixel_features(image, labels, region_statistics(image, labels))).all()


def test_the_numbering_of_regions_does_not_change_their_features(astronaut):
    found = pixel_features(astronaut, HALVES, region_statistics(astronaut, HALVES))
    turned = pixel_features(astronaut, 1 - HALVES, region_statistics(astronaut, 1 - HALVES))
    np.testing.assert_allclose(found, turned[::-1])
