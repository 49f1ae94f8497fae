"""A frozen feature extractor with its preprocessing."""

import math
from dataclasses import dataclass, replace

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, pad


@dataclass(frozen=True)
class Backbone:
    """A frozen feature extractor with its preprocessing.

    Attributes:
        stages: the timm model; gives one map (B, C_s, h_s, w_s) per stage, earliest first.
        channels: C_s of each stage.
        channels_last: the model gives its maps as (B, h_s, w_s, C_s).
        fit: least length of an image's sides in pixels, and what they must be a multiple of.
        mean: of each color channel of an image in [0, 1], shape (3, 1, 1).
        std: likewise.
        sha256: of the weights' file.
    """

    stages: nn.Module
    channels: tuple[int, ...]
    channels_last: bool
    fit: tuple[int, int]
    mean: Tensor
    std: Tensor
    sha256: str

    def to(self, device: torch.device) -> "Backbone":
        """The same on another device."""
        moved = {name: getattr(self, name).to(device) for name in ("stages", "mean", "std")}
        return replace(self, **moved)

    def maps(self, x: Tensor) -> list[Tensor]:
        """The maps (B, C_s, h_s, w_s) of images float (B, 3, H, W), normalised.

        Images are mirrored at their right and lower borders until they fit a model that cuts them
        into patches or windows.
        """
        least, multiple = self.fit
        height, width = x.shape[2:]
        below, right = (-(-max(side, least) // multiple) * multiple - side for side in x.shape[2:])
        if below or right:
            small = below >= height or right >= width  # to be mirrored
            x = pad(x, (0, right, 0, below), "replicate" if small else "reflect")
        found = self.stages(x)
        if self.channels_last:
            found = [stage.permute(0, 3, 1, 2) for stage in found]
        if not (below or right):
            return list(found)
        down, across = height / (height + below), width / (width + right)  # not mirrored
        ends = [(math.ceil(s.shape[2] * down), math.ceil(s.shape[3] * across)) for s in found]
        return [s[..., :rows, :columns] for s, (rows, columns) in zip(found, ends, strict=True)]

    @torch.inference_mode()
    def grid_features(self, image: np.ndarray, grid: int) -> np.ndarray:
        """Mean and standard deviation of every channel in every cell: float32 (2, C, G, G).

        Args:
            image: uint8, sRGB, shape (H, W, 3), seen whole at this size.
            grid: G, cells on each side.
        """
        x = torch.from_numpy(image).to(self.mean.device).permute(2, 0, 1).float() / 255
        x = ((x - self.mean) / self.std)[None]  # (1, 3, H, W)
        found = [statistics(stage, grid) for stage in self.maps(x)]
        return torch.cat(found, dim=2)[0].cpu().numpy()


def statistics(stage: Tensor, grid: int, floor: float = 0) -> Tensor:
    """Mean and standard deviation within cells: float (B, 2, C, G, G) of a map (B, C, h, w).

    In training a `floor` of the variance keeps the root's slope finite.
    """
    mean = adaptive_avg_pool2d(stage, grid)
    square = adaptive_avg_pool2d(stage.square(), grid)
    return torch.stack([mean, (square - mean.square()).clamp_min(floor).sqrt()], dim=1)
