"""The demo set: real photographs out of installed packages, distorted at five levels.

Its scores are pseudo-MOS: the structural similarity of each image to its pristine source, times
100. They show that the pipeline runs; they say nothing about how people judge.
"""

from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image
from skimage.color import rgb2gray
from skimage.metrics import structural_similarity

from rsfiqa.datasets.entry import Entry
from rsfiqa.errors import InputError
from rsfiqa.images.distort import DISTORTIONS, SEVERITIES
from rsfiqa.images.load import read_rgb
from rsfiqa.io.atomic import atomic
from rsfiqa.splits import seed_of

MOS_RANGE = (0.0, 100.0)
MOS_NOTE = "pseudo: SSIM x 100 (Wang et al. 2004) of the luma to the pristine source"
SOURCES = (
    "skimage/data/astronaut.png",
    "skimage/data/chelsea.png",
    "skimage/data/coffee.png",
    "skimage/data/hubble_deep_field.jpg",
    "skimage/data/motorcycle_left.png",
    "skimage/data/retina.jpg",
    "skimage/data/rocket.jpg",
    "sklearn/datasets/images/china.jpg",
    "sklearn/datasets/images/flower.jpg",
    "matplotlib/mpl-data/sample_data/grace_hopper.jpg",
)
FAMILIES = ("noise", "blur", "compression", "underexposure")
COUNT = len(SOURCES) * (1 + len(FAMILIES) * len(SEVERITIES))
LONG_SIDE = 384  # pixels
PNG_LEVEL = 1  # the set in 5 s instead of 9, for files 8 % larger


def make(
    folder: Path, *, seed: int, long_side: int = LONG_SIDE, sources: Sequence[str] = SOURCES
) -> list[Entry]:
    """Write the demo's images into a folder; the same bytes each time.

    Args:
        folder: where the PNG files go.
        seed: of the noise.
        long_side: of the images, pixels; larger photographs are reduced to it.
        sources: package files, `package/path`.

    Returns:
        Per source the pristine image (level 0) and each distortion at levels 1 to 5. The source
        is the group, the MOS is a pseudo-MOS.

    Raises:
        InputError: a package or its photograph is missing.
    """
    entries = []
    for source in sources:
        pristine = photograph(source, long_side)
        group = Path(source).stem
        entries.append(_entry(folder, group, pristine, pristine))
        for family in FAMILIES:
            for severity in SEVERITIES:
                random = np.random.default_rng(seed_of(seed, group, family, severity))
                image = DISTORTIONS[family](pristine, severity, random)
                entries.append(_entry(folder, group, pristine, image, family, severity))
    return entries


def photograph(source: str, long_side: int = LONG_SIDE) -> np.ndarray:
    """One of the photographs `SOURCES`, uint8 (H, W, 3), reduced to a long side in pixels.

    Raises:
        InputError: as `make`.
    """
    return _reduced(read_rgb(_installed(source)), long_side)


def pseudo_mos(image: np.ndarray, pristine: np.ndarray) -> float:
    """The structural similarity of two images, times 100: in [0, 100], higher is better.

    Window and constants of Wang et al. (2004), on the luma.

    Args:
        image: uint8, shape (H, W, 3).
        pristine: the same.
    """
    similarity = structural_similarity(
        rgb2gray(pristine),
        rgb2gray(image),
        data_range=1.0,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    return 100.0 * max(0.0, float(similarity))


def _installed(source: str) -> Path:
    package, _, inner = source.partition("/")
    spec = find_spec(package)
    path = Path(spec.origin).parent / inner if spec and spec.origin else Path(source)
    if not path.is_file():
        raise InputError(
            f"demo: needs {inner} of the Python package {package}, found no such file; install"
            " scikit-image, scikit-learn and matplotlib again"
        )
    return path


def _reduced(image: np.ndarray, long_side: int) -> np.ndarray:
    height, width = image.shape[:2]
    scale = min(1.0, long_side / max(height, width))
    size = (round(width * scale), round(height * scale))
    return np.asarray(Image.fromarray(image).resize(size, Image.Resampling.LANCZOS))


def _entry(
    folder: Path,
    group: str,
    pristine: np.ndarray,
    image: np.ndarray,
    distortion: str | None = None,
    severity: int = 0,
) -> Entry:
    image_id = f"{group}_{distortion}_{severity}.png" if distortion else f"{group}.png"
    with atomic(folder / image_id) as partial:
        Image.fromarray(image).save(partial, format="PNG", compress_level=PNG_LEVEL)
    return Entry(
        image_id=image_id,
        path=folder / image_id,
        group=group,
        location=f"demo {image_id}",
        mos=pseudo_mos(image, pristine),
        distortion=distortion,
        severity=severity,
    )
