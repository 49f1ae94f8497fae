"""Images that two data sets share: a model must not be tested on what it was trained on."""

from collections.abc import Sequence
from itertools import combinations
from pathlib import Path
from typing import TYPE_CHECKING

import pyarrow as pa

from rsfiqa.backbones.weights import PERCEPTION_DATASET, PERCEPTION_FILE
from rsfiqa.errors import InputError
from rsfiqa.io.checksum import sha256_of
from rsfiqa.io.json_files import write_json
from rsfiqa.products import manifest
from rsfiqa.products.paths import manifest_path, overlap_path

if TYPE_CHECKING:  # imports torch
    from rsfiqa.samples import Samples


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


def check_captioner_overlap(data: "Samples") -> None:
    """Raise if the network that made captions or features was trained on images of a test set.

    The perception that comes with the package was trained on the official training part of BIQ2021.

    Args:
        data: the test set, all of it.

    Raises:
        InputError: it is BIQ2021, and the perception made its captions or features.
    """
    if data.provenance["manifest"].options.get("layout") != PERCEPTION_DATASET:
        return
    trained = sha256_of(PERCEPTION_FILE)
    for part, option in (("caption", "caption.backend"), ("backbone", "extract.weights")):
        if data.lineage[part].get("sha256") == trained:
            raise InputError(
                f"{data.dataset}: must be tested on its official split where {option} learned from"
                " its training part, found another split; name it in benchmark.official, or choose"
                f" another {option}"
            )


def _pairs(rows: pa.Table) -> list[tuple[str, str]]:
    """SHA-256 and image_id of each row."""
    return list(zip(rows["sha256"].to_pylist(), rows["image_id"].to_pylist(), strict=True))
