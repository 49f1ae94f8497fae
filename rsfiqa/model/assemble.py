"""The model inputs of an image, from what the stages made of it; the only code that builds them.

The train, benchmark and report stages assemble whole data sets, the scorer single images and
fine-tuning random crops, all of them here.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import torch
from torch import Tensor

from rsfiqa.errors import InputError
from rsfiqa.model.batch import Batch
from rsfiqa.region_layout import region_layout


class HasLayout(Protocol):
    """Something with the layout of the regions of an image; see `RegionLayout`."""

    @property
    def coverage(self) -> np.ndarray:
        """Float32 (R, G * G)."""

    @property
    def geometry(self) -> np.ndarray:
        """Float32 (R, 7)."""

    @property
    def present(self) -> np.ndarray:
        """Bool (R,)."""


@dataclass(frozen=True)
class ImageInputs:
    """The model inputs of one image of R regions.

    Attributes:
        image_id: of the image; empty for one that belongs to no data set.
        grid_features: float16 or float32 (2, C, G, G), as in `Batch`.
        coverage: float32 (R, G * G), as in `Batch`.
        text: float16 or float32 (R, T), caption embeddings.
        ratings: float32 (R, 5), in [1, 5]; NaN where a rating is missing.
        geometry: float32 (R, 7), as in `Batch`.
    """

    image_id: str
    grid_features: np.ndarray
    coverage: np.ndarray
    text: np.ndarray
    ratings: np.ndarray
    geometry: np.ndarray

    def __len__(self) -> int:
        """Number of regions."""
        return len(self.coverage)


def image_inputs(
    image_id: str,
    *,
    labels: np.ndarray,
    table: np.ndarray,
    ratings: np.ndarray,
    text: np.ndarray,
    grid_features: np.ndarray,
) -> ImageInputs:
    """The model inputs of one image.

    Args:
        image_id: for messages; may be empty.
        labels: uint16 (H, W), label map of R regions.
        table: (R,), its region table.
        ratings: float32 (R, 5), of the captions.
        text: float16 or float32 (R, T), embeddings of the captions.
        grid_features: float16 or float32 (2, C, G, G).

    Raises:
        InputError: the products differ in the number of regions.
    """
    regions = int(labels.max()) + 1
    for product, count, stage in (
        ("region table", len(table), "segment"),
        ("captions", len(ratings), "caption"),
        ("embeddings", len(text), "embed"),
    ):
        if count != regions:
            raise InputError(
                f"{image_id or 'image'}: {product} must have one row for each of its {regions}"
                f" regions, found {count}; run the {stage} stage again"
            )
    layout = region_layout(labels, table, grid_features.shape[-1])
    return ImageInputs(image_id, grid_features, layout.coverage, text, ratings, layout.geometry)


def common_images(
    *,
    manifest: Collection[str],
    regions: Collection[str],
    captions: Collection[str],
    embeddings: Collection[str],
    features: Collection[str],
) -> list[str]:
    """The images that all stages finished, in the order of the manifest.

    An image may be missing where a stage could not read it, but no product may hold an image that
    the product it was made from does not hold.

    Args:
        manifest: image ids of the manifest.
        regions: image ids of the label maps.
        captions: image ids of the captions.
        embeddings: image ids of the caption embeddings.
        features: image ids of the grid features.

    Raises:
        InputError: the image ids of two products disagree.
    """
    _check_subset("regions", regions, "manifest", manifest, "segment")
    _check_subset("captions", captions, "regions", regions, "caption")
    _check_subset("embeddings", embeddings, "captions", captions, "embed")
    _check_subset("captions", captions, "embeddings", embeddings, "embed")
    _check_subset("features", features, "manifest", manifest, "extract")
    finished = set(embeddings) & set(features)
    return [image_id for image_id in manifest if image_id in finished]


def _check_subset(
    product: str, image_ids: Collection[str], other: str, allowed: Collection[str], stage: str
) -> None:
    """Refuse a product with an image that another does not hold; name the stage to run again."""
    if extra := sorted(set(image_ids) - set(allowed)):
        raise InputError(
            f"{extra[0]}: {product} and {other} must hold the same images, found it in the"
            f" {product} only; run the {stage} stage again"
        )


def batch_images(images: Sequence[ImageInputs]) -> Batch:
    """All images as one batch, in their order, padded to the most regions.

    Args:
        images: at least one, all of the same backbone, grid and text encoder.
    """
    counts = np.array([len(image) for image in images])
    regions = int(counts.max())
    return Batch(
        grid_features=torch.from_numpy(np.stack([image.grid_features for image in images])),
        coverage=_padded([image.coverage for image in images], regions),
        text=_padded([image.text for image in images], regions),
        ratings=_padded([image.ratings for image in images], regions),
        geometry=_padded([image.geometry for image in images], regions),
        present=torch.from_numpy(np.arange(regions) < counts[:, None]),
    )


def _padded(parts: Sequence[np.ndarray], regions: int) -> Tensor:
    """Rows (r, K) of each image as float32 (B, R, K), zero for absent regions."""
    whole = np.zeros((len(parts), regions, parts[0].shape[1]), np.float32)
    for rows, part in zip(whole, parts, strict=True):
        rows[: len(part)] = part
    return torch.from_numpy(whole)


def with_layouts(batch: Batch, layouts: Sequence[HasLayout]) -> Batch:
    """The same images and captions with other layouts of their regions, such as those of crops.

    Grid features are left as they are.

    Args:
        batch: B images of at most R regions.
        layouts: B layouts of R regions each.
    """
    return Batch(
        grid_features=batch.grid_features,
        coverage=torch.from_numpy(np.stack([layout.coverage for layout in layouts])),
        text=batch.text,
        ratings=batch.ratings,
        geometry=torch.from_numpy(np.stack([layout.geometry for layout in layouts])),
        present=torch.from_numpy(np.stack([layout.present for layout in layouts])),
    )
