"""Realistic distortions of known family and severity: of images, of regions, and in chains.

The families and their functions stand in the registry `REALISTIC_FAMILIES`, which this module
reads at each call. Given the same generator, the same pixels come out.
"""

from collections.abc import Iterable, Sequence
from typing import NamedTuple

import cv2
import numpy as np

from rsfiqa.images.realistic.severities import strength_of
from rsfiqa.registry import resolve
from rsfiqa.vocabulary import IMAGING_STEPS, REALISTIC_FAMILIES, SEVERITIES, ImagingStep

# Standard deviation in pixels of the blending over a region's border. Light changes gradually; the
# blending over a border that is out of focus grows with the kernel, by this fraction of its size.
EDGE: dict[ImagingStep, float] = {
    "light": 4.0,
    "lens": 1.0,
    "sensor": 1.0,
    "software": 1.0,
    "file": 1.0,
}
LENS_EDGE = 1 / 3


class RealisticDistortion(NamedTuple):
    """A distortion of a photograph.

    Attributes:
        family: name in `REALISTIC_FAMILIES`.
        variant: name of one of its functions.
        severity: of `SEVERITIES`.
    """

    family: str
    variant: str
    severity: int


def variants(family: str) -> tuple[str, ...]:
    """The names of a family's functions."""
    return tuple(target.partition(":")[2] for target in REALISTIC_FAMILIES[family].variants)


def distort(
    image: np.ndarray, distortion: RealisticDistortion, random: np.random.Generator
) -> np.ndarray:
    """The distorted image: uint8 (H, W, 3).

    Args:
        image: sRGB, uint8 (H, W, 3).
        distortion: family, variant and severity.
        random: draws what the variant leaves open, such as noise or the path of a camera.
    """
    family, variant, severity = distortion
    target = REALISTIC_FAMILIES[family].variants[variants(family).index(variant)]
    result: np.ndarray = resolve(target)(image, strength_of(variant, severity), random)
    return result


def distort_region(
    image: np.ndarray,
    mask: np.ndarray,
    distortion: RealisticDistortion,
    random: np.random.Generator,
) -> np.ndarray:
    """The image with one region distorted, blended over the region's border: uint8 (H, W, 3).

    Inside the region the distortion is that of the whole image.

    Args:
        image: sRGB, uint8 (H, W, 3).
        mask: bool (H, W), true in the region.
        distortion: family, variant and severity.
        random: as for `distort`.
    """
    weight = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), _edge(distortion))[..., None]
    change = distort(image, distortion, random).astype(np.float32) - image
    result: np.ndarray = np.rint(image + weight * change).astype(np.uint8)
    return result


def _edge(distortion: RealisticDistortion) -> float:
    """Standard deviation in pixels of the blending over a region's border."""
    step = REALISTIC_FAMILIES[distortion.family].step
    if step != "lens":
        return EDGE[step]
    return max(EDGE[step], LENS_EDGE * strength_of(distortion.variant, distortion.severity))


def distort_in_turn(
    image: np.ndarray,
    distortions: Iterable[RealisticDistortion],
    random: np.random.Generator,
    mask: np.ndarray | None = None,
) -> np.ndarray:
    """The image uint8 (H, W, 3) with several distortions applied in the order given.

    Args:
        image: sRGB, uint8 (H, W, 3).
        distortions: such as from `draw_chain`.
        random: as for `distort`.
        mask: bool (H, W), true in the region that is distorted; None for the whole image.
    """
    for distortion in distortions:
        if mask is None:
            image = distort(image, distortion, random)
        else:
            image = distort_region(image, mask, distortion, random)
    return image


def draw_chain(
    random: np.random.Generator, length: int = 1, severities: Sequence[int] = SEVERITIES
) -> tuple[RealisticDistortion, ...]:
    """Distortions of different families, none the opposite of another, in imaging order.

    Families, their variants and the severities are drawn uniformly.

    Args:
        random: draws them.
        length: number of distortions, 1 to 3.
        severities: from which the severities are drawn.
    """
    chain: list[RealisticDistortion] = []
    while len(chain) < length:
        taken = {one.family for one in chain}
        free = [name for name in REALISTIC_FAMILIES if not taken & {name, *opposites(name)}]
        family = free[random.integers(len(free))]
        variant = variants(family)[random.integers(len(variants(family)))]
        severity = severities[int(random.integers(len(severities)))]
        chain.append(RealisticDistortion(family, variant, severity))
    return tuple(sorted(chain, key=_imaging_order))


def opposites(family: str) -> set[str]:
    """The families with which a family is never combined, whichever of the two declares it."""
    declared = {name for name, other in REALISTIC_FAMILIES.items() if family in other.opposites}
    return declared | set(REALISTIC_FAMILIES[family].opposites)


def _imaging_order(distortion: RealisticDistortion) -> tuple[int, int]:
    """Sorts by imaging step, then by registration."""
    step = IMAGING_STEPS.index(REALISTIC_FAMILIES[distortion.family].step)
    return step, list(REALISTIC_FAMILIES).index(distortion.family)
