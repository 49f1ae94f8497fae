"""The page of a scored folder: distribution, folders, pictures with regions, failures."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tqdm import tqdm

from rsfiqa.checkpoints import PACKAGED, label_of, read_card
from rsfiqa.errors import InputError
from rsfiqa.io.checksum import sha256_of
from rsfiqa.products import region_scores, score_tables, severities
from rsfiqa.products.paths import card_path, checkpoints_in
from rsfiqa.products.scores import Row, check_label
from rsfiqa.report import page, pages, record, thumbnails
from rsfiqa.report.dataset import DataSet, is_pseudo
from rsfiqa.report.listing import (
    as_json,
    content,
    count_problems,
    histogram,
    problems_of,
)
from rsfiqa.report.record import Failure
from rsfiqa.report.scored_pictures import LoadScorer, Paths, address, scored_pictures
from rsfiqa.report.thumbnails import Thumbnail
from rsfiqa.scale import MosScale

SUFFIXES = (".html", ".htm")  # of the page; a table or a picture is never replaced by it
MAX_FOLDERS = 100  # rows of the table of folders, the worst ones
MAX_WORST = 50  # rows of the table of pictures, which a page without script shows
MAX_THUMBNAILS = 1000  # in a single file, the worst pictures; they take up to 25 MB


@dataclass(frozen=True)
class Folder:
    """Scores of the pictures of one folder, within the scale; None if none could be scored."""

    name: str
    pictures: int
    failed: int
    worst: float | None
    median: float | None
    best: float | None


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
) -> str:
    """Write the page of a table of scores; returns a summary of a few lines.

    Pictures are read again from their paths. With the checkpoint that scored them, their regions
    and attention are computed again; without it, the box of the worst region is shown.

    Args:
        scores: table that the score stage wrote; others may have filtered or extended it.
        output: file of the page; by default beside the table.
        checkpoint: folder of the checkpoint that scored them; None to search for it.
        trained: folder of experiments to search.
        images: largest number of pictures.
        title: of the page; None for the folder of the pictures.
        load_scorer: loads the scorer of a checkpoint's folder.
        packaged: folder of the packaged checkpoint, searched last.
        folder: to be written instead of a single file: the page, thumbnails of all pictures, and
            pages that list them.

    Raises:
        InputError: not a table of scores, an empty one, or one of another checkpoint.
    """
    target = _target(scores, output, folder)
    rows = read(scores)
    label = rows[0]["checkpoint"]
    dataset, paths = _dataset(rows[0]), Paths.of(rows, scores.parent)
    ok = _worst_first([row for row in rows if row["status"] == "ok"], dataset)
    failed = [row for row in rows if row["status"] != "ok"]
    ordered = [*ok, *failed]
    used = _checkpoint_folder(scores, label, checkpoint, [*checkpoints_in(trained), packaged])
    whole = any(row["inside"] is None for row in ok)  # of a given region the table alone tells
    scorer = load_scorer(used) if used is not None and whole and images else None
    place = target.absolute().parent
    pictures = scored_pictures(ok, scorer, dataset, paths, count=images, page=place)
    small = _thumbnails(ordered, paths, folder)
    severe = _severities(scores, label)
    problems = [problems_of(row, severe.get(row["location"])) for row in ordered]
    folders = _folders(rows, paths, dataset)
    experiments = [record.read_experiment(used.parent.name, [used])] if used else []
    values = np.array(_values(ok, dataset))
    name = title or Path(paths.base).name or paths.base
    page.write(
        target,
        "scores.html.jinja",
        title=name,
        stem=scores.stem,
        grouped="Folder",
        table=scores.name,
        digest=sha256_of(scores),
        label=label,
        dataset=dataset,
        values=values,
        bars=histogram(ok, dataset.scale),
        problems=count_problems(problems),
        total=len(rows),
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
            problems=problems,
            thumbnails=small,
            beside=pages.THUMBNAILS if folder else "",
        ),
        thumbs="[]" if folder else as_json([one.source if one else None for one in small]),
        failures=[_failure(row, paths) for row in failed],
        experiments=experiments,
        settings=record.read_settings(experiments),
        times=[],
    )
    median = f", median {np.median(values):.{dataset.digits}f} ({dataset.scale})" if ok else ""
    return f"{len(ok)} of {len(rows)} pictures scored{median}\nReport: {target}"


def _target(scores: Path, output: Path | None, folder: Path | None) -> Path:
    """The file of the page, checked.

    Raises:
        InputError: it cannot be the page, or the folder holds something else.
    """
    if folder is not None:
        pages.check_folder(folder)
        return folder / "index.html"
    target = output or scores.with_suffix(".html")
    check_output(target, given=output is not None)
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
    """Severities of families by location, where the table of regions is beside that of scores."""
    path = region_scores.regions_path(scores)
    return severities.read(path, label) if path is not None and path.is_file() else {}


def check_output(output: Path, *, given: bool) -> None:
    """Reject a file that cannot be the page, so that it replaces no input.

    Args:
        output: of the page.
        given: by name; else it replaces earlier pages only.

    Raises:
        InputError: another suffix, a folder, or a file of somebody's own.
    """
    if output.suffix.lower() not in SUFFIXES:
        raise InputError(f"{output}: must end in {' or '.join(SUFFIXES)}; give such a name")
    if output.is_dir():
        raise InputError(f"{output}: must be a file, found a folder; give another name")
    if not given and output.is_file() and page.WRITTEN not in output.read_bytes():
        raise InputError(
            f"{output}: must be an earlier page, found another file; name the page with -o"
        )


def read(path: Path) -> list[Row]:
    """The rows of a table of scores, at least one.

    Raises:
        InputError: another kind of file, missing, damaged, of another schema, empty, of several
            checkpoints, or with a location or a range that cannot be.
    """
    rows = list(score_tables.read(path))
    if not rows:
        raise InputError(f"{path}: must hold a row at least, found none; score some pictures")
    for number, row in enumerate(rows, 1):
        if not Path(row["location"]).is_absolute():
            raise InputError(
                f"{path}: location must be an absolute path, found {row['location']!r} in row"
                f" {number}; keep the column as rsfiqa score wrote it"
            )
        if not row["low"] < row["high"]:
            raise InputError(
                f"{path}: low must be below high, found {row['low']:g} and {row['high']:g} in row"
                f" {number}; keep the columns as rsfiqa score wrote them"
            )
        check_label(
            path, row["checkpoint"], rows[0]["checkpoint"], "filter the table by checkpoint"
        )
    return rows


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
    scale = MosScale(row["low"], row["high"], row["direction"] == "lower")
    pseudo = any(is_pseudo(part) for part in name.split("+"))
    return DataSet(name, None, scale, "pseudo-MOS" if pseudo else "")


def _failure(row: Row, paths: Paths) -> Failure:
    source = paths.source(row)
    return Failure(source, source, paths.name(row), "score", row["reason"] or "")


def _worst_first(ok: Sequence[Row], dataset: DataSet) -> list[Row]:
    """Sorted from worst to best score, equal scores by path."""
    sign = -1 if dataset.scale.lower_better else 1
    return sorted(ok, key=lambda row: (sign * (row["score"] or 0), row["path"]))


def _folders(rows: Sequence[Row], paths: Paths, dataset: DataSet) -> list[Folder]:
    """All folders, the one with the worst median first, those without a score last."""
    parts: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        parts[paths.source(row)].append(row)
    folders = [_folder(name, part, dataset) for name, part in parts.items()]
    sign = -1 if dataset.scale.lower_better else 1
    return sorted(folders, key=lambda f: (f.median is None, sign * (f.median or 0), f.name))


def _values(ok: Sequence[Row], dataset: DataSet) -> list[float]:
    """The scores, within the scale."""
    return [dataset.scale.clip(row["score"]) for row in ok if row["score"] is not None]


def _folder(name: str, rows: Sequence[Row], dataset: DataSet) -> Folder:
    ok = _worst_first([row for row in rows if row["status"] == "ok"], dataset)
    values = _values(ok, dataset)
    worst, median, best = (
        (values[0], float(np.median(np.array(values))), values[-1])
        if values
        else (None, None, None)
    )
    return Folder(name, len(rows), len(rows) - len(ok), worst, median, best)
