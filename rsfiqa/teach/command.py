"""The subcommands of the teach stage: make examples, train a model, test it."""

from pathlib import Path
from typing import Annotated, ClassVar, Literal

from pydantic import AliasChoices, Field
from pydantic_settings import CliSubCommand, get_subcommand

from rsfiqa.caption.options import CaptionOptions
from rsfiqa.command import Command, Folder
from rsfiqa.options import Fraction
from rsfiqa.teach.options import PARTS, Part, TeachDataOptions, TeachTrainOptions


class TeachData(Command, TeachDataOptions):
    """Make examples from pristine photographs: distorted views, requests and responses.

    Reads SOURCE/manifest.parquet, SOURCE/segment and the photographs. Writes FOLDER/train.jsonl,
    validation.jsonl and test.jsonl in the chat format that trainers read, the images below
    FOLDER/sources, data.json (which photographs are in which part) and data.failures.parquet. By
    default makes 25 views of each training photograph, and an example of each of 3 regions of a
    view; finished photographs are skipped.
    """

    folder: Folder = Field(description="Folder of the examples.")
    source: tuple[Path, ...] = Field(
        min_length=1,
        description="Folder of a data set of pristine photographs, prepared and segmented, such as"
        " results/kodak; can be given several times.",
    )
    part: tuple[Part, ...] = Field(
        (), description="Make this part alone; can be given several times. By default all parts."
    )
    seed: int = Field(0, ge=0, description="Seed of parts, views and distortions.")
    max_failed_fraction: Fraction = Field(
        0.01, description="Largest fraction of unusable photographs that is accepted."
    )

    def run(self) -> None:
        """Make the examples."""
        from rsfiqa.teach import data

        data.run(
            self.folder,
            self.source,
            self.stage_options(TeachDataOptions),
            parts=self.part or PARTS,
            seed=self.seed,
            max_failed_fraction=self.max_failed_fraction,
        )


class TeachTrain(Command, TeachTrainOptions):
    """Fine-tune a vision-language model on the examples: LoRA, or all of its weights.

    Reads FOLDER/train.jsonl, validation.jsonl and their images. Writes OUTPUT/model, which vLLM
    serves, OUTPUT/adapter (LoRA) and OUTPUT/teach.json (losses, provenance). Resumes from the last
    saved step. By default trains one process; for several GPUs: torchrun --nproc-per-node 4 -m
    rsfiqa teach train.
    """

    extra: ClassVar[str] = "teach"

    folder: Folder = Field(description="Folder of the examples.")
    output: Path = Field(
        validation_alias=AliasChoices("o", "output"), description="Folder of the trained model."
    )
    seed: int = Field(0, ge=0, description="Seed of new weights and of the order of examples.")

    def run(self) -> None:
        """Train the model."""
        from rsfiqa.teach import train

        options = self.stage_options(TeachTrainOptions)
        train.run(self.folder, self.output, options, seed=self.seed)


class TeachTest(Command, CaptionOptions):
    """Test a captioner on examples of held-out photographs.

    Reads FOLDER/test.jsonl and its images. Writes FOLDER/tests/NAME.test.json (accuracy of family,
    severity and ratings, chance levels), the responses, NAME.test.jsonl, and NAME.test.stats.json
    (provenance); prints the figures of all captioners tested so far. By default tests the
    rule-based captioner; --backend vllm queries a model as the caption stage does, with one attempt
    per response.
    """

    backend: Literal["rule_based", "vllm"] = Field(
        "rule_based", description="Captioner to test; the examples name textbook families."
    )
    folder: Folder = Field(description="Folder of the examples.")
    name: Annotated[str, Field(pattern=r"^[\w-]+$")] = Field(
        "rule_based", description="Name of the captioner in files and tables."
    )
    part: Part = Field("test", description="Part of the examples to test on.")

    def run(self) -> None:
        """Test the captioner and print the figures."""
        from rsfiqa.teach import evaluate

        options = self.stage_options(CaptionOptions)
        print(evaluate.run(self.folder, self.part, options, name=self.name))

    def sections(self) -> tuple[str, ...]:
        """The caption stage's section in config.yaml."""
        return ("caption",)


class Teach(Command):
    """Fine-tune a vision-language model on distortions: make examples, train, test.

    Each part reads and writes files of one folder; `rsfiqa teach <part> --help` describes them and
    the defaults.
    """

    data: CliSubCommand[TeachData] = Field(description=TeachData.summary())
    train: CliSubCommand[TeachTrain] = Field(description=TeachTrain.summary())
    test: CliSubCommand[TeachTest] = Field(description=TeachTest.summary())

    def run(self) -> int | None:
        """Run the chosen part."""
        part = get_subcommand(self)
        assert isinstance(part, Command)
        return part.run()
