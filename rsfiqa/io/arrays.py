"""Named arrays with provenance and a checksum, in one safetensors file."""

import hashlib
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from safetensors import SafetensorError, safe_open
from safetensors.numpy import save

from rsfiqa.errors import InputError, first_line
from rsfiqa.io.atomic import write_bytes
from rsfiqa.io.json_files import parse_json
from rsfiqa.io.provenance import Provenance


def _digest(arrays: Mapping[str, np.ndarray], provenance: str) -> str:
    digest = hashlib.sha256(provenance.encode())
    for name, array in sorted(arrays.items()):
        digest.update(f"{name} {array.dtype} {array.shape}".encode())
        digest.update(np.ascontiguousarray(array).data)
    return digest.hexdigest()


def encode_strings(strings: list[str]) -> np.ndarray:
    """Strings as one uint8 array, separated by line feeds, which none of them may contain."""
    return np.frombuffer("\n".join(strings).encode(), np.uint8)


def decode_strings(array: np.ndarray) -> list[str]:
    """The inverse of `encode_strings`."""
    return array.tobytes().decode().split("\n") if array.size else []


def write(path: Path, arrays: Mapping[str, np.ndarray], provenance: Provenance) -> None:
    """Write arrays, their provenance and a SHA-256 of both, atomically."""
    text = provenance.to_json()
    # one key: safetensors writes several in an order that differs from run to run
    metadata = {"rsfiqa": json.dumps({"provenance": text, "sha256": _digest(arrays, text)})}
    # safetensors would store a transposed array in the order of its memory
    content = {name: np.ascontiguousarray(array) for name, array in arrays.items()}
    write_bytes(path, save(content, metadata=metadata))


def read(path: Path, product: str, schema: int) -> tuple[dict[str, Any], Provenance]:
    """All arrays of a product by name, and its provenance.

    Args:
        path: file of the product.
        product: expected kind of product.
        schema: expected version of the schema.

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
            arrays = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except SafetensorError as error:
        raise InputError(
            f"{path}: damaged ({first_line(error)}); delete it and run again"
        ) from error
    try:
        stored = parse_json(metadata["rsfiqa"])
        intact = _digest(arrays, stored["provenance"]) == stored["sha256"]
    except (ValueError, KeyError, TypeError, AttributeError):
        intact = False
    if not intact:
        raise InputError(f"{path}: damaged (checksum differs); delete it and run again")
    return arrays, Provenance.from_json(stored["provenance"]).expect(path, product, schema)
