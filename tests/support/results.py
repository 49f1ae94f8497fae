"""Rows of results, made up."""

from typing import Any

from rsfiqa.products.results import ResultRow
from rsfiqa.report import tables
from rsfiqa.report.dataset import DataSet

VALUES: dict[str, Any] = {"krcc": 0.5, "plcc_raw": 0.5, "rmse": 10.0, "n": 4}


def rows(
    variant: str, srcc: list[float], train: str = "tiny", test: str = "tiny", **changes: Any
) -> list[ResultRow]:
    """One row per value of SRCC; PLCC is a tenth higher."""
    kind = "split" if train == test else "all"
    return [
        ResultRow(
            train,
            test,
            f"{kind}-{i:02d}",
            variant,
            **{"srcc": value, "plcc": value + 0.1} | VALUES | changes,
        )
        for i, value in enumerate(srcc)
    ]


def dataset_pairs(
    results: list[ResultRow], backend: str = "rule_based"
) -> list[tables.DatasetPair]:
    return tables.dataset_pairs(results, DataSet, lambda _: backend)
