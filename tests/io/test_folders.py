"""Folders that cannot be made, such as those in whose place there is a file."""

from pathlib import Path

import pytest

from rsfiqa.errors import InputError
from rsfiqa.io.folders import blocking_file, check_folder


def test_a_file_among_the_parents(tmp_path):
    (tmp_path / "a.jpg").write_text("")
    for path in ("a.jpg", "a.jpg/b", "a.jpg/b/c"):
        assert blocking_file(tmp_path / path) == tmp_path / "a.jpg"
        with pytest.raises(InputError, match=r"a\.jpg: must be a folder, found a file; give an"):
            check_folder(tmp_path / path)


def test_a_device_or_a_link_that_leads_nowhere(tmp_path):
    (tmp_path / "link").symlink_to("nowhere")
    for path in (tmp_path / "link/a", Path("/dev/null/a")):
        with pytest.raises(InputError, match="must be a folder, found something else; give an"):
            check_folder(path)


def test_folders_that_are_there_or_can_be_made(tmp_path):
    (tmp_path / "a").mkdir()
    for path in ("a", "a/b", "b/c", ""):
        assert blocking_file(tmp_path / path) is None
        check_folder(tmp_path / path)


def test_names_that_are_too_long(tmp_path):
    """File systems take 255 bytes; an umlaut has two."""
    for path in ("a" * 255, "b/" + 127 * "ä", "../" * 99 + "tmp"):
        check_folder(tmp_path / path)
    for path in ("a" * 256, "b/" + 128 * "ä" + "/c"):
        with pytest.raises(InputError, match=r"must have names of at most 255 bytes, found one of"):
            check_folder(tmp_path / path)
