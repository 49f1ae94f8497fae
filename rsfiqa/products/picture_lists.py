"""The plan of a scoring run: its pictures as they were listed, divided into shards.

plan/<shard>.parquet  the pictures of a shard: location, size and time of each file
plan/plan.json        number of pictures and shards, digest of the listing; written last
"""

import hashlib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path

import pyarrow as pa

from rsfiqa.errors import InputError
from rsfiqa.io.json_files import read_json, write_json
from rsfiqa.io.parquet import read_table, recorded_provenance, write_table
from rsfiqa.io.provenance import Provenance
from rsfiqa.products.paths import picture_list_path, plan_path, shard_name

VERSION = 1
PRODUCT = "picture list"

SCHEMA = pa.schema(
    [
        ("location", pa.string()),  # absolute path, as in the table of scores
        ("size", pa.int64()),  # bytes; null if there is no such file
        ("modified", pa.string()),  # time of the last change, ISO 8601, UTC
    ]
)


@dataclass(frozen=True)
class Plan:
    """What the plan of a run records.

    Attributes:
        pictures: number of pictures.
        shards: number of shards.
        skipped: number of files that are no pictures.
        listing: SHA-256 of the locations, sizes and times of all pictures.
        version: of these products.
    """

    pictures: int
    shards: int
    skipped: int
    listing: str
    version: int = VERSION


def digest(listing: pa.Table) -> str:
    """SHA-256 of a table of `SCHEMA`, sorted by location."""
    found = hashlib.sha256()
    for batch in listing.combine_chunks().to_batches(100_000):
        found.update(repr(batch.to_pydict()).encode())
    return found.hexdigest()


def write(folder: Path, plan: Plan) -> None:
    """Write plan.json in the folder of a run; the lists are there."""
    write_json(plan_path(folder), asdict(plan))


def read(folder: Path) -> Plan:
    """The plan in the folder of a run.

    Raises:
        InputError: missing, damaged or of another version.
    """
    path = plan_path(folder)
    try:
        plan = Plan(**read_json(path))
    except FileNotFoundError as error:
        raise InputError(f"{path}: no such file; write it with rsfiqa plan") from error
    except (OSError, ValueError, TypeError) as error:
        raise InputError(f"{path}: damaged; delete it and run rsfiqa plan again") from error
    if plan.version != VERSION:
        raise InputError(
            f"{path}: must be of version {VERSION}, found {plan.version}; delete the folder"
        )
    return plan


def write_list(path: Path, pictures: pa.Table) -> None:
    """Write the pictures of a shard, a table of `SCHEMA`; the same ones give the same bytes."""
    provenance = Provenance(PRODUCT, VERSION, "plan", VERSION)
    write_table(path, pictures.combine_chunks(), provenance)


def read_list(path: Path) -> pa.Table:
    """The pictures of a shard.

    Raises:
        InputError: missing, damaged or of another version.
    """
    return read_table(path, PRODUCT, SCHEMA, VERSION)[0]


def lists(folder: Path) -> Iterator[Path]:
    """The lists of a run by shard, from the first one to the first that is missing."""
    number = 0
    while (path := picture_list_path(folder, shard_name(number))).is_file():
        yield path
        number += 1


def states(path: Path) -> dict[str, tuple[int | None, str | None]]:
    """Size and time of each listed picture by location; none if it is a list of somebody's own.

    Raises:
        InputError: see `read_list`.
    """
    recorded = recorded_provenance(path) if path.suffix == ".parquet" else None
    if recorded is None or recorded.product != PRODUCT:
        return {}
    columns = read_list(path).to_pydict()
    facts = zip(columns["size"], columns["modified"], strict=True)
    return dict(zip(columns["location"], facts, strict=True))
