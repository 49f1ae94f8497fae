"""The link by which jobs find the package."""

import multiprocessing
from multiprocessing.synchronize import Barrier
from pathlib import Path

import pytest

from rsfiqa.workflow.installed import link_package

PROCESSES, ROUNDS = 8, 20


@pytest.fixture
def packages(tmp_path) -> list[Path]:
    """Two packages of one name, as nodes of a cluster have them."""
    folders = [tmp_path / node / "site-packages/rsfiqa" for node in ("a", "b")]
    for folder in folders:
        folder.mkdir(parents=True)
        (folder / "__init__.py").touch()
        (folder.parent / "numpy").mkdir()
    return folders


def test_the_folder_holds_the_package_alone(tmp_path, packages, monkeypatch):
    monkeypatch.chdir(tmp_path)
    found = link_package(packages[0], Path("package"))
    assert found.is_absolute()
    assert [path.resolve() for path in found.iterdir()] == [packages[0]]
    assert link_package(packages[0], Path("package")) == found


def test_each_path_of_the_package_has_its_own_link(tmp_path, packages):
    found = [link_package(package, tmp_path / "package") for package in packages]
    assert [(folder / "rsfiqa").resolve() for folder in found] == packages


def link_in_turn(barrier: Barrier, packages: list[Path], folder: Path, number: int) -> None:
    """Link one of the packages in a fresh folder of each round, at once with other processes."""
    package = packages[number % len(packages)]
    for turn in range(ROUNDS):
        barrier.wait(60)
        assert (link_package(package, folder / str(turn)) / "rsfiqa").resolve() == package


def test_several_processes_may_link_at_once(tmp_path, packages):
    context = multiprocessing.get_context("spawn")
    barrier = context.Barrier(PROCESSES)
    processes = [
        context.Process(target=link_in_turn, args=(barrier, packages, tmp_path / "package", number))
        for number in range(PROCESSES)
    ]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
    assert [process.exitcode for process in processes] == [0] * PROCESSES
    for turn in range(ROUNDS):
        made = list((tmp_path / "package" / str(turn)).iterdir())
        assert len(made) == len(packages)  # nothing temporary is left
