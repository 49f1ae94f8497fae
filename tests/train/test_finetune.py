"""Fine-tuning: it learns, resumes to the same weights, and is read back with the same scores."""

import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from rsfiqa import benchmark, checkpoints, samples, train
from rsfiqa.stages import TrainOptions
from tests.pipeline import SEED, TEST_SHARE, made

ROOT = Path(__file__).resolve().parents[2]
OPTIONS = {
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


def test_a_killed_training_goes_on_to_the_same_weights(root, tuned, tmp_path, monkeypatch):
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
            tune(root, tmp_path)
    assert (tmp_path / "state.pt").is_file()
    tune(root, tmp_path)
    assert (tmp_path / "model.safetensors").read_bytes() == (
        tuned / "model.safetensors"
    ).read_bytes()


@pytest.mark.parametrize("changes", [{"accumulate": 2}, {"workers": 1}, {"precision": "bf16"}])
def test_how_it_is_computed_changes_little(root, tuned, tmp_path, changes):
    model, _ = tune(root, tmp_path, **changes)
    reference, _ = checkpoints.read(tuned)
    if "workers" in changes:
        for name, value in reference.state_dict().items():
            assert torch.equal(value, model.state_dict()[name])
    else:
        for name, value in reference.state_dict().items():
            assert (value - model.state_dict()[name]).abs().max() < 0.05


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
