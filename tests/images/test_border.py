"""Borders of photographs: found in any color and after compression; skies and studios stay."""

import io

import cv2
import numpy as np
import pytest
import skimage
from PIL import Image
from sklearn.datasets import load_sample_image

from rsfiqa.images.border import content_box, crop, has_border, pad_grid, pad_labels

PHOTOGRAPHS = ("astronaut", "chelsea", "coffee", "china", "flower", "rocket")
THICKNESS = {"letterbox": ((40, 60), (0, 0)), "pillarbox": ((0, 0), (75, 50))}
THICKNESS["frame"] = ((21, 30), (25, 17))
COLORS = {"black": (0, 0, 0), "white": (255, 255, 255), "grey": (128, 128, 128), "red": (200, 9, 9)}


def photograph(name: str) -> np.ndarray:
    if name in ("china", "flower"):
        return load_sample_image(f"{name}.jpg")
    return getattr(skimage.data, name)()


def bordered(image: np.ndarray, kind: str, color: tuple[int, int, int]) -> np.ndarray:
    rows, columns = THICKNESS[kind]
    return cv2.copyMakeBorder(image, *rows, *columns, cv2.BORDER_CONSTANT, value=color)


def expected_box(image: np.ndarray, kind: str) -> tuple[int, int, int, int]:
    (top, _), (left, _) = THICKNESS[kind]
    return left, top, left + image.shape[1], top + image.shape[0]


def as_jpeg(image: np.ndarray, quality: int) -> np.ndarray:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "JPEG", quality=quality)
    return np.asarray(Image.open(file))


@pytest.mark.parametrize("kind", THICKNESS)
@pytest.mark.parametrize("color", COLORS)
@pytest.mark.parametrize("name", ["chelsea", "coffee", "china"])
def test_a_border_is_found(name, color, kind):
    image = photograph(name)
    whole = bordered(image, kind, COLORS[color])
    assert content_box(whole) == expected_box(image, kind)
    np.testing.assert_array_equal(crop(whole, content_box(whole)), image)


@pytest.mark.parametrize("quality", [95, 75, 40])
@pytest.mark.parametrize("kind", THICKNESS)
@pytest.mark.parametrize("color", ["black", "white", "grey"])
def test_a_compressed_border_is_found_to_two_pixels(color, kind, quality):
    image = photograph("chelsea")
    whole = as_jpeg(bordered(image, kind, COLORS[color]), quality)
    np.testing.assert_allclose(content_box(whole), expected_box(image, kind), atol=2)


def test_a_picture_with_a_side_of_the_borders_color():
    image = photograph("chelsea").copy()
    image[:100, :270] = 0  # 60 % of the upper edge
    whole = bordered(image, "letterbox", (0, 0, 0))
    assert content_box(whole) == expected_box(image, "letterbox")


def test_a_scanned_line_beside_the_border():
    image = photograph("coffee").copy()
    image[:2] = image[-1:] = 99
    whole = bordered(image, "letterbox", (128, 128, 128))
    np.testing.assert_allclose(content_box(whole), expected_box(image, "letterbox"), atol=2)


@pytest.mark.parametrize("name", PHOTOGRAPHS)
def test_photographs_have_none(name):
    image = photograph(name)
    assert content_box(image) == (0, 0, *image.shape[1::-1])
    assert not has_border(image)


def sky() -> np.ndarray:
    """Clipped white above and below an uneven horizon."""
    image = np.full((200, 300, 3), 255, np.uint8)
    for x in range(300):
        hill = int(30 * np.sin(x / 40))
        image[80 + hill : 150 + hill // 2, x] = (60, 90, 50)
    return image


def studio() -> np.ndarray:
    """A round object on white."""
    image = np.full((200, 300, 3), 255, np.uint8)
    return cv2.circle(image, (150, 100), 60, (180, 30, 30), -1)


def vignette() -> np.ndarray:
    """A picture that fades to black at both sides."""
    light = np.clip(np.sin(np.linspace(-0.3, np.pi + 0.3, 300)), 0, 1)
    return np.repeat(np.tile(255 * light, (200, 1))[..., None], 3, 2).astype(np.uint8)


def one_bar() -> np.ndarray:
    """A bar at one side only, such as the strip of a clock."""
    return np.concatenate([np.zeros((40, 451, 3), np.uint8), photograph("chelsea")])


def two_colors() -> np.ndarray:
    """Bars of two colors, such as a flag's."""
    black, white = np.zeros((40, 451, 3), np.uint8), np.full((40, 451, 3), 255, np.uint8)
    return np.concatenate([black, photograph("chelsea"), white])


def thin() -> np.ndarray:
    """A scanner's line of two pixels."""
    return cv2.copyMakeBorder(photograph("chelsea"), 2, 2, 2, 2, cv2.BORDER_CONSTANT)


def thick() -> np.ndarray:
    """Bars of more than 45 % of the height."""
    return cv2.copyMakeBorder(photograph("chelsea")[:40], 200, 200, 0, 0, cv2.BORDER_CONSTANT)


@pytest.mark.parametrize(
    "make",
    [sky, studio, vignette, one_bar, two_colors, thin, thick],
    ids=lambda make: make.__name__,
)
def test_what_is_no_border_stays(make):
    image = make()
    assert content_box(image) == (0, 0, *image.shape[1::-1])
    assert crop(image, content_box(image)) is image


@pytest.mark.parametrize("axis", [0, 1])
def test_an_even_gradient_has_none(axis):
    """Its flat sides overlap: it differs by less than twice what a border may."""
    ramp = np.linspace(100, 113, 64).round().astype(np.uint8)
    pixels = np.repeat(np.repeat(ramp[:, None, None], 64, 1), 3, 2)
    assert content_box(pixels.swapaxes(0, axis)) == (0, 0, 64, 64)


@pytest.mark.parametrize("shape", [(1, 1), (1, 300), (40, 2), (200, 200)])
def test_pictures_of_one_color_have_none(shape):
    assert content_box(np.full((*shape, 3), 7, np.uint8)) == (0, 0, shape[1], shape[0])


def test_labels_of_a_border_are_those_beside_it():
    labels = np.array([[0, 1], [2, 3]], np.uint16)  # of a content of 4 x 4 pixels
    padded = pad_labels(labels, (2, 0, 6, 4), (10, 4))
    np.testing.assert_array_equal(padded, [[0, 0, 1, 1, 1], [2, 2, 3, 3, 3]])
    assert padded.dtype == np.uint16


def test_a_grid_keeps_its_sum_and_its_places():
    grid = np.array([[0.1, 0.2], [0.3, 0.4]], np.float32)
    assert pad_grid(grid, (0, 0, 8, 8), (8, 8)) is grid
    padded = pad_grid(grid, (0, 4, 8, 8), (8, 8))  # below a bar of half the height
    np.testing.assert_allclose(padded, [[0, 0], [0.4, 0.6]], atol=1e-6)
    padded = pad_grid(grid, (2, 0, 6, 8), (8, 8))  # between two bars
    np.testing.assert_allclose(padded, grid, atol=1e-6)
