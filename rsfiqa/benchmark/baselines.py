"""Other methods on the same splits."""

from collections.abc import Callable
from functools import cache

import cv2
import numpy as np
from sklearn.compose import TransformedTargetRegressor
from sklearn.model_selection import GridSearchCV, GroupKFold
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import MinMaxScaler, StandardScaler
from sklearn.svm import SVR

from rsfiqa.samples import Samples, read_again

BRISQUE_FEATURES = 36


FEW = 20  # of fewer training images none is spared to stop a network early


def whole_image_statistics(data: Samples) -> np.ndarray:
    """Mean and standard deviation of every backbone channel over the image: float64 (N, 2 * C)."""
    grid_features = data.batch.grid_features.flatten(3).double().numpy()  # (N, 2, C, G * G)
    mean = grid_features[:, 0].mean(axis=-1)
    # law of total variance: within cells plus between cells
    variance = np.square(grid_features[:, 1]).mean(axis=-1) + grid_features[:, 0].var(axis=-1)
    return np.concatenate([mean, np.sqrt(variance)], axis=1)


def probe(trained: Samples, tested: Samples) -> np.ndarray:
    """Quality (N,) by RBF support vector regression on whole-image statistics."""
    regression = make_pipeline(StandardScaler(), SVR(C=1.0, epsilon=0.05))
    regression.fit(whole_image_statistics(trained), trained.quality)
    return regression.predict(whole_image_statistics(tested))


def mlp(trained: Samples, tested: Samples) -> np.ndarray:
    """Quality (N,) by a network with one hidden layer on mean-pooled features of the backbone.

    It stops early on a tenth of the training images, if they are not few.
    """

    def pooled(data: Samples) -> np.ndarray:
        return data.batch.grid_features[:, 0].flatten(2).double().numpy().mean(axis=-1)  # (N, C)

    network = MLPRegressor(
        hidden_layer_sizes=(256,),
        alpha=10,
        early_stopping=len(trained) >= FEW,
        n_iter_no_change=20,
        max_iter=500,
        random_state=0,
    )
    # with quality as it is, in [0, 1], it stops before it has learnt anything
    scaled = make_pipeline(StandardScaler(), network)
    regression = TransformedTargetRegressor(scaled, transformer=StandardScaler())
    regression.fit(pooled(trained), trained.quality)
    return regression.predict(pooled(tested))


def brisque(trained: Samples, tested: Samples) -> np.ndarray:
    """Quality (N,) by RBF support vector regression on the features of BRISQUE.

    Mittal, Moorthy and Bovik 2012; OpenCV's implementation of the features, fitted anew. The
    hyperparameters are chosen by cross-validation on the training images, as the authors advise.
    """
    regression = make_pipeline(MinMaxScaler((-1, 1)), SVR(epsilon=0.05))
    grid = {"svr__C": [0.1, 1.0, 10.0, 100.0], "svr__gamma": [0.01, 0.05, 0.2]}
    groups = trained.groups if len(set(trained.groups)) > 1 else trained.image_ids
    folds = min(5, len(set(groups)))
    search = GridSearchCV(regression, grid, cv=GroupKFold(folds))
    search.fit(brisque_features(trained), trained.quality, groups=groups)
    return search.predict(brisque_features(tested))


def brisque_features(data: Samples) -> np.ndarray:
    """The 36 features of each image, read again: float64 (N, 36); 0 where there is none."""
    return np.stack([_brisque_features(path) for path in data.rows["path"].to_pylist()])


@cache
def _brisque_features(path: str) -> np.ndarray:
    image = np.ascontiguousarray(read_again(path)[..., ::-1])
    compute = cv2.quality.QualityBRISQUE_computeFeatures  # type: ignore[attr-defined]
    try:
        found = compute(image)[0].astype(float)
    except cv2.error:  # too small for its second scale
        return np.zeros(BRISQUE_FEATURES)
    return np.nan_to_num(found)  # of a constant image


BASELINES: dict[str, Callable[[Samples, Samples], np.ndarray]] = {
    "brisque": brisque,
    "mlp": mlp,
    "probe": probe,
}
