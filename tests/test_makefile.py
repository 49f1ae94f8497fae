"""What a person types is checked before anything is installed."""

import shutil
import subprocess
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (["bench"], 'bench-accuracy: DATA must be a folder of data sets, found ""; add DATA=DIR'),
        (["bench", "DATA=/no such"], 'must be a folder of data sets, found "/no such"; add DATA='),
        (["bench-score"], 'bench-score: DATA must be a folder of data sets, found ""'),
        (["bench-perception"], 'bench-perception: DATA must be a folder of data sets, found ""'),
        (["bench-nothing"], "bench-nothing: no such benchmark; python -m benchmarks lists them"),
    ],
)
def test_a_benchmark_without_its_data_installs_nothing(tmp_path, words, message):
    shutil.copy(ROOT / "Makefile", tmp_path)
    shutil.copytree(ROOT / "benchmarks", tmp_path / "benchmarks")
    line = ["make", "-C", str(tmp_path), *words, "PYTHON=false"]
    run = subprocess.run(line, capture_output=True, text=True, check=False)
    assert run.returncode == 2
    assert message in run.stderr
    assert not (tmp_path / ".venv").exists()


def test_a_benchmark_that_needs_no_data_is_installed(tmp_path):
    shutil.copy(ROOT / "Makefile", tmp_path)
    shutil.copytree(ROOT / "benchmarks", tmp_path / "benchmarks")
    for name in ("requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    for words in (["bench-scale"], ["bench-score", "ARGS=--help"]):
        line = ["make", "-C", str(tmp_path), *words, "PYTHON=false"]
        run = subprocess.run(line, capture_output=True, text=True, check=False)
        assert ".venv/installed" in run.stderr  # which false cannot make


@pytest.fixture
def installed(tmp_path):
    """A checkout with an environment of Python 3.11, and a folder of other interpreters."""
    for name in ("Makefile", "requirements.lock", "pyproject.toml"):
        shutil.copy(ROOT / name, tmp_path)
    script(tmp_path / ".venv/bin/python", "echo 3.11")
    (tmp_path / ".venv/installed").touch()
    for number in ("3.11", "3.12"):
        script(
            tmp_path / f"python{number}",
            f'case "$*" in *print*) echo {number};; *) echo "$@";; esac',
        )
    return tmp_path


def script(path, text):
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"#!/bin/bash\n{text}\n", "utf-8")
    path.chmod(0o755)


@pytest.mark.parametrize(
    ("words", "made"),
    [([], False), (["PYTHON=./python3.11"], False), (["PYTHON=./python3.12"], True)],
)
def test_another_python_makes_the_environment_anew(installed, words, made):
    line = ["make", "-C", str(installed), "--dry-run", "install", *words]
    run = subprocess.run(line, capture_output=True, text=True, check=True)
    assert ("-m venv --clear .venv" in run.stdout) == made, run.stdout
