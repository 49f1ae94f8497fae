"""The sentence that says why a picture has its score."""

from dataclasses import dataclass, field

import numpy as np
import pytest

from rsfiqa.score.reason import picture_reason, worst_of
from rsfiqa.vocabulary import FAMILIES, REALISTIC_FAMILIES, effect_of, family_words


@dataclass
class Part:
    """A region."""

    area: float
    cost: float
    distortions: list[tuple[str, int]] = field(default_factory=list)
    word: str = "good"
    quality: float = 0.7


def grid(*rows: str) -> np.ndarray:
    """A label map of 10 x 10 pixels for each digit."""
    cells = np.array([[int(cell) for cell in row] for row in rows], np.uint16)
    return np.kron(cells, np.ones((10, 10), np.uint16))


CENTER = grid("000", "010", "000")


@pytest.mark.parametrize(
    ("costs", "named", "level", "expected"),
    [
        ((0, 30), [[], [("motion_blur", 3)]], "fair", "blurred by movement, in the center"),
        ((9, 30), [[("noise", 4)]] * 2, "poor", "very noisy, mostly in the center"),
        ((9, 30), [[("noise", 4)]] * 2, "good", "noisy, mostly in the center"),
        ((9, 30), [[("noise", 2)]] * 2, "fair", "slightly noisy, mostly in the center"),
        ((9, 30), [[("noise", 2)]] * 2, "bad", "noisy, mostly in the center"),
        ((30, 4), [[("haze", 3)]] * 2, "fair", "hazy, all over"),
        ((9, 30), [[("watermark", 2)]] * 2, "good", "watermarked, mostly in the center"),
        ((9, 30), [[("black_and_white", 4)]] * 2, "poor", "in black and white"),
        ((20, 30), [[], []], "bad", "no single cause found; most is lost in the center"),
        ((20, 30), [[], []], "excellent", "no distortion"),
        ((-9, -3), [[("noise", 2)]] * 2, "excellent", "no distortion"),
        ((30, 11), [[], [("noise", 2)]], "good", "slightly noisy, in the center"),
        ((30, 9), [[("noise", 2)], []], "good", "slightly noisy, all over"),
        ((30, 9), [[], [("noise", 2)]], "good", "no distortion"),
        ((30, 9), [[], [("noise", 2)]], "poor", "no single cause found"),
    ],
)
def test_what_costs_most_and_where(costs, named, level, expected):
    parts = [Part(8 / 9, costs[0], named[0]), Part(1 / 9, costs[1], named[1])]
    assert picture_reason(parts, CENTER, level) == expected


@pytest.mark.parametrize(
    ("parts", "worst"),
    [
        ([Part(0.6, 30, quality=0.5), Part(0.4, 20, quality=0.3)], 1),
        ([Part(0.6, 30, quality=0.309), Part(0.4, 20, quality=0.3)], 0),  # as bad, and costs more
        ([Part(0.6, 30, quality=0.311), Part(0.4, 20, quality=0.3)], 1),
        ([Part(0.99, 30, quality=0.5), Part(0.01, 1, quality=0.1)], 0),  # the other is too small
        ([Part(0.01, 1, quality=0.5), Part(0.01, 1, quality=0.1)], 1),  # all are
        ([Part(0.9, 49, quality=0.5), Part(0.1, 0.99, quality=0.1)], 0),  # it costs too little
        ([Part(0.9, 49, quality=0.5), Part(0.1, 1, quality=0.1)], 1),
        ([Part(0.9, -4, quality=1.1), Part(0.1, -1, quality=1.05)], 1),  # none costs anything
    ],
)
def test_the_region_to_blame_is_the_costliest_of_the_worst(parts, worst):
    assert worst_of(parts) is parts[worst]


def test_a_good_picture_does_not_deny_that_a_region_is_worse():
    parts = [Part(8 / 9, 20, word="good"), Part(1 / 9, 9, word="fair", quality=0.5)]
    assert picture_reason(parts, CENTER, "good") == "no distortion that stands out"
    parts = [Part(0.99, 20, word="good"), Part(0.01, 1, word="fair", quality=0.5)]
    assert picture_reason(parts, CENTER, "good") == "no distortion"  # too small to be the worst
    parts = [Part(8 / 9, 30), Part(1 / 9, 9, [("noise", 2)], quality=0.65)]
    assert picture_reason(parts, CENTER, "good") == "no distortion that stands out"


@pytest.mark.parametrize(
    ("rows", "place"),
    [
        (("110", "000", "000"), "at the top"),
        (("111", "000", "000"), "at the top"),
        (("100", "100", "100"), "on the left"),
        (("000", "000", "001"), "at the bottom right"),
        (("010", "010", "010"), "in the center"),
        (("101", "000", "101"), "in several places"),
    ],
)
def test_places(rows, place):
    labels = grid(*rows)
    area = float((labels == 1).mean())
    parts = [Part(1 - area, 5), Part(area, 10, [("defocus", 3)])]
    assert picture_reason(parts, labels, "fair") == f"out of focus, {place}"


@pytest.mark.parametrize(
    ("middle", "last", "place"),
    [
        (16, 1, "in the lower half"),  # 9 of 17 in the last third, 8 in the middle one
        (14, 1, "mostly in the lower half"),  # 15 of 17
        (12, 1, "all over"),  # 13 of 17
    ],
)
def test_a_fault_of_half_the_picture(middle, last, place):
    """Of 17 points in rows 0 to 2, 3 and 4, and 5 of six."""
    labels = np.repeat(np.array([0, 0, 0, 1, 1, 2], np.uint16), 10)[:, None].repeat(60, axis=1)
    costs = (17 - middle - last, middle, last)
    parts = [
        Part(area / 6, cost, [("noise", 3)]) for area, cost in zip((3, 2, 1), costs, strict=True)
    ]
    assert picture_reason(parts, labels, "fair") == f"noisy, {place}"
    turned = {"lower": "right"}
    expected = " ".join(turned.get(word, word) for word in place.split())
    assert picture_reason(parts, labels.T, "fair") == f"noisy, {expected}"


def test_two_families_share_the_cost_of_a_region_by_severity():
    """12 points at severities 1 and 3: 3 for noise, 9 for blur; 5 more for noise elsewhere."""
    parts = [Part(0.5, 12, [("blur", 3), ("noise", 1)]), Part(0.5, 5, [("noise", 4)])]
    labels = grid("000", "000", "111")
    # noise: (3 x 1 + 5 x 4) / 8 = 2.9; by thirds from the top 6, 6 and 5 of 17 points
    assert picture_reason(parts, labels, "fair") == "blurred and noisy, all over"
    parts[1].distortions = [("haze", 3)]  # 9 for blur, 5 for haze, 3 for noise
    assert picture_reason(parts, labels, "fair").startswith("blurred and hazy, ")
    parts[1].cost = 4  # less than half of the first
    assert picture_reason(parts, labels, "fair").startswith("blurred, ")


def test_a_strip_of_one_pixel():
    labels = np.array([[0] * 20 + [1] * 10], np.uint16)
    parts = [Part(2 / 3, 1), Part(1 / 3, 9, [("noise", 3)])]
    assert picture_reason(parts, labels, "fair") == "noisy, on the right"
    assert picture_reason(parts, labels.T, "fair") == "noisy, at the bottom"
    parts[1].area = 1.0
    assert picture_reason(parts[1:], np.zeros((1, 1), np.uint16), "fair") == "noisy, all over"


def test_every_family_has_words():
    for family in {*FAMILIES, *REALISTIC_FAMILIES}:
        assert not effect_of(family).startswith(("affected", "too "))  # not "very too contrasty"
    assert effect_of("lens_flare") == f"affected by {family_words('lens_flare')}"
