"""The pictures that are grouped, with their scores where tables give them."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, cast

from rsfiqa.images.listing import Listing, expand_paths
from rsfiqa.images.location import display_path, file_state, locate, stored_path
from rsfiqa.products import score_tables
from rsfiqa.products.scores import (
    FORMATS,
    IMAGE_RATINGS,
    Row,
    check_label,
    is_current,
    scale_of,
)
from rsfiqa.scale import MosScale


class Scored(NamedTuple):
    """The score of a picture.

    Attributes:
        score: MOS units of the checkpoint.
        shown: the score, or the nearest one within the scale.
        quality: the score in fractions of the range, higher is better, not clipped.
        ratings: of the picture by name, in [1, 5]; empty if unknown.
    """

    score: float
    shown: float
    quality: float
    ratings: dict[str, float]

    @classmethod
    def of(cls, score: float, scale: MosScale, ratings: Mapping[str, float | None]) -> "Scored":
        """A score of this scale; ratings that are None or NaN are unknown."""
        sign = -1 if scale.lower_better else 1
        known = {
            name: float(value)
            for name, value in ratings.items()
            if value is not None and not math.isnan(value)
        }
        return cls(score, scale.clip(score), sign * score / abs(scale.span), known)


@dataclass
class Sources:
    """What the arguments name.

    Attributes:
        paths: of the pictures, each once.
        scored: scores of pictures by location.
        tables: of scores.
        listing: what was found, and skipped.
        outdated: number of pictures that have changed since they were scored.
    """

    paths: list[str] = field(default_factory=list)
    scored: dict[str, Scored] = field(default_factory=dict)
    tables: list[Path] = field(default_factory=list)
    listing: Listing = field(default_factory=Listing)
    outdated: int = 0


def read(arguments: Sequence[str]) -> Sources:
    """The pictures that arguments name, and their scores.

    Args:
        arguments: see `expand_paths`; those that end like a table of scores are tables. Tables
            alone stand for their pictures.

    Raises:
        InputError: see `expand_paths` and `score_tables.read`; tables of several checkpoints; no
            picture.
    """
    tables = tables_of(arguments)
    others = [word for word in arguments if Path(word) not in tables]
    sources = Sources(tables=tables)
    rows = _rows(tables)
    if others:
        sources.listing = expand_paths(others)
        sources.paths = sources.listing.paths
    else:
        by_location = {row["location"]: row for row in rows}
        sources.paths = [str(_file(row)) for row in by_location.values()]
    if not sources.paths:
        sources.listing.check_any(arguments, "files, a folder or a table")
    requested = {display_path(locate(path)): path for path in sources.paths}
    for row in rows:
        if row["status"] == "ok" and (path := requested.get(row["location"])) is not None:
            _add(sources, row, path)
    return sources


def tables_of(arguments: Sequence[str]) -> list[Path]:
    """Those of the arguments that are tables of scores, by their suffix."""
    tables = [Path(word) for word in arguments if Path(word).suffix.lower() in FORMATS]
    return [path for path in tables if not path.is_dir()]


def _rows(tables: Sequence[Path]) -> list[Row]:
    """The rows of all tables, which must be of one checkpoint."""
    rows: list[Row] = []
    for path in tables:
        for row in score_tables.read(path):
            rows.append(row)
            check_label(
                path, row["checkpoint"], rows[0]["checkpoint"], "leave out the one or the other"
            )
    return rows


def _file(row: Row) -> Path:
    """The file of a row: as it was given, if that is it from here too; else its location."""
    given = stored_path(row["path"])
    if display_path(locate(str(given))) == row["location"]:
        return given
    return stored_path(row["location"])


def _add(sources: Sources, row: Row, path: str) -> None:
    """Add the score of a row, unless the picture has changed."""
    state = file_state(path)
    if not is_current(row, state):
        sources.outdated += state["size"] is not None
        return
    score = row["score"]
    if score is None or not math.isfinite(score) or row["high"] == row["low"]:
        return
    columns = cast(dict[str, Any], row)
    ratings = {name: columns[name] for name in IMAGE_RATINGS}
    sources.scored[row["location"]] = Scored.of(score, scale_of(row), ratings)
