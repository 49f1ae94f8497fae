import re
from importlib.metadata import version

import numpy as np
import pyarrow as pa
import pytest
from PIL import Image

from rsfiqa.errors import InputError
from rsfiqa.images.outlines import outlines
from rsfiqa.io.checksum import sha256_of
from rsfiqa.products import manifest, results
from rsfiqa.products.results import ResultRow
from rsfiqa.report import drawing, gallery, page, plots
from rsfiqa.report import stage as report
from rsfiqa.report.dataset import DataSet
from rsfiqa.report.pictures import BUDGET, KINDS, Explanation, Picture, Region
from rsfiqa.report.record import Failure
from rsfiqa.report.tables import DatasetPair
from rsfiqa.scale import MosScale
from rsfiqa.vocabulary import RATINGS
from tests.support.html_page import Page, cells, section
from tests.support.pipeline import BROKEN, CAPTION, HOSTILE

LOADS = {"src", "srcset", "href", "xlink:href", "data", "poster", "action", "formaction", "ping"}


def number(text: str) -> float:
    return float(text.replace("\N{MINUS SIGN}", "-"))


@pytest.fixture(scope="module")
def made(pipeline):
    """The page as text, and the headline."""
    headline = report.run(pipeline, images=4, title="A & B <report>")
    assert (pipeline / "report/headline.txt").read_text("utf-8") == headline
    return (pipeline / "report/index.html").read_text("utf-8"), headline


@pytest.fixture(scope="module")
def html(made):
    return made[0]


@pytest.fixture(scope="module")
def parsed(html):
    return Page(html)


def test_nothing_is_loaded_from_elsewhere(parsed):
    for tag, attributes in parsed.tags:
        for name in LOADS & attributes.keys():
            assert re.match(r"#|data:image/(png|jpeg);base64,", attributes[name]), (tag, name)
        for name in ("style", "clip-path", "fill", "filter", "mask"):
            targets = re.findall(r"url\(\s*([^)]*)", attributes.get(name) or "")
            assert all(target.startswith("#") for target in targets), (tag, name)
        assert tag not in {"link", "base", "iframe", "object", "embed", "form"}
    assert "querySelector" in parsed.code
    assert "viewBox" not in parsed.code
    assert not re.search(r"https?:|url\(|@import|@font-face|fetch|XMLHttp|import\(", parsed.code)
    (policy,) = parsed.all("meta", **{"http-equiv": "Content-Security-Policy"})
    assert "default-src 'none'" in policy["content"]


def test_links_lead_to_sections_and_names_are_given_once(parsed):
    ids = [attributes["id"] for _, attributes in parsed.tags if "id" in attributes]
    assert len(set(ids)) == len(ids)
    links = [attributes["href"] for attributes in parsed.all("a")]
    assert links == [
        "#content",
        "#results",
        "#ablation",
        "#across-data-sets",
        "#plots",
        "#pictures",
        "#failures",
        "#run-record",
        *(f"#picture-{i}" for i in range(1, 5)),
    ]
    labels = [a["aria-labelledby"] for a in parsed.all("article")]
    assert {link[1:] for link in links} | set(labels) <= set(ids)


def test_hostile_names_and_captions_are_text(parsed):
    assert len(parsed.all("script")) == 1  # the page's own
    assert not any(name.startswith("on") for _, found in parsed.tags for name in found)
    sources = [found["src"] for found in parsed.all("img")]
    assert len(sources) == 12  # a photograph, its cost and its attention, of four pictures
    assert all(source.startswith("data:") for source in sources)
    assert HOSTILE in parsed.texts
    assert any(text.startswith(f"{CAPTION}. Overall ") for text in parsed.texts)
    (group,) = parsed.all("svg", **{"aria-label": f"Regions of {HOSTILE}"})
    assert group["role"] == "group"
    labels = [found.get("aria-label") or "" for found in parsed.all("path")]
    assert any(label.startswith(f"Region 1: {CAPTION}; quality ") for label in labels)
    assert "A & B <report>" in parsed.texts


def test_the_parts_of_a_picture_add_up_as_printed(html):
    articles = re.findall(r"<article.*?</article>", section(html, "pictures"), re.DOTALL)
    assert len(articles) == 4
    for article in articles:
        _, *regions, total = cells(article)
        cost, score, weight = np.array([[number(cell) for cell in row[2:]] for row in regions]).T
        assert weight.sum() == pytest.approx(100, abs=0.05 * len(weight))
        # weights are rounded to 0.1 %, numbers to 0.001 points
        rounding = 0.0005 * score.sum() + 0.001
        assert score @ weight / 100 == pytest.approx(number(total[3]), abs=rounding)
        assert cost.sum() == pytest.approx(number(total[2]), abs=0.0005 * (len(cost) + 1))
        assert number(total[2]) + number(total[3]) == pytest.approx(5, abs=0.0011)  # MOS in [1, 5]
        (mos, shown, error) = map(number, re.findall(r"<b>([−+]?[\d.]+)</b>", article)[:3])
        assert shown == number(total[3])
        assert shown - mos == pytest.approx(error, abs=0.0016)


@pytest.mark.parametrize(("count", "shown"), [(0, 0), (1, 1), (2, 2), (200, 4)])
def test_no_more_pictures_than_wanted_and_there_are(pipeline, count, shown):
    report.run(pipeline, images=count, title="t")
    parsed = Page((pipeline / "report/index.html").read_text("utf-8"))
    assert len(parsed.all("article")) == shown
    assert len(parsed.all("section", id="pictures")) == bool(shown)


def test_all_above_the_run_record_is_the_same_each_time(pipeline, html):
    report.run(pipeline, images=4, title="A & B <report>")
    again = (pipeline / "report/index.html").read_text("utf-8")
    assert again.split('id="run-record"')[0] == html.split('id="run-record"')[0]


def test_failures_are_listed_with_their_reason(html):
    reason = "damaged or cut short (about 99% of the picture is missing)"
    assert cells(section(html, "failures")) == [
        ["Product", "Stage", "Image", "Reason"],
        *([f"tiny/{stage}/00001", stage, BROKEN, reason] for stage in ("extract", "segment")),
    ]


@pytest.mark.parametrize(("score", "is_explained"), [(-1.4, True), (-0.01, False), (30.0, False)])
def test_costs_beyond_the_scale_are_explained(score, is_explained):
    """Costs add up to what the computed score falls short; the score is shown as 0."""
    scale, outline = MosScale(0, 100), "M0 0H9V9H0Z"
    region = Region(0, outline, (50, 50), "a", "a", [], "", score, 1.0, scale.shortfall(score))
    heat = drawing.cost_heat(np.full((8, 8), 1.5), scale)
    parts = Explanation((9, 9), score, [region], cost=heat)
    picture = Picture("a", "b", DataSet("c", 1, scale), [], "", "", parts)
    template = page._environment().get_template("picture.html.jinja")
    html = str(template.module.article(picture, "a", {}))
    explained = "computed beyond the worst end, so its costs exceed the scale" in html
    assert explained is is_explained


def test_tables_say_what_the_headline_says(made):
    html, headline = made
    for name in ("results", "across-data-sets"):
        for row in cells(section(html, name)):
            if len(row) < 9 or row[0] == "Method":
                continue
            method, srcc, interval, plcc, other, _, _, count, n = row
            words = [method, f"{srcc} {interval}", f"{plcc} {other}", count, n]
            assert " ".join(words).split() in [line.split() for line in headline.splitlines()]


def test_all_pairs_stand_in_one_matrix(made):
    html, headline = made
    ((head, *columns), (train, within, across)) = cells(section(html, "across-data-sets"))[:2]
    assert (head, columns, train) == ("Trained on, tested on", ["other", "tiny"], "tiny")
    medians = [line.split()[1] for line in headline.splitlines() if line.startswith("RSFIQA ")]
    assert [across.split()[0], within.split()[0]] == medians


def test_plots_say_what_they_show(html):
    captions = re.findall(r"<figcaption>(.*?)</figcaption>", section(html, "plots"))
    assert len(captions) == 4  # two scatter plots, calibration and learning curves of one set
    assert re.fullmatch(
        r"split-0\d, n = \d in 1 bins: mean distance [\d.]+, bias [−+][\d.]+ points", captions[2]
    )
    for label in ("RSFIQA", "−captions (classifier)"):  # of the learning curves
        assert f">{label}</text>" in section(html, "plots")


def test_the_ablation_is_the_full_model_less_the_others(html):
    rows = cells(section(html, "ablation"))[1:]
    assert [row[0] for row in rows] == [
        "\N{MINUS SIGN}captions (classifier)",
        "SVR probe (frozen backbone)",
    ]
    assert {row[-1] for row in rows} == {"2"}


def test_models_and_times_are_recorded(html):
    record = cells(section(html, "run-record"))
    models = [row for row in record if row[0].startswith("tiny.") and len(row) == 9]
    assert [row[:5] for row in models] == [
        ["tiny.full", "4", "12", "0", "0"],
        ["tiny.no_mllm", "2", "8", "4", "0"],
    ]
    times = {(row[0], row[1]): row[2:4] for row in record if len(row) == 6}
    assert times["extract", "tiny"] == ["2", "13"]
    assert times["train", "tiny.full"] == ["4", f"{2 * 8 + 2 * 12}"]
    assert times["benchmark", "tiny.other.full"] == ["1", "6"]


def test_hashes_and_options_are_recorded(pipeline, html):
    found = section(html, "run-record")
    rows = [row for row in cells(found) if "/" in row[0]]
    assert [row[0] for row in rows] == [
        *(f"tiny.full/{split}" for split in ("all-00", "all-01", "split-00", "split-01")),
        *(f"tiny.no_mllm/{split}" for split in ("split-00", "split-01")),
    ]
    for name, weights, images in rows:
        assert weights == sha256_of(pipeline / "train" / name / "model.safetensors")
        assert re.fullmatch("[0-9a-f]{64}", images)
    options = dict(re.findall(r"<dt>(\w+)</dt><dd class=\"long\">(.*?)</dd>", found))
    assert (options["max_regions"], options["epochs"]) == ("4", "2")
    assert options["torch"] == version("torch")


def test_a_page_of_a_thousand_images_stays_below_15_mb(tmp_path):
    """With as many images as options allow, each as large as its share allows."""
    random = np.random.default_rng(0)
    labels = np.kron(np.arange(12).reshape(3, 4), np.ones((128, 128), int))
    labels = np.roll(labels, random.integers(-9, 9, 512), axis=1)
    Image.fromarray(random.integers(0, 256, (768, 1024, 3), np.uint8)).save(tmp_path / "a.png")
    text = "A mid-tone yellow textured area with clear noise and faint blur. Overall fair."
    ratings = [(name, 3.0) for name in RATINGS]
    regions = [
        Region(
            r,
            border,
            (50.0, 50.0),
            text,
            text,
            ratings,
            "clear noise and faint blur",
            50.0,
            1 / 12,
            4.0,
        )
        for r, border in enumerate(outlines(labels))
    ]
    costs, attention = random.random((8, 8)), random.random((8, 8))
    heats = drawing.cost_heat(costs, MosScale(0, 100)), drawing.attention_heat(attention)
    parts = Explanation((512, 384), 55.0, regions, 0, "the worst", *heats)
    photo, _ = gallery.read_photo(tmp_path / "a.png", parts.photo_budget(BUDGET // 200))
    dataset = DataSet("synthetic", 1000, MosScale(0, 100))
    content = (dataset, ["best"], photo, "", parts, 50.0, 5.0)
    pictures = [Picture(f"{i}.png", "synthetic", *content) for i in range(200)]
    table = pa.table({"predicted": random.random(1000), "quality": random.random(1000)})
    svg = plots.draw(DatasetPair(dataset, dataset, [], [], {}), table)
    page.write(
        tmp_path / "page.html",
        "results.html.jinja",
        title="t",
        grouped="Data set",
        kinds=KINDS,
        within=[],
        across=[],
        matrix=None,
        ablations=[],
        scatters=[plots.Scatter("s", svg, "split-00", 1000, 0.5, 0.5)] * 13,
        calibrations=[],
        curves=[],
        pictures=pictures,
        failures=[
            Failure("s", "s/segment/00000", f"{i}.png", "segment", "damaged") for i in range(1000)
        ],
        experiments=[],
        settings={},
        times=[],
    )
    html = (tmp_path / "page.html").read_text("utf-8")
    assert html.count("<article") == 200
    assert html.count('data-stage="segment"') == page.MAX_FAILURES
    assert 5_000_000 < len(html) < 15_000_000
    # the pictures alone
    assert len(html[html.index("<article") : html.rindex("</article>")]) < BUDGET * 1.02


def test_scores_of_people_are_no_pseudo_mos(made):
    assert not any("pseudo" in text for text in made)


def write_results(root, name: str, provenance) -> None:
    metrics = dict.fromkeys(("srcc", "krcc", "plcc_raw", "plcc", "rmse"), 0.5)
    row = ResultRow(name, name, "split-00", "full", **metrics, n=3)
    predictions = [
        {"image_id": f"{i}", "split": "split-00", "mos": 50 * i, "quality": i / 2, "predicted": i}
        for i in range(3)
    ]
    results.write(
        root / "benchmark" / f"{name}.{name}.full.parquet",
        [row],
        pa.Table.from_pylist(predictions, schema=results.PREDICTIONS),
        provenance("results"),
    )


@pytest.mark.parametrize(("name", "listed"), [("demo", False), ("renamed", True)])
def test_the_demo_set_is_named_pseudo_mos(tmp_path, provenance, make_manifest, name, listed):
    write_results(tmp_path, name, provenance)
    if listed:  # elsewhere its manifest says so
        path = make_manifest(tmp_path / name, ["a", "b"]) / "manifest.parquet"
        options = {"layout": "demo", "mos": "pseudo: SSIM x 100", "mos_range": [0, 100]}
        table, _ = manifest.read(path)
        manifest.write(path, table, provenance("manifest", 2, options=options | {"shards": 1}))
    headline = report.run(tmp_path, images=2, title="t")
    title = f"{name} (pseudo-MOS)"
    assert headline.startswith(f"{title} → {title}: median over")
    html = (tmp_path / "report/index.html").read_text("utf-8")
    parsed = Page(html)
    assert title in parsed.texts
    assert len(parsed.all("p", **{"class": "alarm"})) == 1
    assert "pseudo-MOS, given by no person" in html
    assert ("pseudo: SSIM x 100" in html) == listed
    axis = "pseudo-MOS" if listed else "pseudo-quality"
    assert f"{axis} of {name}" in parsed.texts


def test_results_alone_make_a_page(tmp_path, provenance):
    write_results(tmp_path, "livec", provenance)
    report.run(tmp_path, images=2, title="t")
    html = (tmp_path / "report/index.html").read_text("utf-8")
    links = [found["href"] for found in Page(html).all("a")]
    assert links == ["#content", "#results", "#plots", "#failures", "#run-record"]
    assert "None: every stage could use every image." in html
    assert "Published numbers for livec → livec" in html
    own, published = re.findall(r"<tbody>.*?</tbody>", section(html, "results"), re.DOTALL)
    assert [row[0] for row in cells(own)] == ["RSFIQA"]
    assert "LoDa" in [row[0] for row in cells(published)]


def test_no_results_are_an_error_and_no_page(tmp_path):
    with pytest.raises(InputError, match=r"benchmark: holds no table of results; run the") as error:
        report.run(tmp_path, images=2, title="t")
    assert "\n" not in str(error.value)
    assert list(tmp_path.iterdir()) == []
