import os

import pytest

from rsfiqa.datasets import folder
from rsfiqa.errors import InputError
from rsfiqa.images import listing


def test_pictures_below_a_folder_sorted(tmp_path):
    for name in ("b.JPG", "sub/deep/a.png", "sub/z.webp", "notes.txt", "._b.JPG", ".cache/c.png"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    entries = folder.read(tmp_path)
    assert [entry.image_id for entry in entries] == ["b.JPG", "sub/deep/a.png", "sub/z.webp"]
    assert all(entry.mos is None and entry.group == entry.image_id for entry in entries)
    assert all(entry.path == tmp_path / entry.image_id for entry in entries)


def test_image_ids_are_in_nfc(tmp_path):
    (tmp_path / "cafe\u0301.png").touch()
    (entry,) = folder.read(tmp_path)
    assert entry.image_id == "caf\u00e9.png"
    assert entry.path.is_file()


def test_a_name_that_is_not_utf_8_still_has_an_image_id(tmp_path):
    (tmp_path / os.fsdecode(b"caf\xe9.png")).touch()
    (entry,) = folder.read(tmp_path)
    assert entry.image_id == r"caf\xe9.png"


def test_no_such_folder(tmp_path):
    with pytest.raises(InputError, match=r"nowhere: no such folder; set root to the folder of"):
        folder.read(tmp_path / "nowhere")


def test_a_folder_that_cannot_be_listed():
    # called as os.walk does: no folder can be locked against root, who may run the tests
    with pytest.raises(InputError, match=r"locked: the folder cannot be listed \(Permission den"):
        listing._refuse(PermissionError(13, "Permission denied", "locked"))
