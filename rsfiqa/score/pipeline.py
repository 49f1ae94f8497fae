"""The single-image pipeline: the stages before the model, for one image in memory.

Segmenter, captioner, encoder and backbone are those of the checkpoint's card, so that an image gets
the inputs that the stages would give it.
"""

from copy import deepcopy
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeVar

import numpy as np
from pydantic import ValidationError

from rsfiqa import captioners, checkpoints, encoders, segmenters
from rsfiqa.backbones import PACKAGED
from rsfiqa.backbones.weights import PERCEPTION_FILE
from rsfiqa.caption.options import CaptionOptions
from rsfiqa.captioners import CAPTIONERS, Captioner
from rsfiqa.checkpoints import Card
from rsfiqa.embed.options import EmbedOptions
from rsfiqa.encoders import TextEncoder
from rsfiqa.encoders.files import NO_TEXT, weight_hashes
from rsfiqa.errors import InputError
from rsfiqa.images import border, resize
from rsfiqa.io.checksum import sha256_of
from rsfiqa.options import Options, describe
from rsfiqa.products.captions import CaptionRow
from rsfiqa.products.lineage import weights_digest
from rsfiqa.products.paths import card_path
from rsfiqa.score import needs
from rsfiqa.score.options import ScoreOptions
from rsfiqa.segment.options import SegmentOptions
from rsfiqa.segmenters import SEGMENTERS

if TYPE_CHECKING:
    from rsfiqa.backbones.backbone import Backbone
    from rsfiqa.segmenters.base import Segmenter

RECORDED = {"version", "sha256"}  # entries of a card's parts that are not options
Captions = list[CaptionRow]
T = TypeVar("T", bound=Options)


@dataclass(frozen=True, eq=False)
class CaptionedRegions:
    """Regions of an image and their captions.

    Attributes:
        labels: label map of the image without its border, uint16 (h, w).
        captions: one per region; None where they need torch.
    """

    labels: np.ndarray
    captions: Captions | None


class RegionPipeline:
    """Divides images into regions and captions them, as the stages did for training.

    The models are loaded on first use.

    Args:
        card: of the checkpoint.
        options: of the score command.
    """

    def __init__(self, card: Card, options: ScoreOptions) -> None:
        self.card, self.options = card, options

    @cached_property
    def segmenter(self) -> "Segmenter":
        """The segmenter of the card.

        Raises:
            InputError: its checkpoint is missing, or not the one used for training.
        """
        return load_segmenter(self.card, self.options)

    @cached_property
    def captioner(self) -> Captioner:
        """The captioner of the card.

        Raises:
            InputError: it needs a server, and none is given.
        """
        return load_captioner(self.card, self.options)

    def segment(self, pixels: np.ndarray) -> np.ndarray:
        """The label map uint16 (h, w) of an image uint8 (H, W, 3)."""
        return self.segmenter.segment(pixels).labels

    def caption(self, pixels: np.ndarray, labels: np.ndarray) -> Captions:
        """Captions of the regions of an image.

        Args:
            pixels: uint8 (H, W, 3), of any size.
            labels: label map (h, w), of any size.
        """
        small = resize.reduce(pixels, max(self.card.caption["long_side"], *labels.shape))
        return self.captioner.caption(small, resize.fit_labels(labels, small.shape[:2]))

    def caption_regions(self, pixels: np.ndarray) -> CaptionedRegions:
        """Regions and captions of an image uint8 (H, W, 3) without its border, as it is scored."""
        pixels = border.crop(pixels, border.content_box(pixels))
        labels = self.segment(pixels)
        later = CAPTIONERS[self.card.caption["backend"]].needs_torch
        return CaptionedRegions(labels, None if later else self.caption(pixels, labels))


def needs_one_process(card: Card) -> bool:
    """Whether regions need torch, or captions a server, which one process uses best."""
    captioner = CAPTIONERS[card.caption["backend"]]
    return SEGMENTERS[card.segment["backend"]].needs_torch or captioner.uses_server


def load_segmenter(card: Card, options: ScoreOptions) -> "Segmenter":
    """The segmenter of a card.

    Raises:
        InputError: its checkpoint is missing, or not the one used for training.
    """
    given = {"checkpoint": options.sam_checkpoint, "device": options.stage_device}
    settings = _settings(SegmentOptions, card.segment, given)
    needs.check_segmenter(card, options)
    path = segmenters.checkpoint_of(settings, "--sam-checkpoint")
    if path is not None and (digest := sha256_of(path)) != card.segment["sha256"]:
        raise InputError(
            f"{path}: must be the checkpoint that made the regions trained on"
            f" ({card.segment['sha256'][:12]}), found {digest[:12]}; give that one"
        )
    return segmenters.load(settings)


def load_captioner(card: Card, options: ScoreOptions) -> Captioner:
    """The captioner of a card.

    Raises:
        InputError: it needs a server, and none is given; or its weights are not those that made
            the captions trained on.
    """
    needs.check_captioner(card, options)
    given = {"endpoints": options.endpoint, "key_variable": options.key_variable}
    settings = _settings(CaptionOptions, card.caption, given)
    captioner = captioners.load(settings, log=Path())  # with endpoints it starts no server
    own = captioner.backbone_sha256
    if own is not None and own != card.caption["sha256"]:
        raise InputError(
            f"caption: must be by the {settings.backend} that made the captions trained on"
            f" ({card.caption['sha256'][:12]}), found another ({own[:12]}); train the checkpoint"
            " again"
        )
    return captioner


def load_encoder(folder: Path, card: Card, device: str) -> TextEncoder:
    """The text encoder of a card.

    Args:
        folder: of the checkpoint, for messages.
        card: of the checkpoint.
        device: auto, cuda or cpu.

    Raises:
        InputError: no such encoder, or one with other weights than those used for training.
    """
    option = f"{card_path(folder)}: encoder"
    settings = _settings(EmbedOptions, card.encoder, {"device": device})
    if not encoders.has_quick_start(settings):  # the packaged encoder, whose hash takes time
        digest = weights_digest(weight_hashes(settings.encoder, option))
        if settings.encoder != NO_TEXT and digest != card.encoder["sha256"]:
            raise InputError(
                f"{settings.encoder}: must hold the weights of the encoder trained on"
                f" ({card.encoder['sha256'][:12]}), found {digest[:12]}; give those"
            )
    return encoders.load(settings, quick_start=True, option=option)


def load_backbone(folder: Path, card: Card, weights: str) -> "Backbone":
    """The fine-tuned backbone of a checkpoint, or the frozen one that its card names.

    Args:
        folder: of the checkpoint.
        card: of the checkpoint.
        weights: see `ScoreOptions.weights`.

    Raises:
        InputError: other weights than those used for training, or weights beside fine-tuned ones.
    """
    from rsfiqa.backbones import loading

    finetuned = checkpoints.read_backbone(folder, card)
    if finetuned is not None:
        needs.check_weights(folder, ScoreOptions(weights=weights))
        return finetuned
    if weights == PACKAGED and card.backbone["sha256"] == sha256_of(PERCEPTION_FILE):
        from rsfiqa.captioners.classifier.weights import packaged

        return deepcopy(packaged().backbone)  # of the captioner, which has loaded it
    frozen = loading.load_backbone(card.backbone["backbone"], weights, option="--weights")
    if frozen.sha256 != card.backbone["sha256"]:
        raise InputError(
            f"--weights: must be the weights of the backbone trained on"
            f" ({card.backbone['sha256'][:12]}), found {weights} ({frozen.sha256[:12]}); give the"
            " file of those"
        )
    return frozen


def _settings(options: type[T], recorded: dict[str, Any], given: dict[str, Any]) -> T:
    """Options of a stage, from those that a card records and those that the user gives."""
    shaping = {name: value for name, value in recorded.items() if name not in RECORDED}
    try:
        return options.model_validate({**shaping, **given})
    except ValidationError as error:
        raise InputError(describe(error, "card.json")) from error
