"""A baseline for tests."""

import numpy as np

from rsfiqa.samples import Samples


def mean_quality(train: Samples, test: Samples) -> np.ndarray:
    """The mean quality of the training images, for every test image: float64 (N,)."""
    return np.full(len(test), train.quality.mean(dtype=np.float64))
