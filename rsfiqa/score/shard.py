"""A table of scores as a shard of a larger run: what is checked before and recorded after it."""

import logging
import resource
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from rsfiqa.errors import InputError
from rsfiqa.images.location import display_path, locate
from rsfiqa.io.checksum import sha256_of
from rsfiqa.io.json_files import write_json
from rsfiqa.io.provenance import Provenance
from rsfiqa.products import failures, picture_lists, region_scores, score_tables
from rsfiqa.products.paths import failures_path, stats_path
from rsfiqa.products.region_scores import regions_path
from rsfiqa.products.scores import VERSION, Row, check_label

log = logging.getLogger("rsfiqa")
NAMED = 3  # pictures in a message


@dataclass(frozen=True)
class Shard:
    """The part of a run that one table holds.

    Attributes:
        lists: of its pictures, as the plan wrote them.
        max_failed_fraction: see `failures.check_failed_fraction`.
    """

    lists: Sequence[Path]
    max_failed_fraction: float

    def prepare(self, table: Path, paths: Sequence[str], label: str) -> None:
        """Remove what an earlier run left that does not belong to the shard any more.

        That is a table of another checkpoint or version, or a damaged one; and the rows of
        pictures that are not listed any more.

        Args:
            table: of scores.
            paths: of the pictures of the shard.
            label: of the checkpoint.
        """
        stats_path(table).unlink(missing_ok=True)  # its presence marks a finished shard
        beside = regions_path(table)
        if beside is None:
            return
        listed = {display_path(locate(path)) for path in paths}
        try:
            rows = list(score_tables.read(table)) if table.is_file() else []
            for row in rows:
                check_label(table, row["checkpoint"], label, "give another name")
            region_scores.locations(beside, label)
        except InputError as error:
            log.info("%s: made again (%s)", table, error)
            for path in (beside, table):  # a table that is alone is found by the next run
                path.unlink(missing_ok=True)
            return
        kept = [row for row in rows if row["location"] in listed]
        if len(kept) < len(rows):
            log.info("%s: %d pictures are not listed any more", table, len(rows) - len(kept))
            region_scores.update(beside, listed, {}, [], label)
            score_tables.write(table, kept, label)

    def check_failed(self, table: Path, total: int, failed: Sequence[Row]) -> None:
        """Raise if too many pictures of the shard failed.

        Args:
            table: of scores.
            total: number of pictures.
            failed: rows of those that failed.

        Raises:
            InputError: see `failures.check_failed_fraction`.
        """
        reasons = {row["location"]: row["reason"] or "" for row in failed}
        failures.check_failed_fraction(table, reasons, total, self.max_failed_fraction)

    def finish(self, table: Path, label: str, *, scored: int, started: float) -> None:
        """Write failures and, last, statistics; name pictures that have changed since the plan.

        Args:
            table: of scores, written.
            label: of the checkpoint.
            scored: number of pictures that this process has scored, failed ones included.
            started: time of the beginning.
        """
        rows = list(score_tables.read(table))
        reasons = {row["location"]: row["reason"] or "" for row in rows if row["status"] != "ok"}
        failures.write(failures_path(table), "score", reasons)
        changed = self._changed(rows)
        if changed:
            more = f" and {len(changed) - NAMED} more" if len(changed) > NAMED else ""
            named = ", ".join(changed[:NAMED])
            log.warning("changed since the plan, scored as found now: %s%s", named, more)
        _touch(table)
        ended, used = time.time(), map(resource.getrusage, _PROCESSES)
        inputs = {"pictures": sha256_of(self.lists[0])} if self.lists else {}
        provenance = Provenance(
            "scores", VERSION, "score", VERSION, {"checkpoint": label}, inputs=inputs
        )
        stats = {
            "provenance": provenance.to_json(),
            "started": started,
            "ended": ended,
            "cpu_s": sum(process.ru_utime + process.ru_stime for process in used),
            "images": len(rows),
            "failed": len(reasons),
            "changed": len(changed),
            "scored": scored,
            "images_per_s": scored / max(ended - started, 1e-9),
        }
        write_json(stats_path(table), stats)

    def _changed(self, rows: Sequence[Row]) -> list[str]:
        """Locations of pictures whose file was another one when the plan was made."""
        planned: dict[str, tuple[int | None, str | None]] = {}
        for path in self.lists:
            planned |= picture_lists.states(path)
        return [
            location
            for row in rows
            if (location := row["location"]) in planned
            and row["size"] is not None
            and planned[location] not in {(None, None), (row["size"], row["modified"])}
        ]


_PROCESSES = (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)


def _touch(table: Path) -> None:
    """Give tables that stay as they are the present time, which a workflow compares."""
    for path in (table, regions_path(table)):
        if path is not None:
            with suppress(FileNotFoundError):
                path.touch(exist_ok=True)
