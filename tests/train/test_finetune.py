"""Fine-tuning: it learns, resumes to the same weights, and is read back with the same scores."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import save_file

from rsfiqa import backbone, benchmark, checkpoints, samples, train
from rsfiqa.errors import InputError
from rsfiqa.model import RSA
from rsfiqa.stages import TrainOptions
from rsfiqa.train.finetune import Tuned, layer_of, parameter_groups
from tests.pipeline import SEED, TEST_SHARE, made

ROOT = Path(__file__).resolve().parents[2]
OPTIONS = {
    "min_images": 2,
    "epochs": 1,
    "members": 2,
    "width": 8,
    "hidden": 8,
    "finetune": True,
    "tune_epochs": 3,
    "tune_batch_size": 4,
    "crop": 48,
}
SPLIT = {"variant": "full", "split": "split-00", "test_share": TEST_SHARE, "seed": SEED}


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


def test_a_checkpoint_holds_its_backbone_and_scores_the_same(root, tuned):
    model, card = checkpoints.read(tuned)
    assert card.finetuned
    assert len(card.losses) == 1 + 3
    assert not (tuned / "state.pt").exists()
    own = checkpoints.read_backbone(tuned, card)
    data = samples.load(root / "tiny")
    seen = samples.with_cells(data, own, card.backbone["long_side"])
    assert (seen.batch.cells - data.batch.cells.float()).abs().max() > 0.01  # it was trained
    once = benchmark.predict_quality(model, seen)
    again = benchmark.predict_quality(*checkpoints.read(tuned)[:1], seen)
    np.testing.assert_array_equal(once, again)
    assert np.isfinite(once).all()


@pytest.mark.parametrize(
    "changes", [{}, {"validation_share": 0.3, "patience": 2, "tune_batch_size": 2}]
)
def test_a_killed_training_goes_on_to_the_same_weights(root, changes, tmp_path, monkeypatch):
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
    killed_weights, whole = (tmp_path / f"{name}/model.safetensors" for name in ("killed", "whole"))
    assert killed_weights.read_bytes() == whole.read_bytes()


def test_the_state_of_another_training_is_not_taken_up(root, tuned, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr("rsfiqa.train.finetune.SAVE_STEPS", 1)
    with monkeypatch.context() as patch:
        patch.setattr("rsfiqa.checkpoints.write", lambda *_: 1 / 0)
        with pytest.raises(ZeroDivisionError):
            tune(root, tmp_path, tune_rate=1e-3)
    assert (tmp_path / "state.pt").is_file()
    tune(root, tmp_path)
    assert "of another training" in caplog.text
    weights = (folder / "model.safetensors" for folder in (tmp_path, tuned))
    assert len({path.read_bytes() for path in weights}) == 1


def test_a_batch_in_parts(root, tmp_path):
    """Correlation and ranking see a part at a time, so the result is another one."""
    tune(root, tmp_path, accumulate=2)
    assert torch.isfinite(change(tmp_path)).all()
    assert change(tmp_path).abs().max() > 0


@pytest.mark.parametrize("changes", [{"accumulate": 3}, {"accumulate": 4}])
def test_a_batch_that_cannot_be_split_evenly(root, tmp_path, changes):
    with pytest.raises(InputError, match=r"train.tune_batch_size: must be a multiple, at least"):
        tune(root, tmp_path, **changes)


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
    source = backbone.load("tf_efficientnet_lite0", "packaged")
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
        assert cosine(change(tmp_path), change(tuned)) > 0.5


def change(folder):
    """By how much training has moved each weight of the backbone, float (n,)."""
    before = backbone.load("tf_efficientnet_lite0", "packaged").stages.state_dict()
    after = checkpoints.read_backbone(folder, checkpoints.read(folder)[1]).stages.state_dict()
    names = [name for name, value in before.items() if value.is_floating_point()]
    return torch.cat([(after[name] - before[name]).flatten() for name in names])


def cosine(a, b):
    return float(torch.nn.functional.cosine_similarity(a, b, dim=0))


@pytest.mark.slow
def test_two_processes_share_a_training(root, tmp_path):
    """Under torchrun: one checkpoint, whose backbone both have trained."""
    flags = [
        f"--{name.replace('_', '-')}" if value is True else f"--{name.replace('_', '-')}={value}"
        for name, value in OPTIONS.items()
    ]
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    stage = ["-m", "rsfiqa", "train", str(root / "tiny"), f"--output={tmp_path}"]
    found = subprocess.run(
        [*command, *stage, *flags, f"--test-share={TEST_SHARE}"],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert found.returncode == 0, found.stderr
    model, card = checkpoints.read(tmp_path)
    assert card.finetuned
    assert all(torch.isfinite(value).all() for value in model.state_dict().values())
