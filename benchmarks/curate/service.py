"""The scoring service: its throughput beside `rsfiqa score`, its latency, and hostile uploads."""

import subprocess
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

import numpy as np

from benchmarks.curate.client import post, send, service
from benchmarks.curate.hostile import hostile
from benchmarks.figures import RELEASES, ROOT

FOLDER = Path(RELEASES["livec"]) / "Images"
PICTURES = 200  # of LIVEC, 500 x 500 pixels
FIRST = 20  # pictures before those that are measured
HOSTILE = 1000
WORKERS = 2
CLIENTS = WORKERS + 1  # requests in flight, so that no process waits for the network
SURVIVED = frozenset({0, 200, 400, 404, 413, 415, 422})  # statuses; 0: the connection was closed


class Sources(Protocol):
    """Where pictures and checkpoint are."""

    @property
    def data(self) -> Path | None:
        """Folder of data sets."""

    @property
    def checkpoint(self) -> Path | None:
        """Folder; None for the packaged one."""


def measure(sources: Sources) -> dict[str, float]:
    """Figures of the service on two processes; `sources.data` must hold LIVEC."""
    paths = sorted(((sources.data or Path()) / FOLDER).glob("*.*"))[: FIRST + PICTURES]
    own = ["--checkpoint", str(sources.checkpoint)] if sources.checkpoint else []
    options = [f"--workers={WORKERS}", "--device=cpu", *own]
    with service("--max-upload=4", *options) as running:
        _answer_all(running.address, paths[:FIRST])
        seconds, latencies = _answer_all(running.address, paths[FIRST:])
        survived = [send(running.address, request) in SURVIVED for request in hostile(HOSTILE)]
        alive = post(running.address, paths[0].read_bytes()).status == 200
    # what both runs have in common is the start
    commanded = _command_seconds(paths, options) - _command_seconds(paths[:FIRST], options)
    return {
        "service_images_per_s": PICTURES / seconds,
        "service_of_command": commanded / seconds,
        "service_p50_s": float(np.quantile(latencies, 0.5)),
        "service_p99_s": float(np.quantile(latencies, 0.99)),
        "service_hostile_tried": float(len(survived)),
        "service_hostile_survived": float(sum(survived)) if alive else 0.0,
    }


def _answer_all(address: tuple[str, int], paths: Sequence[Path]) -> tuple[float, list[float]]:
    """Seconds for all pictures, and of each, from several clients at once.

    Raises:
        RuntimeError: one is refused.
    """

    def timed(path: Path) -> float:
        begun = time.perf_counter()
        answer = post(address, path.read_bytes())
        if answer.status != 200:
            raise RuntimeError(f"{path}: {answer.status} {answer.body.decode()}")
        return time.perf_counter() - begun

    begun = time.perf_counter()
    with ThreadPoolExecutor(CLIENTS) as clients:
        latencies = list(clients.map(timed, paths))
    return time.perf_counter() - begun, latencies


def _command_seconds(paths: Sequence[Path], options: Sequence[str]) -> float:
    """Seconds of `rsfiqa score`, start included."""
    with TemporaryDirectory() as folder:
        listing = Path(folder) / "list.txt"
        listing.write_text("\n".join(map(str, paths)), "utf-8")
        words: list[str | Path] = [listing, "-o", listing.with_name("scores.parquet"), *options]
        begun = time.perf_counter()
        subprocess.run([sys.executable, "-m", "rsfiqa", "score", *words], cwd=ROOT, check=True)
        return time.perf_counter() - begun
