"""What the perception learns from: crops with opinions, and crops with known distortions."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import cv2
import numpy as np
from PIL import Image
from torch.utils.data import Dataset

from rsfiqa.datasets.entry import Entry
from rsfiqa.images import distort as textbook
from rsfiqa.images.load import load_rgb
from rsfiqa.images.realistic.distort import RealisticDistortion, distort_in_turn, draw_chain
from rsfiqa.vocabulary import FAMILIES as FAMILIES_OF_TEXTBOOKS
from rsfiqa.vocabulary import REALISTIC_FAMILIES, SEVERITIES

SIDE = 320  # pixels of a crop
RATED, PAIRS = 16, 10  # crops with opinions, and pairs of an intact and a distorted one, per step
PRISTINE = 0.68  # lowest MOS of a photograph to be distorted
LENGTHS = (0.6, 0.3, 0.1)  # probability of one, two and three distortions
TEXTBOOK, WHOLE, STORED, REDUCED = 0.2, 0.5, 0.5, 0.3  # probabilities
SMALLEST = SIDE / 512  # factor by which a reduced photograph is made smaller at most
STORAGE = (("JPEG", 70, 97), ("JPEG", 70, 97), ("WEBP", 75, 96), ("AVIF", 65, 91))
FAMILIES = tuple(REALISTIC_FAMILIES)
WATERMARK = "watermark"  # lies on a part of its region alone
LEAST_MARK, MARK_GAP = 2, 0.04  # change of a pixel; between letters, fraction of the longer side
# The realistic family that people would name where a textbook distortion is applied.
REALISTIC = {
    "blur": "defocus",
    "pixelation": "low_resolution",
    "quantization": "banding",
    **{name: name for name in REALISTIC_FAMILIES},
}


@dataclass(frozen=True, eq=False)
class Step:
    """The crops of a step: rated ones, intact ones, and the intact ones distorted.

    Attributes:
        pixels: uint8 (B, 3, SIDE, SIDE), B = RATED + 2 * PAIRS.
        masks: float32 (B, 3, SIDE, SIDE), the whole crop, the region that is or will be distorted,
            and the rest; a distortion of the whole crop has no rest, and the whole stands for it.
        opinions: float32 (RATED,), MOS.
        severity: float32 (PAIRS, F), of each family, 0 if absent.
        everywhere: bool (PAIRS,), whether the whole crop is distorted.
    """

    pixels: np.ndarray
    masks: np.ndarray
    opinions: np.ndarray
    severity: np.ndarray
    everywhere: np.ndarray


class Examples(Dataset[Step]):
    """Steps by their number: each depends on the seed and its number alone.

    Args:
        rated: photographs with opinions.
        seed: seed of everything that is drawn.
    """

    def __init__(self, rated: Sequence[Entry], seed: int) -> None:
        self.paths = [entry.path for entry in rated]
        self.mos = np.array([entry.mos for entry in rated], np.float32)
        self.seed = seed
        self.pristine = pristine(rated)

    def __getitem__(self, number: int) -> Step:
        cv2.setNumThreads(1)
        random = np.random.default_rng((self.seed, number))
        epoch, place = divmod(number, len(self.paths) // RATED)
        order = np.random.default_rng((self.seed, 1, epoch)).permutation(len(self.paths))
        chosen = order[place * RATED : (place + 1) * RATED]
        rated = [self._rated(index, random) for index in chosen]
        pairs = [self._pair(random) for _ in range(PAIRS)]
        images = [*rated, *(pair[0] for pair in pairs), *(pair[1] for pair in pairs)]
        masks = np.ones((len(images), 3, SIDE, SIDE), np.float32)
        everywhere = np.array([pair[2] is None for pair in pairs])
        for pair, (_, _, mask, _) in enumerate(pairs):
            if mask is not None:
                for image in (RATED + pair, RATED + PAIRS + pair):
                    masks[image, 1], masks[image, 2] = mask, ~mask
        return Step(
            pixels=np.stack(images).transpose(0, 3, 1, 2),
            masks=masks,
            opinions=self.mos[chosen],
            severity=np.stack([pair[3] for pair in pairs]),
            everywhere=everywhere,
        )

    def _rated(self, index: int, random: np.random.Generator) -> np.ndarray:
        image = load_rgb(self.paths[index])
        if random.random() < REDUCED:
            factor = random.uniform(SMALLEST, 1)
            image = cv2.resize(image, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
        return crop(image, random)

    def _pair(
        self, random: np.random.Generator
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray | None, np.ndarray]:
        """An intact crop, the same distorted, the mask of the distortion and its severities."""
        index = self.pristine[int(random.integers(len(self.pristine)))]
        intact = crop(load_rgb(self.paths[index]), random)
        mask = None if random.random() < WHOLE else blob(random)
        found = distort(intact, mask, random, textbook_probability=TEXTBOOK, lengths=LENGTHS)
        distorted = found.pixels
        if random.random() < STORED:
            intact, distorted = store([intact, distorted], random)
        return intact, distorted, mask, found.severity


def pristine(photographs: Sequence[Entry]) -> list[int]:
    """The numbers of the well-rated photographs of ss03 (Unsplash), which are distorted."""
    return [
        number
        for number, entry in enumerate(photographs)
        if entry.image_id.startswith("ss03") and entry.mos is not None and entry.mos > PRISTINE
    ]


def crop(image: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A square of `SIDE` pixels, half of them mirrored; smaller images are padded by reflection."""
    bottom, right = (max(SIDE - side, 0) for side in image.shape[:2])
    if bottom or right:
        image = cv2.copyMakeBorder(image, 0, bottom, 0, right, cv2.BORDER_REFLECT)
    y, x = (int(random.integers(side - SIDE + 1)) for side in image.shape[:2])
    part = image[y : y + SIDE, x : x + SIDE]
    return np.ascontiguousarray(part[:, ::-1] if random.random() < 0.5 else part)


def blob(random: np.random.Generator) -> np.ndarray:
    """A smooth random region, bool (SIDE, SIDE), of 15 to 65 % of the area."""
    field = random.standard_normal((SIDE, SIDE)).astype(np.float32)
    smooth = cv2.GaussianBlur(field, (0, 0), SIDE / 8)
    region: np.ndarray = smooth > np.quantile(smooth, random.uniform(0.35, 0.85))
    return region


@dataclass(frozen=True, eq=False)
class Distorted:
    """A distorted image.

    Attributes:
        pixels: uint8 (H, W, 3).
        severity: float32 (F,), of each family, 0 if absent.
        marked: bool (H, W), where a watermark lies; None if there is none.
    """

    pixels: np.ndarray
    severity: np.ndarray
    marked: np.ndarray | None = None


def distort(
    image: np.ndarray,
    mask: np.ndarray | None,
    random: np.random.Generator,
    *,
    textbook_probability: float,
    lengths: Sequence[float],
) -> Distorted:
    """A distorted image.

    Args:
        image: sRGB, uint8 (H, W, 3).
        mask: bool (H, W), true where it is distorted; None for all of it.
        random: draws families and severities.
        textbook_probability: probability of one textbook distortion instead of realistic ones.
        lengths: probability of one, two and three realistic distortions.
    """
    severities = np.zeros(len(FAMILIES), np.float32)
    if random.random() < textbook_probability:
        family = str(random.choice(list(FAMILIES_OF_TEXTBOOKS)))
        severity = int(random.choice(SEVERITIES))
        functions = textbook.variants(family)
        distorted = functions[int(random.integers(len(functions)))](image, severity, random)
        if mask is not None:
            distorted = np.where(mask[..., None], distorted, image)
        severities[FAMILIES.index(REALISTIC[family])] = severity
        return Distorted(distorted, severities)
    marked = None
    for one in draw_chain(random, int(random.choice([1, 2, 3], p=lengths))):
        severities[FAMILIES.index(one.family)] = one.severity
        before, image = image, distort_in_turn(image, [one], random, mask)
        if one.family == WATERMARK:
            marked = mark(before, image)
    return Distorted(image, severities, marked)


Distort = Callable[[np.ndarray, int, np.random.Generator], np.ndarray]  # at a severity


def realistic(family: str, variant: str, mask: np.ndarray | None = None) -> Distort:
    """A realistic distortion of an image, or of what lies in a mask, as a function of severity."""

    def function(image: np.ndarray, severity: int, random: np.random.Generator) -> np.ndarray:
        return distort_in_turn(
            image, [RealisticDistortion(family, variant, severity)], random, mask
        )

    return function


def risen(
    image: np.ndarray, function: Distort, severities: Sequence[int], seed: int | tuple[int, ...]
) -> list[np.ndarray]:
    """An image at each severity of a distortion, 0 for none, with the same random seed."""
    return [
        function(image, severity, np.random.default_rng(seed)) if severity else image
        for severity in severities
    ]


def mark(before: np.ndarray, after: np.ndarray) -> np.ndarray:
    """Where a watermark lies, with the gaps between its letters: bool (H, W)."""
    changed = (np.abs(after.astype(np.int16) - before) > LEAST_MARK).any(2).astype(np.uint8)
    size = 2 * round(MARK_GAP * max(changed.shape)) + 1
    kernel = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (size, size))
    closed: np.ndarray = cv2.morphologyEx(changed, cv2.MORPH_CLOSE, kernel) > 0
    return closed


def store(images: Sequence[np.ndarray], random: np.random.Generator) -> list[np.ndarray]:
    """Images after they were stored in files of one kind and quality."""
    codec, low, high = STORAGE[int(random.integers(len(STORAGE)))]
    quality = int(random.integers(low, high))
    return [reencode(image, codec, quality) for image in images]


def reencode(image: np.ndarray, codec: str, quality: int) -> np.ndarray:
    """The image after it was stored in a file."""
    buffer = io.BytesIO()
    speed = {"speed": 9, "max_threads": 1} if codec == "AVIF" else {}
    Image.fromarray(image).save(buffer, format=codec, quality=quality, **speed)
    return np.asarray(Image.open(buffer).convert("RGB"))
