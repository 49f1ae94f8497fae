"""Examples for the perception's head from photographs that are no data set's: sharp ones.

Those of BIQ2021 are crops of 512 pixels that were stored as JPEG. These are Kodak's, without the
eight that are held out for tests, and those of installed packages, larger and mostly without any
compression.
"""

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch

from benchmarks.figures import RELEASES
from recipes import perception_examples as crops
from recipes.perception_regions import (
    Example,
    Maker,
    covered_fraction,
    neighbours,
    regions_of,
)
from recipes.perception_regions import crop as regional_crop
from rsfiqa.backbones.backbone import Backbone
from rsfiqa.captioners.vlm.answer import Distortion
from rsfiqa.datasets import demo, kodak
from rsfiqa.datasets.entry import Entry
from rsfiqa.images.distort import distort_region
from rsfiqa.images.load import load_rgb
from rsfiqa.images.realistic.distort import variants
from rsfiqa.splits import TEST
from rsfiqa.teach import views
from rsfiqa.vocabulary import FAMILIES, SEVERITIES

SIDES = (320, 384, 448, 512, 640)  # pixels of a crop at most
REDUCED, TURNED, PERMUTED = 0.4, 0.25, 0.2  # probabilities
SMALLEST, LEAST_SIDE = 0.4, 320  # to which a photograph is made smaller: a factor, pixels
ONE, SOME = 0.5, 0.75  # probability of one distorted region, and of one or some
LEAST_AREA = 0.03  # of the crop, of a region that is distorted alone
TEXTBOOK, STORED = 0.6, (0.2, 0.2)  # probabilities, see `Maker.example`
LADDER_STORED = 0.3  # probability that all states of a ladder are stored in files
WHOLE = 0.4  # probability that a ladder is of the whole photograph
SEED, LADDER_SEED, RATED_LADDER_SEED = 91, 92, 93


def pristine_photographs(data: Path) -> dict[str, np.ndarray]:
    """Photographs of Kodak's training part and of packages, by name, each uint8 (H, W, 3).

    Args:
        data: folder that holds kodak.
    """
    entries = [entry for entry in kodak.read(data / RELEASES["kodak"]) if entry.subset != TEST]
    photographs = {entry.group: load_rgb(entry.path) for entry in entries}
    return photographs | {source: demo.photograph(source) for source in demo.PHOTOGRAPHS}


class OtherMaker(Maker):
    """Makes examples of distorted photographs by their numbers; each photograph takes its turn.

    Args:
        photographs: pristine ones, by name.
        backbone: of the feature maps.
    """

    def __init__(self, photographs: dict[str, np.ndarray], backbone: Backbone) -> None:
        super().__init__((), backbone, SEED)
        self.by_name = dict(sorted(photographs.items()))

    def distorted(self, number: int) -> Example:
        """As `Maker.distorted`."""
        random = np.random.default_rng((self.seed, number))
        image = vary(list(self.by_name.values())[number % len(self.by_name)], random)
        intact = crop(image, random)
        labels = regions_of(intact)
        inside = chosen_regions(labels, random)[labels]
        return self.example(intact, inside, random, textbook_probability=TEXTBOOK, stored=STORED)


class LadderMaker(OtherMaker):
    """Makes examples of one textbook distortion of one region, at all severities.

    As the test examples of bench-teach, of other photographs: families and photographs take turns.

    Args:
        photographs: pristine ones, by name.
        backbone: of the feature maps.
    """

    def __init__(self, photographs: dict[str, np.ndarray], backbone: Backbone) -> None:
        super().__init__(photographs, backbone)
        self.labels = {name: regions_of(image) for name, image in self.by_name.items()}

    def distorted(self, number: int) -> Example:
        """A photograph as it is, and with rising severity of a distortion of one region."""
        random = np.random.default_rng((LADDER_SEED, number))
        turn, photograph = divmod(number, len(self.by_name))
        name, family = list(self.by_name)[photograph], list(FAMILIES)[turn % len(FAMILIES)]
        image, labels = views.augment(self.by_name[name], self.labels[name], random)
        steps = [
            (),
            *((Distortion(family=family, severity=severity),) for severity in SEVERITIES),
        ]
        seed = int(random.integers(2**32))  # the same crop and region at each severity
        found = [
            views.evaluation_view(image, labels, step, np.random.default_rng(seed))
            for step in steps
        ]
        images = [view.image for view in found]
        if random.random() < LADDER_STORED:
            images = crops.store(images, random)
        ((region, _),) = found[0].distortions.items()
        labels = found[0].labels
        return ladder(self, images, labels, labels == region, crops.REALISTIC[family])


class RatedLadderMaker(Maker):
    """Makes examples of one distortion at all severities, of well-rated photographs.

    Families take turns, half of them of textbooks; four of ten are of the whole photograph.

    Args:
        photographs: with opinions; the well-rated ones of ss03 are distorted.
        backbone: of the feature maps.
    """

    def __init__(self, photographs: Sequence[Entry], backbone: Backbone) -> None:
        super().__init__(photographs, backbone, RATED_LADDER_SEED)

    def distorted(self, number: int) -> Example:
        """A photograph as it is, and with rising severity of a distortion of all or a part."""
        random = np.random.default_rng((self.seed, number))
        index = self.pristine[int(random.integers(len(self.pristine)))]
        intact = regional_crop(load_rgb(self.photographs[index].path), random)
        inside = None
        if random.random() >= WHOLE:
            labels = regions_of(intact)
            inside = chosen_regions(labels, random)[labels]
        turn, of_textbook = divmod(number, 2)
        seed = int(random.integers(2**32))  # of each severity
        if of_textbook:
            name = list(FAMILIES)[turn % len(FAMILIES)]
            family, function = crops.REALISTIC[name], textbook(name, inside)
        else:
            family = crops.FAMILIES[turn % len(crops.FAMILIES)]
            function = crops.realistic(family, str(random.choice(variants(family))), inside)
        images = crops.risen(intact, function, (0, *SEVERITIES), seed)
        covered = inside
        if family == crops.WATERMARK:
            covered = crops.mark(intact, images[-1])
        labels = regions_of(images[int(random.integers(len(images)))])
        if random.random() < LADDER_STORED:
            images = crops.store(images, random)
        return ladder(self, images, labels, covered, family)


def textbook(family: str, inside: np.ndarray | None) -> crops.Distort:
    """A textbook distortion of an image, or of a part of it, as a function of severity."""

    def function(image: np.ndarray, severity: int, random: np.random.Generator) -> np.ndarray:
        mask = np.ones(image.shape[:2], bool) if inside is None else inside
        return distort_region(image, mask, family, severity, random)

    return function


def ladder(
    maker: Maker,
    images: Sequence[np.ndarray],
    labels: np.ndarray,
    covered: np.ndarray | None,
    family: str,
) -> Example:
    """The example of a photograph as it is and at each severity.

    Args:
        maker: of the features.
        images: of the photograph as it is and at `SEVERITIES`, each uint8 (H, W, 3).
        labels: label map (H, W).
        covered: bool (H, W), where it is distorted; None for all of it.
        family: of `REALISTIC_FAMILIES`.
    """
    column = crops.FAMILIES.index(family)
    of_regions = torch.zeros(int(labels.max()) + 1, len(crops.FAMILIES))
    of_regions[:, column] = torch.from_numpy(covered_fraction(labels, covered)).float()
    severity = torch.zeros(len(images), len(crops.FAMILIES))
    severity[1:, column] = torch.tensor(SEVERITIES, dtype=torch.float32)
    return maker.features(images, labels) | {"covered": of_regions, "severity": severity}


def vary(image: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A photograph that may be made smaller, turned by 90 degrees, or have channels permuted."""
    least = min(image.shape[:2])
    if random.random() < REDUCED:
        factor = random.uniform(max(SMALLEST, LEAST_SIDE / least), 1) if least > LEAST_SIDE else 1
        image = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    if random.random() < TURNED:
        image = np.rot90(image, 1 + 2 * int(random.integers(2))).copy()
    if random.random() < PERMUTED:
        image = np.ascontiguousarray(image[..., random.permutation(3)])
    return image


def crop(image: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A part of a photograph whose sides are of `SIDES` at most, half of them mirrored."""
    sides = [min(int(random.choice(SIDES)), length) for length in image.shape[:2]]
    y, x = (
        int(random.integers(length - side + 1))
        for length, side in zip(image.shape[:2], sides, strict=True)
    )
    part = image[y : y + sides[0], x : x + sides[1]]
    return np.ascontiguousarray(part[:, ::-1] if random.random() < 0.5 else part)


def chosen_regions(labels: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """The regions that are distorted, one, some or all: bool (R,)."""
    areas = np.bincount(labels.ravel()) / labels.size
    kind = random.random()
    if kind >= SOME or len(areas) <= 2:
        return np.ones(len(areas), bool)
    if kind >= ONE:
        return neighbours(labels, random)
    large = np.flatnonzero(areas >= LEAST_AREA)
    inside = np.zeros(len(areas), bool)
    inside[random.choice(large if len(large) else [areas.argmax()])] = True
    return inside
