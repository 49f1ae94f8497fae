"""JSON files, with a checksum where asked."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rsfiqa.io.atomic import write_bytes

LARGEST_JSON = 1 << 26  # bytes; cards and statistics have some thousand


BLANK_DIGEST = "0" * 64


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write sorted, indented JSON, atomically."""
    write_bytes(path, _json(content))


def write_json_with_checksum(path: Path, content: Mapping[str, Any]) -> None:
    """As `write_json`, with a key more: the SHA-256 of the file where that key's digits are 0."""
    text = _json({**content, "sha256": BLANK_DIGEST})
    digest = hashlib.sha256(text).hexdigest()
    write_bytes(path, text.replace(_checksum_line(BLANK_DIGEST), _checksum_line(digest)))


def read_json_with_checksum(path: Path) -> dict[str, Any]:
    """What `write_json_with_checksum` wrote; products of earlier versions have no seal.

    Raises:
        ValueError: as `read_json`, or a byte differs.
    """
    content = read_json(path)
    if not isinstance(content, dict):
        raise ValueError(f"a {type(content).__name__}")
    if (found := content.pop("sha256", None)) is not None:
        text = path.read_bytes().replace(_checksum_line(str(found)), _checksum_line(BLANK_DIGEST))
        if hashlib.sha256(text).hexdigest() != found:
            raise ValueError("checksum differs")
    return content


def _json(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, indent=2, sort_keys=True).encode() + b"\n"


def _checksum_line(digest: str) -> bytes:
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
