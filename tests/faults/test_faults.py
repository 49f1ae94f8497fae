"""The fault campaign: `make test-faults`.

Needs root, to mount a tmpfs, and libfaketime. Everything is drawn from fixed seeds; only the
moment of a kill depends on how fast the machine is.
"""

import os
from pathlib import Path

import pytest

from tests.support.faults import clocks, disks, flips, hostile, kills, mutations
from tests.support.faults.work import Count, Work

pytestmark = pytest.mark.faults

MUTATED = 100_000  # image files


@pytest.mark.parametrize("kind", ["flips", "cuts"])
def test_damaged_products_are_noticed(work: Work, count: Count, tmp_path: Path, kind: str) -> None:
    count(kind, flips.noticed(work, tmp_path / "results")[kind])


def test_hostile_images_survive_every_stage(work: Work, count: Count, tmp_path: Path) -> None:
    count("hostile", hostile.survived(work, tmp_path))


def test_mutated_images_have_a_reason_or_pixels(count: Count, tmp_path: Path) -> None:
    problems = mutations.problems(MUTATED, tmp_path)
    print(*problems, sep="\n")
    count("images", (MUTATED, MUTATED - len(problems)))


def test_killed_stages_are_completed(work: Work, count: Count, tmp_path: Path) -> None:
    count("kills", kills.survived(work, tmp_path, os.cpu_count() or 1))


def test_a_killed_workflow_is_completed(count: Count, tmp_path: Path) -> None:
    count("workflow_kills", kills.survived_by_workflow(tmp_path / "workflow"))


def test_a_killed_scoring_workflow_is_completed(count: Count, tmp_path: Path) -> None:
    count("scoring_kills", kills.survived_by_workflow(tmp_path / "workflow", "score"))


def test_full_disks(work: Work, count: Count, tmp_path: Path) -> None:
    count("full_disks", disks.survived(work, tmp_path, disks.fill, disks.empty))


def test_read_only_disks(work: Work, count: Count, tmp_path: Path) -> None:
    count("read_only", disks.survived(work, tmp_path, disks.lock, disks.unlock))


def test_two_processes_on_one_folder(work: Work, count: Count, tmp_path: Path) -> None:
    count("together", clocks.survived_together(work, tmp_path))


def test_a_clock_that_is_set_back(work: Work, count: Count, tmp_path: Path) -> None:
    count("set_back", clocks.survived_set_back(work, tmp_path))
