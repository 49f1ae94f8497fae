import math
from dataclasses import replace

import numpy as np
import pytest

from rsfiqa.errors import InputError
from rsfiqa.products import results
from rsfiqa.products.results import ResultRow
from rsfiqa.report import formatting, tables
from rsfiqa.report.dataset import DataSet
from rsfiqa.report.headline import headline
from rsfiqa.report.labels import method_label
from rsfiqa.report.tables import MedianInterval

VALUES = {"krcc": 0.5, "plcc_raw": 0.5, "rmse": 10.0, "n": 4}


def rows(
    variant: str, srcc: list[float], train: str = "tiny", test: str = "tiny", **changes
) -> list[ResultRow]:
    """One row per value of SRCC; PLCC is a tenth higher."""
    kind = "split" if train == test else "all"
    return [
        ResultRow(
            train,
            test,
            f"{kind}-{i:02d}",
            variant,
            **{"srcc": value, "plcc": value + 0.1} | VALUES | changes,
        )
        for i, value in enumerate(srcc)
    ]


def pairs(results: list[ResultRow], backend: str = "rule_based") -> list[tables.DatasetPair]:
    return tables.dataset_pairs(results, DataSet, lambda _: backend)


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
    first, *others = pairs(found)
    order = ["full", "no_mhf", "no_mllm", "no_rsa", "none", "alien", "probe"]
    assert [summary.method for summary in first.methods] == order
    ends = [(pair.train.name, pair.test.name, pair.within) for pair in (first, *others)]
    assert ends == [("tiny", "tiny", True), ("z", "z", True), ("a", "tiny", False)]


@pytest.mark.parametrize(
    ("variant", "backend", "label"),
    [
        ("full", "rule_based", "RSFIQA"),
        ("no_mllm", "rule_based", "−captions (rule-based)"),
        ("no_mllm", "qwen2.5-vl", "−MLLM"),
        ("no_mllm", "", "−captions"),
        ("no_rsa", "rule_based", "−RSA"),
        ("probe", "", "SVR probe (frozen backbone)"),
        ("alien", "", "alien"),
    ],
)
def test_captions_are_called_what_made_them(variant, backend, label):
    (pair,) = pairs(rows(variant, [0.5]), backend)
    assert pair.methods[0].label == label
    assert method_label(variant, backend) == label


def test_a_summary_is_over_the_splits():
    results = rows("full", [0.25, 0.5, 0.75])
    results[1] = replace(results[1], n=6, rmse=12.0, krcc=0.25)
    (pair,) = pairs(results)
    (summary,) = pair.methods
    assert (summary.srcc.median, summary.rmse.median, summary.krcc.median) == (0.5, 10, 0.5)
    assert summary.plcc.median == pytest.approx(0.6)
    assert (summary.srcc.count, summary.n) == (3, (4, 6))


def test_differences_are_taken_split_by_split():
    found = rows("full", [0.75, 0.5, 0.5]) + rows("no_rsa", [0.25, 0.75])
    found += rows("probe", [0.5, 0.5, 0.5, 0.5])
    elsewhere = rows("no_rsa", [0.0] * 3, train="other")
    (first, _) = pairs(found + elsewhere)
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
    (pair,) = pairs(found)
    assert tables.ablation(found, pair) == []


def test_the_headline_shows_medians_and_intervals():
    found = rows("full", [0.1, 0.2, 0.4]) + rows("no_mllm", [-0.25], n=5)
    found += rows("full", [math.nan, 0.5], train="other", n=300)
    assert headline(pairs(found)) == (
        "tiny → tiny: median over random splits by group\n"
        "method                          SRCC [95 % interval]   PLCC [95 % interval]    splits"
        "         n\n"
        "RSFIQA                          0.200 [0.100, 0.400]   0.300 [0.200, 0.500]         3"
        "         4\n"
        "−captions (rule-based)          −0.250                 −0.150                       1"
        "         5\n"
        "\n"
        "other → tiny: median over trainings that differ in their seed\n"
        "method                          SRCC [95 % interval]   PLCC [95 % interval]    splits"
        "         n\n"
        "RSFIQA                          –                      –                            2"
        "       300\n"
    )


def test_the_headline_keeps_published_numbers_apart():
    (pair,) = pairs(rows("full", [0.5], train="flive", test="livec"))
    lines = headline([pair]).splitlines()
    assert lines[2].startswith("RSFIQA ")
    numbers = [line for line in lines[3:] if "(published)" in line]
    assert len(numbers) == len(pair.published) > 1
    assert numbers == lines[3 : 3 + len(numbers)]
    assert not any("(published)" in line for line in lines[:3])
    (loda,) = (line for line in numbers if line.startswith("LoDa "))
    assert loda.split() == ["LoDa", "(published)", "[a]", "0.805", "\N{EN DASH}"]
    notes = lines[3 + len(numbers) :]
    assert notes == [f"  [{mark}] {note}" for mark, note in pair.footnotes.items()]
    assert notes[0].endswith(f"({pair.published[0][1].source})")


def test_each_mark_stands_for_one_protocol_of_one_source():
    (pair,) = pairs(rows("full", [0.5], train="livec", test="livec"))
    marks = [mark for mark, _ in pair.published]
    assert (
        list(dict.fromkeys(marks)) == list(pair.footnotes) == list("abcdefghij")[: len(set(marks))]
    )
    for mark, other in pair.published:
        assert pair.footnotes[mark] == f"{other.protocol} ({other.source})"


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


def test_the_matrix_holds_the_full_model_on_every_pair():
    found = rows("full", [0.5]) + rows("probe", [0.9]) + rows("full", [0.25, 0.75], test="other")
    matrix = tables.matrix(pairs(found))
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
