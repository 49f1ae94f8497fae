"""What a report shows where the results folder holds more than the tables that are named."""

import shutil

import pytest

from rsfiqa import cli
from rsfiqa.benchmark import stage as benchmark
from rsfiqa.errors import InputError
from rsfiqa.products import failures
from rsfiqa.products.paths import checkpoint_folder, failures_path, product_path, stats_path
from rsfiqa.report import record, tables
from rsfiqa.report import stage as report
from rsfiqa.report.record import Scope
from rsfiqa.train import stage as train
from tests.support.html_page import Page
from tests.support.pipeline import SPLITS, TRAIN

WITHIN = {"train": "tiny", "test": "tiny", "number": 2}
ANOTHER_SEED = SPLITS | {"seed": 1}


@pytest.fixture
def copy(pipeline, tmp_path):
    """The results of a finished run without a report, to be changed."""
    ignored = shutil.ignore_patterns("report")
    return shutil.copytree(pipeline, tmp_path / "results", ignore=ignored)


def test_named_tables_alone_are_shown(copy):
    text = report.run(copy, images=0, title="t", names=["tiny.tiny.full"])
    assert "tiny → tiny" in text
    assert "other" not in text
    page = Page((copy / "report/index.html").read_text("utf-8"))
    assert not {"tiny.no_mllm", "no_mllm", "tiny → other"} & set(page.texts)
    assert "tiny.full" in page.texts


def test_a_named_table_must_exist(copy):
    with pytest.raises(InputError, match=r"tiny.tiny.none.parquet: no such file; run the stage"):
        tables.read(copy, ["tiny.tiny.none"])


@pytest.fixture
def two_seeds(copy):
    """The full model is trained and tested again with another seed."""
    for split in ("split-00", "split-01"):
        folder = checkpoint_folder(copy, "tiny", "full", split)
        train.run(copy / "tiny", folder, TRAIN, variant="full", split=split, **ANOTHER_SEED)
    benchmark.run(copy, **WITHIN, methods=["full"], **ANOTHER_SEED)
    return copy


def test_rows_of_another_seed_do_not_stand_beside_each_other(two_seeds, capsys):
    assert cli.main(["report", str(two_seeds), "--images", "0"]) == cli.INPUT_ERROR
    error = capsys.readouterr().err
    assert "must have the same seed, found 0 here and 1 in tiny.tiny.full.parquet" in error
    assert error.endswith("or name the tables to show (--table)\n")
    assert not (two_seeds / "report").exists()
    words = ["report", str(two_seeds), "--images=0", "--table=tiny.tiny.full"]
    assert cli.main(words) == 0
    assert "RSFIQA" in capsys.readouterr().out


def test_rows_of_other_images_do_not_stand_beside_each_other(copy):
    path = copy / "benchmark/tiny.tiny.probe.parquet"
    content, made = tables.results.read(path)
    predictions = tables.results.read_predictions(path)
    made.inputs["split-01"] = "0" * 64
    tables.results.write(path, content, predictions, made)
    message = r"probe.parquet: tables .* must test the same images, found others for split-01 in"
    with pytest.raises(InputError, match=message) as error:
        tables.read(copy)
    assert "\n" not in str(error.value)


def test_trainings_failures_and_times_are_those_behind_the_rows(copy):
    superfluous = product_path(copy / "tiny", "segment", "00007")
    failures.write(failures_path(superfluous), "segment", {"x": "of a larger number of shards"})
    shutil.copy(
        stats_path(product_path(copy / "tiny", "segment", "00000")), stats_path(superfluous)
    )
    failures.write(copy / "teach/data.failures.parquet", "teach", {"y": "of no data set"})
    scope = Scope.of(copy, tables.read(copy, ["tiny.tiny.full"]))
    assert [found.name for found in record.read_experiments(copy, scope)] == ["tiny.full"]
    (experiment,) = record.read_experiments(copy, scope)
    assert list(experiment.cards) == ["split-00", "split-01"]  # not all-00, tested on other
    listed = record.read_failures(copy, scope)
    assert {failure.source for failure in listed} == {"tiny"}
    assert "00007" not in {failure.product[-5:] for failure in listed}
    times = {(time.stage, time.subject): time.jobs for time in record.read_times(copy, scope)}
    assert times["segment", "tiny"] == 2
    assert {key for key in times if key[0] in {"train", "benchmark"}} == {
        ("train", "tiny.full"),
        ("benchmark", "tiny.tiny.full"),
    }


@pytest.mark.parametrize("name", ["tiny.full", "../tiny.tiny.full", "tiny.tiny.full.parquet"])
def test_names_that_are_no_table(copy, capsys, name):
    assert cli.main(["report", str(copy), f"--table={name}"]) == cli.USAGE_ERROR
    assert "--table" in capsys.readouterr().err
