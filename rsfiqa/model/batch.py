"""The inputs of the model: grid features of a backbone, and the regions of each image."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import torch
from torch import Tensor
from torch.nn import functional

from rsfiqa.region_layout import GEOMETRY_SIZE
from rsfiqa.vocabulary import RATINGS


@dataclass(frozen=True)
class Batch:
    """B images of at most R regions, on a grid of G x G cells.

    Attributes:
        grid_features: float32 or float16 (B, 2, C, G, G), mean and standard deviation of each
            backbone channel within each cell; C counts the channels of all stages, earliest first.
        coverage: float32 (B, R, G * G), fraction in [0, 1] of the area of each cell that each
            region covers; sums to 1 over R, rows of absent regions are 0.
        text: float32 (B, R, T), caption embeddings.
        ratings: float32 (B, R, 5), color, noise, artifact, blur, overall in [1, 5], higher is
            better; NaN where a rating is missing.
        geometry: float32 (B, R, 7), natural log of the area fraction, centroid x and y, box x0,
            y0, x1, y1; positions as fractions of the width and height, in [0, 1].
        present: bool (B, R), False for absent regions, whose values in the other fields have no
            effect.
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
            "ratings": (images, regions, len(RATINGS)),
            "geometry": (images, regions, GEOMETRY_SIZE),
        }
        for name, shape in expected.items():
            if (actual := tuple(getattr(self, name).shape)) != shape:
                raise ValueError(
                    f"batch: '{name}' must have the shape {shape}, found {actual};"
                    f" 'present' has {images} images of {regions} regions"
                )

    def __len__(self) -> int:
        return len(self.present)

    @property
    def grid(self) -> int:
        """Cells on each side of the grid, G."""
        return self.grid_features.shape[-1]

    def take(self, index: Tensor) -> "Batch":
        """The images at `index`, int64 (n,) or bool (B,), in that order."""
        return Batch(**{part.name: getattr(self, part.name)[index] for part in fields(self)})

    def to(self, device: torch.device | str) -> "Batch":
        """The same batch on another device."""
        return Batch(**{part.name: getattr(self, part.name).to(device) for part in fields(self)})


def collate(batches: Sequence[Batch], grid_features: Tensor | None = None) -> Batch:
    """One batch of all images of `batches`, in their order, padded with absent regions.

    Args:
        batches: at least one, all of the same backbone, grid and text encoder.
        grid_features: those of all images, where they are in memory already; a data set has
            gigabytes of them.
    """
    regions = max(batch.present.shape[1] for batch in batches)
    if grid_features is None:
        grid_features = torch.cat([batch.grid_features for batch in batches])
    return Batch(
        grid_features=grid_features,
        **{
            name: torch.cat([_pad(getattr(batch, name), regions) for batch in batches])
            for name in ("coverage", "text", "ratings", "geometry", "present")
        },
    )


def _pad(rows: Tensor, regions: int) -> Tensor:
    """`rows` (B, r, ...) with zero (or False) rows added up to (B, regions, ...)."""
    missing = regions - rows.shape[1]
    return functional.pad(rows, (0, 0) * (rows.ndim - 2) + (0, missing))
