"""Numbers as text."""

import math

import pytest

from rsfiqa.report import formatting
from rsfiqa.report.tables import MedianInterval
from rsfiqa.scale import MosScale


@pytest.mark.parametrize(
    ("value", "digits", "text"),
    [
        (0.8765, 3, "0.876"),
        (-0.5, 2, "\N{MINUS SIGN}0.50"),
        (-0.0004, 3, "0.000"),
        (-0.0006, 3, "\N{MINUS SIGN}0.001"),
        (12.5, 0, "12"),
        (math.nan, 3, "\N{EN DASH}"),
        (None, 3, "\N{EN DASH}"),
    ],
)
def test_a_number(value, digits, text):
    assert formatting.number(value, digits) == text


def test_the_word_of_a_score():
    scale = MosScale(0, 100, lower_better=True)
    assert [formatting.level(score, scale) for score in (-5.0, 50.0, 95.0, math.nan)] == [
        "excellent",
        "fair",
        "bad",
        "\N{EN DASH}",
    ]


@pytest.mark.parametrize(
    ("value", "text"), [(0.0126, "+0.013"), (0.0001, "0.000"), (-0.0001, "0.000"), (None, "–")]
)
def test_a_signed_number_has_the_sign_that_is_shown(value, text):
    assert formatting.signed(value) == text


def test_an_interval():
    assert formatting.interval(MedianInterval(0, -0.25, 0.5, 2), 2) == "[\N{MINUS SIGN}0.25, 0.50]"
    assert formatting.interval(MedianInterval(0.5, 0.5, 0.5, 1)) == ""
    assert formatting.number_range((4, 4)) == "4"
    assert formatting.number_range((4, 6)) == "4\N{EN DASH}6"
