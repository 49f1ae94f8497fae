"""Automatic mask generator of segment-anything that works at the decoder's resolution.

Follows `SamAutomaticMaskGenerator` of the package segment-anything (Kirillov et al. 2023) in
points, filters and thresholds. It differs in the order of work: what is the same for all points of
an image is computed once, masks are filtered and deduplicated at a quarter of the input's
resolution, and only the visible ones are enlarged to the size of the label map.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from typing import TypeVar

import numpy as np
import torch
from segment_anything.modeling import Sam
from torch import Tensor
from torchvision.ops import nms

from rsfiqa.runtime.devices import PRECISIONS
from rsfiqa.segment.options import SegmentOptions
from rsfiqa.segmenters.base import MIN_SIDE
from rsfiqa.segmenters.partition import merge_small_regions, paint
from rsfiqa.segmenters.sam.decoder import decode_points
from rsfiqa.segmenters.sam.masks import (
    REDUCTION,
    Masks,
    Size,
    boxes_of,
    concatenate,
    count_covering,
    empty_masks,
    enlarge,
    smooth_stability_score,
    stability_score,
    visible,
    without_padding,
)
from rsfiqa.segmenters.sam.prefetch import SamImage

log = logging.getLogger("rsfiqa")

ROUNDS = {4: 0, 2: 2, 1: 3}  # adaptive: stride of the grid: masks that exempt a point; 0 for none
MARGIN = 0.06  # of stability, around the threshold, within which the enlarged mask decides
CPU_POINTS = 8  # in a batch: 64 take 1.4 times as long each, because they exceed the cache
MASKS_AT_ONCE = 64  # enlarged at a time: 64 MB at 512 pixels

T = TypeVar("T")
Decode = Callable[[Sam, Tensor, Tensor, float, Size], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Partition:
    """Regions of one image.

    Attributes:
        labels: uint16 (H, W).
        predicted_iou: float32 (R,), of the mask of each region; NaN for a region without a mask.
        stability: float32 (R,), likewise.
    """

    labels: np.ndarray
    predicted_iou: np.ndarray
    stability: np.ndarray


class MaskGenerator:
    """Prompts a grid of points, filters the masks and turns them into regions.

    When memory of the device runs out, the batch of images or points is halved permanently and the
    work is repeated; `out_of_memory` counts how often.

    Args:
        model: of any size, in evaluation mode, on its device.
        options: thresholds, points, mode, precision, batches.
        decode: computes masks of points, by default `decode_points`.
    """

    def __init__(self, model: Sam, options: SegmentOptions, decode: Decode | None = None) -> None:
        self.model = model
        self.options = options
        self.side: int = model.image_encoder.img_size
        self.device = model.pixel_mean.device
        self.decode = decode or decode_points
        self.images_per_batch = options.images_per_batch
        self.points_per_batch = options.points_per_batch
        if self.device.type == "cpu":
            self.points_per_batch = min(options.points_per_batch, CPU_POINTS)
            self.images_per_batch = 1  # more take memory and save no time
        self.out_of_memory = 0
        rounds = ROUNDS if options.mode == "adaptive" else {1: 0}
        grids = point_rounds(options.points_per_side, tuple(rounds))
        self.rounds = list(zip(grids, rounds.values(), strict=True))

    def embed(self, batches: Iterable[Sequence[SamImage]]) -> Iterator[tuple[SamImage, Tensor]]:
        """Every image of the batches with its embedding, float (256, 64, 64)."""
        for batch in batches:
            embeddings = self._with_memory("images_per_batch", partial(self._embed, batch))
            yield from zip(batch, embeddings, strict=True)

    def partition(self, embedding: Tensor, size: Size, shape: Size) -> Partition:
        """The regions of one image.

        Args:
            embedding: float (256, 64, 64).
            size: of the model's input without padding.
            shape: of the label map.
        """
        if min(shape) < MIN_SIDE:
            unknown = np.full(1, np.nan, np.float32)
            return Partition(np.zeros(shape, np.uint16), unknown, unknown)
        masks = self._with_memory("points_per_batch", partial(self.masks, embedding, size, shape))
        with torch.inference_mode():
            masks = masks.take(visible(masks.logits > 0))
            parts = torch.split(masks.logits, MASKS_AT_ONCE)
            large = [(enlarge(part, size, shape) > 0).cpu() for part in parts]
            painted = paint(torch.cat(large).numpy())
        labels = merge_small_regions(
            painted,
            max_regions=self.options.max_regions,
            min_area_fraction=self.options.min_area_fraction,
        )
        source = _main_mask(labels, painted)
        return Partition(labels, *(_of_masks(source, x) for x in (masks.iou, masks.stability)))

    def _with_memory(self, limit: str, work: Callable[[], T]) -> T:
        """What `work` returns, repeated with half of the named limit while memory runs out.

        Raises:
            torch.OutOfMemoryError: at a limit of 1.
        """
        while True:
            try:
                return work()
            except torch.OutOfMemoryError:
                if getattr(self, limit) == 1:
                    raise
                setattr(self, limit, getattr(self, limit) // 2)
                self.out_of_memory += 1
                log.warning("out of memory: %s is %d from now on", limit, getattr(self, limit))
                torch.cuda.empty_cache()  # does nothing without a GPU

    @torch.inference_mode()
    def _embed(self, images: Sequence[SamImage]) -> Tensor:
        """Embeddings float (B, 256, 64, 64); those of zeros for images that could not be loaded."""
        embeddings = []
        for start in range(0, len(images), self.images_per_batch):
            part = images[start : start + self.images_per_batch]
            # a compiled model always gets the same shape
            rows = self.images_per_batch if self.options.compile else len(part)
            inputs = torch.zeros(rows, 3, self.side, self.side, device=self.device)
            for row, image in zip(inputs, part, strict=False):
                pixels = torch.from_numpy(image.pixels).to(self.device)
                if pixels.numel():
                    row.copy_(self.model.preprocess(pixels.permute(2, 0, 1).float()))
            with self._precision():
                embeddings.append(self.model.image_encoder(inputs)[: len(part)])
        return torch.cat(embeddings)

    @torch.inference_mode()
    def masks(self, embedding: Tensor, size: Size, shape: Size) -> Masks:
        """The masks of one image that pass all filters, by decreasing predicted IoU.

        In adaptive mode the grid is refined in rounds, and points that lie in two or three
        accepted masks are skipped: they would yield the same masks again.

        Args:
            embedding: float (256, 64, 64).
            size: of the model's input without padding.
            shape: of the label map, in whose pixels masks are compared.
        """
        height, width = (min(-(-side // REDUCTION) + 1, 256) for side in size)
        candidates = [empty_masks((height, width), self.device)]
        accepted = candidates[0]
        for grid, enough in self.rounds:
            points = torch.from_numpy(grid * np.array(size[::-1])).to(self.device)  # (P, 2), x y
            if len(accepted):
                points = points[count_covering(accepted, points) < enough]
            candidates += [
                self._stable_masks(embedding, part, (height, width), size, shape)
                for part in torch.split(points, self.points_per_batch)
                if len(part)
            ]
            accepted = self._deduplicate(concatenate(candidates), size, shape)
        return accepted

    def _stable_masks(
        self, embedding: Tensor, points: Tensor, small: Size, size: Size, shape: Size
    ) -> Masks:
        """The masks of a batch of points whose predicted IoU and stability are high enough."""
        least, offset = self.options.stability_score_thresh, self.options.stability_score_offset
        with self._precision():
            logits, iou = self.decode(
                self.model, embedding[None], points, self.options.pred_iou_thresh, small
            )
        if not len(iou):
            return empty_masks(small, self.device)
        logits = logits.float() - self.model.mask_threshold
        stability = smooth_stability_score(without_padding(logits, size), offset)
        close = (stability - least).abs() < MARGIN
        stability[close] = stability_score(enlarge(logits[close], size, shape), offset)
        stable = stability >= least  # False for empty masks, whose stability is NaN
        return Masks(logits[stable].half(), iou[stable].float(), stability[stable])

    def _deduplicate(self, masks: Masks, size: Size, shape: Size) -> Masks:
        """The masks that remain after non-maximum suppression by box."""
        if not len(masks):
            return masks
        boxes = boxes_of(masks.logits, size, shape)
        return masks.take(nms(boxes.float(), masks.iou, self.options.box_nms_thresh))

    def _precision(self) -> torch.autocast:
        dtype = PRECISIONS[self.options.precision]
        return torch.autocast(self.device.type, dtype, enabled=dtype != torch.float32)


def point_rounds(side: int, strides: Sequence[int]) -> list[np.ndarray]:
    """A grid of `side` x `side` points in rounds: float64 (P, 2) each, x and y in (0, 1).

    Each round takes every n-th point of each row and column, n from `strides`, that no earlier
    round has taken. If the last stride is 1, the rounds together contain each point once.
    """
    centres = (np.arange(side) + 0.5) / side
    grid = np.stack(np.meshgrid(centres, centres), axis=-1)  # (side, side, 2)
    free = np.ones((side, side), bool)
    rounds = []
    for stride in strides:
        taken = np.zeros_like(free)
        taken[stride // 2 :: stride, stride // 2 :: stride] = True
        rounds.append(grid[taken & free])
        free &= ~taken
    return rounds


def _main_mask(labels: np.ndarray, painted: np.ndarray) -> np.ndarray:
    """The painted label with the largest part of each region: int64 (R,)."""
    regions, masks = int(labels.max()) + 1, int(painted.max()) + 1
    code = labels.astype(np.intp) * masks + painted
    pixels = np.bincount(code.ravel(), minlength=regions * masks).reshape(regions, masks)
    largest: np.ndarray = pixels.argmax(1)
    return largest


def _of_masks(source: np.ndarray, values: Tensor) -> np.ndarray:
    """The values float (K,) of each region's mask; NaN where `source` is a gap."""
    known = np.append(values.float().cpu().numpy(), np.float32(np.nan))
    chosen: np.ndarray = known[np.minimum(source, len(values))]
    return chosen
