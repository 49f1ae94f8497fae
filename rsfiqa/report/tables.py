"""Medians over splits with intervals, paired differences, and published numbers beside them."""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NamedTuple

import numpy as np

from rsfiqa.errors import InputError
from rsfiqa.metrics import median_interval, paired_test
from rsfiqa.products import results
from rsfiqa.products.paths import all_results, benchmark_folder
from rsfiqa.products.results import ResultRow
from rsfiqa.report.dataset import DataSet
from rsfiqa.report.labels import FULL, method_description, method_label, method_order
from rsfiqa.report.published import Published, published


@dataclass(frozen=True)
class MedianInterval:
    """Median of one value per split, and the 95 % interval of a bootstrap of the splits."""

    median: float
    low: float
    high: float
    count: int

    @classmethod
    def of(cls, values: Iterable[float]) -> "MedianInterval":
        """Median and interval of one value per split; NaN if a value is NaN."""
        array = np.array(list(values), np.float64)
        return cls(*median_interval(array), len(array))


@dataclass(frozen=True)
class MethodSummary:
    """One method on one pair of data sets.

    Attributes:
        method: variant of the model or baseline.
        label: its name in tables.
        srcc: over the splits.
        plcc: likewise.
        krcc: likewise.
        rmse: likewise, in score points of the test set.
        n: smallest and largest number of images tested in a split.
    """

    method: str
    label: str
    srcc: MedianInterval
    plcc: MedianInterval
    krcc: MedianInterval
    rmse: MedianInterval
    n: tuple[int, int]


@dataclass(frozen=True)
class DatasetPair:
    """All methods trained on one data set and tested on one, ours and published.

    Attributes:
        train: data set trained on.
        test: data set tested on.
        methods: our results.
        published: footnote mark and result of others.
        footnotes: protocol and source, by mark.
        official: results are of the official split of the data set, not of random ones.
    """

    train: DataSet
    test: DataSet
    methods: list[MethodSummary]
    published: list[tuple[str, Published]]
    footnotes: dict[str, str]
    official: bool = False

    @property
    def explained(self) -> list[tuple[str, str]]:
        """Label and description of each variant of the model among the methods."""
        found = [(one.label, method_description(one.method)) for one in self.methods]
        return [(label, text) for label, text in found if text]

    @property
    def title(self) -> str:
        """Train and test set."""
        return f"{self.train.title} \N{RIGHTWARDS ARROW} {self.test.title}"

    @property
    def within(self) -> bool:
        """Whether training and test images come from the same set."""
        return self.train == self.test

    @property
    def resampled(self) -> str:
        """What medians are taken over and their intervals resample."""
        random = self.within and not self.official
        return "random splits by group" if random else "trainings that differ in their seed"

    def is_best(self, row: MethodSummary, measure: str, digits: int = 3) -> bool:
        """Whether no method tested here has a better median, as rounded for display.

        Args:
            row: one of `methods`; with no other to compare with, it is not the best.
            measure: srcc, plcc, krcc or rmse.
            digits: decimals that are shown.
        """
        sign = -1 if measure == "rmse" else 1
        medians = {one.method: sign * getattr(one, measure).median for one in self.methods}
        rounded = {
            method: round(value, digits)
            for method, value in medians.items()
            if not math.isnan(value)
        }
        best = max(rounded.values(), default=math.nan)
        return len(rounded) > 1 and rounded.get(row.method) == best


def read(root: Path, names: Sequence[str] = ()) -> list[ResultRow]:
    """The rows of tables of results under a root, sorted.

    Args:
        root: folder of all results.
        names: of the tables, `<train>.<test>.<method>`; empty for all that there are.

    Raises:
        InputError: there are none, one is missing, or rows beside each other are not of the same
            tested images and seed.
    """
    folder = benchmark_folder(root)
    paths = [folder / f"{name}.parquet" for name in names] or all_results(root)
    if not paths:
        raise InputError(f"{folder}: holds no table of results; run the benchmark stage first")
    rows: list[ResultRow] = []
    first: dict[tuple[str, str, str], tuple[Path, _Tested]] = {}
    for path in paths:
        table, provenance = results.read(path)
        for row in table:
            tested = _Tested(provenance.options.get("seed"), provenance.inputs.get(row.split))
            key = (row.train, row.test, row.split)
            _check_alike(path, row.split, tested, *first.setdefault(key, (path, tested)))
        rows += table
    return sorted(rows, key=lambda row: (row.train, row.test, row.variant, row.split))


class _Tested(NamedTuple):
    """What rows must have in common to stand beside each other.

    Attributes:
        seed: of splits and trainings; None if it is not recorded.
        images: SHA-256 of the tested images and their scores; None likewise.
    """

    seed: int | None
    images: str | None


def _check_alike(path: Path, split: str, tested: _Tested, other: Path, expected: _Tested) -> None:
    """Raise if two tables do not test the same split.

    Raises:
        InputError: names both tables and what differs.
    """
    repair = "run the benchmark stage again for both, or name the tables to show (--table)"
    if tested.seed != expected.seed:
        raise InputError(
            f"{path}: tables beside each other must have the same seed, found {tested.seed} here"
            f" and {expected.seed} in {other.name}; {repair}"
        )
    if tested.images != expected.images:
        raise InputError(
            f"{path}: tables beside each other must test the same images, found others for {split}"
            f" in {other.name}; {repair}"
        )


def rows_of(rows: Sequence[ResultRow], pair: DatasetPair, method: str) -> list[ResultRow]:
    """The rows of one method on a pair of data sets."""
    key = (pair.train.name, pair.test.name, method)
    return [row for row in rows if (row.train, row.test, row.variant) == key]


def dataset_pairs(
    rows: Sequence[ResultRow],
    dataset: Callable[[str], DataSet],
    caption_backend: Callable[[str], str],
) -> list[DatasetPair]:
    """Summaries of all pairs of data sets, those within a set first.

    Args:
        rows: of the tables of results.
        dataset: gives a data set by its name.
        caption_backend: gives the captioner of a data set by its name.
    """
    grouped: dict[tuple[str, str], dict[str, list[ResultRow]]] = defaultdict(
        lambda: defaultdict(list)
    )
    for row in rows:
        grouped[row.train, row.test][row.variant].append(row)
    return [
        _dataset_pair(dataset(train), dataset(test), grouped[train, test], caption_backend(train))
        for train, test in sorted(grouped, key=lambda pair: (pair[0] != pair[1], pair))
    ]


def _dataset_pair(
    train: DataSet, test: DataSet, rows: dict[str, list[ResultRow]], caption_backend: str
) -> DatasetPair:
    """A pair from its rows by method."""
    numbers = published(train.name, test.name)
    sources = list(dict.fromkeys((row.protocol, row.source) for row in numbers))
    marks = {source: chr(ord("a") + i) for i, source in enumerate(sources)}
    return DatasetPair(
        train,
        test,
        [
            _method_summary(method, method_label(method, caption_backend), rows[method])
            for method in sorted(rows, key=method_order)
        ],
        [(marks[row.protocol, row.source], row) for row in numbers],
        {mark: f"{protocol} ({source})" for (protocol, source), mark in marks.items()},
        official=any(row.split.startswith("official") for part in rows.values() for row in part),
    )


def _method_summary(method: str, label: str, rows: Sequence[ResultRow]) -> MethodSummary:
    return MethodSummary(
        method,
        label,
        srcc=MedianInterval.of(row.srcc for row in rows),
        plcc=MedianInterval.of(row.plcc for row in rows),
        krcc=MedianInterval.of(row.krcc for row in rows),
        rmse=MedianInterval.of(row.rmse for row in rows),
        n=(min(row.n for row in rows), max(row.n for row in rows)),
    )


@dataclass(frozen=True)
class Difference:
    """The full model minus another method, split by split.

    `p_srcc` and `p_plcc` are those of `metrics.paired_test`; NaN on an official split or if the
    number of training images is unknown.
    """

    label: str
    srcc: MedianInterval
    plcc: MedianInterval
    p_srcc: float
    p_plcc: float


def ablation(rows: Sequence[ResultRow], pair: DatasetPair) -> list[Difference]:
    """The full model minus each other method of a pair, over the splits that both have."""
    full = {row.split: row for row in rows_of(rows, pair, FULL)}
    differences = []
    for summary in pair.methods:
        other = {row.split: row for row in rows_of(rows, pair, summary.method)}
        common = sorted(full.keys() & other.keys())
        if summary.method != FULL and common:
            matched = [(full[split], other[split]) for split in common]
            differences.append(_difference(summary.label, matched, pair))
    return differences


def _difference(
    label: str, matched: Sequence[tuple[ResultRow, ResultRow]], pair: DatasetPair
) -> Difference:
    """The difference over splits, each with the row of the full model and of the other method."""
    srcc = np.array([full.srcc - other.srcc for full, other in matched])
    plcc = np.array([full.plcc - other.plcc for full, other in matched])
    fraction = float(np.mean([full.n for full, _ in matched])) / (pair.test.images or math.nan)
    # trainings that differ in their seed do not resample the images
    p_srcc, p_plcc = (
        math.nan if pair.official else paired_test(values, fraction) for values in (srcc, plcc)
    )
    return Difference(label, MedianInterval.of(srcc), MedianInterval.of(plcc), p_srcc, p_plcc)


def axis_limit(differences: Sequence[Difference]) -> float:
    """Half-width of an axis around zero that fits all intervals; 0 if there are none."""
    intervals = [values for row in differences for values in (row.srcc, row.plcc)]
    bounds = [abs(bound) for values in intervals for bound in (values.low, values.high)]
    return max((bound for bound in bounds if not math.isnan(bound)), default=0.0)


@dataclass(frozen=True)
class Matrix:
    """SRCC of the full model on every pair of data sets.

    Attributes:
        train: data sets trained on, one per row.
        test: data sets tested on, one per column.
        srcc: by the names of both sets; pairs that were not tested are missing.
    """

    train: list[DataSet]
    test: list[DataSet]
    srcc: dict[tuple[str, str], MedianInterval]


def matrix(pairs: Sequence[DatasetPair]) -> Matrix:
    """SRCC of the full model on all pairs."""
    srcc = {
        (pair.train.name, pair.test.name): summary.srcc
        for pair in pairs
        for summary in pair.methods
        if summary.method == FULL
    }
    train = {pair.train.name: pair.train for pair in pairs}
    test = {pair.test.name: pair.test for pair in pairs}
    return Matrix(
        [train[name] for name in sorted(train)], [test[name] for name in sorted(test)], srcc
    )
