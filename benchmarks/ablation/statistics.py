"""Paired differences of two variants, with standard error, interval and p."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from scipy import stats

from benchmarks.ablation.conditions import TEST_FRACTION, Comparison, Condition
from rsfiqa.errors import InputError
from rsfiqa.metrics import corrected_error, srcc
from rsfiqa.splits import seed_of

LEVEL = 0.95
RESAMPLES = 1000


@dataclass(frozen=True)
class Difference:
    """How far the first variant of a comparison is above the second.

    Attributes:
        first: measure of the first variant, mean over units.
        second: likewise of the second.
        mean: difference.
        power_se: its standard error; NaN if it cannot be known.
        low: lower bound of the 95 % interval.
        high: upper bound.
        p: two-sided.
        effect: d, the difference by the standard deviation of that of a unit; NaN for one unit.
        units: number of units.
        n: mean number of images or trials of a unit.
    """

    first: float
    second: float
    mean: float
    power_se: float
    low: float
    high: float
    p: float
    effect: float
    units: int
    n: float


@dataclass(frozen=True)
class _Pair:
    """Both variants on the images of a unit: float (N,) each, and the names of their groups."""

    first: np.ndarray
    second: np.ndarray
    quality: np.ndarray
    groups: list[str]


def compare(
    condition: Condition, comparison: Comparison, tables: Sequence[pa.Table]
) -> Difference | None:
    """The difference of two variants over the units of a condition; None without data.

    Args:
        condition: of the comparison.
        comparison: what is compared.
        tables: of the units, as in `units.SCHEMA`.
    """
    pairs = [pair for table in tables if len((pair := _pair(comparison, table)).groups) > 1]
    if not pairs:
        return None
    scores = np.array([_measures(comparison, pair) for pair in pairs])  # (J, 2)
    if np.isnan(scores).any():
        return None
    differences = scores[:, 0] - scores[:, 1]
    if condition.division == "split":
        error = corrected_error(differences, TEST_FRACTION)
        distribution = stats.t(max(len(pairs) - 1, 1))
    else:
        error, distribution = _bootstrap_error(comparison, pairs), stats.norm()
    mean = float(differences.mean())
    deviation = float(np.std(differences, ddof=1)) if len(pairs) > 1 else float("nan")
    half = float(distribution.ppf((1 + LEVEL) / 2)) * error
    return Difference(
        first=float(scores[:, 0].mean()),
        second=float(scores[:, 1].mean()),
        mean=mean,
        power_se=error,
        low=mean - half,
        high=mean + half,
        p=_p(mean, error, distribution),
        effect=mean / deviation if deviation else float("nan"),
        units=len(pairs),
        n=float(np.mean([len(pair.groups) for pair in pairs])),
    )


def _p(mean: float, error: float, distribution: "stats.rv_frozen") -> float:
    """Two-sided p of a mean; 1 for no difference without spread."""
    if error == 0:
        return 1.0 if mean == 0 else 0.0
    return float(2 * distribution.sf(abs(mean) / error))


def _pair(comparison: Comparison, table: pa.Table) -> _Pair:
    """The rows of both variants, in the order of their images.

    Raises:
        InputError: the variants were tested on other images.
    """
    column = "hit" if comparison.measure == "hit" else "predicted"
    mask = pc.and_(pc.equal(table["test"], comparison.test), pc.is_valid(table[column]))
    if comparison.tag:
        tag = comparison.tag.removeprefix("!")
        tagged = pc.equal(table["tag"], tag)
        mask = pc.and_(mask, pc.invert(tagged) if tag != comparison.tag else tagged)
    chosen = table.filter(mask)
    first, second = (
        chosen.filter(pc.equal(chosen["variant"], name)).sort_by("image_id")
        for name in (comparison.first, comparison.second)
    )
    if first["image_id"] != second["image_id"]:
        raise InputError(
            f"{comparison.condition}: {comparison.first} and {comparison.second} must be tested on"
            f" the same images of {comparison.test}, found {len(first)} and {len(second)}; delete"
            " the unit to make it again"
        )
    return _Pair(
        _floats(first, column),
        _floats(second, column),
        _floats(first, "quality"),
        first["group"].to_pylist(),
    )


def _floats(table: pa.Table, column: str) -> np.ndarray:
    return np.asarray(table[column].to_numpy(), np.float64)


def _measures(comparison: Comparison, pair: _Pair) -> tuple[float, float]:
    """The measure of both variants."""
    if comparison.measure == "hit":
        return float(pair.first.mean()), float(pair.second.mean())
    return srcc(pair.first, pair.quality), srcc(pair.second, pair.quality)


def _bootstrap_error(comparison: Comparison, pairs: Sequence[_Pair]) -> float:
    """Standard error of the mean difference, by resampling groups of images and trainings."""
    quality = pairs[0].quality
    predicted = np.array([(pair.first, pair.second) for pair in pairs])  # (J, 2, N)
    _, numbers = np.unique(np.array(pairs[0].groups), return_inverse=True)
    members = np.split(np.argsort(numbers, kind="stable"), np.cumsum(np.bincount(numbers))[:-1])
    random = np.random.default_rng(seed_of("bootstrap", comparison.condition, comparison.test))
    means = []
    for _ in range(RESAMPLES):
        trainings = random.integers(len(pairs), size=len(pairs))
        drawn = random.integers(len(members), size=len(members))
        index = np.concatenate([members[i] for i in drawn])
        values = predicted[:, :, index]
        scores = (
            values.mean(-1)
            if comparison.measure == "hit"
            else rank_correlations(values, quality[index])
        )
        means.append(float((scores[:, 0] - scores[:, 1])[trainings].mean()))
    return float(np.nanstd(means, ddof=1))


def rank_correlations(values: np.ndarray, quality: np.ndarray) -> np.ndarray:
    """Spearman's correlation of each row of values (..., N) and quality (N,); NaN if constant."""
    ranks = stats.rankdata(values, axis=-1)
    opinions = stats.rankdata(quality)
    ranks = ranks - ranks.mean(-1, keepdims=True)
    opinions = opinions - opinions.mean()
    with np.errstate(invalid="ignore"):
        found: np.ndarray = (ranks @ opinions) / np.sqrt(
            np.square(ranks).sum(-1) * np.square(opinions).sum()
        )
    return found


def verdict(difference: Difference | None, holm_p: float, *, margin: float = 0.01) -> str:
    """What the protocol says of a primary comparison.

    Args:
        difference: None for one that is missing.
        holm_p: corrected p.
        margin: largest difference without practical size.
    """
    if difference is None:
        return "missing"
    if holm_p < 1 - LEVEL:
        return "confirmed" if difference.mean > 0 else "refuted"
    if -margin < difference.low and difference.high < margin:
        return "no difference of practical size"
    return "undecided"
