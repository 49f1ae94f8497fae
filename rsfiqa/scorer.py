"""Scores of single images in process: regions, captions, features and model, without files."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from PIL import Image

from rsfiqa import backbone, captions, checkpoints, embed, images, regions, samples
from rsfiqa.caption import measured
from rsfiqa.errors import InputError
from rsfiqa.files import sha256_of
from rsfiqa.model import Batch, Prediction
from rsfiqa.segment import segment_image
from rsfiqa.stages import EmbedOptions, SegmentOptions


@dataclass(frozen=True)
class Region:
    """One region of a scored image.

    Attributes:
        box: x0, y0, x1, y1 in pixels of the upright image, x1 and y1 beyond the last pixel.
        content: what it shows.
        text: the sentence about it.
        ratings: color, noise, artifact, blur, overall in [1, 5], 5 for excellent.
        distortions: family and severity in 1..5, the worst first.
        quality: in MOS units of the checkpoint.
        weight: in [0, 1]; the weights of an image sum to 1.
    """

    box: tuple[int, int, int, int]
    content: str
    text: str
    ratings: dict[str, float]
    distortions: list[tuple[str, int]]
    quality: float
    weight: float


@dataclass(frozen=True)
class Score:
    """What a checkpoint says of one image.

    Attributes:
        score: in MOS units of the checkpoint; the regions' weighted qualities plus `global_term`.
        quality: the same in [0, 1], higher is better; cut to that range.
        global_term: what the whole image adds, in MOS units.
        regions: largest first.
        labels: uint16 (h, w), the region of each pixel of the reduced image.
        attention: float32 (H, W) of the upright image, how much each pixel counts; sums to 1.
    """

    score: float
    quality: float
    global_term: float
    regions: list[Region]
    labels: np.ndarray
    attention: np.ndarray


@dataclass(frozen=True)
class Seen:
    """What a scorer sees of one image, and what the model makes of it.

    Attributes:
        part: label map and region table.
        rows: of the captions' schema, one per region.
        ratings: float32 (R, 5), as the model gets them.
        prediction: of a batch of this image alone.
    """

    part: regions.ImageRegions
    rows: list[dict[str, Any]]
    ratings: np.ndarray
    prediction: Prediction


class Scorer:
    """A checkpoint, ready for images.

    Args:
        folder: of a checkpoint whose regions are superpixels and whose captions are measured.
        weights: of a frozen backbone, as of the extract stage.
    """

    def __init__(self, folder: Path, weights: str = backbone.PACKAGED) -> None:
        self.model, self.card = checkpoints.read(folder)
        for stage, backend in (("segment", "superpixel"), ("caption", "measured")):
            if (found := getattr(self.card, stage)["backend"]) != backend:
                raise InputError(
                    f"{folder}: must be trained with {stage} backend {backend} to score without the"
                    f" pipeline, found {found}; score with the pipeline"
                )
        self.folder, self.weights = folder, weights
        self.digest = sha256_of(folder / "model.safetensors")

    @cached_property
    def backbone(self) -> backbone.Backbone:
        """Fine-tuned, or the frozen one that the card names."""
        tuned = checkpoints.read_backbone(self.folder, self.card)
        if tuned is not None:
            return tuned
        frozen = backbone.load(self.card.backbone["backbone"], self.weights)
        if frozen.sha256 != self.card.backbone["sha256"]:
            raise InputError(
                f"{self.folder}: trained on a backbone with other weights than {self.weights}; give"
                " the file of those"
            )
        return frozen

    @cached_property
    def encoder(self) -> Any:
        """Of the sentences."""
        names = ("encoder", "precision")
        options = EmbedOptions(**{k: v for k, v in self.card.encoder.items() if k in names})
        return embed.load(embed.encoder_folder(options.encoder), options)

    def score(self, image: Path | str | np.ndarray | Image.Image) -> Score:
        """The score of one image.

        Args:
            image: a path, an image of Pillow's, or uint8 (H, W, 3) in sRGB.

        Raises:
            ImageError: it cannot be read.
        """
        pixels = pixels_of(image)
        seen = self.predict(pixels)
        found, labels, table = seen.prediction, seen.part.labels, seen.part.table
        height, width = pixels.shape[:2]
        low, high = self.card.mos_range or (0.0, 1.0)
        span, base = (low - high, high) if self.card.lower_better else (high - low, low)
        scale = np.tile([width / labels.shape[1], height / labels.shape[0]], 2)
        value = float(found.score[0])
        return Score(
            score=base + span * value,
            quality=min(max(value, 0.0), 1.0),
            global_term=span * float(found.global_term[0]),
            regions=[
                Region(
                    box=_box(table["box"][r] * scale),
                    content=row["content"],
                    text=row["text"],
                    ratings=dict(zip(captions.RATINGS, seen.ratings[r].tolist(), strict=True)),
                    distortions=[(d["family"], d["severity"]) for d in row["distortions"]],
                    quality=base + span * float(found.quality[0, r]),
                    weight=float(found.weight[0, r]),
                )
                for r, row in enumerate(seen.rows)
            ],
            labels=labels,
            attention=_spread(found.attention[0].numpy(), (height, width)),
        )

    def predict(self, pixels: np.ndarray, labels: np.ndarray | None = None) -> Seen:
        """Regions and captions of an image, and what the model makes of them.

        Args:
            pixels: uint8 (H, W, 3).
            labels: a label map to use in place of the image's own.
        """
        card = self.card
        if labels is None:
            options = {k: v for k, v in card.segment.items() if k != "version"}
            labels = segment_image(pixels, SegmentOptions(**options))
        small = images.reduce(pixels, max(card.caption["long_side"], *labels.shape))
        rows = measured.caption(small, images.fit_labels(labels, small.shape[:2]))
        texts = [row["text"] for row in rows]
        vectors = embed.encode(self.encoder, texts, len(texts)).astype(np.float16)
        grid = card.backbone["grid"]
        reduced = images.reduce(pixels, card.backbone["long_side"])
        cells = self.backbone.cells(reduced, grid)
        if not card.finetuned:
            cells = cells.astype(np.float16)  # as the extract stage keeps them
        ratings = samples.ratings(pa.Table.from_pylist(rows, schema=captions.SCHEMA))
        part = regions.ImageRegions("", labels, regions.region_table(labels))
        batch = Batch(
            cells=torch.from_numpy(cells)[None],
            coverage=torch.from_numpy(samples.coverage(labels, grid))[None],
            text=torch.from_numpy(vectors.astype(np.float32))[None],
            ratings=torch.from_numpy(ratings)[None],
            geometry=torch.from_numpy(samples.geometry(part))[None],
            present=torch.ones(1, len(rows), dtype=torch.bool),
        )
        with torch.inference_mode():
            return Seen(part, rows, ratings, self.model(batch))


def pixels_of(image: Path | str | np.ndarray | Image.Image) -> np.ndarray:
    """Uint8 (H, W, 3) of what a user hands in.

    Raises:
        ImageError: a file that cannot be read.
        InputError: an array of another type or shape.
    """
    if isinstance(image, np.ndarray):
        if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3:
            raise InputError(
                f"image: must be uint8 (H, W, 3), found {image.dtype} {image.shape}; convert it"
            )
        return np.require(image, requirements=["C", "W"])  # torch wants both
    if isinstance(image, Image.Image):
        return images.rgb_of(image)
    return images.read_rgb(Path(image))


def _box(sides: np.ndarray) -> tuple[int, int, int, int]:
    x0, y0, x1, y1 = (int(side) for side in np.rint(sides))
    return x0, y0, x1, y1


def _spread(attention: np.ndarray, shape: Sequence[int]) -> np.ndarray:
    """A map (G, G) over an image's pixels: float32 (H, W), sums to 1."""
    grid = len(attention)
    rows, columns = ((np.arange(side) * grid) // side for side in shape)
    spread = attention[rows[:, None], columns].astype(np.float32)
    return spread / spread.sum()
