"""Statistics and hand-crafted features of regions in torch, as the captioners have them.

They are written anew of operators that ONNX has; tests hold them against the originals.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn import functional

from rsfiqa.captioners.classifier.features import FEATURES
from rsfiqa.captioners.rule_based import features, statistics
from rsfiqa.captioners.rule_based.features import ALIGNED, PIXEL_BLOCKS, RARE
from rsfiqa.captioners.rule_based.statistics import BLOCK, FLAT, MAX_STEP, PRIOR_WEIGHT
from rsfiqa.score.export.further import further_features
from rsfiqa.score.export.masks import difference, filtered, magnitude, region_sums

LEVELS = 256
GREY_WEIGHTS = (9798, 19235, 3735)  # of red, green and blue in OpenCV's grey, of 2 ** 15
# OpenCV's CIELAB of 8 bits: XYZ of linear sRGB over the white point D65, of 2 ** 12
XYZ_WEIGHTS = ((1777, 1541, 778), (871, 2929, 296), (73, 448, 3575))
LINEAR = 255 * 8  # linear intensity 1
ROOT = 1 << 15  # cube root 1
LIGHT_SCALE, LIGHT_SHIFT = 296, -1336934


@dataclass(frozen=True)
class PixelValues:
    """Values of the pixels of an image.

    Attributes:
        grey: float32 (H, W), [0, 255].
        lab: int32 (H, W) each, CIELAB as OpenCV has it in 8 bits.
        smooth: float32 (H, W), grey smoothed.
    """

    grey: Tensor
    lab: tuple[Tensor, Tensor, Tensor]
    smooth: Tensor


class PixelFeatures(nn.Module):
    """`region_statistics` and `pixel_features` of an image, see there."""

    linear: Tensor
    root: Tensor
    noise_mask: Tensor
    gauss: Tensor
    sobel: Tensor
    laplacian: Tensor

    def __init__(self) -> None:
        super().__init__()
        value = np.arange(LEVELS) / 255
        linear = np.where(value <= 0.04045, value / 12.92, ((value + 0.055) / 1.055) ** 2.4)
        x = np.arange(LEVELS * 12) / LINEAR
        root = np.where(x < 216 / 24389, x * (841 / 108) + 16 / 116, np.cbrt(x))
        gauss = np.exp(-((np.arange(17) - 8) ** 2) / (2 * 2.0**2))
        for name, table in {
            "linear": np.rint(LINEAR * linear).astype(np.int32),
            "root": np.rint(ROOT * root).astype(np.int32),
            "noise_mask": statistics.NOISE_MASK,
            "gauss": (gauss / gauss.sum()).astype(np.float32),
            "sobel": np.outer([1, 2, 1], [-1, 0, 1]).astype(np.float32) / 8,
            "laplacian": np.array([[0, 1, 0], [1, -4, 1], [0, 1, 0]], np.float32),
        }.items():
            self.register_buffer(name, torch.from_numpy(table), persistent=False)

    def forward(
        self, image: Tensor, labels: Tensor, masks: Tensor
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """Features float32 (R, S) in the order of `FEATURES`, and `RegionStatistics` by name.

        Args:
            image: uint8 (H, W, 3), no side below 16 pixels.
            labels: int64 (H, W), label map of the image.
            masks: float32 (R, H, W), of the same regions.
        """
        values = self._values(image.int())
        found = self._statistics(values, labels, masks)
        lightness = _histogram(values.lab[0].long(), labels, masks).cumsum(1).double()
        of = {
            **_direct(found),
            **self._sharpness(values, masks),
            **_tones(values, lightness, found, labels, masks),
            **_clipping(image, masks),
            **_block_steps(values.grey, masks),
            **_steps(image.int(), labels, masks),
            **_concentration(image, labels, masks),
            **further_features(
                image.int(),
                values.grey,
                values.lab,
                cumulative=lightness,
                statistics=found,
                labels=labels,
                masks=masks,
                laplacian=self.laplacian,
            ),
        }
        return torch.stack([of[name].float() for name in FEATURES], 1), found

    def _values(self, image: Tensor) -> PixelValues:
        red, green, blue = image.unbind(2)
        r, g, b = GREY_WEIGHTS
        grey = ((red * r + green * g + blue * b + (1 << 14)) // (1 << 15)).float()
        light = [self.linear[channel] for channel in (red, green, blue)]
        x, y, z = (
            self.root[
                (sum(w * c for w, c in zip(row, light, strict=True)) + (1 << 11)) // (1 << 12)
            ]
            for row in XYZ_WEIGHTS
        )
        half = ROOT // 2
        lightness = (LIGHT_SCALE * y + (LIGHT_SHIFT + half)) // ROOT
        a = (500 * (x - y) + (128 * ROOT + half)) // ROOT
        b_ = (200 * (y - z) + (128 * ROOT + half)) // ROOT
        return PixelValues(grey, (lightness, a, b_), self._smoothed(grey))

    def _smoothed(self, grey: Tensor) -> Tensor:
        return filtered(filtered(grey, self.gauss[None]), self.gauss[:, None])

    def _statistics(self, values: PixelValues, labels: Tensor, masks: Tensor) -> dict[str, Tensor]:
        light = values.lab[0].float() * (100 / 255)
        a, b = values.lab[1].float() - 128, values.lab[2].float() - 128
        areas = masks.flatten(1).sum(1)
        means = [total / areas for total in region_sums(masks, [light, a, b, magnitude(a, b)])]
        (spread,) = region_sums(masks, [(light - means[0][labels]).square()])
        return {
            "noise": self._noise(values, masks),
            "blur": _blur(values.grey, masks),
            "blockiness": _blockiness(values.grey, masks),
            "lightness": means[0],
            "contrast": (spread / areas).sqrt(),
            "a": means[1],
            "b": means[2],
            "chroma": means[3],
        }

    def _noise(self, values: PixelValues, masks: Tensor) -> Tensor:
        response = filtered(values.grey, self.noise_mask).abs() * (math.sqrt(math.pi / 2) / 6)
        gradient = magnitude(
            filtered(values.smooth, self.sobel), filtered(values.smooth, self.sobel.T)
        )
        even = (gradient < FLAT / 8) & (values.grey > 3) & (values.grey < 252)
        return _weighted_means(response, even.float(), masks)

    def _sharpness(self, values: PixelValues, masks: Tensor) -> dict[str, Tensor]:
        areas = masks.flatten(1).sum(1)
        curvature, gradient, smooth = (
            total / areas
            for total in region_sums(
                masks,
                [
                    filtered(values.grey, self.laplacian).abs(),
                    _gradient(values.grey),
                    _gradient(values.smooth),
                ],
            )
        )
        return {
            "curvature": (curvature + 0.3).log(),
            "gradient": (gradient + 0.3).log(),
            "smooth_gradient": (smooth + 0.3).log(),
            "sharpness": ((curvature + 0.3) / (smooth + 0.3)).log(),
        }


def _direct(found: dict[str, Tensor]) -> dict[str, Tensor]:
    """Features that are functions of one statistic."""
    return {
        "noise": (found["noise"] + 0.3).log(),
        "blur": found["blur"],
        "blocks": found["blockiness"].log(),
        "lightness": found["lightness"],
        "contrast": (found["contrast"] + 0.5).log(),
        "chroma": (found["chroma"] + 1).log(),
    }


def _weighted_means(values: Tensor, weights: Tensor, masks: Tensor) -> Tensor:
    """Weighted means of regions, shrunk as by `statistics._shrunk`: float32 (R,)."""
    total, weight = region_sums(masks, [values * weights, weights])
    whole = total.sum() / weight.sum().clamp_min(1e-9)
    return (total + PRIOR_WEIGHT * whole) / (weight + PRIOR_WEIGHT)


def _blur(grey: Tensor, masks: Tensor) -> Tensor:
    """See `statistics._blur`."""
    survived = []
    for axis in (1, 0):
        kernel = torch.full((9, 1) if axis == 0 else (1, 9), 1 / 9, device=grey.device)
        before = difference(grey, axis).abs()
        after = difference(filtered(grey, kernel), axis).abs()
        fraction = torch.minimum(after, before) / before.clamp_min(1e-6)
        survived.append(_weighted_means(fraction, before / 4, masks))
    return torch.maximum(*survived)


def _blockiness(grey: Tensor, masks: Tensor) -> Tensor:
    """See `statistics._blockiness`."""
    border, inside = [], []
    for axis in (1, 0):
        steps = difference(grey, axis).abs().clamp_max(MAX_STEP)
        size = grey.shape[axis]
        at = torch.arange(size, device=grey.device)
        on = ((at % BLOCK == BLOCK - 1) & (at < size - 1)).float()
        on = (on[None, :] if axis else on[:, None]) * torch.ones_like(grey)
        border.append(_weighted_means(steps, on, masks))
        inside.append(_weighted_means(steps, 1 - on, masks))
    return (border[0] + border[1] + 0.2) / (inside[0] + inside[1] + 0.2)


def _gradient(grey: Tensor) -> Tensor:
    return magnitude(difference(grey, 1), difference(grey, 0))


def _histogram(values: Tensor, labels: Tensor, masks: Tensor) -> Tensor:
    """Number of pixels of each region with each value of 8 bits: float32 (R, 256)."""
    regions = masks.shape[0]
    code = (labels * LEVELS + values).flatten()
    counts = torch.zeros(regions * LEVELS, device=masks.device)
    return counts.scatter_add(0, code, torch.ones_like(code, dtype=torch.float32)).reshape(
        regions, LEVELS
    )


def _tones(
    values: PixelValues, light: Tensor, found: dict[str, Tensor], labels: Tensor, masks: Tensor
) -> dict[str, Tensor]:
    """See `features._tones`; `light` is the number of pixels up to each lightness, (R, 256)."""
    _, a, b = values.lab
    chroma = magnitude(a.float() - 128, b.float() - 128).long()
    areas = masks.flatten(1).sum(1).double()
    colour = _histogram(chroma, labels, masks).cumsum(1).double()

    def percentile(cumulative: Tensor, fraction: float) -> Tensor:
        return (cumulative < fraction * areas[:, None]).sum(1).float()

    tones = {
        name: percentile(light, fraction) * (100 / 255)
        for name, fraction in (
            ("darkest", 0.01),
            ("dark", 0.05),
            ("light", 0.95),
            ("lightest", 0.99),
        )
    }
    median = percentile(colour, 0.5)
    return tones | {
        "median_chroma": (median + 1).log(),
        "high_chroma": (percentile(colour, 0.95) + 1).log(),
        "chroma_over_contrast": ((median + 1) / (found["contrast"] + 1)).log(),
    }


def _clipping(image: Tensor, masks: Tensor) -> dict[str, Tensor]:
    """Fractions of very bright and very dark pixels, as roots."""
    wide = image.int()
    low, high = wide.amin(2), wide.amax(2)
    parts = {
        "whites": low >= 250,
        "blacks": high <= 4,
        "clipped_high": high >= 254,
        "clipped_low": low <= 1,
        "clipped_color": (low <= 1) & (high >= 60),
    }
    areas = masks.flatten(1).sum(1)
    sums = region_sums(masks, list(parts.values()))
    return {name: (total / areas).sqrt() for name, total in zip(parts, sums, strict=True)}


def _along(image: Tensor, axis: int) -> Tensor:
    """The image (H, W, ...) or its transpose, so that `axis` becomes the second one."""
    return image if axis else image.transpose(0, 1)


def _block_steps(grey: Tensor, masks: Tensor) -> dict[str, Tensor]:
    """See `features._blocks`."""
    totals = []
    for axis in (1, 0):
        along, regions = _along(grey, axis), masks if axis else masks.transpose(1, 2)
        steps = (along[:, 1:] - along[:, :-1]).abs().clamp_max(MAX_STEP)
        inside = regions[:, :, 1:]
        totals.append(((inside * steps).sum(1), inside.sum(1)))  # by column, (R, W - 1)
    found = {}
    for side in (4, BLOCK):
        at_border, elsewhere = torch.zeros(1), torch.zeros(1)
        for total, count in totals:
            column = torch.arange(1, total.shape[1] + 1, device=grey.device)
            border = (column % side == 0).float()
            at_border = at_border + (total @ border + 40) / (count @ border + 20)
            elsewhere = elsewhere + (total @ (1 - border) + 40) / (count @ (1 - border) + 20)
        found[f"blocks_{side}"] = ((at_border + 0.4) / (elsewhere + 0.4)).log()
    return found


def _steps(image: Tensor, labels: Tensor, masks: Tensor) -> dict[str, Tensor]:
    """See `features._steps`."""
    ids, reach = labels.float()[None, None], len(features.KERNEL) // 2
    size = 2 * reach + 1
    highest = functional.max_pool2d(ids, size, 1, reach)[0, 0]
    lowest = -functional.max_pool2d(-ids, size, 1, reach)[0, 0]
    inner = ((highest == ids[0, 0]) & (lowest == ids[0, 0])).float()
    sums = []
    aligned = None
    for axis in (1, 0):
        pixels, within = _along(image, axis), _along(inner, axis)
        regions = (masks if axis else masks.transpose(1, 2))[:, :, 1:]
        step = (pixels[:, 1:] - pixels[:, :-1]).abs().sum(2).float()
        inside = within[:, 1:] * within[:, :-1]
        kept = (inside, inside * (step == 0).float(), inside * (step <= 3).float())
        sums.append(torch.stack(region_sums(regions, kept)))
        by_column = (regions * (inside * step)).sum(1)  # (R, W - 1)
        found = _alignment(by_column)
        aligned = found if aligned is None else torch.minimum(aligned, found)
    total, equal, near = (sums[0] + sums[1]).unbind(0)
    total = total.clamp_min(1)
    assert aligned is not None
    sides = torch.tensor(list(PIXEL_BLOCKS), dtype=torch.float32)[:, None]
    side = (sides * (aligned >= ALIGNED).float()).amax(0).clamp_min(1)
    return {
        "even": (equal / total).sqrt(),
        "nearly_even": (near / total).sqrt(),
        "side": side.log(),
        "pixelated": (side > 1).float(),
    }


def _alignment(by_column: Tensor) -> Tensor:
    """See `features._alignment`: float32 (blocks, R), of the steps (R, W) of each column."""
    total = by_column.sum(1).clamp_min(1)
    column = torch.arange(by_column.shape[1], device=by_column.device)[:, None]
    found = []
    for side in PIXEL_BLOCKS:
        residue = (column % side == torch.arange(side, device=by_column.device)).float()
        found.append((by_column @ residue).amax(1) / total)
    return torch.stack(found)


def _concentration(image: Tensor, labels: Tensor, masks: Tensor) -> dict[str, Tensor]:
    """See `features._values`."""
    channels = []
    for channel in range(3):
        pixels = _histogram(image[..., channel].long(), labels, masks)
        fraction = pixels / pixels.sum(1, keepdim=True)
        used = fraction > RARE
        sixteen = fraction.topk(16, dim=1).values
        number = used.float().sum(1)
        channels.append(
            torch.stack([number, _median_gap(used, number), sixteen[:, 0], sixteen.sum(1)])
        )
    first, second, third = channels
    low, high = torch.minimum(first, second), torch.maximum(first, second)
    number, gap, commonest, of_sixteen = torch.maximum(low, torch.minimum(high, third)).unbind(0)
    return {
        "values": (number + 1).log(),
        "gap": (gap + 0.5).log(),
        "commonest": commonest.sqrt(),
        "commonest_16": of_sixteen,
    }


def _median_gap(used: Tensor, number: Tensor) -> Tensor:
    """Median distance of neighboring values that are used: float32 (R,); 0 for one value.

    Args:
        used: bool (R, 256).
        number: float (R,), of values that are used.
    """
    value = torch.arange(LEVELS, dtype=torch.float32, device=used.device)
    earlier = used[:, None, :] & (value[None, :] < value[:, None])  # (R, 256, 256)
    last = torch.where(earlier, value, torch.full_like(value, -1)).amax(2)  # used before, or -1
    gaps = torch.where(used & (last >= 0), value - last, torch.full_like(value, LEVELS))
    gaps = gaps.topk(LEVELS, dim=1, largest=False).values
    count = (number - 1).clamp_min(1).long()
    low = gaps.gather(1, ((count - 1) // 2)[:, None])
    high = gaps.gather(1, (count // 2)[:, None])
    return torch.where(number > 1, ((low + high) / 2)[:, 0], torch.zeros_like(number))
