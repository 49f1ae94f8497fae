"""Percentiles of the pictures of a table."""

from collections.abc import Iterable

import numpy as np

from rsfiqa.products.scores import Row

DIGITS = 4  # of a percentile, enough to tell a million pictures apart


class Ranking:
    """The scores of all pictures of a table, against which each is ranked.

    Args:
        rows: of the table; failed ones do not count.
    """

    def __init__(self, rows: Iterable[Row]) -> None:
        self._sorted = np.sort([_goodness(row) for row in rows if row["status"] == "ok"])

    def ranked(self, row: Row) -> Row:
        """A row with its percentile; the same object if it has that already."""
        percentile = None if row["status"] == "failed" else self._percentile(_goodness(row))
        return row if row["percentile"] == percentile else {**row, "percentile": percentile}

    def _percentile(self, goodness: float) -> float:
        """Percent of the pictures that are worse; equal ones, and itself, count half."""
        below = np.searchsorted(self._sorted, goodness, "left")
        up_to = np.searchsorted(self._sorted, goodness, "right")
        return round(float(below + up_to) / 2 / len(self._sorted) * 100, DIGITS)


def _goodness(row: Row) -> float:
    """The score, such that higher is better."""
    score = row["score"]
    assert score is not None  # of a row that is ok, see `check_row`
    return -score if row["direction"] == "lower" else score
