"""A job's own server, by a stand-in with vLLM's command line; the real one: tests/production."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rsfiqa.caption.options import CaptionOptions, ServerOptions
from rsfiqa.captioners.vlm import supervisor
from rsfiqa.captioners.vlm.server import Server, free_port
from rsfiqa.errors import InputError
from rsfiqa.products.paths import product_path
from tests.support.captioning import SHARD, run_stage
from tests.support.completion_server import MODEL

ROOT = Path(__file__).resolve().parents[3]
STAND_IN = ROOT / "tests/support/stand_in"


@pytest.fixture
def faults(tmp_path, monkeypatch):
    """Set the faults of the stand-in; it writes its process ids in any case."""
    current = {"pids": str(tmp_path / "pids")}
    monkeypatch.setenv("PYTHONPATH", f"{STAND_IN}{os.pathsep}{ROOT}")

    def set_faults(**more):
        current.update(more)
        monkeypatch.setenv("STAND_IN", json.dumps(current))
        return Path(current["pids"])

    set_faults()
    return set_faults


def server(log_file: Path, *, port: int | None = None, restarts: int = 0, **changes) -> Server:
    options = ServerOptions(**{"startup_timeout": 20.0} | changes)
    return Server(options, MODEL, log_file, port=port, restarts=restarts)


def alive(pids: Path) -> list[int]:
    """The processes of the stand-in that run."""
    running = []
    for pid in map(int, pids.read_text().split()):
        status = Path(f"/proc/{pid}/stat")
        if status.is_file() and status.read_text().rsplit(")", 1)[1].split()[0] != "Z":
            running.append(pid)
    return running


def parent(pid: int) -> int:
    """The process that started another."""
    return int(Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()[1])


def gone(pids: Path, seconds: float = 10) -> bool:
    """Whether all processes of the stand-in end in time."""
    end = time.monotonic() + seconds
    while alive(pids) and time.monotonic() < end:
        time.sleep(0.05)
    return not alive(pids)


def test_a_server_is_up_inside_and_gone_after(faults, tmp_path):
    pids = faults()
    with server(tmp_path / "logs" / "server.log") as own:
        assert own.alive
        assert own.url == f"http://127.0.0.1:{own.port}/v1"
        assert len(alive(pids)) == 2
    assert alive(pids) == []
    assert (tmp_path / "logs" / "server.log").read_text().startswith("$ ")


def test_a_server_gets_no_numbers_of_threads(faults, tmp_path, monkeypatch):
    """Two threads that vLLM has bound to one core wait for each other: 17 times as slow."""
    for name in ("MKL_NUM_THREADS", "OMP_NUM_THREADS"):  # as Snakemake sets for every job
        monkeypatch.setenv(name, "2")
    pids = faults()
    with server(tmp_path / "log"):
        for pid in alive(pids):
            assert b"_NUM_THREADS" not in Path(f"/proc/{pid}/environ").read_bytes()


def test_a_server_does_not_outlive_a_process_that_is_killed(faults, tmp_path):
    pids = faults()
    code = (
        "import time; from pathlib import Path; from rsfiqa.captioners.vlm.server import Server;"
        "from rsfiqa.caption.options import ServerOptions;"
        f"own = Server(ServerOptions(), {MODEL!r}, Path({str(tmp_path / 'log')!r}));"
        "own.__enter__(); print('up', flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as owner:
        assert owner.stdout.readline() == b"up\n"
        assert len(alive(pids)) == 2
        owner.kill()
    assert gone(pids)


def test_a_command_that_ignores_sigterm_is_killed(tmp_path):
    stubborn = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "print('up', flush=True); time.sleep(600)"
    )
    code = (
        "import sys; from rsfiqa.captioners.vlm import supervisor;"
        f"sys.exit(supervisor.main([sys.executable, '-c', {stubborn!r}], grace=0.2))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as owner:
        assert owner.stdout.readline() == b"up\n"
        owner.stdin.close()
        assert owner.wait(10) == supervisor.SIGNAL_STATUS + signal.SIGKILL


def test_why_a_server_did_not_start(faults, tmp_path):
    pids = faults(message="ValueError: no such model\n(see above)")
    with (
        pytest.raises(InputError, match=r"did not start: ValueError: no such model; its log is"),
        server(tmp_path / "log"),
    ):
        pass
    assert gone(pids)


def test_a_server_that_takes_too_long(faults, tmp_path):
    pids = faults(unhealthy=True)
    with (
        pytest.raises(
            InputError,
            match=r"must be ready within 5 s \(caption.server.startup_timeout\), found no",
        ),
        server(tmp_path / "log", startup_timeout=5.0),  # a busy machine takes 2 to start it
    ):
        pass
    assert gone(pids)


def caption_by_own_server(folder, **changes):
    options = CaptionOptions(
        backend="vllm",
        model=MODEL,
        concurrency=2,
        retry_timeout=20.0,
        server=ServerOptions(startup_timeout=20.0, **changes),
    )
    return run_stage(folder, options)


def test_a_server_that_crashes_is_restarted(folder, faults, tmp_path):
    (tmp_path / "crashes").write_text("2")
    pids = faults(crashes=str(tmp_path / "crashes"))
    rows, stats = caption_by_own_server(folder)
    assert {row["status"] for row in rows} == {"ok"}
    assert stats["restarts"] == 2
    assert len(pids.read_text().splitlines()) == 3
    assert alive(pids) == []
    assert (folder / "caption" / "server.log").is_file()


def test_a_server_that_crashes_too_often(folder, faults, tmp_path):
    (tmp_path / "crashes").write_text("9")
    pids = faults(crashes=str(tmp_path / "crashes"))
    with pytest.raises(InputError, match=r"server ended: ended by SIGKILL; it has been restarted"):
        caption_by_own_server(folder, max_restarts=1)
    assert len(pids.read_text().splitlines()) == 2
    assert gone(pids)


def test_no_server_is_started_for_cached_responses(folder, faults):
    pids = faults()
    before, _ = caption_by_own_server(folder)
    product_path(folder, "caption", SHARD).unlink()
    after, _ = caption_by_own_server(folder)
    assert before == after
    assert len(pids.read_text().splitlines()) == 1


def test_serve_prints_its_endpoint_and_ends_on_sigterm(faults, tmp_path):
    pids, port = faults(), free_port()
    words = ["--model", "tiny", "--port", str(port), "--log", str(tmp_path / "log")]
    with subprocess.Popen(
        [sys.executable, "-m", "rsfiqa", "caption", "serve", *words], stdout=subprocess.PIPE
    ) as owner:
        assert owner.stdout.readline().decode() == f"http://127.0.0.1:{port}/v1\n"
        owner.terminate()
        assert owner.wait(20) == 0
    assert alive(pids) == []


def test_a_port_that_is_taken(faults, tmp_path):
    with (
        server(tmp_path / "log") as first,
        pytest.raises(InputError, match=rf"port {first.port}: must be free"),
        server(tmp_path / "log", port=first.port),
    ):
        pass


def test_a_server_does_not_outlive_its_supervisor(faults, tmp_path):
    pids = faults()
    with server(tmp_path / "log"):
        first = int(pids.read_text().split()[0])
        os.kill(parent(first), signal.SIGKILL)
        end = time.monotonic() + 10
        while first in alive(pids) and time.monotonic() < end:
            time.sleep(0.05)
        assert first not in alive(pids)
        for pid in alive(pids):  # the stand-in's child; vLLM's engine ends with its server
            os.kill(pid, signal.SIGKILL)


def test_a_stopped_server_is_not_restarted(faults, tmp_path):
    pids = faults()
    with server(tmp_path / "log", restarts=5) as own:
        own.stop()
        own.revive()
        assert own.restarted == 0
    assert len(pids.read_text().splitlines()) == 1
