"""Pictures without color, and pictures that show nothing."""

import numpy as np
import pytest

from rsfiqa.datasets import demo
from rsfiqa.images.appearance import COLORED, is_blank, is_colorless
from rsfiqa.images.distort import distort


@pytest.fixture(scope="module")
def photograph():
    return demo.photograph("skimage/data/coffee.png")


def changed(photograph, family, severity):
    return distort(photograph, family, severity, np.random.default_rng(0))


def grey(photograph):
    return changed(photograph, "saturation_low", 5)


def test_a_black_and_white_picture_has_no_color(photograph):
    assert is_colorless(grey(photograph))
    assert not is_colorless(changed(photograph, "saturation_low", 3))


def test_a_toned_print_counts_as_black_and_white(photograph):
    toned = grey(photograph).astype(int)
    for tone, expected in ((COLORED - 2, True), (COLORED + 2, False)):
        warm = np.clip(toned + np.array([tone, tone // 2, 0]), 0, 255).astype(np.uint8)
        assert is_colorless(warm) is expected


def test_colored_eyes_are_too_few_pixels_to_count():
    picture = np.full((100, 100, 3), 90, np.uint8)
    picture[:10, :9, 0] = 200
    assert is_colorless(picture)
    picture[:10, :12, 0] = 200
    assert not is_colorless(picture)


@pytest.mark.parametrize("shape", [(1, 1), (1, 3000), (3000, 1)])
def test_pictures_of_any_shape(shape):
    picture = np.full((*shape, 3), 90, np.uint8)
    assert is_colorless(picture)
    assert is_blank(picture)


@pytest.mark.parametrize("color", [(0, 0, 0), (255, 255, 255), (30, 60, 200)])
def test_one_color_with_noise_is_blank(color):
    noise = np.random.default_rng(0).normal(0, 3, (480, 640, 3))
    assert is_blank(np.clip(np.array(color) + noise, 0, 255).astype(np.uint8))


def test_a_gradient_and_a_photograph_are_not_blank(photograph):
    sky = np.linspace(100, 112, 640).astype(np.uint8)
    assert not is_blank(np.broadcast_to(sky[None, :, None], (480, 640, 3)).copy())
    assert not is_blank(photograph)
    assert not is_blank(changed(photograph, "underexposure", 4))
