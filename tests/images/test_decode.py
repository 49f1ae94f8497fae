"""Huge images: reduced by their decoders or in bands, within bounded memory."""

import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from rsfiqa.images.load import decoded_pixels, load_image, load_rgb

PEAK = """
import re, sys
from pathlib import Path
from rsfiqa.images.load import load_image
load_image(Path(sys.argv[1]))
status = Path("/proc/self/status").read_text()  # ru_maxrss includes the parent before the exec
print(int(re.search(r"VmHWM:\\s+(\\d+) kB", status)[1]) // 1024)
"""


@pytest.fixture(scope="module")
def huge() -> Image.Image:
    """Waves of 25 megapixels: smooth, so that encoders are fast."""
    wave = np.sin(np.arange(4100)[:, None] / 90) * np.cos(np.arange(6100) / 70)
    grey = (128 + 100 * wave).astype(np.uint8)
    return Image.merge("RGB", [Image.fromarray(x) for x in (grey, grey[::-1], 255 - grey)])


def block_means(image: Image.Image) -> np.ndarray:
    pixels = np.asarray(image).astype(np.float32)
    height, width, channels = pixels.shape
    return pixels.reshape(height // 2, 2, width // 2, 2, channels).mean(axis=(1, 3))


@pytest.mark.parametrize("mode", ["RGB", "RGBA"])
def test_huge_webp(tmp_path, huge, mode):
    image = huge.convert(mode)
    if mode == "RGBA":
        image.putalpha(128)
    image.save(tmp_path / "a.webp", lossless=True, quality=0, method=0)
    loaded = load_image(tmp_path / "a.webp")
    expected = block_means(huge) if mode == "RGB" else block_means(huge) * 128 / 255 + 127
    np.testing.assert_allclose(loaded.pixels, expected, atol=1.5)
    assert (loaded.size, loaded.converted) == (huge.size, mode == "RGBA")


@pytest.mark.slow
def test_huge_jpeg_2000_is_read_at_half_its_size(tmp_path, huge):
    huge.save(tmp_path / "a.jp2")
    loaded = load_image(tmp_path / "a.jp2")
    assert loaded.size == huge.size
    assert decoded_pixels(tmp_path / "a.jp2") == 6100 * 4100  # 16 bytes for a quarter of them
    np.testing.assert_allclose(loaded.pixels, block_means(huge), atol=4)


@pytest.mark.slow
def test_huge_jpeg_2000_without_lower_resolutions(tmp_path, huge):
    huge.save(tmp_path / "a.jp2", num_resolutions=1)
    np.testing.assert_allclose(load_rgb(tmp_path / "a.jp2"), block_means(huge), atol=1)


def test_memory_of_a_progressive_jpeg_includes_its_coefficients(tmp_path):
    image = Image.new("RGB", (400, 300))
    image.save(tmp_path / "a.jpg", progressive=True, subsampling=0)
    assert decoded_pixels(tmp_path / "a.jpg") == (4 + 2 * 3) * 400 * 300 // 4
    image.save(tmp_path / "b.jpg", progressive=True, subsampling=2)
    assert decoded_pixels(tmp_path / "b.jpg") == int((4 + 2 * 1.5) * 400 * 300) // 4


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.jpg", {"progressive": True, "subsampling": 0}),
        ("a.jp2", {}),
        ("a.webp", {"quality": 80, "method": 0}),
        ("a.tif", {"compression": "tiff_lzw"}),
    ],
)
def test_100_megapixels_take_less_than_1_gb(tmp_path, huge, name, options):
    path = tmp_path / name
    huge.resize((10_000, 10_000)).save(path, **options)
    line = [sys.executable, "-c", PEAK, str(path)]
    peak = int(subprocess.run(line, capture_output=True, check=True, text=True).stdout)
    assert peak < 1000  # MB
