"""Images with one distorted region, for distorted-region localization.

On frozen features such an image is mixed from the grid features of the image and of its distorted
view; no image is read again.
"""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from rsfiqa.model import Batch

MIN_AREA = 0.03  # fraction of the image; smaller regions are distorted only if there is no other


def mix_distorted_region(
    batch: Batch, distorted_views: Tensor, random: torch.Generator
) -> tuple[Batch, Tensor]:
    """Replace one random region of each image by the same region of its distorted view.

    Captions and ratings stay those of the undistorted image: the model is to recognize the
    distortion by the image features.

    Args:
        batch: B images.
        distorted_views: (B, 2, C, G, G), grid features of the images with a distortion all over.
        random: chooses the regions.

    Returns:
        The images, and the indices of their distorted regions: int64 (B,).
    """
    area = batch.coverage.mean(-1)  # (B, R)
    eligible = (area >= MIN_AREA) + 1e-3 * batch.present
    chance = torch.rand(area.shape, generator=random).to(area.device)
    region = (chance * eligible).argmax(-1)
    fraction = batch.coverage[torch.arange(len(batch), device=area.device), region]  # (B, G * G)
    mixed = mix_statistics(batch.grid_features, distorted_views, fraction)
    return replace(batch, grid_features=mixed), region


def choose_region(area: np.ndarray, random: np.random.Generator) -> int:
    """Choose the region to be distorted in the pixels of an image.

    Args:
        area: (R,), fraction of the image that each region covers.
        random: chooses among the regions of `MIN_AREA` or more, or among all if there is none.
    """
    large = np.flatnonzero(area >= MIN_AREA)
    return int(random.choice(large if len(large) else len(area)))


def mix_statistics(first: Tensor, second: Tensor, fraction: Tensor) -> Tensor:
    """Compute means and standard deviations of grid cells that consist of two parts.

    Args:
        first: grid features (B, 2, C, G, G) of the first part.
        second: grid features of the second part, of the same shape.
        fraction: float (B, G * G), fraction of each cell that belongs to the second part.

    Returns:
        float32 (B, 2, C, G, G).
    """
    grid = first.shape[-1]
    weight = fraction.view(-1, 1, grid, grid)
    mean_1, std_1 = first.float().unbind(1)
    mean_2, std_2 = second.float().unbind(1)
    mean = torch.lerp(mean_1, mean_2, weight)
    mean_square = torch.lerp(
        std_1.square() + mean_1.square(), std_2.square() + mean_2.square(), weight
    )
    std = (mean_square - mean.square()).clamp_min(0).sqrt()
    return torch.stack([mean, std], 1)
