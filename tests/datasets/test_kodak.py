import pytest

from rsfiqa.datasets import kodak
from rsfiqa.errors import InputError


def test_every_third_photograph_is_kept_for_tests(pictures, tmp_path):
    pictures(tmp_path, *(f"{number:02d}.png" for number in range(1, 25)), "notes.png")
    entries = kodak.read(tmp_path)
    assert [entry.group for entry in entries] == [f"kodim{n:02d}" for n in range(1, 25)]
    kept = [entry.image_id for entry in entries if entry.subset == "test"]
    assert kept == ["03.png", "06.png", "09.png", "12.png", "15.png", "18.png", "21.png", "24.png"]
    assert {entry.subset for entry in entries} == {"test", "train"}


def test_both_ways_of_naming(pictures, tmp_path):
    pictures(tmp_path, "kodim03.png", "04.png")
    (fourth, third) = kodak.read(tmp_path)
    assert (third.group, third.subset) == ("kodim03", "test")
    assert (fourth.group, fourth.subset) == ("kodim04", "train")


def test_it_can_be_prepared(pictures, tmp_path, prepared):
    pictures(tmp_path / "kodak", "01.png", "03.png")
    rows, _ = prepared("kodak", tmp_path / "kodak")
    assert {image_id: row["subset"] for image_id, row in rows.items()} == {
        "01.png": "train",
        "03.png": "test",
    }
    assert all(row["quality"] is None for row in rows.values())


def test_a_folder_of_other_pictures(pictures, tmp_path):
    pictures(tmp_path, "cat.png")
    with pytest.raises(InputError, match=r"must hold kodim01.png to kodim24.png or 01.png to"):
        kodak.read(tmp_path)
