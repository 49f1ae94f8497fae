"""The ablation's tables as CSV and LaTeX, its plots as SVG, and references as BibTeX."""

import io
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import matplotlib
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from benchmarks.ablation.conditions import LIVEC, PARTS
from benchmarks.ablation.summary import HEADS, Row, Summary, cells
from rsfiqa.report.files import write_figure, write_references, write_table

COLORS = ("#d1603d", "#4c86c6", "#3f9d6a", "#b07cc6")
CURVE = f"b.{LIVEC}.n"


def write_all(summary: Summary, folder: Path) -> None:
    """Write tables/ablation-*.csv and .tex, figures/ablation-*.svg, and references.bib.

    Args:
        summary: of the units that there are.
        folder: of the report.
    """
    primary = [row for row in summary.rows if row.comparison.primary]
    exploratory = [row for row in summary.rows if not row.comparison.primary]
    tables = folder / "tables"
    write_table(tables, "ablation-primary", HEADS, [cells(row) for row in primary])
    write_table(tables, "ablation-exploratory", HEADS, [cells(row) for row in exploratory])
    counts = [
        (name, str(number), str(summary.missing.get(name, 0)))
        for name, number in summary.units.items()
    ]
    write_table(tables, "ablation-units", ("condition", "units", "missing"), counts)
    if measured := [row for row in primary if row.difference]:
        write_figure(folder / "figures", "ablation-primary", forest(measured))
    if curve := label_counts(summary.rows):
        write_figure(folder / "figures", "ablation-labels", curve)
    write_references(folder)


def forest(rows: Sequence[Row]) -> str:
    """Differences with their intervals, one line for each comparison: an SVG document."""
    with _axes(height=0.8 + 0.34 * len(rows)) as (axes, svg):
        for y, row in enumerate(reversed(rows)):
            if (one := row.difference) is None:
                continue
            axes.plot([one.low, one.high], [y, y], color=COLORS[1], linewidth=1.4)
            axes.plot(one.mean, y, "o", color=COLORS[1], markersize=5)
        labels = [f"{row.comparison.primary} {row.part}, {cells(row)[3]}" for row in reversed(rows)]
        axes.set_yticks(range(len(rows)), labels)
        axes.axvline(0, color="black", linewidth=0.8, linestyle=(0, (4, 3)))
        axes.set_xlabel("difference of SRCC, 95 % interval")
    return svg.getvalue()


def label_counts(rows: Sequence[Row]) -> str:
    """Differences against the number of training images of LIVEC; empty without any."""
    curves: dict[str, list[tuple[int, Row]]] = {}
    for row in rows:
        if row.comparison.condition.startswith(CURVE) and row.difference:
            number = int(row.comparison.condition.removeprefix(CURVE))
            curves.setdefault(row.part, []).append((number, row))
    if not curves:
        return ""
    with _axes(height=3.4) as (axes, svg):
        for part, color in zip(PARTS.values(), COLORS, strict=True):
            points = sorted(curves.get(part, []), key=lambda point: point[0])
            differences = [row.difference for _, row in points if row.difference]
            x = np.array([number for number, _ in points])
            mean, low, high = (
                np.array([getattr(one, name) for one in differences])
                for name in ("mean", "low", "high")
            )
            axes.errorbar(
                x, mean, (mean - low, high - mean), color=color, fmt="o-", markersize=4, label=part
            )
        axes.set_xscale("log")
        axes.axhline(0, color="black", linewidth=0.8)
        axes.set_xlabel("training images of LIVEC")
        axes.set_ylabel("full minus variant, SRCC, 95 % interval")
        axes.legend(frameon=False)
    return svg.getvalue()


@contextmanager
def _axes(height: float) -> Iterator[tuple[Axes, io.StringIO]]:
    """An empty plot, and the text that holds it as SVG afterwards."""
    svg = io.StringIO()
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "rsfiqa", "font.size": 9}):
        figure = Figure(figsize=(6.4, height), layout="constrained")
        axes = figure.add_subplot()
        axes.spines[["right", "top"]].set_visible(False)
        yield axes, svg
        figure.savefig(svg, format="svg", metadata={"Date": None})
