"""Agreement of predictions with opinion scores: correlations, fits, intervals, tests.

numpy and scipy only.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from scipy import optimize, special, stats


@dataclass(frozen=True)
class Metrics:
    """Agreement of n predictions with opinion scores.

    Attributes:
        srcc: Spearman's rank correlation.
        krcc: Kendall's tau-b.
        plcc_raw: Pearson's correlation of the raw predictions.
        plcc: Pearson's correlation after the 4-parameter logistic.
        rmse: root mean square error after the 4-parameter logistic, in units of the scores.
        n: number of images.
    """

    srcc: float
    krcc: float
    plcc_raw: float
    plcc: float
    rmse: float
    n: int


def compute_metrics(predicted: ArrayLike, scores: ArrayLike) -> Metrics:
    """All metrics of predictions (N,) against opinion scores (N,).

    A correlation is NaN if either side is constant. All metrics are NaN if a prediction is not
    finite.
    """
    predicted, scores = np.asarray(predicted, np.float64), np.asarray(scores, np.float64)
    fitted = np.full(len(scores), np.nan)
    if np.isfinite(predicted).all():
        fitted = logistic4(predicted, *fit_logistic4(predicted, scores))
    return Metrics(
        srcc=srcc(predicted, scores),
        krcc=_correlation(stats.kendalltau, predicted, scores),
        plcc_raw=_correlation(stats.pearsonr, predicted, scores),
        plcc=_correlation(stats.pearsonr, fitted, scores),
        rmse=float(np.sqrt(np.mean((fitted - scores) ** 2))),
        n=len(scores),
    )


def srcc(predicted: np.ndarray, scores: np.ndarray) -> float:
    """Spearman's rank correlation of predictions (N,) and scores (N,), as in `compute_metrics`."""
    return _correlation(stats.spearmanr, predicted, scores)


def _correlation(function: Callable[..., Any], a: np.ndarray, b: np.ndarray) -> float:
    """A correlation of scipy's; NaN, without its warning, where it is undefined."""
    varied = all(np.isfinite(values).all() and np.ptp(values) > 0 for values in (a, b))
    return float(function(a, b).statistic) if varied else float("nan")


def logistic4(x: np.ndarray, high: float, low: float, middle: float, scale: float) -> np.ndarray:
    """The 4-parameter logistic: low + (high - low) / (1 + exp(-(x - middle) / |scale|))."""
    y: np.ndarray = low + (high - low) * special.expit((x - middle) / max(abs(scale), 1e-12))
    return y


def fit_logistic4(predicted: np.ndarray, scores: np.ndarray) -> tuple[float, ...]:
    """Least-squares parameters of `logistic4`, started from the range of the data.

    A constant prediction gives the mean score.
    """
    scale = float(np.std(predicted))
    if scale == 0:
        mean = float(np.mean(scores))
        return mean, mean, float(predicted[0]), 1.0
    start = (float(np.max(scores)), float(np.min(scores)), float(np.mean(predicted)), scale)
    solution = optimize.least_squares(
        lambda p: logistic4(predicted, *p) - scores, start, max_nfev=2000, x_scale="jac"
    )
    return tuple(float(value) for value in solution.x)


@dataclass(frozen=True)
class CalibrationBins:
    """Images binned by their prediction, lowest bin first; float or int arrays (B,).

    Attributes:
        predicted: mean prediction.
        scores: mean score.
        error: standard error of the mean score; NaN in a bin of one image.
        count: number of images.
    """

    predicted: np.ndarray
    scores: np.ndarray
    error: np.ndarray
    count: np.ndarray


def calibration(
    predicted: np.ndarray, scores: np.ndarray, *, bins: int = 10, min_images: int = 5
) -> CalibrationBins:
    """Mean score against mean prediction, in bins of equal numbers of images.

    Args:
        predicted: predictions (N,) in units of the scores.
        scores: opinion scores (N,).
        bins: largest number of bins.
        min_images: smallest number of images of a bin; N if there are fewer.
    """
    order = np.argsort(predicted, kind="stable")
    parts = np.array_split(order, max(1, min(bins, len(order) // min_images)))
    return CalibrationBins(
        predicted=np.array([np.mean(predicted[part]) for part in parts]),
        scores=np.array([np.mean(scores[part]) for part in parts]),
        error=np.array([_standard_error(scores[part]) for part in parts]),
        count=np.array([len(part) for part in parts]),
    )


def _standard_error(values: np.ndarray) -> float:
    return float(np.std(values, ddof=1) / np.sqrt(len(values))) if len(values) > 1 else np.nan


def paired_test(differences: ArrayLike, test_fraction: float) -> float:
    """Two-sided p of no mean difference between two methods on the same random splits, in [0, 1].

    NaN for fewer than two splits; 1 if all differences are 0.

    Args:
        differences: of a metric, one per split, shape (J,).
        test_fraction: as in `corrected_error`.
    """
    differences = np.asarray(differences, np.float64)
    error = corrected_error(differences, test_fraction)
    mean = float(np.mean(differences)) if len(differences) else float("nan")
    if error == 0:
        return 1.0 if mean == 0 else 0.0
    return float(2 * stats.t.sf(abs(mean / error), len(differences) - 1))


def corrected_error(differences: ArrayLike, test_fraction: float) -> float:
    """Standard error of the mean difference between two methods on the same random splits.

    The corrected resampled t-test of Nadeau and Bengio (2003), equation 26 with their rho: the
    variance of the mean is taken as (1 / J + n_test / n_train) times that of the differences,
    because the training parts of J splits overlap. NaN for fewer than two splits.

    Args:
        differences: of a metric, one per split, shape (J,).
        test_fraction: n_test / (n_test + n_train), in (0, 1).
    """
    differences = np.asarray(differences, np.float64)
    if len(differences) < 2:
        return float("nan")
    variance = float(np.var(differences, ddof=1))
    return float(np.sqrt((1 / len(differences) + test_fraction / (1 - test_fraction)) * variance))


def holm(p_values: ArrayLike) -> np.ndarray:
    """P corrected by Holm (1979) over all of p (K,), in the same order: float64 (K,)."""
    p = np.asarray(p_values, np.float64)
    order = np.argsort(p, kind="stable")
    scaled = np.minimum(1.0, p[order] * np.arange(len(p), 0, -1))
    corrected = np.empty_like(p)
    corrected[order] = np.maximum.accumulate(scaled)
    return corrected


def median_interval(
    values: ArrayLike, *, level: float = 0.95, resamples: int = 10_000, seed: int = 0
) -> tuple[float, float, float]:
    """Median of values (N,) and its percentile bootstrap interval, which resamples the values.

    With one value per split, the interval tells how the median varies with the choice of splits.
    The splits overlap, so it is not an interval for new images.

    Returns:
        Median, lower and upper bound: all the value itself if N is 1, all NaN if a value is NaN.
    """
    values = np.asarray(values, np.float64)
    median = float(np.median(values))
    if len(values) < 2 or np.isnan(median):  # scipy refuses the one and warns of the other
        return median, median, median
    interval = stats.bootstrap(
        (values,),
        np.median,
        n_resamples=resamples,
        confidence_level=level,
        method="percentile",
        rng=np.random.default_rng(seed),
    ).confidence_interval
    return median, float(interval.low), float(interval.high)
