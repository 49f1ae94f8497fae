"""Outlines of regions."""

import cv2
import numpy as np
from matplotlib.path import Path as Polygon

from rsfiqa.images.outlines import TOLERANCES, outline, outlines
from tests.support.html_page import rings


def test_an_outline_runs_a_quarter_of_a_pixel_inside_the_edge():
    mask = np.zeros((9, 10), bool)
    mask[1:8, 2:9] = True
    assert outline(mask) == "M2.25 1.25L2.25 7.75L8.75 7.75L8.75 1.25Z"


def test_a_hole_is_cut_out_by_the_even_odd_rule():
    mask = np.zeros((20, 24), bool)
    mask[2:18, 3:21] = True
    mask[6:12, 8:16] = False
    outer, hole = rings(outline(mask))
    assert outer.tolist() == [[3.25, 2.25], [3.25, 17.75], [20.75, 17.75], [20.75, 2.25]]
    # a border may be off by a pixel
    np.testing.assert_allclose(hole.min(axis=0), [8, 6], atol=TOLERANCES[0])
    np.testing.assert_allclose(hole.max(axis=0), [16, 12], atol=TOLERANCES[0])
    rows, columns = np.indices(mask.shape) + 0.5
    centres = np.column_stack([columns.ravel(), rows.ravel()])
    filled = Polygon(outer).contains_points(centres) ^ Polygon(hole).contains_points(centres)
    differ = filled.reshape(mask.shape) != mask
    edge = np.zeros_like(mask)  # all within a pixel of the hole's border
    edge[5:13, 7:17] = True
    edge[7:11, 9:15] = False
    assert not differ[~edge].any()
    assert differ.sum() < 10


def test_outlines_are_those_of_each_region_alone():
    """Of a region without a pixel there is none."""
    labels = np.zeros((20, 24), np.uint16)
    labels[3:9, 5:14], labels[5:7, 7:9], labels[12:, 20:] = 1, 0, 3
    assert outlines(labels) == [outline(labels == region) for region in range(4)]
    assert outlines(labels)[2] == ""


def test_no_region_is_outlined_where_labels_are_negative():
    labels = np.full((20, 24), -1)
    labels[4:16, :10], labels[4:16, 10:] = 0, 1
    assert outlines(labels, 3) == [outline(labels == 0), outline(labels == 1), ""]


def test_ragged_regions_have_fewer_corners(noise):
    labels = cv2.resize(noise[..., 0] % 12, (512, 384), interpolation=cv2.INTER_CUBIC) % 12
    found = outlines(labels)
    assert len(found) == 12
    assert found == [outline(labels == r, TOLERANCES[-1]) for r in range(12)]
    smooth = np.zeros((384, 512), int)
    smooth[100:200, 100:200] = 1
    assert outlines(smooth) == [outline(smooth == r) for r in range(2)]


def test_every_part_of_a_region_has_an_outline():
    mask = np.zeros((8, 20), bool)
    mask[2:6, 2:6] = mask[2:6, 10:14] = True
    assert sorted(ring[:, 0].min() for ring in rings(outline(mask))) == [2.25, 10.25]
    assert outline(np.zeros((8, 8), bool)) == ""


def test_a_line_of_pixels_has_an_outline():
    mask = np.zeros((8, 20), bool)
    mask[3, 2:18] = True
    (ring,) = rings(outline(mask))
    assert ring[:, 0].min() == 2.25
    assert ring[:, 0].max() == 17.75
