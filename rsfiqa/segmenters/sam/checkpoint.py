"""Checkpoints of segment-anything, checked before the first job runs."""

import zipfile
from pathlib import Path
from pickle import UnpicklingError

import torch
from segment_anything.build_sam import _build_sam
from segment_anything.modeling import Sam
from torch import Tensor

from rsfiqa.errors import InputError, first_line
from rsfiqa.io.home import expand_home
from rsfiqa.segment.options import SegmentOptions

SOURCE = "https://github.com/facebookresearch/segment-anything#model-checkpoints"
TYPES = {768: "vit_b", 1024: "vit_l", 1280: "vit_h"}  # by width of the image encoder
GLOBAL = 127  # relative positions of a block with global attention over 64 x 64 cells


def check(options: SegmentOptions, option: str = "segment.checkpoint") -> Path:
    """The path of the checkpoint, after a check of the names and shapes of its tensors.

    Args:
        options: of the segment stage; checkpoint and model_type are used.
        option: name under which the user gives the checkpoint, for messages.

    Raises:
        InputError: not given, no such file, not a checkpoint of segment-anything, or of another
            type.
    """
    if options.checkpoint is None:
        raise InputError(
            f"{option}: must be given for the backend sam, found nothing; get one at {SOURCE}"
        )
    path = expand_home(options.checkpoint)
    if not path.is_file():
        raise InputError(f"{option}: must be a file, found none at {path}; get one at {SOURCE}")
    model_type = _type(architecture(path, _state(path, "meta")))
    if options.model_type not in ("auto", model_type):
        raise InputError(
            f"{path}: must hold {options.model_type} (segment.model_type), found {model_type}; set"
            " model_type to auto or get another checkpoint"
        )
    return path


def load(path: Path, device: torch.device) -> Sam:
    """The model of a checkpoint, of any size, in evaluation mode."""
    state = _state(path, "cpu")
    model = _build_sam(**architecture(path, state))
    model.load_state_dict(state)
    return model.eval().requires_grad_(False).to(device)


def architecture(path: Path, state: dict[str, Tensor]) -> dict[str, int | list[int]]:
    """Arguments of `_build_sam`, derived from the shapes of the tensors.

    Args:
        path: of the checkpoint, for messages.
        state: its tensors; those on the meta device suffice.

    Raises:
        InputError: the tensors are not those of a `Sam`.
    """
    try:
        sizes = _sizes(state)
        with torch.device("meta"):
            expected = _build_sam(**sizes).state_dict()
    except (KeyError, IndexError, ValueError, RuntimeError) as error:
        raise _refusal(path, f"other tensors ({first_line(error)})") from error
    different = sorted(
        name
        for name in expected.keys() | state.keys()
        if name not in state or name not in expected or state[name].shape != expected[name].shape
    )
    if different:
        raise _refusal(path, f"{len(different)} other tensors, {different[0]} the first")
    return sizes


def _sizes(state: dict[str, Tensor]) -> dict[str, int | list[int]]:
    """Width, depth, number of heads and global blocks of the image encoder."""
    blocks = "image_encoder.blocks."
    width = state["image_encoder.patch_embed.proj.weight"].shape[0]
    numbers = sorted({int(name.split(".")[2]) for name in state if name.startswith(blocks)})
    positions = [state[f"{blocks}{i}.attn.rel_pos_h"].shape for i in numbers]
    return {
        "encoder_embed_dim": width,
        "encoder_depth": len(numbers),
        "encoder_num_heads": width // positions[0][1],
        "encoder_global_attn_indexes": [
            i for i, shape in enumerate(positions) if shape[0] == GLOBAL
        ],
    }


def _type(sizes: dict[str, int | list[int]]) -> str:
    width = sizes["encoder_embed_dim"]
    return TYPES.get(width, f"an encoder of width {width}") if isinstance(width, int) else ""


def _state(path: Path, device: str) -> dict[str, Tensor]:
    try:
        state = torch.load(
            path, map_location=device, weights_only=True, mmap=zipfile.is_zipfile(path)
        )
    except (OSError, RuntimeError, EOFError, UnpicklingError) as error:
        raise _refusal(path, f"no state dict ({first_line(error)})") from error
    if not isinstance(state, dict):
        raise _refusal(path, f"a {type(state).__name__}")
    return state


def _refusal(path: Path, content: str) -> InputError:
    return InputError(
        f"{path}: must be a checkpoint of segment-anything, found {content}; get one at {SOURCE}"
    )
