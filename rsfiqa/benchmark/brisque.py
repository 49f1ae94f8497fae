"""Baseline: BRISQUE (Mittal, Moorthy and Bovik 2012), fitted anew.

The features are those of OpenCV's implementation.
"""

from functools import cache

import cv2
import numpy as np
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler
from sklearn.svm import SVR

from rsfiqa.images.load import reload_rgb
from rsfiqa.samples import Samples

FEATURES = 36
GRID = {"svr__C": [0.1, 1.0, 10.0, 100.0], "svr__gamma": [0.01, 0.05, 0.2]}
FOLDS = 5


def fit_predict(train: Samples, test: Samples) -> np.ndarray:
    """Quality float64 (N,) by RBF support vector regression on the features of BRISQUE.

    The hyperparameters are chosen by cross-validation on the training images, as the authors
    advise.
    """
    regression = make_pipeline(MinMaxScaler((-1, 1)), SVR(epsilon=0.05))
    groups = train.groups if len(set(train.groups)) > 1 else train.image_ids
    folds = GroupKFold(min(FOLDS, len(set(groups))))
    search = GridSearchCV(regression, GRID, cv=folds)
    search.fit(brisque_features(train), train.quality, groups=groups)
    predicted: np.ndarray = search.predict(brisque_features(test))
    return predicted


def brisque_features(data: Samples) -> np.ndarray:
    """The features of each image, read again from its file: float64 (N, 36).

    All 0 for an image that is too small.
    """
    return np.stack([_features_of(path) for path in data.rows["path"].to_pylist()])


@cache
def _features_of(path: str) -> np.ndarray:
    image = np.ascontiguousarray(reload_rgb(path)[..., ::-1])
    try:
        features = cv2.quality.QualityBRISQUE_computeFeatures(image)[0]  # type: ignore[attr-defined]
    except cv2.error:  # too small for the second scale
        return np.zeros(FEATURES)
    finite: np.ndarray = np.nan_to_num(features.astype(float))  # NaN for a constant image
    return finite
