"""The tables and plots of the report as files for a paper: CSV, LaTeX, SVG, BibTeX."""

from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from rsfiqa.report import files
from rsfiqa.report.formatting import interval, number, number_range, p_value, signed
from rsfiqa.report.tables import DatasetPair, Difference, Matrix, MedianInterval

TABLES, FIGURES = "tables", "figures"
# Beginnings of the names of files that are written here; those of an earlier run are removed.
OWN = ("agreement-", "variants-", "across", "scatter-", "calibration-", "curves-")

METRICS = ("srcc", "plcc", "krcc", "rmse")
AGREEMENT = (
    "method",
    *(head for name in METRICS for head in (name.upper(), f"{name.upper()} 95 % interval")),
    "n",
    "published, by the protocol of",
)
VARIANTS = (
    *("full minus", "SRCC", "SRCC 95 % interval", "p"),
    *("PLCC", "PLCC 95 % interval", "p of PLCC"),
)


def write_all(
    folder: Path,
    pairs: Sequence[DatasetPair],
    differences: Iterable[tuple[DatasetPair, Sequence[Difference]]],
    matrix: Matrix,
    plots: Mapping[str, str],
) -> None:
    """Write tables/*.csv and .tex, figures/*.svg and references.bib; earlier ones are replaced.

    Args:
        folder: of the report.
        pairs: each has a table of all methods, ours and published.
        differences: of the full model and its variants, on pairs within a set.
        matrix: across data sets.
        plots: svg elements by the name of their file.
    """
    _remove_earlier(folder)
    tables = folder / TABLES
    for pair in pairs:
        name = f"agreement-{pair.train.name}-{pair.test.name}"
        files.write_table(tables, name, AGREEMENT, _agreement(pair))
    for pair, rows in differences:
        if rows:
            cells = [_difference(row) for row in rows]
            files.write_table(tables, f"variants-{pair.test.name}", VARIANTS, cells)
    heads = ("trained on", *(one.name for one in matrix.test))
    files.write_table(tables, "across", heads, _matrix(matrix))
    for name, svg in plots.items():
        files.write_figure(folder / FIGURES, name, svg)
    files.write_references(folder)


def _remove_earlier(folder: Path) -> None:
    """Remove what an earlier report wrote, of data sets that may be there no more."""
    for part in (TABLES, FIGURES):
        for path in sorted((folder / part).glob("*.*")):
            if path.name.startswith(OWN):
                path.unlink()


def _agreement(pair: DatasetPair) -> list[list[str]]:
    """Our methods, then the published ones."""
    ours = [
        [
            method.label,
            *(cell for name in METRICS for cell in _median(getattr(method, name))),
            number_range(method.n),
            "",
        ]
        for method in pair.methods
    ]
    published = [
        [one.method, number(one.srcc), "", number(one.plcc), *[""] * 6, pair.footnotes[mark]]
        for mark, one in pair.published
    ]
    return ours + published


def _median(values: MedianInterval) -> tuple[str, str]:
    return number(values.median), interval(values)


def _difference(row: Difference) -> list[str]:
    return [
        row.label,
        *(signed(row.srcc.median), interval(row.srcc), p_value(row.p_srcc)),
        *(signed(row.plcc.median), interval(row.plcc), p_value(row.p_plcc)),
    ]


def _matrix(matrix: Matrix) -> list[list[str]]:
    return [
        [
            train.name,
            *(
                number(found.median) if (found := matrix.srcc.get((train.name, test.name))) else ""
                for test in matrix.test
            ),
        ]
        for train in matrix.train
    ]
