"""The baselines: other methods, fitted and tested on the same splits as the model.

The methods themselves are imported when one is fitted, since scikit-learn takes a second.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, cast

from rsfiqa.registry import Registry, resolve

if TYPE_CHECKING:
    import numpy as np

    from rsfiqa.samples import Samples

    FitPredict = Callable[[Samples, Samples], np.ndarray]


@dataclass(frozen=True)
class Baseline:
    """A method that is fitted anew on the training part of each split.

    Attributes:
        label: its name in tables.
        description: what it is, for the help text.
        target: its function, `module:name`; see `load`.
    """

    label: str
    description: str
    target: str

    def load(self) -> "FitPredict":
        """The function behind `target`.

        It takes the training and the test images and returns the predicted quality of the test
        images, float64 (N,), on the scale of the training images.
        """
        return cast("FitPredict", resolve(self.target))


BASELINES: Registry[Baseline] = Registry("baseline")
BASELINES.register(
    "brisque",
    Baseline(
        "BRISQUE",
        "a support vector regression on the features of BRISQUE",
        "rsfiqa.benchmark.brisque:fit_predict",
    ),
)
BASELINES.register(
    "mlp",
    Baseline(
        "MLP (frozen backbone)",
        "a network with one hidden layer on mean-pooled features of the frozen backbone",
        "rsfiqa.benchmark.mlp:fit_predict",
    ),
)
BASELINES.register(
    "probe",
    Baseline(
        "SVR probe (frozen backbone)",
        "a support vector regression on whole-image statistics of the frozen backbone",
        "rsfiqa.benchmark.probe:fit_predict",
    ),
)
