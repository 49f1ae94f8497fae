"""Synthetic bursts: frames of one scene, one of them sharp, each of the others with one fault."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from pathlib import Path

import numpy as np
from PIL import Image

from rsfiqa.images.load import load_rgb
from rsfiqa.images.realistic.distort import RealisticDistortion, distort
from rsfiqa.splits import seed_of

SHARP = "sharp"
SEVERITIES = (2, 3, 4, 5)  # of motion, defocus and noise; 1 is just visible
BRIGHTNESS = 0.6  # of the dark frame, relative to the sharp one
MARGIN = 0.06  # of each side, by which the frames are cut and shifted against each other
START = datetime(2024, 5, 1, 12)
INTERVAL = timedelta(milliseconds=180)  # between two frames
QUALITY = 95  # of JPEG
EXIF, TIME, SUBSECOND = 0x8769, 0x9003, 0x9291  # tags: directory, DateTimeOriginal, its fraction

Fault = Callable[[np.ndarray, np.random.Generator], np.ndarray]


def _realistic(family: str, variant: str) -> Fault:
    """A realistic distortion of a random severity."""

    def apply(image: np.ndarray, random: np.random.Generator) -> np.ndarray:
        severity = int(random.choice(SEVERITIES))
        return distort(image, RealisticDistortion(family, variant, severity), random)

    return apply


def _darkened(image: np.ndarray, _random: np.random.Generator) -> np.ndarray:
    return np.rint(image * BRIGHTNESS).astype(np.uint8)


def _unchanged(image: np.ndarray, _random: np.random.Generator) -> np.ndarray:
    return image


FRAMES: Mapping[str, Fault] = {
    SHARP: _unchanged,
    "motion": _realistic("motion_blur", "camera_shake"),
    "defocus": _realistic("defocus", "defocus"),
    "noise": _realistic("noise", "sensor_noise"),
    "dark": _darkened,
}


def write_burst(photograph: Path, folder: Path, number: int) -> None:
    """Write the frames of one burst, in random order, a fraction of a second apart.

    Args:
        photograph: of which the frames are made.
        folder: of the frames; their names end in what is done to them.
        number: of the burst, which sets its time.
    """
    folder.mkdir(parents=True, exist_ok=True)
    image = load_rgb(photograph)
    random = np.random.default_rng(seed_of("burst", photograph.name))
    for place, name in enumerate(random.permutation(list(FRAMES))):
        frame = FRAMES[name](_cut(image, random), random)
        taken = START + number * timedelta(minutes=10) + place * INTERVAL
        path = folder / f"{number:03d}-{place}-{name}.jpg"
        Image.fromarray(frame).save(path, quality=QUALITY, exif=exif_of(taken))


def exif_of(taken: datetime) -> Image.Exif:
    """The EXIF data of a picture that was taken at a time."""
    exif = Image.Exif()
    exif[EXIF] = {TIME: f"{taken:%Y:%m:%d %H:%M:%S}", SUBSECOND: f"{taken.microsecond:06d}"}
    return exif


def _cut(image: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """A random cut of an image uint8 (H, W, 3), up to `MARGIN` smaller on each side."""
    ends = []
    for side in image.shape[:2]:
        first, last = random.integers(0, max(1, round(side * MARGIN / 2)) + 1, 2)
        ends.append((first, side - last))
    (top, bottom), (left, right) = ends
    return np.ascontiguousarray(image[top:bottom, left:right])
