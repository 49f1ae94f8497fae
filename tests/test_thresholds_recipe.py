"""The choice of thresholds by which the classifier names families."""

import numpy as np

from recipes.thresholds import FALSE_ALARMS, HIGHEST, LOWEST, choose


def test_few_worst_regions_name_anything():
    random = np.random.default_rng(0)
    probabilities = random.beta(1, 6, (400, 10, 3))  # photographs, regions, families
    worst = probabilities.max(axis=1)
    found = choose(probabilities.reshape(-1, 3), worst)
    share = (worst >= found).any(axis=1).mean()
    assert FALSE_ALARMS / 3 < share <= FALSE_ALARMS
    exceeded = (probabilities.reshape(-1, 3) >= found).mean(axis=0)
    np.testing.assert_allclose(exceeded, exceeded.mean(), atol=1e-3)  # alike for all families


def test_thresholds_stay_within_their_bounds():
    probabilities = np.stack([np.zeros(100), np.ones(100)], axis=1)
    np.testing.assert_array_equal(choose(probabilities, probabilities), [LOWEST, HIGHEST])
