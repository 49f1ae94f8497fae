"""What importing a module costs."""

import subprocess
import sys


def imported_by(*modules: str) -> set[str]:
    """Names of all modules that a fresh interpreter has loaded after importing these."""
    code = f"import sys; import {', '.join(modules)}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return set(done.stdout.split())


COMMAND = """
import sys
from rsfiqa.cli import main

assert main(sys.argv[1:]) == 0
print(*sys.modules)
"""


def imported_by_command(*arguments: str) -> set[str]:
    """Names of all modules that a fresh interpreter has loaded after running a subcommand."""
    command = [sys.executable, "-c", COMMAND, *arguments]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    return set(done.stdout.splitlines()[-1].split())
