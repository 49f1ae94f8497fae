"""The finished images of a data set as model inputs, with their scores and splits."""

import hashlib
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import compress
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import torch
from torch import Tensor
from tqdm import tqdm

from rsfiqa import splits
from rsfiqa.backbones.backbone import Backbone
from rsfiqa.errors import InputError
from rsfiqa.images import resize
from rsfiqa.images.load import reload_rgb
from rsfiqa.io.provenance import Provenance
from rsfiqa.model import Batch, ImageInputs, batch_images, collate, common_images, image_inputs
from rsfiqa.products import features, shard_products
from rsfiqa.products import manifest as manifests
from rsfiqa.products.lineage import Lineage, lineage_of
from rsfiqa.products.paths import dataset_name, manifest_path, shard_names
from rsfiqa.products.shard_products import ShardProducts
from rsfiqa.runtime.shards import images_digest
from rsfiqa.scale import MosScale

Part = Literal["all", "train", "test"]  # of the official split


@dataclass(frozen=True)
class Samples:
    """The N images of a data set that every stage has finished, sorted by image_id.

    Attributes:
        dataset: name of the data set's folder.
        rows: rows of these images in the manifest.
        batch: their model inputs.
        mirrored: float16 (N, 2, C, G, G), grid features of the mirrored images, each cell at the
            place that it has in the image itself; None if there are none.
        distorted: float16 (N, 2, C, G, G), grid features of a distorted view of each image; None
            if there are none.
        channels: of each backbone stage.
        scale: of the MOS; None for images without scores.
        provenance: of the manifest and of each stage's products, the same in all shards.
        manifest: all rows of the manifest, those of images that a stage could not read included.
    """

    dataset: str
    rows: pa.Table
    batch: Batch
    mirrored: Tensor | None
    distorted: Tensor | None
    channels: tuple[int, ...]
    scale: MosScale | None
    provenance: dict[str, Provenance]
    manifest: pa.Table

    def __len__(self) -> int:
        return int(self.rows.num_rows)

    @property
    def image_ids(self) -> list[str]:
        """Relative path of each image."""
        image_ids: list[str] = self.rows["image_id"].to_pylist()
        return image_ids

    @property
    def quality(self) -> np.ndarray:
        """MOS mapped to [0, 1], higher is better: float32 (N,)."""
        quality: np.ndarray = self.rows["quality"].to_numpy().astype(np.float32)
        return quality

    @property
    def mos(self) -> np.ndarray:
        """MOS in native units and direction: float64 (N,)."""
        mos: np.ndarray = self.rows["mos"].to_numpy().astype(np.float64)
        return mos

    @property
    def groups(self) -> list[str]:
        """Reference, prompt or scene of each image."""
        groups: list[str] = self.rows["group"].to_pylist()
        return groups

    @property
    def lineage(self) -> Lineage:
        """What made the model inputs: options, version and weights of each stage."""
        return lineage_of(self.provenance)

    def test_mask(self, split: str, *, test_fraction: float, seed: int) -> np.ndarray:
        """The images in the test part of a split: bool (N,); see `splits.test_mask`.

        The split is drawn from all images of the manifest, so that an image that could not be read
        does not move others to another part.

        Raises:
            InputError: as `splits.test_mask`; or a part lacks images that could be read and differ
                in MOS, without which nothing is learned and no correlation is defined.
        """
        whole = self._manifest_test_mask(split, test_fraction=test_fraction, seed=seed)
        mask = self._of_finished(whole)
        for part, whole_part in ((mask, whole), (~mask, ~whole)):
            if whole_part.any() and len(np.unique(self.quality[part])) < 2:
                raise InputError(
                    f"{self.dataset}: {split} needs images that could be read and differ in MOS on"
                    f" both sides, found {mask.sum()} to test and {(~mask).sum()} to train on, one"
                    " part without; add images, or repair those in the tables of failures"
                )
        return mask

    def validation_mask(
        self, split: str, *, fraction: float, test_fraction: float, seed: int
    ) -> np.ndarray:
        """The images of the training part of a split that are kept for validation: bool (N,).

        Whole groups, drawn from all images of the manifest as in `test_mask`.

        Args:
            split: name of the split.
            fraction: of its training part that is validated on, in (0, 1).
            test_fraction: of the split.
            seed: of the split.

        Raises:
            InputError: too few groups, or the validation images or those that are left to train on
                do not differ in MOS.
        """
        train = ~self._manifest_test_mask(split, test_fraction=test_fraction, seed=seed)
        validation = np.zeros(len(train), bool)
        validation[train] = splits.random_split(
            list(compress(self.manifest["group"].to_pylist(), train)),
            test_fraction=fraction,
            seed=seed,
            dataset=f"{self.dataset} {split}, validation",
            split=0,
            option="train.validation_fraction",
        )
        mask = self._of_finished(validation)
        if len(set(self.quality[mask].tolist())) < 2:
            raise InputError(
                f"{self.dataset}: {split} needs images of different MOS to validate, found"
                f" {mask.sum()} of one; raise train.validation_fraction, or set it to 0"
            )
        left = self._of_finished(train & ~validation)
        if len(set(self.quality[left].tolist())) < 2:
            raise InputError(
                f"{self.dataset}: {split} needs images of different MOS to train on beside those it"
                f" validates on, found {left.sum()} of one; lower train.validation_fraction, or set"
                " it to 0"
            )
        return mask

    @property
    def official_training_part(self) -> np.ndarray:
        """The images outside the official test part: bool (N,); see the function in `splits`."""
        return self._of_finished(_official_part(self.manifest, "train"))

    def _manifest_test_mask(self, split: str, *, test_fraction: float, seed: int) -> np.ndarray:
        """The test part among all rows of the manifest: bool, one per row."""
        return splits.test_mask(
            split,
            self.manifest["group"].to_pylist(),
            self.manifest["subset"].to_pylist(),
            dataset=self.dataset,
            test_fraction=test_fraction,
            seed=seed,
        )

    def _of_finished(self, mask: np.ndarray) -> np.ndarray:
        """A mask of the rows of the manifest as a mask of the finished images: bool (N,)."""
        chosen = set(compress(self.manifest["image_id"].to_pylist(), mask))
        return np.array([image_id in chosen for image_id in self.image_ids], bool)

    @property
    def content_sha256(self) -> str:
        """SHA-256 of the images' bytes and of their model inputs.

        Grid features are left out: they follow from the bytes and from `lineage`.
        """
        digest = hashlib.sha256("\n".join(self.rows["sha256"].to_pylist()).encode())
        for name in ("coverage", "text", "ratings", "geometry", "present"):
            digest.update(getattr(self.batch, name).numpy().tobytes())
        return digest.hexdigest()

    def image_digests(self, mask: np.ndarray) -> dict[str, str]:
        """SHA-256 of the names (`sha256`) and of the qualities (`scores_sha256`) of some images.

        The second changes with any score and with the direction of the scores.

        Args:
            mask: bool (N,), the images.
        """
        qualities = self.quality[mask].astype("<f4").tobytes()
        return {
            "sha256": splits.digest(np.asarray(self.image_ids)[mask]),
            "scores_sha256": hashlib.sha256(qualities).hexdigest(),
        }

    def take(self, mask: np.ndarray) -> "Samples":
        """The images where `mask`, bool (N,), is True; without a copy if it is True everywhere."""
        if mask.all():
            return self
        index = torch.from_numpy(mask)
        return replace(
            self,
            rows=self.rows.filter(pa.array(mask)),
            batch=self.batch.take(index),
            mirrored=None if self.mirrored is None else self.mirrored[index],
            distorted=None if self.distorted is None else self.distorted[index],
        )

    def with_grid_features(self, backbone: Backbone, long_side: int) -> "Samples":
        """The same images with grid features of another backbone, and without augmented views.

        The image files are read again.

        Args:
            backbone: with the channels of the one that made the present features, such as a
                fine-tuned copy.
            long_side: pixels to which larger images are reduced.

        Raises:
            InputError: an image cannot be read any more.
        """
        paths = tqdm(self.rows["path"].to_pylist(), "backbone", unit="image", disable=None)
        grid_features = [
            backbone.grid_features(resize.reduce(reload_rgb(path), long_side), self.batch.grid)
            for path in paths
        ]
        batch = replace(self.batch, grid_features=torch.from_numpy(np.stack(grid_features)))
        return replace(self, batch=batch, mirrored=None, distorted=None)


def load(folder: Path, *, part: Part = "all") -> Samples:
    """All finished images of a data set's folder, whose manifest must hold scores.

    Features are in memory once, and those of one shard a second time: those of 11,000 images with
    augmented views take 4.3 GB at 8 x 8 cells and 512 channels.

    Args:
        folder: of the data set.
        part: all images, those of the official test part, or those outside of it, which may be
            trained on beside another data set; see `splits.official_training_part`.

    Raises:
        InputError: a product is missing, damaged or does not fit the others; shards that were made
            in different ways; an image without a score; no finished image, or none of the part.
    """
    source = manifest_path(folder)
    table, provenance = manifests.read(source)
    if table["quality"].null_count:
        raise InputError(
            f"{source}: training and testing need a MOS for every image, found"
            f" {table['quality'].null_count} without; use a data set with scores"
        )
    chosen = _official_part(table, part)
    if not chosen.any():
        raise InputError(
            f"{source}: must hold images of the official {part} part, found none of {len(table)};"
            " use a data set with such images"
        )
    names = set(compress(table["image_id"].to_pylist(), chosen))
    finished, parts, made = [], [], []
    stacks = {name: _Stack(len(names)) for name in features.VIEWS}
    channels: tuple[int, ...] = ()
    for shard_name in shard_names(provenance.options["shards"]):
        rows = table.filter(pc.equal(table["shard"], int(shard_name)))
        shard = shard_products.read(folder, shard_name, images_sha256=images_digest(rows))
        made.append(shard.provenance)
        channels = channels or shard.features.channels
        inputs = _image_inputs(shard, rows["image_id"].to_pylist(), names)
        if inputs:
            image_ids = [image.image_id for image in inputs]
            added = _stack_views(shard, image_ids, stacks)
            finished += image_ids
            parts.append(replace(batch_images(inputs), grid_features=added["grid_features"]))
    shard_products.check_alike(folder, made)
    if not finished:
        raise InputError(
            f"{folder}: must hold an image that every stage could read, found none of {len(table)};"
            " repair those in the tables of failures"
        )
    for name, stack in stacks.items():
        if not stack.complete and stack.rows is not None:
            raise InputError(
                f"{folder}: all shards or none must have {name} views, found some without; run the"
                " extract stage of all with the same extract.augmented_views"
            )
    grid_features, *augmented_views = (stack.tensor() for stack in stacks.values())
    return Samples(
        dataset=dataset_name(folder),
        rows=table.filter(pc.is_in(table["image_id"], pa.array(finished))),
        batch=collate(parts, grid_features),
        **dict(zip(features.AUGMENTED_VIEWS, augmented_views, strict=True)),
        channels=channels,
        scale=manifests.scale_of(provenance),
        provenance={"manifest": provenance} | made[0],
        manifest=table,
    )


def _official_part(table: pa.Table, part: Part) -> np.ndarray:
    """The rows of a manifest that belong to a part of the official split: bool, one per row."""
    groups, subsets = (table[name].to_pylist() for name in ("group", "subset"))
    if part == "train":
        return splits.official_training_part(groups, subsets)
    return np.array([part == "all" or subset == splits.TEST for subset in subsets])


class _Stack:
    """Rows of several shards in one array, whose memory is allocated once.

    Args:
        capacity: largest number of rows. Memory beyond those that are added is never touched.
    """

    def __init__(self, capacity: int) -> None:
        self.capacity, self.count = capacity, 0
        self.rows: np.ndarray | None = None
        self.complete = True

    def add(self, rows: np.ndarray, chosen: Sequence[int]) -> Tensor:
        """Copy some rows of a shard to the end, and return the copy.

        A shard without rows leaves the stack incomplete.

        Args:
            rows: of the shard.
            chosen: at least one number of a row.
        """
        if not len(rows):
            self.complete = False
            return torch.from_numpy(rows)
        if self.rows is None:
            self.rows = np.empty((self.capacity, *rows.shape[1:]), rows.dtype)
        start, self.count = self.count, self.count + len(chosen)
        for place, number in enumerate(chosen, start):
            self.rows[place] = rows[number]
        return torch.from_numpy(self.rows[start : self.count])

    def tensor(self) -> Tensor | None:
        """All rows; None if incomplete."""
        if self.rows is None or not self.complete:
            return None
        return torch.from_numpy(self.rows[: self.count])


def _stack_views(
    shard: ShardProducts, image_ids: Sequence[str], stacks: Mapping[str, _Stack]
) -> dict[str, Tensor]:
    """Add the grid features of some images of a shard to the stacks; returns the copies.

    Args:
        shard: its products.
        image_ids: of the images, at least one.
        stacks: for each of `features.VIEWS`.
    """
    places = {image_id: place for place, image_id in enumerate(shard.features.image_ids)}
    chosen = [places[image_id] for image_id in image_ids]
    return {
        name: stack.add(getattr(shard.features, name), chosen) for name, stack in stacks.items()
    }


def _image_inputs(
    shard: ShardProducts, image_ids: Sequence[str], chosen: Container[str]
) -> list[ImageInputs]:
    """The model inputs of the finished images of a shard, in the order of `image_ids`.

    Args:
        shard: its products.
        image_ids: of the shard in the manifest.
        chosen: the images that are wanted.
    """
    places = {image_id: place for place, image_id in enumerate(shard.features.image_ids)}
    inputs = []
    for image_id in common_images(
        manifest=image_ids,
        regions=shard.regions.image_ids,
        captions=shard.ratings,
        embeddings=shard.text,
        features=places,
    ):
        if image_id not in chosen:
            continue
        image = shard.regions[image_id]
        inputs.append(
            image_inputs(
                image_id,
                labels=image.labels,
                table=image.table,
                ratings=shard.ratings[image_id],
                text=shard.text[image_id],
                grid_features=shard.features.grid_features[places[image_id]],
            )
        )
    return inputs
