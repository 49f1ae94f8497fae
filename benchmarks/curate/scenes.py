"""Made pictures: scenes of random shapes, many at a time, and a table of scores for them."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Any, cast

import cv2
import numpy as np
from PIL import Image

from benchmarks.curate.bursts import START, exif_of
from rsfiqa.images.location import file_state
from rsfiqa.products import score_tables
from rsfiqa.products.scores import SCHEMA, Row
from rsfiqa.splits import seed_of

SIZE = (640, 480)
SHAPES = 40
SMALLER = 0.5  # size of the copies
KINDS = ("single", "single", "burst", "copies")  # of scenes, in turn
FRAMES = {"single": 1, "burst": 4, "copies": 3}
LABEL = "toy 00000000"
INTERVAL = timedelta(milliseconds=200)


def write_scenes(folder: Path, count: int) -> dict[str, int]:
    """Write pictures of scenes; the scene of each picture, by name.

    A third of the pictures are frames of bursts, a quarter copies: an original, one at half its
    size, and an enlargement of that one. The rest are single.

    Args:
        folder: of the pictures.
        count: of pictures.
    """
    folder.mkdir(parents=True, exist_ok=True)
    scenes: dict[str, int] = {}
    number = 0
    while len(scenes) < count:
        kind = KINDS[number % len(KINDS)]
        for place, image in enumerate(_pictures(number, kind)):
            name = f"{number:05d}-{place}-{kind}.jpg"
            taken = START + number * timedelta(hours=1) + place * INTERVAL
            Image.fromarray(image).save(folder / name, quality=90, exif=exif_of(taken))
            scenes[name] = number
            if len(scenes) == count:
                break
        number += 1
    return scenes


def _pictures(number: int, kind: str) -> Iterator[np.ndarray]:
    """The pictures of a scene: uint8 (H, W, 3)."""
    random = np.random.default_rng(seed_of("scene", number))
    image = _scene(random)
    if kind == "copies":
        small = cv2.resize(image, None, fx=SMALLER, fy=SMALLER, interpolation=cv2.INTER_AREA)
        yield from (image, small, cv2.resize(small, SIZE, interpolation=cv2.INTER_CUBIC))
        return
    for _ in range(FRAMES[kind]):
        left, top = random.integers(0, 24, 2)
        yield np.ascontiguousarray(image[top : top + 456, left : left + 616])


def _scene(random: np.random.Generator) -> np.ndarray:
    """Polygons of random colors on a gradient, with fine grain: uint8 (H, W, 3)."""
    width, height = SIZE
    corners = random.integers(40, 216, (2, 2, 3)).astype(np.uint8)
    image: np.ndarray = cv2.resize(corners, SIZE, interpolation=cv2.INTER_LINEAR)
    for _ in range(SHAPES):
        center = random.uniform((0, 0), SIZE)
        points = center + random.normal(0, random.uniform(10, 90), (6, 2))
        color = random.integers(0, 256, 3).tolist()
        cv2.fillPoly(image, [points.astype(np.int32)], color, cv2.LINE_AA)
    grain = random.normal(0, 6, (height, width, 1))
    return np.clip(image + grain, 0, 255).astype(np.uint8)


def write_table(output: Path, folder: Path) -> None:
    """Write a table of scores, made up, for the pictures of a folder."""
    random = np.random.default_rng(0)
    write_scores(output, {path: random.uniform(0, 100) for path in sorted(folder.iterdir())})


def write_scores(output: Path, scores: Mapping[Path, float], **columns: Any) -> Path:
    """Write a table of scores of pictures on a scale from 0 to 100; returns its path.

    Args:
        output: table.
        scores: of the pictures, by their paths.
        columns: further columns, alike for all.
    """
    rows = []
    for path, score in scores.items():
        known = {
            "path": str(path),
            "score": score,
            "quality": min(max(score / 100, 0), 1),
            "direction": "higher",
            "low": 0.0,
            "high": 100.0,
            "checkpoint": LABEL,
            "worst_box": [0, 0, 8, 8],
            "flags": [],
            "status": "ok",
            **file_state(str(path)),
        }
        rows.append(cast(Row, dict.fromkeys(SCHEMA.names) | known | columns))
    score_tables.write(output, rows, LABEL)
    return output
