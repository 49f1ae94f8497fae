"""Named arrays with provenance and a checksum in one safetensors file."""

import hashlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save_file

from rsfiqa.errors import InputError
from rsfiqa.files import Provenance, atomic, first_line


def _digest(arrays: Mapping[str, np.ndarray]) -> str:
    digest = hashlib.sha256()
    for name in sorted(arrays):
        digest.update(np.ascontiguousarray(arrays[name]).data)
    return digest.hexdigest()


def encode_strings(strings: list[str]) -> np.ndarray:
    """Strings as one uint8 array, separated by line feeds, which no image_id contains."""
    return np.frombuffer("\n".join(strings).encode(), np.uint8)


def decode_strings(array: np.ndarray) -> list[str]:
    """The inverse of `encode_strings`."""
    return array.tobytes().decode().split("\n") if array.size else []


def write(path: Path, arrays: Mapping[str, np.ndarray], provenance: Provenance) -> None:
    """Write arrays, their provenance and the SHA-256 of their bytes, atomically."""
    metadata = {"rsfiqa": provenance.to_json(), "sha256": _digest(arrays)}
    with atomic(path) as partial:
        save_file(dict(arrays), partial, metadata=metadata)


def read(path: Path, product: str, schema: int) -> tuple[dict[str, Any], Provenance]:
    """All arrays of a file by name, and its provenance.

    Raises:
        InputError: missing, damaged, another product or another schema.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; run the stage that writes it first")
    try:
        with safe_open(path, "np") as file:
            metadata = file.metadata() or {}
            if "rsfiqa" not in metadata:
                raise InputError(f"{path}: not written by rsfiqa; delete it and run again")
            provenance = Provenance.from_json(metadata["rsfiqa"]).expect(path, product, schema)
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise InputError(
            f"{path}: damaged ({first_line(error)}); delete it and run again"
        ) from error
    if _digest(arrays) != metadata.get("sha256"):
        raise InputError(f"{path}: damaged (checksum differs); delete it and run again")
    return arrays, provenance


def read_provenance(path: Path) -> Provenance | None:
    """What a file says of itself, without reading its arrays; None where it says nothing."""
    with safe_open(path, "np") as file:
        text = (file.metadata() or {}).get("rsfiqa")
    return None if text is None else Provenance.from_json(text)
