"""Checkpoints: the weights of a model, its split, and a card that describes them.

model.safetensors  weights of `RSA`; those of a fine-tuned backbone have names with a prefix
split.parquet      part (train, validation, test) of each image
card.json          see `products.card.Card`; written last
"""

from dataclasses import replace
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pyarrow as pa

from rsfiqa.errors import InputError, first_line
from rsfiqa.io.atomic import write_bytes
from rsfiqa.io.checksum import sha256_of
from rsfiqa.io.home import expand_home
from rsfiqa.io.parquet import read_table, write_table
from rsfiqa.io.provenance import Provenance
from rsfiqa.products.card import VERSION, Card, label_of, read_card, write_card
from rsfiqa.products.paths import card_path, split_path, weights_path
from rsfiqa.products.versions import VERSIONS

if TYPE_CHECKING:  # torch and timm take 3 s
    from torch import nn

    from rsfiqa.backbones.backbone import Backbone
    from rsfiqa.model import RSA

__all__ = [
    "PACKAGED",
    "SPLIT",
    "VERSION",
    "Card",
    "folder_or_packaged",
    "label_of",
    "pack",
    "read",
    "read_arrays",
    "read_backbone",
    "read_card",
    "write",
]

PACKAGED = Path(str(files("rsfiqa"))) / "packaged"
BACKBONE_PREFIX = "backbone."  # of the names of a fine-tuned backbone's tensors
SPLIT = pa.schema([("image_id", pa.string()), ("part", pa.string())])


def write(
    folder: Path,
    model: "RSA",
    card: Card,
    split: pa.Table,
    stages: "nn.Module | None" = None,
    *,
    float16: bool = False,
) -> None:
    """Write model.safetensors, split.parquet and, last, card.json.

    Args:
        folder: of the checkpoint.
        model: trained.
        card: its description.
        split: table of `SPLIT`.
        stages: stages of the backbone if it was trained too.
        float16: store matrices and kernels as float16. Vectors and statistics stay float32: they
            are small, and some lie below the range of float16.
    """
    from safetensors.torch import save

    modules: dict[str, nn.Module] = {"": model}
    if stages is not None:
        modules[BACKBONE_PREFIX] = stages
    state = {}
    for prefix, module in modules.items():
        large = {name for name, value in module.named_parameters() if float16 and value.ndim > 1}
        for name, value in module.state_dict().items():
            stored = value.half() if name in large else value
            state[f"{prefix}{name}"] = stored.contiguous().cpu()
    weights = weights_path(folder)
    write_bytes(weights, save(state))
    provenance = Provenance("split", VERSION, "train", VERSIONS["train"])
    write_table(split_path(folder), split.cast(SPLIT), provenance)
    write_card(folder, card, weights_sha256=sha256_of(weights))


def pack(source: Path, target: Path, test_metrics: dict[str, float]) -> None:
    """Write a copy of a checkpoint at about half its size, to be shipped with the package.

    Args:
        source: folder of the checkpoint.
        target: folder of the copy.
        test_metrics: see `Card`.

    Raises:
        InputError: as `read`.
    """
    model, card = read(source)
    backbone = read_backbone(source, card)
    split, _ = read_table(split_path(source), "split", SPLIT, VERSION)
    stages = None if backbone is None else backbone.network
    write(target, model, replace(card, test_metrics=test_metrics), split, stages, float16=True)


def folder_or_packaged(folder: Path | None, packaged: Path | None = None) -> Path:
    """The folder of a checkpoint, by default of the one that is shipped with the package.

    Args:
        folder: of a checkpoint; None for the one that is shipped.
        packaged: where that one lies, if there is one; `PACKAGED` if None.

    Raises:
        InputError: no folder is given and no checkpoint is shipped.
    """
    if folder is not None:
        return expand_home(folder)
    packaged = packaged or PACKAGED
    if not card_path(packaged).is_file():
        raise InputError(
            "checkpoint: must be given where none comes with the package, found nothing; name the"
            " folder of one that the train stage wrote, or make one with"
            " python -m recipes.packaged_checkpoint"
        )
    return packaged


def read(folder: Path) -> "tuple[RSA, Card]":
    """The model, float32, in evaluation mode on the CPU, and its card.

    Raises:
        InputError: as `read_card`, or the weights are not those of the card.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from rsfiqa.model import RSA

    card, _ = _read_verified(folder)
    weights = weights_path(folder)
    try:
        with torch.random.fork_rng():
            model = RSA(**card.model).float()  # whatever torch's default is
    except (RuntimeError, TypeError, ValueError, ArithmeticError) as error:
        raise InputError(
            f"{card_path(folder)}: must describe a model of this version, found"
            f" {first_line(error)}; train it again"
        ) from error
    try:
        state = load_file(weights)
        model.load_state_dict({k: v for k, v in state.items() if not k.startswith(BACKBONE_PREFIX)})
    except (RuntimeError, SafetensorError) as error:
        raise InputError(f"{weights}: damaged ({first_line(error)}); train it again") from error
    return model.eval(), card


def read_arrays(
    folder: Path,
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray], Card, str]:
    """The weights as float32 arrays, without torch, the card, and the checksum of the weights.

    The first are those of the model, the second those of a fine-tuned backbone, empty for another.

    Raises:
        InputError: as `read`.
    """
    from safetensors import SafetensorError
    from safetensors.numpy import load_file

    card, digest = _read_verified(folder)
    weights = weights_path(folder)
    try:
        state = {name: value.astype(np.float32) for name, value in load_file(weights).items()}
    except SafetensorError as error:
        raise InputError(f"{weights}: damaged ({first_line(error)}); train it again") from error
    backbone = {
        name.removeprefix(BACKBONE_PREFIX): state.pop(name)
        for name in list(state)
        if name.startswith(BACKBONE_PREFIX)
    }
    return state, backbone, card, digest


def _read_verified(folder: Path) -> tuple[Card, str]:
    """The card and the checksum of the weights.

    Raises:
        InputError: as `read_card`, or the weights are not those of the card.
    """
    card, digest = read_card(folder)
    weights = weights_path(folder)
    if not weights.is_file() or sha256_of(weights) != digest:
        raise InputError(f"{weights}: missing or not the weights of its card; train it again")
    return card, digest


def read_backbone(folder: Path, card: Card) -> "Backbone | None":
    """The backbone of a fine-tuned checkpoint; None if the backbone was frozen.

    Args:
        folder: of the checkpoint.
        card: its card.

    Raises:
        InputError: the weights do not fit the backbone of the card.
    """
    if not card.finetuned:
        return None
    from safetensors.torch import load_file

    from rsfiqa.backbones.loading import load_finetuned

    path = weights_path(folder)
    state = {
        name.removeprefix(BACKBONE_PREFIX): value
        for name, value in load_file(path).items()
        if name.startswith(BACKBONE_PREFIX)
    }
    return load_finetuned(card.backbone["backbone"], state, path)
