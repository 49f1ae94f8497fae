"""The command line of vLLM's server, and the model that it serves."""

import json
import shlex
import shutil
import sys
from pathlib import Path

from rsfiqa.caption.options import ServerOptions
from rsfiqa.errors import InputError
from rsfiqa.io.checksum import sha256_of
from rsfiqa.io.home import expand_home

MODEL_FILES = frozenset({".safetensors", ".bin", ".json", ".jinja", ".txt", ".model"})
PROCESSORS = ("preprocessor_config.json", "processor_config.json")  # of a vision-language model
PICTURES = 2  # in one request: the whole image, and a region or the marked image


def check(options: ServerOptions) -> None:
    """Check that a server can be started with these options.

    Raises:
        InputError: the interpreter does not exist; the arguments cannot be split or hold a key;
            the folder holds no model, or one that takes no pictures.
    """
    if shutil.which(_python(options)) is None:
        raise InputError(
            f"caption.server.python: must be an interpreter, found none at {options.python}; give"
            " the path of one whose environment has vllm"
        )
    try:
        words = shlex.split(options.arguments)
    except ValueError as error:
        raise InputError(
            f"caption.server.arguments: must be quoted as in a shell, found {options.arguments!r}"
            f" ({error}); correct it"
        ) from error
    if any(word.split("=")[0] == "--api-key" for word in words):  # commands and logs show them
        raise InputError(
            "caption.server.arguments: must hold no key, found --api-key; set the environment"
            " variable VLLM_API_KEY, and the one that caption.key_variable names, to the key"
        )
    folder = _folder(options)
    if folder is None:
        return
    if not (folder / "config.json").is_file():
        raise InputError(
            "caption.server.weights: must be the folder of a model with config.json, found"
            f" {options.weights}; download the model, or omit the option to have vLLM download it"
        )
    if not any((folder / name).is_file() for name in PROCESSORS):
        raise InputError(
            "caption.server.weights: must be a vision-language model (with"
            f" {PROCESSORS[0]}), found {options.weights}; use another model"
        )


def command(options: ServerOptions, model: str, host: str, port: int) -> list[str]:
    """The command line of a server.

    Args:
        options: options of the server.
        model: name of the model to clients.
        host: address to listen on.
        port: port to listen on.
    """
    structured: dict[str, str | bool] = {"backend": options.structured_backend}
    if options.structured_backend != "outlines":  # which has no such setting
        structured["disable_any_whitespace"] = True
    return [
        _python(options),
        *("-m", "vllm.entrypoints.openai.api_server"),
        *("--model", str(_folder(options) or model)),
        *("--served-model-name", model),
        *("--host", host),
        *("--port", str(port)),
        *("--dtype", options.dtype),
        *("--tensor-parallel-size", str(options.tensor_parallel)),
        *("--data-parallel-size", str(options.data_parallel)),
        *("--max-model-len", str(options.max_model_len)),
        *("--gpu-memory-utilization", str(options.gpu_memory_utilization)),
        *("--limit-mm-per-prompt", json.dumps({"image": PICTURES})),
        *("--structured-outputs-config", json.dumps(structured)),
        *("--generation-config", "vllm"),  # sampling as requested, without the model's defaults
        "--enable-prefix-caching" if options.prefix_caching else "--no-enable-prefix-caching",
        "--enable-prompt-tokens-details",
        *shlex.split(options.arguments),
    ]


def model_digests(options: ServerOptions) -> dict[str, str]:
    """SHA-256 of each file of the model by name; empty for a model that vLLM downloads."""
    folder = _folder(options)
    return {} if folder is None else digests_of(folder)


def model_files(folder: Path) -> list[Path]:
    """The files of a model's folder, sorted, without notes such as README.md."""
    return [path for path in sorted(folder.iterdir()) if path.suffix in MODEL_FILES]


def digests_of(folder: Path) -> dict[str, str]:
    """SHA-256 of each file of a model's folder by name, see `model_files`."""
    return {path.name: sha256_of(path) for path in model_files(folder)}


def _folder(options: ServerOptions) -> Path | None:
    return None if options.weights is None else expand_home(options.weights)


def _python(options: ServerOptions) -> str:
    return str(expand_home(options.python)) if options.python else sys.executable
