"""Figures with their number of samples and a bootstrap interval over photographs."""

from collections.abc import Callable, Hashable, Mapping, Sequence

import numpy as np

RESAMPLES = 1000
LEVEL = 0.95

Statistic = Callable[[np.ndarray], float]


def figure(
    name: str, statistic: Statistic, photographs: Sequence[Hashable], *, resamples: int = RESAMPLES
) -> dict[str, float]:
    """A statistic of samples with `_n`, `_low` and `_high`: a percentile bootstrap interval.

    Photographs are resampled, each with all of its samples. Resamples in which the statistic is
    undefined, such as a rank correlation of a constant, are left out. Without a sample the result
    has only `_n`, since JSON has no NaN.

    Args:
        name: of the figure.
        statistic: of the samples with these indices, int (M,).
        photographs: the photograph of each sample.
        resamples: of the bootstrap.
    """
    count = {f"{name}_n": float(len(photographs))}
    value = statistic(np.arange(len(photographs))) if len(photographs) else float("nan")
    if np.isnan(value):
        return count
    members = _members(photographs)
    random = np.random.default_rng(0)
    draws = (random.integers(len(members), size=len(members)) for _ in range(resamples))
    values = [statistic(np.concatenate([members[i] for i in draw])) for draw in draws]
    tail = (1 - LEVEL) / 2
    low, high = np.nanquantile([*values, value], [tail, 1 - tail])
    return {name: value, **count, f"{name}_low": float(low), f"{name}_high": float(high)}


def mean_figure(
    name: str, values: Sequence[float] | np.ndarray, photographs: Sequence[Hashable] | None = None
) -> dict[str, float]:
    """As `figure` for the mean of values (N,), by default one of each photograph."""
    array = np.asarray(values, np.float64)
    groups = range(len(array)) if photographs is None else photographs
    return figure(name, lambda index: float(array[index].mean()), groups)


def mean_of(statistics: Mapping[str, Statistic]) -> Statistic:
    """The mean of several statistics of the same samples; those undefined are left out."""

    def mean(index: np.ndarray) -> float:
        values = np.array([statistic(index) for statistic in statistics.values()])
        defined = values[~np.isnan(values)]
        return float(defined.mean()) if len(defined) else float("nan")

    return mean


def _members(photographs: Sequence[Hashable]) -> list[np.ndarray]:
    """The indices of the samples of each photograph."""
    found: dict[Hashable, list[int]] = {}
    for index, photograph in enumerate(photographs):
        found.setdefault(photograph, []).append(index)
    return [np.array(indices) for indices in found.values()]
