"""The pipeline run by a benchmark, and what its results and statistics say."""

import csv
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml

from benchmarks.figures import FOLDER, RELEASES, ROOT, run
from rsfiqa.io.atomic import atomic
from rsfiqa.metrics import median_interval
from rsfiqa.products import results

SETS = ("livec", "agiqa3k")  # of the benchmarks of accuracy
RUN = FOLDER / "run"  # products that several benchmarks share
# The same of the system whose backbone and captions are learned from BIQ2021.
PRETRAINED_RUN = FOLDER / "run-pretrained"
STAGES = ("segment", "caption", "embed", "extract")
PAUSE_S = 120  # Snakemake takes a few seconds between jobs; a longer pause is a broken run
TEST_FRACTION = 0.2
SPLIT: dict[str, Any] = {"test_fraction": TEST_FRACTION, "seed": 0}


def run_pipeline(
    data: Path,
    folder: Path,
    *arguments: str,
    sets: Sequence[str] = SETS,
    entries: Mapping[str, Mapping[str, Any]] | None = None,
    sections: Mapping[str, Any] | None = None,
    **more: Any,
) -> Path:
    """The folder of results, once the pipeline has run on these sets.

    Args:
        data: folder that holds the data sets as released.
        folder: takes config.yaml and the results; a run that was interrupted is resumed.
        arguments: further ones of Snakemake.
        sets: layouts, of `RELEASES`.
        entries: further data sets, as in the section datasets of config.yaml.
        sections: further sections of config.yaml.
        more: options of the section benchmark.
    """
    datasets: dict[str, Mapping[str, Any]] = {
        name: {"layout": name, "root": str((data / RELEASES[name]).resolve())} for name in sets
    }
    datasets |= entries or {}
    changes = {
        "shard_size": 300,  # several shards per set, so that both cores work
        "datasets": datasets,
        "benchmark": {"datasets": list(datasets), "splits": 10, "seeds": 10, **more},
        **(sections or {}),
    }
    return run_with(changes, folder, *arguments)


def run_with(changes: Mapping[str, Any], folder: Path, *arguments: str) -> Path:
    """As `run_pipeline`, with these changes to config.yaml."""
    folder.mkdir(parents=True, exist_ok=True)
    overlay = folder / "config.yaml"
    overlay.write_text(yaml.safe_dump(dict(changes)), "utf-8")
    snakemake = (sys.executable, "-m", "snakemake", "--cores", "all", "--directory", folder)
    profile = ("--workflow-profile", ROOT / "profiles/default", "--configfile", overlay)
    # a benchmark that was killed leaves a lock
    run(*snakemake, *profile, "--nolock", *arguments)
    return folder / "results"


def write_scores(table: Path, rows: Sequence[tuple[str, float, str]]) -> None:
    """Write path, MOS and group of each picture as a table of the layout csv."""
    with atomic(table) as partial, partial.open("w", encoding="utf-8", newline="") as file:
        csv.writer(file).writerows([("path", "mos", "group"), *rows])


def sections_of(weights: str, captioner: str, *, augmented_views: bool = True) -> dict[str, Any]:
    """Sections of config.yaml for a backbone's weights and a captioner."""
    return {
        "extract": {"weights": weights, "augmented_views": augmented_views},
        "caption": {"backend": captioner},
    }


def seconds_per_image(folder: Path) -> float:
    """Processor seconds per image of a stage, from the statistics of its shards.

    Wall-clock time would count the other core's work and that of other users.
    """
    stats = [json.loads(path.read_text("utf-8")) for path in folder.glob("*.json")]
    cpu_s: float = sum(shard["cpu_s"] for shard in stats)
    images: int = sum(shard["images"] for shard in stats)
    return cpu_s / images


def wall_seconds(root: Path) -> float:
    """Time in which jobs ran, with the short pauses between them but not those of a broken run."""
    stats = [json.loads(path.read_text("utf-8")) for path in root.rglob("*stats.json")]
    spans = sorted((item["started"], item["ended"]) for item in stats)
    total, latest = 0.0, spans[0][0]
    for started, ended in spans:
        if started - latest > PAUSE_S:
            latest = started
        total += max(ended - latest, 0)
        latest = max(latest, ended)
    return total


def column(root: Path, train: str, test: str, method: str, name: str) -> np.ndarray:
    """One value per split: float64 (J,)."""
    rows, _ = results.read(root / "benchmark" / f"{train}.{test}.{method}.parquet")
    return np.array([getattr(row, name) for row in rows])


def with_interval(name: str, values: np.ndarray) -> dict[str, float]:
    """Median and 95 % bootstrap interval of values (J,), as figures under this name."""
    median, low, high = median_interval(values)
    return {name: median, f"{name}_low": low, f"{name}_high": high}
