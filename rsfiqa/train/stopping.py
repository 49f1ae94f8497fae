"""Selection of the best epoch, and early stopping, by a validation metric."""

from collections.abc import Callable
from typing import Any, Generic, TypeVar

from torch import Tensor, nn

M = TypeVar("M", bound=nn.Module)


class BestEpoch(Generic[M]):
    """Keeps the weights of the epoch with the best validation metric.

    Args:
        evaluate: computes the metric of a module, such as the SRCC on the validation images;
            higher is better.
        patience: number of epochs without improvement after which training stops.
    """

    def __init__(self, evaluate: Callable[[M], float], patience: int) -> None:
        self.evaluate, self.patience = evaluate, patience
        self.metrics: list[float] = []
        self.weights: dict[str, Tensor] = {}

    def update(self, module: Any) -> bool:
        """Evaluate a module after one more epoch.

        Args:
            module: an `M`; `AveragedModel.module`, which is typed as any module, is one too.

        Returns:
            Whether training should stop.
        """
        was_training = module.training
        module.eval()
        self.metrics.append(self.evaluate(module))
        module.train(was_training)
        if self.epoch == len(self.metrics):
            self.weights = {name: value.clone() for name, value in module.state_dict().items()}
        return self.should_stop

    @property
    def should_stop(self) -> bool:
        """Whether `patience` epochs have passed without improvement."""
        return bool(self.metrics) and len(self.metrics) - self.epoch >= self.patience

    @property
    def epoch(self) -> int:
        """Number of the best epoch, from 1; the first of equal ones."""
        return self.metrics.index(max(self.metrics)) + 1

    def state_dict(self) -> dict[str, Any]:
        """Return the metrics so far and the best weights."""
        return {"metrics": self.metrics, "weights": self.weights}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Restore what `state_dict` returned."""
        self.metrics, self.weights = state["metrics"], state["weights"]
