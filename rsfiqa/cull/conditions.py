"""Conditions by which pictures are chosen: what a person types, and whether a row meets it."""

import math
import operator
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from rsfiqa.errors import InputError
from rsfiqa.images.flags import FLAGS
from rsfiqa.products.scores import Row
from rsfiqa.scale import MosScale
from rsfiqa.vocabulary import (
    BLACK_AND_WHITE,
    EXCELLENT,
    FAMILIES,
    RATINGS,
    REALISTIC_FAMILIES,
    SEVERITIES,
    severity_of,
)

Severities = Mapping[str, float]  # by family; 0 for one that a picture has not
COMPARED = re.compile(r"([a-z_]+)\s*(>=|<=|>|<)\s*(\d+(?:\.\d*)?)")
COMPARE: dict[str, Callable[[float, float], bool]] = {
    ">=": operator.ge,
    ">": operator.gt,
    "<=": operator.le,
    "<": operator.lt,
}
WORST = re.compile(r"(\d+(?:\.\d*)?)\s*(%?)")


@dataclass(frozen=True)
class Worst:
    """How many of the worst pictures: a percentage, rounded up, or a number."""

    text: str
    amount: Decimal
    is_percentage: bool

    def count(self, pictures: int) -> int:
        """How many of a number of pictures."""
        if self.is_percentage:
            return math.ceil(self.amount * pictures / 100)
        return min(int(self.amount), pictures)

    def __str__(self) -> str:
        return f"among the worst {self.text}"


@dataclass(frozen=True)
class Flag:
    """A flag of the picture, or a bound of a severity or rating.

    Attributes:
        name: a flag of the table, a rating or a family of distortions.
        compare: of `COMPARE`; empty for a flag of the table. Above a bound are severities, below
            one are ratings.
        bound: inclusive or not, as `compare` says.
    """

    name: str
    compare: str = ""
    bound: float = 0.0

    @property
    def needs_regions(self) -> bool:
        """Whether it is about a family, which only the table of regions tells."""
        return bool(self.compare) and self.name not in RATINGS

    def value(self, row: Row, severities: Severities | None) -> float | None:
        """What is compared: a severity or a rating; None if it is not known."""
        if self.needs_regions:
            return None if severities is None else severities.get(self.name, 0.0)
        rating = rating_of(row, self.name)
        return severity_of(rating) if rating is not None and self.compare[0] == ">" else rating

    def holds(self, row: Row, severities: Severities | None) -> bool:
        """Whether a picture is known to have it; its severities are None without regions."""
        if not self.compare:
            return self.name in row["flags"]
        value = self.value(row, severities)
        if value is None:
            return False
        return COMPARE[self.compare](round(value, 9), self.bound)

    def __str__(self) -> str:
        if not self.compare:
            return f"flagged {self.name}"
        kind = "severity" if self.compare[0] == ">" else "rating"
        return f"{kind} of {self.name} {self.compare} {self.bound:g}"


@dataclass(frozen=True)
class Conditions:
    """Which pictures are chosen.

    Attributes:
        worst: how many of the worst.
        below: a score than which they must be worse, native units.
        flags: each of them.
        is_any: one condition is enough; else a picture must meet all.
    """

    worst: Worst | None = None
    below: float | None = None
    flags: tuple[Flag, ...] = ()
    is_any: bool = False

    def __bool__(self) -> bool:
        return self.worst is not None or self.below is not None or bool(self.flags)

    def describe(self, scale: MosScale) -> str:
        """The conditions in words, for pictures scored on a scale."""
        side = "above" if scale.lower_better else "below"
        words = [str(self.worst)] if self.worst else []
        words += [f"score {side} {self.below:g}"] if self.below is not None else []
        words += map(str, self.flags)
        return (" or " if self.is_any else " and ").join(words) or "all that are scored"


def rating_of(row: Row, name: str) -> float | None:
    """A rating of the whole picture; of its worst region where a table has no other."""
    cells: Mapping[str, Any] = row
    rating = cells.get(name)
    found: float | None = cells[f"worst_{name}"] if rating is None else rating
    return found


def parse_worst(text: str) -> Worst:
    """The number of worst pictures, as typed: `5%` or `20`.

    Raises:
        InputError: neither, or nothing.
    """
    found = WORST.fullmatch(text.strip())
    amount = Decimal(found[1]) if found else Decimal(0)
    is_percentage = bool(found and found[2])
    whole = is_percentage or amount == amount.to_integral_value()
    if not (0 < amount <= (100 if is_percentage else amount) and whole):
        raise InputError(
            "--worst: must be a percentage above 0% and up to 100%, or a whole number of pictures"
            f" from 1, found {text!r}; write --worst 5% or --worst 20"
        )
    return Worst(text.strip(), amount, is_percentage)


def parse_below(text: str) -> float:
    """A score, as typed.

    Raises:
        InputError: no number.
    """
    try:
        return float(text)
    except ValueError as error:
        raise InputError(
            f"--below: must be a number, found {text!r}; give a score in the units of the table"
        ) from error


def parse_flag(text: str) -> Flag:
    """A flag as typed: `damaged`, `blur>=3` or `blur<=2`.

    Raises:
        InputError: none of these, an unknown name, or a bound off the scale.
    """
    plain = text.strip().replace("≥", ">=").replace("≤", "<=")
    if plain in FLAGS:
        return Flag(plain)
    found = COMPARED.fullmatch(plain)
    if found is None:
        raise InputError(f"--flag: {_rule(plain)}, found {text!r}; {_way_out(plain)}")
    flag = Flag(found[1], found[2], float(found[3]))
    _check_name(flag, text)
    low, high = (0, SEVERITIES[-1]) if flag.compare[0] == ">" else (1, EXCELLENT)
    if not low <= flag.bound <= high:
        kind = "severities" if flag.compare[0] == ">" else "ratings"
        raise InputError(
            f"--flag: {kind} lie in {low} to {high}, found {text!r}; correct the number"
        )
    if flag.bound == 0 and flag.compare == ">=":
        raise InputError(
            f"--flag: a severity of 0 is no distortion, found {text!r}, which every picture"
            f" has; write {flag.name}>=1 or {flag.name}>0"
        )
    return flag


def _rule(plain: str) -> str:
    if plain in families() or plain in RATINGS:
        return "a bound must follow the name"
    return f"must be one of {', '.join(FLAGS)}, or NAME>=SEVERITY, or RATING<=NUMBER"


def _way_out(plain: str) -> str:
    """What to type instead; an unquoted > is taken by the shell, which then makes a file."""
    name = re.match(r"[a-z_]*", plain)
    known = name[0] if name and (name[0] in families() or name[0] in RATINGS) else "blur"
    return f"write it in quotes, --flag '{known}{'<=2' if known == 'overall' else '>=3'}'"


def _check_name(flag: Flag, text: str) -> None:
    """Reject a name that has no such value.

    Raises:
        InputError: an unknown name, the rating of a family, or the severity of the overall rating.
    """
    if flag.name not in (*families(), *RATINGS):
        names = ", ".join([*RATINGS, *families()])
        raise InputError(f"--flag: must name one of {names}, found {text!r}; correct the name")
    if flag.name == "overall" and flag.compare[0] == ">":
        raise InputError(
            f"--flag: overall is a rating, 1 (bad) to 5, and no distortion, found {text!r};"
            " write overall<=2"
        )
    if flag.needs_regions and flag.compare[0] == "<":
        raise InputError(
            f"--flag: {flag.name} has a severity, 1 (faint) to 5 (extreme), and no rating, found"
            f" {text!r}; write {flag.name}>=3"
        )


def families() -> tuple[str, ...]:
    """The families of distortions that are no ratings by name."""
    names = dict.fromkeys([*REALISTIC_FAMILIES, *FAMILIES, BLACK_AND_WHITE])
    return tuple(name for name in names if name not in RATINGS)


def check_below(below: float, scale: MosScale) -> None:
    """Reject a score off the scale of a table.

    Raises:
        InputError: it is.
    """
    if below not in scale:
        raise InputError(
            f"--below: must lie on the scale of the table, {scale}, found {below:g}; give such a"
            " score"
        )
