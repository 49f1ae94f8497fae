"""Arguments and figures of a benchmark: flat JSON, printed as the last lines."""

import argparse
import json
import os
import platform
import shlex
import subprocess
import sys
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path

import torch

from rsfiqa.io.json_files import write_json

PACKAGES = ("torch", "timm", "transformers", "numpy", "scikit-learn", "segment-anything")
ROOT = Path(__file__).resolve().parent.parent
FOLDER = ROOT / "results" / "bench"
RELEASES = {  # folder of each data set in DIR, as released, by layout
    "agiqa3k": "AGIQA-3K",
    "biq2021": "BIQ2021",
    "kodak": "kodak",
    "livec": "ChallengeDB_release",
    "mmp2k": "MMP-2k",
}


def parser(module: str, doc: str | None) -> argparse.ArgumentParser:
    """A parser whose help is the docstring of the benchmark's module.

    Args:
        module: its `__name__`, such as benchmarks.score.
        doc: its `__doc__`.
    """
    return argparse.ArgumentParser(
        prog=f"python -m benchmarks {module.rpartition('.')[2]}",
        description=doc,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def add_data(found: argparse.ArgumentParser, *layouts: str, required: bool = True) -> None:
    """Add `--data`, a folder that must hold these data sets as released.

    Args:
        found: takes the argument.
        layouts: of the data sets, of `RELEASES`.
        required: whether the argument must be given.
    """
    needed = [RELEASES[layout] for layout in layouts]

    def folder(text: str) -> Path:
        path = Path(text).expanduser()
        if not path.is_dir():
            raise argparse.ArgumentTypeError(f"must be a folder of data sets, found {path}")
        if missing := [name for name in needed if not (path / name).is_dir()]:
            raise argparse.ArgumentTypeError(f"must hold {', '.join(missing)}, found {path}")
        return path

    names = " and ".join(needed) or "data sets"
    found.add_argument("--data", type=folder, required=required, help=f"folder that holds {names}")


def positive(text: str) -> int:
    """The type of an argument that is a number from 1."""
    number = int(text) if text.isdecimal() else 0
    if number < 1:
        raise argparse.ArgumentTypeError(f"must be a number from 1, found {text}")
    return number


def write(target: str, figures: dict[str, float], command: str) -> None:
    """Write results/bench/<target>.json and print the same."""
    content = {
        **{name: round(value, 6) for name, value in figures.items()},
        "command": command,
        "commit": commit(),
        "date": datetime.now(UTC).date().isoformat(),
        "machine": _machine(),
        "versions": ", ".join(f"{name} {version(name)}" for name in PACKAGES),
    }
    write_json(FOLDER / f"{target}.json", content)
    print(json.dumps(content, indent=2))


def run(*words: str | Path) -> None:
    """Run a command of this environment, shown on stderr.

    Raises:
        SystemExit: it failed.
    """
    line = [str(word) for word in words]
    print(shlex.join(line), file=sys.stderr)
    if code := subprocess.call(line, cwd=ROOT):
        sys.exit(code)


def commit() -> str:
    """The commit of the checkout, `-dirty` with changes that are not committed."""
    described = subprocess.run(
        ["git", "describe", "--always", "--dirty"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    return described.stdout.strip() or "unknown"


def _machine() -> str:
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        lines = [line for line in info.read_text("utf-8").splitlines() if "model name" in line]
        model = lines[0].split(":")[1].strip() if lines else model
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    return f"{model}, {os.cpu_count()} cores, {gpu}, Python {platform.python_version()}"
