"""What several tests need: pictures, manifests, provenance."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pyarrow as pa
import pytest

from rsfiqa.io.provenance import Provenance
from rsfiqa.products import manifest


@pytest.fixture
def provenance() -> Callable[..., Provenance]:
    """A function that makes the provenance of a product."""

    def make(product: str, schema: int = 1, **changes) -> Provenance:
        return Provenance(
            **{"stage": "test", "version": 1} | changes, product=product, schema=schema
        )

    return make


@pytest.fixture
def make_manifest(provenance) -> Callable[..., Path]:
    """A function that writes the manifest of images that need not exist; returns its folder."""

    def make(folder: Path, image_ids: list[str], shard_size: int = 1000, **columns) -> Path:
        rows = [
            {
                "image_id": image_id,
                "path": str(folder / "images" / image_id),
                "shard": i // shard_size,
                "width": 8,
                "height": 8,
                "mos": 3.0,
                "quality": 0.5,
                "group": image_id,
                "sha256": "0" * 64,
            }
            | {name: values[i] for name, values in columns.items()}
            for i, image_id in enumerate(image_ids)
        ]
        table = pa.Table.from_pylist(rows, schema=manifest.SCHEMA)
        shards = 1 + (len(rows) - 1) // shard_size
        origin = provenance(
            "manifest", manifest.VERSION, options={"mos_range": [1, 5], "shards": shards}
        )
        manifest.write(folder / "manifest.parquet", table, origin)
        return folder

    return make


@pytest.fixture
def flip() -> Callable[[Path, int], None]:
    """A function that inverts the byte of a file at an offset."""

    def invert(path: Path, offset: int) -> None:
        content = bytearray(path.read_bytes())
        content[offset] ^= 0xFF
        path.write_bytes(content)

    return invert


@pytest.fixture
def noise() -> np.ndarray:
    """White noise, uint8 (64, 64, 3)."""
    return np.random.default_rng(0).integers(0, 256, (64, 64, 3)).astype(np.uint8)
