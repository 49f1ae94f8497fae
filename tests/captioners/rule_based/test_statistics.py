import cv2
import numpy as np
import pytest
from numpy.testing import assert_allclose

from rsfiqa.captioners.rule_based.statistics import region_statistics

HALVES = np.repeat(np.repeat([[0, 1]], 128, 1), 256, 0).astype(np.uint16)
WHOLE = np.zeros((256, 256), np.uint16)


def grey(value: float = 128, shape=(256, 256)) -> np.ndarray:
    return np.full((*shape, 3), value, np.uint8)


def noisy(image: np.ndarray, sigma: float) -> np.ndarray:
    """The image with grey noise."""
    drawn = np.random.default_rng(0).normal(0, sigma, (*image.shape[:2], 1))
    return np.clip(np.rint(image + drawn), 0, 255).astype(np.uint8)


def compressed(image: np.ndarray, quality: int) -> np.ndarray:
    _, content = cv2.imencode(".jpg", image[..., ::-1], [cv2.IMWRITE_JPEG_QUALITY, quality])
    return cv2.imdecode(content, cv2.IMREAD_COLOR)[..., ::-1]


@pytest.mark.parametrize("sigma", [2, 5, 10])
def test_known_noise_is_recovered(sigma):
    found = region_statistics(noisy(grey(), sigma), HALVES).noise
    assert_allclose(found, sigma, rtol=0.1)


def test_no_noise_in_a_flat_picture():
    assert_allclose(region_statistics(grey(), WHOLE).noise, 0, atol=1e-6)


def test_blur_rises_with_blur(astronaut):
    found = [
        region_statistics(cv2.GaussianBlur(astronaut, (0, 0), sigma), WHOLE).blur[0]
        for sigma in (0.01, 1, 2, 4)
    ]
    assert (np.diff(found) > 0.03).all()
    assert 0 < found[0] < found[-1] < 1


def test_blockiness_rises_with_compression(astronaut):
    qualities = (90, 30, 10, 4)
    found = [region_statistics(compressed(astronaut, q), WHOLE).blockiness[0] for q in qualities]
    assert (np.diff(found) > 0).all()
    assert region_statistics(astronaut, WHOLE).blockiness[0] == pytest.approx(1, abs=0.1)


def test_color_by_hand():
    image = grey()
    image[:, :128] = (255, 0, 0)  # L 53.24, a 80.09, b 67.20 in CIELAB (D65)
    found = region_statistics(image, HALVES)
    assert_allclose(found.lightness, [53.24, 53.59], atol=0.5)
    assert_allclose(found.a, [80.09, 0], atol=1)
    assert_allclose(found.b, [67.20, 0], atol=1)
    assert_allclose(found.chroma, [104.55, 0], atol=1)
    assert_allclose(found.contrast, 0, atol=0.1)


@pytest.mark.parametrize("shape", [(1, 1), (1, 9), (9, 1), (2, 2), (8, 8), (17, 9)])
def test_tiny_images_have_finite_statistics(shape):
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3)).astype(np.uint8)
    labels = np.arange(image[..., 0].size, dtype=np.uint16).reshape(shape)  # a region per pixel
    for name, values in region_statistics(image, labels).__dict__.items():
        assert np.isfinite(values).all(), name
        assert np.shape(values) in ((labels.size,), ()), name
