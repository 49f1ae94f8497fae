"""Pictures that the page shows with their regions: which ones, and what is shown of each."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from rsfiqa.report.dataset import DataSet

BUDGET = 10_000_000  # bytes of all pictures together, so that the page stays below 15 MB
MARKUP = 1300  # bytes of a region in addition to its outline and text
# Roles of pictures of data sets, as the filter of the page lists them.
KINDS = {
    "best": "best predicted",
    "worst": "worst predicted",
    "error": "largest error",
    "spaced": "evenly spaced by prediction",
    "failed": "with a failure",
}
# The same of scored folders, where several pictures may have one.
SCORED_KINDS = {"best": "one of the best", "worst": "one of the worst", "spaced": "in between"}


@dataclass(frozen=True)
class Region:
    """One region of a picture.

    Attributes:
        number: 0 for the largest region.
        outline: SVG path data in pixels of the label map, to be filled by the even-odd rule.
        anchor: where its number stands, x and y as percentages of the width and height.
        content: what the region shows; empty if the caption failed.
        text: the sentence that was embedded.
        ratings: name and value in [1, 5], higher is better; None if missing.
        reason: its distortions in words, or that there are none; empty if unknown.
        score: in units of the data set.
        weight: contribution to the score of the picture, in [0, 1]; weights sum to 1.
        cost: points that the region takes from the picture, below the best end of the scale;
            negative for a region beyond that end.
    """

    number: int
    outline: str
    anchor: tuple[float, float]
    content: str
    text: str
    ratings: list[tuple[str, float | None]]
    reason: str
    score: float
    weight: float
    cost: float


@dataclass(frozen=True)
class Heat:
    """A map that is laid over a picture.

    Attributes:
        uri: data URI of its colors.
        peak: value of the brightest color: of cost in points per grid cell, of attention relative
            to a uniform map.
        cells: number of grid cells.
    """

    uri: str
    peak: float
    cells: int


@dataclass(frozen=True)
class Explanation:
    """A predicted score and its parts: predicted == sum(weight * score).

    Attributes:
        size: width and height of the label map, pixels.
        predicted: score in units of the data set.
        regions: by decreasing area; all of them, or the worst alone.
        marked: number of the region that is marked when the picture is opened.
        marked_as: what it is among the regions.
        cost: what each part of the picture costs it; None if unknown.
        attention: what each part counts; None if unknown.
        note: a warning to the reader; empty for none.
    """

    size: tuple[int, int]
    predicted: float
    regions: list[Region]
    marked: int = 0
    marked_as: str = ""
    cost: Heat | None = None
    attention: Heat | None = None
    note: str = ""

    @property
    def by_cost(self) -> list[Region]:
        """The regions, the most costly first."""
        return sorted(self.regions, key=lambda region: -region.cost)

    @property
    def gained(self) -> float:
        """Points by which regions beyond the best end of the scale make up for others' costs."""
        return -sum(min(region.cost, 0.0) for region in self.regions)

    @property
    def overlays(self) -> dict[str, Heat]:
        """The maps that are known, by name."""
        maps = {"cost": self.cost, "attention": self.attention}
        return {name: heat for name, heat in maps.items() if heat is not None}

    def photo_budget(self, total: int) -> int:
        """Bytes that are left for the photograph, of `total` bytes for the picture."""
        markup = sum(MARKUP + len(part.outline) + 3 * len(part.text) for part in self.regions)
        return total - sum(len(heat.uri) for heat in self.overlays.values()) - markup


@dataclass(frozen=True)
class Picture:
    """One image on the page.

    Attributes:
        name: of the image.
        source: data set or folder, by which pictures are filtered.
        dataset: gives the units of the scores.
        roles: why the picture was chosen, of `KINDS` or `SCORED_KINDS`.
        photo: data URI; empty if the file could not be read.
        missing: why the file could not be read.
        explanation: the predicted score and its parts.
        mos: opinion score; None without one.
        mos_std: standard deviation of the opinions; None if unknown.
        href: address of its file, relative to the page where both may be moved; empty for none.
        row: of the page's list; None without one.
        reason: why it has its score, a sentence; empty if unknown.
    """

    name: str
    source: str
    dataset: DataSet
    roles: list[str]
    photo: str
    missing: str
    explanation: Explanation
    mos: float | None = None
    mos_std: float | None = None
    href: str = ""
    row: int | None = None
    reason: str = ""

    @property
    def kinds(self) -> list[str]:
        """The roles, and `failed` if the file or a caption failed."""
        failed = self.missing or not all(region.content for region in self.explanation.regions)
        return [*self.roles, *(["failed"] if failed else [])]


def choose(
    predicted: np.ndarray, count: int, quality: np.ndarray | None = None
) -> dict[int, list[str]]:
    """The images to show, as index and roles, best predicted first.

    Equal numbers of the best predicted, the worst predicted and, if the quality is known, those
    with the largest error; then images evenly spaced by prediction. None is both one of the best
    and one of the worst; a single image has neither role.

    Args:
        predicted: float (N,), higher is better.
        count: largest number of images.
        quality: float (N,) on the scale of `predicted`; None if unknown.
    """
    best = np.argsort(-predicted, kind="stable")
    half = len(predicted) // 2
    orders = {"best": best[:half], "worst": best[::-1][:half]}
    if quality is not None:
        orders["error"] = np.argsort(-np.abs(predicted - quality), kind="stable")
    roles: dict[int, list[str]] = {}
    for rank in range(max(1, count // (len(orders) + 1))):
        for role, order in orders.items():
            for index in order[rank : rank + 1].tolist():  # none where the order is shorter
                if index in roles or len(roles) < count:
                    roles.setdefault(index, []).append(role)
    free = min(count, len(predicted)) - len(roles)
    for target in np.linspace(predicted.max(), predicted.min(), free + 2)[1:-1]:
        rest = [int(index) for index in best if int(index) not in roles]
        nearest = min(rest, key=lambda index: abs(float(predicted[index]) - target))
        roles[nearest] = ["spaced"] if len(predicted) > 1 else []
    return {int(index): roles[int(index)] for index in best if int(index) in roles}


def allocate(total: int, names: Sequence[str]) -> dict[str, int]:
    """Number of the `total` images that each data set gets; the first get the remainder."""
    each, remainder = divmod(total, max(len(names), 1))
    return {name: each + (i < remainder) for i, name in enumerate(names)}
