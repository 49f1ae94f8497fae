"""Figures of merit of a captioner: how well it names distortions, severities and ratings."""

import math
from collections import Counter
from collections.abc import Hashable, Sequence

import numpy as np

from rsfiqa.captioners.vlm.answer import Answer, AnswerError, read_answers
from rsfiqa.metrics import compute_metrics
from rsfiqa.teach.examples import Example
from rsfiqa.vocabulary import FAMILIES, ITU_LEVELS, RATINGS, SEVERITIES

NONE = "none"  # stands for no distortion, beside the families
INVALID_SEVERITY = -9  # of an invalid answer; never within one of a correct severity
RESAMPLES = 10_000  # of the bootstrap


def figures_of(tests: Sequence[Example], texts: Sequence[str]) -> dict[str, float]:
    """Fractions in [0, 1] and rank correlations, by name.

    valid_fraction: answers that fit the schema; others count as wrong in all figures.
    family_accuracy: the most severe distortion of the answer is one of the region's, or none is
        named and the region has none; by family as family_accuracy_<family>.
    severity_accuracy, severity_within_one: severity of the most severe distortion of the answer,
        whatever its family, 0 if none is named; over regions with distortions.
    both_accuracy: family and severity are correct; over regions with distortions.
    severity_srcc: Spearman's correlation of that severity with the correct one.
    <rating>_accuracy: the rating is correct. <rating>_srcc: Spearman's correlation of its negative
        with the severity, over regions without distortion and those whose distortions all lower
        the rating.
    ..._low, ..._high: 95 % bootstrap interval of family_accuracy, severity_accuracy and
        severity_within_one; photographs are resampled.
    chance_...: value of the best constant answer.
    n: number of examples.

    Figures over no examples and correlations of a constant are left out.

    Args:
        tests: examples.
        texts: the captioner's answers to them, JSON if valid.
    """
    answers, correct = [_parse(text) for text in texts], [example.answer for example in tests]
    valid = np.array([answer is not None for answer in answers])
    named_severity = np.array([_worst(answer)[1] for answer in answers])
    severity = np.array([_worst(answer)[1] for answer in correct])
    family = np.array([_worst(answer)[0] for answer in correct])
    pairs = zip(tests, answers, strict=True)
    family_hits = np.array([_is_family_correct(example, answer) for example, answer in pairs])
    distorted = severity > 0
    error = np.abs(severity - named_severity)[distorted]
    result: dict[str, float] = {
        "n": len(tests),
        "valid_fraction": valid.mean(),
        "family_accuracy": family_hits.mean(),
        "severity_accuracy": _mean(error == 0),
        "severity_within_one": _mean(error <= 1),
        "both_accuracy": _mean(family_hits[distorted] & (error == 0)),
        "severity_srcc": _srcc(named_severity[valid], severity[valid]),
    }
    result |= _chance(family, severity[distorted])
    sources = np.array([example.source for example in tests])
    for name, hits, groups in (
        ("family_accuracy", family_hits, sources),
        ("severity_accuracy", error == 0, sources[distorted]),
        ("severity_within_one", error <= 1, sources[distorted]),
    ):
        result[f"{name}_low"], result[f"{name}_high"] = _interval(hits, groups)
    for name in (*FAMILIES, NONE):
        result[f"family_accuracy_{name}"] = _mean(family_hits[family == name])
    for rating in RATINGS:
        result |= _rating_figures(rating, tests, answers, severity)
    return {name: float(value) for name, value in result.items() if not math.isnan(value)}


def _chance(family: np.ndarray, severity: np.ndarray) -> dict[str, float]:
    """Accuracies of the best constant family (n,) and of the best constant severity (m,)."""
    error = np.abs(severity[:, None] - np.array(SEVERITIES))
    return {
        "chance_family_accuracy": _mean(family == _most_common(family)),
        "chance_severity_accuracy": max(_mean(column == 0) for column in error.T),
        "chance_severity_within_one": max(_mean(column <= 1) for column in error.T),
    }


def _rating_figures(
    rating: str,
    tests: Sequence[Example],
    answers: Sequence[Answer | None],
    severity: np.ndarray,
) -> dict[str, float]:
    """Accuracy of one rating, that of the best constant, and its correlation with severity."""
    correct = np.array([_rating(example.answer, rating) for example in tests])
    given = np.array([_rating(answer, rating) for answer in answers])
    affected = np.array(
        [
            all(rating in FAMILIES[d.family].ratings for d in example.distortions)
            for example in tests
        ]
    )
    compared = affected & (given > 0)
    return {
        f"{rating}_accuracy": _mean(correct == given),
        f"chance_{rating}_accuracy": _mean(correct == _most_common(correct)),
        f"{rating}_srcc": _srcc(-given[compared], severity[compared]),
    }


def _parse(text: str) -> Answer | None:
    try:
        (answer,) = read_answers(text, None)
    except AnswerError:
        return None
    return answer


def _worst(answer: Answer | None) -> tuple[str, int]:
    """Family and severity of the most severe distortion, the first of equals."""
    if answer is None:
        return "", INVALID_SEVERITY
    if not answer.distortions:
        return NONE, 0
    worst = max(answer.distortions, key=lambda distortion: distortion.severity)
    return worst.family, worst.severity


def _is_family_correct(example: Example, answer: Answer | None) -> bool:
    correct = {distortion.family for distortion in example.distortions} or {NONE}
    return _worst(answer)[0] in correct


def _rating(answer: Answer | None, name: str) -> int:
    """1 (bad) to 5 (excellent), 0 for an invalid answer."""
    return 0 if answer is None else ITU_LEVELS.index(getattr(answer, name)) + 1


def _mean(values: np.ndarray) -> float:
    return float(np.mean(values)) if len(values) else math.nan


def _interval(hits: np.ndarray, groups: np.ndarray) -> tuple[float, float]:
    """The 95 % bootstrap interval of the mean of hits bool (n,); whole groups are resampled."""
    if not len(hits):
        return math.nan, math.nan
    names, index = np.unique(groups, return_inverse=True)
    sums, counts = np.bincount(index, hits), np.bincount(index)
    draws = np.random.default_rng(0).integers(0, len(names), (RESAMPLES, len(names)))
    low, high = np.quantile(sums[draws].sum(1) / counts[draws].sum(1), [0.025, 0.975])
    return float(low), float(high)


def _most_common(values: np.ndarray) -> Hashable:
    value: Hashable = Counter(values.tolist()).most_common(1)[0][0]
    return value


def _srcc(values: np.ndarray, severity: np.ndarray) -> float:
    return compute_metrics(values, severity).srcc if len(severity) > 1 else math.nan
