"""Baseline: a support vector regression on statistics of the frozen backbone's features."""

import numpy as np
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.svm import SVR

from rsfiqa.samples import Samples


def fit_predict(train: Samples, test: Samples) -> np.ndarray:
    """Quality float64 (N,) by RBF support vector regression on whole-image statistics."""
    regression = make_pipeline(StandardScaler(), SVR(C=1.0, epsilon=0.05))
    regression.fit(whole_image_statistics(train), train.quality)
    predicted: np.ndarray = regression.predict(whole_image_statistics(test))
    return predicted


def whole_image_statistics(data: Samples) -> np.ndarray:
    """Mean and standard deviation of each backbone channel over the image: float64 (N, 2 * C)."""
    grid_features = data.batch.grid_features.flatten(3).double().numpy()  # (N, 2, C, G * G)
    mean = grid_features[:, 0].mean(axis=-1)
    # law of total variance: within grid cells plus between grid cells
    variance = np.square(grid_features[:, 1]).mean(axis=-1) + grid_features[:, 0].var(axis=-1)
    return np.concatenate([mean, np.sqrt(variance)], axis=1)
