"""Medians, differences and published numbers."""

import math
from dataclasses import replace

import numpy as np
import pytest

from rsfiqa.errors import InputError
from rsfiqa.products import results
from rsfiqa.products.results import ResultRow
from rsfiqa.report import formatting, tables
from rsfiqa.report.tables import MedianInterval
from tests.support.results import dataset_pairs, rows


def write(root, name: str, content: list[ResultRow], provenance) -> None:
    results.write(
        root / "benchmark" / f"{name}.parquet",
        content,
        results.PREDICTIONS.empty_table(),
        provenance("results"),
    )


def test_rows_of_all_tables_are_read_in_order(tmp_path, provenance):
    full, probe = rows("full", [0.5, 0.25]), rows("probe", [0.5])
    across = rows("full", [0.75], train="other")
    write(tmp_path, "a", probe + full[::-1], provenance)
    write(tmp_path, "b", across, provenance)
    assert tables.read(tmp_path) == across + full + probe


@pytest.mark.parametrize("name", [None, "a.predictions", "a.failures"])
def test_no_results_are_an_error(tmp_path, name):
    (tmp_path / "benchmark").mkdir()
    if name:
        (tmp_path / "benchmark" / f"{name}.parquet").touch()
    message = rf"^{tmp_path}/benchmark: holds no table of results; run the benchmark stage first$"
    with pytest.raises(InputError, match=message):
        tables.read(tmp_path)


def test_a_median_with_its_interval():
    # a resampled median of three is 0.1 with probability 7/27, and 0.4 likewise
    assert MedianInterval.of([0.4, 0.1, 0.2]) == MedianInterval(0.2, 0.1, 0.4, 3)
    assert MedianInterval.of([0.5]) == MedianInterval(0.5, 0.5, 0.5, 1)


def test_a_split_without_correlation_has_no_median():
    found = MedianInterval.of([0.5, math.nan])
    assert np.isnan([found.median, found.low, found.high]).all()
    assert formatting.with_interval(found) == "\N{EN DASH}"


def test_methods_and_pairs_have_their_order():
    names = ["probe", "none", "alien", "no_rsa", "full", "no_mllm", "no_mhf"]
    found = [row for name in names for row in rows(name, [0.5])]
    found += rows("full", [0.5], train="a") + rows("full", [0.5], train="z", test="z")
    first, *others = dataset_pairs(found)
    order = ["full", "no_mhf", "no_mllm", "no_rsa", "none", "alien", "probe"]
    assert [summary.method for summary in first.methods] == order
    ends = [(pair.train.name, pair.test.name, pair.within) for pair in (first, *others)]
    assert ends == [("tiny", "tiny", True), ("z", "z", True), ("a", "tiny", False)]


def test_a_summary_is_over_the_splits():
    results = rows("full", [0.25, 0.5, 0.75])
    results[1] = replace(results[1], n=6, rmse=12.0, krcc=0.25)
    (pair,) = dataset_pairs(results)
    (summary,) = pair.methods
    assert (summary.srcc.median, summary.rmse.median, summary.krcc.median) == (0.5, 10, 0.5)
    assert summary.plcc.median == pytest.approx(0.6)
    assert (summary.srcc.count, summary.n) == (3, (4, 6))


def test_the_best_of_a_column_is_marked_whichever_method_it_is():
    found = rows("full", [0.5], rmse=9.0) + rows("no_rsa", [0.75]) + rows("probe", [0.7504])
    (pair,) = dataset_pairs(found)

    def best(measure: str, digits: int = 3) -> list[str]:
        return [row.method for row in pair.methods if pair.is_best(row, measure, digits)]

    assert best("srcc") == ["no_rsa", "probe"]  # equal as they are printed
    assert best("srcc", 4) == ["probe"]
    assert best("rmse") == ["full"]  # lower is better
    assert best("krcc") == ["full", "no_rsa", "probe"]


@pytest.mark.parametrize("others", [[], rows("probe", [math.nan])])
def test_nothing_is_best_without_another_method(others):
    (pair,) = dataset_pairs(rows("full", [0.5]) + others)
    assert not any(pair.is_best(row, "srcc") for row in pair.methods)


def test_differences_are_taken_split_by_split():
    found = rows("full", [0.75, 0.5, 0.5]) + rows("no_rsa", [0.25, 0.75])
    found += rows("probe", [0.5, 0.5, 0.5, 0.5])
    elsewhere = rows("no_rsa", [0.0] * 3, train="other")
    (first, _) = dataset_pairs(found + elsewhere)
    no_rsa, probe = tables.ablation(found + elsewhere, first)
    # 0.75 - 0.25 and 0.5 - 0.75; the third split has no partner
    assert (no_rsa.label, no_rsa.srcc) == ("−RSA", MedianInterval(0.125, -0.25, 0.5, 2))
    assert no_rsa.plcc.median == pytest.approx(0.125)
    assert (probe.srcc.median, probe.srcc.count) == (0, 3)
    assert math.isnan(no_rsa.p_srcc)  # nobody knows how many images were trained on
    known = replace(first, test=replace(first.test, images=20))
    # mean 0.125, variance 0.28125 times (1/2 + 4/16): t = 0.2722; p = 1 - 2 / pi * atan(t)
    assert tables.ablation(found, known)[0].p_srcc == pytest.approx(0.8308, abs=1e-4)
    seeds = replace(known, official=True)  # of one split, which is no resampling
    assert math.isnan(tables.ablation(found, seeds)[0].p_srcc)
    assert tables.ablation(found, seeds)[0].srcc.median == 0.125


@pytest.mark.parametrize("found", [rows("no_rsa", [0.5]), rows("full", [0.5])])
def test_nothing_to_compare(found):
    (pair,) = dataset_pairs(found)
    assert tables.ablation(found, pair) == []


def test_each_mark_stands_for_one_protocol_of_one_source():
    (pair,) = dataset_pairs(rows("full", [0.5], train="livec", test="livec"))
    marks = [mark for mark, _ in pair.published]
    assert (
        list(dict.fromkeys(marks)) == list(pair.footnotes) == list("abcdefghij")[: len(set(marks))]
    )
    for mark, other in pair.published:
        assert pair.footnotes[mark] == f"{other.protocol} ({other.source})"


def test_the_matrix_holds_the_full_model_on_every_pair():
    found = rows("full", [0.5]) + rows("probe", [0.9]) + rows("full", [0.25, 0.75], test="other")
    matrix = tables.matrix(dataset_pairs(found))
    assert [dataset.name for dataset in matrix.train] == ["tiny"]
    assert [dataset.name for dataset in matrix.test] == ["other", "tiny"]
    assert {pair: found.median for pair, found in matrix.srcc.items()} == {
        ("tiny", "tiny"): 0.5,
        ("tiny", "other"): 0.5,
    }
    assert matrix.srcc["tiny", "other"].count == 2


def test_the_limit_of_an_axis():
    nothing = MedianInterval(math.nan, math.nan, math.nan, 2)
    far, near = MedianInterval(0.1, -0.5, 0.25, 2), MedianInterval(0.1, 0, 0.125, 2)
    differences = [
        tables.Difference("a", near, far, 1, 1),
        tables.Difference("b", nothing, near, 1, 1),
    ]
    assert tables.axis_limit(differences) == 0.5
    assert tables.axis_limit([tables.Difference("b", nothing, nothing, 1, 1)]) == 0
    assert tables.axis_limit([]) == 0
