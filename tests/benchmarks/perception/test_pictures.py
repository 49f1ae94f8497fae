"""What is done to pictures, and what is read from a score."""

import numpy as np
import pytest

from benchmarks.perception import changes
from benchmarks.perception.assess import Assessment, centers, names_one_of
from benchmarks.perception.measures import NONE
from benchmarks.perception.objects import object_of, perimeters
from benchmarks.perception.rain import rain
from rsfiqa.datasets import demo


@pytest.fixture(scope="module")
def photograph():
    return demo.photograph(next(iter(demo.SOURCES)), 256)


def test_centers_are_fractions_of_the_image():
    found = centers([(0, 0, 10, 5), (10, 10, 40, 20)], (40, 20))
    np.testing.assert_allclose(found, [[0.125, 0.125], [0.625, 0.75]])


def test_an_assessment_weights_ratings_and_names_the_first_family():
    one = Assessment(
        score=40.0,
        quality=0.4,
        overall=np.array([2.0, 4.0]),
        weight=np.array([0.25, 0.75]),
        center=np.zeros((2, 2)),
        worst=0,
        named=("haze", "noise"),
        text="",
    )
    assert (one.first, one.worst_overall, one.weighted_overall) == ("haze", 2.0, 3.5)
    assert names_one_of(one, ("noise", "blur"))
    assert not names_one_of(one, ("blur",))
    nothing = Assessment(**(vars(one) | {"named": ()}))
    assert nothing.first == NONE


def test_perimeters_count_pixel_sides():
    labels = np.array([[0, 0, 0], [0, 1, 0], [0, 0, 0]])
    np.testing.assert_array_equal(perimeters(labels), [12 + 4, 4])


def test_an_object_lies_inside_and_is_neither_small_nor_large():
    labels = np.zeros((20, 20), int)
    labels[2:7, 2:7] = 1  # 6 % of the image, a square
    labels[9:11, 2:18] = 2  # 8 %, a bar
    labels[15:20, 15:20] = 3  # a square at the border
    labels[13, 5] = 4  # a pixel
    assert object_of(labels) == 1
    labels[2:7, 2:7] = 0
    assert object_of(labels - (labels > 1)) == 1  # the bar is what is left


def test_without_an_object_the_most_compact_region_is_taken():
    labels = np.zeros((20, 20), int)
    labels[:, 10:] = 1  # 20 x 10 both
    labels[5:15, 10:] = 2  # 10 x 10
    assert object_of(labels) == 2


@pytest.mark.parametrize("name", list(changes.CHANGES))
def test_a_change_is_seen_and_keeps_the_shape(photograph, name):
    changed = changes.CHANGES[name][0](photograph)
    assert (changed.dtype, changed.shape) == (np.uint8, photograph.shape)
    assert np.abs(changed.astype(int) - photograph).mean() > 1


def test_overexposure_multiplies_and_clips():
    image = np.array([[[10, 100, 200]]], np.uint8)
    np.testing.assert_array_equal(changes.overexposure(image), [[[22, 220, 255]]])


def test_a_partial_blur_leaves_the_other_half(photograph):
    changed = changes.partial_blur(photograph)
    width = photograph.shape[1]
    np.testing.assert_array_equal(changed[:, 3 * width // 4 :], photograph[:, 3 * width // 4 :])
    assert (changed[:, : width // 4] != photograph[:, : width // 4]).any()


def test_a_watermark_reaches_from_corner_to_corner(photograph):
    rows, columns, _ = np.nonzero(changes.watermark(photograph) != photograph)
    for found, side in ((rows, photograph.shape[0]), (columns, photograph.shape[1])):
        assert found.min() < 0.2 * side
        assert found.max() > 0.8 * side


def test_rain_brightens_more_at_each_severity(photograph):
    means = [
        rain(photograph, severity, np.random.default_rng(0)).mean() for severity in range(1, 6)
    ]
    assert [photograph.mean(), *means] == sorted([photograph.mean(), *means])
    assert means[0] > photograph.mean()
