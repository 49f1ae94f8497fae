"""Images to features of a frozen backbone, once for all trainings."""

from pathlib import Path

import numpy as np
import torch

from rsfiqa.backbones import loading as backbones
from rsfiqa.backbones import weights as backbone_weights
from rsfiqa.backbones.backbone import Backbone
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
    folder: Path, options: ExtractOptions, *, max_failed_fraction: float, only: tuple[str, ...] = ()
) -> None:
    """Write the features of all shards of a data set's folder, or of those named."""
    tune_malloc()
    weights = backbone_weights.weights_path(options.backbone, options.weights)
    loaded: list[Backbone] = []  # once, and only if a shard is to be done

    def make(shard: Shard) -> features.Features:
        if not loaded:
            device = device_of(options.device, "extract.device")
            loaded.append(backbones.load(options.backbone, options.weights).to(device))
        return extract_shard(shard, loaded[0], options)

    shards.run(
        "extract",
        folder,
        schema=features.VERSION,
        options=options.model_dump(exclude={"weights", "device"}),
        make=make,
        write=features.write,
        models={options.backbone: sha256_of(weights)},
        shards=only,
        max_failed_fraction=max_failed_fraction,
    )


def extract_shard(shard: Shard, model: Backbone, options: ExtractOptions) -> features.Features:
    """The features of a shard's images; an image that cannot be read becomes a failure."""
    torch.set_num_threads(1)  # shards are the unit of parallel work
    image_ids: list[str] = []
    grid_features: dict[str, list[np.ndarray]] = {name: [] for name in features.VIEWS}
    for row in shard.progress(shard.images):
        with shard.record_failure(row["image_id"]):
            image = resize.reduce(load.load_rgb(Path(row["path"])), options.long_side)
            found = {"grid_features": model.grid_features(image, options.grid)}
            if options.augmented_views:
                mirrored = model.grid_features(np.ascontiguousarray(image[:, ::-1]), options.grid)
                copy = random_distortion(image, seed_of("distorted", row["image_id"]))
                found["mirrored"] = mirrored[..., ::-1]
                found["distorted"] = model.grid_features(copy, options.grid)
            for name, each in found.items():
                grid_features[name].append(features.to_float16(each))
            image_ids.append(row["image_id"])
    none = np.zeros((0, 2, sum(model.channels), options.grid, options.grid), np.float16)
    stacked = {name: np.stack(part) if part else none for name, part in grid_features.items()}
    return features.Features(image_ids, channels=model.channels, **stacked)
