"""Builds backbones from timm models, with pretrained or fine-tuned weights."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import timm
import torch
from torch import Tensor, nn

from rsfiqa.backbones import PACKAGED, timm_name
from rsfiqa.backbones.backbone import Backbone
from rsfiqa.backbones.weights import read_state_dict, select_tensors, weights_path
from rsfiqa.errors import InputError, first_line
from rsfiqa.io.checksum import sha256_of

SINGLE_SCALE_MAPS = 4  # feature maps taken from a model whose maps all have one resolution
PROBE_SIZE = (3, 5)  # height and width of a trial image, in strides of the model


def load_backbone(backbone: str, weights: str, *, option: str = "extract.weights") -> Backbone:
    """Load a pretrained backbone, in evaluation mode on the CPU.

    Args:
        backbone: name of a timm model.
        weights: `packaged`, `hub` or the path of a state dict; see `select_tensors`.
        option: the option that gave `weights`, for error messages.

    Raises:
        InputError: the name is unknown, the weights are missing or of another architecture.
    """
    backbone = _timm_name(backbone)
    path = weights_path(backbone, weights, option=option)
    model = _create_model(backbone)
    network = _create_network(backbone).float()  # whatever torch's default is
    known = model.state_dict()
    state = read_state_dict(path)
    if weights == PACKAGED:  # the same tensors in the same order under other names
        state = dict(zip(known, state.values(), strict=True))
    names = {_normalized(name): name for name in known}
    needed = {name: names[_normalized(name)] for name in network.state_dict()}
    try:
        tensors = select_tensors(state, {name: known[name] for name in needed.values()}, known)
    except ValueError as error:
        raise _wrong_architecture(path, backbone, error) from error
    network.load_state_dict(
        {own: tensors[name] for own, name in needed.items() if name in tensors}, strict=False
    )
    return _backbone(backbone, network, path)


def load_finetuned(backbone: str, state: Mapping[str, Tensor], path: Path) -> Backbone:
    """Build a backbone with fine-tuned weights, in evaluation mode on the CPU.

    Args:
        backbone: name of a timm model.
        state: state dict of `Backbone.network`.
        path: file that holds `state`, for the checksum and error messages.

    Raises:
        InputError: the name is unknown, or the weights are of another architecture.
    """
    network = _create_network(backbone).float()  # whatever torch's default is
    try:
        network.load_state_dict(state)
    except RuntimeError as error:
        raise _wrong_architecture(path, backbone, error) from error
    return _backbone(backbone, network, path)


def _backbone(backbone: str, network: Any, path: Path) -> Backbone:
    config = timm.data.resolve_model_data_config(network)
    min_side, side_multiple = _accepted_sides(backbone, network)
    return Backbone(
        network=network.eval().requires_grad_(False),
        channels=tuple(network.feature_info.channels()),
        channels_last=str(getattr(network, "output_fmt", "")).upper().endswith("NHWC"),
        min_side=min_side,
        side_multiple=side_multiple,
        mean=torch.tensor(config["mean"], dtype=torch.float32).view(3, 1, 1),
        std=torch.tensor(config["std"], dtype=torch.float32).view(3, 1, 1),
        sha256=sha256_of(path),
    )


def _create_network(backbone: str) -> Any:
    """Create timm's feature extractor for images of any size.

    For a model of one resolution, such as a ViT, it returns the outputs of four evenly spaced
    blocks.
    """
    for any_size in ({"dynamic_img_size": True}, {"strict_img_size": False}, {}):
        with suppress(TypeError):  # the model has no such argument
            network = _create_model(backbone, features_only=True, **any_size)
            break
    if len(set(network.feature_info.reduction())) == 1:
        depth = len(network.model.blocks)
        blocks = [depth * i // SINGLE_SCALE_MAPS - 1 for i in range(1, SINGLE_SCALE_MAPS + 1)]
        network = _create_model(backbone, features_only=True, out_indices=blocks, **any_size)
    return network


def _accepted_sides(backbone: str, network: Any) -> tuple[int, int]:
    """Find `min_side` and `side_multiple` of a backbone with trial images.

    Raises:
        InputError: the model takes images of one size only.
    """
    network.eval()
    stride = max(network.feature_info.reduction())
    if (error := _error_for(network, *(stride * n for n in PROBE_SIZE))) is not None:
        raise InputError(
            f"extract.backbone: must take images of any size, found {backbone}"
            f" ({first_line(error)}); choose another"
        ) from error
    any_side = _error_for(network, *(stride * n + 1 for n in PROBE_SIZE)) is None
    single_pixel = _error_for(network, 1, 1) is None
    return 1 if single_pixel else stride, 1 if any_side else stride


def _error_for(network: nn.Module, height: int, width: int) -> Exception | None:
    """Return the error that an image of this size raises, None if the network accepts it."""
    try:
        with torch.inference_mode():
            network(torch.zeros(1, 3, height, width, dtype=torch.float32))
    except (RuntimeError, AssertionError) as error:
        return error
    return None


def _timm_name(backbone: str) -> str:
    try:
        return timm_name(backbone)
    except ValueError as error:
        raise InputError(
            f"extract.backbone: must be the name of a timm model, found {backbone}; choose another"
        ) from error


def _create_model(backbone: str, **arguments: Any) -> Any:
    try:
        return timm.create_model(backbone, pretrained=False, **arguments)
    except (RuntimeError, AttributeError, ValueError) as error:
        raise InputError(
            f"extract.backbone: must be a timm model with feature maps, found {backbone}"
            f" ({first_line(error)}); choose another"
        ) from error


def _normalized(name: str) -> str:
    """Return a tensor's name in the form that timm's model and its extractor have in common."""
    return name.removeprefix("model.").replace(".", "_")


def _wrong_architecture(path: Path, backbone: str, error: Exception) -> InputError:
    return InputError(
        f"{path}: must hold weights of {backbone} ({first_line(error)}); give another file"
    )
