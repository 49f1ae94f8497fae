"""Plots as inline SVG that follows the theme: scatter, calibration, learning curves, histogram."""

import io
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import matplotlib
import numpy as np
import pyarrow as pa
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from rsfiqa.metrics import calibration, fit_logistic4, logistic4
from rsfiqa.products import results
from rsfiqa.report.record import DataSet
from rsfiqa.report.tables import Pair, Row

INK = "#123456"  # stands for the colour of the text; no other part of a plot has it
# told apart on white and on black, and by the colour-blind
DOT, LINE = "#4c86c6", "#d1603d"
COLORS = (LINE, DOT, "#3f9d6a", "#b07cc6", "#b58a1b", "#7d8590")
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


@dataclass(frozen=True)
class Calibration:
    """How far one split's predictions lie from the scores, bin by bin.

    `error` is the mean distance of a bin's mean prediction from its mean score, weighted by its
    images; `bias` the mean prediction less the mean score; both in score points.
    """

    title: str
    svg: str
    split: str
    n: int
    bins: int
    error: float
    bias: float
    dataset: DataSet


@dataclass(frozen=True)
class Curves:
    """Training losses of all variants on one data set."""

    title: str
    svg: str


def median_split(rows: Sequence[Row]) -> Row:
    """The row whose SRCC is nearest to the median, the first of several."""
    srcc = np.array([row["srcc"] for row in rows])
    return rows[int(np.argmin(np.abs(srcc - np.median(srcc))))]


def scatter(pair: Pair, rows: Sequence[Row], path: Path, many: int = MANY) -> Scatter:
    """The median split of a pair of data sets.

    Args:
        pair: of data sets.
        rows: of the results of one method on it, sorted by split.
        path: of these results; predictions lie beside it.
        many: dots above which one bitmap is drawn.
    """
    row = median_split(rows)
    svg = draw(pair, results.read_predictions(path, row["split"]), many)
    return Scatter(pair.title, svg, row["split"], row["n"], row["srcc"], row["plcc"])


def draw(pair: Pair, table: pa.Table, many: int = MANY) -> str:
    """Predictions (x) and scores (y), each in units of its own data set, and the fitted curve.

    The curve is the one behind PLCC and RMSE: fitted on the scale of quality, then mapped.
    """
    predicted, quality = table["predicted"].to_numpy(), table["quality"].to_numpy()
    x = np.linspace(predicted.min(), predicted.max(), 100)
    y = logistic4(x, *fit_logistic4(predicted, quality))
    with _axes() as (figure, axes):
        axes.plot(
            pair.train.native(predicted),
            pair.test.native(quality),
            "o",
            color=DOT,
            alpha=0.65,
            markersize=3.2,
            markeredgewidth=0,
            rasterized=len(predicted) > many,
        )
        axes.plot(pair.train.native(x), pair.test.native(y), color=LINE, linewidth=1.6)
        axes.set_xlabel(
            f"predicted, on the {pair.train.score} scale of {pair.train.name}", color=INK
        )
        axes.set_ylabel(f"{pair.test.score} of {pair.test.name}", color=INK)
        return _inline(figure, f"{pair.train.name}-{pair.test.name}")


def calibrate(pair: Pair, rows: Sequence[Row], path: Path) -> Calibration:
    """Bins of the median split of a data set: arguments as of `scatter`."""
    row, dataset = median_split(rows), pair.test
    table = results.read_predictions(path, row["split"])
    predicted = dataset.native(table["predicted"].to_numpy())
    found = calibration(predicted, dataset.native(table["quality"].to_numpy()))
    with _axes() as (figure, axes):
        ends = [min(found.predicted.min(), found.scores.min())]
        ends.append(max(found.predicted.max(), found.scores.max()))
        axes.plot(ends, ends, color=INK, linewidth=0.8, linestyle=(0, (4, 3)))
        bars = np.nan_to_num(1.96 * found.error)  # a bin of one image has none
        axes.errorbar(
            found.predicted, found.scores, bars, color=DOT, fmt="o", markersize=5, elinewidth=1.4
        )
        axes.set_xlabel(f"mean predicted {dataset.score}", color=INK)
        axes.set_ylabel(f"mean {dataset.score} of {dataset.name}", color=INK)
        svg = _inline(figure, f"calibration-{dataset.name}")
    away = np.abs(found.predicted - found.scores)
    return Calibration(
        title=dataset.title,
        svg=svg,
        split=row["split"],
        n=row["n"],
        bins=len(away),
        error=float(np.average(away, weights=found.count)),
        bias=float(np.average(found.predicted - found.scores, weights=found.count)),
        dataset=dataset,
    )


def curves(dataset: DataSet, losses: Mapping[str, Sequence[Sequence[float]]]) -> Curves:
    """The mean training loss of each epoch: median of the checkpoints, and their range.

    Args:
        dataset: trained on.
        losses: of each variant, by its label: checkpoints, epochs.
    """
    with _axes() as (figure, axes):
        for i, (label, runs) in enumerate(losses.items()):
            shortest = min(len(run) for run in runs)
            values = np.array([run[:shortest] for run in runs])  # (checkpoints, epochs)
            epochs, color = np.arange(1, shortest + 1), COLORS[i % len(COLORS)]
            axes.fill_between(
                epochs, values.min(0), values.max(0), color=color, alpha=0.14, linewidth=0
            )
            axes.plot(epochs, np.median(values, 0), color=color, linewidth=1.6, label=label)
        axes.set_xlabel("epoch", color=INK)
        axes.set_ylabel("training loss", color=INK)
        axes.xaxis.set_major_locator(MaxNLocator(integer=True))
        axes.legend(frameon=False, labelcolor=INK)
        return Curves(dataset.title, _inline(figure, f"curves-{dataset.name}"))


def histogram(values: np.ndarray, dataset: DataSet) -> str:
    """How many pictures have which score: values (N,) in score points."""
    with _axes(width=8.4) as (figure, axes):
        axes.hist(values, bins=min(40, max(5, len(values) // 4)), color=DOT, rwidth=0.92)
        axes.axvline(float(np.median(values)), color=LINE, linewidth=1.6)
        axes.set_xlabel(f"predicted {dataset.score} ({dataset.scale})", color=INK)
        axes.set_ylabel("pictures", color=INK)
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        return _inline(figure, "histogram")


@contextmanager
def _axes(width: float = 4.2) -> Iterator[tuple[Figure, Axes]]:
    """An empty plot in the page's colours, `width` inches wide."""
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "rsfiqa", "font.size": 9}):
        figure = Figure(figsize=(width, 3.4), layout="constrained")
        axes = figure.add_subplot()
        axes.tick_params(colors=INK)
        axes.spines[["left", "bottom"]].set_edgecolor(INK)
        axes.spines[["right", "top"]].set_visible(False)
        yield figure, axes


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
