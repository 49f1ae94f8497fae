"""The products of a data set, put together as inputs of the model."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import compress
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from tqdm import tqdm

from rsfiqa import splits
from rsfiqa.backbones.backbone import Backbone
from rsfiqa.errors import ImageError, InputError
from rsfiqa.images import resize
from rsfiqa.images.load import load_rgb
from rsfiqa.io.checksum import sha256_of
from rsfiqa.io.provenance import Provenance, check_input
from rsfiqa.model import Batch
from rsfiqa.model.batch import GEOMETRY
from rsfiqa.products import captions, embeddings, features, manifest, regions
from rsfiqa.products.checkpoints import LINEAGE, weights_digest
from rsfiqa.products.paths import (
    SUFFIX,
    dataset_name,
    manifest_path,
    product_path,
    shard_names,
)
from rsfiqa.runtime.shards import images_digest
from rsfiqa.scale import MosScale
from rsfiqa.vocabulary import RATINGS

FOR_TRAINING = (
    "augmented_views",
)  # options of a stage that do not shape what a model is tested on


@dataclass(frozen=True)
class Samples:
    """N images that every stage has finished, sorted by image_id.

    Attributes:
        dataset: the name of the data set's folder.
        rows: the manifest's rows of these images.
        batch: inputs of the model for all of them.
        mirrored: float16 (N, 2, C, G, G), cells of the mirrored images, in the place of their own;
            None if there are none.
        distorted: likewise of distorted copies.
        channels: of each backbone stage.
        scale: of the MOS; None for images without scores.
        provenance: of the manifest and of each stage's products, the same in all shards.
        listed: the manifest's rows of all images, also of those that a stage could not read.
    """

    dataset: str
    rows: pa.Table
    batch: Batch
    mirrored: torch.Tensor | None
    distorted: torch.Tensor | None
    channels: tuple[int, ...]
    scale: MosScale | None
    provenance: dict[str, Provenance]
    listed: pa.Table

    def __len__(self) -> int:
        return self.rows.num_rows

    @property
    def image_ids(self) -> list[str]:
        """Of the images in order."""
        return self.rows["image_id"].to_pylist()

    @property
    def quality(self) -> np.ndarray:
        """MOS mapped to [0, 1], higher is better: float32 (N,)."""
        return self.rows["quality"].to_numpy().astype(np.float32)

    @property
    def mos(self) -> np.ndarray:
        """MOS in native units and direction: float64 (N,)."""
        return self.rows["mos"].to_numpy().astype(np.float64)

    @property
    def groups(self) -> list[str]:
        """Reference, prompt or scene of each image."""
        return self.rows["group"].to_pylist()

    @property
    def lineage(self) -> dict[str, dict[str, Any]]:
        """What made the model's inputs: options, version and weights, by part of the card."""

        def stage(name: str) -> dict[str, Any]:
            made = self.provenance[name]
            weights = {"sha256": weights_digest(made.models)} if made.models else {}
            return {"version": made.version, **_shaping(made)} | weights

        return {part: stage(name) for part, name in LINEAGE.items()}

    def test_mask(self, split: str, *, test_fraction: float, seed: int) -> np.ndarray:
        """Which images a split tests: bool (N,); see `splits.test_mask`.

        All images of the manifest are divided: one that could not be read moves no other.

        Raises:
            InputError: as that, or no image of one of the parts could be read.
        """
        tested = self._tested_of_listed(split, test_fraction=test_fraction, seed=seed)
        found = self._among(tested)
        for part, listed in ((found, tested), (~found, ~tested)):
            if listed.any() and not part.any():
                raise InputError(
                    f"{self.dataset}: {split} needs images that could be read on both sides, found"
                    f" {found.sum()} to test and {(~found).sum()} to train on; mend those in the"
                    " tables of failures"
                )
        return found

    def validation_mask(
        self, split: str, *, fraction: float, test_fraction: float, seed: int
    ) -> np.ndarray:
        """Which of the images that a split does not test are to validate: bool (N,); whole groups.

        As there, an image that could not be read moves no other.

        Args:
            split: whose training part is divided once more.
            fraction: of it, in (0, 1).
            test_fraction: of the split.
            seed: of the split.

        Raises:
            InputError: too few groups, or images to validate of one MOS.
        """
        learnt = ~self._tested_of_listed(split, test_fraction=test_fraction, seed=seed)
        held = np.zeros(len(learnt), bool)
        held[learnt] = splits.random_split(
            list(compress(self.listed["group"].to_pylist(), learnt)),
            test_fraction=fraction,
            seed=seed,
            dataset=f"{self.dataset} {split}, validation",
            split=0,
            option="train.validation_fraction",
        )
        found = self._among(held)
        if len(set(self.quality[found].tolist())) < 2:
            raise InputError(
                f"{self.dataset}: {split} needs images of different MOS to validate, found"
                f" {found.sum()} of one; raise train.validation_fraction, or set it to 0"
            )
        return found

    def _tested_of_listed(self, split: str, *, test_fraction: float, seed: int) -> np.ndarray:
        """Which of all images listed a split tests: bool (as many as are listed,)."""
        return splits.test_mask(
            split,
            self.listed["group"].to_pylist(),
            self.listed["subset"].to_pylist(),
            dataset=self.dataset,
            test_fraction=test_fraction,
            seed=seed,
        )

    def _among(self, listed: np.ndarray) -> np.ndarray:
        """Which of the N images are among those listed where `listed` holds: bool (N,)."""
        chosen = set(compress(self.listed["image_id"].to_pylist(), listed))
        return np.array([image_id in chosen for image_id in self.image_ids], bool)

    @property
    def content_sha256(self) -> str:
        """To recognise the images by their bytes, and by what the model sees of them.

        The cells, which follow from the bytes and from `origin`, are left out.
        """
        found = hashlib.sha256("\n".join(self.rows["sha256"].to_pylist()).encode())
        for name in ("coverage", "text", "ratings", "geometry", "present"):
            found.update(getattr(self.batch, name).numpy().tobytes())
        return found.hexdigest()

    def digests(self, chosen: np.ndarray) -> dict[str, str]:
        """To recognise the images where `chosen`, bool (N,), holds: `sha256` of their names.

        `scores_sha256`, of their qualities, changes with any score or its direction. The features
        are not copied for it.
        """
        qualities = self.quality[chosen].astype("<f4").tobytes()
        return {
            "sha256": splits.digest(np.asarray(self.image_ids)[chosen]),
            "scores_sha256": hashlib.sha256(qualities).hexdigest(),
        }

    def take(self, chosen: np.ndarray) -> "Samples":
        """The images where `chosen`, bool (N,), holds."""
        index = torch.from_numpy(chosen)
        return replace(
            self,
            rows=self.rows.filter(pa.array(chosen)),
            batch=self.batch.take(index),
            mirrored=None if self.mirrored is None else self.mirrored[index],
            distorted=None if self.distorted is None else self.distorted[index],
        )


def with_grid_features(data: Samples, backbone: Backbone, long_side: int) -> Samples:
    """The images as another backbone sees them, such as one that was fine-tuned.

    Args:
        data: N images; their files are read again.
        backbone: with the channels of that which made `data`.
        long_side: larger images are reduced to it.
    """
    grid = data.batch.grid_features.shape[-1]
    grid_features = []
    for path in tqdm(data.rows["path"].to_pylist(), "backbone", unit="image", disable=None):
        grid_features.append(
            backbone.grid_features(resize.reduce(read_again(path), long_side), grid)
        )
    batch = replace(data.batch, grid_features=torch.from_numpy(np.stack(grid_features)))
    return replace(data, batch=batch, mirrored=None, distorted=None)


def read_again(path: str) -> np.ndarray:
    """An image of a data set, uint8 (H, W, 3), which could be read when that was prepared.

    Raises:
        InputError: it cannot any more.
    """
    try:
        return load_rgb(Path(path))
    except ImageError as error:
        raise InputError(f"{path}: {error}; prepare the data set again") from error


def load(folder: Path) -> Samples:
    """All finished images of a data set's folder, whose manifest must hold scores.

    Raises:
        InputError: a product is missing, damaged or made from other inputs; shards that were made
            in different ways; no scores.
    """
    source = manifest_path(folder)
    table, provenance = manifest.read(source)
    if table["quality"].null_count:
        raise InputError(
            f"{source}: training and testing need a MOS for every image, found"
            f" {table['quality'].null_count} without; use a data set with scores"
        )
    parts = [
        _load_shard(folder, shard, table.filter(pc.equal(table["shard"], int(shard))))
        for shard in shard_names(provenance.options["shards"])
    ]
    _check_alike(folder, parts)
    present = {image_id for part in parts for image_id in part.image_ids}
    finished = [image_id in present for image_id in table["image_id"].to_pylist()]
    rows = table.filter(pa.array(finished))
    return Samples(
        dataset=dataset_name(folder),
        rows=rows,
        batch=_stack(parts),
        mirrored=_augmented_views([part.mirrored for part in parts], len(rows)),
        distorted=_augmented_views([part.distorted for part in parts], len(rows)),
        channels=parts[0].channels,
        scale=manifest.scale_of(provenance),
        provenance={"manifest": provenance} | parts[0].provenance,
        listed=table,
    )


@dataclass(frozen=True)
class _Part:
    """One shard's inputs; regions of image i are rows offsets[i]:offsets[i+1]."""

    image_ids: list[str]
    channels: tuple[int, ...]
    grid_features: np.ndarray  # float16 (n, 2, C, G, G)
    mirrored: np.ndarray  # likewise, or (0, 2, C, G, G)
    distorted: np.ndarray
    offsets: np.ndarray
    coverage: np.ndarray  # float32 (r, G * G)
    text: np.ndarray  # float16 (r, T)
    ratings: np.ndarray  # float32 (r, 5)
    geometry: np.ndarray  # float32 (r, 7)
    provenance: dict[str, Provenance]


def _load_shard(folder: Path, shard: str, rows: pa.Table) -> _Part:
    """One shard's products, which must have been made from these rows of the manifest."""
    paths = {stage: product_path(folder, stage, shard) for stage in SUFFIX}
    input_digests = {"manifest": images_digest(rows)}
    reader = regions.Reader(paths["segment"])
    described, caption_origin = captions.read(paths["caption"])
    _check_ratings(described, paths["caption"])
    embedded, embed_origin = embeddings.read(paths["embed"])
    extracted, extract_origin = features.read(paths["extract"])
    input_digests["regions"] = sha256_of(paths["segment"])
    input_digests["captions"] = sha256_of(paths["caption"])
    made = {
        "segment": reader.provenance,
        "caption": caption_origin,
        "embed": embed_origin,
        "extract": extract_origin,
    }
    for stage, provenance in made.items():
        check_input(provenance, paths[stage], input_digests, stage)
    found = {image_id: row for row, image_id in enumerate(extracted.image_ids)}
    kept = [i for i, image_id in enumerate(embedded.image_ids) if image_id in found]
    image_ids = [embedded.image_ids[i] for i in kept]
    grid = extracted.grid_features.shape[-1]
    chosen = [np.arange(embedded.offsets[i], embedded.offsets[i + 1]) for i in kept]
    index = np.concatenate([np.zeros(0, np.int64), *chosen])
    maps = [reader[image_id] for image_id in image_ids]
    order = [found[image_id] for image_id in image_ids]
    return _Part(
        image_ids=image_ids,
        channels=extracted.channels,
        **{name: _chosen(getattr(extracted, name), order) for name in features.VIEWS},
        offsets=np.cumsum([0, *(len(part) for part in chosen)]),
        coverage=np.concatenate(
            [np.zeros((0, grid * grid), np.float32), *(coverage(m.labels, grid) for m in maps)]
        ),
        text=embedded.vectors[index],
        ratings=ratings(described)[index],
        geometry=np.concatenate([np.zeros((0, GEOMETRY), np.float32), *map(geometry, maps)]),
        provenance=made,
    )


def _check_alike(folder: Path, parts: Sequence[_Part]) -> None:
    """Refuse shards that other options, versions or weights have made than the first."""

    def way(provenance: Provenance) -> tuple[Any, ...]:
        return provenance.version, _shaping(provenance), provenance.models

    for part in parts[1:]:
        for stage, provenance in part.provenance.items():
            wanted = way(parts[0].provenance[stage])
            if (found := way(provenance)) != wanted:
                raise InputError(
                    f"{folder / stage}: all shards must be made in the same way, found {found} and"
                    f" {wanted}; run the {stage} stage again"
                )


def _shaping(provenance: Provenance) -> dict[str, Any]:
    """The options that shape what a model is tested on."""
    return {k: v for k, v in provenance.options.items() if k not in FOR_TRAINING}


def _check_ratings(table: pa.Table, path: Path) -> None:
    """Refuse an expectation that is no number; one that is missing is null."""
    for name in RATINGS:
        bad = pc.is_nan(table[f"{name}_expected"]).combine_chunks()
        if pc.any(bad).as_py():
            image_id = table["image_id"].filter(bad)[0].as_py()
            raise InputError(
                f"{path}: '{name}_expected' must be a number in [1, 5] or null, found NaN for"
                f" {image_id}; caption the shard again"
            )


def coverage(labels: np.ndarray, grid: int) -> np.ndarray:
    """The share of each cell that each region covers: float32 (R, G * G), columns sum to 1."""
    repeat = [-(-grid // side) for side in labels.shape]  # a map smaller than the grid is enlarged
    labels = labels.repeat(repeat[0], axis=0).repeat(repeat[1], axis=1)
    height, width = labels.shape
    rows = (np.arange(height) * grid) // height
    columns = (np.arange(width) * grid) // width
    count = int(labels.max()) + 1
    code = (labels.astype(np.intp) * grid + rows[:, None]) * grid + columns
    counts = np.bincount(code.ravel(), minlength=count * grid * grid).reshape(count, grid * grid)
    return (counts / counts.sum(axis=0)).astype(np.float32)


def geometry(image: regions.ImageRegions) -> np.ndarray:
    """Log area share, centroid x and y, box x0, y0, x1, y1, positions in [0, 1]: float32 (R, 7)."""
    height, width = image.labels.shape
    fraction = np.log(image.table["area"] / image.labels.size)
    size = np.array([width, height])
    centroid = (image.table["centroid"] + 0.5) / size
    box = image.table["box"] / np.tile(size, 2)
    return np.column_stack([fraction, centroid, box]).astype(np.float32)


def ratings(table: pa.Table) -> np.ndarray:
    """Expectations where a caption has them, else the words' numbers, NaN if failed: (r, 5)."""
    columns = []
    for name in RATINGS:
        expected = table[f"{name}_expected"].to_numpy().astype(np.float32)
        word = table[name].cast(pa.float32()).to_numpy()  # null becomes NaN
        columns.append(np.where(np.isnan(expected), word, expected))
    return np.column_stack(columns).astype(np.float32)


def _chosen(grid_features: np.ndarray, order: list[int]) -> np.ndarray:
    """The cells of images in order, if there are any."""
    return grid_features[order if len(grid_features) else []]


def _augmented_views(parts: Sequence[np.ndarray], number: int) -> torch.Tensor | None:
    """The copies' cells of all parts, if each of that number of images has one."""
    whole = np.concatenate(parts)
    return torch.from_numpy(whole) if len(whole) == number else None


def _stack(parts: Sequence[_Part]) -> Batch:
    """All parts as one padded batch."""
    counts = np.concatenate([np.diff(part.offsets) for part in parts])
    most = int(counts.max(initial=1))
    present = np.arange(most) < counts[:, None]

    def padded(name: str) -> torch.Tensor:
        rows = np.concatenate([getattr(part, name) for part in parts]).astype(np.float32)
        whole = np.zeros((len(counts), most, rows.shape[1]), np.float32)
        whole[present] = rows
        return torch.from_numpy(whole)

    return Batch(
        grid_features=torch.from_numpy(np.concatenate([part.grid_features for part in parts])),
        coverage=padded("coverage"),
        text=padded("text"),
        ratings=padded("ratings"),
        geometry=padded("geometry"),
        present=torch.from_numpy(present),
    )
