import struct
import zlib

import numpy as np
import pytest
from PIL import Image

from rsfiqa.errors import ImageError
from rsfiqa.images import load, resize
from rsfiqa.images.load import load_rgb, read_size

# what a viewer does with the stored pixels, by EXIF orientation (TIFF 6.0, tag 274)
UPRIGHT = {
    1: lambda stored: stored,
    2: lambda stored: stored[:, ::-1],
    3: lambda stored: stored[::-1, ::-1],
    4: lambda stored: stored[::-1],
    5: lambda stored: stored.transpose(1, 0, 2),
    6: lambda stored: np.rot90(stored, -1),
    7: lambda stored: stored[::-1, ::-1].transpose(1, 0, 2),
    8: lambda stored: np.rot90(stored, 1),
}


@pytest.fixture
def stored():
    """Noise, uint8, shape (6, 10, 3)."""
    return np.random.default_rng(0).integers(0, 256, (6, 10, 3)).astype(np.uint8)


@pytest.mark.parametrize("orientation", UPRIGHT)
@pytest.mark.parametrize("suffix", ["png", "tif", "webp"])
def test_exif_orientation_is_applied_once(tmp_path, stored, orientation, suffix):
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"a.{suffix}"
    options = {"lossless": True, "exact": True} if suffix == "webp" else {}
    Image.fromarray(stored).save(path, exif=exif, **options)
    expected = UPRIGHT[orientation](stored)
    np.testing.assert_array_equal(load_rgb(path), expected)
    assert read_size(path) == (expected.shape[1], expected.shape[0])


@pytest.mark.parametrize("orientation", UPRIGHT)
def test_a_turned_jpeg_equals_its_upright_copy(tmp_path, stored, orientation):
    stored = np.kron(stored, np.ones((16, 16, 1), np.uint8))  # whole JPEG blocks
    exif = Image.Exif()
    exif[0x0112] = orientation
    plain, turned = tmp_path / "plain.jpg", tmp_path / "turned.jpg"
    Image.fromarray(stored).save(plain, quality=95)
    Image.fromarray(stored).save(turned, quality=95, exif=exif)
    expected = UPRIGHT[orientation](load_rgb(plain))
    np.testing.assert_array_equal(load_rgb(turned), expected)
    assert read_size(turned) == (expected.shape[1], expected.shape[0])


@pytest.mark.parametrize("suffix", ["png", "tif"])
def test_16_bit_grey_is_scaled(tmp_path, suffix):
    ramp = np.linspace(0, 65535, 256).round().astype(np.uint16)[None].repeat(4, 0)
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(ramp).save(path)
    expected = np.arange(256, dtype=np.uint8)[None, :, None].repeat(4, 0).repeat(3, 2)
    np.testing.assert_array_equal(load_rgb(path), expected)


def test_floating_point_grey_is_clipped(tmp_path):
    Image.fromarray(np.array([[-1, 0.4, 254.6, 300, np.nan]], np.float32)).save(tmp_path / "a.tif")
    assert load_rgb(tmp_path / "a.tif")[0, :, 0].tolist() == [0, 0, 255, 255, 0]


def test_transparent_parts_lie_on_white(tmp_path):
    pixels = np.array([[[255, 0, 0, 0], [255, 0, 0, 255], [0, 0, 0, 128]]], np.uint8)
    Image.fromarray(pixels).save(tmp_path / "a.png")
    assert load_rgb(tmp_path / "a.png").tolist() == [[[255] * 3, [255, 0, 0], [127] * 3]]


def test_a_transparent_palette_entry_lies_on_white(tmp_path):
    image = Image.fromarray(np.array([[0, 1]], np.uint8))
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.save(tmp_path / "a.png", transparency=0)
    assert load_rgb(tmp_path / "a.png").tolist() == [[[255, 255, 255], [0, 0, 255]]]


def test_palette(tmp_path):
    image = Image.fromarray(np.array([[0, 1, 2]], np.uint8))
    image.putpalette([10, 20, 30, 0, 0, 255, 255, 255, 0])
    image.save(tmp_path / "a.png")
    assert load_rgb(tmp_path / "a.png").tolist() == [[[10, 20, 30], [0, 0, 255], [255, 255, 0]]]


@pytest.mark.parametrize("mode", ["1", "L", "LA", "CMYK", "YCbCr"])
def test_every_mode_becomes_rgb(tmp_path, mode):
    path = tmp_path / "a.tif"
    Image.new("RGB", (4, 3), "white").convert(mode).save(path)
    np.testing.assert_array_equal(load_rgb(path), np.full((3, 4, 3), 255, np.uint8))


def test_a_cmyk_jpeg(tmp_path):
    Image.new("CMYK", (16, 16), (0, 255, 255, 0)).save(tmp_path / "a.jpg", quality=95)
    np.testing.assert_allclose(load_rgb(tmp_path / "a.jpg")[8, 8], [254, 0, 0], atol=3)


def test_the_first_frame_of_an_animation(tmp_path):
    frames = [Image.new("RGB", (4, 3), colour) for colour in ("red", "lime")]
    frames[0].save(tmp_path / "a.gif", save_all=True, append_images=frames[1:])
    assert (load_rgb(tmp_path / "a.gif") == (255, 0, 0)).all()


def test_a_jpeg_cut_short_is_found_when_it_is_decoded(tmp_path, stored):
    path = tmp_path / "a.jpg"
    Image.fromarray(np.kron(stored, np.ones((16, 16, 1), np.uint8))).save(path)
    path.write_bytes(path.read_bytes()[:-100])
    assert read_size(path) == (160, 96)
    with pytest.raises(ImageError, match="damaged or cut short"):
        load_rgb(path)


@pytest.fixture(scope="module")
def huge():
    """Noise and waves of 25 megapixels, uint8, shape (4101, 6101, 3): two over a whole factor."""
    wave = 100 + 60 * np.sin(np.arange(4101)[:, None] / 300) * np.cos(np.arange(6101) / 500)
    noise = np.random.default_rng(0).integers(0, 40, (4101, 6101)).astype(np.float32)
    return np.repeat((wave + noise).astype(np.uint8)[..., None], 3, axis=2)


def test_a_huge_image_is_averaged_in_blocks(tmp_path, huge):
    Image.fromarray(huge).save(tmp_path / "a.png", compress_level=1)
    loaded = load.load_image(tmp_path / "a.png")
    blocks = huge[:4100, :6100].reshape(2050, 2, 3050, 2, 3).mean(axis=(1, 3))
    np.testing.assert_allclose(loaded.pixels, blocks, atol=0.5)
    assert (loaded.size, loaded.converted) == ((6101, 4101), False)
    assert load.decoded_pixels(tmp_path / "a.png") == 6101 * 4101


def test_a_huge_jpeg_that_is_turned(tmp_path, huge):
    """The decoder's own reduction: the same but for detail that no stage sees."""
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(huge).save(tmp_path / "a.jpg", quality=95, exif=exif)
    loaded = load.load_image(tmp_path / "a.jpg")
    assert loaded.size == read_size(tmp_path / "a.jpg") == (4101, 6101)
    assert load.decoded_pixels(tmp_path / "a.jpg") == 3051 * 2051
    assert loaded.pixels.shape == (3051, 2051, 3)
    small, whole = (resize.reduce(x, 1024).astype(int) for x in (loaded.pixels, np.rot90(huge, -1)))
    assert np.abs(small - whole).mean() < 0.7  # grey levels


def test_an_image_in_memory_is_reduced_alike(huge):
    image = Image.fromarray(huge[..., 0])
    grey, color = (load.from_pil(each).pixels for each in (image, image.convert("RGB")))
    np.testing.assert_array_equal(grey, color)
    assert image.size == (6101, 4101)


def test_an_image_of_24_megapixels_is_read_whole(tmp_path):
    Image.new("L", (6000, 4000)).save(tmp_path / "a.png")
    assert load_rgb(tmp_path / "a.png").shape == (4000, 6000, 3)


@pytest.mark.parametrize("read", [read_size, load_rgb])
class TestUnusable:
    def test_missing(self, tmp_path, read):
        with pytest.raises(ImageError, match="no such file"):
            read(tmp_path / "none.jpg")

    def test_folder(self, tmp_path, read):
        with pytest.raises(ImageError, match="a folder, no picture"):
            read(tmp_path)

    def test_empty(self, tmp_path, read):
        (tmp_path / "a.jpg").touch()
        with pytest.raises(ImageError, match=r"empty file \(0 bytes\)"):
            read(tmp_path / "a.jpg")

    def test_text(self, tmp_path, read):
        (tmp_path / "a.jpg").write_text("not a JPEG", "utf-8")
        with pytest.raises(ImageError, match="not an image of a known format"):
            read(tmp_path / "a.jpg")

    def test_a_header_that_promises_too_many_pixels(self, tmp_path, read):
        path = tmp_path / "bomb.png"
        path.write_bytes(png_header(20_000, 20_000))
        with pytest.raises(ImageError, match="more than 178 megapixels"):
            read(path)

    def test_a_name_that_is_too_long(self, tmp_path, read):
        with pytest.raises(ImageError, match=r"unreadable header .*too long"):
            read(tmp_path / ("x" * 300 + ".jpg"))


def png_header(width: int, height: int) -> bytes:
    """A PNG file that ends after its header."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    size, check = struct.pack(">I", 13), struct.pack(">I", zlib.crc32(header))
    return b"\x89PNG\r\n\x1a\n" + size + header + check + b"\0\0\0\0IDAT"
