"""The products of one shard, read together and checked to have been made one from another."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rsfiqa.errors import InputError
from rsfiqa.io.checksum import sha256_of
from rsfiqa.io.provenance import Provenance, check_input
from rsfiqa.products import captions, embeddings, features, regions
from rsfiqa.products.embeddings import Embeddings
from rsfiqa.products.features import Features
from rsfiqa.products.lineage import shaping_options
from rsfiqa.products.paths import SUFFIX, product_path
from rsfiqa.vocabulary import RATINGS


@dataclass(frozen=True)
class ShardProducts:
    """What the stages made of the images of one shard.

    Attributes:
        regions: label maps and region tables.
        ratings: float32 (R, 5) of each captioned image, by image_id; see `captions.ratings_array`.
        text: float16 (R, T), caption embeddings of each image, by image_id.
        features: of the backbone.
        provenance: of each stage's product.
    """

    regions: regions.Reader
    ratings: dict[str, np.ndarray]
    text: dict[str, np.ndarray]
    features: Features
    provenance: dict[str, Provenance]


def read(folder: Path, shard: str, *, images_sha256: str) -> ShardProducts:
    """The products of one shard in a data set's folder.

    Args:
        folder: of the data set.
        shard: its name.
        images_sha256: digest of the shard's images in the manifest, as its products record it.

    Raises:
        InputError: a product is missing, damaged or was made from other inputs than those at hand;
            an expected rating is NaN, or a region has no caption.
    """
    paths = {stage: product_path(folder, stage, shard) for stage in SUFFIX}
    reader = regions.Reader(paths["segment"])
    table, caption_provenance = captions.read(paths["caption"])
    _check_expectations(table, paths["caption"])
    embedded, embed_provenance = embeddings.read(paths["embed"])
    extracted, extract_provenance = features.read(paths["extract"])
    provenance = {
        "segment": reader.provenance,
        "caption": caption_provenance,
        "embed": embed_provenance,
        "extract": extract_provenance,
    }
    digests = {
        "manifest": images_sha256,
        "regions": sha256_of(paths["segment"]),
        "captions": sha256_of(paths["caption"]),
    }
    for stage, made in provenance.items():
        check_input(made, paths[stage], digests, stage)
    return ShardProducts(
        regions=reader,
        ratings=_ratings_by_image(table, paths["caption"]),
        text=_text_by_image(embedded),
        features=extracted,
        provenance=provenance,
    )


def check_alike(folder: Path, shards: Sequence[Mapping[str, Provenance]]) -> None:
    """Check that all shards were made with the same options, stage versions and weights.

    Args:
        folder: of the data set, for messages.
        shards: provenance of each shard's products, by stage.

    Raises:
        InputError: a shard was made in another way than the first.
    """

    def recipe(provenance: Provenance) -> tuple[int, dict[str, Any], dict[str, str]]:
        return provenance.version, shaping_options(provenance), provenance.models

    for shard in shards[1:]:
        for stage, provenance in shard.items():
            expected, actual = recipe(shards[0][stage]), recipe(provenance)
            if actual != expected:
                raise InputError(
                    f"{folder / stage}: all shards must be made in the same way, found {actual} and"
                    f" {expected}; run the {stage} stage again"
                )


def _ratings_by_image(table: pa.Table, path: Path) -> dict[str, np.ndarray]:
    """Ratings float32 (R, 5) of the captions of each image, by image_id.

    Raises:
        InputError: the regions of an image are not numbered from 0.
    """
    image_ids = table["image_id"].to_numpy().astype(str)
    names, starts, counts = np.unique(image_ids, return_index=True, return_counts=True)
    numbers = np.arange(len(image_ids)) - np.repeat(starts, counts)
    for row in np.flatnonzero(table["region"].to_numpy() != numbers)[:1]:
        raise InputError(
            f"{path}: the captions of {image_ids[row]} must have one row for each region from 0,"
            f" found region {table['region'][int(row)]} in place of {numbers[row]}; run the caption"
            " stage again"
        )
    ratings = captions.ratings_array(table)
    return {
        str(name): ratings[start : start + count]
        for name, start, count in zip(names, starts, counts, strict=True)
    }


def _check_expectations(table: pa.Table, path: Path) -> None:
    """Refuse an expected rating that is NaN; one that is unknown is null."""
    for name in RATINGS:
        is_nan = pc.is_nan(table[f"{name}_expected"]).combine_chunks()
        if pc.any(is_nan).as_py():
            image_id = table["image_id"].filter(is_nan)[0].as_py()
            raise InputError(
                f"{path}: '{name}_expected' must be a number in [1, 5] or null, found NaN for"
                f" {image_id}; caption the shard again"
            )


def _text_by_image(embedded: Embeddings) -> dict[str, np.ndarray]:
    """Caption embeddings float16 (R, T) of each image, by image_id."""
    bounds = zip(embedded.offsets[:-1], embedded.offsets[1:], strict=True)
    return {
        image_id: embedded.vectors[start:stop]
        for image_id, (start, stop) in zip(embedded.image_ids, bounds, strict=True)
    }
