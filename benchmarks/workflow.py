"""`snakemake score`: planning of a million pictures, and its speed against `rsfiqa score`.

The plan is that of `rsfiqa plan` and of Snakemake's dry run after it, on a million files that begin
as pictures do; `score_replan_s` is a dry run that lists them again. The speed is that of two shards
on two cores against `rsfiqa score` with two processes, alternating, start included: the machine
must be idle otherwise.
"""

import os
import shutil
import subprocess
import sys
import time
from argparse import ArgumentParser
from collections.abc import Sequence
from pathlib import Path
from statistics import median
from typing import Any

import yaml

from benchmarks.figures import FOLDER, RELEASES, ROOT, add_data, parser, write

PICTURES, PER_FOLDER, SHARD = 1_000_000, 1000, 10_000
HEAD = b"\xff\xd8\xff\xe0" + bytes(124)  # of a JPEG file
CORES = 2


def run(line: Sequence[str], folder: Path, *allowed: int) -> tuple[float, float]:
    """Seconds and peak memory (MB) of a command in a folder.

    Raises:
        SystemExit: it failed.
    """
    environment = os.environ | {"PYTHONPATH": str(ROOT)}
    log = folder / "run.log"
    began = time.monotonic()
    with log.open("wb") as shown:
        process = subprocess.Popen(
            [sys.executable, "-m", *line], cwd=folder, env=environment, stdout=shown, stderr=shown
        )
        _, status, used = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in (0, *allowed):
        sys.exit(f"{' '.join(line)} failed: {log.read_text('utf-8')[-2000:]}")
    return time.monotonic() - began, used.ru_maxrss / 1024


def snakemake(folder: Path, section: dict[str, Any], *words: str) -> list[str]:
    """The line that runs the target `score` with a section of the configuration."""
    (folder / "mine.yaml").write_text(yaml.safe_dump({"score": section}), "utf-8")
    profile = ["--workflow-profile", str(ROOT / "profiles/default"), "--directory", str(folder)]
    line = ["snakemake", "score", "-s", str(ROOT / "Snakefile"), *profile]
    return [*line, "--configfile", str(folder / "mine.yaml"), "--cores", str(CORES), *words]


def plan(folder: Path, pictures: int) -> dict[str, float]:
    """Seconds and memory of a plan, first and again."""
    for number in range(pictures):
        if number % PER_FOLDER == 0:
            part = folder / f"pictures/{number // PER_FOLDER:04d}"
            part.mkdir(parents=True)
        (part / f"{number:07d}.jpg").write_bytes(HEAD)
    run_folder = str(folder / "results/mine")
    words = ["rsfiqa", "plan", run_folder, "pictures", f"--shard-size={SHARD}"]
    listing = run(words, folder)
    section = {"runs": {"mine": {"paths": ["pictures"]}}, "shard_size": SHARD}
    graph = run(snakemake(folder, section | {"relist": False}, "--dry-run"), folder)
    again = run(snakemake(folder, section, "--dry-run"), folder)
    return {
        "score_pictures_planned": pictures,
        "score_plan_s": listing[0] + graph[0],
        "score_plan_mb": max(listing[1], graph[1]),
        "score_replan_s": again[0],
        "score_replan_mb": again[1],
    }


def ratio(folder: Path, sources: Sequence[Path], pictures: int, runs: int) -> dict[str, float]:
    """Pictures a second of the workflow as a fraction of those of one command."""
    (folder / "pictures").mkdir(parents=True)
    for number in range(pictures):
        source = sources[number % len(sources)]
        (folder / f"pictures/{number:06d}{source.suffix}").symlink_to(source.resolve())
    section = {"runs": {"mine": {"paths": ["pictures"]}}, "shard_size": -(-pictures // CORES)}
    command = ["rsfiqa", "score", "pictures", "-o", "one.parquet", f"--workers={CORES}"]
    seconds: dict[str, list[float]] = {"workflow": [], "command": []}
    for _ in range(runs):
        shutil.rmtree(folder / "results", ignore_errors=True)
        seconds["workflow"].append(run(snakemake(folder, section), folder)[0])
        for path in folder.glob("one.*"):
            path.unlink()
        seconds["command"].append(run(command, folder)[0])
    rates = {name: pictures / median(taken) for name, taken in seconds.items()}
    return {
        "workflow_pictures": pictures,
        "workflow_images_per_s": rates["workflow"],
        "command_images_per_s": rates["command"],
        "workflow_ratio": rates["workflow"] / rates["command"],
    }


def arguments_of() -> ArgumentParser:
    """The options of the benchmark."""
    found = parser(__name__, __doc__)
    add_data(found, "livec")
    found.add_argument("--part", nargs="+", choices=("plan", "ratio"), default=["plan", "ratio"])
    found.add_argument("--planned", type=int, default=PICTURES, help="pictures of the plan")
    found.add_argument("--pictures", type=int, default=4000, help="pictures that are scored")
    found.add_argument("--runs", type=int, default=3, help="alternating runs of each")
    return found


def main(arguments: Sequence[str]) -> None:
    """Measure, and write the figures if all parts were measured."""
    given = arguments_of().parse_args(arguments)
    folder, figures = FOLDER / "workflow", dict[str, float]()
    for name in given.part:
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        if name == "plan":
            figures |= plan(folder, given.planned)
        else:
            sources = sorted((given.data / RELEASES["livec"] / "Images").glob("*.*"))
            figures |= ratio(folder, sources, given.pictures, given.runs)
        print(f"{name}: {figures}", file=sys.stderr, flush=True)
    shutil.rmtree(folder)
    if len(given.part) == 2:
        write("bench-workflow", figures, "python -m benchmarks workflow --data DIR")
