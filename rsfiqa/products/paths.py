"""Where every product lies below the folder of results."""

import os
from pathlib import Path

SUFFIX = {
    "segment": ".h5",
    "caption": ".parquet",
    "embed": ".safetensors",
    "extract": ".safetensors",
}


def shard_path(folder: Path, stage: str, shard: str) -> Path:
    """Where a stage's product of one shard lies in a data set's folder."""
    return folder / stage / f"{shard}{SUFFIX[stage]}"


PRODUCT = {
    "segment": "regions",
    "caption": "captions",
    "embed": "embeddings",
    "extract": "features",
}


def stats_path(path: Path) -> Path:
    """Where the statistics of a product lie."""
    return path.with_suffix(".stats.json")


def failures_path(path: Path) -> Path:
    """Where the failures of a product lie."""
    return path.with_suffix(".failures.parquet")


def dataset_name(folder: Path) -> str:
    """The name of the data set in a folder, which may be given as `.`."""
    return Path(os.path.abspath(folder)).name


def shard_name(shard: int) -> str:
    """How a shard is called in paths: `00012`."""
    return f"{shard:05d}"


def names(count: int) -> list[str]:
    """The names of that many shards."""
    return [shard_name(shard) for shard in range(count)]


def predictions_path(path: Path) -> Path:
    """Where the predictions lie that belong to a table of results."""
    return path.with_suffix(".predictions.parquet")


def checkpoint_folder(root: Path, train: str, variant: str, split: str) -> Path:
    """Where the checkpoint of a split lies."""
    return root / "train" / f"{train}.{variant}" / split


def results_path(root: Path, train: str, test: str, variant: str) -> Path:
    """Where the results of a variant on a pair of data sets lie."""
    return root / "benchmark" / f"{train}.{test}.{variant}.parquet"
