"""Small photographs, and examples made from them."""

from collections.abc import Sequence
from pathlib import Path

import skimage
from PIL import Image

from rsfiqa.prepare import stage as prepare
from rsfiqa.prepare.options import PrepareOptions
from rsfiqa.segment import stage as segment
from rsfiqa.segment.options import SegmentOptions
from rsfiqa.teach import data
from rsfiqa.teach.options import PARTS, Part, TeachDataOptions


def make_photographs(root: Path) -> Path:
    """The folder of a data set of three photographs; the official test part is 03.png."""
    for i, name in enumerate(("01.png", "02.png", "03.png")):
        crop = skimage.data.coffee()[60 + 80 * i : 156 + 80 * i, 100 * i : 128 + 100 * i]
        Image.fromarray(crop).save(root / name)
    folder = root / "results" / "kodak"
    options = PrepareOptions(layout="kodak", root=str(root))
    prepare.run(folder, options, shard_size=2, max_failed_fraction=0, seed=0)
    segment.run(folder, SegmentOptions(max_regions=6), max_failed_fraction=0)
    return folder


def make_examples(
    folder: Path,
    *sources: Path,
    parts: Sequence[Part] = PARTS,
    seed: int = 0,
    max_failed_fraction: float = 0,
    **changes: object,
) -> None:
    """Examples of data sets, five views of each training photograph."""
    chosen = TeachDataOptions(**{"views": 5, "validation_fraction": 0.5} | changes)
    data.run(
        folder, sources, chosen, parts=parts, seed=seed, max_failed_fraction=max_failed_fraction
    )
