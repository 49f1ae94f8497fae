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

from rsfiqa.metrics import CalibrationBins, calibration, fit_logistic4, logistic4
from rsfiqa.products import results
from rsfiqa.products.results import ResultRow
from rsfiqa.report.dataset import DataSet
from rsfiqa.report.tables import DatasetPair

INK = "#123456"  # placeholder for the text colour of the page, used for nothing else
# distinguishable on white and on black, and with colour-blindness
DOT, LINE = "#4c86c6", "#d1603d"
COLORS = (LINE, DOT, "#3f9d6a", "#b07cc6", "#b58a1b", "#7d8590")
MAX_DOTS = 1500  # of a plot; more are drawn as one bitmap, as each takes 80 bytes of SVG
Z_95 = 1.96  # standard errors of a 95 % interval


@dataclass(frozen=True)
class Scatter:
    """Predictions of one split; `svg` is markup that holds no external text."""

    title: str
    svg: str
    split: str
    n: int
    srcc: float
    plcc: float
    name: str = "scatter"


@dataclass(frozen=True)
class Calibration:
    """Calibration of the predictions of one split.

    Attributes:
        title: of the plot.
        svg: markup that holds no external text.
        split: name of the split.
        n: number of images.
        bins: number of bins.
        error: mean over the bins of |mean prediction - mean score|, weighted by their images,
            score points.
        bias: mean prediction minus mean score, score points.
        dataset: gives the units of the scores.
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
    """Training losses of all variants on one data set; `svg` as of `Scatter`."""

    title: str
    svg: str
    name: str


def median_split(rows: Sequence[ResultRow]) -> ResultRow:
    """The row whose SRCC is nearest to the median; the first in case of ties."""
    srcc = np.array([row.srcc for row in rows])
    return rows[int(np.argmin(np.abs(srcc - np.median(srcc))))]


def scatter(
    pair: DatasetPair, rows: Sequence[ResultRow], path: Path, max_dots: int = MAX_DOTS
) -> Scatter:
    """The scatter plot of the median split of a pair of data sets.

    Args:
        pair: of data sets.
        rows: results of one method on the pair, sorted by split.
        path: of these results; the predictions are beside it.
        max_dots: number of dots above which one bitmap is drawn.
    """
    row = median_split(rows)
    svg = draw(pair, results.read_predictions(path, row.split), max_dots)
    name = f"scatter-{pair.train.name}-{pair.test.name}"
    return Scatter(pair.title, svg, row.split, row.n, row.srcc, row.plcc, name)


def draw(pair: DatasetPair, table: pa.Table, max_dots: int = MAX_DOTS) -> str:
    """Scores (y) against predictions (x), each in units of its own data set, and the fitted curve.

    The curve is the one behind PLCC and RMSE: fitted to quality, then converted to scores.
    Predictions beyond an end of the scale are drawn at that end.

    Args:
        pair: gives the units.
        table: predictions, `results.PREDICTIONS`.
        max_dots: number of dots above which one bitmap is drawn.
    """
    train, test = pair.train, pair.test
    predicted, quality = table["predicted"].to_numpy(), table["quality"].to_numpy()
    within = np.clip(predicted, 0, 1)
    x = np.linspace(within.min(), within.max(), 100)
    y = logistic4(x, *fit_logistic4(predicted, quality))
    with _axes() as (figure, axes):
        axes.plot(
            train.scale.to_mos(within),
            test.scale.to_mos(quality),
            "o",
            color=DOT,
            alpha=0.65,
            markersize=3.2,
            markeredgewidth=0,
            rasterized=len(predicted) > max_dots,
        )
        axes.plot(train.scale.to_mos(x), test.scale.to_mos(y), color=LINE, linewidth=1.6)
        axes.set_xlabel(f"predicted, on the {train.score_name} scale of {train.name}", color=INK)
        axes.set_ylabel(f"{test.score_name} of {test.name}", color=INK)
        return _inline(figure, f"{train.name}-{test.name}")


def calibrate(dataset: DataSet, rows: Sequence[ResultRow], path: Path) -> Calibration:
    """The calibration of the median split of a data set, of predictions within the scale.

    Args:
        dataset: trained and tested on.
        rows: results of one method on it, sorted by split.
        path: of these results; the predictions are beside it.
    """
    row = median_split(rows)
    table = results.read_predictions(path, row.split)
    predicted = dataset.scale.to_mos(np.clip(table["predicted"].to_numpy(), 0, 1))
    bins = calibration(predicted, dataset.scale.to_mos(table["quality"].to_numpy()))
    differences = bins.predicted - bins.scores
    return Calibration(
        title=dataset.title,
        svg=_draw_calibration(dataset, bins),
        split=row.split,
        n=row.n,
        bins=len(bins.count),
        error=float(np.average(np.abs(differences), weights=bins.count)),
        bias=float(np.average(differences, weights=bins.count)),
        dataset=dataset,
    )


def _draw_calibration(dataset: DataSet, bins: CalibrationBins) -> str:
    """Mean score (y) against mean prediction (x) of each bin, with 95 % intervals."""
    x, y = bins.predicted, bins.scores
    ends = [min(x.min(), y.min()), max(x.max(), y.max())]
    bars = np.nan_to_num(Z_95 * bins.error)  # a bin of one image has none
    with _axes() as (figure, axes):
        axes.plot(ends, ends, color=INK, linewidth=0.8, linestyle=(0, (4, 3)))
        axes.errorbar(x, y, bars, color=DOT, fmt="o", markersize=5, elinewidth=1.4)
        axes.set_xlabel(f"mean predicted {dataset.score_name}", color=INK)
        axes.set_ylabel(f"mean {dataset.score_name} of {dataset.name}", color=INK)
        return _inline(figure, f"calibration-{dataset.name}")


def curves(dataset: DataSet, losses: Mapping[str, Sequence[Sequence[float]]]) -> Curves:
    """Learning curves: median and range of the checkpoints' mean training loss in each epoch.

    Args:
        dataset: trained on.
        losses: of each variant, by its label: one list of epochs per checkpoint.
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
        name = f"curves-{dataset.name}"
        return Curves(dataset.title, _inline(figure, name), name)


def histogram(values: np.ndarray, dataset: DataSet) -> str:
    """Histogram of scores (N,), with a line at the median."""
    with _axes(width=8.4) as (figure, axes):
        axes.hist(values, bins=min(40, max(5, len(values) // 4)), color=DOT, rwidth=0.92)
        axes.axvline(float(np.median(values)), color=LINE, linewidth=1.6)
        axes.set_xlabel(f"predicted {dataset.score_name} ({dataset.scale})", color=INK)
        axes.set_ylabel("pictures", color=INK)
        axes.yaxis.set_major_locator(MaxNLocator(integer=True))
        return _inline(figure, "histogram")


@contextmanager
def _axes(width: float = 4.2) -> Iterator[tuple[Figure, Axes]]:
    """An empty plot in the colours of the page, `width` inches wide."""
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "rsfiqa", "font.size": 9}):
        figure = Figure(figsize=(width, 3.4), layout="constrained")
        axes = figure.add_subplot()
        axes.tick_params(colors=INK)
        axes.spines[["left", "bottom"]].set_edgecolor(INK)
        axes.spines[["right", "top"]].set_visible(False)
        yield figure, axes


def _inline(figure: Figure, name: str) -> str:
    """A figure as an SVG element, its identifiers prefixed by `name`, in the page's text colour."""
    buffer = io.StringIO()
    no_metadata = dict.fromkeys(("Creator", "Date", "Format", "Type"))
    figure.savefig(buffer, format="svg", transparent=True, dpi=150, metadata=no_metadata)
    svg = buffer.getvalue()
    svg = svg[svg.index("<svg") :]
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r'(href="|url\()#', rf"\1#{name}-", svg)
    return svg.replace(INK, "currentColor")
