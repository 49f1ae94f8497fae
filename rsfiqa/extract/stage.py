"""The extract stage: computes the features of a frozen backbone, once for all trainings."""

from functools import cache
from pathlib import Path

import numpy as np
import torch

from rsfiqa.backbones.backbone import Backbone
from rsfiqa.backbones.loading import load_backbone
from rsfiqa.backbones.onnx import as_onnx
from rsfiqa.backbones.weights import weights_path
from rsfiqa.extract.options import ExtractOptions
from rsfiqa.images import load, resize
from rsfiqa.images.distort import random_distortion
from rsfiqa.io.checksum import sha256_of
from rsfiqa.products import features
from rsfiqa.runtime import shards
from rsfiqa.runtime.devices import device_of
from rsfiqa.runtime.memory import tune_malloc
from rsfiqa.runtime.shards import Shard
from rsfiqa.splits import seed_of


def run(
    folder: Path,
    options: ExtractOptions,
    *,
    max_failed_fraction: float,
    only: tuple[str, ...] = (),
    replace: bool = True,
) -> None:
    """Compute and write the features of a data set, shard by shard.

    Args:
        folder: folder of the data set.
        options: of the stage.
        max_failed_fraction: largest fraction of unusable images that is accepted in a shard.
        only: names of the shards to process; all if empty.
        replace: see `shards.run`.
    """
    tune_malloc()
    path = weights_path(options.backbone, options.weights)

    @cache  # loaded once, and only if a shard is unfinished
    def backbone() -> Backbone:
        torch.set_num_threads(1)  # shards run in parallel
        device = device_of(options.device, "extract.device")
        loaded = load_backbone(options.backbone, options.weights).to(device)
        return as_onnx(loaded, options.runtime, device, "extract.runtime") or loaded

    shards.run(
        "extract",
        folder,
        schema=features.VERSION,
        options=options.recorded(),
        make=lambda shard: extract_shard(shard, backbone(), options),
        write=features.write,
        models={options.backbone: sha256_of(path)},
        shards=only,
        max_failed_fraction=max_failed_fraction,
        replace=replace,
    )


def extract_shard(shard: Shard, backbone: Backbone, options: ExtractOptions) -> features.Features:
    """Compute the features of a shard; an image that cannot be read becomes a failure."""
    image_ids: list[str] = []
    views: dict[str, list[np.ndarray]] = {name: [] for name in features.VIEWS}
    for row in shard.progress(shard.images):
        image_id = row["image_id"]
        with shard.record_failure(image_id):
            image = resize.reduce(load.load_rgb(Path(row["path"])), options.long_side)
            computed = {"grid_features": backbone.grid_features(image, options.grid)}
            if options.augmented_views:
                computed |= augmented_views(image, image_id, backbone, options.grid)
            kept = {name: features.to_float16(each) for name, each in computed.items()}
            for name, each in kept.items():
                views[name].append(each)
            image_ids.append(image_id)
    empty = np.zeros((0, 2, sum(backbone.channels), options.grid, options.grid), np.float16)
    stacked = {name: np.stack(each) if each else empty for name, each in views.items()}
    return features.Features(image_ids, channels=backbone.channels, **stacked)


def augmented_views(
    image: np.ndarray, image_id: str, backbone: Backbone, grid: int
) -> dict[str, np.ndarray]:
    """Compute the grid features of two augmented views of an image: float32 (2, C, G, G) each.

    Args:
        image: uint8 (H, W, 3).
        image_id: seed of the distortion.
        backbone: computes the features.
        grid: number G of grid cells per side.

    Returns:
        `mirrored`, mirrored back so that each cell lies in its own place, and `distorted`.
    """
    mirrored = backbone.grid_features(np.ascontiguousarray(image[:, ::-1]), grid)
    distorted = random_distortion(image, seed_of("distorted", image_id))
    return {
        "mirrored": mirrored[..., ::-1],
        "distorted": backbone.grid_features(distorted, grid),
    }
