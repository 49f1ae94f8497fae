"""What a checkpoint needs beside its own files, checked without loading a model."""

from pathlib import Path

from rsfiqa.backbones import HUB, PACKAGED
from rsfiqa.captioners import CAPTIONERS
from rsfiqa.checkpoints import Card
from rsfiqa.errors import InputError
from rsfiqa.io.home import expand_home
from rsfiqa.products.lineage import LINEAGE
from rsfiqa.products.versions import VERSIONS
from rsfiqa.score.options import ScoreOptions
from rsfiqa.segmenters import SEGMENTERS


def check(folder: Path, card: Card, options: ScoreOptions) -> None:
    """Raise where a checkpoint does not fit this version or the models that are given.

    Args:
        folder: of the checkpoint, for the message.
        card: of the checkpoint.
        options: of the score command.

    Raises:
        InputError: names the option that is missing, or does not fit.
    """
    check_versions(folder, card)
    check_segmenter(card, options)
    check_captioner(card, options)
    if card.finetuned:
        check_weights(folder, options)
    for name, path in (
        ("--sam-checkpoint", options.sam_checkpoint),
        ("--weights", None if options.weights in (PACKAGED, HUB) else options.weights),
    ):
        if path is not None and not expand_home(path).is_file():
            raise InputError(f"{name}: must be a file, found none at {path}; correct the path")


def check_versions(folder: Path, card: Card) -> None:
    """Reject a checkpoint that was trained on products of other versions of the stages.

    Args:
        folder: of the checkpoint, for the message.
        card: of the checkpoint.

    Raises:
        InputError: names the first stage that differs.
    """
    for part, recorded in card.lineage.items():
        stage = LINEAGE[part]
        if (version := recorded.get("version")) != VERSIONS[stage]:
            raise InputError(
                f"{folder}: must be trained on products of {stage} {VERSIONS[stage]}, found"
                f" {version}; train it again"
            )


def check_segmenter(card: Card, options: ScoreOptions) -> None:
    """Raise where regions need a checkpoint of segment-anything, and none is given.

    Raises:
        InputError: names --sam-checkpoint.
    """
    if SEGMENTERS[card.segment["backend"]].needs_checkpoint and options.sam_checkpoint is None:
        raise InputError(
            "--sam-checkpoint: must be given where regions come from SAM, found nothing; give the"
            f" file whose SHA-256 begins with {card.segment['sha256'][:12]}"
        )


def check_captioner(card: Card, options: ScoreOptions) -> None:
    """Raise where captions need a server, and none is given.

    Raises:
        InputError: names --endpoint.
    """
    if CAPTIONERS[card.caption["backend"]].uses_server and not options.endpoint:
        raise InputError(
            "--endpoint: must be given where captions come from a model, found nothing; give the"
            f" base URL of a server of {card.caption['model']}"
        )


def check_weights(folder: Path, options: ScoreOptions) -> None:
    """Raise where weights are given beside those of a fine-tuned backbone.

    Raises:
        InputError: names --weights.
    """
    if options.weights != PACKAGED:
        raise InputError(
            f"--weights: must not be given with {folder}, which holds a fine-tuned backbone, found"
            f" {options.weights}; leave it out"
        )
