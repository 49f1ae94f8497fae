"""Groups of images: equal bytes must not lie in two groups, nor a group on both sides of a split.

Otherwise a model is tested on images that it was trained on.
"""

import logging
from collections.abc import Sequence

import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from rsfiqa.datasets.registry import DatasetSpec
from rsfiqa.errors import InputError
from rsfiqa.products.manifest import ManifestRow
from rsfiqa.splits import TEST, TEST_NEAR_DUPLICATE

log = logging.getLogger("rsfiqa")


def check_groups(
    rows: Sequence[ManifestRow], spec: DatasetSpec, pairs: np.ndarray | None = None
) -> None:
    """Join or refuse groups with the same bytes, and check them against the official split.

    Args:
        rows: of the manifest; their `group` is changed where groups are joined, their `subset`
            where images leave the official test part.
        spec: of the layout.
        pairs: int (P, 2), rows that are near-duplicates, to be joined; None to join none.

    Raises:
        InputError: see `refuse_duplicates` and `check_official_split`.
    """
    if spec.duplicates == "refuse":
        refuse_duplicates(rows)
    elif spec.duplicates == "join":
        join_duplicates(rows)
    if pairs is not None:
        join_near_duplicates(rows, pairs)
    user_table = spec.duplicates == "refuse"
    repair = "correct the columns group and subset" if user_table else "remove one of the images"
    check_official_split(rows, repair)


def refuse_duplicates(rows: Sequence[ManifestRow]) -> None:
    """Raise if two groups hold the same bytes.

    Raises:
        InputError: names the two files.
    """
    by_digest: dict[str, ManifestRow] = {}
    for row in rows:
        first = by_digest.setdefault(row["sha256"], row)
        if first["group"] != row["group"]:
            raise InputError(
                f"{row['path']}: images of different groups must differ, found the same bytes in"
                f" {first['path']}; give both the same group, or remove one"
            )


def join_duplicates(rows: Sequence[ManifestRow]) -> None:
    """Make one group of all groups that share bytes; it takes the first of their names."""
    for row, before in _joined(rows, _same_bytes(rows)):
        log.warning(
            "%s: group %s joins %s, they hold the same bytes", row["image_id"], before, row["group"]
        )


def join_near_duplicates(rows: Sequence[ManifestRow], pairs: np.ndarray) -> None:
    """Make one group of all groups with near-duplicates, and take them from the official test part.

    An image of the test part whose joined group reaches into the training part gets the subset
    `TEST_NEAR_DUPLICATE`, which is no longer tested on.

    Args:
        rows: of the manifest, changed in place.
        pairs: int (P, 2), the rows of each pair of near-duplicates.
    """
    pairs = np.concatenate([_same_bytes(rows), pairs])
    _joined(rows, pairs)
    joined = {rows[i]["group"] for i in pairs.ravel()}
    trained = {row["group"] for row in rows if row["subset"] != TEST} & joined
    leaving = [row for row in rows if row["subset"] == TEST and row["group"] in trained]
    for row in leaving:
        row["subset"] = TEST_NEAR_DUPLICATE
    log.info(
        "near-duplicates: %d pairs are joined into %d groups; %d images leave the test part of the"
        " official split",
        *(len(pairs), len(joined), len(leaving)),
    )


def _same_bytes(rows: Sequence[ManifestRow]) -> np.ndarray:
    """The pairs of rows with the same bytes: int (P, 2), each with the first such row."""
    first: dict[str, int] = {}
    pairs = [(first.setdefault(row["sha256"], i), i) for i, row in enumerate(rows)]
    return np.array([pair for pair in pairs if pair[0] != pair[1]], int).reshape(-1, 2)


def _joined(rows: Sequence[ManifestRow], pairs: np.ndarray) -> list[tuple[ManifestRow, str]]:
    """Join the groups of each pair of rows; the rows whose group changed, and their group before.

    Groups are the nodes of a graph, pairs its edges; each connected component is one group, with
    the first of their names.
    """
    names, group = np.unique([row["group"] for row in rows], return_inverse=True)
    first, second = group[pairs].T
    edges = coo_array((np.ones(len(pairs), np.int8), (first, second)), shape=(len(names),) * 2)
    _, component = connected_components(edges, directed=False)
    _, representative = np.unique(component, return_index=True)
    changed = []
    for row, own in zip(rows, group, strict=True):
        before, row["group"] = row["group"], str(names[representative[component[own]]])
        if row["group"] != before:
            changed.append((row, before))
    return changed


def check_official_split(rows: Sequence[ManifestRow], repair: str) -> None:
    """Raise if a group, possibly a joined one, lies on both sides of the official split.

    Args:
        rows: of the manifest.
        repair: what the user can do about it, for the message.

    Raises:
        InputError: names the group and an image on each side.
    """
    by_group: dict[str, ManifestRow] = {}
    for row in rows:
        if row["subset"] is None:
            continue
        first = by_group.setdefault(row["group"], row)
        if (first["subset"] == TEST) != (row["subset"] == TEST):
            raise InputError(
                f"{row['path']}: a group must lie on one side of the official split, found"
                f" '{row['group']}' in '{first['subset']}' ({first['image_id']}) and in"
                f" '{row['subset']}'; {repair}"
            )
