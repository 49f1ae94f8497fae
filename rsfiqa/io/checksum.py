"""SHA-256 of files, and checksums inside them."""

import hashlib
import os
from pathlib import Path

SEAL = b"rsfiqa sha256 "  # in a file, before the digest of its other bytes


SEALED = b"rsfiqa.sealed"  # says elsewhere in the file that it has a seal


SEAL_SIZE = len(SEAL) + hashlib.sha256().digest_size


BLOCK = 1 << 20  # bytes that are read at once


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
