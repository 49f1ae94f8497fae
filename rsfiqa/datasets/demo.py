"""The demo set: photographs from installed packages, distorted at three of the five severities.

Its scores are pseudo-MOS: 100 times the structural similarity of each image to its pristine source.
They show that the pipeline works, but no person gave them.
"""

from collections.abc import Iterator, Sequence
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from PIL import Image
from skimage.color import rgb2gray
from skimage.metrics import structural_similarity

from rsfiqa.datasets.entry import Entry
from rsfiqa.errors import InputError
from rsfiqa.images.distort import distort
from rsfiqa.images.load import load_rgb
from rsfiqa.io.atomic import atomic
from rsfiqa.splits import seed_of

# in color; recipes and benchmarks measure on them
PHOTOGRAPHS = (
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
SOURCES = (
    *PHOTOGRAPHS,
    # a micrograph and grey photographs: references that no other shares its scene with
    "skimage/data/brick.png",
    "skimage/data/camera.png",
    "skimage/data/coins.png",
    "skimage/data/grass.png",
    "skimage/data/gravel.png",
    "skimage/data/ihc.png",
    "skimage/data/moon.png",
)
FAMILIES = ("noise", "blur", "compression", "underexposure")
# Severities of a family, in turn over references and families: each severity is as frequent. Splits
# and intervals are by reference, so that a reference more tells more than two severities more.
IN_TURN = ((1, 3, 5), (1, 2, 4), (2, 3, 5), (1, 3, 4), (2, 4, 5))
LONG_SIDE = 384  # pixels
PNG_LEVEL = 1  # of compression: writes the set in 5 s instead of 9, with files 8 % larger


def make(
    folder: Path, *, seed: int, long_side: int = LONG_SIDE, sources: Sequence[str] = SOURCES
) -> list[Entry]:
    """Write the images of the demo set, with the same bytes each time, and list them.

    Args:
        folder: for the PNG files.
        seed: of the noise.
        long_side: of the images, pixels; larger photographs are reduced to it.
        sources: photographs, as `package/path` of a file in an installed package.

    Returns:
        For each source the pristine image (severity 0) and each distortion at three severities.
        The source is the group, the score a pseudo-MOS.

    Raises:
        InputError: a package or its photograph is missing.
    """
    return [
        entry
        for number, source in enumerate(sources)
        for entry in _distort(
            folder, Path(source).stem, photograph(source, long_side), seed, first=number
        )
    ]


def _distort(
    folder: Path, group: str, pristine: np.ndarray, seed: int, *, first: int
) -> Iterator[Entry]:
    """The images of one source; `first` of `IN_TURN` are the severities of the first family."""
    yield _entry(folder, group, pristine, pristine=pristine)
    turns = [IN_TURN[(first + turn) % len(IN_TURN)] for turn in range(len(FAMILIES))]
    for family, severity in [
        (family, one) for family, turn in zip(FAMILIES, turns, strict=True) for one in turn
    ]:
        random = np.random.default_rng(seed_of(seed, group, family, severity))
        image = distort(pristine, family, severity, random)
        yield _entry(folder, group, image, pristine=pristine, distortion=family, severity=severity)


def photograph(source: str, long_side: int = LONG_SIDE) -> np.ndarray:
    """A photograph of an installed package: uint8 (H, W, 3).

    Args:
        source: one of `SOURCES`.
        long_side: pixels; a larger photograph is reduced to it.

    Raises:
        InputError: the package or its photograph is missing.
    """
    return _reduced(load_rgb(_installed(source)), long_side)


def pseudo_mos(image: np.ndarray, pristine: np.ndarray) -> float:
    """100 times the structural similarity of two images: in [0, 100], higher is better.

    Computed on the luma with the window and the constants of Wang et al. (2004).

    Args:
        image: uint8 (H, W, 3).
        pristine: likewise, of the same size.
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
    image: np.ndarray,
    *,
    pristine: np.ndarray,
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
