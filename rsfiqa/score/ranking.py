"""Percentiles of the pictures of a table."""

from collections.abc import Iterable, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from rsfiqa.products.scores import Row

DIGITS = 4  # of a percentile, enough to tell a million pictures apart


class Ranking:
    """The scores of all pictures of a run, against which each is ranked.

    Args:
        goodness: of the pictures, see `goodness`.
    """

    def __init__(self, goodness: Sequence[float] | np.ndarray) -> None:
        self._sorted = np.sort(np.asarray(goodness, np.float64))

    @classmethod
    def of(cls, rows: Iterable[Row]) -> "Ranking":
        """The ranking of the rows of a table; failed ones do not count."""
        return cls([_goodness(row) for row in rows if row["status"] == "ok"])

    def ranked(self, row: Row) -> Row:
        """A row with its percentile; the same object if it has that already."""
        failed = row["status"] == "failed"
        percentile = None if failed else self.percentiles([_goodness(row)])[0]
        return row if row["percentile"] == percentile else {**row, "percentile": percentile}

    def percentiles(self, goodness: Sequence[float] | np.ndarray) -> list[float]:
        """Percent of the pictures that are worse; equal ones, and itself, count half."""
        below = np.searchsorted(self._sorted, goodness, "left")
        up_to = np.searchsorted(self._sorted, goodness, "right")
        percents = (below + up_to) / 2 / len(self._sorted) * 100
        return [round(percent, DIGITS) for percent in percents.tolist()]


def goodness(table: pa.Table) -> np.ndarray:
    """The scores of a table such that higher is better, float64 (N,), without failed pictures."""
    ok = table.filter(pc.equal(table["status"], "ok"))
    sign = np.where(np.array(ok["direction"].to_pylist(), object) == "lower", -1.0, 1.0)
    return np.asarray(ok["score"].to_numpy() * sign, np.float64)


def unranked(row: Row) -> Row:
    """A row without its percentile; the same object if it has none."""
    return row if row["percentile"] is None else {**row, "percentile": None}


def _goodness(row: Row) -> float:
    """The score, such that higher is better."""
    score = row["score"]
    assert score is not None  # of a row that is ok, see `check_row`
    return -score if row["direction"] == "lower" else score
