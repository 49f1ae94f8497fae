"""Weights of the rule-based captioner, from photographs of Kodak and of installed packages.

Writes rsfiqa/captioners/rule_based/weights.json. The eight photographs of Kodak that are held out
for tests are not read. Those of packages are reduced, as many images on the web are, which makes
them sharper.
"""

import sys
from collections.abc import Sequence

import cv2
import numpy as np
from sklearn.linear_model import LogisticRegression, Ridge
from tqdm import tqdm

from benchmarks.figures import ROOT, add_data, parser
from recipes.perception_others import pristine_photographs
from rsfiqa.captioners.rule_based.features import FEATURES, pixel_features
from rsfiqa.captioners.rule_based.regression import NONE
from rsfiqa.captioners.rule_based.statistics import region_statistics
from rsfiqa.images import resize
from rsfiqa.io.json_files import write_json
from rsfiqa.segment.options import SegmentOptions
from rsfiqa.segmenters.superpixel import segment_image
from rsfiqa.splits import seed_of
from rsfiqa.teach import views
from rsfiqa.vocabulary import FAMILIES

OUTPUT = ROOT / "rsfiqa/captioners/rule_based/weights.json"
CLASSES = (NONE, *FAMILIES)
STRENGTH = 1.0  # inverse regularization of the family classifier
PENALTY = 3.0  # ridge penalty of the severity regressions
NONE_FRACTION = 0.2  # weight of undistorted regions, which are most of those that are captioned


def main(arguments: Sequence[str]) -> None:
    """Collect features, fit, write."""
    options = parser(__name__, __doc__)
    add_data(options, "kodak")
    data = options.parse_args(arguments).data
    cv2.setNumThreads(1)
    photographs = pristine_photographs(data).items()
    found = [
        row for name, image in tqdm(photographs, "calibrate") for row in collected(image, name)
    ]
    values = np.array([row[0] for row in found])
    names, severities = np.array([row[1] for row in found]), np.array([row[2] for row in found])
    write_json(OUTPUT, fitted(values, names, severities))


def collected(image: np.ndarray, name: str) -> list[tuple[np.ndarray, str, int]]:
    """Features, family and severity of a distorted region of each view, and of an intact one."""
    labels = resize.fit_labels(segment_image(image, SegmentOptions()), image.shape[:2])
    rows = []
    for number, distortions in enumerate(views.all_distortions()):
        random = np.random.default_rng(seed_of("calibrate", name, number))
        view = views.evaluation_view(image, labels, distortions, random)
        measured = pixel_features(
            view.image, view.labels, region_statistics(view.image, view.labels)
        )
        ((region, _),) = view.distortions.items()
        for one in distortions:
            rows.append((measured[region], one.family, one.severity))
        others = np.delete(np.arange(len(measured)), region)
        for other in random.permutation(others)[:1]:
            rows.append((measured[other], NONE, 0))
    return rows


def fitted(values: np.ndarray, names: np.ndarray, severities: np.ndarray) -> dict[str, object]:
    """Weights of the standardised features.

    Args:
        values: float64 (N, S), features.
        names: of families or none, (N,).
        severities: int (N,), 0 for none.
    """
    mean, scale = values.mean(axis=0), values.std(axis=0)
    standard = (values - mean) / scale
    none = names == NONE
    weights = np.where(none, NONE_FRACTION / none.mean(), (1 - NONE_FRACTION) / (~none).mean())
    classes = np.array([CLASSES.index(name) for name in names])
    family = LogisticRegression(C=STRENGTH, tol=1e-8, max_iter=5000).fit(standard, classes, weights)
    severity = {}
    for name in FAMILIES:
        chosen = names == name
        fit = Ridge(PENALTY).fit(standard[chosen], severities[chosen])
        severity[name] = [*rounded(fit.coef_), round(float(fit.intercept_), 4)]
    return {
        "features": list(FEATURES),
        "mean": rounded(mean),
        "scale": rounded(scale),
        "family": {
            name: [*rounded(row), round(float(bias), 4)]
            for name, row, bias in zip(CLASSES, family.coef_, family.intercept_, strict=True)
        },
        "severity": severity,
    }


def rounded(values: np.ndarray) -> list[float]:
    """To four decimals."""
    return [round(float(value), 4) for value in values]


if __name__ == "__main__":
    main(sys.argv[1:])
