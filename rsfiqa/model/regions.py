"""The region branch of RSA: tokens of regions, their quality, importance and attention."""

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from rsfiqa.architecture import (
    ANCHOR_SPEED,
    CENTER_PRIOR_WIDTH,
    MIN_COVERAGE,
    PRIOR_SPEED,
)
from rsfiqa.model.attention import RegionSelfAttention, attend_within, masked_softmax
from rsfiqa.model.batch import Batch
from rsfiqa.model.mhf import MHF
from rsfiqa.region_layout import GEOMETRY_SIZE
from rsfiqa.vocabulary import RATINGS

# Quality between regions rated bad and excellent overall, before training.
ANCHOR_SLOPE = 0.5
OVERALL = RATINGS.index("overall")


class CaptionProjection(nn.Module):
    """Caption embeddings and ratings as vectors of D numbers; a missing rating adds 0.

    Args:
        text_dim: numbers of a caption embedding, T; 0 where the model gets ratings alone.
        width: D.
        scale: factor of the projection.
        dropout: fraction of captions dropped in training.
    """

    def __init__(self, text_dim: int, *, width: int, scale: float, dropout: float = 0.3) -> None:
        super().__init__()
        self.scale = scale
        self.text = nn.Linear(text_dim, width, bias=False) if text_dim else None
        self.ratings = nn.Linear(2 * len(RATINGS), width, bias=False)
        self.dropout = nn.Dropout(dropout)

    def forward(self, batch: Batch) -> Tensor:
        """The projected captions, float (B, R, D)."""
        known = batch.ratings.isfinite()
        centred = torch.where(known, (batch.ratings - 3) / 2, 0.0)  # [-1, 1]
        ratings = self.ratings(torch.cat([centred, known.to(centred.dtype)], -1))
        keep_mask = self.dropout(torch.ones_like(centred[..., :1]))  # of whole captions
        text = 0.0 if self.text is None else self.text(batch.text.float())
        captions: Tensor = self.scale * (text + ratings) * keep_mask
        return captions


class OverallAnchor(nn.Module):
    """What the overall rating of a region adds to its quality: `slope` * (overall - 3) / 4.

    The quality of a region is predicted relative to it, so that a region whose caption says poor
    starts from a low quality. The slope is learned and stays positive. A decision of this project.
    """

    def __init__(self) -> None:
        super().__init__()
        start = math.log(math.expm1(ANCHOR_SLOPE)) / ANCHOR_SPEED
        self.raw_slope = nn.Parameter(torch.tensor(start))

    @property
    def slope(self) -> Tensor:
        """Quality between regions rated bad and excellent: float (), above 0."""
        return functional.softplus(ANCHOR_SPEED * self.raw_slope)

    def forward(self, batch: Batch) -> Tensor:
        """The added quality, float (B, R); 0 where the rating is missing."""
        overall = batch.ratings[..., OVERALL]
        return self.slope * torch.where(overall.isfinite(), (overall - 3) / 4, 0.0)


class RegionAttention(nn.Module):
    """The quality and the importance of each region, and the global attention map.

    A region's token is the coverage-weighted mean of the MHF features plus its projected caption
    and its geometry. Tokens attend to each other; each token then attends to the cells of its own
    region. Importance is a softmax over regions with the log area as prior, in which central cells
    count more. The attention map is the sum over regions of importance times the attention within
    the region. The paper states that RSA constrains attention to individual regions; the rest is a
    decision of this project.

    Args:
        stage_channels: channels of each backbone stage that is used.
        width: channels of mixed features and tokens, D.
        heads: attention heads among the regions; divides `width`.
        dropout: fraction of the inputs of the quality layer dropped in training.
    """

    def __init__(
        self,
        stage_channels: tuple[int, ...],
        *,
        width: int,
        heads: int,
        dropout: float = 0.3,
    ) -> None:
        super().__init__()
        self.mhf = MHF(stage_channels, width=width)
        self.geometry = nn.Linear(GEOMETRY_SIZE, width)
        self.norm = nn.LayerNorm(width)
        self.self_attention = RegionSelfAttention(width, heads=heads, dropout=dropout)
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, width, bias=False)
        self.prior_width = nn.Parameter(torch.zeros(2))  # of x and y; see _positional_bias
        self.importance = nn.Linear(width, 1, bias=False)
        self.quality = nn.Linear(2 * width, 1, bias=False)
        self.dropout = nn.Dropout(dropout)
        for layer in (self.query, self.importance, self.quality):
            nn.init.zeros_(layer.weight)

    def forward(
        self, grid_features: Tensor, captions: Tensor | None, batch: Batch
    ) -> tuple[Tensor, Tensor, Tensor]:
        """The regions' quality and importance, and the attention map.

        Args:
            grid_features: float (B, N, 2, C), standardised.
            captions: float (B, R, D), projected; None for a variant without captions.
            batch: coverage, geometry and presence of the regions.

        Returns:
            quality: float (B, R), minus the mean quality of the training images.
            weight: float (B, R), importance; sums to 1 over R.
            within: float (B, R, N), attention of each region to its cells; sums to 1 over N.
        """
        features, _ = self.mhf(grid_features)  # (B, N, D)
        coverage = batch.coverage.to(features.dtype)  # (B, R, N)
        tokens = _mean_within(coverage, features) + self.geometry(batch.geometry)
        tokens = tokens if captions is None else tokens + captions
        tokens = self.self_attention(self.norm(tokens), batch.present)  # (B, R, D)

        positional_bias = self._positional_bias(batch.grid).to(features.dtype)  # (N,)
        similarity = self.query(tokens) @ self.key(features).transpose(1, 2)  # (B, R, N)
        logits = similarity / features.shape[-1] ** 0.5 + positional_bias
        within = attend_within(logits, coverage)  # (B, R, N)
        attended = within @ features  # (B, R, D)
        area = torch.einsum("brn,n->br", coverage, positional_bias.exp())
        importance = self.importance(tokens).squeeze(-1) + area.clamp_min(MIN_COVERAGE).log()
        weight = masked_softmax(importance, batch.present)
        quality = self.quality(self.dropout(torch.cat([tokens, attended], -1))).squeeze(-1)
        return quality, weight, within

    def _positional_bias(self, grid: int) -> Tensor:
        """The logit of the centre prior in each cell: float (N,), 0 in the image's centre.

        A Gaussian whose inverse variance along x and y is exp(`PRIOR_SPEED` * `prior_width`)
        times that of `CENTER_PRIOR_WIDTH`. The exponential keeps it positive.
        """
        at = (torch.arange(grid, device=self.prior_width.device) + 0.5) / grid - 0.5  # (G,)
        across, down = (at.square()[None, :] * (PRIOR_SPEED * self.prior_width).exp()[:, None]) / (
            2 * CENTER_PRIOR_WIDTH**2
        )
        logit: Tensor = -(down[:, None] + across[None, :]).flatten()
        return logit


def _mean_within(coverage: Tensor, features: Tensor) -> Tensor:
    """Mean of `features` (B, N, D) over each region: float (B, R, D), 0 without cells."""
    total = coverage.sum(-1, keepdim=True).clamp_min(MIN_COVERAGE)  # (B, R, 1)
    return coverage @ features / total
