"""Region-aware Semantic Attention: from backbone cells and described regions to a score."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rsfiqa.model.attention import (
    RegionExchange,
    attend_within,
    masked_softmax,
    pool_statistics,
)
from rsfiqa.model.batch import GEOMETRY, RATINGS, Batch
from rsfiqa.model.mhf import MHF

VARIANTS = ("full", "no_mhf", "no_mllm", "no_rsa", "none")

# Standardised inputs are cut here: beyond the range of the training images, more says no more.
LIMIT = 6.0


@dataclass(frozen=True)
class Prediction:
    """What the model says of B images; score == (weight * quality).sum(1) + global_term.

    Attributes:
        score: float (B,), quality on the scale where the training MOS span [0, 1], higher is
            better; not cut to that range.
        quality: float (B, R), quality of each region on the same scale; 0 for absent regions.
        weight: float (B, R), importance of each region, sums to 1; 0 for absent regions.
        attention: float (B, G, G), how much each cell counts, sums to 1.
        global_term: float (B,), what the whole image adds to the regions' weighted quality.
        members: float (M, B), the scores of the heads whose mean is `score`.
    """

    score: Tensor
    quality: Tensor
    weight: Tensor
    attention: Tensor
    global_term: Tensor
    members: Tensor


class Heads(nn.Module):
    """M small networks side by side on the same input, each started from its own weights.

    Args:
        inputs: numbers that each sees.
        members: M.
        hidden: hidden units of each.
        dropout: shares of inputs and of hidden units that are dropped in training.
    """

    def __init__(
        self, inputs: int, *, members: int, hidden: int, dropout: tuple[float, float]
    ) -> None:
        super().__init__()
        self.enter = nn.Parameter(torch.randn(members, inputs, hidden) * inputs**-0.5)
        self.bias = nn.Parameter(torch.zeros(members, 1, hidden))
        self.leave = nn.Parameter(torch.randn(members, hidden, 1) * 0.3 * hidden**-0.5)
        self.drop_input, self.drop_hidden = (nn.Dropout(share) for share in dropout)

    def forward(self, x: Tensor) -> Tensor:
        """One number per member and image, float (M, B), from `x` (B, inputs)."""
        each = self.drop_input(x.expand(len(self.enter), *x.shape))  # (M, B, inputs)
        hidden = nn.functional.gelu(each @ self.enter + self.bias)  # (M, B, hidden)
        return (self.drop_hidden(hidden) @ self.leave).squeeze(-1)


class RSA(nn.Module):
    """The model. Call `standardise` once on the training images before it is trained.

    Regions become tokens (coverage-weighted mean of the mixed features, caption embedding,
    ratings, geometry) that exchange what they know. Each token then attends to its own region's
    cells only. A region's importance is a softmax with its log area as prior; importance times
    attention within the region is the attention map of the image. Where a cell lies can raise or
    lower its part in both. The statistics of the backbone under that map and over the whole
    image feed the heads of `global_term`.

    Variants: 'full'; 'no_mhf' sees the last stage only; 'no_mllm' neither captions nor ratings;
    'no_rsa' has no region attention: the map is uniform, the regions count by area and have all
    the same quality, captions and ratings enter the heads as their means by area; 'none' has
    none of the three.

    Args:
        stage_channels: channels of each backbone stage, earliest first.
        text_dim: numbers of a caption embedding, T.
        width: channels of mixed features and tokens, D.
        heads: attention heads among the regions.
        members: networks whose mean is the global term.
        hidden: hidden units of each of them.
        dropout: shares of their inputs and hidden units dropped in training.
        variant: one of `VARIANTS`.
    """

    def __init__(
        self,
        stage_channels: tuple[int, ...],
        *,
        text_dim: int,
        width: int = 64,
        heads: int = 4,
        members: int = 4,
        hidden: int = 64,
        dropout: tuple[float, float] = (0.2, 0.5),
        variant: str = "full",
    ) -> None:
        super().__init__()
        if variant not in VARIANTS:
            raise ValueError(f"variant: must be one of {', '.join(VARIANTS)}, found {variant!r}")
        self.stage_channels = stage_channels
        self.multiscale = variant not in ("no_mhf", "none")
        self.described = variant not in ("no_mllm", "none")
        self.attentive = variant not in ("no_rsa", "none")
        seen = stage_channels if self.multiscale else stage_channels[-1:]
        statistics = 2 * sum(seen)
        self.describe = _Description(text_dim, width) if self.described else None
        inputs = statistics
        if self.attentive:
            self.mhf = MHF(seen, width=width)
            self.geometry = nn.Linear(GEOMETRY, width)
            self.norm = nn.LayerNorm(width)
            self.exchange = RegionExchange(width, heads=heads, dropout=dropout[1])
            self.query = nn.Linear(width, width, bias=False)
            self.key = nn.Linear(width, width, bias=False)
            self.place = nn.Parameter(torch.tensor([0.0, 0.0, 0.0, 0.0]))
            self.importance = nn.Linear(width, 1, bias=False)
            self.quality = nn.Linear(2 * width, 1, bias=False)
            for layer in (self.query, self.importance, self.quality):
                nn.init.zeros_(layer.weight)
            inputs += statistics
        elif self.described:
            inputs += width
        self.heads = Heads(inputs, members=members, hidden=hidden, dropout=dropout)
        for name, size in (("cell", statistics), ("image", statistics)):
            self.register_buffer(f"{name}_mean", torch.zeros(size))
            self.register_buffer(f"{name}_std", torch.ones(size))
        self.register_buffer("base", torch.tensor(0.5))
