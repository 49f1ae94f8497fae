from datetime import datetime

import pytest
from PIL import Image

from rsfiqa.images.capture_time import capture_time


def saved(path, tags):
    exif = Image.Exif()
    exif[0x8769] = tags
    Image.new("RGB", (16, 16)).save(path, exif=exif)
    with Image.open(path) as image:
        return capture_time(image)


@pytest.mark.parametrize("suffix", ["jpg", "png", "webp"])
def test_time_with_a_fraction(tmp_path, suffix):
    tags = {0x9003: "2024:05:01 12:00:07", 0x9291: "250"}
    assert saved(tmp_path / f"a.{suffix}", tags) == datetime(2024, 5, 1, 12, 0, 7, 250_000)


@pytest.mark.parametrize(
    ("subsecond", "microseconds"),
    [("5", 500_000), ("05", 50_000), ("  ", 0), ("12\0", 120_000), ("9999999", 999_999), ("-1", 0)],
)
def test_the_fraction_as_cameras_write_it(tmp_path, subsecond, microseconds):
    found = saved(tmp_path / "a.jpg", {0x9003: "2024:05:01 12:00:07", 0x9291: subsecond})
    assert abs((found - datetime(2024, 5, 1, 12, 0, 7, microseconds)).total_seconds()) <= 1e-6


@pytest.mark.parametrize("time", ["0000:00:00 00:00:00", "    :  :     :  :  ", "yesterday", ""])
def test_a_time_that_is_none(tmp_path, time):
    assert saved(tmp_path / "a.jpg", {0x9003: time}) is None


def test_no_exif_data(tmp_path):
    assert saved(tmp_path / "a.png", {}) is None


@pytest.mark.filterwarnings("ignore:Corrupt EXIF data")
def test_damaged_exif_data(tmp_path):
    Image.new("RGB", (16, 16)).save(tmp_path / "a.jpg", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff")
    with Image.open(tmp_path / "a.jpg") as image:
        assert capture_time(image) is None
