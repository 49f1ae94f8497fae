"""Scatter plots of predictions against opinion scores, as inline SVG that follows the theme."""

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from matplotlib.figure import Figure

from rsfiqa import results
from rsfiqa.correlation import fit_logistic4, logistic4
from rsfiqa.report.tables import Pair, Row

INK = "#123456"  # stands for the colour of the text; no other part of a plot has it
DOT, LINE = "#4c86c6", "#d1603d"  # told apart on white and on black, and by the colour-blind
MANY = 1500  # dots; more are drawn as one bitmap, since each costs 80 bytes as SVG


@dataclass(frozen=True)
class Scatter:
    """One split's predictions; `svg` is markup without any text from outside."""

    title: str
    svg: str
    split: str
    n: int
    srcc: float
    plcc: float


def median_split(rows: Sequence[Row]) -> Row:
    """The row whose SRCC is nearest to the median, the first of several."""
    srcc = np.array([row["srcc"] for row in rows])
    return rows[int(np.argmin(np.abs(srcc - np.median(srcc))))]


def scatter(pair: Pair, rows: Sequence[Row], path: Path) -> Scatter:
    """The median split of a pair of data sets.

    Args:
        pair: of data sets.
        rows: of the results of one method on it, sorted by split.
        path: of these results; predictions lie beside it.
    """
    row = median_split(rows)
    table = results.read_predictions(path)
    table = table.filter(pc.equal(table["split"], row["split"]))
    svg = draw(pair, table)
    return Scatter(pair.title, svg, row["split"], row["n"], row["srcc"], row["plcc"])


def draw(pair: Pair, table: pa.Table) -> str:
    """Predictions (x) and scores (y), each in units of its own data set, and the fitted curve.

    The curve is the one behind PLCC and RMSE: fitted on the scale of quality, then mapped.
    """
    predicted, quality = table["predicted"].to_numpy(), table["quality"].to_numpy()
    x = np.linspace(predicted.min(), predicted.max(), 100)
    y = logistic4(x, *fit_logistic4(predicted, quality))
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "rsfiqa", "font.size": 9}):
        figure = Figure(figsize=(4.2, 3.4), layout="constrained")
        axes = figure.add_subplot()
        axes.plot(
            pair.train.native(predicted),
            pair.test.native(quality),
            "o",
            color=DOT,
            alpha=0.65,
            markersize=3.2,
            markeredgewidth=0,
            rasterized=len(predicted) > MANY,
        )
        axes.plot(pair.train.native(x), pair.test.native(y), color=LINE, linewidth=1.6)
        axes.set_xlabel(
            f"predicted, on the {pair.train.score} scale of {pair.train.name}", color=INK
        )
        axes.set_ylabel(f"{pair.test.score} of {pair.test.name}", color=INK)
        axes.tick_params(colors=INK)
        axes.spines[["left", "bottom"]].set_edgecolor(INK)
        axes.spines[["right", "top"]].set_visible(False)
        return _inline(figure, f"{pair.train.name}-{pair.test.name}")


def _inline(figure: Figure, name: str) -> str:
    """A figure as an SVG element: identifiers of its own, the page's font and colour."""
    buffer = io.StringIO()
    nothing = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    figure.savefig(buffer, format="svg", transparent=True, dpi=150, metadata=nothing)
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r'(href="|url\()#', rf"\1#{name}-", svg)
    return svg.replace(INK, "currentColor")
