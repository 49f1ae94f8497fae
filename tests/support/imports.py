"""What a subcommand imports, in an interpreter of its own."""

import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = """
import sys
from rsfiqa.cli import main

assert main(sys.argv[2:]) == 0
print("imported", *[name for name in sys.argv[1].split(",") if name in sys.modules])
"""


def imported(modules: Sequence[str], arguments: Sequence[str]) -> list[str]:
    """Run a subcommand with these arguments; return those of the modules that it imported."""
    ended = subprocess.run(
        [sys.executable, "-c", PROGRAM, ",".join(modules), *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return ended.stdout.splitlines()[-1].split()[1:]
