"""RSA in NumPy, for scoring without torch: one image at a time, equal to torch's to 1e-5.

`model.RSA` is the reference, whose names and order of steps are kept.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import accumulate, pairwise
from typing import Any

import numpy as np

from rsfiqa.architecture import (
    ANCHOR_SPEED,
    CENTER_PRIOR_WIDTH,
    CLIP,
    EARLIER_CAPTION_SCALE,
    HEADS,
    LAST_ONLY,
    MIN_COVERAGE,
    MIN_VARIANCE,
    PRIOR_SPEED,
    UNATTENDED,
    UNCAPTIONED,
)
from rsfiqa.region_layout import RegionLayout
from rsfiqa.runtime.layers import gelu, layer_norm, linear, softmax, softplus
from rsfiqa.vocabulary import RATINGS, VARIANTS

OVERALL = RATINGS.index("overall")


@dataclass(frozen=True, eq=False)
class ArrayPrediction:
    """The predicted quality of an image of R regions; see `model.Prediction`.

    Attributes:
        quality: of the image.
        region_quality: float32 (R,).
        region_weight: float32 (R,).
        attention: float32 (G, G).
        quality_map: float32 (G, G).
    """

    quality: float
    region_quality: np.ndarray
    region_weight: np.ndarray
    attention: np.ndarray
    quality_map: np.ndarray


class ArrayModel:
    """The model of a checkpoint without caption embeddings.

    Args:
        state: float32 by name, of `model.RSA`.
        settings: `Card.model`.

    Raises:
        ValueError: an unknown variant.
    """

    def __init__(self, state: Mapping[str, np.ndarray], settings: Mapping[str, Any]) -> None:
        self.state = state
        self.variant: str = settings.get("variant", "full")
        if self.variant not in VARIANTS:
            raise ValueError(f"variant {self.variant!r}")
        stages: Sequence[int] = settings["stage_channels"]
        self.heads: int = settings.get("heads", HEADS)
        used = stages[-1:] if self.variant in LAST_ONLY else stages
        self.bounds = list(pairwise(accumulate(used, initial=0)))
        self.has_captions = self.variant not in UNCAPTIONED
        self.has_attention = self.variant not in UNATTENDED
        self.caption_scale: float = settings.get("caption_scale", EARLIER_CAPTION_SCALE)
        self.anchored = settings.get("anchored", False) and self.has_captions and self.has_attention

    def predict(
        self, grid_features: np.ndarray, layout: RegionLayout, ratings: np.ndarray
    ) -> ArrayPrediction:
        """As `RSA.forward` with `by_captions`.

        Args:
            grid_features: (2, C, G, G).
            layout: of the regions.
            ratings: float32 (R, 5); NaN where one is missing.
        """
        grid = grid_features.shape[-1]
        used = grid_features[:, -self.bounds[-1][1] :].reshape(2, -1, grid * grid)
        cells = used.transpose(2, 0, 1).astype(np.float32)  # (N, 2, C')
        captions = self._captions(ratings) if self.has_captions else None
        mean_quality = self.state["mean_quality"]
        uniform = np.full(grid * grid, 1 / grid**2, np.float32)
        if self.has_attention:
            quality, weight, within = self._regions(cells, layout, captions)
            if self.anchored:
                quality = weight @ quality + self._anchor(ratings)
            attention = weight @ within
            quality = quality + mean_quality
            statistics = self._statistics(cells, uniform, attention)
        else:
            weight = softmax(layout.geometry[:, 0])
            attention, within = uniform, np.tile(uniform, (len(weight), 1))
            quality = np.full(len(weight), mean_quality, np.float32)
            statistics = self._statistics(cells, uniform)
            if captions is not None:
                statistics = np.concatenate([statistics, weight @ captions])
        slope, offset = self.state["calibration"]
        quality = slope * quality + offset + (slope * self._ensemble(statistics)).mean()
        return ArrayPrediction(
            quality=float(weight @ quality),
            region_quality=quality,
            region_weight=weight,
            attention=attention.reshape(grid, grid),
            quality_map=((weight * quality) @ within).reshape(grid, grid),
        )

    def _linear(self, name: str, x: np.ndarray) -> np.ndarray:
        return linear(x, self.state[f"{name}.weight"], self.state.get(f"{name}.bias"))

    def _norm(self, name: str, x: np.ndarray) -> np.ndarray:
        return layer_norm(x, self.state[f"{name}.weight"], self.state[f"{name}.bias"])

    def _captions(self, ratings: np.ndarray) -> np.ndarray:
        """As `CaptionProjection`: (R, D)."""
        known = np.isfinite(ratings)
        centred = np.where(known, (ratings - 3) / 2, 0).astype(np.float32)
        both = np.concatenate([centred, known.astype(np.float32)], axis=1)
        projected = self._linear("caption_projection.ratings", both)
        captions: np.ndarray = np.float32(self.caption_scale) * projected
        return captions

    def _anchor(self, ratings: np.ndarray) -> np.ndarray:
        """As `OverallAnchor`: (R,)."""
        overall = ratings[:, OVERALL]
        slope = softplus(ANCHOR_SPEED * self.state["anchor.raw_slope"])
        added = slope * np.where(np.isfinite(overall), (overall - 3) / 4, 0)
        anchored: np.ndarray = added.astype(np.float32)
        return anchored

    def _regions(
        self, cells: np.ndarray, layout: RegionLayout, captions: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """As `RegionAttention`: quality (R,), weight (R,) and attention within regions (R, N)."""
        coverage = layout.coverage
        features = self._multi_scale(cells)  # (N, D)
        area = coverage.sum(axis=1, keepdims=True).clip(MIN_COVERAGE)
        tokens = coverage @ features / area + self._linear("regions.geometry", layout.geometry)
        tokens = tokens if captions is None else tokens + captions
        tokens = self._self_attention(self._norm("regions.norm", tokens))
        bias = self._positional_bias(round(len(cells) ** 0.5))
        keys = self._linear("regions.key", features)
        similarity = self._linear("regions.query", tokens) @ keys.T
        within = _within(similarity / np.float32(features.shape[1] ** 0.5) + bias, coverage)
        prior = np.log((coverage @ np.exp(bias)).clip(MIN_COVERAGE))
        weight = softmax(self._linear("regions.importance", tokens)[:, 0] + prior)
        both = np.concatenate([tokens, within @ features], axis=1)
        return self._linear("regions.quality", both)[:, 0], weight, within

    def _multi_scale(self, cells: np.ndarray) -> np.ndarray:
        """As `MHF`: (N, D)."""
        state = self.state
        scaled = ((cells - state["grid_mean"]) / state["grid_std"]).clip(-CLIP, CLIP)
        stages = np.stack(
            [
                gelu(
                    self._linear(
                        f"regions.mhf.project.{number}",
                        scaled[..., begin:end].reshape(len(cells), -1),
                    )
                )
                for number, (begin, end) in enumerate(self.bounds)
            ],
            axis=1,
        )  # (N, S, D)
        logits = (stages * state["regions.mhf.gate"]).sum(axis=2) + state["regions.mhf.gate_bias"]
        mixed: np.ndarray = np.einsum("nsd,ns->nd", stages, softmax(logits))
        return mixed

    def _self_attention(self, tokens: np.ndarray) -> np.ndarray:
        """As `RegionSelfAttention`: (R, D)."""
        name, (regions, width) = "regions.self_attention", tokens.shape
        joint = self._linear(f"{name}.qkv", self._norm(f"{name}.norm1", tokens))
        query, key, value = joint.reshape(regions, 3, self.heads, -1).transpose(1, 2, 0, 3)
        scale = np.float32(query.shape[-1] ** -0.5)
        attended = softmax(query @ key.transpose(0, 2, 1) * scale) @ value  # (heads, R, D / heads)
        tokens = tokens + self._linear(
            f"{name}.out_proj", attended.transpose(1, 0, 2).reshape(regions, width)
        )
        hidden = gelu(self._linear(f"{name}.fc1", self._norm(f"{name}.norm2", tokens)))
        added: np.ndarray = tokens + self._linear(f"{name}.fc2", hidden)
        return added

    def _positional_bias(self, grid: int) -> np.ndarray:
        """As `RegionAttention._positional_bias`: (N,)."""
        at = np.square((np.arange(grid, dtype=np.float32) + np.float32(0.5)) / grid - 0.5)
        precision = np.exp(PRIOR_SPEED * self.state["regions.prior_width"])
        across, down = precision[:, None] * at / (2 * CENTER_PRIOR_WIDTH**2)
        logit: np.ndarray = -(down[:, None] + across[None]).ravel().astype(np.float32)
        return logit

    def _statistics(self, cells: np.ndarray, *weights: np.ndarray) -> np.ndarray:
        """Standardised statistics of the image: float32 (K * 2 C',).

        Args:
            cells: mean and standard deviation of C' channels in N cells, float32 (N, 2, C').
            weights: K weights of the cells, float32 (N,) each.
        """
        mean, deviation = cells[:, 0], cells[:, 1]  # (N, C')
        centre = mean.mean(axis=0)
        offset, by = mean - centre, np.stack(weights)
        first = by @ offset
        second = by @ (np.square(deviation) + np.square(offset))
        spread = np.sqrt(np.maximum(second - np.square(first), 0) + MIN_VARIANCE)
        pooled = np.concatenate([centre + first, spread], axis=1)
        standardised = (pooled - self.state["image_mean"]) / self.state["image_std"]
        clipped: np.ndarray = standardised.clip(-CLIP, CLIP).ravel()
        return clipped

    def _ensemble(self, x: np.ndarray) -> np.ndarray:
        """As `EnsembleHeads`: (M,)."""
        state = self.state
        hidden = gelu(x @ state["heads.w1"] + state["heads.bias"][:, 0])  # (M, hidden)
        quality: np.ndarray = (hidden * state["heads.w2"][..., 0]).sum(axis=1)
        return quality


def _within(logits: np.ndarray, coverage: np.ndarray) -> np.ndarray:
    """As `attend_within`: (R, N)."""
    peak = np.where(coverage == 0, -np.inf, logits).max(axis=1, keepdims=True)
    peak = np.where(np.isfinite(peak), peak, 0)
    mass = coverage * np.exp(np.minimum(logits - peak, 0))
    fractions: np.ndarray = mass / mass.sum(axis=1, keepdims=True).clip(np.finfo(np.float32).tiny)
    return fractions.astype(np.float32)
