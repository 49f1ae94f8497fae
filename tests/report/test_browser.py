"""The page in a real browser: it is quiet, and it answers to pointer, keyboard and theme."""

import re
import shutil
from pathlib import Path

import pytest

from rsfiqa.products import failures
from rsfiqa.report import stage as report
from tests.support.browser import Noise, needs_chromium, serious_findings
from tests.support.pipeline import made

pytestmark = needs_chromium
playwright = pytest.importorskip("playwright.sync_api", reason="needs the extra dev")


@pytest.fixture(scope="module")
def path(tmp_path_factory) -> Path:
    """A page with pictures of one data set and failures of two."""
    root = shutil.copytree(made(tmp_path_factory), tmp_path_factory.mktemp("browser") / "root")
    reasons = {"<img src=x onerror=alert(3)>.png": "a reason"}
    failures.write(root / "other/segment/00000.failures.parquet", "segment", reasons)
    report.run(root, images=4, title="A <script>alert(1)</script>")
    return root / "report/index.html"


@pytest.fixture
def opened(browser, path):
    """The page and its noise."""
    context = browser.new_context(viewport={"width": 1280, "height": 900}, color_scheme="light")
    page = context.new_page()
    noise = Noise(page)
    page.goto(path.as_uri())
    yield page, noise
    context.close()


@pytest.fixture
def page(opened):
    return opened[0]


def picture(page):
    """The one that is shown."""
    (found,) = page.locator(".picture:visible").all()
    return found


def details(page) -> str:
    """Text about the chosen region; empty if none is chosen."""
    found = picture(page).locator(".details [data-region]:visible")
    return " ".join(found.inner_text().split()) if found.count() else ""


def inside(page, number: int) -> tuple[float, float]:
    """A point of the window within a region of the picture that is shown."""
    return page.evaluate(
        """(number) => {
            const path = [...document.querySelectorAll(".picture:not([hidden]) .region")]
                .find((region) => region.dataset.region === String(number));
            path.scrollIntoView({ block: "center", behavior: "instant" });
            const box = path.getBoundingClientRect();
            for (let y = 0.5; y < box.height; y += 2) {
                for (let x = 0.5; x < box.width; x += 2) {
                    const at = [box.x + x, box.y + y];
                    if (document.elementFromPoint(...at) === path) return at;
                }
            }
        }""",
        number,
    )


def row(page, number: int) -> list[str]:
    cells = picture(page).locator(f".regions tr[data-region='{number}'] td")
    return cells.all_inner_texts()


def test_the_page_is_quiet(opened, path):
    page, noise = opened
    page.wait_for_load_state("networkidle")
    assert noise.messages == []
    assert [url for url in noise.requests if not url.startswith("data:")] == [path.as_uri()]
    assert all(page.locator("img").evaluate_all("(all) => all.map((one) => one.naturalWidth > 0)"))
    assert page.title() == "A <script>alert(1)</script>"


def test_hovering_over_a_region_shows_its_figures(page):
    opened = details(page)
    for number in (1, 0):
        page.mouse.move(*inside(page, number))
        _, text, cost, quality, weight = row(page, number)
        shown = details(page)
        assert re.match(rf"Region {number + 1}[,:] ", shown)
        for name in ("color", "noise", "artifact", "blur", "overall"):
            assert name in shown
        assert f"({quality}), weight {weight} %, costs {cost} points" in shown
        (chosen,) = picture(page).locator(".regions tr.chosen").all()
        assert text in chosen.inner_text()
    page.mouse.move(5, 5)
    assert details(page) == opened


def test_a_picture_opens_with_its_most_costly_region_marked(page):
    """On the picture, in the list, and beside it with its reason and cost; all in view."""
    page.locator(".sheet a").nth(1).click()
    number = picture(page).locator(".regions tr[data-region]").first.get_attribute("data-region")
    for part in ("path.region.chosen", ".number.chosen", ".regions tr.chosen"):
        (marked,) = picture(page).locator(part).all()
        assert marked.get_attribute("data-region") == number
    assert re.match(
        rf"Region {int(number) + 1}, the most costly: .+ costs [\d.]+ points", details(page)
    )
    top = "(one) => one.getBoundingClientRect().top"
    for _ in range(40):
        if picture(page).evaluate(top) < 120:
            break
        page.wait_for_timeout(50)
    for part in (".stack", ".details"):
        box = picture(page).locator(part).bounding_box()
        assert box["y"] >= 40
        assert box["y"] + box["height"] <= 900


def test_numbers_on_the_picture_are_those_of_the_list(page):
    count = picture(page).locator(".region").count()
    shown = picture(page).locator(".number")
    assert sorted(shown.all_inner_texts()) == sorted(str(i + 1) for i in range(count))
    for one in shown.all():
        number = int(one.get_attribute("data-region"))
        one.scroll_into_view_if_needed()
        box = one.bounding_box()
        at = [box["x"] + box["width"] / 2, box["y"] + box["height"] / 2]
        under = page.evaluate("(at) => document.elementFromPoint(...at).dataset.region", at)
        assert int(under) == number == int(one.inner_text()) - 1
    page.locator("button[data-hides='no-numbers']").click()
    assert shown.locator("visible=true").count() == 1


def test_a_click_pins_a_region_and_another_releases_it(page):
    at = inside(page, 1)
    page.mouse.click(*at)
    page.mouse.move(5, 5)
    assert details(page).startswith("Region 2")
    page.mouse.click(*at)
    page.mouse.move(5, 5)
    assert details(page) == ""


def test_the_keyboard_reaches_every_region(page):
    count = picture(page).locator(".region").count()
    page.locator("button[data-step='1']").focus()
    page.keyboard.press("Tab")
    for number in [*range(count), 0]:
        assert re.match(rf"Region {number + 1}[,:] ", details(page))
        page.keyboard.press("ArrowRight")
    page.keyboard.press("ArrowLeft")
    assert re.match(r"Region 1[,:] ", details(page))
    page.keyboard.press("Escape")
    assert details(page) == ""


def test_the_keyboard_reaches_every_picture(page):
    names = page.locator(".sheet .soft").all_inner_texts()
    page.locator("select[data-by='source']").first.focus()
    page.keyboard.press("Tab")
    for name in names:
        page.keyboard.press("Enter")
        assert picture(page).locator("h3").inner_text() == name
        page.keyboard.press("ArrowRight")
    page.locator("button[data-step='-1']").press("Enter")
    assert picture(page).locator("h3").inner_text() == names[-2]


def test_everything_that_can_be_used_has_a_name(page):
    names = page.evaluate(
        """() => [...document.querySelectorAll("a, button, select, input, summary, [role=button]")]
            .map((one) => (one.getAttribute("aria-label") || one.labels?.[0]?.innerText
                || one.textContent).trim())"""
    )
    assert len(names) > 20
    assert all(names)


def test_the_first_tab_leads_to_the_content(page):
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.textContent") == "Skip to content"
    assert page.locator(".skip").bounding_box()["width"] > 10


def test_cost_and_attention_are_switched_on_and_off(page):
    """One of them at a time, in all pictures, each with its legend."""

    def shown() -> tuple[list[str], list[str]]:
        heats = picture(page).locator(".heat:visible, .bar:visible")
        buttons = page.locator("button[data-overlay][aria-pressed='true']")
        names = "(all) => all.map((one) => one.dataset.overlay)"
        return heats.evaluate_all(names), buttons.evaluate_all(names)

    cost, attention = (page.locator(f"button[data-overlay='{n}']") for n in ("cost", "attention"))
    assert shown() == ([], [])
    cost.press("Space")
    assert shown() == (["cost"] * 2, ["cost"])
    page.locator("button[data-step='1']").click()
    assert shown() == (["cost"] * 2, ["cost"])
    attention.click()
    assert shown() == (["attention"] * 2, ["attention"])
    attention.click()
    assert shown() == ([], [])


def test_regions_are_listed_by_their_cost(page):
    cells = picture(page).locator(".regions tr[data-region] td:nth-child(3)").all_inner_texts()
    costs = [float(cell) for cell in cells]
    assert costs == sorted(costs, reverse=True)


def test_outlines_are_switched_off(page):
    region = picture(page).locator(".region:not(.chosen)").first
    stroke = "(one) => getComputedStyle(one).stroke"
    assert region.evaluate(stroke) == "rgb(255, 255, 255)"
    page.locator("button[data-hides='no-outlines']").click()
    page.mouse.move(5, 5)
    assert region.evaluate(stroke) == "none"


def test_pictures_are_filtered_by_role(page):
    bar = page.locator(".viewer .filters")
    items = page.locator(".sheet li:visible")
    assert bar.locator("output").inner_text() == "4 of 4 shown"
    bar.locator("select[data-by='kind']").select_option("worst")
    assert (items.count(), bar.locator("output").inner_text()) == (1, "1 of 4 shown")
    assert "worst predicted" in picture(page).locator(".facts").inner_text()
    assert picture(page).locator("h3").inner_text() in items.inner_text()
    bar.locator("select[data-by='kind']").select_option("")
    bar.locator("select[data-by='source']").select_option("tiny")
    assert items.count() == 4


def test_failures_are_filtered_by_data_set_stage_and_text(page):
    bar, rows = page.locator("#failures .filters"), page.locator("#failures tbody tr:visible")
    assert rows.count() == 3
    bar.locator("select[data-by='source']").select_option("other")
    assert "onerror" in rows.inner_text()
    assert bar.locator("output").inner_text() == "1 of 3 shown"
    bar.locator("select[data-by='stage']").select_option("extract")
    assert rows.count() == 0
    bar.locator("select[data-by='source']").select_option("")
    assert rows.count() == 1
    bar.locator("select[data-by='stage']").select_option("")
    bar.locator("input").fill("A REASON")
    assert rows.count() == 1


LIGHT, DARK = "rgb(255, 255, 255)", "rgb(20, 22, 26)"


def test_the_theme_is_the_systems_until_it_is_chosen(page):
    button = page.locator("#dark")

    def expect(color: str) -> None:
        playwright.expect(page.locator("body")).to_have_css("background-color", color)
        pressed = "true" if color == DARK else "false"
        playwright.expect(button).to_have_attribute("aria-pressed", pressed)

    expect(LIGHT)
    page.emulate_media(color_scheme="dark")
    expect(DARK)
    button.click()
    expect(LIGHT)
    page.emulate_media(color_scheme="light")
    page.emulate_media(color_scheme="dark")
    expect(LIGHT)
    button.click()
    expect(DARK)


def test_the_theme_is_remembered(page, path):
    page.locator("#dark").click()
    page.reload()
    playwright.expect(page.locator("body")).to_have_css("background-color", DARK)


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_stands_out(page, scheme):
    """WCAG's contrast of at least 4.5 for the colours of text on both grounds."""
    page.emulate_media(color_scheme=scheme)
    ratios = page.evaluate(
        """() => {
            const probe = document.body.appendChild(document.createElement("i"));
            const light = (name) => {
                probe.style.color = `var(${name})`;
                const [r, g, b] = getComputedStyle(probe).color.match(/\\d+/g).map((value) => {
                    const share = value / 255;
                    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
                });
                return 0.2126 * r + 0.7152 * g + 0.0722 * b + 0.05;
            };
            return ["--ink", "--soft", "--mark"].flatMap((text) => ["--paper", "--wash"].map(
                (ground) => light(text) / light(ground)));
        }"""
    )
    assert all(max(ratio, 1 / ratio) >= 4.5 for ratio in ratios)


def test_a_narrow_window_is_not_scrolled_sideways(page):
    page.set_viewport_size({"width": 360, "height": 700})
    widths = "[document.documentElement.scrollWidth, innerWidth]"
    found, window = page.evaluate(widths)
    assert found <= window


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_axe_finds_nothing_serious(page, width, scheme):
    page.set_viewport_size({"width": width, "height": 844})
    page.emulate_media(color_scheme=scheme)
    page.reload()
    assert serious_findings(page) == []


def test_without_scripts_everything_is_shown(browser, path):
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.goto(path.as_uri())
    assert page.locator(".picture:visible").count() == 4
    context.close()


def test_paper_shows_all_pictures_and_no_buttons(page):
    page.emulate_media(media="print")
    assert page.locator(".picture:visible").count() == 4
    assert page.locator("button:visible").count() == 0
    for stack in page.locator(".stack").all():
        photo, cost, attention = (one.bounding_box() for one in stack.locator("img").all())
        assert photo["x"] + photo["width"] < cost["x"]
        assert cost["x"] + cost["width"] < attention["x"]
        assert photo["width"] == pytest.approx(cost["width"], abs=1)
    assert page.locator(".bar:visible").count() == 8


def test_the_picture_in_the_readme_is_small():
    root = Path(__file__).resolve().parents[2]
    assert re.search(r"!\[[^]]{50,}\]\(docs/report.png\)", (root / "README.md").read_text("utf-8"))
    assert (root / "docs/report.png").stat().st_size < 400_000
