import subprocess
import sys

import numpy as np
import pytest

from rsfiqa import splits
from rsfiqa.errors import InputError
from rsfiqa.splits import random_split, seed_of

GROUPS = [f"scene {i % 25}" for i in range(100)]


def split(groups=GROUPS, **changes):
    options = {"test_fraction": 0.2, "seed": 0, "dataset": "demo", "split": 0}
    return random_split(groups, **{**options, **changes})


def test_a_group_is_on_one_side():
    for number in range(20):
        tested = split(split=number)
        sides = {(group, bool(side)) for group, side in zip(GROUPS, tested, strict=True)}
        assert len(sides) == 25
        assert tested.sum() == 20


def test_the_order_of_the_images_does_not_matter():
    order = np.random.default_rng(0).permutation(100)
    np.testing.assert_array_equal(split([GROUPS[i] for i in order]), split()[order])


@pytest.mark.parametrize("changes", [{"seed": 1}, {"dataset": "other"}, {"split": 1}])
def test_seed_data_set_and_number_make_another_split(changes):
    assert (split(**changes) != split()).any()
    np.testing.assert_array_equal(split(**changes), split(**changes))


def test_every_group_is_tested_now_and_then():
    tested = np.mean([split(split=number) for number in range(300)], axis=0)
    np.testing.assert_allclose(tested, 0.2, atol=0.1)  # 4 standard deviations of a mean of 300


def test_groups_of_uneven_size_come_near_the_share():
    groups = [f"{i}" for i in range(20) for _ in range(i + 1)]
    fractions = [split(groups, split=number).mean() for number in range(50)]
    np.testing.assert_allclose(fractions, 0.2, atol=10 / 210)  # half of the largest group


def test_two_groups_are_enough():
    assert split(["a", "b"]).sum() == 1
    assert split(["a", "b"], test_fraction=0.01).sum() == 1


@pytest.mark.parametrize(("groups", "fraction"), [(["a"] * 5, 0.2), (["a", "b"], 0.99)])
def test_an_empty_part_is_an_error(groups, fraction):
    message = rf"demo: a split needs at least 2 groups .* found {len(set(groups))}; give the images"
    with pytest.raises(InputError, match=message):
        split(groups, test_fraction=fraction)


@pytest.mark.parametrize(("sizes", "largest"), [((99, 1), 99), ((5, 95), 95)])
def test_a_part_far_smaller_than_its_fraction_is_an_error(sizes, largest):
    groups = [f"scene {i}" for i, size in enumerate(sizes) for _ in range(size)]
    name = f"scene {sizes.index(largest)}"
    message = (
        r"demo: each part of a split must hold half of the images that benchmark.test_fraction 0.2"
        rf" gives it or more, found \d+ of 100 held out in split \d; divide the largest group,"
        rf" '{name}' with {largest} images, or leave some of them out$"
    )
    for number in range(5):
        with pytest.raises(InputError, match=message):
            split(groups, split=number)


@pytest.mark.parametrize("sizes", [(50, 50), (60, 40), (40, 30, 30), (20, 20, 60)])
def test_a_part_of_half_its_fraction_is_enough(sizes):
    groups = [f"scene {i}" for i, size in enumerate(sizes) for _ in range(size)]
    for number in range(10):
        tested = split(groups, split=number).sum()
        assert tested >= 10
        assert 100 - tested >= 40


def test_seeds_depend_on_every_part_and_on_where_it_ends():
    parts = [("a", "b"), ("ab",), ("ab", ""), ("b", "a"), ("a", "b", 0), ("a", "b", 1)]
    seeds = [seed_of(*part) for part in parts]
    assert len(set(seeds)) == len(parts)
    assert all(0 <= seed < 2**63 for seed in seeds)


def test_seeds_are_the_same_in_another_process():
    code = "from rsfiqa.splits import seed_of; print(seed_of(0, 'demo', 3))"
    command = [sys.executable, "-c", code]
    found = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    assert int(found) == seed_of(0, "demo", 3)


def test_a_split_is_named():
    options = {"dataset": "demo", "test_fraction": 0.2, "seed": 0}
    assert splits.split_name("split", 3) == "split-03"
    none = [None] * len(GROUPS)
    found = splits.test_mask("split-03", GROUPS, none, **options)
    np.testing.assert_array_equal(found, split(split=3))
    assert not splits.test_mask("all-07", GROUPS, none, **options).any()


def test_an_official_split_is_that_of_the_subsets():
    groups, subsets = ["a", "a", "b", "c"], ["test", "test", "training", None]
    for seed in (0, 1):
        found = splits.test_mask(
            f"official-{seed:02d}", groups, subsets, dataset="demo", test_fraction=0.5, seed=seed
        )
        assert found.tolist() == [True, True, False, False]


@pytest.mark.parametrize(("subsets", "count"), [([None, "training"], 0), (["test", "test"], 2)])
def test_an_official_split_needs_two_parts(subsets, count):
    message = rf"demo: an official split needs .* subset is test, .*, found {count} of 2; take rand"
    with pytest.raises(InputError, match=message):
        splits.official_split(["a", "b"], subsets, dataset="demo")


def test_a_group_on_both_sides_of_an_official_split():
    message = r"demo: a group must lie on one side of the official split, found b on both; take"
    with pytest.raises(InputError, match=message):
        splits.official_split(["a", "b", "b"], ["training", "test", "training"], dataset="demo")


@pytest.mark.parametrize("name", ["split", "split-x", "some-01", "split-01.old"])
def test_another_name_is_refused(name):
    with pytest.raises(
        InputError, match=f"split: must be split-<n>, official-<n> or all-<n>, found {name}; try"
    ):
        splits.test_mask(
            name, GROUPS, [None] * len(GROUPS), dataset="demo", test_fraction=0.2, seed=0
        )


def test_a_split_is_recognised_by_its_images_in_their_order():
    assert splits.digest(["a", "b"]) == splits.digest(("a", "b"))
    assert splits.digest(["a", "b"]) != splits.digest(["b", "a"])
