"""The provenance that every product carries."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rsfiqa.errors import InputError
from rsfiqa.io.json_files import parse_json


@dataclass(frozen=True)
class Provenance:
    """What made a product: enough to decide whether it is still the one that is wanted."""

    product: str
    schema: int
    stage: str
    version: int
    options: dict[str, Any] = field(default_factory=dict)
    models: dict[str, str] = field(default_factory=dict)  # name: SHA-256 of its weights
    inputs: dict[str, str] = field(default_factory=dict)  # product: SHA-256 of the file read

    def to_json(self) -> str:
        """As text, with sorted keys."""
        return json.dumps(asdict(self), sort_keys=True)

    @classmethod
    def from_json(cls, text: str | bytes) -> "Provenance":
        """The inverse of `to_json`."""
        return cls(**parse_json(text))

    def expect(self, path: Path, product: str, schema: int) -> "Provenance":
        """Itself, if it belongs to this kind of product.

        Raises:
            InputError: another product, or another version of the schema.
        """
        if (self.product, self.schema) != (product, schema):
            raise InputError(
                f"{path}: expected {product} of schema {schema}, found {self.product} of schema"
                f" {self.schema}; make it again with this version of rsfiqa"
            )
        return self


def check_input(provenance: Provenance, path: Path, inputs: Mapping[str, str], stage: str) -> None:
    """Refuse a product that was made from other inputs than those at hand.

    Raises:
        InputError: names the first input that differs, and the stage to run again.
    """
    for product, digest in inputs.items():
        found = provenance.inputs.get(product)
        if found is not None and found != digest:
            raise InputError(
                f"{path}: made from another {product} file ({found[:12]}, at hand is"
                f" {digest[:12]}); run the {stage} stage again"
            )
