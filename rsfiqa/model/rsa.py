"""RSA, region-aware semantic attention: from grid features and captioned regions to quality."""

from dataclasses import dataclass
from itertools import chain

import torch
from torch import Tensor, nn

from rsfiqa.architecture import (
    CLIP,
    EARLIER_CAPTION_SCALE,
    HEADS,
    LAST_ONLY,
    UNATTENDED,
    UNCAPTIONED,
)
from rsfiqa.model.attention import masked_softmax, pool_statistics
from rsfiqa.model.batch import Batch
from rsfiqa.model.regions import CaptionProjection, OverallAnchor, RegionAttention
from rsfiqa.vocabulary import VARIANTS

# Lower bound of standard deviations, for channels that are constant in training; live ones vary
# by 0.1 to 10.
MIN_STD = 1e-2
STANDARDISE_SIZE = 256  # images whose grid features are held as float32 at a time


@dataclass(frozen=True)
class Prediction:
    """The predicted quality of B images and its parts.

    Quality is on the scale on which the training MOS span [0, 1], higher is better; it is not
    clipped to that range. `quality` == (`region_weight` * `region_quality`).sum(1).

    Attributes:
        quality: float (B,).
        region_quality: float (B, R), quality of each region, which includes `global_term`; 0 for
            absent regions.
        region_weight: float (B, R), importance of each region, sums to 1; 0 for absent regions.
        attention: float (B, G, G), weight of each grid cell, sums to 1.
        quality_map: float (B, G, G), what each grid cell contributes to `quality`: the weighted
            quality of each region, spread by its attention; sums to `quality`.
        global_term: float (B,), the part of every region's quality that the whole image determines.
        head_quality: float (M, B), quality by each ensemble head; its mean is `quality`.
    """

    quality: Tensor
    region_quality: Tensor
    region_weight: Tensor
    attention: Tensor
    quality_map: Tensor
    global_term: Tensor
    head_quality: Tensor


class EnsembleHeads(nn.Module):
    """M two-layer perceptrons on the same input, each with its own initial weights.

    Args:
        inputs: numbers of the input.
        ensemble_heads: M.
        hidden: hidden units of each head.
        dropout: fractions of inputs and of hidden units dropped in training.
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
        """One number per head and image, float (M, B), from `x` (B, inputs)."""
        x = self.drop_input(x.expand(len(self.w1), *x.shape))  # (M, B, inputs)
        hidden = nn.functional.gelu(x @ self.w1 + self.bias)  # (M, B, hidden)
        quality: Tensor = (self.drop_hidden(hidden) @ self.w2).squeeze(-1)
        return quality


class RSA(nn.Module):
    """The model of RSFIQA. `standardise` must be called on the training images before training.

    `RegionAttention` gives each region a quality and an importance, and the image an attention
    map. The statistics of the backbone's channels over the whole image and under the attention map
    are the input of the ensemble heads. Their mean, the global term, is added to the quality of
    every region, so that the weighted regions add up to the quality of the image. The paper states
    that RSA gathers the regions into one global attention map; formulas and sizes are decisions of
    this project.

    Variants: 'full'; 'no_mhf' uses the last backbone stage only; 'no_mllm' uses neither captions
    nor ratings; 'no_rsa' has no region attention: the map is uniform, regions are weighted by area
    and all have the quality of the image, and the heads get the area-weighted mean of the projected
    captions; 'none' lacks all three.

    Args:
        stage_channels: channels of each backbone stage, earliest first.
        text_dim: numbers of a caption embedding, T.
        width: channels of mixed features and region tokens, D.
        heads: attention heads among the regions; divides `width`.
        ensemble_heads: heads whose mean is the global term, M.
        hidden: hidden units of each ensemble head.
        dropout: fractions of inputs and hidden units of the ensemble heads dropped in training.
        variant: one of `VARIANTS`.
        anchored: the quality of a region is relative to its overall rating, see `OverallAnchor`;
            in variants with captions and region attention. False for checkpoints of the train
            stage before version 10.
        caption_scale: factor of the projected captions, above 0. New models have
            `CAPTION_SCALE`, checkpoints of the train stage before version 11 the default.

    Attributes:
        grid_mean: float (2, C'), mean over cells of each statistic of the C' channels used.
        grid_std: float (2, C'), likewise the standard deviation.
        image_mean: float (2 * C',), mean over images of the statistics of whole images.
        image_std: float (2 * C',), likewise the standard deviation.
        mean_quality: float (), mean quality of the training images.
        calibration: float (2,), slope and offset from the model's quality to that reported.

    Raises:
        ValueError: an unknown variant.
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
        heads: int = HEADS,
        ensemble_heads: int = 8,
        hidden: int = 128,
        dropout: tuple[float, float] = (0.2, 0.5),
        variant: str = "full",
        anchored: bool = False,
        caption_scale: float = EARLIER_CAPTION_SCALE,
    ) -> None:
        super().__init__()
        if variant not in VARIANTS:
            raise ValueError(f"variant: must be one of {', '.join(VARIANTS)}, found {variant!r}")
        has_captions = variant not in UNCAPTIONED
        has_attention = variant not in UNATTENDED
        stages_used = stage_channels[-1:] if variant in LAST_ONLY else stage_channels
        self.channels = sum(stage_channels)
        self.channels_used = sum(stages_used)
        self.caption_projection = (
            CaptionProjection(text_dim, width=width, scale=caption_scale) if has_captions else None
        )
        self.regions = (
            RegionAttention(stages_used, width=width, heads=heads) if has_attention else None
        )
        self.anchor = OverallAnchor() if anchored and has_captions and has_attention else None
        inputs = statistics = 2 * self.channels_used
        if has_attention:
            inputs += statistics
        elif has_captions:
            inputs += width
        self.heads = EnsembleHeads(
            inputs, ensemble_heads=ensemble_heads, hidden=hidden, dropout=dropout
        )
        self.register_buffer("grid_mean", torch.zeros(2, self.channels_used))
        self.register_buffer("grid_std", torch.ones(2, self.channels_used))
        self.register_buffer("image_mean", torch.zeros(statistics))
        self.register_buffer("image_std", torch.ones(statistics))
        self.register_buffer("mean_quality", torch.tensor(0.5))
        self.register_buffer("calibration", torch.tensor([1.0, 0.0]))

    @torch.no_grad()
    def standardise(self, batch: Batch, quality: Tensor, *added: Batch) -> None:
        """Set the scale of the inputs and the mean quality from the training images.

        Args:
            batch: the training images of the data set whose scale is the model's.
            quality: float (B,), their MOS mapped to [0, 1].
            added: training images of further data sets.
        """
        images, first, second = [], [], []
        for part in chain(*(_chunks(each.grid_features) for each in (batch, *added))):
            grid_features = self._select_channels(part)
            images.append(pool_statistics(grid_features, _uniform(grid_features)[:, None])[:, 0])
            first.append(grid_features.mean(1, dtype=torch.float64))
            second.append(grid_features.double().square().mean(1))
        std, mean = torch.std_mean(torch.cat(images), dim=0, correction=0)
        self.image_mean.copy_(mean)
        self.image_std.copy_(std.clamp_min(MIN_STD))
        centre = torch.cat(first).mean(0)
        self.grid_mean.copy_(centre)
        variance = torch.cat(second).mean(0) - centre.square()
        self.grid_std.copy_(variance.clamp_min(0).sqrt().clamp_min(MIN_STD))
        self.mean_quality.copy_(quality.mean())

    @torch.no_grad()
    def calibrate(self, predicted: Tensor, quality: Tensor) -> None:
        """Set the calibration to the least-squares line from predictions to quality.

        A slope that is not positive is not used: a model that ranks no better than chance keeps
        its scale.

        Args:
            predicted: float (B,), quality predicted by this model with slope 1 and offset 0.
            quality: float (B,), MOS mapped to [0, 1].
        """
        predicted, quality = predicted.double(), quality.double()
        centred = predicted - predicted.mean()
        total = centred.square().sum()
        slope = (centred * quality).sum() / total if total > 0 else total
        if slope > 0:
            offset = quality.mean() - slope * predicted.mean()
            self.calibration.copy_(torch.stack([slope, offset]))

    def forward(self, batch: Batch, *, by_captions: bool = False) -> Prediction:
        """The predicted quality of the images of a batch.

        Args:
            batch: the images.
            by_captions: regions of an anchored model differ by their overall rating alone: what
                the model adds to it is spread evenly over the regions of an image, whose quality
                stays the same.
        """
        grid_features = self._select_channels(batch.grid_features)  # (B, N, 2, C')
        captions = None  # (B, R, D)
        if self.caption_projection is not None:
            captions = self.caption_projection(batch)
        uniform = _uniform(grid_features)  # (B, N)
        if self.regions is not None:
            scaled = ((grid_features - self.grid_mean) / self.grid_std).clamp(-CLIP, CLIP)
            quality, weight, within = self.regions(scaled, captions, batch)
            if self.anchor is not None:
                if by_captions:
                    quality = (weight * quality).sum(1, keepdim=True)
                quality = quality + self.anchor(batch)
            attention = _spread(weight, within)
            quality = (quality + self.mean_quality) * batch.present
            statistics = self._statistics(grid_features, uniform, attention)
        else:
            weight = masked_softmax(batch.geometry[..., 0], batch.present)
            attention, within = uniform, uniform[:, None].expand(*weight.shape, -1)
            quality = self.mean_quality * batch.present
            statistics = self._statistics(grid_features, uniform)
            if captions is not None:
                mean_caption = torch.einsum("br,brd->bd", weight, captions)
                statistics = torch.cat([statistics, mean_caption], -1)
        slope, offset = self.calibration
        head_terms = slope * self.heads(statistics)  # (M, B)
        # The weights of an image sum to 1, so what is common to its regions goes to each of them.
        quality = (slope * quality + offset) * batch.present  # (B, R)
        regional = (weight * quality).sum(1)
        global_term = head_terms.mean(0)
        quality = (quality + global_term[:, None]) * batch.present
        map_shape = (-1, batch.grid, batch.grid)
        return Prediction(
            quality=(weight * quality).sum(1),
            region_quality=quality,
            region_weight=weight,
            attention=attention.reshape(map_shape),
            quality_map=_spread(weight * quality, within).reshape(map_shape),
            global_term=global_term,
            head_quality=regional + head_terms,
        )

    def _select_channels(self, grid_features: Tensor) -> Tensor:
        """The channels of this variant's stages, float32 (B, N, 2, C'), from (B, 2, C, G, G).

        Raises:
            ValueError: another number of channels than the backbone's.
        """
        if grid_features.shape[2] != self.channels:
            raise ValueError(
                f"batch: 'grid_features' must have {self.channels} channels, those of the model's"
                f" backbone, found {grid_features.shape[2]}; extract them with that backbone"
            )
        last = grid_features[:, :, self.channels - self.channels_used :]
        return last.flatten(3).permute(0, 3, 1, 2).float()

    def _statistics(self, grid_features: Tensor, *weights: Tensor) -> Tensor:
        """Statistics under each weighting (B, N) of the cells: float (B, K * 2 * C').

        Standardised by the statistics of whole training images.
        """
        pooled = pool_statistics(grid_features, torch.stack(weights, 1))  # (B, K, 2 * C')
        return ((pooled - self.image_mean) / self.image_std).clamp(-CLIP, CLIP).flatten(1)


def _chunks(grid_features: Tensor) -> tuple[Tensor, ...]:
    """Parts of grid features that are small enough to be computed with in float32."""
    return torch.split(grid_features, STANDARDISE_SIZE)


def _spread(amount: Tensor, within: Tensor) -> Tensor:
    """An amount per region (B, R) spread over cells by `within` (B, R, N): float (B, N)."""
    return torch.einsum("br,brn->bn", amount, within)


def _uniform(grid_features: Tensor) -> Tensor:
    """Equal weights for the cells (B, N, ...) of each image: float (B, N), sums to 1."""
    images, number = grid_features.shape[:2]
    return grid_features.new_full((images, number), 1 / number)
