"""The examples of the documentation, run in its order, and what it has to keep up with."""

import re
import shlex
import subprocess
import sys
import tomllib
from importlib.metadata import version
from pathlib import Path

import numpy as np
import pytest
import yaml
from PIL import Image

import rsfiqa
from docs import first_output, links
from rsfiqa import checkpoints, cli
from rsfiqa.datasets import csv_table, demo
from rsfiqa.datasets.registry import DATASETS
from rsfiqa.images.distort import distort
from rsfiqa.images.flags import FLAGS
from rsfiqa.products import captions, region_scores, regions, scores
from rsfiqa.report.published import published
from rsfiqa.score.options import ScoreOptions
from rsfiqa.score.sources import load_source
from tests.support.pipeline import made

ROOT = Path(__file__).resolve().parents[1]
PAGES = [*ROOT.glob("*.md"), ROOT / "rsfiqa/packaged/MODEL_CARD.md", *(ROOT / "docs").rglob("*.md")]
# below; tables.md in tests/products/test_other_programs.py
EXECUTED = {
    "docs/export.md",
    "docs/pipeline.md",
    "docs/pipeline/distortions.md",
    "docs/tables.md",
    "docs/tutorial.md",
}
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


def test_python_of_every_page_is_run():
    runs = {"README.md", "docs/user-guide.md", *EXECUTED}
    found = {
        page.relative_to(ROOT).as_posix()
        for page in PAGES
        if "```python\n" in page.read_text("utf-8")
    }
    assert found == runs


def commands():
    """Every line of the documents that a person would type, up to a pipe, with its page."""
    for page in PAGES:
        text = page.read_text("utf-8").replace("\\\n", " ")
        for block in re.findall(r"^```(?:bash)?\n(.*?)^```", text, re.DOTALL | re.MULTILINE):
            for line in re.findall(r"(?:^|\| )(rsfiqa .*)", block, re.MULTILINE):
                words = shlex.split(line, comments=True)
                yield page.name, words[1 : words.index("|") if "|" in words else None]


@pytest.mark.parametrize(("page", "words"), [*commands()], ids=lambda part: " ".join(part)[:60])
def test_every_command_of_the_documents_is_understood(page, words):
    if "--help" in words:
        with pytest.raises(SystemExit, match=r"^0$"):
            cli.parse(words)
    else:
        cli.parse(words)


def test_every_make_target_of_the_documents_is_there():
    makefile = (ROOT / "Makefile").read_text("utf-8")
    for page in PAGES:
        for line in re.findall(
            r"^make ([a-z -]+?)(?: *#.*| [A-Z].*)?$", page.read_text("utf-8"), re.M
        ):
            for target in line.split():
                assert re.search(rf"^{target}:", makefile, re.M), f"{page.name}: make {target}"


def test_distortions_are_drawn_as_described():
    page = (ROOT / "docs/pipeline/distortions.md").read_text("utf-8")
    (block,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    names: dict = {}
    exec(block, names)
    assert names["blurred"].shape == names["bad"].shape == names["image"].shape
    assert (names["blurred"] != names["image"]).any()


def test_the_tutorial_is_executed_by_a_target():
    assert "docs/tutorial.md" in (ROOT / "Makefile").read_text("utf-8")


def test_an_exported_model_is_used_without_this_package(tmp_path, monkeypatch, capsys):
    """And the scorer is used by other libraries, as described."""
    for library in ("onnx", "onnxruntime", "torchmetrics", "datasets"):
        pytest.importorskip(library, reason="needs 'rsfiqa[onnx,adapters]'")
    page = (ROOT / "docs/export.md").read_text("utf-8")
    alone, *with_package = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    assert len(alone.splitlines()) <= 30
    assert "rsfiqa" not in alone.replace("rsfiqa-onnx", "")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "cache"))
    Image.fromarray(demo.photograph("skimage/data/chelsea.png")).save("photo.jpg")
    assert cli.main(["export", "-o", "rsfiqa-onnx"]) == 0
    capsys.readouterr()
    names: dict = {}
    exec(alone, names)
    shown = capsys.readouterr().out
    assert shown.endswith(" no distortion\n")  # it is a good photograph
    score = float(re.match(r"(\d+\.\d+)\n", shown)[1])
    own = rsfiqa.Scorer.load(device="cpu").score("photo.jpg").score
    assert score == pytest.approx(own, abs=5)  # by other regions
    blurred = distort(
        demo.photograph("skimage/data/chelsea.png"), "blur", 5, np.random.default_rng(0)
    )
    Image.fromarray(blurred).save("photo.jpg")
    exec(alone, names)
    assert capsys.readouterr().out.rpartition(" ")[2].strip() in {"defocus", "motion_blur"}
    assert cli.main(["export", "-o", "model-folder", "--format", "hub"]) == 0
    for block in with_package:
        exec(block, names)


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
    line = [sys.executable, "-m", "benchmarks", "summary", "--output", str(tmp_path)]
    subprocess.run(line, check=True, cwd=ROOT)
    for page in tmp_path.iterdir():
        assert (ROOT / "docs" / page.name).read_text("utf-8") == page.read_text("utf-8")
    assert sorted(page.name for page in tmp_path.iterdir()) == ["results.md", "targets.md"]


def test_every_column_and_flag_of_scores_is_described():
    text = (ROOT / "docs/tables.md").read_text("utf-8")
    for word in (*scores.SCHEMA.names, *region_scores.SCHEMA.names, *FLAGS):
        assert re.search(rf"\b{word}\b", text), word


def test_every_option_of_the_scorer_is_described():
    text = (ROOT / "docs/user-guide.md").read_text("utf-8")
    for name in ScoreOptions.model_fields:
        assert name in text or f"--{name.replace('_', '-')}" in text, name


def test_arrays_of_the_documentation_are_taken():
    text = (ROOT / "docs/user-guide.md").read_text("utf-8")
    arrays = re.search(r"a uint8 array(.*?) or a\s+tensor", text, re.DOTALL)[1]
    shapes = [
        (20, 30, *map(int, filter(None, [found])))
        for found in re.findall(r"\(H, W(?:, (\d))?\)", arrays)
    ]
    assert shapes == [(20, 30, 3), (20, 30), (20, 30, 4)]
    for shape in shapes:
        assert load_source(np.zeros(shape, np.uint8)).pixels.shape == (20, 30, 3)


def test_no_document_is_longer_than_300_lines():
    assert {page.name for page in PAGES if len(page.read_text("utf-8").splitlines()) > 300} == set()


def test_every_link_between_documents_leads_somewhere():
    for page in PAGES:
        for link in links.LINK.finditer(page.read_text("utf-8")):
            assert (page.parent / link["target"]).exists(), f"{page.name}: {link['target']}"


def test_every_document_that_a_configuration_names_is_there():
    files = [ROOT / "config.yaml", *ROOT.glob("config/*.yaml"), *ROOT.glob("profiles/*/*.yaml")]
    for file in files:
        for name in re.findall(r"docs/[\w/-]+\.md", file.read_text("utf-8")):
            assert (ROOT / name).is_file(), f"{file}: {name}"


def test_every_anchor_of_a_link_is_a_heading():
    for page in PAGES:
        for link in re.finditer(r"\]\((?!\w+:)([^)#\s]*)#([^)\s]+)\)", page.read_text("utf-8")):
            other = page.parent / link[1] if link[1] else page
            headings = re.findall(r"^#+ (.*)", other.read_text("utf-8"), re.MULTILINE)
            anchors = {re.sub(r"[^\w -]", "", text.lower()).replace(" ", "-") for text in headings}
            assert link[2] in anchors, f"{page.name}: {link[0]}"


README = """# Title
![A picture, and
its text](docs/a.png) A [link](docs/b.md#part), [one within](#title), [a site](https://example.org/).
"""


def test_links_are_absolute_where_the_repository_has_an_address():
    found = links.rewrite(README, "", links.absolute("https://example.org/rsfiqa"))
    assert "its text](https://example.org/rsfiqa/raw/HEAD/docs/a.png)" in found
    assert "[link](https://example.org/rsfiqa/blob/HEAD/docs/b.md#part)" in found
    assert "[one within](#title), [a site](https://example.org/)." in found


def test_links_are_text_where_it_has_none():
    found = links.rewrite(README, "", links.absolute(None))
    assert found == "# Title\n A link, [one within](#title), [a site](https://example.org/).\n"


def test_a_link_is_relative_to_its_document():
    outside = links.rewrite("[a](../../x.py)", "docs/pipeline", links.absolute("https://e.org"))
    assert outside == "[a](https://e.org/blob/HEAD/x.py)"


@pytest.mark.parametrize("url", [None, "https://example.org/rsfiqa"])
def test_the_description_on_pypi_has_no_relative_link(url):
    readme = (ROOT / "README.md").read_text("utf-8")
    assert links.LINK.search(readme)
    assert not links.LINK.search(links.rewrite(readme, "", links.absolute(url)))


def test_every_page_of_the_site_is_there():
    site = yaml.load((ROOT / "mkdocs.yml").read_text("utf-8"), yaml.SafeLoader)
    named = re.findall(r"[\w/-]+\.md", str(site["nav"]))
    hook = (ROOT / "docs/site.py").read_text("utf-8")
    for name in named:
        assert (ROOT / "docs" / name).exists() or f'"{name}"' in hook, name
    parts = {path.relative_to(ROOT / "docs").as_posix() for path in (ROOT / "docs").rglob("*.md")}
    assert {part for part in parts if not part.startswith("experiments/")} <= set(named)


def test_published_numbers_in_readme_are_those_of_the_table():
    readme = (ROOT / "README.md").read_text("utf-8")
    before, after = readme.split("official test part of BIQ2021")
    row = re.compile(r"^\| ([^\s,]+).* \(.*published\) \| (\S+) \| (\S+) \|$", re.MULTILINE)
    for text, name in ((before, "livec"), (after, "biq2021")):
        known = {one.method: one for one in published(name, name)}
        rows = row.findall(text.replace("*", ""))
        assert len(rows) >= 4
        for method, *values in rows:
            expected = (known[method].srcc, known[method].plcc)
            assert tuple(map(float, values)) == pytest.approx(expected, abs=6e-4), method


def test_the_best_of_each_column_in_readme_is_bold_whosever_it_is():
    readme = (ROOT / "README.md").read_text("utf-8")
    tables = re.findall(r"^\| method \| SRCC .*\n\|[-|]+\n((?:\|.*\n)+)", readme, re.MULTILINE)
    assert len(tables) == 2
    for rows in tables:
        for column in (2, 3):
            cells = [row.split("|")[column].strip() for row in rows.splitlines()]
            values = [float(re.sub(r"[*]|\[.*", "", cell)) for cell in cells]
            bold = [value for value, cell in zip(values, cells, strict=True) if cell[:2] == "**"]
            assert bold == [max(values)]


def test_the_first_lines_of_readme_say_how_to_begin():
    head = (ROOT / "README.md").read_text("utf-8").splitlines()[:20]
    for word in (
        "pip install rsfiqa",
        "rsfiqa score photos/",
        "](docs/worst-region.png)",
        "worst region:",
    ):
        assert any(word in line for line in head), word


def test_the_first_output_of_readme_is_what_the_command_prints():
    """Scores of the two libraries that run the backbone differ by 0.05 points."""
    found = first_output.BLOCK.search((ROOT / "README.md").read_text("utf-8"))
    shown, printed = (
        [line.split(maxsplit=1) for line in text.splitlines()[first:]]
        for text, first in ((found[0], 1), (first_output.output(), 0))
    )
    assert [texts for _, texts in shown] == [texts for _, texts in printed]
    for (score, _), (expected, _) in zip(printed, shown, strict=True):
        assert float(score) == pytest.approx(float(expected), abs=0.1)


def test_the_version_is_that_of_the_installation():
    assert rsfiqa.__version__ == version("rsfiqa")


def test_the_package_says_that_it_has_types():
    assert (ROOT / "rsfiqa/py.typed").is_file()
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))
    assert "Typing :: Typed" in project["project"]["classifiers"]
    assert "py.typed" in project["tool"]["setuptools"]["package-data"]["rsfiqa"]


def test_the_citation_names_the_paper_of_readme():
    cited = yaml.safe_load((ROOT / "CITATION.cff").read_text("utf-8"))
    (paper,) = cited["references"]
    readme = (ROOT / "README.md").read_text("utf-8")
    assert paper["url"] in readme
    assert " ".join(paper["title"].split()) in " ".join(readme.split())
    assert all(author["family-names"] in readme for author in paper["authors"])
