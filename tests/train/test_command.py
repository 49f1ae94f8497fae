"""`rsfiqa train` and `rsfiqa benchmark` on several splits and methods in one process."""

import shutil
from pathlib import Path

import pytest

from rsfiqa.benchmark.command import Benchmark
from rsfiqa.errors import InputError
from rsfiqa.products import results
from rsfiqa.products.card import Card, write_card
from rsfiqa.products.lineage import LINEAGE
from rsfiqa.products.versions import VERSIONS
from rsfiqa.train.command import Train
from rsfiqa.train.options import FinetuneOptions
from tests.support.pipeline import SPLITS, TRAIN, made

FILES = ("model.safetensors", "card.json", "split.parquet")


@pytest.fixture
def root(tmp_path, tmp_path_factory):
    """The products of two data sets, without checkpoints and results."""
    ignored = shutil.ignore_patterns("train", "benchmark", "report")
    return shutil.copytree(made(tmp_path_factory), tmp_path / "results", ignore=ignored)


def trained() -> Card:
    """The card of the full model of `tiny` on its first split."""
    return Card(
        **{part: {} for part in LINEAGE},
        model={"stage_channels": (3,), "variant": "full"},
        datasets=["tiny"],
        split={"name": "split-00", **SPLITS},
        mos_range=None,
        lower_better=False,
        options={"version": VERSIONS["train"], **TRAIN.recorded()},
        seed=0,
        losses=[],
    )


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


def test_a_checkpoint_of_other_options_is_not_replaced_unasked(root, tmp_path_factory):
    shutil.copytree(made(tmp_path_factory) / "train", root / "train")
    card = root / "train/tiny.full/split-00/card.json"
    before = card.read_bytes()
    given = TRAIN.model_dump() | SPLITS
    for changes, option in (
        ({"epochs": 3}, "train.epochs must be 2, with which it was made, found 3; set it to that"),
        ({"seed": 1}, "train.seed must be 0, with which it was made, found 1; set it to that, or"),
        ({"test_fraction": 0.5}, "train.test_fraction must be 0.33"),
    ):
        with pytest.raises(InputError, match=rf"card.json: {option}") as error:
            Train(folder=root / "tiny", **given | changes).run()
        assert "\n" not in str(error.value)
    assert card.read_bytes() == before
    Train(folder=root / "tiny", **given | {"finetune": FinetuneOptions(threads=2)}).run()
    assert card.read_bytes() == before
    Train(folder=root / "tiny", **given | {"epochs": 3}, replace=True).run()
    assert card.read_bytes() != before


@pytest.mark.parametrize(
    ("changes", "option"),
    [
        ({"variant": "no_rsa"}, "train.variant must be full, with which it was made, found no_rsa"),
        ({"split": ("split-01",)}, "train.split must be split-00, with which it was made, found"),
        ({"folder": Path("other")}, "train.folder must be tiny, with which it was made, found"),
    ],
)
def test_a_checkpoint_of_another_model_in_a_named_folder_is_not_replaced_unasked(
    tmp_path, changes, option
):
    write_card(tmp_path / "mine", trained(), weights_sha256="")
    given = {"folder": tmp_path / "tiny", "output": tmp_path / "mine"} | TRAIN.model_dump()
    with pytest.raises(InputError, match=f"card.json: {option}"):
        Train(**given | SPLITS | changes).run()


def test_the_checkpoints_of_the_present_folder_lie_beside_it(tmp_path, monkeypatch):
    write_card(tmp_path / "train/tiny.full/split-00", trained(), weights_sha256="")
    (tmp_path / "tiny").mkdir()
    monkeypatch.chdir(tmp_path / "tiny")
    with pytest.raises(InputError, match=r"^\.\./train/tiny.full/split-00/card.json: train.epochs"):
        Train(folder=Path(), **TRAIN.model_dump() | SPLITS | {"epochs": 3}).run()


def test_a_table_of_other_options_is_not_replaced_unasked(root, tmp_path_factory):
    for name in ("train", "benchmark"):
        shutil.copytree(made(tmp_path_factory) / name, root / name)
    given = {"results": root, "train": "tiny", "test": "tiny", "variant": ("probe",), "number": 2}
    path = root / "benchmark/tiny.tiny.probe.parquet"
    before = path.read_bytes()
    for changes, option in (
        ({"seed": 1}, "seed must be 0, with which it was made, found 1"),
        ({"number": 10}, "number must be 2, with which it was made, found 10"),
        ({"official": True, "number": 1}, "number must be 2"),
    ):
        with pytest.raises(InputError, match=rf"probe.parquet: benchmark.{option}"):
            Benchmark(**given | SPLITS | changes).run()
    assert path.read_bytes() == before
    Benchmark(**given | SPLITS).run()
    assert path.read_bytes() == before
    Benchmark(**given | SPLITS | {"seed": 1}, replace=True).run()
    rows, provenance = results.read(path)
    assert provenance.options == {"number": 2, "official": False, "seed": 1, "test_fraction": 1 / 3}
    assert set(provenance.inputs) == {row.split for row in rows} == {"split-00", "split-01"}
