"""The scorer of a command's process: one without torch where that can take the checkpoint."""

from pathlib import Path
from typing import TYPE_CHECKING, Union

from rsfiqa import checkpoints
from rsfiqa.score import array_scorer
from rsfiqa.score.array_scorer import ArrayScorer
from rsfiqa.score.options import ScoreOptions

if TYPE_CHECKING:
    from rsfiqa.score.scorer import Scorer

CommandScorer = Union[ArrayScorer, "Scorer"]


def load(folder: Path, options: ScoreOptions) -> CommandScorer:
    """A scorer that computes with one thread.

    Raises:
        InputError: as `Scorer`.
    """
    card, _ = checkpoints.read_card(folder)
    if array_scorer.is_suited(card, options):
        return ArrayScorer(folder, options)
    import torch

    torch.set_num_threads(1)
    from rsfiqa.score.scorer import Scorer

    return Scorer(folder, options)
