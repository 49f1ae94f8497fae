"""The undisturbed run that all faults are compared with, and the figures of the campaign."""

import time
from collections.abc import Iterator

import pytest

from benchmarks.figures import write
from tests.support.faults.work import Count, Work


@pytest.fixture(scope="session")
def work(tmp_path_factory: pytest.TempPathFactory) -> Work:
    """Every stage, run once on a tiny data set."""
    undisturbed = Work(tmp_path_factory.mktemp("undisturbed"))
    undisturbed.make()
    return undisturbed


@pytest.fixture(scope="session")
def figures() -> Iterator[dict[str, float]]:
    """Figures of the campaign, written to results/bench/test-faults.json at its end."""
    began, counted = time.monotonic(), dict[str, float]()
    yield counted
    if counted:
        minutes = (time.monotonic() - began) / 60
        write("test-faults", counted | {"minutes": minutes}, "make test-faults")


@pytest.fixture
def count(figures: dict[str, float]) -> Count:
    """A function that notes trials and survivals of a fault, and fails where one was lost."""

    def note(name: str, trials: tuple[int, int]) -> None:
        tried, survived = trials
        lost = "missed" if name in ("flips", "cuts") else "lost"
        kept = "noticed" if lost == "missed" else "survived"
        figures.update({f"{name}_tried": tried, f"{name}_{kept}": survived})
        figures[f"{name}_{lost}"] = tried - survived
        assert tried
        assert survived == tried

    return note
