"""Images that two data sets share: a model must not be tested on what it was trained on."""

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path

import pyarrow as pa

from rsfiqa.errors import InputError
from rsfiqa.io.json_files import write_json
from rsfiqa.products import manifest
from rsfiqa.products.paths import manifest_path, overlap_path


def run(root: Path, datasets: Sequence[str]) -> None:
    """Check that no two data sets share an image, and write benchmark/overlap.json.

    The manifests suffice: a pair that cannot be tested across is found before any training.

    Args:
        root: folder of all results.
        datasets: names of the data sets.

    Raises:
        InputError: see `check_overlap`; or a manifest is missing or damaged.
    """
    tables = {name: manifest.read(manifest_path(root / name))[0] for name in datasets}
    for train, test in combinations(datasets, 2):
        check_overlap(train, tables[train], test, tables[test])
    write_json(overlap_path(root), {"images": {name: len(tables[name]) for name in datasets}})


def check_overlap(train: str, train_rows: pa.Table, test: str, test_rows: pa.Table) -> None:
    """Raise if an image of the test set is in the training set, by its bytes.

    Args:
        train: name of the training set.
        train_rows: of its manifest.
        test: name of the test set.
        test_rows: of its manifest.

    Raises:
        InputError: names the first such image in both, and how many there are.
    """
    names = dict(_pairs(train_rows))
    shared = [
        (image_id, names[digest]) for digest, image_id in _pairs(test_rows) if digest in names
    ]
    if shared:
        more = f" and {len(shared) - 1} more" if len(shared) > 1 else ""
        raise InputError(
            f"{test}: must share no image with {train}, found the bytes of {shared[0][0]} in"
            f" {shared[0][1]}{more}; leave one of them out, or set benchmark.cross false"
        )


def _pairs(rows: pa.Table) -> list[tuple[str, str]]:
    """SHA-256 and image_id of each row."""
    return list(zip(rows["sha256"].to_pylist(), rows["image_id"].to_pylist(), strict=True))
