"""The card of a checkpoint: everything that is needed to use it, without torch."""

import platform
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any, NotRequired, TypedDict

from rsfiqa.errors import InputError, first_line
from rsfiqa.io.json_files import read_json_with_checksum, write_json_with_checksum
from rsfiqa.products.lineage import LINEAGE, BackboneRecord, Lineage, StageRecord
from rsfiqa.products.paths import card_path
from rsfiqa.scale import MosScale
from rsfiqa.splits import is_random

VERSION = 2  # schema of a checkpoint


class ModelArguments(TypedDict):
    """Arguments of `RSA`.

    Attributes:
        stage_channels: channels of each backbone stage, earliest first.
        text_dim: numbers of a caption embedding, 0 without a text encoder.
        width: channels of mixed features and region tokens.
        ensemble_heads: heads whose mean is the global term.
        hidden: hidden units of each ensemble head.
        variant: of `vocabulary.VARIANTS`.
        anchored: the quality of a region is relative to its overall rating.
        caption_scale: factor of the projected captions; `EARLIER_CAPTION_SCALE` without it.
    """

    stage_channels: tuple[int, ...]
    text_dim: int
    width: int
    ensemble_heads: int
    hidden: int
    variant: NotRequired[str]
    anchored: NotRequired[bool]
    caption_scale: NotRequired[float]


class SplitRecord(TypedDict):
    """The split that a checkpoint was trained on.

    Attributes:
        name: as from `splits.split_name`.
        seed: of the random splits.
        test_fraction: fraction of the images in the test part.
        train: number of training images.
        validation: number of validation images.
        test: number of test images.
        sha256: of the names of the images that are not tested.
        scores_sha256: of their qualities.
    """

    name: str
    seed: int
    test_fraction: float
    train: int
    validation: int
    test: int
    sha256: str
    scores_sha256: str


class AddedRecord(TypedDict):
    """A data set that was trained on beside the first.

    Attributes:
        dataset: its name.
        train: number of its images that were trained on.
        sha256: of their names.
        scores_sha256: of their qualities.
    """

    dataset: str
    train: int
    sha256: str
    scores_sha256: str


def _package_versions() -> dict[str, str]:
    """Versions of Python and of the packages that shape the numbers."""
    packages = {name: version(name) for name in ("torch", "timm", "transformers")}
    return {"python": platform.python_version(), **packages}


@dataclass(frozen=True)
class Card:
    """The description of a checkpoint.

    Attributes:
        model: arguments of `RSA`.
        backbone: what made the grid features.
        encoder: what made the caption embeddings.
        segment: what made the regions.
        caption: what made the captions.
        datasets: names of the data sets of the training. The first one gives the split and the
            scale of the scores.
        split: of the first data set; `train` counts its training images.
        mos_range: MOS of quality 0 and 1, native units, lower first; None if the data set has none.
        lower_better: a low MOS means a good image (DMOS).
        options: of the training, with `version` of the train stage.
        seed: of the training.
        losses: mean training loss of each epoch.
        finetuned: the backbone was trained too, and the checkpoint holds its weights.
        added: the data sets after the first, with the number of their training images.
        test_metrics: metrics of the same training on held-out splits, by name; empty if unknown.
        versions: of Python and of the packages that shape the numbers.
    """

    model: ModelArguments
    backbone: BackboneRecord
    encoder: StageRecord
    segment: StageRecord
    caption: StageRecord
    datasets: list[str]
    split: SplitRecord
    mos_range: tuple[float, float] | None
    lower_better: bool
    options: dict[str, Any]
    seed: int
    losses: list[float]
    finetuned: bool = False
    added: list[AddedRecord] = field(default_factory=list)
    test_metrics: dict[str, float] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=_package_versions)

    @property
    def scale(self) -> MosScale:
        """The scale of the scores; that of quality where the data set has none."""
        low, high = self.mos_range or (0.0, 1.0)
        return MosScale(low, high, self.lower_better)

    @property
    def training(self) -> dict[str, Any]:
        """What shaped the training beside its inputs; see `training_record`."""
        options = {name: value for name, value in self.options.items() if name != "version"}
        return training_record(
            options,
            split=self.split["name"],
            seed=self.split["seed"],
            test_fraction=self.split["test_fraction"],
            also=self.datasets[1:],
        )

    @property
    def lineage(self) -> Lineage:
        """What made the model inputs of the training."""
        return {part: getattr(self, part) for part in LINEAGE}


def training_record(
    options: Mapping[str, Any],
    *,
    split: str,
    seed: int,
    test_fraction: float,
    also: Sequence[str] = (),
) -> dict[str, Any]:
    """What shapes a training beside its inputs.

    Args:
        options: that the train stage records.
        split: name of the split.
        seed: of splits, initial weights and batches.
        test_fraction: fraction of the images in the test part of a random split; other splits do
            not depend on it.
        also: names of the added data sets.
    """
    size = {"test_fraction": test_fraction} if is_random(split) else {}
    return {**options, "seed": seed, "also": " and ".join(also) or "none", **size}


def label_of(card: Card, digest: str) -> str:
    """The name of a checkpoint in tables: its data sets and 12 digits of its weights' SHA-256."""
    return f"{'+'.join(card.datasets)} {digest[:12]}"


def write_card(folder: Path, card: Card, *, weights_sha256: str) -> None:
    """Write card.json of a checkpoint.

    Args:
        folder: of the checkpoint.
        card: its description.
        weights_sha256: of its model.safetensors.
    """
    content = {"schema": VERSION, "weights_sha256": weights_sha256} | vars(card)
    write_json_with_checksum(card_path(folder), content)


def read_card(folder: Path) -> tuple[Card, str]:
    """The card of a checkpoint, and the SHA-256 that its weights must have.

    Raises:
        InputError: missing, damaged, of another schema, or of an export to ONNX.
    """
    path = card_path(folder)
    if not path.is_file():
        raise InputError(
            f"{folder}: no checkpoint (card.json) here; give another folder, or run the train stage"
            " first"
        )
    try:
        content = read_json_with_checksum(path)
    except ValueError as error:
        raise InputError(f"{path}: damaged ({first_line(error)}); train it again") from error
    if "schema" not in content and "opset" in content:
        raise InputError(
            f"{folder}: must be a checkpoint, found an ONNX export; give the folder that it was"
            " exported from"
        )
    if (schema := content.pop("schema", None)) != VERSION:
        raise InputError(f"{path}: expected schema {VERSION}, found {schema}; train it again")
    digest = str(content.pop("weights_sha256", None))
    try:
        for mapping, key in ((content, "mos_range"), (content["model"], "stage_channels")):
            mapping[key] = mapping[key] and tuple(mapping[key])  # JSON has no tuples
        return Card(**content), digest
    except (KeyError, TypeError) as error:
        raise InputError(f"{path}: damaged ({first_line(error)}); train it again") from error
