"""Which distortions are reported for regions, by hand."""

import numpy as np
import pytest

from rsfiqa.captioners.reported import (
    GOOD_LOSS,
    GOOD_QUALITY,
    POOR_LOSS,
    POOR_QUALITY,
    in_black_and_white,
    reported_distortions,
)
from rsfiqa.vocabulary import RATINGS

NOISE = {"family": "noise", "severity": 2}
HAZE = {"family": "haze", "severity": 2}
ONE = np.ones(1)


def ratings(*losses: dict[str, float]) -> np.ndarray:
    """Ratings that lack this much of excellent, a row for each region."""
    return np.array([[5.0 - one.get(name, 0) for name in RATINGS] for one in losses])


@pytest.mark.parametrize(
    ("quality", "least"),
    [
        (0.1, POOR_LOSS),
        (POOR_QUALITY, POOR_LOSS),
        ((POOR_QUALITY + GOOD_QUALITY) / 2, (POOR_LOSS + GOOD_LOSS) / 2),
        (GOOD_QUALITY, GOOD_LOSS),
        (0.75, GOOD_LOSS),
    ],
)
def test_a_distortion_must_lower_its_rating_by_more_where_the_region_is_good(quality, least):
    for loss, expected in ((least - 0.01, []), (least + 0.01, [NOISE])):
        assert reported_distortions(
            [[NOISE]], ratings({"noise": loss}), np.array([quality]), ONE
        ) == [expected]


def test_another_rating_does_not_count():
    assert reported_distortions(
        [[NOISE]], ratings({"blur": 4, "color": 4}), np.array([0.1]), ONE
    ) == [[]]


def test_half_of_the_loss_of_the_image_counts():
    """By hand: (1.2 + .9 * 1.8 + .1 * 1.2) / 2 = 1.47; beside an intact rest .8 * 1.2 = .96."""
    quality, areas = np.array([0.7, 0.7]), np.array([90, 10])
    noisy = reported_distortions(
        [[], [NOISE]], ratings({"noise": 1.8}, {"noise": 1.2}), quality, areas
    )
    alone = reported_distortions([[], [NOISE]], ratings({}, {"noise": 1.2}), quality, areas)
    assert (noisy, alone) == ([[], [NOISE]], [[], []])


def test_a_distortion_of_one_small_region_is_reported_at_a_quarter_more_loss():
    quality, areas = np.array([0.7, 0.7]), np.array([95, 5])
    for loss, expected in ((1.24 * GOOD_LOSS, []), (1.26 * GOOD_LOSS, [HAZE])):
        found = reported_distortions([[], [HAZE]], ratings({}, {"color": loss}), quality, areas)
        assert found[1] == expected


def test_severities_fit_the_level_and_the_order_is_kept():
    named = [[{"family": "haze", "severity": 5}, NOISE]]
    lost = ratings({"noise": 4, "color": 4})
    for quality, severities in ((0.3, [5, 2]), (0.7, [2, 2]), (0.9, [])):
        (found,) = reported_distortions(named, lost, np.array([quality]), ONE)
        assert [one["severity"] for one in found] == severities


def test_a_watermark_is_reported_whatever_it_costs_but_not_in_an_excellent_region():
    mark = {"family": "watermark", "severity": 4}
    for quality, expected in ((0.1, [mark]), (0.7, [mark | {"severity": 2}]), (0.9, [])):
        assert reported_distortions([[mark, NOISE]], ratings({}), np.array([quality]), ONE) == [
            expected
        ]


def test_a_failed_caption_costs_the_others_nothing():
    """Beside an intact region as large, 1.7 would count as .8 * 1.7 = 1.36 and not be reported."""
    for loss in (1.7, 2):
        values = ratings({}, {"noise": loss})
        alone = reported_distortions([[NOISE]], values[1:], np.array([0.7]), ONE)
        values[0] = np.nan
        found = reported_distortions([[], [NOISE]], values, np.array([0.7, 0.7]), np.array([1, 1]))
        assert found == [[], *alone] == [[], [NOISE]]


def test_nothing_is_reported_where_all_captions_failed():
    values = np.full((2, len(RATINGS)), np.nan)
    assert reported_distortions([[], []], values, np.array([0.1, 0.7]), np.array([1, 1])) == [
        [],
        [],
    ]


def test_low_saturation_is_no_dullness_in_black_and_white():
    dull, grey = ({"family": name, "severity": 4} for name in ("saturation_low", "black_and_white"))
    assert in_black_and_white([NOISE, dull]) == [NOISE, grey]
    assert in_black_and_white([{"family": "saturation_high", "severity": 5}, NOISE]) == [NOISE]
