"""Probabilities from which the captioner `classifier` names a family.

Writes rsfiqa/captioners/classifier/thresholds.json, from the well-rated photographs of BIQ2021 that
the perception's recipes hold out, as they are and distorted. The thresholds together let few worst
regions of good photographs name anything; within that, most distorted regions have their families
named.
"""

import sys
from collections.abc import Sequence

import cv2
import numpy as np
import torch
from tqdm import tqdm

from benchmarks.figures import FOLDER, add_data, parser
from recipes import perception_regions
from recipes.perception import photographs
from recipes.perception_head import State, prepare
from recipes.perception_regions import Maker
from rsfiqa.captioners.classifier.captioner import THRESHOLDS
from rsfiqa.captioners.classifier.network import PerceptionHead
from rsfiqa.captioners.classifier.weights import packaged
from rsfiqa.io.json_files import write_json

FALSE_ALARMS = 0.05  # largest share of good photographs whose worst region names a distortion
GRID = np.arange(98, 4, -2) / 100  # thresholds that are tried, falling
SMOOTHING = 0.2  # photographs, so that what costs no false alarm is not worth without bound
FILES = 15  # of examples
SEED = 78


def main(arguments: Sequence[str]) -> None:
    """Perceive, choose, write."""
    options = parser(__name__, __doc__)
    add_data(options, "BIQ2021")
    data = options.parse_args(arguments).data
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    perception, folder = packaged(), FOLDER / "perception_thresholds"
    maker = Maker(photographs(data)[1], perception.backbone, SEED)
    perception_regions.make(maker, folder, FILES, rated=False)
    examples = perception_regions.read(folder, FILES)
    prepared = prepare(list(examples), perception.backbone.channels)
    states = [state for group in prepared.distorted for state in group]
    worst, regions, present, weights = perceive(perception.head, states)
    chosen = choose(worst, regions, present, weights)
    rounded = [round(float(value), 2) for value in chosen]
    write_json(THRESHOLDS, dict(zip(perception.families, rounded, strict=True)))


def perceive(
    head: PerceptionHead, states: Sequence[State]
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray]:
    """The arguments of `choose`, from good photographs as they are and distorted."""
    worst, regions, present, weights = [], [], [], []
    for state in tqdm(states, "perceive"):
        with torch.inference_mode():
            outputs = head(state.features[:-1].float())
        probability = outputs["presence"].sigmoid().numpy()
        if state.distorted:
            there = (state.severity > 0).numpy()
            inside = there.any(axis=1)
            regions.append(probability[inside])
            present.append(there[inside])
            weights.append(state.area.numpy()[inside])
        else:
            worst.append(probability[int(outputs["quality"].argmin())])
    return (
        np.stack(worst),
        np.concatenate(regions),
        np.concatenate(present),
        np.concatenate(weights),
    )


def choose(
    worst: np.ndarray, regions: np.ndarray, present: np.ndarray, weights: np.ndarray
) -> np.ndarray:
    """The threshold of each family, float (F,).

    From the highest on, the threshold is lowered whose gain in regions named right is largest for
    the false alarms that it adds.

    Args:
        worst: float (N, F), probabilities in the worst region of each good photograph.
        regions: float (R, F), probabilities in distorted regions.
        present: bool (R, F), whether the family is there.
        weights: float (R,), of these regions.
    """
    right = np.stack(
        [((regions >= level) & present).T @ weights / (weights @ present) for level in GRID],
        axis=1,
    )  # (F, len(GRID))
    position = np.zeros(len(right), int)
    most = FALSE_ALARMS * len(worst)

    def alarms(chosen: np.ndarray) -> int:
        return int((worst >= GRID[chosen]).any(axis=1).sum())

    while True:
        now, best, to = alarms(position), 0.0, position
        for family, first in enumerate(position):
            for level in range(first + 1, len(GRID)):
                lower = np.where(np.arange(len(position)) == family, level, position)
                if (then := alarms(lower)) > most:
                    break
                gain = (right[family, level] - right[family, first]) / (then - now + SMOOTHING)
                if gain > best:
                    best, to = float(gain), lower
        if to is position:
            return GRID[position]
        position = to


if __name__ == "__main__":
    main(sys.argv[1:])
