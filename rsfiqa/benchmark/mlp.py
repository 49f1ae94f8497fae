"""Baseline: a multilayer perceptron on mean-pooled features of the frozen backbone."""

import numpy as np
from sklearn.compose import TransformedTargetRegressor
from sklearn.neural_network import MLPRegressor
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from rsfiqa.samples import Samples

MIN_EARLY_STOPPING = 20  # training images; with fewer, a tenth of them is too few to validate on


def fit_predict(train: Samples, test: Samples) -> np.ndarray:
    """Quality float64 (N,) by a network with one hidden layer.

    Training stops early, by the error on a tenth of the training images, where they suffice.
    """
    network = MLPRegressor(
        hidden_layer_sizes=(256,),
        alpha=10,
        early_stopping=len(train) >= MIN_EARLY_STOPPING,
        n_iter_no_change=20,
        max_iter=500,
        random_state=0,
    )
    # on quality in [0, 1], not standardised, early stopping ends the training in the first epochs
    regression = TransformedTargetRegressor(
        make_pipeline(StandardScaler(), network), transformer=StandardScaler()
    )
    regression.fit(_mean_pooled(train), train.quality)
    predicted: np.ndarray = regression.predict(_mean_pooled(test))
    return predicted


def _mean_pooled(data: Samples) -> np.ndarray:
    """Mean of each backbone channel over the image: float64 (N, C)."""
    means: np.ndarray = data.batch.grid_features[:, 0].flatten(2).double().numpy().mean(axis=-1)
    return means
