"""JSON files, optionally with a checksum."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from rsfiqa.io.atomic import write_bytes

LARGEST_JSON = 1 << 26  # bytes; cards and statistics have a few thousand
BLANK_DIGEST = "0" * 64  # stands for the checksum while it is computed


def write_json(path: Path, content: Mapping[str, Any]) -> None:
    """Write sorted, indented JSON atomically."""
    write_bytes(path, _to_bytes(content))


def write_json_with_checksum(path: Path, content: Mapping[str, Any]) -> None:
    """Write JSON with an additional key `sha256`.

    Its value is the SHA-256 of the file with `BLANK_DIGEST` in place of the value.
    """
    text = _to_bytes({**content, "sha256": BLANK_DIGEST})
    digest = hashlib.sha256(text).hexdigest()
    write_bytes(path, text.replace(_checksum_line(BLANK_DIGEST), _checksum_line(digest)))


def read_json_with_checksum(path: Path) -> dict[str, Any]:
    """Content of a file of `write_json_with_checksum`, without the checksum.

    Files of earlier versions, which have no checksum, are accepted.

    Raises:
        ValueError: not a JSON object, too large or too deeply nested, or a byte differs.
    """
    content = read_json(path)
    if not isinstance(content, dict):
        raise ValueError(f"a {type(content).__name__}")  # noqa: TRY004 - the file is wrong
    if (stored := content.pop("sha256", None)) is not None:
        blank = _checksum_line(BLANK_DIGEST)
        text = path.read_bytes().replace(_checksum_line(str(stored)), blank)
        if hashlib.sha256(text).hexdigest() != stored:
            raise ValueError("checksum differs")
    return content


def _to_bytes(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, indent=2, sort_keys=True).encode() + b"\n"


def _checksum_line(digest: str) -> bytes:
    return f'\n  "sha256": "{digest}"'.encode()


def parse_json(text: str | bytes) -> Any:
    """Content of a JSON text.

    Raises:
        ValueError: not JSON, or nested deeper than the parser can follow.
    """
    try:
        return json.loads(text)
    except RecursionError as error:
        raise ValueError("nested too deep") from error


def read_json(path: Path) -> Any:
    """Content of a JSON file.

    Raises:
        ValueError: not JSON, too deeply nested, or larger than `LARGEST_JSON`.
    """
    if (size := path.stat().st_size) > LARGEST_JSON:
        raise ValueError(f"{size >> 20} MB of JSON")
    return parse_json(path.read_bytes())
