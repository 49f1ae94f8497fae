"""The export command: a checkpoint in, a folder for other programs out."""

import os
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

from rsfiqa import checkpoints
from rsfiqa.architecture import UNCAPTIONED
from rsfiqa.backbones.backbone import Backbone
from rsfiqa.errors import InputError
from rsfiqa.io.atomic import write_bytes
from rsfiqa.io.json_files import write_json
from rsfiqa.products.paths import card_path, weights_path
from rsfiqa.score import needs, pipeline
from rsfiqa.score.options import ScoreOptions
from rsfiqa.vocabulary import RATINGS

if TYPE_CHECKING:
    from rsfiqa.score.export.captions import ClassifierCaptions


def run_hub(checkpoint: Path | None, output: Path) -> None:
    """Write a model folder for the hub: weights, card, config.json and README.md.

    The split stays out: it holds names and scores of images of others.

    Raises:
        InputError: the checkpoint cannot be used, or the output exists.
    """
    from rsfiqa.score.export.card import model_page

    folder = checkpoints.folder_or_packaged(checkpoint)
    _, card = checkpoints.read(folder)
    digest = checkpoints.read_card(folder)[1]
    with _new_folder(output) as made:
        for path in (weights_path, card_path):
            shutil.copyfile(path(folder), path(made))
        write_json(
            made / "config.json", {"model_type": "rsfiqa", "model": card.model, "ratings": RATINGS}
        )
        write_bytes(made / "README.md", model_page(card, digest).encode())


def run_onnx(checkpoint: Path | None, output: Path, options: ScoreOptions, *, opset: int) -> float:
    """Write model.onnx and card.json; returns the largest difference from torch.

    Raises:
        InputError: the checkpoint cannot be used or exported, or the output exists.
    """
    import onnx
    import onnxruntime

    from rsfiqa.score.export import onnx_file
    from rsfiqa.score.export.card import onnx_card
    from rsfiqa.score.export.graph import ScoringGraph

    folder = checkpoints.folder_or_packaged(checkpoint)
    model, card = checkpoints.read(folder)
    needs.check_versions(folder, card)
    backbone = pipeline.load_backbone(folder, card, options.weights)
    _check(folder, backbone, card.backbone["backbone"])
    graph = ScoringGraph(model, backbone, card, _captions(folder, card, backbone))
    families = () if graph.captions is None else graph.captions.families
    with _new_folder(output) as made:
        difference = onnx_file.write(made / "model.onnx", graph, opset=opset)
        content = onnx_card(
            card,
            checkpoints.read_card(folder)[1],
            graph,
            families,
            opset=opset,
            largest_difference=difference,
            versions={"onnx": onnx.__version__, "onnxruntime": onnxruntime.__version__},
        )
        write_json(made / "card.json", content)
    return difference


def _check(folder: Path, backbone: Backbone, name: str) -> None:
    """Refuse a backbone whose images must be padded.

    Raises:
        InputError: it accepts some sizes of images only.
    """
    if backbone.side_multiple > 1:
        raise InputError(
            f"{folder}: must have a backbone that takes images of any size to be exported, found"
            f" {name}, whose sides are multiples of {backbone.side_multiple}; train with another"
        )


def _captions(
    folder: Path, card: checkpoints.Card, backbone: Backbone
) -> "ClassifierCaptions | None":
    """The captioner and the encoder where both come with the package and share the backbone."""
    from rsfiqa.captioners.classifier.weights import packaged
    from rsfiqa.encoders.minilm import MiniLM
    from rsfiqa.score.export.captions import ClassifierCaptions

    variant = card.model.get("variant", "full")
    same = card.caption.get("sha256") == backbone.sha256 == packaged().backbone.sha256
    if variant in UNCAPTIONED or card.caption["backend"] != "classifier" or not same:
        return None
    if not card.model["text_dim"]:
        return ClassifierCaptions(packaged(), None)
    encoder = pipeline.load_encoder(folder, card, "cpu")
    if not isinstance(encoder, MiniLM):
        return None
    return ClassifierCaptions(packaged(), encoder)


@contextmanager
def _new_folder(output: Path) -> Iterator[Path]:
    """A temporary folder that becomes the output when the block succeeds.

    Raises:
        InputError: the output exists.
    """
    if os.path.lexists(output):
        raise InputError(f"{output}: must be a new folder, found one that is there; name another")
    output.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=output.parent, prefix=".export-") as name:
        made = Path(name) / "made"
        made.mkdir()
        yield made
        made.replace(output)
