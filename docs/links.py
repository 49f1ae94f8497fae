"""Links of the repository's documents, for places that show them without the repository."""

import re
import tomllib
from collections.abc import Callable
from os.path import normpath
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).resolve().parents[1]
LINK = re.compile(
    r"(?P<image>!?)\[(?P<text>(?:[^\[\]]|\[[^\[\]]*\])*)\]"
    r"\((?!\w+:|#)(?P<target>[^)#\s]+)(?P<anchor>#[^)\s]*)?\)"
)


def source_url() -> str | None:
    """The address of the repository, `project.urls.Source` of pyproject.toml, if it has one."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
    url = project.get("urls", {}).get("Source")
    return url and url.rstrip("/")


def rewrite(text: str, folder: str, address: Callable[[str, bool], str | None]) -> str:
    """A document with other link targets.

    Args:
        text: Markdown.
        folder: of the document, relative to the root of the repository; empty for the root.
        address: maps the path of a target, relative to the root of the repository, and whether it
            is shown as an image, to its new address. A link without one becomes its text, and an
            image without one is left out.
    """

    def replaced(link: re.Match[str]) -> str:
        path = normpath(PurePosixPath(folder) / link["target"])
        image = bool(link["image"])
        if (new := address(path, image)) is not None:
            return f"{link['image']}[{link['text']}]({new}{link['anchor'] or ''})"
        return "" if image else link["text"]

    return LINK.sub(replaced, text)


def absolute(url: str | None) -> Callable[[str, bool], str | None]:
    """Addresses of files in a repository at an address; none without one."""

    def address(path: str, image: bool) -> str | None:
        return url and f"{url}/{'raw' if image else 'blob'}/HEAD/{path}"

    return address
