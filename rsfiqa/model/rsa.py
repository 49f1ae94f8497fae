"""Region-aware Semantic Attention: from backbone cells and described regions to a score."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from rsfiqa.model.attention import masked_softmax, pool_statistics
from rsfiqa.model.batch import Batch
from rsfiqa.model.regions import CaptionProjection, RegionAttention
from rsfiqa.vocabulary import VARIANTS

# Standardised inputs are cut here: beyond the range of the training images, more says no more.
LIMIT = 6.0
# A channel that hardly varies in training must not blow up elsewhere; live ones vary by 0.1 to 10.
FLOOR = 1e-2


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
        head_scores: float (M, B), the scores by each of the heads; their mean is `score`.
    """

    score: Tensor
    quality: Tensor
    weight: Tensor
    attention: Tensor
    global_term: Tensor
    head_scores: Tensor


class Heads(nn.Module):
    """M small networks side by side on the same input, each started from its own weights.

    Args:
        inputs: numbers that each sees.
        members: M.
        hidden: hidden units of each.
        dropout: shares of inputs and of hidden units that are dropped in training.
    """

    def __init__(
        self, inputs: int, *, ensemble_heads: int, hidden: int, dropout: tuple[float, float]
    ) -> None:
        super().__init__()
        self.w1 = nn.Parameter(torch.randn(ensemble_heads, inputs, hidden) * inputs**-0.5)
        self.bias = nn.Parameter(torch.zeros(ensemble_heads, 1, hidden))
        self.w2 = nn.Parameter(torch.randn(ensemble_heads, hidden, 1) * 0.3 * hidden**-0.5)
        self.drop_input, self.drop_hidden = (nn.Dropout(fraction) for fraction in dropout)

    def forward(self, x: Tensor) -> Tensor:
        """One number per member and image, float (M, B), from `x` (B, inputs)."""
        each = self.drop_input(x.expand(len(self.w1), *x.shape))  # (M, B, inputs)
        hidden = nn.functional.gelu(each @ self.w1 + self.bias)  # (M, B, hidden)
        return (self.drop_hidden(hidden) @ self.w2).squeeze(-1)


class RSA(nn.Module):
    """The model. Call `standardise` once on the training images before it is trained.

    `RegionAttention` gives each region a quality and an importance, and the image a map of how
    much each cell counts. The statistics of the backbone under that map, and over the whole
    image, feed the heads of the global term.

    Variants: 'full'; 'no_mhf' sees the last stage only; 'no_mllm' neither captions nor ratings;
    'no_rsa' has no region attention: the map is uniform, regions count by area and all have the
    mean quality, descriptions enter the heads as their mean by area; 'none' lacks all three.

    Args:
        stage_channels: channels of each backbone stage, earliest first.
        text_dim: numbers of a caption embedding, T.
        width: channels of mixed features and region tokens, D.
        heads: attention heads among the regions; divides `width`.
        ensemble_heads: networks whose mean is the global term.
        hidden: hidden units of each of them.
        dropout: shares of their inputs and hidden units dropped in training.
        variant: one of `VARIANTS`.
    """

    grid_mean: Tensor
    grid_std: Tensor
    image_mean: Tensor
    image_std: Tensor
    mean_quality: Tensor
    calibration: Tensor

    def __init__(
        self,
        stage_channels: tuple[int, ...],
        *,
        text_dim: int,
        width: int = 64,
        heads: int = 4,
        ensemble_heads: int = 8,
        hidden: int = 128,
        dropout: tuple[float, float] = (0.2, 0.5),
        variant: str = "full",
    ) -> None:
        super().__init__()
        if variant not in VARIANTS:
            raise ValueError(f"variant: must be one of {', '.join(VARIANTS)}, found {variant!r}")
        self.channels = sum(stage_channels)
        seen = stage_channels if variant not in ("no_mhf", "none") else stage_channels[-1:]
        captioned = variant not in ("no_mllm", "none")
        attentive = variant not in ("no_rsa", "none")
        self.seen = sum(seen)
        self.caption_projection = CaptionProjection(text_dim, width=width) if captioned else None
        self.regions = RegionAttention(seen, width=width, heads=heads) if attentive else None
        inputs = 2 * self.seen + (2 * self.seen if attentive else width if captioned else 0)
        self.heads = Heads(inputs, ensemble_heads=ensemble_heads, hidden=hidden, dropout=dropout)
        self.register_buffer("grid_mean", torch.zeros(2, self.seen))
        self.register_buffer("grid_std", torch.ones(2, self.seen))
        self.register_buffer("image_mean", torch.zeros(2 * self.seen))
        self.register_buffer("image_std", torch.ones(2 * self.seen))
        self.register_buffer("mean_quality", torch.tensor(0.5))
        self.register_buffer("calibration", torch.tensor([1.0, 0.0]))

    @torch.no_grad()
    def standardise(self, batch: Batch, quality: Tensor) -> None:
        """Takes the scale of the inputs and the mean quality, float (B,), from training images."""
        images, first, second = [], [], []
        for part in batch.grid_features.split(256):  # float32 of some images at a time, not of all
            grid_features = self._grid_features(part)
            images.append(pool_statistics(grid_features, _uniform(grid_features)[:, None])[:, 0])
            first.append(grid_features.mean(1, dtype=torch.float64))
            second.append(grid_features.double().square().mean(1))
        std, mean = torch.std_mean(torch.cat(images), dim=0, correction=0)
        self.image_mean.copy_(mean)
        self.image_std.copy_(std.clamp_min(FLOOR))
        centre = torch.cat(first).mean(0)
        self.grid_mean.copy_(centre)
        variance = torch.cat(second).mean(0) - centre.square()
        self.grid_std.copy_(variance.clamp_min(0).sqrt().clamp_min(FLOOR))
        self.mean_quality.copy_(quality.mean())

    @torch.no_grad()
    def calibrate(self, score: Tensor, quality: Tensor) -> None:
        """Brings scores to the scale of quality by a straight line, from training images.

        A rising line only: a model that ranks no better than chance keeps its scale.

        Args:
            score: float (B,), of this model, not calibrated before.
            quality: float (B,), MOS mapped to [0, 1].
        """
        score, quality = score.double(), quality.double()
        offset = score - score.mean()
        total = offset.square().sum()
        slope = (offset * quality).sum() / total if total > 0 else total
        if slope > 0:
            self.calibration.copy_(torch.stack([slope, quality.mean() - slope * score.mean()]))

    def forward(self, batch: Batch) -> Prediction:
        """What the model says of the batch's B images."""
        grid_features = self._grid_features(batch.grid_features)  # (B, N, 2, C)
        captioned = (
            self.caption_projection(batch) if self.caption_projection is not None else None
        )  # (B, R, D)
        uniform = _uniform(grid_features)
        if self.regions is not None:
            scaled = ((grid_features - self.grid_mean) / self.grid_std).clamp(-LIMIT, LIMIT)
            quality, weight, attention = self.regions(scaled, captioned, batch)
            quality = (quality + self.mean_quality) * batch.present
            seen = self._seen(grid_features, uniform, attention)
        else:
            weight = masked_softmax(batch.geometry[..., 0], batch.present)
            attention = uniform
            quality = self.mean_quality * batch.present
            seen = self._seen(grid_features, uniform)
            if captioned is not None:
                seen = torch.cat([seen, torch.einsum("br,brd->bd", weight, captioned)], -1)
        terms = self.calibration[0] * self.heads(seen)  # (M, B)
        quality = (
            self.calibration[0] * quality + self.calibration[1]
        ) * batch.present  # weights sum to 1
        regional = (weight * quality).sum(1)
        global_term = terms.mean(0)
        grid = batch.grid_features.shape[-1]
        return Prediction(
            score=regional + global_term,
            quality=quality,
            weight=weight,
            attention=attention.unflatten(1, (grid, grid)),
            global_term=global_term,
            head_scores=regional + terms,
        )

    def _grid_features(self, grid_features: Tensor) -> Tensor:
        """The channels that this variant sees, float32 (B, N, 2, C), from (B, 2, C, G, G)."""
        if grid_features.shape[2] != self.channels:
            raise ValueError(
                f"batch: 'grid_features' must have {self.channels} channels, as its backbone,"
                f" found {grid_features.shape[2]}"
            )
        return (
            grid_features[:, :, self.channels - self.seen :].flatten(3).permute(0, 3, 1, 2).float()
        )

    def _seen(self, grid_features: Tensor, *weights: Tensor) -> Tensor:
        """Statistics under each weighting (B, N) of the cells: float (B, K * 2 * C).

        In standard deviations of the training images.
        """
        found = pool_statistics(grid_features, torch.stack(weights, 1))  # (B, K, 2 * C)
        return ((found - self.image_mean) / self.image_std).clamp(-LIMIT, LIMIT).flatten(1)


def _uniform(grid_features: Tensor) -> Tensor:
    """Equal weights for the cells (B, N, ...) of each image: float (B, N), sums to 1."""
    images, number = grid_features.shape[:2]
    return grid_features.new_full((images, number), 1 / number)
