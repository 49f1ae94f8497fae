"""The further hand-crafted features of the classifier in torch, as its features.py has them.

They are written anew of operators that ONNX has; tests hold them against the originals.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.nn import functional

from rsfiqa.captioners.classifier.features import DARK, LEAST_ENERGY, LIGHT, NEARBY
from rsfiqa.score.export.masks import difference, filtered, magnitude, region_sums

EDGES = ("coherence", "cross", "peaked")


def further_features(
    image: Tensor,
    grey: Tensor,
    lab: tuple[Tensor, Tensor, Tensor],
    *,
    cumulative: Tensor,
    statistics: Mapping[str, Tensor],
    labels: Tensor,
    masks: Tensor,
    laplacian: Tensor,
) -> dict[str, Tensor]:
    """Each feature of `FURTHER`, float32 (R,).

    Args:
        image: int32 (H, W, 3).
        grey: float32 (H, W).
        lab: int32 (H, W) each, CIELAB in 8 bits.
        cumulative: number of pixels of each region up to each lightness, float64 (R, 256).
        statistics: of the regions.
        labels: int64 (H, W), label map of the image.
        masks: float32 (R, H, W), of the same regions.
        laplacian: float32 (3, 3).
    """
    half = functional.pad(
        grey[None, None], (0, grey.shape[1] % 2, 0, grey.shape[0] % 2), "replicate"
    )
    half = functional.avg_pool2d(half, 2)[0, 0]
    own = _edges(grey, masks, laplacian)
    coarse = _edges(half, masks[:, ::2, ::2], laplacian)
    return {
        **_colors(lab, cumulative, statistics, labels, masks),
        "color_noise": (_curvature(lab[1:], masks, laplacian) + 0.3).log(),
        **_haze(image, masks),
        **{name: own[name] for name in EDGES},
        **{f"half_{name}": coarse[name] for name in EDGES},
        "half_curvature": (coarse["curvature"] + 0.3).log(),
        "half_gradient": (coarse["gradient"] + 0.3).log(),
        "half_sharpness": ((coarse["curvature"] + 0.3) / (coarse["gradient"] + 0.3)).log(),
        "detail": ((own["gradient"] + 0.3) / (coarse["gradient"] + 0.3)).log(),
    }


def _colors(
    lab: tuple[Tensor, Tensor, Tensor],
    cumulative: Tensor,
    statistics: Mapping[str, Tensor],
    labels: Tensor,
    masks: Tensor,
) -> dict[str, Tensor]:
    light, *planes = lab
    areas = masks.flatten(1).sum(1)
    levels = {
        fraction: (cumulative < fraction * areas.double()[:, None]).sum(1)
        for fraction in (DARK, 0.25, 0.5, 0.75, LIGHT)
    }
    chosen = {
        "light": (light >= levels[LIGHT][labels]).float(),
        "dark": (light <= levels[DARK][labels]).float(),
    }
    found = {
        name: levels[fraction].float() * (100 / 255)
        for name, fraction in (("quarter", 0.25), ("median", 0.5), ("three_quarters", 0.75))
    }
    for name, plane in zip("ab", planes, strict=True):
        values, mean = plane.float() - 128, statistics[name]
        (spread,) = region_sums(masks, [(values - mean[labels]).square()])
        found[name] = mean
        found[f"spread_{name}"] = (spread / areas).sqrt()
        for place, mask in chosen.items():
            total, count = region_sums(masks, [values * mask, mask])
            found[f"{place}_{name}"] = total / count
    return found


def _curvature(planes: Sequence[Tensor], masks: Tensor, laplacian: Tensor) -> Tensor:
    """The mean over a region of the curvature of several planes, added up: float32 (R,)."""
    each = [filtered(plane.float(), laplacian).abs() for plane in planes]
    (total,) = region_sums(masks, [torch.stack(each).sum(0)])
    return total / masks.flatten(1).sum(1)


def _haze(image: Tensor, masks: Tensor) -> dict[str, Tensor]:
    low, high = image.amin(2).float(), image.amax(2).float()
    side = len(NEARBY)
    nearby = -functional.max_pool2d(-low[None, None], side, 1, side // 2)[0, 0]
    areas = masks.flatten(1).sum(1)
    saturation = (high - low) / high.clamp_min(1)
    veil, light, colored = (
        total / areas for total in region_sums(masks, [nearby, high, saturation])
    )
    return {"haze": veil.sqrt(), "haze_light": veil / (light + 1), "saturation": colored}


def _edges(grey: Tensor, masks: Tensor, laplacian: Tensor) -> dict[str, Tensor]:
    areas = masks.flatten(1).sum(1).clamp_min(1)
    x, y = difference(grey, 1), difference(grey, 0)
    values = [x * x, y * y, x * y, magnitude(x, y), filtered(grey, laplacian).abs()]
    xx, yy, xy, gradient, curvature = (total / areas for total in region_sums(masks, values))
    energy = xx + yy
    return {
        "coherence": magnitude(xx - yy, 2 * xy) / (energy + LEAST_ENERGY),
        "cross": 2 * xy / (energy + LEAST_ENERGY),
        "peaked": ((energy + LEAST_ENERGY) / (gradient * gradient + LEAST_ENERGY)).log(),
        "gradient": gradient,
        "curvature": curvature,
    }
