"""The comparisons of the units that there are: figures, lines, and what is missing."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.ablation import units
from benchmarks.ablation.conditions import PARTS, Comparison, Condition, comparisons
from benchmarks.ablation.statistics import Difference, compare, verdict
from rsfiqa.metrics import holm

LEAST = 0.5  # fraction of a condition's units below which it is not tested
FIELDS = {  # of a difference, by the end of the figure's name
    "": "mean",
    "_low": "low",
    "_high": "high",
    "_p": "p",
    "_power_se": "power_se",
    "_d": "effect",
    "_first": "first",
    "_second": "second",
    "_n": "n",
    "_units": "units",
}


@dataclass(frozen=True)
class Row:
    """A comparison and what was found.

    Attributes:
        comparison: what is compared.
        difference: None if it is missing.
        holm_p: p corrected over the primary comparisons; NaN for an exploratory one.
        verdict: of a primary comparison; empty for an exploratory one.
    """

    comparison: Comparison
    difference: Difference | None
    holm_p: float
    verdict: str

    @property
    def part(self) -> str:
        """The part of the model that the comparison is about."""
        one = self.comparison
        return PARTS[one.second] if one.first == "full" else f"{one.first} captions"

    @property
    def name(self) -> str:
        """Its name in the figures; see `figure_name`."""
        return figure_name(self.comparison)


def figure_name(comparison: Comparison) -> str:
    """The name of a comparison in the figures, such as a_livec_livec_full_no_mhf."""
    one = comparison
    tag = one.tag.replace("!", "not_")
    parts = (one.condition, one.test, tag, one.first, one.second)
    measure = "_hit" if one.measure == "hit" else ""
    return "_".join(filter(None, parts)).replace(".", "_") + measure


@dataclass(frozen=True)
class Summary:
    """All comparisons, and the units that are missing.

    Attributes:
        rows: the primary comparisons first.
        missing: number of missing units by condition.
        units: number of units by condition.
    """

    rows: list[Row]
    missing: dict[str, int]
    units: dict[str, int]


def summarize(
    folder: Path, known: Sequence[Condition], earlier: Mapping[str, Any] | None = None
) -> Summary:
    """The comparisons over the units in a folder.

    Args:
        folder: of the units.
        known: all conditions.
        earlier: figures of a run elsewhere, from which a condition is taken that has no unit in the
            folder; None for none.

    Raises:
        InputError: a unit is damaged or does not fit the others.
    """
    by_name = {condition.name: condition for condition in known}
    tables = {one.name: [table for _, table in units.finished(folder, one)] for one in known}
    earlier = earlier or {}
    counts = {
        one.name: len(tables[one.name]) or int(earlier.get(_count_name(one.name), 0))
        for one in known
    }
    found = []
    for comparison in comparisons(known):
        condition = by_name[comparison.condition]
        difference = None
        if there := tables[condition.name]:
            if len(there) >= LEAST * condition.number:
                difference = compare(condition, comparison, there)
        elif difference := _published(comparison, condition, earlier):
            counts[condition.name] = difference.units
        found.append((comparison, difference))
    primary = [difference for comparison, difference in found if comparison.primary]
    # a comparison that is missing still counts
    corrected = iter(holm([1.0 if one is None else _defined(one.p) for one in primary]))
    rows = []
    for comparison, difference in found:
        p = float(next(corrected)) if comparison.primary else float("nan")
        stated = verdict(difference, p) if comparison.primary else ""
        rows.append(Row(comparison, difference, p, stated))
    return Summary(
        rows=rows,
        missing={
            one.name: one.number - counts[one.name]
            for one in known
            if counts[one.name] < one.number
        },
        units=counts,
    )


def _published(
    comparison: Comparison, condition: Condition, figures: Mapping[str, Any]
) -> Difference | None:
    """A difference as it stands in figures; None if it does not."""
    name = figure_name(comparison)
    if name not in figures:
        return None
    values: dict[str, Any] = {
        field: float(figures.get(name + end, "nan")) for end, field in FIELDS.items()
    }
    values["units"] = int(figures.get(f"{name}_units", condition.number))
    return Difference(**values)


def _count_name(condition: str) -> str:
    """The figure that is the number of units of a condition."""
    return f"units_{condition.replace('.', '_')}"


def _defined(p: float) -> float:
    return 1.0 if np.isnan(p) else p


def figures(summary: Summary) -> dict[str, float]:
    """Flat figures: for each comparison the difference with its interval, p and `power_se`."""
    found: dict[str, float] = {}
    for row in summary.rows:
        if (one := row.difference) is None:
            continue
        values = {end: getattr(one, field) for end, field in FIELDS.items()}
        values["_holm_p"] = row.holm_p
        found |= {row.name + end: value for end, value in values.items() if not np.isnan(value)}
    errors = [
        row.difference.power_se
        for row in summary.rows
        if row.difference and row.comparison.primary and row.comparison.test == "biq2021"
    ]
    if errors:
        found["power_se"] = max(errors)
    found |= {_count_name(name): number for name, number in summary.units.items() if number}
    found["units"] = sum(summary.units.values())
    found["units_missing"] = sum(summary.missing.values())
    return found


def lines(summary: Summary) -> list[str]:
    """The primary comparisons and the missing units as text."""
    found = [" ".join(cells(row)) for row in summary.rows if row.comparison.primary]
    found += [f"missing: {number} units of {name}" for name, number in summary.missing.items()]
    return found


HEADS = (
    *("no.", "part", "condition", "tested on", "compared", "difference", "95 % interval"),
    *("p", "Holm p", "power_se", "d", "units", "n", "verdict"),
)


def cells(row: Row) -> list[str]:
    """A row of a table with `HEADS`."""
    one, found = row.comparison, row.difference
    tested = f"{one.test}{f', {one.tag}' if one.tag else ''}"
    described = [
        str(one.primary or ""),
        row.part,
        one.condition,
        f"{tested} ({one.measure})" if one.measure == "hit" else tested,
        f"{one.first} - {one.second}",
    ]
    if found is None:
        return [*described, *[""] * 8, row.verdict or "missing"]
    return [
        *described,
        f"{found.mean:+.4f}",
        f"[{found.low:+.4f}, {found.high:+.4f}]",
        _p_text(found.p),
        "" if np.isnan(row.holm_p) else _p_text(row.holm_p),
        f"{found.power_se:.4f}",
        "" if np.isnan(found.effect) else f"{found.effect:.2f}",
        str(found.units),
        f"{found.n:.0f}",
        row.verdict,
    ]


def _p_text(p: float) -> str:
    return "" if np.isnan(p) else "<.0001" if p < 1e-4 else f"{p:.4f}"
