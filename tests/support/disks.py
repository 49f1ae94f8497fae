"""Small disks of their own, which fill up."""

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest


@contextmanager
def small_disk(place: Path, options: str) -> Iterator[Path]:
    """A file system in memory, gone afterwards; the test is skipped where none can be mounted.

    Args:
        place: folder, made if need be.
        options: such as size=64k.
    """
    place.mkdir(parents=True, exist_ok=True)
    line = ["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(place)]
    if subprocess.run(line, check=False, capture_output=True).returncode:
        pytest.skip("a small disk cannot be mounted here; that needs root")
    try:
        yield place
    finally:  # lazily: a table that was read may still be mapped
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def make_read_only(place: Path) -> None:
    """Write-protect a `small_disk`, as a memory card with its slider locked."""
    subprocess.run(["mount", "-o", "remount,ro", str(place)], check=True)
