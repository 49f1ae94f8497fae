"""What the options of all stages have in common."""

import inspect
from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

Name = Annotated[str, Field(pattern=r"^[a-z0-9_]+$")]


Device = Literal["auto", "cuda", "cpu"]
Runtime = Literal["auto", "torch", "onnx"]  # of a backbone on a CPU


Fraction = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True)
class _Operational:
    """Type of the mark `OPERATIONAL`."""


# Marks an option that says where, how fast or how tolerantly a stage runs, but not what it makes:
# `workers: Annotated[int, OPERATIONAL] = Field(...)`. Products do not record it, and changing it
# makes nothing again. Files are recorded by their SHA-256, so their paths are operational too.
OPERATIONAL = _Operational()


class Options(BaseModel):
    """Frozen, without unknown keys."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    def recorded(self) -> dict[str, Any]:
        """The options that shape the product: all but those marked `OPERATIONAL`."""
        names = shaping(type(self))
        nested = {
            name: value.recorded()
            for name in names
            if isinstance(value := getattr(self, name), Options)
        }
        return self.model_dump(include=names) | nested

    @classmethod
    def __pydantic_init_subclass__(cls, **_: object) -> None:
        """The docstring is the help text; Python before 3.13 keeps its indentation."""
        cls.__doc__ = inspect.cleandoc(cls.__doc__ or "")


def shaping(options: type[BaseModel]) -> set[str]:
    """The names of the options that shape the product, see `OPERATIONAL`."""
    fields = options.model_fields.items()
    return {name for name, field in fields if OPERATIONAL not in field.metadata}


def _too_short(error: ValidationError, source: str) -> str:
    """What is said of a list with too few values: how many it must have, how many it has.

    Each missing value is a finding; together they count as one.
    """
    *key, first = error.errors(include_url=False)[0]["loc"]
    missing = [one["loc"] for one in error.errors() if list(one["loc"][:-1]) == key]
    name, found = ".".join(map(str, key)), int(first)
    rule = f"must have {found + len(missing)} values, found {found}"
    return f"{source}: {name}: {rule}; add the rest{_more(error, len(missing))}"


def _more(error: ValidationError, said: int) -> str:
    """The number of findings beyond those that were said; empty for none."""
    count = error.error_count() - said
    return f" (and {count} more)" if count else ""


def describe(error: ValidationError, source: str) -> str:
    """The first finding of a validation in one line, with the number of further ones."""
    first = error.errors(include_url=False)[0]
    key = ".".join(str(part) for part in first["loc"])
    more = _more(error, 1)
    if first["type"] == "extra_forbidden":
        return f"{source}: unknown key {key}, found {first['input']!r}; remove or correct it{more}"
    if first["type"] == "missing" and isinstance(first["loc"][-1], int):
        return _too_short(error, source)
    if first["type"] == "missing":
        return f"{source}: {key} is required, found nothing; add it{more}"
    rule = first["msg"][0].lower() + first["msg"][1:]
    subject = f"{source}: {key}" if key else source
    return f"{subject}: {rule}, found {first['input']!r}; change it{more}"
