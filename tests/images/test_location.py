"""Which file a path names, and in which state it is."""

import os

from rsfiqa.images.location import display_path, file_state, locate


def test_every_way_to_a_picture_is_the_same_location(tmp_path, monkeypatch):
    (tmp_path / "day1/sub").mkdir(parents=True)
    (tmp_path / "link").symlink_to(tmp_path / "day1")
    (tmp_path / "day1/loop").symlink_to(tmp_path / "day1")
    expected = str(tmp_path / "day1/a.jpg")
    monkeypatch.chdir(tmp_path / "day1")
    for path in (expected, "a.jpg", "./a.jpg", "sub/../a.jpg", "loop/loop/a.jpg", "../link/a.jpg"):
        assert locate(path) == expected, path
    monkeypatch.chdir(tmp_path)
    assert locate("a.jpg") == str(tmp_path / "a.jpg")
    (tmp_path / "other.jpg").symlink_to(expected)
    assert locate("other.jpg") == str(tmp_path / "other.jpg")  # a name with a row of its own


def test_the_state_changes_with_the_file(tmp_path):
    path = tmp_path / "a.jpg"
    path.write_bytes(b"1234567")
    os.utime(path, ns=(0, 1_767_323_045_000_006_999))
    state = {"size": 7, "modified": "2026-01-02T03:04:05.000006Z", "location": str(path)}
    assert file_state(str(path)) == state
    for gone in (tmp_path / "none.jpg", tmp_path / ("x" * 300), tmp_path / "nul\0"):
        assert file_state(str(gone))["size"] is None


def test_bytes_that_are_not_utf_8_are_shown():
    assert display_path(os.fsdecode(b"caf\xe9.jpg")) == r"caf\xe9.jpg"
