"""The packaged backbones, frozen, on the same splits of LIVEC.

About 15 minutes on two cores, on top of the first stages. Training sees no augmented views, so the
figures are not those of the accuracy benchmark. A split that is done is kept.
"""

import os
import shutil
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np

from benchmarks.figures import FOLDER, add_data, parser, write
from benchmarks.finetune import train_and_test
from benchmarks.pipeline import RUN, run_pipeline, seconds_per_image
from rsfiqa import samples, splits
from rsfiqa.backbones import PACKAGED
from rsfiqa.backbones.loading import load_backbone
from rsfiqa.backbones.weights import PACKAGES
from rsfiqa.extract import stage as extract
from rsfiqa.extract.options import ExtractOptions
from rsfiqa.metrics import median_interval
from rsfiqa.train.options import TrainOptions

SPLITS = 10
SHARED = ("segment", "caption", "embed")  # stages that no backbone changes


def compare(folder: Path, name: str) -> dict[str, float]:
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
    options = TrainOptions(localization_weight=0)
    parts = [splits.split_name("split", i) for i in range(SPLITS)]
    data = samples.load(own)
    metrics = [train_and_test(own, data, root / "train" / part, options, part) for part in parts]
    srcc = np.array([one.srcc for one in metrics])
    weights = load_backbone(name, PACKAGED).network.parameters()
    seconds = seconds_per_image(own / "extract")
    figures = dict(zip(("srcc", "srcc_low", "srcc_high"), median_interval(srcc), strict=True))
    figures |= {"parameters_m": sum(x.numel() for x in weights) / 1e6, "s_per_image": seconds}
    return {f"{name}_{figure}": value for figure, value in figures.items()}


def main(arguments: Sequence[str]) -> None:
    """Compare and write the figures."""
    options = parser(__name__, __doc__)
    add_data(options, "livec")
    given = options.parse_args(arguments)
    folder = run_pipeline(given.data, RUN, "--until", "embed", sets=["livec"]) / "livec"
    names = sorted(PACKAGES)
    with ProcessPoolExecutor(os.cpu_count()) as pool:
        parts = pool.map(compare, [folder] * len(names), names)
        figures = {name: value for part in parts for name, value in part.items()}
    write("bench-backbones", figures, "python -m benchmarks backbones --data DIR")
