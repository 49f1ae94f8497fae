"""Masks of SAM at the decoder's resolution: stability, boxes, visibility, enlargement."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

REDUCTION = 4  # pixels of the model's input along a pixel of a mask

Size = tuple[int, int]  # height and width in pixels


@dataclass(frozen=True)
class Masks:
    """K masks of one image at a quarter of the model's input resolution.

    Attributes:
        logits: float16 (K, h, w); positive inside.
        iou: float32 (K,), IoU that the model predicts for each mask, about [0, 1].
        stability: float32 (K,), IoU of the mask cut at a higher and a lower threshold, [0, 1].
    """

    logits: Tensor
    iou: Tensor
    stability: Tensor

    def __len__(self) -> int:
        return len(self.iou)

    def take(self, index: Tensor) -> "Masks":
        """The masks at `index`, int64 (n,) or bool (K,)."""
        return Masks(self.logits[index], self.iou[index], self.stability[index])


def empty_masks(shape: Size, device: torch.device) -> Masks:
    """No masks of a given shape."""
    logits = torch.zeros(0, *shape, dtype=torch.float16, device=device)
    return Masks(logits, torch.zeros(0, device=device), torch.zeros(0, device=device))


def concatenate(parts: Sequence[Masks]) -> Masks:
    """The masks of all parts, in order."""
    names = ("logits", "iou", "stability")
    return Masks(*(torch.cat([getattr(part, name) for part in parts]) for name in names))


def stability_score(logits: Tensor, offset: float) -> Tensor:
    """IoU of masks (K, h, w) cut at `offset` and at -`offset`: float (K,), NaN if empty."""
    return (logits > offset).sum((1, 2)) / (logits > -offset).sum((1, 2))


def smooth_stability_score(logits: Tensor, offset: float) -> Tensor:
    """Approximation of `stability_score` of the enlarged masks: float (K,), NaN if empty.

    The error is 0.004 (median) to 0.06 (99 % of masks). A pixel on the border counts by the
    fraction of it that a plane of its slope would cut off; with whole pixels at a quarter of the
    resolution the error is 0.03 (median) to 0.35.
    """
    padded = functional.pad(logits[None], (1, 1, 1, 1), mode="replicate")[0]
    across = (padded[:, 1:-1, 2:] - padded[:, 1:-1, :-2]).abs_()
    down = (padded[:, 2:, 1:-1] - padded[:, :-2, 1:-1]).abs_()
    slope = across.add_(down).div_(2).clamp_min_(1e-6)
    high = ((logits - offset) / slope).add_(0.5).clamp_(0, 1).sum((1, 2))
    low = ((logits + offset) / slope).add_(0.5).clamp_(0, 1).sum((1, 2))
    return high / low


def boxes_of(logits: Tensor, size: Size, shape: Size) -> Tensor:
    """Boxes x0, y0, x1, y1 of masks in pixels of the label map: int64 (K, 4), x1, y1 inclusive.

    They are those that segment-anything finds on the enlarged masks: the largest logit of each row
    and column is enlarged alone. Boxes of the small masks would be off by up to a pixel, which
    changes the result of non-maximum suppression.

    Args:
        logits: (K, h, w), of masks that are not empty.
        size: of the model's input without padding.
        shape: of the label map.
    """
    bounds = []
    for axis, lines in enumerate((logits.amax(2), logits.amax(1))):  # rows, columns
        scale = REDUCTION * shape[axis] / size[axis]
        large = functional.interpolate(lines[:, None].float(), scale_factor=scale, mode="linear")
        inside = large[:, 0, : shape[axis]] > 0
        steps = torch.arange(shape[axis], device=logits.device)
        bounds.append(torch.where(inside, steps, shape[axis]).amin(1))
        bounds.append(torch.where(inside, steps, -1).amax(1))
    return torch.stack([bounds[2], bounds[0], bounds[3], bounds[1]], dim=1)


def visible(masks: Tensor) -> Tensor:
    """Indices of masks bool (K, h, w) that smaller ones do not cover completely: int64, rising."""
    if not len(masks):
        return torch.zeros(0, dtype=torch.int64, device=masks.device)
    order = masks.sum((1, 2)).argsort(stable=True)
    stack = masks[order]
    top = stack.byte().argmax(0)[stack.any(0)]  # first of the maxima: the smallest mask
    return order[torch.unique(top)].sort().values


def enlarge(logits: Tensor, size: Size, shape: Size) -> Tensor:
    """Logits enlarged bilinearly to the label map: float (K, H, W).

    Args:
        logits: float (K, h, w); a pixel covers `REDUCTION` pixels of the model's input.
        size: of the model's input without padding.
        shape: of the label map, H and W.
    """
    scale = [REDUCTION * large / small for large, small in zip(shape, size, strict=True)]
    if not len(logits):
        return logits.new_zeros(0, *shape)
    large = functional.interpolate(logits[None].float(), scale_factor=scale, mode="bilinear")[0]
    return large[:, : shape[0], : shape[1]]


def without_padding(logits: Tensor, size: Size) -> Tensor:
    """The part of masks (K, h, w) whose pixels have their centre inside the model's input."""
    height, width = (max(1, round(side / REDUCTION)) for side in size)
    return logits[:, :height, :width]


def count_covering(masks: Masks, points: Tensor) -> Tensor:
    """Number of masks that cover each point: int64 (P,).

    Args:
        masks: K masks.
        points: float (P, 2), x and y in pixels of the model's input.
    """
    x, y = (points / REDUCTION).long().T
    height, width = masks.logits.shape[1:]
    count = (masks.logits > 0).sum(0)
    return count[y.clamp_max(height - 1), x.clamp_max(width - 1)]
