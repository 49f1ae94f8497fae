"""What the products under a root say of themselves: data sets, cards, failures, times."""

from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rsfiqa.datasets.registry import DATASETS
from rsfiqa.io.json_files import read_json
from rsfiqa.products import captions, checkpoints, failures, manifest
from rsfiqa.products.checkpoints import Card
from rsfiqa.products.paths import (
    checkpoints_in,
    manifest_path,
    product_path,
    shard_name,
    train_folder,
)
from rsfiqa.scale import MosScale


@dataclass(frozen=True)
class DataSet:
    """What a page must know to speak of a data set's scores.

    Attributes:
        name: of its folder.
        images: how many the manifest lists; None without a manifest.
        mos_range: that quality 0 and 1 stand for, native units; None if unknown.
        lower_better: a low value is good (DMOS).
        pseudo: what the scores are if no person gave them; empty for opinion scores.
    """

    name: str
    images: int | None = None
    mos_range: tuple[float, float] | None = None
    lower_better: bool = False
    pseudo: str = ""

    @property
    def title(self) -> str:
        """Its name, with a warning where the scores are not people's."""
        return f"{self.name} (pseudo-MOS)" if self.pseudo else self.name

    @property
    def score(self) -> str:
        """What its scores are called."""
        if self.mos_range is None:
            return "pseudo-quality" if self.pseudo else "quality"
        return "pseudo-MOS" if self.pseudo else "MOS"

    @property
    def scale(self) -> str:
        """Range and direction of its scores."""
        return str(self._mos_scale)

    @property
    def span(self) -> float:
        """Points of the score for one unit of quality; negative where low is good."""
        return self._mos_scale.span

    @property
    def digits(self) -> int:
        """Decimals worth showing: at least 500 steps of the range."""
        return int(np.clip(np.ceil(np.log10(500 / abs(self.span))), 0, 3))

    def native(self, quality: Any) -> Any:
        """Quality, 1 for the best, as a score in the set's own units and direction."""
        return self._mos_scale.to_mos(quality)

    @property
    def _mos_scale(self) -> MosScale:
        low, high = self.mos_range or (0, 1)
        return MosScale(low, high, self.lower_better)


def read_dataset(root: Path, name: str) -> DataSet:
    """What the manifest of a data set says; little is known without one."""
    path = manifest_path(root / name)
    if not path.is_file():
        pseudo = name in DATASETS and DATASETS[name].pseudo_mos
        return DataSet(name, pseudo="pseudo-MOS" if pseudo else "")
    table, provenance = manifest.read(path)
    scale = manifest.scale_of(provenance)
    return DataSet(
        name,
        table.num_rows,
        (scale.low, scale.high) if scale else None,
        scale.lower_better if scale else False,
        pseudo=provenance.options.get("mos", ""),
    )


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
        """Of the first split."""
        return next(iter(self.cards.values()))

    @property
    def dataset(self) -> str:
        """Trained on."""
        return self.name.rpartition(".")[0]

    @property
    def variant(self) -> str:
        """What was trained."""
        return self.name.rpartition(".")[2]


def read_experiments(root: Path) -> list[Experiment]:
    """All experiments that have a checkpoint, sorted by name."""
    folders = defaultdict(list)
    for folder in checkpoints_in(train_folder(root)):
        folders[folder.parent.name].append(folder)
    return [read_experiment(name, found) for name, found in folders.items()]


def read_experiment(name: str, folders: Sequence[Path]) -> Experiment:
    """The checkpoints in these folders, each named by its split."""
    read = {folder.name: checkpoints.read_card(folder) for folder in folders}
    cards = {split: card for split, (card, _) in read.items()}
    return Experiment(name, cards, {split: digest for split, (_, digest) in read.items()})


def caption_backend(root: Path, dataset: str, experiments: Sequence[Experiment]) -> str:
    """What described the regions that a data set's models were trained on; empty if unknown."""
    for experiment in experiments:
        if dataset in experiment.card.datasets:
            return str(experiment.card.caption["backend"])
    path = product_path(root / dataset, "caption", shard_name(0))
    return str(captions.read(path)[1].options["backend"]) if path.is_file() else ""


def read_failures(root: Path) -> list[dict[str, str]]:
    """All failures under a root, sorted by product, then image.

    Each with source (the data set), product, image, stage and reason.
    """
    return [
        {"source": source, "product": product, **row}
        for path in sorted(root.rglob("*.failures.parquet"))
        for product in (path.relative_to(root).as_posix().removesuffix(".failures.parquet"),)
        for source in (product.partition("/")[0],)
        for row in failures.read(path).to_pylist()
    ]


@dataclass(frozen=True)
class StageTime:
    """The jobs of one stage on one data set, or of one experiment, added up."""

    stage: str
    subject: str
    jobs: int
    images: int
    seconds: float  # of all jobs, as if one ran after the other

    @property
    def rate(self) -> float:
        """Images per second of one job."""
        return self.images / max(self.seconds, 1e-9)


def read_times(root: Path) -> list[StageTime]:
    """What the statistics beside the products say, in the order in which stages began."""
    found = defaultdict(list)
    for path in sorted([*root.rglob("*.stats.json"), *root.glob("train/*/*/stats.json")]):
        found[_subject(path.relative_to(root))].append(read_json(path))
    times = [
        StageTime(
            stage,
            subject,
            len(jobs),
            sum(job["images"] for job in jobs),
            sum(job["ended"] - job["started"] for job in jobs),
        )
        for (stage, subject), jobs in found.items()
    ]
    begun = {key: min(job["started"] for job in jobs) for key, jobs in found.items()}
    return sorted(times, key=lambda time: begun[time.stage, time.subject])


def _subject(path: Path) -> tuple[str, str]:
    """Stage and subject of a file of statistics, by its path under the root."""
    if path.parts[0] == "train":
        return "train", path.parts[1]
    if path.parts[0] == "benchmark":
        return "benchmark", path.name.removesuffix(".stats.json")
    return ("prepare" if len(path.parts) == 2 else path.parts[1]), path.parts[0]


def read_settings(experiments: Sequence[Experiment]) -> dict[str, list[dict[str, str]]]:
    """Options and versions behind the checkpoints, by part: every distinct set of them."""
    parts: dict[str, Callable[[Card], dict[str, Any]]] = {
        "Regions": lambda card: card.segment,
        "Captions": lambda card: card.caption,
        "Backbone": lambda card: card.backbone,
        "Encoder": lambda card: card.encoder,
        "Training": lambda card: card.options,
        "Versions": lambda card: card.versions,
    }
    found: dict[str, list[dict[str, str]]] = {}
    for name, part in parts.items():
        sets = [_as_text(part(experiment.card)) for experiment in experiments]
        found[name] = [options for i, options in enumerate(sets) if options not in sets[:i]]
    return found


def _as_text(options: dict[str, Any]) -> dict[str, str]:
    return {key: str(options[key]) for key in sorted(options)}
