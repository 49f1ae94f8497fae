import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file
from transformers import AutoTokenizer, Qwen2Config

from rsfiqa.errors import InputError
from rsfiqa.teach import models
from rsfiqa.teach.options import TeachTrainOptions


def options(folder=None, **changes) -> TeachTrainOptions:
    return TeachTrainOptions(model=folder and str(folder), **{"precision": "fp32"} | changes)


@pytest.mark.parametrize(
    ("damage", "load", "message"),
    [
        (
            shutil.rmtree,
            models.load_processor,
            "must be a vision-language model of transformers, found",
        ),
        (
            lambda folder: (folder / "chat_template.jinja").unlink(),
            models.load_processor,
            "must have a chat template",
        ),
        (
            lambda folder: (folder / "model.safetensors").unlink(),
            models.load_model,
            "must turn images and text to te",
        ),
    ],
)
def test_models_that_cannot_be_fine_tuned(tiny_model, tmp_path, damage, load, message):
    folder = shutil.copytree(tiny_model, tmp_path / "model")
    damage(folder)
    with pytest.raises(InputError, match=rf"teach\.train\.model: .*{message}"):
        load(options(folder))


def test_a_model_without_an_image_processor(tiny_model, tmp_path):
    AutoTokenizer.from_pretrained(tiny_model).save_pretrained(tmp_path / "words")
    Qwen2Config().save_pretrained(tmp_path / "words")
    path = tmp_path / "words/tokenizer_config.json"
    content = json.loads(path.read_text("utf-8"))
    path.write_text(json.dumps(content | {"processor_class": None}), "utf-8")
    with pytest.raises(InputError, match="must have an image processor, found none"):
        models.load_processor(options(tmp_path / "words"))


def test_no_model():
    with pytest.raises(InputError, match=r"teach\.train\.model: must be given, found nothing"):
        models.load_processor(options())


def test_updates_of_layers_that_do_not_exist(tiny_model):
    chosen = options(tiny_model, targets="no_such_layer")
    with pytest.raises(InputError, match=r"teach\.train\.targets: must match layers of the model"):
        models.with_lora(models.load_model(chosen), chosen)


@pytest.mark.parametrize("names", ["no_such_weight", ".*"])
def test_some_weights_are_frozen_not_none_and_not_all(tiny_model, names):
    model = models.load_model(options(tiny_model))
    with pytest.raises(
        InputError, match=r"teach\.train\.frozen_weights: must match some of the 57"
    ):
        models.freeze(model, names)


def test_missing_packages():
    with pytest.raises(InputError, match="found no no_such_package; pip install 'rsfiqa"):
        models.check_packages(("accelerate", "no_such_package"))


def test_a_vision_tower_is_renamed_for_vllm(tmp_path):
    names = {"vision_tower.encoder.a", "vision_tower.vision_model.b", "language_model.c"}
    save_file({name: torch.ones(1) for name in names}, tmp_path / "model.safetensors")
    index = tmp_path / "model.safetensors.index.json"
    index.write_text(json.dumps({"weight_map": dict.fromkeys(names, "model.safetensors")}))
    models.rename_for_vllm(tmp_path, "qwen2_5_vl")
    assert load_file(tmp_path / "model.safetensors").keys() == names
    models.rename_for_vllm(tmp_path, "llava")
    renamed = {"vision_tower.vision_model.encoder.a", *names} - {"vision_tower.encoder.a"}
    assert load_file(tmp_path / "model.safetensors").keys() == renamed
    assert json.loads(index.read_text())["weight_map"].keys() == renamed
