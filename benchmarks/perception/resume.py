"""Figures of finished parts, kept until the package, the bench, the data or the options change."""

import hashlib
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from benchmarks.figures import ROOT
from rsfiqa.io.checksum import sha256_of
from rsfiqa.io.json_files import read_json, write_json

CODE = ("rsfiqa", "benchmarks")
CACHES = "__pycache__"

Figures = dict[str, float]


def figures_of(path: Path, inputs: dict[str, Any], measure: Callable[[], Figures]) -> Figures:
    """The figures of a part: those kept if they were measured with the same inputs.

    Args:
        path: where they are kept.
        inputs: all that they depend on.
        measure: measures them.
    """
    if (kept := kept_figures(path, inputs)) is not None:
        return kept
    figures = {name: float(value) for name, value in measure().items()}
    write_json(path, {"inputs": inputs, "figures": figures})
    return figures


def kept_figures(path: Path, inputs: dict[str, Any]) -> Figures | None:
    """The figures that are kept; None without any, or if they were measured with other inputs."""
    try:
        content = read_json(path)
    except (OSError, ValueError):
        return None
    if not isinstance(content, dict) or content.get("inputs") != inputs:
        return None
    figures: Figures = content["figures"]
    return figures


def code_digest() -> str:
    """SHA-256 of the package with its weights, and of the benchmarks."""
    folders = [ROOT / name for name in CODE]
    return files_digest(path for folder in folders for path in folder.rglob("*"))


def folder_digest(folder: Path | None) -> str:
    """SHA-256 of the files of a folder, such as a checkpoint; empty without one."""
    return files_digest(folder.rglob("*")) if folder else ""


def listing_digest(folders: Iterable[Path]) -> str:
    """SHA-256 of the names, sizes and times of the files below some folders; none is opened."""
    digest = hashlib.sha256()
    for folder in folders:
        for path in sorted(folder.rglob("*")):
            status = path.stat()
            name = path.relative_to(folder)
            digest.update(f"{folder.name}/{name} {status.st_size} {status.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def files_digest(paths: Iterable[Path]) -> str:
    """SHA-256 of the names and contents of files; what Python compiles is left out."""
    digest = hashlib.sha256()
    for path in sorted(paths):
        if path.is_file() and CACHES not in path.parts:
            digest.update(f"{path} {sha256_of(path)}\n".encode())
    return digest.hexdigest()
