"""The training loss: (1 - PLCC) / 2 + pairwise ranking + smooth L1.

The paper does not give its loss; this is a decision of this project.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

# Weight of an image of an added set in the loss. With 1,000 images of BIQ2021 added to those of
# LIVEC, weights of 1, 0.3, 0.1 and 0 gave SRCC of .831, .839, .845 and .854 on held-out images of
# LIVEC, .821, .813, .785 and .710 on those of BIQ2021 (means of 2 and 3 splits).
ADDED_WEIGHT = 0.1


@dataclass(frozen=True)
class LossWeights:
    """Weights of the three terms, and the scales of two of them.

    Attributes:
        plcc: weight of (1 - PLCC) / 2.
        ranking: weight of the pairwise ranking term.
        smooth_l1: weight of the smooth L1 term.
        margin: quality difference, in [0, 1], up to which the ranking term of a pair grows with
            the difference; it is constant beyond.
        beta: error, in units of quality, at which smooth L1 turns from quadratic to linear.
    """

    plcc: float = 1.0
    ranking: float = 0.5
    smooth_l1: float = 1.0
    margin: float = 0.1
    beta: float = 0.1


def plcc_loss(predicted: Tensor, quality: Tensor) -> Tensor:
    """(1 - PLCC) / 2 in [0, 1]: float (...), 0.5 if either side is constant.

    Args:
        predicted: float (..., B), predicted quality.
        quality: float (B,), targets.
    """
    a = predicted - predicted.mean(-1, keepdim=True)
    b = quality - quality.mean()
    # The constant, 1e-8 of a unit of quality, squared, keeps a batch of equal targets finite.
    plcc = (a * b).sum(-1) / (a.square().sum(-1) * b.square().sum() + 1e-16).sqrt()
    return (1 - plcc) / 2


def ranking_loss(predicted: Tensor, quality: Tensor, *, margin: float = 0.1) -> Tensor:
    """Mean hinge loss over the pairs of the batch with different targets: float (...).

    The predictions of a pair whose targets differ by d must differ by min(d, margin) in the same
    direction; what is missing, as a fraction of `margin`, is the loss of the pair.

    Args:
        predicted: float (..., B), predicted quality.
        quality: float (B,), targets in [0, 1].
        margin: largest difference that a pair of predictions must have.
    """
    gap = quality[:, None] - quality[None, :]  # (B, B)
    required = gap.clamp(0, margin)
    difference = predicted[..., :, None] - predicted[..., None, :]  # (..., B, B)
    missing = (required - difference).clamp_min(0)
    ordered = (gap > 0).to(predicted.dtype)
    return (missing * ordered).sum((-2, -1)) / margin / ordered.sum().clamp_min(1)


def quality_loss(
    predicted: Tensor,
    quality: Tensor,
    weights: LossWeights | None = None,
    *,
    calibration: Tensor | None = None,
) -> Tensor:
    """The weighted sum of the three terms, averaged over the leading axes of `predicted`: a scalar.

    Args:
        predicted: float (..., B), predicted quality; leading axes are the heads of an ensemble,
            each of which has a loss of its own.
        quality: float (B,), targets in [0, 1], higher is better.
        weights: of the terms; the defaults if None.
        calibration: float (2,), slope and offset from predicted quality to the scale of the
            targets, for smooth L1; the other terms compare images, not values. None if the scales
            are the same.
    """
    weights = weights or LossWeights()
    scaled = predicted if calibration is None else calibration[0] * predicted + calibration[1]
    error = functional.smooth_l1_loss(scaled, quality.expand_as(scaled), beta=weights.beta)
    loss = weights.smooth_l1 * error + weights.plcc * plcc_loss(predicted, quality).mean()
    if weights.ranking:
        ranking = ranking_loss(predicted, quality, margin=weights.margin).mean()
        loss = loss + weights.ranking * ranking
    return torch.as_tensor(loss)


def joint_loss(
    predicted: Tensor, quality: Tensor, dataset: Tensor, calibrations: Sequence[Tensor | None]
) -> Tensor:
    """The loss of a batch of images of several data sets: a scalar.

    Images are compared with those of their own set alone. The sets' losses are weighted by their
    images in the batch, an image of an added set by `ADDED_WEIGHT`.

    Args:
        predicted: float (..., B), predicted quality.
        quality: float (B,), targets, each on the scale of its own set.
        dataset: int64 (B,), number of each image's set.
        calibrations: of each set, as in `quality_loss`.
    """
    losses = [
        quality_loss(predicted[..., own], quality[own], calibration=calibration)
        * (own.sum() / len(own) * (ADDED_WEIGHT if number else 1))
        for number, calibration in enumerate(calibrations)
        if (own := dataset == number).any()
    ]
    return torch.stack(losses).sum()


def localization_loss(
    drop: Tensor, region: Tensor, present: Tensor, *, scale: float = 0.01
) -> Tensor:
    """Cross-entropy of the distorted region under a softmax of the drops in quality: a scalar.

    Args:
        drop: float (B, R), quality of each region before its image was distorted minus that after.
        region: int64 (B,), the region that was distorted.
        present: bool (B, R).
        scale: difference of drops, in units of quality, that changes the odds by a factor of e.
    """
    logits = (drop / scale).masked_fill(~present, -torch.inf)
    return functional.cross_entropy(logits, region)
