"""SIGKILL of caption jobs and of their model servers: nothing is lost, nothing is left behind.

Needs `make install-vllm`: a tiny Qwen2.5-VL with random weights is served on the CPU.
"""

import asyncio
import json
import os
import random
import signal
import sqlite3
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import aiohttp
import pytest
from aiohttp import web

from benchmarks.caption import (
    NAME,
    SHARD,
    forget,
    keys_of,
    make_data,
    options,
    requests_of,
    server_options,
    shard_of,
)
from benchmarks.figures import ROOT, write
from benchmarks.vllm_cpu import PYTHON, make_ready, write_tiny_model
from rsfiqa.captioners.vlm.cache import ResponseCache, cache_path
from rsfiqa.captioners.vlm.server import Server
from rsfiqa.products import captions
from rsfiqa.products.paths import product_path

pytestmark = [
    pytest.mark.faults,
    pytest.mark.skipif(not PYTHON.is_file(), reason="needs make install-vllm"),
]
JOB_KILLS, OWN_SERVER_KILLS, SERVER_KILLS = 20, 6, 5
GONE_S = 25  # time after which a server must have ended: the supervisor's grace and some


class Proxy:
    """Hands requests on to a server and counts how often each came; a context manager."""

    def __init__(self, target: str) -> None:
        self.target = target.removesuffix("/v1")
        self.counts: Counter[str] = Counter()
        self.url = ""
        self._ready = threading.Event()
        threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True).start()
        self._ready.wait(10)

    async def _serve(self) -> None:
        app = web.Application(client_max_size=2**26)
        app.router.add_route("*", "/{path:.*}", self._forward)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", 0).start()
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}/v1"
        async with aiohttp.ClientSession() as self.session:
            self._ready.set()
            await asyncio.Event().wait()

    async def _forward(self, request: web.Request) -> web.Response:
        body = await request.read()
        if body:
            self.counts[digest(json.loads(body))] += 1
        head = {"Content-Type": "application/json"}
        url = f"{self.target}{request.rel_url}"
        async with self.session.request(request.method, url, data=body, headers=head) as answer:
            content = await answer.read()
            return web.Response(body=content, status=answer.status, content_type="application/json")


def digest(body: dict[str, Any]) -> str:
    """Of a request, whatever its seed."""
    content = {name: value for name, value in body.items() if name != "seed"}
    return sha256(json.dumps(content, sort_keys=True).encode()).hexdigest()


def start_job(data: Path, folder: Path, *more: str) -> subprocess.Popen[bytes]:
    """The caption stage, as a rule starts it."""
    chosen = options().model_dump(
        include={"backend", "model", "concurrency", "max_pixels", "max_tokens"}
    )
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in chosen.items()]
    with (folder / "jobs.log").open("ab") as log_file:
        return subprocess.Popen(
            [sys.executable, "-m", "rsfiqa", "caption", data, *flags, *more],
            stdout=log_file,
            stderr=subprocess.STDOUT,
            cwd=ROOT,
        )


def stored(data: Path, keys: list[str]) -> dict[str, Any]:
    """The answers that are on the disk."""
    path = cache_path(shard_of(data))
    if not path.is_file():
        return {}
    store = ResponseCache(path)
    try:
        return store.get(keys)
    finally:
        store.close()


def complete(data: Path, keys: list[str]) -> int:
    """How many regions the published table lacks."""
    table, _ = captions.read(product_path(data, "caption", SHARD))
    return len(keys) - table.num_rows


def job_kills(folder: Path, data: Path) -> dict[str, float]:
    """SIGKILL of a job that uses an endpoint, at random moments; then it is run again."""
    chance = random.Random(0)
    lost = twice = again = tried = 0
    with Server(server_options(folder), NAME, folder / "job-kills.log") as own:
        proxy = Proxy(own.url)
        given = options(endpoints=(proxy.url,))
        by_digest = {
            digest(request.body): request.keys[0]
            for requests in requests_of(data, given)
            for request in requests
        }
        keys = list(by_digest.values())
        forget(data)
        before: dict[str, Any] = {}
        while True:
            requests_before = proxy.counts.copy()
            job = start_job(data, folder, f"--endpoints={proxy.url}")
            try:
                status = job.wait(chance.uniform(1.5, 7.0) if tried < JOB_KILLS else 600)
            except subprocess.TimeoutExpired:
                job.kill()
                job.wait()
                tried, status = tried + 1, -signal.SIGKILL
            time.sleep(0.5)  # what was under way reaches the server
            new = proxy.counts - requests_before
            twice += sum(new[name] for name, key in by_digest.items() if key in before)
            again += sum(new[name] > 0 and requests_before[name] > 0 for name in by_digest)
            after = stored(data, keys)
            lost += sum(after.get(key) != answer for key, answer in before.items())
            before = after
            print(f"kill {tried}: status {status}, {len(after)} kept", file=sys.stderr, flush=True)
            if status == 0:
                lost += complete(data, keys)
                if tried >= JOB_KILLS:
                    break
                forget(data)
                before = {}
                proxy.counts.clear()
            elif status > 0:
                raise SystemExit(f"the job failed, see {folder / 'jobs.log'}")
    return {
        "job_kills_tried": tried,
        "lost": lost,
        "requests_repeated_after_response": twice,
        "requests_repeated": again,
    }


def processes(folder: Path) -> list[int]:
    """Processes whose command line names the model's folder: servers and their supervisors."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = path.read_bytes().split(b"\0")
        except OSError:
            continue
        if str(folder / "model").encode() in line:
            found.append(int(path.parent.name))
    return found


def engines() -> list[int]:
    """VLLM's engine processes, which have a title of their own."""
    found = []
    for path in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            if path.read_bytes().startswith(b"VLLM::"):
                found.append(int(path.parent.name))
        except OSError:
            continue
    return found


def gone(folder: Path) -> int:
    """How many processes of a server are left after a while."""
    end = time.monotonic() + GONE_S
    while (left := processes(folder) + engines()) and time.monotonic() < end:
        time.sleep(0.2)
    return len(left)


def own_arguments(folder: Path) -> list[str]:
    """Flags of a job that owns its server."""
    changed = server_options(folder).model_dump(exclude_defaults=True)
    flags = [f"--server.{name.replace('_', '-')}={value}" for name, value in changed.items()]
    return [*flags, "--server.max-restarts=10"]


def own_server_kills(folder: Path, data: Path) -> dict[str, float]:
    """SIGKILL of a job with a server of its own, from its start to the middle of its work."""
    chance = random.Random(1)
    orphans = 0
    for kill in range(OWN_SERVER_KILLS):
        forget(data)
        job = start_job(data, folder, *own_arguments(folder))
        at = chance.uniform(2, 20) if kill % 2 else None  # or once answers come
        if at is None:
            wait_for(lambda: count(data) > 0, 240)
            at = chance.uniform(0, 3)
        time.sleep(at)
        job.kill()
        job.wait()
        left = gone(folder)
        orphans += left
        print(f"own server {kill + 1}: {left} left", file=sys.stderr, flush=True)
    return {"own_server_job_kills_tried": OWN_SERVER_KILLS, "orphans": orphans}


def server_kills(folder: Path, data: Path) -> dict[str, float]:
    """SIGKILL of a job's own server while it answers; the job must come to its end."""
    chance = random.Random(2)
    tried = lost = orphans = 0
    while tried < SERVER_KILLS:
        forget(data)
        job = start_job(data, folder, *own_arguments(folder))
        while job.poll() is None and tried < SERVER_KILLS:
            before = count(data)
            wait_for(lambda: count(data) > before or job.poll() is not None, 240)  # noqa: B023
            time.sleep(chance.uniform(0, 1.5))
            servers = [pid for pid in processes(folder) if "supervisor.py" not in line_of(pid)]
            if servers and job.poll() is None:
                os.kill(servers[0], signal.SIGKILL)
                tried += 1
                print(f"server kill {tried}: {count(data)} kept", file=sys.stderr, flush=True)
                time.sleep(2)
        if job.wait(600) != 0:
            raise SystemExit(f"the job failed, see {folder / 'jobs.log'}")
        lost += complete(data, keys_of(data))
        orphans += gone(folder)
    return {"server_kills_tried": tried, "lost": lost, "orphans": orphans}


def line_of(pid: int) -> str:
    """The command line of a process."""
    return Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace")


def count(data: Path) -> int:
    """How many answers are on the disk."""
    path = cache_path(shard_of(data))
    try:
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        return int(connection.execute("SELECT COUNT(*) FROM responses").fetchone()[0])
    except sqlite3.Error:
        return 0


def wait_for(condition: Callable[[], bool], seconds: float) -> None:
    """Wait until it holds.

    Raises:
        SystemExit: it does not.
    """
    end = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > end:
            raise SystemExit(f"nothing happened in {seconds:g} s")
        time.sleep(0.1)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the tiny model."""
    make_ready()
    place = tmp_path_factory.mktemp("caption-kills")
    write_tiny_model(place / "model")
    return place


@pytest.mark.parametrize("kill", [job_kills, own_server_kills, server_kills])
def test_kills_lose_nothing(folder: Path, kill: Callable[[Path, Path], dict[str, float]]) -> None:
    figures = kill(folder, make_data(folder))
    write(f"test-faults-{kill.__name__}", figures, "make test-faults")
    assert figures.get("lost", 0) == figures.get("orphans", 0) == 0
    assert figures.get("requests_repeated_after_response", 0) == 0
