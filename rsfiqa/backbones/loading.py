"""Any timm backbone as multi-scale statistics on a grid."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import timm
import torch
from torch import Tensor, nn

from rsfiqa.backbones.backbone import Backbone
from rsfiqa.backbones.weights import PACKAGED, _read_state, weights_path
from rsfiqa.errors import InputError, first_line
from rsfiqa.io.checksum import sha256_of

SCALES = 4  # layers of a model of one scale


TRIED = (3, 5)  # strides high and wide


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
