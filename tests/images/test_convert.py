"""Modes, depths and color profiles become 8-bit sRGB, from files and from memory alike."""

import io

import numpy as np
import pytest
from PIL import Image, ImageCms

from rsfiqa.errors import ImageError
from rsfiqa.images.load import from_pil, load_image, load_rgb
from tests.support.pictures import ADOBE_RGB, DISPLAY_P3, cmyk_profile, grey_profile, rgb_profile

# From linear sRGB to XYZ, adapted to D50 (Bradford).
SRGB = np.array(
    [[0.43607, 0.38515, 0.14307], [0.22249, 0.71687, 0.06061], [0.01392, 0.09708, 0.71410]]
)
COLORS = np.array([[[200, 120, 60], [90, 100, 180], [128, 128, 128], [255, 255, 255]]], np.uint8)


def encode(xyz: np.ndarray) -> np.ndarray:
    """The 8-bit sRGB of XYZ (..., 3) relative to D50 (IEC 61966-2-1)."""
    linear = np.clip(xyz @ np.linalg.inv(SRGB).T, 0, 1)
    curve = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return 255 * curve


def converted(columns, pixels: np.ndarray, gamma: float = 2.2) -> np.ndarray:
    """The 8-bit sRGB of pixels of an RGB space."""
    return encode((pixels / 255) ** gamma @ np.array(columns))


def srgb_profile() -> bytes:
    return ImageCms.ImageCmsProfile(ImageCms.createProfile("sRGB")).tobytes()


@pytest.mark.parametrize("columns", [ADOBE_RGB, DISPLAY_P3])
@pytest.mark.parametrize("suffix", ["png", "tif", "webp"])
def test_a_wide_profile_is_applied(tmp_path, columns, suffix):
    options = {"lossless": True} if suffix == "webp" else {}
    path = tmp_path / f"a.{suffix}"
    Image.fromarray(COLORS).save(path, icc_profile=rgb_profile(columns), **options)
    loaded = load_image(path)
    np.testing.assert_allclose(loaded.pixels, converted(columns, COLORS), atol=2)
    assert (loaded.converted, loaded.broken_profile) == (True, False)
    assert np.abs(loaded.pixels.astype(int) - COLORS).max() > 8


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "RGBA", "1"])
def test_a_profile_of_srgb_leaves_pixels_as_they_are(tmp_path, mode):
    noise = np.random.default_rng(0).integers(0, 256, (40, 50, 3), np.uint8)
    image = Image.fromarray(noise).convert(mode)
    image.save(tmp_path / "with.png", icc_profile=srgb_profile())
    image.save(tmp_path / "without.png")
    np.testing.assert_array_equal(
        load_rgb(tmp_path / "with.png"), load_rgb(tmp_path / "without.png")
    )


def test_a_profile_of_a_palette_and_of_transparent_pixels(tmp_path):
    profile = rgb_profile(ADOBE_RGB)
    expected = converted(ADOBE_RGB, COLORS)
    Image.fromarray(COLORS).quantize(4).save(tmp_path / "p.png", icc_profile=profile)
    np.testing.assert_allclose(load_rgb(tmp_path / "p.png"), expected, atol=2)
    half = Image.fromarray(COLORS)
    half.putalpha(Image.new("L", half.size, 51))
    half.save(tmp_path / "a.png", icc_profile=profile)
    np.testing.assert_allclose(load_rgb(tmp_path / "a.png"), 0.2 * expected + 204, atol=2)


@pytest.mark.parametrize("mode", ["L", "LA", "I;16"])
def test_a_grey_profile(tmp_path, mode):
    grey = np.array([[0, 64, 128, 255]], np.uint8)
    if mode == "I;16":
        image = Image.fromarray(grey.astype(np.uint16) * 257)
    else:
        image = Image.fromarray(grey).convert(mode)
    image.save(tmp_path / "a.png", icc_profile=grey_profile(1.0))
    linear = grey[..., None] / 255 * np.array([0.9642, 1.0, 0.8249])
    np.testing.assert_allclose(load_rgb(tmp_path / "a.png"), encode(linear), atol=2)


@pytest.mark.parametrize("suffix", ["jpg", "tif"])
def test_a_cmyk_profile(tmp_path, suffix):
    """Also of a JPEG file, which holds inverted inks, as Adobe's programs write them."""
    image = Image.new("CMYK", (16, 16), (255, 0, 0, 0))
    image.save(tmp_path / f"a.{suffix}", icc_profile=cmyk_profile())
    fy = (80 + 16) / 116  # cyan ink prints as L*a*b* 80, -10, -20
    xyz = np.array([0.9642, 1, 0.8249]) * np.array([fy - 10 / 500, fy, fy + 20 / 200]) ** 3
    np.testing.assert_allclose(load_rgb(tmp_path / f"a.{suffix}")[8, 8], encode(xyz), atol=5)


@pytest.mark.parametrize(
    ("mode", "profile"),
    [
        ("RGB", b"no profile"),
        ("RGB", srgb_profile()[:200]),
        ("RGB", cmyk_profile()),
        ("RGB", grey_profile(2.2)),
        ("CMYK", rgb_profile(ADOBE_RGB)),
        ("L", cmyk_profile()),
    ],
)
def test_a_profile_that_cannot_be_used_is_a_flag(tmp_path, mode, profile):
    image = Image.new("RGB", (20, 10), (200, 100, 50)).convert(mode)
    image.save(tmp_path / "a.tif", icc_profile=profile)
    image.save(tmp_path / "plain.tif")
    loaded = load_image(tmp_path / "a.tif")
    assert loaded.broken_profile
    np.testing.assert_array_equal(loaded.pixels, load_rgb(tmp_path / "plain.tif"))


def test_a_profile_of_a_huge_picture_is_applied_in_bands(tmp_path):
    pixels = np.tile(COLORS[:, :1], (4500, 6000, 1))
    Image.fromarray(pixels).save(
        tmp_path / "a.png", compress_level=1, icc_profile=rgb_profile(ADOBE_RGB)
    )
    loaded = load_image(tmp_path / "a.png")
    assert loaded.pixels.shape == (2250, 3000, 3)
    expected = np.broadcast_to(converted(ADOBE_RGB, COLORS)[0, 0], (2250, 3))
    np.testing.assert_allclose(loaded.pixels[:, 0], expected, atol=2)


@pytest.mark.parametrize("white", [1, 255, 65535])
def test_floating_point_is_scaled_by_its_range(tmp_path, white):
    ramp = np.linspace(0, 1, 256, dtype=np.float32)[None] * np.float32(white)
    Image.fromarray(ramp).save(tmp_path / "a.tif")
    expected = np.arange(256)
    assert load_rgb(tmp_path / "a.tif")[0, :, 0].tolist() == expected.tolist()
    assert from_pil(Image.fromarray(ramp)).pixels[0, :, 0].tolist() == expected.tolist()


@pytest.mark.parametrize("kind", [np.uint16, np.int32])
@pytest.mark.parametrize("white", [255, 1023, 4095, 65535])
def test_integers_are_scaled_by_the_bits_that_they_use(tmp_path, kind, white):
    ramp = np.linspace(0, white, 256).round().astype(kind)[None]
    Image.fromarray(ramp).save(tmp_path / "a.tif")
    found = load_rgb(tmp_path / "a.tif")[0, :, 0].astype(int)
    np.testing.assert_allclose(found, np.arange(256), atol=1)
    np.testing.assert_array_equal(from_pil(Image.fromarray(ramp)).pixels[0, :, 0], found)


@pytest.mark.parametrize("order", ["I;16", "I;16B", "I;16L"])
def test_every_byte_order_in_memory(order):
    data = np.array([0, 257 * 128, 65535], ">u2" if order == "I;16B" else "<u2").tobytes()
    image = Image.frombytes(order, (3, 1), data)
    loaded = from_pil(image)
    assert loaded.pixels[0, :, 0].tolist() == [0, 128, 255]
    assert loaded.converted


def test_values_out_of_every_range_are_refused(tmp_path):
    Image.fromarray(np.array([[0, 1e6]], np.float32)).save(tmp_path / "a.tif")
    with pytest.raises(ImageError, match=r"must lie in \[0, 1\], .* found 1e\+06"):
        load_rgb(tmp_path / "a.tif")


def test_infinite_values(tmp_path):
    pixels = np.array([[np.inf, -np.inf, np.nan, 0.5, 1]], np.float32)
    Image.fromarray(pixels).save(tmp_path / "a.tif")
    assert load_rgb(tmp_path / "a.tif")[0, :, 0].tolist() == [255, 0, 0, 128, 255]


@pytest.mark.parametrize("mode", ["HSV", "LAB", "PA", "La", "RGBa", "RGBX", "YCbCr", "LA", "1"])
def test_every_mode_in_memory(mode):
    image = Image.new("RGB", (4, 3), "white")
    if mode == "LAB":
        lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        image = ImageCms.profileToProfile(image, srgb, lab, outputMode="LAB")
    elif mode in ("La", "PA", "RGBa"):
        image = image.convert({"La": "LA", "PA": "P", "RGBa": "RGBA"}[mode]).convert(mode)
    else:
        image = image.convert(mode)
    np.testing.assert_allclose(from_pil(image).pixels, 255, atol=1)


def test_lab_has_its_colors(tmp_path):
    lab, srgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    ImageCms.profileToProfile(Image.fromarray(COLORS), srgb, lab, outputMode="LAB").save(
        tmp_path / "a.tif"
    )
    np.testing.assert_allclose(load_rgb(tmp_path / "a.tif"), COLORS, atol=3)


def test_a_picture_in_memory_is_read_as_its_file_is(tmp_path):
    file = io.BytesIO()
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(COLORS).save(
        file, "PNG", icc_profile=rgb_profile(ADOBE_RGB), exif=exif.tobytes()
    )
    (tmp_path / "a.png").write_bytes(file.getvalue())
    of_file, of_memory = load_image(tmp_path / "a.png"), from_pil(Image.open(file))
    np.testing.assert_array_equal(of_file.pixels, of_memory.pixels)
    assert (of_memory.size, of_memory.converted) == (of_file.size, of_file.converted)
