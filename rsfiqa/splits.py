"""Which images are trained on and which are tested, by name of the split."""

import hashlib
import re
from collections.abc import Sequence

import numpy as np

from rsfiqa.errors import InputError

NAME = re.compile(r"(split|official|all)-(\d+)")


TEST = "test"  # what official splits call the part that is tested on


def seed_of(*parts: str | int) -> int:
    """A seed in [0, 2**63) that depends on every part, on any machine and in any process."""
    digest = hashlib.sha256("\x1f".join(str(part) for part in parts).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def digest(image_ids: Sequence[str]) -> str:
    """A SHA-256 of a list of images, to recognise a split by."""
    return hashlib.sha256("\n".join(image_ids).encode()).hexdigest()


def split_name(kind: str, number: int) -> str:
    """How a split is called in paths.

    `split-03` is the random split 3; `official-03` the set's official split, `all-03` all images,
    both with the training's seed 3.
    """
    return f"{kind}-{number:02d}"


def test_mask(
    name: str,
    groups: Sequence[str],
    subsets: Sequence[str | None],
    *,
    dataset: str,
    test_fraction: float,
    seed: int,
) -> np.ndarray:
    """Which images the named split tests: bool, shape (N,); none of them for `all-<n>`.

    Raises:
        InputError: another name; a part that would be empty; a group on both sides of an official
            split.
    """
    match = NAME.fullmatch(name)
    if not match:
        raise InputError(
            f"split: must be split-<n>, official-<n> or all-<n>, found {name}; try split-00"
        )
    if match[1] == "all":
        return np.zeros(len(groups), bool)
    if match[1] == "official":
        return official_split(groups, subsets, dataset=dataset)
    return random_split(
        groups, test_fraction=test_fraction, seed=seed, dataset=dataset, split=int(match[2])
    )


def random_split(
    groups: Sequence[str],
    *,
    test_fraction: float,
    seed: int,
    dataset: str,
    split: int,
    option: str = "benchmark.test_fraction",
) -> np.ndarray:
    """Which images are tested: bool, shape (N,); whole groups, so that none is on both sides.

    Groups are shuffled and taken until the test part holds `test_fraction` of the images, as
    near as whole groups allow. The result depends on the groups' names, not on the order
    of the images.
    `option` names `test_fraction` in messages.

    Raises:
        InputError: a part would be empty, as with a single group.
    """
    names, sizes = np.unique(np.asarray(groups, dtype=str), return_counts=True)
    order = np.random.default_rng(seed_of(seed, dataset, split)).permutation(len(names))
    cumulative = np.cumsum(sizes[order])
    taken = int(np.argmin(np.abs(cumulative - test_fraction * cumulative[-1]))) + 1
    if taken >= len(names):
        raise InputError(
            f"{dataset}: a split needs at least 2 groups with images on both sides, found"
            f" {len(names)}; give the images more groups or change {option}"
        )
    return np.isin(np.asarray(groups, dtype=str), names[order[:taken]])


def official_split(
    groups: Sequence[str], subsets: Sequence[str | None], *, dataset: str
) -> np.ndarray:
    """Which images the set's authors test on: bool, shape (N,).

    Raises:
        InputError: there is no official test part, or nothing else; a group on both sides.
    """
    tested = np.array([subset == TEST for subset in subsets])
    if tested.all() or not tested.any():
        raise InputError(
            f"{dataset}: an official split needs images whose subset is {TEST}, and others, found"
            f" {tested.sum()} of {len(tested)}; take random splits"
        )
    names = np.asarray(groups, dtype=str)
    if both := sorted(set(names[tested]) & set(names[~tested])):
        raise InputError(
            f"{dataset}: a group must lie on one side of the official split, found {both[0]} on"
            " both; take random splits"
        )
    return tested
