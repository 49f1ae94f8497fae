"""What the list of a page holds of all pictures: columns as compact JSON."""

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from scipy.stats import rankdata

from rsfiqa.captioners.sentence import named_families
from rsfiqa.products.scores import IMAGE_RATINGS, SCHEMA, Row
from rsfiqa.report.dataset import DataSet
from rsfiqa.report.scored_pictures import Paths, address
from rsfiqa.report.thumbnails import Thumbnail
from rsfiqa.scale import MosScale, itu_level
from rsfiqa.vocabulary import family_words

BINS = 20  # of the histogram
FAILED = "failed"  # counts as a problem
LEAST_REPEATED = 2  # mean number of rows with one text, from which texts are listed apart


@dataclass(frozen=True)
class Bar:
    """One bar of the histogram: pictures with low <= score < high; the last includes high."""

    low: float
    high: float
    count: int
    percent: float


def histogram(values: np.ndarray, scale: MosScale) -> list[Bar]:
    """Scores, float64 (N,), clipped to their scale, in bars of equal width."""
    values = np.clip(values, min(scale.low, scale.high), max(scale.low, scale.high))
    counts, edges = np.histogram(values, BINS, (scale.low, scale.high))
    most = max(1, int(counts.max()))
    return [
        Bar(round(float(low), 6), round(float(high), 6), int(count), round(100 * count / most, 1))
        for low, high, count in zip(edges[:-1], edges[1:], counts, strict=True)
    ]


def problems_of(row: Row, severities: Mapping[str, int] | None = None) -> list[str]:
    """What is wrong with a picture: distortions, flags, or that it failed.

    Args:
        row: of the picture; its worst region's sentence names distortions.
        severities: of families in all its regions, as of `severities.read`, where they are known.
    """
    if row["status"] != "ok":
        return [FAILED]
    named = named_families(row["worst_caption"] or "")
    of_regions = [family_words(name) for name, severity in (severities or {}).items() if severity]
    return [*named, *sorted(set(of_regions) - set(named)), *row["flags"]]


def percentiles(rows: Sequence[Row], scale: MosScale) -> list[float | None]:
    """Percent of the scored pictures that are worse; equal ones, and itself, count half."""
    sign = -1 if scale.lower_better else 1
    values = np.array([np.nan if row["score"] is None else row["score"] for row in rows])
    known = ~np.isnan(values)
    found: list[float | None] = [None] * len(rows)
    ranks = 100 * (rankdata(sign * values[known]) - 0.5) / max(1, int(known.sum()))
    for at, rank in zip(np.flatnonzero(known), ranks, strict=True):
        found[at] = round(float(rank), 2)
    return found


def content(
    rows: Sequence[Row],
    dataset: DataSet,
    paths: Paths,
    *,
    page: Path,
    problems: Sequence[Sequence[str]],
    thumbnails: Sequence[Thumbnail | None],
    beside: str = "",
) -> str:
    """The JSON that the script of the page reads; safe within a script element.

    Args:
        rows: of all pictures, in the order of the page.
        dataset: gives the units of the scores.
        paths: names the pictures.
        page: folder of the page, absolute.
        problems: of each picture.
        thumbnails: of the first pictures.
        beside: folder of the thumbnails, relative to the page; empty if they are embedded.
    """
    scale = dataset.scale
    missing = len(rows) - len(thumbnails)
    sizes = [one.size if one else None for one in thumbnails] + [None] * missing
    columns: dict[str, Sequence[Any]] = {
        "name": [paths.name(row) for row in rows],
        "folder": [paths.source(row) for row in rows],
        "href": [address(paths.file(row), page) for row in rows],
        "problems": problems,
        "dimensions": sizes,
        **_derived(rows, scale),
    }
    if beside:
        columns["thumb"] = [one.source if one else None for one in thumbnails]
    table = {name: encode([dict(row)[name] for row in rows]) for name in SCHEMA.names}
    whole = {
        "count": len(rows),
        "low": scale.low,
        "high": scale.high,
        "lowerBetter": scale.lower_better,
        "digits": dataset.digits,
        "beside": beside,
        "table": table,
        "view": {name: encode(values) for name, values in columns.items()},
    }
    return as_json(whole)


def _derived(rows: Sequence[Row], scale: MosScale) -> dict[str, Sequence[Any]]:
    """What tables of an earlier version lack: percentile, word, ratings and reason."""
    if "word" in SCHEMA.names:
        return {}
    return {
        "percentile": percentiles(rows, scale),
        "word": [
            None if row["score"] is None else itu_level(scale.to_quality(row["score"]))
            for row in rows
        ],
        "reason": [row["worst_caption"] or row["reason"] for row in rows],
        **{name: [dict(row)[f"worst_{name}"] for row in rows] for name in IMAGE_RATINGS},
    }


def encode(values: Sequence[Any]) -> dict[str, Any]:
    """A column: one value for all rows, a list of texts with indices, a prefix, or as it is."""
    if values and all(value == values[0] for value in values):
        return {"all": _short(values[0])}
    texts = [value for value in values if isinstance(value, str)]
    if len(texts) == len(values):
        distinct = {text: at for at, text in enumerate(dict.fromkeys(texts))}
        if len(distinct) * LEAST_REPEATED <= len(texts):
            return {"of": list(distinct), "at": [distinct[text] for text in texts]}
        prefix = _common_prefix(texts)
        return {"prefix": prefix, "rest": [text[len(prefix) :] for text in texts]}
    return {"is": [_short(value) for value in values]}


def _common_prefix(texts: Sequence[str]) -> str:
    first, last = min(texts), max(texts)
    same = (at for at, (a, b) in enumerate(zip(first, last, strict=False)) if a != b)
    return first[: next(same, min(len(first), len(last)))]


def _short(value: Any) -> Any:
    """A number with seven digits, of which a page shows up to four."""
    if not isinstance(value, float):
        return value
    return float(f"{value:.7g}") if math.isfinite(value) else None  # JSON has no infinity


def as_json(value: Any) -> str:
    """JSON without <, so that nothing in it can end or begin an element."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"))
    return text.replace("<", "\\u003c")
