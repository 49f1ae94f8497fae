"""The scorer as a metric of torchmetrics."""

from typing import Any

import torch
from torch import Tensor
from torchmetrics import Metric

from rsfiqa import Scorer


class MeanScore(Metric):
    """The mean score of images.

    Args:
        scorer: a scorer; by default that of the packaged checkpoint.
        options: of `torchmetrics.Metric`.
    """

    is_differentiable = False
    full_state_update = False
    total: Tensor
    count: Tensor

    def __init__(self, scorer: Scorer | None = None, **options: Any) -> None:
        super().__init__(**options)
        self.scorer = scorer or Scorer.load()
        self.add_state("total", torch.tensor(0.0, dtype=torch.float64), dist_reduce_fx="sum")
        self.add_state("count", torch.tensor(0), dist_reduce_fx="sum")

    @property
    def higher_is_better(self) -> bool:  # type: ignore[override]  # the base has a constant
        """Whether a high score means a good image."""
        return not self.scorer.lower_better

    def update(self, images: Tensor) -> None:
        """Add a batch of images float (B, 3, H, W) in [0, 1]."""
        scores = self.scorer(images)
        self.total += scores.double().sum().to(self.total.device)
        self.count += len(scores)

    def compute(self) -> Tensor:
        """The mean score of the images so far: float32 (); NaN without one."""
        return (self.total / self.count).float()
