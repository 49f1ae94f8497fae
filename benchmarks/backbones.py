"""The packaged backbones, frozen, on the same splits of LIVEC.

Usage: python benchmarks/backbones.py DATA. About 15 minutes on two cores, on top of the first
stages. Images are neither mirrored nor spoilt in training, so the figures are not those of make
bench. A split that is done is kept.
"""

import os
import shutil
import sys
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
from bench import RUN, made, seconds_per_image
from figures import FOLDER, write
from finetune import trained_and_tested

from rsfiqa import samples, splits
from rsfiqa.backbones import loading as backbones
from rsfiqa.backbones import weights as backbone_weights
from rsfiqa.extract import stage as extract
from rsfiqa.extract.options import ExtractOptions
from rsfiqa.metrics import median_interval
from rsfiqa.train.options import TrainOptions

SPLITS = 10
SHARED = ("segment", "caption", "embed")  # stages that no backbone changes


def compared(folder: Path, name: str) -> dict[str, float]:
    """Parameters in millions, seconds per image and SRCC of a backbone.

    Args:
        folder: of the data set, whose first stages are done.
        name: of the backbone.
    """
    root = FOLDER / "backbones" / name
    own = root / folder.name
    for stage in SHARED:
        shutil.copytree(folder / stage, own / stage, dirs_exist_ok=True)
    shutil.copyfile(folder / "manifest.parquet", own / "manifest.parquet")
    extract.run(own, ExtractOptions(backbone=name, augmented_views=False), max_failed_fraction=0)
    options = TrainOptions(localization=0)
    parts = [splits.split_name("split", i) for i in range(SPLITS)]
    data = samples.load(own)
    found = [trained_and_tested(own, data, root / "train" / part, options, part) for part in parts]
    srcc = np.array([one.srcc for one in found])
    weights = backbones.load(name, backbone_weights.PACKAGED).stages.parameters()
    seconds = seconds_per_image(own / "extract")
    figures = dict(zip(("srcc", "srcc_low", "srcc_high"), median_interval(srcc), strict=True))
    figures |= {"parameters_m": sum(x.numel() for x in weights) / 1e6, "s_per_image": seconds}
    return {f"{name}_{figure}": value for figure, value in figures.items()}


def main() -> None:
    """Compare and write the figures."""
    if len(sys.argv) != 2:
        sys.exit("usage: python benchmarks/backbones.py DATA")
    folder = made(Path(sys.argv[1]), RUN, "--until", "embed", sets=["livec"]) / "livec"
    names = sorted(backbone_weights.PACKAGES)
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        found = pool.map(compared, [folder] * len(names), names)
        figures = {name: value for part in found for name, value in part.items()}
    write("bench-backbones", figures, "make bench-backbones DATA=DIR")


if __name__ == "__main__":
    main()
