"""Metrics by name, as `pyiqa.create_metric` makes them."""

from pathlib import Path
from typing import Any

import torch

from rsfiqa.errors import InputError
from rsfiqa.score.scorer import Scorer

NAME = "rsfiqa"


def create_metric(
    name: str = NAME, *, device: str | torch.device | None = None, **options: Any
) -> Scorer:
    """A scorer, made as pyiqa makes its metrics.

    It takes a path or a batch float (B, 3, H, W) in [0, 1], and has `lower_better` and
    `score_range`.

    Args:
        name: `rsfiqa` for the packaged checkpoint, or the folder of another.
        device: of the models; None for a GPU if there is one.
        options: see `Scorer.load`.

    Raises:
        InputError: no such metric; or as `Scorer.load`.
    """
    if name != NAME and not Path(name).is_dir():
        raise InputError(
            f"metric: must be {NAME} or the folder of a checkpoint, found {name}; correct it"
        )
    checkpoint = None if name == NAME else name
    if device is None:
        return Scorer.load(checkpoint, **options)
    target = torch.device(device)
    return Scorer.load(checkpoint, device=target.type, **options).to(target)
