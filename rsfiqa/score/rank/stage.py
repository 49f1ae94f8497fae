"""Percentiles over all shards of a run, whose tables are read one after the other."""

import logging
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa

from rsfiqa.errors import InputError
from rsfiqa.io.json_files import write_json
from rsfiqa.io.terminal import counted
from rsfiqa.products import score_tables
from rsfiqa.products.paths import summary_path
from rsfiqa.products.scores import check_label
from rsfiqa.score.ranking import Ranking, goodness

log = logging.getLogger("rsfiqa")

QUANTILES = (0, 5, 25, 50, 75, 95, 100)  # percent
COLUMNS = ["score", "direction", "status", "checkpoint", "percentile"]


def run(folder: Path) -> dict[str, Any]:
    """Write the percentiles into all tables of a folder, and summary.json; the summary.

    A table that has its percentiles already is left as it is. Memory holds one number per picture
    and one table.

    Args:
        folder: of the tables.

    Raises:
        InputError: no tables, not tables of scores, or tables of several checkpoints.
    """
    tables = score_tables.shards(folder)
    if not tables:
        raise InputError(f"{folder}: must hold tables <shard>.parquet, found none; score first")
    values, status, labels = [], Counter[str](), list[str]()
    directions = set[str]()
    for path in tables:
        found = score_tables.read_columns(path, COLUMNS)
        status.update(found["status"].to_pylist())
        directions.update(found["direction"].unique().to_pylist())
        for label in found["checkpoint"].unique().to_pylist():
            labels.append(label)
            check_label(path, label, labels[0], "score them again with one checkpoint")
        values.append(goodness(found))
    ranking = Ranking(np.concatenate(values))
    for path, own in zip(tables, values, strict=True):
        _rank(path, ranking, own)
    scores = np.concatenate(values) * (-1 if "lower" in directions else 1)
    summary = {
        "pictures": sum(status.values()),
        "scored": status["ok"],
        "failed": status["failed"],
        "checkpoint": labels[0] if labels else None,
        "quantiles": {
            str(percent): round(float(np.percentile(scores, percent)), 4) for percent in QUANTILES
        }
        if len(scores)
        else {},
    }
    write_json(summary_path(folder), summary)
    pictures, parts = counted(sum(status.values()), "picture"), counted(len(tables), "shard")
    log.info("score: %s in %s, %d failed", pictures, parts, status["failed"])
    return summary


def _rank(path: Path, ranking: Ranking, own: np.ndarray) -> None:
    """Write the percentiles of a table unless it has them."""
    found = score_tables.read_columns(path, COLUMNS)
    ok = np.array(found["status"].to_pylist(), object) == "ok"
    percentiles = np.full(len(found), None, object)
    percentiles[ok] = ranking.percentiles(own)
    if percentiles.tolist() != found["percentile"].to_pylist():
        column = pa.array(percentiles.tolist(), pa.float64())
        score_tables.replace_column(path, "percentile", column, found["checkpoint"][0].as_py())
