"""A data set as the report presents it."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rsfiqa.datasets.registry import DATASETS
from rsfiqa.products import manifest
from rsfiqa.products.paths import manifest_path
from rsfiqa.scale import MosScale


@dataclass(frozen=True)
class DataSet:
    """Name, size and score scale of a data set.

    A *score* is in the units and the direction of the data set; *quality* lies in [0, 1], higher
    is better.

    Attributes:
        name: of its folder.
        images: number of images in the manifest; None without a manifest.
        mos_scale: of its scores; None if unknown, where scores are given as quality.
        pseudo: how the scores were computed; empty for opinion scores.
    """

    name: str
    images: int | None = None
    mos_scale: MosScale | None = None
    pseudo: str = ""

    @property
    def title(self) -> str:
        """The name, marked where the scores are not opinion scores."""
        return f"{self.name} (pseudo-MOS)" if self.pseudo else self.name

    @property
    def score_name(self) -> str:
        """What the scores are called."""
        if self.mos_scale is None:
            return "pseudo-quality" if self.pseudo else "quality"
        return "pseudo-MOS" if self.pseudo else "MOS"

    @property
    def scale(self) -> MosScale:
        """The scale of the scores; that of quality if it is unknown."""
        return self.mos_scale or MosScale()

    @property
    def digits(self) -> int:
        """Number of decimals to show: at least 500 steps of the range."""
        return int(np.clip(np.ceil(np.log10(500 / abs(self.scale.span))), 0, 3))


def read_dataset(root: Path, name: str) -> DataSet:
    """What the manifest of a data set tells; only the name without a manifest.

    Args:
        root: folder of all results.
        name: of the data set.
    """
    path = manifest_path(root / name)
    if not path.is_file():
        return DataSet(name, pseudo="pseudo-MOS" if is_pseudo(name) else "")
    table, provenance = manifest.read(path)
    return DataSet(
        name,
        table.num_rows,
        manifest.scale_of(provenance),
        pseudo=str(provenance.options.get("mos", "")),
    )


def is_pseudo(name: str) -> bool:
    """Whether this is the name of a layout whose scores are computed, not given by people."""
    return name in DATASETS and bool(DATASETS[name].pseudo_mos)
