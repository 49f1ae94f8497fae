"""Good photographs with rising distortions, which the packaged checkpoint learns from, too.

Opinions know few photographs that differ in one distortion alone: a model that learns from opinions
may score an oversharpened photograph, or one with stronger contrast, above the same as it was. Each
photograph of BIQ2021's training part has one distortion at two severities. Its score is the opinion
of the photograph, less an even step for each severity: a pseudo-MOS, which no one has given.
"""

import sys
from pathlib import Path

import numpy as np
from PIL import Image
from tqdm import tqdm

from benchmarks.pipeline import write_scores
from recipes.perception import photographs
from recipes.perception_examples import Distort, pristine, realistic, risen
from rsfiqa.images.load import load_rgb
from rsfiqa.images.realistic.distort import variants
from rsfiqa.io.atomic import atomic
from rsfiqa.vocabulary import REALISTIC_FAMILIES

# Without these, .80, .60, .83 and .78 of the steps of contrast_high, color_cast, oversharpening and
# overexposure fall (eight photographs); with them .93, .70, 1.00 and .88, with 240 photographs at
# all severities .95, .78, .98 and .88. On held-out images of LIVEC the mean SRCC of three splits is
# .844, .837 and .829.
PHOTOGRAPHS = 160
RISING = (0, 2, 5)  # severities
STEP = 0.12  # of the pseudo-MOS for each severity; opinions of BIQ2021 span [0, 1]
LEAST_CHANGE = 1.0  # mean of pixel values; a grey photograph cannot be desaturated
SEED = 46


def write(data: Path, folder: Path, *, count: int = PHOTOGRAPHS) -> Path:
    """Write the pictures and scores.csv, which has the layout csv; returns the latter's path.

    Args:
        data: folder that holds BIQ2021.
        folder: takes the pictures and the table; a finished one is kept.
        count: photographs.

    Raises:
        SystemExit: fewer photographs can be distorted.
    """
    table = folder / "scores.csv"
    if table.is_file():
        return table
    (folder / "images").mkdir(parents=True, exist_ok=True)
    training, _ = photographs(data)
    order = np.random.default_rng(SEED).permutation(pristine(training))
    rows: list[tuple[str, float, str]] = []
    with tqdm(total=count, desc="rising", mininterval=10) as progress:
        for index in order:
            entry, number = training[index], progress.n
            kind, function = distortion(number)
            pictures = risen(load_rgb(entry.path), function, RISING, (SEED, number))
            change = np.abs(pictures[-1].astype(int) - pictures[0]).mean()
            if change < LEAST_CHANGE:
                continue
            for severity, picture in zip(RISING, pictures, strict=True):
                name = f"images/{number:03d}_{kind}_{severity}.png"
                with atomic(folder / name) as partial:
                    Image.fromarray(picture).save(partial, "png", compress_level=1)
                mos = (entry.mos or 0) - STEP * severity
                rows.append((name, round(mos, 4), f"{number:03d}"))
            progress.update()
            if progress.n == count:
                break
    if (found := len(rows) // len(RISING)) < count:
        sys.exit(
            f"{data}: must have {count} well-rated photographs that can be distorted, found"
            f" {found}; get all of BIQ2021"
        )
    write_scores(table, rows)
    return table


def distortion(number: int) -> tuple[str, Distort]:
    """Name and function of a photograph's distortion: families take turns, and their variants."""
    names = list(REALISTIC_FAMILIES)
    turn, place = divmod(number, len(names))
    family = names[place]
    kinds = variants(family)
    variant = kinds[turn % len(kinds)]
    return variant, realistic(family, variant)
