"""A page in a folder: thumbnails as files, and pages that list all pictures without a script."""

import os
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from rsfiqa.errors import InputError
from rsfiqa.io.atomic import is_partial
from rsfiqa.products.scores import Row
from rsfiqa.report import page, thumbnails
from rsfiqa.report.dataset import DataSet
from rsfiqa.report.scored_pictures import Paths, address
from rsfiqa.report.thumbnails import Thumbnail

THUMBNAILS, PAGES = "thumbnails", "pages"
ROWS = 500  # of a page of the list


def check_folder(folder: Path) -> None:
    """Reject a folder that holds something else, so that nothing of it is replaced or removed.

    Raises:
        InputError: a file, or a folder with other content than that of an earlier page.
    """
    if folder.exists() and not folder.is_dir():
        raise InputError(f"{folder}: must be a folder, found a file; give another name")
    if not folder.is_dir():
        return
    found = sorted(one.name for one in folder.iterdir())
    index = folder / "index.html"
    is_ours = index.is_file() and page.WRITTEN in index.read_bytes()
    others = [] if is_ours else [name for name in found if not _is_of_interrupted(name, index)]
    if others:
        raise InputError(
            f"{folder}: must be empty or hold an earlier page, found {others[0]}; give another name"
        )


def _is_of_interrupted(name: str, index: Path) -> bool:
    """Whether a run that was interrupted before the index was there leaves such a file."""
    return name in (THUMBNAILS, PAGES) or is_partial(name, index)


def thumbnail_files(folder: Path, sources: Sequence[Path]) -> Iterator[Thumbnail | None]:
    """Thumbnails below the folder; those of an earlier run are used again, others removed.

    Args:
        folder: of the page.
        sources: files of the pictures.
    """
    below = folder / THUMBNAILS
    known = {
        f"{part.name}/{one.name}" for part in _subfolders(below) for one in os.scandir(part.path)
    }
    used = set()
    below.mkdir(parents=True, exist_ok=True)
    for thumbnail in thumbnails.files(below, sources, known.__contains__):
        used.add(thumbnail.source if thumbnail else "")
        yield thumbnail
    for name in known - used:
        (below / name).unlink()


def _subfolders(folder: Path) -> list[os.DirEntry[str]]:
    return [one for one in os.scandir(folder) if one.is_dir()] if folder.is_dir() else []


def write(
    folder: Path,
    rows: Sequence[Row],
    dataset: DataSet,
    paths: Paths,
    *,
    small: Sequence[Thumbnail | None],
    title: str,
    length: int = ROWS,
) -> int:
    """Write the pages of the list; returns their number.

    Args:
        folder: of the page.
        rows: of all pictures, in the order of the page.
        dataset: gives the units of the scores.
        paths: names the pictures.
        small: their thumbnails.
        title: of the page.
        length: number of pictures on a page.
    """
    below = folder.absolute() / PAGES
    below.mkdir(parents=True, exist_ok=True)
    items = zip(rows, small, strict=True)
    parts = [list(islice(items, length)) for _ in range(0, len(rows), length)]
    for number, part in enumerate(parts, 1):
        page.write(
            below / f"{number:04}.html",
            "list.html.jinja",
            title=title,
            dataset=dataset,
            number=number,
            count=len(parts),
            first=1 + length * (number - 1),
            thumbnails=THUMBNAILS,
            items=[
                (paths.name(row), address(paths.file(row), below), row, thumbnail)
                for row, thumbnail in part
            ],
            failures=[],
        )
    for old in below.glob("*.html"):
        if not 1 <= int(old.stem if old.stem.isdecimal() else 1) <= len(parts):
            old.unlink()
    return len(parts)
