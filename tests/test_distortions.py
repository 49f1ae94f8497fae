import numpy as np
import pytest
import skimage
from skimage.color import rgb2lab
from skimage.metrics import peak_signal_noise_ratio

from rsfiqa.captions import FAMILIES
from rsfiqa.distortions import DISTORTIONS, LEVELS, distort


@pytest.fixture(scope="module")
def chelsea():
    """A photograph of a cat, uint8 (300, 451, 3)."""
    return skimage.data.chelsea()


def test_families_are_those_of_the_captions():
    assert set(DISTORTIONS) <= set(FAMILIES)


@pytest.mark.parametrize("family", DISTORTIONS)
def test_each_level_is_further_from_the_photograph(chelsea, family):
    found = [DISTORTIONS[family](chelsea, level, np.random.default_rng(0)) for level in LEVELS]
    assert all(image.dtype == np.uint8 and image.shape == chelsea.shape for image in found)
    ratios = [peak_signal_noise_ratio(chelsea, image) for image in found]
    assert ratios == sorted(ratios, reverse=True)
    assert ratios[0] < 45


def test_noise_has_the_stated_deviation():
    grey = np.full((64, 64, 3), 128, np.uint8)
    noisy = DISTORTIONS["noise"](grey, 2, np.random.default_rng(0))
    assert noisy.std() == pytest.approx(10, rel=0.03)


def test_a_loss_of_saturation_keeps_lightness(chelsea):
    grey = DISTORTIONS["saturation_low"](chelsea, 5, np.random.default_rng(0))
    before, after = rgb2lab(chelsea), rgb2lab(grey)
    assert np.abs(after[..., 1:]).max() < 2
    assert np.abs(after[..., 0] - before[..., 0]).mean() < 1
    half = rgb2lab(DISTORTIONS["saturation_low"](chelsea, 3, np.random.default_rng(0)))
    ratio = np.linalg.norm(half[..., 1:], axis=-1).mean()
    assert ratio == pytest.approx(0.4 * np.linalg.norm(before[..., 1:], axis=-1).mean(), rel=0.05)


def test_a_seed_chooses_family_and_level(chelsea):
    small = chelsea[::8, ::8]
    np.testing.assert_array_equal(distort(small, 3), distort(small, 3), strict=True)
    assert len({distort(small, seed).tobytes() for seed in range(60)}) > 25
