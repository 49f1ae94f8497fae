"""Random splits by group."""

import hashlib
from collections.abc import Sequence

import numpy as np


def seed_of(*parts: str | int) -> int:
    """A seed in [0, 2**63) that depends on every part, on any machine and in any process."""
    digest = hashlib.sha256("\x1f".join(str(part) for part in parts).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def random_split(
    groups: Sequence[str], *, test_share: float, seed: int, dataset: str, split: int
) -> np.ndarray:
    """Which images are tested: bool, shape (N,); whole groups, so that none is on both sides.

    Groups are shuffled and taken until the test part holds `test_share` of the images, as near as
    whole groups allow. The result depends on the groups' names, not on the order of the images.

    Raises:
        ValueError: a part would be empty, as with a single group.
    """
    names, sizes = np.unique(np.asarray(groups, dtype=str), return_counts=True)
    order = np.random.default_rng(seed_of(seed, dataset, split)).permutation(len(names))
    cumulative = np.cumsum(sizes[order])
    taken = int(np.argmin(np.abs(cumulative - test_share * cumulative[-1]))) + 1
    if taken >= len(names):
        raise ValueError(
            f"{dataset}: a split needs at least 2 groups with images on both sides, found"
            f" {len(names)}; give the images more groups or change benchmark.test_share"
        )
    return np.isin(np.asarray(groups, dtype=str), names[order[:taken]])
