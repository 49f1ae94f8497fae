"""A job's own server, by a stand-in with vLLM's command line; the real one: tests/production."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from rsfiqa.caption import stage as caption
from rsfiqa.caption.options import CaptionOptions, ServerOptions
from rsfiqa.captioners.vlm import server, supervisor
from rsfiqa.errors import InputError
from rsfiqa.products import captions
from rsfiqa.products.paths import product_path, stats_path
from tests.captioners.vlm.test_captioner import SHARD, folder  # noqa: F401

ROOT = Path(__file__).resolve().parents[2]
STAND_IN = Path(__file__).parents[2] / "support/stand_in"


@pytest.fixture
def faults(tmp_path, monkeypatch):
    """What the stand-in is to do wrong; it notes its process ids in any case."""
    wanted = {"pids": str(tmp_path / "pids")}
    monkeypatch.setenv("PYTHONPATH", f"{STAND_IN}{os.pathsep}{ROOT}")

    def set_faults(**more):
        wanted.update(more)
        monkeypatch.setenv("STAND_IN", json.dumps(wanted))
        return Path(wanted["pids"])

    set_faults()
    return set_faults


def options(**changes) -> ServerOptions:
    return ServerOptions(**{"model": "tiny", "startup": 20.0} | changes)


def alive(pids: Path) -> list[int]:
    """Which of the noted processes run."""
    found = []
    for pid in map(int, pids.read_text().split()):
        status = Path(f"/proc/{pid}/stat")
        if status.is_file() and status.read_text().rsplit(")", 1)[1].split()[0] != "Z":
            found.append(pid)
    return found


def gone(pids: Path, seconds: float = 10) -> bool:
    """Whether all noted processes end in time."""
    end = time.monotonic() + seconds
    while alive(pids) and time.monotonic() < end:
        time.sleep(0.05)
    return not alive(pids)


def test_a_server_is_up_inside_and_gone_after(faults, tmp_path):
    pids = faults()
    with server.Server(options(), tmp_path / "logs" / "server.log") as own:
        assert own.alive
        assert own.url == f"http://127.0.0.1:{own.port}/v1"
        assert len(alive(pids)) == 2
    assert alive(pids) == []
    assert (tmp_path / "logs" / "server.log").read_text().startswith("$ ")


def test_a_server_has_its_own_way_with_cores(faults, tmp_path, monkeypatch):
    """Two threads that vLLM has bound to one core wait for each other: 17 times as slow."""
    for name in ("MKL_NUM_THREADS", "OMP_NUM_THREADS"):  # as Snakemake sets for every job
        monkeypatch.setenv(name, "2")
    pids = faults()
    with server.Server(options(), tmp_path / "log"):
        for pid in alive(pids):
            assert b"_NUM_THREADS" not in Path(f"/proc/{pid}/environ").read_bytes()


def test_a_server_does_not_outlive_a_process_that_is_killed(faults, tmp_path):
    pids = faults()
    code = (
        "import time; from pathlib import Path; from rsfiqa.caption.server import Server;"
        "from rsfiqa.stages import ServerOptions;"
        f"own = Server(ServerOptions(model='tiny'), Path({str(tmp_path / 'log')!r}));"
        "own.__enter__(); print('up', flush=True); time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE) as owner:
        assert owner.stdout.readline() == b"up\n"
        assert len(alive(pids)) == 2
        owner.kill()
    assert gone(pids)


def test_what_does_not_end_when_told_is_killed(tmp_path):
    stubborn = (
        "import signal, time; signal.signal(signal.SIGTERM, signal.SIG_IGN);"
        "print('up', flush=True); time.sleep(600)"
    )
    code = (
        "import sys; from rsfiqa.caption import guard; guard.GRACE_S = 0.2;"
        f"sys.exit(guard.main([sys.executable, '-c', {stubborn!r}]))"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as owner:
        assert owner.stdout.readline() == b"up\n"
        owner.stdin.close()
        assert owner.wait(10) == supervisor.BY_SIGNAL + signal.SIGKILL


def test_why_a_server_did_not_start(faults, tmp_path):
    pids = faults(word="ValueError: no such model\n(see above)")
    with (
        pytest.raises(InputError, match=r"did not start: ValueError: no such model; its log is"),
        server.Server(options(), tmp_path / "log"),
    ):
        pass
    assert gone(pids)


def test_a_server_that_takes_too_long(faults, tmp_path):
    pids = faults(deaf=True)
    with (
        pytest.raises(InputError, match=r"must be up within 1 s \(caption.startup\), found no"),
        server.Server(options(startup=1.0), tmp_path / "log"),
    ):
        pass
    assert gone(pids)


def caption_by_own_server(folder, **changes):  # noqa: F811
    usual = {"model": "tiny", "concurrency": 2, "patience": 20.0, "startup": 20.0}
    wanted = CaptionOptions(backend="vllm", **usual | changes)
    caption.run(folder, wanted, max_failed_fraction=0.5, only=(SHARD,))
    path = product_path(folder, "caption", SHARD)
    return captions.read(path)[0].to_pylist(), json.loads(stats_path(path).read_text("utf-8"))


@pytest.mark.slow
def test_a_server_that_dies_is_started_anew(folder, faults, tmp_path):  # noqa: F811
    (tmp_path / "deaths").write_text("2")
    pids = faults(deaths=str(tmp_path / "deaths"))
    rows, stats = caption_by_own_server(folder)
    assert {row["status"] for row in rows} == {"ok"}
    assert stats["restarts"] == 2
    assert len(pids.read_text().splitlines()) == 3
    assert alive(pids) == []
    assert (folder / "caption" / "server.log").is_file()


@pytest.mark.slow
def test_a_server_that_dies_too_often(folder, faults, tmp_path):  # noqa: F811
    (tmp_path / "deaths").write_text("9")
    pids = faults(deaths=str(tmp_path / "deaths"))
    with pytest.raises(InputError, match=r"server ended: ended by SIGKILL; it has been restarted"):
        caption_by_own_server(folder, restarts=1)
    assert len(pids.read_text().splitlines()) == 2
    assert gone(pids)


def test_no_server_is_started_for_answers_that_are_there(folder, faults):  # noqa: F811
    pids = faults()
    before, _ = caption_by_own_server(folder)
    product_path(folder, "caption", SHARD).unlink()
    after, _ = caption_by_own_server(folder)
    assert before == after
    assert len(pids.read_text().splitlines()) == 1


def test_serve_prints_its_endpoint_and_ends_when_told(faults, tmp_path):
    pids, port = faults(), server._free_port()
    words = ["--model", "tiny", "--port", str(port), "--log", str(tmp_path / "log")]
    with subprocess.Popen(
        [sys.executable, "-m", "rsfiqa", "serve", *words], stdout=subprocess.PIPE
    ) as owner:
        assert owner.stdout.readline().decode() == f"http://127.0.0.1:{port}/v1\n"
        owner.terminate()
        assert owner.wait(20) == 0
    assert alive(pids) == []


def test_the_command_line():
    given = options(
        weights="~/m", python="/x/python", tensor_parallel=2, server_arguments="--seed 1 --x 'a b'"
    )
    line = server.command(given, "127.0.0.1", 8123)
    assert line[:3] == ["/x/python", "-m", "vllm.entrypoints.openai.api_server"]
    assert line[line.index("--model") + 1] == str(Path("~/m").expanduser())
    assert line[line.index("--tensor-parallel-size") + 1] == "2"
    assert line[-4:] == ["--seed", "1", "--x", "a b"]


@pytest.mark.parametrize(
    ("files", "message"),
    [
        ([], r"caption.weights: must be a model's folder with config.json, found .*; download"),
        (["config.json"], r"caption.weights: must be a model that takes pictures .*; use a vision"),
    ],
)
def test_a_folder_that_cannot_be_served(tmp_path, files, message):
    for name in files:
        (tmp_path / name).write_text("{}")
    with pytest.raises(InputError, match=message):
        server.check(options(weights=str(tmp_path)))


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"python": "/no/python"}, r"caption.python: must be an interpreter, found none at /no/py"),
        ({"server_arguments": "--x 'a"}, r"caption.server_arguments: must be words as in a shell"),
    ],
)
def test_options_that_no_server_could_have(changes, message):
    with pytest.raises(InputError, match=message):
        server.check(options(**changes))


def test_a_port_that_is_taken(faults, tmp_path):
    with (
        server.Server(options(), tmp_path / "log") as first,
        pytest.raises(InputError, match=rf"port {first.port}: must be free"),
        server.Server(options(), tmp_path / "log", port=first.port),
    ):
        pass


def test_a_server_does_not_outlive_its_guard(faults, tmp_path):
    pids = faults()
    with server.Server(options(), tmp_path / "log") as own:
        own._process.kill()
        own._process.wait()
        first = int(pids.read_text().split()[0])
        end = time.monotonic() + 10
        while first in alive(pids) and time.monotonic() < end:
            time.sleep(0.05)
        assert first not in alive(pids)
        for pid in alive(pids):  # the stand-in's child; vLLM's engine ends with its server
            os.kill(pid, signal.SIGKILL)


def test_a_server_that_is_stopped_is_not_started_anew(faults, tmp_path):
    pids = faults()
    with server.Server(options(), tmp_path / "log", restarts=5) as own:
        own.stop()
        own.revive()
        assert own.restarted == 0
    assert len(pids.read_text().splitlines()) == 1
