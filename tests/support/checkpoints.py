"""Checkpoints for tests, derived from others."""

import shutil
from pathlib import Path
from typing import Any

from rsfiqa.io.json_files import read_json_with_checksum, write_json_with_checksum


def with_card(source: Path, target: Path, **parts: Any) -> Path:
    """A copy of a checkpoint whose card has other parts; returns its folder."""
    shutil.copytree(source, target)
    content = read_json_with_checksum(source / "card.json")
    write_json_with_checksum(target / "card.json", content | parts)
    return target
