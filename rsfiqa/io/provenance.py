"""Provenance: the record of how a product was made, stored in the product."""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from rsfiqa.errors import InputError
from rsfiqa.io.json_files import parse_json


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
            raise InputError(
                f"{path}: expected {product} of schema {schema}, found {self.product} of schema"
                f" {self.schema}; make it again with this version of rsfiqa"
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
