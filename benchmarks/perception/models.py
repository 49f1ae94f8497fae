"""The models of the bench, and the processes in which they run."""

import multiprocessing
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from functools import cached_property, partial
from pathlib import Path
from typing import Any, TypeVar

import cv2
import numpy as np
import torch
from tqdm import tqdm

from rsfiqa import Scorer, captioners
from rsfiqa.caption.options import CaptionOptions
from rsfiqa.captioners import Captioner
from rsfiqa.captioners.classifier import weights
from rsfiqa.captioners.classifier.network import Perception
from rsfiqa.vocabulary import REALISTIC_FAMILIES

Item = TypeVar("Item")
Result = TypeVar("Result")


@dataclass(frozen=True)
class Models:
    """The models, loaded on first use.

    Attributes:
        checkpoint: folder of the scorer's; None for the packaged one.
    """

    checkpoint: Path | None

    @cached_property
    def scorer(self) -> Scorer:
        """Scores pictures."""
        return Scorer.load(self.checkpoint, "cpu")

    @cached_property
    def perception(self) -> Perception:
        """Names distortions of regions."""
        return weights.packaged()

    @cached_property
    def captioner(self) -> Captioner:
        """Captions regions by that perception, whatever captioner the checkpoint has."""
        return captioners.load(CaptionOptions(backend="classifier"), log=Path())

    def soft_severities(self, pixels: np.ndarray, labels: np.ndarray) -> np.ndarray:
        """Probability times severity of each region and family: float64 (R, F), 0 to about 5.

        Families stand in the order of `REALISTIC_FAMILIES`.

        Args:
            pixels: uint8 (H, W, 3).
            labels: label map uint16 (H, W).
        """
        found = self.perception.perceive(pixels, labels)
        columns = [found.families.index(name) for name in REALISTIC_FAMILIES]
        soft: np.ndarray = found.probability.astype(np.float64) * found.severity
        return soft[:, columns]


class Processes:
    """Processes with models of their own, for as long as the context lasts.

    Args:
        count: number of processes, each with one thread.
        checkpoint: see `Models`.
    """

    def __init__(self, count: int, checkpoint: Path | None) -> None:
        context = multiprocessing.get_context("spawn")
        self._pool = ProcessPoolExecutor(count, context, _start, (checkpoint,))

    def __enter__(self) -> "Processes":
        return self

    def __exit__(self, *exception: object) -> None:
        self._pool.shutdown(cancel_futures=True)

    def map(
        self, function: Callable[[Models, Item], Result], items: Sequence[Item], name: str
    ) -> list[Result]:
        """Results of a function of a module for each item, in their order.

        Args:
            function: takes the models of the process, and an item.
            items: what is measured.
            name: of the progress bar.
        """
        results = self._pool.map(partial(_call, function), items)
        return list(tqdm(results, name, len(items), disable=None))


_models: list[Models] = []  # of this process


def _start(checkpoint: Path | None) -> None:
    torch.set_num_threads(1)
    cv2.setNumThreads(1)
    _models.append(Models(checkpoint))


def _call(function: Callable[[Models, Any], Any], item: Any) -> Any:
    return function(_models[0], item)
