"""LIVEC and AGIQA-3K through the whole pipeline: 10 splits, ablation, across data sets.

Usage: python benchmarks/bench.py DATA [FOLDER]. DATA holds ChallengeDB_release and AGIQA-3K as
their authors release them, and kodak; FOLDER (results/bench/run) takes the products. A run that
was broken off is taken up where it stood.
"""

import json
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import yaml
from figures import FOLDER, ROOT, run, write
from localization import localization, ordering

from rsfiqa.benchmark.baselines import BASELINES
from rsfiqa.metrics import median_interval, paired_test
from rsfiqa.products import results
from rsfiqa.score.scorer import Scorer

SETS = {"livec": "ChallengeDB_release", "agiqa3k": "AGIQA-3K"}
RUN = FOLDER / "run"
STAGES = ("segment", "caption", "embed", "extract")
PAUSE = 120  # seconds; Snakemake takes a few between jobs
TEST_FRACTION = 0.2
ABLATION = {"mhf": "no_mhf", "mllm": "no_mllm", "rsa": "no_rsa", "probe": "probe"}


def configuration(data: Path, sets: Sequence[str]) -> dict[str, Any]:
    """What differs from config.yaml."""
    return {
        "shard_size": 300,  # several shards per set, so that both cores work
        "datasets": {
            name: {"layout": name, "root": str((data / SETS[name]).resolve())} for name in sets
        },
        "benchmark": {
            "datasets": list(sets),
            "splits": 10,
            "seeds": 10,
            "baselines": list(BASELINES),
        },
    }


def made(data: Path, folder: Path, *arguments: str, sets: Sequence[str] = tuple(SETS)) -> Path:
    """The folder of results, once the pipeline has run with these further arguments."""
    return made_with(configuration(data, sets), folder, *arguments)


def made_with(changes: dict[str, Any], folder: Path, *arguments: str) -> Path:
    """As `made`, with these changes of config.yaml."""
    folder.mkdir(parents=True, exist_ok=True)
    overlay = folder / "config.yaml"
    overlay.write_text(yaml.safe_dump(changes), "utf-8")
    snakemake = (sys.executable, "-m", "snakemake", "--cores", "all", "--directory", folder)
    profile = ("--workflow-profile", ROOT / "profiles/default", "--configfile", overlay)
    # a bench that was killed leaves a lock
    run(*snakemake, *profile, "--nolock", *arguments)
    return folder / "results"


def seconds_per_image(folder: Path) -> float:
    """Processor seconds per image of a stage, from the statistics of its shards.

    Not those of the clock: the other core's work, and other users', would count.
    """
    stats = [json.loads(path.read_text()) for path in folder.glob("*.json")]
    return sum(shard["cpu_s"] for shard in stats) / sum(shard["images"] for shard in stats)


def wall_seconds(root: Path) -> float:
    """Time in which jobs ran, with the pauses between them but without those of a broken run."""
    stats = [json.loads(path.read_text()) for path in root.rglob("*stats.json")]
    spans = sorted((item["started"], item["ended"]) for item in stats)
    total, latest = 0.0, spans[0][0]
    for started, ended in spans:
        if started - latest > PAUSE:
            latest = started
        total += max(ended - latest, 0)
        latest = max(latest, ended)
    return total


def column(root: Path, train: str, test: str, variant: str, name: str) -> np.ndarray:
    """One value per split."""
    table, _ = results.read(root / "benchmark" / f"{train}.{test}.{variant}.parquet")
    return table[name].to_numpy()


def accuracy(root: Path) -> dict[str, float]:
    """Medians over splits or seeds, with intervals, and what each part adds."""
    figures: dict[str, float] = {}
    for train in SETS:
        for test in SETS:
            name = train if train == test else f"{train}_to_{test}"
            for variant in ("full", *BASELINES):
                own = name if variant == "full" else f"baseline_{variant}_{name}"
                for metric in ("srcc", "plcc", "plcc_raw"):
                    values = column(root, train, test, variant, metric)
                    figures |= spread(f"{own}_{metric}", values)
    for name, variant in ABLATION.items():
        figures |= without(root, variant, name)
    return figures


def spread(name: str, values: np.ndarray) -> dict[str, float]:
    """Median and 95 % interval, under this name."""
    median, low, high = median_interval(values)
    return {name: median, f"{name}_low": low, f"{name}_high": high}


def without(root: Path, variant: str, name: str) -> dict[str, float]:
    """How far the full model is above a variant on LIVEC, split by split, under this name."""
    full, other = (column(root, "livec", "livec", which, "srcc") for which in ("full", variant))
    found = spread(f"livec_srcc_minus_{name}", full - other)
    return found | {f"p_minus_{name}": paired_test(full - other, TEST_FRACTION)}


def main() -> None:
    """Run the pipeline and write the figures."""
    if len(sys.argv) not in (2, 3):
        sys.exit("usage: python benchmarks/bench.py DATA [FOLDER]")
    root = made(Path(sys.argv[1]), Path(sys.argv[2]) if len(sys.argv) == 3 else RUN)
    seconds = {
        f"{stage}_s_per_image": seconds_per_image(root / "livec" / stage) for stage in STAGES
    }
    shown = ("segment_s_per_image", "caption_s_per_image", "embed_s_per_image")
    scorer = Scorer(root / "train/livec.full/all-00")
    pristine = Path(sys.argv[1]) / "kodak"
    figures = accuracy(root) | seconds | localization(scorer, pristine) | ordering(scorer, pristine)
    figures["stages_images_per_s_core"] = 1 / sum(seconds[name] for name in shown)
    figures["bench_minutes"] = wall_seconds(root) / 60
    print((root / "report" / "headline.txt").read_text("utf-8"))
    print(f"Report: {root / 'report' / 'index.html'}")
    write("bench", figures, "make bench DATA=DIR")


if __name__ == "__main__":
    main()
