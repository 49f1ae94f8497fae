import numpy as np
import pytest
import skimage
from skimage.color import rgb2lab
from skimage.metrics import peak_signal_noise_ratio

from rsfiqa.images.distort import (
    AUGMENTATION_FAMILIES,
    DISTORTIONS,
    MARGIN,
    SEVERITIES,
    VARIANTS,
    distort_region,
    random_distortion,
)
from rsfiqa.vocabulary import FAMILIES


@pytest.fixture(scope="module")
def chelsea():
    """A photograph of a cat, uint8 (300, 451, 3)."""
    return skimage.data.chelsea()


def test_families_are_those_of_the_captions():
    assert tuple(DISTORTIONS) == FAMILIES


@pytest.mark.parametrize("family", [*DISTORTIONS, *(f"{name} 1" for name in VARIANTS)])
def test_each_level_is_further_from_the_photograph(chelsea, family):
    name, *way = family.split()
    distorted = VARIANTS[name][1] if way else DISTORTIONS[name]
    found = [distorted(chelsea, severity, np.random.default_rng(0)) for severity in SEVERITIES]
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
    np.testing.assert_array_equal(
        random_distortion(small, 3), random_distortion(small, 3), strict=True
    )
    assert len({random_distortion(small, seed).tobytes() for seed in range(60)}) > 25


def test_copies_are_those_that_extracted_features_were_made_from():
    ramp = np.add.outer(np.arange(24), np.arange(32)).astype(np.uint8)
    image = np.stack([ramp, ramp[::-1], ramp + 90], axis=-1)
    found = [int(random_distortion(image, seed).astype(np.int64).sum()) for seed in range(5)]
    assert found == [108993, 131323, 125811, 130891, 40920]
    assert AUGMENTATION_FAMILIES == (
        "noise",
        "blur",
        "compression",
        "underexposure",
        "saturation_low",
    )


@pytest.mark.parametrize(
    ("family", "severity", "expected"),
    [
        ("overexposure", 3, (155, 242)),  # 100 and 156 times 2 ** (1.4 / 2.2)
        ("underexposure", 1, (80, 125)),  # times 2 ** (-0.7 / 2.2)
        ("contrast_high", 2, (85, 171)),  # 128 -+ 1.55 * 28
        ("contrast_low", 4, (121, 135)),  # 128 -+ 0.25 * 28
        ("pixelation", 1, (128, 128)),
        ("quantization", 5, (128, 128)),  # of 0, 128, 255
        ("quantization", 4, (128, 128)),  # of 0, 64, 128, 191, 255
        ("saturation_high", 5, (100, 156)),
        ("saturation_low", 5, (100, 156)),
    ],
)
def test_two_greys_by_hand(family, severity, expected):
    image = np.full((8, 8, 3), 100, np.uint8)
    image[:, ::2] = 156
    found = DISTORTIONS[family](image, severity, np.random.default_rng(0))
    assert [int(found[0, 1, 1]), int(found[0, 0, 1])] == pytest.approx(list(expected), abs=1)


def test_oversharpening_overshoots_at_an_edge():
    image = np.full((16, 16, 3), 100, np.uint8)
    image[:, 8:] = 150
    found = DISTORTIONS["oversharpening"](image, 3, np.random.default_rng(0))
    assert found[8, 7, 0] < 75
    assert found[8, 8, 0] > 175
    assert [found[8, 0, 0], found[8, 15, 0]] == [100, 150]


@pytest.mark.parametrize("family", DISTORTIONS)
def test_only_the_part_is_spoilt(chelsea, family):
    mask = np.zeros(chelsea.shape[:2], bool)
    mask[100:180, 130:250] = True
    found = distort_region(chelsea, mask, family, 4, np.random.default_rng(0))
    changed = (found != chelsea).any(axis=2)
    assert changed[mask].mean() > 0.8
    changed[100 - 5 : 180 + 5, 130 - 5 : 250 + 5] = False  # over which the border is blended
    assert not changed.any()


@pytest.mark.parametrize("family", ["blur", "compression", "pixelation"])
def test_inside_a_part_it_is_as_in_a_copy_of_the_whole(chelsea, family):
    mask = np.zeros(chelsea.shape[:2], bool)
    mask[:, 130:250] = True
    whole = DISTORTIONS[family](chelsea, 3, np.random.default_rng(0))
    found = distort_region(
        chelsea, mask, family, 3, np.random.default_rng(1)
    )  # draws JPEG of the two
    inner = np.s_[:, 130 + MARGIN : 250 - MARGIN]
    assert np.abs(found[inner].astype(int) - whole[inner]).mean() < 1.0
    assert np.abs(found[inner].astype(int) - chelsea[inner]).mean() > 2.0
