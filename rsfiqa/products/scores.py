"""The table of scores: its columns, and the checks of a file that is to hold it."""

import math
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Literal, TypedDict, cast

import pyarrow as pa

from rsfiqa.errors import InputError, first_line
from rsfiqa.io.folders import check_folder
from rsfiqa.scale import MosScale
from rsfiqa.vocabulary import RATINGS

VERSION = 5  # of the tables of scores and of their regions

IMAGE_RATINGS = tuple(name for name in RATINGS if name != "overall")  # the score says that
FORMATS = (".parquet", ".csv", ".jsonl")

SCHEMA = pa.schema(
    [
        ("path", pa.string()),  # as given
        ("score", pa.float64()),  # MOS units of the checkpoint's training set; null if failed
        ("quality", pa.float64()),  # score mapped to [0, 1] and clipped, higher is better
        ("percentile", pa.float64()),  # among the scored pictures of the table, 0 to 100, best
        ("word", pa.string()),  # of ITU_LEVELS, for the quality
        ("reason", pa.string()),  # a sentence: what costs most and where; or why it failed
        ("direction", pa.string()),  # of score: higher or lower is better
        ("low", pa.float64()),  # ends of the scale, to which scores are not clipped
        ("high", pa.float64()),
        ("checkpoint", pa.string()),  # data sets and first digits of the SHA-256
        ("inside", pa.string()),  # the given region that is scored: box or mask; null for none
        *((name, pa.float64()) for name in IMAGE_RATINGS),  # weighted mean of the regions', 1 to 5
        ("worst_box", pa.list_(pa.int32())),  # x0, y0, x1, y1 of the worst region, pixels
        ("worst_caption", pa.string()),
        *((f"worst_{name}", pa.float64()) for name in RATINGS),  # 1 (bad) to 5 (excellent)
        ("worst_score", pa.float64()),  # of the region, MOS units
        ("worst_weight", pa.float64()),  # of the region, in [0, 1]
        ("worst_cost", pa.float64()),  # of the region, MOS points
        ("flags", pa.list_(pa.string())),  # of images.flags.FLAGS
        ("status", pa.string()),  # ok or failed
        ("damage", pa.string()),  # what is damaged or missing, of the flag damaged
        ("location", pa.string()),  # absolute path, which identifies the picture
        ("size", pa.int64()),  # bytes; null if there is no such file
        ("modified", pa.string()),  # time of the last change, ISO 8601, UTC
    ]
)
TIME = "%Y-%m-%dT%H:%M:%S.%fZ"  # of the last change of a file
NEVER_NULL = ("path", "direction", "low", "high", "checkpoint", "location")


def _python_type(kind: pa.DataType) -> type | tuple[type, ...]:
    if pa.types.is_list(kind):
        return list
    if pa.types.is_floating(kind):
        return (float, int)
    return int if pa.types.is_integer(kind) else str


PYTHON_TYPES = {field.name: _python_type(field.type) for field in SCHEMA}


class Row(TypedDict):
    """A row of `SCHEMA`."""

    path: str
    score: float | None
    quality: float | None
    percentile: float | None
    word: str | None
    reason: str | None
    direction: Literal["higher", "lower"]
    low: float
    high: float
    checkpoint: str
    inside: str | None
    color: float | None
    noise: float | None
    artifact: float | None
    blur: float | None
    worst_box: list[int] | None
    worst_caption: str | None
    worst_color: float | None
    worst_noise: float | None
    worst_artifact: float | None
    worst_blur: float | None
    worst_overall: float | None
    worst_score: float | None
    worst_weight: float | None
    worst_cost: float | None
    flags: list[str]
    status: Literal["ok", "failed"]
    damage: str | None
    location: str
    size: int | None
    modified: str | None


class FileState(TypedDict):
    """Which file a picture is, and its state: the last columns of `SCHEMA`."""

    location: str
    size: int | None
    modified: str | None


def is_current(known: FileState, state: FileState) -> bool:
    """Whether what is known of a file is of the file as it is now: of its size and time."""
    return (known["size"], known["modified"]) == (state["size"], state["modified"])


def failed_row(path: str, state: FileState, scale: MosScale, label: str) -> Row:
    """The row of an image that could not be scored, without the reason.

    Args:
        path: of the image, as displayed.
        state: of its file.
        scale: of the scores.
        label: of the checkpoint.
    """
    known = {
        "path": path,
        "direction": scale.direction,
        "low": scale.low,
        "high": scale.high,
        "checkpoint": label,
        "flags": [],
        "status": "failed",
        **state,
    }
    return cast(Row, dict.fromkeys(SCHEMA.names) | known)


def scale_of(row: Row) -> MosScale:
    """The scale of the score of a row."""
    return MosScale(row["low"], row["high"], row["direction"] == "lower")


def check(output: Path) -> None:
    """Reject a path that cannot be a table, before anything is scored.

    Raises:
        InputError: another suffix, a folder, something else that is no file, or a file in the way.
    """
    if output.suffix not in FORMATS:
        raise InputError(f"{output}: must end in {', '.join(FORMATS)}; give such a name")
    if output.is_dir():
        raise InputError(f"{output}: must be a file, found a folder; give another name")
    if output.exists() and not output.is_file():
        raise InputError(f"{output}: must be a file, found a device or pipe; give another name")
    check_folder(output.parent)


def check_row(row: dict[str, Any], number: int) -> Row:
    """A row with all that its readers rely on.

    Args:
        row: columns of `SCHEMA`.
        number: of the row, from 1, for the message.

    Raises:
        ValueError: a cell is empty or wrong.
    """
    for name, expected in PYTHON_TYPES.items():
        if row[name] is not None and not isinstance(row[name], expected):
            raise ValueError(f"{name} {row[name]!r} in row {number}")
    if row["status"] not in ("ok", "failed"):
        raise ValueError(f"status {row['status']!r} in row {number}")
    needed = NEVER_NULL if row["status"] == "failed" else (*NEVER_NULL, "score", "worst_box")
    for name in needed:
        if row[name] is None:
            raise ValueError(f"no {name} in row {number}")
    if row["worst_box"] is not None and len(row["worst_box"]) != 4:
        raise ValueError(f"worst_box of {len(row['worst_box'])} numbers in row {number}")
    return cast(Row, {**row, "flags": row["flags"] or [], "modified": _as_written(row["modified"])})


def _as_written(time: str | None) -> str | None:
    """The time of a file as `score` writes it; duckdb writes it with a blank and fewer digits."""
    if time is None or time[4:5] != "-":  # seconds, of a year beyond the calendar
        return time
    try:
        found = datetime.fromisoformat(time)
    except ValueError:
        return time
    return found.replace(tzinfo=found.tzinfo or UTC).astimezone(UTC).strftime(TIME)


def check_place(path: Path, row: Row, number: int) -> None:
    """Reject a picture without a place, or a score without a place on a scale.

    Args:
        path: of the table.
        row: of it.
        number: of the row, from 1.

    Raises:
        InputError: the location is relative, or the scale is empty or infinite.
    """
    if not Path(row["location"]).is_absolute():
        raise InputError(
            f"{path}: location must be an absolute path, found {row['location']!r} in row"
            f" {number}; keep the column as rsfiqa score wrote it"
        )
    if not -math.inf < row["low"] < row["high"] < math.inf:
        raise InputError(
            f"{path}: low must be below high, both finite, found {row['low']:g} and"
            f" {row['high']:g} in row {number}; keep the columns as rsfiqa score wrote them"
        )


def check_label(path: Path, found: str, label: str, way_out: str) -> None:
    """Reject a row of another checkpoint.

    Args:
        path: of the table.
        found: checkpoint of the row.
        label: of the checkpoint that is expected.
        way_out: what to do.

    Raises:
        InputError: they differ.
    """
    if found != label:
        raise InputError(f"{path}: must be of checkpoint {label}, found {found}; {way_out}")


@contextmanager
def as_input_error(output: Path) -> Iterator[None]:
    """Turn an error of the disk or of permissions into an `InputError` that names `output`."""
    try:
        yield
    except OSError as error:
        raise InputError(
            f"{output}: cannot be written ({error.strerror or first_line(error)}); make room or"
            " change permissions, and the same command goes on"
        ) from error
