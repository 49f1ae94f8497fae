"""Disks that are full or read-only, in every stage."""

import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

from tests.support.disks import small_disk
from tests.support.faults.work import STAGES, Work, outputs, run

SIZE_MB = 64  # of the disk; a tiny data set's products and models are a few
LEFT = 1024  # bytes, of a full one


def survived(
    work: Work, folder: Path, refuse: Callable[[Path], None], allow: Callable[[Path], None]
) -> tuple[int, int]:
    """How many stages met such a disk, and how many survived.

    A stage survives if it ends with one line, leaves nothing half done, and the same command makes
    the same bytes once the disk is well again. It needs the rights to mount a tmpfs.

    Args:
        work: the undisturbed run.
        folder: where the disk is to be.
        refuse: makes the disk refuse.
        allow: makes it well again.
    """
    kept = 0
    for stage in STAGES:
        with small_disk(folder / stage, f"size={SIZE_MB}m") as place:
            results = place / "results"
            work.copy_before(stage, results)
            refuse(place)
            ended = run(work.command(stage, results))
            left = [str(path) for path in outputs(results, stage) if path.stat().st_size == 0]
            left += map(str, results.rglob("*.partial"))
            allow(place)
            again = run(work.command(stage, results))
            if not ended.in_one_line or left:
                differs = f"{left or 'other than one line'}: {ended.status} {ended.output}"
            else:
                differs = again.output if again.status else work.differs(stage, results)
            if differs:
                print(f"{stage} on such a disk: {differs}", file=sys.stderr)
            kept += not differs
    return len(STAGES), kept


def fill(place: Path) -> None:
    """Leave no room for a product."""
    with (place / "filler").open("wb") as file:
        try:
            while True:
                file.write(bytes(1 << 16))
                file.flush()
        except OSError:
            pass


def empty(place: Path) -> None:
    """Make room again."""
    (place / "filler").unlink()


def lock(place: Path) -> None:
    """Let nothing be written."""
    _mount("-o", "remount,ro", str(place))


def unlock(place: Path) -> None:
    """Let it be written again."""
    _mount("-o", "remount,rw", str(place))


def _mount(*words: str) -> None:
    subprocess.run(["mount", *words], check=True)
