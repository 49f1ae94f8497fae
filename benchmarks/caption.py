"""The caption stage against a bare loop, what its requests share, and what kills cost.

Usage: python benchmarks/caption.py. Needs make install-vllm. A tiny random Qwen2.5-VL is served on
the CPU; the pictures are photographs from installed packages. The three parts are measured one
after the other and kept, so that a run that was broken off goes on.
"""

import asyncio
import json
import os
import random
import re
import shutil
import signal
import sqlite3
import subprocess
import sys
import threading
import time
import urllib.request
from collections import Counter
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path
from typing import Any

import aiohttp
import numpy as np
from aiohttp import web
from figures import FOLDER, ROOT, write
from served import PYTHON, make_ready, write_tiny_model

from rsfiqa.caption.options import CaptionOptions, ServerOptions
from rsfiqa.captioners.vlm import captioner as vlm
from rsfiqa.captioners.vlm.cache import ResponseCache
from rsfiqa.captioners.vlm.server import Server
from rsfiqa.prepare import stage as prepare
from rsfiqa.prepare.options import PrepareOptions
from rsfiqa.products import captions, regions
from rsfiqa.products.paths import shard_path
from rsfiqa.runtime import shards
from rsfiqa.segment import stage as segment
from rsfiqa.segment.options import SegmentOptions

IMAGES, SHARD = 24, "00000"
CONCURRENCY = 16
PAIRS = 5  # of the stage and the bare loop
JOB_KILLS, OWN_SERVER_KILLS, SERVER_KILLS = 20, 6, 5
GONE_S = 25  # after which a server must have ended: the guard's grace and some
NAME = "tiny-qwen"


def served(folder: Path) -> dict[str, Any]:
    """What a job is told of the model."""
    return {
        "model": NAME,
        "weights": str(folder / "model"),
        "python": str(PYTHON),
        "dtype": "float32",
        "max_model_len": 4096,
        "server_arguments": "--enforce-eager",
    }


def options(**changes: Any) -> CaptionOptions:
    """Of the stage, for pictures as small as the model takes them."""
    given = {"model": NAME, "concurrency": CONCURRENCY, "max_pixels": 50_176, "max_tokens": 400}
    return CaptionOptions(backend="vllm", **given | changes)


def shard_of(data: Path) -> shards.Shard:
    """The one shard of the bench."""
    table, _ = prepare.manifest.read(data / "manifest.parquet", SHARD)
    return shards.Shard(data, SHARD, "caption", table.to_pylist())


def make_data(folder: Path) -> Path:
    """A data set's folder: photographs, and their regions."""
    data = folder / "photographs"
    if not shard_path(data, "segment", SHARD).is_file():
        shutil.rmtree(data, ignore_errors=True)
        prepare.run(
            folder / "demo", PrepareOptions(), shard_size=10**6, max_failed_fraction=0, seed=0
        )
        rows = prepare.manifest.read(folder / "demo/manifest.parquet")[0].to_pylist()
        chosen = rows[:: len(rows) // IMAGES][:IMAGES]
        (folder / "pictures").mkdir(exist_ok=True)
        for row in chosen:
            shutil.copy(row["path"], folder / "pictures" / Path(row["path"]).name)
        pictures = PrepareOptions(layout="folder", root=str(folder / "pictures"))
        prepare.run(data, pictures, shard_size=10**6, max_failed_fraction=0, seed=0)
        segment.run(data, SegmentOptions(), max_failed_fraction=0)
    return data


def forget(data: Path) -> None:
    """Take captions and answers away."""
    shutil.rmtree(data / "caption", ignore_errors=True)


def call(url: str, body: dict[str, Any] | None = None, method: str = "POST") -> bytes:
    """What a server says."""
    content = None if body is None else json.dumps(body).encode()
    head = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, content, head, method=method)
    with urllib.request.urlopen(request) as answer:
        return answer.read()


# ---- throughput and cache


def throughput(folder: Path, data: Path) -> dict[str, float]:
    """Requests a second of the stage and of a bare loop in turn; what the cache served."""
    os.environ["VLLM_SERVER_DEV_MODE"] = "1"  # for clearing the cache between measurements
    with Server(ServerOptions(**served(folder)), folder / "throughput.log") as own:
        given = options(endpoints=(own.url,))
        bodies = all_bodies(data, given)
        root = own.url.removesuffix("/v1")
        bare(own.url, bodies[:CONCURRENCY])  # both sides find a warm server
        ratios, ours, ceiling = [], [], []
        for pair in range(PAIRS):
            rates = {}
            sides = [("stage", lambda: stage(data, given)), ("bare", lambda: bare(own.url, bodies))]
            for name, side in sides if pair % 2 else reversed(sides):
                for cache in ("prefix", "mm", "encoder"):
                    call(f"{root}/reset_{cache}_cache")
                rates[name] = side()
            ratios.append(rates["stage"] / rates["bare"])
            ours.append(rates["stage"])
            ceiling.append(rates["bare"])
            print(f"pair {pair + 1}: {rates}", file=sys.stderr, flush=True)
        return {
            "ceiling_ratio": float(np.median(ratios)),
            "requests_per_s": float(np.median(ours)),
            "ceiling_requests_per_s": float(np.median(ceiling)),
            "pairs": PAIRS,
            **cache_figures(own.url, data, given),
        }


def all_bodies(data: Path, given: CaptionOptions) -> list[bytes]:
    """The stage's requests in its order, with the seed of a first attempt."""
    return [
        json.dumps(question.body | {"seed": 1}).encode()
        for questions in questions_of(data, given)
        for question in questions
    ]


def questions_of(data: Path, given: CaptionOptions) -> list[list[vlm.Request]]:
    """The stage's questions, image by image."""
    shard = shard_of(data)
    reader = regions.Reader(shard.path_of("segment"))
    captioner = vlm.VLMCaptioner(given, {}, data / "unused.log")
    return [
        vlm.questions_about(image, reader, given, {}) for image in captioner.wanted(shard, reader)
    ]


def stage(data: Path, given: CaptionOptions) -> float:
    """Requests a second of the stage, without its check of the servers."""
    forget(data)
    shard = shard_of(data)
    with vlm.VLMCaptioner(given, {}, data / "unused.log") as captioner:
        captioner.make_ready(1)
        started = time.perf_counter()
        captioner.caption_shard(shard)
        spent = time.perf_counter() - started
    return shard.counts["attempts"] / spent


def bare(url: str, bodies: list[bytes]) -> float:
    """Requests a second of the least that can send them."""

    async def all_of_them() -> None:
        places = asyncio.Semaphore(CONCURRENCY)
        head = {"Content-Type": "application/json"}
        async with aiohttp.ClientSession(headers=head) as session:

            async def one(body: bytes) -> None:
                async with places, session.post(f"{url}/chat/completions", data=body) as answer:
                    await answer.read()

            await asyncio.gather(*(one(body) for body in bodies))

    started = time.perf_counter()
    asyncio.run(all_of_them())
    return len(bodies) / (time.perf_counter() - started)


def cache_figures(url: str, data: Path, given: CaptionOptions) -> dict[str, float]:
    """What share of second and later regions' prompts came from the cache, and could have."""
    root = url.removesuffix("/v1")
    metrics = call(f"{root}/metrics", method="GET").decode()
    block = int(re.search(r'block_size="(\d+)"', metrics).group(1))  # type: ignore[union-attr]
    closing = {"model": NAME, "prompt": "<|im_end|>\n<|im_start|>assistant\n"}
    tail = json.loads(call(f"{root}/tokenize", closing | {"add_special_tokens": False}))["count"]
    store = ResponseCache(vlm.store_path(shard_of(data)))
    cached = possible = prompt_tokens = 0
    for questions in questions_of(data, given):
        known = store.get([question.keys[0] for question in questions])
        system, user = questions[0].body["messages"]
        shared = [system, user | {"content": user["content"][:-1]}]  # all but the region's picture
        body = {"model": NAME, "messages": shared, "max_tokens": 1}
        usage = json.loads(call(f"{url}/chat/completions", body))["usage"]
        prefix = usage["prompt_tokens"] - tail + 1  # and the token that begins the picture
        for question in questions[1:]:
            answer = known[question.keys[0]]
            if answer.attempts == 1:  # what is asked again finds its whole prompt
                cached += answer.cached_tokens
                prompt_tokens += answer.prompt_tokens
                possible += prefix // block * block
    store.close()
    return {
        "cached_of_possible": cached / possible,
        "cached_fraction": cached / prompt_tokens,
        "cache_block_tokens": block,
    }


# ---- kills


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
    wanted = options().model_dump(
        include={"backend", "model", "concurrency", "max_pixels", "max_tokens"}
    )
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in wanted.items()]
    with (folder / "jobs.log").open("ab") as log_file:
        return subprocess.Popen(
            [sys.executable, "-m", "rsfiqa", "caption", data, *flags, *more],
            stdout=log_file,
            stderr=subprocess.STDOUT,
            cwd=ROOT,
        )


def stored(data: Path, keys: list[str]) -> dict[str, Any]:
    """The answers that are on the disk."""
    path = vlm.store_path(shard_of(data))
    if not path.is_file():
        return {}
    store = ResponseCache(path)
    try:
        return store.get(keys)
    finally:
        store.close()


def complete(data: Path, keys: list[str]) -> int:
    """How many regions the published table lacks."""
    table, _ = captions.read(shard_path(data, "caption", SHARD))
    return len(keys) - table.num_rows


def job_kills(folder: Path, data: Path) -> dict[str, float]:
    """SIGKILL of a job that uses an endpoint, at random moments; then it is run again."""
    chance = random.Random(0)
    lost = twice = again = tried = 0
    with Server(ServerOptions(**served(folder)), folder / "job-kills.log") as own:
        proxy = Proxy(own.url)
        given = options(endpoints=(proxy.url,))
        by_digest = {
            digest(question.body): question.keys[0]
            for questions in questions_of(data, given)
            for question in questions
        }
        keys = list(by_digest.values())
        forget(data)
        before: dict[str, Any] = {}
        while True:
            asked_before = proxy.counts.copy()
            job = start_job(data, folder, f"--endpoints={proxy.url}")
            try:
                status = job.wait(chance.uniform(1.5, 7.0) if tried < JOB_KILLS else 600)
            except subprocess.TimeoutExpired:
                job.kill()
                job.wait()
                tried, status = tried + 1, -signal.SIGKILL
            time.sleep(0.5)  # what was under way reaches the server
            new = proxy.counts - asked_before
            twice += sum(new[name] for name, key in by_digest.items() if key in before)
            again += sum(new[name] > 0 and asked_before[name] > 0 for name in by_digest)
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
    return {"job_kills_tried": tried, "lost": lost, "asked_twice": twice, "asked_again": again}


def processes(folder: Path) -> list[int]:
    """Processes whose command line names the model's folder: servers and their guards."""
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
    own = {name: value for name, value in served(folder).items() if name != "model"}
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in own.items()]
    return [*flags, "--restarts=10"]


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
            servers = [pid for pid in processes(folder) if "guard.py" not in line_of(pid)]
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


def keys_of(data: Path) -> list[str]:
    """A key for each region."""
    return [q.keys[0] for questions in questions_of(data, options()) for q in questions]


def count(data: Path) -> int:
    """How many answers are on the disk."""
    path = vlm.store_path(shard_of(data))
    try:
        connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True)
        return int(connection.execute("SELECT COUNT(*) FROM answers").fetchone()[0])
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


def main() -> None:
    """Measure what is not measured yet, write the figures."""
    make_ready()
    folder = FOLDER / "caption"
    folder.mkdir(parents=True, exist_ok=True)
    write_tiny_model(folder / "model")
    data = make_data(folder)
    figures: dict[str, float] = {"images": IMAGES, "regions": len(keys_of(data))}
    sums = {"orphans": 0.0, "lost": 0.0}  # over all kinds of kills
    for part in (throughput, job_kills, own_server_kills, server_kills):
        path = folder / f"{part.__name__}.json"
        if not path.is_file():
            path.write_text(json.dumps(part(folder, data)), "utf-8")
        found = json.loads(path.read_text("utf-8"))
        for name in sums:
            sums[name] += found.pop(name, 0)
        figures |= found
    figures |= sums
    write("bench-caption", figures, "make bench-caption")


if __name__ == "__main__":
    main()
