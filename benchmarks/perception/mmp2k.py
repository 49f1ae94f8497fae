"""MMP-2k: whether what is said to be wrong, how much and where, is what people said.

The set is used for evaluation only: nothing is trained, tuned or thresholded on it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np

from benchmarks.perception import measures
from benchmarks.perception.assess import Assessment, region_inputs, summarize
from benchmarks.perception.intervals import figure, mean_figure, mean_of
from benchmarks.perception.models import Models
from benchmarks.perception.photographs import Bench
from rsfiqa.metrics import srcc
from rsfiqa.products.statements import FACTORS, Statement
from rsfiqa.score.sources import load_source
from rsfiqa.vocabulary import REALISTIC_FAMILIES


@dataclass(frozen=True, eq=False)
class PhotographAssessment:
    """Severities and score of a photograph.

    Attributes:
        severity: soft severity of each of `REALISTIC_FAMILIES`, weighted by area, float (F,).
        assessment: by the scorer.
    """

    severity: np.ndarray
    assessment: Assessment


def assess_photograph(models: Models, path: Path) -> PhotographAssessment:
    """Soft severities and score of a photograph."""
    image = load_source(path)
    score = models.scorer.score_loaded(image)
    pixels, labels = region_inputs(models.scorer, image, score)
    soft = models.soft_severities(pixels, labels)
    severity = measures.weighted_severity(soft, np.bincount(labels.ravel(), minlength=len(soft)))
    return PhotographAssessment(severity, summarize(models.scorer, score))


def measure(bench: Bench) -> dict[str, float]:
    """All figures of MMP-2k."""
    rows = bench.take(bench.rows("mmp2k"))
    said = bench.statements()
    found = bench.processes.map(assess_photograph, [Path(row["path"]) for row in rows], "mmp2k")
    stated = [said.get(row["image_id"], []) for row in rows]
    assessments = [one.assessment for one in found]
    mos = np.array([row["mos"] for row in rows], np.float64)
    return factors(found, stated) | places(assessments, stated) | opinions(assessments, mos)


def factors(
    found: Sequence[PhotographAssessment], stated: Sequence[Sequence[Statement]]
) -> dict[str, float]:
    """Severity against the presence and the stated severity of each factor, and their means."""
    seen = [measures.factor_severities(one.severity, tuple(REALISTIC_FAMILIES)) for one in found]
    said = [measures.stated_severities(statements) for statements in stated]
    aucs, correlations = {}, {}
    for factor in FACTORS:
        ours = np.array([one[factor] for one in seen])
        theirs = np.array([one[factor] for one in said])
        aucs[factor] = partial(measures.auc_of, ours, theirs > 0)
        correlations[factor] = partial(_srcc, ours, theirs)
    photographs = range(len(found))
    figures: dict[str, float] = {}
    for name, statistics in (
        ("mmp2k_factor_auc", aucs),
        ("mmp2k_severity_srcc", correlations),
    ):
        figures |= figure(name, mean_of(statistics), photographs)
        for factor, statistic in statistics.items():
            figures |= figure(f"{name}_{factor}", statistic, photographs)
    return figures


def places(
    assessments: Sequence[Assessment], stated: Sequence[Sequence[Statement]]
) -> dict[str, float]:
    """How often the center of the worst region lies in a named part; of other regions as well."""
    worst, chance, largest = [], [], []
    for assessment, statements in zip(assessments, stated, strict=True):
        if boxes := measures.local_boxes(statements):
            hits = [measures.contains(boxes, center) for center in assessment.center]
            worst.append(hits[assessment.worst])
            chance.append(float(np.mean(hits)))
            largest.append(hits[0])  # regions are sorted by area
    return (
        mean_figure("mmp2k_place_hit", worst)
        | mean_figure("mmp2k_place_random", chance)
        | mean_figure("mmp2k_place_largest", largest)
    )


def opinions(assessments: Sequence[Assessment], mos: np.ndarray) -> dict[str, float]:
    """Rank correlations of overall ratings, score and MOS (N,)."""
    scores, worst, weighted = (
        np.array([getattr(one, name) for one in assessments])
        for name in ("quality", "worst_overall", "weighted_overall")
    )
    photographs = range(len(mos))
    return (
        figure("mmp2k_overall_srcc", partial(_srcc, weighted, mos), photographs)
        | figure("mmp2k_score_srcc", partial(_srcc, scores, mos), photographs)
        | figure("mmp2k_worst_overall_score_srcc", partial(_srcc, worst, scores), photographs)
    )


def _srcc(first: np.ndarray, second: np.ndarray, index: np.ndarray) -> float:
    return srcc(first[index], second[index])
