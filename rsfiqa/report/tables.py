"""Medians over splits, with intervals, paired differences and published numbers."""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from textwrap import fill
from typing import Any

import numpy as np

from rsfiqa.errors import InputError
from rsfiqa.metrics import median_interval, paired_test
from rsfiqa.products import results
from rsfiqa.products.paths import all_results, benchmark_folder
from rsfiqa.report.published import Published, published
from rsfiqa.report.record import DataSet
from rsfiqa.vocabulary import VARIANTS

LABELS = {
    "full": "RSFIQA",
    "no_mhf": "\N{MINUS SIGN}MHF",
    "no_rsa": "\N{MINUS SIGN}RSA",
    "none": "\N{MINUS SIGN}MHF \N{MINUS SIGN}captions \N{MINUS SIGN}RSA",
    "probe": "SVR probe (frozen backbone)",
}

WIDTH = 100  # columns of the headline
Row = dict[str, Any]


@dataclass(frozen=True)
class Spread:
    """A median over splits and the 95 % interval of a bootstrap that resamples the splits."""

    median: float
    low: float
    high: float
    count: int


@dataclass(frozen=True)
class Line:
    """One method on one pair of data sets; RMSE in score points of the test set."""

    variant: str
    label: str
    srcc: Spread
    plcc: Spread
    krcc: Spread
    rmse: Spread
    n: tuple[int, int]  # fewest and most images tested in a split


@dataclass(frozen=True)
class Pair:
    """All methods trained on one data set and tested on one, ours and published."""

    train: DataSet
    test: DataSet
    lines: list[Line]
    published: list[tuple[str, Published]]  # mark of the footnote, number
    footnotes: dict[str, str]  # mark: protocol and source
    official: bool = False  # the set's official split, in place of random ones

    @property
    def title(self) -> str:
        """Train and test set."""
        return f"{self.train.title} \N{RIGHTWARDS ARROW} {self.test.title}"

    @property
    def within(self) -> bool:
        """Whether training and test images come from the same set."""
        return self.train == self.test


@dataclass(frozen=True)
class Difference:
    """What is lost without a part: the full model less a variant, split by split.

    `p_srcc` and `p_plcc` are those of `correlation.paired_test`; NaN if the number of training
    images is unknown.
    """

    label: str
    srcc: Spread
    plcc: Spread
    p_srcc: float
    p_plcc: float


def read(root: Path) -> list[Row]:
    """All rows of all tables of results under a root, sorted.

    Raises:
        InputError: there are none.
    """
    paths = all_results(root)
    if not paths:
        folder = benchmark_folder(root)
        raise InputError(f"{folder}: holds no table of results; run the benchmark stage first")
    rows = [row for path in paths for row in results.read(path)[0].to_pylist()]
    return sorted(rows, key=lambda row: (row["train"], row["test"], row["variant"], row["split"]))


def label(variant: str, backend: str) -> str:
    """How a variant or a peer is called; `backend` is what made the captions, empty if unknown."""
    if variant == "no_mllm":
        sources = {"rule_based": "captions (measured)", "": "captions"}
        return f"\N{MINUS SIGN}{sources.get(backend, 'MLLM')}"
    return LABELS.get(variant, variant)


def pairs(
    rows: Sequence[Row], dataset: Callable[[str], DataSet], backend: Callable[[str], str]
) -> list[Pair]:
    """Summaries of all pairs of data sets, those within a set first.

    Args:
        rows: of the tables of results.
        dataset: what is known of a data set, by name.
        backend: what made the captions of a data set, by name.
    """
    found: dict[tuple[str, str], dict[str, list[Row]]] = defaultdict(lambda: defaultdict(list))
    for row in rows:
        found[row["train"], row["test"]][row["variant"]].append(row)
    return [
        _pair(dataset(train), dataset(test), found[train, test], backend(train))
        for train, test in sorted(found, key=lambda pair: (pair[0] != pair[1], pair))
    ]


def _pair(train: DataSet, test: DataSet, found: dict[str, list[Row]], backend: str) -> Pair:
    numbers = published(train.name, test.name)
    origins = list(dict.fromkeys((row.protocol, row.source) for row in numbers))
    marks = {origin: chr(ord("a") + i) for i, origin in enumerate(origins)}
    return Pair(
        train,
        test,
        [_line(v, label(v, backend), found[v]) for v in sorted(found, key=order)],
        [(marks[row.protocol, row.source], row) for row in numbers],
        {mark: f"{protocol} ({source})" for (protocol, source), mark in marks.items()},
        official=any(row["split"].startswith("official") for v in found.values() for row in v),
    )


def order(variant: str) -> tuple[int, str]:
    """Sorts the full model first, its variants, then peers by name."""
    return (VARIANTS.index(variant) if variant in VARIANTS else len(VARIANTS)), variant


def _line(variant: str, name: str, rows: Sequence[Row]) -> Line:
    spreads = {key: spread(row[key] for row in rows) for key in ("srcc", "plcc", "krcc", "rmse")}
    tested = [row["n"] for row in rows]
    return Line(variant, name, **spreads, n=(min(tested), max(tested)))


def spread(values: Iterable[float]) -> Spread:
    """Median and interval of one value per split; NaN if a value is."""
    array = np.array(list(values), np.float64)
    return Spread(*median_interval(array), len(array))


def ablation(rows: Sequence[Row], pair: Pair) -> list[Difference]:
    """The full model less every other method of a pair, over the splits that both have."""
    of: dict[str, dict[str, Row]] = defaultdict(dict)
    for row in rows:
        if (row["train"], row["test"]) == (pair.train.name, pair.test.name):
            of[row["variant"]][row["split"]] = row
    differences = []
    for line in pair.lines:
        common = sorted(of["full"].keys() & of[line.variant].keys())
        if line.variant != "full" and common:
            srcc, plcc = (
                np.array([of["full"][s][key] - of[line.variant][s][key] for s in common])
                for key in ("srcc", "plcc")
            )
            fraction = np.mean([of["full"][s]["n"] for s in common]) / (pair.test.images or np.nan)
            # seeds of one split are no resampling of it
            tests = [math.nan if pair.official else paired_test(x, fraction) for x in (srcc, plcc)]
            differences.append(Difference(line.label, spread(srcc), spread(plcc), *tests))
    return differences


def reach(differences: Sequence[Difference]) -> float:
    """The farthest from zero that an interval of these differences goes; 0 if there is none."""
    spreads = [spread for found in differences for spread in (found.srcc, found.plcc)]
    ends = [abs(end) for spread in spreads for end in (spread.low, spread.high)]
    return max((end for end in ends if not math.isnan(end)), default=0.0)


@dataclass(frozen=True)
class Matrix:
    """SRCC of the full model on every pair of data sets.

    Attributes:
        train: sets trained on, a row each.
        test: sets tested on, a column each.
        srcc: by the names of both sets; a pair that was not tested is missing.
    """

    train: list[DataSet]
    test: list[DataSet]
    srcc: dict[tuple[str, str], Spread]


def matrix(found: Sequence[Pair]) -> Matrix:
    """All pairs at a glance."""
    srcc = {
        (pair.train.name, pair.test.name): line.srcc
        for pair in found
        for line in pair.lines
        if line.variant == "full"
    }
    train = {pair.train.name: pair.train for pair in found}
    test = {pair.test.name: pair.test for pair in found}
    return Matrix(
        [train[name] for name in sorted(train)], [test[name] for name in sorted(test)], srcc
    )


def headline(found: Sequence[Pair]) -> str:
    """The medians as plain text, 100 columns, published numbers apart."""
    return "\n\n".join(_headline(pair) for pair in found) + "\n"


def _headline(pair: Pair) -> str:
    rows = [("method", "SRCC [95 % interval]", "PLCC [95 % interval]", "splits", "n")]
    for line in pair.lines:
        splits, n = str(line.srcc.count), number_range(line.n)
        rows.append((line.label, with_interval(line.srcc), with_interval(line.plcc), splits, n))
    for mark, other in pair.published:
        name = f"{other.method} (published) [{mark}]"
        rows.append((name, number(other.srcc), number(other.plcc), "", ""))
    text = [f"{'{:32}{:23}{:23}{:>7}{:>10}'.format(*row)}".rstrip() for row in rows]
    notes = [
        fill(f"[{mark}] {note}", WIDTH, initial_indent="  ", subsequent_indent="      ")
        for mark, note in pair.footnotes.items()
    ]
    return "\n".join([f"{pair.title}: median over {resampled(pair)}", *text, *notes])


def resampled(pair: Pair) -> str:
    """What a median of this pair is taken over, and its interval resamples."""
    random = pair.within and not pair.official
    return "random splits by group" if random else "trainings that differ in their seed"


def number(value: float | None, digits: int = 3) -> str:
    """A number with a typographic minus; a dash for none."""
    if value is None or math.isnan(value):
        return "\N{EN DASH}"
    text = f"{value:.{digits}f}"
    return text.replace("-", "\N{MINUS SIGN}") if float(text) else text.lstrip("-")


def p_value(value: float) -> str:
    """A p with three decimals, or that it is smaller; a dash for none."""
    return "< 0.001" if value < 0.001 else number(value)


def signed(value: float | None, digits: int = 3) -> str:
    """As `number`, with a plus where the number shown is above zero."""
    text = number(value, digits)
    return f"+{text}" if value and value > 0 and float(text) else text


def interval(found: Spread, digits: int = 3) -> str:
    """The interval in brackets; nothing for a single split, which has none."""
    if found.count < 2 or math.isnan(found.low):
        return ""
    return f"[{number(found.low, digits)}, {number(found.high, digits)}]"


def with_interval(found: Spread) -> str:
    """Median and interval."""
    return f"{number(found.median)} {interval(found)}".rstrip()


def number_range(bounds: tuple[int, int]) -> str:
    """One number, or two with a dash between them."""
    low, high = bounds
    return f"{low}" if low == high else f"{low}\N{EN DASH}{high}"
