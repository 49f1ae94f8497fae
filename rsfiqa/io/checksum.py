"""SHA-256 of files, and checksums inside them."""

import hashlib
import os
from pathlib import Path

CHECKSUM_MARKER = b"rsfiqa sha256 "  # in a file, before the digest of its other bytes


CHECKSUM_KEY = b"rsfiqa.sealed"  # says elsewhere in the file that it has a seal


CHECKSUM_SIZE = len(CHECKSUM_MARKER) + hashlib.sha256().digest_size


BLOCK = 1 << 20  # bytes that are read at once


def sha256_of(path: Path) -> str:
    """The SHA-256 of a file's bytes, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def append_checksum(path: Path, tail: int = 0) -> None:
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
        file.write(CHECKSUM_MARKER + digest + end)


def verify_checksum(path: Path, tail: int = 0, *, has_checksum: bool) -> None:
    """Refuse a file that is not as it was sealed.

    Args:
        path: of the file.
        tail: as it was sealed.
        has_checksum: whether the file says elsewhere that it has one; products of earlier
            versions have none.

    Raises:
        ValueError: a byte differs, or there is a seal in one of the two places only.
    """
    digest = hashlib.sha256()
    with path.open("rb") as file:
        rest = path.stat().st_size - tail - CHECKSUM_SIZE
        while block := file.read(min(BLOCK, max(rest, 0))):
            digest.update(block)
            rest -= len(block)
        found = file.read(CHECKSUM_SIZE)
        digest.update(file.read())
    if found.startswith(CHECKSUM_MARKER) != has_checksum or (
        has_checksum and found != CHECKSUM_MARKER + digest.digest()
    ):
        raise ValueError("checksum differs")
