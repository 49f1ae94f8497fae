"""How fast the page of a scored folder opens and filters in Chromium, and how large it is."""

import os
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from benchmarks.curate.work import Work, rsfiqa
from rsfiqa.images.location import file_state
from rsfiqa.products import score_tables
from rsfiqa.products.scores import Row, failed_row
from rsfiqa.scale import MosScale
from rsfiqa.vocabulary import RATINGS

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

ROWS, FOLDER_ROWS = 10_000, 100_000
FILES = 100  # different photographs; the others are links to them
SIDE, FOLDER_SIDE = 640, 192  # pixels
LABEL = "synthetic 0123456789ab"
REPEATS = 5
WORDS = ("strong noise", "clear motion blur", "slight haze", "extreme defocus blur")
# From a change of a filter until the next frame is drawn, milliseconds.
FILTER = """async ([selector, value]) => {
    const field = document.querySelector(selector);
    const started = performance.now();
    field.value = value;
    field.dispatchEvent(new Event("input"));
    await new Promise((done) => requestAnimationFrame(() => setTimeout(done)));
    return performance.now() - started;
}"""
FILTERS = (
    ("[data-state='q']", "123"),
    ("[data-state='q']", ""),
    ("[data-state='score.1']", "40"),
    ("[data-state='score.1']", ""),
    ("[data-state='sort']", "blur"),
    ("[data-state='sort']", "worst"),
)


def measure(_work: Work) -> Mapping[str, float]:
    """Seconds to write, open and filter a page of 10,000 rows and a folder of 100,000."""
    chromium = shutil.which("chromium")
    if chromium is None:
        print("page: skipped, needs chromium on PATH", file=sys.stderr)
        return {}
    from playwright.sync_api import sync_playwright

    with tempfile.TemporaryDirectory() as name, sync_playwright() as running:
        browser = running.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        folder = Path(name)
        write_pictures(folder / "pictures", ROWS, SIDE)
        write_pictures(folder / "small", FOLDER_ROWS, FOLDER_SIDE)
        single = _measured(browser, folder / "pictures", ROWS, "page", "-o", folder / "page.html")
        several = _measured(
            browser, folder / "small", FOLDER_ROWS, "page_folder", "--folder", folder / "page"
        )
        browser.close()
        size = (folder / "page.html").stat().st_size
    return {**single, **several, "page_mb": size / 1e6}


def _measured(
    browser: "Browser", pictures: Path, count: int, name: str, *output: str | Path
) -> dict[str, float]:
    table = pictures.with_name(f"{name}.parquet")
    score_tables.write(table, rows(pictures, count), LABEL)
    started = time.perf_counter()
    rsfiqa("report", "--scores", table, "--images", "0", *output)
    written = time.perf_counter() - started
    page = Path(output[1]) if output[0] == "-o" else Path(output[1]) / "index.html"
    opened, filtered = zip(*(_visit(browser, page) for _ in range(REPEATS)), strict=True)
    return {
        f"{name}_rows": count,
        f"{name}_write_s": written,
        f"{name}_open_s": statistics.median(opened),
        f"{name}_filter_s": max(filtered),
    }


def _visit(browser: "Browser", path: Path) -> tuple[float, float]:
    """Seconds until the list is drawn, and of the slowest filter."""
    page = browser.new_page(viewport={"width": 1280, "height": 900})
    started = time.perf_counter()
    page.goto(path.as_uri())
    page.wait_for_selector("#list .item img")
    opened = time.perf_counter() - started
    slowest = max(_filter(page, *given) for given in FILTERS)
    page.close()
    return opened, slowest


def _filter(page: "Page", selector: str, value: str) -> float:
    milliseconds: float = page.evaluate(FILTER, [selector, value])
    return milliseconds / 1000


def write_pictures(folder: Path, count: int, side: int) -> None:
    """JPEG files of a width in pixels, with the detail of photographs, in ten folders."""
    random = np.random.default_rng(0)
    for i in range(count):
        path = folder / f"part-{i % 10}" / f"{i:06}.jpg"
        path.parent.mkdir(parents=True, exist_ok=True)
        if i < FILES:
            coarse = random.integers(0, 256, (12, 16, 3)).astype(np.uint8)
            smooth = cv2.resize(coarse, (side, side * 3 // 4), interpolation=cv2.INTER_CUBIC)
            noisy = smooth + random.normal(0, 12, smooth.shape)
            cv2.imwrite(str(path), np.clip(noisy, 0, 255).astype(np.uint8))
        else:
            first = i % FILES
            os.link(folder / f"part-{first % 10}" / f"{first:06}.jpg", path)


def rows(folder: Path, count: int) -> Iterator[Row]:
    """Rows of the pictures, with scores and reasons drawn at random."""
    random = np.random.default_rng(0)
    for path in sorted(folder.rglob("*.jpg"))[:count]:
        score = float(random.beta(4, 2) * 100)
        known = failed_row(str(path), file_state(str(path)), MosScale(0, 100), LABEL)
        yield {
            **known,
            "score": score,
            "quality": score / 100,
            "worst_box": [10, 10, 200, 150],
            "worst_caption": f"A bright green area with {random.choice(WORDS)}. Overall fair.",
            **{f"worst_{name}": float(random.uniform(1, 5)) for name in RATINGS},  # type: ignore[typeddict-item]
            "worst_score": score / 2,
            "worst_weight": 0.25,
            "worst_cost": float(random.uniform(1, 9)),
            "status": "ok",
        }
