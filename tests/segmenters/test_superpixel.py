import hashlib

import cv2
import numpy as np
import pytest
import skimage

from rsfiqa.segment.options import SegmentOptions
from rsfiqa.segmenters.superpixel import segment_image, superpixel_regions

COLORS = np.array([[[200, 40, 40], [40, 200, 40]], [[40, 40, 200], [200, 200, 40]]], np.uint8)


def areas(labels: np.ndarray) -> np.ndarray:
    return np.bincount(labels.ravel())


@pytest.mark.parametrize("size", [(64, 96), (200, 160)])
def test_four_flat_rectangles_are_recovered(size):
    rows, columns = np.arange(size[0]) * 2 // size[0], np.arange(size[1]) * 2 // size[1]
    truth = 2 * rows[:, None] + columns
    image = COLORS.reshape(4, 3)[truth]
    labels = segment_image(image, SegmentOptions(max_regions=4))
    table = np.zeros((4, 4), int)
    np.add.at(table, (truth.ravel(), labels.ravel()), 1)
    assert sorted(table.argmax(axis=1)) == [0, 1, 2, 3]
    assert table.max(axis=1).sum() / truth.size > 0.97  # the borders may be a pixel off


@pytest.mark.parametrize("shape", [(1, 1), (1, 40), (40, 1), (15, 200), (16, 16), (17, 33)])
def test_tiny_pictures(shape):
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3)).astype(np.uint8)
    labels = segment_image(image, SegmentOptions())
    assert labels.shape == shape
    assert 1 <= len(areas(labels)) <= 12
    if min(shape) < 16:
        assert len(areas(labels)) == 1


def test_a_grey_gradient_is_cut_across():
    ramp = np.linspace(0, 255, 128).astype(np.uint8)
    image = np.repeat(np.repeat(ramp[None, :, None], 96, 0), 3, 2)
    labels = segment_image(image, SegmentOptions(max_regions=4))
    assert 2 <= len(areas(labels)) <= 4
    darkness = [image[labels == label].mean() for label in range(labels.max() + 1)]
    assert np.ptp(darkness) > 100


def test_a_single_color():
    labels = segment_image(np.full((100, 100, 3), 77, np.uint8), SegmentOptions(max_regions=5))
    assert len(areas(labels)) <= 5


@pytest.fixture(scope="module")
def coffee():
    return skimage.data.coffee()


@pytest.mark.parametrize(("most", "least"), [(12, 0.01), (5, 0.0), (1, 0.0), (200, 0.05)])
def test_a_photograph(coffee, most, least):
    options = SegmentOptions(long_side=256, max_regions=most, min_area_fraction=least)
    labels = segment_image(coffee, options)
    assert labels.shape == (171, 256)  # 400 x 600, reduced
    assert labels.dtype == np.uint16
    assert len(areas(labels)) <= most
    assert (np.diff(areas(labels)) <= 0).all()
    assert areas(labels).min() >= least * labels.size


def test_the_same_twice_whatever_the_threads(coffee):
    options = SegmentOptions(long_side=256)
    threads = cv2.getNumThreads()
    try:
        cv2.setNumThreads(2)
        first = segment_image(coffee, options)
        cv2.setNumThreads(1)
        np.testing.assert_array_equal(segment_image(coffee, options), first)
    finally:
        cv2.setNumThreads(threads)


def test_regions_follow_the_picture(coffee):
    image = cv2.resize(coffee, (192, 128), interpolation=cv2.INTER_AREA)
    labels = superpixel_regions(image, superpixels=150, regions=8)
    lab = cv2.cvtColor(image.astype(np.float32) / 255, cv2.COLOR_RGB2LAB)
    means = np.stack([lab[labels == label].mean(axis=0) for label in range(8)])
    within = np.square(lab - means[labels]).sum()
    assert within < 0.35 * np.square(lab - lab.mean(axis=(0, 1))).sum()


@pytest.mark.parametrize(
    ("changes", "digest"),
    [
        ({}, "2d008e408740360ca03ad006eb10c737748d77c1c2a39949021f03cfb07fc490"),
        (
            {"long_side": 256, "max_regions": 5},
            "7d46a7099b00874c3a209484d2661de99e8f9fef72a9ac210f7d800823024248",
        ),
    ],
)
def test_the_label_map_of_a_photograph_is_that_of_earlier_versions(changes, digest):
    """SHA-256 of the label map's bytes as version 2 of the segment stage made it."""
    labels = segment_image(skimage.data.astronaut(), SegmentOptions(**changes))
    assert hashlib.sha256(labels.tobytes()).hexdigest() == digest
