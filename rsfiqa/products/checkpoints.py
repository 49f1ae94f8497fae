"""Checkpoints: weights and a card that says everything needed to use them."""

import platform
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from importlib.metadata import version
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from rsfiqa.errors import InputError, first_line
from rsfiqa.io.atomic import write_bytes
from rsfiqa.io.checksum import sha256_of
from rsfiqa.io.json_files import read_json_with_checksum, write_json_with_checksum
from rsfiqa.io.parquet import read_table, write_table
from rsfiqa.io.provenance import Provenance
from rsfiqa.products.paths import card_path, split_path, weights_path
from rsfiqa.products.versions import VERSIONS
from rsfiqa.scale import MosScale

if TYPE_CHECKING:  # torch and timm take 3 s, which a look at the card need not wait for
    from torch import nn

    from rsfiqa.backbones.backbone import Backbone
    from rsfiqa.model import RSA

if TYPE_CHECKING:  # torch takes long to import, which a wrong argument need not wait for
    pass


VERSION = 2


PACKAGED = Path(str(files("rsfiqa"))) / "packaged"


BACKBONE = "backbone."  # before the names of a fine-tuned backbone's tensors


SPLIT = pa.schema([("image_id", pa.string()), ("part", pa.string())])  # train, validation, test


LINEAGE = {  # parts of a card, each with the stage that made this input of the model
    "backbone": "extract",
    "encoder": "embed",
    "segment": "segment",
    "caption": "caption",
}


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
        split: name, seed, share of the test part, numbers of images, SHA-256 of the list of images
            that are not tested and of their scores.
        mos_range: that quality 0 and 1 stand for; None if the set has none.
        lower_better: the scale of `mos_range` is turned round (DMOS).
        options: of the training.
        seed: of the training.
        losses: mean training loss of each epoch.
        finetuned: the backbone was trained too; the checkpoint holds its weights.
        test_metrics: what the same training reached on held-out splits; empty if unknown.
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
    test_metrics: dict[str, float] = field(default_factory=dict)
    versions: dict[str, str] = field(
        default_factory=lambda: {
            "python": platform.python_version(),
            **{name: version(name) for name in ("torch", "timm", "transformers")},
        }
    )

    @property
    def scale(self) -> MosScale:
        """The scale of the scores; that of quality where the data set has none."""
        low, high = self.mos_range or (0.0, 1.0)
        return MosScale(low, high, self.lower_better)

    @property
    def lineage(self) -> dict[str, dict[str, Any]]:
        """What made the model's inputs: options, version and weights, by part."""
        return {part: getattr(self, part) for part in LINEAGE}


def weights_digest(weights: Mapping[str, str]) -> str:
    """What a card says of several files of weights, from the SHA-256 of each by its name."""
    return ",".join(weights[name] for name in sorted(weights))


def write(
    folder: Path,
    model: "RSA",
    card: Card,
    split: pa.Table,
    stages: "nn.Module | None" = None,
    *,
    half: bool = False,
) -> None:
    """Write model.safetensors, split.parquet and, last, card.json.

    Args:
        folder: of the checkpoint.
        model: on top of the backbone.
        card: what is said of it.
        split: image_id and part.
        stages: the backbone, if it was trained too.
        half: matrices and kernels as float16. Vectors and statistics stay float32: they are small,
            and some lie below what float16 holds.
    """
    from safetensors.torch import save

    modules: dict[str, nn.Module] = {"": model} | ({BACKBONE: stages} if stages is not None else {})
    state = {}
    for prefix, module in modules.items():
        large = {name for name, value in module.named_parameters() if half and value.ndim > 1}
        for name, value in module.state_dict().items():
            value = value.half() if name in large else value
            state[f"{prefix}{name}"] = value.contiguous().cpu()
    weights = weights_path(folder)
    write_bytes(weights, save(state))
    provenance = Provenance("split", VERSION, "train", VERSIONS["train"])
    write_table(split_path(folder), split.cast(SPLIT), provenance)
    content = {"schema": VERSION, "weights_sha256": sha256_of(weights)} | card.__dict__
    write_json_with_checksum(card_path(folder), content)


def pack(source: Path, target: Path, test_metrics: dict[str, float]) -> None:
    """Write a checkpoint again, at about half its size, to come with the package.

    Args:
        source: folder of the checkpoint.
        target: folder of the small one.
        test_metrics: see `Card`.

    Raises:
        InputError: as `read`.
    """
    model, card = read(source)
    tuned = read_backbone(source, card)
    split, _ = read_table(split_path(source), "split", SPLIT, VERSION)
    stages = None if tuned is None else tuned.network
    write(target, model, replace(card, test_metrics=test_metrics), split, stages, half=True)


def located(folder: Path | None) -> Path:
    """The folder of a checkpoint; of the one that comes with the package where none is named.

    Raises:
        InputError: none is named and none comes with the package.
    """
    if folder is not None:
        return folder.expanduser()
    if not card_path(PACKAGED).is_file():
        raise InputError(
            "checkpoint: must be given where none comes with the package, found nothing; name the"
            " folder of one that the train stage wrote, or make one with make checkpoint DATA=DIR"
        )
    return PACKAGED


def read_card(folder: Path) -> tuple[Card, str]:
    """What a checkpoint says of itself, and the SHA-256 that its weights must have.

    Raises:
        InputError: missing, damaged or another schema.
    """
    path = card_path(folder)
    if not path.is_file():
        raise InputError(f"{folder}: no checkpoint (card.json) here; run the train stage first")
    try:
        content = read_json_with_checksum(path)
    except ValueError as error:
        raise InputError(f"{path}: damaged ({first_line(error)}); train it again") from error
    if (found := content.pop("schema", None)) != VERSION:
        raise InputError(f"{path}: expected schema {VERSION}, found {found}; train it again")
    digest = str(content.pop("weights_sha256", None))
    try:
        for holder, key in ((content, "mos_range"), (content["model"], "stage_channels")):
            holder[key] = holder[key] and tuple(holder[key])  # JSON has lists only
        return Card(**content), digest
    except (KeyError, TypeError) as error:
        raise InputError(f"{path}: damaged ({first_line(error)}); train it again") from error


def read(folder: Path) -> "tuple[RSA, Card]":
    """The model, float32, in evaluation mode on the CPU, and its card.

    Raises:
        InputError: as `read_card`, or weights that the card does not describe.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    from rsfiqa.model import RSA

    card, digest = read_card(folder)
    weights = weights_path(folder)
    if not weights.is_file() or sha256_of(weights) != digest:
        raise InputError(f"{weights}: missing or not the weights of its card; train it again")
    try:
        with torch.random.fork_rng():
            model = RSA(**card.model)
    except (RuntimeError, TypeError, ValueError, ArithmeticError) as error:
        raise InputError(
            f"{card_path(folder)}: must describe a model of this version, found"
            f" {first_line(error)}; train it again"
        ) from error
    try:
        state = load_file(weights)
        model.load_state_dict({k: v for k, v in state.items() if not k.startswith(BACKBONE)})
    except (RuntimeError, SafetensorError) as error:
        raise InputError(f"{weights}: damaged ({first_line(error)}); train it again") from error
    return model.eval(), card


def read_backbone(folder: Path, card: Card) -> "Backbone | None":
    """The backbone of a fine-tuned checkpoint; None where it was frozen.

    Raises:
        InputError: weights that the card does not describe.
    """
    if not card.finetuned:
        return None
    from safetensors.torch import load_file

    from rsfiqa.backbones.loading import load_finetuned

    path = weights_path(folder)
    state = load_file(path)
    own = {k.removeprefix(BACKBONE): v for k, v in state.items() if k.startswith(BACKBONE)}
    return load_finetuned(card.backbone["backbone"], own, path)


def label_of(card: Card, digest: str) -> str:
    """What rows call a checkpoint."""
    return f"{'+'.join(card.datasets)} {digest[:12]}"
