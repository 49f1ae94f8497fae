"""The choice of thresholds by which the classifier names families."""

import numpy as np
import pytest

from recipes.thresholds import FALSE_ALARMS, GRID, choose


def test_few_worst_regions_name_anything_and_most_distorted_ones_are_named():
    random = np.random.default_rng(0)
    worst = random.beta(1, 9, (400, 3))
    present = np.eye(3, dtype=bool)[random.integers(3, size=300)]
    regions = np.where(present, random.beta(6, 2, (300, 3)), random.beta(1, 9, (300, 3)))
    found = choose(worst, regions, present, np.ones(300))
    assert FALSE_ALARMS / 3 < (worst >= found).any(axis=1).mean() <= FALSE_ALARMS
    assert (regions >= found)[present].mean() > 0.8


def test_a_family_that_good_photographs_resemble_gives_way_to_others():
    """By hand: family 0 is told by any threshold, family 1 only at many false alarms."""
    worst = np.array([[0.05, 0.9]] * 10 + [[0.05, 0.05]] * 10)
    regions = np.array([[0.5, 0.05], [0.05, 0.7]])
    present = np.eye(2, dtype=bool)
    found = choose(worst, regions, present, np.ones(2))
    assert found == pytest.approx([0.5, GRID[0]])


def test_large_regions_count_more():
    worst = np.array([[0.6, 0.6]] + [[0.0, 0.0]] * 19)  # one false alarm is allowed
    regions = np.array([[0.55, 0.0], [0.0, 0.55]])
    present = np.eye(2, dtype=bool)
    found = choose(worst, regions, present, np.array([1.0, 3.0]))
    assert (regions >= found)[1, 1]
