"""A folder of pictures that were scored by a small checkpoint, and its page."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from rsfiqa.products import score_tables
from rsfiqa.products.scores import Row
from rsfiqa.report import scored
from rsfiqa.score import stage as score
from rsfiqa.score.inside import Inside
from rsfiqa.score.options import ScoreOptions
from rsfiqa.score.scorer import Scorer
from tests.support.pipeline import HOSTILE, made

NAMES = [*(f"a/{i}.png" for i in range(6)), "a/deep/6.png", "b/7.jpg", "b/8, \"9\".png",
         f"b/{HOSTILE}".replace("/script", "script")]  # fmt: skip
FAILED = "b/bad.jpg"


def scored_folder(
    factory: pytest.TempPathFactory,
    names: Sequence[str] = NAMES,
    *,
    step: float = 9,
    inside: Inside | None = None,
) -> tuple[Path, Path]:
    """A table of scored pictures and a failed one, and the folder of trained checkpoints.

    Args:
        factory: makes the folder.
        names: of the pictures.
        step: by which the noise of a picture exceeds that of the one before, standard deviations.
        inside: region that is scored instead of whole pictures.
    """
    trained = made(factory) / "train"
    root = factory.mktemp("scored folder")
    random = np.random.default_rng(0)
    for i, name in enumerate(names):
        path = root / "pictures" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        picture = np.clip(random.normal(128, 5 + step * i, (72, 96, 3)), 0, 255)
        Image.fromarray(picture.astype(np.uint8)).save(path)
    failed = root / "pictures" / FAILED
    failed.parent.mkdir(exist_ok=True)
    failed.write_text("no picture")
    usual: dict[str, Any] = {"heatmaps": None, "explain": False, "workers": 1, "inside": inside}
    checkpoint = trained / "tiny.full/split-00"
    pictures, output = [str(root / "pictures")], root / "s.parquet"
    score.run(pictures, ScoreOptions(), checkpoint=checkpoint, output=output, **usual)
    return output, trained


def write_page(table: Path, trained: Path, **changes: Any) -> str:
    usual: dict[str, Any] = {
        "output": None,
        "checkpoint": None,
        "images": 3,
        "title": None,
        "trained": trained,
    }
    return scored.run(table, **usual | {"load_scorer": Scorer} | changes)


def worst_first(table: Path) -> list[Row]:
    rows = list(score_tables.read(table))
    return sorted(rows, key=lambda row: (row["score"] is None, row["score"] or 0, row["path"]))
