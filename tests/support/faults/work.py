"""A tiny data set, the commands of all stages on it, and what is compared after a fault."""

import os
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
from PIL import Image

from rsfiqa.io.checksum import sha256_of

ROOT = Path(__file__).resolve().parents[3]
NAME = "tiny"
SCORING = ("plan", "score")
STAGES = (
    *("prepare", "segment", "caption", "embed", "extract", "train", "benchmark", "report"),
    *SCORING,
)
LIMIT_S = 600  # after which a command is taken to hang
# what differs from run to run, by design
VOLATILE = ("*.stats.json", "stats.json", "index.html")
AS_SHARD = ("--as-shard", "--workers=1")
TRAINING = ("--min-images=2", "--epochs=2", "--ensemble-heads=2", "--width=8", "--hidden=8")


Count = Callable[[str, tuple[int, int]], None]  # takes a fault, its (trials, survivals)


@dataclass
class Ended:
    """A command that has ended."""

    status: int
    output: str  # of stderr and stdout
    seconds: float

    @property
    def in_one_line(self) -> bool:
        """Whether it failed as a user should see it."""
        lines = [line for line in self.output.splitlines() if line.startswith("rsfiqa ")]
        return self.status == 1 and len(lines) == 1 and "Traceback" not in self.output


@dataclass
class Work:
    """The undisturbed run, which all faults are compared with.

    Attributes:
        folder: holds everything.
        seconds: that each stage took.
    """

    folder: Path
    seconds: dict[str, float] = field(default_factory=dict)

    @property
    def results(self) -> Path:
        """The products of the undisturbed run."""
        return self.folder / "results"

    @property
    def pictures(self) -> Path:
        """The data set."""
        return self.folder / "pictures"

    def make(self) -> None:
        """Draw the pictures and run every stage once."""
        self.pictures.mkdir(parents=True)
        rows = ["path,mos,group"]
        for i in range(24):
            noise = np.random.default_rng(i).normal(128, 4 + 3 * i, (72, 64, 3))
            picture = np.clip(noise, 0, 255).astype(np.uint8)
            picture[:36] = 255 - picture[:36] // 2
            Image.fromarray(picture).save(self.pictures / f"{i:02d}.png")
            rows.append(f"{i:02d}.png,{5 - i / 6:.2f},g{i % 8}")
        (self.pictures / "scores.csv").write_text("\n".join(rows), "utf-8")
        for stage in STAGES:
            ended = run(self.command(stage, self.results))
            if ended.status:
                sys.exit(f"{stage} failed without a fault:\n{ended.output}")
            self.seconds[stage] = ended.seconds

    def command(self, stage: str, results: Path) -> list[str]:
        """The line that runs a stage on a folder of results."""
        data = str(results / NAME)
        layout = ["--layout=csv", f"--root={self.pictures / 'scores.csv'}"]
        words = {
            "prepare": [data, *layout, "--mos-range=1", "--mos-range=5", "--shard-size=12"],
            "segment": [data, "--max-regions=4"],
            "caption": [data],
            "embed": [data],
            "extract": [data, "--grid=4"],
            "train": [data, *TRAINING],
            "benchmark": [str(results), f"--train={NAME}", f"--test={NAME}", "--number=1"],
            "report": [str(results), "--images=2"],
            "plan": [data, str(self.pictures)],
            "score": [f"{data}/plan/00000.parquet", f"-o{data}/score/00000.parquet", *AS_SHARD],
        }
        return [sys.executable, "-m", "rsfiqa", stage, *words[stage]]

    def copy_before(self, stage: str, results: Path) -> None:
        """Copy what there was before a stage ran."""
        shutil.copytree(self.results, results, dirs_exist_ok=True)
        for later in STAGES[STAGES.index(stage) :]:
            for path in outputs(results, later):
                path.unlink()

    def differs(self, stage: str, results: Path) -> str:
        """In what a stage's outputs differ from those of the undisturbed run; empty for nothing."""
        expected, found = digests(self.results, stage), digests(results, stage)
        if missing := sorted(expected.keys() - found.keys()):
            return f"{missing[0]} is missing"
        if changed := sorted(name for name in expected if expected[name] != found[name]):
            return f"{changed[0]} has other bytes"
        known = {path.relative_to(self.results) for path in self.results.rglob("*")}
        left = sorted(p for p in results.rglob("*") if p.relative_to(results) not in known)
        if left:
            return f"{left[0]} was left behind"
        if processes := running(results):
            return f"process {processes[0]} was left behind"
        return ""


def outputs(results: Path, stage: str) -> list[Path]:
    """The files that a stage writes."""
    if stage == "prepare":
        return sorted((results / NAME).glob("manifest*"))
    alone = stage in ("train", "benchmark", "report")
    folder = results / stage if alone else results / NAME / stage
    return sorted(path for path in folder.rglob("*") if path.is_file())


def digests(results: Path, stage: str) -> dict[str, str]:
    """SHA-256 of a stage's files, by their path; none of those that differ from run to run."""
    return {
        str(path.relative_to(results)): ""
        if any(path.match(pattern) for pattern in VOLATILE)
        else sha256_of(path)
        for path in outputs(results, stage)
    }


def running(folder: Path) -> list[int]:
    """The processes that run in this folder or have it in their command."""
    found = []
    for place in Path("/proc").glob("[0-9]*"):
        try:
            words = (place / "cmdline").read_text("utf-8", "replace").split("\0")
            words.append(str((place / "cwd").readlink()))
        except OSError:  # it has ended since
            continue
        inside = any(Path(word).is_relative_to(folder) for word in words)
        if inside and int(place.name) != os.getpid():
            found.append(int(place.name))
    return found


def environment() -> dict[str, str]:
    """Of commands: this checkout's package, one thread each."""
    own = {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "HF_HUB_OFFLINE": "1"}
    return os.environ | own


def start(line: list[str], **changes: str) -> subprocess.Popen[str]:
    """Start a command."""
    return subprocess.Popen(
        line,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        env=environment() | changes,
    )


def run(line: list[str], **changes: str) -> Ended:
    """Run a command to its end."""
    began = time.monotonic()
    process = start(line, **changes)
    try:
        output, _ = process.communicate(timeout=LIMIT_S)
    except subprocess.TimeoutExpired:
        process.kill()
        output, _ = process.communicate()
        output += f"\nhung for {LIMIT_S} s"
    return Ended(process.returncode, output, time.monotonic() - began)
