"""Tables of results and predictions, and the inputs that the stage refuses."""

import shutil
import subprocess
import sys
from dataclasses import asdict

import numpy as np
import pyarrow as pa
import pytest
import torch
from pydantic import ValidationError
from scipy import stats

from rsfiqa import checkpoints, samples
from rsfiqa.benchmark import stage as benchmark
from rsfiqa.benchmark.baselines import BASELINES, Baseline
from rsfiqa.benchmark.options import BenchmarkOptions
from rsfiqa.errors import InputError
from rsfiqa.extract import stage as extract
from rsfiqa.io.json_files import read_json_with_checksum, write_json_with_checksum
from rsfiqa.products import features, manifest, results
from rsfiqa.products.paths import checkpoint_folder
from rsfiqa.train import stage as train
from tests.support.columns import with_column
from tests.support.pipeline import EXTRACT, SPLITS, TRAIN

TINY = {"train": "tiny", "test": "tiny", "methods": ["full"], "number": 2, **SPLITS}
OTHER = TINY | {"test": "other"}
TABLES = ["tiny.tiny.full", "tiny.tiny.no_mllm", "tiny.tiny.probe", "tiny.other.full"]


@pytest.fixture
def copy(pipeline, tmp_path):
    """The same, to be changed."""
    return shutil.copytree(pipeline, tmp_path / "results")


def tables(root, name: str) -> tuple[list[dict], dict[str, dict[str, np.ndarray]]]:
    """Rows of a table of results, and the predictions of each split by column."""
    path = root / "benchmark" / f"{name}.parquet"
    rows = [asdict(row) for row in results.read(path)[0]]
    found = results.read_predictions(path)
    parts = {row["split"]: found.filter(pa.compute.field("split") == row["split"]) for row in rows}
    return rows, {
        split: {column: part[column].to_numpy() for column in part.column_names}
        for split, part in parts.items()
    }


@pytest.mark.parametrize("name", TABLES)
def test_one_row_for_each_split_in_order(pipeline, name):
    train, test, variant = name.split(".")
    rows, _ = tables(pipeline, name)
    kind = "split" if train == test else "all"
    assert [row["split"] for row in rows] == [f"{kind}-00", f"{kind}-01"]
    assert {(row["train"], row["test"], row["variant"]) for row in rows} == {(train, test, variant)}


@pytest.mark.parametrize("name", TABLES)
def test_correlations_are_those_of_the_predictions(pipeline, name):
    rows, predictions = tables(pipeline, name)
    for row in rows:
        found = predictions[row["split"]]
        pair = found["predicted"], found["quality"]
        expected = [f(*pair).statistic for f in (stats.spearmanr, stats.kendalltau, stats.pearsonr)]
        assert [row[key] for key in ("srcc", "krcc", "plcc_raw")] == pytest.approx(expected)
        # what a least-squares fit with offset and scale explains
        variance = np.var(found["mos"])
        assert row["rmse"] ** 2 == pytest.approx(variance * (1 - row["plcc"] ** 2), abs=1e-3)
        assert row["n"] == len(found["mos"])


@pytest.mark.parametrize("name", TABLES[:3])
def test_every_method_is_tested_on_the_images_of_the_split(pipeline, name):
    data = samples.load(pipeline / "tiny")
    _, predictions = tables(pipeline, name)
    for number in range(2):
        tested = data.test_mask(f"split-{number:02d}", **SPLITS)
        found = predictions[f"split-{number:02d}"]
        assert found["image_id"].tolist() == data.take(tested).image_ids
        np.testing.assert_array_equal(found["mos"], data.mos[tested])


def test_another_data_set_is_tested_whole_by_each_seed(pipeline):
    data = samples.load(pipeline / "other")
    _, predictions = tables(pipeline, "tiny.other.full")
    assert predictions.keys() == {"all-00", "all-01"}
    for split, found in predictions.items():
        assert found["image_id"].tolist() == data.image_ids
        assert found["mos"].tolist() == [0, 30, 45, 60, 75, 90]  # DMOS, of 100
        np.testing.assert_allclose(found["quality"], [1, 0.7, 0.55, 0.4, 0.25, 0.1], atol=1e-6)
        _, card = checkpoints.read(pipeline / "train/tiny.full" / split)
        assert (card.split["train"], card.split["test"]) == (12, 0)
    assert (predictions["all-00"]["predicted"] != predictions["all-01"]["predicted"]).all()


@pytest.mark.parametrize(("arguments", "split"), [(TINY, "split-00"), (OTHER, "all-00")])
def test_rmse_is_in_points_of_the_test_set(copy, arguments, split):
    # fitted to a constant, the logistic is the mean score: what remains is the standard deviation
    folder = copy / "train/tiny.full" / split
    model, card = checkpoints.read(folder)
    with torch.no_grad():
        for tensor in (
            model.regions.quality.weight,
            model.heads.w2,
            model.mean_quality,
            model.calibration,
        ):
            tensor.zero_()
    checkpoints.write(folder, model, card, checkpoints.SPLIT.empty_table())
    benchmark.run(copy, **arguments | {"number": 1})
    (row,), predictions = tables(copy, f"tiny.{arguments['test']}.full")
    assert not predictions[split]["predicted"].any()
    assert row["rmse"] == pytest.approx(np.std(predictions[split]["mos"]), rel=1e-6)
    assert row["rmse"] > 1
    assert np.isnan([row["srcc"], row["plcc_raw"], row["plcc"]]).all()


def test_predictions_are_the_checkpoints_whatever_the_size_of_a_chunk(pipeline):
    data = samples.load(pipeline / "other")
    model, _ = checkpoints.read(pipeline / "train/tiny.full/all-01")
    _, predictions = tables(pipeline, "tiny.other.full")
    found = benchmark.predict_quality(model, data)
    assert found.dtype == np.float64
    np.testing.assert_array_equal(found, predictions["all-01"]["predicted"])
    alone = benchmark.predict_quality(model, data, chunk=1)
    np.testing.assert_allclose(alone, found, atol=1e-6)


@pytest.mark.parametrize("changes", [{"seed": 1}, {"test_fraction": 0.5}])
def test_a_checkpoint_of_another_split_is_refused(pipeline, changes):
    message = r"full/split-00: must be trained on split-00 of tiny .* found sha256 \w{12}, expected"
    with pytest.raises(InputError, match=message):
        benchmark.run(pipeline, **TINY | changes)


def test_a_checkpoint_in_the_place_of_another_is_refused(copy):
    """Of another seed, though all images were trained on for both."""
    folder = copy / "train/tiny.full"
    shutil.rmtree(folder / "all-00")
    shutil.copytree(folder / "all-01", folder / "all-00")
    with pytest.raises(InputError, match=r"found name all-01, expected all-00; train it again"):
        benchmark.run(copy, **OTHER)


def test_a_checkpoint_of_other_scores_is_refused(copy):
    path = copy / "tiny/manifest.parquet"
    table, provenance = manifest.read(path)
    turned = [1 - value for value in table["quality"].to_pylist()]
    manifest.write(path, with_column(table, "quality", turned), provenance)
    with pytest.raises(InputError, match=r"found scores_sha256 \w{12}, expected \w{12}; train it"):
        benchmark.run(copy, **TINY)


def test_a_checkpoint_of_fewer_images_is_refused(copy):
    path = copy / "tiny/extract/00000.safetensors"
    found, provenance = features.read(path)
    arrays = [getattr(found, name)[1:] for name in features.VIEWS]
    less = features.Features(found.image_ids[1:], *arrays, found.channels)
    features.write(path, less, provenance)
    message = r"full/all-00: must be trained on all-00 of tiny .* found sha256 \w{12}, expected \w"
    with pytest.raises(InputError, match=message):
        benchmark.run(copy, **OTHER)


def test_the_official_split_is_kept_to(copy):
    path = copy / "tiny/manifest.parquet"
    table, provenance = manifest.read(path)
    subsets = [
        "test" if group in ("g1", "g4") else "training" for group in table["group"].to_pylist()
    ]
    manifest.write(path, with_column(table, "subset", subsets), provenance)
    for split in ("official-00", "official-01"):
        folder = checkpoint_folder(copy, "tiny", "full", split)
        train.run(copy / "tiny", folder, TRAIN, variant="full", split=split, **SPLITS)
    for method, number in (("full", 2), ("probe", 1)):
        benchmark.run(copy, **TINY | {"methods": [method], "number": number}, official=True)
        rows, predictions = tables(copy, f"tiny.tiny.{method}")
        assert [row["n"] for row in rows] == [4] * number
        data = samples.load(copy / "tiny")
        tested = [i for i, g in zip(data.image_ids, data.groups, strict=True) if g in ("g1", "g4")]
        for found in predictions.values():
            assert found["image_id"].tolist() == tested


def test_a_set_that_is_only_tested_needs_no_copies(copy, pipeline):
    before, _ = tables(pipeline, "tiny.other.full")
    extract.run(
        copy / "other", EXTRACT.model_copy(update={"augmented_views": False}), max_failed_fraction=0
    )
    assert samples.load(copy / "other").distorted is None
    benchmark.run(copy, **OTHER)
    assert tables(copy, "tiny.other.full")[0] == before


def test_a_checkpoint_for_other_inputs_is_refused(copy):
    extract.run(copy / "other", EXTRACT.model_copy(update={"grid": 2}), max_failed_fraction=0)
    message = r"all-00: trained with backbone grid 4, found 2 in other; make both with the same opt"
    with pytest.raises(InputError, match=message):
        benchmark.run(copy, **OTHER)


@pytest.mark.parametrize(
    ("part", "name", "value"),
    [
        ("encoder", "encoder", "some other"),
        ("encoder", "sha256", "0" * 64),
        ("backbone", "backbone", "resnet50"),
        ("backbone", "sha256", "0" * 64),
        ("segment", "backend", "sam"),
    ],
)
def test_a_checkpoint_of_another_origin_is_refused(copy, part, name, value):
    path = checkpoint_folder(copy, "tiny", "full", "all-00") / "card.json"
    card = read_json_with_checksum(path)
    assert card[part][name] != value
    write_json_with_checksum(path, card | {part: card[part] | {name: value}})
    message = rf"all-00: trained with {part} {name} {value}, found .* in other; make both with the"
    with pytest.raises(InputError, match=message):
        benchmark.run(copy, **OTHER)


def test_a_baseline_is_not_tested_on_other_features(copy):
    extract.run(copy / "other", EXTRACT.model_copy(update={"grid": 2}), max_failed_fraction=0)
    with pytest.raises(InputError, match=r"^probe on tiny: trained with backbone grid 4, found 2"):
        benchmark.run(copy, **OTHER | {"methods": ["probe"], "number": 1})


def test_an_image_of_both_data_sets_is_refused(pipeline, copy):
    shutil.copytree(pipeline / "tiny", copy / "copy")
    message = r"copy: must share no image with tiny, found the bytes of .* in .*; leave one of them"
    with pytest.raises(InputError, match=message):
        benchmark.run(copy, **TINY | {"test": "copy"})


def test_a_missing_checkpoint_is_named(pipeline):
    with pytest.raises(InputError, match=r"tiny.full/split-02: no checkpoint \(card.json\) here"):
        benchmark.run(pipeline, **TINY | {"number": 3})


def test_methods_together_give_the_same_bytes_as_alone(copy, pipeline):
    names = [f"tiny.tiny.{method}" for method in ("full", "no_mllm", "probe")]
    for name in names:
        (copy / "benchmark" / f"{name}.parquet").unlink()
        benchmark.run(copy, **TINY | {"methods": [name.rpartition(".")[2]]})
        for suffix in (".parquet", ".predictions.parquet"):
            path = f"benchmark/{name}{suffix}"
            assert (copy / path).read_bytes() == (pipeline / path).read_bytes()


def test_a_baseline_has_one_seed(copy):
    benchmark.run(copy, **OTHER | {"methods": ["probe"], "number": 3})
    rows, _ = tables(copy, "tiny.other.probe")
    assert [row["split"] for row in rows] == ["all-00"]


@pytest.fixture
def toy_baseline():
    """A baseline that is added by one registration."""
    target = "tests.support.baseline:mean_quality"
    BASELINES.register("toy", Baseline("Toy", "the mean score", target))
    yield "toy"
    BASELINES.remove("toy")


def test_a_baseline_is_added_by_one_registration(copy, toy_baseline):
    assert BenchmarkOptions(baselines=(toy_baseline,)).baselines == (toy_baseline,)
    benchmark.run(copy, **TINY | {"methods": [toy_baseline]})
    rows, predictions = tables(copy, f"tiny.tiny.{toy_baseline}")
    assert [row["variant"] for row in rows] == [toy_baseline] * 2
    assert len(set(predictions["split-00"]["predicted"])) == 1


def test_an_unknown_baseline_is_named_with_those_there_are():
    with pytest.raises(ValidationError, match="should be one of brisque, mlp, probe"):
        BenchmarkOptions(baselines=("niqe",))


def test_the_stage_starts_without_what_only_a_baseline_needs():
    code = "import sys, rsfiqa.benchmark.stage; print(*sys.modules)"
    command = [sys.executable, "-c", code]
    modules = subprocess.run(command, capture_output=True, text=True, check=True).stdout.split()
    assert not {"sklearn", "timm", "torchvision", "torch._dynamo"} & set(modules)
