"""Whether realistic distortions of unseen photographs are told apart, single and in chains."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.perception import measures
from benchmarks.perception.intervals import Statistic, figure, mean_of
from benchmarks.perception.models import Models
from benchmarks.perception.photographs import Bench, generator
from rsfiqa.images import load, resize
from rsfiqa.images.realistic import distort
from rsfiqa.images.realistic.distort import RealisticDistortion
from rsfiqa.train.distorted import choose_region
from rsfiqa.vocabulary import REALISTIC_FAMILIES, SEVERITIES

PHOTOGRAPHS = 100  # the best of Unsplash in BIQ2021's test part
KINDS = (  # views of each photograph: number of distortions, and whether of one region
    (0, False),
    *((1, False), (1, False), (1, True)),
    *((2, False), (2, True), (3, False)),
)


@dataclass(frozen=True)
class View:
    """A photograph and what is done to it.

    Attributes:
        path: of the photograph.
        photograph: its number.
        number: of the view, an index of `KINDS`.
        chain: distortions in their order; empty for the photograph as it is.
        regional: one region is distorted instead of the whole.
    """

    path: Path
    photograph: int
    number: int
    chain: tuple[RealisticDistortion, ...]
    regional: bool

    @property
    def families(self) -> set[str]:
        """The families that are present."""
        return {one.family for one in self.chain}


def views_of(photograph: int, path: Path) -> list[View]:
    """The views of a photograph; single distortions take the families in turn."""
    views, singles = [], sum(length == 1 for length, _ in KINDS)
    turn = photograph * singles
    for number, (length, regional) in enumerate(KINDS):
        random = generator("realistic", photograph, number)
        if length == 1:
            chain: tuple[RealisticDistortion, ...] = (single(turn, int(random.choice(SEVERITIES))),)
            turn += 1
        else:
            chain = distort.draw_chain(random, length)
        views.append(View(path, photograph, number, chain, regional))
    return views


def single(turn: int, severity: int) -> RealisticDistortion:
    """A distortion of each family in turn, and of each of its variants in turn."""
    names = tuple(REALISTIC_FAMILIES)
    family = names[turn % len(names)]
    kinds = distort.variants(family)
    return RealisticDistortion(family, kinds[turn // len(names) % len(kinds)], severity)


def measure_view(models: Models, view: View) -> np.ndarray:
    """Soft severity of each family in the distorted part of a view: float64 (F,)."""
    image = load.load_rgb(view.path)
    mask = np.ones(image.shape[:2], bool)
    random = generator("realistic pixels", view.photograph, view.number)
    if view.regional:
        labels = resize.fit_labels(models.scorer.segment(image), image.shape[:2])
        mask = labels == choose_region(np.bincount(labels.ravel()) / labels.size, random)
    changed = distort.distort_in_turn(image, view.chain, random, mask if view.regional else None)
    pixels = np.require(changed, requirements=["C", "W"])  # torch needs both
    labels = resize.fit_labels(models.scorer.segment(pixels), image.shape[:2])
    soft = models.soft_severities(pixels, labels)
    return measures.weighted_severity(soft, np.bincount(labels[mask], minlength=len(soft)))


def measure(bench: Bench) -> dict[str, float]:
    """Area under the ROC curve of each family, their mean, and that by kind of view."""
    paths = bench.take(bench.best(), PHOTOGRAPHS)
    views = [view for number, path in enumerate(paths) for view in views_of(number, path)]
    return figures_of(views, np.array(bench.processes.map(measure_view, views, "realistic")))


def figures_of(views: Sequence[View], severities: np.ndarray) -> dict[str, float]:
    """The figures of the severities float (N, F) of N views."""
    statistics = statistics_of(views, severities)
    photographs = [view.photograph for view in views]
    name = "realistic_family_auc"
    figures = figure(name, mean_of(statistics), photographs)
    for family, statistic in statistics.items():
        figures |= figure(f"{name}_{family}", statistic, photographs)
    for kind, chosen in (
        ("single", [i for i, view in enumerate(views) if len(view.chain) <= 1]),
        ("chained", [i for i, view in enumerate(views) if len(view.chain) != 1]),
        ("whole", [i for i, view in enumerate(views) if not view.regional]),
        ("region", [i for i, view in enumerate(views) if view.regional]),
    ):
        part = [views[i] for i in chosen]
        found = statistics_of(part, severities[chosen])
        figures |= figure(f"{name}_{kind}", mean_of(found), [view.photograph for view in part])
    return figures


def statistics_of(views: Sequence[View], severities: np.ndarray) -> dict[str, Statistic]:
    """The area under the ROC curve of each family."""
    return {
        family: partial(
            measures.auc_of,
            severities[:, column],
            np.array([family in view.families for view in views]),
        )
        for column, family in enumerate(REALISTIC_FAMILIES)
    }
