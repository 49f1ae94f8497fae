"""How well predictions agree with opinion scores: SRCC, KRCC, PLCC, RMSE, fits, intervals."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from scipy import optimize, special, stats


@dataclass(frozen=True)
class Metrics:
    """Agreement of n predictions with opinion scores.

    Attributes:
        srcc: Spearman's rank correlation.
        krcc: Kendall's tau-b.
        plcc_raw: Pearson's correlation of the predictions as they are.
        plcc: Pearson's correlation after the 4-parameter logistic.
        rmse: root mean square error after the 4-parameter logistic, in units of the scores.
        n: images.
    """

    srcc: float
    krcc: float
    plcc_raw: float
    plcc: float
    rmse: float
    n: int


def compute_metrics(predicted: np.ndarray, scores: np.ndarray) -> Metrics:
    """All measures of agreement between predictions (N,) and opinion scores (N,).

    Correlations are NaN where either side is constant; all is NaN where a prediction is no number.
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
    """Spearman's rank correlation of predictions (N,) and scores (N,), as in `agreement`."""
    return _correlation(stats.spearmanr, predicted, scores)


def _correlation(function: Callable, a: np.ndarray, b: np.ndarray) -> float:
    varied = all(np.isfinite(values).all() and np.ptp(values) > 0 for values in (a, b))
    if not varied:
        return float("nan")
    return float(function(a, b).statistic)


def logistic4(x: np.ndarray, high: float, low: float, middle: float, spread: float) -> np.ndarray:
    """The 4-parameter logistic: low + (high - low) / (1 + exp(-(x - middle) / |spread|))."""
    return low + (high - low) * special.expit((x - middle) / max(abs(spread), 1e-12))


def fit_logistic4(predicted: np.ndarray, scores: np.ndarray) -> tuple[float, ...]:
    """Parameters of `logistic4` by least squares, started from the data's own range.

    A constant prediction gives the mean score.
    """
    spread = float(np.std(predicted))
    if spread == 0:
        mean = float(np.mean(scores))
        return mean, mean, float(predicted[0]), 1.0
    start = (float(np.max(scores)), float(np.min(scores)), float(np.mean(predicted)), spread)
    solution = optimize.least_squares(
        lambda p: logistic4(predicted, *p) - scores, start, max_nfev=2000, x_scale="jac"
    )
    return tuple(float(value) for value in solution.x)


@dataclass(frozen=True)
class Bins:
    """Images in bins of like prediction, lowest first; all float or int (B,).

    Attributes:
        predicted: mean prediction.
        scores: mean score.
        error: standard error of the mean score; NaN in a bin of one image.
        count: images.
    """

    predicted: np.ndarray
    scores: np.ndarray
    error: np.ndarray
    count: np.ndarray


def calibration(
    predicted: np.ndarray, scores: np.ndarray, *, bins: int = 10, least: int = 5
) -> Bins:
    """Whether predictions (N,) are right on average, low ones as well as high ones.

    Args:
        predicted: in units of the scores.
        scores: opinion scores.
        bins: at most, of equal numbers of images.
        least: images of a bin, if there are as many.
    """
    order = np.argsort(predicted, kind="stable")
    parts = np.array_split(order, max(1, min(bins, len(order) // least)))
    return Bins(
        predicted=np.array([np.mean(predicted[part]) for part in parts]),
        scores=np.array([np.mean(scores[part]) for part in parts]),
        error=np.array(
            [
                np.std(scores[part], ddof=1) / np.sqrt(len(part)) if len(part) > 1 else np.nan
                for part in parts
            ]
        ),
        count=np.array([len(part) for part in parts]),
    )


def paired_test(differences: np.ndarray, test_fraction: float) -> float:
    """Two-sided p of no mean difference between two methods on the same random splits, in [0, 1].

    The corrected resampled t-test of Nadeau and Bengio (2003), equation 26 with their rho: the
    variance of the mean is taken as (1 / J + n_test / n_train) times that of the differences,
    because the training parts of J splits overlap. NaN for fewer than two splits; 1 where all
    differences are 0.

    Args:
        differences: of a measure, one per split, shape (J,).
        test_fraction: n_test / (n_test + n_train), in (0, 1).
    """
    differences = np.asarray(differences, np.float64)
    count = len(differences)
    if count < 2:
        return float("nan")
    mean, variance = float(np.mean(differences)), float(np.var(differences, ddof=1))
    if variance == 0:
        return 1.0 if mean == 0 else 0.0
    t = mean / np.sqrt((1 / count + test_fraction / (1 - test_fraction)) * variance)
    return float(2 * stats.t.sf(abs(t), count - 1))


def median_interval(
    values: np.ndarray, *, level: float = 0.95, resamples: int = 10_000, seed: int = 0
) -> tuple[float, float, float]:
    """Median of values (N,) with a percentile bootstrap interval that resamples the values.

    With one value per split, it says how the median varies with the choice of splits; the splits
    overlap, so it is not an interval for new images.
    """
    values = np.asarray(values, np.float64)
    draws = np.random.default_rng(seed).integers(0, len(values), (resamples, len(values)))
    medians = np.median(values[draws], axis=1)
    low, high = np.quantile(medians, [(1 - level) / 2, (1 + level) / 2])
    return float(np.median(values)), float(low), float(high)
