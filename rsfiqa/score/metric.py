"""Metrics by name, as `pyiqa.create_metric` makes them."""

from typing import Any

import torch

from rsfiqa.errors import InputError
from rsfiqa.io.home import expand_home
from rsfiqa.score.scorer import Scorer

NAME = "rsfiqa"


def create_metric(
    name: str = NAME,
    as_loss: bool = False,
    *,
    device: str | torch.device | None = None,
    **options: Any,
) -> Scorer:
    """A scorer, made as pyiqa makes its metrics.

    It takes a path or a batch float (B, 3, H, W) in [0, 1], and has `lower_better` and
    `score_range`.

    Args:
        name: `rsfiqa` for the packaged checkpoint, or the folder of another.
        as_loss: must be False: scores have no gradient.
        device: of the models; None for a GPU if there is one.
        options: see `Scorer.load`.

    Raises:
        InputError: no such metric or device, or a loss; or as `Scorer.load`.
    """
    if as_loss:
        raise InputError(
            "as_loss: must be False, because scores have no gradient, found True; leave it out"
        )
    checkpoint = None if name == NAME else expand_home(name)
    if checkpoint is not None and not checkpoint.is_dir():
        raise InputError(
            f"metric: must be {NAME} or the folder of a checkpoint, found {name}; correct it"
        )
    return Scorer.load(checkpoint, "auto" if device is None else device, **options)
