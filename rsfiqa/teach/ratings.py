"""Ratings that follow from the distortions of a region, by the registry of families."""

from collections.abc import Iterable

from rsfiqa.captioners.vlm.answer import Distortion
from rsfiqa.vocabulary import EXCELLENT, FAMILIES, RATINGS


def ratings_of(distortions: Iterable[Distortion]) -> dict[str, int]:
    """Each of `RATINGS`, 1 (bad) to 5 (excellent).

    A rating is the lowest of those that the distortions lead to; without any it is excellent.
    """
    ratings = dict.fromkeys(RATINGS, EXCELLENT)
    for distortion in distortions:
        for rating, by_severity in FAMILIES[distortion.family].ratings.items():
            ratings[rating] = min(ratings[rating], by_severity[distortion.severity - 1])
    return ratings
