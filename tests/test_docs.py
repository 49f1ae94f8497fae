"""The examples of the documentation, run in its order, and what it has to keep up with."""

import re
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rsfiqa import checkpoints
from rsfiqa.datasets import csv_table
from rsfiqa.datasets.registry import DATASETS
from rsfiqa.images.flags import FLAGS
from rsfiqa.products import captions, region_scores, regions, scores
from rsfiqa.score.options import ScoreOptions
from tests.support.pipeline import made

ROOT = Path(__file__).resolve().parents[1]
SHARDS = ("00000", "00001")  # of the data set tiny


@pytest.fixture
def place(tmp_path_factory, tmp_path, monkeypatch):
    """A folder with photo.jpg, where the package has a checkpoint."""
    folder = made(tmp_path_factory) / "train/tiny.full/split-00"
    monkeypatch.setattr(checkpoints, "PACKAGED", folder)
    monkeypatch.chdir(tmp_path)
    pixels = np.random.default_rng(0).integers(0, 256, (60, 80, 3)).astype(np.uint8)
    Image.fromarray(pixels).save("photo.jpg")


@pytest.mark.parametrize("page", ["README.md", "docs/user-guide.md"])
def test_python_runs_as_it_stands(place, page, capsys):
    blocks = re.findall(r"```python\n(.*?)```", (ROOT / page).read_text("utf-8"), re.DOTALL)
    assert blocks
    names: dict = {}
    for block in blocks:
        exec(block, names)
    assert re.match(r"\d\.\d+\n", capsys.readouterr().out)  # of the first example


def test_products_are_read_by_other_libraries_as_described(tmp_path_factory):
    page = (ROOT / "docs/pipeline.md").read_text("utf-8")
    (block,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    root = made(tmp_path_factory)
    read: dict = {}
    exec(block.replace("results/mine", str(root / "tiny")), read)
    own = regions.Reader(root / "tiny/segment/00000.h5")
    image = own[own.image_ids[0]]
    assert list(read["image_ids"]) == own.image_ids
    np.testing.assert_array_equal(read["labels"], image.labels)
    np.testing.assert_array_equal(read["regions"]["area"], image.table["area"])
    shards = [captions.read(root / f"tiny/caption/{shard}.parquet")[0] for shard in SHARDS]
    assert len(read["captions"]) == sum(map(len, shards))


def test_every_layout_is_described():
    for page in ("README.md", "docs/pipeline.md"):
        text = (ROOT / page).read_text("utf-8")
        for layout in DATASETS:
            assert re.search(rf"^\| .*\b{layout}\b", text, re.MULTILINE), layout


def test_the_table_of_the_documentation_is_read(tmp_path):
    text = (ROOT / "docs/pipeline.md").read_text("utf-8")
    table = re.search(r"```\n(path,mos,.*?)```", text, re.DOTALL)[1]
    (tmp_path / "scores.csv").write_text(table, "utf-8")
    entries = csv_table.read(tmp_path / "scores.csv")
    assert [entry.image_id for entry in entries] == [
        "beach/001.jpg",
        "beach/002.jpg",
        "night, city.png",
    ]
    assert [entry.subset for entry in entries] == ["train", "train", "test"]


def test_results_are_what_their_figures_say(tmp_path):
    page = tmp_path / "results.md"
    line = [sys.executable, "-m", "benchmarks", "summary", "--output", str(page)]
    subprocess.run(line, check=True, cwd=ROOT)
    assert (ROOT / "docs/results.md").read_text("utf-8") == page.read_text("utf-8")


def test_every_column_and_flag_of_scores_is_described():
    text = (ROOT / "docs/tables.md").read_text("utf-8")
    for word in (*scores.SCHEMA.names, *region_scores.SCHEMA.names, *FLAGS):
        assert re.search(rf"\b{word}\b", text), word


def test_every_option_of_the_scorer_is_described():
    text = (ROOT / "docs/user-guide.md").read_text("utf-8")
    for name in ScoreOptions.model_fields:
        assert name in text or f"--{name.replace('_', '-')}" in text, name


def test_no_document_is_longer_than_300_lines():
    pages = [ROOT / "README.md", *(ROOT / "docs").rglob("*.md")]
    assert {page.name for page in pages if len(page.read_text("utf-8").splitlines()) > 300} == set()


def test_every_link_between_documents_leads_somewhere():
    for page in (ROOT / "README.md", ROOT / "SECURITY.md", *(ROOT / "docs").rglob("*.md")):
        for target in re.findall(
            r"\]\((?!https?://|#)([^)#]+)(?:#[^)]*)?\)", page.read_text("utf-8")
        ):
            assert (page.parent / target).exists(), f"{page.name}: {target}"
