"""Ten thousand images through the whole pipeline: LIVEC, repeated under other names.

Features without augmented views, one training. About an hour on two cores; an interrupted run is
resumed.
"""

import csv
from collections.abc import Iterable, Sequence
from pathlib import Path

from benchmarks.figures import FOLDER, RELEASES, add_data, parser, write
from benchmarks.pipeline import run_with, seconds_per_image, wall_seconds
from rsfiqa.datasets import livec
from rsfiqa.io.checksum import sha256_of
from rsfiqa.products import failures, manifest
from rsfiqa.products.paths import SUFFIX, failures_path, product_path

IMAGES, SHARD_SIZE = 10_000, 500
STAGES = ("prepare", *SUFFIX, "train", "benchmark", "report")


def repeated(source: Path, root: Path, number: int) -> Path:
    """Links to LIVEC's photographs under so many names, and a table of their scores; its path."""
    entries = list(livec.read(source))
    groups = [sha256_of(entry.path) for entry in entries]  # two of them have the same bytes
    root.mkdir(parents=True, exist_ok=True)
    table = root / "scores.csv"
    with table.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(("path", "mos", "group"))
        for i in range(number):
            entry = entries[i % len(entries)]
            name = f"{i // len(entries):02d}-{entry.path.name}"
            if not (root / name).is_symlink():
                (root / name).symlink_to(entry.path.resolve())
            writer.writerow((name, entry.mos, groups[i % len(entries)]))
    return table


def cpu_and_memory(logs: Iterable[Path]) -> tuple[float, float]:
    """Processor seconds of some jobs together, and the peak of memory of the largest, MB."""
    seconds, peak = 0.0, 0.0
    for path in logs:
        with path.open(encoding="utf-8", newline="") as file:
            for row in csv.DictReader(file, delimiter="\t"):
                seconds += float(row["cpu_time"])
                peak = max(peak, float(row["max_rss"]))
    return seconds, peak


def main(arguments: Sequence[str]) -> None:
    """Run, and write the figures."""
    given = parser(__name__, __doc__)
    add_data(given, "livec")
    given.add_argument("--images", type=int, default=IMAGES, help="number of images")
    args = given.parse_args(arguments)
    number, folder = args.images, FOLDER / "large"
    source = args.data / RELEASES["livec"]
    table = repeated(source, folder / "pictures", number)
    changes = {
        "shard_size": SHARD_SIZE,
        "datasets": {"large": {"layout": "csv", "root": str(table), "mos_range": [0, 100]}},
        "extract": {"augmented_views": False},
        "benchmark": {"datasets": ["large"], "splits": 1, "variants": ["full"], "baselines": []},
    }
    data = run_with(changes, folder) / "large"
    names = manifest.shard_names(data / "manifest.parquet")
    lost = sum(
        failures.read(failures_path(product_path(data, stage, name))).num_rows
        for stage in SUFFIX
        for name in names
    )
    figures = {
        "large_images": number,
        "large_shards": len(names),
        "large_failures": lost,
        "large_minutes": wall_seconds(folder / "results") / 60,
        "large_gb": sum(p.stat().st_size for p in data.rglob("*") if p.is_file()) / 1e9,
    }
    for stage in STAGES:
        seconds, peak = cpu_and_memory((folder / "results" / "logs" / stage).rglob("*.tsv"))
        figures |= {f"large_{stage}_cpu_s": seconds, f"large_{stage}_mb": peak}
    for stage in SUFFIX:
        figures[f"large_{stage}_s_per_image"] = seconds_per_image(data / stage)
    write("bench-large", figures, "python -m benchmarks large --data DIR")
