"""config.yaml: read, checked, and its JSON schema."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from rsfiqa.errors import InputError
from rsfiqa.stages import Config, Options


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
    for name in sorted(set(config.benchmark.datasets)):
        _check_root(name, config.datasets[name].layout, config.datasets[name].root, source)
    _check_gpus(config, source)
    _check_models(config)
    return config.model_dump(mode="json")


def _check_gpus(config: Config, source: str) -> None:
    """Refuse fewer GPUs for a caption job than its own server takes; 0 is a server without any."""
    caption, asked = config.caption, config.gpus.caption
    taken = caption.tensor_parallel * caption.data_parallel
    if caption.backend == "vllm" and not caption.endpoints and 0 < asked < taken:
        raise InputError(
            f"{source}: gpus.caption must cover tensor_parallel x data_parallel = {taken}, found"
            f" {asked}; raise it"
        )


def _check_models(config: Config) -> None:
    """Refuse missing or wrong model files; those that need no look cost no import of torch."""
    if config.segment.backend == "sam":
        from rsfiqa.segment import sam_checkpoint

        sam_checkpoint.check(config.segment)
    if config.caption.backend == "vllm":
        from rsfiqa.caption import asked

        asked.check(config.caption)
    if config.teach.train.model:
        _check_base(Path(config.teach.train.model).expanduser())
    if _differs(config.extract, "backbone", "weights"):
        from rsfiqa import backbone

        backbone.weights_path(config.extract.backbone, config.extract.weights)
    if _differs(config.embed, "encoder"):
        from rsfiqa import embed

        embed.check(config.embed.encoder)


def _check_base(folder: Path) -> None:
    """Refuse a model's folder that holds none to be taught; a name on the hub is not looked at."""
    if not folder.is_dir():
        return
    from rsfiqa.caption.server import PROCESSORS

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
    if layout == "demo":
        return
    if root is None:
        raise InputError(f"{key} must be given for layout {layout}, found nothing")
    if not Path(root).expanduser().exists():
        raise InputError(f"{key} must exist, found {root}; correct the path")


def describe(error: ValidationError, source: str) -> str:
    """The first finding of a validation in one line, with the number of further ones."""
    first = error.errors(include_url=False)[0]
    key = ".".join(str(part) for part in first["loc"])
    more = f" (and {error.error_count() - 1} more)" if error.error_count() > 1 else ""
    if first["type"] == "extra_forbidden":
        return f"{source}: unknown key {key}, found {first['input']!r}; remove or correct it{more}"
    if first["type"] == "missing":
        return f"{source}: {key} is required, found nothing; add it{more}"
    rule = first["msg"][0].lower() + first["msg"][1:]
    return f"{source}: {key}: {rule}, found {first['input']!r}; change it{more}"


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
