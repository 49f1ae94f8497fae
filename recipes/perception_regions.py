"""What the perception's head learns from: regions of rated and of distorted photographs.

Their features are made once, by the network as it is packaged, and kept in files of a few
photographs each, so that an interrupted run goes on where it was.
"""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor
from tqdm import tqdm

from recipes import perception_examples as crops
from rsfiqa.backbones.backbone import Backbone
from rsfiqa.captioners.classifier.features import pixel_features
from rsfiqa.captioners.classifier.network import map_features
from rsfiqa.datasets.entry import Entry
from rsfiqa.images import resize
from rsfiqa.images.load import load_rgb
from rsfiqa.io.atomic import atomic
from rsfiqa.segment.options import SegmentOptions
from rsfiqa.segmenters.superpixel import segment_image

PER_FILE = 20  # distorted photographs, and as many rated ones
SIDES = (320, 384, 448)  # pixels of a crop
REDUCED, SMALLEST = 0.3, 0.7  # probability that a photograph is made smaller, and by how much
LENGTHS = (0.7, 0.25, 0.05)  # probability of one, two and three distortions
TEXTBOOK, LOCAL = 0.4, 0.6  # probabilities of a textbook distortion, and of one of some regions
LOCAL_FRACTIONS = (0.05, 0.6)  # of the area that is distorted
BOTH_STORED, ONE_STORED = 0.4, 0.5  # probabilities
SEED, RATED_SEED, ORDER_SEED = 77, 78, 5

# Of one photograph in n states with R regions: `maps` (n, R, 2 * C), `pixels` (n, R, S), `area`
# (R,), `covered` (R, F) the fraction of a region in which a family is, `severity` (n, F) of each
# family, 0 in states that are not distorted; of a rated photograph: `maps`, `pixels`, `area`,
# `mos`. The regions are those of a distorted state, as in use.
Example = Mapping[str, Tensor]


class Maker:
    """Makes the examples by their numbers.

    Args:
        photographs: with opinions; the well-rated ones of ss03 are distorted.
        backbone: of the feature maps.
        seed: of the distortions.
    """

    def __init__(self, photographs: Sequence[Entry], backbone: Backbone, seed: int = SEED) -> None:
        self.photographs, self.backbone, self.seed = photographs, backbone, seed
        self.pristine = crops.pristine(photographs)
        self.order = np.random.default_rng(ORDER_SEED).permutation(len(photographs))

    def distorted(self, number: int) -> Example:
        """A good photograph, distorted: as it is, distorted, and mostly stored in a file, too."""
        random = np.random.default_rng((self.seed, number))
        index = self.pristine[int(random.integers(len(self.pristine)))]
        intact = crop(load_rgb(self.photographs[index].path), random)
        inside = None
        if random.random() < LOCAL:
            labels = regions_of(intact)
            inside = neighbours(labels, random)[labels]
        return self.example(
            intact, inside, random, textbook_probability=TEXTBOOK, stored=(BOTH_STORED, ONE_STORED)
        )

    def example(
        self,
        intact: np.ndarray,
        inside: np.ndarray | None,
        random: np.random.Generator,
        *,
        textbook_probability: float,
        stored: tuple[float, float],
    ) -> Example:
        """An image as it is, distorted as a whole or in part, and perhaps stored in a file, too.

        Args:
            intact: uint8 (H, W, 3).
            inside: bool (H, W), where it is distorted; None for all of it.
            random: draws the distortions.
            textbook_probability: probability of a textbook distortion instead of realistic ones.
            stored: probabilities that both are stored, and that, if not, the distorted one is.
        """
        found = crops.distort(
            intact, inside, random, textbook_probability=textbook_probability, lengths=LENGTHS
        )
        images, states = [intact, found.pixels], [False, True]
        if random.random() < stored[0]:
            images += crops.store(images, random)
            states += states
        elif random.random() < stored[1]:
            images += crops.store(images[1:], random)
            states += [True]
        labels = regions_of(found.pixels)
        covered = np.outer(covered_fraction(labels, inside), found.severity > 0)
        if found.marked is not None:
            covered[:, crops.FAMILIES.index(crops.WATERMARK)] = covered_fraction(
                labels, found.marked
            )
        severity = np.outer(states, found.severity)
        return self.features(images, labels) | {
            "covered": torch.from_numpy(covered).float(),
            "severity": torch.from_numpy(severity).float(),
        }

    def rated(self, number: int) -> Example:
        """A photograph with an opinion, as it is."""
        entry = self.photographs[self.order[number % len(self.order)]]
        image = crop(load_rgb(entry.path), np.random.default_rng((RATED_SEED, number)))
        return self.features([image], regions_of(image)) | {"mos": torch.tensor(entry.mos)}

    def features(self, images: Sequence[np.ndarray], labels: np.ndarray) -> dict[str, Tensor]:
        """`maps`, `pixels` and `area` of the states of a photograph in the same regions."""
        numbers = np.arange(int(labels.max()) + 1)
        masks = torch.from_numpy(labels == numbers[:, None, None]).float()
        batch = torch.from_numpy(np.stack(images).transpose(0, 3, 1, 2).copy())
        with torch.inference_mode(), torch.autocast("cpu", dtype=torch.bfloat16):
            maps = self.backbone.pixel_maps(batch.contiguous(memory_format=torch.channels_last))
        of_pixels = np.stack([pixel_features(image, labels) for image in images])
        return {
            "maps": map_features(maps, masks[None]).half(),
            "pixels": torch.from_numpy(of_pixels).float(),
            "area": masks.mean((1, 2)),
        }


def make(
    maker: Maker,
    folder: Path,
    files: int,
    *,
    rated: bool = True,
    worker: tuple[int, int] = (0, 1),
) -> None:
    """Make the files that are not there yet.

    Args:
        maker: of the examples.
        folder: of the files.
        files: their number.
        rated: whether they hold rated photographs, too.
        worker: number of this process and of all, which share the files.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for number in tqdm(range(worker[0], files, worker[1]), "regions", mininterval=10):
        path = folder / f"{number:04d}.pt"
        if not path.is_file():
            numbers = range(number * PER_FILE, (number + 1) * PER_FILE)
            found = list(map(maker.distorted, numbers))
            if rated:
                found += map(maker.rated, numbers)
            with atomic(path) as partial:
                torch.save(found, partial)


def read(folder: Path, files: int) -> Iterator[Example]:
    """The examples of the first files."""
    for number in range(files):
        yield from torch.load(folder / f"{number:04d}.pt", weights_only=True)


def crop(image: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A square of a photograph that may be made smaller, half of them mirrored."""
    if random.random() < REDUCED:
        factor = random.uniform(SMALLEST, 1)
        image = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    side = min(int(random.choice(SIDES)), *image.shape[:2])
    y, x = (int(random.integers(length - side + 1)) for length in image.shape[:2])
    part = image[y : y + side, x : x + side]
    return np.ascontiguousarray(part[:, ::-1] if random.random() < 0.5 else part)


def regions_of(image: np.ndarray) -> np.ndarray:
    """The label map of an image in its own size."""
    return resize.fit_labels(segment_image(image, SegmentOptions()), image.shape[:2])


def covered_fraction(labels: np.ndarray, mask: np.ndarray | None) -> np.ndarray:
    """The fraction of each region that a mask covers, float64 (R,) in [0, 1]; None covers all."""
    area = np.bincount(labels.ravel())
    if mask is None:
        return np.ones(len(area))
    covered: np.ndarray = np.bincount(labels.ravel(), mask.ravel()) / area
    return covered


def neighbours(labels: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Some regions that lie together, up to a fraction of the area: bool (R,), one at least."""
    count = np.bincount(labels.ravel())
    fraction, rows = random.uniform(*LOCAL_FRACTIONS), np.indices(labels.shape)
    centers = np.stack([np.bincount(labels.ravel(), each.ravel()) / count for each in rows])
    first = int(random.integers(len(count)))
    order = np.argsort(((centers - centers[:, [first]]) ** 2).sum(0))
    within = np.cumsum(count[order]) <= fraction * labels.size
    chosen = np.zeros(len(count), bool)
    chosen[order[: max(int(within.sum()), 1)]] = True
    return chosen
