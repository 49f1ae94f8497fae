import shutil

import pytest

from rsfiqa.datasets import csiq
from rsfiqa.errors import InputError
from rsfiqa.products import failures

# the sheet begins three rows down and three columns in
HEADER = [None, None, None, "image", "dst_idx", "dst_type", "dst_lev", "dmos_std", "dmos"]
ROWS = [
    [None, None, None, 1600, 1, "noise", 1, 0.02, 0.0625],
    [None, None, None, 1600, 2, "jpeg", 5, 0.1, 0.6875],
    [None, None, None, "boston", 3, "jpeg 2000", 5, 0.11, 0.9],
    [None, None, None, "boston", 4, "fnoise", 2, 0.09, 0.25],
    [None, None, None, "boston", 5, "blur", 3, 0.12, 0.5],
    [None, None, None, "boston", 6, "contrast", 4, 0.08, 0.75],
]
FILES = (
    "awgn/1600.AWGN.1.png",
    "jpeg/1600.JPEG.5.png",
    "jpeg2000/boston.jpeg2000.5.png",
    "fnoise/boston.fnoise.2.png",
    "blur/boston.BLUR.3.png",
    "contrast/boston.contrast.4.png",
)


@pytest.fixture
def release(tmp_path, pictures, workbook):
    """Write a tiny CSIQ with these rows and give back its folder."""

    def write(rows=ROWS, header=HEADER, sheet="all_by_image"):
        root = tmp_path / "csiq"
        pictures(root / "dst_imgs", *FILES)
        blank = [[None, "CSIQ"], [None], [None]]
        by_image = [*blank, header, *rows, [None] * 9]
        workbook(root / "csiq.DMOS.xlsx", **{"about": [["dmos"]], sheet: by_image})
        return root

    return write


def test_rows_of_the_sheet_find_their_files(release):
    root = release()
    entries = csiq.read(root)
    assert tuple(entry.image_id for entry in entries) == FILES
    assert [entry.group for entry in entries] == ["1600"] * 2 + ["boston"] * 4
    assert [entry.mos for entry in entries] == [0.0625, 0.6875, 0.9, 0.25, 0.5, 0.75]
    assert [entry.mos_std for entry in entries] == [0.02, 0.1, 0.11, 0.09, 0.12, 0.08]
    assert [entry.severity for entry in entries] == [1, 5, 5, 2, 3, 4]
    assert [entry.distortion for entry in entries] == [
        "white_noise",
        "jpeg",
        "jpeg2000",
        "pink_noise",
        "gaussian_blur",
        "contrast_decrement",
    ]
    assert entries[0].location == "csiq.DMOS.xlsx row 5"
    assert all(entry.path == root / "dst_imgs" / entry.image_id for entry in entries)


def test_a_low_dmos_is_a_high_quality(release, prepared):
    rows, provenance = prepared("csiq", release())
    assert max(rows.values(), key=lambda row: row["quality"])["image_id"] == FILES[0]
    assert rows[FILES[0]]["quality"] == 0.9375
    assert rows[FILES[0]]["mos"] == 0.0625
    assert provenance.options["lower_better"] is True


def test_the_spelling_of_folders_does_not_matter(release):
    root = release()
    shutil.move(root / "dst_imgs/blur", root / "dst_imgs/BLUR")
    (entry,) = (entry for entry in csiq.read(root) if entry.distortion == "gaussian_blur")
    assert entry.image_id == "blur/boston.BLUR.3.png"
    assert entry.path == root / "dst_imgs/BLUR/boston.BLUR.3.png"


def test_a_listed_image_that_is_missing_becomes_a_failure(release, prepared, tmp_path):
    root = release()
    (root / "dst_imgs" / FILES[1]).unlink()
    rows, _ = prepared("csiq", root, fraction=0.5)
    assert set(rows) == set(FILES) - {FILES[1]}
    (failed,) = failures.read(tmp_path / "prepared/manifest.failures.parquet").to_pylist()
    assert (failed["image"], failed["reason"]) == (FILES[1], "no such file")


def test_an_unknown_distortion_is_refused(release):
    root = release([[None, None, None, "boston", 1, "rain", 1, 0.1, 0.5]])
    message = r"row 5: 'dst_type' must be one of noise, .*, jpeg 2000, found 'rain'; download the"
    with pytest.raises(InputError, match=message):
        csiq.read(root)


def test_a_score_that_is_no_number_is_refused(release):
    root = release([[None, None, None, "boston", 1, "blur", 1, 0.1, "low"]])
    with pytest.raises(InputError, match=r"xlsx row 5: 'dmos' must be a number, found 'low'"):
        csiq.read(root)


def test_another_sheet_is_refused(release):
    message = (
        r"xlsx: must have the sheet all_by_image, found about, all; download the release again"
    )
    with pytest.raises(InputError, match=message):
        csiq.read(release(sheet="all"))


def test_a_missing_table_or_folder_is_named(release):
    root = release()
    shutil.rmtree(root / "dst_imgs")
    with pytest.raises(InputError, match=r"dst_imgs: no such folder; unpack the images there, or"):
        csiq.read(root)
    (root / "csiq.DMOS.xlsx").unlink()
    with pytest.raises(InputError, match=r"csiq.DMOS.xlsx: no such file; set root to the folder w"):
        csiq.read(root)
