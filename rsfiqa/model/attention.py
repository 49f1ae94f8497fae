"""Attention among the regions of an image, and from each region to its own grid cells.

The paper names region-aware semantic attention and gives no formula; all of these are decisions of
this project.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional

from rsfiqa.architecture import MIN_VARIANCE


class RegionSelfAttention(nn.Module):
    """A pre-norm transformer block over the region tokens of an image.

    `out_proj` and `fc2` start at zero, so that an untrained block is the identity. Absent regions
    are masked as keys.

    Args:
        width: channels of a token, D; a multiple of `heads`.
        heads: attention heads.
        dropout: fraction of the hidden units of the feed-forward layer dropped in training.
    """

    def __init__(self, width: int, *, heads: int, dropout: float) -> None:
        super().__init__()
        self.heads = heads
        self.norm1 = nn.LayerNorm(width)
        self.qkv = nn.Linear(width, 3 * width)
        self.out_proj = nn.Linear(width, width)
        self.norm2 = nn.LayerNorm(width)
        self.fc1 = nn.Linear(width, 2 * width)
        self.dropout = nn.Dropout(dropout)
        self.fc2 = nn.Linear(2 * width, width)
        for layer in (self.out_proj, self.fc2):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, tokens: Tensor, present: Tensor) -> Tensor:
        """The tokens float (B, R, D) after attention and the feed-forward layer.

        Args:
            tokens: float (B, R, D).
            present: bool (B, R), the regions that are attended to.
        """
        images, regions, width = tokens.shape
        qkv = self.qkv(self.norm1(tokens)).view(images, regions, 3, self.heads, -1)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)  # each (B, heads, R, D / heads)
        attended = functional.scaled_dot_product_attention(
            query, key, value, attn_mask=present[:, None, None, :]
        )
        tokens = tokens + self.out_proj(attended.transpose(1, 2).reshape(images, regions, width))
        hidden = self.dropout(functional.gelu(self.fc1(self.norm2(tokens))))
        added: Tensor = self.fc2(hidden)
        return tokens + added


def attend_within(logits: Tensor, coverage: Tensor) -> Tensor:
    """The attention of each region over its own cells: float (B, R, N), sums to 1 over N.

    The softmax over cells of `logits` + log `coverage`: equal logits spread the attention evenly
    over the area of the region, and a cell outside the region gets 0. A region that covers no
    cell has 0 everywhere.

    Args:
        logits: float (B, R, N).
        coverage: float (B, R, N), fraction of each cell covered by each region, in [0, 1].
    """
    peak = logits.masked_fill(coverage == 0, -torch.inf).amax(-1, keepdim=True)
    peak = torch.where(peak.isfinite(), peak, torch.zeros_like(peak)).detach()
    mass = coverage * (logits - peak).clamp_max(0).exp()  # (B, R, N)
    return mass / mass.sum(-1, keepdim=True).clamp_min(torch.finfo(mass.dtype).tiny)


def masked_softmax(logits: Tensor, present: Tensor) -> Tensor:
    """Softmax over the present entries of the last axis: float (B, R), 0 for absent ones.

    Args:
        logits: float (B, R).
        present: bool (B, R), with at least one True in each row.
    """
    return logits.masked_fill(~present, -torch.inf).softmax(-1)


def pool_statistics(grid_features: Tensor, weights: Tensor) -> Tensor:
    """Weighted mean and standard deviation of each channel, by the law of total variance.

    Args:
        grid_features: float (B, N, 2, C), mean and standard deviation within each cell.
        weights: float (B, K, N), K weightings of the cells; each sums to 1 over N.

    Returns:
        float (B, K, 2 * C): the means, then the standard deviations.
    """
    mean, deviation = grid_features.unbind(2)  # (B, N, C)
    # Moments about the unweighted mean keep their digits where the mean is far from 0.
    centre = mean.mean(1, keepdim=True)  # (B, 1, C)
    offset = mean - centre
    first = weights @ offset  # (B, K, C)
    second = weights @ torch.addcmul(deviation.square(), offset, offset)
    deviation = ((second - first.square()).clamp_min(0) + MIN_VARIANCE).sqrt()
    return torch.cat([centre + first, deviation], -1)
