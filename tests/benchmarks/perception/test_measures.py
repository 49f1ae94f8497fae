import numpy as np
import pytest

from benchmarks.perception import measures
from rsfiqa.products.statements import Box, Statement


def test_auc_counts_pairs_and_half_of_ties():
    values, present = np.array([3.0, 1.0, 1.0, 0.0]), np.array([True, True, False, False])
    # 3 > 1, 3 > 0, 1 = 1, 1 > 0: 3.5 of 4
    assert measures.auc(values, present) == 3.5 / 4


@pytest.mark.parametrize("present", [[True, True], [False, False]])
def test_auc_of_one_class_is_undefined(present):
    assert np.isnan(measures.auc(np.array([1.0, 2.0]), np.array(present)))


def test_severity_is_weighted_by_area():
    soft = np.array([[4.0, 0.0], [0.0, 2.0]])
    np.testing.assert_allclose(measures.weighted_severity(soft, np.array([1, 3])), [1.0, 1.5])


def test_a_factor_takes_the_largest_of_its_families():
    families = ("defocus", "noise", "compression", "haze")
    found = measures.factor_severities(np.array([1.0, 0.5, 2.0, 5.0]), families)
    assert found == {
        "defocus": 1.0,
        "motion_blur": 0.0,
        "noise_or_artifact": 2.0,
        "underexposure": 0.0,
        "overexposure": 0.0,
    }


def test_the_largest_severity_said_counts():
    said = [
        Statement("defocus", 1, "left"),
        Statement("defocus", 5, "center"),
        Statement("overexposure", 3, "entire image"),
    ]
    found = measures.stated_severities(said)
    assert (found["defocus"], found["overexposure"], found["motion_blur"]) == (5, 3, 0)


@pytest.mark.parametrize(
    ("positions", "boxes"),
    [
        ([], []),
        (["center"], []),
        (["left", "entire image"], []),
        (["center", "left"], [Box(0.0, 0.0, 1 / 3, 1.0)]),
        (["bottom right", "bottom right"], [Box(2 / 3, 2 / 3, 1.0, 1.0)]),
    ],
)
def test_only_statements_that_say_where_have_boxes(positions, boxes):
    said = [Statement("defocus", 3, position) for position in positions]
    assert measures.local_boxes(said) == boxes


def test_a_point_lies_in_one_of_the_boxes():
    boxes = [Box(0.0, 0.0, 0.5, 0.5), Box(0.75, 0.0, 1.0, 1.0)]
    assert measures.contains(boxes, (0.2, 0.5))
    assert measures.contains(boxes, (0.8, 0.9))
    assert not measures.contains(boxes, (0.2, 0.6))


def test_the_word_of_a_sentence_has_a_number():
    for number, word in enumerate(("bad", "poor", "fair", "good", "excellent"), start=1):
        assert measures.level_number(f"Overall a sky with noise. Overall {word}.") == number


def test_a_pair_falls_if_the_score_does():
    scores = np.array([[5.0, 4.0, 4.0, 3.0], [1.0, 2.0, 1.0, 0.0]])
    falls = [[True, False, True], [False, True, True]]
    np.testing.assert_array_equal(measures.falling_pairs(scores), falls)


def test_fraction_of_regions_inside():
    labels = np.array([[0, 0, 1], [0, 0, 2]])
    mask = np.array([[True, False, True], [False, False, True]])
    np.testing.assert_allclose(measures.inside_fraction(labels, mask), [0.25, 1.0, 1.0])


@pytest.mark.parametrize(
    ("quality", "named", "text", "expected"),
    [
        (0.3, (), "sky with no distortion. Overall good.", True),
        (0.3, ("noise",), "sky with strong noise. Overall poor.", False),
        (0.3, (), "sky: no single cause found. Overall poor.", False),
        (0.5, (), "sky with no distortion. Overall good.", False),
    ],
)
def test_a_low_score_needs_a_reason(quality, named, text, expected):
    assert measures.is_unexplained(quality, named, text, limit=0.45) is expected


def test_textbook_names_are_unique_with_the_largest_severity():
    found = measures.to_textbook(
        [("defocus", 2), ("noise", 1), ("motion_blur", 4)],
        {"defocus": "blur", "motion_blur": "blur"},
    )
    assert found == [("blur", 4), ("noise", 1)]
