"""Which pictures are chosen."""

import numpy as np
import pytest

from rsfiqa.report.pictures import allocate, choose

PREDICTED = np.array([0.1, 0.9, 0.5, 0.3, 0.7, 0.2, 0.45])


QUALITY = np.array([0.1, 0.9, 0.5, 0.3, 0.0, 0.7, 0.45])


def test_pictures_are_chosen_by_their_role():
    assert choose(PREDICTED, 8, QUALITY) == {
        1: ["best"],
        4: ["error", "best"],
        2: ["spaced"],
        6: ["spaced"],
        3: ["spaced"],
        5: ["worst", "error"],
        0: ["worst"],
    }
    assert list(choose(PREDICTED, 8, QUALITY)) == [1, 4, 2, 6, 3, 5, 0]
    # one place is left, and 0.5 is in the middle of 0.9 and 0.1
    assert choose(PREDICTED, 4, QUALITY) == {
        1: ["best"],
        4: ["error"],
        2: ["spaced"],
        0: ["worst"],
    }


def test_without_scores_there_is_no_error():
    assert choose(PREDICTED, 6) == {
        1: ["best"],
        4: ["best"],
        2: ["spaced"],
        3: ["spaced"],
        5: ["worst"],
        0: ["worst"],
    }


def test_a_picture_can_have_several_roles():
    found = choose(np.array([0.5, 0.9, 0.1]), 2, np.array([0.5, 0.0, 0.1]))
    assert found == {1: ["best", "error"], 2: ["worst"]}
    assert choose(np.array([0.5]), 3, np.array([0.5])) == {0: ["error"]}


def test_none_is_both_one_of_the_best_and_of_the_worst():
    assert choose(np.array([0.5]), 8) == {0: []}
    assert choose(np.array([0.5, 0.9]), 8) == {1: ["best"], 0: ["worst"]}
    assert choose(np.array([0.5, 0.9, 0.1]), 9) == {1: ["best"], 0: ["spaced"], 2: ["worst"]}


@pytest.mark.parametrize("count", range(10))
@pytest.mark.parametrize("predicted", [np.arange(6) / 5, np.full(6, 0.5), np.arange(6) % 2 / 1.0])
@pytest.mark.parametrize("quality", [None, np.linspace(0, 1, 6)[::-1]])
def test_no_more_are_chosen_than_wanted_and_none_twice(predicted, count, quality):
    found = choose(predicted, count, quality)
    assert len(found) == min(count, 6)
    assert (np.diff(predicted[list(found)]) <= 0).all()
    assert all(found.values())


@pytest.mark.parametrize(
    ("total", "names", "fractions"),
    [(7, "abc", [3, 2, 2]), (1, "ab", [1, 0]), (4, "ab", [2, 2]), (3, "", [])],
)
def test_pictures_are_shared_among_the_data_sets(total, names, fractions):
    assert allocate(total, list(names)) == dict(zip(names, fractions, strict=True))
