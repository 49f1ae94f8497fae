"""Pristine photographs with their regions, and which part of the examples each is for."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rsfiqa.errors import InputError
from rsfiqa.io.checksum import sha256_of
from rsfiqa.products import manifest, regions
from rsfiqa.products.paths import dataset_name, manifest_path, product_path, shard_name
from rsfiqa.products.regions import Reader
from rsfiqa.splits import TEST, seed_of

PARTS = ("train", "validation", TEST)
SMALLEST = 64  # pixels of a side


@dataclass(frozen=True)
class Source:
    """One pristine photograph.

    Attributes:
        dataset: the name of its data set.
        image_id: in that data set.
        path: of the file.
        part: of `PARTS`; all examples made from it belong there.
        sha256: of the file.
        shard: its regions.
        regions_sha256: of the file of its regions.
    """

    dataset: str
    image_id: str
    path: Path
    part: str
    sha256: str
    shard: Reader
    regions_sha256: str


def read(
    folders: Sequence[Path], *, validation_fraction: float, test_fraction: float, seed: int
) -> list[Source]:
    """The pristine images of data sets that were prepared and segmented, sorted.

    Pristine are images of level 0, and those of data sets without levels. An official split is
    kept; otherwise whole groups go to the parts, by a hash of seed and names.

    Args:
        folders: of the data sets.
        validation_fraction: of the groups that an official split does not test.
        test_fraction: of the groups, where none of the data sets has an official test.
        seed: of the parts.

    Raises:
        InputError: no pristine image, one that is too small, one whose bytes are also in another
            part; a data set that was not prepared or segmented.
    """
    tables = {folder: manifest.read(manifest_path(folder))[0] for folder in folders}
    if any(TEST in table["subset"].to_pylist() for table in tables.values()):
        test_fraction = 0
    found = []
    for folder, table in tables.items():
        rows = [row for row in table.to_pylist() if not row["severity"]]
        parts = _parts(rows, dataset_name(folder), validation_fraction, test_fraction, seed)
        found += _of(folder, rows, parts)
    if not found:
        raise InputError(
            f"source: must hold pristine images, found none in {', '.join(map(str, folders))};"
            " prepare a folder of photographs, the layout kodak or the layout demo"
        )
    _refuse_leaks(found)
    return sorted(found, key=lambda source: (source.dataset, source.image_id))


def _parts(
    rows: Sequence[dict[str, Any]], dataset: str, validation: float, test: float, seed: int
) -> dict[str, str]:
    """The part of each group."""
    parts = {row["group"]: row["subset"] for row in rows}
    kept = {group for group, subset in parts.items() if subset == TEST}
    free = sorted(parts.keys() - kept, key=lambda group: (seed_of(seed, dataset, group), group))
    tested = round(test * len(free))
    validated = tested + round(validation * (len(free) - tested))
    for i, group in enumerate(free):
        parts[group] = TEST if i < tested else "validation" if i < validated else "train"
    return parts


def _of(folder: Path, rows: Sequence[dict[str, Any]], parts: dict[str, str]) -> list[Source]:
    dataset = dataset_name(folder)
    readers: dict[str, tuple[Reader, str]] = {}
    found = []
    for row in rows:
        if min(row["width"], row["height"]) < SMALLEST:
            raise InputError(
                f"{row['path']}: sides must have {SMALLEST} pixels or more, found {row['width']} x"
                f" {row['height']}; leave it out of the sources"
            )
        name = shard_name(row["shard"])
        if name not in readers:
            path = product_path(folder, "segment", name)
            readers[name] = regions.Reader(path), sha256_of(path)
        reader, digest = readers[name]
        if row["image_id"] in reader:  # segmentation may have failed
            part, path = parts[row["group"]], Path(row["path"])
            source = (dataset, row["image_id"], path, part, row["sha256"], reader, digest)
            found.append(Source(*source))
    return found


def _refuse_leaks(sources: Sequence[Source]) -> None:
    """Raise where the same bytes are in two parts."""
    seen: dict[str, Source] = {}
    for source in sources:
        other = seen.setdefault(source.sha256, source)
        if other.part != source.part:
            raise InputError(
                f"{source.path}: a photograph must lie in one part, found the same bytes in"
                f" {other.path} ({other.part}, here {source.part}); leave one of them out"
            )
