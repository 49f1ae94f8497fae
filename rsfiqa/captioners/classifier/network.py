"""A network that perceives, in each region, which distortions are there and what they cost.

Each region's features are the mean and the standard deviation of every channel of a backbone's maps
within it, each map at its own resolution; hand-crafted features of its pixels, since a backbone
keeps little of colors and tones as they are; and both again of the whole image, since a region is
rated beside the rest. The quality of a region is a base less what each family of distortions costs
it, less a residual that no family explains, so that reasons add up to quality.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, softplus

from rsfiqa.backbones.backbone import Backbone
from rsfiqa.captioners.rule_based.features import FEATURES, pixel_features
from rsfiqa.captioners.rule_based.statistics import RegionStatistics

CLIP = 6.0  # bound of standardised features, as in the model
MIN_VARIANCE = 1e-8
MIN_STD = 1e-2


@dataclass(frozen=True, eq=False)
class Perceived:
    """What the network perceives in the R regions of an image.

    `quality` == base - `cost`.sum(1) - `unexplained`, not clipped.

    Attributes:
        families: names of the F families.
        probability: float32 (R, F), that a family is present.
        severity: float32 (R, F), of each family where it is present, 0 to about 5.
        cost: float32 (R, F), quality that each family takes away.
        unexplained: float32 (R,), quality lost that no family explains.
        quality: float32 (R,), on the scale on which opinions span [0, 1], higher is better.
    """

    families: tuple[str, ...]
    probability: np.ndarray
    severity: np.ndarray
    cost: np.ndarray
    unexplained: np.ndarray
    quality: np.ndarray


class PerceptionHead(nn.Module):
    """Families, their severities and the quality of regions, from their features.

    Args:
        features: numbers of a region's features.
        families: number of families, F.
        hidden: units of the layer that all outputs share.
        dropout: fractions of features and of hidden units dropped in training.

    Attributes:
        mean: float (features,), of the features of training images.
        std: float (features,), likewise their standard deviation.
        scale: float (2,), mean and standard deviation of the opinions trained on, quality.
    """

    mean: Tensor
    std: Tensor
    scale: Tensor

    def __init__(
        self,
        features: int,
        families: int,
        *,
        hidden: int = 256,
        dropout: tuple[float, float] = (0.1, 0.3),
    ) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("std", torch.ones(features))
        self.register_buffer("scale", torch.tensor([0.5, 0.2]))
        self.shared = nn.Sequential(
            nn.Dropout(dropout[0]), nn.Linear(features, hidden), nn.GELU(), nn.Dropout(dropout[1])
        )
        self.presence = nn.Linear(hidden, families)
        self.severity = nn.Linear(hidden, families)
        self.residual = nn.Linear(hidden, 1)
        self.price = nn.Parameter(torch.full((families,), -1.0))  # of a unit of severity
        self.base = nn.Parameter(torch.tensor(1.5))

    def forward(self, features: Tensor) -> dict[str, Tensor]:
        """Outputs for features (..., features): presence as logits, all in opinion's deviations."""
        standardised = ((features - self.mean) / self.std).clamp(-CLIP, CLIP)
        hidden = self.shared(standardised)
        presence, severity = self.presence(hidden), softplus(self.severity(hidden))
        cost = presence.sigmoid() * severity * softplus(self.price)
        unexplained = softplus(self.residual(hidden).squeeze(-1))
        quality = self.base - cost.sum(-1) - unexplained
        return {
            "presence": presence,
            "severity": severity,
            "cost": cost,
            "unexplained": unexplained,
            "quality": quality,
        }


def map_features(maps: Sequence[Tensor], masks: Tensor) -> Tensor:
    """Mean and standard deviation of each channel in each region: float (B, R, 2 * C).

    Args:
        maps: feature maps (B, C_s, h_s, w_s).
        masks: float (B, R, H, W), share of each pixel that belongs to a region.
    """
    shapes = [(values.shape[-2], values.shape[-1]) for values in maps]
    return _pooled(maps, [adaptive_avg_pool2d(masks, shape).flatten(2) for shape in shapes])


def label_map_features(maps: Sequence[Tensor], labels: np.ndarray) -> Tensor:
    """`map_features` of the regions of a label map and of the whole image: float (R + 1, 2 * C).

    Args:
        maps: feature maps (1, C_s, h_s, w_s).
        labels: label map, uint16 (H, W), 0..R-1.
    """
    weights = []
    for values in maps:
        found = pooled_masks(labels, (values.shape[-2], values.shape[-1]))
        weights.append(torch.from_numpy(np.vstack([found, np.ones_like(found[:1])]))[None])
    return _pooled(maps, weights)[0]


def _pooled(maps: Sequence[Tensor], weights: Sequence[Tensor]) -> Tensor:
    """Weighted mean and standard deviation of each channel: float (B, R, 2 * C).

    Args:
        maps: feature maps (B, C_s, h_s, w_s).
        weights: of the cells of each map in each region, (B, R, h_s * w_s).
    """
    found = []
    for values, weight in zip(maps, weights, strict=True):
        weight = weight / weight.sum(-1, keepdim=True).clamp_min(1e-6)  # noqa: PLW2901
        cells = values.float().flatten(2).transpose(1, 2)  # (B, h * w, C)
        mean = weight @ cells
        variance = weight @ cells.square() - mean.square()
        found += [mean, variance.clamp_min(MIN_VARIANCE).sqrt()]
    return torch.cat(found, -1)


def pooled_masks(labels: np.ndarray, shape: tuple[int, int]) -> np.ndarray:
    """Share of each cell that belongs to each region: float32 (R, h * w).

    As `adaptive_avg_pool2d` of the masks, in a tenth of the time: it counts labels, not masks.

    Args:
        labels: label map, (H, W), 0..R-1.
        shape: h, w. Cells overlap where the sides of the label map are no multiples of it.
    """
    (rows, row_cells, heights), (columns, column_cells, widths) = (
        _bins(side, count) for side, count in zip(labels.shape, shape, strict=True)
    )
    count, cells = int(labels.max()) + 1, shape[0] * shape[1]
    place = row_cells[:, None] * shape[1] + column_cells
    if (len(rows), len(columns)) != labels.shape:  # cells overlap
        labels = labels[np.ix_(rows, columns)]
    code = labels.astype(np.intp)
    code *= cells
    code += place
    found = np.bincount(code.ravel(), minlength=count * cells).astype(np.float32)
    areas = np.outer(heights, widths).astype(np.float32).ravel()
    shares: np.ndarray = found.reshape(count, cells)
    shares /= areas
    return shares


def _bins(side: int, count: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """The pixels of all cells of one side, the cell of each, and the number of pixels of each.

    Args:
        side: pixels.
        count: cells, as `adaptive_avg_pool2d` cuts them.
    """
    cells = np.arange(count)
    begin, end = cells * side // count, -(-(cells + 1) * side // count)
    sizes = end - begin
    within = np.arange(sizes.sum()) - np.repeat(np.cumsum(sizes) - sizes, sizes)
    return np.repeat(begin, sizes) + within, np.repeat(cells, sizes), sizes


def region_features(
    maps: Sequence[Tensor],
    pixels: np.ndarray,
    labels: np.ndarray,
    statistics: RegionStatistics | None = None,
) -> Tensor:
    """What the head is given of each region of an image: float32 (R, 2 * (2 * C + S)).

    Args:
        maps: feature maps of the image, (1, C_s, h_s, w_s).
        pixels: sRGB, uint8 (H, W, 3).
        labels: label map, uint16 (H, W), 0..R-1.
        statistics: of the same regions, if they are known.
    """
    areas = torch.from_numpy(np.bincount(labels.ravel()) / labels.size).float()
    of_maps = label_map_features([each.cpu() for each in maps], labels)
    of_pixels = torch.from_numpy(pixel_features(pixels, labels, statistics)).float()
    return beside_image(
        torch.cat([of_maps[:-1], of_pixels], 1), torch.cat([of_maps[-1], areas @ of_pixels])
    )


def beside_image(regions: Tensor, image: Tensor) -> Tensor:
    """Features of regions (R, n), each followed by those of their image (n,): (R, 2 * n)."""
    return torch.cat([regions, image.expand_as(regions)], 1)


def features_of(backbone: Backbone) -> int:
    """Number of features that `region_features` makes from maps of a backbone."""
    return 2 * (2 * sum(backbone.channels) + len(FEATURES))


class Perception(nn.Module):
    """A backbone and the head that perceives regions in its feature maps.

    Args:
        backbone: gives the feature maps.
        families: names of the families of distortions, in the order of the head's outputs.
        settings: further arguments of `PerceptionHead`.
    """

    def __init__(self, backbone: Backbone, families: Sequence[str], **settings: Any) -> None:
        super().__init__()
        self.backbone, self.families = backbone, tuple(families)
        self.network = backbone.network
        self.head = PerceptionHead(features_of(backbone), len(self.families), **settings)

    @torch.inference_mode()
    def perceive(
        self,
        pixels: np.ndarray,
        labels: np.ndarray,
        *,
        maps: Sequence[Tensor] | None = None,
        statistics: RegionStatistics | None = None,
    ) -> Perceived:
        """What is perceived in the regions of an image.

        Args:
            pixels: sRGB, uint8 (H, W, 3).
            labels: label map, uint16 (H, W), 0..R-1.
            maps: feature maps (1, C_s, h_s, w_s) of the image by this network's backbone, if they
                are known.
            statistics: of the regions, if they are known.
        """
        if maps is None:
            maps = self.backbone.image_maps(pixels)
        outputs = self.head(region_features(maps, pixels, labels, statistics)[None])
        mean, std = self.head.scale.tolist()
        return Perceived(
            families=self.families,
            probability=outputs["presence"].sigmoid()[0].numpy(),
            severity=outputs["severity"][0].numpy(),
            cost=std * outputs["cost"][0].numpy(),
            unexplained=std * outputs["unexplained"][0].numpy(),
            quality=mean + std * outputs["quality"][0].numpy(),
        )
