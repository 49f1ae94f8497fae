"""What importing a module costs."""

import subprocess
import sys


def imported_by(*modules: str) -> set[str]:
    """Names of all modules that a fresh interpreter has loaded after importing these."""
    code = f"import sys; import {', '.join(modules)}; print(*sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return set(done.stdout.split())
