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
from rsfiqa.splits import TEST

log = logging.getLogger("rsfiqa")


def check_groups(rows: Sequence[ManifestRow], spec: DatasetSpec) -> None:
    """Join or refuse groups with the same bytes, and check them against the official split.

    Args:
        rows: of the manifest; their `group` is changed where groups are joined.
        spec: of the layout.

    Raises:
        InputError: see `refuse_duplicates` and `check_official_split`.
    """
    if spec.duplicates == "refuse":
        refuse_duplicates(rows)
    elif spec.duplicates == "join":
        join_duplicates(rows)
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
    """Make one group of all groups that share bytes; it takes the first of their names.

    Groups and file contents are the nodes of a graph, images its edges; each connected component
    is one group.
    """
    names, group = np.unique([row["group"] for row in rows], return_inverse=True)
    digests, content = np.unique([row["sha256"] for row in rows], return_inverse=True)
    if len(digests) == len(rows):
        return
    nodes = len(names) + len(digests)
    edges = (np.ones(len(rows), np.int8), (group, len(names) + content))
    _, component = connected_components(coo_array(edges, shape=(nodes, nodes)), directed=False)
    _, first = np.unique(component[: len(names)], return_index=True)
    for row, own in zip(rows, group, strict=True):
        joined = str(names[first[component[own]]])
        if joined != row["group"]:
            log.warning(
                "%s: group %s joins %s, they hold the same bytes",
                row["image_id"],
                row["group"],
                joined,
            )
        row["group"] = joined


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
