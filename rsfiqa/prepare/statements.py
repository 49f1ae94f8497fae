"""Writes what people said about the images of a manifest."""

from collections.abc import Sequence
from pathlib import Path

import pyarrow as pa

from rsfiqa.datasets.entry import Entry
from rsfiqa.datasets.registry import DATASETS
from rsfiqa.io.provenance import Provenance
from rsfiqa.products import statements
from rsfiqa.products.paths import statements_path
from rsfiqa.products.versions import VERSIONS
from rsfiqa.runtime.shards import images_digest


def write_statements(folder: Path, layout: str, entries: Sequence[Entry], images: pa.Table) -> None:
    """Write the statements about the images of a manifest, if the layout has such.

    If it has none, those that an earlier layout left in the folder are removed.

    Args:
        folder: products of the data set.
        layout: of the data set.
        entries: its images as they were listed.
        images: rows of the manifest; statements about other images are left out.
    """
    path = statements_path(folder)
    if not DATASETS[layout].statements:
        path.unlink(missing_ok=True)
        return
    usable = set(images["image_id"].to_pylist())
    said = {entry.image_id: entry.statements for entry in entries if entry.image_id in usable}
    provenance = Provenance(
        "statements",
        statements.VERSION,
        "prepare",
        VERSIONS["prepare"],
        options={"layout": layout},
        inputs={"manifest": images_digest(images)},
    )
    statements.write(path, statements.to_table(said), provenance)
