"""Which images are trained on and which are tested, by name of the split."""

import hashlib
import re
from collections.abc import Sequence

import numpy as np

from rsfiqa.errors import InputError

NAME = re.compile(r"(split|all)-(\d+)")


def seed_of(*parts: str | int) -> int:
    """A seed in [0, 2**63) that depends on every part, on any machine and in any process."""
    digest = hashlib.sha256("\x1f".join(str(part) for part in parts).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def digest(image_ids: Sequence[str]) -> str:
    """A SHA-256 of a list of images, to recognise a split by."""
    return hashlib.sha256("\n".join(image_ids).encode()).hexdigest()


def split_name(kind: str, number: int) -> str:
    """How a split is called in paths: `split-03` (random), `all-03` (all images, seed 3)."""
    return f"{kind}-{number:02d}"


def tested_part(
    name: str, groups: Sequence[str], *, dataset: str, test_share: float, seed: int
) -> np.ndarray:
    """Which images the named split tests: bool, shape (N,); none of them for `all-<n>`.

    Raises:
        InputError: another name; a part that would be empty.
    """
    match = NAME.fullmatch(name)
    if not match:
        raise InputError(f"split: must be split-<n> or all-<n>, found {name}; try split-00")
    if match[1] == "all":
        return np.zeros(len(groups), bool)
    return random_split(
        groups, test_share=test_share, seed=seed, dataset=dataset, split=int(match[2])
    )


def random_split(
    groups: Sequence[str], *, test_share: float, seed: int, dataset: str, split: int
) -> np.ndarray:
    """Which images are tested: bool, shape (N,); whole groups, so that none is on both sides.

    Groups are shuffled and taken until the test part holds `test_share` of the images, as near as
    whole groups allow. The result depends on the groups' names, not on the order of the images.

    Raises:
        InputError: a part would be empty, as with a single group.
    """
    names, sizes = np.unique(np.asarray(groups, dtype=str), return_counts=True)
    order = np.random.default_rng(seed_of(seed, dataset, split)).permutation(len(names))
    cumulative = np.cumsum(sizes[order])
    taken = int(np.argmin(np.abs(cumulative - test_share * cumulative[-1]))) + 1
    if taken >= len(names):
        raise InputError(
            f"{dataset}: a split needs at least 2 groups with images on both sides, found"
            f" {len(names)}; give the images more groups or change benchmark.test_share"
        )
    return np.isin(np.asarray(groups, dtype=str), names[order[:taken]])
