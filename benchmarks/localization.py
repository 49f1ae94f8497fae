"""Distorted-region localization, and the ordering of scores by severity, of one checkpoint.

The figures of the packaged one are written.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations, product
from pathlib import Path

import numpy as np
from skimage.filters import gaussian

from benchmarks.figures import parser, write
from rsfiqa import Scorer
from rsfiqa.datasets.kodak import HELD_OUT
from rsfiqa.images import load, resize
from rsfiqa.images.distort import distort
from rsfiqa.train.distorted import choose_region

SEVERITIES = (1, 3, 5)  # of localization
KINDS = {name: name for name in ("noise", "blur", "compression")} | {"color": "saturation_low"}


def distort_region(
    image: np.ndarray, mask: np.ndarray, kind: str, severity: int, seed: int
) -> np.ndarray:
    """The image with one region distorted, blended over its border.

    Args:
        image: uint8 (H, W, 3).
        mask: bool (H, W), the region.
        kind: one of `KINDS`.
        severity: 1 to 5.
        seed: of noise.
    """
    worse = distort(image, KINDS[kind], severity, np.random.default_rng(seed))
    fraction = gaussian(mask.astype(np.float32), 1.0)[..., None]
    blended: np.ndarray = np.rint(image + fraction * (worse.astype(np.float32) - image)).astype(
        np.uint8
    )
    return blended


@dataclass(frozen=True)
class Trial:
    """A trial of localization or ordering.

    Attributes:
        photograph: name of the pristine photograph's file.
        kind: of `KINDS`.
        name: the severity, or the two that are compared.
        right: whether the distorted region, or the more severe distortion, was found.
        chance: probability that a guess is right.
    """

    photograph: str
    kind: str
    name: str
    right: bool
    chance: float


def localization_trials(scorer: Scorer, folder: Path) -> list[Trial]:
    """Whether the distorted region's quality falls most, for each photograph, kind and severity."""
    trials = []
    for i, path in enumerate(sorted(folder.glob("*.png"))):
        image = load.load_rgb(path)
        whole = scorer.predict(image)
        labels, before = whole.regions.labels, whole.prediction
        areas = np.bincount(labels.ravel()) / labels.size
        region = choose_region(areas, np.random.default_rng(i))
        mask = resize.fit_labels(labels, image.shape[:2]) == region
        for kind, severity in product(KINDS, SEVERITIES):
            after = scorer.predict(
                distort_region(image, mask, kind, severity, i), labels
            ).prediction
            fall = (before.region_quality - after.region_quality)[0].numpy()
            right = int(fall.argmax()) == region
            trials.append(Trial(path.name, kind, str(severity), right, 1 / len(areas)))
    return trials


def ordering_trials(scorer: Scorer, folder: Path) -> list[Trial]:
    """Whether the score falls from one severity, 0 to 5, to a higher one, for each pair."""
    trials = []
    for i, path in enumerate(sorted(folder.glob("*.png"))):
        image = load.load_rgb(path)
        for kind in KINDS:
            scores = []
            for severity in range(6):
                random = np.random.default_rng(i)
                worse = distort(image, KINDS[kind], severity, random) if severity else image
                scores.append(float(scorer.predict(worse).prediction.quality[0]))
            trials += [
                Trial(path.name, kind, f"{a}-{b}", scores[a] > scores[b], 0.5)
                for a, b in combinations(range(6), 2)
            ]
    return trials


def localization(scorer: Scorer, folder: Path) -> dict[str, float]:
    """Fraction of trials in which the distorted region's quality falls most; and by kind.

    `localization_accuracy_kept` is over the photographs that nothing was fitted on.
    """
    trials = localization_trials(scorer, folder)
    kept = [t.right for t in trials if f"kodim{Path(t.photograph).stem[-2:]}" in HELD_OUT]
    return {
        "localization_accuracy": float(np.mean([t.right for t in trials])),
        "localization_accuracy_kept": float(np.mean(kept)),
        "localization_chance": float(np.mean([t.chance for t in trials])),
        "localization_trials": len(trials),
        **{f"localization_{kind}": _right(trials, kind) for kind in KINDS},
    }


def ordering(scorer: Scorer, folder: Path) -> dict[str, float]:
    """Fraction of pairs of severities, 0 to 5, whose scores fall with the severity; and by kind."""
    trials = ordering_trials(scorer, folder)
    return {
        "ordering_accuracy": float(np.mean([t.right for t in trials])),
        "ordering_pairs": len(trials),
        **{f"ordering_{kind}": _right(trials, kind) for kind in KINDS},
    }


def _right(trials: Sequence[Trial], kind: str) -> float:
    """The fraction of trials of a kind that are right."""
    return float(np.mean([trial.right for trial in trials if trial.kind == kind]))


def main(arguments: Sequence[str]) -> None:
    """Measure a checkpoint, and print its figures."""
    options = parser(__name__, __doc__)
    options.add_argument("--checkpoint", type=Path, help="folder; by default the packaged one")
    options.add_argument("--images", type=Path, required=True, help="folder of pristine PNG files")
    given = options.parse_args(arguments)
    scorer = Scorer.load(given.checkpoint)
    figures = localization(scorer, given.images) | ordering(scorer, given.images)
    if given.checkpoint is None:
        write("bench-localization", figures, "python -m benchmarks localization --images DIR/kodak")
    else:
        print(json.dumps(figures, indent=2))
