"""The region branch: tokens of regions, their quality, their importance, their attention."""

import torch
from torch import Tensor, nn

from rsfiqa.model.attention import RegionSelfAttention, attend_within, masked_softmax
from rsfiqa.model.batch import GEOMETRY, RATINGS, Batch
from rsfiqa.model.mhf import MHF

# Attention starts as a Gaussian around the centre of the image with this standard deviation, as a
# share of its sides: people look there, and it lifts even a support vector machine by 0.01 SRCC.
CENTER_PRIOR_WIDTH = 0.2
# Descriptions enter softly. With random sentences and ratings, which can only hurt, 744 training
# images lost 0.013 of validation SRCC at 1.0 and 0.008 at 0.2 (mean of 4 splits of LIVEC).
CAPTION_SCALE = 0.2


class CaptionProjection(nn.Module):
    """Caption embeddings and ratings as vectors of D numbers; what is missing adds nothing.

    Args:
        text_dim: numbers of a caption embedding, T.
        width: D.
        dropout: share of descriptions hidden in training, so that none is leant on.
    """

    def __init__(self, text_dim: int, *, width: int, dropout: float = 0.3) -> None:
        super().__init__()
        self.text = nn.Linear(text_dim, width, bias=False)
        self.ratings = nn.Linear(2 * RATINGS, width, bias=False)
        self.dropout = nn.Dropout(dropout)

    def forward(self, batch: Batch) -> Tensor:
        """Float (B, R, D)."""
        known = batch.ratings.isfinite()
        centred = torch.where(known, (batch.ratings - 3) / 2, 0.0)  # [-1, 1]
        ratings = self.ratings(torch.cat([centred, known.to(centred.dtype)], -1))
        shown = self.dropout(torch.ones_like(centred[..., :1]))
        return CAPTION_SCALE * (self.text(batch.text.float()) + ratings) * shown


class RegionAttention(nn.Module):
    """What each region is worth, how much it counts, and where in it one looks.

    A region's token is the coverage-weighted mean of the mixed features, its description and its
    geometry; tokens exchange what they know. Each token then attends to its own region's cells
    only. Importance is a softmax with log area as prior, each cell's area weighed by how central
    it lies; importance times attention within the region is the map of the image.

    Args:
        stage_channels: channels of each stage that is seen.
        width: channels of mixed features and tokens, D.
        heads: attention heads among the regions; divides `width`.
        dropout: share of a token's numbers dropped in training before its quality is read.
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
        self.geometry = nn.Linear(GEOMETRY, width)
        self.norm = nn.LayerNorm(width)
        self.self_attention = RegionSelfAttention(width, heads=heads, dropout=dropout)
        self.query = nn.Linear(width, width, bias=False)
        self.key = nn.Linear(width, width, bias=False)
        self.prior_width = nn.Parameter(torch.zeros(2))
        self.importance = nn.Linear(width, 1, bias=False)
        self.quality = nn.Linear(2 * width, 1, bias=False)
        self.dropout = nn.Dropout(dropout)
        for layer in (self.query, self.importance, self.quality):
            nn.init.zeros_(layer.weight)

    def forward(
        self, grid_features: Tensor, captioned: Tensor | None, batch: Batch
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Quality less the mean (B, R), importance (B, R) and the image's map (B, N).

        Args:
            grid_features: float (B, N, 2, C), standardised.
            captioned: float (B, R, D), or None where no description is used.
            batch: coverage, geometry and presence of the regions.
        """
        features, _ = self.mhf(grid_features)  # (B, N, D)
        coverage = batch.coverage.to(features.dtype)  # (B, R, N)
        tokens = _mean_within(coverage, features) + self.geometry(batch.geometry)
        tokens = tokens if captioned is None else tokens + captioned
        tokens = self.self_attention(self.norm(tokens), batch.present)  # (B, R, D)

        positional_bias = self._positional_bias(batch.grid_features.shape[-1]).to(
            features.dtype
        )  # (N,)
        match = self.query(tokens) @ self.key(features).transpose(1, 2)  # (B, R, N)
        within = attend_within(match / features.shape[-1] ** 0.5 + positional_bias, coverage)
        looked = within @ features  # (B, R, D)
        area = torch.einsum("brn,n->br", coverage, positional_bias.exp()).clamp_min(1e-6).log()
        importance = self.importance(tokens).squeeze(-1) + area
        weight = masked_softmax(importance, batch.present)
        quality = self.quality(self.dropout(torch.cat([tokens, looked], -1))).squeeze(-1)
        return quality, weight, torch.einsum("br,brn->bn", weight, within)

    def _positional_bias(self, grid: int) -> Tensor:
        """What a cell's position adds to its attention: float (N,), 0 in the centre."""
        at = (torch.arange(grid, device=self.prior_width.device) + 0.5) / grid - 0.5  # (G,)
        # exp keeps the bell a bell, and 5 lets its width follow at the speed of the other weights.
        across, down = (at.square()[None, :] * (5 * self.prior_width).exp()[:, None]) / (
            2 * CENTER_PRIOR_WIDTH**2
        )
        return -(down[:, None] + across[None, :]).flatten()


def _mean_within(coverage: Tensor, features: Tensor) -> Tensor:
    """Mean of `features` (B, N, D) over each region: float (B, R, D), 0 without cells."""
    total = coverage.sum(-1, keepdim=True).clamp_min(1e-6)  # (B, R, 1)
    return coverage @ features / total
