"""The system's Chromium, driven by Playwright, and what a page says and asks for in it."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")
needs_chromium = pytest.mark.skipif(
    CHROMIUM is None, reason="needs a chromium on PATH: apt-get install chromium"
)


@contextmanager
def chromium() -> Iterator["Browser"]:
    playwright = pytest.importorskip("playwright.sync_api", reason="needs the extra dev")
    with playwright.sync_playwright() as running:
        # a container's root has no sandbox
        started = running.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield started
        started.close()


class Noise:
    """Messages, errors, dialogs and requests of a page."""

    def __init__(self, page: "Page") -> None:
        self.messages: list[str] = []
        self.requests: list[str] = []
        page.on("console", lambda message: self.messages.append(message.text))
        page.on("pageerror", lambda error: self.messages.append(str(error)))
        page.on("dialog", lambda dialog: self.messages.append(dialog.message))
        page.on("request", lambda request: self.requests.append(request.url))


def serious_findings(page: "Page") -> list[str]:
    """What axe finds serious or critical about the accessibility of a page, as it stands now."""
    axe = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs the extra dev")
    return [
        f"{found['id']}: {node['html'][:120]}"
        for found in axe.Axe().run(page).response["violations"]
        if found["impact"] in ("serious", "critical")
        for node in found["nodes"]
    ]
