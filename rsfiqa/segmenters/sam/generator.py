"""Masks from segment-anything: its automatic generator, kept at the decoder's resolution.

Follows `SamAutomaticMaskGenerator` of the package segment-anything (Kirillov et al. 2023) in
points, filters and thresholds, and departs from it in the order of work: what is the same for all
points of an image is computed once, masks are filtered and de-duplicated at a quarter of the
input's resolution, and only those that survive and can be seen are brought to the label map's size.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, TypeVar

import numpy as np
import torch
from segment_anything.modeling import Sam
from torch import Tensor
from torch.nn import functional
from torchvision.ops import nms

from rsfiqa.runtime.devices import PRECISIONS
from rsfiqa.segment.options import SegmentOptions
from rsfiqa.segmenters.partition import SMALLEST, merge_small_regions, paint
from rsfiqa.segmenters.sam.reading import Decoded

if TYPE_CHECKING:
    from rsfiqa.segmenters.sam.generator import MaskGenerator


log = logging.getLogger("rsfiqa")


REDUCTION = 4  # pixels of the model's input to one of a mask


PATCH = 16  # pixels of the model's input to one cell of the embedding


ROUNDS = {4: 0, 2: 2, 1: 3}  # adaptive: stride of the grid, masks that spare a point its question


MARGIN = 0.06  # of stability, within which a mask is judged in pixels of the label map


CPU_POINTS = 8  # at once: 64 take 1.4 times as long each, out of the processor's cache


AT_ONCE = 64  # masks enlarged at a time: 64 MB at 512 pixels


T = TypeVar("T")


Size = tuple[int, int]  # height and width in pixels


Decode = Callable[[Sam, Tensor, Tensor, float, Size], tuple[Tensor, Tensor]]


@dataclass(frozen=True)
class Masks:
    """K masks of one image at a quarter of the input's resolution.

    Attributes:
        logits: float16 (K, h, w); inside where positive.
        iou: float32 (K,), the model's own estimate of each mask's quality, about [0, 1].
        stability: float32 (K,), IoU of the mask cut a little higher and a little lower, [0, 1].
    """

    logits: Tensor
    iou: Tensor
    stability: Tensor

    def take(self, index: Tensor) -> "Masks":
        """The masks at `index`, int64 (n,) or bool (K,)."""
        return Masks(self.logits[index], self.iou[index], self.stability[index])


def join(parts: Sequence[Masks]) -> Masks:
    """All masks of `parts`, in their order."""
    names = ("logits", "iou", "stability")
    return Masks(*(torch.cat([getattr(part, name) for part in parts]) for name in names))


@dataclass(frozen=True)
class Partition:
    """One image's regions: labels uint16 (H, W), and for each region what its mask was worth.

    `predicted_iou` and `stability` are float32 (R,), NaN for a region that no mask claimed.
    """

    labels: np.ndarray
    predicted_iou: np.ndarray
    stability: np.ndarray


class MaskGenerator:
    """Point prompts over a grid, masks that are good, stable and unlike each other, regions.

    Where the device's memory does not hold a batch of images or points, the batch is halved for
    good and the work repeated; `out_of_memory` counts how often.

    Args:
        model: of any size, in evaluation mode, on its device.
        options: thresholds, points, mode, precision, batches.
        decode: masks of points, by default `decode_points`. Tests and benches hand in another.
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

    def embedded(self, batches: Iterable[Sequence[Decoded]]) -> Iterator[tuple[Decoded, Tensor]]:
        """Every image of the batches with its embedding, float (256, 64, 64)."""
        for batch in batches:
            embeddings = self._with_memory("images_per_batch", partial(self._embed, batch))
            yield from zip(batch, embeddings, strict=True)

    def partition(self, embedding: Tensor, size: Size, shape: Size) -> Partition:
        """The regions of one image.

        Args:
            embedding: float (256, 64, 64).
            size: of the model's input, without padding.
            shape: of the label map.
        """
        if min(shape) < SMALLEST:
            nothing = np.full(1, np.nan, np.float32)
            return Partition(np.zeros(shape, np.uint16), nothing, nothing)
        found = self._with_memory("points_per_batch", partial(self.masks, embedding, size, shape))
        with torch.inference_mode():
            found = found.take(visible(found.logits > 0))
            large = [(enlarge(part, size, shape) > 0).cpu() for part in found.logits.split(AT_ONCE)]
            painted = paint(torch.cat(large).numpy())
        labels = merge_small_regions(
            painted,
            max_regions=self.options.max_regions,
            min_area_fraction=self.options.min_area_fraction,
        )
        source = _largest_part(labels, painted)
        return Partition(labels, *(_of(source, x) for x in (found.iou, found.stability)))

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
    def _embed(self, images: Sequence[Decoded]) -> Tensor:
        """Embeddings float (B, 256, 64, 64); zeros go in for what could not be read."""
        found = []
        for start in range(0, len(images), self.images_per_batch):
            part = images[start : start + self.images_per_batch]
            # a compiled model always sees the same shape
            rows = self.images_per_batch if self.options.compile else len(part)
            inputs = torch.zeros(rows, 3, self.side, self.side, device=self.device)
            for row, image in zip(inputs, part, strict=False):
                pixels = torch.from_numpy(image.pixels).to(self.device)
                if pixels.numel():
                    row.copy_(self.model.preprocess(pixels.permute(2, 0, 1).float()))
            with self._precision():
                found.append(self.model.image_encoder(inputs)[: len(part)])
        return torch.cat(found)

    @torch.inference_mode()
    def masks(self, embedding: Tensor, size: Size, shape: Size) -> Masks:
        """The masks of one image that pass all filters, the best first.

        In the adaptive mode the grid is walked from coarse to fine, and points that lie in two or
        three masks already accepted are left out: they would ask for the same ones again.

        Args:
            embedding: float (256, 64, 64).
            size: of the model's input, without padding.
            shape: of the label map, in whose pixels masks are judged where that matters.
        """
        height, width = (min(-(-side // REDUCTION) + 1, 256) for side in size)
        kept = [_nothing((height, width), self.device)]
        accepted = kept[0]
        for grid, enough in self.rounds:
            points = torch.from_numpy(grid * np.array(size[::-1])).to(self.device)  # (P, 2), x y
            if len(accepted.iou):
                points = points[_depth(accepted, points) < enough]
            kept += [
                self._batch(embedding, part, (height, width), size, shape)
                for part in points.split(self.points_per_batch)
                if len(part)
            ]
            accepted = self._unlike(join(kept), size, shape)
        return accepted

    def _batch(
        self, embedding: Tensor, points: Tensor, small: Size, size: Size, shape: Size
    ) -> Masks:
        """The masks of some points that are good and stable."""
        least, offset = self.options.stability_score_thresh, self.options.stability_score_offset
        with self._precision():
            logits, iou = self.decode(
                self.model, embedding[None], points, self.options.pred_iou_thresh, small
            )
        if not len(iou):
            return _nothing(small, self.device)
        logits = logits.float() - self.model.mask_threshold
        stability = smooth_stability_score(_inside(logits, size), offset)
        close = (stability - least).abs() < MARGIN
        stability[close] = stability_score(enlarge(logits[close], size, shape), offset)
        stable = stability >= least  # not where the mask is empty: NaN
        return Masks(logits[stable].half(), iou[stable].float(), stability[stable])

    def _unlike(self, found: Masks, size: Size, shape: Size) -> Masks:
        """The masks that remain when the worse of two with similar boxes is dropped."""
        if not len(found.iou):
            return found
        boxes = boxes_of(found.logits, size, shape)
        return found.take(nms(boxes.float(), found.iou, self.options.box_nms_thresh))

    def _precision(self) -> torch.autocast:
        dtype = PRECISIONS[self.options.precision]
        return torch.autocast(self.device.type, dtype, enabled=dtype != torch.float32)


def decode_points(
    model: Sam, embedding: Tensor, points: Tensor, least_iou: float, shape: Size
) -> tuple[Tensor, Tensor]:
    """Masks of points, and the model's estimate of their quality, where that is high enough.

    Args:
        model: its prompt encoder and mask decoder are used.
        embedding: float (1, 256, 64, 64).
        points: float64 (P, 2), x and y in pixels of the model's input; each asks for three masks.
        least_iou: masks with an estimate up to this are not drawn.
        shape: height and width of the masks; what lies beyond is padding.

    Returns:
        logits: float (K, h, w), point by point, K <= 3 * P.
        iou: float (K,).
    """
    tokens, cells, iou = look(model, embedding, points)
    chosen = iou > least_iou
    return draw(model, tokens, cells, chosen, shape), iou[chosen]


def look(model: Sam, embedding: Tensor, points: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """What the decoder's transformer makes of each point.

    The image enters once, not once per point: until the image has looked at the points, its keys
    and values are the same for all of them, and the library's own layers broadcast.

    Returns:
        tokens: float (P, 3, 256), of the three masks.
        cells: float (P, 64 * 64, 256), the image as each point sees it.
        iou: float (P, 3), estimated quality of each mask.
    """
    decoder, prompts = model.mask_decoder, model.prompt_encoder
    labels = torch.ones(len(points), 1, dtype=torch.int, device=points.device)
    sparse, _ = prompts((points[:, None].float(), labels), None, None)  # (P, 2, 256)
    outputs = torch.cat([decoder.iou_token.weight, decoder.mask_tokens.weight])  # (5, 256)
    tokens = torch.cat([outputs.expand(len(points), -1, -1), sparse], dim=1)  # (P, 7, 256)
    image = embedding + prompts.no_mask_embed.weight.view(1, -1, 1, 1)
    tokens, cells = decoder.transformer(image, prompts.get_dense_pe(), tokens)
    iou = decoder.iou_prediction_head(tokens[:, 0])[:, 1:]
    return tokens[:, 2:5], cells, iou  # token 1 is that of the single-mask output


def draw(model: Sam, tokens: Tensor, cells: Tensor, chosen: Tensor, shape: Size) -> Tensor:
    """The chosen masks, bool (P, 3), drawn within `shape`: logits float (K, h, w).

    Embeddings are enlarged for points with a chosen mask only, and without the padding: the
    decoder enlarges cell by cell.
    """
    decoder = model.mask_decoder
    rows, columns = (-(-side * REDUCTION // PATCH) for side in shape)
    used = chosen.any(dim=1)
    side = model.prompt_encoder.image_embedding_size
    grid = cells[used].transpose(1, 2).unflatten(2, side)[..., :rows, :columns]  # (p, 256, h, w)
    if not len(grid):
        return grid.new_zeros(0, *shape)
    fine = decoder.output_upscaling(grid)[..., : shape[0], : shape[1]]  # (p, 32, h, w)
    weights = torch.stack(
        [mlp(tokens[used, i]) for i, mlp in enumerate(decoder.output_hypernetworks_mlps[1:])], dim=1
    )  # (p, 3, 32)
    return (weights @ fine.flatten(2)).unflatten(2, shape)[chosen[used]]


def point_rounds(side: int, strides: Sequence[int]) -> list[np.ndarray]:
    """A grid of `side` x `side` points in rounds: float64 (P, 2) each, x and y in (0, 1).

    Each round takes every n-th point of each row and column, n from `strides`, that no earlier
    round has taken; all rounds together take each point once if the last stride is 1.
    """
    places = (np.arange(side) + 0.5) / side
    grid = np.stack(np.meshgrid(places, places), axis=-1)  # (side, side, 2)
    free = np.ones((side, side), bool)
    rounds = []
    for stride in strides:
        taken = np.zeros_like(free)
        taken[stride // 2 :: stride, stride // 2 :: stride] = True
        rounds.append(grid[taken & free])
        free &= ~taken
    return rounds


def stability_score(logits: Tensor, offset: float) -> Tensor:
    """IoU of the masks (K, h, w) cut at `offset` and at -`offset`: float (K,), NaN if empty."""
    return (logits > offset).sum((1, 2)) / (logits > -offset).sum((1, 2))


def smooth_stability_score(logits: Tensor, offset: float) -> Tensor:
    """As `stability_score` of the masks enlarged, but for 0.004 (median) to 0.06 (99 % of masks).

    A pixel on the border counts by the share of it that a plane of its slope would cut off: at a
    quarter of the resolution, whole pixels are off by 0.03 (median) to 0.35.
    """
    padded = functional.pad(logits[None], (1, 1, 1, 1), mode="replicate")[0]
    across = (padded[:, 1:-1, 2:] - padded[:, 1:-1, :-2]).abs_()
    down = (padded[:, 2:, 1:-1] - padded[:, :-2, 1:-1]).abs_()
    slope = across.add_(down).div_(2).clamp_min_(1e-6)
    high = ((logits - offset) / slope).add_(0.5).clamp_(0, 1).sum((1, 2))
    low = ((logits + offset) / slope).add_(0.5).clamp_(0, 1).sum((1, 2))
    return high / low


def boxes_of(logits: Tensor, size: Size, shape: Size) -> Tensor:
    """Boxes x0, y0, x1, y1 in pixels of the label map, as the package gives them: int64 (K, 4).

    Found on the highest logit of each row and column, which alone are enlarged: the border lies
    between pixels of a mask, and a whole pixel off would change which boxes are alike.

    Args:
        logits: (K, h, w), of masks that are not empty.
        size: of the model's input.
        shape: of the label map; x1 and y1 are the last pixels inside.
    """
    found = []
    for axis, lines in enumerate((logits.amax(2), logits.amax(1))):  # rows, columns
        scale = REDUCTION * shape[axis] / size[axis]
        large = functional.interpolate(lines[:, None].float(), scale_factor=scale, mode="linear")
        inside = large[:, 0, : shape[axis]] > 0
        steps = torch.arange(shape[axis], device=logits.device)
        found.append(torch.where(inside, steps, shape[axis]).amin(1))
        found.append(torch.where(inside, steps, -1).amax(1))
    return torch.stack([found[2], found[0], found[3], found[1]], dim=1)


def visible(masks: Tensor) -> Tensor:
    """Which masks bool (K, h, w) show where the smaller of two lies on top: int64, rising."""
    if not len(masks):
        return torch.zeros(0, dtype=torch.int64, device=masks.device)
    order = masks.sum((1, 2)).argsort(stable=True)
    stack = masks[order]
    top = stack.byte().argmax(0)[stack.any(0)]  # the first of the highest: the smallest mask
    return order[top.unique()].sort().values


def enlarge(logits: Tensor, size: Size, shape: Size) -> Tensor:
    """Logits float (K, H, W) of the label map's size from (K, h, w), bilinearly.

    Args:
        logits: one pixel for `REDUCTION` pixels of the input.
        size: of the model's input.
        shape: of the label map, H and W.
    """
    scale = [REDUCTION * large / small for large, small in zip(shape, size, strict=True)]
    if not len(logits):
        return logits.new_zeros(0, *shape)
    large = functional.interpolate(logits[None].float(), scale_factor=scale, mode="bilinear")[0]
    return large[:, : shape[0], : shape[1]]


def _nothing(shape: Size, device: torch.device) -> Masks:
    logits = torch.zeros(0, *shape, dtype=torch.float16, device=device)
    return Masks(logits, torch.zeros(0, device=device), torch.zeros(0, device=device))


def _inside(logits: Tensor, size: Size) -> Tensor:
    """The part of the masks (K, h, w) whose pixels have their middle inside the input."""
    height, width = (max(1, round(side / REDUCTION)) for side in size)
    return logits[:, :height, :width]


def _depth(found: Masks, points: Tensor) -> Tensor:
    """In how many masks each point (P, 2) of the input lies: int64 (P,)."""
    x, y = (points / REDUCTION).long().T
    height, width = found.logits.shape[1:]
    depth = (found.logits > 0).sum(0)
    return depth[y.clamp_max(height - 1), x.clamp_max(width - 1)]


def _largest_part(labels: np.ndarray, painted: np.ndarray) -> np.ndarray:
    """The painted label that takes most of each region: int64 (R,)."""
    regions, masks = int(labels.max()) + 1, int(painted.max()) + 1
    code = labels.astype(np.intp) * masks + painted
    return np.bincount(code.ravel(), minlength=regions * masks).reshape(regions, masks).argmax(1)


def _of(source: np.ndarray, values: Tensor) -> np.ndarray:
    """The values float (K,) of each region's mask; NaN where `source` is a gap."""
    known = np.append(values.float().cpu().numpy(), np.float32(np.nan))
    return known[np.minimum(source, len(values))]


def load_generator(checkpoint: Path, options: SegmentOptions) -> "MaskGenerator":
    """The mask generator of a checkpoint on the device that the options name.

    Raises:
        InputError: a GPU is asked for and there is none.
    """
    from rsfiqa.runtime.devices import device_of
    from rsfiqa.segmenters.sam import checkpoint as sam_checkpoint
    from rsfiqa.segmenters.sam.generator import MaskGenerator

    model = sam_checkpoint.load(checkpoint, device_of(options.device, "segment.device"))
    if options.compile:
        model.image_encoder.compile()
    return MaskGenerator(model, options)
