"""Scores pictures here, then elsewhere: `python -m tests.support.parallel_scoring WAY CHECKPOINT`.

Prints a line of scores for each.
"""

import multiprocessing
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from rsfiqa.score.scorer import Scorer

PICTURES = 4
TIMEOUT_S = 120  # processes that are spawned load the scorer for each picture: 25 s when idle


class Scores(Dataset[float]):
    """Scores of random pictures, computed when they are read."""

    def __init__(self, scorer: Scorer) -> None:
        self.scorer = scorer

    def __len__(self) -> int:
        return PICTURES

    def __getitem__(self, i: int) -> float:
        picture = np.random.default_rng(i).integers(0, 256, (64, 96, 3)).astype(np.uint8)
        return self.scorer.score(picture).score


forked: list[Scorer] = []


def score_forked(i: int) -> float:
    """The score of a picture by the scorer that this process has from its parent."""
    return Scores(forked[0])[i]


def load_and_score(i: int) -> float:
    """The score of a picture by a scorer that is loaded here, after a fork."""
    return Scores(Scorer(*forked[0]._source))[i]


def scores(way: str, scorer: Scorer) -> list[float]:
    """Scores of all pictures in the way that the argument names."""
    kind, _, context = way.partition("-")
    if kind == "threads":
        with ThreadPoolExecutor(4) as pool:
            return list(pool.map(Scores(scorer).__getitem__, range(PICTURES)))
    if kind == "loader":
        loader = DataLoader(
            Scores(scorer), num_workers=2, multiprocessing_context=context, timeout=TIMEOUT_S
        )
        return [float(score) for score in loader]
    method = {"fork": score_forked, "load": load_and_score}.get(kind, Scores(scorer).__getitem__)
    with multiprocessing.get_context(context or kind).Pool(2) as pool:
        return pool.map_async(method, range(PICTURES)).get(TIMEOUT_S)


if __name__ == "__main__":
    torch.set_num_threads(2)
    forked.append(Scorer.load(sys.argv[2], device="cpu"))
    print([score_forked(i) for i in range(PICTURES)])
    print(scores(sys.argv[1], forked[0]))
