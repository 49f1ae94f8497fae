"""Results published by others, with their protocol and source."""

import csv
from dataclasses import dataclass
from functools import cache
from pathlib import Path

SOURCE = Path(__file__).with_name("published.csv")


@dataclass(frozen=True)
class Published:
    """One method on one pair of data sets.

    Attributes:
        method: its name.
        train: data set trained on; `mix` for several, `none` for a training-free method.
        test: data set tested on.
        srcc: Spearman's rank correlation; None if not given.
        plcc: Pearson's correlation; None if not given.
        protocol: splits and metrics of the authors.
        source: publication and table.
    """

    method: str
    train: str
    test: str
    srcc: float | None
    plcc: float | None
    protocol: str
    source: str


def published(train: str, test: str) -> list[Published]:
    """Published results on a pair of data sets: protocol by protocol, best SRCC first."""
    rows = [row for row in read_published() if (row.train, row.test) == (train, test)]
    protocols = list(dict.fromkeys((row.protocol, row.source) for row in rows))
    return sorted(
        rows,
        key=lambda row: (protocols.index((row.protocol, row.source)), -(row.srcc or 0), row.method),
    )


@cache
def read_published() -> tuple[Published, ...]:
    """All published results."""
    with SOURCE.open(encoding="utf-8", newline="") as file:
        return tuple(
            Published(
                method=row["method"],
                train=row["train"],
                test=row["test"],
                srcc=float(row["srcc"]) if row["srcc"] else None,
                plcc=float(row["plcc"]) if row["plcc"] else None,
                protocol=row["protocol"],
                source=row["source"],
            )
            for row in csv.DictReader(file)
        )
