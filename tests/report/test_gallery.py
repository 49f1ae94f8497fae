"""Pictures with their regions, from the products of a pipeline."""

import shutil
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from rsfiqa.products import manifest, results
from rsfiqa.report import gallery
from rsfiqa.report.dataset import DataSet
from rsfiqa.scale import MosScale, itu_level
from tests.support.html_page import decode, rings
from tests.support.pipeline import CAPTION, HOSTILE

TINY = DataSet("tiny", 13, MosScale(1, 5))


DMOS = DataSet("dmos", 13, MosScale(0, 100, lower_better=True))


def predictions(root) -> pa.Table:
    table = results.read_predictions(root / "benchmark/tiny.tiny.full.parquet")
    return table.filter(pc.equal(table["split"], "split-00"))


def pictures(root, folder=None, dataset=TINY, count=4):
    return gallery.pictures(
        folder or root / "tiny",
        root / "train/tiny.full/split-00",
        dataset,
        predictions(root),
        count=count,
        size=10**6,
    )


@pytest.mark.parametrize("dataset", [TINY, DMOS])
def test_the_parts_of_a_prediction_add_up(pipeline, dataset):
    predicted = {row["image_id"]: row["predicted"] for row in predictions(pipeline).to_pylist()}
    found = pictures(pipeline, dataset=dataset)
    assert [picture.name for picture in found] == sorted(predicted, key=lambda i: -predicted[i])
    for picture in found:
        parts, tolerance = picture.explanation, 1e-5 * abs(dataset.scale.span)
        weight = [region.weight for region in parts.regions]
        score = [region.score for region in parts.regions]
        assert sum(weight) == pytest.approx(1, abs=1e-6)
        assert np.dot(weight, score) == pytest.approx(parts.predicted, abs=tolerance)
        costs = [region.cost for region in parts.regions]
        lost = abs(dataset.scale.best - parts.predicted)  # the toy predictions lie on the scale
        assert sum(costs) == pytest.approx(lost, abs=tolerance)
        assert [region.cost for region in parts.by_cost] == sorted(costs, reverse=True)
        expected = dataset.scale.to_mos(predicted[picture.name])
        assert parts.predicted == pytest.approx(expected, abs=tolerance)


def test_a_picture_says_what_is_known_of_it(pipeline):
    table, _ = manifest.read(pipeline / "tiny/manifest.parquet")
    rows = {row["image_id"]: row for row in table.to_pylist()}
    found = {picture.name: picture for picture in pictures(pipeline)}
    for image_id, picture in found.items():
        assert picture.mos == rows[image_id]["mos"]
        assert picture.mos_std == 0.5
        parts = picture.explanation
        assert parts.size == (64, 48)
        assert parts.attention.peak >= 1
        assert decode(picture.photo)[1].shape == (48, 64, 3)
        assert {decode(heat.uri)[0] for heat in parts.overlays.values()} == {"image/png"}
        assert list(parts.overlays) == ["cost", "attention"]
        assert [region.number for region in parts.regions] == list(range(len(parts.regions)))
        for region in parts.regions:
            assert rings(region.outline)
            assert [name for name, _ in region.ratings][-1] == "overall"
            assert all(1 <= value <= 5 for _, value in region.ratings)
            overall = min(max(region.score, 1), 5)  # MOS lie in [1, 5]
            assert dict(region.ratings)["overall"] == pytest.approx(overall)
            level = itu_level((region.score - 1) / 4)
            assert region.text.endswith(f". Overall {level}.")
            assert region.reason
    assert {region.content for region in found[HOSTILE].explanation.regions} == {CAPTION}


def test_no_more_pictures_than_wanted(pipeline):
    found = pictures(pipeline, count=2)
    assert [picture.roles[0] for picture in found] == ["best", "worst"]


def test_a_picture_whose_file_is_gone_is_shown_without(pipeline, tmp_path):
    folder = shutil.copytree(pipeline / "tiny", tmp_path / "tiny")
    table, provenance = manifest.read(folder / "manifest.parquet")
    paths = pa.array([str(tmp_path / "gone" / name) for name in table["image_id"].to_pylist()])
    table = table.set_column(table.schema.get_field_index("path"), "path", paths)
    manifest.write(folder / "manifest.parquet", table, provenance)
    found = pictures(pipeline, folder, count=2)
    before = pictures(pipeline, count=2)
    assert [(picture.photo, picture.missing) for picture in found] == [("", "no such file")] * 2
    assert all(picture.kinds[-1] == "failed" for picture in found)
    assert [replace(picture, missing="", photo="") for picture in found] == [
        replace(picture, photo="") for picture in before
    ]
