"""The file of a perception: backbone and head in float16, with the names of its families."""

import json
from functools import cache
from pathlib import Path

import torch
from safetensors.torch import save_file

from rsfiqa.backbones.loading import load_finetuned
from rsfiqa.backbones.weights import PERCEPTION_BACKBONE, PERCEPTION_FILE
from rsfiqa.captioners.classifier import arrays
from rsfiqa.captioners.classifier.arrays import HEAD, NETWORK
from rsfiqa.captioners.classifier.network import Perception
from rsfiqa.errors import InputError, first_line
from rsfiqa.io.atomic import atomic

OF_FLOAT32 = 64  # numbers; smaller tensors keep their precision


def write(path: Path, perception: Perception) -> None:
    """Write a perception, atomically."""
    parts = {NETWORK: perception.network, HEAD: perception.head}
    state = {
        prefix + name: _half(value.detach().contiguous().cpu())
        for prefix, part in parts.items()
        for name, value in part.state_dict().items()
    }
    # one entry: safetensors writes several in any order, and so other bytes each time
    record = {"families": json.dumps(perception.families)}
    path.parent.mkdir(parents=True, exist_ok=True)
    with atomic(path) as partial:
        save_file(state, partial, metadata=record)


def read(path: Path) -> Perception:
    """Read a perception, in evaluation mode on the CPU.

    Raises:
        InputError: the file is missing, damaged, or holds something else.
    """
    known = arrays.read(path)
    network, head = (
        {name: torch.from_numpy(value) for name, value in part.items()}
        for part in (known.network, known.head)
    )
    backbone = load_finetuned(PERCEPTION_BACKBONE, network, path)
    perception = Perception(backbone, known.families)
    try:
        perception.head.load_state_dict(head)
    except RuntimeError as error:
        raise InputError(
            f"{path}: must be the weights of a perception on {PERCEPTION_BACKBONE}, found another"
            f" ({first_line(error)}); give another file"
        ) from error
    return perception.eval().requires_grad_(False)


@cache
def packaged() -> Perception:
    """The perception that comes with the package; the same object at each call."""
    return read(PERCEPTION_FILE)


def _half(value: torch.Tensor) -> torch.Tensor:
    small = not value.is_floating_point() or value.numel() <= OF_FLOAT32
    return value if small else value.half()
