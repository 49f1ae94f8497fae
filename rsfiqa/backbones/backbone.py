"""A pretrained feature extractor with its preprocessing; needs torch only."""

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, pad


@dataclass(frozen=True)
class Backbone:
    """A pretrained feature extractor with its preprocessing.

    Attributes:
        network: timm model made with `features_only=True`; returns S feature maps, the one of
            highest resolution first.
        channels: number of channels C_s of each feature map.
        channels_last: `network` returns maps of shape (B, h_s, w_s, C_s) instead of
            (B, C_s, h_s, w_s).
        min_side: smallest image side that `network` accepts, pixels.
        side_multiple: image sides must be a multiple of this number of pixels.
        mean: mean of each color channel for images in [0, 1], shape (3, 1, 1).
        std: standard deviation of each color channel, shape (3, 1, 1).
        sha256: checksum of the weights file.
    """

    network: nn.Module
    channels: tuple[int, ...]
    channels_last: bool
    min_side: int
    side_multiple: int
    mean: Tensor
    std: Tensor
    sha256: str

    def to(self, device: torch.device) -> "Backbone":
        """Return the backbone on another device."""
        return replace(
            self,
            network=self.network.to(device),
            mean=self.mean.to(device),
            std=self.std.to(device),
        )

    def feature_maps(self, x: Tensor) -> list[Tensor]:
        """Compute the feature maps (B, C_s, h_s, w_s) of normalized images float (B, 3, H, W).

        Images whose sides `network` does not accept are padded by reflection at the right and the
        lower border; the maps are cropped to the part that shows the image.
        """
        height, width = x.shape[2:]
        bottom, right = self._padding(height), self._padding(width)
        if bottom or right:
            # reflection can add at most one pixel less than the side
            mode = "replicate" if bottom >= height or right >= width else "reflect"
            x = pad(x, (0, right, 0, bottom), mode)
        if x.device.type == "cpu":  # faster by a tenth to a half
            x = x.contiguous(memory_format=torch.channels_last)
        maps = list(self.network(x))
        if self.channels_last:
            maps = [feature_map.permute(0, 3, 1, 2) for feature_map in maps]
        if not (bottom or right):
            return maps
        kept_height, kept_width = height / (height + bottom), width / (width + right)
        return [
            feature_map[
                ...,
                : math.ceil(feature_map.shape[2] * kept_height),
                : math.ceil(feature_map.shape[3] * kept_width),
            ]
            for feature_map in maps
        ]

    def _padding(self, side: int) -> int:
        """Return the number of pixels by which a side must grow to be accepted."""
        multiple = self.side_multiple
        return -(-max(side, self.min_side) // multiple) * multiple - side

    @torch.inference_mode()
    def grid_features(self, image: np.ndarray, grid: int) -> np.ndarray:
        """Compute mean and standard deviation of each channel per grid cell.

        Args:
            image: uint8, sRGB, shape (H, W, 3); processed at its own resolution.
            grid: number G of grid cells per side.

        Returns:
            float32 (2, C, G, G): means, then standard deviations; C counts the channels of all
            feature maps.
        """
        return grid_features_of(self.image_maps(image), grid)

    @torch.inference_mode()
    def image_maps(self, image: np.ndarray) -> list[Tensor]:
        """The feature maps (1, C_s, h_s, w_s) of an image uint8 (H, W, 3), sRGB."""
        pixels = torch.tensor(np.ascontiguousarray(image), device=self.mean.device)
        return self.pixel_maps(pixels.permute(2, 0, 1)[None])

    def pixel_maps(self, pixels: Tensor) -> list[Tensor]:
        """The feature maps (B, C_s, h_s, w_s) of images uint8 (B, 3, H, W), sRGB."""
        return self.feature_maps(self.normalize(pixels))

    def normalize(self, pixels: Tensor) -> Tensor:
        """Images uint8 (B, 3, H, W), sRGB, as `network` takes them."""
        return (pixels.float() / 255 - self.mean) / self.std


def grid_features_of(maps: Sequence[Tensor], grid: int) -> np.ndarray:
    """Mean and standard deviation of each channel per grid cell: float32 (2, C, G, G).

    Args:
        maps: feature maps (1, C_s, h_s, w_s) of an image.
        grid: number G of grid cells per side.
    """
    features = [grid_statistics(feature_map, grid) for feature_map in maps]
    return torch.cat(features, dim=2)[0].cpu().numpy()


def grid_statistics(feature_map: Tensor, grid: int, min_variance: float = 0) -> Tensor:
    """Compute mean and standard deviation of each channel per grid cell.

    Args:
        feature_map: float (B, C, h, w).
        grid: number G of grid cells per side.
        min_variance: lower bound of the variance; a positive bound keeps the gradient of the
            square root finite in training.

    Returns:
        float (B, 2, C, G, G): means, then standard deviations.
    """
    mean = adaptive_avg_pool2d(feature_map, grid)
    mean_square = adaptive_avg_pool2d(feature_map.square(), grid)
    variance = (mean_square - mean.square()).clamp_min(min_variance)
    return torch.stack([mean, variance.sqrt()], dim=1)
