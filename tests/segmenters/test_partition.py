import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays

from rsfiqa.segmenters.partition import (
    merge_small_regions,
    number_by_area,
    partition,
    shared_borders,
)

KEEP = {"max_regions": 100, "min_area_fraction": 0.0}
check = settings(deadline=None, derandomize=True, max_examples=50)
shapes = array_shapes(min_dims=2, max_dims=2, max_side=8)
label_maps = shapes.flatmap(lambda shape: arrays(np.int32, shape, elements=st.integers(0, 9)))
mask_stacks = st.tuples(st.integers(0, 4), shapes).flatmap(
    lambda both: arrays(np.bool_, (both[0], *both[1]))
)
limits = st.fixed_dictionaries(
    {"max_regions": st.integers(1, 6), "min_area_fraction": st.sampled_from([0.0, 0.05, 0.3])}
)


def mask(*rows: str) -> np.ndarray:
    return np.array([[cell == "#" for cell in row] for row in rows])


def labels(*rows: str) -> np.ndarray:
    return np.array([[int(cell) for cell in row] for row in rows])


def assert_partition(result: np.ndarray) -> None:
    """uint16, labels 0..R-1, by decreasing area."""
    names, areas = np.unique(result, return_counts=True)
    assert result.dtype == np.uint16
    assert names.tolist() == list(range(len(names)))
    assert (np.diff(areas) <= 0).all()


def test_the_smaller_mask_lies_on_top_and_gaps_become_regions():
    masks = np.stack(
        [
            mask("...##..", "...##..", ".......", "......."),
            mask(".####..", ".####..", ".####..", "......."),
        ]
    )
    expected = labels(  # by area: the gap on the right, the rest of the large mask, the small one
        "0112200",
        "0112200",
        "0111100",
        "0000000",
    )
    np.testing.assert_array_equal(partition(masks, **KEEP), expected)


def test_each_connected_part_of_the_gaps_is_a_region():
    masks = mask("..#...", "..#...")[None]
    np.testing.assert_array_equal(partition(masks, **KEEP), labels("112000", "112000"))


def test_gaps_that_touch_at_a_corner_are_two_regions():
    masks = mask("..#", "..#", "##.")[None]
    np.testing.assert_array_equal(partition(masks, **KEEP), labels("001", "001", "112"))


def test_a_mask_that_smaller_ones_cover_vanishes():
    masks = np.stack([mask("##.."), mask("#..."), mask(".#..")])
    np.testing.assert_array_equal(partition(masks, **KEEP), labels("1200"))


def test_no_masks_are_one_region():
    result = partition(np.zeros((0, 3, 4), bool), **KEEP)
    np.testing.assert_array_equal(result, np.zeros((3, 4), np.uint16), strict=True)


def test_a_sliver_joins_the_neighbour_with_most_border():
    # region 2 shares two pixels of border with 1 and one with the larger 0
    before = labels("000000", "000000", "000000", "000211", "111111")
    after = labels("000000", "000000", "000000", "000111", "111111")
    before[3, 2:4] = [1, 2]
    after[3, 2] = 1
    np.testing.assert_array_equal(
        merge_small_regions(before, max_regions=9, min_area_fraction=0.1), after
    )


def test_where_borders_tie_the_larger_neighbour_wins():
    before = labels("0002111", "0002111", "0000111")[:2]
    before = np.hstack([np.zeros((2, 1), int), before])
    after = labels("00000111", "00000111")
    np.testing.assert_array_equal(
        merge_small_regions(before, max_regions=9, min_area_fraction=0.2), after
    )


def test_at_most_max_regions():
    before = labels("00000011112223")
    np.testing.assert_array_equal(
        merge_small_regions(before, max_regions=3, min_area_fraction=0), labels("00000011112222")
    )
    np.testing.assert_array_equal(
        merge_small_regions(before, max_regions=1, min_area_fraction=0), labels("00000000000000")
    )


def test_equal_areas_are_numbered_in_reading_order():
    np.testing.assert_array_equal(number_by_area(labels("97", "75")), labels("10", "02"))


def test_borders_by_hand():
    expected = [{1: 1, 2: 1}, {0: 1, 2: 2}, {0: 1, 1: 2}]
    assert shared_borders(labels("011", "022")) == expected


@check
@given(mask_stacks, limits)
def test_whatever_the_masks_a_partition_comes_out(masks, limit):
    result = partition(masks, **limit)
    assert result.shape == masks.shape[1:]
    assert_partition(result)
    areas = np.bincount(result.ravel())
    assert len(areas) <= limit["max_regions"]
    assert len(areas) == 1 or areas.min() >= limit["min_area_fraction"] * result.size


@check
@given(mask_stacks, limits, st.randoms(use_true_random=False))
def test_the_order_of_the_masks_does_not_matter(masks, limit, random):
    order = random.sample(range(len(masks)), len(masks))
    np.testing.assert_array_equal(partition(masks[order], **limit), partition(masks, **limit))


@check
@given(label_maps, limits)
def test_merging_twice_changes_nothing(before, limit):
    once = merge_small_regions(before, **limit)
    np.testing.assert_array_equal(merge_small_regions(once, **limit), once)


@check
@given(label_maps, limits)
def test_regions_are_joined_never_cut(before, limit):
    pairs = np.stack([before.ravel(), merge_small_regions(before, **limit).ravel()])
    assert len(np.unique(pairs, axis=1).T) == len(np.unique(before))


@check
@given(label_maps)
def test_names_of_labels_do_not_matter(before):
    np.testing.assert_array_equal(number_by_area(13 * before + 1), number_by_area(before))


@check
@given(mask_stacks, st.booleans())
def test_a_mirrored_image_has_the_mirrored_partition(masks, upside_down):
    result = partition(masks, **KEEP)
    assume(len(set(np.bincount(result.ravel()))) == result.max() + 1)  # no equal areas
    assume(len({mask.sum() for mask in masks}) == len(masks))
    axis = 1 if upside_down else 2
    mirrored = partition(np.flip(masks, axis), **KEEP)
    np.testing.assert_array_equal(mirrored, np.flip(result, axis - 1))


@pytest.mark.parametrize("fraction", [0.0, 0.02])
def test_a_mirrored_image_is_joined_alike(fraction):
    before = labels("0000000011", "0000300011", "0002223333", "1112223333")  # no ties
    limit = {"max_regions": 3, "min_area_fraction": fraction}
    np.testing.assert_array_equal(
        merge_small_regions(before[:, ::-1], **limit), merge_small_regions(before, **limit)[:, ::-1]
    )
