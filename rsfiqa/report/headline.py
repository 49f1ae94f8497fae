"""The medians of all pairs of data sets as plain text."""

from collections.abc import Sequence
from textwrap import fill

from rsfiqa.report.formatting import number, number_range, with_interval
from rsfiqa.report.tables import DatasetPair

WIDTH = 100  # columns
HEADER = ("method", "SRCC [95 % interval]", "PLCC [95 % interval]", "splits", "n")


def headline(pairs: Sequence[DatasetPair]) -> str:
    """A table for each pair, at most 100 columns wide; published numbers below ours."""
    return "\n\n".join(_table(pair) for pair in pairs) + "\n"


def _table(pair: DatasetPair) -> str:
    rows = [HEADER]
    for summary in pair.methods:
        srcc, plcc = with_interval(summary.srcc), with_interval(summary.plcc)
        rows.append((summary.label, srcc, plcc, str(summary.srcc.count), number_range(summary.n)))
    for mark, other in pair.published:
        name = f"{other.method} (published) [{mark}]"
        rows.append((name, number(other.srcc), number(other.plcc), "", ""))
    lines = [f"{'{:32}{:23}{:23}{:>7}{:>10}'.format(*row)}".rstrip() for row in rows]
    notes = [
        fill(f"[{mark}] {note}", WIDTH, initial_indent="  ", subsequent_indent="      ")
        for mark, note in pair.footnotes.items()
    ]
    return "\n".join([f"{pair.title}: median over {pair.resampled}", *lines, *notes])
