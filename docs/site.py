"""Hooks of the site: documents outside docs are pages too, and no link leads out of the site.

A link to a file that is no page goes to the repository, if pyproject.toml names it as Source.
"""

import sys
from os.path import relpath
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from mkdocs.structure.pages import Page

sys.path.insert(0, str(Path(__file__).resolve().parent))
from links import ROOT, absolute, rewrite, source_url

OUTSIDE = {  # page by path in the repository
    "README.md": "index.md",
    "CHANGELOG.md": "changelog.md",
    "CONTRIBUTING.md": "contributing.md",
    "SECURITY.md": "security.md",
    "rsfiqa/packaged/MODEL_CARD.md": "model-card.md",
}


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Add the documents outside docs."""
    for path, page in OUTSIDE.items():
        content = (ROOT / path).read_text("utf-8")
        files.append(File.generated(config, page, content=content))
    return files


def on_page_markdown(markdown: str, page: Page, files: Files, **_: Any) -> str:
    """Point the links of a page to pages, or to the repository."""
    own = page.file.src_uri
    paths = {page: path for path, page in OUTSIDE.items()}
    folder = Path(paths.get(own, f"docs/{own}")).parent.as_posix()
    outer = absolute(source_url())

    def address(path: str, image: bool) -> str | None:
        inner = OUTSIDE.get(path, path.removeprefix("docs/") if path.startswith("docs/") else "")
        for name in (inner, f"{inner}/README.md"):
            if files.get_file_from_path(name):
                return relpath(name, Path(own).parent)
        return outer(path, image)

    return rewrite(markdown, folder, address)
