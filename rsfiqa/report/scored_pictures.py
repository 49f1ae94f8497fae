"""Pictures of a scored folder, read again from their files."""

import math
import os
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, cast

import numpy as np
from tqdm import tqdm

from rsfiqa.captioners.by_image import MENTIONED
from rsfiqa.captioners.sentence import reason
from rsfiqa.errors import ImageError
from rsfiqa.images import load
from rsfiqa.images.location import file_state, stored_path
from rsfiqa.images.outlines import anchor, outlines
from rsfiqa.products.captions import Distortion
from rsfiqa.products.scores import FileState, Row, is_current
from rsfiqa.report.dataset import DataSet
from rsfiqa.report.drawing import attention_heat, cost_heat, photo_uri
from rsfiqa.report.pictures import BUDGET, Explanation, Picture, Region, choose
from rsfiqa.scale import MosScale, itu_level
from rsfiqa.vocabulary import RATINGS

AGAIN = 1e-3  # fraction of the range by which a score may differ if it is computed again
UNREAD_SIZE = (4, 3)  # stands for the size of a picture whose file cannot be read


# A row of a picture that was scored: none of the values read here is None.
ScoredRow = Mapping[str, Any]


class RegionScore(Protocol):
    """What the page needs of `rsfiqa.score.result.Region`."""

    @property
    def box(self) -> tuple[int, int, int, int]:
        """x0, y0, x1, y1 in pixels of the image."""

    @property
    def content(self) -> str:
        """What the region shows."""

    @property
    def text(self) -> str:
        """Sentence of the caption."""

    @property
    def ratings(self) -> Mapping[str, float]:
        """Ratings in [1, 5] by name."""

    @property
    def distortions(self) -> list[tuple[str, int]]:
        """Family and severity, 1 to 5."""

    @property
    def score(self) -> float:
        """Predicted score of the region, MOS points."""

    @property
    def weight(self) -> float:
        """Contribution to the score of the image, in [0, 1]."""

    @property
    def cost(self) -> float:
        """Points that it takes from the image, MOS points."""


class ImageScore(Protocol):
    """What the page needs of `rsfiqa.score.result.Score`."""

    @property
    def score(self) -> float:
        """Predicted score, MOS points."""

    @property
    def regions(self) -> Sequence[RegionScore]:
        """By decreasing area."""

    @property
    def worst(self) -> RegionScore:
        """The region to blame, one of them."""

    @property
    def labels(self) -> np.ndarray:
        """Region of each pixel: uint16 (h, w)."""

    @property
    def scored_labels(self) -> np.ndarray:
        """The same with -1 in a border: int32 (h, w)."""

    @property
    def attention_grid(self) -> np.ndarray:
        """Attention of each grid cell: float32 (G, G), sums to 1."""

    @property
    def cost_grid(self) -> np.ndarray:
        """Cost of each grid cell: float32 (G, G), MOS points."""


class Scorer(Protocol):
    """What the page needs of `rsfiqa.Scorer`."""

    def score(self, source: np.ndarray, /) -> ImageScore:
        """The score of an image uint8 (H, W, 3)."""


LoadScorer = Callable[[Path], Scorer]


@dataclass(frozen=True)
class Paths:
    """Files of pictures, and their names relative to the folder that holds them all.

    Attributes:
        base: that folder, absolute.
        table: folder of the table of scores.
    """

    base: str
    table: Path

    @classmethod
    def of(cls, rows: Sequence[Row], table: Path) -> "Paths":
        """The common folder of all pictures.

        Args:
            rows: of the pictures.
            table: folder of the table of scores.
        """
        return cls(os.path.commonpath([Path(row["location"]).parent for row in rows]), table)

    def file(self, row: ScoredRow) -> Path:
        """The file of a picture, also where it was moved together with the table.

        One that is not at its location is looked for where the end of its location leads from the
        table's folder, and where it was given, by its size.
        """
        location = stored_path(row["location"])
        parts = location.parts
        moved = (self.table.joinpath(*parts[at:]) for at in range(1, len(parts)))
        for path in (*moved, stored_path(row["path"])) if not location.is_file() else ():
            if path.is_file() and path.stat().st_size == row["size"]:
                return path
        return location

    def name(self, row: Row) -> str:
        """Path of the picture below the common folder."""
        return os.path.relpath(row["location"], self.base)

    def source(self, row: Row) -> str:
        """Folder of the picture below the common folder; the name of the common folder itself."""
        folder = Path(self.name(row)).parent.as_posix()
        return Path(self.base).name if folder == "." else folder


def address(file: Path, page: Path) -> str:
    """Where a page links to a file: relative below the folder of the page, else absolute.

    Args:
        file: absolute.
        page: folder of the page, absolute.
    """
    text = file.as_uri()
    return text.removeprefix(f"{page.as_uri().rstrip('/')}/")


def scored_pictures(
    rows: Sequence[Row],
    scorer: Scorer | None,
    dataset: DataSet,
    paths: Paths,
    *,
    count: int,
    page: Path,
) -> list[Picture]:
    """The pictures to show, the worst first.

    Args:
        rows: of all pictures that were scored, as the list of the page has them.
        scorer: computes regions and attention; None to show the box of the worst region.
        dataset: gives the units of the scores.
        paths: names the pictures.
        count: largest number of pictures.
        page: folder of the page, absolute.
    """
    if not rows or not count:
        return []
    sign = -1 if dataset.scale.lower_better else 1
    span = abs(dataset.scale.span)
    finite = (dataset.scale.low - span, dataset.scale.high + span)  # a score may be infinite
    roles = choose(sign * np.clip([row["score"] for row in rows], *finite), count)
    size = BUDGET // count
    return [
        Picture(
            paths.name(rows[index]),
            paths.source(rows[index]),
            dataset,
            roles[index],
            *_photo_and_explanation(paths.file(rows[index]), rows[index], scorer, dataset, size),
            href=address(paths.file(rows[index]), page),
            row=index,
            reason=_picture_reason(rows[index]),
        )
        for index in tqdm(reversed(roles), "report", len(roles), unit="image", disable=None)
    ]


def _photo_and_explanation(
    path: Path, row: ScoredRow, scorer: Scorer | None, dataset: DataSet, size: int
) -> tuple[str, str, Explanation]:
    """The file as it is now: photograph, why it could not be read, predicted score."""
    try:
        image = load.load_image(path)
    except ImageError as error:
        return "", str(error), _worst_box(row, UNREAD_SIZE, _note(path, row, dataset))
    if scorer is None or row["inside"] is not None:
        explanation = _worst_box(row, image.size, _note(path, row, dataset))
    else:
        result = scorer.score(image.pixels)
        explanation = _explanation(row, result, dataset, _note(path, row, dataset, result.score))
    return photo_uri(image.pixels, explanation.photo_budget(size)), "", explanation


def _note(path: Path, row: ScoredRow, dataset: DataSet, score: float | None = None) -> str:
    """What a reader must know if the file or its score is no longer that of the table.

    A file of the same size and another time may be a copy: the same score tells so.

    Args:
        path: of the file.
        row: of the table.
        dataset: gives the units of the scores.
        score: of the file as it is now, where it is known.
    """
    before = f"{row['score']:.{dataset.digits}f}"
    state = file_state(str(path))
    other = score is not None and abs(score - row["score"]) > AGAIN * abs(dataset.scale.span)
    if state["size"] is None:
        return ""
    if is_current(cast(FileState, row), state):
        return f"The table gives {before}." if other else ""
    if state["size"] != row["size"] or other:
        return f"The file has changed since it was scored {before}."
    if score is None:
        return f"The file was written again since it was scored {before}; it may have changed."
    return ""


def _worst_box(row: ScoredRow, size: tuple[int, int], note: str) -> Explanation:
    """What the table alone tells: the worst or the given region, as a box in pixels."""
    x0, y0, x1, y1 = row["worst_box"]
    kind = "the worst" if row["inside"] is None else "the given"
    region = Region(
        number=0,
        outline=f"M{x0} {y0}H{x1}V{y1}H{x0}Z",
        anchor=(50 * (x0 + x1) / size[0], 50 * (y0 + y1) / size[1]),
        content=f"{kind} region",
        text=row["worst_caption"] or "",
        ratings=[(name, row[f"worst_{name}"]) for name in RATINGS],
        reason="",
        score=_or_nan(row["worst_score"]),
        weight=_or_nan(row["worst_weight"]),
        cost=_or_nan(row["worst_cost"]),
    )
    return Explanation(size, row["score"], [region], marked_as=kind, note=note)


def _picture_reason(row: ScoredRow) -> str:
    """Why a picture has its score; unknown in tables without words, where it means damage."""
    return (row["reason"] or "") if "word" in row else ""


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value


def _explanation(row: ScoredRow, result: ImageScore, dataset: DataSet, note: str) -> Explanation:
    """What the checkpoint computes of the picture now."""
    boxes = [list(region.box) for region in result.regions]
    worst = next(r for r, region in enumerate(result.regions) if region is result.worst)
    return Explanation(
        size=result.labels.shape[::-1],
        predicted=result.score,
        regions=[
            Region(
                number=r,
                outline=outline,
                anchor=anchor(result.scored_labels == r),
                content=region.content,
                text=region.text,
                ratings=list(region.ratings.items()),
                reason=_reason(region, dataset.scale),
                score=region.score,
                weight=region.weight,
                cost=region.cost,
            )
            for r, (region, outline) in enumerate(
                zip(
                    result.regions,
                    outlines(result.scored_labels, len(result.regions)),
                    strict=True,
                )
            )
        ],
        marked=boxes.index(row["worst_box"]) if row["worst_box"] in boxes else worst,
        marked_as="the worst",
        cost=cost_heat(result.cost_grid, dataset.scale),
        attention=attention_heat(result.attention_grid),
        note=note,
    )


def _reason(region: RegionScore, scale: MosScale) -> str:
    """The distortions that its sentence names, or that it names none; empty if it has none."""
    named = [Distortion(family=family, severity=level) for family, level in region.distortions]
    level = itu_level(scale.to_quality(region.score))
    return reason(named[:MENTIONED], level) if region.text else ""
