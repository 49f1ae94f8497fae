"""The table of figures in the model card, from docs/figures/bench-packaged.json.

Every figure that ends in `_srcc` is a row; it has an interval where `_low` and `_high` are given,
and PLCC where there is a figure of that name.
"""

import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.figures import ROOT, parser
from benchmarks.summary import FOLDER, table

CARD = ROOT / "rsfiqa" / "packaged" / "MODEL_CARD.md"
FIGURES = FOLDER / "bench-packaged.json"
BEGIN, END = "<!-- figures: python -m benchmarks model_card -->", "<!-- end of figures -->"
SETS = {  # label by the name of a set in figures
    "livec": "LIVEC (photographs)",
    "biq2021": "BIQ2021 (photographs)",
    "agiqa3k": "AGIQA-3K (generated)",
    "mmp2k": "MMP-2k (macro)",
}
HELD_OUT = "held_out_"  # of a training like that of the checkpoint, without these images


def main(arguments: Sequence[str]) -> None:
    """Write the figures into the card."""
    options = parser(__name__, __doc__)
    options.add_argument("--figures", type=Path, default=FIGURES, help="*.json")
    options.add_argument("--card", type=Path, default=CARD, help="card to fill in")
    given = options.parse_args(arguments)
    figures = json.loads(given.figures.read_text("utf-8"))
    given.card.write_text(filled(given.card.read_text("utf-8"), figures), "utf-8")


def filled(card: str, figures: Mapping[str, Any]) -> str:
    """The card with these figures between its marks."""
    lines = [BEGIN, *rows(figures), "", source(figures), END]
    pattern = f"{re.escape(BEGIN)}.*{re.escape(END)}"
    return re.sub(pattern, lambda _: "\n".join(lines), card, flags=re.DOTALL)


def rows(figures: Mapping[str, Any]) -> list[str]:
    """The table of sets."""
    names = [name.removesuffix("_srcc") for name in figures if name.endswith("_srcc")]
    cells = [
        (label(name, figures), *(value(figures, f"{name}_{m}") for m in ("srcc", "plcc")))
        for name in names
    ]
    return table(("tested on", "SRCC", "PLCC"), cells)


def label(name: str, figures: Mapping[str, Any]) -> str:
    """The name of a set, with the number of its images where it is known."""
    key = name.removeprefix(HELD_OUT)
    known = [figures[n] for n in (f"n_{key}_test", f"{name}_n") if n in figures]
    count = f", {known[0]:,.0f} images" if known else ""
    return f"{SETS.get(key, key)}{count}{', held out' if name != key else ''}"


def value(figures: Mapping[str, Any], name: str) -> str:
    """A figure with its interval; empty if there is none."""
    if name not in figures:
        return ""
    low, high = figures.get(f"{name}_low"), figures.get(f"{name}_high")
    known = low is not None and high is not None and low < high
    return f"{figures[name]:.3f}" + (f" [{low:.3f}, {high:.3f}]" if known else "")


def source(figures: Mapping[str, Any]) -> str:
    """What measured the figures, and when."""
    splits = f", {figures['splits']:.0f} trainings" if "splits" in figures else ""
    return f"Measured by `{figures['command']}` on {figures['date']}{splits}."
