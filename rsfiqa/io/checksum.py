"""SHA-256 of files, and checksums embedded in them."""

import hashlib
import os
from pathlib import Path

CHECKSUM_MARKER = b"rsfiqa sha256 "  # precedes the digest of all other bytes of the file
CHECKSUM_KEY = b"rsfiqa.sealed"  # metadata key of a file that has an embedded checksum
CHECKSUM_SIZE = len(CHECKSUM_MARKER) + hashlib.sha256().digest_size

BLOCK = 1 << 20  # bytes read at once


def sha256_of(path: Path) -> str:
    """SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def append_checksum(path: Path, tail: int = 0) -> None:
    """Insert a SHA-256 of all bytes of a file, so that any later change is detected.

    Args:
        path: file to change in place.
        tail: number of bytes that must remain at the end, such as a Parquet footer; the checksum
            is inserted before them.
    """
    digest = bytes.fromhex(sha256_of(path))
    with path.open("r+b") as file:
        file.seek(-tail, os.SEEK_END)
        end = file.read()
        file.seek(-tail, os.SEEK_END)
        file.write(CHECKSUM_MARKER + digest + end)


def verify_checksum(path: Path, tail: int = 0, *, has_checksum: bool) -> None:
    """Verify the checksum that `append_checksum` inserted.

    Args:
        path: file to verify.
        tail: as given to `append_checksum`.
        has_checksum: whether the file's metadata announce a checksum; products of earlier
            versions have none.

    Raises:
        ValueError: a byte differs, or only one of metadata and content has the checksum.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        remaining = path.stat().st_size - tail - CHECKSUM_SIZE
        while block := file.read(min(BLOCK, max(remaining, 0))):
            digest.update(block)
            remaining -= len(block)
        stored = file.read(CHECKSUM_SIZE)
        digest.update(file.read())
    if stored.startswith(CHECKSUM_MARKER) != has_checksum or (
        has_checksum and stored != CHECKSUM_MARKER + digest.digest()
    ):
        raise ValueError("checksum differs")


def has_marker(path: Path, tail: int = 0) -> bool:
    """Whether a checksum stands in a file; programs that write it anew leave it out.

    Args:
        path: file to read.
        tail: as given to `append_checksum`.
    """
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - tail - CHECKSUM_SIZE))
        return file.read(len(CHECKSUM_MARKER)) == CHECKSUM_MARKER
