"""Pages as a browser would read them."""

import base64
import io
import re
from html.parser import HTMLParser

import numpy as np
from PIL import Image


class Page(HTMLParser):
    """Tags of a page with their attributes, runs of text, and code."""

    def __init__(self, source: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[str] = []  # every run of text
        self.code = ""  # of scripts and styles
        self.feed(source)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        if self.cdata_elem:
            self.code += data
        self.texts.append(data)

    def all(self, tag: str, **attributes: str | None) -> list[dict[str, str | None]]:
        """Attributes of the elements of a kind that have these."""
        return [
            found
            for name, found in self.tags
            if name == tag and all(found.get(key) == value for key, value in attributes.items())
        ]


def cells(html: str) -> list[list[str]]:
    """The texts of the rows of all tables in a piece of a page."""
    rows = re.findall(r"<tr.*?</tr>", html, re.DOTALL)
    return [
        [
            re.sub(r"<[^>]*>", "", cell).strip()
            for cell in re.findall(r"<t[hd]\b.*?</t[hd]>", row, re.DOTALL)
        ]
        for row in rows
    ]


def section(html: str, name: str) -> str:
    """The section of a page with this identifier."""
    match = re.search(rf'<section id="{name}".*?</section>', html, re.DOTALL)
    assert match
    return match[0]


def decode(uri: str) -> tuple[str, np.ndarray]:
    """Kind and pixels of a data URI."""
    match = re.fullmatch(r"data:(image/\w+);base64,([A-Za-z0-9+/=]+)", uri)
    assert match
    kind, data = match.groups()
    image = Image.open(io.BytesIO(base64.b64decode(data)))
    return kind, np.asarray(image.convert("RGBA") if image.mode == "P" else image)


def rings(path: str) -> list[np.ndarray]:
    """The closed borders of SVG path data."""
    assert re.fullmatch(r"(M[\d. ]+(L[\d. ]+)+Z)*", path)
    found = [part.replace("M", "").split("L") for part in path.split("Z")[:-1]]
    return [np.array([[float(x) for x in point.split()] for point in ring]) for ring in found]
