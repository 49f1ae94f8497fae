"""The scorer: scores of single images in memory, equal to those of the pipeline."""

import logging
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from pydantic import ValidationError
from torch import Tensor, nn

from rsfiqa import checkpoints
from rsfiqa.backbones import onnx
from rsfiqa.backbones.backbone import Backbone, grid_features_of
from rsfiqa.errors import ImageError, InputError
from rsfiqa.images import resize
from rsfiqa.model import Prediction, batch_images, image_inputs
from rsfiqa.model.inference import inference
from rsfiqa.options import describe
from rsfiqa.products import captions, features, regions
from rsfiqa.runtime.devices import adapt_to_fork, device_of, missing_device
from rsfiqa.score import batches, hub, inside, needs, pipeline
from rsfiqa.score.array_model import ArrayPrediction
from rsfiqa.score.assembly import ImageScorer, PreparedImage, ScoredRegions, assemble
from rsfiqa.score.batching import BATCH_SIZE, can_batch, score_in_batches
from rsfiqa.score.inputs import ModelInputs, make_inputs
from rsfiqa.score.options import ScoreOptions
from rsfiqa.score.pipeline import RegionPipeline
from rsfiqa.score.result import Score
from rsfiqa.score.sources import Source, load_source, to_uint8

log = logging.getLogger("rsfiqa")

AHEAD = 4  # batches of images that are read at most before the first of them is scored


@dataclass(frozen=True, eq=False)
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

    def scored_regions(self) -> ScoredRegions:
        """The same with arrays."""
        of = self.prediction
        predicted = ArrayPrediction(
            quality=float(of.quality[0]),
            region_quality=of.region_quality[0].numpy(),
            region_weight=of.region_weight[0].numpy(),
            attention=of.attention[0].numpy(),
            quality_map=of.quality_map[0].numpy(),
        )
        return ScoredRegions(self.regions, self.captions, self.ratings, predicted)


class Scorer(nn.Module, ImageScorer):
    """A checkpoint with everything that scores images.

    As a torch module it takes the inputs of pyiqa's metrics. It is frozen: it stays in evaluation
    mode and in float32, whatever mode or number format it or a module around it is set to, and its
    parameters need no gradient. It is not differentiable: regions and captions come from 8-bit
    pixels, and scores carry no gradient. Copied or sent to another process, it is loaded again from
    its folder.

    Args:
        folder: of a checkpoint.
        options: device, and the models that the checkpoint does not contain.

    Attributes:
        card: metadata of the checkpoint.
        digest: SHA-256 of its weights.
        scale: MOS scale of the training set.
        lower_better: a low score means a good image.
        score_range: lowest and highest MOS of the training set; scores are not clipped to them.

    Raises:
        InputError: the checkpoint cannot be used, or needs a model that is not given.
    """

    lower_better = False
    mean: Tensor
    std: Tensor

    def __init__(self, folder: Path, options: ScoreOptions | None = None) -> None:
        super().__init__()
        options = options or ScoreOptions()
        adapt_to_fork()
        self._source, self._process = (folder.absolute(), options), os.getpid()
        device = device_of(options.device, "--device")
        model, self.card = checkpoints.read(folder)
        needs.check_versions(folder, self.card)
        self.digest = checkpoints.read_card(folder)[1]
        self.scale = self.card.scale
        self.score_range = (self.scale.low, self.scale.high)
        self.lower_better = self.scale.lower_better
        self.region_pipeline = RegionPipeline(self.card, options)
        _ = self.region_pipeline.captioner  # reports a missing server now
        self._backbone = pipeline.load_backbone(folder, self.card, options.weights)
        self.encoder = pipeline.load_encoder(folder, self.card, options.stage_device)
        self.model, self.stages = model, self._backbone.network
        self.register_buffer("mean", self._backbone.mean, persistent=False)
        self.register_buffer("std", self._backbone.std, persistent=False)
        if pipeline.needs_one_process(self.card):
            _ = self.region_pipeline.segmenter  # reports a wrong checkpoint now
        self.requires_grad_(False).to(device).eval()
        self._onnx = onnx.as_onnx(self.own_backbone, options.runtime, device)

    @classmethod
    def load(
        cls,
        checkpoint: Path | str | None = None,
        device: str | torch.device = "auto",
        **options: Any,
    ) -> "Scorer":
        """Load a checkpoint, by default the one that comes with the package.

        Args:
            checkpoint: folder of the checkpoint.
            device: auto, or one of torch: cpu, mps, cuda, or a certain GPU such as cuda:1.
            options: further fields of `ScoreOptions`, such as sam_checkpoint and endpoint.

        Raises:
            InputError: see `Scorer`; no such device; or no checkpoint comes with the package.
        """
        folder = checkpoints.folder_or_packaged(None if checkpoint is None else Path(checkpoint))
        target = _target(device)
        kind = device if target is None else target.type
        try:
            chosen = ScoreOptions.model_validate({"device": kind, **options})
        except ValidationError as error:
            raise InputError(describe(error, "Scorer")) from error
        device_of(chosen.device, "device")
        scorer = cls(folder, chosen)
        return scorer if target is None or target.index is None else scorer.to(target)

    @classmethod
    def from_pretrained(
        cls,
        source: str | os.PathLike[str],
        device: str | torch.device = "auto",
        *,
        revision: str | None = None,
        **options: Any,
    ) -> "Scorer":
        """Load a checkpoint from a folder or from the Hugging Face hub.

        Args:
            source: folder, or owner/name of a repository.
            device: as `load`.
            revision: branch, tag or commit of the repository.
            options: as `load`.

        Raises:
            InputError: neither a folder nor a repository that can be reached; or as `load`.
        """
        return cls.load(hub.checkpoint_folder(source, revision), device, **options)

    def train(self, mode: bool = True) -> Self:  # noqa: ARG002 - torch's signature
        """Stay in evaluation mode; see `Scorer`."""
        return super().train(False)

    def _apply(self, fn: Callable[[Tensor], Tensor], recurse: bool = True) -> Self:
        """Move to another device; leave out what `half`, `double` and `to` do to float32."""
        device = fn(self.mean).device
        super()._apply(lambda tensor: tensor.to(device), recurse)  # type: ignore[no-untyped-call]
        return self

    def __reduce__(self) -> tuple[Any, ...]:
        """What copies the scorer, here or in another process."""
        return _reload, (type(self), *self._source, self.digest, self.mean.device)

    def forward(self, batch: Tensor | Source, ref: object = None) -> Tensor:  # noqa: ARG002
        """Scores (B,) of images float (B, 3, H, W) in [0, 1], sRGB, on the device of the images.

        Any other source of an image, such as a path, is a batch of one. A reference is ignored, as
        by the other metrics of pyiqa that need none.

        Raises:
            InputError: another shape or type, or values outside [0, 1].
            ImageError: as `score`.
        """
        if not isinstance(batch, Tensor):
            return torch.tensor(
                [self.score(batch).score], dtype=torch.float32, device=self.mean.device
            )
        if batch.ndim != 4 or batch.shape[1] != 3 or not batch.is_floating_point():
            raise InputError(
                f"images: must be float (B, 3, H, W), found {batch.dtype} {tuple(batch.shape)};"
                " convert them"
            )
        pixels = to_uint8(batch, "images").permute(0, 2, 3, 1).cpu().numpy()
        scores = [self.score(image).score for image in pixels]
        return torch.tensor(scores, dtype=batch.dtype, device=batch.device)

    def score_many(
        self, sources: Iterable[Source], *, batch_size: int | None = None
    ) -> Iterator[Score | ImageError]:
        """Scores of images in order; an `ImageError` for an unusable image.

        Args:
            sources: the images; see `load_source`.
            batch_size: largest number of images of equal size that are scored together; by default
                16 on a GPU and 1 on a CPU, which gains nothing. At most `AHEAD` times as many
                images are read in advance. A batch for which memory is too small is halved.

        Raises:
            InputError: one image instead of several, or a batch size below 1.
        """
        if isinstance(sources, str | os.PathLike | bytes):
            raise InputError(
                f"images: must be several, found {type(sources).__name__}; give a list of it"
            )
        size = batch_size
        if size is None:
            size = 1 if self.mean.device.type == "cpu" else BATCH_SIZE
        if size < 1:
            raise InputError(f"batch_size: must be 1 or more, found {size}; change it")
        if size > 1 and can_batch(self.card):
            return self._score_batches(sources, size)
        return self._score_each(sources)

    def _score_each(self, sources: Iterable[Source]) -> Iterator[Score | ImageError]:
        for source in sources:
            try:
                image = load_source(source)
            except (ImageError, InputError) as error:
                yield ImageError(str(error))
            else:
                yield self.score_loaded(image)

    def _score_batches(self, sources: Iterable[Source], size: int) -> Iterator[Score | ImageError]:
        self._check_process()
        self.eval()
        images = map(self._inputs, sources)
        for unusable, found in score_in_batches(
            images, self.score_inputs, size=size, window=AHEAD * size
        ):
            result = unusable or found
            if isinstance(result, Score | ImageError):
                yield result
            elif result is not None:
                raise result

    def _inputs(self, source: Source) -> tuple[ImageError | None, ModelInputs | None]:
        """An image as a device takes it, or the error of one that is unusable."""
        try:
            prepared = self.prepare(load_source(source))
        except (ImageError, InputError) as error:
            return ImageError(str(error)), None
        long_side = self.card.backbone["long_side"]
        return None, make_inputs(prepared, self.region_pipeline, long_side)

    def score_inputs(self, images: Sequence[ModelInputs]) -> list[Score]:
        """Scores of images, computed together, in the order of the images; see `BatchScorer`.

        Args:
            images: all of one size.
        """
        if not images:
            return []
        found = batches.BatchScorer(self).scored_regions(images)
        return [
            assemble(image.prepared, scored, self.scale)
            for image, scored in zip(images, found, strict=True)
        ]

    def score(
        self,
        source: Source,
        *,
        box: Sequence[float] | None = None,
        mask: np.ndarray | str | os.PathLike[str] | None = None,
    ) -> Score:
        """The score of one image; with a box or a mask, `Score.inside` is the region given by it.

        Args:
            source: see `load_source`.
            box: x0, y0, x1, y1 in pixels of the upright image, x1 and y1 exclusive; or, if none is
                above 1, in fractions of its width and height.
            mask: bool (H, W), or any other type that is not 0 inside; of the upright image. Or the
                path of an image of its size, whose dark pixels are outside, as of `--mask`.

        Raises:
            ImageError: the image or the mask cannot be read, or the box exceeds the image.
            InputError: another type, shape or range, or no pixels; a wrong box or mask.
        """
        if box is None and mask is None:
            return self.score_loaded(load_source(source))
        boxed = inside.given_box(box, mask)
        image = load_source(source)
        if mask is None:
            return self.score_loaded(image, mask=boxed.mask("", image.size))
        return self.score_loaded(image, mask=inside.check_mask(mask, image.size))

    def scored_regions(self, prepared: PreparedImage) -> ScoredRegions:
        """As `ImageScorer.scored_regions`."""
        found = self.predict(prepared.pixels, prepared.labels, prepared.captions)
        return found.scored_regions()

    def segment(self, pixels: np.ndarray) -> np.ndarray:
        """The label map uint16 (h, w) of an image uint8 (H, W, 3).

        Raises:
            InputError: on a GPU, in a process forked after the scorer was loaded.
        """
        self._check_process()
        with inference():
            return self.region_pipeline.segment(pixels)

    def _check_process(self) -> None:
        """Adapt to a fork.

        Raises:
            InputError: CUDA does not survive a fork.
        """
        adapt_to_fork()
        if self.mean.is_cuda and os.getpid() != self._process:
            raise InputError(
                "scorer: must score on a GPU in the process that loaded it, found a fork; start"
                " processes by spawn"
            )

    def predict(
        self,
        pixels: np.ndarray,
        labels: np.ndarray | None = None,
        rows: pipeline.Captions | None = None,
    ) -> ImagePrediction:
        """Model inputs and prediction of one image.

        Args:
            pixels: uint8 (H, W, 3).
            labels: label map uint16 (h, w), 0..R-1; replaces the segmenter's.
            rows: R captions; replaces the captioner's.

        Raises:
            InputError: on a GPU, in a process forked after the scorer was loaded.
        """
        self._check_process()
        self.eval()  # a caller may have set modules inside this one to training mode
        with inference():
            return self._predict(pixels, labels, rows)

    def _predict(
        self, pixels: np.ndarray, labels: np.ndarray | None, rows: pipeline.Captions | None
    ) -> ImagePrediction:
        if labels is None:
            labels = self.region_pipeline.segment(pixels)
        small = resize.reduce(pixels, self.card.backbone["long_side"])
        maps = self._image_maps(small)
        if rows is None:
            rows = self._caption(pixels, small, labels, maps)
        ratings = captions.ratings_of(rows)
        image = regions.ImageRegions("", labels, regions.region_table(labels))
        inputs = image_inputs(
            image.image_id,
            labels=image.labels,
            table=image.table,
            ratings=ratings,
            text=self.vectors([row.text for row in rows]),
            grid_features=self._grid_features(maps),
        )
        prediction = self.model(batch_images([inputs]).to(self.mean.device), by_captions=True)
        return ImagePrediction(image, rows, ratings, _to_cpu(prediction))

    def _image_maps(self, image: np.ndarray) -> list[Tensor]:
        """The backbone's maps of an image; on a CPU by ONNX Runtime, if that is chosen.

        By torch in a process that was forked, which the session's threads do not survive.
        """
        on_cpu = self.mean.device.type == "cpu"
        if self._onnx is not None and on_cpu and os.getpid() == self._process:
            return self._onnx.image_maps(image)
        maps = self.own_backbone.image_maps(image)
        # what pools feature maps lacks an operator on mps
        return [each.cpu() for each in maps] if self.mean.device.type == "mps" else maps

    @property
    def own_backbone(self) -> Backbone:
        """The backbone on the device of the scorer."""
        return replace(self._backbone, network=self.stages, mean=self.mean, std=self.std)

    def _caption(
        self, pixels: np.ndarray, small: np.ndarray, labels: np.ndarray, maps: Sequence[Tensor]
    ) -> pipeline.Captions:
        """Captions of the regions; a captioner on the same backbone takes its feature maps."""
        captioner = self.region_pipeline.captioner
        same_size = self.card.caption["long_side"] == self.card.backbone["long_side"]
        if (
            captioner.backbone_sha256 != self._backbone.sha256
            or not same_size
            or max(labels.shape) > self.card.caption["long_side"]
        ):
            return self.region_pipeline.caption(pixels, labels)
        fitted = resize.fit_labels(labels, small.shape[:2])
        return captioner.caption_maps(small, fitted, maps)

    def _grid_features(self, maps: Sequence[Tensor]) -> np.ndarray:
        """Grid features (2, C, G, G); of a frozen backbone in float16, as the extract stage's."""
        grid_features = grid_features_of(maps, self.card.backbone["grid"])
        return grid_features if self.card.finetuned else features.to_float16(grid_features)

    def vectors(self, texts: list[str]) -> np.ndarray:
        """Vectors float32 (R, D) as the embed stage's: rounded to float16, zero without text."""
        vectors: np.ndarray = self.encoder.encode(texts).astype(np.float16).astype(np.float32)
        vectors *= (np.array(texts) != "")[:, None]
        return vectors


def _target(device: str | torch.device) -> torch.device | None:
    """A device of torch; None for auto.

    Raises:
        InputError: no device of torch, or a GPU that this machine lacks.
    """
    if device == "auto" or not isinstance(device, str | torch.device):
        return None
    try:
        target = torch.device(device)
    except RuntimeError as error:
        raise InputError(
            f"device: must be auto or one of torch, such as cpu or cuda:0, found {device}; correct"
            " it"
        ) from error
    if target.type == "cuda" and (target.index or 0) >= torch.cuda.device_count():
        raise missing_device(str(target), "device")
    return target


def _reload(
    kind: type[Scorer], folder: Path, options: ScoreOptions, digest: str, device: torch.device
) -> Scorer:
    """The scorer that was copied.

    Raises:
        InputError: its folder holds another checkpoint by now.
    """
    scorer = kind(folder, options)
    if scorer.digest != digest:
        raise InputError(
            f"{folder}: must hold the checkpoint of the scorer copied ({digest[:12]}), found"
            f" {scorer.digest[:12]}; load the scorer anew"
        )
    return scorer.to(device)


def _to_cpu(prediction: Prediction) -> Prediction:
    return Prediction(**{name: value.cpu() for name, value in vars(prediction).items()})
