"""What a page says of all pictures of a run, of which it keeps few rows."""

import numpy as np
import pytest

from rsfiqa.products.scores import SCHEMA, Row
from rsfiqa.report.dataset import DataSet
from rsfiqa.report.overview import Overview
from rsfiqa.scale import MosScale


def row(path: str, score: float | None, *flags: str) -> Row:
    found = dict.fromkeys(SCHEMA.names) | {"path": path, "location": f"/photos/{path}"}
    status = "failed" if score is None else "ok"
    return found | {"score": score, "status": status, "flags": list(flags)}  # type: ignore[return-value]


ROWS = [
    row("a/1.jpg", 40.0, "tiny"),
    row("a/2.jpg", 60.0, "tiny", "border"),
    row("b/3.jpg", None),
    row("a/4.jpg", 120.0),
    row("b/5.jpg", 20.0),
    row("b/6.jpg", 20.0, "border"),
    row("7.jpg", None),
]


def overview(*, lower: bool = False, most: int = 100) -> Overview:
    scale = MosScale(0, 100, lower_better=lower)
    return Overview.of(ROWS, DataSet("set", None, scale), most)


@pytest.mark.parametrize("most", [1, 2, 3, 100])
def test_figures_are_of_all_pictures_however_many_are_kept(most):
    found = overview(most=most)
    assert sorted(found.values) == [20, 20, 40, 60, 100]
    assert (found.total, found.failures, found.base) == (7, 2, "/photos")
    assert found.count_problems() == [("border", 2), ("failed", 2), ("tiny", 2)]
    names = ["b/5.jpg", "b/6.jpg", "a/1.jpg", "a/2.jpg", "a/4.jpg"]
    assert [row["path"] for row in found.ok] == names[:most]
    assert len(found.failed) == min(most, 2)


def test_folders_from_worst_to_best_median():
    b, a, top = overview().folders()
    assert (b.name, b.pictures, b.failed, b.worst, b.median, b.best) == ("b", 3, 1, 20, 20, 20)
    assert (a.name, a.pictures, a.failed, a.worst, a.median, a.best) == ("a", 3, 0, 40, 60, 100)
    assert (top.name, top.pictures, top.failed, top.median) == ("photos", 1, 1, None)


def test_a_lower_score_may_be_better():
    found = overview(lower=True, most=2)
    assert [row["path"] for row in found.ok] == ["a/4.jpg", "a/2.jpg"]
    assert [folder.name for folder in found.folders()] == ["a", "b", "photos"]
    assert found.folders()[0].worst == np.max(found.values)
