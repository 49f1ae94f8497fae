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
from rsfiqa.score import rows, workers
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
    Image.open(photos / "b.png").resize((6000, 4000)).save(photos / "b.png", compress_level=1)
    output = tmp_path / "s.jsonl"
    limited = Recorder(tmp_path / "log", b=limit_memory)
    assert not run([photos], checkpoint, output, score_one=limited)
    by_name = {Path(row["path"]).stem: row for row in rows_of(output)}
    assert by_name["a"]["status"] == "ok"
    assert (by_name["b"]["status"], len(by_name)) == ("failed", 5)


def limit_memory() -> None:
    """Let this process have no more memory than it has, of which a large image needs more."""
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


def test_one_picture_that_takes_longer_than_all_that_may_be_ahead(checkpoint, tmp_path):
    """Then every process waits for an image until the slow one's row has been given."""
    paths = [str(tmp_path / f"{i:02}.png") for i in range(3 * workers.AHEAD)]
    pool = Workers(Setup(checkpoint, ScoreOptions(), None), 2, last_of_its_window)

    def expire(*_):
        raise TimeoutError("a process waits for ever")

    before = signal.signal(signal.SIGALRM, expire)
    signal.alarm(200)
    try:
        assert [row["path"] for row, _ in pool.rows(paths)] == paths
    finally:
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def last_of_its_window(path: str) -> rows.Scored:
    """The row of a picture; that of the first comes after those that may be ahead of it."""
    folder = Path(path).parent
    if Path(path).stem == "00":
        while len(list(folder.glob("*.done"))) < 2 * workers.AHEAD - 1:
            time.sleep(0.01)
        time.sleep(0.5)  # in which the last of them arrives
    else:
        Path(path).with_suffix(".done").touch()
    return workers.score_one(path)


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


@pytest.mark.parametrize(
    ("pictures", "delay"), [(1, 0), (1, 0.2), (1, 0.5), (80, 0), (80, 0.5), (80, 2.0)]
)
@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_is_one_line_at_once(tmp_path, noise, pictures, delay):
    words = [tmp_path / f"{i:02}.png" for i in range(pictures)]
    size = (4000, 3000) if pictures > 1 else (8000, 6000)  # takes longer than the delays
    Image.fromarray(noise).resize(size).save(words[0], compress_level=1)
    for word in words[1:]:
        word.hardlink_to(words[0])
    with command(*words, "--workers=2", start_new_session=True) as process:
        while "pydantic" not in Path(f"/proc/{process.pid}/maps").read_text("utf-8"):
            time.sleep(0.001)  # the interpreter starts, which is not ours
        time.sleep(delay)
        os.killpg(process.pid, signal.SIGINT)
        started = time.monotonic()
        _, errors = process.communicate()
    assert time.monotonic() - started < 10  # other tests run beside it
    assert process.returncode == 130, errors
    assert errors.splitlines()[-1:] in (["rsfiqa: interrupted"], ["rsfiqa score: interrupted"])
    assert "Traceback" not in errors


@pytest.mark.usefixtures("interruptible")
@pytest.mark.parametrize(("status", "expected"), [(0, 0), (1, 130), (3, 130)])
def test_an_interrupt_that_a_module_turned_into_an_error_is_told(status, expected):
    """As an extension module may that is loaded meanwhile; then a picture seems to have failed."""
    code = (
        "import os, signal, sys, time\n"
        "from rsfiqa import cli\n"
        "from rsfiqa.__main__ import main\n"
        "def turned():\n"
        "    try:\n"
        "        os.kill(os.getpid(), signal.SIGINT)\n"
        "        time.sleep(60)\n"
        "    except KeyboardInterrupt:\n"
        f"        return {status}\n"
        "cli.main = turned\n"
        "sys.exit(main())\n"
    )
    ended = subprocess.run(
        [sys.executable, "-c", code], check=False, capture_output=True, text=True, timeout=60
    )
    said = "rsfiqa: interrupted\n" if expected else ""
    assert (ended.returncode, ended.stderr) == (expected, said)


@pytest.mark.usefixtures("interruptible")
def test_an_interrupt_while_a_string_is_executed_is_a_status(tmp_path):
    """As while a dataclass is made; `python -m` would end by the signal, which a thread takes."""
    code = (
        "import sys, threading, time\n"
        "from rsfiqa import cli\n"
        "from rsfiqa.__main__ import main\n"
        "threading.Thread(target=time.sleep, args=(60,), daemon=True).start()\n"
        "def inside():\n"
        "    exec('import os, signal; os.kill(os.getpid(), signal.SIGINT); print(1)')\n"
        "cli.main = inside\n"
        "sys.exit(main())\n"
    )
    (tmp_path / "probe.py").write_text(code)
    ended = subprocess.run(
        [sys.executable, "-m", "probe"],
        check=False,
        capture_output=True,
        text=True,
        timeout=60,
        env=os.environ | {"PYTHONPATH": f"{tmp_path}{os.pathsep}{Path.cwd()}"},
    )
    assert (ended.returncode, ended.stderr) == (130, "rsfiqa: interrupted\n")


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
