"""Teaches a vision-language model by examples: low-rank updates (LoRA) or all of its weights."""

import logging
import re
import shutil
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from torch import nn

from rsfiqa.captioners.vlm.server import digests_of
from rsfiqa.errors import InputError, first_line
from rsfiqa.io.checksum import sha256_of
from rsfiqa.io.json_files import read_json, write_json
from rsfiqa.products.versions import VERSIONS
from rsfiqa.runtime.memory import tune_malloc
from rsfiqa.teach import examples
from rsfiqa.teach.batches import Collator
from rsfiqa.teach.options import TeachTrainOptions

log = logging.getLogger("rsfiqa")
NEEDED = ("accelerate", "peft")  # beside what the package needs
CARD = "teach.json"  # of a model that is complete
# transformers 5 saves a LLaVA's tower under other names than vLLM reads
RENAMED = {"llava": ("vision_tower.", "vision_tower.vision_model.")}


def run(folder: Path, output: Path, options: TeachTrainOptions, *, seed: int) -> None:
    """Teach a model by FOLDER/train.jsonl and write one that vLLM serves.

    Goes on from the last saved step of a training that was broken off. Writes OUTPUT/model,
    OUTPUT/adapter (LoRA) and OUTPUT/teach.json (what it was made from, losses). Under torchrun or
    accelerate launch all processes train, the first writes.

    Args:
        folder: of the examples.
        output: takes the model.
        options: of the stage.
        seed: of the order of examples and of new weights.

    Raises:
        InputError: packages that are missing, a model that cannot be taught, no examples, a
            training of other options in OUTPUT.
    """
    check_packages()
    tune_malloc(large=True)
    processor = load_processor(options)
    taught = examples.read(folder / "train.jsonl")
    kept = folder / "validation.jsonl"
    validated = examples.read(kept) if kept.is_file() and kept.stat().st_size else []
    collator = Collator(processor, folder)
    collator.texts(taught[0])
    origin = _origin(folder, options, seed)
    steps = output / "steps"
    if _is_done(output, origin):
        shutil.rmtree(steps, ignore_errors=True)
        log.info("teach train: %s is complete", output)
        return
    _claim(steps, origin)
    model = load_model(options)
    torch.manual_seed(seed)  # of new weights
    if options.method == "lora":
        model = with_lora(model, options)
    elif options.frozen:
        freeze(model, options.frozen)
    trainer = make_trainer(model, collator, taught, validated, steps, options, seed)
    trainer.train(resume_from_checkpoint=last_saved(steps))
    if trainer.is_world_process_zero():
        _publish(trainer, processor, output, origin, options)
        shutil.rmtree(steps)


def check_packages() -> None:
    """Refuse an environment that cannot teach.

    Raises:
        InputError: a package is missing.
    """
    if missing := [name for name in NEEDED if find_spec(name) is None]:
        raise InputError(
            f"teach train: needs {' and '.join(NEEDED)}, found no {' and no '.join(missing)};"
            " pip install 'rsfiqa[teach]', or use the environment of envs/teach.yaml"
        )


def load_processor(options: TeachTrainOptions) -> Any:
    """The model's processor.

    Raises:
        InputError: no model is named or found, or one that takes no pictures or no chat.
    """
    from transformers import AutoProcessor

    name = options.model
    if not name:
        raise InputError(
            "teach.train.model: must be given, found nothing; name a folder as transformers saves"
            " it, or a model of the hub"
        )
    try:
        processor = AutoProcessor.from_pretrained(Path(name).expanduser())
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
        InputError: transformers has no such architecture, or the weights are missing.
    """
    from transformers import AutoModelForImageTextToText

    # weights that learn are kept in fp32: small steps would be rounded away
    half = options.precision == "bf16" and options.method == "lora"
    dtype = torch.bfloat16 if half else torch.float32
    try:
        return AutoModelForImageTextToText.from_pretrained(
            Path(str(options.model)).expanduser(), dtype=dtype
        )
    except (OSError, ValueError, KeyError) as error:
        raise InputError(
            f"teach.train.model: must turn images and text to text, found {options.model}"
            f" ({first_line(error)}); use another model"
        ) from error


def with_lora(model: Any, options: TeachTrainOptions) -> Any:
    """The model with low-rank updates, which alone are learnt; Hu et al. 2021."""
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
            # peft asks for what transformers has renamed
            warnings.filterwarnings("ignore", "`is_gradient_checkpointing`", FutureWarning)
            return get_peft_model(model, config)
    except ValueError as error:
        raise InputError(
            f"teach.train.targets: must match layers of the model, found {options.targets!r}"
            f" ({first_line(error)}); all-linear takes all"
        ) from error


def freeze(model: nn.Module, names: str) -> None:
    """Keep the weights whose names match as they are.

    Raises:
        InputError: none does, or all do.
    """
    weights = dict(model.named_parameters())
    kept = [name for name in weights if re.fullmatch(names, name)]
    if not 0 < len(kept) < len(weights):
        raise InputError(
            f"teach.train.frozen: must match some of the {len(weights)} weights, found"
            f" {len(kept)} by {names!r}; their names are such as {next(iter(weights))}"
        )
    for name in kept:
        weights[name].requires_grad_(False)


def make_trainer(
    model: Any,
    collator: Collator,
    taught: Sequence[examples.Example],
    validated: Sequence[examples.Example],
    steps: Path,
    options: TeachTrainOptions,
    seed: int,
) -> Any:
    """Transformers' Trainer; what it saves goes to `steps`."""
    from transformers import Trainer, TrainingArguments

    arguments = TrainingArguments(
        output_dir=str(steps),
        num_train_epochs=options.epochs,
        per_device_train_batch_size=options.batch_size,
        per_device_eval_batch_size=options.batch_size,
        gradient_accumulation_steps=options.accumulate,
        learning_rate=options.learning_rate,
        lr_scheduler_type="cosine",
        warmup_steps=options.warmup,
        weight_decay=options.weight_decay,
        bf16=options.precision == "bf16",
        activation_checkpointing=options.checkpointing,
        save_strategy="steps",
        save_steps=options.save_steps,
        save_total_limit=2,
        eval_strategy="epoch" if validated else "no",
        logging_steps=options.log_steps,
        logging_first_step=True,
        remove_unused_columns=False,
        label_names=["labels"],
        prediction_loss_only=True,
        dataloader_num_workers=options.workers,
        seed=seed,
        data_seed=seed,
        use_cpu=not torch.cuda.is_available(),
    )
    # several GPUs are for several processes: the Trainer's own way would cut pictures apart
    arguments._n_gpu = min(arguments.n_gpu, 1)
    if options.checkpointing:
        model.enable_input_require_grads()  # else a frozen first layer cuts the gradient
    return Trainer(
        model=model,
        args=arguments,
        data_collator=collator,
        train_dataset=list(taught),
        eval_dataset=list(validated) or None,
    )


def _origin(folder: Path, options: TeachTrainOptions, seed: int) -> dict[str, Any]:
    """All that the model depends on."""
    base = Path(str(options.model)).expanduser()
    return {
        "examples": {
            name: sha256_of(folder / name)
            for name in ("train.jsonl", "validation.jsonl")
            if (folder / name).is_file()
        },
        "model": digests_of(base) if base.is_dir() else {"hub": str(options.model)},
        "options": options.recorded(),
        "seed": seed,
        "version": VERSIONS["teach"],
    }


def _is_done(output: Path, origin: dict[str, Any]) -> bool:
    path = output / CARD
    if not path.is_file():
        return False
    found = read_json(path)
    if found["origin"] != origin:
        raise InputError(
            f"{path}: a folder takes one model, found one of other options or examples; delete it,"
            " or give another folder"
        )
    return True


def _claim(steps: Path, origin: dict[str, Any]) -> None:
    """Note what the steps are of; refuse those of another training."""
    path = steps / "origin.json"
    if path.is_file() and read_json(path) != origin:
        raise InputError(
            f"{steps}: must hold steps of the same options and examples, found others; delete it,"
            " or give another folder"
        )
    write_json(path, origin)


def last_saved(steps: Path) -> str | None:
    """The last step that was saved whole; None where there is none."""
    whole = [path.parent for path in steps.glob("checkpoint-*/trainer_state.json")]  # comes last
    return str(max(whole, key=lambda path: int(path.name.split("-")[1]))) if whole else None


def _publish(
    trainer: Any,
    processor: Any,
    output: Path,
    origin: dict[str, Any],
    options: TeachTrainOptions,
) -> None:
    """Write adapter, merged model and card, each complete or not at all."""
    model = trainer.accelerator.unwrap_model(trainer.model)
    if options.method == "lora":
        updates = partial(model.save_pretrained, save_embedding_layers=False)
        _replace(output / "adapter", updates)
        model = model.merge_and_unload()
    elif options.precision == "bf16":
        model = model.to(torch.bfloat16)

    def save(place: Path) -> None:
        model.save_pretrained(place)
        processor.save_pretrained(place)
        _rename(place, model.config.model_type)

    _replace(output / "model", save)
    history = trainer.state.log_history
    write_json(
        output / CARD,
        {
            "origin": origin,
            "base": options.model,
            "steps": trainer.state.global_step,
            "losses": [[one["step"], one["loss"]] for one in history if "loss" in one],
            "validation": [
                [one["step"], one["eval_loss"]] for one in history if "eval_loss" in one
            ],
        },
    )
    log.info("teach train: %d steps, %s", trainer.state.global_step, output / "model")


def _replace(place: Path, save: Callable[[Path], object]) -> None:
    """Write a folder beside its place, then put it there."""
    beside = place.with_name(f".{place.name}.partial")
    shutil.rmtree(beside, ignore_errors=True)
    beside.mkdir(parents=True)
    save(beside)
    shutil.rmtree(place, ignore_errors=True)
    beside.rename(place)


def _rename(place: Path, architecture: str) -> None:
    """Give weights the names under which vLLM reads them."""
    if architecture not in RENAMED:
        return
    old, new = RENAMED[architecture]

    def renamed(name: str) -> str:
        return name if new in name else name.replace(old, new, 1)

    for path in sorted(place.glob("*.safetensors")):
        weights = {renamed(name): value for name, value in load_file(path).items()}
        save_file(weights, path, metadata={"format": "pt"})
    index = place / "model.safetensors.index.json"
    if index.is_file():
        content = read_json(index)
        files = content["weight_map"].items()
        write_json(index, content | {"weight_map": {renamed(name): at for name, at in files}})
