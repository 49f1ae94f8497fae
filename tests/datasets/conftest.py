from collections.abc import Callable, Iterator
from pathlib import Path
from zlib import crc32

import numpy as np
import openpyxl
import pytest
from PIL import Image

from rsfiqa.errors import InputError
from rsfiqa.prepare import stage as prepare
from rsfiqa.prepare.options import PrepareOptions
from rsfiqa.products import manifest


@pytest.fixture
def pictures():
    """Write small pictures, each of a colour by its name, below a folder."""

    def write(folder: Path, *names: str) -> None:
        for name in names:
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            color = tuple(crc32(name.encode()).to_bytes(4, "big")[:3])
            Image.new("RGB", (12, 8), color).save(path)

    return write


@pytest.fixture
def workbook():
    """Write an Excel workbook of sheets, each a list of rows."""

    def write(path: Path, **sheets: list[list]) -> Path:
        path.parent.mkdir(parents=True, exist_ok=True)
        book = openpyxl.Workbook()
        book.remove(book.active)
        for title, rows in sheets.items():
            sheet = book.create_sheet(title)
            for row in rows:
                sheet.append(row)
        book.save(path)
        return path

    return write


@pytest.fixture
def refused():
    """How often a file is refused in one line, of a hundred damaged forms, and else read."""

    def forms(content: bytes) -> Iterator[bytes]:
        random = np.random.default_rng(0)
        for place in random.integers(len(content), size=50):
            yield content[:place]
            yield content[:place] + bytes([content[place] ^ 0x55]) + content[place + 1 :]

    def count(path: Path, read: Callable[[], object]) -> int:
        messages = []
        for content in forms(path.read_bytes()):
            path.write_bytes(content)
            try:
                read()
            except InputError as error:
                messages.append(str(error))
        assert not any("\n" in message for message in messages)
        return len(messages)

    return count


@pytest.fixture
def prepared(tmp_path):
    """Prepare a release; rows of the manifest by image_id, and its provenance."""

    def run(layout: str, root: Path, fraction: float = 0.0):
        options = PrepareOptions(layout=layout, root=str(root))
        out = tmp_path / "prepared"
        prepare.run(out, options, shard_size=1000, max_failed_fraction=fraction, seed=0)
        table, provenance = manifest.read(out / "manifest.parquet")
        return {row["image_id"]: row for row in table.to_pylist()}, provenance

    return run
