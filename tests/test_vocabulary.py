import numpy as np
import pytest

from rsfiqa.registry import resolve
from rsfiqa.vocabulary import (
    FAMILIES,
    IMAGING_STEPS,
    RATINGS,
    REALISTIC_FAMILIES,
    Family,
    are_opposite,
    augmentation_families,
    family_words,
    imaging_order,
    rating_at,
    severity_of,
)

# The published table: rating, overall at severities 1 to 5, side effects.
TABLE = {
    "noise": {"noise": (4, 3, 3, 2, 1), "overall": (4, 3, 2, 2, 1)},
    "blur": {"blur": (4, 3, 3, 2, 1), "overall": (4, 3, 2, 2, 1)},
    "compression": {
        "artifact": (4, 3, 3, 2, 1),
        "blur": (5, 4, 4, 3, 3),
        "overall": (4, 3, 3, 2, 1),
    },
    "overexposure": {"color": (4, 3, 3, 2, 1), "overall": (4, 4, 3, 2, 1)},
    "underexposure": {"color": (4, 3, 3, 2, 1), "overall": (4, 3, 3, 2, 1)},
    "contrast_high": {"color": (4, 3, 3, 2, 1), "overall": (4, 3, 3, 2, 2)},
    "contrast_low": {"color": (4, 3, 3, 2, 1), "overall": (4, 3, 3, 2, 1)},
    "saturation_high": {"color": (4, 3, 3, 2, 1), "overall": (4, 4, 3, 3, 2)},
    "saturation_low": {"color": (4, 3, 3, 2, 1), "overall": (4, 4, 4, 3, 3)},
    "oversharpening": {
        "artifact": (4, 3, 3, 2, 1),
        "noise": (5, 4, 4, 3, 3),
        "overall": (4, 3, 3, 2, 2),
    },
    "pixelation": {
        "artifact": (4, 3, 3, 2, 1),
        "blur": (4, 4, 3, 3, 2),
        "overall": (3, 2, 2, 1, 1),
    },
    "quantization": {
        "artifact": (4, 3, 3, 2, 1),
        "color": (5, 4, 4, 3, 2),
        "overall": (4, 4, 3, 2, 2),
    },
}
FACTS = {"rating": "noise", "overall": (4, 3, 2, 2, 1), "step": "sensor", "variants": ("a:b",)}


def test_families_have_the_published_ratings_in_the_published_order():
    assert [(name, family.ratings) for name, family in FAMILIES.items()] == list(TABLE.items())


def test_augmentation_draws_from_these_in_this_order():
    names = ("noise", "blur", "compression", "underexposure", "saturation_low")
    assert augmentation_families() == names


def test_combined_distortions_follow_the_physics_of_a_camera():
    assert imaging_order() == (
        *("overexposure", "underexposure", "contrast_high", "contrast_low"),
        *("saturation_high", "saturation_low", "blur", "noise", "oversharpening"),
        *("pixelation", "quantization", "compression"),
    )


def test_opposites_are_mutual():
    pairs = {frozenset((a, b)) for a in FAMILIES for b in FAMILIES if are_opposite(a, b)}
    assert pairs == {
        frozenset(pair)
        for pair in (
            ("overexposure", "underexposure"),
            ("contrast_high", "contrast_low"),
            ("saturation_high", "saturation_low"),
            ("blur", "oversharpening"),
        )
    }


@pytest.mark.parametrize("family", FAMILIES)
def test_every_variant_is_a_function(family):
    assert all(callable(resolve(target)) for target in FAMILIES[family].variants)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"rating": "haze"}, f"rating must be one of {', '.join(RATINGS)}, found 'haze'"),
        ({"overall": (4, 3)}, r"overall: one rating for each of 5 severities is needed, found \(4"),
        ({"side_effects": {"blur": ()}}, "blur: one rating for each of 5 severities is needed"),
        ({"variants": ()}, "variants must name a distortion function, found none"),
    ],
)
def test_incomplete_families_are_refused(changes, message):
    with pytest.raises(ValueError, match=message):
        Family(**FACTS | changes)


def test_realistic_families():
    assert tuple(REALISTIC_FAMILIES) == (
        *("defocus", "motion_blur", "noise", "compression", "haze", "overexposure"),
        *("underexposure", "color_cast", "low_resolution", "oversharpening"),
        *("contrast_high", "contrast_low", "saturation_high", "saturation_low", "banding"),
        "watermark",
    )


@pytest.mark.parametrize("name", REALISTIC_FAMILIES)
def test_realistic_families_are_complete_and_their_functions_differ_in_name(name):
    family = REALISTIC_FAMILIES[name]
    assert family.rating in RATINGS
    assert family.step in IMAGING_STEPS
    assert set(family.opposites) <= set(REALISTIC_FAMILIES)
    assert all(callable(resolve(target)) for target in family.variants)
    every = [target for one in REALISTIC_FAMILIES.values() for target in one.variants]
    assert len({target.partition(":")[2] for target in every}) == len(every)


def test_a_name_in_both_sets_of_families_is_rated_alike():
    for name in set(FAMILIES) & set(REALISTIC_FAMILIES):
        assert FAMILIES[name].rating == REALISTIC_FAMILIES[name].rating


# What is said of a family after faint, slight, clear, strong or extreme, and alone.
WORDS = {
    "blur": "blur",
    "color_cast": "color cast",
    "compression": "compression artifacts",
    "contrast_high": "excess contrast",
    "contrast_low": "loss of contrast",
    "defocus": "defocus blur",
    "haze": "haze",
    "low_resolution": "loss of resolution",
    "motion_blur": "motion blur",
    "noise": "noise",
    "overexposure": "overexposure",
    "oversharpening": "oversharpening",
    "pixelation": "pixelation",
    "quantization": "banding",
    "saturation_high": "oversaturation",
    "saturation_low": "desaturation",
    "underexposure": "underexposure",
    "watermark": "watermark",
}


def test_words_of_families():
    families = {*FAMILIES, *REALISTIC_FAMILIES} - {"banding"}
    assert {family: family_words(family) for family in families} == WORDS
    assert family_words("banding") == "banding"
    assert family_words("lens_flare") == "lens flare"


def test_a_rating_loses_four_fifths_of_the_severity():
    assert [rating_at(severity) for severity in range(6)] == pytest.approx(
        [5, 4.2, 3.4, 2.6, 1.8, 1]
    )
    np.testing.assert_array_equal(rating_at(np.array([0.0, 2.5])), [5, 3])
    assert [severity_of(rating_at(severity)) for severity in (0, 1, 5)] == pytest.approx([0, 1, 5])
