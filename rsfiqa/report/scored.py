"""The page of a scored folder: distribution, folders, pictures with regions, failures."""

import os
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from tqdm import tqdm

from rsfiqa.datasets.registry import DATASETS
from rsfiqa.errors import ImageError, InputError
from rsfiqa.images import load
from rsfiqa.io.checksum import sha256_of
from rsfiqa.io.parquet import read_table
from rsfiqa.products import checkpoints
from rsfiqa.products.checkpoints import label_of
from rsfiqa.products.paths import card_path, checkpoints_in
from rsfiqa.products.scores import SCHEMA, VERSION, Row
from rsfiqa.report import gallery, page, plots, record
from rsfiqa.report.drawing import heat_uri, outlines, photo_uri
from rsfiqa.report.gallery import Picture, Region
from rsfiqa.report.record import DataSet
from rsfiqa.score.scorer import Score, Scorer
from rsfiqa.vocabulary import RATINGS

SHOWN_FOLDERS = 100  # the worst ones
SHOWN_WORST = 50
CHANGED = 1e-3  # share of the range by which a score may differ when it is computed again


@dataclass(frozen=True)
class Folder:
    """What a folder's pictures reach; scores are None where none could be scored."""

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
) -> str:
    """Write the page of a table of scores; returns what it holds in a few lines.

    Pictures are read again from their paths. With the checkpoint their regions and attention are
    computed again; without it the worst region's box is shown.

    Args:
        scores: Parquet, as `score.run` writes it.
        output: of the page; by default beside the table.
        checkpoint: that scored them; None to look for it below `trained`.
        trained: folder of experiments.
        images: shown at most.
        title: of the page.

    Raises:
        InputError: no table of scores, none in it, or another checkpoint than that of the table.
    """
    rows = read(scores)
    folder = checkpoint or _find(trained, rows[0]["checkpoint"])
    scorer = None if folder is None else _scorer(folder, rows[0]["checkpoint"], scores)
    dataset = _dataset(rows[0])
    base = _base(rows)
    scored = [row for row in rows if row["status"] == "ok"]
    values = np.array([row["score"] for row in scored])
    failures = [_failure(row, base) for row in rows if row["status"] != "ok"]
    experiments = [record.read_experiment(folder.parent.name, [folder])] if folder else []
    folders = _folders(rows, base, dataset)
    target = output or scores.with_suffix(".html")
    page.write(
        target,
        "scores.html.jinja",
        title=title,
        grouped="Folder",
        table=scores.name,
        digest=sha256_of(scores),
        label=rows[0]["checkpoint"],
        dataset=dataset,
        values=values,
        flags=_flags(scored),
        histogram=plots.histogram(values, dataset) if scored else "",
        folders=folders[:SHOWN_FOLDERS],
        more=max(0, len(folders) - SHOWN_FOLDERS),
        worst=[(_name(row, base), row) for row in _worst_first(scored, dataset)[:SHOWN_WORST]],
        computed=scorer is not None,
        pictures=_pictures(scored, scorer, dataset, base, images),
        failures=failures,
        experiments=experiments,
        settings=record.read_settings(experiments),
        times=[],
    )
    median = f", median {np.median(values):.{dataset.digits}f} ({dataset.scale})" if scored else ""
    return f"{len(scored)} of {len(rows)} pictures scored{median}\nReport: {target}"


def read(path: Path) -> list[Row]:
    """The rows of a table of scores, one at least.

    Raises:
        InputError: another kind of file, missing, damaged, of another schema, or empty.
    """
    if path.suffix != ".parquet":
        raise InputError(
            f"{path}: scores must be .parquet, found {path.suffix or 'no suffix'}; score again"
            " with -o scores.parquet"
        )
    if not path.is_file():
        raise InputError(f"{path}: no such file; write it with rsfiqa score PATH... -o {path}")
    rows = read_table(path, "scores", SCHEMA, VERSION)[0].to_pylist()
    if not rows:
        raise InputError(f"{path}: must hold a row at least, found none; score some pictures")
    return rows


def _find(trained: Path, label: str) -> Path | None:
    """The checkpoint that rows call `label`, if it was trained here or comes with the package."""
    folders = checkpoints_in(trained)
    if card_path(checkpoints.PACKAGED).is_file():
        folders.append(checkpoints.PACKAGED)
    for folder in folders:
        _, digest = checkpoints.read_card(folder)
        if digest.startswith(label.rpartition(" ")[2]):
            return folder
    return None


def _scorer(folder: Path, label: str, scores: Path) -> Scorer:
    scorer = Scorer(folder)
    if (found := label_of(scorer.card, scorer.digest)) != label:
        raise InputError(
            f"{folder}: must be the checkpoint of {scores}, {label}, found {found}; give that one"
        )
    return scorer


def _dataset(row: Row) -> DataSet:
    """In whose units the scores are."""
    name = row["checkpoint"].rpartition(" ")[0]
    layouts = [DATASETS[part] for part in name.split("+") if part in DATASETS]
    pseudo = "pseudo-MOS" if any(layout.pseudo_mos for layout in layouts) else ""
    return DataSet(name, None, (row["low"], row["high"]), row["direction"] == "lower", pseudo)


def _base(rows: Sequence[Row]) -> str:
    """The folder in which all pictures are."""
    return os.path.commonpath([os.path.abspath(Path(row["path"]).parent) for row in rows])


def _name(row: Row, base: str) -> str:
    return os.path.relpath(os.path.abspath(row["path"]), base)


def _source(row: Row, base: str) -> str:
    """The picture's folder below the common one, whose own name stands for itself."""
    below = Path(_name(row, base)).parent.as_posix()
    return Path(base).name if below == "." else below


def _failure(row: Row, base: str) -> dict[str, str]:
    source = _source(row, base)
    return {
        "source": source,
        "product": source,
        "image": _name(row, base),
        "stage": "score",
        "reason": row["reason"] or "",
    }


def _worst_first(scored: Sequence[Row], dataset: DataSet) -> list[Row]:
    """Of equal scores in the order of their paths."""
    sign = -1 if dataset.lower_better else 1
    return sorted(scored, key=lambda row: (sign * row["score"], row["path"]))


def _flags(scored: Sequence[Row]) -> dict[str, int]:
    """How many pictures have each flag."""
    found: dict[str, int] = defaultdict(int)
    for row in scored:
        for flag in row["flags"] or []:
            found[flag] += 1
    return {flag: found[flag] for flag in sorted(found)}


def _folders(rows: Sequence[Row], base: str, dataset: DataSet) -> list[Folder]:
    """All folders, the one with the worst median first, those without a score last."""
    parts: dict[str, list[Row]] = defaultdict(list)
    for row in rows:
        parts[_source(row, base)].append(row)
    found = []
    for name, part in parts.items():
        scored = [row for row in part if row["status"] == "ok"]
        values = [row["score"] for row in _worst_first(scored, dataset)]
        worst, median, best = (
            (values[0], float(np.median(values)), values[-1]) if values else (None, None, None)
        )
        found.append(Folder(name, len(part), len(part) - len(values), worst, median, best))
    sign = -1 if dataset.lower_better else 1
    return sorted(found, key=lambda f: (f.median is None, sign * (f.median or 0), f.name))


def _pictures(
    scored: Sequence[Row], scorer: Scorer | None, dataset: DataSet, base: str, count: int
) -> list[Picture]:
    """The worst first."""
    if not scored or not count:
        return []
    sign = -1 if dataset.lower_better else 1
    roles = gallery.choose(sign * np.array([row["score"] for row in scored]), count)
    size = gallery.BUDGET // count
    return [
        _picture(scored[index], roles[index], scorer, dataset, base, size)
        for index in tqdm(reversed(roles), "report", len(roles), unit="image", disable=None)
    ]


def _picture(
    row: Row, roles: list[str], scorer: Scorer | None, dataset: DataSet, base: str, size: int
) -> Picture:
    """A picture as its file is now; with a note where that has changed."""
    known: dict[str, Any] = {
        "name": _name(row, base),
        "source": _source(row, base),
        "dataset": dataset,
        "roles": roles,
        "mos": None,
        "mos_std": None,
    }
    try:
        picture = load.load_image(Path(row["path"]))
    except ImageError as error:
        return Picture(**known, **_without(row, (4, 3)), photo="", missing=str(error))
    if scorer is None:
        shown = _without(row, picture.size)
    else:
        shown = _computed(row, scorer.judge(picture), dataset)
    room = gallery.room(size, shown["regions"], shown["heat"])
    return Picture(**known, **shown, photo=photo_uri(picture.pixels, room), missing="")


def _without(row: Row, size: tuple[int, int]) -> dict[str, Any]:
    """What the table alone says: the worst region, as a box in pixels of the picture."""
    x0, y0, x1, y1 = row["worst_box"]
    region = Region(
        number=0,
        outline=f"M{x0} {y0}H{x1}V{y1}H{x0}Z",
        content="the region that costs most",
        text=row["worst_caption"] or "",
        ratings=[(name, row[f"worst_{name}"]) for name in RATINGS],
        distortions=[],
        quality=row["worst_quality"],
        weight=row["worst_weight"],
    )
    return {
        "size": size,
        "heat": "",
        "peak": 0.0,
        "predicted": row["score"],
        "global_term": None,
        "regions": [region],
    }


def _computed(row: Row, found: Score, dataset: DataSet) -> dict[str, Any]:
    """What the checkpoint says of the picture now."""
    attention = found.grid_features.astype(np.float64) * found.grid_features.size  # 1 everywhere if uniform
    before = f"{row['score']:.{dataset.digits}f}"
    changed = abs(found.score - row["score"]) > CHANGED * abs(dataset.span)
    return {
        "size": found.labels.shape[::-1],
        "heat": heat_uri(attention),
        "peak": float(attention.max()),
        "predicted": found.score,
        "global_term": found.global_term,
        "regions": [
            Region(
                number=r,
                outline=border,
                content=region.content,
                text=region.text,
                ratings=list(region.ratings.items()),
                distortions=region.distortions,
                quality=region.quality,
                weight=region.weight,
            )
            for r, (region, border) in enumerate(
                zip(found.regions, outlines(found.labels), strict=True)
            )
        ],
        "note": f"The file has changed since it was scored {before}." if changed else "",
    }
