"""The page of the service in a real browser: dropping, hovering, keys, bursts, phone."""

import base64
import io
import json
from collections.abc import Iterator

import numpy as np
import pytest
from PIL import Image, ImageFilter

from benchmarks.curate.client import Running, service
from tests.support.browser import chromium, needs_chromium, serious_findings

pytestmark = needs_chromium
playwright = pytest.importorskip("playwright.sync_api", reason="needs the extra dev")
expect = playwright.expect
PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
DROP = """(files) => {
    const transfer = new DataTransfer();
    const common = { bubbles: true, cancelable: true };
    for (const { name, data } of files) {
        const bytes = Uint8Array.from(atob(data), (c) => c.charCodeAt(0));
        transfer.items.add(new File([bytes], name, { type: "image/x" }));
    }
    for (const kind of ["dragenter", "dragover", "drop"]) {
        const event = new DragEvent(kind, { ...common, dataTransfer: transfer });
        document.querySelector("#drop").dispatchEvent(event);
    }
}"""


def photo(seed: int, blur: float = 0, taken: str | None = None, kind: str = "JPEG") -> bytes:
    """A picture of smooth shapes, the same for a seed, with a capture time."""
    random = np.random.default_rng(seed)
    small = random.integers(0, 256, (7, 9, 3)).astype(np.uint8)
    image = Image.fromarray(small).resize((180, 140), Image.Resampling.BICUBIC)
    grain = random.integers(-12, 13, (140, 180, 1))
    pixels = np.clip(np.asarray(image) + grain, 0, 255).astype(np.uint8)
    exif = Image.Exif()
    if taken:
        exif.get_ifd(0x8769)[0x9003] = taken
    buffer = io.BytesIO()
    Image.fromarray(pixels).filter(ImageFilter.GaussianBlur(blur)).save(
        buffer, kind, exif=exif, quality=95
    )
    return buffer.getvalue()


FILES = {
    "a.jpg": photo(1, 0, "2024:05:06 07:08:09"),
    "b.jpg": photo(1, 3, "2024:05:06 07:08:10"),
    "c.jpg": photo(2, 0, "2024:05:06 09:00:00"),
    "<img src=x onerror=alert(1)>.tiff": photo(3, 0, kind="TIFF"),  # no browser shows it
    "bad.png": b"no picture",
}


@pytest.fixture(scope="module")
def running(tmp_path_factory) -> Iterator[Running]:
    from tests.support.pipeline import made

    folder = made(tmp_path_factory) / "train/tiny.full/split-00"
    with service("--workers=1", "--checkpoint", folder) as started:
        yield started


@pytest.fixture(scope="module")
def browser() -> Iterator["playwright.Browser"]:
    with chromium() as started:
        yield started


@pytest.fixture
def open_page(browser, running):
    """A function that opens the page; its noise is a list that stays empty."""
    contexts = []

    def open_it(**options):
        context = browser.new_context(**{"viewport": {"width": 1280, "height": 900}, **options})
        contexts.append(context)
        page = context.new_page()
        page.noise = []

        def watch(request) -> None:
            if not request.url.startswith((running.url, "data:", f"blob:{running.url}")):
                page.noise.append(request.url)

        page.on("console", lambda message: page.noise.append(message.text))
        page.on("pageerror", lambda error: page.noise.append(str(error)))
        page.on("dialog", lambda dialog: page.noise.append(dialog.message))
        page.on("request", watch)
        page.goto(running.url)
        expect(page.locator("#service")).to_contain_text("checkpoint")
        return page

    yield open_it
    for context in contexts:
        context.close()


def drop(page, files: dict[str, bytes]) -> None:
    """Drop files, and wait until all are answered."""
    data = [{"name": n, "data": base64.b64encode(content).decode()} for n, content in files.items()]
    page.evaluate(DROP, data)
    expect(page.locator("#sheet .score")).to_have_count(len(files))
    expect(page.locator("#sheet .score", has_text="…")).to_have_count(0, timeout=60_000)


def without_failures(messages: list[str]) -> list[str]:
    """Messages but those of the browser about answers that are no success."""
    return [text for text in messages if "Failed to load resource" not in text]


def marked(page) -> dict[str, str]:
    return {
        button.locator(".label").inner_text(): button.get_attribute("class") or ""
        for button in page.locator("#sheet li button").all()
    }


def test_dropped_pictures_are_answered_with_score_region_and_reason(open_page):
    page = open_page()
    drop(page, FILES)
    status = page.locator("#status").inner_text()
    assert status == "4 of 5 scored, 1 failed, 0 picked, 0 rejected"
    assert page.locator("#sheet li").count() == 5
    assert page.locator("#name").inner_text() == "a.jpg"
    assert (
        "fair" in page.locator("#facts").inner_text()
        or "of 1 to 5" in page.locator("#facts").inner_text()
    )
    reason = page.locator("#reason").inner_text()
    assert "Worst region: " in reason
    assert "It costs " in reason
    worst = page.locator("#regions .worst")
    assert worst.count() == 1
    assert worst.evaluate("(one) => getComputedStyle(one).stroke") == "rgb(255, 210, 74)"
    photo_box, svg_box = (page.locator(f"#{n}").bounding_box() for n in ("photo", "regions"))
    assert photo_box == svg_box
    assert page.locator("#sheet img").count() == 4  # that of the TIFF comes from the service
    assert without_failures(page.noise) == []


def test_a_failure_is_shown_with_its_reason(open_page):
    page = open_page()
    drop(
        page, {"bad.png": FILES["bad.png"], "<b>.tiff": FILES["<img src=x onerror=alert(1)>.tiff"]}
    )
    page.locator("#sheet li button", has_text="bad.png").click()
    assert page.locator("#reason").inner_text() == "picture: not an image of a known format"
    page.locator("#sheet li button", has_text="<b>.tiff").click()
    expect(page.locator("#photo")).to_have_js_property("naturalWidth", 180)
    assert without_failures(page.noise) == []


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG"])
def test_of_an_animation_the_frame_that_is_scored_is_shown(open_page, kind):
    """Regions are those of the first frame; the browser would play the others under them."""
    frames = [Image.open(io.BytesIO(photo(seed))) for seed in (1, 2)]
    buffer = io.BytesIO()
    frames[0].save(buffer, kind, save_all=True, append_images=frames[1:], duration=50, loop=0)
    page = open_page()
    drop(page, {f"moves.{kind.lower()}": buffer.getvalue(), "still.jpg": FILES["a.jpg"]})
    for name, source in (("moves", "data:image/"), ("still", "blob:")):
        page.locator("#sheet li button", has_text=name).click()
        expect(page.locator("#photo")).to_have_js_property("naturalWidth", 180)
        assert page.locator("#photo").get_attribute("src").startswith(source), name
    assert without_failures(page.noise) == []


def test_scores_are_shown_within_the_scale(open_page):
    page = open_page()
    page.route("**/score?*", beyond)
    drop(page, {"a.jpg": FILES["a.jpg"]})
    assert page.locator("#sheet .score").inner_text().split()[0] == "1.0"
    assert page.locator("#facts b").inner_text() == "1.0"
    scores = page.locator("#rows td:nth-child(3)").all_inner_texts()
    assert scores == ["1.0"] * len(scores) != []
    costs = page.locator("#rows td:nth-child(2)").all_inner_texts()
    assert costs == ["4.0"] * len(scores)  # all that a scale from 1 to 5 has
    assert page.locator("#reason").inner_text().endswith("It costs 4.0 points.")
    page.locator("#rows tr").first.hover()
    assert "costs 4.0 points: " in page.locator("#hovered").inner_text()


def beyond(route) -> None:
    """Answer a request as the service does, with scores below the scale."""
    answer = route.fetch()
    content = answer.json()
    content["score"], content["worst_cost"] = -34.5, 45.0
    content["regions"] = [one | {"score": -40.0, "cost": 45.0} for one in content["regions"]]
    route.fulfill(response=answer, json=content)


def test_hovering_over_a_region_says_what_it_costs(open_page):
    page = open_page()
    drop(page, {"a.jpg": FILES["a.jpg"]})
    assert page.locator("#hovered").inner_text() == ""
    row = page.locator("#rows tr").first
    row.hover()
    cells = row.locator("td").all_inner_texts()
    shown = page.locator("#hovered").inner_text()
    assert shown.startswith(f"Region {cells[0].split()[0]} costs {cells[1]} points: ")
    assert "blur" in shown
    assert page.locator("#regions .region.chosen").count() == 1
    box = page.locator("#regions").bounding_box()
    page.mouse.move(box["x"] + box["width"] / 2, box["y"] + box["height"] / 2)
    assert page.locator("#rows tr.chosen").count() == 1
    costs = [float(cell) for cell in page.locator("#rows td:nth-child(2)").all_inner_texts()]
    assert costs == sorted(costs, reverse=True)


def test_keys_pick_reject_and_move(open_page):
    page = open_page()
    drop(page, {name: FILES[name] for name in ("a.jpg", "b.jpg", "c.jpg")})
    page.keyboard.press("p")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("x")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("P")
    assert marked(page) == {"a.jpg": "pick", "b.jpg": "reject", "c.jpg": "pick"}
    page.keyboard.press("u")
    page.keyboard.press("ArrowLeft")
    assert page.locator("#name").inner_text() == "b.jpg"
    assert marked(page)["c.jpg"] == ""
    assert page.locator("[data-mark=reject]").get_attribute("aria-pressed") == "true"
    for key, name in (("o", "outlined"), ("d", "dimmed")):
        before = name in page.locator("#regions").get_attribute("class")
        page.keyboard.press(key)
        assert (name in page.locator("#regions").get_attribute("class")) is not before
    page.keyboard.press("?")
    assert page.locator("#help").is_visible()
    page.locator("#filter").select_option("pick")
    assert list(marked(page)) == ["a.jpg"]


def test_bursts_mark_the_best_and_reject_the_others(open_page):
    page = open_page()
    drop(page, {name: FILES[name] for name in ("c.jpg", "b.jpg", "a.jpg")})
    page.keyboard.press("b")
    assert page.locator("#sheet h3").first.inner_text().startswith("Burst of 2")
    (best,) = page.locator("#sheet li", has=page.locator(".best")).all()
    scores = {
        b.locator(".label").inner_text(): float(b.locator(".score").inner_text().split()[0])
        for b in page.locator("#sheet section").first.locator("button:has(.label)").all()
    }
    assert set(scores) == {"a.jpg", "b.jpg"}
    assert best.locator(".label").inner_text() == max(scores, key=scores.get)
    page.get_by_text("Pick the best, reject the others").click()
    assert sorted(marked(page).values()) == ["", "pick", "reject"]


def test_pictures_of_no_burst_stand_in_one_grid_below_the_bursts(open_page):
    page = open_page()
    others = {f"{seed}.jpg": photo(seed, taken=f"2024:05:06 1{seed}:00:00") for seed in (2, 4, 5)}
    drop(page, {"a.jpg": FILES["a.jpg"], "b.jpg": FILES["b.jpg"], **others})
    page.keyboard.press("b")
    burst, single = page.locator("#sheet section").all()
    assert burst.locator("h3").inner_text().startswith("Burst of 2")
    assert single.locator("h3").inner_text() == "Single pictures"
    assert single.locator("ol").count() == 1
    assert single.locator(".label").all_inner_texts() == list(others)
    assert single.locator("h3 button").count() == 0
    page.keyboard.press("b")
    assert page.locator("#sheet h3").count() == 0
    assert page.locator("#sheet li").count() == 5


def test_the_picked_list_is_exported(open_page):
    page = open_page()
    drop(page, {name: FILES[name] for name in ("a.jpg", "c.jpg")})
    page.keyboard.press("p")
    with page.expect_download() as download:
        page.locator("#list").click()
    assert download.value.path().read_text() == "a.jpg\n"
    with page.expect_download() as download:
        page.locator("#csv").click()
    lines = download.value.path().read_text().splitlines()
    assert lines[0] == "path,mark,status,score,quality,word,worst_cost,reason"
    assert [line.split(",")[:3] for line in lines[1:]] == [
        ["a.jpg", "picked", "ok"],
        ["c.jpg", "", "ok"],
    ]


def test_a_folder_is_read_with_its_folders(open_page, tmp_path):
    page = open_page()
    for name in ("in/a.jpg", "in/deep/c.jpg", "in/.hidden.jpg", "in/notes.txt"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(FILES.get(path.name, b"x"))
    page.locator("#folder").set_input_files(tmp_path / "in")
    expect(page.locator("#status")).to_contain_text("2 of 2 scored", timeout=60_000)
    assert set(marked(page)) == {"in/a.jpg", "in/deep/c.jpg"}
    assert "2 skipped" in page.locator("#status").inner_text()


def test_it_works_on_a_phone(open_page):
    page = open_page(**PHONE)
    drop(page, {name: FILES[name] for name in ("a.jpg", "b.jpg")})
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    page.locator("[data-mark=pick]").tap()
    page.locator("[data-step='1']").tap()
    assert page.locator("#name").inner_text() == "b.jpg"
    page.locator("[data-mark=reject]").tap()
    assert marked(page) == {"a.jpg": "pick", "b.jpg": "reject"}
    page.locator("#rows tr button").first.tap()
    assert page.locator("#hovered").inner_text().startswith("Region ")
    for button in page.locator("#marks button").all():
        assert button.bounding_box()["height"] >= 44


def test_dark_mode_is_remembered(open_page):
    page = open_page(color_scheme="light")
    paper = "getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(paper) == "rgb(255, 255, 255)"
    page.locator("#theme").click()
    assert page.evaluate(paper) == "rgb(20, 22, 26)"
    page.reload()
    assert page.evaluate(paper) == "rgb(20, 22, 26)"
    assert open_page(color_scheme="dark").evaluate(paper) == "rgb(20, 22, 26)"


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("options", [{}, PHONE], ids=["desktop", "phone"])
def test_axe_finds_nothing_serious(open_page, options, scheme):
    """Empty, with a picture and its regions, with bursts and keys, and with what asks the token."""
    page = open_page(color_scheme=scheme, **options)
    assert serious_findings(page) == []
    drop(page, FILES)
    page.locator("#rows tr button").first.click()
    page.locator("[data-mark=pick]").click()
    assert serious_findings(page) == []
    page.locator("#sheet li button", has_text="bad.png").click()
    page.locator("[data-mark=reject]").click()
    page.keyboard.press("b")
    page.keyboard.press("?")
    assert serious_findings(page) == []
    page.evaluate("document.querySelector('#ask').showModal()")
    assert serious_findings(page) == []


def test_everything_that_can_be_used_has_a_name(open_page):
    page = open_page()
    drop(page, {"a.jpg": FILES["a.jpg"]})
    names = page.evaluate(
        """() => [...document.querySelectorAll("a, button, select, input")]
            .map((one) => (one.getAttribute("aria-label") || one.labels?.[0]?.innerText
                || one.textContent).trim())"""
    )
    assert len(names) > 15
    assert all(names)


def test_a_service_with_a_token_takes_it_from_the_address(browser, tmp_path_factory):
    from tests.support.pipeline import made

    token = "0123456789abcdef"
    folder = made(tmp_path_factory) / "train/tiny.full/split-00"
    with service("--workers=1", "--checkpoint", folder, RSFIQA_TOKEN=token) as guarded:
        page = browser.new_page()
        page.goto(f"{guarded.url}/#token={token}")
        expect(page).to_have_url(f"{guarded.url}/")
        drop(page, {"a.jpg": FILES["a.jpg"]})
        assert page.locator("#status").inner_text().startswith("1 of 1 scored")
        page.close()
        page = browser.new_context().new_page()
        page.goto(guarded.url)
        data = [{"name": "a.jpg", "data": base64.b64encode(FILES["a.jpg"]).decode()}]
        page.evaluate(DROP, data)
        page.locator("#token").fill(token)
        page.locator("#ask button").click()
        expect(page.locator("#status")).to_contain_text("1 of 1 scored", timeout=60_000)
        page.close()


def test_the_interface_is_shown(browser, running):
    page = browser.new_page()
    requests: list[str] = []
    page.on("request", lambda request: requests.append(request.url))
    page.goto(f"{running.url}/docs")
    page.get_by_text("/score/batch").first.wait_for()
    own = (running.url, "data:", "blob:")
    assert [url for url in requests if not url.startswith(own)] == []
    assert json.dumps(requests).count("openapi.json") == 1
    page.close()
