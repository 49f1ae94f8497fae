"""The pictures of a table that meet the conditions, and whether they are still what was scored."""

import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rsfiqa.cull.conditions import Conditions, Flag, Severities, rating_of
from rsfiqa.errors import InputError
from rsfiqa.images.location import file_state, stored_path
from rsfiqa.products import score_tables
from rsfiqa.products.scores import Row, check_label, check_place, is_current, scale_of
from rsfiqa.scale import MosScale

GONE = "is gone"
CHANGED = "has changed since it was scored; score it again"


@dataclass(frozen=True)
class Picture:
    """A row of a table and its file.

    Attributes:
        row: with a score.
        path: of the file.
        severities: of the families that were found in it; None where regions are not known.
    """

    row: Row
    path: Path
    severities: Severities | None = None

    @property
    def quality(self) -> float:
        """The score mapped by `scale_of` to a quality, not clipped; higher is better."""
        return float(scale_of(self.row).to_quality(self.row["score"] or 0.0))

    def change(self) -> str | None:
        """Why the file is no longer the one that was scored; None if it is."""
        state = file_state(str(self.path))
        if state["size"] is None:
            return GONE
        return None if is_current(self.row, state) else CHANGED


@dataclass(frozen=True)
class Selection:
    """What was chosen from a table.

    Attributes:
        chosen: the worst first.
        scored: number of pictures with a score.
        failed: number of pictures without one, which are never chosen.
        unknown: number of those with a score whose regions a condition needs and that have none.
        root: folder that holds all pictures of the table.
        scale: of the scores.
        label: of the checkpoint.
    """

    chosen: list[Picture]
    scored: int
    failed: int
    unknown: int
    root: Path
    scale: MosScale
    label: str


def read(table: Path) -> list[Row]:
    """The rows of a table, each picture once; at least one has a score.

    Raises:
        InputError: no table of scores, one of another version or several checkpoints, a location or
            a scale that cannot be, or no score.
    """
    found: dict[str, Row] = {}
    for number, row in enumerate(score_tables.read(table), 1):
        check_place(table, row, number)
        found[row["location"]] = row
    rows = list(found.values())
    for row in rows:
        way_out = "filter the table by checkpoint, or score all pictures with one"
        check_label(table, row["checkpoint"], rows[0]["checkpoint"], way_out)
    if not any(row["status"] == "ok" for row in rows):
        failed = f"{len(rows)} that failed" if rows else "no row"
        raise InputError(
            f"{table}: must hold a scored picture, found {failed}; see the reasons in the table"
            " and run rsfiqa score again"
        )
    return rows


def select(
    table: Path,
    rows: Sequence[Row],
    conditions: Conditions,
    severities: Mapping[str, Severities],
) -> Selection:
    """The pictures that meet the conditions.

    Args:
        table: of the rows, for messages.
        rows: of the table; see `read`.
        conditions: all pictures with a score meet none at all.
        severities: of the families in each picture, by location.

    Raises:
        InputError: a rating that no row has, or a family and no row has regions.
    """
    ok = [row for row in rows if row["status"] == "ok"]
    for flag in conditions.flags:
        _check_rating(table, flag, ok)
    without = sum(row["location"] not in severities for row in ok)
    unknown = without if any(flag.needs_regions for flag in conditions.flags) else 0
    if unknown == len(ok):
        raise InputError(
            f"{table}: must have pictures with regions for a severity of distortions, found none of"
            f" {len(ok)}; run rsfiqa score PATH... -o {table} again"
        )
    ordered = _worst_first(ok)
    limit = conditions.worst.count(len(ordered)) if conditions.worst else 0
    chosen = [
        Picture(row, stored_path(row["location"]), severities.get(row["location"]))
        for rank, row in enumerate(ordered)
        if _meets(row, rank < limit, severities.get(row["location"]), conditions)
    ]
    folders = [str(stored_path(row["location"]).parent) for row in rows]
    root = Path(os.path.commonpath(folders))
    return Selection(
        chosen,
        len(ok),
        len(rows) - len(ok),
        unknown,
        root,
        scale_of(rows[0]),
        rows[0]["checkpoint"],
    )


def _worst_first(rows: Iterable[Row]) -> list[Row]:
    """From worst to best score, equal scores by location."""

    def key(row: Row) -> tuple[float, str]:
        score = row["score"] or 0.0
        return (-score if row["direction"] == "lower" else score, row["location"])

    return sorted(rows, key=key)


def _meets(row: Row, is_worst: bool, severities: Severities | None, conditions: Conditions) -> bool:
    met = [is_worst] if conditions.worst else []
    if conditions.below is not None:
        score, scale = row["score"] or 0.0, scale_of(row)
        met.append(score > conditions.below if scale.lower_better else score < conditions.below)
    met += [flag.holds(row, severities) for flag in conditions.flags]
    return (any(met) if conditions.is_any else all(met)) if met else True


def _check_rating(table: Path, flag: Flag, rows: Sequence[Row]) -> None:
    """Reject a rating that the checkpoint does not give.

    Raises:
        InputError: no row has it.
    """
    is_rating = flag.compare and not flag.needs_regions
    if is_rating and all(rating_of(row, flag.name) is None for row in rows):
        raise InputError(
            f"{table}: must have ratings of {flag.name}, found none; score with a checkpoint that"
            " has captions, or choose by score"
        )
