"""Which pictures belong together, by their fingerprints."""

from collections import defaultdict
from collections.abc import Iterator, Sequence
from datetime import datetime
from itertools import chain
from pathlib import Path

import numpy as np
from scipy.cluster.hierarchy import DisjointSet

from rsfiqa.group.options import GroupOptions
from rsfiqa.images.fingerprint import correlation, structure, unpack_hash, unpack_thumbnail
from rsfiqa.images.near_duplicates import BITS, near_duplicates, nearest
from rsfiqa.io.checksum import sha256_of
from rsfiqa.products.fingerprints import Fingerprint

# Bits of 256. Two frames of a synthetic burst, shifted by up to 6 %, differ in 31 (median) to 92.
MAX_DISTANCE = 84
MOST = 16  # pictures with which one picture is compared, those of the nearest hashes


def groups_of(
    prints: Sequence[Fingerprint], options: GroupOptions, same: Sequence[tuple[int, int]]
) -> list[list[int]]:
    """The pictures of each group, by their number; groups and members in the order given.

    Pictures are joined if they have the same bytes, are near-duplicates by their hashes, or show
    the same by their thumbnails. A group is all that is joined, by way of others too.

    Args:
        prints: fingerprint of each picture.
        options: how similar they are.
        same: pairs with the same bytes.
    """
    sets = DisjointSet(range(len(prints)))
    hashes = np.array([unpack_hash(one["hash"]) for one in prints]).reshape(-1, BITS)
    for first, second in (*same, *near_duplicates(hashes).tolist()):
        sets.merge(first, second)
    structures = [structure(unpack_thumbnail(one["thumbnail"])) for one in prints]
    taken = [datetime.fromisoformat(one["taken"]) if one["taken"] else None for one in prints]
    pairs = chain(nearest(hashes, MAX_DISTANCE, MOST).tolist(), _in_time(taken, options))
    for first, second in pairs:
        if sets.connected(first, second):
            continue
        bound = _least_similarity(taken[first], taken[second], options)
        if correlation(structures[first], structures[second]) >= bound:
            sets.merge(first, second)
    return sorted(sorted(part) for part in sets.subsets())


def _in_time(taken: Sequence[datetime | None], options: GroupOptions) -> Iterator[tuple[int, int]]:
    """Pairs of pictures of one burst by the time alone, whatever their hashes."""
    known = sorted((time, number) for number, time in enumerate(taken) if time is not None)
    for place, (time, number) in enumerate(known):
        for later, other in known[place + 1 : place + 1 + MOST]:
            if not 0 < options.burst_seconds >= (later - time).total_seconds():
                break
            yield number, other


def _least_similarity(
    first: datetime | None, second: datetime | None, options: GroupOptions
) -> float:
    """The correlation from which two pictures belong together, by the times they were taken."""
    if first is None or second is None or not options.burst_seconds:
        return options.similarity
    apart = abs((first - second).total_seconds())
    return options.burst_similarity if apart <= options.burst_seconds else options.similarity


def same_bytes(paths: Sequence[Path], prints: Sequence[Fingerprint]) -> Iterator[tuple[int, int]]:
    """Pairs of pictures with the same bytes: the first of them, and another.

    Only files of the same size and hash are read.

    Args:
        paths: of the pictures.
        prints: their fingerprints.
    """
    alike: dict[object, list[int]] = defaultdict(list)
    for number, one in enumerate(prints):
        alike[one["size"], one["hash"], one["thumbnail"]].append(number)
    for numbers in alike.values():
        first: dict[str, int] = {}
        for number in numbers if len(numbers) > 1 else ():
            found = first.setdefault(_digest(paths[number], number), number)
            if found != number:
                yield found, number


def _digest(path: Path, number: int) -> str:
    """The SHA-256 of a file; something of its own for one that has just gone."""
    try:
        return sha256_of(path)
    except OSError:
        return str(number)
