"""The campaign of faults: what is tried, and what the pipeline bears.

Usage: python -m tests.faults. Needs the rights to mount a tmpfs, and libfaketime. Everything is
drawn from fixed seeds; only the moments of a kill hang on how fast the machine is.
"""

import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from benchmarks.figures import write
from tests.faults import clocks, disks, flips, hostile, kills
from tests.faults.work import Work


def main() -> None:
    """Try all faults and write the figures; exit status 1 if one was not borne."""
    began = time.monotonic()
    folder = Path(tempfile.mkdtemp(prefix="rsfiqa-faults-"))
    work = Work(folder / "undisturbed")
    work.make()
    counted: dict[str, Callable[[], tuple[int, int]]] = {
        "hostile": lambda: hostile.survived(work, folder / "hostile"),
        "kills": lambda: kills.survived(work, folder / "kills", os.cpu_count() or 1),
        "workflow_kills": lambda: kills.survived_by_workflow(folder / "workflow"),
        "full_disks": lambda: disks.survived(work, folder / "full", disks.fill, disks.empty),
        "read_only": lambda: disks.survived(work, folder / "locked", disks.lock, disks.unlock),
        "together": lambda: clocks.survived_together(work, folder / "together"),
        "set_back": lambda: clocks.survived_set_back(work, folder / "set_back"),
    }
    figures: dict[str, float] = {}
    for name, (tried, seen) in flips.noticed(work, folder / "flips").items():
        figures |= {f"{name}_tried": tried, f"{name}_noticed": seen, f"{name}_missed": tried - seen}
        print(f"{name}: {seen} of {tried}", file=sys.stderr, flush=True)
    for name, survived in counted.items():
        tried, kept = survived()
        figures |= {f"{name}_tried": tried, f"{name}_survived": kept, f"{name}_lost": tried - kept}
        print(f"{name}: {kept} of {tried}", file=sys.stderr, flush=True)
    figures["minutes"] = (time.monotonic() - began) / 60
    write("test-faults", figures, "make test-faults")
    shutil.rmtree(folder)
    if short := [name for name in figures if name.endswith(("_lost", "_missed")) and figures[name]]:
        sys.exit(f"not all was borne: {', '.join(short)}")


if __name__ == "__main__":
    main()
