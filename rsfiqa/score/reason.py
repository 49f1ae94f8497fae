"""Why a picture has its score, in one plain sentence."""

from collections import Counter, defaultdict
from collections.abc import Mapping, Sequence
from typing import Protocol, TypeVar

import numpy as np

from rsfiqa.captioners.sentence import NO_CAUSE, NO_DISTORTION, without_distortions
from rsfiqa.vocabulary import BLACK_AND_WHITE, UNGRADED, effect_of

# Before what a family does, by severity, 0 to 5. Nothing is very noisy in a good picture, and what
# makes a picture poor is not slight.
SLIGHT = ("slightly ", "slightly ", "slightly ", "", "", "")
FAIR = ("slightly ", "slightly ", "slightly ", "", "very ", "very ")
SEVERE = ("", "", "", "", "very ", "very ")
ADVERBS = {"bad": SEVERE, "poor": SEVERE, "fair": FAIR, "good": SLIGHT, "excellent": SLIGHT}
BLANK = "blank: nothing can be seen"  # of a picture that is one color all over
NOTHING_MUCH = "no distortion that stands out"  # in a good picture whose worst region says more
# Of a region that can be the worst: fraction of the image, and of what the image loses in all.
LEAST_AREA, LEAST_COST = 0.02, 0.02
AS_BAD = 0.01  # of the scale, by which a region may be better and still be the worst
SECOND = 0.5  # of the cost of the first family, from which a second one is named
EXPLAINED = 0.25  # fraction of all costs that the named families must explain
MOSTLY, ONLY, ALL_OVER = 0.6, 0.95, 0.7  # fractions of the cost in a place, and of the area
HALF = 0.8  # of the cost in a half of the picture, which holds half of it anyway

MOST, EVERYWHERE, SEVERAL = "mostly ", "all over", "in several places"
THIRDS = 3  # of rows and of columns
# Places as a person names them: rows and columns of thirds, the smallest first.
FIRST, MIDDLE, LAST, ALL = slice(0, 1), slice(1, 2), slice(2, 3), slice(0, 3)
PLACES: tuple[tuple[slice, slice, str], ...] = (
    (MIDDLE, MIDDLE, "in the center"),
    (FIRST, FIRST, "at the top left"),
    (FIRST, LAST, "at the top right"),
    (LAST, FIRST, "at the bottom left"),
    (LAST, LAST, "at the bottom right"),
    (FIRST, ALL, "at the top"),
    (LAST, ALL, "at the bottom"),
    (ALL, FIRST, "on the left"),
    (ALL, LAST, "on the right"),
    (ALL, MIDDLE, "in the center"),
    (MIDDLE, ALL, "in the center"),
)
HALVES = (("in the upper half", "in the lower half"), ("in the left half", "in the right half"))


class Region(Protocol):
    """What a reason needs of a region."""

    @property
    def area(self) -> float:
        """Fraction of the picture without its border."""

    @property
    def cost(self) -> float:
        """Points that it takes from the picture."""

    @property
    def distortions(self) -> list[tuple[str, int]]:
        """Family and severity, 1 to 5."""

    @property
    def quality(self) -> float:
        """In [0, 1], higher is better."""

    @property
    def word(self) -> str:
        """Of its quality, one of `ITU_LEVELS`."""


Some = TypeVar("Some", bound=Region)


def worst_of(regions: Sequence[Some]) -> Some:
    """The region to blame: that of the lowest quality; of several as bad, the one that costs most.

    Regions below `LEAST_AREA` or `LEAST_COST` count only if there are no others. It is not simply
    the one that costs most: costs count from the best end of the scale, and are largest for large
    regions even where they are better than the rest.

    Args:
        regions: of the picture; one at least.
    """
    least = LEAST_COST * sum(max(region.cost, 0.0) for region in regions)
    large = [region for region in regions if region.area >= LEAST_AREA] or regions
    counted = [region for region in large if region.cost >= least] or large
    most = min(region.quality for region in counted) + AS_BAD
    return max(
        (region for region in counted if region.quality <= most), key=lambda region: region.cost
    )


def picture_reason(regions: Sequence[Region], labels: np.ndarray, level: str) -> str:
    """What costs a picture most, and where: `blurred by movement, mostly in the center`.

    The cost of a region counts for its distortions in proportion to their severities. Up to two
    families are named, and none if they explain too little of what the picture loses: a noisy
    corner is not the reason for a loss that lies elsewhere.

    Args:
        regions: of the picture.
        labels: uint16 (h, w), region of each pixel, without a border.
        level: of the picture's quality, of `ITU_LEVELS`.
    """
    by_family = _costs_by_family(regions)
    if named := _explaining(by_family, regions):
        costs = np.sum([list(by_family[family].values()) for family, _ in named], axis=0)
        words = " and ".join(_effect(family, severity, level) for family, severity in named)
        if [family for family, _ in named] == [BLACK_AND_WHITE]:
            return words
    else:
        words = without_distortions(level)
        if words == NO_DISTORTION:
            return NOTHING_MUCH if _says_more(worst_of(regions)) else words
        place = _place(np.array([max(region.cost, 0.0) for region in regions]), regions, labels)
        return f"{words}; most is lost {place.removeprefix(MOST)}" if _is_one(place) else words
    place = _place(costs, regions, labels)
    return f"{words}, {place}" if place else words


def picture_distortions(regions: Sequence[Region]) -> list[tuple[str, int]]:
    """Up to two families that cost a picture most, with their severity, 1 to 5.

    None if they explain too little of what the picture loses.

    Args:
        regions: of the picture.
    """
    return _explaining(_costs_by_family(regions), regions)


def _explaining(
    by_family: Mapping[str, Mapping[int, float]], regions: Sequence[Region]
) -> list[tuple[str, int]]:
    """As `picture_distortions`, from the costs by family."""
    named = _costliest(by_family)
    explained = sum(sum(by_family[family].values()) for family in named)
    lost = sum(max(region.cost, 0.0) for region in regions)
    if explained <= 0 or explained < EXPLAINED * lost:
        return []
    return [(family, _severity(family, by_family[family], regions)) for family in named]


def region_reason(region: Region, level: str) -> str:
    """What is wrong with one region, in the words of `picture_reason`; whatever it costs.

    Args:
        region: of a picture.
        level: of its quality, of `ITU_LEVELS`.
    """
    named = sorted(region.distortions, key=lambda one: -one[1])[:2]
    words = [_effect(family, severity, level) for family, severity in named]
    return " and ".join(words) or without_distortions(level)


def _effect(family: str, severity: int, level: str) -> str:
    """What a family does, and how much, beside a level of quality."""
    adverb = "" if family in UNGRADED else ADVERBS[level][severity]
    return adverb + effect_of(family)


def _says_more(region: Region) -> bool:
    """Whether a region that costs something says more than that it has no distortion."""
    is_low = without_distortions(region.word) == NO_CAUSE
    return region.cost > 0 and (is_low or bool(region.distortions))


def _costs_by_family(regions: Sequence[Region]) -> dict[str, dict[int, float]]:
    """The part of each region's cost that counts for each family, by the region's number."""
    costs: dict[str, dict[int, float]] = defaultdict(lambda: dict.fromkeys(range(len(regions)), 0))
    for number, region in enumerate(regions):
        severities = Counter(dict(region.distortions))
        for family, severity in severities.items():
            costs[family][number] = max(region.cost, 0.0) * severity / severities.total()
    return costs


def _costliest(by_family: Mapping[str, Mapping[int, float]]) -> list[str]:
    """Up to two families, the one that costs most first."""
    totals = {family: sum(costs.values()) for family, costs in by_family.items()}
    ranked = sorted(totals, key=lambda family: (-totals[family], family))
    return [
        family
        for family in ranked[:2]
        if totals[family] > 0 and totals[family] >= SECOND * totals[ranked[0]]
    ]


def _severity(family: str, costs: Mapping[int, float], regions: Sequence[Region]) -> int:
    """The mean severity of a family over its regions, weighted by what it costs there."""
    weighted = sum(cost * dict(regions[r].distortions).get(family, 0) for r, cost in costs.items())
    return round(weighted / sum(costs.values()))


def _place(costs: np.ndarray, regions: Sequence[Region], labels: np.ndarray) -> str:
    """Where costs lie; empty if there are none.

    Args:
        costs: (R,), of each region.
        regions: of the picture.
        labels: uint16 (h, w), region of each pixel.
    """
    if not costs.any():
        return ""
    for axis, side in enumerate(labels.shape):
        if side < THIRDS:  # a line lies in all three
            labels = labels.repeat(THIRDS, axis)
    density = costs / costs.sum() / np.bincount(labels.ravel(), minlength=len(regions)).clip(1)
    rows, columns = (np.arange(side) * THIRDS // side for side in labels.shape)
    cells = (rows[:, None] * THIRDS + columns).ravel()
    values = density[labels]
    thirds = np.bincount(cells, values.ravel(), minlength=THIRDS**2).reshape(THIRDS, THIRDS)
    for down, across, words in PLACES:
        if (part := thirds[down, across].sum()) >= MOSTLY:
            return words if part >= ONLY else f"{MOST}{words}"
    for axis, names in enumerate(HALVES):
        first, last = np.array_split(values.sum(axis=1 - axis), 2)
        for half, words in zip((first, last), names, strict=True):
            if (part := half.sum()) >= HALF:
                return words if part >= ONLY else f"{MOST}{words}"
    area = sum(region.area for region, cost in zip(regions, costs, strict=True) if cost > 0)
    return EVERYWHERE if area >= ALL_OVER else SEVERAL


def _is_one(place: str) -> bool:
    """Whether costs lie in one place."""
    return place not in ("", EVERYWHERE, SEVERAL)
