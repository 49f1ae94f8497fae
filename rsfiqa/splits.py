"""Train and test parts of a data set, by the name of the split."""

import hashlib
import re
from collections.abc import Sequence

import numpy as np

from rsfiqa.errors import InputError

NAME = re.compile(r"(split|official|all)-(\d+)")
RANDOM, OFFICIAL = "split", "official"  # kinds of splits within one data set
TEST = "test"  # subset of a manifest's row in the test part of the official split
# subset of a row that has left it, because the training part holds a near-duplicate
TEST_NEAR_DUPLICATE = "test_near_duplicate"


def seed_of(*parts: str | int) -> int:
    """A seed in [0, 2**63) from all parts; the same on every machine and in every process."""
    digest = hashlib.sha256("\x1f".join(str(part) for part in parts).encode()).digest()
    return int.from_bytes(digest[:8], "big") >> 1


def digest(image_ids: Sequence[str]) -> str:
    """SHA-256 of a list of images; identifies the training part of a split."""
    return hashlib.sha256("\n".join(image_ids).encode()).hexdigest()


def split_name(kind: str, number: int) -> str:
    """The name of a split in paths.

    `split-03` is random split 3. `official-03` is the official split of the data set and `all-03`
    all of its images, both with training seed 3.
    """
    return f"{kind}-{number:02d}"


def is_random(name: str) -> bool:
    """Whether this is the name of a random split, which depends on the test fraction."""
    return name.partition("-")[0] == RANDOM


def test_mask(
    name: str,
    groups: Sequence[str],
    subsets: Sequence[str | None],
    *,
    dataset: str,
    test_fraction: float,
    seed: int,
) -> np.ndarray:
    """The test part of the named split: bool (N,); all False for `all-<n>`.

    Args:
        name: as from `split_name`.
        groups: reference, prompt or scene of each image.
        subsets: part of the official split of each image; None if it has none.
        dataset: name of the data set; random splits depend on it.
        test_fraction: fraction of images in the test part of a random split, in (0, 1).
        seed: of the random splits.

    Raises:
        InputError: an unknown name, an empty part, a random part that is much smaller than its
            fraction, or a group on both sides of the official split.
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
    """The test part of a random split: bool (N,); a group is never on both sides.

    Groups are shuffled and taken until the test part holds `test_fraction` of the images, as
    near as whole groups allow. The result depends on the names of the groups, not on the order
    of the images.

    Args:
        groups: reference, prompt or scene of each image.
        test_fraction: fraction of images in the test part, in (0, 1).
        seed: of all splits.
        dataset: name of the data set.
        split: number of the split.
        option: the option that sets `test_fraction`, for the error message.

    Raises:
        InputError: a part would be empty, as with a single group, or hold fewer than half of the
            images that `test_fraction` gives it, as with groups of 1 and 99 images.
    """
    names, sizes = np.unique(np.asarray(groups, dtype=str), return_counts=True)
    order = np.random.default_rng(seed_of(seed, dataset, split)).permutation(len(names))
    cumulative = np.cumsum(sizes[order])
    count = int(np.argmin(np.abs(cumulative - test_fraction * cumulative[-1]))) + 1
    if count >= len(names):
        raise InputError(
            f"{dataset}: a split needs at least 2 groups with images on both sides, found"
            f" {len(names)}; give the images more groups or change {option}"
        )
    tested, total = int(cumulative[count - 1]), int(cumulative[-1])
    if min(tested / test_fraction, (total - tested) / (1 - test_fraction)) < total / 2:
        raise InputError(
            f"{dataset}: each part of a split must hold half of the images that {option}"
            f" {test_fraction:g} gives it or more, found {tested} of {total} held out in split"
            f" {split}; divide the largest group, '{names[sizes.argmax()]}' with {sizes.max()}"
            " images, or leave some of them out"
        )
    return np.isin(np.asarray(groups, dtype=str), names[order[:count]])


def official_split(
    groups: Sequence[str], subsets: Sequence[str | None], *, dataset: str
) -> np.ndarray:
    """The test part that the authors of the data set publish: bool (N,).

    Args:
        groups: reference, prompt or scene of each image.
        subsets: part of the official split of each image; None if it has none.
        dataset: name of the data set, for error messages.

    Raises:
        InputError: no image or every image is in the test part; a group on both sides.
    """
    in_test = np.array([subset == TEST for subset in subsets])
    if in_test.all() or not in_test.any():
        raise InputError(
            f"{dataset}: an official split needs images whose subset is {TEST}, and others, found"
            f" {in_test.sum()} of {len(in_test)}; take random splits"
        )
    names = np.asarray(groups, dtype=str)
    if both := sorted(set(names[in_test]) & set(names[~in_test])):
        raise InputError(
            f"{dataset}: a group must lie on one side of the official split, found {both[0]} on"
            " both; take random splits"
        )
    return in_test


def official_training_part(groups: Sequence[str], subsets: Sequence[str | None]) -> np.ndarray:
    """The images that may be trained on beside another data set: bool (N,).

    All but those that the authors publish as test images, those that left the test part as
    near-duplicates included, and but their groups; all where no image is marked.

    Args:
        groups: reference, prompt or scene of each image.
        subsets: part of the official split of each image; None if it has none.
    """
    in_test = np.isin(np.asarray(subsets, dtype=str), (TEST, TEST_NEAR_DUPLICATE))
    names = np.asarray(groups, dtype=str)
    tested = np.array([subset == TEST for subset in subsets], bool)
    return ~in_test & ~np.isin(names, names[tested])
