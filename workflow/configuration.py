"""config.yaml: read, checked, and its JSON schema."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import Field, ValidationError

from rsfiqa import captioners, segmenters
from rsfiqa.benchmark.options import BenchmarkOptions
from rsfiqa.caption.options import CaptionOptions
from rsfiqa.captioners import CAPTIONERS
from rsfiqa.datasets.registry import DATASETS
from rsfiqa.embed.options import EmbedOptions
from rsfiqa.encoders import files as encoders
from rsfiqa.errors import InputError
from rsfiqa.extract.options import ExtractOptions
from rsfiqa.options import Fraction, Name, Options, describe
from rsfiqa.prepare.options import PrepareOptions
from rsfiqa.report.options import ReportOptions
from rsfiqa.segment.options import SegmentOptions
from rsfiqa.teach.options import TeachOptions
from rsfiqa.train.options import TrainOptions


class GpuOptions(Options):
    """GPUs that a job of each stage asks of the scheduler; 0 for none."""

    segment: int = Field(0, ge=0, le=16, description="SAM fills one.")
    caption: int = Field(0, ge=0, le=16, description="As many as the model server spreads over.")
    embed: int = Field(0, ge=0, le=16, description="A large encoder gains from one.")
    extract: int = Field(0, ge=0, le=16, description="A large backbone gains from one.")
    train: int = Field(0, ge=0, le=16, description="Fine-tuning: a process on each.")
    teach: int = Field(0, ge=0, le=16, description="One at least, for models worth teaching.")


class Config(Options):
    """The whole of config.yaml."""

    results: str = Field("results", min_length=1, description="Folder of all products.")
    seed: int = Field(0, ge=0, description="Of splits and trainings.")
    shard_size: int = Field(
        1000, ge=1, description="Images per shard: 1,000 to 10,000 on a cluster."
    )
    max_failed_fraction: Fraction = Field(
        0.01, description="A shard with a larger share of unusable images fails."
    )
    datasets: dict[Name, PrepareOptions] = Field(
        min_length=1, description="Data sets by name; what they are used for stands in benchmark."
    )
    gpus: GpuOptions
    segment: SegmentOptions
    caption: CaptionOptions
    embed: EmbedOptions
    extract: ExtractOptions
    train: TrainOptions
    benchmark: BenchmarkOptions
    report: ReportOptions
    teach: TeachOptions


def check(content: Mapping[str, Any], source: str = "config") -> dict[str, Any]:
    """The configuration with every default filled in.

    Raises:
        InputError: an unknown key, a wrong type, a value out of range, a data set that is used
            but not described, a folder or model file that does not exist or is another, fewer
            GPUs than a job's own server takes. Names the key and the value.
    """
    try:
        config = Config.model_validate_json(json.dumps(content), strict=True)
    except ValidationError as error:
        raise InputError(describe(error, source)) from error
    for section, used in (("benchmark", config.benchmark), ("teach", config.teach)):
        for name in used.datasets:
            if name not in config.datasets:
                raise InputError(
                    f"{source}: {section}.datasets must name entries of datasets, found {name!r};"
                    f" describe it there or use one of {', '.join(sorted(config.datasets))}"
                )
    for name in config.benchmark.official:
        if name not in config.benchmark.datasets:
            raise InputError(
                f"{source}: benchmark.official must name data sets of benchmark.datasets, found"
                f" {name!r}; use one of {', '.join(sorted(config.benchmark.datasets))}"
            )
        layout = config.datasets[name].layout
        layouts = [key for key, spec in DATASETS.items() if spec.rated and spec.official_split]
        if layout not in layouts:
            raise InputError(
                f"{source}: benchmark.official must name data sets with an official split (layouts"
                f" {', '.join(layouts)}), found {name!r} of layout {layout}; take random splits"
            )
    for name in sorted(set(config.benchmark.datasets)):
        _check_root(name, config.datasets[name].layout, config.datasets[name].root, source)
    _check_gpus(config, source)
    _check_models(config)
    return config.model_dump(mode="json")


def starts_server(caption: Mapping[str, Any]) -> bool:
    """Whether a caption job with these options starts a model server of its own."""
    return caption["backend"] == "vllm" and not caption["endpoints"]


def segment_threads(segment: Mapping[str, Any]) -> int:
    """Threads of a segment job: a mask generator has processes that load images beside it."""
    return 1 + segment["workers"] if segment["backend"] == "sam" else 1


def _check_gpus(config: Config, source: str) -> None:
    """Refuse fewer GPUs for a caption job than its own server takes; 0 is a server without any."""
    caption, asked = config.caption, config.gpus.caption
    taken = caption.server.tensor_parallel * caption.server.data_parallel
    if caption.starts_server and 0 < asked < taken:
        raise InputError(
            f"{source}: gpus.caption must cover tensor_parallel x data_parallel = {taken}, found"
            f" {asked}; raise it"
        )


def _check_models(config: Config) -> None:
    """Refuse missing or wrong model files; those that need no look cost no import of torch."""
    segmenters.checkpoint_of(config.segment)
    if CAPTIONERS[config.caption.backend].uses_server:
        captioners.check(config.caption)
    if config.teach.train.model:
        _check_base(Path(config.teach.train.model).expanduser())
    if _differs(config.extract, "backbone", "weights"):
        from rsfiqa.backbones import weights as backbone_weights

        backbone_weights.weights_path(config.extract.backbone, config.extract.weights)
    if _differs(config.embed, "encoder"):
        encoders.check(config.embed.encoder)


def _check_base(folder: Path) -> None:
    """Refuse a model's folder that holds none to be taught; a name on the hub is not looked at."""
    if not folder.is_dir():
        return
    from rsfiqa.captioners.vlm.vllm_command import PROCESSORS

    names = {path.name for path in folder.iterdir()}
    words = folder / "tokenizer_config.json"
    chat = words.is_file() and '"chat_template"' in words.read_text("utf-8")
    for part, there in (
        ("an image processor", not names.isdisjoint(PROCESSORS)),
        ("a chat template", chat or any(name.startswith("chat_template.") for name in names)),
    ):
        if not there:
            raise InputError(
                f"teach.train.model: must have {part}, found none in {folder}; use a"
                " vision-language model that was made for chat"
            )


def _differs(options: Options, *names: str) -> bool:
    fields = type(options).model_fields
    return any(getattr(options, name) != fields[name].default for name in names)


def _check_root(name: str, layout: str, root: str | None, source: str) -> None:
    key = f"{source}: datasets.{name}.root"
    if not DATASETS[layout].needs_root:
        return
    if root is None:
        raise InputError(f"{key} must be given for layout {layout}, found nothing")
    if not Path(root).expanduser().exists():
        raise InputError(f"{key} must exist, found {root}; correct the path")


def read(path: Path) -> dict[str, Any]:
    """A checked configuration file.

    Raises:
        InputError: as `check`, or a file that is missing or not YAML.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; give the path of a config.yaml")
    try:
        content = yaml.safe_load(path.read_text("utf-8"))
    except yaml.YAMLError as error:
        raise InputError(f"{path}: not YAML ({str(error).splitlines()[0]})") from error
    return check(content or {}, str(path))


def schema() -> dict[str, Any]:
    """The JSON schema of config.yaml, as kept in workflow/schemas/config.schema.yaml."""
    return Config.model_json_schema()


if __name__ == "__main__":
    print(yaml.safe_dump(schema(), sort_keys=False, width=100), end="")
