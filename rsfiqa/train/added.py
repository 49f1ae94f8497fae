"""Data sets that are trained on beside the first: what is used of them, and what is refused."""

from collections.abc import Sequence
from itertools import compress
from pathlib import Path

import numpy as np

from rsfiqa import samples
from rsfiqa.errors import InputError
from rsfiqa.products.card import AddedRecord
from rsfiqa.products.lineage import check_lineage
from rsfiqa.products.paths import dataset_name
from rsfiqa.samples import Samples


def check_names(first: Path, also: Sequence[Path]) -> None:
    """Refuse data sets that are given twice.

    Args:
        first: folder of the data set whose scale is the model's.
        also: folders of the added data sets.

    Raises:
        InputError: two folders have the same name.
    """
    names = [dataset_name(folder) for folder in (first, *also)]
    if twice := [name for name in names if names.count(name) > 1]:
        raise InputError(
            f"train.also: the names of all data sets must differ, found {twice[0]} twice; leave one"
            " out, or rename its folder and make its products again"
        )


def load_added(also: Sequence[Path], first: Samples) -> list[Samples]:
    """The images of the added data sets that may be trained on.

    Args:
        also: folders of the added data sets.
        first: images of the first data set.

    Raises:
        InputError: see `samples.load`; or the products were made in another way than those of the
            first data set, or lack its augmented views.
    """
    added = []
    for folder in also:
        data = samples.load(folder, part="train")
        check_lineage(f"train.also: {first.dataset}", first.lineage, data.lineage, data.dataset)
        _check_views(first, data)
        added.append(data)
    return added


def check_overlap(added: Sequence[Samples], first: Samples, held_out: np.ndarray) -> None:
    """Refuse added sets with an image that the first set is tested or validated on.

    Args:
        added: training images of the added data sets.
        first: all images of the first data set.
        held_out: bool (N,), its images that are not trained on.

    Raises:
        InputError: names the first such image.
    """
    kept = dict(zip(_digests(first, held_out), compress(first.image_ids, held_out), strict=True))
    for data in added:
        digests = _digests(data, np.ones(len(data), bool))
        for digest, image_id in zip(digests, data.image_ids, strict=True):
            if digest in kept:
                raise InputError(
                    f"{data.dataset}: must share no image with the test and validation parts of"
                    f" {first.dataset}, found the bytes of {image_id} in {kept[digest]}; leave one"
                    " out"
                )


def record(data: Samples) -> AddedRecord:
    """What a card says of an added data set."""
    digests = data.image_digests(np.ones(len(data), bool))
    return {
        "dataset": data.dataset,
        "train": len(data),
        "sha256": digests["sha256"],
        "scores_sha256": digests["scores_sha256"],
    }


def _digests(data: Samples, mask: np.ndarray) -> list[str]:
    """SHA-256 of the bytes of some images."""
    return list(compress(data.rows["sha256"].to_pylist(), mask))


def _check_views(first: Samples, data: Samples) -> None:
    """Refuse an added set without the augmented views that the first set has."""
    for name in ("mirrored", "distorted"):
        if getattr(first, name) is not None and getattr(data, name) is None:
            raise InputError(
                f"{data.dataset}: must have augmented views as {first.dataset} has, found no"
                f" {name} ones; extract both with the same extract.augmented_views"
            )
