"""The page of a scored folder: distribution, folders, pictures with regions, failures."""

import hashlib
import os
from collections.abc import Iterator, Sequence
from itertools import chain
from pathlib import Path

import numpy as np
from tqdm import tqdm

from rsfiqa.checkpoints import PACKAGED, label_of, read_card
from rsfiqa.errors import InputError
from rsfiqa.io.checksum import sha256_of
from rsfiqa.io.folders import check_folder
from rsfiqa.products import region_scores, score_tables, severities
from rsfiqa.products.paths import card_path, checkpoints_in
from rsfiqa.products.scores import Row, check_label, check_place, scale_of
from rsfiqa.report import page, pages, record, thumbnails
from rsfiqa.report.dataset import DataSet, is_pseudo
from rsfiqa.report.listing import as_json, content, histogram, problems_of
from rsfiqa.report.overview import MAX_LISTED, Overview
from rsfiqa.report.pictures import SCORED_KINDS
from rsfiqa.report.record import Failure
from rsfiqa.report.scored_pictures import LoadScorer, Paths, address, scored_pictures
from rsfiqa.report.thumbnails import Thumbnail

SUFFIXES = (".html", ".htm")  # of the page; a table or a picture is never replaced by it
MAX_FOLDERS = 100  # rows of the table of folders, the worst ones
MAX_WORST = 50  # rows of the table of pictures, which a page without script shows
MAX_THUMBNAILS = 1000  # in a single file, the worst pictures; they take up to 25 MB


def run(
    scores: Path,
    *,
    output: Path | None,
    checkpoint: Path | None,
    trained: Path,
    images: int,
    title: str | None,
    load_scorer: LoadScorer,
    packaged: Path = PACKAGED,
    folder: Path | None = None,
    most: int = MAX_LISTED,
) -> str:
    """Write the page of a table of scores; returns a summary of a few lines.

    Pictures are read again from their paths. With the checkpoint that scored them, their regions
    and attention are computed again; without it, the box of the worst region is shown.

    Args:
        scores: table that the score stage wrote; others may have filtered or extended it. Or a
            folder of such tables, the shards of a run.
        output: file of the page; by default beside the table.
        checkpoint: folder of the checkpoint that scored them; None to search for it.
        trained: folder of experiments to search.
        images: largest number of pictures.
        title: of the page; None for the folder of the pictures.
        load_scorer: loads the scorer of a checkpoint's folder.
        packaged: folder of the packaged checkpoint, searched last.
        folder: to be written instead of a single file: the page, thumbnails of all pictures, and
            pages that list them.
        most: largest number of pictures in the list; of more, the worst ones.

    Raises:
        InputError: not a table of scores, an empty one, or one of another checkpoint.
    """
    scores = Path(os.path.abspath(scores)) if scores.is_dir() else scores  # it may be given as .
    target = _target(scores, output, folder)
    rows = _checked(scores)
    first = next(rows)
    label, dataset = first["checkpoint"], _dataset(first)
    severe = _severities(scores, label)
    overview = Overview.of(chain([first], rows), dataset, most, severe)
    paths, ok = Paths(overview.base, scores.parent), overview.ok
    ordered = [*ok, *overview.failed]
    used = _checkpoint_folder(scores, label, checkpoint, [*checkpoints_in(trained), packaged])
    whole = any(row["inside"] is None for row in ok)  # of a given region the table alone tells
    scorer = load_scorer(used) if used is not None and whole and images else None
    place = target.absolute().parent
    pictures = scored_pictures(ok, scorer, dataset, paths, count=images, page=place)
    small = _thumbnails(ordered, paths, folder)
    folders, values = overview.folders(), overview.values
    experiments = [record.read_experiment(used.parent.name, [used])] if used else []
    name = title or Path(paths.base).name or paths.base
    page.write(
        target,
        "scores.html.jinja",
        title=name,
        stem=scores.stem,
        kinds=SCORED_KINDS,
        table=scores.name,
        digest=_digest(scores),
        label=label,
        dataset=dataset,
        values=values,
        bars=histogram(values, dataset.scale),
        problems=overview.count_problems(),
        total=overview.total,
        listed=len(ok),
        folders=folders[:MAX_FOLDERS],
        more=max(0, len(folders) - MAX_FOLDERS),
        worst=[(paths.name(row), address(paths.file(row), place), row) for row in ok[:MAX_WORST]],
        pages=pages.write(folder, ordered, dataset, paths, small=small, title=name)
        if folder
        else 0,
        computed=scorer is not None,
        found=used is not None,
        inside=next((row["inside"] for row in ok if row["inside"]), None),
        pictures=pictures,
        rows=content(
            ordered,
            dataset,
            paths,
            page=place,
            problems=[problems_of(row, severe.get(row["location"])) for row in ordered],
            thumbnails=small,
            beside=pages.THUMBNAILS if folder else "",
        ),
        thumbs="[]" if folder else as_json([one.source if one else None for one in small]),
        failures=[_failure(row, paths) for row in overview.failed],
        failed=overview.failures,
        experiments=experiments,
        settings=record.read_settings(experiments),
        times=[],
    )
    median = f", median {np.median(values):.{dataset.digits}f} ({dataset.scale})" if ok else ""
    return f"{len(values)} of {overview.total} pictures scored{median}\nReport: {target}"


def _digest(scores: Path) -> str:
    """SHA-256 of a table, or of those of all tables of a folder."""
    if not scores.is_dir():
        return sha256_of(scores)
    digests = map(sha256_of, score_tables.shards(scores))
    return hashlib.sha256("\n".join(digests).encode()).hexdigest()


def _target(scores: Path, output: Path | None, folder: Path | None) -> Path:
    """The file of the page, checked.

    Raises:
        InputError: it cannot be the page, or the folder holds something else.
    """
    if folder is not None:
        pages.check_folder(folder)
        return folder / "index.html"
    target = output or scores.with_suffix(".html")
    check_output(target)
    return target


def _thumbnails(
    rows: Sequence[Row], paths: Paths, folder: Path | None
) -> Sequence[Thumbnail | None]:
    """Thumbnails of all rows as files in a folder, or of the first ones as data URIs."""
    shown = rows if folder else rows[:MAX_THUMBNAILS]
    sources = [paths.file(row) for row in shown]
    made = pages.thumbnail_files(folder, sources) if folder else thumbnails.embedded(sources)
    return list(tqdm(made, "thumbnails", len(sources), unit="image", disable=None))


def _severities(scores: Path, label: str) -> dict[str, dict[str, int]]:
    """Severities of families by location, where the table of regions is beside that of scores.

    None of a folder of tables, whose regions may be more than memory holds.
    """
    if scores.is_dir():
        return {}
    path = region_scores.regions_path(scores)
    return severities.read(path, label) if path is not None and path.is_file() else {}


def check_output(output: Path) -> None:
    """Reject a file that cannot be the page; only an earlier page is replaced.

    Raises:
        InputError: another suffix, a folder, or a file of somebody's own.
    """
    if output.suffix.lower() not in SUFFIXES:
        raise InputError(f"{output}: must end in {' or '.join(SUFFIXES)}; give such a name")
    if output.is_dir():
        raise InputError(f"{output}: must be a file, found a folder; give another name")
    if output.is_file() and (content := output.read_bytes()) and page.WRITTEN not in content:
        raise InputError(
            f"{output}: must be an earlier page, found another file; give another name with -o"
        )
    check_folder(output.parent)


def read(path: Path) -> list[Row]:
    """The rows of a table of scores, or of a folder of such tables, at least one.

    A picture that has several has its first alone.

    Raises:
        InputError: another kind of file, missing, damaged, of another schema, empty, of several
            checkpoints, or with a location or a range that cannot be.
    """
    return list(_checked(path))


def _checked(path: Path) -> Iterator[Row]:
    """As `read`, row by row."""
    label, seen = None, set[str]()
    for table, number, row in _numbered(path):
        if row["location"] in seen:  # as where tables were joined
            continue
        seen.add(row["location"])
        check_place(table, row, number)
        label = label or row["checkpoint"]
        check_label(table, row["checkpoint"], label, "filter the table by checkpoint")
        yield row
    if label is None:
        raise InputError(f"{path}: must hold a row at least, found none; score some pictures")


def _numbered(path: Path) -> Iterator[tuple[Path, int, Row]]:
    """The rows of all tables, with their table and their number in it."""
    tables = score_tables.shards(path) if path.is_dir() else [path]
    if not tables:
        raise InputError(
            f"{path}: must be a table of scores or a folder of tables <shard>.parquet, found"
            " neither; score its pictures first, or give results/<name>/score"
        )
    for table in tables:
        for number, row in enumerate(score_tables.read(table), 1):
            yield table, number, row


def _checkpoint_folder(
    scores: Path, label: str, given: Path | None, candidates: Sequence[Path]
) -> Path | None:
    """The folder of the checkpoint that rows call `label`; None if it is not among the candidates.

    Raises:
        InputError: the given folder holds another checkpoint.
    """
    if given is None:
        digest = label.rpartition(" ")[2]
        folders = [folder for folder in candidates if card_path(folder).is_file()]
        return next((path for path in folders if read_card(path)[1].startswith(digest)), None)
    if (other := label_of(*read_card(given))) != label:
        raise InputError(
            f"{given}: must be the checkpoint of {scores}, {label}, found {other}; give that one"
        )
    return given


def _dataset(row: Row) -> DataSet:
    """The training set of the checkpoint, which gives the units of the scores."""
    name = row["checkpoint"].rpartition(" ")[0]
    scale = scale_of(row)
    pseudo = any(is_pseudo(part) for part in name.split("+"))
    return DataSet(name, None, scale, "pseudo-MOS" if pseudo else "")


def _failure(row: Row, paths: Paths) -> Failure:
    source = paths.source(row)
    return Failure(source, source, paths.name(row), "score", row["reason"] or "")
