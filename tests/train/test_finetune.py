"""Fine-tuning: it learns, resumes to the same weights, and is read back with the same scores."""

import os
import shutil
import subprocess
import sys
from dataclasses import replace
from itertools import count
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file

from rsfiqa import samples
from rsfiqa.backbones import loading as backbones
from rsfiqa.benchmark import stage as benchmark
from rsfiqa.errors import InputError
from rsfiqa.extract import stage as extract
from rsfiqa.extract.options import ExtractOptions
from rsfiqa.images import load
from rsfiqa.model import RSA, Batch, Prediction, quality_loss
from rsfiqa.products import checkpoints
from rsfiqa.score.scorer import Scorer
from rsfiqa.train import finetune
from rsfiqa.train import stage as train
from rsfiqa.train.crops import Crop
from rsfiqa.train.finetune import Tuned, layer_of, parameter_groups
from rsfiqa.train.options import TrainOptions
from tests.support.pipeline import SEED, TEST_FRACTION, made

ROOT = Path(__file__).resolve().parents[2]
OPTIONS = {
    "min_images": 2,
    "epochs": 1,
    "ensemble_heads": 2,
    "width": 8,
    "hidden": 8,
    "finetune": True,
    "tune_epochs": 3,
    "tune_batch_size": 4,
    "crop": 48,
}
SPLIT = {"variant": "full", "split": "split-00", "test_fraction": TEST_FRACTION, "seed": SEED}


class Ended(Exception):
    """Raised to end a training early."""


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return made(tmp_path_factory)


def tune(root, output, **changes):
    train.run(root / "tiny", output, TrainOptions(**OPTIONS | changes), **SPLIT)
    return checkpoints.read(output)


@pytest.fixture(scope="module")
def tuned(root, tmp_path_factory):
    """The folder of a fine-tuned checkpoint."""
    output = tmp_path_factory.mktemp("tuned") / "checkpoint"
    tune(root, output)
    return output


def test_a_checkpoint_is_tested_and_scores_with_its_own_backbone(root, tuned):
    model, card = checkpoints.read(tuned)
    assert card.finetuned
    assert len(card.losses) == 1 + 3
    assert not (tuned / "state.pt").exists()
    own = checkpoints.read_backbone(tuned, card)
    data = samples.load(root / "tiny")
    seen = data.with_grid_features(own, card.backbone["long_side"])
    assert (
        seen.batch.grid_features - data.batch.grid_features.float()
    ).abs().max() > 0.01  # it was trained
    wanted = benchmark.predict_quality(model, seen)
    predict, part = benchmark.predictor(
        tuned, data, "split-00", test_fraction=TEST_FRACTION, seed=SEED
    )
    np.testing.assert_allclose(predict(data.take(part)), wanted[part], atol=1e-6)
    assert np.abs(benchmark.predict_quality(model, data) - wanted).max() > 1e-3
    scorer = Scorer(tuned)
    for path, quality in zip(data.rows["path"].to_pylist()[:3], wanted, strict=False):
        assert scorer.score(path).score == pytest.approx(1 + 4 * quality, abs=4e-4)


@pytest.mark.parametrize(
    "changes", [{}, {"validation_fraction": 0.3, "patience": 2, "tune_batch_size": 2}]
)
def test_a_killed_training_goes_on_to_the_same_weights(
    root, changes, tmp_path, monkeypatch, caplog
):
    caplog.set_level("INFO", "rsfiqa")
    monkeypatch.setattr("rsfiqa.train.finetune.SAVE_STEPS", 1)
    steps = 0
    step = torch.optim.AdamW.step

    def killed(self, *arguments, **named):
        nonlocal steps
        steps += 1
        if steps == 2 + 5:  # of the frozen training, and of this one
            raise KeyboardInterrupt
        return step(self, *arguments, **named)

    with monkeypatch.context() as patch:
        patch.setattr(torch.optim.AdamW, "step", killed)
        with pytest.raises(KeyboardInterrupt):
            tune(root, tmp_path / "killed", **changes)
    assert (tmp_path / "killed/state.pt").is_file()
    for name in ("killed", "whole"):
        tune(root, tmp_path / name, **changes)
    assert caplog.text.count("training goes on after step 5") == 1
    killed_weights, whole = (tmp_path / f"{name}/model.safetensors" for name in ("killed", "whole"))
    assert killed_weights.read_bytes() == whole.read_bytes()


def test_a_training_that_was_killed_after_its_last_step_does_not_go_on(root, tmp_path, monkeypatch):
    monkeypatch.setattr("rsfiqa.train.finetune.SAVE_STEPS", 1)
    changes = {"validation_fraction": 0.3, "patience": 1, "tune_epochs": 6, "tune_batch_size": 2}
    verdicts = iter([0, 0.5, 0.4, 0.9])  # of the frozen training, and of this one: over after two
    with monkeypatch.context() as patch:
        patch.setattr(train, "_srcc", lambda *_: next(verdicts))
        patch.setattr("rsfiqa.products.checkpoints.write", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            tune(root, tmp_path, **changes)
    with monkeypatch.context() as patch:
        rising = count()
        patch.setattr(train, "_srcc", lambda *_: next(rising))  # if it began anew
        _, card = tune(root, tmp_path, **changes)
    assert len(card.losses) == 1 + 2


@pytest.mark.parametrize(
    "name",
    [
        "test_resnet",
        "test_convnext",
        "test_efficientnet",
        "test_vit",
        "swin_tiny_patch4_window7_224",
    ],
)
def test_any_architecture_is_trained_saved_and_read_back(root, name, tmp_path, monkeypatch):
    """What is read back scores as what was written did, in another layout of memory."""
    torch.manual_seed(0)
    weights = tmp_path / "weights.safetensors"
    save_file(timm.create_model(name, pretrained=False).state_dict(), weights)
    folder = shutil.copytree(root / "tiny", tmp_path / "tiny")
    shutil.rmtree(folder / "extract")
    settings = ExtractOptions(backbone=name, weights=str(weights), grid=4, augmented_views=False)
    extract.run(folder, settings, max_failed_fraction=0.5)
    written = []
    write = checkpoints.write
    monkeypatch.setattr(
        checkpoints, "write", lambda *content: (written.append(content), write(*content))
    )
    changes = {"tune_epochs": 1, "localization": 0}
    options = TrainOptions(**OPTIONS | changes)
    train.run(folder, tmp_path / "out", options, **SPLIT, weights=str(weights))
    ((_, model, card, _, stages),) = written
    source = backbones.load(name, str(weights))
    before = source.stages.state_dict()
    assert any((value != before[key]).any() for key, value in stages.state_dict().items())
    data = samples.load(folder)
    side = card.backbone["long_side"]
    kept = benchmark.predict_quality(model.eval(), data, replace(source, stages=stages), side)
    again, card = checkpoints.read(tmp_path / "out")
    own = checkpoints.read_backbone(tmp_path / "out", card)
    np.testing.assert_allclose(benchmark.predict_quality(again, data, own, side), kept, atol=2e-6)
    assert np.ptp(kept) > 1e-4


def test_a_compiled_backbone_learns_the_same(root, tuned, tmp_path, monkeypatch):
    """Traced and called as torch.compile does it, without its code generator."""

    compiled = []

    def compile(self):
        compiled.append(self)
        self._compiled_call_impl = torch.compile(self._call_impl, backend="eager")

    monkeypatch.setattr(torch.nn.Module, "compile", compile)
    tune(root, tmp_path, compile=True)
    assert len(compiled) == 1
    weights = (folder / "model.safetensors" for folder in (tmp_path, tuned))
    assert len({path.read_bytes() for path in weights}) == 1


def test_the_state_of_another_training_is_not_taken_up(root, tuned, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("rsfiqa.train.finetune.SAVE_STEPS", 1)
    with monkeypatch.context() as patch:
        patch.setattr("rsfiqa.products.checkpoints.write", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            tune(root, tmp_path, tune_rate=1e-3)
    assert (tmp_path / "state.pt").is_file()
    tune(root, tmp_path)
    assert "of another training" in caplog.text
    weights = (folder / "model.safetensors" for folder in (tmp_path, tuned))
    assert len({path.read_bytes() for path in weights}) == 1


def test_a_batch_in_parts(root, tmp_path):
    """Correlation and ranking see a part at a time, so the result is another one.

    Without spoilt regions, of which the parts of such a batch have one or none.
    """
    tune(root, tmp_path / "whole", localization=0)
    tune(root, tmp_path / "parts", localization=0, accumulate=2)
    assert 0.1 < cosine(change(tmp_path / "parts"), change(tmp_path / "whole")) < 0.999


def test_a_step_in_parts_takes_the_mean_of_their_gradients(root, tmp_path, monkeypatch):
    """The gradient of each part is taken by itself beside the training, which is then ended."""
    parts, found = [], []
    monkeypatch.setattr(finetune, "CLIP", 1e9)

    def keep(tuned, *_):
        weights.extend(tuned.stages.parameters())
        return original_groups(tuned, *_)

    def loss(*given):
        value = original_loss(*given)
        assert len(given[1]) == 2  # crops
        parts.append(torch.autograd.grad(value, weights, retain_graph=True))
        return value

    def step(self, *_, **__):
        if not weights:
            return original_step(self)  # of the frozen training
        found.extend(weight.grad.clone() for weight in weights)
        raise Ended

    weights: list[torch.Tensor] = []
    original_groups, original_loss = finetune.parameter_groups, finetune._loss
    original_step = torch.optim.AdamW.step
    monkeypatch.setattr(finetune, "parameter_groups", keep)
    monkeypatch.setattr(finetune, "_loss", loss)
    monkeypatch.setattr(torch.optim.AdamW, "step", step)
    with pytest.raises(Ended):
        tune(root, tmp_path, accumulate=2)
    assert len(parts) == 2
    for first, second, both in zip(*parts, found, strict=True):
        torch.testing.assert_close(both, (first + second) / 2)
    assert any((first != second).any() for first, second in zip(*parts, strict=True))


def test_the_loss_of_a_spoilt_region():
    """By hand: the other region fell by 0.1, ten e-folds; its cross-entropy is ln(1 + e**10)."""
    pictures = [np.full((3, 4, 4), i, np.uint8) for i in range(4)]
    crops = [
        Crop(
            pictures[i], *[np.zeros(0)] * 3, distorted=pictures[3] if i == 1 else None, region=i - 1
        )
        for i in range(3)
    ]
    present = torch.tensor([[True, True, False]] * 2 + [[True, False, False]])
    batch = Batch(
        grid_features=torch.zeros(3, 2, 1, 1, 1),
        coverage=torch.zeros(3, 3, 1),
        text=torch.zeros(3, 3, 0),
        ratings=torch.zeros(3, 3, 5),
        geometry=torch.zeros(3, 3, 7),
        present=present,
    )

    def model(pixels, seen, copies):
        assert [picture.max() for picture in pixels] == [0, 1, 2]
        assert [(place, picture.max()) for place, picture in copies.items()] == [(1, 3)]
        assert seen is batch
        none = torch.zeros(3)
        ensemble_heads = torch.tensor([[0.1, 0.7, 0.3]])
        return Prediction(none, none, none, none, none, ensemble_heads), torch.tensor([[0, 0.1, 0]])

    mos = torch.tensor([0.1, 0.9, 0.4])
    expected = quality_loss(torch.tensor([[0.1, 0.7, 0.3]]), mos) + 0.3 * np.log1p(np.exp(10))
    torch.testing.assert_close(finetune._loss(model, crops, batch, mos, 0.3), expected)


def test_the_backbone_learns_nothing_from_spoilt_regions(root):
    """The fall is that of the two pictures by themselves; its slope ends at the model."""
    data = samples.load(root / "tiny")
    options = TrainOptions(**OPTIONS)
    whole = Tuned(
        backbones.load("tf_efficientnet_lite0", "packaged"),
        train.make_model(data, options, "full", 0),
        data.batch.grid_features.shape[-1],
    ).eval()
    random = np.random.default_rng(0)
    pixels = list(random.integers(0, 256, (3, 3, 64, 64), dtype=np.uint8))
    batch = data.batch.take(torch.arange(2))
    found, fall = whole(pixels[:2], batch, {1: pixels[2]})
    alone = [
        whole(pixels[i : i + 1], batch.take(torch.tensor([1])))[0].region_quality for i in (1, 2)
    ]
    torch.testing.assert_close(fall, alone[0] - alone[1])
    torch.testing.assert_close(found.region_quality[1:], alone[0])
    fall[0, 0].backward()
    assert all(weight.grad is None for weight in whole.stages.parameters())
    assert any(weight.grad is not None and weight.grad.any() for weight in whole.model.parameters())


@pytest.mark.parametrize(
    ("changes", "variant", "spoilt"),
    [({}, "full", True), ({"localization": 0}, "full", False), ({}, "no_rsa", False)],
)
def test_crops_are_spoilt_where_there_are_regions_to_tell(
    root, changes, variant, distorted, tmp_path, monkeypatch
):
    def seen(_, crops, *__):
        assert {crop.distorted is not None for crop in crops} == {distorted}
        raise Ended

    monkeypatch.setattr(finetune, "SPOILT", 1)
    monkeypatch.setattr(finetune, "_loss", seen)
    options = TrainOptions(**OPTIONS | changes)
    with pytest.raises(Ended):
        train.run(root / "tiny", tmp_path, options, **SPLIT | {"variant": variant})


@pytest.mark.parametrize("workers", [0, 1])
def test_an_image_that_is_gone_is_one_line(root, workers, tmp_path, monkeypatch):
    def gone(path):
        raise InputError(f"{path}: no such file; prepare the data set again")

    monkeypatch.setattr(load, "reload_rgb", gone)
    with pytest.raises(InputError, match=r"^/.*: no such file; prepare the data set again$"):
        tune(root, tmp_path, workers=workers)


@pytest.mark.parametrize(
    "changes",
    [{"tune_epochs": 6}, {"tune_epochs": 1, "tune_batch_size": 8}],
    ids=["early", "at last"],
)
def test_a_training_that_diverges(root, tmp_path, changes):
    message = (
        r"^train.finetune.lr: must let the training converge, found nan in epoch \d; lower it$"
    )
    options = TrainOptions(**OPTIONS | changes).model_copy(update={"tune_head_rate": 1e30})
    with pytest.raises(InputError, match=message):
        train.run(root / "tiny", tmp_path, options, **SPLIT)


@pytest.mark.parametrize("changes", [{"accumulate": 3}, {"accumulate": 4}])
def test_a_batch_that_cannot_be_split_evenly(root, tmp_path, changes):
    with pytest.raises(
        InputError, match=r"train.finetune.batch_size: must be a multiple, at least"
    ):
        tune(root, tmp_path, **changes)


def test_too_few_images_for_a_batch_in_parts(root, tmp_path):
    message = (
        r"train.accumulate: times processes \(8\) takes 16 images .* or more, found 8; lower it"
    )
    with pytest.raises(InputError, match=message):
        tune(root, tmp_path, accumulate=8, tune_batch_size=16)


def test_other_weights_than_those_of_the_features(root, tmp_path):
    other = timm.create_model("tf_efficientnet_lite0", pretrained=False)
    save_file(other.state_dict(), tmp_path / "other.safetensors")
    with pytest.raises(InputError, match=r"extract.weights: must be those that made the features"):
        train.run(
            root / "tiny",
            tmp_path / "out",
            TrainOptions(**OPTIONS),
            **SPLIT,
            weights=str(tmp_path / "other.safetensors"),
        )


def test_rates_fall_from_the_top_of_a_backbone_to_its_bottom():
    names = ("blocks.3.1.conv.weight", "conv_stem.weight", "model.blocks.5.attn.qkv.weight")
    layers = ("blocks.3.1", "conv_stem", "model.blocks.5")
    assert tuple(map(layer_of, names)) == layers
    shortcut = "layer1.0.downsample.0.weight"  # of a residual block, which is one layer
    assert layer_of(shortcut) == layer_of("layer1.0.conv1.weight") == "layer1.0"
    source = backbones.load("tf_efficientnet_lite0", "packaged")
    model = RSA(source.channels, text_dim=4)
    groups = parameter_groups(
        Tuned(source, model, 4), TrainOptions(tune_rate=1e-3, layer_decay=0.5)
    )
    rate = {id(p): group["lr"] for group in groups for p in group["params"]}
    named = dict(source.stages.named_parameters())
    top, bottom = named["blocks.6.0.conv_pw.weight"], named["conv_stem.weight"]
    assert rate[id(top)] == pytest.approx(1e-3)
    assert rate[id(bottom)] < 1e-3 * 0.5**10
    assert len(rate) == len(named) + len(dict(model.named_parameters()))


@pytest.mark.parametrize("changes", [{"workers": 1}, {"precision": "bf16"}])
def test_how_it_is_computed_changes_little(root, tuned, tmp_path, changes):
    model, _ = tune(root, tmp_path, **changes)
    reference, _ = checkpoints.read(tuned)
    if "workers" in changes:
        for name, value in reference.state_dict().items():
            assert torch.equal(value, model.state_dict()[name])
    else:
        assert 0.5 < cosine(change(tmp_path), change(tuned)) < 0.9999


def change(folder):
    """By how much training has moved each weight of the backbone, float (n,)."""
    before = backbones.load("tf_efficientnet_lite0", "packaged").stages.state_dict()
    after = checkpoints.read_backbone(folder, checkpoints.read(folder)[1]).stages.state_dict()
    names = [name for name, value in before.items() if value.is_floating_point()]
    return torch.cat([(after[name] - before[name]).flatten() for name in names])


def cosine(a, b):
    return float(torch.nn.functional.cosine_similarity(a, b, dim=0))


COMPARED = """
import sys
import torch
from rsfiqa import cli, train
original = train.fit_tuned
def fit_tuned(tuned, *arguments, **named):
    losses = original(tuned, *arguments, **named)
    own = torch.cat([weight.detach().flatten() for weight in tuned.parameters()])
    both = [torch.empty_like(own) for _ in range(2)]
    torch.distributed.all_gather(both, own)
    assert torch.equal(*both), "the processes have different weights"
    return losses
train.fit_tuned = fit_tuned
sys.exit(cli.main(sys.argv[1:]))
"""


@pytest.mark.slow
@pytest.mark.parametrize("changes", [{}, {"validation_fraction": 0.3, "patience": 1}])
def test_two_processes_share_a_training(root, changes, tmp_path):
    """Under torchrun: both have the same weights in the end, though each saw other images."""
    flags = [
        f"--{name.replace('_', '-')}" if value is True else f"--{name.replace('_', '-')}={value}"
        for name, value in (OPTIONS | changes).items()
    ]
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    script = tmp_path / "compared.py"
    script.write_text(COMPARED, "utf-8")
    stage = [str(script), "train", str(root / "tiny"), f"--output={tmp_path}"]
    found = subprocess.run(
        [*command, *stage, *flags, f"--test-fraction={TEST_FRACTION}"],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert found.returncode == 0, found.stderr
    model, card = checkpoints.read(tmp_path)
    assert card.finetuned
    assert all(torch.isfinite(value).all() for value in model.state_dict().values())
    assert change(tmp_path).abs().max() > 0
