"""Where each product lies: below the results folder, a data set's folder or a checkpoint's.

The rules of the workflow repeat these paths as patterns; a test compares them.
"""

import os
from pathlib import Path

# The stages that work shard by shard, and of each the kind of its product and the file suffix.
PRODUCT = {
    "segment": "regions",
    "caption": "captions",
    "embed": "embeddings",
    "extract": "features",
}
SUFFIX = {
    "segment": ".h5",
    "caption": ".parquet",
    "embed": ".safetensors",
    "extract": ".safetensors",
}
# Folders of the results folder beside those of data sets, which therefore have other names.
RESERVED = ("train", "benchmark", "report", "teach", "bench", "logs")


def dataset_name(folder: Path) -> str:
    """The name of the data set in a folder, which may be given as `.`."""
    return Path(os.path.abspath(folder)).name


def results_folder(folder: Path) -> Path:
    """The results folder in which a data set's folder lies, which may be given as `.`."""
    return Path(os.path.normpath(folder / ".."))


def manifest_path(folder: Path) -> Path:
    """The manifest in a data set's folder."""
    return folder / "manifest.parquet"


def statements_path(folder: Path) -> Path:
    """What people said about the images of a data set, beside its manifest."""
    return folder / "statements.parquet"


def images_folder(folder: Path) -> Path:
    """The images that the prepare stage generates in a data set's folder, absolute."""
    return Path(os.path.abspath(folder)) / "images"


def product_path(folder: Path, stage: str, shard: str) -> Path:
    """A stage's product of one shard in a data set's folder."""
    return folder / stage / f"{shard}{SUFFIX[stage]}"


def shard_name(shard: int) -> str:
    """The name of a shard in paths, such as `00012`."""
    return f"{shard:05d}"


def shard_names(count: int) -> list[str]:
    """The names of the first `count` shards."""
    return [shard_name(shard) for shard in range(count)]


def stats_path(product: Path) -> Path:
    """The statistics beside a product."""
    return product.with_suffix(".stats.json")


def failures_path(product: Path) -> Path:
    """The table of failures beside a product."""
    return product.with_suffix(".failures.parquet")


def plan_path(folder: Path) -> Path:
    """The plan of a scoring run in the run's folder."""
    return folder / "plan" / "plan.json"


def picture_list_path(folder: Path, shard: str) -> Path:
    """The list of the pictures of a shard of a scoring run."""
    return folder / "plan" / f"{shard}.parquet"


def scores_folder(folder: Path) -> Path:
    """The folder of all tables of scores of a scoring run."""
    return folder / "score"


def summary_path(scores: Path) -> Path:
    """What sums up a scoring run, in the folder of its tables of scores."""
    return scores / "summary.json"


def train_folder(root: Path) -> Path:
    """The folder of all checkpoints in the results folder."""
    return root / "train"


def checkpoint_folder(root: Path, train: str, variant: str, split: str) -> Path:
    """The checkpoint of one split in the results folder."""
    return train_folder(root) / f"{train}.{variant}" / split


def card_path(checkpoint: Path) -> Path:
    """The card in a checkpoint's folder; it is written last."""
    return checkpoint / "card.json"


def weights_path(checkpoint: Path) -> Path:
    """The weights in a checkpoint's folder."""
    return checkpoint / "model.safetensors"


def split_path(checkpoint: Path) -> Path:
    """The table of the images by part (train, validation, test) in a checkpoint's folder."""
    return checkpoint / "split.parquet"


def checkpoint_stats_path(checkpoint: Path) -> Path:
    """The statistics of the training in a checkpoint's folder."""
    return checkpoint / "stats.json"


def checkpoints_in(folder: Path) -> list[Path]:
    """The folders of all checkpoints in a folder of experiments, sorted."""
    return [path.parent for path in sorted(folder.glob("*/*/card.json"))]


def benchmark_folder(root: Path) -> Path:
    """The folder of all tables of results in the results folder."""
    return root / "benchmark"


def results_path(root: Path, train: str, test: str, variant: str) -> Path:
    """The results of a variant on a pair of data sets, in the results folder."""
    return benchmark_folder(root) / f"{train}.{test}.{variant}.parquet"


def overlap_path(root: Path) -> Path:
    """What shows that no two data sets share an image, in the results folder."""
    return benchmark_folder(root) / "overlap.json"


def predictions_path(results: Path) -> Path:
    """The predictions beside a table of results."""
    return results.with_suffix(".predictions.parquet")


def all_results(root: Path) -> list[Path]:
    """The tables of results in the results folder, sorted."""
    beside = (".predictions.parquet", ".failures.parquet")
    tables = benchmark_folder(root).glob("*.parquet")
    return sorted(path for path in tables if not path.name.endswith(beside))


def report_path(root: Path) -> Path:
    """The page of the report in the results folder."""
    return root / "report" / "index.html"


def headline_path(root: Path) -> Path:
    """The one line that sums up the report, in the results folder."""
    return root / "report" / "headline.txt"
