import math

import numpy as np
import pytest

from rsfiqa.scale import MosScale, itu_level, itu_rating
from tests.support.imports import imported_by

FIVE = MosScale(1, 5)
DMOS = MosScale(-3, 112, lower_better=True)


@pytest.mark.parametrize(
    ("scale", "mos", "quality"),
    [
        (FIVE, 1, 0),
        (FIVE, 2, 0.25),
        (FIVE, 3, 0.5),
        (FIVE, 5, 1),
        (DMOS, -3, 1),
        (DMOS, 20, 0.8),
        (DMOS, 54.5, 0.5),
        (DMOS, 112, 0),
        (MosScale(), 0.7, 0.7),
        (MosScale(0, 100), 65, 0.65),
        (MosScale(0, 100, lower_better=True), 65, 0.35),
    ],
)
def test_scores_and_qualities_computed_by_hand(scale, mos, quality):
    assert scale.to_quality(mos) == pytest.approx(quality, abs=1e-12)
    assert scale.to_mos(quality) == pytest.approx(mos, abs=1e-12)


def test_arrays():
    mos = np.array([1, 2, 4.5])
    np.testing.assert_allclose(FIVE.to_quality(mos), [0, 0.25, 0.875], atol=1e-12)
    falling = MosScale(1, 5, lower_better=True)
    np.testing.assert_allclose(falling.to_quality(mos), [1, 0.75, 0.125], atol=1e-12)
    np.testing.assert_allclose(falling.to_mos(np.array([1, 0.75, 0.125])), mos, atol=1e-12)


@pytest.mark.parametrize("scale", [FIVE, DMOS, MosScale()])
def test_converting_there_and_back_changes_nothing(scale):
    quality = np.linspace(-0.5, 1.5, 41)  # predictions may lie outside [0, 1]
    np.testing.assert_allclose(scale.to_quality(scale.to_mos(quality)), quality, atol=1e-12)


def test_predictions_outside_the_scale_are_not_clipped():
    assert FIVE.to_mos(1.25) == pytest.approx(6)
    assert DMOS.to_mos(1.1) == pytest.approx(-14.5)


def test_span_and_worst_score():
    assert (FIVE.span, FIVE.worst, FIVE.best) == (4, 1, 5)
    assert (DMOS.span, DMOS.worst, DMOS.best) == (-115, 112, -3)


@pytest.mark.parametrize(
    ("scale", "mos", "shortfall"),
    [(FIVE, 1.5, 3.5), (FIVE, 5, 0), (FIVE, 5.5, -0.5), (DMOS, 10, 13), (DMOS, -5, -2)],
)
def test_what_a_score_falls_short_of_the_best_end(scale, mos, shortfall):
    """In either direction, and not clipped."""
    assert scale.shortfall(mos) == shortfall
    np.testing.assert_array_equal(scale.shortfall(np.array([mos])), [shortfall])


def test_bounds_belong_to_the_scale():
    assert 1 in FIVE
    assert 5 in FIVE
    assert 0.999 not in FIVE
    assert 5.001 not in FIVE
    assert -2.64 in DMOS


def test_an_unknown_score_is_not_on_any_scale():
    unknown = float("nan")
    assert unknown not in DMOS


def test_words_for_range_and_direction():
    assert (FIVE.direction, str(FIVE)) == ("higher", "1 to 5, higher is better")
    assert (DMOS.direction, str(DMOS)) == ("lower", "-3 to 112, lower is better")


@pytest.mark.parametrize(
    ("quality", "word"),
    [
        (-0.3, "bad"),
        (0, "bad"),
        (0.199, "bad"),
        (0.2, "poor"),
        (0.399, "poor"),
        (0.4, "fair"),
        (0.6, "good"),
        (0.799, "good"),
        (0.8, "excellent"),
        (1, "excellent"),
        (1.7, "excellent"),
        (math.inf, "excellent"),
        (-math.inf, "bad"),
    ],
)
def test_words_of_the_five_step_scale(quality, word):
    assert itu_level(quality) == word


def test_a_score_beyond_an_end_is_clipped_to_it():
    assert [DMOS.clip(mos) for mos in (-7.5, -3, 50, 112, 113)] == [-3, -3, 50, 112, 112]
    assert math.isnan(DMOS.clip(math.nan))


@pytest.mark.parametrize(("quality", "rating"), [(-1, 1), (0, 1), (0.3, 2.2), (1, 5), (1.2, 5)])
def test_a_quality_as_a_rating(quality, rating):
    assert itu_rating(quality) == pytest.approx(rating)


def test_it_is_imported_without_numpy():
    assert imported_by("rsfiqa.scale").isdisjoint({"numpy", "torch"})
