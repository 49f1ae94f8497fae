import io

import numpy as np
import pytest
from PIL import Image, ImageFilter
from skimage import data

from rsfiqa.images.enlarged import has_more_detail

PHOTOGRAPHS = {"astronaut": data.astronaut, "coffee": data.coffee, "chelsea": data.chelsea}
FILTERS = ("BILINEAR", "BICUBIC", "LANCZOS")


def jpeg(picture: Image.Image, quality: int) -> np.ndarray:
    file = io.BytesIO()
    picture.save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


def smaller(picture: Image.Image, ratio: float) -> Image.Image:
    size = [round(side / ratio) for side in picture.size]
    return picture.resize(size, Image.Resampling.LANCZOS)


@pytest.mark.parametrize("ratio", [1.5, 2, 3])
@pytest.mark.parametrize("name", ["astronaut", "coffee"])
def test_an_original_shows_more_than_its_smaller_copy(name, ratio):
    original = Image.fromarray(PHOTOGRAPHS[name]())
    assert has_more_detail(jpeg(original, 92), jpeg(smaller(original, ratio), 92))


@pytest.mark.parametrize("name", ["astronaut", "coffee"])
def test_a_dark_original_shows_more_than_its_brighter_smaller_copy(name):
    original = Image.fromarray(PHOTOGRAPHS[name]())
    dark = Image.fromarray((0.2 * np.asarray(original)).astype(np.uint8))
    assert has_more_detail(jpeg(dark, 92), jpeg(smaller(original, 2), 92))
    enlarged = smaller(original, 2).resize(original.size, Image.Resampling.BICUBIC)
    dark = Image.fromarray((0.2 * np.asarray(enlarged)).astype(np.uint8))
    assert not has_more_detail(jpeg(dark, 92), jpeg(smaller(original, 2), 92))


@pytest.mark.parametrize("ratio", [1.25, 1.5, 2, 3])
@pytest.mark.parametrize("name", PHOTOGRAPHS)
@pytest.mark.parametrize("resampling", FILTERS)
def test_an_enlargement_does_not(name, resampling, ratio):
    original = Image.fromarray(PHOTOGRAPHS[name]())
    small = jpeg(smaller(original, ratio), 92)
    large = Image.fromarray(small).resize(original.size, Image.Resampling[resampling])
    assert not has_more_detail(jpeg(large, 85), small)


def test_a_larger_but_blurrier_picture_does_not():
    original = Image.fromarray(data.astronaut())
    blurred = np.asarray(original.filter(ImageFilter.GaussianBlur(2)))
    assert not has_more_detail(blurred, np.asarray(smaller(original, 2)))


def test_pictures_of_about_one_size_show_as_much():
    image = data.astronaut()
    assert not has_more_detail(image, image[:-40, :-40])


def test_large_pictures_are_examined_in_the_middle():
    picture = Image.fromarray(data.astronaut()).resize((3000, 3000), Image.Resampling.LANCZOS)
    noise = np.random.default_rng(0).normal(0, 12, (3000, 3000, 1))
    original = np.clip(np.asarray(picture) + noise, 0, 255).astype(np.uint8)
    small = Image.fromarray(original).resize((1500, 1500), Image.Resampling.BOX)
    assert has_more_detail(original, np.asarray(small))
    assert not has_more_detail(np.asarray(small.resize((3000, 3000))), np.asarray(small))


def test_flat_pictures():
    assert not has_more_detail(np.zeros((200, 200, 3), np.uint8), np.zeros((50, 50, 3), np.uint8))
