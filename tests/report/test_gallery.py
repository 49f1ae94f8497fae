import base64
import io
import re
import shutil
from dataclasses import replace

import cv2
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest
from matplotlib.path import Path as Polygon
from PIL import Image

from rsfiqa.products import manifest, results
from rsfiqa.report import drawing, gallery
from rsfiqa.report.dataset import DataSet
from rsfiqa.report.drawing import heat_uri, outline, photo_uri
from rsfiqa.report.pictures import allocate, choose
from rsfiqa.scale import MosScale
from tests.support.pipeline import CAPTION, HOSTILE

TINY = DataSet("tiny", 13, MosScale(1, 5))
DMOS = DataSet("dmos", 13, MosScale(0, 100, lower_better=True))


def decode(uri: str) -> tuple[str, np.ndarray]:
    """Kind and pixels of a data URI."""
    kind, data = re.fullmatch(r"data:(image/\w+);base64,([A-Za-z0-9+/=]+)", uri).groups()
    image = Image.open(io.BytesIO(base64.b64decode(data)))
    return kind, np.asarray(image.convert("RGBA") if image.mode == "P" else image)


def rings(path: str) -> list[np.ndarray]:
    """The closed borders of SVG path data."""
    assert re.fullmatch(r"(M[\d. ]+(L[\d. ]+)+Z)*", path)
    found = [part.replace("M", "").split("L") for part in path.split("Z")[:-1]]
    return [np.array([[float(x) for x in point.split()] for point in ring]) for ring in found]


PREDICTED = np.array([0.1, 0.9, 0.5, 0.3, 0.7, 0.2, 0.45])
QUALITY = np.array([0.1, 0.9, 0.5, 0.3, 0.0, 0.7, 0.45])


def test_pictures_are_chosen_by_their_role():
    assert choose(PREDICTED, 8, QUALITY) == {
        1: ["best"],
        4: ["error", "best"],
        2: ["spaced"],
        6: ["spaced"],
        3: ["spaced"],
        5: ["worst", "error"],
        0: ["worst"],
    }
    assert list(choose(PREDICTED, 8, QUALITY)) == [1, 4, 2, 6, 3, 5, 0]
    # one place is left, and 0.5 is in the middle of 0.9 and 0.1
    assert choose(PREDICTED, 4, QUALITY) == {
        1: ["best"],
        4: ["error"],
        2: ["spaced"],
        0: ["worst"],
    }


def test_without_scores_there_is_no_error():
    assert choose(PREDICTED, 6) == {
        1: ["best"],
        4: ["best"],
        2: ["spaced"],
        3: ["spaced"],
        5: ["worst"],
        0: ["worst"],
    }


def test_a_picture_can_have_several_roles():
    found = choose(np.array([0.5, 0.9, 0.1]), 2, np.array([0.5, 0.0, 0.1]))
    assert found == {1: ["best", "error"], 2: ["worst"]}
    assert choose(np.array([0.5]), 3, np.array([0.5])) == {0: ["best", "worst", "error"]}


@pytest.mark.parametrize("count", range(10))
@pytest.mark.parametrize("predicted", [np.arange(6) / 5, np.full(6, 0.5), np.arange(6) % 2 / 1.0])
@pytest.mark.parametrize("quality", [None, np.linspace(0, 1, 6)[::-1]])
def test_no_more_are_chosen_than_wanted_and_none_twice(predicted, count, quality):
    found = choose(predicted, count, quality)
    assert len(found) == min(count, 6)
    assert (np.diff(predicted[list(found)]) <= 0).all()
    assert all(found.values())


@pytest.mark.parametrize(
    ("total", "names", "fractions"),
    [(7, "abc", [3, 2, 2]), (1, "ab", [1, 0]), (4, "ab", [2, 2]), (3, "", [])],
)
def test_pictures_are_shared_among_the_data_sets(total, names, fractions):
    assert allocate(total, list(names)) == dict(zip(names, fractions, strict=True))


def test_an_outline_runs_a_quarter_of_a_pixel_inside_the_edge():
    mask = np.zeros((9, 10), bool)
    mask[1:8, 2:9] = True
    assert outline(mask) == "M2.25 1.25L2.25 7.75L8.75 7.75L8.75 1.25Z"


def test_a_hole_is_cut_out_by_the_even_odd_rule():
    mask = np.zeros((20, 24), bool)
    mask[2:18, 3:21] = True
    mask[6:12, 8:16] = False
    outer, hole = rings(outline(mask))
    assert outer.tolist() == [[3.25, 2.25], [3.25, 17.75], [20.75, 17.75], [20.75, 2.25]]
    # a border may be off by a pixel
    np.testing.assert_allclose(hole.min(axis=0), [8, 6], atol=drawing.TOLERANCES[0])
    np.testing.assert_allclose(hole.max(axis=0), [16, 12], atol=drawing.TOLERANCES[0])
    rows, columns = np.indices(mask.shape) + 0.5
    centres = np.column_stack([columns.ravel(), rows.ravel()])
    filled = Polygon(outer).contains_points(centres) ^ Polygon(hole).contains_points(centres)
    differ = filled.reshape(mask.shape) != mask
    edge = np.zeros_like(mask)  # all within a pixel of the hole's border
    edge[5:13, 7:17] = True
    edge[7:11, 9:15] = False
    assert not differ[~edge].any()
    assert differ.sum() < 10


def test_ragged_regions_have_fewer_corners(noise):
    labels = cv2.resize(noise[..., 0] % 12, (512, 384), interpolation=cv2.INTER_CUBIC) % 12
    found = drawing.outlines(labels)
    assert len(found) == 12
    assert found == [outline(labels == r, drawing.TOLERANCES[-1]) for r in range(12)]
    smooth = np.zeros((384, 512), int)
    smooth[100:200, 100:200] = 1
    assert drawing.outlines(smooth) == [outline(smooth == r) for r in range(2)]


def test_every_part_of_a_region_has_an_outline():
    mask = np.zeros((8, 20), bool)
    mask[2:6, 2:6] = mask[2:6, 10:14] = True
    assert sorted(ring[:, 0].min() for ring in rings(outline(mask))) == [2.25, 10.25]
    assert outline(np.zeros((8, 8), bool)) == ""


def test_a_line_of_pixels_has_an_outline():
    mask = np.zeros((8, 20), bool)
    mask[3, 2:18] = True
    (ring,) = rings(outline(mask))
    assert ring[:, 0].min() == 2.25
    assert ring[:, 0].max() == 17.75


def test_a_photo_is_as_large_and_good_as_its_budget_allows():
    image = np.random.default_rng(0).integers(0, 256, (900, 1200, 3)).astype(np.uint8)
    budget, sizes, widths = 10**7, [], []
    for _ in range(len(drawing.PHOTO_SETTINGS) + 1):
        uri = photo_uri(image, budget)
        sizes.append(len(uri) - len("data:image/jpeg;base64,"))
        widths.append(decode(uri)[1].shape[1])
        assert sizes[-1] <= budget + 2 or len(sizes) > len(
            drawing.PHOTO_SETTINGS
        )  # base64 is padded
        budget = sizes[-1] - 4
    # one after the other, and the smallest of all whatever the budget
    assert widths == [640, 640, 640, 640, 448, 320, 224, 224]
    assert sizes == sorted(sizes, reverse=True)
    assert len(set(sizes)) == len(drawing.PHOTO_SETTINGS)


def test_a_photo_keeps_its_colors_and_shape():
    image = np.zeros((300, 900, 3), np.uint8)
    image[:, :450, 0] = 255  # red on the left, blue on the right
    image[:, 450:, 2] = 255
    kind, found = decode(photo_uri(image, 10**6))
    assert (kind, found.shape) == ("image/jpeg", (213, 640, 3))
    np.testing.assert_allclose(found[100, 150], [255, 0, 0], atol=8)
    np.testing.assert_allclose(found[100, 500], [0, 0, 255], atol=8)


def test_a_heat_map_is_bright_and_opaque_where_one_looks():
    attention = np.zeros((8, 8))
    attention[1, 6] = 3
    kind, found = decode(heat_uri(attention))
    assert (kind, found.shape) == ("image/png", (96, 96, 4))
    assert len(heat_uri(np.random.default_rng(0).random((8, 8)))) < 15_000
    light = found[..., :3].sum(axis=2)
    row, column = np.unravel_index(np.argmax(light), light.shape)
    assert (row // 12, column // 12) == (1, 6)
    assert found[..., 3].max() == pytest.approx(0.85 * 255, abs=2)
    assert found[90, 5].tolist() == [0, 0, 4, round(0.45 * 255)]  # where magma begins


def test_no_attention_at_all_is_drawn():
    assert decode(heat_uri(np.zeros((4, 4))))[1].shape == (96, 96, 4)


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
        total = np.dot(weight, score) + parts.global_term
        assert total == pytest.approx(parts.predicted, abs=tolerance)
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
        assert parts.peak >= 1
        assert decode(picture.photo)[1].shape == (48, 64, 3)
        assert decode(parts.heat)[0] == "image/png"
        assert [region.number for region in parts.regions] == list(range(len(parts.regions)))
        for region in parts.regions:
            assert rings(region.outline)
            assert [name for name, _ in region.ratings][-1] == "overall"
            assert all(1 <= value <= 5 for _, value in region.ratings)
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
