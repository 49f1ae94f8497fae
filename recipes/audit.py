"""Known vulnerabilities of the pinned versions, by pip-audit, which asks a public database.

Without the database nothing is audited, which is said in one line and is no failure.
"""

import json
import subprocess
import sys
from argparse import ArgumentParser
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
OPTIONS = ("--no-deps", "--disable-pip", "--progress-spinner", "off", "--format", "json")


def main() -> None:
    """Audit the pins; exit status 1 if one is vulnerable."""
    options = ArgumentParser(description=__doc__)
    options.add_argument("--tool", required=True, help="path of pip-audit")
    options.add_argument("--pins", type=Path, default=ROOT / "requirements.lock")
    options.add_argument("--log", type=Path, default=ROOT / "build" / "audit.log")
    given = options.parse_args()
    line = [given.tool, *OPTIONS, "--requirement", str(given.pins)]
    run = subprocess.run(line, capture_output=True, text=True, check=False)
    given.log.parent.mkdir(exist_ok=True)
    given.log.write_text(run.stdout + run.stderr, "utf-8")
    lines, status = verdict(run.stdout)
    nothing = f"audit: the database was not reached, nothing was audited; see {given.log}"
    print("\n".join(lines or [nothing]))
    sys.exit(status)


def verdict(answer: str) -> tuple[list[str], int]:
    """What to print, nothing if no package was audited, and the exit status.

    Args:
        answer: JSON of pip-audit, or nothing where it gave up.
    """
    try:
        packages: list[dict[str, Any]] = json.loads(answer)["dependencies"]
    except ValueError:
        return [], 0
    known = [package for package in packages if "vulns" in package]
    if not known:
        return [], 0
    bad = [
        f"audit: {package['name']} {package['version']}: {hole['id']},"
        f" fixed in {', '.join(hole['fix_versions']) or 'no version'}"
        for package in known
        for hole in package["vulns"]
    ]
    counts = f"{len(known)} packages audited, {len(packages) - len(known)} not in the database"
    return [*bad, f"audit: {counts}, {len(bad)} vulnerabilities"], min(1, len(bad))


if __name__ == "__main__":
    main()
