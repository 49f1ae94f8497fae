"""The photographs of the bench: those of data sets as the prepare stage lists them."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import numpy as np

from benchmarks.figures import RELEASES
from benchmarks.perception.models import Processes
from benchmarks.pipeline import SPLIT
from recipes.perception import photographs
from rsfiqa.datasets.kodak import HELD_OUT
from rsfiqa.prepare import stage as prepare
from rsfiqa.prepare.entries import read_listing
from rsfiqa.prepare.options import PrepareOptions
from rsfiqa.products import manifest, statements
from rsfiqa.products.finished import recorded_provenance, statistics
from rsfiqa.products.manifest import ManifestRow
from rsfiqa.products.paths import manifest_path, statements_path
from rsfiqa.products.statements import Statement
from rsfiqa.products.versions import VERSIONS
from rsfiqa.splits import TEST, seed_of, split_name, test_mask

GOOD = "ss03"  # the subset of BIQ2021 from Unsplash, which also serves as pristine photographs
T = TypeVar("T")


@dataclass(frozen=True)
class Bench:
    """What all parts share.

    Attributes:
        data: folder of the data sets as released.
        folder: of what the bench keeps.
        processes: score pictures.
        limit: most photographs of a list, for a quick look; None for all.
        checkpoint: folder; None for the packaged one.
        before: folder of the previous release, its checkpoint or its source; None to leave it out.
        chooses: take the photographs of BIQ2021's training part that the recipes hold out instead
            of its test part, and none of Kodak.
    """

    data: Path
    folder: Path
    processes: Processes
    limit: int | None = None
    checkpoint: Path | None = None
    before: Path | None = None
    chooses: bool = False

    def take(self, items: Sequence[T], most: int | None = None) -> list[T]:
        """The first items: `most` of them, and no more than the limit."""
        bounds = [bound for bound in (most, self.limit) if bound is not None]
        return list(items[: min(bounds)] if bounds else items)

    def rows(self, layout: str) -> list[ManifestRow]:
        """All images of a data set."""
        return manifest.to_rows(manifest.read(manifest_path(self._prepared(layout)))[0])

    def statements(self) -> dict[str, list[Statement]]:
        """What people said about the photographs of MMP-2k, by image_id."""
        return statements.by_image(statements.read(statements_path(self._prepared("mmp2k")))[0])

    def kodak(self) -> list[Path]:
        """Kodak's photographs; the first eight are those that no recipe reads."""
        if self.chooses:
            return []
        rows = sorted(
            self.rows("kodak"), key=lambda row: (row["group"] not in HELD_OUT, row["group"])
        )
        return [Path(row["path"]) for row in rows]

    def unseen(self, number: int) -> list[Path]:
        """Good photographs that no recipe reads: Kodak's eight, then the best of BIQ2021."""
        return self.take([*self.kodak()[: len(HELD_OUT)], *self.best()], number)

    def biq2021_test(self) -> list[ManifestRow]:
        """The official test part without photographs with a near-duplicate in training, shuffled.

        Those that are held out of training, if they are there to choose by.
        """
        rows = self.rows("biq2021")
        if self.chooses:
            known = {str(entry.path) for entry in photographs(self.data)[1]}
            return shuffled([row for row in rows if row["path"] in known])
        return shuffled([row for row in rows if row["subset"] == TEST])

    def best(self) -> list[Path]:
        """The photographs of Unsplash in that test part, the best rated first."""
        good = [row for row in self.biq2021_test() if row["image_id"].startswith(GOOD)]
        good.sort(key=lambda row: (-(row["mos"] or 0.0), row["image_id"]))
        return [Path(row["path"]) for row in good]

    def livec_test(self) -> list[ManifestRow]:
        """The test part of the first random split, as in the other benches, shuffled."""
        rows = self.rows("livec")
        groups, subsets = [row["group"] for row in rows], [row["subset"] for row in rows]
        name = split_name("split", 0)
        mask = test_mask(name, groups, subsets, dataset="livec", **SPLIT)
        return shuffled([row for row, tested in zip(rows, mask, strict=True) if tested])

    def _prepared(self, layout: str) -> Path:
        """The folder of a prepared data set; it is prepared again if its files have changed."""
        folder = self.folder / "data" / layout
        options = PrepareOptions(layout=layout, root=str(self.data / RELEASES[layout]))
        path = manifest_path(folder)
        provenance, listing = recorded_provenance(path), read_listing(folder, options)
        current = provenance is not None and provenance.version == VERSIONS["prepare"]
        if not current or statistics(path).get("listing") != listing.sha256:
            prepare.run(folder, options, shard_size=1000, max_failed_fraction=0.0, seed=0)
        return folder


def shuffled(rows: Sequence[ManifestRow]) -> list[ManifestRow]:
    """The rows in an order that depends on their names alone."""
    return sorted(rows, key=lambda row: seed_of("perception", row["image_id"]))


def generator(*parts: str | int) -> np.random.Generator:
    """A generator that is the same for the same parts on every machine."""
    return np.random.default_rng(seed_of("perception", *parts))
