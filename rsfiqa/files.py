"""Atomic writing, hashes, seals and the provenance that every product carries."""

import hashlib
import json
import os
import socket
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from rsfiqa.errors import InputError

PARQUET_KEY = b"rsfiqa"
LARGEST_JSON = 1 << 26  # bytes; cards and statistics have some thousand
SEAL = b"rsfiqa sha256 "  # in a file, before the digest of its other bytes
SEALED = b"rsfiqa.sealed"  # says elsewhere in the file that it has a seal
SEAL_SIZE = len(SEAL) + hashlib.sha256().digest_size
UNSEALED = "0" * 64
BLOCK = 1 << 20  # bytes that are read at once
HOST = f"{zlib.crc32(socket.gethostname().encode()):08x}"
_UMASK = os.umask(0)
os.umask(_UMASK)


@contextmanager
def atomic(path: Path) -> Iterator[Path]:
    """Yield a temporary sibling of `path`, which takes its place once the block has succeeded.

    Readers see the old file or the whole new one; the name differs per process, so that two
    writers cannot mix. Folders are made; nothing is left behind on an error, and what a process of
    this machine has left that was killed is removed.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    _remove_left_behind(path)
    partial = path.with_name(f".{path.name}.{HOST}-{os.getpid()}.partial")
    try:
        yield partial
        partial.chmod(0o666 & ~_UMASK)  # some libraries write files that only their owner reads
        with partial.open("rb") as file:
            os.fsync(file.fileno())
        partial.replace(path)
    except OSError as error:
        error.filename = error.filename or str(path)  # a full disk's error names no file
        raise
    finally:
        partial.unlink(missing_ok=True)


def _remove_left_behind(path: Path) -> None:
    """Remove temporary siblings of `path` whose process has ended."""
    start = f".{path.name}.{HOST}-"
    with os.scandir(path.parent) as entries:
        names = [e.name for e in entries if e.name.startswith(start)]
    for name in names:
        process = name.removeprefix(start).removesuffix(".partial")
        if process.isdecimal() and not _runs(int(process)):
            path.with_name(name).unlink(missing_ok=True)


def _runs(process: int) -> bool:
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    except PermissionError:  # it is somebody else's
        return True
    return True


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def seal(path: Path, tail: int = 0) -> None:
    """Put a SHA-256 of all bytes into a file, so that any change of it is noticed.

    Args:
        path: of the file.
        tail: bytes at its end that must stay there.
    """
    digest = bytes.fromhex(sha256_of(path))
    with path.open("r+b") as file:
        file.seek(-tail, os.SEEK_END)
        end = file.read()
        file.seek(-tail, os.SEEK_END)
        file.write(SEAL + digest + end)


def check_seal(path: Path, tail: int = 0, *, sealed: bool) -> None:
    """Refuse a file that is not as it was sealed.

    Args:
        path: of the file.
        tail: as it was sealed.
        sealed: whether the file says elsewhere that it has a seal; products of earlier versions
            have none.

    Raises:
        ValueError: a byte differs, or there is a seal in one of the two places only.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        rest = path.stat().st_size - tail - SEAL_SIZE
        while block := file.read(min(BLOCK, max(rest, 0))):
            digest.update(block)
            rest -= len(block)
        found = file.read(SEAL_SIZE)
        digest.update(file.read())
    if found.startswith(SEAL) != sealed or (sealed and found != SEAL + digest.digest()):
        raise ValueError("checksum differs")


def write_bytes(path: Path, content: bytes | memoryview) -> None:
    """Write a file, atomically.

    What a library makes in memory, rather than in a file of its own, fails as the disk says.
    """
    with atomic(path) as partial:
        partial.write_bytes(content)


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write sorted, indented JSON, atomically."""
    write_bytes(path, _json(content))


def write_sealed_json(path: Path, content: Mapping[str, Any]) -> None:
    """As `write_json`, with a key more: the SHA-256 of the file where that key's digits are 0."""
    text = _json({**content, "sha256": UNSEALED})
    digest = hashlib.sha256(text).hexdigest()
    write_bytes(path, text.replace(_seal_line(UNSEALED), _seal_line(digest)))


def read_sealed_json(path: Path) -> dict[str, Any]:
    """What `write_sealed_json` wrote; products of earlier versions have no seal.

    Raises:
        ValueError: as `read_json`, or a byte differs.
    """
    content = read_json(path)
    if not isinstance(content, dict):
        raise ValueError(f"a {type(content).__name__}")
    if (found := content.pop("sha256", None)) is not None:
        text = path.read_bytes().replace(_seal_line(str(found)), _seal_line(UNSEALED))
        if hashlib.sha256(text).hexdigest() != found:
            raise ValueError("checksum differs")
    return content


def _json(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, indent=2, sort_keys=True).encode() + b"\n"


def _seal_line(digest: str) -> bytes:
    return f'\n  "sha256": "{digest}"'.encode()


def parse_json(text: str | bytes) -> Any:
    """What a JSON text says.

    Raises:
        ValueError: not JSON, or nested so deep that it was made to do harm.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deep") from error


def read_json(path: Path) -> Any:
    """What a JSON file says.

    Raises:
        ValueError: as `parse_json`, or larger than any that is meant.
    """
    if (size := path.stat().st_size) > LARGEST_JSON:
        raise ValueError(f"{size >> 20} MB of JSON")
    return parse_json(path.read_bytes())


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


def write_table(path: Path, table: pa.Table, provenance: Provenance, **options: Any) -> None:
    """Write Parquet with its provenance, page checksums and a seal before the footer, atomically.

    Readers find what they need by offsets from the beginning, and the footer from the end.
    """
    metadata = {PARQUET_KEY: provenance.to_json().encode(), SEALED: b"yes"}
    metadata = dict(table.schema.metadata or {}) | metadata
    with atomic(path) as partial:
        pq.write_table(
            table.replace_schema_metadata(metadata),
            partial,
            compression="zstd",
            write_page_checksum=True,
            **options,
        )
        seal(partial, _footer_size(partial))


def _footer_size(path: Path) -> int:
    """Bytes of a Parquet file's footer, its length and its magic number."""
    with path.open("rb") as file:
        file.seek(-8, os.SEEK_END)
        return int.from_bytes(file.read(4), "little") + 8


def read_table(
    path: Path, product: str, schema: pa.Schema, schema_version: int, **options: Any
) -> tuple[pa.Table, Provenance]:
    """A table that has the given schema, and its provenance.

    Args:
        path: of the product.
        product: its kind.
        schema: its columns.
        schema_version: of the product.
        options: of `pyarrow.parquet.read_table`, such as filters.

    Raises:
        InputError: missing, damaged, another product, another version, other columns.
    """
    provenance = read_provenance(path).expect(path, product, schema_version)
    try:
        sealed = SEALED in pq.read_metadata(path).metadata
        check_seal(path, _footer_size(path), sealed=sealed)
        table = pq.read_table(path, page_checksum_verification=True, partitioning=None, **options)
    except (OSError, ValueError) as error:  # Arrow's are ValueErrors
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
