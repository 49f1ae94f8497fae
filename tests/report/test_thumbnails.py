import base64
import io
import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rsfiqa.report import thumbnails
from rsfiqa.report.pictures import BUDGET
from rsfiqa.report.scored import MAX_THUMBNAILS
from rsfiqa.report.thumbnails import LARGEST


def noise(path: Path, size: tuple[int, int], **options) -> Path:
    random = np.random.default_rng(0)
    Image.fromarray(random.integers(0, 256, (size[1], size[0], 3), np.uint8)).save(path, **options)
    return path


@pytest.mark.parametrize("suffix", ["jpg", "png"])
@pytest.mark.parametrize("size", [(1200, 900), (40, 30), (3000, 40)])
def test_a_thumbnail_is_small(tmp_path, suffix, size):
    (made,) = thumbnails.embedded([noise(tmp_path / f"a.{suffix}", size)])
    data = base64.b64decode(made.source.removeprefix("data:image/jpeg;base64,"))
    assert len(data) <= LARGEST
    assert made.size == size
    small = Image.open(io.BytesIO(data)).size
    assert max(small) <= 256
    assert small[0] / small[1] == pytest.approx(size[0] / size[1], rel=0.2) or min(small) < 10


def test_it_is_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6
    (made,) = thumbnails.embedded([noise(tmp_path / "a.jpg", (400, 200), exif=exif)])
    assert made.size == (200, 400)


def test_what_cannot_be_read_has_none(tmp_path):
    (tmp_path / "a.jpg").write_text("no picture")
    paths = [tmp_path / "a.jpg", noise(tmp_path / "b.png", (99, 99)), tmp_path / "gone.png"]
    assert [one is not None for one in thumbnails.embedded(paths)] == [False, True, False]


def test_files_are_used_again_until_their_picture_changes(tmp_path):
    source = noise(tmp_path / "a.png", (300, 200))
    folder = tmp_path / "thumbnails"
    (first,) = thumbnails.files(folder, [source], lambda _: False)
    assert (folder / first.source).stat().st_size <= LARGEST
    (again,) = thumbnails.files(folder, [source], {first.source}.__contains__)
    assert again == first
    os.utime(source, ns=(1, 1))
    (changed,) = thumbnails.files(folder, [source], {first.source}.__contains__)
    assert changed.source != first.source


def test_many_come_in_order(tmp_path):
    paths = [noise(tmp_path / f"{i}.png", (20 + i, 20)) for i in range(150)]
    assert [one.size[0] for one in thumbnails.embedded(paths)] == [20 + i for i in range(150)]


def test_a_thousand_and_the_pictures_with_regions_fit_in_40_mb():
    """As base64, with 4 MB for the rest of the page: each thumbnail is at most `LARGEST`."""
    assert MAX_THUMBNAILS * LARGEST * 4 / 3 + BUDGET + 4_000_000 <= 40_000_000
