"""Whether the sharp frame of a burst is chosen."""

import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pyarrow.parquet as pq

from benchmarks.curate.bursts import FRAMES, SHARP, write_burst
from benchmarks.curate.work import Work, rsfiqa
from benchmarks.perception.intervals import mean_figure
from benchmarks.perception.models import Processes
from benchmarks.perception.photographs import Bench

BURSTS = 60


def measure(work: Work) -> Mapping[str, float]:
    """The fraction of bursts of which the sharp frame is chosen, by `rsfiqa group`."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number, photograph in enumerate(_photographs(work)):
            write_burst(photograph, folder / "frames", number)
        table, groups = folder / "scores.parquet", folder / "groups.parquet"
        own: list[str | Path] = (
            ["--checkpoint", work.checkpoint.resolve()] if work.checkpoint else []
        )
        rsfiqa("score", folder / "frames", "-o", table, *own)
        rsfiqa("group", table, "-o", groups)
        return figures_of(pq.read_table(groups).to_pylist())


def _photographs(work: Work) -> list[Path]:
    """The best photographs of BIQ2021's official test part, without twins in its training part."""
    if work.data is None:
        return []
    with Processes(1, work.checkpoint) as processes:
        return Bench(work.data, work.folder, processes).best()[:BURSTS]


def figures_of(rows: list[dict[str, Any]]) -> dict[str, float]:
    """The figures of a table of groups of bursts.

    `burst_best` is of bursts whose sharp frame stands first in its group, `burst_best_score` of
    those whose sharp frame has the highest score, `burst_found` of those that are one group.
    """
    bursts: dict[int, dict[str, dict[str, Any]]] = defaultdict(dict)
    for row in rows:
        number, _, frame = Path(row["path"]).stem.split("-")
        bursts[int(number)][frame] = row
    chosen = Counter(_chosen(burst) for burst in bursts.values())
    return {
        **mean_figure("burst_best", [_chosen(burst) == SHARP for burst in bursts.values()]),
        **mean_figure("burst_best_score", list(_by_score(bursts.values()))),
        **mean_figure("burst_found", [_is_one(burst) for burst in bursts.values()]),
        **{f"burst_{name}_chosen": chosen[name] for name in FRAMES if name != SHARP},
    }


def _chosen(burst: Mapping[str, dict[str, Any]]) -> str:
    """The frame that stands before all others of its group; the sharp one must not be alone."""
    group = burst[SHARP]["group"]
    if burst[SHARP]["members"] == 1:
        return ""
    return next((name for name, row in burst.items() if row["best"] and row["group"] == group), "")


def _by_score(bursts: Iterable[Mapping[str, dict[str, Any]]]) -> Iterator[bool]:
    for burst in bursts:
        yield max(burst, key=lambda name: burst[name]["score"]) == SHARP


def _is_one(burst: Mapping[str, dict[str, Any]]) -> bool:
    groups = {row["group"] for row in burst.values()}
    return len(groups) == 1 and all(row["members"] == len(FRAMES) for row in burst.values())
