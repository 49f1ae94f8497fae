"""Processes that die, run out of memory or are interrupted."""

import os
import resource
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from rsfiqa.errors import InputError
from rsfiqa.score import rows
from rsfiqa.score.options import ScoreOptions
from rsfiqa.score.workers import Setup, Workers
from tests.support.scoring import Recorder, command, crash, kill, rows_of, run


@pytest.fixture
def photos(tmp_path, noise):
    """Five pictures, a to e."""
    root = tmp_path / "photos"
    root.mkdir()
    for i, name in enumerate("abcde"):
        Image.fromarray(np.roll(noise, i)).save(root / f"{name}.png")
    return root


@pytest.mark.parametrize("workers", [1, 2])
def test_a_process_that_dies_costs_one_picture(photos, checkpoint, tmp_path, workers):
    output = tmp_path / "s.jsonl"
    killer = Recorder(tmp_path / "log", b=kill, d=crash)
    assert not run([photos], checkpoint, output, workers=workers, score_one=killer)
    rows = {Path(row["path"]).stem: row for row in rows_of(output)}
    assert [name for name, row in rows.items() if row["status"] == "ok"] == ["a", "c", "e"]
    found = {name: (rows[name]["status"], rows[name]["reason"]) for name in "bd"}
    assert found == {
        "b": ("failed", "its process was killed (SIGKILL), perhaps because memory ran out"),
        "d": ("failed", "its process crashed (SIGSEGV)"),
    }
    assert sorted(killer.names) == [f"{name}.png" for name in "abcde"]
    second = Recorder(tmp_path / "second")
    assert run([photos], checkpoint, output, score_one=second)
    assert second.names == ["b.png", "d.png"]


def test_a_process_that_is_killed_from_outside(photos, checkpoint, tmp_path):
    output = tmp_path / "s.jsonl"
    words = (photos, "--workers=2", "--checkpoint", checkpoint, "-o", output)
    with command(*words) as process:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        journal = tmp_path / ".s.jsonl.journal"
        while process.poll() is None and not journal.is_file():
            time.sleep(0.01)
        while process.poll() is None and len(found := scorers(children)) < 2:
            time.sleep(0.01)
        while process.poll() is None and journal.read_bytes().count(b"\n") < 2:
            time.sleep(0.005)
        os.kill(found[0], signal.SIGKILL)
        _, errors = process.communicate()
    assert "Traceback" not in errors
    statuses = [row["status"] for row in rows_of(output)]
    assert len(statuses) == 5
    assert statuses.count("failed") <= 1
    assert process.returncode == (3 if "failed" in statuses else 0)


def scorers(children: Path) -> list[int]:
    """Processes that score, not the one that counts resources."""
    found = [int(word) for word in children.read_text("ascii").split()]
    lines = {pid: Path(f"/proc/{pid}/cmdline").read_bytes() for pid in found}
    return [pid for pid, line in lines.items() if b"spawn_main" in line]


def test_memory_that_runs_out_costs_one_picture(photos, checkpoint, tmp_path):
    output = tmp_path / "s.jsonl"
    limited = Recorder(tmp_path / "log", b=limit_memory)
    assert not run([photos], checkpoint, output, score_one=limited)
    by_name = {Path(row["path"]).stem: row for row in rows_of(output)}
    assert by_name["a"]["status"] == "ok"
    assert (by_name["b"]["status"], len(by_name)) == ("failed", 5)


def limit_memory() -> None:
    """Let this process have no more memory than it has."""
    resource.setrlimit(resource.RLIMIT_AS, (1 << 28, resource.RLIM_INFINITY))


def test_what_libraries_say_when_memory_runs_out():
    assert rows.is_out_of_memory(MemoryError())
    with pytest.raises(RuntimeError) as caught:
        torch.empty(1 << 60, dtype=torch.uint8)
    assert rows.is_out_of_memory(caught.value)
    with pytest.raises(RuntimeError) as caught:
        torch.zeros(2) @ torch.zeros(3)
    assert not rows.is_out_of_memory(caught.value)


def test_models_that_cannot_be_loaded_are_one_line(photos, checkpoint):
    pool = Workers(Setup(checkpoint, ScoreOptions(weights="/nowhere"), None), 2)
    with pytest.raises(InputError, match="--weights: must be a file, found none at /nowhere"):
        list(pool.rows(sorted(map(str, photos.iterdir()))))


def test_a_file_that_is_replaced_meanwhile_has_one_row(checkpoint, tmp_path, noise):
    """Regions, pixels and score are of one reading; the row says of which state of the file."""
    path = tmp_path / "a.png"
    Image.fromarray(noise).save(path)
    code = (
        "import sys; from pathlib import Path; from PIL import Image\n"
        "from rsfiqa.score import stage, workers; from rsfiqa.score.options import ScoreOptions\n"
        "start = workers.start\n"
        "def slow(setup):\n"
        "    start(setup)\n"
        "    import time; time.sleep(2)\n"
        "    Image.new('RGB', (300, 20), 'red').save(sys.argv[1])\n"
        "workers.start = slow\n"
        "stage.run([sys.argv[1]], ScoreOptions(), checkpoint=Path(sys.argv[2]),"
        " output=Path(sys.argv[3]), heatmaps=None, explain=False, workers=1)\n"
    )
    first, second = tmp_path / "first.jsonl", tmp_path / "second.jsonl"
    assert run([path], checkpoint, first)
    line = [sys.executable, "-c", code, path, checkpoint, second]
    subprocess.run(line, check=True, capture_output=True)
    assert rows_of(second) == rows_of(first)
    again = Recorder(tmp_path / "again")
    assert run([path], checkpoint, second, score_one=again)
    assert again.names == ["a.png"]  # for the file is another now
    assert rows_of(second) != rows_of(first)


def test_a_single_picture_leaves_no_process_behind(checkpoint, tmp_path, noise):
    Image.fromarray(noise).resize((3000, 2000)).save(tmp_path / "a.png")
    for delay in (0.5, 1.0, 2.0):
        with command(tmp_path / "a.png", start_new_session=True) as process:
            time.sleep(delay)
            process.kill()
        for _ in range(50):
            if not (left := in_session(process.pid)):
                break
            time.sleep(0.1)
        assert left == []


def in_session(leader: int) -> list[str]:
    """Processes of a session that go on."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            fields = (folder / "stat").read_text("utf-8").rpartition(")")[2].split()
        except (FileNotFoundError, ProcessLookupError):
            continue
        if int(fields[3]) == leader and fields[0] != "Z":
            found.append(folder.name)
    return found


@pytest.mark.parametrize("delay", [0, 0.2, 0.7, 2.0])
@pytest.mark.parametrize("pictures", [1, 5])
def test_an_interrupt_is_one_line_at_once(photos, request, delay, pictures):
    # tests that run in the background ignore it, and what they start would too
    ignored = signal.signal(signal.SIGINT, signal.default_int_handler)
    request.addfinalizer(lambda: signal.signal(signal.SIGINT, ignored))
    words = sorted(photos.iterdir())[:pictures]
    for word in words:  # so that it takes longer than any of the delays
        Image.open(word).resize((4000, 3000)).save(word, compress_level=0)
    with command(*words, "--workers=2", start_new_session=True) as process:
        while "pydantic" not in Path(f"/proc/{process.pid}/maps").read_text("utf-8"):
            time.sleep(0.001)  # the interpreter starts, which is not ours
        time.sleep(delay)
        os.killpg(process.pid, signal.SIGINT)
        started = time.monotonic()
        _, errors = process.communicate()
    assert time.monotonic() - started < 10  # other tests run beside it
    assert process.returncode == 130
    assert errors.splitlines()[-1:] in (["rsfiqa: interrupted"], ["rsfiqa score: interrupted"])
    assert "Traceback" not in errors


def test_an_interrupt_after_the_end_keeps_the_status():
    code = (
        "import atexit, os, signal, sys\n"
        "from rsfiqa.__main__ import main\n"
        "atexit.register(os.kill, os.getpid(), signal.SIGINT)\n"
        "sys.argv[1:] = ['score', '--help']\n"
        "main()\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True
    )
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.parametrize(
    "environment",
    [
        {"PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0", "LC_ALL": "C"},
        {"PYTHONUTF8": "0", "PYTHONIOENCODING": "ascii"},
    ],
)
def test_a_terminal_without_the_letters_of_a_name(checkpoint, tmp_path, noise, environment):
    Image.fromarray(noise).save(tmp_path / "bär.png")
    words = (tmp_path, "--checkpoint", checkpoint)
    with command(*words, env=environment) as process:
        output, errors = process.communicate()
    assert process.returncode == 0, errors
    assert "b\\xe4r.png" in output
    with command(*words, "-o", tmp_path / "sü.csv", env=environment) as process:
        process.communicate()
    assert [Path(row["path"]).name for row in rows_of(tmp_path / "sü.csv")] == ["bär.png"]
