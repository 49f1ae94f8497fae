"""The group command: pictures in, groups of similar ones out, the best of each first."""

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import cast

from tqdm import tqdm

from rsfiqa.errors import InputError, printable
from rsfiqa.group import prints, reasons, similar, sources
from rsfiqa.group.best import Member, rank
from rsfiqa.group.options import GroupOptions
from rsfiqa.group.reasons import Placed
from rsfiqa.group.sources import Scored, Sources
from rsfiqa.images.location import display_path, locate
from rsfiqa.io.terminal import counted
from rsfiqa.products import fingerprints, groups
from rsfiqa.products.fingerprints import Fingerprint
from rsfiqa.products.groups import GroupRow
from rsfiqa.products.scores import as_input_error

log = logging.getLogger("rsfiqa")

Score = Callable[[Sequence[Path]], Iterator[Scored | None]]


@dataclass(frozen=True)
class Pictures:
    """The pictures that could be read, by their number.

    Attributes:
        paths: of the files.
        prints: their fingerprints.
        same: pairs with the same bytes, each with the first such picture.
        scored: their scores; None where it is unknown.
    """

    paths: list[str]
    prints: list[Fingerprint]
    same: list[tuple[int, int]]
    scored: list[Scored | None]

    def share_scores(self) -> None:
        """Give files with the same bytes the score of those that have one."""
        for first, second in self.same:
            self.scored[first] = self.scored[first] or self.scored[second]
        for first, second in self.same:
            self.scored[second] = self.scored[second] or self.scored[first]


def run(
    arguments: Sequence[str],
    options: GroupOptions,
    *,
    output: Path | None,
    workers: int,
    score: Score,
) -> bool:
    """Group pictures; returns whether all could be read.

    Args:
        arguments: pictures and tables of scores; see `sources.read`.
        options: how similar the pictures of a group are.
        output: table to write; None to print the groups.
        workers: number of pictures read at a time; 0 for one per core.
        score: scores pictures, where no table is given.

    Raises:
        InputError: a wrong path, table or output.
    """
    if output is not None:
        groups.check(output)
    found = sources.read(arguments)
    _check_overwriting(output, found.tables)
    with prints.kept(_cache(found.tables, output)) as kept:
        read, failed = prints.read(found.paths, kept, workers)
        pictures = _pictures(found, read)
        parts = similar.groups_of(pictures.prints, options, pictures.same)
        if not found.tables:
            _score_grouped(pictures, parts, score)
        rows = [*_rows(pictures, parts, workers), *_failed_rows(found.paths, failed)]
    if output is None:
        _print(rows, pictures)
    else:
        with as_input_error(output):
            groups.write(output, rows)
    _log_unscored(found, rows)
    _log_end(rows)
    return not failed


def _pictures(found: Sources, read: dict[str, Fingerprint]) -> Pictures:
    paths = [path for path in found.paths if path in read]
    ordered = [read[path] for path in paths]
    same = list(similar.same_bytes([Path(path) for path in paths], ordered))
    pictures = Pictures(paths, ordered, same, [found.scored.get(p["location"]) for p in ordered])
    pictures.share_scores()
    return pictures


def _check_overwriting(output: Path | None, tables: Sequence[Path]) -> None:
    for table in tables:
        if output is not None and output.exists() and output.samefile(table):
            raise InputError(f"{output}: must not be the table that is read; give another name")


def _cache(tables: Sequence[Path], output: Path | None) -> Path | None:
    """The file of fingerprints: beside the table of scores, else beside the output."""
    beside = tables[0] if tables else output
    return None if beside is None else fingerprints.cache_path(beside)


def _score_grouped(pictures: Pictures, parts: Sequence[Sequence[int]], score: Score) -> None:
    """Score the pictures of groups, each content once."""
    copies = {second for _, second in pictures.same}
    grouped = [number for part in parts if len(part) > 1 for number in part]
    pending = [number for number in grouped if number not in copies]
    if not pending:
        return
    results = score([Path(pictures.paths[number]) for number in pending])
    bar = tqdm(results, "score", len(pending), unit="image", disable=None)
    for number, scored in zip(pending, bar, strict=True):
        pictures.scored[number] = scored
    pictures.share_scores()


def _rows(pictures: Pictures, parts: Sequence[Sequence[int]], workers: int) -> Iterator[GroupRow]:
    """The rows of all pictures that could be read, group by group."""
    names = [display_path(path) for path in pictures.paths]
    keys = {names[number]: names[pair[0]] for pair in pictures.same for number in pair}
    members = [
        Member(*each)
        for each in zip(
            names, map(Path, pictures.paths), pictures.prints, pictures.scored, strict=True
        )
    ]
    with prints.threads(workers) as pool:
        ranked = pool.imap(rank, [[members[number] for number in part] for part in parts], 8)
        for group, (frames, part) in enumerate(zip(ranked, parts, strict=True), 1):
            for place, placed in enumerate(reasons.explain(frames, keys), 1):
                yield _row(placed, group, len(part), place)


def _row(placed: Placed, group: int, members: int, place: int) -> GroupRow:
    one = placed.member
    return {
        "path": one.name,
        "group": group,
        "members": members,
        "rank": place,
        "best": place == 1,
        "relation": placed.relation,
        "reason": placed.reason,
        "score": one.scored.score if one.scored else None,
        "width": one.print["width"],
        "height": one.print["height"],
        "taken": one.print["taken"],
        "location": one.print["location"],
    }


def _failed_rows(paths: Sequence[str], failed: dict[str, str]) -> Iterator[GroupRow]:
    for path in paths:
        if path in failed:
            known = {
                "path": display_path(path),
                "best": False,
                "relation": "failed",
                "reason": failed[path],
                "location": display_path(locate(path)),
            }
            yield cast(GroupRow, dict.fromkeys(groups.SCHEMA.names) | known)


def _print(rows: Sequence[GroupRow], pictures: Pictures) -> None:
    """Print the groups of two pictures or more, and the pictures that could not be read."""
    shown = {
        one["location"]: scored.shown
        for one, scored in zip(pictures.prints, pictures.scored, strict=True)
        if scored is not None
    }
    for row in rows:
        if row["relation"] == "failed":
            _print_line(f"{'failed':>8}  {row['path']}: {row['reason']}")
        elif (row["members"] or 0) > 1:
            if row["rank"] == 1:
                print(f"group {row['group']}, {row['members']} pictures")
            score = f"{shown[row['location']]:.2f}" if row["location"] in shown else ""
            mark = "*" if row["best"] else " "
            _print_line(f"{mark}{score:>7}  {row['path']}  ({row['reason']})")


def _print_line(text: str) -> None:
    """Print a line with names of files, which cannot steer the terminal."""
    print(printable(text), flush=True)


def _log_unscored(found: Sources, rows: Sequence[GroupRow]) -> None:
    """Say which pictures could not be compared by score, and what to do about it."""
    unscored = sum((row["members"] or 0) > 1 and row["score"] is None for row in rows)
    if not found.tables or not unscored:
        return
    changed = f", {found.outdated} pictures have changed since" if found.outdated else ""
    tables = ", ".join(map(str, found.tables))
    log.info(
        "group: %d pictures of groups have no score in %s%s; they rank last until rsfiqa score"
        " PATH... -o %s scores them",
        *(unscored, tables, changed, found.tables[0]),
    )


def _log_end(rows: Sequence[GroupRow]) -> None:
    failed = sum(row["relation"] == "failed" for row in rows)
    single = sum(row["relation"] == "single" for row in rows)
    best = sum(row["relation"] == "best" for row in rows)
    images, groups = counted(len(rows), "image"), counted(best, "group")
    log.info(
        "group: %s, %d failed; %d in %s, %d without a similar one",
        *(images, failed, len(rows) - failed - single, groups, single),
    )
