import numpy as np
import pytest

from benchmarks.perception.intervals import figure, mean_figure, mean_of


def test_a_figure_has_a_value_a_count_and_an_interval():
    found = mean_figure("hit", [1.0, 0.0, 1.0, 1.0])
    assert (found["hit"], found["hit_n"]) == (0.75, 4)
    assert 0.0 <= found["hit_low"] < 0.75 < found["hit_high"] <= 1.0
    assert found == mean_figure("hit", [1.0, 0.0, 1.0, 1.0])  # the same on each call


def test_the_interval_of_a_mean_is_that_of_the_binomial():
    found = mean_figure("hit", np.arange(400) % 2, None)
    half = 1.96 * np.sqrt(0.25 / 400)
    assert found["hit_low"] == pytest.approx(0.5 - half, abs=0.01)
    assert found["hit_high"] == pytest.approx(0.5 + half, abs=0.01)


def test_samples_of_one_photograph_are_resampled_together():
    values = [1.0] * 10 + [0.0] * 10
    alone = mean_figure("hit", values)
    together = mean_figure("hit", values, ["a"] * 10 + ["b"] * 10)
    assert (together["hit_low"], together["hit_high"]) == (0.0, 1.0)
    assert alone["hit_low"] > 0.2


def test_without_samples_there_is_only_a_count():
    assert mean_figure("hit", []) == {"hit_n": 0}


def test_an_undefined_figure_is_left_out():
    assert figure("srcc", lambda _: float("nan"), [0, 1, 2]) == {"srcc_n": 3}


def test_resamples_without_a_value_are_left_out():
    present = np.array([True, False, False, False])
    found = figure("first", lambda i: 1.0 if present[i].any() else float("nan"), range(4))
    assert (found["first_low"], found["first_high"]) == (1.0, 1.0)


def test_the_mean_leaves_out_what_is_undefined():
    mean = mean_of({"a": lambda _: 1.0, "b": lambda _: float("nan"), "c": lambda _: 3.0})
    assert mean(np.arange(2)) == 2.0
    assert np.isnan(mean_of({"b": lambda _: float("nan")})(np.arange(2)))
