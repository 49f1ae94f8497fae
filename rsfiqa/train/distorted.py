"""Images in which one region is spoilt, put together from cells: no image is read again."""

from dataclasses import replace

import numpy as np
import torch
from torch import Tensor

from rsfiqa.model import Batch

SMALLEST = 0.03  # share of the image that a spoilt region takes at least, where there is one


def distort_region(
    batch: Batch, augmented_views: Tensor, random: torch.Generator
) -> tuple[Batch, Tensor]:
    """The images with one region each as in a distorted copy, and which: int64 (B,).

    Captions and ratings stay those of the intact images: what is to be learnt is seen.

    Args:
        batch: B images.
        augmented_views: (B, 2, C, G, G), cells of the copies, distorted all over.
        random: chooses the regions.
    """
    area = batch.coverage.mean(-1)  # (B, R)
    likely = (area >= SMALLEST) + 1e-3 * batch.present
    chance = torch.rand(area.shape, generator=random).to(area.device)
    region = (chance * likely).argmax(-1)
    fraction = batch.coverage[torch.arange(len(batch), device=area.device), region]  # (B, N)
    return replace(
        batch, grid_features=blend(batch.grid_features, augmented_views, fraction)
    ), region


def draw_region(area: np.ndarray, random: np.random.Generator) -> int:
    """A region to be spoilt in pixels, of those that take SMALLEST or more if there are any.

    Args:
        area: (R,), share of the image that each region takes.
        random: chooses it.
    """
    large = np.flatnonzero(area >= SMALLEST)
    return int(random.choice(large if len(large) else len(area)))


def blend(grid_features: Tensor, augmented_views: Tensor, fraction: Tensor) -> Tensor:
    """Means and standard deviations of cells that consist of two parts: float32 (B, 2, C, G, G).

    Args:
        grid_features: (B, 2, C, G, G), of the one part.
        augmented_views: likewise, of the other.
        fraction: float (B, G * G), in [0, 1], how much of each cell is of the other.
    """
    grid = grid_features.shape[-1]
    other = fraction.view(-1, 1, grid, grid)
    (mean, std), (mean_other, std_other) = (
        x.float().unbind(1) for x in (grid_features, augmented_views)
    )
    mixed = torch.lerp(mean, mean_other, other)
    square = torch.lerp(
        std.square() + mean.square(), std_other.square() + mean_other.square(), other
    )
    return torch.stack([mixed, (square - mixed.square()).clamp_min(0).sqrt()], 1)
