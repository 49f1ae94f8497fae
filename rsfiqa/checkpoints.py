"""Checkpoints: weights and a card that says everything needed to use them."""

import json
import platform
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pyarrow as pa
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import nn

from rsfiqa import backbone
from rsfiqa.backbone import Backbone
from rsfiqa.errors import InputError
from rsfiqa.files import Provenance, atomic, first_line, sha256_of, write_json, write_table
from rsfiqa.model import RSA

VERSION = 1
BACKBONE = "backbone."  # before the names of a fine-tuned backbone's tensors
SPLIT = pa.schema([("image_id", pa.string()), ("part", pa.string())])  # train or test


@dataclass(frozen=True)
class Card:
    """What a checkpoint says of itself.

    Attributes:
        model: arguments of `RSA`.
        backbone: name, SHA-256 of the weights, long side and grid of the features.
        encoder: of the captions, with the SHA-256 of its weights.
        segment: options and version of the stage that made the regions.
        caption: options and version of the stage that made the captions.
        datasets: trained on.
        split: name, seed, numbers of images, SHA-256 of the list of training images.
        mos_range: that quality 0 and 1 stand for; None if the set has none.
        lower_better: the scale of `mos_range` is turned round (DMOS).
        options: of the training.
        seed: of the training.
        losses: mean training loss of each epoch.
        finetuned: the backbone was trained too; the checkpoint holds its weights.
        versions: of the packages that shape the numbers.
    """

    model: dict[str, Any]
    backbone: dict[str, Any]
    encoder: dict[str, Any]
    segment: dict[str, Any]
    caption: dict[str, Any]
    datasets: list[str]
    split: dict[str, Any]
    mos_range: tuple[float, float] | None
    lower_better: bool
    options: dict[str, Any]
    seed: int
    losses: list[float]
    finetuned: bool = False
    versions: dict[str, str] = field(
        default_factory=lambda: {
            "python": platform.python_version(),
            **{name: version(name) for name in ("torch", "timm", "transformers")},
        }
    )


def write(
    folder: Path, model: RSA, card: Card, split: pa.Table, stages: nn.Module | None = None
) -> None:
    """Write model.safetensors, split.parquet and, last, card.json.

    Args:
        folder: of the checkpoint.
        model: on top of the backbone.
        card: what is said of it.
        split: image_id and part.
        stages: the backbone, if it was trained too.
    """
    state = dict(model.state_dict())
    if stages is not None:
        state |= {f"{BACKBONE}{name}": value for name, value in stages.state_dict().items()}
    weights = folder / "model.safetensors"
    with atomic(weights) as partial:
        save_file({name: value.contiguous().cpu() for name, value in state.items()}, partial)
    provenance = Provenance("split", VERSION, "train", VERSION)
    write_table(folder / "split.parquet", split.cast(SPLIT), provenance)
    content = {"schema": VERSION, "weights_sha256": sha256_of(weights)} | card.__dict__
    write_json(folder / "card.json", content)


def read_card(folder: Path) -> tuple[Card, str]:
    """The card of a checkpoint, and the SHA-256 that its weights must have.

    Raises:
        InputError: missing, damaged or another schema.
    """
    path = folder / "card.json"
    if not path.is_file():
        raise InputError(f"{folder}: no checkpoint (card.json) here; run the train stage first")
    try:
        content = json.loads(path.read_text("utf-8"))
        if not isinstance(content, dict):
            raise ValueError(f"a {type(content).__name__}")
    except ValueError as error:
        raise InputError(f"{path}: damaged ({first_line(error)}); train it again") from error
    if (found := content.pop("schema", None)) != VERSION:
        raise InputError(f"{path}: expected schema {VERSION}, found {found}; train it again")
    digest = str(content.pop("weights_sha256", ""))
    try:
        for holder, key in ((content, "mos_range"), (content["model"], "stage_channels")):
            holder[key] = holder[key] and tuple(holder[key])  # JSON has lists only
        return Card(**content), digest
    except (KeyError, TypeError) as error:
        raise InputError(f"{path}: damaged ({first_line(error)}); train it again") from error


def read(folder: Path) -> tuple[RSA, Card]:
    """The model, in evaluation mode on the CPU, and its card.

    Raises:
        InputError: as `read_card`, or weights that the card does not describe.
    """
    card, digest = read_card(folder)
    weights = folder / "model.safetensors"
    if not weights.is_file() or sha256_of(weights) != digest:
        raise InputError(f"{weights}: missing or not the weights of its card; train it again")
    with torch.random.fork_rng():
        model = RSA(**card.model)
    try:
        state = load_file(weights)
        model.load_state_dict({k: v for k, v in state.items() if not k.startswith(BACKBONE)})
    except (RuntimeError, SafetensorError) as error:
        raise InputError(f"{weights}: damaged ({first_line(error)}); train it again") from error
    return model.eval(), card


def read_backbone(folder: Path, card: Card) -> Backbone | None:
    """The backbone of a fine-tuned checkpoint; None where it was frozen.

    Raises:
        InputError: weights that the card does not describe.
    """
    if not card.finetuned:
        return None
    path = folder / "model.safetensors"
    state = load_file(path)
    own = {k.removeprefix(BACKBONE): v for k, v in state.items() if k.startswith(BACKBONE)}
    return backbone.load_stages(card.backbone["backbone"], own, path)
