"""Options of the teach stage."""

from typing import Any, Literal

from pydantic import Field

from rsfiqa.options import Name, Options


class TeachDataOptions(Options):
    """Which examples are made of photographs, and how many."""

    part: tuple[Literal["train", "validation", "test"], ...] = Field(
        (), description="Only this part; can be given several times."
    )
    views: int = Field(
        25,
        ge=1,
        le=10**6,
        description="Crops of each photograph to teach by; of five, one is pristine, two are"
        " distorted all over, two by region.",
    )
    questions: int = Field(
        3, ge=1, le=100, description="Regions of a view that are asked about, to teach by."
    )
    two_distortions_fraction: float = Field(
        0.25, ge=0, le=1, description="Of draws to teach by: two distortions, one on the other."
    )
    vary: bool = Field(
        False,
        description="Photographs to teach by are reduced, turned, given other colors, light and"
        " chroma, each by chance: for few photographs.",
    )
    validation_fraction: float = Field(
        0.1, ge=0, lt=1, description="Of the photographs, by group, that are not for the test."
    )
    test_fraction: float = Field(
        0.1,
        ge=0,
        lt=1,
        description="Of the photographs, by group, where no source has an official test.",
    )
    long_side: int = Field(
        1024, ge=64, le=8192, description="Larger images are reduced to this, as by caption."
    )
    max_pixels: int = Field(
        1_003_520, ge=4096, le=10**8, description="Pixels of a picture at most, as by caption."
    )

    def recorded(self) -> dict[str, Any]:
        """The options that shape the examples of a photograph."""
        return self.model_dump(exclude={"part", "validation_fraction", "test_fraction"})


class TeachTrainOptions(Options):
    """A vision-language model, and how it learns from examples."""

    model: str | None = Field(
        None,
        description="Folder of a model of transformers that turns images and text to text, or its"
        " name on the hub. ~ is expanded.",
    )
    method: Literal["lora", "full"] = Field(
        "lora", description="lora: low-rank updates, merged at the end; full: all weights."
    )
    rank: int = Field(16, ge=1, le=1024, description="lora: of the updates.")
    alpha: int = Field(32, ge=1, le=10_000, description="lora: updates count alpha / rank.")
    dropout: float = Field(0.05, ge=0, lt=1, description="lora: of what the updates see.")
    targets: str = Field(
        "all-linear",
        min_length=1,
        description="lora: layers that get updates, a regular expression of their names;"
        " all-linear for all but the last, those of the vision tower too.",
    )
    frozen: str | None = Field(
        None,
        description="full: weights that stay as they are, a regular expression of their names, such"
        " as .*visual.*",
    )
    epochs: float = Field(1, gt=0, le=1000, description="Passes over the examples.")
    batch_size: int = Field(1, ge=1, le=4096, description="Examples at once on each device.")
    accumulate: int = Field(16, ge=1, le=4096, description="Batches of a step on each device.")
    learning_rate: float = Field(1e-4, gt=0, le=1, description="Peak rate of AdamW.")
    warmup: float = Field(
        0.03, ge=0, description="Share of the steps in which the rate rises; from 1 on, steps."
    )
    weight_decay: float = Field(0.0, ge=0, le=10, description="Of AdamW.")
    precision: Literal["bf16", "fp32"] = Field(
        "bf16",
        description="Of the arithmetic and of the model that is written; what learns is kept in"
        " fp32 until then.",
    )
    checkpointing: bool = Field(
        True, description="Compute activations anew instead of keeping them: less memory."
    )
    save_steps: int = Field(
        100, ge=1, description="A training that was broken off goes on from the last of these."
    )
    log_steps: int = Field(10, ge=1, description="Steps between two losses that are noted.")
    workers: int = Field(0, ge=0, le=256, description="Processes that prepare examples.")

    def recorded(self) -> dict[str, Any]:
        """The options that shape the weights."""
        return self.model_dump(exclude={"model", "save_steps", "log_steps", "workers"})


class TeachOptions(Options):
    """The target teach, which stands outside the pipeline: examples, a taught model, its test."""

    datasets: tuple[Name, ...] = Field(
        ("demo",), min_length=1, description="Of pristine photographs."
    )
    data: TeachDataOptions
    train: TeachTrainOptions
