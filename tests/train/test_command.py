"""`rsfiqa train` and `rsfiqa benchmark` on several splits and methods in one process."""

import shutil

import pytest

from rsfiqa.benchmark.command import Benchmark
from rsfiqa.products import results
from rsfiqa.train.command import Train
from tests.support.pipeline import SPLITS, TRAIN, made

FILES = ("model.safetensors", "card.json", "split.parquet")


@pytest.fixture
def root(tmp_path, tmp_path_factory):
    """The products of two data sets, without checkpoints and results."""
    ignored = shutil.ignore_patterns("train", "benchmark", "report")
    return shutil.copytree(made(tmp_path_factory), tmp_path / "results", ignore=ignored)


def test_splits_trained_in_one_process_are_those_trained_alone(root, tmp_path_factory):
    alone = made(tmp_path_factory) / "train/tiny.full"
    names = ("split-00", "split-01")
    Train(folder=root / "tiny", split=names, **TRAIN.model_dump(), **SPLITS).run()
    for name in names:
        for file in FILES:
            one, other = (folder / name / file for folder in (root / "train/tiny.full", alone))
            assert one.read_bytes() == other.read_bytes(), (name, file)


def test_a_baseline_is_tested_once_where_the_model_has_several_seeds(root, tmp_path_factory):
    shutil.copytree(made(tmp_path_factory) / "train", root / "train")
    methods = ("full", "probe")
    Benchmark(results=root, train="tiny", test="other", variant=methods, number=2, **SPLITS).run()
    rows = {
        method: results.read(root / f"benchmark/tiny.other.{method}.parquet")[0]
        for method in methods
    }
    assert len(rows["full"]) == 2
    assert len(rows["probe"]) == 1
