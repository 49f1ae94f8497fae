import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from transformers import TrainerCallback

from rsfiqa.errors import InputError
from rsfiqa.teach import train
from rsfiqa.teach.options import TeachTrainOptions

ROOT = Path(__file__).resolve().parents[2]
# peft keeps the last layer beside its updates, and says so
pytestmark = pytest.mark.filterwarnings("ignore:Setting `save_embedding_layers`")
QUICK = {
    "epochs": 8,
    "batch_size": 2,
    "gradient_accumulation_steps": 1,
    "lr": 3e-3,
    "targets": r".*(_proj|qkv|lm_head)",  # the last layer too, whose weights are random
    "precision": "fp32",
    "gradient_checkpointing": False,
    "log_steps": 1,
    "save_steps": 5,
}


def fine_tune(folder, output, model, *, callbacks=(), **changes):
    options = TeachTrainOptions(**QUICK | {"model": str(model)} | changes)
    train.run(folder, output, options, seed=0, callbacks=callbacks)
    return json.loads((output / "teach.json").read_text("utf-8"))


def weights_of(*folders: Path) -> list[dict[str, torch.Tensor]]:
    return [load_file(folder / "model.safetensors") for folder in folders]


@pytest.fixture(scope="module")
def finetuned(folder, tiny_model, tmp_path_factory):
    """The output of fine-tuning the tiny model."""
    output = tmp_path_factory.mktemp("finetuned")
    fine_tune(folder, output, tiny_model)
    return output


def test_the_loss_falls_to_half(finetuned):
    card = json.loads((finetuned / "teach.json").read_text("utf-8"))
    losses = [loss for _, loss in card["losses"]]
    assert losses[-1] < 0.5 * losses[0]
    assert len(losses) == card["steps"]
    assert card["validation"]


def test_the_output_is_the_merged_model_and_its_updates(finetuned, tiny_model):
    assert sorted(path.name for path in finetuned.iterdir()) == ["adapter", "model", "teach.json"]
    base, merged = weights_of(tiny_model, finetuned / "model")
    assert {name: value.shape for name, value in merged.items()} == {
        name: value.shape for name, value in base.items()
    }
    changed = {name for name in base if (base[name] != merged[name]).any()}
    assert any("visual" in name for name in changed)
    assert any("q_proj" in name for name in changed)
    assert not any("norm" in name or "embed" in name for name in changed)
    assert len(load_file(finetuned / "adapter/adapter_model.safetensors")) == 2 * len(changed)


def test_a_complete_model_is_not_trained_again(finetuned, folder, tiny_model):
    path = finetuned / "model/model.safetensors"
    before = path.stat().st_mtime_ns, path.stat().st_ino
    fine_tune(folder, finetuned, tiny_model)
    assert (path.stat().st_mtime_ns, path.stat().st_ino) == before
    with pytest.raises(InputError, match="takes one model, found one of other options"):
        fine_tune(folder, finetuned, tiny_model, rank=2)


class Interrupt(TrainerCallback):
    def on_step_end(self, _args, state, _control, **_more):
        if state.global_step == 7:
            raise KeyboardInterrupt


def test_a_resumed_training_ends_like_an_uninterrupted_one(folder, tiny_model, tmp_path):
    whole, resumed = tmp_path / "whole", tmp_path / "resumed"
    quick = {"epochs": 2, "save_steps": 3}
    fine_tune(folder, whole, tiny_model, **quick)
    with pytest.raises(KeyboardInterrupt):
        fine_tune(folder, resumed, tiny_model, callbacks=[Interrupt()], **quick)
    assert not (resumed / "model").exists()
    (resumed / "steps/checkpoint-7").mkdir()  # killed while it was saved
    with pytest.raises(InputError, match="must hold steps of the same options and examples"):
        fine_tune(folder, resumed, tiny_model, **quick | {"rank": 4})
    card = fine_tune(folder, resumed, tiny_model, **quick)
    assert card == json.loads((whole / "teach.json").read_text("utf-8"))
    name = "model/model.safetensors"
    assert (resumed / name).read_bytes() == (whole / name).read_bytes()


def test_full_fine_tuning_changes_all_weights(folder, tiny_model, tmp_path):
    fine_tune(folder, tmp_path, tiny_model, method="full", epochs=1, lr=1e-3)
    assert not (tmp_path / "adapter").exists()
    base, trained = weights_of(tiny_model, tmp_path / "model")
    assert all((base[name] != trained[name]).any() for name in base if "norm" in name)


def test_small_updates_are_not_rounded_away(folder, tiny_model, tmp_path):
    quick = {"method": "full", "precision": "bf16", "lr": 1e-5}
    fine_tune(folder, tmp_path, tiny_model, **quick)
    base, trained = weights_of(tiny_model, tmp_path / "model")
    name = next(key for key in base if key.endswith("layers.0.mlp.up_proj.weight"))
    assert trained[name].dtype == torch.bfloat16
    before = base[name].to(torch.bfloat16)
    large = before.abs() > 2**-6  # neighbours are at least 2**-14 apart, six steps
    assert (trained[name] != before)[large].float().mean() > 0.3


def test_lora_in_half_precision(folder, tiny_model, tmp_path):
    """As in the recipes: bf16 weights, gradient checkpointing, merged updates."""
    half = {"precision": "bf16", "gradient_checkpointing": True}
    losses = [loss for _, loss in fine_tune(folder, tmp_path, tiny_model, **half)["losses"]]
    assert losses[-1] < 0.5 * losses[0]
    base, trained = weights_of(tiny_model, tmp_path / "model")
    assert {value.dtype for value in trained.values()} == {torch.bfloat16}
    changed = {name for name in base if (base[name].bfloat16() != trained[name]).any()}
    updates = load_file(tmp_path / "adapter/adapter_model.safetensors")
    assert len(updates) == 2 * len(changed)


def test_frozen_weights_stay_as_they_are(folder, tiny_model, tmp_path):
    quick = {"method": "full", "epochs": 1, "lr": 1e-3}
    fine_tune(folder, tmp_path, tiny_model, frozen_weights=r".*visual.*", **quick)
    base, trained = weights_of(tiny_model, tmp_path / "model")
    same = {name for name in base if (base[name] == trained[name]).all()}
    assert same == {name for name in base if "visual" in name}


def test_gradient_checkpointing_changes_little(folder, tiny_model, tmp_path):
    kept = fine_tune(folder, tmp_path / "a", tiny_model, epochs=1)
    recomputed = fine_tune(
        folder, tmp_path / "b", tiny_model, epochs=1, gradient_checkpointing=True
    )
    losses = [[loss for _, loss in card["losses"]] for card in (kept, recomputed)]
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"method": "full", "frozen_weights": "no_such_weight"}, "frozen_weights: must match some"),
        ({"targets": "no_such_layer"}, "targets: must match layers of the model"),
    ],
)
def test_options_that_do_not_fit_the_model(folder, tiny_model, tmp_path, changes, message):
    with pytest.raises(InputError, match=rf"teach\.train\.{message}"):
        fine_tune(folder, tmp_path, tiny_model, **changes)
    assert not (tmp_path / "model").exists()


def test_a_model_that_cannot_be_loaded_leaves_no_output(folder, tiny_model, tmp_path):
    damaged = shutil.copytree(tiny_model, tmp_path / "damaged")
    (damaged / "model.safetensors").unlink()
    with pytest.raises(InputError, match=r"teach\.train\.model: .*must turn images and text"):
        fine_tune(folder, tmp_path / "out", damaged)
    assert not (tmp_path / "out/model").exists()


@pytest.mark.slow
def test_two_processes_train_one_model(folder, tiny_model, tmp_path):
    """Under torchrun the first process writes what both have trained."""
    options = QUICK | {"model": tiny_model, "epochs": 1}
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    flags[flags.index("--gradient-checkpointing=False")] = "--no-gradient-checkpointing"
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    process = subprocess.run(
        [*command, "-m", "rsfiqa", "teach", "train", str(folder), "-o", str(tmp_path), *flags],
        check=False,
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert process.returncode == 0, process.stderr
    count = len((folder / "train.jsonl").read_text("utf-8").splitlines())
    card = json.loads((tmp_path / "teach.json").read_text("utf-8"))
    assert card["steps"] == math.ceil(count / 2 / 2)  # both take two examples a step
    base, merged = weights_of(tiny_model, tmp_path / "model")
    assert any((base[name] != merged[name]).any() for name in base)
