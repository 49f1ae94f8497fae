"""Scores of single images in process, equal to those of the pipeline."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from PIL import Image
from pydantic import ValidationError
from torch import Tensor, nn

from rsfiqa import samples
from rsfiqa.errors import ImageError, InputError
from rsfiqa.images import load, resize
from rsfiqa.images.load import LoadedImage
from rsfiqa.model import Batch, Prediction
from rsfiqa.options import describe
from rsfiqa.products import captions, checkpoints, features, regions
from rsfiqa.runtime.devices import device_of
from rsfiqa.score import pipeline
from rsfiqa.score.options import ScoreOptions
from rsfiqa.vocabulary import RATINGS

Source = Path | str | Image.Image | np.ndarray


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
        grid_features: float32 (G, G), how much each cell of the image counts; sums to 1.
        size: width and height in pixels of the upright image.
    """

    score: float
    quality: float
    global_term: float
    regions: list[Region]
    labels: np.ndarray
    grid_features: np.ndarray
    size: tuple[int, int]

    @cached_property
    def attention(self) -> np.ndarray:
        """Float32 (H, W) of the upright image, how much each pixel counts; sums to 1."""
        grid = len(self.grid_features)
        across, down = ((np.arange(side) * grid) // side for side in self.size)
        spread = self.grid_features[down[:, None], across].astype(np.float32)
        spread /= spread.sum(dtype=np.float64)
        return spread


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
    rows: pipeline.Rows
    ratings: np.ndarray
    prediction: Prediction


class Scorer(nn.Module):
    """A checkpoint, ready for images.

    As a torch module it takes what the metrics of pyiqa take. It cannot be differentiated: regions
    and captions come from 8-bit pixels, and scores carry no gradient.

    Args:
        folder: of a checkpoint.
        options: where it runs, and what it needs that the checkpoint does not hold.

    Attributes:
        card: what the checkpoint says of itself.
        digest: SHA-256 of its weights.
        lower_better: whether a low score means a good image, as the training set has it.
        score_range: lowest and highest MOS of the training set; a score may lie a little outside.

    Raises:
        InputError: the checkpoint cannot be used, or needs something that is not given.
    """

    lower_better = False
    mean: Tensor
    std: Tensor

    def __init__(self, folder: Path, options: ScoreOptions | None = None) -> None:
        super().__init__()
        options = options or ScoreOptions()
        model, self.card = checkpoints.read(folder)
        pipeline.check(folder, self.card)
        self.digest = checkpoints.read_card(folder)[1]
        self.lower_better = self.card.scale.lower_better
        self.score_range = (self.card.scale.low, self.card.scale.high)
        self.options = options
        self.caption = pipeline.captioner(self.card, options)
        self._backbone = pipeline.backbone_of(folder, self.card, options.weights)
        self.encoder = pipeline.encoder(self.card, options.device)
        self.model, self.stages = model, self._backbone.stages
        self.register_buffer("mean", self._backbone.mean, persistent=False)
        self.register_buffer("std", self._backbone.std, persistent=False)
        if not pipeline.is_light(self.card):
            _ = self.segment  # what is wrong with it shows now
        self.to(device_of(options.device, "device")).eval()

    @cached_property
    def segment(self) -> pipeline.Segment:
        """Gives the label map of an image."""
        return pipeline.segmenter(self.card, self.options)

    @classmethod
    def load(
        cls, checkpoint: Path | str | None = None, device: str = "auto", **options: Any
    ) -> "Scorer":
        """A checkpoint, by default the one that comes with the package.

        Args:
            checkpoint: its folder.
            device: auto, cuda or cpu.
            options: others of `ScoreOptions`, such as sam_checkpoint and endpoint.

        Raises:
            InputError: as the class, or none comes with the package.
        """
        folder = checkpoints.located(None if checkpoint is None else Path(checkpoint))
        try:
            return cls(folder, ScoreOptions.model_validate({"device": device, **options}))
        except ValidationError as error:
            raise InputError(describe(error, "Scorer")) from error

    def forward(self, batch: Tensor) -> Tensor:
        """Scores (B,) of images float (B, 3, H, W) in [0, 1], sRGB, on the device of these.

        Raises:
            InputError: another shape or type, or values that lie elsewhere.
        """
        if batch.ndim != 4 or batch.shape[1] != 3 or not batch.is_floating_point():
            raise InputError(
                f"images: must be float (B, 3, H, W), found {batch.dtype} {tuple(batch.shape)};"
                " convert them"
            )
        if batch.numel() and not (batch.min() >= 0 and batch.max() <= 1):
            raise InputError(
                f"images: must lie in [0, 1], found [{batch.min():g}, {batch.max():g}]; scale them"
            )
        pixels = (batch.detach() * 255).round().byte().permute(0, 2, 3, 1).cpu().numpy()
        scores = [self.score(image).score for image in pixels]
        return torch.tensor(scores, dtype=batch.dtype, device=batch.device)

    def score_many(self, sources: Iterable[Source]) -> Iterator[Score | ImageError]:
        """What `score` says of each image, in their order, one at a time.

        In place of an image that cannot be read stands its `ImageError`.
        """
        for source in sources:
            try:
                yield self.score(source)
            except ImageError as error:
                yield error

    def score(self, source: Source) -> Score:
        """The score of one image.

        Args:
            source: a path, an image of Pillow's, or uint8 (H, W, 3) in sRGB.

        Raises:
            ImageError: it cannot be read.
            InputError: an array of another type or shape.
        """
        return self.judge(picture_of(source))

    def judge(self, picture: LoadedImage, labels: Any = None, rows: Any = None) -> Score:
        """As `score`, of an image that has been read.

        Args:
            picture: the image.
            labels: see `predict`.
            rows: see `predict`.
        """
        seen = self.predict(picture.pixels, labels, rows)
        found, labels, table = seen.prediction, seen.part.labels, seen.part.table
        mos_scale = self.card.scale
        scale = np.tile([picture.size[0] / labels.shape[1], picture.size[1] / labels.shape[0]], 2)
        value = float(found.score[0])
        return Score(
            score=mos_scale.to_mos(value),
            quality=min(max(value, 0.0), 1.0),
            global_term=mos_scale.span * float(found.global_term[0]),
            regions=[
                Region(
                    box=_box(table["box"][r] * scale),
                    content=row["content"],
                    text=row["text"],
                    ratings=dict(zip(RATINGS, seen.ratings[r].tolist(), strict=True)),
                    distortions=[(d["family"], d["severity"]) for d in row["distortions"]],
                    quality=mos_scale.to_mos(float(found.quality[0, r])),
                    weight=float(found.weight[0, r]),
                )
                for r, row in enumerate(seen.rows)
            ],
            labels=labels,
            grid_features=found.attention[0].numpy(),
            size=picture.size,
        )

    def predict(
        self,
        pixels: np.ndarray,
        labels: np.ndarray | None = None,
        rows: pipeline.Rows | None = None,
    ) -> Seen:
        """Regions and captions of an image, and what the model makes of them.

        Args:
            pixels: uint8 (H, W, 3).
            labels: a label map to use in place of the image's own.
            rows: captions of its regions to use in place of the image's own.
        """
        card = self.card
        if labels is None:
            labels = self.segment(pixels)
        if rows is None:
            rows = pipeline.described(pixels, labels, card, self.caption)
        ratings = samples.ratings(pa.Table.from_pylist(rows, schema=captions.SCHEMA))
        part = regions.ImageRegions("", labels, regions.region_table(labels))
        grid = card.backbone["grid"]
        batch = Batch(
            grid_features=torch.from_numpy(self._grid_features(pixels))[None],
            coverage=torch.from_numpy(samples.coverage(labels, grid))[None],
            text=torch.from_numpy(self._vectors([row["text"] for row in rows]))[None],
            ratings=torch.from_numpy(ratings)[None],
            geometry=torch.from_numpy(samples.geometry(part))[None],
            present=torch.ones(1, len(rows), dtype=torch.bool),
        )
        with torch.inference_mode():
            found = self.model(batch.to(self.mean.device))
        return Seen(part, rows, ratings, _on_cpu(found))

    def _grid_features(self, pixels: np.ndarray) -> np.ndarray:
        """Features (2, C, G, G), as the extract stage keeps them if the backbone is frozen."""
        stages = replace(self._backbone, stages=self.stages, mean=self.mean, std=self.std)
        described = self.card.backbone
        grid_features = stages.grid_features(
            resize.reduce(pixels, described["long_side"]), described["grid"]
        )
        return grid_features if self.card.finetuned else features.half(grid_features)

    def _vectors(self, texts: list[str]) -> np.ndarray:
        """Float32 (R, D) as the embed stage keeps them: in float16, zeros for a failed caption."""
        vectors = self.encoder.encode(texts).astype(np.float16).astype(np.float32)
        return vectors * (np.array(texts) != "")[:, None]


def picture_of(source: Source) -> LoadedImage:
    """What a user hands in, as it is read.

    Raises:
        ImageError: a file that cannot be read.
        InputError: an array of another type or shape.
    """
    if isinstance(source, np.ndarray):
        if source.dtype != np.uint8 or source.ndim != 3 or source.shape[2] != 3 or not source.size:
            raise InputError(
                f"image: must be uint8 (H, W, 3), found {source.dtype} {source.shape}; convert it"
            )
        pixels = np.require(source, requirements=["C", "W"])  # torch wants both
        return LoadedImage(pixels, pixels.shape[1::-1], converted=False)
    if isinstance(source, Image.Image):
        return load.from_pil(source)
    return load.load_image(Path(source))


def _on_cpu(found: Prediction) -> Prediction:
    return Prediction(**{name: value.cpu() for name, value in vars(found).items()})


def _box(sides: np.ndarray) -> tuple[int, int, int, int]:
    x0, y0, x1, y1 = (int(side) for side in np.rint(sides))
    return x0, y0, x1, y1
