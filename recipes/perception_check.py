"""How well a head of the captioner `classifier` does on photographs that its recipe holds out.

By these figures heads are chosen, before the perception benchmark is run. They are of distorted
photographs of BIQ2021 that were held out of training, of their opinions, and of the opinions of
LIVEC, a set whose opinions the head never sees: one head may fit the first better and the second
worse. Prints a line for each figure and writes nothing. The features take three minutes on a core
and are kept.
"""

import argparse
import sys
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from scipy.stats import spearmanr

from benchmarks.figures import FOLDER, RELEASES, add_data, parser
from benchmarks.perception.measures import auc
from recipes import perception_regions
from recipes.perception import photographs
from recipes.perception_examples import FAMILIES
from recipes.perception_head import Prepared, State, prepare
from recipes.perception_others import RatedLadderMaker
from recipes.perception_regions import Maker
from rsfiqa.backbones import PERCEPTION
from rsfiqa.backbones.loading import load_backbone
from rsfiqa.backbones.weights import PERCEPTION_BACKBONE, PERCEPTION_FILE
from rsfiqa.captioners.classifier.network import PerceptionHead
from rsfiqa.captioners.classifier.weights import read
from rsfiqa.datasets import livec

MIXED, LADDERS, RATED = 14, 12, 25  # files of photographs, each of `perception_regions.PER_FILE`
CHECK_SEED = 177
COVERED = 0.5  # fraction of a region from which a distortion is in it
CLEAR = 3  # severity from which a family should be named


def main(arguments: Sequence[str]) -> None:
    """Make the features that are not there, and print the figures of each head."""
    options = parser(__name__, __doc__)
    add_data(options, "biq2021", "livec")
    options.add_argument(
        "files", nargs="*", type=Path, default=[PERCEPTION_FILE], help="perceptions; the packaged"
    )
    given = options.parse_args(arguments)
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    sets = held_out(given)
    for path in given.files:
        head = read(path).head
        print(path)
        for name, value in figures(head, sets).items():
            print(f"  {name} {value:.4f}")


def held_out(given: argparse.Namespace) -> dict[str, Prepared]:
    """Mixed distortions, ladders of one, and opinions of two sets, by name."""
    _, chosen = photographs(given.data)
    backbone = load_backbone(PERCEPTION_BACKBONE, PERCEPTION)
    unseen = livec.read(given.data / RELEASES["livec"])
    makers: Mapping[str, tuple[Maker, int]] = {
        "mixed": (Maker(chosen, backbone, CHECK_SEED), MIXED),
        "ladders": (RatedLadderMaker(chosen, backbone), LADDERS),
        "biq2021": (RatedMaker(chosen, backbone), RATED),
        "livec": (RatedMaker(unseen, backbone), RATED),
    }
    found = {}
    for name, (maker, files) in makers.items():
        folder = FOLDER / "perception_check" / name
        perception_regions.make(maker, folder, files, rated=False)
        found[name] = prepare(perception_regions.read(folder, files), backbone.channels)
    return found


class RatedMaker(Maker):
    """Makes examples of rated photographs where another makes distorted ones."""

    def distorted(self, number: int) -> perception_regions.Example:
        """As `Maker.rated`."""
        return self.rated(number)


@torch.inference_mode()
def figures(head: PerceptionHead, sets: Mapping[str, Prepared]) -> dict[str, float]:
    """Figures of a head.

    `region_auc` and `whole_auc` are the area under the ROC curve of the soft severity of a family,
    in regions and of the mean over an image, mean over families; `named` the fraction of regions
    of a ladder, from `CLEAR` on, in which its family has the largest; `exact` and `within_one` the
    fraction of its regions whose severity is right, rounded, and is so within one; `srcc` that of
    the mean of regions' quality and opinions.
    """
    distorted = [
        state for name in ("mixed", "ladders") for group in sets[name].distorted for state in group
    ]
    ladders = [state for group in sets["ladders"].distorted for state in group if state.distorted]
    return {
        **_areas_under_curve(head, distorted),
        **_of_ladders(head, ladders),
        **{f"srcc_{name}": _srcc(head, sets[name]) for name in ("biq2021", "livec")},
    }


def _soft(head: PerceptionHead, state: State) -> np.ndarray:
    """Probability times severity of each family, float (R, F)."""
    found = head(state.features[:-1].float())
    soft: np.ndarray = (found["presence"].sigmoid() * found["severity"]).numpy()
    return soft


def _areas_under_curve(head: PerceptionHead, states: Iterable[State]) -> dict[str, float]:
    regions, images = [], []
    for state in states:
        soft, covered = _soft(head, state), state.covered.numpy()
        clear = ((covered == 0) | (covered >= COVERED)).all(1)
        regions.append((soft[clear], covered[clear] >= COVERED))
        area = state.area.numpy()
        images.append(((area @ soft)[None], (area @ covered > 0)[None]))
    return {
        f"{name}_auc": _mean_auc(found) for name, found in (("region", regions), ("whole", images))
    }


def _mean_auc(found: Sequence[tuple[np.ndarray, np.ndarray]]) -> float:
    values, present = (np.concatenate(each) for each in zip(*found, strict=True))
    return float(np.nanmean([auc(values[:, i], present[:, i]) for i in range(len(FAMILIES))]))


def _of_ladders(head: PerceptionHead, states: Iterable[State]) -> dict[str, float]:
    named, errors = [], []
    for state in states:
        family = int(state.severity.argmax())
        inside = state.covered[:, family].numpy() >= COVERED
        truth = float(state.severity[family])
        soft = _soft(head, state)[inside]
        severity = head(state.features[:-1].float())["severity"][:, family].numpy()[inside]
        errors += list(np.abs(severity.round().clip(1, 5) - truth))
        if truth >= CLEAR:
            named += list(soft.argmax(1) == family)
    return {
        "named": float(np.mean(named)),
        "exact": float(np.mean(np.equal(errors, 0))),
        "within_one": float(np.mean(np.less_equal(errors, 1))),
    }


def _srcc(head: PerceptionHead, rated: Prepared) -> float:
    found = [
        float(state.area @ head(state.features[:-1].float())["quality"]) for state in rated.rated
    ]
    return float(spearmanr(found, rated.mos.numpy()).statistic)


if __name__ == "__main__":
    main(sys.argv[1:])
