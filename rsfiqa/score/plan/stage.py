"""List the pictures of a scoring run, and divide them into shards."""

import logging
from collections.abc import Sequence
from operator import itemgetter
from pathlib import Path

import numpy as np
import pyarrow as pa

from rsfiqa.errors import InputError
from rsfiqa.images.listing import Listing, SizeAndTime, expand_paths, size_and_time
from rsfiqa.images.location import display_path
from rsfiqa.io.many_files import ask_each
from rsfiqa.io.terminal import counted
from rsfiqa.products import picture_lists
from rsfiqa.products.paths import picture_list_path, scores_folder, shard_name
from rsfiqa.products.picture_lists import SCHEMA, Plan
from rsfiqa.runtime.memory import without_collection

log = logging.getLogger("rsfiqa")

MOST_SHARDS = 100_000  # their names have five digits


@without_collection()
def run(folder: Path, arguments: Sequence[str], *, shard_size: int) -> Plan:
    """Write the lists of a run's shards and, last, its plan; no picture is decoded.

    Pictures are divided in the order of their locations. Where there are lists already, pictures
    stay in their shards, those that are not listed any more are removed, and further ones fill the
    last shard and then new ones: tables of scores stay valid. A list is written only if it changes.

    Args:
        folder: of the run.
        arguments: see `expand_paths`.
        shard_size: pictures of a shard.

    Raises:
        InputError: no pictures, too many shards, or see `expand_paths`.
    """
    table, skipped = listed(arguments)
    skipped.check_any(arguments)
    shards = _divide(folder, table["location"].to_pylist(), shard_size)
    if len(shards) > MOST_SHARDS:
        raise InputError(
            f"shard_size: must give {MOST_SHARDS} shards at most, found {len(shards)} of"
            f" {len(table)} pictures; raise it, or divide the pictures among several runs"
        )
    for number, rows in enumerate(shards):
        _write_list(picture_list_path(folder, shard_name(number)), table.take(rows))
    _remove_further(folder, len(shards))
    plan = Plan(len(table), len(shards), len(skipped.skipped), picture_lists.digest(table))
    picture_lists.write(folder, plan)
    if skipped.skipped:
        log.info("skipped: %s", skipped.summary())
    pictures, parts = counted(plan.pictures, "picture"), counted(plan.shards, "shard")
    log.info("plan: %s in %s", pictures, parts)
    return plan


@without_collection()
def listed(arguments: Sequence[str]) -> tuple[pa.Table, Listing]:
    """The pictures that arguments name, a table of `SCHEMA` sorted by location; what is left out.

    Raises:
        InputError: see `expand_paths`.
    """
    found = expand_paths(arguments)
    located = sorted(zip(found.locations, found.states, strict=True), key=itemgetter(0))
    paths = [path for path, _ in located]
    facts = np.array(list(ask_each(_state, located)), np.int64).reshape(-1, 2)
    none = facts[:, 0] < 0
    times = np.char.add(np.datetime_as_string(facts[:, 1].astype("M8[us]")), "Z")
    columns = [
        pa.array(map(display_path, paths), pa.string(), size=len(paths)),
        pa.array(facts[:, 0], mask=none),
        pa.array(times.astype(object), pa.string(), mask=none),
    ]
    return pa.Table.from_arrays(columns, schema=SCHEMA), found


def _state(located: tuple[str, SizeAndTime | None]) -> SizeAndTime:
    """Those of a file, asked for if they are not known; -1 and 0 without the file."""
    path, state = located
    try:
        return state or size_and_time(path)
    except (OSError, ValueError):
        return -1, 0


def _divide(folder: Path, locations: Sequence[str], shard_size: int) -> list[list[int]]:
    """The pictures of each shard, as numbers in the listing."""
    numbers = {location: number for number, location in enumerate(locations)}
    shards: list[list[int]] = []
    for path in picture_lists.lists(folder):
        known = picture_lists.read_list(path)["location"].to_pylist()
        found = (numbers.pop(location, None) for location in known)
        shards.append([number for number in found if number is not None])
    new = list(numbers.values())
    if shards:
        room = max(0, shard_size - len(shards[-1]))
        shards[-1] += new[:room]
        new = new[room:]
    shards += [new[start : start + shard_size] for start in range(0, len(new), shard_size)]
    while not shards[-1]:
        shards.pop()
    return shards


def _write_list(path: Path, pictures: pa.Table) -> None:
    if not path.is_file() or not picture_lists.read_list(path).equals(pictures):
        picture_lists.write_list(path, pictures)


def _remove_further(folder: Path, count: int) -> None:
    """Remove lists and tables of shards that a run has no more."""
    further = list(picture_lists.lists(folder))[count:]
    for path in further:
        name = path.stem
        for pattern in (f"{name}.*", f".{name}.*"):  # a journal is hidden
            for product in scores_folder(folder).glob(pattern):
                product.unlink()
    for path in reversed(further):  # so that those left after a kill are found
        path.unlink()
