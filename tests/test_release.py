"""The release: which interpreters it takes, and how it ends where a step fails."""

import sys

import pytest

from recipes import release


@pytest.fixture
def script(tmp_path, monkeypatch):
    """A function that puts a shell script first on PATH."""
    monkeypatch.setenv("PATH", f"{tmp_path}:/usr/bin:/bin")

    def make(name, text):
        path = tmp_path / name
        path.write_text(f"#!/bin/sh\n{text}\n", "utf-8")
        path.chmod(0o755)
        return str(path)

    return make


def test_a_python_that_starts_is_taken(script):
    path = script("python3.13", "exit 0")
    assert release.interpreter("3.13") == path


def test_a_shim_without_its_python_is_passed_over(script):
    script("python3.13", "echo 'python3.13: command not found' >&2; exit 127")
    assert release.interpreter("3.13") is None


def test_a_python_that_is_not_there_is_named(script, capsys, tmp_path):
    script("python3.13", "exit 127")
    assert not release.try_on("3.13", tmp_path / "x.whl")
    assert capsys.readouterr().out == "release: python3.13 is not on PATH, not tried\n"


def test_a_step_that_fails_ends_the_release_with_what_it_said():
    with pytest.raises(SystemExit, match=r"a reason\nrelease: .* failed$"):
        release.run(sys.executable, "-c", "print('a reason'); raise SystemExit(3)")


def test_a_step_does_not_see_the_checkout(monkeypatch):
    monkeypatch.setenv("PYTHONPATH", "/checkout")
    code = "import os; print('PYTHONPATH' in os.environ)"
    assert release.run(sys.executable, "-c", code) == "False\n"


def test_what_is_installed_beside_torch_is_measured_and_bounded(tmp_path, capsys):
    packages = tmp_path / "lib/python3.11/site-packages"
    sizes = {"torch/a.so": 900_000, "nvidia/b.so": 900_000, "scipy/c.so": 3_000, "scipy/d.pyc": 900}
    for name, size in {**sizes, "torch_like/e.so": 2_000}.items():
        path = packages / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(bytes(size))
    folders = sum(path.lstat().st_size for path in tmp_path.rglob("*") if path.is_dir())
    release.check_installed_size(tmp_path, most=(folders + 6_000) / 1e6)
    assert capsys.readouterr().out == "release: 0 MB beside torch\n"
    with pytest.raises(SystemExit, match=r"must take at most 0.001 MB beside torch, found 0; move"):
        release.check_installed_size(tmp_path, most=0.001)


def test_the_time_until_the_first_score_is_bounded_by_its_work(capsys):
    release.check_time(100, 60)
    assert not capsys.readouterr().out
    release.check_time(200, 60)
    assert "180 s are promised; the processors worked 60 s" in capsys.readouterr().out
    with pytest.raises(SystemExit, match="must take at most 180 s of work, took 190"):
        release.check_time(200, 190)


def test_the_work_of_commands_is_counted():
    before = release.processor_seconds()
    release.run(sys.executable, "-c", "sum(range(3_000_000))")
    assert release.processor_seconds() > before
