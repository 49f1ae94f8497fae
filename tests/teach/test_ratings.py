import numpy as np
import pytest
import skimage
from scipy.stats import spearmanr
from skimage.metrics import structural_similarity

from rsfiqa.captioners.vlm.answer import Distortion
from rsfiqa.images.distort import distort
from rsfiqa.teach.ratings import ratings_of
from rsfiqa.vocabulary import FAMILIES, RATINGS, SEVERITIES


def one(family: str, severity: int) -> Distortion:
    return Distortion(family=family, severity=severity)


@pytest.fixture(scope="module")
def similarities():
    """Mean SSIM over color channels and two photographs, by family and severity."""
    photographs = [skimage.data.coffee()[60:252, 100:292], skimage.data.chelsea()[50:242, 60:252]]
    random = np.random.default_rng(0)
    return {
        (family, severity): np.mean(
            [
                structural_similarity(
                    image, distort(image, family, severity, random), channel_axis=2
                )
                for image in photographs
            ]
        )
        for family in FAMILIES
        for severity in SEVERITIES
    }


def test_ratings_of_a_family_fall_with_severity():
    for family in FAMILIES.values():
        assert family.ratings.keys() <= set(RATINGS)
        assert len(family.ratings) >= 2
        for ratings in family.ratings.values():
            assert sorted(ratings, reverse=True) == list(ratings)
            assert all(1 <= rating <= 5 for rating in ratings)


def test_overall_falls_with_the_structural_similarity(similarities):
    keys = list(similarities)
    overall = [FAMILIES[family].overall[severity - 1] for family, severity in keys]
    values = [similarities[key] for key in keys]
    assert spearmanr(overall, values).statistic > 0.8
    by_rating = [
        np.median([s for s, o in zip(values, overall, strict=True) if o == r]) for r in (1, 2, 3, 4)
    ]
    assert sorted(by_rating) == by_rating


@pytest.mark.parametrize("family", FAMILIES)
def test_similarity_falls_with_severity(similarities, family):
    values = [similarities[family, severity] for severity in SEVERITIES]
    assert sorted(values, reverse=True) == values


def test_without_distortions_all_ratings_are_excellent():
    assert ratings_of([]) == dict.fromkeys(RATINGS, 5)


def test_each_rating_is_the_lowest_of_all_distortions():
    ratings = ratings_of([one("blur", 1), one("compression", 4), one("saturation_low", 5)])
    assert ratings == {"color": 1, "noise": 5, "artifact": 2, "blur": 3, "overall": 2}
