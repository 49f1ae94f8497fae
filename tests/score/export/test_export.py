"""The export of checkpoints: ONNX, and a folder for the hub."""

import json
import os
import shutil
import subprocess
import sys

import numpy as np
import pytest
import torch
import yaml

from rsfiqa import checkpoints, cli
from rsfiqa.captioners.classifier.features import pixel_features
from rsfiqa.captioners.classifier.perceived import LEAST_EXPECTED
from rsfiqa.captioners.rule_based.statistics import region_statistics
from rsfiqa.datasets import demo
from rsfiqa.errors import InputError
from rsfiqa.images.distort import distort
from rsfiqa.score.export.masks import region_masks
from rsfiqa.score.export.pixels import PixelFeatures
from rsfiqa.score.scorer import Scorer

onnxruntime = pytest.importorskip("onnxruntime", reason="needs 'rsfiqa[onnx]'")
pytest.importorskip("onnx", reason="needs 'rsfiqa[onnx]'")

CHELSEA = "skimage/data/chelsea.png"


@pytest.fixture(scope="module")
def scorer():
    return Scorer.load(device="cpu")


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    folder = tmp_path_factory.mktemp("export") / "packaged"
    assert cli.main(["export", "-o", str(folder)]) == 0
    return folder


@pytest.fixture(scope="module")
def session(exported):
    return onnxruntime.InferenceSession(exported / "model.onnx", providers=["CPUExecutionProvider"])


def pictures():
    cat = demo.photograph(CHELSEA)
    yield cat
    yield np.ascontiguousarray(cat[30:211, 40:277])
    yield distort(cat, "noise", 4, np.random.default_rng(0))
    yield distort(np.ascontiguousarray(cat[:, :200]), "blur", 5, np.random.default_rng(0))
    yield demo.photograph("sklearn/datasets/images/china.jpg")


@pytest.mark.parametrize("number", range(5))
def test_the_file_scores_as_the_scorer(scorer, session, number):
    image = list(pictures())[number]
    labels = scorer.segment(image)
    expected = scorer.predict(image, labels)
    names = [output.name for output in session.get_outputs()]
    given = {"image": image, "labels": labels.astype(np.int64)}
    found = dict(zip(names, session.run(None, given), strict=True))
    prediction = expected.prediction
    assert found["score"] == pytest.approx(100 * prediction.quality[0].item(), abs=0.01)
    for name, own in {
        "region_score": 100 * prediction.region_quality[0],
        "region_weight": prediction.region_weight[0],
        "attention": prediction.attention[0],
        "cost_map": scorer.score(image).cost_grid,
        "ratings": expected.ratings,
    }.items():
        np.testing.assert_allclose(found[name], own, atol=0.01)
    assert found["region_cost"].sum() == pytest.approx(100 - found["score"], abs=0.01)


def test_the_card_describes_inputs_outputs_and_the_scale(exported, session):
    card = json.loads((exported / "card.json").read_text("utf-8"))
    assert list(card["inputs"]) == ["image", "labels"]
    assert {each.name for each in session.get_inputs()} == set(card["inputs"])
    assert {each.name for each in session.get_outputs()} == set(card["outputs"])
    assert card["scale"] == {"better": "higher", "high": 100.0, "low": 0.0}
    assert (card["long_side"], len(card["families"])) == (1024, 16)
    assert card["least_expected_severity"] == LEAST_EXPECTED
    assert card["largest_difference"] <= 1e-4
    assert "Apache-2.0" in card["licence"]


@pytest.mark.parametrize("size", [(40, 57), (96, 64), (33, 32)])
def test_pixel_features_are_those_of_the_captioner(size):
    image = np.random.default_rng(0).integers(0, 256, (*size, 3), np.uint8)
    image[:8] = 255
    rows, columns = (np.arange(side) * 2 // side for side in size)
    labels = (rows[:, None] * 2 + columns).astype(np.int64)
    given = torch.from_numpy(labels)
    masks = region_masks(given, torch.arange(4))
    found, statistics = PixelFeatures()(torch.from_numpy(image), given, masks)
    expected = pixel_features(image, labels.astype(np.uint16))
    # OpenCV rounds CIELAB up where the graph rounds down in a few pixels
    np.testing.assert_allclose(found, expected, rtol=5e-4, atol=2e-3)
    own = region_statistics(image, labels.astype(np.uint16))
    for name, values in statistics.items():
        np.testing.assert_allclose(values, getattr(own, name), atol=2e-3)


def test_a_checkpoint_without_the_packaged_captioner_takes_captions(tmp_path_factory, tmp_path):
    from tests.support.pipeline import made

    folder = made(tmp_path_factory) / "train/tiny.full/split-00"
    out = tmp_path / "out"
    assert cli.main(["export", "-o", str(out), "--checkpoint", str(folder)]) == 0
    card = json.loads((out / "card.json").read_text("utf-8"))
    assert set(card["inputs"]) in ({"image", "labels"}, {"image", "labels", "ratings", "text"})
    assert (card["least_expected_severity"] is None) == (not card["families"])


def test_an_export_is_no_checkpoint(exported, capsys):
    assert cli.main(["score", "a.jpg", "--checkpoint", str(exported)]) == 1
    assert (
        f"rsfiqa score: {exported}: must be a checkpoint, found an ONNX" in capsys.readouterr().err
    )


def test_an_output_that_exists_is_refused(tmp_path, capsys):
    assert cli.main(["export", "-o", str(tmp_path)]) == 1
    assert f"{tmp_path}: must be a new folder, found one" in capsys.readouterr().err
    assert list(tmp_path.iterdir()) == []


def test_a_wrong_opset_is_refused(tmp_path, capsys):
    assert cli.main(["export", "-o", str(tmp_path / "out"), "--opset", "9"]) == 2
    (line,) = capsys.readouterr().err.splitlines()
    assert "opset" in line
    assert "9" in line


def test_a_missing_onnx_runtime_is_one_line(tmp_path):
    (tmp_path / "onnxruntime.py").write_text("raise ModuleNotFoundError(name='onnxruntime')\n")
    path = os.pathsep.join([str(tmp_path), os.environ.get("PYTHONPATH", os.getcwd())])  # noqa: PTH109
    done = subprocess.run(
        [sys.executable, "-m", "rsfiqa", "export", "-o", str(tmp_path / "out")],
        env=os.environ | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    (line,) = done.stderr.splitlines()
    assert line.endswith(
        "needs the package onnxruntime, found none; install it with pip install 'rsfiqa[onnx]'"
    )


@pytest.fixture
def folder(tmp_path):
    target = tmp_path / "model"
    assert cli.main(["export", "-o", str(target), "--format", "hub"]) == 0
    return target


def test_a_folder_for_the_hub_is_loaded_and_scores_alike(scorer, folder):
    image = demo.photograph(CHELSEA)
    loaded = Scorer.from_pretrained(folder, device="cpu")
    assert loaded.score(image).score == scorer.score(image).score


def test_a_folder_for_the_hub_has_a_page_and_nothing_of_others(folder):
    names = sorted(path.name for path in folder.iterdir())
    assert names == ["README.md", "card.json", "config.json", "model.safetensors"]
    _, head, _ = (folder / "README.md").read_text("utf-8").split("---\n", 2)
    metadata = yaml.safe_load(head)
    assert metadata["library_name"] == "rsfiqa"
    assert set(metadata) >= {"license", "tags", "datasets", "metrics", "pipeline_tag"}


def test_a_snapshot_in_the_cache_of_the_hub_is_loaded(folder, tmp_path, monkeypatch):
    from huggingface_hub import constants

    cache = tmp_path / "cache"
    root = cache / "models--someone--model"
    shutil.copytree(folder, root / "snapshots" / ("0" * 40))
    (root / "refs").mkdir()
    (root / "refs/main").write_text("0" * 40)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(cache))
    assert (
        Scorer.from_pretrained("someone/model", device="cpu").digest
        == (checkpoints.read_card(folder)[1])
    )


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("someone/nothing-here", "must be on the hub or in its cache, found neither"),
        ("no such folder", "must be a folder or owner/name of a repository on the hub"),
    ],
)
def test_a_model_that_is_nowhere_is_refused(name, message):
    with pytest.raises(InputError, match=message):
        Scorer.from_pretrained(name)
