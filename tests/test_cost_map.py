"""The colors of maps of cost, in heat maps and on pages."""

from pathlib import Path

import numpy as np
import pytest

from rsfiqa.cost_map import BRIGHTEST, brightest_cost, total_cost
from rsfiqa.report.drawing import cost_heat
from rsfiqa.scale import MosScale
from rsfiqa.score import heatmap
from rsfiqa.score.result import Score
from tests.support.html_page import decode

SCALES = [MosScale(0, 100), MosScale(0, 100, lower_better=True)]


@pytest.mark.parametrize("scale", SCALES)
def test_the_brightest_color_is_the_costliest_cell_or_four_times_a_uniformly_worst_one(scale):
    costs = np.zeros((8, 8))
    assert brightest_cost(costs, scale) == 4 * 100 / 64
    costs[2, 3] = 7.5
    assert brightest_cost(costs, scale) == 7.5


@pytest.mark.parametrize("scale", SCALES)
def test_a_picture_loses_no_more_than_the_scale_has(scale):
    """As its score is shown within the scale, also where it is computed beyond an end."""
    found = [total_cost(np.full((8, 8), cost), scale) for cost in (101.4 / 64, 0.5, -0.1)]
    assert found == [100, 32, 0]


@pytest.mark.parametrize("peak", [0.5, 8.0])
def test_heat_map_and_page_show_a_picture_by_one_scale(peak, monkeypatch):
    """Also where interpolation exceeds the costliest cell."""
    costs = np.zeros((8, 8), np.float32)
    costs[2:4, 2:4] = peak
    uniform = np.full_like(costs, 1 / 64)
    labels = np.zeros((96, 96), np.uint16)
    score = Score(50.0, 0.5, [], labels, uniform, costs, (96, 96), (0, 0, 96, 96), "")
    legends = []
    monkeypatch.setattr(heatmap, "_with_legend", lambda *shown: legends.append(shown))
    heatmap.heatmap(np.zeros((96, 96, 3), np.uint8), score, SCALES[0])
    ((drawn, top, _, cells),) = legends
    page = cost_heat(costs, SCALES[0])
    assert (top, cells) == (page.peak, page.cells)
    colors = decode(page.uri)[1][..., :3].astype(float)
    np.testing.assert_allclose(drawn, (1 - heatmap.PICTURE) * colors, atol=3)


def test_the_user_guide_says_it():
    guide = Path(__file__).parents[1] / "docs/user-guide.md"
    text = " ".join(guide.read_text("utf-8").split())
    assert f"at least {BRIGHTEST} times that of a cell" in text
