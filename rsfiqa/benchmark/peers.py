"""Other methods on the same splits."""

from collections.abc import Callable

import numpy as np
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR

from rsfiqa.samples import Samples


def whole_image_statistics(data: Samples) -> np.ndarray:
    """Mean and standard deviation of every backbone channel over the image: float64 (N, 2 * C)."""
    cells = data.batch.cells.flatten(3).double().numpy()  # (N, 2, C, G * G)
    mean = cells[:, 0].mean(axis=-1)
    # law of total variance: within cells plus between cells
    variance = np.square(cells[:, 1]).mean(axis=-1) + cells[:, 0].var(axis=-1)
    return np.concatenate([mean, np.sqrt(variance)], axis=1)


def probe(trained: Samples, tested: Samples) -> np.ndarray:
    """Quality (N,) by RBF support vector regression on whole-image statistics."""
    regression = make_pipeline(StandardScaler(), SVR(C=1.0, epsilon=0.05))
    regression.fit(whole_image_statistics(trained), trained.quality)
    return regression.predict(whole_image_statistics(tested))


PEERS: dict[str, Callable[[Samples, Samples], np.ndarray]] = {"probe": probe}
