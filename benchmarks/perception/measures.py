"""Measures of agreement with what is known of a picture: numbers in, numbers out."""

from collections.abc import Iterable, Mapping, Sequence

import numpy as np
from scipy.stats import rankdata

from rsfiqa.captioners.sentence import NO_CAUSE
from rsfiqa.products.statements import FACTORS, Box, Statement, box_of
from rsfiqa.vocabulary import ITU_LEVELS

WHOLE, CENTER = "entire image", "center"  # positions that tell little about where
NONE = "none"  # stands for no distortion, beside the families


def auc(values: np.ndarray, present: np.ndarray) -> float:
    """Area under the ROC curve, in [0, 1]; ties count half, NaN if one class is empty.

    Args:
        values: float (N,), higher where something is expected to be present.
        present: bool (N,).
    """
    positive, negative = int(present.sum()), int((~present).sum())
    if not positive or not negative:
        return float("nan")
    ranks = rankdata(values)
    above = ranks[present].sum() - positive * (positive + 1) / 2
    return float(above / (positive * negative))


def auc_of(values: np.ndarray, present: np.ndarray, index: np.ndarray) -> float:
    """As `auc`, of the samples with these indices.

    Args:
        values: float (N,).
        present: bool (N,).
        index: int (M,).
    """
    return auc(values[index], present[index])


def weighted_severity(soft: np.ndarray, area: np.ndarray) -> np.ndarray:
    """Severity of each family in a part of an image: float (F,), in [0, 5].

    Args:
        soft: float (R, F), probability times severity of each region and family.
        area: float (R,), pixels of each region in that part; not all 0.
    """
    severity: np.ndarray = area @ soft / area.sum()
    return severity


def factor_severities(severity: np.ndarray, families: Sequence[str]) -> dict[str, float]:
    """The severity of each factor that people name: the largest of the families that it means.

    Args:
        severity: float (F,), of each family.
        families: names of the F families.
    """
    known = dict(zip(families, severity.tolist(), strict=True))
    return {
        factor: max(known.get(name, 0.0) for name in names) for factor, names in FACTORS.items()
    }


def stated_severities(statements: Iterable[Statement]) -> dict[str, int]:
    """The largest severity that people said of each factor, 0 to 5; 0 if it is not named."""
    said = dict.fromkeys(FACTORS, 0)
    for one in statements:
        said[one.factor] = max(said[one.factor], one.severity)
    return said


def local_boxes(statements: Sequence[Statement]) -> list[Box]:
    """The named parts of a photograph whose statements all say where; empty for any other.

    The center is left out: most subjects are there.
    """
    positions = {one.position for one in statements}
    if WHOLE in positions:
        return []
    return [box_of(position) for position in sorted(positions - {CENTER})]


def contains(boxes: Iterable[Box], point: Sequence[float]) -> bool:
    """Whether a point x, y, in fractions of width and height, lies in one of the boxes."""
    x, y = point
    return any(box.left <= x <= box.right and box.top <= y <= box.bottom for box in boxes)


def level_number(text: str) -> int:
    """The number of the ITU word of a region in its sentence, 1 (bad) to 5 (excellent).

    Args:
        text: ends in such as `Overall fair.`
    """
    return ITU_LEVELS.index(text.rpartition("Overall ")[2].removesuffix(".")) + 1


def falling_pairs(scores: np.ndarray) -> np.ndarray:
    """Whether the score falls from each severity to the next: bool (..., S - 1).

    Args:
        scores: float (..., S), by rising severity.
    """
    falls: np.ndarray = scores[..., 1:] < scores[..., :-1]
    return falls


def inside_fraction(labels: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """The fraction of each region that lies in a part of the image: float (R,).

    Args:
        labels: label map (H, W), 0..R-1.
        mask: bool (H, W).
    """
    inside = np.bincount(labels[mask], minlength=int(labels.max()) + 1)
    fraction: np.ndarray = inside / np.bincount(labels.ravel())
    return fraction


def is_unexplained(quality: float, named: Sequence[str], text: str, *, limit: float) -> bool:
    """Whether a picture of low quality gets no reason, nor that no single cause was found.

    Args:
        quality: of the picture, in [0, 1].
        named: families that its worst region names.
        text: of that region.
        limit: below which quality is low.
    """
    return quality < limit and not named and not says_no_cause(text)


def says_no_cause(text: str) -> bool:
    """Whether a text says that quality is low for no single cause."""
    return NO_CAUSE in text


def to_textbook(
    distortions: Iterable[tuple[str, int]], textbook: Mapping[str, str]
) -> list[tuple[str, int]]:
    """Distortions under other names, each name once with its largest severity, in their order.

    Args:
        distortions: family and severity.
        textbook: names by family; other families keep theirs.
    """
    renamed: dict[str, int] = {}
    for family, severity in distortions:
        name = textbook.get(family, family)
        renamed[name] = max(severity, renamed.get(name, 0))
    return list(renamed.items())
