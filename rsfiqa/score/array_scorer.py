"""A scorer without torch: ONNX Runtime for the backbone, NumPy for what follows.

Importing torch and its models takes seconds and 650 MB in each process. Scores are those of
`Scorer` to 0.05 of 100 points, reasons are the same.
"""

from collections.abc import Mapping
from functools import cached_property
from pathlib import Path

import numpy as np

from rsfiqa import checkpoints
from rsfiqa.backbones import PACKAGED, session
from rsfiqa.backbones.session import GraphBackbone, graph_path, grid_features_of
from rsfiqa.backbones.weights import PERCEPTION_BACKBONE, PERCEPTION_FILE
from rsfiqa.captioners import CAPTIONERS
from rsfiqa.captioners.classifier import arrays
from rsfiqa.captioners.classifier.arrays import ArrayPerception
from rsfiqa.checkpoints import Card
from rsfiqa.encoders.files import NO_TEXT
from rsfiqa.errors import InputError, first_line
from rsfiqa.images import resize
from rsfiqa.io.checksum import sha256_of
from rsfiqa.products import captions, features
from rsfiqa.products.paths import card_path
from rsfiqa.products.regions import ImageRegions, region_table
from rsfiqa.region_layout import region_layout
from rsfiqa.runtime import gpus
from rsfiqa.score import needs
from rsfiqa.score.array_model import ArrayModel
from rsfiqa.score.assembly import ImageScorer, PreparedImage, ScoredRegions
from rsfiqa.score.options import ScoreOptions
from rsfiqa.score.pipeline import Captions, RegionPipeline
from rsfiqa.segmenters import SEGMENTERS
from rsfiqa.vocabulary import RATINGS

ONE_REGION = np.zeros((64, 64), np.uint16)  # label map


def is_suited(card: Card, options: ScoreOptions) -> bool:
    """Whether `ArrayScorer` can take a checkpoint here.

    That is on a CPU, with ONNX Runtime, for a checkpoint whose captions reach the model as ratings
    alone and whose backbone has a graph in the package; anything else is for `Scorer`, which also
    says what is wrong with a checkpoint.

    Args:
        card: of the checkpoint.
        options: of the score command.
    """
    if gpus.may_be_used(options.device) or options.runtime == "torch":
        return False
    if not session.is_installed(session.RUNTIME):
        return False
    if graph_path(card.backbone["backbone"]) is None or card.encoder["encoder"] != NO_TEXT:
        return False
    if SEGMENTERS[card.segment["backend"]].needs_torch or not _has_captioner(card):
        return False
    frozen = card.backbone["sha256"] == sha256_of(PERCEPTION_FILE)
    return options.weights == PACKAGED and bool(card.finetuned or frozen)


def _has_captioner(card: Card) -> bool:
    captioner = CAPTIONERS[card.caption["backend"]]
    if captioner.takes_maps:
        return bool(card.caption["sha256"] == sha256_of(PERCEPTION_FILE))
    return not (captioner.needs_torch or captioner.uses_server)


class ArrayScorer(ImageScorer):
    """A checkpoint that scores images on a CPU; see `is_suited`.

    Args:
        folder: of the checkpoint.
        options: of the score command.

    Attributes:
        card: metadata of the checkpoint.
        digest: SHA-256 of its weights.

    Raises:
        InputError: the checkpoint cannot be used.
    """

    def __init__(self, folder: Path, options: ScoreOptions) -> None:
        state, network, self.card, self.digest = checkpoints.read_arrays(folder)
        needs.check_versions(folder, self.card)
        self.scale = self.card.scale
        self.lower_better = self.scale.lower_better
        self.region_pipeline = RegionPipeline(self.card, options)
        self.model = _model(folder, state, self.card)
        weights = network if self.card.finetuned else self.perception.network
        self.backbone = _load_backbone(self.card.backbone["backbone"], weights)

    @cached_property
    def perception(self) -> ArrayPerception:
        """The captioner `classifier`."""
        return arrays.read(PERCEPTION_FILE)

    @cached_property
    def _captioning_backbone(self) -> GraphBackbone:
        """The captioner's, which a checkpoint that is not fine-tuned shares."""
        if not self.card.finetuned:
            return self.backbone
        return _load_backbone(PERCEPTION_BACKBONE, self.perception.network)

    def segment(self, pixels: np.ndarray) -> np.ndarray:
        """The label map uint16 (h, w) of an image uint8 (H, W, 3)."""
        return self.region_pipeline.segment(pixels)

    def scored_regions(self, prepared: PreparedImage) -> ScoredRegions:
        """As `ImageScorer.scored_regions`."""
        pixels, labels = prepared.pixels, prepared.labels
        labels = self.segment(pixels) if labels is None else labels
        small = resize.reduce(pixels, self.card.backbone["long_side"])
        maps = self.backbone.image_maps(small)
        squares = [np.square(values) for values in maps]
        rows = prepared.captions
        if rows is None:
            rows = self._caption(pixels, labels, small, maps, squares)
        grid = self.card.backbone["grid"]
        grid_features = grid_features_of(maps, squares, grid)
        if not self.card.finetuned:
            grid_features = features.to_float16(grid_features)
        regions = ImageRegions("", labels, region_table(labels))
        ratings = captions.ratings_of(rows)
        layout = region_layout(labels, regions.table, grid)
        predicted = self.model.predict(grid_features, layout, ratings)
        return ScoredRegions(regions, rows, ratings, predicted)

    def _caption(
        self,
        pixels: np.ndarray,
        labels: np.ndarray,
        small: np.ndarray,
        maps: list[np.ndarray],
        squares: list[np.ndarray],
    ) -> Captions:
        """Captions of the regions; a captioner that takes feature maps gets its own."""
        if not CAPTIONERS[self.card.caption["backend"]].takes_maps:
            return self.region_pipeline.caption(pixels, labels)
        side, image = max(self.card.caption["long_side"], *labels.shape), small
        if side != self.card.backbone["long_side"]:
            image = resize.reduce(pixels, side)
        if self.card.finetuned or image.shape != small.shape:
            maps = self._captioning_backbone.image_maps(image)
            squares = [np.square(values) for values in maps]
        fitted = resize.fit_labels(labels, image.shape[:2])
        return self.perception.caption(image, fitted, maps, squares)


def _load_backbone(name: str, weights: Mapping[str, np.ndarray]) -> GraphBackbone:
    """A backbone on its graph, which comes with the package.

    Raises:
        InputError: the weights are of another network.
    """
    path = graph_path(name)
    assert path is not None
    return GraphBackbone.load(path, weights)


def _model(folder: Path, state: dict[str, np.ndarray], card: Card) -> ArrayModel:
    """The model of a checkpoint, which has predicted an image of one region.

    Raises:
        InputError: the weights are not those of the model that the card describes.
    """
    try:
        model, grid = ArrayModel(state, card.model), card.backbone["grid"]
        layout = region_layout(ONE_REGION, region_table(ONE_REGION), grid)
        empty = np.zeros((2, sum(card.model["stage_channels"]), grid, grid), np.float32)
        model.predict(empty, layout, np.full((1, len(RATINGS)), np.nan, np.float32))
    except (KeyError, ValueError, IndexError, TypeError) as error:
        raise InputError(
            f"{card_path(folder)}: must describe a model of this version, found"
            f" {first_line(error)}; train it again"
        ) from error
    return model
