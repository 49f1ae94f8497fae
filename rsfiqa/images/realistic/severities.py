"""The strength of each variant at severities 1 to 5.

`severities.json` is written by `recipes.severities`: severity 1 is just visible and 5 terrible, and
the steps between are even by a full-reference measure.
"""

from collections.abc import Mapping
from functools import cache
from pathlib import Path

from rsfiqa.io.json_files import read_json

FILE = Path(__file__).with_name("severities.json")


@cache
def strengths() -> Mapping[str, tuple[float, ...]]:
    """The five strengths of each variant, by the name of its function."""
    return {name: tuple(values) for name, values in read_json(FILE)["strengths"].items()}


def strength_of(variant: str, severity: int) -> float:
    """The strength of a variant at a severity of `SEVERITIES`, in the variant's own unit."""
    return strengths()[variant][severity - 1]
