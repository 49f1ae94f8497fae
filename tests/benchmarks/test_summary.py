import json

import pytest

from benchmarks import summary
from benchmarks.perception.labels import LABELS
from benchmarks.targets import LOCALIZATION, PERCEPTION, bounds_of

BEFORE = {"seconds_ratio"}  # measured with --before alone


def rows(known):
    """The cells of the table of targets, by benchmark and figure."""
    lines = [line.strip("|").split("|") for line in summary.targets(known) if line[:3] == "| b"]
    cells = [[cell.strip() for cell in line] for line in lines]
    return {(cell[0], cell[1]): cell[2:] for cell in cells}


def test_a_figure_of_one_name_has_the_bound_of_its_benchmark():
    baselines = {
        f"{prefix}{name}_srcc": 0.5
        for prefix in summary.METHODS
        for name in ("agiqa3k_to_livec", "livec_to_agiqa3k")
    }
    figures = {"agiqa3k_srcc": 0.7}
    found = rows({"bench": figures | baselines, "bench-perception": figures})
    assert found["bench", "agiqa3k_srcc"] == ["0.7", ">= 0.8, **open**", ">= 0.853, **open**"]
    assert found["bench-perception", "agiqa3k_srcc"] == [
        "0.7",
        ">= 0.65, reached",
        ">= 0.72, **open**",
    ]


def test_an_aim_can_lie_below_a_bound():
    found = rows({"bench-perception": {"false_alarms": 0.07}})
    assert found["bench-perception", "false_alarms"] == [
        "0.07",
        "<= 0.1, reached",
        "<= 0.05, **open**",
    ]


def test_further_aims_lie_beyond_the_bounds():
    assert bounds_of("bench-perception") is PERCEPTION
    assert bounds_of("bench-localization") is LOCALIZATION
    for bounds in (PERCEPTION, LOCALIZATION):
        assert all(aim >= bounds.at_least[name] for name, aim in bounds.beyond.items())
    assert all(aim <= PERCEPTION.at_most[name] for name, aim in PERCEPTION.below.items())


def test_reasons_have_a_table_of_the_figures_that_were_measured():
    figures = {"kodak_family": 0.9, "kodak_family_n": 520}
    figures |= {"kodak_family_low": 0.85, "kodak_family_high": 0.95}
    lines = summary.perception(figures)
    label = LABELS["kodak_family"]
    assert [line for line in lines if label in line] == [
        f"| {label} | 0.900 [0.850, 0.950] | 520 |"
    ]
    assert not any(LABELS["stored_family"] in line for line in lines)


def known_figures():
    """The figures of docs/figures by benchmark, with those that the page derives."""
    known = {
        path.stem: json.loads(path.read_text("utf-8")) for path in summary.FOLDER.glob("*.json")
    }
    return known | {"bench": known["bench"] | summary.beyond_baselines(known["bench"])}


@pytest.mark.parametrize("target", ["bench-perception", "bench-localization", "bench"])
def test_every_target_is_of_a_figure_that_was_measured(target):
    bounds = bounds_of(target)
    names = {*bounds.at_least, *bounds.beyond, *bounds.at_most, *bounds.below} - BEFORE
    measured = {
        name
        for benchmark, figures in known_figures().items()
        if bounds_of(benchmark) == bounds
        for name in figures
    }
    assert names - measured == set()
