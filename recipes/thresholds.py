"""Probabilities from which the captioner `classifier` names a family.

Writes rsfiqa/captioners/classifier/thresholds.json, from well-rated photographs of BIQ2021 that the
perception's recipe holds out. Each family has the probability that the same share of their regions
exceeds; the share is the largest at which few of their worst regions name anything.
"""

import sys
from collections.abc import Sequence

import cv2
import numpy as np
import torch
from tqdm import tqdm

from benchmarks.figures import add_data, parser
from recipes.perception import photographs
from rsfiqa.captioners.classifier.captioner import THRESHOLDS
from rsfiqa.captioners.classifier.weights import packaged
from rsfiqa.images import resize
from rsfiqa.images.load import load_rgb
from rsfiqa.io.json_files import write_json
from rsfiqa.segment.options import SegmentOptions
from rsfiqa.segmenters.superpixel import segment_image

GOOD = 0.75  # lowest MOS of a good photograph
FALSE_ALARMS = 0.05  # largest share of good photographs whose worst region names a distortion
LOWEST, HIGHEST = 0.15, 0.9  # of a threshold
SHARES = np.geomspace(0.03, 0.0003, 60)  # of regions that exceed a threshold, tried in this order


def main(arguments: Sequence[str]) -> None:
    """Perceive, choose, write."""
    options = parser(__name__, __doc__)
    add_data(options, "BIQ2021")
    data = options.parse_args(arguments).data
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    probabilities, worst = [], []
    good = [e for e in photographs(data)[1] if e.image_id.startswith("ss03") and e.mos > GOOD]  # type: ignore[operator]
    for entry in tqdm(good, "perceive"):
        image = load_rgb(entry.path)
        labels = segment_image(image, SegmentOptions())
        perceived = packaged().perceive(image, resize.fit_labels(labels, image.shape[:2]))
        probabilities.append(perceived.probability)
        worst.append(perceived.probability[np.argmin(perceived.quality)])
    found = choose(np.concatenate(probabilities), np.stack(worst))
    rounded = [round(float(value), 3) for value in found]
    write_json(THRESHOLDS, dict(zip(packaged().families, rounded, strict=True)))


def choose(probabilities: np.ndarray, worst: np.ndarray) -> np.ndarray:
    """The threshold of each family, float (F,).

    Args:
        probabilities: float (R, F), of the regions of good photographs.
        worst: float (N, F), of the worst region of each photograph.
    """
    for share in SHARES:
        found = np.clip(np.quantile(probabilities, 1 - share, axis=0), LOWEST, HIGHEST)
        if (worst >= found).any(axis=1).mean() <= FALSE_ALARMS:
            break
    return np.asarray(found)


if __name__ == "__main__":
    main(sys.argv[1:])
