"""docs/report.png: the demo run's page with its first table and a picture, shortened."""

import io
import shutil
import sys
from pathlib import Path

from PIL import Image
from playwright.sync_api import Page, sync_playwright

SIZE = {"width": 1240, "height": 900}
COLORS = 256  # of the PNG, which stays below 400 kB by it
LEFT_OUT = """#ablation, #plots, #failures, #run-record, footer, #pictures > p, .viewer > details,
.sheet li:nth-last-child(n + 10), .regions tbody tr:nth-child(n + 6)"""
CHOSEN = """() => {
    document.querySelector("button[data-overlay=cost]").click();
    const links = [...document.querySelectorAll(".sheet a")];
    const known = /(astronaut|chelsea|china|coffee|flower)_noise/; // of which the test part has one
    links.findLast((link) => known.test(link.textContent)).click();
}"""


def main(source: Path, output: Path) -> None:
    """Write a picture of a page.

    Args:
        source: of the page.
        output: PNG.
    """
    chromium = shutil.which("chromium")
    if chromium is None:
        sys.exit("screenshot: needs chromium on PATH, found none; apt-get install chromium")
    with sync_playwright() as running:
        browser = running.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        page = browser.new_page(viewport=SIZE, color_scheme="light")
        page.goto(source.resolve().as_uri())
        shot = picture_of(page)
        browser.close()
    with Image.open(io.BytesIO(shot)) as image:
        opaque = image.convert("RGB")
        colors = opaque.quantize(COLORS, kmeans=3)
        dither = Image.Dither.FLOYDSTEINBERG
        opaque.quantize(palette=colors, dither=dither).save(output, optimize=True)


def picture_of(page: Page) -> bytes:
    """The page as PNG, without what `LEFT_OUT` names."""
    page.add_style_tag(content=f"{LEFT_OUT} {{ display: none }} .top {{ position: static }}")
    page.evaluate(CHOSEN)
    page.wait_for_timeout(500)  # until what was decoded is drawn
    return page.screenshot(full_page=True)


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
