"""What all parts of the bench share."""

import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.figures import ROOT


@dataclass(frozen=True)
class Work:
    """Where a part finds its data and keeps its files.

    Attributes:
        data: folder of the data sets as released; None without.
        folder: of what the bench keeps.
        checkpoint: folder; None for the packaged one.
    """

    data: Path | None
    folder: Path
    checkpoint: Path | None = None


def rsfiqa(*words: str | Path) -> None:
    """Run a command of the package in a process of its own.

    Raises:
        SystemExit: it failed.
    """
    line = [sys.executable, "-m", "rsfiqa", *map(str, words)]
    if status := subprocess.call(line, cwd=ROOT):
        sys.exit(f"{' '.join(line)}: failed with status {status}")
