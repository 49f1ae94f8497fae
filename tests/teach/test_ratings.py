import numpy as np
import pytest
import skimage
from scipy.stats import spearmanr
from skimage.metrics import structural_similarity

from rsfiqa.captioners.vlm.answer import Distortion
from rsfiqa.images.distort import DISTORTIONS, SEVERITIES
from rsfiqa.teach.ratings import TABLE, ratings_of
from rsfiqa.vocabulary import FAMILIES, RATINGS


def one(family: str, severity: int) -> Distortion:
    return Distortion(family=family, severity=severity)


@pytest.fixture(scope="module")
def similarities():
    """Mean SSIM over color channels and two photographs, by family and level."""
    photographs = [skimage.data.coffee()[60:252, 100:292], skimage.data.chelsea()[50:242, 60:252]]
    random = np.random.default_rng(0)
    return {
        (family, severity): np.mean(
            [
                structural_similarity(image, distorted(image, severity, random), channel_axis=2)
                for image in photographs
            ]
        )
        for family, distorted in DISTORTIONS.items()
        for severity in SEVERITIES
    }


def test_the_table_has_every_family_and_names_ratings():
    assert tuple(TABLE) == FAMILIES
    for by_rating in TABLE.values():
        assert by_rating.keys() <= set(RATINGS)
        assert len(by_rating) >= 2
        for ratings in by_rating.values():
            assert sorted(ratings, reverse=True) == list(ratings)
            assert all(1 <= rating <= 5 for rating in ratings)


def test_overall_falls_with_the_structural_similarity(similarities):
    keys = list(similarities)
    overall = [TABLE[family]["overall"][severity - 1] for family, severity in keys]
    found = [similarities[key] for key in keys]
    assert spearmanr(overall, found).statistic > 0.8
    by_rating = [
        np.median([s for s, o in zip(found, overall, strict=True) if o == r]) for r in (1, 2, 3, 4)
    ]
    assert sorted(by_rating) == by_rating


@pytest.mark.parametrize("family", TABLE)
def test_similarity_falls_with_the_level(similarities, family):
    found = [similarities[family, severity] for severity in SEVERITIES]
    assert sorted(found, reverse=True) == found


def test_nothing_wrong():
    assert ratings_of([]) == dict.fromkeys(RATINGS, 5)


def test_the_worst_of_two_counts():
    found = ratings_of([one("blur", 1), one("compression", 4), one("saturation_low", 5)])
    assert found == {"color": 1, "noise": 5, "artifact": 2, "blur": 3, "overall": 2}
