"""The audit of the pinned versions: what it says of the answers of pip-audit."""

import subprocess
import sys
from pathlib import Path

import pytest

from recipes.audit import verdict

ROOT = Path(__file__).resolve().parents[1]
HOLE = '{"id": "PYSEC-1", "fix_versions": ["2.0"], "aliases": [], "description": ""}'
SOUND = '{"name": "a", "version": "1.0", "vulns": []}'
VULNERABLE = f'{{"name": "b", "version": "1.1", "vulns": [{HOLE}]}}'
SKIPPED = '{"name": "c", "skip_reason": "not found"}'


def answer(*packages):
    return f'{{"dependencies": [{", ".join(packages)}], "fixes": []}}'


def test_a_vulnerable_package_fails_the_audit():
    lines, status = verdict(answer(SOUND, VULNERABLE, SKIPPED))
    assert lines == [
        "audit: b 1.1: PYSEC-1, fixed in 2.0",
        "audit: 2 packages audited, 1 not in the database, 1 vulnerabilities",
    ]
    assert status == 1


def test_sound_packages_pass():
    lines, status = verdict(answer(SOUND))
    assert lines == ["audit: 1 packages audited, 0 not in the database, 0 vulnerabilities"]
    assert status == 0


@pytest.mark.parametrize("nothing", ["", answer(SKIPPED, SKIPPED)])
def test_no_answer_is_no_clean_bill(nothing):
    assert verdict(nothing) == ([], 0)


def test_without_the_database_there_is_one_line(tmp_path):
    """A tool that ends in a traceback, as pip-audit does without a network."""
    tool = tmp_path / "pip-audit"
    tool.write_text(f"#!{sys.executable}\nraise ConnectionError('unreachable')\n", "utf-8")
    tool.chmod(0o755)
    log = tmp_path / "audit.log"
    line = [sys.executable, "recipes/audit.py", "--tool", str(tool), "--log", str(log)]
    run = subprocess.run(line, cwd=ROOT, capture_output=True, text=True, check=False)
    said = f"audit: the database was not reached, nothing was audited; see {log}\n"
    assert (run.returncode, run.stdout, run.stderr) == (0, said, "")
    assert "unreachable" in log.read_text("utf-8")
