"""Atomic writing, hashes and the provenance that every product carries."""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from rsfiqa.errors import InputError

PARQUET_KEY = b"rsfiqa"
_UMASK = os.umask(0)
os.umask(_UMASK)


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a temporary sibling of `path`, which takes its place once the block has succeeded.

    Readers see the old file or the whole new one; the name differs per process, so that two
    writers cannot mix. Folders are made; nothing is left behind on an error.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_name(f".{path.name}.{os.getpid()}.partial")
    try:
        yield partial
        partial.chmod(0o666 & ~_UMASK)  # some libraries write files that only their owner reads
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    finally:
        partial.unlink(missing_ok=True)


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write sorted, indented JSON, atomically."""
    with atomic(path) as partial:
        partial.write_text(json.dumps(content, indent=2, sort_keys=True) + "\n", "utf-8")


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
        return cls(**json.loads(text))

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


def write_table(path: Path, table: pa.Table, provenance: Provenance, **options: Any) -> None:
    """Write Parquet with its provenance and page checksums, atomically."""
    metadata = dict(table.schema.metadata or {}) | {PARQUET_KEY: provenance.to_json().encode()}
    with atomic(path) as partial:
        pq.write_table(
            table.replace_schema_metadata(metadata),
            partial,
            compression="zstd",
            write_page_checksum=True,
            **options,
        )


def read_table(
    path: Path, product: str, schema: pa.Schema, schema_version: int
) -> tuple[pa.Table, Provenance]:
    """A table that has the given schema, and its provenance.

    Raises:
        InputError: missing, damaged, another product, another version, other columns.
    """
    provenance = read_provenance(path).expect(path, product, schema_version)
    try:
        table = pq.read_table(path, page_checksum_verification=True, partitioning=None)
    except (OSError, pa.ArrowInvalid) as error:
        raise InputError(
            f"{path}: damaged ({first_line(error)}); delete it and run again"
        ) from error
    if not table.schema.remove_metadata().equals(schema):
        raise InputError(
            f"{path}: columns must be {schema.names}, found {table.schema.names}; make it again"
        )
    return table, provenance


def read_provenance(path: Path) -> Provenance:
    """The provenance of a Parquet product, from its footer alone."""
    if not path.is_file():
        raise InputError(f"{path}: no such file; run the stage that writes it first")
    try:
        text = (pq.read_metadata(path).metadata or {}).get(PARQUET_KEY)
        found = None if text is None else Provenance.from_json(text)
    except (OSError, ValueError, TypeError) as error:  # Arrow's and JSON's are ValueErrors
        raise InputError(
            f"{path}: not Parquet or damaged ({first_line(error)}); delete it and run again"
        ) from error
    if found is None:
        raise InputError(f"{path}: not written by rsfiqa; delete it and run again")
    return found


def first_line(error: BaseException) -> str:
    """The first line of an error's message, or its type where it has none."""
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
