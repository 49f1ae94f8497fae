"""A network that perceives, in each region, which distortions are there and what they cost.

Each region's features are the mean and the standard deviation of every channel of a backbone's maps
within it, each map at its own resolution; hand-crafted features of its pixels, since a backbone
keeps little of colors and tones as they are; and both again of the whole image, since a region is
rated beside the rest. The quality of a region is a base less what each family of distortions costs
it, less a residual that no family explains, so that reasons add up to quality.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, softplus

from rsfiqa.architecture import CLIP
from rsfiqa.backbones.backbone import Backbone
from rsfiqa.captioners.classifier.features import FEATURES, pixel_features
from rsfiqa.captioners.classifier.perceived import Perceived
from rsfiqa.captioners.classifier.pooling import MIN_VARIANCE, MIN_WIDTH, pooled_masks
from rsfiqa.captioners.rule_based.statistics import RegionStatistics

MIN_STD = 1e-2


class FamilyOutputs(nn.Module):
    """Families, their severities and the quality of regions, from hidden units.

    Args:
        units: number of hidden units.
        families: number of families, F.
    """

    def __init__(self, units: int, families: int) -> None:
        super().__init__()
        self.presence = nn.Linear(units, families)
        self.severity = nn.Linear(units, families)
        self.residual = nn.Linear(units, 1)
        self.price = nn.Parameter(torch.full((families,), -1.0))  # of a unit of severity
        self.base = nn.Parameter(torch.tensor(1.5))

    def outputs(self, hidden: Tensor) -> dict[str, Tensor]:
        """Of hidden units (..., n): presence as logits, all in deviations of opinions."""
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


class PerceptionHead(FamilyOutputs):
    """Families, their severities and the quality of regions, from their features.

    The features of the backbone's maps and of the pixels, of the region and of its image, go
    through a layer together. Those of the pixels, and by how much the region differs in them from
    its image, also go through two layers of their own after a piecewise linear encoding (Gorishniy
    et al. 2022, arXiv 2203.05556), because a single layer hardly learns from a few numbers among
    two thousand.

    Args:
        of_maps: number of features of the maps, of a region; its image has as many.
        of_pixels: likewise of the pixels.
        families: number of families, F.
        hidden: units of the layer of all features.
        pixel_hidden: units of each layer of those of the pixels alone.
        bins: of the encoding of each feature.
        dropout: fractions of features, of hidden units and of hidden units of pixels dropped in
            training.

    Attributes:
        mean: float (2 * (of_maps + of_pixels),), of the features of training images.
        std: likewise their standard deviation.
        edges: float (3 * of_pixels, bins + 1), rising, borders of the bins.
        scale: float (2,), mean and standard deviation of the opinions trained on, quality.
    """

    mean: Tensor
    std: Tensor
    edges: Tensor
    scale: Tensor

    def __init__(
        self,
        of_maps: int,
        of_pixels: int,
        families: int,
        *,
        hidden: int = 512,
        pixel_hidden: int = 192,
        bins: int = 12,
        dropout: tuple[float, float, float] = (0.1, 0.3, 0.1),
    ) -> None:
        super().__init__(hidden + pixel_hidden, families)
        self.of_maps, features = of_maps, 2 * (of_maps + of_pixels)
        self.register_buffer("mean", torch.zeros(features))
        self.register_buffer("std", torch.ones(features))
        self.register_buffer("edges", torch.linspace(-1, 1, bins + 1).repeat(3 * of_pixels, 1))
        self.register_buffer("scale", torch.tensor([0.5, 0.2]))
        self.shared = nn.Sequential(
            nn.Dropout(dropout[0]), nn.Linear(features, hidden), nn.GELU(), nn.Dropout(dropout[1])
        )
        self.pixels = nn.Sequential(
            nn.Linear(3 * of_pixels * bins, pixel_hidden),
            nn.GELU(),
            nn.Dropout(dropout[2]),
            nn.Linear(pixel_hidden, pixel_hidden),
            nn.GELU(),
            nn.Dropout(dropout[2]),
        )

    def forward(self, features: Tensor) -> dict[str, Tensor]:
        """As `outputs`, for features (..., n)."""
        standardised = ((features - self.mean) / self.std).clamp(-CLIP, CLIP)
        encoded = self.encode(self.of_pixels(features))
        return self.outputs(torch.cat([self.shared(standardised), self.pixels(encoded)], -1))

    def of_pixels(self, features: Tensor) -> Tensor:
        """The features of the pixels, of regions, of images, and of the first beside the second.

        (..., 3 * of_pixels) of all features.
        """
        own, image = (each[..., self.of_maps :] for each in features.chunk(2, -1))
        return torch.cat([own, image, own - image], -1)

    def encode(self, values: Tensor) -> Tensor:
        """How far each value (..., n) fills each of its bins, in [0, 1]: (..., n * bins)."""
        low, high = self.edges[:, :-1], self.edges[:, 1:]
        return (
            ((values[..., None] - low) / (high - low).clamp_min(MIN_WIDTH)).clamp(0, 1).flatten(-2)
        )


def map_features(maps: Sequence[Tensor], masks: Tensor) -> Tensor:
    """Mean and standard deviation of each channel in each region: float (B, R, 2 * C).

    Args:
        maps: feature maps (B, C_s, h_s, w_s).
        masks: float (B, R, H, W), fraction of each pixel that belongs to a region; (1, R, H, W)
            where all images have the same regions.
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
        weights: of the cells of each map in each region, (B, R, h_s * w_s) or (1, R, h_s * w_s).
    """
    found = []
    for values, weight in zip(maps, weights, strict=True):
        weight = weight / weight.sum(-1, keepdim=True).clamp_min(1e-6)  # noqa: PLW2901
        cells = values.float().flatten(2).transpose(1, 2)  # (B, h * w, C)
        mean = weight @ cells
        variance = weight @ cells.square() - mean.square()
        found += [mean, variance.clamp_min(MIN_VARIANCE).sqrt()]
    return torch.cat(found, -1)


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


def head_for(backbone: Backbone, families: Sequence[str], **settings: Any) -> PerceptionHead:
    """An untrained head for the features that `region_features` makes from a backbone's maps."""
    return PerceptionHead(2 * sum(backbone.channels), len(FEATURES), len(families), **settings)


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
        self.head = head_for(backbone, families, **settings)

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
        return self.perceive_features(region_features(maps, pixels, labels, statistics))

    @torch.inference_mode()
    def perceive_features(self, features: Tensor) -> Perceived:
        """As `perceive`, from `region_features` of an image: float32 (R, features), on the CPU."""
        outputs = self.head(features[None])
        mean, std = self.head.scale.tolist()
        return Perceived(
            families=self.families,
            probability=outputs["presence"].sigmoid()[0].numpy(),
            severity=outputs["severity"][0].numpy(),
            cost=std * outputs["cost"][0].numpy(),
            unexplained=std * outputs["unexplained"][0].numpy(),
            quality=mean + std * outputs["quality"][0].numpy(),
        )
