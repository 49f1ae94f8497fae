"""Seconds per picture of the whole score on one core, against the previous release."""

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from benchmarks.figures import ROOT
from benchmarks.perception.intervals import figure
from benchmarks.perception.photographs import Bench
from rsfiqa.errors import InputError

PICTURES = 30
SIZE = (500, 500)
ROUNDS = 2  # in turn; the faster time of each picture counts, as other processes only slow it down
PROGRAM = """
import json, sys, time
import cv2, torch
from rsfiqa import Scorer
torch.set_num_threads(1)
cv2.setNumThreads(1)
scorer = Scorer.load(sys.argv[1] or None, "cpu")
scorer.score(sys.argv[2])
seconds = []
for path in sys.argv[2:]:
    started = time.perf_counter()
    scorer.score(path)
    seconds.append(time.perf_counter() - started)
print(json.dumps(seconds))
"""
ONE_THREAD = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


def measure(bench: Bench) -> dict[str, float]:
    """Mean seconds per picture, and the ratio to those before if a previous release is given."""
    rows = bench.livec_test()
    sized = [Path(row["path"]) for row in rows if (row["width"], row["height"]) == SIZE]
    pictures = bench.take(sized, PICTURES)
    now: list[np.ndarray] = []
    before: list[np.ndarray] = []
    for _ in range(ROUNDS):
        now.append(seconds(ROOT, bench.checkpoint, pictures))
        if bench.before:
            before.append(seconds(*release(bench.before), pictures))
    return figures_of(np.min(now, axis=0), np.min(before, axis=0) if before else None)


def figures_of(now: np.ndarray, before: np.ndarray | None) -> dict[str, float]:
    """The figures of the seconds (N,) of each picture, and of those before."""
    pictures = range(len(now))
    name = "seconds_per_picture"
    figures = figure(name, lambda index: float(now[index].mean()), pictures)
    if before is None:
        return figures
    return (
        figures
        | figure(f"{name}_before", lambda index: float(before[index].mean()), pictures)
        | figure("seconds_ratio", lambda i: float(now[i].sum() / before[i].sum()), pictures)
    )


def release(folder: Path) -> tuple[Path, Path | None]:
    """Source and checkpoint of a previous release: a tree with its package, or a checkpoint."""
    if (folder / "rsfiqa" / "__init__.py").is_file():
        return folder.resolve(), None
    return ROOT, folder.resolve()


def seconds(source: Path, checkpoint: Path | None, pictures: Sequence[Path]) -> np.ndarray:
    """The seconds that each picture takes in a process of its own: float64 (N,).

    Args:
        source: folder that holds the package.
        checkpoint: folder; None for the one that comes with the package.
        pictures: paths.

    Raises:
        InputError: it cannot score, such as a checkpoint of another version.
    """
    line = [sys.executable, "-c", PROGRAM, str(checkpoint or ""), *map(str, pictures)]
    environment = os.environ | ONE_THREAD | {"PYTHONPATH": str(source)}
    ran = subprocess.run(
        line, cwd=source, env=environment, capture_output=True, text=True, check=False
    )
    if ran.returncode:
        reason = ran.stderr.strip().splitlines() or ["no message"]
        raise InputError(
            f"{checkpoint or source}: must score pictures, found"
            f" '{reason[-1]}'; give the source of that release, or leave --before out"
        )
    return np.array(json.loads(ran.stdout.splitlines()[-1]), np.float64)
