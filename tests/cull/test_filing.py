"""Copies, moves and links into a folder, and how they are undone."""

import os
import re
import resource
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from rsfiqa.cull import sidecars
from rsfiqa.cull.journal import journal_path
from tests.support import disks
from tests.support.culling import cull, make_photos, make_picture, make_row, tree, write_table

SCORES = {"a.jpg": 10, "sub/a.jpg": 20, "b.jpg": 90}


@pytest.fixture
def other_disk():
    """A folder on another file system than the temporary one."""
    place = Path("/dev/shm")
    if not place.is_dir() or place.stat().st_dev == Path(tempfile.gettempdir()).stat().st_dev:
        pytest.skip("needs a second file system at /dev/shm")
    folder = Path(tempfile.mkdtemp(dir=place))
    yield folder
    shutil.rmtree(folder)


def below(root: Path, folder: str) -> dict:
    return tree(root / folder)


@pytest.mark.parametrize("action", ["move", "copy", "link"])
def test_nothing_is_done_unless_it_is_asked_for(tmp_path, capsys, action):
    table = make_photos(tmp_path, SCORES)
    before = tree(tmp_path)
    assert cull(table, "--below", 50, f"--{action}", tmp_path / "rejects") == 0
    assert tree(tmp_path) == before
    assert not journal_path(table).exists()
    shown = capsys.readouterr().out.splitlines()
    source, target = tmp_path / "photos/sub/a.jpg", tmp_path / "rejects/sub/a.jpg"
    assert f"{action} {source} -> {target}" in shown
    assert shown[-1].startswith("nothing has been done; with --apply would be")
    assert shown[-1].endswith(": 2 pictures (0 sidecars)")


@pytest.mark.parametrize("action", ["move", "copy", "link"])
def test_pictures_keep_their_place_and_come_back(tmp_path, capsys, action):
    table = make_photos(tmp_path, SCORES)
    before = tree(tmp_path)
    (tmp_path / "photos/a.jpg").chmod(0o640)
    found = (tmp_path / "photos/a.jpg").stat()
    assert cull(table, "--below", 50, f"--{action}", tmp_path / "rejects", "--apply") == 0
    moved = below(tmp_path, "rejects")
    assert set(moved) == {"a.jpg", "sub", "sub/a.jpg"}
    made = (tmp_path / "rejects/a.jpg").stat()
    assert (made.st_mode, made.st_mtime_ns) == (found.st_mode, found.st_mtime_ns)
    assert (tmp_path / "rejects/a.jpg").read_bytes() == before["photos/a.jpg"]
    assert (tmp_path / "photos/a.jpg").exists() is (action != "move")
    assert (tmp_path / "rejects/a.jpg").is_symlink() is (action == "link")
    capsys.readouterr()
    assert cull(table, "--undo") == 0
    assert capsys.readouterr().out == "undone: 2 of 2 actions on files\n"  # and on folders
    assert tree(tmp_path) == before
    assert not journal_path(table).exists()


@pytest.mark.parametrize("action", ["move", "copy", "link"])
def test_the_same_command_again_does_nothing(tmp_path, capsys, action):
    table = make_photos(tmp_path, SCORES)
    words = [table, "--below", 50, f"--{action}", tmp_path / "rejects", "--apply"]
    assert cull(*words) == 0
    after = tree(tmp_path)
    assert cull(*words) == 0
    assert tree(tmp_path) == after
    assert "0 pictures (0 sidecars), 2 done before" in capsys.readouterr().out
    assert cull(table, "--undo") == 0  # of the first run, since the second left no trace
    assert below(tmp_path, "photos").keys() == {"a.jpg", "b.jpg", "sub", "sub/a.jpg"}


def test_runs_are_undone_one_by_one(tmp_path):
    table = make_photos(tmp_path, SCORES)
    states = [tree(tmp_path)]
    for score, folder in ((15, "first"), (50, "second")):
        assert cull(table, "--below", score, "--move", tmp_path / folder, "--apply") == 0
        states.append(tree(tmp_path))
    assert cull(table, "--undo") == 0
    assert tree(tmp_path) == states[1]
    assert cull(table, "--undo") == 0
    assert tree(tmp_path) == states[0]
    assert cull(table, "--undo") == 1


def test_names_that_are_taken_get_a_number(tmp_path):
    table = make_photos(tmp_path, SCORES)
    rejects = tmp_path / "rejects"
    make_picture(rejects / "a.jpg", 99)
    (rejects / "a-2.xmp").write_text("of somebody")
    (tmp_path / "photos/a.xmp").write_text("mine")
    before = tree(tmp_path)
    assert cull(table, "--below", 15, "--move", rejects, "--apply") == 0
    found = below(tmp_path, "rejects")
    assert found["a.jpg"] == before["rejects/a.jpg"]
    assert found["a-2.xmp"] == b"of somebody"
    assert found["a-3.jpg"] == before["photos/a.jpg"]
    assert found["a-3.xmp"] == b"mine"
    assert cull(table, "--undo") == 0
    assert tree(tmp_path) == before


def test_names_that_differ_in_case_only_are_kept_apart(tmp_path):
    """The folder may be on a disk that ignores case."""
    table = make_photos(tmp_path, {"A.jpg": 1, "a.jpg": 2})
    assert cull(table, "--worst", 2, "--copy", tmp_path / "rejects", "--apply") == 0
    assert set(below(tmp_path, "rejects")) == {"A.jpg", "a-2.jpg"}


@pytest.mark.parametrize("action", ["move", "copy", "link"])
def test_sidecars_go_with_their_pictures(tmp_path, action):
    table = make_photos(tmp_path, {"a.jpg": 1, "ab.jpg": 90, "a_02.jpg": 90})
    own = {"a.jpg.xmp", "a.xmp", "a.jpg.XMP", "a.AAE", "a.jpg.pp3", "a_01.jpg.xmp"}
    others = {"ab.jpg.xmp", "ab.xmp", "a.txt", "a.mov", "a_02.jpg.xmp", "a.jpg.xmp~"}
    for name in own | others:
        (tmp_path / "photos" / name).write_text(name)
    before = tree(tmp_path)
    assert cull(table, "--below", 50, f"--{action}", tmp_path / "rejects", "--apply") == 0
    assert set(below(tmp_path, "rejects")) == {"a.jpg", *own}
    if action == "move":
        assert set(below(tmp_path, "photos")) == {"ab.jpg", "a_02.jpg", *others}
    assert cull(table, "--undo") == 0
    assert tree(tmp_path) == before


def test_a_folder_is_no_sidecar(tmp_path):
    table = make_photos(tmp_path, {"a.jpg": 1})
    (tmp_path / "photos/a.xmp").mkdir()
    assert cull(table, "--worst", 1, "--move", tmp_path / "rejects", "--apply") == 0
    assert set(below(tmp_path, "photos")) == {"a.xmp"}


def test_a_sidecar_that_another_picture_needs_stays_with_it(tmp_path):
    table = make_photos(tmp_path, {"a.jpg": 1, "b.jpg": 2})
    for name in ("a.cr2", "a.xmp", "a.cr2.xmp"):
        (tmp_path / "photos" / name).write_text(name)
    before = tree(tmp_path)
    assert cull(table, "--worst", 1, "--move", tmp_path / "rejects", "--apply") == 0
    assert set(below(tmp_path, "photos")) == {"a.cr2", "a.xmp", "a.cr2.xmp", "b.jpg"}
    assert below(tmp_path, "rejects")["a.xmp"] == b"a.xmp"  # a copy
    assert cull(table, "--undo") == 0
    assert tree(tmp_path) == before


@pytest.mark.parametrize("sidecar", ["a.cr2.xmp", "a_01.cr2.xmp"])
def test_a_sidecar_of_raw_stays_with_it_when_an_export_of_its_name_goes(tmp_path, sidecar):
    """By the stem alone it would be that of the export, a.cr2.jpg or a_01.cr2.jpg."""
    export = sidecar.replace(".xmp", ".jpg")
    table = make_photos(tmp_path, {export: 1, "b.jpg": 90, "a.cr2": 91})
    (tmp_path / "photos" / sidecar).write_text("edits")
    (tmp_path / "photos" / f"{export}.xmp").write_text("of the export")
    (tmp_path / "photos" / export).with_suffix(".on1").write_text("of the export")
    before = tree(tmp_path)
    assert cull(table, "--worst", 1, "--move", tmp_path / "rejects", "--apply") == 0
    on1 = sidecar.replace(".xmp", ".on1")
    assert set(below(tmp_path, "rejects")) == {export, f"{export}.xmp", on1}
    assert set(below(tmp_path, "photos")) == {"a.cr2", sidecar, "b.jpg"}
    assert cull(table, "--undo") == 0
    assert cull(table, "--worst", 3, "--move", tmp_path / "rejects", "--apply") == 0
    assert below(tmp_path, "photos") == {}
    assert cull(table, "--undo") == 0
    assert tree(tmp_path) == before


def test_raw_and_jpeg_that_are_both_chosen_share_their_number(tmp_path):
    table = make_photos(tmp_path, {"a.jpg": 1, "a.dng": 2})
    (tmp_path / "photos/a.xmp").write_text("both")
    make_picture(tmp_path / "rejects/a.jpg", 9)
    assert cull(table, "--worst", 2, "--move", tmp_path / "rejects", "--apply") == 0
    assert set(below(tmp_path, "rejects")) == {"a.jpg", "a-2.jpg", "a-2.dng", "a-2.xmp"}
    assert below(tmp_path, "photos") == {}


@pytest.mark.parametrize("text", ["nowhere", "a.xmp"])  # the second leads to itself
@pytest.mark.parametrize(
    ("action", "others"), [("copy", []), ("move", ["a.cr2"]), ("move", []), ("link", [])]
)
def test_a_sidecar_that_is_a_link_to_nothing_stops_no_other_picture(
    tmp_path, caplog, action, others, text
):
    """It is moved and linked, but cannot be copied, as it must be where a.cr2 shares it."""
    table = make_photos(tmp_path, {"a.jpg": 1, "b.jpg": 2})
    (tmp_path / "photos/a.xmp").symlink_to(text)
    for name in ("b.jpg.xmp", *others):
        (tmp_path / "photos" / name).write_text(name)
    before = tree(tmp_path)
    words = [table, "--worst", 2, f"--{action}", tmp_path / "rejects"]
    is_skipped = action == "copy" or bool(others)
    for applied in ([], ["--apply"]):
        caplog.clear()
        assert cull(*words, *applied) == (3 if is_skipped else 0)
        reason = f"a.jpg cannot be done ({tmp_path / 'photos/a.xmp'}: "
        assert (reason in caplog.text) is is_skipped
    found = {"b.jpg", "b.jpg.xmp"} | (set() if is_skipped else {"a.jpg", "a.xmp"})
    assert set(below(tmp_path, "rejects")) == found
    assert cull(table, "--undo") == 0
    assert tree(tmp_path) == before


def test_a_sidecar_that_is_a_pipe_is_not_copied(tmp_path, caplog):
    table = make_photos(tmp_path, {"a.jpg": 1, "b.jpg": 2})
    os.mkfifo(tmp_path / "photos/a.xmp")
    assert cull(table, "--worst", 2, "--copy", tmp_path / "rejects", "--apply") == 3
    assert re.search(r"a\.jpg cannot be done \(.*a\.xmp. is a named pipe\)", caplog.text)
    assert set(below(tmp_path, "rejects")) == {"b.jpg"}


@pytest.mark.parametrize("action", ["copy", "move"])
def test_a_sidecar_that_vanishes_meanwhile_stops_no_other_picture(
    tmp_path, caplog, monkeypatch, action
):
    """After the folder was read."""
    table = make_photos(tmp_path, {"a.jpg": 1, "b.jpg": 2})
    sidecar = tmp_path / "photos/a.xmp"
    sidecar.write_text("edits")
    found = sidecars.folder_of(tmp_path / "photos")
    sidecar.unlink()
    monkeypatch.setattr(sidecars, "Folder", lambda _: found)
    assert cull(table, "--worst", 2, f"--{action}", tmp_path / "rejects", "--apply") == 3
    assert f"a.jpg cannot be done ({sidecar}: No such file or directory)" in caplog.text
    assert set(below(tmp_path, "rejects")) == {"b.jpg"}


def test_what_has_changed_or_is_gone_is_skipped(tmp_path, capsys, caplog):
    table = make_photos(tmp_path, SCORES)
    (tmp_path / "photos/a.jpg").unlink()
    make_picture(tmp_path / "photos/sub/a.jpg", 77)
    before = tree(tmp_path)
    assert cull(table, "--below", 50, "--move", tmp_path / "rejects", "--apply") == 3
    assert tree(tmp_path) == before
    shown = capsys.readouterr()
    assert "skipped: " in caplog.text
    assert "moved: 0 pictures (0 sidecars), 2 skipped" in shown.out
    assert not journal_path(table).exists()


@pytest.mark.parametrize("action", ["move", "copy", "link"])
def test_another_picture_at_the_place_of_one_that_was_filed_is_named(
    tmp_path, capsys, caplog, action
):
    table = make_photos(tmp_path, SCORES)
    words = [table, "--below", 20, f"--{action}", tmp_path / "rejects", "--apply"]
    assert cull(*words) == 0
    (tmp_path / "photos/a.jpg").unlink(missing_ok=True)
    make_picture(tmp_path / "photos/a.jpg", 77)
    before = tree(tmp_path)
    assert cull(*words) == 3
    assert tree(tmp_path) == before
    assert "a.jpg has changed since it was scored" in caplog.text
    assert "1 skipped" in capsys.readouterr().out
    caplog.clear()
    assert cull(table, "--below", 20) == 3
    assert "a.jpg has changed since it was scored" in caplog.text


def test_pictures_in_the_folder_itself_stay(tmp_path, caplog):
    table = make_photos(tmp_path, SCORES)
    before = tree(tmp_path)
    assert cull(table, "--below", 50, "--move", tmp_path / "photos", "--apply") == 3
    assert tree(tmp_path) == before
    assert "lies in that folder already" in caplog.text


def test_links_are_moved_as_links(tmp_path):
    """A relative link still leads to its file, and is relative again afterwards."""
    original = make_picture(tmp_path / "store/a.jpg")
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos/rel.jpg").symlink_to("../store/a.jpg")
    (tmp_path / "photos/abs.jpg").symlink_to(original)
    rows = [make_row(tmp_path / "photos" / name, 1) for name in ("rel.jpg", "abs.jpg")]
    table = write_table(tmp_path / "scores.csv", rows)
    before = tree(tmp_path)
    assert cull(table, "--worst", 2, "--move", tmp_path / "deep/er/rejects", "--apply") == 0
    for name in ("rel.jpg", "abs.jpg"):
        moved = tmp_path / "deep/er/rejects" / name
        assert moved.is_symlink()
        assert moved.read_bytes() == original.read_bytes()
    assert below(tmp_path, "photos") == {}
    assert cull(table, "--undo") == 0
    assert tree(tmp_path) == before


def test_room_is_needed_for_what_a_link_leads_to(tmp_path, capsys, small_disk):
    (tmp_path / "store").write_bytes(b"\0" * 200_000)
    (tmp_path / "a.jpg").symlink_to("store")
    table = write_table(tmp_path / "scores.csv", [make_row(tmp_path / "a.jpg", 1)])
    assert cull(table, "--worst", 1, "--copy", small_disk / "rejects") == 1
    assert "must have room for 0.2 MB to copy, found 0.1 MB" in capsys.readouterr().err
    assert cull(table, "--worst", 1, "--move", small_disk / "rejects") == 0  # as a link


def test_a_copy_of_a_link_is_a_file(tmp_path):
    original = make_picture(tmp_path / "store/a.jpg")
    (tmp_path / "a.jpg").symlink_to(original)
    table = write_table(tmp_path / "scores.csv", [make_row(tmp_path / "a.jpg", 1)])
    assert cull(table, "--worst", 1, "--copy", tmp_path / "rejects", "--apply") == 0
    assert not (tmp_path / "rejects/a.jpg").is_symlink()


def test_the_folder_and_the_table_may_be_links(tmp_path):
    table = make_photos(tmp_path, SCORES)
    (tmp_path / "real").mkdir()
    (tmp_path / "rejects").symlink_to("real")
    (tmp_path / "link-scores.jsonl").symlink_to(table)
    before = tree(tmp_path)
    words = ["--below", 15, "--move", tmp_path / "rejects", "--apply"]
    assert cull(tmp_path / "link-scores.jsonl", *words) == 0
    assert "real/a.jpg" in tree(tmp_path)
    assert cull(table, "--undo") == 0
    assert tree(tmp_path) == before


def test_another_file_system(tmp_path, other_disk):
    table = make_photos(tmp_path, SCORES)
    (tmp_path / "photos/a.jpg.xmp").write_text("x")
    (tmp_path / "photos/sub/a.xmp").symlink_to("../a.jpg.xmp")
    os.utime(tmp_path / "photos/a.jpg.xmp", ns=(1, 123_456_789))
    before = tree(tmp_path)
    assert cull(table, "--below", 50, "--move", other_disk / "rejects", "--apply") == 0
    found = below(other_disk, "rejects")
    assert found["sub/a.jpg"] == before["photos/sub/a.jpg"]
    assert (other_disk / "rejects/a.jpg.xmp").stat().st_mtime_ns == 123_456_789
    assert set(below(tmp_path, "photos")) == {"b.jpg", "sub"}
    assert cull(table, "--undo") == 0
    assert tree(tmp_path) == before
    assert tree(other_disk) == {}


def test_a_moved_picture_that_was_edited_comes_back_as_it_is(tmp_path):
    table = make_photos(tmp_path, SCORES)
    assert cull(table, "--below", 15, "--move", tmp_path / "rejects", "--apply") == 0
    (tmp_path / "rejects/a.jpg").write_bytes(b"edited")
    (tmp_path / "rejects/note.txt").write_text("keep")
    assert cull(table, "--undo") == 0
    assert (tmp_path / "photos/a.jpg").read_bytes() == b"edited"
    assert below(tmp_path, "rejects") == {"note.txt": b"keep"}


def test_undo_replaces_nothing(tmp_path, caplog):
    table = make_photos(tmp_path, SCORES)
    assert cull(table, "--below", 50, "--move", tmp_path / "rejects", "--apply") == 0
    (tmp_path / "photos/a.jpg").write_bytes(b"another")
    assert cull(table, "--undo") == 3
    assert f"there is another {tmp_path / 'photos/a.jpg'} now" in caplog.text
    assert set(below(tmp_path, "rejects")) == {"a.jpg"}
    (tmp_path / "photos/a.jpg").unlink()
    assert cull(table, "--undo") == 0  # what was left
    assert set(below(tmp_path, "photos")) == {"a.jpg", "b.jpg", "sub", "sub/a.jpg"}


@pytest.mark.parametrize("kind", ["file", "empty", "link"])
@pytest.mark.parametrize("text", ["../store/a.jpg", "absolute"])
def test_undo_keeps_a_moved_link_where_something_new_lies_at_its_place(
    tmp_path, caplog, text, kind
):
    original = make_picture(tmp_path / "store/a.jpg")
    link, moved = tmp_path / "photos/a.jpg", tmp_path / "rejects/a.jpg"
    link.parent.mkdir()
    link.symlink_to(original if text == "absolute" else text)
    table = write_table(tmp_path / "scores.csv", [make_row(link, 1)])
    before = tree(tmp_path)
    assert cull(table, "--worst", 1, "--move", moved.parent, "--apply") == 0
    if kind == "link":
        link.symlink_to("elsewhere")
    else:
        link.write_bytes(b"new" if kind == "file" else b"")
    after = tree(tmp_path)
    assert cull(table, "--undo") == 3
    assert f"there is another {link} now" in caplog.text
    assert tree(tmp_path) == after
    assert moved.read_bytes() == original.read_bytes()
    link.unlink()
    assert cull(table, "--undo") == 0  # what was left
    moved.parent.rmdir()
    assert tree(tmp_path) == before


def test_what_is_left_does_not_keep_earlier_runs_from_being_undone(tmp_path, capsys, caplog):
    """Three runs, of the last two of which an action cannot be undone; both can in the end."""
    table = make_photos(tmp_path, SCORES)
    before = tree(tmp_path)
    for score, folder in ((15, "first"), (50, "second"), (95, "third")):
        assert cull(table, "--below", score, "--move", tmp_path / folder, "--apply") == 0
    photos = tmp_path / "photos"
    (photos / "b.jpg").write_bytes(b"another")
    (photos / "sub/a.jpg").write_bytes(b"another")
    assert cull(table, "--undo") == 3  # of the third: of its folder and b.jpg
    assert "undone: 0 of 1 actions on files" in capsys.readouterr().out
    assert cull(table, "--undo") == 3  # the second, which has moved sub/a.jpg
    assert "undone: 0 of 2 actions on files" in capsys.readouterr().out
    caplog.clear()
    assert cull(table, "--undo") == 3  # the first
    assert caplog.text.count("left as it is") == 2
    assert (photos / "a.jpg").read_bytes() == before["photos/a.jpg"]
    assert cull(table, "--undo") == 3  # nothing but what is left
    assert "undone: 0 of 2 actions on files" in capsys.readouterr().out
    (photos / "sub/a.jpg").unlink()
    assert cull(table, "--undo") == 3
    (photos / "b.jpg").unlink()
    assert cull(table, "--undo") == 0
    assert {name: tree(tmp_path)[name] for name in before} == before
    assert not journal_path(table).exists()


def test_what_is_left_is_undone_first_once_it_can_be(tmp_path):
    table = make_photos(tmp_path, SCORES)
    for score, folder in ((15, "first"), (50, "second")):
        assert cull(table, "--below", score, "--move", tmp_path / folder, "--apply") == 0
    (tmp_path / "photos/sub/a.jpg").write_bytes(b"another")
    assert cull(table, "--undo") == 3
    (tmp_path / "photos/sub/a.jpg").unlink()
    assert cull(table, "--undo") == 0
    assert set(below(tmp_path, "photos")) == {"b.jpg", "sub", "sub/a.jpg"}
    assert set(below(tmp_path, "first")) == {"a.jpg"}
    assert cull(table, "--below", 50, "--move", tmp_path / "third", "--apply") == 0
    assert cull(table, "--undo") == 0
    assert cull(table, "--undo") == 0
    assert set(below(tmp_path, "photos")) == {"a.jpg", "b.jpg", "sub", "sub/a.jpg"}
    assert not journal_path(table).exists()


@pytest.mark.parametrize("action", ["copy", "link"])
def test_undo_deletes_nothing_of_others(tmp_path, action):
    table = make_photos(tmp_path, SCORES)
    assert cull(table, "--below", 15, f"--{action}", tmp_path / "rejects", "--apply") == 0
    (tmp_path / "rejects/a.jpg").unlink()
    (tmp_path / "rejects/a.jpg").write_bytes(b"another")
    assert cull(table, "--undo") == 3
    assert below(tmp_path, "rejects") == {"a.jpg": b"another"}


def test_a_picture_that_vanished_after_the_move_is_reported(tmp_path, caplog):
    table = make_photos(tmp_path, SCORES)
    assert cull(table, "--below", 15, "--move", tmp_path / "rejects", "--apply") == 0
    (tmp_path / "rejects/a.jpg").unlink()
    assert cull(table, "--undo") == 3
    assert "a.jpg is gone" in caplog.text


def test_a_disk_without_room_is_noticed_before(tmp_path, capsys, small_disk):
    table = make_photos(tmp_path, SCORES)
    with (tmp_path / "photos/a.jpg").open("ab") as file:
        file.write(b"\0" * 200_000)
    rows = [make_row(tmp_path / "photos/a.jpg", 1)]
    write_table(table, rows)
    before = tree(tmp_path)
    assert cull(table, "--worst", 1, "--move", small_disk / "rejects", "--apply") == 1
    shown = capsys.readouterr().err
    assert "must have room for 0.2 MB to move, found 0.1 MB; make room" in shown
    assert tree(tmp_path) == before


@pytest.fixture
def small_disk(tmp_path_factory):
    """A file system of 64 kB and six files."""
    with disks.small_disk(tmp_path_factory.mktemp("disk"), "size=64k,nr_inodes=6") as place:
        yield place


@pytest.mark.parametrize("action", ["move", "copy", "link"])
def test_a_full_disk_loses_nothing_and_all_is_undone(tmp_path, capsys, small_disk, action):
    """It has no room for the names of all files, which only the last ones find out."""
    table = make_photos(tmp_path, {f"{n}.jpg": n for n in range(9)})
    before = tree(tmp_path)
    words = [table, "--worst", 9, f"--{action}", small_disk / "rejects", "--apply"]
    assert cull(*words) == 1
    shown = capsys.readouterr().err
    assert "(No space left on device); all of this run is taken back; make room" in shown
    assert shown.count("\n") == 1
    assert tree(tmp_path) == before
    assert tree(small_disk) == {}
    assert not journal_path(table).exists()


@pytest.fixture
def medium(tmp_path_factory):
    """A file system with room for a few pictures, which can be write-protected."""
    with disks.small_disk(tmp_path_factory.mktemp("medium"), "size=1m") as place:
        yield place


def test_a_move_out_of_a_folder_that_cannot_be_written_is_refused(tmp_path, capsys, monkeypatch):
    """Of another user, for whom permissions hold."""
    table = make_photos(tmp_path, SCORES)
    before, closed = tree(tmp_path), tmp_path / "photos/sub"
    monkeypatch.setattr(os, "access", lambda path, mode: (Path(path), mode) != (closed, os.W_OK))
    words = ["--move", tmp_path / "rejects"]
    for applied in ([], ["--apply"]):
        assert cull(table, "--below", 50, *words, *applied) == 1
        shown = capsys.readouterr()
        assert f"{closed}: must be writable to move its pictures, found a read-only" in shown.err
        assert (shown.err.count("\n"), shown.out) == (1, "")
    assert tree(tmp_path) == before
    assert not journal_path(table).exists()
    assert cull(table, "--below", 15, *words, "--apply") == 0  # of the other folder
    assert set(below(tmp_path, "rejects")) == {"a.jpg"}


def test_a_move_from_a_read_only_medium_is_refused(tmp_path, capsys, medium):
    rows = [make_row(make_picture(medium / "a.jpg"), 1)]
    table = write_table(tmp_path / "scores.csv", rows)
    disks.make_read_only(medium)
    assert cull(table, "--worst", 1, "--move", tmp_path / "rejects", "--apply") == 1
    assert f"{medium}: must be writable to move its pictures, found" in capsys.readouterr().err
    assert tree(tmp_path) == {}
    assert not journal_path(table).exists()
    assert cull(table, "--worst", 1, "--copy", tmp_path / "rejects", "--apply") == 0


@pytest.mark.parametrize("words", [["--move"], ["--xmp"]])
def test_a_medium_that_becomes_read_only_leaves_nothing_behind(
    tmp_path, capsys, monkeypatch, medium, words
):
    """After its folder was found to be writable."""
    rows = [make_row(make_picture(medium / "a.jpg"), 1)]
    table = write_table(tmp_path / "scores.csv", rows)
    disks.make_read_only(medium)
    monkeypatch.setattr(os, "access", lambda *_: True)
    folder = [tmp_path / "rejects"] * (words == ["--move"])
    assert cull(table, "--worst", 1, *words, *folder, "--apply") == 1
    shown = capsys.readouterr().err
    assert "(Read-only file system); all of this run is taken back" in shown
    assert shown.count("\n") == 1
    assert tree(tmp_path) == {}
    assert not journal_path(table).exists()


@pytest.mark.parametrize("action", ["move", "copy", "link"])
@pytest.mark.parametrize("folder", [".", "new"])
def test_a_read_only_medium_gets_nothing(tmp_path, capsys, medium, action, folder):
    table = make_photos(tmp_path, SCORES)
    before = tree(tmp_path)
    disks.make_read_only(medium)
    assert cull(table, "--worst", 1, f"--{action}", medium / folder, "--apply") == 1
    shown = capsys.readouterr().err
    assert "(Read-only file system); all of this run is taken back" in shown
    assert tree(tmp_path) == before
    assert not journal_path(table).exists()


def test_a_file_that_may_not_grow_loses_nothing(tmp_path, other_disk):
    """The last picture is larger than files may be, as on a FAT file system."""
    table = make_photos(tmp_path, {"a.jpg": 1, "b.jpg": 2, "c.jpg": 3})
    (tmp_path / "photos/c.jpg").write_bytes(b"\0" * 300_000)
    rows = [make_row(tmp_path / "photos" / name, 1) for name in ("a.jpg", "b.jpg", "c.jpg")]
    write_table(table, rows)
    before = tree(tmp_path)
    limit = 100_000
    words = [str(table), "--worst", "3", "--move", str(other_disk / "x"), "--apply"]
    shown = subprocess.run(
        [sys.executable, "-m", "rsfiqa", "cull", *words],
        preexec_fn=lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit)),
        capture_output=True,
        text=True,
        check=False,
    )
    assert shown.returncode == 1
    assert "(File too large); all of this run is taken back" in shown.stderr
    assert tree(tmp_path) == before
    assert tree(other_disk) == {}


def test_a_journal_that_cannot_be_written_stops_before_the_action(tmp_path, capsys, small_disk):
    photos = make_photos(tmp_path, SCORES)
    table = small_disk / "scores.jsonl"
    shutil.copy(photos, table)
    (small_disk / "full").write_bytes(b"\0" * (shutil.disk_usage(small_disk).free - 4096))
    journal_path(table).write_bytes(b"")
    (small_disk / "full2").write_bytes(b"\0" * shutil.disk_usage(small_disk).free)
    before = tree(tmp_path)
    assert cull(table, "--below", 50, "--move", tmp_path / "rejects", "--apply") == 1
    assert "cannot be written (No space left on device)" in capsys.readouterr().err
    assert tree(tmp_path) == before


def test_one_picture_that_cannot_be_moved_stops_no_other(tmp_path, caplog):
    """A name of 255 bytes cannot get a number."""
    long = "x" * 251 + ".jpg"
    table = make_photos(tmp_path, {long: 1, "b.jpg": 2})
    make_picture(tmp_path / "rejects" / long, 9)
    before = tree(tmp_path)
    assert cull(table, "--worst", 2, "--move", tmp_path / "rejects", "--apply") == 3
    assert "cannot be done" in caplog.text
    assert set(below(tmp_path, "photos")) == {long}
    assert cull(table, "--undo") == 0
    assert tree(tmp_path) == before


def test_two_runs_at_once(tmp_path, capsys):
    import fcntl

    table = make_photos(tmp_path, SCORES)
    with journal_path(table).open("ab") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        assert cull(table, "--below", 50, "--move", tmp_path / "rejects", "--apply") == 1
    assert "must be written by one run at a time, found another" in capsys.readouterr().err


@pytest.mark.parametrize("content", [b"mine\n", b'{"journal of culled pictures": 99}\n', b"[1]\n"])
def test_another_journal_is_left_as_it_is(tmp_path, capsys, content):
    table = make_photos(tmp_path, SCORES)
    journal_path(table).write_bytes(content)
    for words in (["--undo"], ["--below", 50, "--move", tmp_path / "rejects", "--apply"]):
        assert cull(table, *words) == 1
        assert "must be a journal of rsfiqa cull, version 1" in capsys.readouterr().err
    assert journal_path(table).read_bytes() == content


def test_names_that_are_no_utf8(tmp_path):
    table = make_photos(tmp_path, {"caf\udce9.jpg": 1, "b.jpg": 2})
    before = tree(tmp_path)
    assert cull(table, "--worst", 1, "--move", tmp_path / "rejects", "--apply") == 0
    assert set(below(tmp_path, "rejects")) == {"caf\udce9.jpg"}
    assert cull(table, "--undo") == 0
    assert tree(tmp_path) == before
