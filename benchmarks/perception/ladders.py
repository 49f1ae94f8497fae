"""Whether the score falls as a distortion rises from nothing to severity 5."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from benchmarks.perception.assess import assess
from benchmarks.perception.intervals import mean_figure
from benchmarks.perception.measures import falling_pairs
from benchmarks.perception.models import Models
from benchmarks.perception.photographs import Bench, generator
from benchmarks.perception.rain import rain
from rsfiqa.images import load
from rsfiqa.images.realistic import distort
from rsfiqa.images.realistic.distort import RealisticDistortion
from rsfiqa.vocabulary import REALISTIC_FAMILIES, SEVERITIES

RAIN = "rain"
PHOTOGRAPHS = 24
# Single variants that are weak spots of many measures, beside their families.
VARIANTS = {
    "salt_and_pepper": ("noise", "salt_and_pepper"),
    "pixelation": ("low_resolution", "pixelated"),
}


@dataclass(frozen=True)
class Step:
    """A photograph at one severity of a ladder; 0 for the photograph as it is."""

    path: Path
    photograph: int
    ladder: str
    severity: int


def score_step(models: Models, step: Step) -> float:
    """The quality of a photograph at one severity; higher is better, whatever the MOS."""
    return assess(models.scorer, pixels_of(step)).quality


def pixels_of(step: Step) -> np.ndarray:
    """The distorted photograph uint8 (H, W, 3); the same random seed on each step."""
    image = load.load_rgb(step.path)
    if not step.severity:
        return image
    random = generator("ladder", step.photograph, step.ladder)
    if step.ladder == RAIN:
        return rain(image, step.severity, random)
    family, variant = VARIANTS.get(step.ladder) or _variant(step.ladder, step.photograph)
    return distort.distort(image, RealisticDistortion(family, variant, step.severity), random)


def _variant(family: str, photograph: int) -> tuple[str, str]:
    """A family and one of its variants, by turns."""
    kinds = distort.variants(family)
    return family, kinds[photograph % len(kinds)]


def measure(bench: Bench) -> dict[str, float]:
    """The fraction of falling pairs of each ladder, and the least of them."""
    paths = list(enumerate(bench.unseen(PHOTOGRAPHS)))
    ladders = (*REALISTIC_FAMILIES, RAIN, *VARIANTS)
    pristine = [Step(path, number, "", 0) for number, path in paths]
    steps = [
        Step(path, number, ladder, severity)
        for ladder in ladders
        for number, path in paths
        for severity in SEVERITIES
    ]
    values = np.array(bench.processes.map(score_step, [*pristine, *steps], "ladders"))
    base = np.broadcast_to(values[: len(paths)], (len(ladders), len(paths)))[..., None]
    rising = values[len(paths) :].reshape(len(ladders), len(paths), len(SEVERITIES))
    falls = falling_pairs(np.concatenate([base, rising], axis=-1))
    photographs = np.repeat(np.arange(len(paths)), len(SEVERITIES)).tolist()
    found = {
        ladder: mean_figure(f"ladder_pairs_{ladder}", pairs.ravel(), photographs)
        for ladder, pairs in zip(ladders, falls, strict=True)
    }
    return least(found) | {name: value for one in found.values() for name, value in one.items()}


def least(found: dict[str, dict[str, float]]) -> dict[str, float]:
    """The figures of the ladder with the smallest fraction, without its name.

    Args:
        found: figures by ladder, `ladder_pairs_<ladder>` and further ones that begin so.
    """
    ladder = min(found, key=lambda name: found[name][f"ladder_pairs_{name}"])
    return {name.replace(f"_{ladder}", "", 1): value for name, value in found[ladder].items()}
