"""Outlines, photographs and heat maps."""

import cv2
import numpy as np
import pytest
from matplotlib.path import Path as Polygon

from rsfiqa.report import drawing
from rsfiqa.report.drawing import attention_heat, cost_heat, heat_uri, outline, photo_uri
from rsfiqa.scale import MosScale
from tests.support.html_page import decode, rings


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
    np.testing.assert_allclose(hole.min(axis=0), [8, 6], atol=drawing.TOLERANCES[0])
    np.testing.assert_allclose(hole.max(axis=0), [16, 12], atol=drawing.TOLERANCES[0])
    rows, columns = np.indices(mask.shape) + 0.5
    centres = np.column_stack([columns.ravel(), rows.ravel()])
    filled = Polygon(outer).contains_points(centres) ^ Polygon(hole).contains_points(centres)
    differ = filled.reshape(mask.shape) != mask
    edge = np.zeros_like(mask)  # all within a pixel of the hole's border
    edge[5:13, 7:17] = True
    edge[7:11, 9:15] = False
    assert not differ[~edge].any()
    assert differ.sum() < 10


def test_ragged_regions_have_fewer_corners(noise):
    labels = cv2.resize(noise[..., 0] % 12, (512, 384), interpolation=cv2.INTER_CUBIC) % 12
    found = drawing.outlines(labels)
    assert len(found) == 12
    assert found == [outline(labels == r, drawing.TOLERANCES[-1]) for r in range(12)]
    smooth = np.zeros((384, 512), int)
    smooth[100:200, 100:200] = 1
    assert drawing.outlines(smooth) == [outline(smooth == r) for r in range(2)]


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


def test_a_photo_is_as_large_and_good_as_its_budget_allows():
    image = np.random.default_rng(0).integers(0, 256, (900, 1200, 3)).astype(np.uint8)
    budget, sizes, widths = 10**7, [], []
    for _ in range(len(drawing.PHOTO_SETTINGS) + 1):
        uri = photo_uri(image, budget)
        sizes.append(len(uri) - len("data:image/jpeg;base64,"))
        widths.append(decode(uri)[1].shape[1])
        assert sizes[-1] <= budget + 2 or len(sizes) > len(
            drawing.PHOTO_SETTINGS
        )  # base64 is padded
        budget = sizes[-1] - 4
    # one after the other, and the smallest of all whatever the budget
    assert widths == [640, 640, 640, 640, 448, 320, 224, 224]
    assert sizes == sorted(sizes, reverse=True)
    assert len(set(sizes)) == len(drawing.PHOTO_SETTINGS)


def test_a_photo_keeps_its_colors_and_shape():
    image = np.zeros((300, 900, 3), np.uint8)
    image[:, :450, 0] = 255  # red on the left, blue on the right
    image[:, 450:, 2] = 255
    kind, found = decode(photo_uri(image, 10**6))
    assert (kind, found.shape) == ("image/jpeg", (213, 640, 3))
    np.testing.assert_allclose(found[100, 150], [255, 0, 0], atol=8)
    np.testing.assert_allclose(found[100, 500], [0, 0, 255], atol=8)


def test_a_heat_map_is_bright_and_opaque_where_one_looks():
    attention = np.zeros((8, 8))
    attention[1, 6] = 3
    kind, found = decode(heat_uri(attention, 3))
    assert (kind, found.shape) == ("image/png", (96, 96, 4))
    assert len(heat_uri(np.random.default_rng(0).random((8, 8)), 1)) < 15_000
    light = found[..., :3].sum(axis=2)
    row, column = np.unravel_index(np.argmax(light), light.shape)
    assert (row // 12, column // 12) == (1, 6)
    assert found[..., 3].max() == pytest.approx(0.85 * 255, abs=2)
    assert found[90, 5].tolist() == [0, 0, 4, round(0.45 * 255)]  # where magma begins


def test_no_attention_at_all_is_drawn():
    assert decode(heat_uri(np.zeros((4, 4)), 0))[1].shape == (96, 96, 4)


@pytest.mark.parametrize("scale", [MosScale(0, 100), MosScale(0, 100, lower_better=True)])
def test_the_map_of_a_good_picture_stays_dark(scale):
    """Its brightest color is the cost of a cell of a uniformly worst picture, at least."""
    good, bad = cost_heat(np.full((8, 8), 0.1), scale), cost_heat(np.full((8, 8), 3.0), scale)
    assert (good.peak, bad.peak, good.cells) == (100 / 64, 3, 64)
    light = [decode(heat.uri)[1][..., :3].mean() for heat in (good, bad)]
    assert light[0] < 30
    assert light[1] > 200
    assert cost_heat(np.full((8, 8), -0.1), scale).peak == 100 / 64  # better than the best end


def test_attention_is_relative_to_a_uniform_map():
    attention = np.full((2, 2), 0.2)
    attention[0, 1] = 0.4
    assert attention_heat(attention).peak == pytest.approx(1.6)
