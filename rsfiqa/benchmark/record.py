"""What shapes a table of results, as the table records it."""

from typing import Any

from rsfiqa.benchmark.baselines import BASELINES
from rsfiqa.splits import OFFICIAL, RANDOM, split_name


def splits_of(method: str, kind: str, number: int) -> list[str]:
    """The splits that a method is tested on; a baseline has no training seed.

    Args:
        method: variant of the model or baseline.
        kind: of the splits; see `splits.split_name`.
        number: number of random splits, of training seeds otherwise.
    """
    tested = 1 if kind != RANDOM and method in BASELINES else number
    return [split_name(kind, i) for i in range(tested)]


def recorded_options(
    method: str, *, kind: str, number: int, test_fraction: float, seed: int
) -> dict[str, Any]:
    """The options that shape a table of results, as it records them.

    Args:
        method: variant of the model or baseline.
        kind: of the splits.
        number: as in `splits_of`.
        test_fraction: fraction of images in the test part of a random split.
        seed: of the random splits.
    """
    recorded = {
        "number": len(splits_of(method, kind, number)),
        "official": kind == OFFICIAL,
        "seed": seed,
    }
    return recorded | ({"test_fraction": test_fraction} if kind == RANDOM else {})
