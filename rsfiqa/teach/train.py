"""teach train: fine-tunes a vision-language model on examples and writes one that vLLM serves."""

import logging
import shutil
from collections.abc import Callable, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path
from typing import Any

import torch

from rsfiqa.captioners.vlm.vllm_command import digests_of
from rsfiqa.errors import InputError
from rsfiqa.io.checksum import sha256_of
from rsfiqa.io.home import expand_home
from rsfiqa.io.json_files import read_json, write_json
from rsfiqa.io.provenance import Provenance
from rsfiqa.products.versions import VERSIONS
from rsfiqa.runtime.memory import tune_malloc
from rsfiqa.teach import examples, models
from rsfiqa.teach.batches import Collator
from rsfiqa.teach.examples import Example
from rsfiqa.teach.options import TeachTrainOptions

log = logging.getLogger("rsfiqa")
VERSION = 1  # of teach.json
CARD = "teach.json"  # written once the model is complete
PARTS = ("train", "validation")


def run(
    folder: Path,
    output: Path,
    options: TeachTrainOptions,
    *,
    seed: int,
    callbacks: Sequence[Any] = (),
) -> None:
    """Fine-tune a model on FOLDER/train.jsonl and write one that vLLM serves.

    Resumes from the last saved step of an interrupted run. Writes OUTPUT/model, OUTPUT/adapter
    (LoRA) and OUTPUT/teach.json (provenance, losses). Under torchrun or accelerate launch all
    processes train and the first writes.

    Args:
        folder: of the examples.
        output: folder for the model.
        options: of the stage.
        seed: of the order of examples and of new weights.
        callbacks: TrainerCallbacks of transformers.

    Raises:
        InputError: missing packages, a model that cannot be fine-tuned, no examples, or a model of
            other options or examples in OUTPUT.
    """
    models.check_packages()
    tune_malloc(large=True)
    processor = models.load_processor(options)
    train, validation = _read_examples(folder)
    collator = Collator(processor, folder)
    collator.texts(train[0])  # refuses an unsuitable chat template before the model is loaded
    provenance = _provenance(folder, options, seed)
    steps = output / "steps"
    if _is_complete(output, provenance):
        shutil.rmtree(steps, ignore_errors=True)
        log.info("teach train: %s is complete", output)
        return
    _claim(steps, provenance)
    model = models.load_model(options)
    torch.manual_seed(seed)  # of new weights
    if options.method == "lora":
        model = models.with_lora(model, options)
    elif options.frozen_weights:
        models.freeze(model, options.frozen_weights)
    trainer = make_trainer(model, collator, train, validation, steps, options=options, seed=seed)
    for callback in callbacks:
        trainer.add_callback(callback)
    trainer.train(resume_from_checkpoint=last_saved(steps))
    if trainer.is_world_process_zero():
        _publish(trainer, processor, output, provenance, options)
        shutil.rmtree(steps)


def _read_examples(folder: Path) -> tuple[list[Example], list[Example]]:
    """The examples for training, and those for validation, of which there may be none."""
    train = examples.read(folder / "train.jsonl")
    path = folder / "validation.jsonl"
    has_validation = path.is_file() and path.stat().st_size > 0
    return train, examples.read(path) if has_validation else []


def make_trainer(
    model: Any,
    collator: Collator,
    train: Sequence[Example],
    validation: Sequence[Example],
    steps: Path,
    *,
    options: TeachTrainOptions,
    seed: int,
) -> Any:
    """The Trainer of transformers; it saves its checkpoints in `steps`."""
    from transformers import Trainer, TrainingArguments

    arguments = TrainingArguments(
        output_dir=str(steps),
        num_train_epochs=options.epochs,
        per_device_train_batch_size=options.batch_size,
        per_device_eval_batch_size=options.batch_size,
        gradient_accumulation_steps=options.gradient_accumulation_steps,
        learning_rate=options.lr,
        lr_scheduler_type="cosine",
        warmup_steps=options.warmup,
        weight_decay=options.weight_decay,
        bf16=options.precision == "bf16",
        activation_checkpointing=options.gradient_checkpointing,
        save_strategy="steps",
        save_steps=options.save_steps,
        save_total_limit=2,
        eval_strategy="epoch" if validation else "no",
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
    # one GPU per process: DataParallel, the Trainer's default, would split images in two
    arguments._n_gpu = min(arguments.n_gpu, 1)
    if options.gradient_checkpointing:
        model.enable_input_require_grads()  # else a frozen first layer stops the gradient
    return Trainer(
        model=model,
        args=arguments,
        data_collator=collator,
        train_dataset=list(train),
        eval_dataset=list(validation) or None,
    )


def _provenance(folder: Path, options: TeachTrainOptions, seed: int) -> Provenance:
    """Everything that the trained weights depend on."""
    base = expand_home(str(options.model))
    files = [name for name in (f"{part}.jsonl" for part in PARTS) if (folder / name).is_file()]
    return Provenance(
        product="model",
        schema=VERSION,
        stage="teach",
        version=VERSIONS["teach"],
        options=options.recorded() | {"seed": seed},
        models=digests_of(base) if base.is_dir() else {"hub": str(options.model)},
        inputs={name: sha256_of(folder / name) for name in files},
    )


def _is_complete(output: Path, provenance: Provenance) -> bool:
    path = output / CARD
    if not path.is_file():
        return False
    if read_json(path).get("provenance") != asdict(provenance):
        raise InputError(
            f"{path}: a folder takes one model, found one of other options or examples; delete it,"
            " or give another folder"
        )
    return True


def _claim(steps: Path, provenance: Provenance) -> None:
    """Record what the checkpoints belong to; refuse those of another training."""
    path = steps / "provenance.json"
    if path.is_file() and read_json(path) != asdict(provenance):
        raise InputError(
            f"{steps}: must hold steps of the same options and examples, found others; delete it,"
            " or give another folder"
        )
    write_json(path, asdict(provenance))


def last_saved(steps: Path) -> str | None:
    """The latest complete checkpoint; None if there is none."""
    # the Trainer writes trainer_state.json last
    complete = [path.parent for path in steps.glob("checkpoint-*/trainer_state.json")]
    if not complete:
        return None
    return str(max(complete, key=lambda path: int(path.name.split("-")[1])))


def _publish(
    trainer: Any,
    processor: Any,
    output: Path,
    provenance: Provenance,
    options: TeachTrainOptions,
) -> None:
    """Write adapter, merged model and card, each completely or not at all."""
    model = trainer.accelerator.unwrap_model(trainer.model)
    if options.method == "lora":
        save_adapter = partial(model.save_pretrained, save_embedding_layers=False)
        _replace(output / "adapter", save_adapter)
        model = model.merge_and_unload()
    elif options.precision == "bf16":
        model = model.to(torch.bfloat16)

    def save_model(folder: Path) -> None:
        model.save_pretrained(folder)
        processor.save_pretrained(folder)
        models.rename_for_vllm(folder, model.config.model_type)

    _replace(output / "model", save_model)
    history = trainer.state.log_history
    write_json(
        output / CARD,
        {
            "provenance": asdict(provenance),
            "base": options.model,
            "steps": trainer.state.global_step,
            "losses": [[entry["step"], entry["loss"]] for entry in history if "loss" in entry],
            "validation": [
                [entry["step"], entry["eval_loss"]] for entry in history if "eval_loss" in entry
            ],
        },
    )
    log.info("teach train: %d steps, %s", trainer.state.global_step, output / "model")


def _replace(folder: Path, save: Callable[[Path], object]) -> None:
    """Write a folder under a temporary name, then move it into place."""
    partial_folder = folder.with_name(f".{folder.name}.partial")
    shutil.rmtree(partial_folder, ignore_errors=True)
    partial_folder.mkdir(parents=True)
    save(partial_folder)
    shutil.rmtree(folder, ignore_errors=True)
    partial_folder.rename(folder)
