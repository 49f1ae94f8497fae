"""The page of a scored folder in a folder of its own."""

import re
import shutil

import pytest

from rsfiqa.errors import InputError
from rsfiqa.report import pages
from rsfiqa.report.dataset import DataSet
from rsfiqa.report.scored_pictures import Paths
from rsfiqa.scale import MosScale
from tests.support.browser import Noise, needs_chromium
from tests.support.html_page import Page
from tests.support.scored_folder import FAILED, NAMES, scored_folder, worst_first, write_page


@pytest.fixture(scope="module")
def scored(tmp_path_factory):
    return scored_folder(tmp_path_factory)


@pytest.fixture
def folder(scored, tmp_path):
    write_page(*scored, folder=tmp_path / "page", images=0)
    return tmp_path / "page"


def test_a_folder_holds_page_thumbnails_and_lists(folder):
    assert sorted(one.name for one in folder.iterdir()) == ["index.html", "pages", "thumbnails"]
    assert len(list(folder.glob("thumbnails/*/*.jpg"))) == len(NAMES)
    html = (folder / "index.html").read_text("utf-8")
    assert 'id="thumbs">[]<' in html
    listed = Page((folder / "pages/0001.html").read_text("utf-8"))
    assert [found["alt"] for found in listed.all("img")]
    for found in listed.all("img"):
        assert (folder / "pages" / found["src"]).resolve().is_file()
    assert FAILED in listed.texts


def test_lists_say_why_of_the_picture_and_of_its_worst_region(scored, folder):
    rows = worst_first(scored[0])
    texts = (folder / "pages/0001.html").read_text("utf-8")
    items = [Page(item).texts for item in re.findall(r"<li>.*?</li>", texts, re.DOTALL)]
    assert len(items) == len(rows)
    for item, row in zip(items, rows, strict=True):
        assert row["reason"] in item
        assert (f"Worst region: {row['worst_caption']}" in item) is (row["status"] == "ok")
        assert row["worst_caption"] not in item  # as if it were the picture's


def test_thumbnails_are_used_again_and_old_ones_removed(scored, folder):
    before = {path: path.stat().st_mtime_ns for path in folder.glob("thumbnails/*/*.jpg")}
    (folder / "thumbnails/00").mkdir(exist_ok=True)
    (folder / "thumbnails/00/0123456789abcdef.jpg").write_bytes(b"of a picture that is gone")
    (folder / "pages/0009.html").write_bytes(b"of a longer table")
    write_page(*scored, folder=folder, images=0)
    assert {p: p.stat().st_mtime_ns for p in folder.glob("thumbnails/*/*.jpg")} == before
    assert [path.name for path in folder.glob("pages/*")] == ["0001.html"]


def test_a_run_that_was_interrupted_is_continued(scored, folder):
    page = folder / "index.html"
    page.rename(folder / f".index.html.0123abcd-{2**22 + 1}.partial")  # of another host
    write_page(*scored, folder=folder, images=0)
    assert page.is_file()


@pytest.mark.parametrize("name", ["mine.txt", "index.html"])
def test_a_folder_of_something_else_is_left_alone(scored, tmp_path, name):
    (tmp_path / name).write_text("mine")
    with pytest.raises(InputError, match=rf"must be empty or hold an earlier page, found {name}; "):
        write_page(*scored, folder=tmp_path)
    assert [one.name for one in tmp_path.iterdir()] == [name]
    with pytest.raises(InputError, match=r"must be a folder, found a file; give another name"):
        write_page(*scored, folder=tmp_path / name)


def test_lists_lead_to_each_other(scored, tmp_path):
    rows = worst_first(scored[0])
    paths, dataset = Paths.of(rows, scored[0].parent), DataSet("tiny", None, MosScale(1, 5))
    small = [None] * len(rows)
    assert pages.write(tmp_path, rows, dataset, paths, small=small, title="t", length=4) == 3
    texts = [path.read_text("utf-8") for path in sorted(tmp_path.glob("pages/*.html"))]
    assert [re.findall(r'rel="(\w+)" href="(.*?)"', text) for text in texts] == [
        [("next", "0002.html")],
        [("prev", "0001.html"), ("next", "0003.html")],
        [("prev", "0002.html")],
    ]
    assert [re.findall(r'start="(\d+)"', text) for text in texts] == [["1"], ["5"], ["9"]]


@needs_chromium
def test_it_moves_with_its_pictures(browser, scored, tmp_path):
    table, trained = scored
    shutil.copytree(table.parent, tmp_path / "all")
    page_folder = tmp_path / "all/page"
    write_page(tmp_path / "all/s.parquet", trained, folder=page_folder, images=0)
    page = browser.new_page()
    noise = Noise(page)
    page.goto((page_folder / "index.html").as_uri())
    page.wait_for_load_state("networkidle")
    widths = page.locator("#list img").evaluate_all("(all) => all.map((one) => one.naturalWidth)")
    assert widths
    assert all(widths)
    page.goto((page_folder / "pages/0001.html").as_uri())
    page.wait_for_load_state("networkidle")
    assert page.locator("li").count() == len(worst_first(table))
    assert noise.messages == []
    page.close()
