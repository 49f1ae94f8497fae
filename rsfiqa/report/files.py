"""Tables as CSV and LaTeX, plots as SVG, and references as BibTeX: files for a paper."""

import csv
from collections.abc import Sequence
from importlib.resources import files
from pathlib import Path

from rsfiqa.io.atomic import atomic

REFERENCES = "references.bib"
_LATEX = {
    **{char: f"\\{char}" for char in "&%$#_{}"},
    "\\": "\\textbackslash{}",
    "~": "\\textasciitilde{}",
    "^": "\\textasciicircum{}",
    "<": "\\textless{}",
    ">": "\\textgreater{}",
    "\N{RIGHTWARDS ARROW}": "$\\rightarrow$",
    "\N{MINUS SIGN}": "$-$",
    "\N{SUPERSCRIPT TWO}": "$^2$",
}


def write_table(
    folder: Path, name: str, heads: Sequence[str], rows: Sequence[Sequence[str]]
) -> None:
    """Write a table as <name>.csv and as <name>.tex, a tabular with rules of booktabs.

    Args:
        folder: of the tables; it is made if need be.
        name: of both files, without suffix.
        heads: of the columns.
        rows: cells as they are to be read.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with (
        atomic(folder / f"{name}.csv") as partial,
        partial.open("w", encoding="utf-8", newline="") as file,
    ):
        csv.writer(file).writerows([heads, *rows])
    with atomic(folder / f"{name}.tex") as partial:
        partial.write_text(latex_table(heads, rows), "utf-8")


def latex_table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """A tabular environment, for a document that loads booktabs."""
    body = [" & ".join(map(latex, row)) + " \\\\" for row in (heads, *rows)]
    lines = [
        f"\\begin{{tabular}}{{{'l' * len(heads)}}}",
        "\\toprule",
        body[0],
        "\\midrule",
        *body[1:],
        "\\bottomrule",
        "\\end{tabular}",
    ]
    return "\n".join(lines) + "\n"


def latex(text: str) -> str:
    """Text with the characters that mean something to LaTeX replaced."""
    return "".join(_LATEX.get(char, char) for char in text)


def write_figure(folder: Path, name: str, svg: str) -> None:
    """Write a plot as <name>.svg.

    Args:
        folder: of the figures; it is made if need be.
        name: of the file, without suffix.
        svg: an svg element.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with atomic(folder / f"{name}.svg") as partial:
        partial.write_text(svg, "utf-8")


def write_references(folder: Path) -> None:
    """Write the BibTeX entries of the data sets and methods, references.bib."""
    folder.mkdir(parents=True, exist_ok=True)
    text = files("rsfiqa.report").joinpath(REFERENCES).read_text("utf-8")
    with atomic(folder / REFERENCES) as partial:
        partial.write_text(text, "utf-8")
