"""Photographs and heat maps."""

import numpy as np
import pytest

from rsfiqa.report import drawing
from rsfiqa.report.drawing import attention_heat, cost_heat, heat_uri, photo_uri
from rsfiqa.scale import MosScale
from tests.support.html_page import decode


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
    """Although its costs are in few cells, as attention is uneven."""
    costs = np.full((8, 8), 0.2)
    costs[3:5, 3:5] = 2.5  # of a picture that scores 78
    good, bad = cost_heat(costs, scale), cost_heat(np.full((8, 8), 7.0), scale)
    assert (good.peak, bad.peak, good.cells) == (4 * 100 / 64, 7, 64)
    light = [decode(heat.uri)[1][..., :3].mean() for heat in (good, bad)]
    assert light[0] < 30
    assert decode(good.uri)[1][..., :3].mean(axis=2).max() < 130
    assert light[1] > 200
    assert cost_heat(np.full((8, 8), -0.1), scale).peak == 4 * 100 / 64  # better than the best end


def test_attention_is_relative_to_a_uniform_map():
    attention = np.full((2, 2), 0.2)
    attention[0, 1] = 0.4
    assert attention_heat(attention).peak == pytest.approx(1.6)
