"""Atomic writes: what readers see, what remains after errors and kills."""

import errno
import subprocess
import sys

import pytest

from rsfiqa.io.atomic import HOST, atomic, write_bytes


def test_the_new_file_takes_the_place_of_the_old_one_at_the_end(tmp_path):
    path = tmp_path / "a"
    path.write_text("old", "utf-8")
    with atomic(path) as partial:
        partial.write_text("new", "utf-8")
        assert path.read_text("utf-8") == "old"
    assert path.read_text("utf-8") == "new"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("error", [OSError, KeyboardInterrupt])
def test_an_error_leaves_the_old_file_and_nothing_else(tmp_path, error):
    path = tmp_path / "a"
    path.write_text("old", "utf-8")
    with pytest.raises(error), atomic(path) as partial:  # noqa: PT012
        partial.write_text("half", "utf-8")
        raise error
    assert path.read_text("utf-8") == "old"
    assert list(tmp_path.iterdir()) == [path]


def test_what_a_killed_process_has_left_is_removed(tmp_path):
    path = tmp_path / "a"
    code = (
        "import sys, os, pathlib; from rsfiqa.io.atomic import atomic\n"
        "with atomic(pathlib.Path(sys.argv[1])) as p: p.touch(); os.kill(os.getpid(), 9)"
    )
    subprocess.run([sys.executable, "-c", code, path], check=False)
    (left,) = tmp_path.iterdir()
    with atomic(path) as partial:
        assert list(tmp_path.iterdir()) == []
        partial.touch()
        own = partial.name
    assert left.name.startswith(f".a.{own.split('.')[2].split('-')[0]}-")
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.parametrize("name", [".a.00000000-1.partial", ".b.{host}-999999999.partial"])
def test_what_others_write_stays(tmp_path, name):
    other = tmp_path / name.format(host=HOST)
    other.touch()
    (tmp_path / f".a.{HOST}-1.partial").touch()  # process 1 runs
    write_bytes(tmp_path / "a", b"{}\n")
    assert other.exists()
    assert (tmp_path / f".a.{HOST}-1.partial").exists()


def test_a_full_disk_names_the_file(tmp_path):
    full = OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(OSError, match="No space left") as caught, atomic(tmp_path / "a"):
        raise full
    assert caught.value.filename == str(tmp_path / "a")


@pytest.mark.parametrize(("umask", "mode"), [(0o022, 0o644), (0o027, 0o640), (0o002, 0o664)])
def test_permissions_follow_the_umask(tmp_path, umask, mode):
    code = (
        "import sys, pathlib; from rsfiqa.io.atomic import atomic\n"
        "with atomic(pathlib.Path(sys.argv[1])) as p: p.touch(0o600)"
    )
    subprocess.run([sys.executable, "-c", code, tmp_path / "a"], umask=umask, check=True)
    assert (tmp_path / "a").stat().st_mode & 0o777 == mode


def test_a_file_that_is_replaced_keeps_its_permissions(tmp_path):
    (tmp_path / "a").touch(0o600)
    with atomic(tmp_path / "a") as partial:
        partial.write_text("new")
    assert (tmp_path / "a").stat().st_mode & 0o777 == 0o600


def test_a_name_as_long_as_the_file_system_allows(tmp_path):
    for name in ("x" * 255, "é" * 127):
        with atomic(tmp_path / name) as partial:
            partial.write_bytes(b"new")
            assert partial.parent == tmp_path
        assert (tmp_path / name).read_bytes() == b"new"
    assert len(list(tmp_path.iterdir())) == 2
