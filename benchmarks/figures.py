"""Figures of a bench target: flat JSON, printed as the last lines."""

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


def write(target: str, figures: dict[str, float], command: str) -> None:
    """Write results/bench/<target>.json and print the same."""
    content = {
        **{name: round(value, 6) for name, value in figures.items()},
        "command": command,
        "commit": _commit(),
        "date": datetime.now(UTC).date().isoformat(),
        "machine": _machine(),
        "versions": ", ".join(f"{name} {version(name)}" for name in PACKAGES),
    }
    write_json(FOLDER / f"{target}.json", content)
    print(json.dumps(content, indent=2))


def data_with(name: str) -> Path:
    """The folder of data sets that the command line names.

    Raises:
        SystemExit: there is none that holds this one.
    """
    if len(sys.argv) != 2 or not (Path(sys.argv[1]) / name).is_dir():
        script = Path(sys.argv[0]).name
        sys.exit(f"usage: python benchmarks/{script} DATA, a folder that holds {name}")
    return Path(sys.argv[1])


def run(*words: str | Path) -> None:
    """Run a command of this environment, shown on stderr.

    Raises:
        SystemExit: it failed.
    """
    line = [str(word) for word in words]
    print(shlex.join(line), file=sys.stderr)
    if code := subprocess.call(line, cwd=ROOT):
        sys.exit(code)


def _commit() -> str:
    found = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True
    )
    return found.stdout.strip() or "unknown"


def _machine() -> str:
    model = platform.processor() or platform.machine()
    info = Path("/proc/cpuinfo")
    if info.is_file():
        lines = [line for line in info.read_text("utf-8").splitlines() if "model name" in line]
        model = lines[0].split(":")[1].strip() if lines else model
    gpu = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    return f"{model}, {os.cpu_count()} cores, {gpu}, Python {platform.python_version()}"
