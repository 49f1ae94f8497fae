"""Whether the worst region lies on the one object of a good photograph that is distorted."""

from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np

from benchmarks.perception.assess import summarize
from benchmarks.perception.intervals import mean_figure
from benchmarks.perception.measures import inside_fraction
from benchmarks.perception.models import Models
from benchmarks.perception.photographs import Bench, generator
from benchmarks.perception.realistic import single
from rsfiqa.images import load, resize
from rsfiqa.images.realistic import distort
from rsfiqa.vocabulary import REALISTIC_FAMILIES

PHOTOGRAPHS = 200  # the best of Unsplash in BIQ2021's test part
SEVERITY = 4
AREA = (0.04, 0.25)  # of an object, fraction of the image
HALF = 0.5


@dataclass(frozen=True)
class Item:
    """A photograph; its number says which family distorts it."""

    path: Path
    photograph: int


@dataclass(frozen=True)
class Found:
    """Where the worst region lies.

    Attributes:
        hit: that of the distorted picture lies on the object by more than half.
        chance: fraction of its regions that do.
        pristine: the worst region of the photograph as it is does.
        named: the distortion's family is named first.
    """

    hit: bool
    chance: float
    pristine: bool
    named: bool


def object_of(labels: np.ndarray) -> int:
    """The number of the most compact region that looks like an object.

    Objects have 4 to 25 % of the area and do not touch the border. If there is none, all regions
    are taken into account.

    Args:
        labels: label map (H, W), 0..R-1.
    """
    area = np.bincount(labels.ravel())
    fraction = area / labels.size
    border = np.concatenate([labels[0], labels[-1], labels[:, 0], labels[:, -1]])
    is_object = (fraction >= AREA[0]) & (fraction <= AREA[1])
    is_object[np.unique(border)] = False
    compactness = area / perimeters(labels) ** 2.0
    if is_object.any():
        compactness[~is_object] = -1
    return int(compactness.argmax())


def perimeters(labels: np.ndarray) -> np.ndarray:
    """The number of pixel sides between each region and others or the outside: int (R,)."""
    outside = int(labels.max()) + 1
    padded = np.pad(labels.astype(np.int64), 1, constant_values=outside)
    count = np.zeros(outside + 1, np.int64)
    for first, second in ((padded[1:], padded[:-1]), (padded[:, 1:], padded[:, :-1])):
        differs = first != second
        for side in (first[differs], second[differs]):
            count += np.bincount(side, minlength=outside + 1)
    return count[:-1]


def score_object(models: Models, item: Item) -> Found:
    """Score a photograph, and with its object distorted."""
    image = load.load_rgb(item.path)
    labels = models.scorer.segment(image)
    mask = resize.fit_labels((labels == object_of(labels)).astype(np.uint8), image.shape[:2])
    distortion = single(item.photograph, SEVERITY)
    random = generator("object", item.photograph)
    pixels = distort.distort_region(image, mask.astype(bool), distortion, random)
    inside, worst, first = _inside(models, pixels, mask)
    before, worst_before, _ = _inside(models, image, mask)
    return Found(
        hit=bool(inside[worst]),
        chance=float(inside.mean()),
        pristine=bool(before[worst_before]),
        named=first == distortion.family,
    )


def _inside(models: Models, pixels: np.ndarray, mask: np.ndarray) -> tuple[np.ndarray, int, str]:
    """Which regions lie in the mask by more than half, the worst region, and its first family."""
    score = models.scorer.score(pixels)
    found = summarize(models.scorer, score)
    small = cv2.resize(mask, score.labels.shape[::-1], interpolation=cv2.INTER_NEAREST)
    return inside_fraction(score.labels, small > 0) > HALF, found.worst, found.first


def measure(bench: Bench) -> dict[str, float]:
    """How often the worst region lies on the object, against chance and the photograph as it is."""
    items = [Item(path, i) for i, path in enumerate(bench.take(bench.best(), PHOTOGRAPHS))]
    found = bench.processes.map(score_object, items, "objects")
    figures = (
        mean_figure("object_hit", [one.hit for one in found])
        | mean_figure("object_random", [one.chance for one in found])
        | mean_figure("object_pristine", [one.pristine for one in found])
        | mean_figure("object_named", [one.named for one in found])
    )
    for family in REALISTIC_FAMILIES:
        own = [
            one
            for item, one in zip(items, found, strict=True)
            if single(item.photograph, SEVERITY).family == family
        ]
        figures |= mean_figure(f"object_hit_{family}", [one.hit for one in own])
    return figures
