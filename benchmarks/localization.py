"""Distorted-region localization, and the ordering of scores by severity, of one checkpoint."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from skimage.filters import gaussian

from benchmarks.figures import parser
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


def localization(scorer: Scorer, folder: Path) -> dict[str, float]:
    """Share of trials in which the distorted region's quality falls most; and by kind.

    `localization_accuracy_kept` is over the photographs that nothing was fitted on.
    """
    hits: dict[str, list[bool]] = {kind: [] for kind in KINDS}
    chances, kept = [], []
    for i, path in enumerate(sorted(folder.glob("*.png"))):
        image = load.load_rgb(path)
        whole = scorer.predict(image)
        labels, before = whole.regions.labels, whole.prediction
        areas = np.bincount(labels.ravel()) / labels.size
        region = choose_region(areas, np.random.default_rng(i))
        mask = resize.fit_labels(labels, image.shape[:2]) == region
        chances.append(1 / len(areas))
        for kind, found in hits.items():
            for severity in SEVERITIES:
                after = scorer.predict(
                    distort_region(image, mask, kind, severity, i), labels
                ).prediction
                fall = (before.region_quality - after.region_quality)[0].numpy()
                found.append(int(fall.argmax()) == region)
        kept += [f"kodim{path.stem[-2:]}" in HELD_OUT] * len(SEVERITIES)
    every = [hit for found in hits.values() for hit in found]
    return {
        "localization_accuracy": float(np.mean(every)),
        "localization_accuracy_kept": float(np.mean(np.array(every)[kept * len(hits)])),
        "localization_chance": float(np.mean(chances)),
        "localization_trials": len(every),
        **{f"localization_{kind}": float(np.mean(found)) for kind, found in hits.items()},
    }


def ordering(scorer: Scorer, folder: Path) -> dict[str, float]:
    """Share of pairs of levels, 0 to 5, whose scores fall with the level; and by kind."""
    right: dict[str, list[bool]] = {kind: [] for kind in KINDS}
    for i, path in enumerate(sorted(folder.glob("*.png"))):
        image = load.load_rgb(path)
        for kind, found in right.items():
            scores = []
            for severity in range(6):
                random = np.random.default_rng(i)
                worse = distort(image, KINDS[kind], severity, random) if severity else image
                scores.append(float(scorer.predict(worse).prediction.quality[0]))
            found += [scores[a] > scores[b] for a in range(6) for b in range(a + 1, 6)]
    every = [hit for found in right.values() for hit in found]
    return {
        "ordering_accuracy": float(np.mean(every)),
        "ordering_pairs": len(every),
        **{f"ordering_{kind}": float(np.mean(found)) for kind, found in right.items()},
    }


def main(arguments: Sequence[str]) -> None:
    """Print the figures of a checkpoint."""
    options = parser(__name__, __doc__)
    options.add_argument("--checkpoint", type=Path, help="folder; by default the packaged one")
    options.add_argument("--images", type=Path, required=True, help="folder of pristine PNG files")
    given = options.parse_args(arguments)
    scorer = Scorer.load(given.checkpoint)
    for measure in (localization, ordering):
        print(measure(scorer, given.images), flush=True)
