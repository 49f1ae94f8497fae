import os
from pathlib import Path

import pytest
from PIL import Image

from rsfiqa.datasets.registry import DATASETS
from rsfiqa.errors import InputError
from rsfiqa.prepare import stage as prepare
from rsfiqa.prepare.options import PrepareOptions
from rsfiqa.products import failures, manifest

read = DATASETS["agiqa3k"].load_reader()
TABLE = """\
name,prompt,adj1,adj2,style,mos_quality,std_quality,mos_align,std_align
AttnGAN_normal_000.jpg,statue of a man,,,,0.965602553,0.223270101,0.40889324,0.615607722
AttnGAN_normal_224.jpg,"lovers, warm color, close-up",warm color,close-up,,0.63,0.32,0.77,0.58
DALLE2_normal_000.jpg,statue of a man,,,,3.058757207,0.538696487,3.481534167,0.46101074
"""


@pytest.fixture
def root(tmp_path):
    """A tiny AGIQA-3K: data.csv and the images beside it."""
    root = tmp_path / "AGIQA-3K"
    root.mkdir()
    (root / "data.csv").write_text(TABLE, "utf-8")
    for shade, line in enumerate(TABLE.splitlines()[1:]):
        Image.new("RGB", (16, 16), (shade * 50, 0, 0)).save(root / line.split(",")[0])
    return root


def test_images_of_one_prompt_are_one_group(root):
    entries = read(root)
    assert [entry.mos for entry in entries] == [0.965602553, 0.63, 3.058757207]
    assert [entry.mos_std for entry in entries] == [0.223270101, 0.32, 0.538696487]
    assert [entry.group for entry in entries] == [
        "statue of a man",
        "lovers, warm color, close-up",
        "statue of a man",
    ]
    assert all(entry.path == root / entry.image_id for entry in entries)


def test_a_listed_image_that_is_missing_becomes_a_failure(root, tmp_path):
    (root / "DALLE2_normal_000.jpg").unlink()
    options = PrepareOptions(layout="agiqa3k", root=str(root))
    prepare.run(tmp_path / "out", options, shard_size=10, max_failed_fraction=0.5, seed=0)
    rows = failures.read(tmp_path / "out/manifest.failures.parquet").to_pylist()
    assert rows == [
        {"image": "DALLE2_normal_000.jpg", "stage": "prepare", "reason": "no such file"}
    ]
    assert manifest.read(tmp_path / "out/manifest.parquet")[0].num_rows == 2


def test_a_missing_folder_is_an_error(tmp_path):
    with pytest.raises(InputError, match=r"nowhere: no such folder; set root to the folder with"):
        read(tmp_path / "nowhere")


def test_a_missing_table_is_an_error(root):
    (root / "data.csv").unlink()
    with pytest.raises(InputError, match=r"data.csv: no such file; set root"):
        read(root)


def test_a_score_that_is_no_number_is_refused(root):
    (root / "data.csv").write_text(TABLE.replace("0.63,", "good,"), "utf-8")
    message = r"data.csv line 3: 'mos_quality' must be a number, found 'good'"
    with pytest.raises(InputError, match=message):
        read(root)


def test_the_published_set(tmp_path):
    root = Path(os.environ.get("RSFIQA_DATA", "-"), "AGIQA-3K")
    if not root.is_dir():
        pytest.skip("RSFIQA_DATA names no folder with AGIQA-3K")
    listed = len((root / "data.csv").read_text("utf-8").splitlines()) - 1
    options = PrepareOptions(layout="agiqa3k", root=str(root))
    prepare.run(tmp_path, options, shard_size=1000, max_failed_fraction=0, seed=0)
    table, _ = manifest.read(tmp_path / "manifest.parquet")
    mos = table["mos"].to_numpy()
    assert len(table) == listed  # 2,982 in the whole set
    assert mos.min() >= 0
    assert 4 < mos.max() <= 5
    assert set(table["width"].to_pylist()) <= {512, 1024}
