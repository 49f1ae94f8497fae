"""Vision-language models of transformers: loading, low-rank updates, names that vLLM reads."""

import re
import warnings
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from rsfiqa.errors import InputError, first_line
from rsfiqa.io.home import expand_home
from rsfiqa.io.json_files import read_json, write_json
from rsfiqa.teach.options import TeachTrainOptions

PACKAGES = ("accelerate", "peft")  # of the extra `teach`
# transformers 5 saves the vision tower of a LLaVA under other names than vLLM reads
VLLM_PREFIXES = {"llava": ("vision_tower.", "vision_tower.vision_model.")}


def check_packages(packages: Sequence[str] = PACKAGES) -> None:
    """Check that the packages of the extra `teach` are installed.

    Raises:
        InputError: one is missing.
    """
    if missing := [name for name in packages if find_spec(name) is None]:
        raise InputError(
            f"teach train: needs {' and '.join(packages)}, found no {' and no '.join(missing)};"
            " pip install 'rsfiqa[teach]', or use the environment of envs/teach.yaml"
        )


def load_processor(options: TeachTrainOptions) -> Any:
    """The model's processor.

    Raises:
        InputError: no model is named or found, or it lacks an image processor or a chat template.
    """
    from transformers import AutoProcessor

    name = options.model
    if not name:
        raise InputError(
            "teach.train.model: must be given, found nothing; name a folder as transformers saves"
            " it, or a model of the hub"
        )
    try:
        processor = AutoProcessor.from_pretrained(  # type: ignore[no-untyped-call]
            expand_home(name)
        )
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            f"teach.train.model: must be a vision-language model of transformers, found {name}"
            f" ({first_line(error)}); name its folder"
        ) from error
    if getattr(processor, "image_processor", None) is None:
        raise InputError(
            f"teach.train.model: must have an image processor, found none in {name};"
            " use a vision-language model"
        )
    if not processor.chat_template:
        raise InputError(
            f"teach.train.model: its processor must have a chat template, found none in {name};"
            " use a model that was made for chat"
        )
    return processor


def load_model(options: TeachTrainOptions) -> Any:
    """The model with its weights.

    Raises:
        InputError: the architecture is no image-text-to-text model, or weights are missing.
    """
    from transformers import AutoModelForImageTextToText

    # trained weights stay in fp32, because bf16 would round small updates away
    half = options.precision == "bf16" and options.method == "lora"
    dtype = torch.bfloat16 if half else torch.float32
    try:
        return AutoModelForImageTextToText.from_pretrained(
            expand_home(str(options.model)), dtype=dtype
        )
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            f"teach.train.model: must turn images and text to text, found {options.model}"
            f" ({first_line(error)}); use another model"
        ) from error


def with_lora(model: Any, options: TeachTrainOptions) -> Any:
    """The model with trainable low-rank updates, its own weights frozen (LoRA, Hu et al. 2021)."""
    from peft import LoraConfig, get_peft_model

    config = LoraConfig(
        r=options.rank,
        lora_alpha=options.alpha,
        lora_dropout=options.dropout,
        target_modules=options.targets,
        task_type="CAUSAL_LM",
    )
    try:
        with warnings.catch_warnings():
            # peft reads an attribute that transformers has renamed
            warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
            return get_peft_model(model, config)
    except ValueError as error:
        raise InputError(
            f"teach.train.targets: must match layers of the model, found {options.targets!r}"
            f" ({first_line(error)}); all-linear takes all"
        ) from error


def freeze(model: nn.Module, names: str) -> None:
    """Freeze the weights whose names match a regular expression.

    Raises:
        InputError: none matches, or all do.
    """
    weights = dict(model.named_parameters())
    frozen = [name for name in weights if re.fullmatch(names, name)]
    if not 0 < len(frozen) < len(weights):
        raise InputError(
            f"teach.train.frozen_weights: must match some of the {len(weights)} weights, found"
            f" {len(frozen)} by {names!r}; their names are such as {next(iter(weights))}"
        )
    for name in frozen:
        weights[name].requires_grad_(False)


def rename_for_vllm(folder: Path, architecture: str) -> None:
    """Rename the weights of a saved model to the names that vLLM reads.

    Args:
        folder: of the model, changed in place.
        architecture: `model_type` of its configuration; most need no change.
    """
    if architecture not in VLLM_PREFIXES:
        return
    old, new = VLLM_PREFIXES[architecture]

    def renamed(name: str) -> str:
        return name if new in name else name.replace(old, new, 1)

    for path in sorted(folder.glob("*.safetensors")):
        weights = {renamed(name): value for name, value in load_file(path).items()}
        save_file(weights, path, metadata={"format": "pt"})
    index = folder / "model.safetensors.index.json"
    if index.is_file():
        content = read_json(index)
        files = content["weight_map"].items()
        write_json(index, content | {"weight_map": {renamed(name): file for name, file in files}})
