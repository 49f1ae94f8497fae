"""The command line: one subcommand per stage."""

import errno
import inspect
import logging
import os
import sys
from pathlib import Path
from typing import Annotated, Any, Literal, TypeVar

from pydantic import AliasChoices, Field, ValidationError
from pydantic_settings import (
    BaseSettings,
    CliApp,
    CliPositionalArg,
    CliSubCommand,
    SettingsConfigDict,
)
from pydantic_settings import get_subcommand as chosen

from rsfiqa.benchmark.options import Method
from rsfiqa.caption.options import CaptionOptions, ServerOptions
from rsfiqa.embed.options import EmbedOptions
from rsfiqa.errors import InputError
from rsfiqa.extract.options import ExtractOptions
from rsfiqa.options import Fraction, Name, Options, describe
from rsfiqa.prepare.options import PrepareOptions
from rsfiqa.report.options import ReportOptions
from rsfiqa.score.options import ScoreOptions
from rsfiqa.segment.options import SegmentOptions
from rsfiqa.teach.options import TeachDataOptions, TeachTrainOptions
from rsfiqa.train.options import TrainOptions
from rsfiqa.vocabulary import Variant

T = TypeVar("T", bound=Options)


# with which a disk refuses to write
REFUSALS = frozenset(
    {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EACCES, errno.EPERM, errno.EIO, errno.EFBIG}
)


Folder = CliPositionalArg[Path]


DATASET = "The data set's folder, results/<dataset>; its last part is the data set's name."


MAX_FAILED = "A shard with a larger share of unusable images fails."


def plain(arguments: Options, options: type[T]) -> T:
    """The stage's own options among the arguments."""
    return options(**arguments.model_dump(include=set(options.model_fields)))


class Sharded(Options):
    """What all stages have that work shard by shard."""

    folder: Folder = Field(description=DATASET)
    shard: tuple[str, ...] = Field((), description="Only this shard; can be given several times.")
    max_failed_fraction: Fraction = Field(0.01, description=MAX_FAILED)

    @property
    def common(self) -> dict[str, Any]:
        """The arguments that every sharded stage's `run` takes."""
        return {"only": self.shard, "max_failed_fraction": self.max_failed_fraction}


class Prepare(PrepareOptions):
    """List a data set's images: sizes, scores, groups, hashes.

    Reads a published data set in its official layout, a CSV with the columns path, mos and
    perhaps mos_std, group, subset, or a folder of pictures; by default makes the demo set.
    Writes FOLDER/manifest.parquet, manifest.failures.parquet and manifest.stats.json.
    """

    folder: Folder = Field(description=DATASET)
    shard_size: int = Field(1000, ge=1, description="Images per shard.")
    max_failed_fraction: Fraction = Field(0.01, description=MAX_FAILED)
    seed: int = Field(0, ge=0, description="Of the demo set's noise.")

    def run(self) -> None:
        from rsfiqa.prepare import stage as prepare

        options = plain(self, PrepareOptions)
        prepare.run(
            self.folder,
            options,
            shard_size=self.shard_size,
            max_failed_fraction=self.max_failed_fraction,
            seed=self.seed,
        )


class Segment(Sharded, SegmentOptions):
    """Cut images into regions.

    Reads FOLDER/manifest.parquet and the images. Writes FOLDER/segment/<shard>.h5 (label maps and
    region tables), <shard>.failures.parquet and <shard>.stats.json. By default all shards, by
    superpixels; shards that are done already are skipped.
    """

    def run(self) -> None:
        from rsfiqa.segment import stage as segment

        segment.run(self.folder, plain(self, SegmentOptions), **self.common)


class Caption(Sharded, CaptionOptions):
    """Describe and rate every region.

    Reads FOLDER/manifest.parquet, FOLDER/segment and the images. Writes
    FOLDER/caption/<shard>.parquet, <shard>.failures.parquet and <shard>.stats.json. By default
    all shards, by measurements; shards that are done already are skipped. A model's answers are
    kept in FOLDER/caption/answers and not asked for twice.
    """

    server_log: Path | None = Field(
        None, description="vllm, own server: its log; by default FOLDER/caption/server.log."
    )

    def run(self) -> None:
        from rsfiqa.caption import stage as caption

        options = plain(self, CaptionOptions)
        caption.run(self.folder, options, server_log=self.server_log, **self.common)


class Serve(ServerOptions):
    """Serve a language model to caption stages here or on other machines, until interrupted.

    Needs an environment with vllm, the model's name and its folder (or a name that vLLM can
    download). Prints the endpoint once it answers; vLLM's own output goes to the log. A key that
    clients must send is taken from the environment variable VLLM_API_KEY.
    """

    model: str | None = Field(None, description="Name of the model to clients.")
    host: str = Field("127.0.0.1", description="Address to listen at; 0.0.0.0 for all.")
    port: int = Field(8000, ge=1, le=65535, description="Port to listen at.")
    log: Path = Field(Path("logs/serve.log"), description="Takes what the server writes.")

    def run(self) -> None:
        from rsfiqa.captioners.vlm import server

        options = plain(self, ServerOptions)
        server.serve(options, self.model, self.log, self.host, self.port)


class Embed(Sharded, EmbedOptions):
    """Turn captions into vectors.

    Reads FOLDER/manifest.parquet and FOLDER/caption. Writes FOLDER/embed/<shard>.safetensors,
    <shard>.failures.parquet and <shard>.stats.json. By default all shards, with the packaged
    MiniLM; shards that are done already are skipped.
    """

    def run(self) -> None:
        from rsfiqa.embed import stage as embed

        embed.run(self.folder, plain(self, EmbedOptions), **self.common)


class Extract(Sharded, ExtractOptions):
    """Compute features of the frozen backbone, once for all trainings.

    Reads FOLDER/manifest.parquet and the images. Writes FOLDER/extract/<shard>.safetensors,
    <shard>.failures.parquet and <shard>.stats.json. By default all shards, with the packaged
    EfficientNet-Lite0; shards that are done already are skipped.
    """

    def run(self) -> None:
        from rsfiqa.extract import stage as extract

        extract.run(self.folder, plain(self, ExtractOptions), **self.common)


class Train(TrainOptions):
    """Train one model on one split of a data set.

    Reads FOLDER/manifest.parquet and the products of segment, caption, embed and extract, and, to
    fine-tune, the images. Under torchrun several GPUs share a fine-tuning. Writes
    a checkpoint: model.safetensors, card.json, split.parquet and stats.json. By default the full
    model on the training part of the first random split, into
    results/train/<dataset>.<variant>/<split>.
    """

    folder: Folder = Field(description=DATASET)
    output: Path | None = Field(None, description="The checkpoint's folder.")
    variant: Variant = Field("full", description="The whole model, or what is taken from it.")
    split: str = Field(
        "split-00",
        description="split-<n>: a random split by group; official-<n>: the set's official split,"
        " seed n; all-<n>: all images, seed n.",
    )
    test_fraction: float = Field(0.2, gt=0, lt=1, description="Share of images in the test part.")
    seed: int = Field(0, ge=0, description="Of splits, initial weights and shuffling.")
    weights: str = Field("packaged", description="finetune: of the backbone, as of extract.")

    def run(self) -> None:
        from rsfiqa.products.paths import dataset_name
        from rsfiqa.train import stage as train

        name = f"{dataset_name(self.folder)}.{self.variant}"
        options = plain(self, TrainOptions)
        train.run(
            self.folder,
            self.output or self.folder.parent / "train" / name / self.split,
            options,
            variant=self.variant,
            split=self.split,
            test_fraction=self.test_fraction,
            seed=self.seed,
            weights=self.weights,
        )


class Benchmark(Options):
    """Test methods on the splits of a data set, or on another data set.

    Reads RESULTS/<test> (manifest and products) and RESULTS/train/<train>.<variant>/<split>.
    Writes, for each method, RESULTS/benchmark/<train>.<test>.<method>.parquet (a row per split:
    SRCC, KRCC, PLCC raw and after the 4-parameter logistic, RMSE, n) and .predictions.parquet.
    By default tests the full model. Baselines (probe, mlp, brisque) need no checkpoint; they are
    fitted here.
    """

    results: Folder = Field(description="Folder of all results.")
    train: Name = Field(description="Data set trained on.")
    test: Name = Field(description="Data set tested on.")
    variant: tuple[Method, ...] = Field(
        ("full",),
        min_length=1,
        description="Variant of the model, or baseline, to test; can be given several times.",
    )
    number: int = Field(
        10,
        ge=1,
        description="Number of random splits; with --official, or where the two data sets differ,"
        " of training seeds, of which a baseline has one.",
    )
    official: bool = Field(
        False, description="Use the official split of the data set instead of random ones."
    )
    test_fraction: float = Field(
        0.2, gt=0, lt=1, description="Fraction of images in the test part of a random split."
    )
    seed: int = Field(0, ge=0, description="Seed of the random splits.")

    def run(self) -> None:
        from rsfiqa.benchmark import stage as benchmark

        arguments = self.model_dump(exclude={"results", "variant"})
        benchmark.run(self.results, methods=self.variant, **arguments)


class Report(ReportOptions):
    """Make one self-contained page: tables, plots, images with regions and attention.

    Reads RESULTS/benchmark and, for the images shown, RESULTS/train and the data sets' products.
    Writes RESULTS/report/index.html and prints the headline table. With --scores, reads instead a
    table that the score command wrote, and the pictures that it names; by default writes beside it.
    """

    results: CliPositionalArg[Path | None] = Field(None, description="The folder of all results.")
    title: str = Field("RSFIQA", description="Of the page.")
    scores: Path | None = Field(None, description="Table of scores (.parquet) to show instead.")
    output: Path | None = Field(
        None,
        validation_alias=AliasChoices("o", "output"),
        description="scores: the page; by default the table's name with .html.",
    )
    checkpoint: Path | None = Field(
        None,
        description="scores: their checkpoint; looked for in results/train and the package.",
    )

    def run(self) -> None:
        from rsfiqa.report import scored
        from rsfiqa.report import stage as report

        shown: dict[str, Any] = {"images": self.images, "title": self.title}
        if self.results is not None and self.scores is None:
            print(report.run(self.results, **shown))
        elif self.scores is not None and self.results is None:
            shown |= {"output": self.output, "checkpoint": self.checkpoint}
            shown |= {"load_scorer": _load_scorer}
            print(scored.run(self.scores, trained=Path("results/train"), **shown))
        else:
            found = "neither" if self.results is None else "both"
            raise InputError(f"needs the folder of all results or --scores, found {found}")


def _load_scorer(folder: Path) -> Any:
    from rsfiqa import Scorer

    return Scorer(folder)


class ScorePictures(ScoreOptions):
    """Score pictures: how good each is, and which region costs it most.

    PATHS are pictures, folders, patterns, text files of paths, or - for a list on standard input.
    Reads a checkpoint, by default the one that comes with the package. Prints a line per picture,
    or writes a table (.parquet, .csv or .jsonl) that a second run of the same command completes.
    Exit status 3: some could not be scored.
    """

    paths: CliPositionalArg[tuple[str, ...]] = Field(min_length=1, description="What to score.")
    output: Path | None = Field(
        None,
        validation_alias=AliasChoices("o", "output"),
        description="Table to write: .parquet, .csv or .jsonl.",
    )
    checkpoint: Path | None = Field(
        None, description="Folder of a checkpoint; by default the one that comes with the package."
    )
    heatmaps: Path | None = Field(None, description="Folder for pictures of what counts where.")
    explain: bool = Field(False, description="Also print each region.")
    workers: int = Field(0, ge=0, le=256, description="Processes; 0 for one per core or one GPU.")

    def run(self) -> int:
        from rsfiqa.score import stage as score

        everything = score.run(
            self.paths,
            plain(self, ScoreOptions),
            checkpoint=self.checkpoint,
            output=self.output,
            heatmaps=self.heatmaps,
            explain=self.explain,
            workers=self.workers,
        )
        return 0 if everything else 3


class TeachData(TeachDataOptions):
    """Make examples from pristine photographs: views distorted by region, questions, answers.

    Reads SOURCE/manifest.parquet, SOURCE/segment and the photographs. Writes FOLDER/train.jsonl,
    validation.jsonl and test.jsonl in the chat format that trainers read, the pictures below
    FOLDER/sources, data.json (which photographs are where) and data.failures.parquet. By default
    25 views of each photograph, 3 questions about each; photographs that are done already are
    skipped.
    """

    folder: Folder = Field(description="Takes the examples.")
    source: tuple[Path, ...] = Field(
        min_length=1,
        description="Folder of a data set of pristine photographs, prepared and segmented, such as"
        " results/kodak; can be given several times.",
    )
    seed: int = Field(0, ge=0, description="Of parts, views and distortions.")
    max_failed_fraction: Fraction = Field(0.01, description="More unusable photographs fail.")

    def run(self) -> None:
        from rsfiqa.teach import data

        options = plain(self, TeachDataOptions)
        fraction = self.max_failed_fraction
        data.run(self.folder, self.source, options, seed=self.seed, max_failed_fraction=fraction)


class TeachTrain(TeachTrainOptions):
    """Teach a vision-language model by examples: LoRA, or all of its weights.

    Reads FOLDER/train.jsonl, validation.jsonl and their pictures. Writes OUTPUT/model, which vLLM
    serves, OUTPUT/adapter (LoRA) and OUTPUT/teach.json (losses, what it was made from). Goes on
    where it was broken off. For several GPUs: torchrun --nproc-per-node 4 -m rsfiqa teach train.
    """

    folder: Folder = Field(description="Of the examples.")
    output: Path = Field(
        validation_alias=AliasChoices("o", "output"), description="Takes the taught model."
    )
    seed: int = Field(0, ge=0, description="Of the order of examples and of new weights.")

    def run(self) -> None:
        from rsfiqa.teach import train

        train.run(self.folder, self.output, plain(self, TeachTrainOptions), seed=self.seed)


class TeachTest(CaptionOptions):
    """Test a captioner on examples whose photographs were kept from it.

    Reads FOLDER/test.jsonl and its pictures. Writes FOLDER/tests/NAME.test.json (accuracy of
    family, level and ratings, chance levels) and the answers, NAME.test.jsonl; prints the figures
    of all that were tested. By default the measured captioner; --backend vllm asks a model as the
    caption stage does, with one attempt at each answer.
    """

    folder: Folder = Field(description="Of the examples.")
    name: Annotated[str, Field(pattern=r"^[\w-]+$")] = Field(
        "rule_based", description="What the captioner is called in files and tables."
    )
    part: Literal["train", "validation", "test"] = Field("test", description="Of the examples.")

    def run(self) -> None:
        from rsfiqa.teach import evaluate

        options = plain(self, CaptionOptions)
        print(evaluate.run(self.folder, self.part, options, name=self.name))


class Teach(Options):
    """Teach a language model to see distortions: make examples, train, test on kept sources.

    Each part reads and writes files of one folder; `rsfiqa teach <part> --help` says which, and
    what it does by default.
    """

    data: CliSubCommand[TeachData] = Field(description="make examples from pristine photographs")
    train: CliSubCommand[TeachTrain] = Field(description="teach a model by examples")
    test: CliSubCommand[TeachTest] = Field(description="test a captioner on kept sources")

    def run(self) -> int | None:
        command: Any = chosen(self)
        return command.run()


class Rsfiqa(BaseSettings):
    """No-reference image quality by region: how good, which region is to blame, and why.

    Each stage reads and writes files in the results folder and runs on its own; snakemake runs
    them all. `rsfiqa <stage> --help` says what a stage reads, writes and by default does.
    """

    model_config = SettingsConfigDict(
        cli_kebab_case=True, cli_prog_name="rsfiqa", cli_implicit_flags=True, extra="forbid"
    )
    prepare: CliSubCommand[Prepare] = Field(description="list a data set's images and scores")
    segment: CliSubCommand[Segment] = Field(description="cut images into regions")
    caption: CliSubCommand[Caption] = Field(description="describe and rate regions")
    serve: CliSubCommand[Serve] = Field(description="serve a language model to caption stages")
    embed: CliSubCommand[Embed] = Field(description="turn captions into vectors")
    extract: CliSubCommand[Extract] = Field(description="compute backbone features")
    train: CliSubCommand[Train] = Field(description="train one model on one split")
    benchmark: CliSubCommand[Benchmark] = Field(description="test models and baselines")
    report: CliSubCommand[Report] = Field(description="make the report's page")
    score: CliSubCommand[ScorePictures] = Field(description="score pictures")
    teach: CliSubCommand[Teach] = Field(description="teach a language model to see distortions")

    @classmethod
    def settings_customise_sources(cls, *_: Any, **__: Any) -> tuple[()]:
        """Nothing but the command line: no environment variables, no files."""
        return ()


Rsfiqa.__doc__ = inspect.cleandoc(Rsfiqa.__doc__ or "")  # Python before 3.13 keeps indentation


def main(arguments: list[str] | None = None) -> int:
    """Run a stage; 0 if it succeeded, 1 for an error of the input, 2 for one of the call."""
    logging.basicConfig(format="%(message)s", stream=sys.stderr)  # warnings of libraries
    logging.getLogger("rsfiqa").setLevel(logging.INFO)
    words = sys.argv[1:] if arguments is None else arguments
    try:
        command: Any = chosen(CliApp.run(Rsfiqa, cli_args=words or ["--help"]))
    except ValidationError as error:
        print(f"rsfiqa {describe(error, 'arguments')}", file=sys.stderr)
        return 2
    try:
        status = command.run()
    except InputError as error:
        print(f"rsfiqa {words[0]}: {error}", file=sys.stderr)
        return 1
    except BrokenPipeError:  # whoever read has enough; the interpreter's end must not mind
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except OSError as error:
        if error.errno not in REFUSALS:
            raise
        place = error.filename or "a file"
        print(
            f"rsfiqa {words[0]}: {place}: cannot be written ({os.strerror(error.errno)}); make room"
            " or change permissions, and the same command goes on",
            file=sys.stderr,
        )
        return 1
    except KeyboardInterrupt:
        print(f"rsfiqa {words[0]}: interrupted", file=sys.stderr)
        return 130
    return status or 0
