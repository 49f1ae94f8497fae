import csv

import numpy as np
import pytest

from benchmarks.ablation import command, export, summary, units
from benchmarks.ablation.conditions import LIVEC, SEED, Condition, conditions
from benchmarks.ablation.training import Bench, options_for, training_mask
from rsfiqa.errors import InputError
from tests.support.pipeline import made

TINY = Condition("a.tiny", ("tiny",), ("tiny",), 2, "split", variants=("full", "none"))


@pytest.fixture(scope="module")
def bench(tmp_path_factory):
    """The products of two tiny sets."""
    root = made(tmp_path_factory)
    return Bench(root, root)


@pytest.fixture(scope="module")
def ran(bench, tmp_path_factory):
    """A folder of finished units."""
    folder = tmp_path_factory.mktemp("units")
    command.run_units(bench, TINY, folder)
    return folder


def test_a_unit_holds_the_predictions_of_all_variants_on_the_same_images(ran, bench):
    (split, table), _ = units.finished(ran, TINY)
    rows = table.to_pylist()
    names = [[r["image_id"] for r in rows if r["variant"] == v] for v in TINY.variants]
    data = bench.training_set("tiny")
    mask = data.test_mask(split, test_fraction=0.2, seed=SEED)
    assert names[0] == names[1] == data.take(mask).image_ids
    assert np.isfinite([row["predicted"] for row in rows]).all()
    assert {row["hit"] for row in rows} == {None}  # nothing is stated


def test_a_finished_unit_is_kept_and_a_lost_one_is_made_alike(ran, bench):
    paths = [units.unit_path(ran, "a.tiny", split) for split in TINY.splits]
    before, kept = paths[1].read_bytes(), paths[0].stat().st_mtime_ns
    paths[1].unlink()
    command.run_units(bench, TINY, ran)
    assert paths[1].read_bytes() == before
    assert paths[0].stat().st_mtime_ns == kept


def test_a_damaged_unit_is_made_again(ran, bench):
    path = units.unit_path(ran, "a.tiny", "split-01")
    before = path.read_bytes()
    path.write_bytes(before[:-20])
    command.run_units(bench, TINY, ran)
    assert path.read_bytes() == before


def test_units_of_other_inputs_do_not_mix(ran, tmp_path):
    for split in TINY.splits:
        rows, provenance = units.read(units.unit_path(ran, "a.tiny", split))
        provenance.inputs["tiny"] += split
        units.write(units.unit_path(tmp_path, "a.tiny", split), rows.to_pylist(), provenance)
    with pytest.raises(InputError, match=r"must have the same options and inputs.*split-00; run"):
        list(units.finished(tmp_path, TINY))


def test_more_images_than_a_unit_has(bench, tmp_path):
    condition = Condition("b.tiny.n500", ("tiny",), ("tiny",), 1, "split", 500)
    with pytest.raises(InputError, match=r"b\.tiny\.n500: n must be at most \d+.*found 500"):
        command.run_units(bench, condition, tmp_path)


def test_smaller_draws_lie_within_larger_ones(bench):
    data = bench.training_set("tiny")
    few, more, all_images = (
        training_mask(data, Condition("b", ("tiny",), (), 1, "split", n), "split-00")
        for n in (3, 6, None)
    )
    assert (few.sum(), more.sum()) == (3, 6)
    assert not (few & ~more).any()
    assert not (more & ~all_images).any()


def test_a_draw_parts_no_group(bench):
    data = bench.training_set("tiny")
    mask = training_mask(data, Condition("a", ("tiny",), (), 1, "draw"), "draw-00")
    groups = np.array(data.groups)
    assert 0 < mask.sum() < len(data)
    assert not set(groups[mask]) & set(groups[~mask])


@pytest.mark.parametrize(
    ("images", "epochs"),
    [(25, 105), (50, 105), (100, 105), (200, 35), (400, 18), (930, 15), (1162, 13), (5000, 3)],
)
def test_epochs_follow_from_the_number_of_images(images, epochs):
    assert options_for(images).epochs == epochs


def test_a_summary_of_what_there_is(tmp_path):
    known = conditions()
    condition = known[0]
    random = np.random.default_rng(0)
    made_by = units.provenance_of(condition, "split-00", {LIVEC: "0"}, {})
    for split in condition.splits[:6]:
        quality = random.random(50)
        rows = [
            {
                **dict.fromkeys(units.SCHEMA.names),
                "variant": variant,
                "test": LIVEC,
                "image_id": f"{i:02d}",
                "group": f"{i:02d}",
                "tag": "",
                "quality": value,
                "predicted": value + random.normal(0, 0.8 if variant == "no_mhf" else 0.2),
            }
            for variant in condition.variants
            for i, value in enumerate(quality)
        ]
        provenance = units.provenance_of(condition, split, {LIVEC: "0"}, {})
        units.write(units.unit_path(tmp_path, condition.name, split), rows, provenance)
    assert made_by.options["n"] is None
    found = summary.summarize(tmp_path, known)
    assert (found.units["a.livec"], found.missing["a.livec"]) == (6, 4)
    first = found.rows[0]
    assert first.comparison.primary == 1
    # the nine that are missing still count
    assert first.holm_p == pytest.approx(min(1, 10 * first.difference.p))
    assert [row.verdict for row in found.rows[1:10]] == ["missing"] * 9
    figures = summary.figures(found)
    assert figures["a_livec_livec_full_no_mhf"] == first.difference.mean
    assert figures["a_livec_livec_full_no_mhf_power_se"] > 0
    assert figures["units_missing"] == sum(one.number for one in known) - 6
    assert "missing: 4 units of a.livec" in summary.lines(found)
    export.write_all(found, tmp_path / "report")
    with (tmp_path / "report/tables/ablation-primary.csv").open(encoding="utf-8") as file:
        table = list(csv.DictReader(file))
    assert table[0]["difference"] == f"{first.difference.mean:+.4f}"
    assert (tmp_path / "report/figures/ablation-primary.svg").read_text("utf-8").count("<svg") == 1
    assert (tmp_path / "report/references.bib").is_file()


def test_conditions_without_units_here_are_taken_from_an_earlier_run(tmp_path):
    known = conditions()
    name = "a_biq2021_biq2021_full_no_mhf"
    earlier = {
        f"{name}{end}": value
        for end, value in {
            "": 0.03, "_low": 0.01, "_high": 0.05, "_p": 0.003, "_holm_p": 1.0, "_power_se": 0.01,
            "_d": 2.0, "_first": 0.8, "_second": 0.77, "_n": 1879, "_units": 9,
        }.items()
    }  # fmt: skip
    found = summary.summarize(tmp_path, known, earlier)
    row = found.rows[1]
    assert (row.comparison.primary, row.difference.mean, row.difference.units) == (2, 0.03, 9)
    assert (row.difference.low, row.difference.high, row.difference.n) == (0.01, 0.05, 1879)
    assert row.holm_p == pytest.approx(0.03)  # anew, over ten
    assert row.verdict == "confirmed"
    assert (found.units["a.biq2021"], found.missing["a.biq2021"]) == (9, 1)
    written = summary.figures(found)
    assert written["units_a_biq2021"] == 9
    few = summary.summarize(tmp_path, known, written | {"units_b_livec_n200": 4})
    assert (few.units["b.livec.n200"], few.missing["b.livec.n200"]) == (4, 16)  # too few to test
    assert {key: written[key] for key in earlier} == earlier | {f"{name}_holm_p": row.holm_p}
    assert summary.figures(summary.summarize(tmp_path, known, written)) == written


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{}", r"e\.json: must hold figures of the ablation, found none; give"),
        ("x", r"e\.json: cannot be read \(.*\); give the bench-ablation\.json of an earlier run$"),
        (None, r"e\.json: cannot be read \(.*\); give the bench-ablation\.json of an earlier run$"),
    ],
)
def test_figures_of_something_else(tmp_path, content, message):
    path = tmp_path / "e.json"
    if content is not None:
        path.write_text(content)
    line = ["--summary", "--units", str(tmp_path), "--earlier", str(path)]
    with pytest.raises(SystemExit, match=message):
        command.main([*line, "--report", str(tmp_path)])


def test_a_condition_with_few_units_is_not_tested(tmp_path):
    known = conditions()
    found = summary.summarize(tmp_path, known)
    assert {row.difference for row in found.rows} == {None}
    assert summary.figures(found)["units"] == 0


def test_a_summary_needs_no_data_and_a_run_does(tmp_path, capsys):
    with pytest.raises(SystemExit):
        command.main(["--units", str(tmp_path)])
    assert "--data must be a folder of data sets, found none" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("parts", "names"),
    [
        (["a"], ["a.livec", "a.biq2021"]),
        (["a.livec", "f"], ["a.livec", "f.livec"]),
        (["d"], ["a.livec", "c.livec", "c.livec.biq2021", "a.biq2021", "c.both"]),
    ],
)
def test_parts_and_single_conditions_are_chosen(tmp_path, monkeypatch, parts, names):
    ran: list[str] = []
    monkeypatch.setattr(command, "run", lambda _, condition: ran.append(condition.name))
    folders = ["--units", str(tmp_path / "units"), "--report", str(tmp_path)]
    monkeypatch.setattr(command, "write", lambda *_: None)
    command.main(["--data", str(tmp_path), "--part", *parts, *folders])
    assert ran == names


@pytest.mark.parametrize(
    ("line", "expected"),
    [
        ("--data {}", "make bench-ablation DATA=DIR"),
        ("--data {} --parallel 2 --units {} --large 5000", "make bench-ablation DATA=DIR"),
        (
            "--data {} --n 25 50 --part a.livec f --large 4000",
            "python -m benchmarks ablation --data DIR --part a.livec f --n 25 50 --large 4000",
        ),
        (
            "--summary --earlier docs/figures/bench-ablation.json",
            "python -m benchmarks ablation --summary --earlier docs/figures/bench-ablation.json",
        ),
    ],
)
def test_the_recorded_command_has_the_given_options(tmp_path, monkeypatch, line, expected):
    written: list[str] = []
    monkeypatch.setattr(command, "run", lambda *_: None)
    monkeypatch.setattr(command, "_figures", lambda _: {})
    monkeypatch.setattr(command, "write", lambda *given: written.append(given[2]))
    folders = ["--units", str(tmp_path / "units"), "--report", str(tmp_path)]
    command.main([*folders, *(word.format(tmp_path) for word in line.split())])
    assert written == [expected]


def test_a_part_that_is_none(tmp_path):
    line = ["--data", str(tmp_path), "--part", "a.livecc", "--units", str(tmp_path)]
    with pytest.raises(
        SystemExit,
        match=r"^ablation: --part: must be among a, .*, found a\.livecc; name one of these$",
    ):
        command.main(line)


def test_a_number_of_images_that_is_none(tmp_path, capsys):
    with pytest.raises(SystemExit):
        command.main(["--summary", "--units", str(tmp_path), "--n", "0"])
    assert "must be a number from 1, found 0" in capsys.readouterr().err


def test_damaged_units_are_one_line(tmp_path):
    path = units.unit_path(tmp_path, f"a.{LIVEC}", "split-00")
    path.parent.mkdir()
    path.write_bytes(b"PAR1")
    with pytest.raises(SystemExit, match=r"ablation: .*split-00\.parquet: not Parquet or damaged"):
        command.main(["--summary", "--units", str(tmp_path), "--report", str(tmp_path)])
