"""The page of a scored folder: distribution, folders, pictures with regions, failures."""

from collections import Counter, defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rsfiqa.checkpoints import PACKAGED, label_of, read_card
from rsfiqa.errors import InputError
from rsfiqa.io.checksum import sha256_of
from rsfiqa.products import score_tables
from rsfiqa.products.paths import card_path, checkpoints_in
from rsfiqa.products.scores import Row, check_label
from rsfiqa.report import page, record
from rsfiqa.report.dataset import DataSet, is_pseudo
from rsfiqa.report.record import Failure
from rsfiqa.report.scored_pictures import LoadScorer, Paths, scored_pictures
from rsfiqa.scale import MosScale

SUFFIXES = (".html", ".htm")  # of the page; a table or a picture is never replaced by it
MAX_FOLDERS = 100  # rows of the table of folders, the worst ones
MAX_WORST = 50  # rows of the table of pictures


@dataclass(frozen=True)
class Folder:
    """Scores of the pictures of one folder; None if none could be scored."""

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
    title: str,
    load_scorer: LoadScorer,
    packaged: Path = PACKAGED,
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
        title: of the page.
        load_scorer: loads the scorer of a checkpoint's folder.
        packaged: folder of the packaged checkpoint, searched last.

    Raises:
        InputError: not a table of scores, an empty one, or one of another checkpoint.
    """
    target = output or scores.with_suffix(".html")
    check_output(target, given=output is not None)
    rows = read(scores)
    label = rows[0]["checkpoint"]
    folder = _checkpoint_folder(scores, label, checkpoint, [*checkpoints_in(trained), packaged])
    dataset, paths = _dataset(rows[0]), Paths.of(rows, scores.parent)
    ok = [row for row in rows if row["status"] == "ok"]
    values = np.array([row["score"] for row in ok])
    scorer = load_scorer(folder) if folder is not None and ok and images else None
    folders = _folders(rows, paths, dataset)
    experiments = [record.read_experiment(folder.parent.name, [folder])] if folder else []
    page.write(
        target,
        "scores.html.jinja",
        title=title,
        grouped="Folder",
        table=scores.name,
        digest=sha256_of(scores),
        label=label,
        dataset=dataset,
        values=values,
        flags=_count_flags(ok),
        histogram=_histogram(values, dataset),
        folders=folders[:MAX_FOLDERS],
        more=max(0, len(folders) - MAX_FOLDERS),
        worst=[(paths.name(row), row) for row in _worst_first(ok, dataset)[:MAX_WORST]],
        computed=folder is not None,
        pictures=scored_pictures(ok, scorer, dataset, paths, images),
        failures=[_failure(row, paths) for row in rows if row["status"] != "ok"],
        experiments=experiments,
        settings=record.read_settings(experiments),
        times=[],
    )
    median = f", median {np.median(values):.{dataset.digits}f} ({dataset.scale})" if ok else ""
    return f"{len(ok)} of {len(rows)} pictures scored{median}\nReport: {target}"


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
        InputError: another kind of file, missing, damaged, of another schema, empty, or of several
            checkpoints.
    """
    rows = list(score_tables.read(path))
    if not rows:
        raise InputError(f"{path}: must hold a row at least, found none; score some pictures")
    for row in rows:
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


def _count_flags(ok: Sequence[Row]) -> dict[str, int]:
    """Number of pictures with each flag, by name."""
    flags = Counter(flag for row in ok for flag in row["flags"] or [])
    return {flag: flags[flag] for flag in sorted(flags)}


def _histogram(values: np.ndarray, dataset: DataSet) -> str:
    if not len(values):
        return ""
    from rsfiqa.report import plots  # matplotlib takes half a second to import

    return plots.histogram(values, dataset)


def _folders(rows: Sequence[Row], paths: Paths, dataset: DataSet) -> list[Folder]:
    """All folders, the one with the worst median first, those without a score last."""
    parts: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        parts[paths.source(row)].append(row)
    folders = [_folder(name, part, dataset) for name, part in parts.items()]
    sign = -1 if dataset.scale.lower_better else 1
    return sorted(folders, key=lambda f: (f.median is None, sign * (f.median or 0), f.name))


def _folder(name: str, rows: Sequence[Row], dataset: DataSet) -> Folder:
    ok = _worst_first([row for row in rows if row["status"] == "ok"], dataset)
    values = [row["score"] for row in ok]
    worst, median, best = (
        (values[0], float(np.median(np.array(values))), values[-1])
        if values
        else (None, None, None)
    )
    return Folder(name, len(rows), len(rows) - len(ok), worst, median, best)
