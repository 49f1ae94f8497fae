"""Formats that need a package, and the exceptions of decoders."""

import sys

import numpy as np
import pytest
from PIL import Image
from skimage import data

from rsfiqa.errors import ImageError
from rsfiqa.images.load import decoded_pixels, load_image, load_rgb, read_size
from tests.support.faults import mutations
from tests.support.pictures import dng

MODULES = {"HEIC": "pillow_heif", "JXL": "pillow_jxl", "RAW": "rawpy"}


@pytest.fixture(scope="module")
def content() -> dict[str, bytes]:
    """One file of each format that needs a package."""
    return {name: mutations.originals()[name] for name in MODULES}


@pytest.mark.parametrize("name", MODULES)
def test_a_package_that_is_missing_is_named(tmp_path, monkeypatch, content, name):
    (tmp_path / "a.jpg").write_bytes(content[name])
    monkeypatch.setitem(sys.modules, MODULES[name], None)
    for read in (read_size, load_rgb):
        with pytest.raises(ImageError, match=rf"^{name} needs .*: pip install 'rsfiqa\[formats\]'"):
            read(tmp_path / "a.jpg")


@pytest.mark.parametrize("name", ["HEIC", "JXL"])
def test_the_format_is_recognized_by_content(tmp_path, content, name):
    photograph = Image.fromarray(data.chelsea())
    (tmp_path / "a.jpg").write_bytes(
        mutations.saved(photograph, {"HEIC": "HEIF"}.get(name, name), quality=95)
    )
    loaded = load_image(tmp_path / "a.jpg")
    assert loaded.size == read_size(tmp_path / "a.jpg") == photograph.size
    assert np.abs(loaded.pixels.astype(int) - data.chelsea()).mean() < 3
    assert not loaded.converted


def test_heic_is_turned_once(tmp_path):
    import pillow_heif

    pillow_heif.register_heif_opener()
    exif = Image.Exif()
    exif[0x0112] = 6
    photograph = Image.fromarray(data.chelsea())
    photograph.save(tmp_path / "a.heic", "HEIF", exif=exif.tobytes(), quality=95)
    loaded = load_image(tmp_path / "a.heic")
    assert loaded.size == read_size(tmp_path / "a.heic") == photograph.size[::-1]
    turned = np.rot90(data.chelsea(), -1).astype(int)
    assert np.abs(loaded.pixels - turned).mean() < 3
    assert loaded.converted


def test_exif_does_not_turn_jpeg_xl(tmp_path):
    """The codestream holds the orientation, and its decoder applies it (ISO 18181-2)."""
    import pillow_jxl  # noqa: F401 registers the format

    exif = Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(data.chelsea()).save(tmp_path / "a.jxl", lossless=True, exif=exif.tobytes())
    np.testing.assert_array_equal(load_rgb(tmp_path / "a.jxl"), data.chelsea())


@pytest.mark.parametrize(
    "size", [(8, 8), (256, 256), (40, 30), (30, 40), (600, 500), (9000, 1), (160, 90), (700, 300)]
)
@pytest.mark.parametrize("container", [True, False])
def test_the_size_of_jpeg_xl_is_known_before_it_is_decoded(tmp_path, size, container):
    import pillow_jxl  # noqa: F401 registers the format

    path = tmp_path / "a.jxl"
    Image.new("RGB", size).save(path, effort=1, use_container=container)
    content = path.read_bytes()
    assert content.startswith(b"\0\0\0\x0cJXL" if container else b"\xff\x0a")
    assert read_size(path) == load_image(path).size == size


def test_jpeg_xl_of_too_many_pixels_is_not_decoded(tmp_path):
    # not small; 18 bits + 1 for the height of 200,000, the ratio 1:1
    header = 0b0 | 2 << 1 | 199_999 << 3 | 1 << 21
    (tmp_path / "a.jxl").write_bytes(b"\xff\x0a" + header.to_bytes(3, "little") + bytes(50))
    with pytest.raises(ImageError, match="more than 178 megapixels"):
        load_rgb(tmp_path / "a.jxl")


def test_camera_raw_is_developed(tmp_path):
    sensor = np.zeros((100, 140), np.uint16)
    sensor[::2, :70:2] = 40_000  # the red pixels of the left half
    (tmp_path / "a.dng").write_bytes(dng(sensor))
    loaded = load_image(tmp_path / "a.dng")
    assert loaded.size == read_size(tmp_path / "a.dng") == (140, 100)
    assert loaded.pixels[50, 30].tolist() == [255, 0, 0]
    assert loaded.pixels[50, 110].tolist() == [0, 0, 0]
    assert decoded_pixels(tmp_path / "a.dng") == 140 * 100 * 4


def test_mutated_files_have_a_reason_or_pixels(tmp_path):
    """A sample; `make test-faults` tries many more."""
    assert mutations.problems(1500, tmp_path) == []
