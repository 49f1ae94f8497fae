"""The scorer: scores of single images in memory, equal to those of the pipeline."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image
from pydantic import ValidationError
from torch import Tensor, nn

from rsfiqa import checkpoints
from rsfiqa.errors import ImageError, InputError
from rsfiqa.images import load, resize
from rsfiqa.images.load import LoadedImage
from rsfiqa.model import Prediction, batch_images, image_inputs
from rsfiqa.options import describe
from rsfiqa.products import captions, features, regions
from rsfiqa.runtime.devices import device_of
from rsfiqa.score import pipeline
from rsfiqa.score.options import ScoreOptions
from rsfiqa.score.pipeline import DescribedRegions, RegionPipeline
from rsfiqa.score.result import Region, Score
from rsfiqa.vocabulary import RATINGS

Source = Path | str | Image.Image | np.ndarray


@dataclass(frozen=True)
class ImagePrediction:
    """Model inputs and prediction of one image.

    Attributes:
        regions: label map and table of regions.
        captions: one per region.
        ratings: float32 (R, 5), as the model gets them.
        prediction: of a batch of this image alone, on the CPU.
    """

    regions: regions.ImageRegions
    captions: pipeline.Captions
    ratings: np.ndarray
    prediction: Prediction


class Scorer(nn.Module):
    """A checkpoint with everything that scores images.

    As a torch module it takes the inputs of pyiqa's metrics. It is not differentiable: regions and
    captions come from 8-bit pixels, and scores carry no gradient.

    Args:
        folder: of a checkpoint.
        options: device, and the models that the checkpoint does not contain.

    Attributes:
        card: metadata of the checkpoint.
        digest: SHA-256 of its weights.
        scale: MOS scale of the training set.
        lower_better: a low score means a good image.
        score_range: lowest and highest MOS of the training set; scores can exceed it a little.

    Raises:
        InputError: the checkpoint cannot be used, or needs a model that is not given.
    """

    lower_better = False
    mean: Tensor
    std: Tensor

    def __init__(self, folder: Path, options: ScoreOptions | None = None) -> None:
        super().__init__()
        options = options or ScoreOptions()
        device = device_of(options.device, "--device")
        model, self.card = checkpoints.read(folder)
        pipeline.check_versions(folder, self.card)
        self.digest = checkpoints.read_card(folder)[1]
        self.scale = self.card.scale
        self.score_range = (self.scale.low, self.scale.high)
        self.lower_better = self.scale.lower_better
        self.region_pipeline = RegionPipeline(self.card, options)
        _ = self.region_pipeline.caption_image  # reports a missing server now
        self._backbone = pipeline.load_backbone(folder, self.card, options.weights)
        self.encoder = pipeline.load_encoder(folder, self.card, options.device)
        self.model, self.stages = model, self._backbone.network
        self.register_buffer("mean", self._backbone.mean, persistent=False)
        self.register_buffer("std", self._backbone.std, persistent=False)
        if pipeline.needs_torch(self.card):
            _ = self.region_pipeline.segmenter  # reports a wrong checkpoint now
        self.to(device).eval()

    @classmethod
    def load(
        cls, checkpoint: Path | str | None = None, device: str = "auto", **options: Any
    ) -> "Scorer":
        """Load a checkpoint, by default the one that comes with the package.

        Args:
            checkpoint: folder of the checkpoint.
            device: auto, cuda or cpu.
            options: further fields of `ScoreOptions`, such as sam_checkpoint and endpoint.

        Raises:
            InputError: see `Scorer`; or no checkpoint comes with the package.
        """
        folder = checkpoints.folder_or_packaged(None if checkpoint is None else Path(checkpoint))
        try:
            return cls(folder, ScoreOptions.model_validate({"device": device, **options}))
        except ValidationError as error:
            raise InputError(describe(error, "Scorer")) from error

    def forward(self, batch: Tensor) -> Tensor:
        """Scores (B,) of images float (B, 3, H, W) in [0, 1], sRGB, on the device of the images.

        Raises:
            InputError: another shape or type, or values outside [0, 1].
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
        """Scores of images in order, one at a time; an `ImageError` for an unreadable image."""
        for source in sources:
            try:
                yield self.score(source)
            except ImageError as error:
                yield error

    def score(self, source: Source) -> Score:
        """The score of one image.

        Args:
            source: path, Pillow image, or uint8 (H, W, 3) in sRGB.

        Raises:
            ImageError: the image cannot be read.
            InputError: an array of another type or shape.
        """
        return self.score_loaded(loaded(source))

    def score_loaded(self, image: LoadedImage, described: DescribedRegions | None = None) -> Score:
        """The score of an image that is loaded.

        Args:
            image: loaded image.
            described: its regions and captions, if they are known.
        """
        labels, rows = (described.labels, described.captions) if described else (None, None)
        result = self.predict(image.pixels, labels, rows)
        prediction, height, width = result.prediction, *result.regions.labels.shape
        factors = np.tile([image.size[0] / width, image.size[1] / height], 2)
        quality = float(prediction.quality[0])
        return Score(
            score=self.scale.to_mos(quality),
            quality=min(max(quality, 0.0), 1.0),
            global_term=self.scale.span * float(prediction.global_term[0]),
            regions=[
                Region(
                    box=_box(result.regions.table["box"][r] * factors),
                    content=row.content,
                    text=row.text,
                    ratings=dict(zip(RATINGS, result.ratings[r].tolist(), strict=True)),
                    distortions=[(d["family"], d["severity"]) for d in row.distortions],
                    score=self.scale.to_mos(float(prediction.region_quality[0, r])),
                    weight=float(prediction.region_weight[0, r]),
                )
                for r, row in enumerate(result.captions)
            ],
            labels=result.regions.labels,
            attention_grid=prediction.attention[0].numpy(),
            size=image.size,
        )

    def segment(self, pixels: np.ndarray) -> np.ndarray:
        """The label map uint16 (h, w) of an image uint8 (H, W, 3)."""
        return self.region_pipeline.segment(pixels)

    def predict(
        self,
        pixels: np.ndarray,
        labels: np.ndarray | None = None,
        rows: pipeline.Captions | None = None,
    ) -> ImagePrediction:
        """Model inputs and prediction of one image.

        Args:
            pixels: uint8 (H, W, 3).
            labels: label map to use instead of the segmenter's.
            rows: captions of the regions to use instead of the captioner's.
        """
        if labels is None:
            labels = self.segment(pixels)
        if rows is None:
            rows = self.region_pipeline.caption(pixels, labels)
        ratings = captions.ratings_array(captions.to_table({"": rows}))
        image = regions.ImageRegions("", labels, regions.region_table(labels))
        inputs = image_inputs(
            image.image_id,
            labels=image.labels,
            table=image.table,
            ratings=ratings,
            text=self._vectors([row.text for row in rows]),
            grid_features=self._grid_features(pixels),
        )
        with torch.inference_mode():
            prediction = self.model(batch_images([inputs]).to(self.mean.device))
        return ImagePrediction(image, rows, ratings, _to_cpu(prediction))

    def _grid_features(self, pixels: np.ndarray) -> np.ndarray:
        """Grid features (2, C, G, G); of a frozen backbone in float16, as the extract stage's."""
        backbone = replace(self._backbone, network=self.stages, mean=self.mean, std=self.std)
        small = resize.reduce(pixels, self.card.backbone["long_side"])
        grid_features = backbone.grid_features(small, self.card.backbone["grid"])
        return grid_features if self.card.finetuned else features.to_float16(grid_features)

    def _vectors(self, texts: list[str]) -> np.ndarray:
        """Vectors float32 (R, D) as the embed stage's: rounded to float16, zero without text."""
        vectors: np.ndarray = self.encoder.encode(texts).astype(np.float16).astype(np.float32)
        vectors *= (np.array(texts) != "")[:, None]
        return vectors


def loaded(source: Source) -> LoadedImage:
    """An image from a path, a Pillow image or an array.

    Raises:
        ImageError: a file that cannot be read.
        InputError: an array of another type or shape.
    """
    if isinstance(source, np.ndarray):
        if source.dtype != np.uint8 or source.ndim != 3 or source.shape[2] != 3 or not source.size:
            raise InputError(
                f"image: must be uint8 (H, W, 3), found {source.dtype} {source.shape}; convert it"
            )
        pixels = np.require(source, requirements=["C", "W"])  # torch needs both
        return LoadedImage(pixels, pixels.shape[1::-1], converted=False)
    if isinstance(source, Image.Image):
        return load.from_pil(source)
    return load.load_image(Path(source))


def _to_cpu(prediction: Prediction) -> Prediction:
    return Prediction(**{name: value.cpu() for name, value in vars(prediction).items()})


def _box(sides: np.ndarray) -> tuple[int, int, int, int]:
    x0, y0, x1, y1 = (int(side) for side in np.rint(sides))
    return x0, y0, x1, y1
