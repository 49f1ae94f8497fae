import shutil

import pytest

from rsfiqa.datasets import pipal
from rsfiqa.errors import InputError


@pytest.fixture
def root(tmp_path, pictures):
    """A tiny training part of PIPAL: labels by reference, images in two of the four folders."""
    root = tmp_path / "PIPAL"
    (root / "Train_Label").mkdir(parents=True)
    labels = "A0001_00_00.bmp,1520.0648\nA0001_06_26.bmp,1294.8478\n"
    (root / "Train_Label/A0001.txt").write_text(labels, "utf-8")
    (root / "Train_Label/A0003.txt").write_text("A0003_03_21.bmp,1650.5\n\n", "utf-8")
    pictures(root, "Distortion_1/A0001_00_00.bmp", "Distortion_1/A0001_06_26.bmp")
    pictures(root, "Distortion_2/A0003_03_21.bmp")
    return root


def test_labels_find_their_images(root):
    first, second, third = pipal.read(root)
    assert (first.image_id, first.group, first.mos) == ("A0001_00_00.bmp", "A0001", 1520.0648)
    assert (second.group, second.distortion, second.severity) == ("A0001", "06", None)
    assert (third.group, third.distortion, third.mos) == ("A0003", "03", 1650.5)
    assert third.path == root / "Distortion_2/A0003_03_21.bmp"
    assert third.location == "A0003.txt line 1"


def test_images_may_lie_together(root):
    ids = [entry.image_id for entry in pipal.read(root)]
    shutil.copytree(root / "Distortion_2", root / "Distortion_1", dirs_exist_ok=True)
    shutil.rmtree(root / "Distortion_2")
    (root / "Distortion_1").rename(root / "Train_Distort")
    entries = pipal.read(root)
    assert [entry.image_id for entry in entries] == ids
    assert all(entry.path == root / "Train_Distort" / entry.image_id for entry in entries)


def test_a_high_rating_is_a_high_quality(root, prepared):
    rows, provenance = prepared("pipal", root)
    assert max(rows.values(), key=lambda row: row["quality"])["image_id"] == "A0003_03_21.bmp"
    assert rows["A0003_03_21.bmp"]["quality"] == pytest.approx(850.5 / 1200)
    assert provenance.options["lower_better"] is False


@pytest.mark.parametrize("line", ["A0001_00_00.bmp 1520", "A0001.bmp,1520", "A0001_00_00.bmp,"])
def test_a_line_of_another_form_is_refused(root, line):
    (root / "Train_Label/A0001.txt").write_text(f"{line}\n", "utf-8")
    message = rf"A0001.txt line 1: must be like A0001_00_00.bmp,1520.0648, found '{line}'; download"
    with pytest.raises(InputError, match=message):
        pipal.read(root)


def test_a_rating_that_is_no_number_is_refused(root):
    (root / "Train_Label/A0001.txt").write_text("A0001_00_00.bmp,high\n", "utf-8")
    with pytest.raises(InputError, match=r"A0001.txt line 1: 'Elo' must be a number, found 'high'"):
        pipal.read(root)


def test_missing_labels_are_an_error(root):
    shutil.rmtree(root / "Train_Label")
    with pytest.raises(InputError, match=r"Train_Label: must hold the labels .*, found none; set"):
        pipal.read(root)


def test_missing_images_are_an_error(root):
    for part in (1, 2):
        shutil.rmtree(root / f"Distortion_{part}")
    message = (
        r"Distortion_1: no such folder; unpack the images there or Distortion_2, .*Train_Dist,"
    )
    with pytest.raises(InputError, match=message):
        pipal.read(root)
