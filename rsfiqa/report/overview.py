"""What a page says of all pictures of a run, however many: read row by row, few rows are kept."""

import os
from array import array
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from itertools import count
from pathlib import Path

import numpy as np

from rsfiqa.products.scores import Row
from rsfiqa.report.dataset import DataSet
from rsfiqa.report.listing import problems_of

MAX_LISTED = 100_000  # pictures in the list of a page, the worst ones; 0.3 GB of rows


@dataclass(frozen=True)
class Folder:
    """Scores of the pictures of one folder, within the scale; None if none could be scored."""

    name: str
    pictures: int
    failed: int
    worst: float | None
    median: float | None
    best: float | None


@dataclass
class Overview:
    """All pictures of a run.

    Attributes:
        dataset: gives the units of the scores.
        most: largest number of pictures that are kept, and of failed ones beside them.
        severities: of families in all regions of a picture, by its location, where known.
        ok: rows of the worst pictures, the worst first, equal scores by path.
        failed: rows of the first pictures that failed.
        failures: number of pictures that failed.
        problems: number of pictures with each problem.
        scores: of each folder, within the scale.
        failures_in: number of failed pictures in each folder.
    """

    dataset: DataSet
    most: int = MAX_LISTED
    severities: Mapping[str, Mapping[str, int]] = field(default_factory=dict)
    ok: list[Row] = field(default_factory=list)
    failed: list[Row] = field(default_factory=list)
    failures: int = 0
    problems: Counter[str] = field(default_factory=Counter)
    scores: dict[str, "array[float]"] = field(default_factory=lambda: defaultdict(_floats))
    failures_in: Counter[str] = field(default_factory=Counter)

    @classmethod
    def of(
        cls,
        rows: Iterable[Row],
        dataset: DataSet,
        most: int = MAX_LISTED,
        severities: Mapping[str, Mapping[str, int]] | None = None,
    ) -> "Overview":
        """The overview of these rows; see the attributes."""
        found = cls(dataset, most, severities or {})
        for row, number in zip(rows, count(1), strict=False):
            found._add(row)
            if number % most == 0:
                found._sort()
        found._sort()
        return found

    def _add(self, row: Row) -> None:
        folder = os.path.dirname(row["location"])  # noqa: PTH120 a million of them
        severities = self.severities.get(row["location"])
        self.problems.update(set(problems_of(row, severities)))  # each once
        if row["status"] != "ok":
            self.failures += 1
            self.failures_in[folder] += 1
            if len(self.failed) < self.most:
                self.failed.append(row)
        elif row["score"] is not None:
            self.scores[folder].append(self.dataset.scale.clip(row["score"]))
            self.ok.append(row)

    def _sort(self) -> None:
        sign = -1 if self.dataset.scale.lower_better else 1
        self.ok.sort(key=lambda row: (sign * (row["score"] or 0), row["path"]))
        del self.ok[self.most :]

    @property
    def values(self) -> np.ndarray:
        """The scores of all pictures, within the scale: float64 (N,)."""
        return np.concatenate([np.zeros(0), *(np.asarray(part) for part in self.scores.values())])

    @property
    def total(self) -> int:
        """Number of pictures, failed or not."""
        return self.failures + sum(map(len, self.scores.values()))

    @property
    def base(self) -> str:
        """The common folder of all pictures, absolute."""
        return os.path.commonpath([*self.scores, *self.failures_in])

    def count_problems(self) -> list[tuple[str, int]]:
        """Problems and the number of pictures with each, the most frequent first."""
        return sorted(self.problems.items(), key=lambda item: (-item[1], item[0]))

    def folders(self) -> list[Folder]:
        """All folders, the one with the worst median first, those without a score last."""
        base = Path(self.base)
        found = [
            self._folder(base, name) for name in {**self.scores, **dict(self.failures_in.items())}
        ]
        sign = -1 if self.dataset.scale.lower_better else 1
        return sorted(found, key=lambda f: (f.median is None, sign * (f.median or 0), f.name))

    def _folder(self, base: Path, folder: str) -> Folder:
        name = os.path.relpath(folder, base)
        name = base.name if name == "." else name
        values = np.asarray(self.scores.get(folder, _floats()))
        failed = self.failures_in[folder]
        if not len(values):
            return Folder(name, failed, failed, None, None, None)
        ends = float(values.min()), float(values.max())
        worst, best = reversed(ends) if self.dataset.scale.lower_better else ends
        return Folder(name, len(values) + failed, failed, worst, float(np.median(values)), best)


def _floats() -> "array[float]":
    return array("d")
