"""What is done to which regions of a photograph, drawn by a seed."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import cv2
import numpy as np

from rsfiqa.captioners.vlm.answer import Distortion
from rsfiqa.images import resize
from rsfiqa.images.distort import SEVERITIES, distort_region
from rsfiqa.vocabulary import FAMILIES

KINDS = ("pristine", "global", "global", "local", "local")  # in turn


# one after the other as light, lens, sensor, software and file would have it
CHAIN = (
    *("overexposure", "underexposure", "contrast_high", "contrast_low"),
    *("saturation_high", "saturation_low", "blur", "noise", "oversharpening"),
    *("pixelation", "quantization", "compression"),
)


OPPOSITE = (
    {"overexposure", "underexposure"},
    {"contrast_high", "contrast_low"},
    {"saturation_high", "saturation_low"},
    {"blur", "oversharpening"},
)


SMALLEST = 220  # pixels across a photograph, below which it is not reduced


LEAST_SIDE = 0.6  # of a view, over that of the photograph


LEAST_AREA = 0.03  # of a region that is spoilt or asked about, share of the view


Distortions = tuple[Distortion, ...]


@dataclass(frozen=True)
class Spoilt:
    """A view of a photograph, distorted, and the regions that are asked about.

    Attributes:
        kind: pristine, global or local.
        pristine: uint8 (H, W, 3), the view before.
        image: uint8 (H, W, 3).
        labels: uint16 (H, W), 0..R-1.
        asked: distortions of each region that is asked about, those that the region has.
    """

    kind: str
    pristine: np.ndarray
    image: np.ndarray
    labels: np.ndarray
    asked: dict[int, Distortions]


def varied(
    image: np.ndarray, labels: np.ndarray, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Another photograph uint8 (H, W, 3) and its label map, of one; each variation by chance.

    Reduced, turned by a quarter, of other colors, a little lighter or darker, with more or less
    color: what a distortion looks like is to be learnt, not how these photographs looked before.
    """
    if random.integers(2):
        scale = random.uniform(min(1, max(0.5, SMALLEST / min(labels.shape))), 1)
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


def view_of(
    image: np.ndarray, labels: np.ndarray, random: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """A crop, perhaps mirrored: uint8 (h, w, 3), and its label map uint16 (h, w), numbered anew."""
    place = []
    for side in labels.shape:
        length = round(side * random.uniform(LEAST_SIDE, 1))
        start = int(random.integers(side - length + 1))
        place.append(slice(start, start + length))
    image, labels = image[tuple(place)], labels[tuple(place)]
    if random.integers(2):
        image, labels = image[:, ::-1], labels[:, ::-1]
    _, numbered = np.unique(labels, return_inverse=True)
    return np.ascontiguousarray(image), numbered.reshape(labels.shape).astype(np.uint16)


def taught(
    image: np.ndarray,
    labels: np.ndarray,
    kind: str,
    *,
    questions: int,
    two_distortions_fraction: float,
    random: np.random.Generator,
) -> Spoilt:
    """A view to teach by.

    Args:
        image: uint8 (H, W, 3), pristine.
        labels: its label map (H, W).
        kind: of `KINDS`. Local: of the regions asked about, all but one have distortions of their
            own, and the rest of the view has none.
        questions: regions that are asked about, where there are as many large ones.
        two_distortions_fraction: of draws that bring two distortions.
        random: draws everything.
    """
    pristine, labels = view_of(image, labels, random)
    chosen = _large(labels, random)[:questions]
    asked: dict[int, Distortions] = dict.fromkeys(chosen, ())
    result = pristine
    if kind == "global":
        drawn = draw(random, two_distortions_fraction)
        result = distorted(pristine, np.ones(labels.shape, bool), drawn, random)
        asked = dict.fromkeys(chosen, drawn)
    elif kind == "local":
        for region in chosen[: max(1, len(chosen) - 1)]:
            asked[region] = draw(random, two_distortions_fraction)
            result = distorted(result, labels == region, asked[region], random)
    return Spoilt(kind, pristine, result, labels, asked)


def tested(
    image: np.ndarray, labels: np.ndarray, distortions: Distortions, random: np.random.Generator
) -> Spoilt:
    """A view to test by: one region has these distortions and is asked about."""
    pristine, labels = view_of(image, labels, random)
    region = _large(labels, random)[0]
    result = distorted(pristine, labels == region, distortions, random)
    kind = "local" if distortions else "pristine"
    return Spoilt(kind, pristine, result, labels, {region: distortions})


def every_one() -> Iterator[Distortions]:
    """Each family at each level alone, and none as often as a family."""
    for severity in SEVERITIES:
        for family in FAMILIES:
            yield (Distortion(family=family, severity=severity),)
        yield ()


def draw(random: np.random.Generator, two_distortions_fraction: float) -> Distortions:
    """One distortion, or two that do not undo each other, in the order of `CHAIN`."""
    families = [CHAIN[random.integers(len(CHAIN))]]
    if random.random() < two_distortions_fraction:
        others = [f for f in CHAIN if f not in families and {f, *families} not in OPPOSITE]
        families.append(others[random.integers(len(others))])
    severities = random.choice(SEVERITIES, len(families)).tolist()
    ordered = sorted(families, key=CHAIN.index)
    return tuple(Distortion(family=f, severity=s) for f, s in zip(ordered, severities, strict=True))


def distorted(
    image: np.ndarray,
    mask: np.ndarray,
    distortions: Sequence[Distortion],
    random: np.random.Generator,
) -> np.ndarray:
    """The image uint8 (H, W, 3) where a mask bool (H, W) has these distortions, one on another."""
    for distortion in distortions:
        image = distort_region(image, mask, distortion.family, distortion.severity, random)
    return image


def _large(labels: np.ndarray, random: np.random.Generator) -> list[int]:
    """The regions of at least `LEAST_AREA`, in an order that is drawn; the largest if none is."""
    areas = np.bincount(labels.ravel())
    large = np.flatnonzero(areas >= LEAST_AREA * labels.size)
    return random.permutation(large if len(large) else [areas.argmax()]).tolist()
