"""Read and check config.yaml; its JSON schema."""

import json
import os
import re
from collections.abc import Mapping
from functools import reduce
from operator import getitem
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, ValidationError

from rsfiqa import captioners
from rsfiqa.backbones import HUB, PACKAGED, PERCEPTION
from rsfiqa.backbones.weights import weights_path
from rsfiqa.benchmark.options import BenchmarkOptions
from rsfiqa.caption.options import CaptionOptions
from rsfiqa.captioners import CAPTIONERS
from rsfiqa.embed.options import EmbedOptions
from rsfiqa.encoders import files as encoders
from rsfiqa.errors import InputError
from rsfiqa.extract.options import ExtractOptions
from rsfiqa.io.home import expand_home
from rsfiqa.options import Fraction, Name, Options, describe
from rsfiqa.prepare.options import PrepareOptions
from rsfiqa.report.options import ReportOptions
from rsfiqa.score.options import ScoreRunsOptions
from rsfiqa.segment.options import SegmentOptions
from rsfiqa.segmenters import SEGMENTERS
from rsfiqa.teach.options import TeachOptions
from rsfiqa.train.options import TrainOptions
from rsfiqa.workflow.datasets import check_datasets
from rsfiqa.workflow.keys import check_keys
from rsfiqa.workflow.runs import check_runs

EXPONENT = re.compile(r"[+-]?(\d+\.?\d*|\.\d+)[eE][+-]?\d+")  # YAML 1.1 wants point and sign


class GpuOptions(Options):
    """GPUs that a job of each stage requests from the scheduler; 0 for none."""

    segment: int = Field(0, ge=0, le=16, description="GPUs of a segment job; SAM uses one.")
    caption: int = Field(
        0,
        ge=0,
        le=16,
        description="GPUs of a caption job; as many as its model server is spread over.",
    )
    embed: int = Field(
        0, ge=0, le=16, description="GPUs of an embed job; useful for a large encoder."
    )
    extract: int = Field(
        0, ge=0, le=16, description="GPUs of an extract job; useful for a large backbone."
    )
    train: int = Field(
        0, ge=0, le=16, description="GPUs of a fine-tuning job, which runs one process on each."
    )
    score: int = Field(0, ge=0, le=16, description="GPUs of a score job, which uses one.")
    teach: int = Field(
        0, ge=0, le=16, description="GPUs of a job that fine-tunes a vision-language model."
    )


class Config(Options):
    """The whole of config.yaml."""

    results: str = Field("results", min_length=1, description="Folder of all products.")
    seed: int = Field(0, ge=0, description="Seed of splits and trainings.")
    shard_size: int = Field(
        1000, ge=1, description="Images per shard; 1,000 to 10,000 on a cluster."
    )
    max_failed_fraction: Fraction = Field(
        0.01, description="Largest fraction of unusable images that is accepted in a shard."
    )
    datasets: dict[Name, PrepareOptions] = Field(
        min_length=1, description="Data sets by name; benchmark.datasets selects among them."
    )
    gpus: GpuOptions
    segment: SegmentOptions
    caption: CaptionOptions
    embed: EmbedOptions
    extract: ExtractOptions
    train: TrainOptions
    benchmark: BenchmarkOptions
    report: ReportOptions
    score: ScoreRunsOptions
    teach: TeachOptions


def check(content: Mapping[str, Any], source: str = "config") -> dict[str, Any]:
    """The configuration with every default filled in.

    Model files are looked for, not read: Snakemake checks the configuration in every job, and the
    stage that loads a file checks its content.

    Args:
        content: of config.yaml.
        source: file name for messages.

    Raises:
        InputError: an unknown key, a wrong type, a value out of range, a data set that is used
            but not described, a folder or model file that does not exist, or fewer GPUs than a
            job's own server needs. Names the key and the value.
    """
    config = _validated(content, source)
    config = config.model_copy(update={"results": _results(config.results, source)})
    check_datasets(config, source)
    check_runs(config, source)
    _check_gpus(config, source)
    _check_models(config)
    return config.model_dump(mode="json")


def _validated(content: Mapping[str, Any], source: str) -> Config:
    """The configuration; a number such as 1e-4, text in YAML 1.1, is taken where one is wanted."""
    try:
        # what is no JSON, such as a date, becomes text, which fits no option of another type
        text = json.dumps(content, default=str, allow_nan=False)
    except (TypeError, ValueError) as error:
        raise InputError(
            f"{source}: must hold text as keys and finite numbers, found other ones ({error});"
            " change them"
        ) from error
    try:
        return Config.model_validate_json(text, strict=True)
    except ValidationError as error:
        numbers = [
            finding["loc"]
            for finding in error.errors(include_url=False)
            if finding["type"] in ("float_type", "int_type")
            and isinstance(finding["input"], str)
            and EXPONENT.fullmatch(finding["input"])
        ]
        if not numbers:
            raise InputError(describe(error, source)) from error
    changed = json.loads(text)
    for *path, key in numbers:
        section = reduce(getitem, path, changed)
        number = float(section[key])
        section[key] = int(number) if number.is_integer() else number
    return _validated(changed, source)


def _results(results: str, source: str) -> str:
    """The folder of all products as the rules take it: expanded, without a slash at the end."""
    if set("{}") & set(results):
        raise InputError(
            f"{source}: results must be without braces, which Snakemake takes for wildcards, found"
            f" {results}; choose another folder"
        )
    folder = os.path.normpath(expand_home(results))
    return f"./{folder}" if folder.startswith("-") else folder


def segment_threads(segment: Mapping[str, Any]) -> int:
    """Threads of a segment job, with those of the processes that load images for it."""
    return 1 + segment["workers"] if SEGMENTERS[segment["backend"]].uses_processes else 1


def _check_gpus(config: Config, source: str) -> None:
    """Raise where a caption job has fewer GPUs than its server needs; with 0 it uses none."""
    server, gpus = config.caption.server, config.gpus.caption
    needed = server.tensor_parallel * server.data_parallel
    if config.caption.starts_server and 0 < gpus < needed:
        raise InputError(
            f"{source}: gpus.caption must cover tensor_parallel x data_parallel = {needed} of"
            f" caption.server, found {gpus}; raise it"
        )


def _check_models(config: Config) -> None:
    """Raise where a model's file is missing; imports neither torch nor timm."""
    if SEGMENTERS[config.segment.backend].needs_checkpoint:
        _check_file("segment.checkpoint", config.segment.checkpoint)
    if config.extract.weights == PERCEPTION:
        weights_path(config.extract.backbone, PERCEPTION)
    elif config.extract.weights not in (PACKAGED, HUB):
        _check_file("extract.weights", config.extract.weights)
    if CAPTIONERS[config.caption.backend].uses_server:
        captioners.check(config.caption)
    encoders.check(config.embed.encoder)
    if config.teach.train.model:
        _check_base(expand_home(config.teach.train.model))


def _check_file(key: str, path: str | None) -> None:
    """Raise where an option names no file."""
    if path is None:
        raise InputError(f"{key}: must be given, found nothing; set it to a file of weights")
    if not expand_home(path).is_file():
        raise InputError(f"{key}: must be a file, found none at {path}; correct the path")


def _check_base(folder: Path) -> None:
    """Raise where a folder holds no model that can be fine-tuned; a hub name is not checked."""
    if not folder.is_dir():
        return
    from rsfiqa.captioners.vlm.vllm_command import PROCESSORS

    names = {path.name for path in folder.iterdir()}
    tokenizer = folder / "tokenizer_config.json"
    in_tokenizer = tokenizer.is_file() and '"chat_template"' in tokenizer.read_text("utf-8")
    for part, exists in (
        ("an image processor", not names.isdisjoint(PROCESSORS)),
        (
            "a chat template",
            in_tokenizer or any(name.startswith("chat_template.") for name in names),
        ),
    ):
        if not exists:
            raise InputError(
                f"teach.train.model: must have {part}, found none in {folder}; use a"
                " vision-language model made for chat"
            )


def read(path: Path) -> dict[str, Any]:
    """The checked content of a configuration file, with every default filled in.

    Raises:
        InputError: as `check`, or a file that is missing or not YAML.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; give the path of a config.yaml")
    try:
        content = yaml.safe_load(path.read_text("utf-8"))
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not YAML ({str(error).splitlines()[0]})") from error
    check_keys(path)
    return check(content or {}, str(path))


def schema() -> dict[str, Any]:
    """The JSON schema of config.yaml, as in workflow/schemas/config.schema.yaml."""
    return Config.model_json_schema()


if __name__ == "__main__":
    print(yaml.safe_dump(schema(), sort_keys=False, width=100), end="")
