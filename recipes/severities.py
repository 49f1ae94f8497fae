"""Severities of the realistic distortions, in even steps of a full-reference measure.

Writes rsfiqa/images/realistic/severities.json. For each variant, the strengths of severity 1 (just
visible) and 5 (terrible) are set by eye, in `ENDS`. Those between are found so that the mean
measure over photographs rises in even steps: photographs of installed packages and the best rated
of BIQ2021's subset ss03.
"""

import sys
from collections.abc import Callable, Sequence
from functools import partial

import cv2
import numpy as np
from scipy.optimize import brentq
from skimage.color import deltaE_ciede2000, rgb2lab
from tqdm import tqdm

from benchmarks.figures import RELEASES, add_data, parser
from rsfiqa.datasets import biq2021, demo
from rsfiqa.images.load import load_rgb
from rsfiqa.images.realistic.severities import FILE
from rsfiqa.io.json_files import write_json
from rsfiqa.registry import resolve
from rsfiqa.splits import seed_of
from rsfiqa.vocabulary import REALISTIC_FAMILIES

SOURCES = (
    "skimage/data/astronaut.png",
    "skimage/data/chelsea.png",
    "skimage/data/coffee.png",
    "skimage/data/rocket.jpg",
    "sklearn/datasets/images/china.jpg",
    "sklearn/datasets/images/flower.jpg",
)
LONG_SIDE = 512  # pixels, of the photographs
RATED = 16  # photographs of BIQ2021
REDUCTION = 4  # before colors are compared, so that noise and texture are averaged as by the eye

Measure = Callable[[np.ndarray, np.ndarray], float]


def structure(pristine: np.ndarray, distorted: np.ndarray) -> float:
    """Root of the gradient magnitude similarity deviation (Xue et al. 2014, OpenCV); 0 if equal.

    In even steps of the deviation itself severities 3 to 5 look alike, and 1 and 2 far apart.
    """
    grey = [cv2.cvtColor(image, cv2.COLOR_RGB2GRAY) for image in (pristine, distorted)]
    deviation = cv2.quality.QualityGMSD_compute(*grey)[0]  # type: ignore[attr-defined]
    return float(np.sqrt(deviation[0]))


def color(pristine: np.ndarray, distorted: np.ndarray) -> float:
    """Mean color difference CIEDE2000 (scikit-image) of the reduced images."""
    height, width = (side // REDUCTION for side in pristine.shape[:2])
    lab = [
        rgb2lab(cv2.resize(image, (width, height), interpolation=cv2.INTER_AREA))
        for image in (pristine, distorted)
    ]
    return float(deltaE_ciede2000(*lab).mean())


# Strength of severities 1 and 5, and the measure of the steps between. GMSD does not see a change
# of tone or color that is the same everywhere; CIEDE2000 does not see blur.
ENDS: dict[str, tuple[float, float, Measure]] = {
    "defocus": (1.1, 9.0, structure),
    "camera_shake": (4.0, 48.0, structure),
    "subject_motion": (3.0, 32.0, structure),
    "sensor_noise": (0.08, 0.8, structure),
    "denoised": (0.15, 1.0, structure),
    "low_light": (3.0, 7.2, structure),
    "salt_and_pepper": (0.0008, 0.1, structure),
    "jpeg": (60.0, 95.0, structure),
    "double_jpeg": (55.0, 95.0, structure),
    "webp": (60.0, 100.0, structure),
    "avif": (55.0, 99.0, structure),
    "overexposure": (0.5, 3.2, color),
    "underexposure": (0.8, 4.5, color),
    "color_cast": (0.15, 1.2, color),
    "haze": (0.08, 1.7, color),
    "upscaled": (1.8, 9.0, structure),
    "pixelated": (1.6, 8.0, structure),
    "halo_sharpening": (0.5, 7.0, structure),
    "contrast_high": (0.25, 2.5, color),
    "contrast_low": (0.2, 0.85, color),
    "saturation_high": (0.3, 2.0, color),
    "saturation_low": (0.3, 1.0, color),
    "banding": (3.4, 6.6, structure),
    "watermark": (0.1, 0.85, structure),
}


def main(arguments: Sequence[str]) -> None:
    """Measure, solve, write."""
    options = parser(__name__, __doc__)
    add_data(options, "biq2021")
    data = options.parse_args(arguments).data
    cv2.setNumThreads(1)
    best = sorted(
        (
            entry
            for entry in biq2021.read(data / RELEASES["biq2021"])
            if entry.image_id.startswith("ss03")
        ),
        key=lambda entry: (-(entry.mos or 0), entry.image_id),
    )
    photographs = {source: demo.photograph(source, LONG_SIDE) for source in SOURCES}
    photographs |= {entry.image_id: load_rgb(entry.path) for entry in best[:RATED]}
    functions = {
        target.partition(":")[2]: resolve(target)
        for family in REALISTIC_FAMILIES.values()
        for target in family.variants
    }
    found = {
        name: even_strengths(
            partial(mean_measure, function, ENDS[name][2], photographs), *ENDS[name][:2]
        )
        for name, function in tqdm(functions.items(), "calibrate")
    }
    write_json(FILE, {"strengths": found})


def mean_measure(
    function: Callable[..., np.ndarray],
    measure: Measure,
    photographs: dict[str, np.ndarray],
    strength: float,
) -> float:
    """The mean measure over photographs; each is distorted with the same seed at any strength."""
    values = [
        measure(
            image, function(image, strength, np.random.default_rng(seed_of("severities", name)))
        )
        for name, image in photographs.items()
    ]
    return float(np.mean(values))


def even_strengths(measure: Callable[[float], float], first: float, last: float) -> list[float]:
    """Five strengths from the first to the last at which a rising measure has even steps."""
    targets = np.linspace(measure(first), measure(last), 5)
    between = [
        brentq(lambda x, target=target: measure(x) - target, first, last, xtol=(last - first) / 200)
        for target in targets[1:-1]
    ]
    return [float(f"{value:.3g}") for value in (first, *between, last)]


if __name__ == "__main__":
    main(sys.argv[1:])
