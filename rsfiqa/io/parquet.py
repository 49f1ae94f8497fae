"""Parquet tables with provenance and a checksum."""

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from rsfiqa.errors import InputError, first_line, first_names
from rsfiqa.io.atomic import atomic
from rsfiqa.io.checksum import CHECKSUM_KEY, append_checksum, has_marker, verify_checksum
from rsfiqa.io.provenance import Provenance

PARQUET_KEY = b"rsfiqa"  # metadata key of the provenance


def write_table(path: Path, table: pa.Table, provenance: Provenance, **options: Any) -> None:
    """Write a Parquet file with provenance, page checksums and a file checksum, atomically.

    The file checksum stands before the footer: readers find columns by their offset from the
    start and the footer from the end.

    Args:
        path: target.
        table: content.
        provenance: stored in the metadata.
        options: further arguments of `pyarrow.parquet.write_table`.
    """
    schema = _with_metadata(table.schema, provenance)
    with atomic(path) as partial:
        pq.write_table(
            table.replace_schema_metadata(schema.metadata),
            partial,
            compression="zstd",
            write_page_checksum=True,
            **options,
        )
        append_checksum(partial, _footer_size(partial))


def write_batches(
    path: Path, schema: pa.Schema, tables: Iterable[pa.Table], provenance: Provenance
) -> None:
    """As `write_table`, of a table that does not fit in memory.

    Args:
        path: target.
        schema: of each part.
        tables: the parts, each of which becomes a row group.
        provenance: stored in the metadata.
    """
    schema = _with_metadata(schema, provenance)
    with atomic(path) as partial:
        with pq.ParquetWriter(
            partial, schema, compression="zstd", write_page_checksum=True
        ) as writer:
            for table in tables:
                writer.write_table(table.replace_schema_metadata(schema.metadata))
        append_checksum(partial, _footer_size(partial))


def _with_metadata(schema: pa.Schema, provenance: Provenance) -> pa.Schema:
    own = {PARQUET_KEY: provenance.to_json().encode(), CHECKSUM_KEY: b"yes"}
    return schema.with_metadata(dict(schema.metadata or {}) | own)


def _footer_size(path: Path) -> int:
    """Bytes of a Parquet file's footer with its length field and magic number."""
    with path.open("rb") as file:
        file.seek(-8, os.SEEK_END)
        return int.from_bytes(file.read(4), "little") + 8


def read_table(
    path: Path, product: str, schema: pa.Schema, schema_version: int, **options: Any
) -> tuple[pa.Table, Provenance]:
    """A product's table and provenance.

    Args:
        path: file of the product.
        product: expected kind of product.
        schema: expected columns.
        schema_version: expected version of the schema.
        options: further arguments of `pyarrow.parquet.read_table`, such as filters.

    Raises:
        InputError: missing, damaged, another product, another version or other columns.
    """
    provenance = read_provenance(path).expect(path, product, schema_version)
    try:
        has_checksum = CHECKSUM_KEY in pq.read_metadata(path).metadata
        verify_checksum(path, _footer_size(path), has_checksum=has_checksum)
        table = pq.read_table(path, page_checksum_verification=True, partitioning=None, **options)
    except (OSError, ValueError) as error:  # errors of Arrow are ValueErrors
        raise InputError(
            f"{path}: damaged ({first_line(error)}); delete it and run again"
        ) from error
    if not table.schema.remove_metadata().equals(schema):
        raise InputError(
            f"{path}: columns must be {schema.names}, found {table.schema.names}; make it again"
        )
    return table, provenance


def read_provenance(path: Path) -> Provenance:
    """Provenance of a Parquet product, read from its footer alone.

    Raises:
        InputError: missing, damaged, or not a product of this package.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; run the stage that writes it first")
    try:
        text = (pq.read_metadata(path).metadata or {}).get(PARQUET_KEY)
        provenance = None if text is None else Provenance.from_json(text)
    except (OSError, ValueError, TypeError) as error:  # errors of Arrow and JSON are ValueErrors
        raise InputError(
            f"{path}: not Parquet or damaged ({first_line(error)}); delete it and run again"
        ) from error
    if provenance is None:
        raise InputError(f"{path}: not written by rsfiqa; delete it and run again")
    return provenance


def recorded_provenance(path: Path) -> Provenance | None:
    """Provenance of a Parquet file; None if another program wrote it without."""
    has_provenance = PARQUET_KEY in (pq.read_metadata(path).metadata or {})
    return read_provenance(path) if has_provenance else None


def read_rewritten(path: Path, product: str, schema: pa.Schema, schema_version: int) -> pa.Table:
    """A product's table that other programs may have filtered, sorted or extended.

    Provenance and checksum are verified as far as they are left.

    Raises:
        InputError: missing, damaged, another product or version, or a column is missing.
    """
    check_rewritten(path, product, schema, schema_version)
    try:
        table = pq.read_table(path, page_checksum_verification=True, partitioning=None)
    except (OSError, ValueError) as error:  # errors of Arrow are ValueErrors
        raise _damaged(path, error) from error
    return table.replace_schema_metadata(None)


def check_rewritten(path: Path, product: str, schema: pa.Schema, schema_version: int) -> None:
    """Check a file for `read_rewritten` without reading the table.

    Raises:
        InputError: see `read_rewritten`.
    """
    try:
        metadata = pq.read_metadata(path).metadata or {}
        footer = _footer_size(path)
        verify_checksum(path, footer, has_checksum=has_marker(path, footer))
        names = pq.read_schema(path).names
    except (OSError, ValueError) as error:  # errors of Arrow are ValueErrors
        raise _damaged(path, error) from error
    if PARQUET_KEY in metadata:
        read_provenance(path).expect(path, product, schema_version)
    if missing := [name for name in schema.names if name not in names]:
        raise InputError(
            f"{path}: must have {len(schema.names)} columns, found none called"
            f" {first_names(missing)}; give a table that this version of rsfiqa wrote"
        )


def _damaged(path: Path, error: Exception) -> InputError:
    return InputError(
        f"{path}: not Parquet or damaged ({first_line(error)}); restore it or give another name"
    )
