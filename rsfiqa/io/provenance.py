"""Provenance: the record of how a product was made, stored in the product."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from rsfiqa.errors import InputError
from rsfiqa.io.json_files import parse_json


class Difference(NamedTuple):
    """An option of a product that differs from the present one.

    Attributes:
        name: of the option; dots lead into nested options.
        recorded: its value in the product; None if it has none.
        given: its present value.
    """

    name: str
    recorded: Any
    given: Any


def first_difference(recorded: Mapping[str, Any], given: Mapping[str, Any]) -> Difference | None:
    """The first option that differs, in the order of the present ones; None if all agree.

    Args:
        recorded: options of a product.
        given: the present options; tuples equal lists, as JSON has no tuples.
    """
    given = parse_json(json.dumps(given))
    for name in [*given, *sorted(recorded.keys() - given.keys())]:
        old, new = recorded.get(name), given.get(name)
        if isinstance(old, dict) and isinstance(new, dict):
            if nested := first_difference(old, new):
                return nested._replace(name=f"{name}.{nested.name}")
        elif old != new:
            return Difference(name, old, new)
    return None


def refuse_other_options(
    path: Path, recorded: Mapping[str, Any], given: Mapping[str, Any], section: str
) -> None:
    """Reject options that differ from those of a product that would be replaced.

    Args:
        path: file of the product, for the message.
        recorded: its options.
        given: the present options.
        section: section of config.yaml that holds them, for the message.

    Raises:
        InputError: names the first option that differs.
    """
    if found := first_difference(recorded, given):
        raise InputError(
            f"{path}: {section}.{found.name} must be {found.recorded}, with which it was made,"
            f" found {found.given}; set it to that, or give --replace to make it again"
        )


@dataclass(frozen=True)
class Provenance:
    """How a product was made; a product whose provenance differs from the current one is stale.

    Attributes:
        product: kind of product, such as regions.
        schema: version of the product's schema.
        stage: stage that wrote it.
        version: version of that stage.
        options: options that shape the content.
        models: SHA-256 of each model file by name.
        inputs: SHA-256 of each input file by product.
    """

    product: str
    schema: int
    stage: str
    version: int
    options: dict[str, Any] = field(default_factory=dict)
    models: dict[str, str] = field(default_factory=dict)
    inputs: dict[str, str] = field(default_factory=dict)

    def to_json(self) -> str:
        """JSON text with sorted keys."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str | bytes) -> "Provenance":
        """The inverse of `to_json`."""
        return cls(**parse_json(text))

    def expect(self, path: Path, product: str, schema: int) -> "Provenance":
        """Return itself if kind and schema of the product are as expected.

        Raises:
            InputError: another product, or another version of the schema.
        """
        if (self.product, self.schema) != (product, schema):
            is_same = self.product == product
            way_out = (
                "make it again with this version of rsfiqa" if is_same else "give another file"
            )
            raise InputError(
                f"{path}: expected {product} of schema {schema}, found {self.product} of schema"
                f" {self.schema}; {way_out}"
            )
        return self


def check_input(provenance: Provenance, path: Path, inputs: Mapping[str, str], stage: str) -> None:
    """Reject a product that was made from other inputs than the present ones.

    Args:
        provenance: provenance of the product.
        path: file of the product, for the message.
        inputs: SHA-256 of each present input by product.
        stage: stage to run again, for the message.

    Raises:
        InputError: names the first input that differs.
    """
    for product, digest in inputs.items():
        recorded = provenance.inputs.get(product)
        if recorded is not None and recorded != digest:
            raise InputError(
                f"{path}: made from another {product} file ({recorded[:12]}, at hand is"
                f" {digest[:12]}); run the {stage} stage again"
            )
