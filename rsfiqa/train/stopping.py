"""Stopping when a validation part of the training images gets no better."""

from collections.abc import Callable
from typing import Any

from torch import nn


class BestEpoch:
    """The epoch that a judge finds best, and whether it is time to stop.

    Args:
        judge: how good a module is, such as its SRCC on validation images; higher is better.
        patience: epochs without a better one after which it is time to stop.
    """

    def __init__(self, judge: Callable[[Any], float], patience: int) -> None:
        self.judge, self.patience = judge, patience
        self.scores: list[float] = []
        self.best: dict[str, Any] = {}

    def stop(self, module: nn.Module) -> bool:
        """Judge the module as it is after one more epoch; whether to stop."""
        was_training = module.training
        module.eval()
        self.scores.append(self.judge(module))
        module.train(was_training)
        if self.epoch == len(self.scores):
            self.best = {name: value.clone() for name, value in module.state_dict().items()}
        return self.over

    @property
    def over(self) -> bool:
        """Whether it is time to stop."""
        return bool(self.scores) and len(self.scores) - self.epoch >= self.patience

    @property
    def epoch(self) -> int:
        """The best epoch, from 1; the first of equals."""
        return self.scores.index(max(self.scores)) + 1

    def state_dict(self) -> dict[str, Any]:
        """All that it has seen."""
        return {"scores": self.scores, "best": self.best}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """Go on from what was seen."""
        self.scores, self.best = state["scores"], state["best"]
