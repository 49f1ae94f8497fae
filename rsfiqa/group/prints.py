"""Fingerprints of pictures, read in parallel and kept for the next run."""

import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.pool import ThreadPool
from pathlib import Path

import cv2
from tqdm import tqdm

from rsfiqa.errors import ImageError, first_line
from rsfiqa.images.fingerprint import fingerprint
from rsfiqa.images.location import file_state
from rsfiqa.products import fingerprints
from rsfiqa.products.fingerprints import Fingerprint
from rsfiqa.products.scores import is_current

log = logging.getLogger("rsfiqa")


@contextmanager
def kept(cache: Path | None) -> Iterator[dict[str, Fingerprint]]:
    """The fingerprints of a file by location, written again where they change.

    They are written at the end, also of a run that is interrupted.

    Args:
        cache: the file; None to keep nothing.
    """
    rows = fingerprints.read(cache) if cache else {}
    before = {location: dict(row) for location, row in rows.items()}
    try:
        yield rows
    finally:
        if cache is not None and rows != before:
            _write(cache, rows)


def read(
    paths: Sequence[str], rows: dict[str, Fingerprint], workers: int
) -> tuple[dict[str, Fingerprint], dict[str, str]]:
    """Fingerprints, and reasons of pictures that cannot be read, by path.

    Args:
        paths: of the pictures.
        rows: fingerprints by location; those of pictures that are new or have changed are added.
        workers: number of pictures read at a time; 0 for one per core.
    """
    states = {path: file_state(path) for path in paths}
    pending = [
        path
        for path, state in states.items()
        if (row := rows.get(state["location"])) is None or not is_current(row, state)
    ]
    failed: dict[str, str] = {}
    for path, made in _read(pending, workers):
        if isinstance(made, str):
            failed[path] = made
        else:
            rows[made["location"]] = made
    return {p: rows[states[p]["location"]] for p in paths if p not in failed}, failed


@contextmanager
def threads(workers: int) -> Iterator[ThreadPool]:
    """Threads in which pictures are decoded, each with one of OpenCV's.

    Args:
        workers: number of threads; 0 for one per core.
    """
    before = cv2.getNumThreads()
    cv2.setNumThreads(1)
    try:
        with ThreadPool(workers or os.cpu_count() or 1) as pool:
            yield pool
    finally:
        cv2.setNumThreads(before)


def _read(paths: Sequence[str], workers: int) -> Iterator[tuple[str, Fingerprint | str]]:
    """Each path with its fingerprint, or why it cannot be read; decoding releases the GIL."""
    if not paths:
        return
    with threads(workers) as pool:
        made = pool.imap(_try, paths, chunksize=16)
        bar = tqdm(made, "compare", len(paths), unit="image", disable=None)
        yield from zip(paths, bar, strict=True)


def _try(path: str) -> Fingerprint | str:
    try:
        return fingerprint(path)
    except (ImageError, OSError, MemoryError, cv2.error) as error:
        return first_line(error)


def _write(cache: Path, rows: dict[str, Fingerprint]) -> None:
    """Write the file of fingerprints; without it the next run takes longer, and that is all."""
    try:
        fingerprints.write(cache, rows.values())
    except OSError as error:
        log.info("%s: not written (%s); the next run reads all again", cache, first_line(error))
