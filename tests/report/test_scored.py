"""The page of a scored folder: what it shows, and what it says where something is missing."""

import json
import math
import os
import re
import shutil
from pathlib import Path
from urllib.parse import quote

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from rsfiqa.errors import InputError
from rsfiqa.io.parquet import write_table
from rsfiqa.io.provenance import Provenance
from rsfiqa.products import region_scores, score_tables
from rsfiqa.products.scores import SCHEMA, VERSION
from rsfiqa.report import scored
from rsfiqa.score.inside import GivenBox
from rsfiqa.score.scorer import Scorer
from tests.support.html_page import Page, cells, section
from tests.support.pipeline import HOSTILE
from tests.support.scored_folder import scored_folder, write_page

NAMES = ["a/0.png", "a/1.png", "b/2.png", f"b/{HOSTILE}".replace("/script", "script")]


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """The scores of four pictures, and of a file that is none, in two folders; checkpoints."""
    return scored_folder(tmp_path_factory, NAMES, step=30)


@pytest.fixture(scope="module")
def table(folder):
    return folder[0]


@pytest.fixture(scope="module")
def trained(folder):
    return folder[1]


def run(scores, trained, **changes) -> str:
    write_page(scores, trained, **{"title": "A <b>"} | changes)
    return (changes.get("output") or scores.with_suffix(".html")).read_text("utf-8")


def changed(table: Path, output: Path, /, **columns) -> Path:
    """A copy of a table of scores with other values in the rows that were scored."""
    rows = [
        row | ({key: value(row) for key, value in columns.items()} if row["status"] == "ok" else {})
        for row in scored.read(table)
    ]
    return written(output, rows)


def written(path: Path, rows: list[dict], product: str = "scores", schema=SCHEMA) -> Path:
    content = pa.Table.from_pylist(rows, schema=schema)
    write_table(path, content, Provenance(product, VERSION, "score", VERSION))
    return path


@pytest.fixture(scope="module")
def html(table, trained):
    return run(table, trained)


def test_a_scored_folder_makes_a_page(table, trained, html):
    text = scored.run(
        table,
        output=None,
        checkpoint=None,
        trained=trained,
        images=3,
        title="A <b>",
        load_scorer=Scorer,
    )
    rows = [row for row in scored.read(table) if row["status"] == "ok"]
    median = np.median([row["score"] for row in rows])
    assert text.splitlines() == [
        f"4 of 5 pictures scored, median {median:.3f} (1 to 5, higher is better)",
        f"Report: {table.with_suffix('.html')}",
    ]
    links = [found["href"] for found in Page(html).all("a")]
    sections = ["pictures", "folders", "failures", "run-record"]
    worst = [quote(row["location"]) for row in sorted(rows, key=lambda row: row["score"])]
    files = [link for link in links if not link.startswith("#")]
    assert links[:5] == ["#content", *(f"#{name}" for name in sections)]
    assert files[3:] == [path.removeprefix(f"{quote(str(table.parent))}/") for path in worst]


def test_the_worst_comes_first(table, html):
    rows = sorted(
        (row for row in scored.read(table) if row["status"] == "ok"), key=lambda row: row["score"]
    )
    listed = cells(section(html, "worst-pictures"))[1:]
    assert [row[0] for row in listed] == [f"{row['score']:.3f}" for row in rows]
    lowest, *between, highest = (row["score"] for row in rows)
    spread = min(between, key=lambda value: abs(value - (lowest + highest) / 2))
    shown = re.findall(r"predicted <b>([\d.]+)</b>", html)
    assert shown == [f"{value:.3f}" for value in (lowest, spread, highest)]


def test_regions_and_attention_are_those_of_the_scorer(table, trained, html):
    row = min(
        (row for row in scored.read(table) if row["status"] == "ok"), key=lambda row: row["score"]
    )
    found = Scorer(trained / "tiny.full/split-00").score(Path(row["path"]))
    article = re.search(r"<article.*?</article>", html, re.DOTALL)[0]
    _, *regions, total = cells(article)
    ordered = sorted(found.regions, key=lambda region: -region.cost)
    assert [cell[1] for cell in regions] == [region.text for region in ordered]
    assert [cell[2] for cell in regions] == [f"{region.cost:.3f}" for region in ordered]
    assert [cell[3] for cell in regions] == [f"{region.score:.3f}" for region in ordered]
    assert [cell[4] for cell in regions] == [f"{100 * r.weight:.1f}" for r in ordered]
    assert total[2:] == [f"{5 - found.score:.3f}", f"{found.score:.3f}", "100.0"]
    peak = float(found.attention.max() * found.attention.size)
    assert f"{peak:.1f} × uniform" in article
    cells_of_grid = found.cost_grid.size
    highest = max(float(found.cost_grid.max()), 4 * 4 / cells_of_grid)
    assert f"{highest:.3f} points per 1/{cells_of_grid} of the picture" in article


def test_the_viewer_says_why_as_the_captions_do(table, html, tmp_path):
    """Also where no distortion is named; of a box alone nothing is known but its caption."""
    pattern = re.compile(r"<b>Region \d+(?:, the worst)?: (.*?)</b>")
    for article in re.findall(r"<article.*?</article>", html, re.DOTALL):
        texts = [row[1] for row in cells(article)[1:-1]]
        reasons = pattern.findall(article)
        assert len(reasons) == len(texts)
        for reason in reasons:
            assert reason
            assert any(f" {reason}. Overall " in text for text in texts)
    boxes = run(table, tmp_path, output=tmp_path / "boxes.html")
    worst = min(scored.read(table), key=lambda row: row["score"] or 9)
    assert pattern.findall(boxes)[0] == worst["worst_caption"]


def test_folders_and_failures(table, html):
    scores = {Path(row["path"]).parent.name: [] for row in scored.read(table)}
    for row in scored.read(table):
        if row["status"] == "ok":
            scores[Path(row["path"]).parent.name].append(row["score"])
    listed = cells(section(html, "folders"))[1:]
    for name, pictures, failed, *values, _ in listed:
        assert (pictures, failed) == {"a": ("2", "0"), "b": ("3", "1")}[name]
        found = sorted(scores[name])
        expected = (found[0], sum(found) / 2, found[1])
        assert values == [f"{value:.3f}" for value in expected]
    assert [row[4] for row in listed] == sorted(row[4] for row in listed)
    assert cells(section(html, "failures"))[1:] == [
        ["b", "b/bad.jpg", "not an image of a known format"]
    ]
    assert "Pictures that could not be scored: 1." in html


def test_pictures_of_a_folder_are_labelled_plainly(table, trained, tmp_path):
    """Without the words for data sets; of two none has both labels, and a single one none."""
    rows = [row for row in scored.read(table) if row["status"] == "ok"]
    labels = {
        count: re.findall(
            r"one of the (?:best|worst)|in between|evenly spaced by prediction",
            run(written(tmp_path / f"{count}.parquet", rows[:count]), trained, images=8),
        )
        for count in (1, 2, 3)
    }
    assert labels == {
        1: [],
        2: ["one of the worst", "one of the best"],
        3: ["one of the worst", "in between", "one of the best"],
    }


def test_a_folder_without_failures_says_nothing_of_stages(table, trained, tmp_path):
    rows = [row for row in scored.read(table) if row["status"] == "ok"]
    html = section(run(written(tmp_path / "s.parquet", rows), trained, images=0), "failures")
    assert "None: every picture was scored." in html
    assert "stage" not in html.lower()


def test_a_hostile_name_is_text(html):
    parsed = Page(html)
    assert [found.get("type") for found in parsed.all("script")] == ["application/json"] * 2 + [
        None
    ]
    assert NAMES[-1] in parsed.texts
    assert "A <b>" in parsed.texts
    sources = [found["src"] for found in parsed.all("img") if "src" in found]
    assert all(source.startswith("data:image/") for source in sources)


def test_without_the_checkpoint_the_worst_region_is_a_box(table, tmp_path):
    html = run(table, tmp_path, output=tmp_path / "deep/page.html")
    assert "was not found. Give its folder as" in html
    assert len(Page(html).all("path", **{"class": "region chosen"})) == 3
    assert 'class="heat"' not in html
    row = min(
        (row for row in scored.read(table) if row["status"] == "ok"), key=lambda row: row["score"]
    )
    x0, y0, x1, y1 = row["worst_box"]
    assert f'd="M{x0} {y0}H{x1}V{y1}H{x0}Z"' in html


def test_the_checkpoint_may_be_the_one_of_the_package(table, trained, tmp_path):
    packaged = trained / "tiny.full/split-00"
    html = run(table, tmp_path, output=tmp_path / "page.html", packaged=packaged)
    assert "was not found" not in html
    assert 'class="heat"' in html


def test_a_missing_picture_is_shown_without(table, trained, tmp_path):
    gone = changed(
        table,
        tmp_path / "s.parquet",
        path=lambda row: row["path"] + ".gone",
        location=lambda row: row["location"] + ".gone",
    )
    html = run(gone, trained)
    assert html.count("Picture not shown: no such file") == 3


@pytest.mark.parametrize("suffix", [".csv", ".jsonl"])
def test_a_table_of_another_format_that_was_filtered(table, trained, tmp_path, suffix):
    rows = scored.read(table)
    kept = tmp_path / f"s{suffix}"
    score_tables.write(kept, rows[3:0:-1], rows[0]["checkpoint"])
    listed = cells(section(run(kept, trained), "worst-pictures"))[1:]
    assert len(listed) == sum(row["status"] == "ok" for row in rows[1:4])


def test_pictures_that_were_moved_with_their_table_are_found(table, trained, tmp_path):
    shutil.copytree(table.parent / "pictures", tmp_path / "pictures")
    moved = changed(
        table,
        tmp_path / "s.parquet",
        path=lambda row: Path(row["path"]).name,
        location=lambda row: row["location"].replace(str(table.parent), "/gone"),
    )
    assert "Picture not shown" not in run(moved, trained)
    (tmp_path / "pictures/a/0.png").write_bytes(b"another picture of that name")
    assert run(moved, trained).count("Picture not shown: no such file") <= 1


def test_a_file_of_the_users_own_is_no_page(table, trained, tmp_path):
    shutil.copy(table, tmp_path / "s.parquet")
    run(tmp_path / "s.parquet", tmp_path, images=0)
    run(tmp_path / "s.parquet", tmp_path, images=0)  # replaces the page of before
    (tmp_path / "s.html").write_text("mine")
    with pytest.raises(InputError, match=r"s.html: must be an earlier page, found another file; "):
        run(tmp_path / "s.parquet", tmp_path, images=0)
    assert (tmp_path / "s.html").read_text() == "mine"
    (tmp_path / "wedding.html").write_text("mine")  # nor if it is named
    with pytest.raises(InputError, match=r"wedding.html: must be an earlier page, found another"):
        scored.check_output(tmp_path / "wedding.html")
    with pytest.raises(InputError, match=r"wedding.html: must be a folder, found a file; give"):
        scored.check_output(tmp_path / "wedding.html/s.html")


def test_a_table_of_two_checkpoints_has_no_page(table, trained, tmp_path):
    rows = scored.read(table)
    rows[1] = rows[1] | {"checkpoint": "other 0123"}
    with pytest.raises(InputError, match=r"must be of checkpoint tiny .*, found other 0123; filte"):
        run(written(tmp_path / "s.parquet", rows), trained)


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("location", "a.png", r"location must be an absolute path, found 'a.png' in row 2; keep"),
        ("low", 9.0, r"low must be below high, both finite, found 9 and 5 in row 2; keep"),
        ("low", -math.inf, r"low must be below high, both finite, found -inf and 5 in row 2; keep"),
    ],
)
def test_what_cannot_be_is_refused(table, trained, tmp_path, column, value, message):
    rows = scored.read(table)
    rows[1] = rows[1] | {column: value}
    with pytest.raises(InputError, match=message):
        run(written(tmp_path / "s.parquet", rows), trained)


def test_an_infinite_score_is_shown_as_the_end_of_the_scale(table, tmp_path):
    other = changed(table, tmp_path / "s.parquet", score=lambda _: math.inf)
    html = run(other, tmp_path)
    assert [row[0] for row in cells(section(html, "worst-pictures"))[1:]] == ["5.000"] * 4
    (rows,) = re.findall(r'id="rows">(.*?)</script>', html)
    assert json.loads(rows, parse_constant=pytest.fail)["count"] == 5


CHANGES = ("The file has changed since", "written again since", "The table gives ")


@pytest.fixture
def moved(table, tmp_path) -> Path:
    """A table of a copy of the folder, whose files have the times of the originals."""
    folder = shutil.copytree(table.parent / "pictures", tmp_path / "pictures")

    def location(row):
        return str(folder / Path(row["location"]).relative_to(table.parent / "pictures"))

    return changed(table, tmp_path / "s.parquet", location=location, path=location)


@pytest.fixture
def worst(moved) -> Path:
    """The worst picture of the copy."""
    scores = {row["location"]: row["score"] for row in scored.read(moved) if row["status"] == "ok"}
    return Path(min(scores, key=scores.__getitem__))


def notes(html: str) -> list[int]:
    return [html.count(change) for change in CHANGES]


def test_files_as_they_were_scored_are_not_noted(moved, trained, html):
    assert notes(html) == [0, 0, 0]
    assert notes(run(moved, trained)) == [0, 0, 0]


def test_a_picture_of_another_size_is_noted_though_it_scores_the_same(moved, worst, trained):
    """Bytes behind the end of a picture."""
    with worst.open("ab") as file:
        file.write(b"more")
    assert notes(run(moved, trained)) == [1, 0, 0]


def test_a_picture_of_the_same_size_and_another_content_is_noted(moved, worst, trained):
    size = worst.stat().st_size
    Image.new("RGB", (96, 72), "gray").save(worst, format="PNG")
    worst.write_bytes(worst.read_bytes().ljust(size, b"\0"))
    assert worst.stat().st_size == size
    assert notes(run(moved, trained)) == [1, 0, 0]


def test_a_copy_with_another_time_has_not_changed(moved, worst, trained, tmp_path):
    os.utime(worst, (0, 0))
    assert notes(run(moved, trained)) == [0, 0, 0]
    alone = run(moved, tmp_path / "none", output=tmp_path / "alone.html")
    assert notes(alone) == [0, 1, 0], "without the checkpoint nothing tells whether it has changed"


def test_another_score_of_the_same_file_is_no_change(table, trained, tmp_path):
    other = changed(table, tmp_path / "s.parquet", score=lambda row: row["score"] - 0.01)
    assert notes(run(other, trained)) == [0, 0, 3]


def test_scores_of_a_given_region_are_not_called_changed(tmp_path_factory):
    table, trained = scored_folder(
        tmp_path_factory, NAMES[:2], inside=GivenBox((10, 20, 50.0, 60.0))
    )
    html = run(table, trained)
    assert "has changed" not in html
    assert "Scores are those of a given region of each picture, box 10,20,50,60." in html
    assert html.count("<b>Region 1, the given: ") == 2
    assert html.count('d="M10 20H50V60H10Z"') == 2
    scores = [f"{row['score']:.3f}" for row in scored.read(table) if row["status"] == "ok"]
    assert sorted(re.findall(r"predicted <b>([\d.]+)</b>", html)) == sorted(scores)
    assert "was not found" not in html


def test_a_page_tells_families_of_all_regions(table, trained, tmp_path):
    """Those of a tenth of the picture, as `rsfiqa cull --flag` takes them; without, the worst's."""
    rows = [row for row in scored.read(table) if row["status"] == "ok"]
    copy = changed(table, tmp_path / "s.parquet", worst_caption=lambda _: "A sky. Overall fair.")
    shown = re.compile(r'data-problem="(.*?)"')
    assert shown.findall(run(copy, trained, images=0)) == ["failed"]
    found = [(0.5, ["haze", "motion_blur"], [2, 1]), (0.05, ["noise"], [5])]
    regions = [
        dict.fromkeys(region_scores.SCHEMA.names)
        | {"location": rows[0]["location"], "area": area, "families": names, "severities": levels}
        for area, names, levels in found
    ]
    region_scores.update(
        region_scores.regions_path(copy), set(), {}, regions, rows[0]["checkpoint"]
    )
    assert shown.findall(run(copy, trained, images=0)) == ["failed", "haze", "motion blur"]


def test_regions_of_another_checkpoint_are_refused(table, trained, tmp_path):
    shutil.copy(table, tmp_path / "s.parquet")
    region_scores.update(tmp_path / "s.regions.parquet", set(), {}, [], "other 0123")
    with pytest.raises(InputError, match=r"s.regions.parquet: must be of checkpoint tiny .*other"):
        run(tmp_path / "s.parquet", trained, images=0)


def test_nothing_but_failures_is_an_outcome(table, trained, tmp_path):
    rows = [row for row in scored.read(table) if row["status"] == "failed"]
    html = run(written(tmp_path / "s.parquet", rows), trained)
    assert "None of the pictures could be scored: the failures below say why." in html
    assert "<article" not in html


def test_a_scale_turned_round(table, trained, tmp_path):
    other = changed(table, tmp_path / "s.parquet", direction=lambda _: "lower")
    html = run(other, tmp_path)
    listed = [float(row[0]) for row in cells(section(html, "worst-pictures"))[1:]]
    assert listed == sorted(listed, reverse=True)


def test_the_page_is_the_same_each_time(table, trained, html):
    assert run(table, trained).split("<footer")[0] == html.split("<footer")[0]


@pytest.mark.parametrize("count", [0, 1, 200])
def test_no_more_pictures_than_wanted_and_there_are(table, tmp_path, count):
    html = run(table, tmp_path, images=count, output=tmp_path / "page.html")
    assert len(re.findall(r"<article[^>]* data-row=", html)) == min(count, 4)


def missing(folder: Path) -> Path:
    return folder / "s.parquet"


def other_csv(folder: Path) -> Path:
    (folder / "s.csv").write_text("path,score\n")
    return folder / "s.csv"


def other_suffix(folder: Path) -> Path:
    (folder / "s.xlsx").write_text("path,score\n")
    return folder / "s.xlsx"


def damaged(folder: Path) -> Path:
    (folder / "s.parquet").write_text("text")
    return folder / "s.parquet"


def another_product(folder: Path) -> Path:
    return written(folder / "s.parquet", [], product="manifest")


def other_columns(folder: Path) -> Path:
    return written(folder / "s.parquet", [], schema=pa.schema([("path", pa.string())]))


def empty(folder: Path) -> Path:
    return written(folder / "s.parquet", [])


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (missing, r"s.parquet: no such file; write it with rsfiqa score PATH... -o"),
        (
            other_csv,
            r"s.csv: must be scores, found other content \(no column quality, percentile, \w+ and",
        ),
        (other_suffix, r"s.xlsx: must be scores, found other content \(the suffix '.xlsx'\)"),
        (damaged, r"s.parquet: not Parquet or damaged"),
        (
            another_product,
            f"s.parquet: expected scores of schema {VERSION}, found manifest of schema",
        ),
        (
            other_columns,
            r"s.parquet: must have \d+ columns, found none called score, quality, \S+ and",
        ),
        (empty, r"s.parquet: must hold a row at least, found none; score some pictures$"),
    ],
)
def test_what_is_no_table_of_scores(tmp_path, make, message):
    path = make(tmp_path)
    before = set(tmp_path.iterdir())
    with pytest.raises(InputError, match=message) as caught:
        run(path, tmp_path)
    assert "\n" not in str(caught.value)
    assert set(tmp_path.iterdir()) == before


def test_another_checkpoint_is_refused(table, trained, tmp_path):
    with pytest.raises(InputError, match=r"split-01: must be the checkpoint of .*s.parquet, tiny"):
        run(table, tmp_path, checkpoint=trained / "tiny.full/split-01")


def listed(html: str) -> dict:
    """What the list of the page holds."""
    (rows,) = re.findall(r'id="rows">(.*?)</script>', html)
    return json.loads(rows)


def shards(table: Path, folder: Path) -> Path:
    """The table in two shards, with what lies beside them."""
    rows = list(score_tables.read(table))
    for name, part in (("00000", rows[:2]), ("00001", rows[2:])):
        written(folder / f"{name}.parquet", part)
    shutil.copy(table.with_suffix(".regions.parquet"), folder / "00000.regions.parquet")
    return folder


def test_a_folder_of_shards_makes_the_page_of_one_table(table, trained, html, tmp_path):
    folder = shards(table, tmp_path / "run/score")
    page = run(folder, trained)
    assert (tmp_path / "run/score.html").read_text("utf-8") == page
    lead = r'<p class="lead">(.*?)</p>'
    assert re.findall(lead, page, re.DOTALL) == re.findall(lead, html, re.DOTALL)
    assert section(page, "folders") == section(html, "folders")
    assert listed(page)["view"]["name"] == listed(html)["view"]["name"]
    short = run(folder, trained, most=2)
    assert "The list holds the worst 2; all count" in short
    assert listed(short)["count"] == 3  # and the failed one
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"must be a table of scores or a folder of tables"):
        run(tmp_path / "empty", trained)


def test_a_picture_whose_name_is_not_utf_8_is_found(tmp_path_factory):
    table, trained = scored_folder(tmp_path_factory, [os.fsdecode(b"caf\xe9.png"), "b.png"])
    write_page(table, trained)
    page = table.with_suffix(".html").read_text("utf-8")
    assert "no such file" not in page
    assert "pictures/caf%E9.png" in page


def test_a_picture_that_has_several_rows_is_shown_once(folder, tmp_path):
    table, trained = folder
    rows = list(score_tables.read(table))
    joined = tmp_path / "joined.parquet"
    score_tables.write(joined, rows * 20, rows[0]["checkpoint"])
    said = write_page(joined, trained, folder=tmp_path / "page", images=0)
    assert said.startswith(f"{len(NAMES)} of {len(NAMES) + 1} pictures scored")
    assert len(list((tmp_path / "page").glob("thumbnails/*/*.jpg"))) == len(NAMES)
