"""The training loss: (1 - PLCC) / 2 + pairwise ranking + smooth L1."""

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class LossWeights:
    """How much each part counts, and the scales on which two of them bend.

    Attributes:
        plcc: weight of (1 - PLCC) / 2.
        ranking: weight of the pairwise ranking part.
        smooth_l1: weight of the smooth L1 part.
        margin: quality difference, in [0, 1], up to which a pair's order counts in proportion to
            it; pairs that differ by more count fully.
        beta: error, in quality units, at which smooth L1 turns from square to linear.
    """

    plcc: float = 1.0
    ranking: float = 0.5
    smooth_l1: float = 1.0
    margin: float = 0.1
    beta: float = 0.1


def plcc_loss(score: Tensor, quality: Tensor) -> Tensor:
    """(1 - PLCC) / 2 in [0, 1]: float (...), 0 if linear, 0.5 if either side is constant.

    Args:
        score: float (..., B), predictions.
        quality: float (B,), targets.
    """
    a = score - score.mean(-1, keepdim=True)
    b = quality - quality.mean()
    # The constant keeps a batch of equal targets finite: 1e-8 of a quality unit, squared.
    plcc = (a * b).sum(-1) / (a.square().sum(-1) * b.square().sum() + 1e-16).sqrt()
    return (1 - plcc) / 2


def ranking_loss(score: Tensor, quality: Tensor, *, margin: float = 0.1) -> Tensor:
    """Mean hinge over the pairs of the batch: float (...), 0 if every pair is far enough apart.

    A pair whose qualities differ by d should be apart by min(d, margin) in the same direction;
    what is missing, as a share of `margin`, is its loss.

    Args:
        score: float (..., B), predictions.
        quality: float (B,), targets in [0, 1].
        margin: quality difference beyond which a pair need not be further apart.
    """
    gap = quality[:, None] - quality[None, :]  # (B, B)
    wanted = gap.clamp(0, margin)
    missing = (wanted - (score[..., :, None] - score[..., None, :])).clamp_min(0)  # (..., B, B)
    ordered = (gap > 0).to(score.dtype)
    return (missing * ordered).sum((-2, -1)) / margin / ordered.sum().clamp_min(1)


def quality_loss(score: Tensor, quality: Tensor, weights: LossWeights | None = None) -> Tensor:
    """The weighted sum of the three parts, averaged over all leading axes of `score`: a scalar.

    Args:
        score: float (..., B), predictions; leading axes are members of an ensemble, each judged
            by itself.
        quality: float (B,), targets in [0, 1], higher is better.
        weights: the parts' weights; the defaults if None.
    """
    weights = weights or LossWeights()
    error = functional.smooth_l1_loss(score, quality.expand_as(score), beta=weights.beta)
    loss = weights.smooth_l1 * error + weights.plcc * plcc_loss(score, quality).mean()
    if weights.ranking:
        ranking = ranking_loss(score, quality, margin=weights.margin).mean()
        loss = loss + weights.ranking * ranking
    return torch.as_tensor(loss)


def localization_loss(
    fall: Tensor, region: Tensor, present: Tensor, *, scale: float = 0.01
) -> Tensor:
    """Cross-entropy of telling the spoilt region by the fall of its quality: a scalar.

    The regions' shares are a softmax of their falls.

    Args:
        fall: float (B, R), quality of each region before its image was spoilt less that after.
        region: int64 (B,), which region was spoilt.
        present: bool (B, R).
        scale: fall, in quality units, that counts e-fold.
    """
    logits = (fall / scale).masked_fill(~present, -torch.inf)
    return functional.cross_entropy(logits, region)
