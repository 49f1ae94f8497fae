"""SIGKILL of stages and of Snakemake at random moments."""

import random
import shutil
import signal
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.support.faults.work import NAME, STAGES, Work, digests, run, running, start
from tests.support.workflow import Workflow

STAGE_KILLS = 130  # 13 of each stage
WORKFLOW_KILLS = 3
CALM_S = 120  # within which the jobs of a killed Snakemake must have ended


def survived(work: Work, folder: Path, workers: int) -> tuple[int, int]:
    """How many stages were killed, and after how many of these all was as if nothing had been."""
    with ThreadPoolExecutor(workers) as pool:
        numbers = range(STAGE_KILLS)
        found = list(pool.map(lambda number: _one(work, folder / str(number), number), numbers))
    return len(found), sum(found)


def _one(work: Work, results: Path, number: int) -> bool:
    """Kill a stage, run it again, compare."""
    stage, chance = STAGES[number % len(STAGES)], random.Random(number)
    work.copy_before(stage, results)
    line, moment = work.command(stage, results), chance.random() * work.seconds[stage]
    while not _killed(line, moment):  # it was done before
        work.copy_before(stage, results)
        moment *= 0.8
    ended = run(line)
    differs = ended.output if ended.status else work.differs(stage, results)
    if differs:
        print(f"{stage} killed after {moment:.2f} s: {differs}", file=sys.stderr)
    return not differs


def _killed(line: list[str], moment: float) -> bool:
    process = start(line)
    time.sleep(moment)
    process.kill()
    process.communicate()
    return process.returncode == -signal.SIGKILL


def survived_by_workflow(folder: Path, *targets: str) -> tuple[int, int]:
    """How often Snakemake was killed, and how often a rerun ended as if nothing had been.

    Args:
        folder: of the workflow.
        targets: that are made; by default that of the pipeline.
    """
    pictures = {"paths": [str(folder / "pictures/*.png")]}
    workflow = Workflow(folder, score={"runs": {NAME: pictures}, "shard_size": 12})
    began = time.monotonic()
    if (ended := workflow.snakemake(*targets)).returncode:
        sys.exit(f"snakemake failed without a fault:\n{ended.stdout}")
    seconds = time.monotonic() - began
    expected = {stage: digests(workflow.results, stage) for stage in STAGES}
    kept = 0
    for number in range(WORKFLOW_KILLS):
        # in the same folder, because a manifest holds the pictures' paths
        shutil.rmtree(workflow.results)
        shutil.rmtree(folder / ".snakemake")
        fraction = (number + random.Random(number).random()) / WORKFLOW_KILLS
        differs = _disturbed(workflow, targets, expected, fraction * seconds)
        if differs:
            print(f"snakemake killed after {fraction * seconds:.1f} s: {differs}", file=sys.stderr)
        kept += not differs
    return WORKFLOW_KILLS, kept


def _disturbed(
    workflow: Workflow, targets: Sequence[str], expected: dict[str, dict[str, str]], moment: float
) -> str:
    """In what a workflow differs from an undisturbed one once Snakemake was killed and rerun."""
    if not _killed(workflow.line(*targets), moment):
        return "it had ended before"
    unlocked, again = workflow.snakemake("--unlock"), workflow.snakemake(*targets)  # beside orphans
    if unlocked.returncode or again.returncode:
        return f"the rerun failed: {unlocked.stdout}{again.stdout}"
    found = {stage: digests(workflow.results, stage) for stage in STAGES}
    if differing := [stage for stage in STAGES if found[stage] != expected[stage]]:
        return f"{differing[0]} has other files"
    calm = time.monotonic() + CALM_S
    while processes := running(workflow.folder):
        if time.monotonic() > calm:
            return f"process {processes[0]} was left behind"
        time.sleep(1)
    return "".join(map(str, workflow.results.rglob("*.partial")))
