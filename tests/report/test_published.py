import math

import pytest

from rsfiqa.report import published
from rsfiqa.report.published import Published


def test_numbers_of_one_pair_with_protocol_and_source():
    found = {row.method: row for row in published.published("livec", "livec")}
    assert found["LoDa"] == Published(
        "LoDa",
        "livec",
        "livec",
        0.876,
        0.899,
        "median of 10 random 80/20 splits, synthetic sets split by reference,"
        " PLCC after 4-parameter logistic",
        "LoDa, CVPR 2024, table 1",
    )


def test_a_number_that_is_not_given_is_none():
    (loda,) = (row for row in published.published("flive", "livec") if row.method == "LoDa")
    assert (loda.srcc, loda.plcc) == (0.805, None)


def test_protocols_stay_together_and_the_best_comes_first():
    found = published.published("livec", "livec")
    kinds = [(row.protocol, row.source) for row in found]
    assert len(set(kinds)) == sum(a != b for a, b in zip(kinds, [None, *kinds], strict=False))
    for kind in set(kinds):
        srcc = [row.srcc for row in found if (row.protocol, row.source) == kind]
        assert srcc == sorted(srcc, reverse=True)


@pytest.mark.parametrize("pair", [("livec", "agiqa3k"), ("demo", "demo"), ("", "livec")])
def test_nothing_is_published_of_other_pairs(pair):
    assert published.published(*pair) == []


def test_every_row_of_the_file_is_whole():
    rows = published.read_published()
    assert len(rows) == 336
    for row in rows:
        assert all((row.method, row.train, row.test, row.protocol, row.source))
        values = [value for value in (row.srcc, row.plcc) if value is not None]
        assert values
        assert all(math.isfinite(value) and -1 <= value <= 1 for value in values)
