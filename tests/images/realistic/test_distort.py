"""Realistic distortions by family and severity: of images, of regions, in chains."""

import numpy as np
import pytest
from skimage import data

from rsfiqa.images.realistic.distort import (
    RealisticDistortion,
    distort,
    distort_in_turn,
    distort_region,
    draw_chain,
    opposites,
    variants,
)
from rsfiqa.vocabulary import IMAGING_STEPS, REALISTIC_FAMILIES, SEVERITIES

FIRST = [RealisticDistortion(name, variants(name)[0], 4) for name in REALISTIC_FAMILIES]


@pytest.fixture(scope="module")
def photograph():
    """A photograph of a cat, uint8 (300, 451, 3)."""
    return data.chelsea()


@pytest.fixture
def mask(photograph):
    """A rectangle, bool (300, 451)."""
    inside = np.zeros(photograph.shape[:2], bool)
    inside[100:200, 130:280] = True
    return inside


@pytest.mark.parametrize("distortion", FIRST, ids=lambda one: one.family)
def test_inside_a_region_it_is_that_of_the_image_and_outside_there_is_none(
    distortion, photograph, mask
):
    whole = distort(photograph, distortion, np.random.default_rng(0))
    result = distort_region(photograph, mask, distortion, np.random.default_rng(0))
    np.testing.assert_array_equal(result[125:175, 155:255], whole[125:175, 155:255])
    mask[75:225, 105:305] = True  # over which the border is blended
    np.testing.assert_array_equal(result[~mask], photograph[~mask])


def test_the_border_of_a_region_is_soft_as_that_of_something_out_of_focus(photograph, mask):
    black = np.zeros_like(photograph)
    black[:, ::2] = 255
    widths = []
    for severity in (1, 5):
        one = RealisticDistortion("defocus", "defocus", severity)
        change = distort_region(black, mask, one, np.random.default_rng(0)).astype(int) - black
        row = np.abs(change[150, 130 - 40 : 130 + 40 : 2]).astype(float)
        widths.append(np.count_nonzero((row > 0.05 * row.max()) & (row < 0.9 * row.max())))
    assert widths[1] > 1.5 * widths[0]


def test_a_region_without_pixels_changes_nothing(photograph):
    empty = np.zeros(photograph.shape[:2], bool)
    result = distort_region(photograph, empty, FIRST[0], np.random.default_rng(0))
    np.testing.assert_array_equal(result, photograph)


def test_a_chain_is_applied_in_its_order(photograph, mask):
    chain = draw_chain(np.random.default_rng(4), 3)
    random, again = np.random.default_rng(1), np.random.default_rng(1)
    expected = photograph
    for one in chain:
        expected = distort(expected, one, random)
    np.testing.assert_array_equal(distort_in_turn(photograph, chain, again), expected)
    local = distort_in_turn(photograph, chain, np.random.default_rng(1), mask)
    np.testing.assert_array_equal(local[:60], photograph[:60])
    assert (local[150, 200] != photograph[150, 200]).any()


def test_chains_are_possible_in_a_camera():
    random = np.random.default_rng(0)
    chains = [draw_chain(random, length) for length in (1, 2, 3) for _ in range(300)]
    for chain in chains:
        families = [one.family for one in chain]
        assert len(set(families)) == len(families)
        assert not any(other in opposites(one) for one in families for other in families)
        steps = [IMAGING_STEPS.index(REALISTIC_FAMILIES[one].step) for one in families]
        assert steps == sorted(steps)
        if {"haze", "overexposure"} <= set(families):  # the air is exposed as the scene is
            assert families.index("haze") < families.index("overexposure")
    drawn = {one for chain in chains for one in chain}
    assert {one.family for one in drawn} == set(REALISTIC_FAMILIES)
    assert {one.variant for one in drawn} == {v for f in REALISTIC_FAMILIES for v in variants(f)}
    assert {one.severity for one in drawn} == set(SEVERITIES)


def test_severities_can_be_limited():
    random = np.random.default_rng(0)
    assert {draw_chain(random, 1, (4, 5))[0].severity for _ in range(50)} == {4, 5}


def test_opposites_are_mutual():
    for name in REALISTIC_FAMILIES:
        assert all(name in opposites(other) for other in opposites(name))
    assert opposites("defocus") == {"oversharpening"}
    assert opposites("contrast_high") == {"contrast_low", "haze"}
