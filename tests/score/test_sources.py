"""Sources of images: what is accepted, and one line for the rest."""

import io

import numpy as np
import pytest
import torch
from PIL import Image

from rsfiqa.errors import ImageError, InputError
from rsfiqa.score.sources import load_source


def content_of(image: np.ndarray, **options) -> bytes:
    file = io.BytesIO()
    Image.fromarray(image).save(file, "PNG", **options)
    return file.getvalue()


def torchvision(image: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(image).permute(2, 0, 1)


def test_one_picture_in_all_forms(noise, tmp_path):
    (tmp_path / "a.png").write_bytes(content_of(noise))
    written = io.BytesIO()
    Image.fromarray(noise).save(written, "PNG")  # it stands at the end
    with (tmp_path / "a.png").open("rb") as file:
        sources = {
            "text": str(tmp_path / "a.png"),
            "path": tmp_path / "a.png",
            "bytes": content_of(noise),
            "bytearray": bytearray(content_of(noise)),
            "memoryview": memoryview(content_of(noise)),
            "written": written,
            "file": file,
            "image": Image.fromarray(noise),
            "array": noise,
            "read-only": np.broadcast_to(noise, noise.shape),
            "tensor": torchvision(noise),
            "float tensor": torchvision(noise) / 255,
            "float64 tensor": torchvision(noise).double() / 255,
            "leaf with gradient": (torchvision(noise) / 255).requires_grad_(),
        }
        for name, source in sources.items():
            image = load_source(source)
            np.testing.assert_array_equal(image.pixels, noise, name)
            assert image.size == (64, 64)


def test_grey_pictures_have_equal_channels(noise):
    grey = np.ascontiguousarray(noise[..., 0])
    tensor = torch.from_numpy(grey)
    for source in (grey, grey[..., None], Image.fromarray(grey), tensor, tensor[None]):
        expected = np.repeat(grey[..., None], 3, axis=2)
        np.testing.assert_array_equal(load_source(source).pixels, expected)


def test_opacity_is_that_of_a_file(noise):
    picture = np.dstack([noise, np.tile(np.arange(64, dtype=np.uint8) * 4, (64, 1))])
    expected = load_source(content_of(picture)).pixels
    for source in (picture, torch.from_numpy(picture).permute(2, 0, 1)):
        np.testing.assert_array_equal(load_source(source).pixels, expected)


def test_bytes_are_turned_as_their_file_is(noise):
    exif = Image.Exif()
    exif[0x0112] = 6
    image = load_source(content_of(noise[:40], exif=exif))
    assert image.size == (40, 64)
    assert image.converted


@pytest.mark.parametrize(
    ("source", "message"),
    [
        (None, r"image: must be a path, bytes, .* or a tensor, found NoneType; convert it"),
        (5, "found int"),
        ([1, 2], "found list"),
        (io.StringIO("text"), "must be a binary file, found one of text; open it with mode 'rb'"),
        (np.zeros((0, 5, 3), np.uint8), r"must have pixels, found \(0, 5, 3\); leave it out"),
        (Image.new("RGB", (0, 4)), r"must have pixels, found \(0, 4\); leave it out"),
        (torch.zeros(3, 0, 4), r"must have pixels, found \(0, 4, 3\); leave it out"),
        (np.zeros((2, 8, 8, 3), np.uint8), r"must be uint8 \(H, W, 3\), found uint8 \(2, 8, 8, 3"),
        (np.array("a.jpg"), r"must be uint8 \(H, W, 3\), found <U5 \(\); convert it"),
        (torch.zeros(1, 3, 8, 8), r"found torch.float32 \(1, 3, 8, 8\); permute it, or score a ba"),
        (torch.zeros(8, 8, 3), r"must be a tensor uint8 or float \(3, H, W\), found torch.float32"),
        (torch.zeros(3, 8, 8, dtype=torch.int64), "found torch.int64"),
        (torch.full((3, 8, 8), 200.0), r"image: must lie in \[0, 1\], found \[200, 200\]; scale"),
        (torch.full((3, 8, 8), torch.nan), r"must lie in \[0, 1\], found \[nan, nan\]"),
    ],
)
def test_one_line_says_what_is_wrong(source, message):
    with pytest.raises(InputError, match=message) as caught:
        load_source(source)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("source", "message"),
    [
        ("missing.jpg", "no such file"),
        ("", "a folder, no picture"),
        ("a\0b.jpg", "no such file"),
        (b"no picture", "not an image"),
        (b"", "empty file"),
        (io.BytesIO(), "empty file"),
    ],
)
def test_files_that_cannot_be_read(source, message):
    with pytest.raises(ImageError, match=message):
        load_source(source)


def test_a_closed_file():
    file = io.BytesIO(b"x")
    file.close()
    with pytest.raises(ImageError, match=r"unreadable file .*closed"):
        load_source(file)
