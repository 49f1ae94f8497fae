"""Two pipelines on one folder, and a clock that is set back."""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from rsfiqa.products.paths import SUFFIX
from tests.support.faults.work import STAGES, Work, run

LIBRARIES = ("/usr/lib/*/faketime/libfaketime.so.1", "/usr/lib/faketime/libfaketime.so.1")


def survived_together(work: Work, folder: Path) -> tuple[int, int]:
    """How many stages two processes ran at once on one folder, and how many survived."""
    kept = 0
    for stage in STAGES:
        results = folder / stage
        work.copy_before(stage, results)
        line = work.command(stage, results)
        with ThreadPoolExecutor(2) as pool:
            both = list(pool.map(run, [line, line]))
        failed = "".join(ended.output for ended in both if ended.status)
        kept += _kept(f"{stage} twice at once", failed or work.differs(stage, results))
    return len(STAGES), kept


def survived_set_back(work: Work, folder: Path) -> tuple[int, int]:
    """How many stages ran with a clock ever further back, and how many survived.

    Each is run again with the right clock, and has nothing to do where it works shard by shard.
    """
    library = next((str(path) for p in LIBRARIES for path in Path("/").glob(p[1:])), "")
    if not library:
        sys.exit("libfaketime: must be installed, found none; apt-get install faketime")
    results, kept = folder / "results", 0
    for number, stage in enumerate(STAGES, 1):
        line = work.command(stage, results)
        back = {"FAKETIME": f"-{number}d", "FAKETIME_DONT_FAKE_MONOTONIC": "1"}
        ended = run(line, LD_PRELOAD=library, **back)
        again = run(line)
        failed = "".join(e.output for e in (ended, again) if e.status)
        if stage in SUFFIX and "done already" not in again.output:
            failed += "it was done again"
        kept += _kept(f"{stage} with the clock set back", failed or work.differs(stage, results))
    return len(STAGES), kept


def _kept(what: str, differs: str) -> bool:
    if differs:
        print(f"{what}: {differs}", file=sys.stderr)
    return not differs
