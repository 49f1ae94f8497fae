import fcntl
import os
import subprocess
import sys
from pathlib import Path

import pytest

from rsfiqa.errors import InputError
from rsfiqa.io.locked import open_locked

HOLDER = """
import pathlib, sys
from rsfiqa.io.locked import open_locked
path = pathlib.Path(sys.argv[1])
with open_locked(path, path) as file:
    print("open", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def holder(tmp_path):
    """Another process that holds the lock of a file until its input ends."""
    line = [sys.executable, "-c", HOLDER, str(tmp_path / "journal")]
    with subprocess.Popen(
        line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "open\n"
        yield process
        process.kill()


def test_a_file_of_another_process_is_refused(holder, tmp_path):
    with pytest.raises(InputError, match=r"^a\.csv: must be written by one run") as caught:
        open_locked(tmp_path / "journal", Path("a.csv"))
    assert "\n" not in str(caught.value)


def test_the_lock_ends_with_its_process(holder, tmp_path):
    holder.kill()
    holder.wait()
    with open_locked(tmp_path / "journal", tmp_path) as file:
        assert file.read() == b""


@pytest.mark.parametrize("wait", [False, True])
def test_a_file_that_its_last_holder_removes_is_made_again(tmp_path, monkeypatch, wait):
    path, really_lock, calls = tmp_path / "journal", fcntl.flock, []

    def lock(file, operation):
        if not calls:
            path.unlink()  # as the run before does at its end
        calls.append(operation)
        really_lock(file, operation)

    monkeypatch.setattr(fcntl, "flock", lock)
    with open_locked(path, tmp_path, wait=wait) as file:
        assert os.path.samestat(path.stat(), os.fstat(file.fileno()))
    assert len(calls) == 2


def test_lines_are_appended(tmp_path):
    for line in (b"a\n", b"b\n"):
        with open_locked(tmp_path / "journal", tmp_path) as file:
            file.write(line)
    assert (tmp_path / "journal").read_bytes() == b"a\nb\n"
