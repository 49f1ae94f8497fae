import json
import math
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
import torch
from safetensors.numpy import load_file
from safetensors.torch import load_file as load
from safetensors.torch import save_file
from transformers import AutoTokenizer, Qwen2Config, TrainerCallback

from rsfiqa.errors import InputError
from rsfiqa.teach import train
from rsfiqa.teach.options import TeachTrainOptions

ROOT = Path(__file__).resolve().parents[2]
# peft keeps the last layer beside its updates, and says so
pytestmark = pytest.mark.filterwarnings("ignore:Setting `save_embedding_layers`")
QUICK = {
    "epochs": 8,
    "batch_size": 2,
    "accumulate": 1,
    "learning_rate": 3e-3,
    "targets": r".*(_proj|qkv|lm_head)",  # the last layer too, whose weights are random
    "precision": "fp32",
    "checkpointing": False,
    "log_steps": 1,
    "save_steps": 5,
}


def teach(made, output, model, **changes):
    options = TeachTrainOptions(**QUICK | {"model": str(model)} | changes)
    train.run(made, output, options, seed=0)
    return json.loads((output / "teach.json").read_text("utf-8"))


@pytest.fixture(scope="module")
def taught(made, tiny_model, tmp_path_factory):
    """The folder of a tiny model after teaching."""
    output = tmp_path_factory.mktemp("taught")
    teach(made, output, tiny_model)
    return output


def test_the_loss_falls_to_half(taught):
    card = json.loads((taught / "teach.json").read_text("utf-8"))
    losses = [loss for _, loss in card["losses"]]
    assert losses[-1] < 0.5 * losses[0]
    assert len(losses) == card["steps"]
    assert card["validation"]


def test_what_is_left_is_the_model_and_its_updates(taught, tiny_model):
    assert sorted(path.name for path in taught.iterdir()) == ["adapter", "model", "teach.json"]
    base, merged = (load_file(p / "model.safetensors") for p in (tiny_model, taught / "model"))
    assert {name: value.shape for name, value in merged.items()} == {
        name: value.shape for name, value in base.items()
    }
    changed = {name for name in base if (base[name] != merged[name]).any()}
    assert any("visual" in name for name in changed)
    assert any("q_proj" in name for name in changed)
    assert not any("norm" in name or "embed" in name for name in changed)
    assert len(load_file(taught / "adapter/adapter_model.safetensors")) == 2 * len(changed)


def test_a_model_that_is_complete_is_not_taught_again(taught, made, tiny_model, monkeypatch):
    monkeypatch.setattr(train, "load_model", None)
    teach(made, taught, tiny_model)
    with pytest.raises(InputError, match="takes one model, found one of other options"):
        teach(made, taught, tiny_model, rank=2)


class Break(TrainerCallback):
    def on_step_end(self, args, state, control, **more):
        if state.global_step == 7:
            raise KeyboardInterrupt


def test_a_training_that_was_broken_off_ends_as_if_it_had_not_been(
    made, tiny_model, tmp_path, monkeypatch
):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    quick = {"epochs": 2, "save_steps": 3}
    teach(made, whole, tiny_model, **quick)
    original = train.make_trainer

    def breaking(*arguments):
        trainer = original(*arguments)
        trainer.add_callback(Break)
        return trainer

    monkeypatch.setattr(train, "make_trainer", breaking)
    with pytest.raises(KeyboardInterrupt):
        teach(made, broken, tiny_model, **quick)
    assert not (broken / "model").exists()
    (broken / "steps/checkpoint-7").mkdir()  # killed while it was saved
    with pytest.raises(InputError, match="must hold steps of the same options and examples"):
        teach(made, broken, tiny_model, **quick | {"rank": 4})
    monkeypatch.undo()
    card = teach(made, broken, tiny_model, **quick)
    assert card == json.loads((whole / "teach.json").read_text("utf-8"))
    name = "model/model.safetensors"
    assert (broken / name).read_bytes() == (whole / name).read_bytes()


def test_all_weights_can_be_taught(made, tiny_model, tmp_path):
    teach(made, tmp_path, tiny_model, method="full", epochs=1, learning_rate=1e-3)
    assert not (tmp_path / "adapter").exists()
    base, found = (load_file(p / "model.safetensors") for p in (tiny_model, tmp_path / "model"))
    assert all((base[name] != found[name]).any() for name in base if "norm" in name)


def test_small_steps_are_not_rounded_away(made, tiny_model, tmp_path):
    quick = {"method": "full", "precision": "bf16", "learning_rate": 1e-5}
    teach(made, tmp_path, tiny_model, **quick)
    base, found = (load(p / "model.safetensors") for p in (tiny_model, tmp_path / "model"))
    name = next(key for key in base if key.endswith("layers.0.mlp.up_proj.weight"))
    assert found[name].dtype == torch.bfloat16
    was = base[name].to(torch.bfloat16)
    large = was.abs() > 2**-6  # neighbours are at least 2**-14 apart, six steps
    assert (found[name] != was)[large].float().mean() > 0.3


def test_updates_in_half_precision(made, tiny_model, tmp_path):
    """As the recipes teach: bf16 weights, activations computed anew, updates merged."""
    half = {"precision": "bf16", "checkpointing": True}
    losses = [loss for _, loss in teach(made, tmp_path, tiny_model, **half)["losses"]]
    assert losses[-1] < 0.5 * losses[0]
    base, found = (load(p / "model.safetensors") for p in (tiny_model, tmp_path / "model"))
    assert {value.dtype for value in found.values()} == {torch.bfloat16}
    changed = {name for name in base if (base[name].bfloat16() != found[name]).any()}
    updates = load_file(tmp_path / "adapter/adapter_model.safetensors")
    assert len(updates) == 2 * len(changed)


def test_some_weights_stay_as_they_are(made, tiny_model, tmp_path):
    quick = {"method": "full", "epochs": 1, "learning_rate": 1e-3}
    teach(made, tmp_path, tiny_model, frozen=r".*visual.*", **quick)
    base, found = (load_file(p / "model.safetensors") for p in (tiny_model, tmp_path / "model"))
    same = {name for name in base if (base[name] == found[name]).all()}
    assert same == {name for name in base if "visual" in name}


def test_a_tower_is_named_as_a_server_reads_it(tmp_path):
    names = {"vision_tower.encoder.a", "vision_tower.vision_model.b", "language_model.c"}
    save_file({name: torch.ones(1) for name in names}, tmp_path / "model.safetensors")
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": dict.fromkeys(names, "model.safetensors")}))
    train._rename(tmp_path, "qwen2_5_vl")
    assert load(tmp_path / "model.safetensors").keys() == names
    train._rename(tmp_path, "llava")
    wanted = {"vision_tower.vision_model.encoder.a", *names} - {"vision_tower.encoder.a"}
    assert load(tmp_path / "model.safetensors").keys() == wanted
    assert json.loads(index.read_text())["weight_map"].keys() == wanted


@pytest.mark.slow
def test_two_processes_teach_one_model(made, tiny_model, tmp_path):
    """Under torchrun: the first writes what both have taught."""
    options = QUICK | {"model": tiny_model, "epochs": 1}
    flags = [f"--{name.replace('_', '-')}={value}" for name, value in options.items()]
    flags[flags.index("--checkpointing=False")] = "--no-checkpointing"
    command = [sys.executable, "-m", "torch.distributed.run", "--nproc-per-node", "2"]
    found = subprocess.run(
        [*command, "-m", "rsfiqa", "teach", "train", str(made), "-o", str(tmp_path), *flags],
        cwd=ROOT,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
    )
    assert found.returncode == 0, found.stderr
    taught = len((made / "train.jsonl").read_text("utf-8").splitlines())
    card = json.loads((tmp_path / "teach.json").read_text("utf-8"))
    assert card["steps"] == math.ceil(taught / 2 / 2)  # both take two examples a step
    base, merged = (load(p / "model.safetensors") for p in (tiny_model, tmp_path / "model"))
    assert any((base[name] != merged[name]).any() for name in base)


@pytest.mark.parametrize("names", ["no_such_weight", ".*"])
def test_not_all_and_not_none_stay(made, tiny_model, tmp_path, names):
    with pytest.raises(InputError, match=r"teach\.train\.frozen: must match some of the 57"):
        teach(made, tmp_path, tiny_model, method="full", frozen=names)


def test_activations_that_are_computed_anew_change_little(made, tiny_model, tmp_path):
    kept = teach(made, tmp_path / "a", tiny_model, epochs=1)
    anew = teach(made, tmp_path / "b", tiny_model, epochs=1, checkpointing=True)
    losses = [[loss for _, loss in card["losses"]] for card in (kept, anew)]
    assert losses[1] == pytest.approx(losses[0], rel=1e-4)


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (
            lambda folder: shutil.rmtree(folder),
            "must be a vision-language model of transformers, found",
        ),
        (lambda folder: (folder / "chat_template.jinja").unlink(), "must have a chat template"),
        (lambda folder: (folder / "model.safetensors").unlink(), "must turn images and text to te"),
    ],
)
def test_models_that_cannot_be_taught(made, tiny_model, tmp_path, distort_region, message):
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    distort_region(folder)
    with pytest.raises(InputError, match=rf"teach\.train\.model: .*{message}"):
        teach(made, tmp_path / "out", folder)
    assert not (tmp_path / "out/model").exists()


def test_a_model_that_takes_no_pictures(made, tiny_model, tmp_path):
    AutoTokenizer.from_pretrained(tiny_model).save_pretrained(tmp_path / "words")
    Qwen2Config().save_pretrained(tmp_path / "words")
    path = tmp_path / "words/tokenizer_config.json"
    content = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps(content | {"processor_class": None}), "utf-8")
    with pytest.raises(InputError, match="must have an image processor, found none"):
        teach(made, tmp_path / "out", tmp_path / "words")


def test_no_model(made, tmp_path):
    with pytest.raises(InputError, match=r"teach\.train\.model: must be given, found nothing"):
        train.run(made, tmp_path, TeachTrainOptions(), seed=0)


def test_layers_that_are_not_there(made, tiny_model, tmp_path):
    with pytest.raises(InputError, match=r"teach\.train\.targets: must match layers of the model"):
        teach(made, tmp_path, tiny_model, targets="no_such_layer")


def test_missing_packages(monkeypatch):
    monkeypatch.setattr(train, "NEEDED", ("accelerate", "no_such_package"))
    with pytest.raises(InputError, match="found no no_such_package; pip install 'rsfiqa"):
        train.check_packages()
