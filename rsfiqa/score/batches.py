"""Several images at a time through backbone, captioner and model, on any device of torch.

What needs no device is done before, by `make_inputs`, in this process or in others.
"""

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from rsfiqa.backbones.backbone import Backbone
from rsfiqa.captioners.classifier.captioner import ClassifierCaptioner
from rsfiqa.captioners.classifier.network import beside_image
from rsfiqa.captioners.classifier.perceived import rows_of
from rsfiqa.captioners.classifier.pooling import MIN_VARIANCE
from rsfiqa.model import Prediction, batch_images, image_inputs
from rsfiqa.model.inference import inference
from rsfiqa.products import captions, features
from rsfiqa.products.regions import ImageRegions, region_table
from rsfiqa.score.array_model import ArrayPrediction
from rsfiqa.score.assembly import ScoredRegions
from rsfiqa.score.export.masks import pool, region_masks
from rsfiqa.score.inputs import ModelInputs

if TYPE_CHECKING:
    from rsfiqa.score.scorer import Scorer


@dataclass(frozen=True, eq=False)
class _Pooled:
    """The feature maps of an image, pooled, in float32.

    Attributes:
        grid: grid features (2, C, G, G).
        regions: features of the regions and of the whole image (R + 1, 2 * C), on the CPU.
    """

    grid: np.ndarray
    regions: Tensor


class BatchScorer:
    """Scores images of equal size together.

    Scores differ from those of single images by less than 0.02 of 100 points in float32. On a CUDA
    device the backbone computes in bfloat16, which rounds feature maps to 0.4 %.

    Args:
        scorer: of a checkpoint that `batching.can_batch`.
    """

    def __init__(self, scorer: "Scorer") -> None:
        self.scorer = scorer

    def scored_regions(self, images: Sequence[ModelInputs]) -> list[ScoredRegions]:
        """What is predicted of images of equal size, in their order."""
        scorer = self.scorer
        captioner = scorer.region_pipeline.captioner
        assert isinstance(captioner, ClassifierCaptioner)
        with inference():
            pooled = self._pooled(images)
            found, inputs = [], []
            for image, each in zip(images, pooled, strict=True):
                perceived = captioner.perception.perceive_features(_features(image, each.regions))
                rows = rows_of(image.fitted, image.statistics, perceived)
                ratings = captions.ratings_of(rows)
                regions = ImageRegions("", image.labels, region_table(image.labels))
                inputs.append(
                    image_inputs(
                        "",
                        labels=image.labels,
                        table=regions.table,
                        ratings=ratings,
                        text=scorer.vectors([row.text for row in rows]),
                        grid_features=features.to_float16(each.grid),
                    )
                )
                found.append((regions, rows, ratings))
            batch = batch_images(inputs).to(scorer.mean.device)
            prediction = scorer.model(batch, by_captions=True)
        return [
            ScoredRegions(*parts, predicted)
            for parts, predicted in zip(found, _by_image(prediction, found), strict=True)
        ]

    def _pooled(self, images: Sequence[ModelInputs]) -> list[_Pooled]:
        """Feature maps of images of equal size, pooled on the device."""
        device, grid = self.scorer.mean.device, self.scorer.card.backbone["grid"]
        pixels = torch.from_numpy(np.stack([image.pixels for image in images])).to(device)
        backbone: Backbone = self.scorer.own_backbone
        with _precision(device):
            maps = [each.float() for each in backbone.pixel_maps(pixels.permute(0, 3, 1, 2))]
        squares = [each.square() for each in maps]
        means = torch.cat([pool(each, grid, grid) for each in maps], 1)
        variance = torch.cat([pool(each, grid, grid) for each in squares], 1) - means.square()
        grids = torch.stack([means, variance.clamp_min(0).sqrt()], 1).cpu().numpy()
        of_maps = list(zip(maps, squares, strict=True))
        return [
            _Pooled(grids[i], _region_statistics([(a[i], b[i]) for a, b in of_maps], image.fitted))
            for i, image in enumerate(images)
        ]


def _precision(device: torch.device) -> AbstractContextManager[None]:
    """Bfloat16 where a CUDA device computes the backbone."""
    if device.type != "cuda":
        return nullcontext()
    autocast: AbstractContextManager[None] = torch.autocast("cuda", torch.bfloat16)
    return autocast


def _region_statistics(maps: Sequence[tuple[Tensor, Tensor]], labels: np.ndarray) -> Tensor:
    """As `network.label_map_features`, pooled on the device of the maps: float32 (R + 1, 2 * C).

    Args:
        maps: feature maps (C_s, h_s, w_s) of an image, with the squares of their values.
        labels: label map, uint16 (H, W), 0..R-1.
    """
    device = maps[0][0].device
    numbers = torch.arange(int(labels.max()) + 1, device=device)
    masks = region_masks(torch.from_numpy(labels.astype(np.int64)).to(device), numbers)
    every = torch.cat([masks, torch.ones_like(masks[:1])])
    found = []
    for values, squares in maps:
        weight = pool(every, values.shape[1], values.shape[2]).flatten(1)
        weight = weight / weight.sum(1, keepdim=True).clamp_min(1e-6)
        mean, mean_square = (weight @ each.flatten(1).T for each in (values, squares))
        found += [mean, (mean_square - mean.square()).clamp_min(MIN_VARIANCE).sqrt()]
    return torch.cat(found, 1).cpu()


def _features(image: ModelInputs, of_maps: Tensor) -> Tensor:
    """As `network.region_features`: float32 (R, features)."""
    of_pixels = torch.from_numpy(image.features)
    areas = torch.from_numpy(np.bincount(image.fitted.ravel()) / image.fitted.size).float()
    return beside_image(
        torch.cat([of_maps[:-1], of_pixels], 1), torch.cat([of_maps[-1], areas @ of_pixels])
    )


def _by_image(
    prediction: Prediction, found: Sequence[tuple[ImageRegions, object, object]]
) -> Iterator[ArrayPrediction]:
    """The prediction of each image of a batch."""
    values = {name: value.cpu().numpy() for name, value in vars(prediction).items()}
    for i, (regions, _, _) in enumerate(found):
        count = len(regions.table)
        yield ArrayPrediction(
            quality=float(values["quality"][i]),
            region_quality=values["region_quality"][i, :count],
            region_weight=values["region_weight"][i, :count],
            attention=values["attention"][i],
            quality_map=values["quality_map"][i],
        )
