import re
from xml.etree import ElementTree

import numpy as np
import pyarrow as pa
import pytest

from rsfiqa.products import results
from rsfiqa.products.results import ResultRow
from rsfiqa.report import plots
from rsfiqa.report.dataset import DataSet
from rsfiqa.report.tables import DatasetPair
from rsfiqa.scale import MosScale

SVG = "{http://www.w3.org/2000/svg}"
MOS = DataSet("a", 10, MosScale(1, 5))
DMOS = DataSet("b", 10, MosScale(0, 100, lower_better=True))
PAIR = DatasetPair(MOS, DMOS, [], [], {})


def table(count: int = 10, split: str = "all-00", **changes) -> pa.Table:
    x, quality = np.linspace(0.25, 1, count), np.linspace(0.5, 1, count)
    columns = {"image_id": [f"{i}" for i in range(count)], "split": [split] * count}
    columns |= {"mos": DMOS.scale.to_mos(quality), "quality": quality, "predicted": x}
    return pa.table(columns | changes, schema=results.PREDICTIONS)


def row(split: str, srcc: float) -> ResultRow:
    """Results on 10 images; PLCC is half of SRCC."""
    metrics = {"srcc": srcc, "krcc": srcc, "plcc_raw": srcc, "plcc": srcc / 2, "rmse": 1.0, "n": 10}
    return ResultRow("a", "b", split, "full", **metrics)


def parse(svg: str) -> ElementTree.Element:
    return ElementTree.fromstring(svg)


def numbers(tree: ElementTree.Element, axis: int, name: str = "a-b") -> list[float]:
    """The labels of the ticks of an axis, 1 for x, 2 for y."""
    (group,) = tree.iterfind(f".//{SVG}g[@id='{name}-matplotlib.axis_{axis}']")
    texts = [text.text.replace("\N{MINUS SIGN}", "-") for text in group.iter(f"{SVG}text")]
    return [float(text) for text in texts if re.fullmatch(r"-?[\d.]+", text)]


@pytest.mark.parametrize(
    ("srcc", "expected"),
    [([0.1, 0.9, 0.5], 2), ([0, 1, 0.25, 0.75], 2), ([0.5, 0.5], 0), ([0.25], 0)],
)
def test_the_median_split_is_the_first_nearest_to_the_median(srcc, expected):
    rows = [row(f"split-{i:02d}", value) for i, value in enumerate(srcc)]
    assert plots.median_split(rows) is rows[expected]


def test_the_median_split_is_drawn(tmp_path, provenance):
    rows = [row(f"all-{i:02d}", srcc) for i, srcc in enumerate((0.25, 1.0, 0.5))]
    tables = [table(split=one.split, predicted=np.arange(10.0) + i) for i, one in enumerate(rows)]
    path = tmp_path / "a.b.full.parquet"
    merged = pa.concat_tables(tables)
    results.write(path, [], merged, provenance("results"))
    found = plots.scatter(PAIR, rows, path)
    assert (found.title, found.split, found.n) == ("a → b", "all-02", 10)
    assert (found.srcc, found.plcc) == (0.5, 0.25)
    assert found.svg == plots.draw(PAIR, tables[2])


def test_each_axis_is_in_the_units_of_its_data_set():
    tree = parse(plots.draw(PAIR, table()))
    x, y = numbers(tree, 1), numbers(tree, 2)
    assert (min(x), max(x)) == (2, 5)  # from 1 + 4 * 0.25 to 5
    assert (min(y), max(y)) == (0, 50)  # 100 - 100 * 0.5, and 0 for the best
    texts = [text.text for text in tree.iter(f"{SVG}text")]
    assert "predicted, on the MOS scale of a" in texts
    assert "MOS of b" in texts


def test_predictions_beyond_the_scale_are_drawn_at_its_end(tmp_path, provenance):
    beyond = table(predicted=np.linspace(-0.5, 1.5, 10))
    x = numbers(parse(plots.draw(PAIR, beyond)), 1)
    assert (min(x), max(x)) == (1, 5)
    path = tmp_path / "a.a.full.parquet"
    results.write(path, [], beyond, provenance("results"))
    found = plots.calibrate(MOS, [row("all-00", 0.5)], path)
    # clipped, the predictions are symmetric to 0.5; the qualities have a mean of 0.75
    assert found.bias == pytest.approx(4 * (0.5 - 0.75))


def test_a_plot_follows_the_page_and_meets_no_other():
    svg = plots.draw(PAIR, table())
    assert svg == plots.draw(PAIR, table())
    assert plots.INK not in svg
    assert "currentColor" in svg
    tree = parse(svg)
    ids = [element.get("id") for element in tree.iter() if element.get("id")]
    assert len(set(ids)) == len(ids)
    assert all(name.startswith("a-b-") for name in ids)
    targets = re.findall(r'(?:href="|url\()([^")]*)', svg)
    assert targets
    assert {target.removeprefix("#") for target in targets} <= set(ids)


@pytest.mark.parametrize(("count", "bitmaps"), [(plots.MAX_DOTS, 0), (plots.MAX_DOTS + 1, 1)])
def test_many_dots_become_one_bitmap(count, bitmaps):
    svg = plots.draw(PAIR, table(count))
    found = re.findall(r'href="(data:image/png;base64,)', svg)
    assert len(found) == bitmaps
    assert len(list(parse(svg).iter(f"{SVG}use"))) > count or bitmaps


@pytest.mark.parametrize(
    "changes", [{"predicted": np.full(10, 0.5)}, {"quality": np.full(10, 0.5)}]
)
def test_what_does_not_vary_is_drawn_too(changes):
    parse(plots.draw(PAIR, table(**changes)))


def test_fewer_dots_can_be_too_many():
    assert "data:image/png" in plots.draw(PAIR, table(10), max_dots=9)
    assert "data:image/png" not in plots.draw(PAIR, table(10), max_dots=10)


def test_calibration_by_hand(tmp_path, provenance):
    path = tmp_path / "b.b.full.parquet"
    # predicted a tenth too good everywhere, which is 10 points too low on a scale turned round
    columns = {"quality": np.linspace(0.1, 0.8, 10), "predicted": np.linspace(0.2, 0.9, 10)}
    results.write(path, [], table(**columns), provenance("results"))
    found = plots.calibrate(DMOS, [row("all-00", 0.5)], path)
    assert (found.title, found.split, found.n, found.bins) == ("b", "all-00", 10, 2)
    assert (found.error, found.bias) == (pytest.approx(10), pytest.approx(-10))
    tree = parse(found.svg)
    texts = [text.text for text in tree.iter(f"{SVG}text")]
    assert "mean predicted MOS" in texts
    assert "mean MOS of b" in texts


def test_learning_curves_of_all_variants():
    losses = {"RSFIQA": [[3.0, 2.0], [2.0, 1.0, 0.5]], "probe": [[1.0]]}
    found = plots.curves(MOS, losses)
    tree = parse(found.svg)
    texts = [text.text for text in tree.iter(f"{SVG}text")]
    assert found.title == "a"
    assert {"RSFIQA", "probe", "epoch", "training loss"} <= set(texts)
    # as far as all checkpoints go: two epochs
    assert max(numbers(tree, 1, "curves-a")) == 2


def test_a_histogram_counts_every_picture():
    tree = parse(plots.histogram(np.array([1.0, 1, 1, 5]), MOS))
    assert max(numbers(tree, 2, "histogram")) == 3
    texts = [text.text for text in tree.iter(f"{SVG}text")]
    assert "predicted MOS (1 to 5, higher is better)" in texts
    parse(plots.histogram(np.array([2.0]), MOS))  # what does not vary is drawn too
