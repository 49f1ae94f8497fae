import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rsfiqa.datasets.registry import DATASETS
from rsfiqa.errors import InputError
from rsfiqa.prepare import stage as prepare
from rsfiqa.prepare.options import PrepareOptions
from rsfiqa.products import failures, manifest

TRAIN = """\
Image Name,MOS,,
ss03 (3753).jpg,0.8471,,
ss02 (1014).jpg,0.4357,,
ss01 (1726).jpg,0.2874,,
"""
TEST = """\
Image Name,MOS
ss03 (7805).jpg,1.0000
ss01 (151).jpg,0.1931
"""

read = DATASETS["biq2021"].load_reader()


def photograph(seed: int) -> np.ndarray:
    """Coarse noise, uint8 (64, 64, 3)."""
    return (
        np.random.default_rng(seed)
        .integers(0, 256, (16, 16, 3), np.uint8)
        .repeat(4, 0)
        .repeat(4, 1)
    )


@pytest.fixture
def root(tmp_path):
    """A tiny BIQ2021, in which one test image is a training image saved again."""
    root = tmp_path / "BIQ2021"
    (root / "Images").mkdir(parents=True)
    (root / "Train (Images and MOS).csv").write_text(TRAIN, "utf-8")
    (root / "Test (Images and MOS).csv").write_text(TEST, "utf-8")
    names = ("ss03 (3753).jpg", "ss02 (1014).JPG", "ss01 (1726).jpg", "ss03 (7805).jpg")
    for seed, name in enumerate(names):
        Image.fromarray(photograph(seed)).save(root / "Images" / name, quality=95)
    Image.fromarray(photograph(2)).save(root / "Images" / "ss01 (151).jpg", quality=60)
    return root


def run(root: Path, **options):
    """Prepare the set; rows by image_id, and the provenance."""
    out = root.parent / "out"
    options = PrepareOptions(layout="biq2021", root=str(root), **options)
    prepare.run(out, options, shard_size=1000, max_failed_fraction=0.0, seed=0)
    table, provenance = manifest.read(out / "manifest.parquet")
    return {row["image_id"]: row for row in table.to_pylist()}, provenance


def test_scores_and_official_split(root):
    found = {entry.image_id: (entry.mos, entry.subset) for entry in read(root)}
    assert found == {
        "ss03 (3753).jpg": (0.8471, "train"),
        "ss02 (1014).jpg": (0.4357, "train"),
        "ss01 (1726).jpg": (0.2874, "train"),
        "ss03 (7805).jpg": (1.0, "test"),
        "ss01 (151).jpg": (0.1931, "test"),
    }


def test_a_file_whose_name_differs_in_case_is_found(root):
    rows, _ = run(root)
    assert rows["ss02 (1014).jpg"]["path"] == str(root / "Images/ss02 (1014).JPG")
    assert failures.read(root.parent / "out/manifest.failures.parquet").num_rows == 0


def test_near_duplicates_are_one_group_and_not_tested_on(root):
    rows, provenance = run(root)
    assert {name: (row["group"], row["subset"]) for name, row in rows.items()} == {
        "ss01 (151).jpg": ("ss01 (151).jpg", "test_near_duplicate"),
        "ss01 (1726).jpg": ("ss01 (151).jpg", "train"),
        "ss02 (1014).jpg": ("ss02 (1014).jpg", "train"),
        "ss03 (3753).jpg": ("ss03 (3753).jpg", "train"),
        "ss03 (7805).jpg": ("ss03 (7805).jpg", "test"),
    }
    assert provenance.options["near_duplicates"] == "join"


def test_the_split_as_published_on_request(root):
    rows, provenance = run(root, near_duplicates="keep")
    assert [name for name, row in rows.items() if row["subset"] == "test"] == [
        "ss01 (151).jpg",
        "ss03 (7805).jpg",
    ]
    assert all(row["group"] == name for name, row in rows.items())
    assert "near_duplicates" not in provenance.options


def test_the_same_bytes_on_both_sides_of_the_split_are_not_tested_on(root):
    content = (root / "Images/ss01 (1726).jpg").read_bytes()
    (root / "Images/ss01 (151).jpg").write_bytes(content)
    rows, _ = run(root)
    assert rows["ss01 (151).jpg"]["subset"] == "test_near_duplicate"


@pytest.mark.parametrize("name", ["Train (Images and MOS).csv", "Test (Images and MOS).csv"])
def test_a_missing_table_is_an_error(root, name):
    (root / name).unlink()
    with pytest.raises(InputError, match=r"MOS\).csv: no such file; set root to the folder with"):
        read(root)


def test_an_image_in_both_tables_is_an_error(root):
    (root / "Test (Images and MOS).csv").write_text(TEST + "ss01 (1726).jpg,0.3\n", "utf-8")
    with pytest.raises(InputError, match=r"image ids must differ .*, found 'ss01 \(1726\).jpg'"):
        run(root)


def test_the_published_set(tmp_path):
    root = Path(os.environ.get("RSFIQA_DATA", "-"), "BIQ2021")
    if not root.is_dir():
        pytest.skip("RSFIQA_DATA names no folder with BIQ2021")
    options = PrepareOptions(layout="biq2021", root=str(root))
    prepare.run(tmp_path, options, shard_size=1000, max_failed_fraction=0, seed=0)
    table, _ = manifest.read(tmp_path / "manifest.parquet")
    subsets, counts = np.unique(table["subset"].to_pylist(), return_counts=True)
    assert dict(zip(subsets.tolist(), counts.tolist(), strict=True)) == {
        "test": 1879,
        "test_near_duplicate": 121,
        "train": 10000,
    }
    _, sizes = np.unique(table["group"].to_pylist(), return_counts=True)
    assert sizes.max() == 3  # no chain of flat images
