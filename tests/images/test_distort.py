import hashlib
from collections.abc import Iterable

import numpy as np
import pytest
import skimage
from skimage.color import rgb2lab
from skimage.metrics import peak_signal_noise_ratio

from rsfiqa.images.distort import MARGIN, distort, distort_region, random_distortion, variants
from rsfiqa.vocabulary import FAMILIES, SEVERITIES, augmentation_families

FUNCTIONS = [(family, i) for family in FAMILIES for i in range(len(FAMILIES[family].variants))]
# SHA-256 of the functions' outputs at severities 1 to 5; published products depend on each byte.
FUNCTION_DIGESTS = {
    "noise": "edf84d07e3fb5479ba2694a963c5f8537772cbe50fc483fa5ab230263daacf2c",
    "blur": "2b22cff9b6ce76d48c0b1b5780c2220e8012bb253fddfaddab21c9ee5249c8cb",
    "jpeg": "276034d342d7a4a68d1e5c4407fd013a87d51fec966729266a635cd74d846819",
    "webp": "9d7404d0b3ee0fac547324546949016942d0570d6cdd18261ee6231df57ac1e3",
    "overexposure": "9ed330ff1831199abf87ae432243648f8c26d5661048d71a8c3aa032b6c4706d",
    "underexposure": "623d1f0153cfe9dae507d18ae62d052f9a855b7308cf242cdf97276bf1adc13d",
    "contrast_high": "b536ba78ee44ad802061d5cda87eb58daf1a4749d5523f6d164afb25c9ab891e",
    "contrast_low": "243accec2edd95f3ef670d4ce9112005c0866b57a5588c4d67b15b3055fa38ce",
    "saturation_high": "c20976c7a436e8407cd4dd8faf1afaee089e24cba88551995b1fb76da0e59043",
    "saturation_low": "6bcfb8f9da56fb1191514f7db70911e980c991cc619dcac5e2960482b8663dd1",
    "oversharpening": "516e44a438b8e5254e7e5d66fcf8c18ce4fcab7b37fbab2df58a3586a61faf79",
    "pixelation": "a2b7e6d56078f2a305d7897e33313c0e1b2e4428a6cc024e37aea92a6222a775",
    "quantization": "0ac508eb73661278a3e31f364641cfc5641565903eaf8be94ec2ca09e6dc27f5",
}
REGION_DIGESTS = {
    "noise": "616476de0cc0f7d8f7625d07d2d2ff25abd65983d99e3f766ed09bbb1d8fdd95",
    "blur": "a377580c5fca321db3ec9627e99d9afb035409532c701cf1fd3a57c5ab8f5f01",
    "compression": "9d66e833c190e743c23a1287640eda1efd213c069f5b7b942391bde2f3a01a0b",
    "overexposure": "4a02774c6a235b4ad54dbde9a62dea3a47c2c2a01907677fb4593a04533b07b3",
    "underexposure": "007ee84ceba2bfcb28cbaa2cc85f0f93b68ca4a87bcbc47c14dba3a0478359d3",
    "contrast_high": "863c622f49d3c2d4e0933640612633bb582478a7bc13fdfb2f6395995bf0bea4",
    "contrast_low": "fe08b3e4e40fd75b108328e071f77f726642d1456e25582f9405b18a52c7ae0b",
    "saturation_high": "975b3ea3fc0e2626f409789e82ffef4bf1ad97869cd6da589934b20baf8d2382",
    "saturation_low": "0f67bf8fa3d8b56d922126c96adb173821bd5fdf699b6beb09549bd27c79c33c",
    "oversharpening": "658c4735c87c8ccd980f7ba862510b52c2f4d873cb538bb4b82dbd2a77eb60fa",
    "pixelation": "3b9271548dcd5b4ed8eb02426b21e81ad2e933a90954699fd774f055526170bf",
    "quantization": "b960d641db454725e32b3527b9967e29474e963ed889a3ddec846cc446338f98",
}
AUGMENTATION_DIGEST = "9d39481da6e89b65b7531bf1c11320f7c4c92809b0bdcbc19cbdf795eea23642"


@pytest.fixture(scope="module")
def chelsea():
    """A photograph of a cat, uint8 (300, 451, 3)."""
    return skimage.data.chelsea()


@pytest.fixture(scope="module")
def crop(chelsea):
    """A part of it, uint8 (100, 160, 3)."""
    return chelsea[40:140, 90:250].copy()


def digest(images: Iterable[np.ndarray]) -> str:
    return hashlib.sha256(np.stack(list(images)).tobytes()).hexdigest()


@pytest.mark.parametrize(("family", "variant"), FUNCTIONS)
def test_functions_return_the_published_bytes(crop, family, variant):
    function = variants(family)[variant]
    images = (function(crop, severity, np.random.default_rng(7)) for severity in SEVERITIES)
    assert digest(images) == FUNCTION_DIGESTS[function.__name__]


@pytest.mark.parametrize("family", FAMILIES)
def test_distorted_regions_have_the_published_bytes(crop, family):
    mask = np.zeros(crop.shape[:2], bool)
    mask[20:70, 30:110] = True
    images = (
        distort_region(crop, mask, family, severity, np.random.default_rng(severity))
        for severity in SEVERITIES
    )
    assert digest(images) == REGION_DIGESTS[family]


def test_augmentation_has_the_published_bytes(crop):
    assert digest(random_distortion(crop, seed) for seed in range(20)) == AUGMENTATION_DIGEST


@pytest.mark.parametrize(("family", "variant"), FUNCTIONS)
def test_each_severity_is_further_from_the_photograph(chelsea, family, variant):
    function = variants(family)[variant]
    images = [function(chelsea, severity, np.random.default_rng(0)) for severity in SEVERITIES]
    assert all(image.dtype == np.uint8 and image.shape == chelsea.shape for image in images)
    ratios = [peak_signal_noise_ratio(chelsea, image) for image in images]
    assert ratios == sorted(ratios, reverse=True)
    assert ratios[0] < 45


def test_noise_has_the_stated_deviation():
    grey = np.full((64, 64, 3), 128, np.uint8)
    noisy = distort(grey, "noise", 2, np.random.default_rng(0))
    assert noisy.std() == pytest.approx(10, rel=0.03)


def test_a_loss_of_saturation_keeps_lightness(chelsea):
    grey = distort(chelsea, "saturation_low", 5, np.random.default_rng(0))
    before, after = rgb2lab(chelsea), rgb2lab(grey)
    assert np.abs(after[..., 1:]).max() < 2
    assert np.abs(after[..., 0] - before[..., 0]).mean() < 1
    half = rgb2lab(distort(chelsea, "saturation_low", 3, np.random.default_rng(0)))
    ratio = np.linalg.norm(half[..., 1:], axis=-1).mean()
    assert ratio == pytest.approx(0.4 * np.linalg.norm(before[..., 1:], axis=-1).mean(), rel=0.05)


def test_the_seed_determines_family_and_severity(chelsea):
    small = chelsea[::8, ::8]
    np.testing.assert_array_equal(
        random_distortion(small, 3), random_distortion(small, 3), strict=True
    )
    assert len({random_distortion(small, seed).tobytes() for seed in range(60)}) > 25


def test_distorted_views_are_those_of_extracted_features():
    ramp = np.add.outer(np.arange(24), np.arange(32)).astype(np.uint8)
    image = np.stack([ramp, ramp[::-1], ramp + 90], axis=-1)
    sums = [int(random_distortion(image, seed).astype(np.int64).sum()) for seed in range(5)]
    assert sums == [108993, 131323, 125811, 130891, 40920]
    assert augmentation_families() == (
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
    result = distort(image, family, severity, np.random.default_rng(0))
    assert [int(result[0, 1, 1]), int(result[0, 0, 1])] == pytest.approx(list(expected), abs=1)


def test_oversharpening_overshoots_at_an_edge():
    image = np.full((16, 16, 3), 100, np.uint8)
    image[:, 8:] = 150
    result = distort(image, "oversharpening", 3, np.random.default_rng(0))
    assert result[8, 7, 0] < 75
    assert result[8, 8, 0] > 175
    assert [result[8, 0, 0], result[8, 15, 0]] == [100, 150]


@pytest.mark.parametrize("family", FAMILIES)
def test_only_the_region_is_distorted(chelsea, family):
    mask = np.zeros(chelsea.shape[:2], bool)
    mask[100:180, 130:250] = True
    result = distort_region(chelsea, mask, family, 4, np.random.default_rng(0))
    changed = (result != chelsea).any(axis=2)
    assert changed[mask].mean() > 0.8
    changed[100 - 5 : 180 + 5, 130 - 5 : 250 + 5] = False  # over which the border is blended
    assert not changed.any()


@pytest.mark.parametrize("family", ["blur", "compression", "pixelation"])
def test_inside_a_region_the_distortion_is_that_of_the_whole_image(chelsea, family):
    mask = np.zeros(chelsea.shape[:2], bool)
    mask[:, 130:250] = True
    whole = distort(chelsea, family, 3, np.random.default_rng(0))
    random = np.random.default_rng(1)  # draws JPEG of the two variants of compression
    result = distort_region(chelsea, mask, family, 3, random)
    inner = np.s_[:, 130 + MARGIN : 250 - MARGIN]
    assert np.abs(result[inner].astype(int) - whole[inner]).mean() < 1.0
    assert np.abs(result[inner].astype(int) - chelsea[inner]).mean() > 2.0
