"""Pristine photographs with their regions, divided into train, validation and test."""

import hashlib
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rsfiqa.errors import InputError
from rsfiqa.io.checksum import sha256_of
from rsfiqa.products import manifest, regions
from rsfiqa.products.manifest import ManifestRow
from rsfiqa.products.paths import dataset_name, manifest_path, product_path, shard_name
from rsfiqa.products.regions import Reader
from rsfiqa.splits import TEST, seed_of
from rsfiqa.teach.options import Part

MIN_SIDE = 64  # pixels


@dataclass(frozen=True)
class Source:
    """One pristine photograph.

    Attributes:
        dataset: name of its data set.
        image_id: in that data set.
        path: image file.
        part: of `PARTS`; all examples of the photograph belong to it.
        sha256: of the image file.
        shard: reader of its regions.
        regions_sha256: of the file of its regions.
    """

    dataset: str
    image_id: str
    path: Path
    part: Part
    sha256: str
    shard: Reader
    regions_sha256: str

    @property
    def name(self) -> str:
        """The photograph among those of all data sets; also the name of its folder."""
        return f"{self.dataset}/{self.image_id}"


def read(
    folders: Sequence[Path], *, validation_fraction: float, test_fraction: float, seed: int
) -> list[Source]:
    """The pristine photographs of prepared and segmented data sets, sorted.

    Pristine are images of severity 0 and all images of a data set without severities. An official
    test part is kept; the other groups are divided by a hash of the seed and their names.

    Args:
        folders: of the data sets.
        validation_fraction: fraction of the groups outside the test part.
        test_fraction: fraction of the groups; ignored if a data set has an official test part.
        seed: of the division.

    Raises:
        InputError: no pristine image, one that is too small, one whose bytes occur in two parts; a
            data set that was not prepared or segmented.
    """
    tables = {folder: manifest.read(manifest_path(folder))[0] for folder in folders}
    if any(TEST in table["subset"].to_pylist() for table in tables.values()):
        test_fraction = 0
    sources = []
    for folder, table in tables.items():
        pristine = [row for row in manifest.to_rows(table) if not row["severity"]]
        parts = _parts(pristine, dataset_name(folder), validation_fraction, test_fraction, seed)
        sources += _sources_of(folder, pristine, parts)
    if not sources:
        raise InputError(
            f"source: must hold pristine images, found none in {', '.join(map(str, folders))};"
            " prepare a folder of photographs, the layout kodak or the layout demo"
        )
    _refuse_leaks(sources)
    return sorted(sources, key=lambda source: (source.dataset, source.image_id))


def digest_of(sources: Iterable[Source]) -> str:
    """SHA-256 of the photographs' bytes and regions and of their division into parts."""
    lines = [(one.name, one.part, one.sha256, one.regions_sha256) for one in sources]
    return hashlib.sha256(repr(lines).encode()).hexdigest()


def _parts(
    rows: Sequence[ManifestRow], dataset: str, validation: float, test: float, seed: int
) -> dict[str, Part]:
    """The part of each group."""
    subsets = {row["group"]: row["subset"] for row in rows}
    official = {group for group, subset in subsets.items() if subset == TEST}
    free = sorted(
        subsets.keys() - official, key=lambda group: (seed_of(seed, dataset, group), group)
    )
    test_end = round(test * len(free))
    validation_end = test_end + round(validation * (len(free) - test_end))
    parts: dict[str, Part] = dict.fromkeys(official, "test")
    parts |= dict.fromkeys(free[:test_end], "test")
    parts |= dict.fromkeys(free[test_end:validation_end], "validation")
    parts |= dict.fromkeys(free[validation_end:], "train")
    return parts


def _sources_of(
    folder: Path, rows: Sequence[ManifestRow], parts: Mapping[str, Part]
) -> list[Source]:
    """The photographs of one data set that have regions; segmentation of others has failed."""
    shards: dict[int, tuple[Reader, str]] = {}
    sources = []
    for row in rows:
        _check_size(row)
        if row["shard"] not in shards:
            path = product_path(folder, "segment", shard_name(row["shard"]))
            shards[row["shard"]] = regions.Reader(path), sha256_of(path)
        reader, regions_sha256 = shards[row["shard"]]
        if row["image_id"] in reader:
            source = Source(
                dataset=dataset_name(folder),
                image_id=row["image_id"],
                path=Path(row["path"]),
                part=parts[row["group"]],
                sha256=row["sha256"],
                shard=reader,
                regions_sha256=regions_sha256,
            )
            sources.append(source)
    return sources


def _check_size(row: ManifestRow) -> None:
    if min(row["width"], row["height"]) < MIN_SIDE:
        raise InputError(
            f"{row['path']}: sides must have {MIN_SIDE} pixels or more, found {row['width']} x"
            f" {row['height']}; leave it out of the sources"
        )


def _refuse_leaks(sources: Sequence[Source]) -> None:
    """Raise if the same bytes occur in two parts."""
    by_digest: dict[str, Source] = {}
    for source in sources:
        other = by_digest.setdefault(source.sha256, source)
        if other.part != source.part:
            raise InputError(
                f"{source.path}: a photograph must lie in one part, found the same bytes in"
                f" {other.path} ({other.part}, here {source.part}); leave one of them out"
            )
