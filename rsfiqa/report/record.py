"""The run record: experiments, options, failures and times, read from the products."""

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rsfiqa import checkpoints
from rsfiqa.checkpoints import Card
from rsfiqa.io.json_files import read_json
from rsfiqa.products import captions, failures, manifest
from rsfiqa.products.paths import (
    checkpoints_in,
    manifest_path,
    product_path,
    shard_name,
    train_folder,
)
from rsfiqa.products.results import ResultRow


@dataclass(frozen=True)
class Experiment:
    """The checkpoints of one variant trained on one data set.

    Attributes:
        name: <data set>.<variant>.
        cards: of the checkpoints, by split.
        digests: SHA-256 of the weights, by split.
    """

    name: str
    cards: dict[str, Card]
    digests: dict[str, str]

    @property
    def card(self) -> Card:
        """The card of the first split."""
        return next(iter(self.cards.values()))

    @property
    def dataset(self) -> str:
        """The data set trained on."""
        return self.name.rpartition(".")[0]

    @property
    def variant(self) -> str:
        """The variant of the model."""
        return self.name.rpartition(".")[2]


@dataclass(frozen=True)
class Scope:
    """The products behind the rows of a report; others may lie beside them.

    Attributes:
        datasets: names of the data sets that were trained on or tested on, and of each the names
            of its shards; None where there is no manifest.
        checkpoints: `<data set>.<variant>` and split of each training.
        tables: names of the tables of results.
    """

    datasets: Mapping[str, Collection[str] | None]
    checkpoints: Collection[tuple[str, str]]
    tables: Collection[str]

    @classmethod
    def of(cls, root: Path, rows: Sequence[ResultRow]) -> "Scope":
        """The scope of a report of these rows."""
        names = sorted({name for row in rows for name in (row.train, row.test)})
        return cls(
            {name: _shards(root / name) for name in names},
            {(f"{row.train}.{row.variant}", row.split) for row in rows},
            {f"{row.train}.{row.test}.{row.variant}" for row in rows},
        )

    def __contains__(self, path: Path) -> bool:
        """Whether a file beside a product belongs to it, by its path under the root."""
        folder, name = path.parts[0], path.name.partition(".")[0]
        if folder == "train":
            return path.parts[1:3] in self.checkpoints
        if folder == "benchmark":
            return path.name.removesuffix(".stats.json") in self.tables
        if folder not in self.datasets:
            return False
        shards = self.datasets[folder]
        return name == "manifest" or shards is None or name in shards


def _shards(folder: Path) -> list[str] | None:
    """The names of a data set's shards; None without a manifest."""
    path = manifest_path(folder)
    return manifest.shard_names(path) if path.is_file() else None


def read_experiments(root: Path, scope: Scope | None = None) -> list[Experiment]:
    """The experiments that have a checkpoint, sorted by name.

    Args:
        root: folder of all results.
        scope: which checkpoints to read; None for all.
    """
    folders = defaultdict(list)
    for folder in checkpoints_in(train_folder(root)):
        if scope is None or folder.relative_to(root) in scope:
            folders[folder.parent.name].append(folder)
    return [read_experiment(name, splits) for name, splits in folders.items()]


def read_experiment(name: str, folders: Sequence[Path]) -> Experiment:
    """The experiment whose checkpoints are in these folders, each named after its split."""
    read = {folder.name: checkpoints.read_card(folder) for folder in folders}
    cards = {split: card for split, (card, _) in read.items()}
    return Experiment(name, cards, {split: digest for split, (_, digest) in read.items()})


def caption_backend(root: Path, dataset: str, experiments: Sequence[Experiment]) -> str:
    """The captioner behind the models trained on a data set; empty if unknown."""
    for experiment in experiments:
        if dataset in experiment.card.datasets:
            return str(experiment.card.caption["backend"])
    path = product_path(root / dataset, "caption", shard_name(0))
    return str(captions.read(path)[1].options["backend"]) if path.is_file() else ""


@dataclass(frozen=True)
class Failure:
    """An image that a stage could not use.

    Attributes:
        source: data set or folder, by which failures are filtered.
        product: shard that lacks the image.
        image: its image_id.
        stage: that failed.
        reason: why.
    """

    source: str
    product: str
    image: str
    stage: str
    reason: str


def read_failures(root: Path, scope: Scope | None = None) -> list[Failure]:
    """The failures under a root, sorted by product, then image.

    Args:
        root: folder of all results.
        scope: whose failures to read; None for all.
    """
    listed = []
    for path in _files_below(root, ["**/*.failures.parquet"], scope):
        product = path.relative_to(root).as_posix().removesuffix(".failures.parquet")
        source = product.partition("/")[0]
        listed += [Failure(source, product, **row) for row in failures.read(path).to_pylist()]
    return listed


@dataclass(frozen=True)
class StageTime:
    """Total of the jobs of one stage on one data set or for one experiment.

    Attributes:
        stage: name of the stage.
        subject: data set or experiment.
        jobs: number of jobs.
        images: number of images, summed over the jobs.
        seconds: wall-clock time, summed over the jobs.
    """

    stage: str
    subject: str
    jobs: int
    images: int
    seconds: float

    @property
    def rate(self) -> float:
        """Images per second of one job."""
        return self.images / max(self.seconds, 1e-9)


def _files_below(root: Path, patterns: Sequence[str], scope: Scope | None) -> list[Path]:
    """The files that match a pattern and belong to products in the scope, sorted."""
    paths = [path for pattern in patterns for path in root.glob(pattern)]
    return sorted(path for path in paths if scope is None or path.relative_to(root) in scope)


def read_times(root: Path, scope: Scope | None = None) -> list[StageTime]:
    """Times from the statistics beside the products, in the order in which stages began.

    Args:
        root: folder of all results.
        scope: whose times to read; None for all.
    """
    jobs_of: dict[tuple[str, str], list[dict[str, float]]] = defaultdict(list)
    for path in _files_below(root, ["**/*.stats.json", "train/*/*/stats.json"], scope):
        jobs_of[_stage_and_subject(path.relative_to(root))].append(read_json(path))
    begun = {key: min(job["started"] for job in jobs) for key, jobs in jobs_of.items()}
    return [
        StageTime(
            *key,
            jobs=len(jobs_of[key]),
            images=sum(int(job["images"]) for job in jobs_of[key]),
            seconds=sum(job["ended"] - job["started"] for job in jobs_of[key]),
        )
        for key in sorted(jobs_of, key=lambda key: begun[key])
    ]


def _stage_and_subject(path: Path) -> tuple[str, str]:
    """Stage and subject of a file of statistics, by its path under the root."""
    if path.parts[0] == "train":
        return "train", path.parts[1]
    if path.parts[0] == "benchmark":
        return "benchmark", path.name.removesuffix(".stats.json")
    in_dataset_folder = 2  # parts of the path of the manifest's statistics
    stage = "prepare" if len(path.parts) == in_dataset_folder else path.parts[1]
    return stage, path.parts[0]


def read_settings(experiments: Sequence[Experiment]) -> dict[str, list[dict[str, str]]]:
    """Options and versions behind the checkpoints, by part: each distinct set once."""
    parts: dict[str, Callable[[Card], Mapping[str, object]]] = {
        "Regions": lambda card: card.segment,
        "Captions": lambda card: card.caption,
        "Backbone": lambda card: card.backbone,
        "Encoder": lambda card: card.encoder,
        "Training": lambda card: card.options,
        "Versions": lambda card: card.versions,
    }
    settings: dict[str, list[dict[str, str]]] = {}
    for name, part in parts.items():
        sets = [_as_text(part(experiment.card)) for experiment in experiments]
        settings[name] = [options for i, options in enumerate(sets) if options not in sets[:i]]
    return settings


def _as_text(options: Mapping[str, object]) -> dict[str, str]:
    return {key: str(options[key]) for key in sorted(options)}
