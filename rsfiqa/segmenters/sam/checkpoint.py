"""Checkpoints of segment-anything: what they hold, checked before anything runs."""

import zipfile
from pathlib import Path
from pickle import UnpicklingError

import torch
from segment_anything.build_sam import _build_sam
from segment_anything.modeling import Sam
from torch import Tensor

from rsfiqa.errors import InputError, first_line
from rsfiqa.segment.options import SegmentOptions

SOURCE = "https://github.com/facebookresearch/segment-anything#model-checkpoints"


TYPES = {768: "vit_b", 1024: "vit_l", 1280: "vit_h"}  # width of the image encoder


GLOBAL = 127  # relative positions of a block that sees all 64 x 64 cells, not a window of 14 x 14


def check(options: SegmentOptions) -> Path:
    """The checkpoint's path; its tensors' names and shapes are looked at, not their values.

    Raises:
        InputError: none given, no such file, not a checkpoint of segment-anything, another type.
    """
    if options.checkpoint is None:
        raise InputError(
            "segment.checkpoint: must be given for the backend sam, found nothing; get one at"
            f" {SOURCE}"
        )
    path = Path(options.checkpoint).expanduser()
    if not path.is_file():
        raise InputError(
            f"segment.checkpoint: must be a file, found none at {path}; get one at {SOURCE}"
        )
    found = _type(architecture(path, _state(path, "meta")))
    if options.model_type not in ("auto", found):
        raise InputError(
            f"{path}: must hold {options.model_type} (segment.model_type), found {found}; set"
            " model_type to auto or get another checkpoint"
        )
    return path


def load(path: Path, device: torch.device) -> Sam:
    """The model of a checkpoint, of whatever size, in evaluation mode."""
    state = _state(path, "cpu")
    model = _build_sam(**architecture(path, state))
    model.load_state_dict(state)
    return model.eval().requires_grad_(False).to(device)


def architecture(path: Path, state: dict[str, Tensor]) -> dict[str, int | list[int]]:
    """Width, depth, heads and global blocks of the image encoder, from the tensors' shapes.

    Raises:
        InputError: the tensors are not those of a `Sam`.
    """
    blocks = "image_encoder.blocks."
    try:
        width = state["image_encoder.patch_embed.proj.weight"].shape[0]
        numbers = sorted({int(name.split(".")[2]) for name in state if name.startswith(blocks)})
        positions = [state[f"{blocks}{i}.attn.rel_pos_h"].shape for i in numbers]
        sizes: dict[str, int | list[int]] = {
            "encoder_embed_dim": width,
            "encoder_depth": len(numbers),
            "encoder_num_heads": width // positions[0][1],
            "encoder_global_attn_indexes": [
                i for i, shape in enumerate(positions) if shape[0] == GLOBAL
            ],
        }
        with torch.device("meta"):
            expected = _build_sam(**sizes).state_dict()
        wrong = sorted(
            name
            for name in expected.keys() | state.keys()
            if name not in state
            or name not in expected
            or state[name].shape != expected[name].shape
        )
    except (KeyError, IndexError, ValueError, RuntimeError) as error:
        raise _refusal(path, f"other tensors ({first_line(error)})") from error
    if wrong:
        raise _refusal(path, f"{len(wrong)} other tensors, {wrong[0]} the first")
    return sizes


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


def _refusal(path: Path, found: str) -> InputError:
    return InputError(
        f"{path}: must be a checkpoint of segment-anything, found {found}; get one at {SOURCE}"
    )
