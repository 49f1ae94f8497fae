"""Options of the teach stage."""

from collections.abc import Iterable
from typing import Annotated, Any, Literal, get_args

from pydantic import Field

from rsfiqa import captioners
from rsfiqa.caption.options import CaptionOptions
from rsfiqa.options import OPERATIONAL, Name, Options

Part = Literal["train", "validation", "test"]
PARTS: tuple[Part, ...] = get_args(Part)


class TeachDataOptions(Options):
    """Number and kind of the examples that are made from photographs."""

    views: int = Field(
        25,
        ge=1,
        le=10**6,
        description="Random crops of each training photograph. Of five, one stays pristine, two are"
        " distorted as a whole and two region by region.",
    )
    regions_per_view: int = Field(
        3, ge=1, le=100, description="Examples per training view, each about another region."
    )
    two_distortions_fraction: float = Field(
        0.25,
        ge=0,
        le=1,
        description="Fraction of distorted training regions with two distortions instead of one.",
    )
    augment: bool = Field(
        False,
        description="Randomly reduce and rotate training photographs and change their colors, light"
        " and chroma; for small sets of photographs.",
    )
    validation_fraction: float = Field(
        0.1,
        ge=0,
        lt=1,
        description="Fraction of the groups of photographs outside the test part that are used for"
        " validation.",
    )
    test_fraction: float = Field(
        0.1,
        ge=0,
        lt=1,
        description="Fraction of the groups of photographs that are used for testing; ignored if a"
        " source has an official test part.",
    )
    long_side: int = Field(
        1024, ge=64, le=8192, description="Reduce larger photographs to this long side, pixels."
    )
    max_pixels: int = Field(
        1_003_520, ge=4096, le=10**8, description="Largest image of an example, pixels."
    )

    def recorded(self) -> dict[str, Any]:
        """The options that determine the examples of one photograph."""
        return self.model_dump(exclude={"validation_fraction", "test_fraction"})


def recorded_options(
    options: TeachDataOptions, *, datasets: Iterable[str], seed: int
) -> dict[str, Any]:
    """The options that shape the files of examples, as data.json records them.

    Args:
        options: of the stage.
        datasets: names of the data sets of photographs.
        seed: of parts, views and distortions.
    """
    return options.model_dump() | {"datasets": sorted(set(datasets)), "seed": seed}


class TeachTrainOptions(Options):
    """The vision-language model and the training."""

    model: Annotated[str | None, OPERATIONAL] = Field(
        None,
        description="Folder or hub name of an image-text-to-text model of transformers; ~ is"
        " expanded.",
    )
    method: Literal["lora", "full"] = Field(
        "lora",
        description="Weights to train. lora: low-rank updates, merged at the end; full: all.",
    )
    rank: int = Field(16, ge=1, le=1024, description="lora: rank of the updates.")
    alpha: int = Field(
        32, ge=1, le=10_000, description="lora: the updates are scaled by alpha / rank."
    )
    dropout: float = Field(
        0.05, ge=0, lt=1, description="lora: dropout probability of the updates' inputs."
    )
    targets: str = Field(
        "all-linear",
        min_length=1,
        description="lora: layers to update, a regular expression of their names. all-linear: every"
        " linear layer but the output layer, those of the vision tower included.",
    )
    frozen_weights: str | None = Field(
        None,
        description="full: weights to keep, a regular expression of their names, such as"
        " .*visual.*",
    )
    epochs: float = Field(1, gt=0, le=1000, description="Passes over the examples.")
    batch_size: int = Field(
        1, ge=1, le=4096, description="Examples per forward pass on each device."
    )
    gradient_accumulation_steps: int = Field(
        16, ge=1, le=4096, description="Forward passes per optimizer step."
    )
    lr: float = Field(1e-4, gt=0, le=1, description="Peak learning rate of AdamW.")
    warmup: float = Field(
        0.03,
        ge=0,
        description="Linear warm-up: below 1 a fraction of the steps, from 1 on a number of steps.",
    )
    weight_decay: float = Field(0.0, ge=0, le=10, description="Weight decay of AdamW.")
    precision: Literal["bf16", "fp32"] = Field(
        "bf16",
        description="Precision of the computation and of the written model; trained weights are"
        " kept in fp32 during training.",
    )
    gradient_checkpointing: bool = Field(
        True,
        description="Recompute activations in the backward pass: less memory, a third more time.",
    )
    save_steps: Annotated[int, OPERATIONAL] = Field(
        100, ge=1, description="Optimizer steps between checkpoints from which a run resumes."
    )
    log_steps: Annotated[int, OPERATIONAL] = Field(
        10, ge=1, description="Optimizer steps between recorded losses."
    )
    workers: Annotated[int, OPERATIONAL] = Field(
        0, ge=0, le=256, description="Processes that prepare examples."
    )


def recorded_captioner(options: CaptionOptions) -> dict[str, Any]:
    """The options that shape a captioner's answers to examples, as their statistics record them.

    A model that an own server loads from a folder is recorded by its files, wherever they are.

    Args:
        options: of the captioner, which has one attempt at each answer.
    """
    recorded = captioners.recorded(options.model_copy(update={"attempts": 1}))
    if options.starts_server and options.server.weights:
        del recorded["model"]
    return recorded


class TeachOptions(Options):
    """Fine-tuning of the VLM on distorted photographs; a target outside the pipeline."""

    datasets: tuple[Name, ...] = Field(
        ("demo",), min_length=1, description="Data sets of pristine photographs."
    )
    data: TeachDataOptions
    train: TeachTrainOptions
