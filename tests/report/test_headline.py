"""The medians as plain text."""

import math

from rsfiqa.report.headline import headline
from tests.support.results import dataset_pairs, rows


def test_the_headline_shows_medians_and_intervals():
    found = rows("full", [0.1, 0.2, 0.4]) + rows("no_mllm", [-0.25], n=5)
    found += rows("full", [math.nan, 0.5], train="other", n=300)
    assert headline(dataset_pairs(found)) == (
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
    (pair,) = dataset_pairs(rows("full", [0.5], train="flive", test="livec"))
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
