"""What the model sees of some images: backbone statistics on a grid, and the regions."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor
from torch.nn import functional

RATINGS = 5
GEOMETRY = 7


@dataclass(frozen=True)
class Batch:
    """B images of at most R regions, on a G x G grid of backbone cells.

    Attributes:
        grid_features: float (B, 2, C, G, G), mean and standard deviation of each backbone
            channel within each cell; C counts the channels of all stages, earliest first. May be
            float16.
        coverage: float (B, R, G * G), the share in [0, 1] of each cell's area that each region
            covers; sums to 1 over R, rows of absent regions are 0.
        text: float (B, R, T), caption embeddings.
        ratings: float (B, R, 5), color, noise, artifact, blur, overall in [1, 5]; NaN where a
            rating is missing.
        geometry: float (B, R, 7), natural log of the area share, centroid x and y, box x0, y0,
            x1, y1; positions in [0, 1].
        present: bool (B, R), False where a row only pads; rows of absent regions are ignored.
    """

    grid_features: Tensor
    coverage: Tensor
    text: Tensor
    ratings: Tensor
    geometry: Tensor
    present: Tensor

    def __post_init__(self) -> None:
        images, regions = self.present.shape
        grid = self.grid_features.shape[-1]
        expected = {
            "grid_features": (images, 2, self.grid_features.shape[2], grid, grid),
            "coverage": (images, regions, grid * grid),
            "text": (images, regions, self.text.shape[-1]),
            "ratings": (images, regions, RATINGS),
            "geometry": (images, regions, GEOMETRY),
        }
        for name, shape in expected.items():
            if (found := tuple(getattr(self, name).shape)) != shape:
                raise ValueError(
                    f"batch: '{name}' must have the shape {shape}, found {found};"
                    f" 'present' says {images} images of {regions} regions"
                )

    def __len__(self) -> int:
        return len(self.present)

    def take(self, index: Tensor) -> "Batch":
        """The images at `index`, int64 (n,) or bool (B,), in that order."""
        return Batch(**{part.name: getattr(self, part.name)[index] for part in fields(self)})

    def to(self, device: torch.device | str) -> "Batch":
        """The same batch on another device."""
        return Batch(**{part.name: getattr(self, part.name).to(device) for part in fields(self)})


def collate(items: Sequence[Batch]) -> Batch:
    """One batch of all images of `items`, in their order, padded to the most regions."""
    regions = max(item.present.shape[1] for item in items)
    return Batch(
        grid_features=torch.cat([item.grid_features for item in items]),
        **{
            name: torch.cat([_pad(getattr(item, name), regions) for item in items])
            for name in ("coverage", "text", "ratings", "geometry", "present")
        },
    )


def _pad(rows: Tensor, regions: int) -> Tensor:
    """`rows` (B, r, ...) with zero (or False) rows added up to (B, regions, ...)."""
    missing = regions - rows.shape[1]
    return functional.pad(rows, (0, 0) * (rows.ndim - 2) + (0, missing))
