"""How long it takes to group ten thousand scored pictures, and whether the groups are right."""

import tempfile
import time
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path

import pyarrow.parquet as pq

from benchmarks.curate.scenes import write_scenes, write_table
from benchmarks.curate.work import Work, rsfiqa

IMAGES = 10_000


def measure(_work: Work) -> Mapping[str, float]:
    """Seconds of the first run and of the next one; the fraction of scenes that are one group."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        scenes = write_scenes(folder / "pictures", IMAGES)
        write_table(folder / "scores.parquet", folder / "pictures")
        seconds = [_seconds(folder) for _ in range(2)]
        rows = pq.read_table(folder / "groups.parquet").to_pylist()
    return {
        "group_images": len(scenes),
        "group_s": seconds[0],
        "group_again_s": seconds[1],
        **figures_of(rows, scenes),
    }


def _seconds(folder: Path) -> float:
    """Of one run, start included."""
    started = time.perf_counter()
    rsfiqa("group", folder / "scores.parquet", "-o", folder / "groups.parquet")
    return time.perf_counter() - started


def figures_of(rows: list[dict[str, object]], scenes: Mapping[str, int]) -> dict[str, float]:
    """Fractions of scenes found exactly, and of enlarged copies that are said to be so."""
    found, true = defaultdict(set), defaultdict(set)
    relation = {}
    for row in rows:
        picture = Path(str(row["path"])).name
        found[row["group"]].add(picture)
        relation[picture] = row["relation"]
    for picture, scene in scenes.items():
        true[scene].add(picture)
    exact = {frozenset(group) for group in found.values()}
    enlarged = [picture for picture in scenes if picture.endswith("-2-copies.jpg")]
    return {
        "group_scenes": sum(group in exact for group in map(frozenset, true.values())) / len(true),
        "group_enlarged": sum(relation[one] == "enlarged" for one in enlarged) / len(enlarged),
    }
