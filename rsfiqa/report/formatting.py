"""Numbers as text, as tables of the page and the headline show them."""

import math
from typing import TYPE_CHECKING

from rsfiqa.scale import MosScale, itu_level

if TYPE_CHECKING:
    from rsfiqa.report.tables import MedianInterval

MINUS, DASH = "\N{MINUS SIGN}", "\N{EN DASH}"
SMALLEST_P = 0.001


def number(value: float | None, digits: int = 3) -> str:
    """A number with a typographic minus; a dash for None or NaN."""
    if value is None or math.isnan(value):
        return DASH
    text = f"{value:.{digits}f}"
    return text.replace("-", MINUS) if float(text) else text.lstrip("-")


def signed(value: float | None, digits: int = 3) -> str:
    """As `number`, with a plus if the rounded number is above zero."""
    text = number(value, digits)
    return f"+{text}" if value and value > 0 and float(text) else text


def p_value(value: float) -> str:
    """A p with three decimals, or `< 0.001`; a dash for NaN."""
    return f"< {SMALLEST_P}" if value < SMALLEST_P else number(value)


def interval(values: "MedianInterval", digits: int = 3) -> str:
    """The bounds in brackets; empty for a single split, which has no interval."""
    if values.count == 1 or math.isnan(values.low):
        return ""
    return f"[{number(values.low, digits)}, {number(values.high, digits)}]"


def with_interval(values: "MedianInterval") -> str:
    """Median and interval."""
    return f"{number(values.median)} {interval(values)}".rstrip()


def level(score: float, scale: MosScale) -> str:
    """The word for a score on the five-step scale; a dash for NaN.

    Args:
        score: native units.
        scale: of the score.
    """
    return DASH if math.isnan(score) else itu_level(scale.to_quality(score))


def number_range(bounds: tuple[int, int]) -> str:
    """One number, or two with a dash between them."""
    low, high = bounds
    return f"{low}" if low == high else f"{low}{DASH}{high}"
