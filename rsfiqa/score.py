"""Scores of anybody's pictures: files and folders in, one table out, resumable."""

import csv
import glob
import json
import logging
import os
import sys
from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from multiprocessing import get_context
from pathlib import Path
from typing import IO, Any

import cv2
import matplotlib
import numpy as np
import pyarrow as pa
import torch
from PIL import Image
from tqdm import tqdm

from rsfiqa import captions, images
from rsfiqa.datasets.folder import pictures_below
from rsfiqa.errors import ImageError, InputError
from rsfiqa.files import Provenance, atomic, first_line, write_table
from rsfiqa.scorer import Region, Score, Scorer

log = logging.getLogger("rsfiqa")
VERSION = 1
TINY = 64  # pixels of the shorter side
LISTS = frozenset({".txt", ".lst"})  # of paths, a line each
FORMATS = (".parquet", ".csv", ".jsonl")
SCHEMA = pa.schema(
    [
        ("path", pa.string()),
        ("score", pa.float64()),  # in MOS units of the checkpoint's training set; null if failed
        ("quality", pa.float64()),  # the same in [0, 1], higher is better
        ("direction", pa.string()),  # higher or lower is better, of score
        ("low", pa.float64()),  # range of score
        ("high", pa.float64()),
        ("checkpoint", pa.string()),  # its data set and the beginning of its SHA-256
        ("worst_box", pa.list_(pa.int32())),  # x0, y0, x1, y1 of the region that costs most
        ("worst_caption", pa.string()),
        *((f"worst_{name}", pa.float64()) for name in captions.RATINGS),  # 1 bad to 5 excellent
        ("worst_quality", pa.float64()),  # of the region, in MOS units
        ("worst_weight", pa.float64()),  # of the region, in [0, 1]
        ("flags", pa.list_(pa.string())),  # tiny, huge, converted
        ("status", pa.string()),  # ok or failed
        ("reason", pa.string()),  # why it failed
    ]
)


def listed(arguments: Sequence[str]) -> list[str]:
    """The pictures that paths name: sorted within a folder, each once, in the arguments' order.

    Args:
        arguments: a picture, a folder (with all below, hidden ones left out), a pattern, a text
            file of paths, or - for such a list on standard input.

    Raises:
        InputError: a path that names nothing, or a folder that cannot be listed.
    """
    found: dict[str, None] = {}
    for argument in arguments:
        found |= dict.fromkeys(_expand(argument))
    return list(found)


def _expand(argument: str) -> Iterator[str]:
    path = Path(argument).expanduser()
    if argument == "-":
        yield from _lines(sys.stdin)
    elif path.is_dir():
        yield from map(str, pictures_below(path))
    elif path.suffix.lower() in LISTS and path.is_file():
        with path.open(encoding="utf-8") as file:
            yield from _lines(file)
    elif path.is_file() or not glob.has_magic(argument):
        yield str(path)
    else:
        matches = sorted(glob.glob(str(path), recursive=True))  # noqa: PTH207 ** and ~ alike
        if not matches:
            raise InputError(f"{argument}: must match a file, found none; check the pattern")
        for match in matches:
            if Path(match).is_file():
                yield match


def _lines(file: IO[str]) -> Iterator[str]:
    for line in file:
        if line.strip():
            yield line.strip()


def run(
    arguments: Sequence[str],
    *,
    checkpoint: Path,
    output: Path | None,
    heatmaps: Path | None,
    explain: bool,
    workers: int,
) -> bool:
    """Score pictures; whether all could be scored.

    With an output, finished rows are kept in a journal beside it and not computed again; without
    one, lines are printed as they come.

    Raises:
        InputError: a wrong path, checkpoint or output.
    """
    paths = listed(arguments)
    if not paths:
        raise InputError("no pictures found; name files or a folder that holds some")
    if output is not None and output.suffix not in FORMATS:
        raise InputError(f"{output}: must end in {', '.join(FORMATS)}; give such a name")
    label = label_of(Scorer(checkpoint))
    failed = 0
    with _journal(output, label) as journal:
        wanted = [path for path in paths if path not in journal.rows]
        if len(wanted) < len(paths):
            log.info("%d of %d are done already", len(paths) - len(wanted), len(paths))
        scored = _scored(wanted, checkpoint, heatmaps, workers)
        for row, details in tqdm(scored, "score", len(wanted), unit="image", disable=None):
            journal.add(row)
            if output is None:
                _print(row, details, explain)
        rows = [journal.rows[path] for path in paths]
        failed = sum(row["status"] == "failed" for row in rows)
        if output is not None:
            _write(output, rows, label)
    if failed:
        log.warning("%d of %d could not be scored; column reason says why", failed, len(paths))
    return not failed


def label_of(scorer: Scorer) -> str:
    """What rows call a checkpoint."""
    return f"{'+'.join(scorer.card.datasets)} {scorer.digest[:12]}"


def row_of(
    path: str, scorer: Scorer, label: str
) -> tuple[dict[str, Any], tuple[Score, np.ndarray] | None]:
    """A row of the table for one picture, whatever becomes of it; its score and its pixels."""
    low, high = scorer.card.mos_range or (0.0, 1.0)
    row: dict[str, Any] = dict.fromkeys(SCHEMA.names)
    row |= {"path": path, "low": low, "high": high, "checkpoint": label, "flags": []}
    row["direction"] = "lower" if scorer.card.lower_better else "higher"
    try:
        picture = images.read(Path(path))
        pixels = picture.pixels
        found = scorer.score(pixels)
    except (ImageError, OSError) as error:
        return row | {"status": "failed", "reason": first_line(error)}, None
    worst = worst_region(found, scorer.card.lower_better)
    sizes = {
        "tiny": min(pixels.shape[:2]) < TINY,
        "huge": picture.size[0] * picture.size[1] > images.HUGE,
        "converted": picture.converted,
    }
    return row | {
        "score": found.score,
        "quality": found.quality,
        "worst_box": list(worst.box),
        "worst_caption": worst.text,
        **{f"worst_{name}": value for name, value in worst.ratings.items()},
        "worst_quality": worst.quality,
        "worst_weight": worst.weight,
        "flags": [name for name, holds in sizes.items() if holds],
        "status": "ok",
    }, (found, pixels)


def worst_region(found: Score, lower_better: bool) -> Region:
    """The region that costs the image most: its weight times how far it lies below the mean."""
    sign = -1 if lower_better else 1
    mean = sum(region.weight * region.quality for region in found.regions)
    return min(found.regions, key=lambda region: sign * region.weight * (region.quality - mean))


_worker: list[tuple[Scorer, str, Path | None]] = []  # of this process


def _start(checkpoint: Path, heatmaps: Path | None) -> None:
    torch.set_num_threads(1)  # images are the unit of parallel work
    cv2.setNumThreads(1)
    scorer = Scorer(checkpoint)
    _worker.append((scorer, label_of(scorer), heatmaps))


def _score_one(path: str) -> tuple[dict[str, Any], list[Region]]:
    ((scorer, label, heatmaps),) = _worker
    row, seen = row_of(path, scorer, label)
    if seen is None:
        return row, []
    found, pixels = seen
    if heatmaps is not None:
        name = "_".join(Path(path).with_suffix(".png").parts[-2:])
        with atomic(heatmaps / name) as partial:
            heatmap(pixels, found.attention).save(partial, format="PNG")
    return row, found.regions


def _scored(
    paths: Sequence[str], checkpoint: Path, heatmaps: Path | None, workers: int
) -> Iterable[tuple[dict[str, Any], list[Region]]]:
    """Rows and regions in the order of the paths, from several processes if there is enough."""
    workers = min(workers or os.cpu_count() or 1, len(paths))
    if workers <= 1:
        _worker.clear()
        _start(checkpoint, heatmaps)
        yield from map(_score_one, paths)
        return
    context = get_context("forkserver")
    with ProcessPoolExecutor(
        workers, mp_context=context, initializer=_start, initargs=(checkpoint, heatmaps)
    ) as pool:
        yield from pool.map(_score_one, paths, chunksize=1)


def heatmap(image: np.ndarray, attention: np.ndarray) -> Image.Image:
    """An image with what counts for its score: bright where it counts much.

    Args:
        image: uint8 (H, W, 3).
        attention: float (H, W).
    """
    small = images.reduce(image, 1024)
    size = small.shape[1::-1]
    share = cv2.resize(attention / max(attention.max(), 1e-12), size, interpolation=cv2.INTER_AREA)
    colors = matplotlib.colormaps["magma"](share)[..., :3] * 255
    return Image.fromarray(np.rint(0.45 * small + 0.55 * colors).astype(np.uint8))


class _Journal:
    """Finished rows, each on the disk before the next is begun."""

    def __init__(self, rows: dict[str, dict[str, Any]], file: IO[str] | None) -> None:
        self.rows, self.file = rows, file

    def add(self, row: dict[str, Any]) -> None:
        self.rows[row["path"]] = row
        if self.file is not None:
            self.file.write(json.dumps(row) + "\n")
            self.file.flush()


@contextmanager
def _journal(output: Path | None, label: str) -> Iterator[_Journal]:
    """Rows of earlier runs with the same checkpoint, and a place for new ones.

    Raises:
        InputError: the output or its journal is of another checkpoint.
    """
    if output is None:
        yield _Journal({}, None)
        return
    path = output.with_name(f".{output.name}.journal")
    rows = {row["path"]: row for row in _read(output)} if output.is_file() else {}
    if path.is_file():
        for line in path.read_text("utf-8").splitlines():
            try:
                row = json.loads(line)
            except ValueError:  # cut short by a kill
                continue
            rows[row["path"]] = row
    other = {row["checkpoint"] for row in rows.values()} - {label}
    if other:
        raise InputError(
            f"{output}: must be of checkpoint {label}, found {other.pop()}; delete it or give"
            " another name"
        )
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a", encoding="utf-8") as file:
            yield _Journal(rows, file)
    except OSError as error:
        raise InputError(
            f"{output}: cannot be written ({error.strerror}); what was scored is in {path}"
        ) from error
    path.unlink()


def _write(output: Path, rows: list[dict[str, Any]], label: str) -> None:
    table = pa.Table.from_pylist(rows, schema=SCHEMA)
    if output.suffix == ".parquet":
        origin = Provenance("scores", VERSION, "score", VERSION, {"checkpoint": label})
        write_table(output, table, origin)
        return
    with atomic(output) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        if output.suffix == ".jsonl":
            file.writelines(json.dumps(row) + "\n" for row in table.to_pylist())
            return
        writer = csv.DictWriter(file, SCHEMA.names)
        writer.writeheader()
        for row in table.to_pylist():
            lists = {name: " ".join(map(str, row[name] or [])) for name in ("worst_box", "flags")}
            writer.writerow(row | lists)


def _read(output: Path) -> list[dict[str, Any]]:
    """The rows of an output, as they were written.

    Raises:
        InputError: it is something else.
    """
    try:
        if output.suffix == ".parquet":
            return pa.parquet.read_table(output).select(SCHEMA.names).to_pylist()
        with output.open(encoding="utf-8", newline="") as file:
            if output.suffix == ".jsonl":
                return [json.loads(line) for line in file]
            return [_typed(row) for row in csv.DictReader(file)]
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            f"{output}: must be scores, found other content ({first_line(error)}); give another"
            " name"
        ) from error


def _typed(row: dict[str, str]) -> dict[str, Any]:
    """A row of CSV with the types of `SCHEMA`."""
    found: dict[str, Any] = {}
    for field in SCHEMA:
        text = row[field.name]
        if pa.types.is_list(field.type):
            words = text.split()
            found[field.name] = [int(word) for word in words] if "box" in field.name else words
        elif pa.types.is_floating(field.type):
            found[field.name] = float(text) if text else None
        else:
            found[field.name] = text or None
    return found


def _print(row: dict[str, Any], details: Sequence[Region], explain: bool) -> None:
    if row["status"] == "failed":
        print(f"{'failed':>8}  {row['path']}: {row['reason']}")
        return
    print(f"{row['score']:8.2f}  {row['path']}  (worst region: {row['worst_caption']})", flush=True)
    if explain:
        for region in details:
            words = ", ".join(f"{name} {value:.1f}" for name, value in region.ratings.items())
            print(f"          {region.weight:4.0%} {region.quality:8.2f}  {region.text} [{words}]")
