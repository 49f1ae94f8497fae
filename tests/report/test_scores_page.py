"""The page of a scored folder in a real browser."""

import csv
import io
import json
import re
import time
from pathlib import Path
from urllib.parse import parse_qs

import pytest

from rsfiqa.products import score_tables
from tests.support.browser import Noise, needs_chromium, serious_findings
from tests.support.scored_folder import FAILED, NAMES, scored_folder, worst_first, write_page

pytestmark = needs_chromium
playwright = pytest.importorskip("playwright.sync_api", reason="needs the extra dev")
SIZE = {"width": 1280, "height": 900}
BARS = 20  # of the histogram
TALL = {"width": 1280, "height": 1900}  # the whole list is in view
PHONE = {"width": 390, "height": 844}


@pytest.fixture(scope="module")
def table(tmp_path_factory):
    table, trained = scored_folder(tmp_path_factory)
    write_page(table, trained)
    return table


@pytest.fixture(scope="module")
def rows(table):
    return worst_first(table)


@pytest.fixture
def opened(browser, table):
    context = browser.new_context(viewport=TALL, color_scheme="light")
    context.grant_permissions(["clipboard-read", "clipboard-write"])
    page = context.new_page()
    noise = Noise(page)
    page.goto(table.with_suffix(".html").as_uri())
    yield page, noise
    assert noise.messages == []
    context.close()


@pytest.fixture
def page(opened):
    return opened[0]


def name_of(row) -> str:
    return row["location"].partition("/pictures/")[2]


def listed(page) -> list[str]:
    """Names of the pictures in the list, in its order."""
    items = page.locator("#list .item").all()
    found = {
        int(one.get_attribute("aria-posinset")): one.locator(".file").text_content()
        for one in items
    }
    return [found[position] for position in sorted(found)]


def shown(page):
    (found,) = page.locator(".picture:visible").all()
    return found


def state(page) -> dict[str, str]:
    fragment = page.evaluate("location.hash").removeprefix("#?")  # page.url lags behind
    return {name: value for name, (value,) in parse_qs(fragment).items()}


def eventually(check) -> None:
    """Wait until a check holds; the page allows no evaluation of texts, which Playwright needs."""
    for _ in range(100):
        if check():
            return
        time.sleep(0.05)
    assert check()


def in_view(page, found) -> bool:
    box, size = found.bounding_box(), page.viewport_size
    return box["y"] >= 0 and box["y"] + box["height"] <= size["height"]


def test_the_page_is_quiet_and_asks_for_nothing(opened, table, rows):
    page, noise = opened
    page.wait_for_load_state("networkidle")
    own = table.with_suffix(".html").as_uri()
    assert [url for url in noise.requests if not url.startswith("data:")] == [own]
    assert page.title() == "pictures"
    assert listed(page) == [name_of(row) for row in rows]


@pytest.mark.parametrize("size", [SIZE, PHONE], ids=["desktop", "phone"])
def test_it_opens_on_the_worst_region_with_its_reason_and_cost(page, rows, size):
    page.set_viewport_size(size)
    page.reload()
    picture = shown(page)
    assert picture.locator("h3").inner_text() == name_of(rows[0])
    (region,) = picture.locator("path.region.chosen").all()
    details = picture.locator(".details [data-region]:visible")
    text = details.inner_text()
    assert text.startswith(f"Region {int(region.get_attribute('data-region')) + 1}, the worst: ")
    digits = json.loads(page.locator("#rows").text_content())["digits"]
    assert f"costs {rows[0]['worst_cost']:.{digits}f} points" in text
    for part in (picture.locator(".stack"), picture.locator(".why:visible")):
        assert in_view(page, part)


def test_a_click_brings_the_picture_into_view(page, rows):
    page.set_viewport_size(PHONE)
    page.reload()
    page.locator("#list .thumb").nth(4).click()
    playwright.expect(shown(page).locator("h3")).to_have_text(name_of(rows[4]))
    eventually(lambda: in_view(page, shown(page).locator(".stack")))


def test_a_picture_without_regions_shows_its_file_and_box(page, rows):
    at = next(
        i for i, row in enumerate(rows) if not page.locator(f".picture[data-row='{i}']").count()
    )
    page.locator("#list .thumb").nth(at).click()
    picture = shown(page)
    image = picture.locator("img")
    eventually(lambda: image.evaluate("(one) => one.naturalWidth") == 96)
    assert rows[at]["worst_caption"] in picture.locator(".details").inner_text()
    assert image.get_attribute("alt").startswith(name_of(rows[at]))
    x0, y0, x1, y1 = rows[at]["worst_box"]
    photo, box = image.bounding_box(), picture.locator(".box").bounding_box()
    scale = photo["width"] / 96
    assert box["x"] - photo["x"] == pytest.approx(x0 * scale, abs=1.5)
    assert box["width"] == pytest.approx((x1 - x0) * scale, abs=1.5)
    assert box["height"] == pytest.approx((y1 - y0) * scale, abs=1.5)


def test_every_row_links_to_its_file(page, table, rows):
    found = page.locator("#list .file").evaluate_all("(all) => all.map((one) => one.href)")
    assert sorted(found) == sorted(Path(row["location"]).as_uri() for row in rows)
    given = page.locator("#list .file").first.get_attribute("href")
    assert given.startswith("pictures/")  # so that folder and page can be moved together


def test_search_folder_and_problem_filter(page, rows):
    page.locator("[data-state='q']").fill("A/DEEP")
    assert listed(page) == ["a/deep/6.png"]
    assert state(page)["q"] == "A/DEEP"
    assert page.locator("#how-many").inner_text() == "1 of 11 shown"
    page.locator("[data-state='q']").fill("")
    page.locator("[data-state='folder']").fill("a")
    assert set(listed(page)) == {name for name in NAMES if name.startswith("a/")}
    page.locator("#clear").click()
    page.locator("[data-problem='failed']").click()
    assert listed(page) == [FAILED]
    page.locator("[data-problem='failed']").click()
    assert len(listed(page)) == 11
    page.locator("[data-folder='b']").click()
    assert set(listed(page)) == {FAILED, *(name for name in NAMES if name.startswith("b/"))}
    page.locator("[data-state='q']").fill("no such picture")
    assert page.locator("#nothing").is_visible()
    assert page.locator(".picture:visible").count() == 0


def test_problems_are_counted(page, rows):
    counts = dict(re.findall(r"(.+)\n+(\d+)", page.locator(".problems").inner_text()))
    flags = [flag for row in rows for flag in row["flags"]]
    assert counts["failed"] == "1"
    assert {name: str(flags.count(name)) for name in set(flags)}.items() <= counts.items()


def test_score_percentile_and_rating_filter(page, rows):
    scores = [row["score"] for row in rows if row["score"] is not None]
    low, high = scores[2] - 1e-4, scores[5] + 1e-4
    page.locator("[data-state='score.0']").fill(f"{low:.7f}")
    page.locator("[data-state='score.1']").fill(f"{high:.7f}")
    assert listed(page) == [name_of(row) for row in rows[2:6]]
    page.locator("#clear").click()
    page.locator("[data-state='percentile.1']").fill("25")
    assert listed(page) == [name_of(row) for row in rows[:3]]  # 5, 15 and 25 % of ten
    page.locator("#clear").click()
    page.locator("[data-state='rating.0']").select_option("blur")
    page.locator("[data-state='rating.1']").fill("3.5")
    found = json.loads(page.locator("#rows").text_content())
    ratings = found["table"].get("blur") or found["view"]["blur"]
    values = ratings.get("is") or [ratings["all"]] * 11
    assert listed(page) == [
        name_of(row) for row, v in zip(rows, values, strict=True) if v is not None and v <= 3.5
    ]


def test_the_histogram_filters(page, rows):
    bars = page.locator(".histogram button")
    counts = [int(one.get_attribute("data-count")) for one in bars.all()]
    assert sum(counts) == 10
    at = counts.index(max(counts))
    bars.nth(at).click()
    assert len(listed(page)) == counts[at]
    assert bars.nth(at).get_attribute("aria-pressed") == "true"
    bars.nth(len(counts) - 1).click(modifiers=["Shift"])
    assert len(listed(page)) == sum(counts[at:])
    bars.nth(at).click()
    bars.nth(at).click()
    assert len(listed(page)) == 11


def test_orders(page, rows):
    def order(value: str) -> list[str]:
        page.locator("[data-state='sort']").select_option(value)
        return listed(page)

    assert order("best") == [name_of(row) for row in [*rows[-2::-1], rows[-1]]]
    assert order("name") == sorted(name_of(row) for row in rows)
    scored = [row for row in rows if row["score"] is not None]
    costly = sorted(scored, key=lambda row: -row["worst_cost"])
    assert order("cost") == [*(name_of(row) for row in costly), FAILED]
    assert order("worst") == [name_of(row) for row in rows]


def test_the_address_holds_the_state(page, rows):
    page.locator("[data-state='folder']").fill("a")
    page.locator("[data-state='sort']").select_option("name")
    page.locator("[data-view='grid']").click()
    page.locator("#list .thumb").nth(2).click()
    before = (listed(page), shown(page).locator("h3").inner_text())
    assert state(page) == {"folder": "a", "sort": "name", "view": "grid", "p": "a/2.png"}
    page.reload()
    assert (listed(page), shown(page).locator("h3").inner_text()) == before
    assert page.locator("[data-state='folder']").input_value() == "a"
    page.evaluate("location.hash = '#?q=deep&sort=nonsense&score=x~y&compare=[1'")
    playwright.expect(page.locator("#how-many")).to_have_text("1 of 11 shown")


def test_the_keyboard_moves_shows_and_selects(page, rows):
    page.locator("#list .thumb").first.focus()
    page.keyboard.press("ArrowDown")
    page.keyboard.press("ArrowDown")
    assert shown(page).locator("h3").inner_text() == name_of(rows[2])
    page.keyboard.press("Space")
    page.keyboard.press("End")
    assert (
        page.evaluate("document.activeElement.closest('li').getAttribute('aria-posinset')") == "11"
    )
    page.keyboard.press("Home")
    page.keyboard.press("Space")
    assert page.locator("#how-many").inner_text() == "11 of 11 shown, 2 selected"
    page.keyboard.press("Tab")  # within the item, not over all items
    assert page.evaluate("document.activeElement.className") == "file"


def test_the_list_is_copied_and_downloaded(page, table, rows, tmp_path):
    page.locator("#list input").nth(1).check()
    page.locator("#list input").nth(8).check()
    wanted = [rows[1], rows[8]]
    page.get_by_role("button", name="Copy paths of 2 selected").click()
    playwright.expect(page.locator("#said")).to_have_text("Copied 2 paths")
    copied = page.evaluate("navigator.clipboard.readText()")
    assert copied.splitlines() == [row["location"] for row in wanted]
    with page.expect_download() as download:
        page.locator("#paths").click()
    assert download.value.suggested_filename == "s.txt"
    assert Path(download.value.path()).read_text("utf-8") == copied
    page.locator("#select-none").click()
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV of 11 shown").click()
    download.value.save_as(tmp_path / "s.csv")
    again = list(score_tables.read(tmp_path / "s.csv"))
    assert len(again) == len(rows)
    for found, row in zip(again, rows, strict=True):
        for name, value in row.items():
            close = pytest.approx(value, rel=1e-6) if isinstance(value, float) else value
            assert found[name] == (close or None if name == "worst_box" else close)
    assert len(list(csv.reader(io.StringIO((tmp_path / "s.csv").read_text("utf-8"))))) == 12


def test_two_pictures_are_compared_at_full_size(page, rows):
    page.locator("#list input").nth(0).check()
    page.locator("#list input").nth(3).check()
    page.locator("#compare-these").click()
    images = page.locator("#comparison img")
    for image, row in zip(images.all(), (rows[0], rows[3]), strict=True):
        playwright.expect(image).to_have_css("width", "96px")
        assert image.get_attribute("src").startswith("pictures/")
        assert name_of(row) in image.get_attribute("alt")
    assert json.loads(state(page)["compare"]) == [name_of(rows[0]), name_of(rows[3])]
    page.reload()
    assert page.locator("#comparison").is_visible()
    page.keyboard.press("Escape")
    assert not page.locator("#comparison").is_visible()
    eventually(lambda: "compare" not in state(page))


def test_frames_of_a_comparison_scroll_together(page):
    page.set_viewport_size({"width": 320, "height": 230})
    page.evaluate("document.querySelector('#compare-these').click()")
    eventually(lambda: page.locator("#comparison img[style]").count() == 2)
    frames = page.locator("#comparison .frame")
    frames.first.hover()
    page.mouse.wheel(0, 999)
    tops = "(all) => all.map((one) => one.scrollTop / (one.scrollHeight - one.clientHeight))"
    eventually(lambda: frames.evaluate_all(tops) == [1, 1])


def test_a_file_that_the_browser_cannot_show_is_shown_reduced(browser, table, tmp_path_factory):
    page = browser.new_page(viewport=SIZE)
    page.route(re.compile(r"/pictures/"), lambda route: route.abort())
    page.goto(table.with_suffix(".html").as_uri())
    page.locator("#compare-these").click()
    playwright.expect(page.locator("#comparison .note").first).to_contain_text("reduced copy")
    page.close()


def test_without_scripts_it_is_useful(browser, table, rows):
    context = browser.new_context(java_script_enabled=False, viewport=SIZE)
    page = context.new_page()
    page.goto(table.with_suffix(".html").as_uri())
    assert page.locator(".picture:visible").count() == 3
    assert page.locator(".picture .why:visible").count() == 3
    links = page.locator("#worst-pictures:visible a").evaluate_all(
        "(all) => all.map((a) => a.href)"
    )
    assert links == [Path(row["location"]).as_uri() for row in rows if row["score"] is not None]
    assert page.locator(".histogram li:visible").count() == BARS
    assert page.locator(".tools:visible, #list:visible").count() == 0
    context.close()


@pytest.mark.parametrize("media", ["screen", "print"])
@pytest.mark.parametrize("scripts", [True, False], ids=["scripts", "no-scripts"])
def test_the_ends_of_the_scale_stand_at_the_ends_of_the_histogram(browser, table, media, scripts):
    context = browser.new_context(java_script_enabled=scripts, viewport=SIZE)
    page = context.new_page()
    page.goto(table.with_suffix(".html").as_uri())
    page.emulate_media(media=media)
    bars, ends = (page.locator(name).bounding_box() for name in (".histogram", ".ends"))
    assert (bars["x"], bars["width"]) == (ends["x"], ends["width"])
    context.close()


def test_paper_shows_pictures_maps_and_the_worst(page):
    page.emulate_media(media="print")
    assert page.locator(".picture[data-row]:visible").count() == 3
    assert page.locator("#worst-pictures").is_visible()
    assert page.locator("#list:visible, .tools:visible").count() == 0
    stack = page.locator(".stack").first
    photo, cost, attention = (one.bounding_box() for one in stack.locator("img").all())
    assert photo["x"] + photo["width"] < cost["x"] < attention["x"]
    assert page.locator("button:visible").count() == BARS + page.locator(".problems li").count()
    for overlay, heat in (("cost", cost), ("attention", attention)):
        legend = page.locator(f".bar[data-overlay='{overlay}']").first.bounding_box()
        assert legend["x"] == pytest.approx(heat["x"], abs=1)
        assert legend["width"] <= heat["width"] + 1
        assert heat["y"] + heat["height"] <= legend["y"] <= heat["y"] + heat["height"] + 20


def test_paper_shows_histogram_and_problems_of_a_narrow_window(browser, table):
    """The panel that holds them is closed there; the printed page opens it, and closes it again."""
    page = browser.new_page(viewport=PHONE)
    page.goto(table.with_suffix(".html").as_uri())
    assert not page.locator(".histogram").is_visible()
    page.evaluate(
        """() => {
            window.printed = [];
            addEventListener("beforeprint", () => {
                const shown = (one) => document.querySelector(one).checkVisibility();
                window.printed.push(shown(".histogram"), shown(".problems"));
            });
        }"""
    )
    page.pdf()
    assert page.evaluate("window.printed") == [True, True]
    assert not page.locator(".histogram").is_visible()
    page.close()


@pytest.mark.parametrize("size", [SIZE, PHONE, {"width": 360, "height": 700}])
def test_no_window_is_scrolled_sideways(page, size):
    page.set_viewport_size(size)
    found, window = page.evaluate("[document.documentElement.scrollWidth, innerWidth]")
    assert found <= window


@pytest.mark.parametrize("dialog", [False, True], ids=["list", "comparison"])
@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [SIZE, PHONE], ids=["desktop", "phone"])
def test_axe_finds_nothing_serious(page, size, scheme, dialog):
    page.set_viewport_size(size)
    page.emulate_media(color_scheme=scheme)
    page.reload()
    if dialog:
        page.locator("#compare-these").click()
    assert serious_findings(page) == []
