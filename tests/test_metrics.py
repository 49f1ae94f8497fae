import math

import numpy as np
import pytest
from scipy import optimize, stats

from rsfiqa.metrics import (
    calibration,
    compute_metrics,
    corrected_error,
    fit_logistic4,
    holm,
    logistic4,
    median_interval,
    paired_test,
)


@pytest.fixture
def pair():
    """Predictions and scores that agree in part."""
    random = np.random.default_rng(0)
    scores = random.uniform(1, 5, 200)
    return scores + random.normal(0, 1, 200), scores


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_a_prediction_that_is_no_number(pair, value):
    predicted, scores = pair
    predicted[3] = value
    found = compute_metrics(predicted, scores)
    assert found.n == 200
    for name in ("srcc", "krcc", "plcc_raw", "plcc", "rmse"):
        assert np.isnan(getattr(found, name))


def test_against_scipy(pair):
    found = compute_metrics(*pair)
    assert found.srcc == pytest.approx(stats.spearmanr(*pair).statistic)
    assert found.krcc == pytest.approx(stats.kendalltau(*pair).statistic)
    assert found.plcc_raw == pytest.approx(stats.pearsonr(*pair).statistic)
    assert found.n == 200
    # another fitter, from another start, by the function as it is usually written
    curve, _ = optimize.curve_fit(
        lambda x, a, b, c, d: b + (a - b) / (1 + np.exp(-(x - c) / abs(d))), *pair, (5, 1, 3, 2)
    )
    a, b, c, d = curve
    fitted = b + (a - b) / (1 + np.exp(-(pair[0] - c) / abs(d)))
    assert found.plcc == pytest.approx(np.corrcoef(fitted, pair[1])[0, 1], abs=1e-5)
    assert found.rmse == pytest.approx(np.sqrt(np.mean((fitted - pair[1]) ** 2)), abs=1e-5)
    assert found.plcc > found.plcc_raw


def test_ties_by_hand():
    # ranks 1, 2.5, 2.5, 4 and 1, 2, 3, 4: covariance 4.5, variances 4.5 and 5
    found = compute_metrics([1, 2, 2, 4], [1, 2, 3, 4])
    assert found.srcc == pytest.approx(4.5 / np.sqrt(4.5 * 5))
    assert found.krcc == pytest.approx(5 / np.sqrt(5 * 6))  # 5 concordant pairs, one tied


def test_the_logistic_by_hand():
    found = logistic4(np.array([-np.inf, 2, 2 + np.log(3), np.inf]), 5, 1, 2, 1)
    np.testing.assert_allclose(found, [1, 3, 4, 5])


@pytest.mark.parametrize("sign", [1, -1])
def test_known_parameters_are_recovered(sign):
    x = np.linspace(-3, 3, 200)
    scores = 2 + 70 / (1 + np.exp(-sign * (x - 0.5) / 0.8))
    found = fit_logistic4(x, scores)
    np.testing.assert_allclose(logistic4(x, *found), scores, atol=1e-4)
    assert sorted(found[:2]) == pytest.approx([2, 72], abs=1e-2)
    assert found[2] == pytest.approx(0.5, abs=1e-3)
    assert abs(found[3]) == pytest.approx(0.8, abs=1e-3)


def test_a_monotonic_relation_is_made_straight():
    x = np.linspace(-3, 3, 50)
    found = compute_metrics(x, np.tanh(x))  # tanh is a logistic
    assert found.plcc_raw < 0.97
    assert found.plcc == pytest.approx(1)
    assert found.rmse == pytest.approx(0, abs=1e-4)
    assert [found.srcc, found.krcc] == pytest.approx([1, 1])


def test_a_decreasing_relation(pair):
    rising, falling = compute_metrics(*pair), compute_metrics(-pair[0], pair[1])
    assert falling.srcc == pytest.approx(-rising.srcc)
    assert falling.plcc == pytest.approx(rising.plcc, abs=1e-3)


def test_units_do_not_matter_but_for_rmse(pair):
    once, scaled = compute_metrics(*pair), compute_metrics(1000 * pair[0] - 7, 25 * pair[1])
    assert scaled.srcc == pytest.approx(once.srcc)
    assert scaled.plcc == pytest.approx(once.plcc, abs=1e-4)
    assert scaled.rmse == pytest.approx(25 * once.rmse, rel=1e-3)


def test_a_constant_prediction():
    found = compute_metrics(np.full(4, 0.3), [1, 2, 3, 4])
    assert np.isnan([found.srcc, found.krcc, found.plcc_raw, found.plcc]).all()
    assert found.rmse == pytest.approx(np.sqrt(1.25))  # the mean is all that can be said


def test_constant_scores():
    found = compute_metrics([1, 2, 3, 4], np.full(4, 0.3))
    assert np.isnan([found.srcc, found.krcc, found.plcc_raw]).all()
    assert found.rmse == pytest.approx(0, abs=1e-6)


@pytest.mark.parametrize("number", [1, 2, 3])
def test_few_images_do_not_crash(number):
    found = compute_metrics(np.arange(number), np.arange(number) ** 2)
    assert found.n == number
    assert np.isfinite(found.rmse)


def test_the_interval_contains_the_median_and_is_the_same_twice():
    values = np.random.default_rng(0).normal(0.8, 0.02, 10)
    median, low, high = found = median_interval(values)
    assert median == np.median(values)
    assert values.min() <= low < median < high <= values.max()
    assert median_interval(values) == found
    assert median_interval(values[::-1])[0] == median


def test_a_wider_level_is_a_wider_interval():
    values = np.arange(20.0)
    _, low, high = median_interval(values, level=0.5)
    _, lower, higher = median_interval(values, level=0.99)
    assert lower < low < high < higher


def test_the_interval_of_three_values_by_hand():
    # the median of 3 draws from 3 is the lowest with chance 7/27, the highest likewise
    assert median_interval([1, 2, 3], level=0.4) == (2, 2, 2)
    assert median_interval([1, 2, 3], level=0.6) == (2, 1, 3)


def test_the_interval_is_that_of_resampled_medians():
    values = np.random.default_rng(1).normal(0.8, 0.02, 10)
    draws = np.random.default_rng(0).integers(0, 10, (10_000, 10))
    expected = np.quantile(np.median(values[draws], axis=1), [0.025, 0.975])
    assert median_interval(values)[1:] == pytest.approx(expected, abs=1e-12)


def test_a_missing_value_has_no_interval():
    assert np.isnan(median_interval([0.5, math.nan, 0.25])).all()


@pytest.mark.parametrize("values", [[0.5], [0.5, 0.5, 0.5]])
def test_a_degenerate_interval(values):
    assert median_interval(values) == (0.5, 0.5, 0.5)


def test_the_corrected_test_by_hand():
    # mean 0.02, variance 1e-4, (1/3 + 0.2/0.8) of it: t = 2.619 with 2 degrees of freedom, of
    # which p = 1 - t / sqrt(2 + t^2)
    assert paired_test([0.01, 0.02, 0.03], 0.2) == pytest.approx(0.1201, abs=1e-4)


def test_the_test_without_overlap_is_students():
    differences = np.random.default_rng(0).normal(0.3, 1, 20)
    expected = stats.ttest_1samp(differences, 0).pvalue
    assert paired_test(differences, 1e-12) == pytest.approx(expected)
    assert paired_test(-differences, 1e-12) == pytest.approx(expected)
    assert paired_test(differences, 0.2) > expected


@pytest.mark.parametrize(("differences", "p"), [([0, 0, 0], 1), ([1, 1], 0), ([0.5], math.nan)])
def test_differences_that_do_not_vary(differences, p):
    assert paired_test(differences, 0.2) == pytest.approx(p, nan_ok=True)


def test_bins_of_like_prediction_by_hand():
    found = calibration(
        np.array([4.0, 1, 3, 2]), np.array([40.0, 10, 36, 16]), bins=2, min_images=1
    )
    assert found.predicted.tolist() == [1.5, 3.5]
    assert found.scores.tolist() == [13, 38]
    # the standard deviation of 10 and 16 is 3 * sqrt(2), that of two values' mean 3
    np.testing.assert_allclose(found.error, [3, 2])
    assert found.count.tolist() == [2, 2]


@pytest.mark.parametrize(("images", "bins"), [(1, 1), (9, 1), (10, 2), (24, 4), (1000, 10)])
def test_a_bin_has_five_images_if_there_are_as_many(images, bins):
    values = np.arange(float(images))
    found = calibration(values, values)
    assert len(found.count) == bins
    assert found.count.sum() == images
    assert np.ptp(found.count) <= 1
    np.testing.assert_allclose(found.predicted, found.scores)
    assert np.isnan(found.error).all() == (images == 1)


def test_holm_by_hand():
    # 4 x .01; max(.04, 3 x .02); max(.06, 2 x .03); max(.06, .5)
    assert holm([0.5, 0.01, 0.03, 0.02]).tolist() == pytest.approx([0.5, 0.04, 0.06, 0.06])
    assert holm([0.6, 0.7]).tolist() == [1.0, 1.0]


def test_the_error_of_overlapping_splits_by_hand():
    # variance 1e-4, 1 / 3 + 1 / 4
    assert corrected_error([0.01, 0.02, 0.03], 0.2) == pytest.approx(0.01 * math.sqrt(7 / 12))
    assert math.isnan(corrected_error([0.1], 0.2))
