import csv
import json
import os
from pathlib import Path

import pytest

from rsfiqa.datasets.registry import DATASETS
from rsfiqa.errors import InputError
from rsfiqa.prepare import stage as prepare
from rsfiqa.prepare.options import PrepareOptions
from rsfiqa.products import manifest, statements

read = DATASETS["mmp2k"].load_reader()
RATINGS = [50, 75, 75, 50, 25, 100, 50, 50, 75, 50, 75, 50, 50, 75, 50, 50, 50]
MILD = {"magnitude": "mild", "factor": "underexposure", "position": "entire image"}
STRONG = {"magnitude": "strong", "factor": "out of focus", "position": "center right"}
MEDIUM = {"magnitude": "medium", "factor": "noise and artifact", "position": "top left"}


def write_table(root: Path, annotations: dict[str, str]) -> None:
    """Write MMP-2k.csv with the same ratings for each image."""
    columns = ["file_name", *map(str, range(1, 18)), "MOS", "distortion annotation"]
    with (root / "MMP-2k.csv").open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow([*columns, "quality report"])
        for name, text in annotations.items():
            writer.writerow([f"images/{name}", *RATINGS, 58.82, text, "The image is fair."])


@pytest.fixture
def root(tmp_path, pictures):
    """A tiny MMP-2k of three images; one has two statements, one none."""
    root = tmp_path / "MMP-2k"
    pictures(root / "image_1024", "2.jpg", "4.jpg", "10.jpg")
    annotations = {"2.jpg": [STRONG, MEDIUM], "4.jpg": [MILD], "10.jpg": []}
    write_table(root, {name: json.dumps(found) for name, found in annotations.items()})
    return root


def test_scores_and_deviations(root):
    entries = {entry.image_id: entry for entry in read(root)}
    assert set(entries) == {"2.jpg", "4.jpg", "10.jpg"}
    assert entries["4.jpg"].path == root / "image_1024/4.jpg"
    assert entries["4.jpg"].mos == 58.82
    assert entries["4.jpg"].mos_std == pytest.approx(17.5472, abs=1e-4)  # of a sample
    assert entries["4.jpg"].group == "4.jpg"


def test_statements_become_a_product_beside_the_manifest(root, prepared, tmp_path):
    prepared("mmp2k", root)
    table, provenance = statements.read(tmp_path / "prepared/statements.parquet")
    assert [tuple(row.values()) for row in table.to_pylist()] == [
        ("2.jpg", "defocus", 5, "center right"),
        ("2.jpg", "noise_or_artifact", 3, "top left"),
        ("4.jpg", "underexposure", 1, "entire image"),
    ]
    assert provenance.options == {"layout": "mmp2k"}
    assert set(provenance.inputs) == {"manifest"}


def test_statements_about_an_image_that_cannot_be_used_are_left_out(root, prepared, tmp_path):
    (root / "image_1024/2.jpg").unlink()
    prepared("mmp2k", root, fraction=0.5)
    table, _ = statements.read(tmp_path / "prepared/statements.parquet")
    assert table["image_id"].to_pylist() == ["4.jpg"]


def test_statements_of_an_earlier_data_set_are_removed(root, prepared, tmp_path):
    prepared("mmp2k", root)
    prepared("folder", root / "image_1024")
    assert not (tmp_path / "prepared/statements.parquet").exists()


def test_an_empty_cell_is_an_image_with_which_nothing_is_wrong(root):
    write_table(root, {"2.jpg": ""})
    assert [entry.statements for entry in read(root)] == [()]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", r"must be a JSON list of objects with the texts factor, magnitude, position, found"),
        ("[3]", r"must be a JSON list of objects"),
        ('[{"factor": "underexposure"}]', r"must be a JSON list of objects"),
        (json.dumps([MILD | {"magnitude": 3}]), r"must be a JSON list of objects"),
        (json.dumps([MILD | {"factor": "ugly"}]), r"factor must be one of defocus, .*found 'ugly'"),
        (json.dumps([MILD | {"magnitude": "6"}]), r"magnitude must be one of mild, .*found '6'"),
        (
            json.dumps([MILD | {"position": "top bottom"}]),
            r"position must be one of .*'top bottom'",
        ),
    ],
)
def test_an_annotation_that_cannot_be_read_is_refused_in_one_line(root, text, message):
    write_table(root, {"2.jpg": text})
    with pytest.raises(InputError, match=r"MMP-2k.csv line 2: .*" + message) as caught:
        read(root)
    assert "\n" not in str(caught.value)


def test_a_missing_folder_of_images_is_an_error(root):
    (root / "image_1024").rename(root / "pictures")
    with pytest.raises(InputError, match=r"image_1024: no such folder; unpack the images there"):
        read(root)


def test_the_published_set(tmp_path):
    root = Path(os.environ.get("RSFIQA_DATA", "-"), "MMP-2k")
    if not root.is_dir():
        pytest.skip("RSFIQA_DATA names no folder with MMP-2k")
    entries = read(root)
    options = PrepareOptions(layout="mmp2k", root=str(root))
    prepare.run(tmp_path, options, shard_size=1000, max_failed_fraction=0, seed=0)
    table, _ = manifest.read(tmp_path / "manifest.parquet")
    found, _ = statements.read(tmp_path / "statements.parquet")
    assert len(table) == len(entries)  # 2,000 in the whole set
    assert len(found) == sum(len(entry.statements) for entry in entries)
    assert set(found["factor"].to_pylist()) == set(statements.FACTORS)
    assert set(found["position"].to_pylist()) <= set(statements.POSITIONS)
    assert table["mos_std"].null_count == 0
