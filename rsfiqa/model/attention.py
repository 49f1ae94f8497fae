"""Region-aware attention: among regions, and from each region to its own cells."""

import torch
from torch import Tensor, nn
from torch.nn import functional


class RegionSelfAttention(nn.Module):
    """Self-attention over the region tokens of an image, then a small feed-forward layer.

    Both are residual and start at zero effect. Absent regions are attended by nobody.

    Args:
        width: channels of a token, D; a multiple of `heads`.
        heads: attention heads.
        dropout: share of the feed-forward layer's hidden units dropped in training.
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
        """The tokens (B, R, D) after each has looked at all present ones, bool (B, R)."""
        images, regions, width = tokens.shape
        qkv = self.qkv(self.norm1(tokens)).view(images, regions, 3, self.heads, -1)
        query, key, value = qkv.permute(2, 0, 3, 1, 4)  # each (B, heads, R, D / heads)
        mixed = functional.scaled_dot_product_attention(
            query, key, value, attn_mask=present[:, None, None, :]
        )
        tokens = tokens + self.out_proj(mixed.transpose(1, 2).reshape(images, regions, width))
        return tokens + self.fc2(self.dropout(functional.gelu(self.fc1(self.norm2(tokens)))))


def attend_within(logits: Tensor, coverage: Tensor) -> Tensor:
    """How each region's attention is spread over its own cells.

    The softmax over cells of `logits` + log `coverage`: equal logits give every part of the
    region the same attention, and a cell outside the region gets none.

    Args:
        logits: float (B, R, N).
        coverage: float (B, R, N), share of each cell covered by each region, in [0, 1].

    Returns:
        float (B, R, N), sums to 1 over N; 0 for a region without cells.
    """
    peak = logits.masked_fill(coverage == 0, -torch.inf).amax(-1, keepdim=True)
    peak = torch.where(peak.isfinite(), peak, torch.zeros_like(peak)).detach()
    mass = coverage * (logits - peak).clamp_max(0).exp()  # (B, R, N)
    return mass / mass.sum(-1, keepdim=True).clamp_min(torch.finfo(mass.dtype).tiny)


def masked_softmax(logits: Tensor, present: Tensor) -> Tensor:
    """Softmax over the last axis among the present entries; 0 for the others.

    Args:
        logits: float (B, R).
        present: bool (B, R), with at least one True in each row.
    """
    return logits.masked_fill(~present, -torch.inf).softmax(-1)


def pool_statistics(grid_features: Tensor, weights: Tensor) -> Tensor:
    """Mean and standard deviation of each channel over the cells, by the law of total variance.

    Args:
        grid_features: float (B, N, 2, C), mean and standard deviation within each cell.
        weights: float (B, K, N), of K ways to weigh the cells; each sums to 1 over N.

    Returns:
        float (B, K, 2 * C): the means, then the standard deviations.
    """
    mean, deviation = grid_features.unbind(2)  # (B, N, C)
    # Moments about the plain mean lose no digits to a far-off zero, and need no gradient.
    middle = mean.mean(1, keepdim=True)  # (B, 1, C)
    offset = mean - middle
    first = weights @ offset  # (B, K, C)
    second = weights @ torch.addcmul(deviation.square(), offset, offset)
    # 1e-6 keeps the root's slope finite in dead channels; live ones vary by 0.1 to 10.
    deviation = ((second - first.square()).clamp_min(0) + 1e-6).sqrt()
    return torch.cat([middle + first, deviation], -1)
