"""Runs of the score stage and of its command, and what happens in the middle of them."""

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from rsfiqa.products import score_tables
from rsfiqa.products.scores import Row
from rsfiqa.score import stage, workers
from rsfiqa.score.options import ScoreOptions
from rsfiqa.score.rows import Scored


def run(
    paths: Sequence[Path | str], checkpoint: Path, output: Path | None = None, **changes: Any
) -> bool:
    """Score pictures in one process without heat maps; whether all could be scored."""
    usual: dict[str, Any] = {"heatmaps": None, "explain": False, "workers": 1}
    usual |= {"checkpoint": checkpoint, "output": output}
    return stage.run([str(path) for path in paths], ScoreOptions(), **usual | changes)


class Recorder:
    """Scores images and records their paths in a file, since it runs in several processes.

    Args:
        log: that file.
        events: what happens at the image with that name, without suffix.
    """

    def __init__(self, log: Path, **events: Callable[[], None]) -> None:
        self.log, self.events = log, events
        log.touch()

    @property
    def paths(self) -> list[str]:
        """Paths of the images so far."""
        return self.log.read_text("utf-8").splitlines()

    @property
    def names(self) -> list[str]:
        """Names of the images so far."""
        return [Path(path).name for path in self.paths]

    def __call__(self, path: str, *opened: Any) -> Scored:
        """Record and score an image."""
        with self.log.open("a", encoding="utf-8") as file:
            file.write(f"{path}\n")
        if (event := self.events.get(Path(path).stem)) is not None:
            event()
        return workers.score_one(path, *opened)


def interrupt() -> None:
    """As Ctrl-C."""
    raise KeyboardInterrupt


def kill() -> None:
    """As the system does where memory runs out."""
    os.kill(os.getpid(), signal.SIGKILL)


def crash() -> None:
    """As a library in C does at a wrong address."""
    os.kill(os.getpid(), signal.SIGSEGV)


def rows_of(output: Path) -> list[Row]:
    """The rows of a table of scores."""
    return list(score_tables.read(output))


def command(*words: object, **options: Any) -> subprocess.Popen[str]:
    """`rsfiqa score` in a process of its own."""
    line = [sys.executable, "-m", "rsfiqa", "score", *map(str, words)]
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    environment = os.environ | {"PYTHONWARNINGS": "ignore"} | options.pop("env", {})
    return subprocess.Popen(line, env=environment, **pipes | options)
