"""Views: random crops of a pristine photograph, distorted as a whole or region by region."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Literal

import cv2
import numpy as np

from rsfiqa.captioners.vlm.answer import Distortion
from rsfiqa.images import resize
from rsfiqa.images.distort import distort_region
from rsfiqa.vocabulary import FAMILIES, SEVERITIES, are_opposite, imaging_order

Kind = Literal["pristine", "global", "local"]
KINDS: tuple[Kind, ...] = ("pristine", "global", "global", "local", "local")  # views take turns
MIN_REDUCED_SIDE = 220  # pixels; augmentation reduces no photograph below it
MIN_CROP_FRACTION = 0.6  # of each side of the photograph
MIN_AREA_FRACTION = 0.03  # of the view, of a region that an example is about

Distortions = tuple[Distortion, ...]


@dataclass(frozen=True)
class View:
    """A view of a photograph and what is known about its regions.

    Attributes:
        kind: pristine, global (distorted as a whole) or local (distorted region by region).
        pristine: uint8 (H, W, 3), the view without distortions.
        image: uint8 (H, W, 3), with distortions.
        labels: label map uint16 (H, W), 0..R-1.
        distortions: of each region that an example is about, by region.
    """

    kind: Kind
    pristine: np.ndarray
    image: np.ndarray
    labels: np.ndarray
    distortions: dict[int, Distortions]


def augment(
    image: np.ndarray, labels: np.ndarray, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """A randomly changed photograph uint8 (H', W', 3) with its label map (H', W').

    Each change has a chance: reduced by up to a half, rotated by 90 degrees, color channels
    permuted, up to 0.15 stops lighter or darker with up to a fifth more or less chroma. With few
    photographs the VLM would otherwise learn their look instead of that of the distortions.
    """
    if random.integers(2):
        scale = random.uniform(min(1, max(0.5, MIN_REDUCED_SIDE / min(labels.shape))), 1)
        image = resize.reduce(image, round(scale * max(labels.shape)))
        labels = resize.fit_labels(labels, image.shape[:2])
    if random.integers(2):
        image, labels = np.rot90(image).copy(), np.rot90(labels).copy()
    if random.random() < 0.3:
        image = np.ascontiguousarray(image[..., random.permutation(3)])
    if random.integers(2):
        light, chroma = 2 ** random.uniform(-0.15, 0.15), random.uniform(0.8, 1.2)
        grey = np.full((3, 3), 1 / 3)
        image = cv2.transform(image, light * (grey + chroma * (np.eye(3) - grey)))
    return image, labels


def random_crop(
    image: np.ndarray, labels: np.ndarray, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """A crop, mirrored half of the time: uint8 (h, w, 3), with a dense label map uint16 (h, w)."""
    window = []
    for side in labels.shape:
        length = round(side * random.uniform(MIN_CROP_FRACTION, 1))
        start = int(random.integers(side - length + 1))
        window.append(slice(start, start + length))
    image, labels = image[tuple(window)], labels[tuple(window)]
    if random.integers(2):
        image, labels = image[:, ::-1], labels[:, ::-1]
    _, dense = np.unique(labels, return_inverse=True)
    return np.ascontiguousarray(image), dense.reshape(labels.shape).astype(np.uint16)


def training_view(
    image: np.ndarray,
    labels: np.ndarray,
    kind: Kind,
    *,
    regions: int,
    two_distortions_fraction: float,
    random: np.random.Generator,
) -> View:
    """A view for training.

    In a local view each chosen region but one has distortions of its own; the last one, and all
    regions that were not chosen, have none.

    Args:
        image: pristine photograph, uint8 (H, W, 3).
        labels: its label map (H, W).
        kind: of `KINDS`.
        regions: how many regions are chosen, if the view has as many large ones.
        two_distortions_fraction: chance that two distortions are combined, in [0, 1].
        random: draws the crop, the regions and the distortions.
    """
    pristine, labels = random_crop(image, labels, random)
    chosen = _large_regions(labels, random)[:regions]
    distortions: dict[int, Distortions] = dict.fromkeys(chosen, ())
    result = pristine
    if kind == "global":
        drawn = draw_distortions(random, two_distortions_fraction)
        result = apply_distortions(pristine, np.ones(labels.shape, bool), drawn, random)
        distortions = dict.fromkeys(chosen, drawn)
    elif kind == "local":
        for region in chosen[: max(1, len(chosen) - 1)]:
            distortions[region] = draw_distortions(random, two_distortions_fraction)
            result = apply_distortions(result, labels == region, distortions[region], random)
    return View(kind, pristine, result, labels, distortions)


def evaluation_view(
    image: np.ndarray, labels: np.ndarray, distortions: Distortions, random: np.random.Generator
) -> View:
    """A view for testing: one region has the given distortions, and the example is about it."""
    pristine, labels = random_crop(image, labels, random)
    region = _large_regions(labels, random)[0]
    result = apply_distortions(pristine, labels == region, distortions, random)
    kind: Kind = "local" if distortions else "pristine"
    return View(kind, pristine, result, labels, {region: distortions})


def all_distortions() -> Iterator[Distortions]:
    """Each family alone at each severity; and no distortion, as often as one family."""
    for severity in SEVERITIES:
        for family in FAMILIES:
            yield (Distortion(family=family, severity=severity),)
        yield ()


def draw_distortions(random: np.random.Generator, two_distortions_fraction: float) -> Distortions:
    """One distortion, or two of families that are not opposite, in imaging order."""
    order = imaging_order()
    families = [order[random.integers(len(order))]]
    if random.random() < two_distortions_fraction:
        first = families[0]
        others = [name for name in order if name != first and not are_opposite(name, first)]
        families.append(others[random.integers(len(others))])
    severities = random.choice(SEVERITIES, len(families)).tolist()
    ordered = sorted(families, key=order.index)
    return tuple(
        Distortion(family=family, severity=severity)
        for family, severity in zip(ordered, severities, strict=True)
    )


def apply_distortions(
    image: np.ndarray,
    mask: np.ndarray,
    distortions: Sequence[Distortion],
    random: np.random.Generator,
) -> np.ndarray:
    """The image uint8 (H, W, 3) with distortions applied in turn where the mask (H, W) is true."""
    for distortion in distortions:
        image = distort_region(image, mask, distortion.family, distortion.severity, random)
    return image


def _large_regions(labels: np.ndarray, random: np.random.Generator) -> list[int]:
    """The regions of at least `MIN_AREA_FRACTION`, shuffled; the largest one if there is none."""
    areas = np.bincount(labels.ravel())
    large = np.flatnonzero(areas >= MIN_AREA_FRACTION * labels.size)
    shuffled = random.permutation(large if len(large) else [areas.argmax()])
    return [int(region) for region in shuffled]
