"""What the stages before the model make of one image, in process and without files."""

from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from rsfiqa.caption.options import CaptionOptions
from rsfiqa.embed.options import EmbedOptions
from rsfiqa.errors import InputError
from rsfiqa.images import load, resize
from rsfiqa.io.checksum import sha256_of
from rsfiqa.products import checkpoints
from rsfiqa.products.checkpoints import Card
from rsfiqa.products.versions import VERSIONS
from rsfiqa.score.options import ScoreOptions
from rsfiqa.segment.options import SegmentOptions

if TYPE_CHECKING:
    from sentence_transformers import SentenceTransformer

    from rsfiqa.backbones.backbone import Backbone
    from rsfiqa.segmenters.sam.generator import MaskGenerator


Rows = list[dict[str, Any]]


Segment = Callable[[np.ndarray], np.ndarray]


Caption = Callable[[np.ndarray, np.ndarray], Rows]


RECORDED = {"version", "sha256"}  # by the card, beside options


class Encoder(Protocol):
    """What makes vectors of sentences."""

    def encode(self, texts: list[str]) -> np.ndarray:
        """Vectors float32 (N, D) of N texts."""


def check(folder: Path, card: Card) -> None:
    """Refuse a checkpoint whose inputs an image would not be given here.

    Args:
        folder: of the checkpoint.
        card: of the checkpoint.

    Raises:
        InputError: another version of a stage made what it was trained on.
    """
    for part, made in card.lineage.items():
        stage = checkpoints.LINEAGE[part]
        if (found := made.get("version")) != VERSIONS[stage]:
            raise InputError(
                f"{folder}: must be trained on products of {stage} {VERSIONS[stage]}, found"
                f" {found}; train it again"
            )


def is_light(card: Card) -> bool:
    """Whether regions and captions need no model, and so no torch."""
    return (card.segment["backend"], card.caption["backend"]) == ("superpixel", "rule_based")


def look(path: Path, card: Card) -> tuple[np.ndarray, Rows]:
    """Label map and captions of an image file, where `is_light` holds.

    Raises:
        ImageError: as `images.read`.
    """
    options = ScoreOptions(device="cpu")
    pixels = load.load_rgb(path)
    labels = segmenter(card, options)(pixels)
    return labels, described(pixels, labels, card, captioner(card, options))


def described(pixels: np.ndarray, labels: np.ndarray, card: Card, caption: Caption) -> Rows:
    """Captions of an image uint8 (H, W, 3) of any size with a label map (h, w)."""
    small = resize.reduce(pixels, max(card.caption["long_side"], *labels.shape))
    return caption(small, resize.fit_labels(labels, small.shape[:2]))


def segmenter(card: Card, options: ScoreOptions) -> Segment:
    """Gives the label map uint16 (h, w) of an image uint8 (H, W, 3), as trained on.

    Raises:
        InputError: SAM's checkpoint is not given, or another.
    """
    from rsfiqa.segmenters.sam.generator import load_generator
    from rsfiqa.segmenters.superpixel import segment_image  # scikit-learn takes 1 s

    settings = SegmentOptions(
        **{name: value for name, value in card.segment.items() if name not in RECORDED},
        checkpoint=options.sam_checkpoint,
        device=options.device,
    )
    if settings.backend == "superpixel":
        return lambda image: segment_image(image, settings)
    from rsfiqa.segmenters.sam import checkpoint as sam_checkpoint

    if settings.checkpoint is None:
        raise InputError(
            "sam_checkpoint: must be given where regions come from SAM, found nothing; give the"
            f" file whose SHA-256 begins with {card.segment['sha256'][:12]}"
        )
    path = sam_checkpoint.check(settings)
    if (found := sha256_of(path)) != card.segment["sha256"]:
        raise InputError(
            f"{path}: must be the checkpoint that made the regions trained on"
            f" ({card.segment['sha256'][:12]}), found {found[:12]}; give that one"
        )
    generator = load_generator(path, settings)
    return lambda image: _masks(generator, image)


def _masks(generator: "MaskGenerator", image: np.ndarray) -> np.ndarray:
    from rsfiqa.segmenters.sam.reading import decoded

    ready = decoded("", image, generator.side, generator.options.long_side)
    ((_, embedding),) = generator.embedded([[ready]])
    return generator.partition(embedding, ready.pixels.shape[:2], ready.shape).labels


def captioner(card: Card, options: ScoreOptions) -> Caption:
    """Gives rows of the captions' schema of an image uint8 (H, W, 3) and its label map (H, W).

    Raises:
        InputError: captions come from a model, and no server of it is named.
    """
    if card.caption["backend"] == "rule_based":
        from rsfiqa.captioners.rule_based import captioner as rule_based

        return rule_based.caption
    if not options.endpoint:
        raise InputError(
            "endpoint: must be given where captions come from a model, found nothing; give the"
            f" base URL of a server of {card.caption['model']}"
        )
    from rsfiqa.captioners.vlm import captioner as vlm  # a client others need not install

    settings = CaptionOptions(
        **{name: value for name, value in card.caption.items() if name not in RECORDED},
        endpoints=options.endpoint,
        key_variable=options.key_variable,
    )
    vlm.check(settings)
    return vlm.VLMCaptioner(settings, {}, Path()).caption


def encoder(card: Card, device: str) -> Encoder:
    """The encoder trained on; the packaged one without the library, which takes long to import.

    Raises:
        InputError: other weights than those trained on.
    """
    from rsfiqa.encoders import sentence_transformer as encoders
    from rsfiqa.encoders.minilm import Bert
    from rsfiqa.runtime.devices import device_of

    names = EmbedOptions.model_fields.keys() & card.encoder.keys()
    settings = EmbedOptions(**{k: card.encoder[k] for k in names} | {"device": device})
    folder = encoders.encoder_folder(settings.encoder)
    if settings.encoder == encoders.PACKAGED and settings.precision == "fp32":
        return Bert(folder).to(device_of(device, "device"))
    found = checkpoints.weights_digest(encoders.weights_of(folder))
    if found != card.encoder["sha256"]:
        raise InputError(
            f"{folder}: must hold the weights of the encoder trained on"
            f" ({card.encoder['sha256'][:12]}), found {found[:12]}; give those"
        )
    return _Library(encoders.load(folder, settings))


class _Library:
    """An encoder of sentence-transformers."""

    def __init__(self, model: "SentenceTransformer") -> None:
        self.model = model

    def encode(self, texts: list[str]) -> np.ndarray:
        """As `Encoder` has it."""
        from rsfiqa.encoders import sentence_transformer as encoders

        return encoders.encode(self.model, texts, len(texts))


def backbone_of(folder: Path, card: Card, weights: str) -> "Backbone":
    """Fine-tuned, or the frozen one that the card names.

    Args:
        folder: of the checkpoint.
        card: of the checkpoint.
        weights: of the frozen one, as of the extract stage.

    Raises:
        InputError: other weights than those trained on.
    """
    from rsfiqa.backbones import loading as backbones

    tuned = checkpoints.read_backbone(folder, card)
    if tuned is not None:
        return tuned
    frozen = backbones.load(card.backbone["backbone"], weights)
    if frozen.sha256 != card.backbone["sha256"]:
        raise InputError(
            f"{folder}: trained on a backbone with other weights than {weights}; give the file of"
            " those"
        )
    return frozen
