"""What is exported: from pixels and a label map to scores, as one torch module."""

from dataclasses import replace

import torch
from torch import Tensor, nn

from rsfiqa.backbones.backbone import Backbone
from rsfiqa.checkpoints import Card
from rsfiqa.model import RSA, Batch, Prediction
from rsfiqa.score.export.captions import ClassifierCaptions
from rsfiqa.score.export.masks import membership, nearest, pool, region_masks
from rsfiqa.vocabulary import RATINGS

SCORES = ("score", "region_score", "region_weight", "region_cost", "attention", "cost_map")
CAPTIONS = ("ratings", "probability", "severity")


class ScoringGraph(nn.Module):
    """Scores of an image and of its regions.

    Features are not rounded to float16, as those of the scorer are; scores differ by less than
    0.01 of 100 points.

    Args:
        model: of the checkpoint.
        backbone: of the checkpoint.
        card: of the checkpoint.
        captions: the packaged captioner with its text encoder; None where captions are inputs, or
            the model uses none.
    """

    mean: Tensor
    std: Tensor

    def __init__(
        self, model: RSA, backbone: Backbone, card: Card, captions: ClassifierCaptions | None
    ) -> None:
        super().__init__()
        self.model, self.network, self.captions = model, backbone.network, captions
        self.register_buffer("mean", backbone.mean, persistent=False)
        self.register_buffer("std", backbone.std, persistent=False)
        self.backbone, self.scale = backbone, card.scale
        self.grid, self.text_dim = card.backbone["grid"], card.model["text_dim"]
        self.eval().requires_grad_(False)

    @property
    def caption_inputs(self) -> tuple[str, ...]:
        """Names of the inputs that come from captions."""
        if self.captions is not None or self.model.caption_projection is None:
            return ()
        return ("ratings", "text") if self.text_dim else ("ratings",)

    @property
    def outputs(self) -> tuple[str, ...]:
        """Names of the outputs."""
        return SCORES if self.captions is None else SCORES + CAPTIONS

    def forward(
        self,
        image: Tensor,
        labels: Tensor,
        numbers: Tensor,
        ratings: Tensor | None = None,
        text: Tensor | None = None,
    ) -> tuple[Tensor, ...]:
        """The outputs named by `outputs`.

        Args:
            image: uint8 (H, W, 3), sRGB, no side above that of the card.
            labels: int64 (h, w), label map of R regions, no larger than the image.
            numbers: int64 (R,), 0 to R - 1.
            ratings: float32 (R, 5), in the order of `RATINGS`; NaN where one is missing.
            text: float32 (R, T), embeddings of the captions; 0 where one is missing.
        """
        pixels = image.permute(2, 0, 1)[None]
        backbone = replace(self.backbone, mean=self.mean, std=self.std)
        maps = [each.float() for each in backbone.pixel_maps(pixels)]
        own = region_masks(labels, numbers)
        extra: tuple[Tensor, ...] = ()
        if self.captions is not None:
            fitted = nearest(labels, image.shape[0], image.shape[1])
            found = self.captions(image, fitted, region_masks(fitted, numbers), maps)
            ratings, text = found.ratings, found.text
            extra = (found.ratings, found.probability, found.severity)
        missing = own[:, 0, :1] * 0
        if ratings is None:
            ratings = missing + torch.full((len(RATINGS),), torch.nan)
        if text is None:
            text = missing + torch.zeros(self.text_dim)
        batch = Batch(
            grid_features=self._grid_features(maps),
            coverage=_coverage(own, self.grid)[None],
            text=text[None],
            ratings=ratings[None],
            geometry=_geometry(own)[None],
            present=torch.ones_like(numbers, dtype=torch.bool)[None],
        )
        return self._scores(self.model(batch, by_captions=True)) + extra

    def _grid_features(self, maps: list[Tensor]) -> Tensor:
        """See `backbone.grid_features_of`: float32 (1, 2, C, G, G)."""
        means = torch.cat([pool(each, self.grid, self.grid) for each in maps], 1)
        squares = torch.cat([pool(each.square(), self.grid, self.grid) for each in maps], 1)
        return torch.stack([means, (squares - means.square()).clamp_min(0).sqrt()], 1)

    def _scores(self, prediction: Prediction) -> tuple[Tensor, ...]:
        score, regions = (
            self.scale.worst + self.scale.span * part
            for part in (prediction.quality[0], prediction.region_quality[0])
        )
        weight, attention = prediction.region_weight[0], prediction.attention[0]
        lacking = attention - prediction.quality_map[0]
        points = abs(self.scale.span)
        cost = weight * (1 - prediction.region_quality[0]) * points
        return score, regions, weight, cost, attention, points * lacking


def _coverage(masks: Tensor, grid: int) -> Tensor:
    """See `assemble.coverage`: float32 (R, G * G), of masks with at least G pixels on each side."""
    down, across = (membership(size, grid, masks) for size in masks.shape[1:])
    pixels = (down @ masks @ across.T).flatten(1)
    return pixels / pixels.sum(0)


def _geometry(masks: Tensor) -> Tensor:
    """See `assemble.geometry`: float32 (R, 7)."""
    height, width = masks.shape[1:]
    area = masks.sum((1, 2))
    sides = []
    for axis, size in ((1, width), (2, height)):
        profile = masks.sum(axis)  # (R, size)
        at = torch.arange(size, device=masks.device, dtype=torch.float32)
        inside = profile > 0
        low = torch.where(inside, at, at.new_full((), size)).amin(1)
        high = torch.where(inside, at + 1, torch.zeros_like(at)).amax(1)
        centre = (profile @ at) / area + 0.5
        sides.append(torch.stack([centre, low, high]) / size)
    (x, x0, x1), (y, y0, y1) = sides
    log_area = (area / (height * width)).log()
    return torch.stack([log_area, x, y, x0, y0, x1, y1], 1)
