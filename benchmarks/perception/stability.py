"""Whether a photograph gets the same reason in every file format."""

import io
from pathlib import Path
from typing import Any

from PIL import Image

from benchmarks.perception.assess import assess
from benchmarks.perception.intervals import mean_figure
from benchmarks.perception.models import Models
from benchmarks.perception.photographs import Bench
from rsfiqa.datasets.kodak import HELD_OUT
from rsfiqa.images import load

PHOTOGRAPHS = 200  # Kodak's, and the rest from BIQ2021's test part
FORMATS: tuple[dict[str, Any], ...] = (
    {"format": "PNG", "compress_level": 1},
    {"format": "JPEG", "quality": 95},
    {"format": "WEBP", "quality": 90},
    {"format": "AVIF", "quality": 80, "speed": 8, "max_threads": 1},
)


def encode(image: Image.Image, **parameters: Any) -> bytes:
    """The content of a file that holds the image."""
    file = io.BytesIO()
    image.save(file, **parameters)
    return file.getvalue()


def first_families(models: Models, path: Path) -> list[str]:
    """The family named first of the worst region, from a file of each format."""
    image = Image.fromarray(load.load_rgb(path))
    return [assess(models.scorer, encode(image, **one)).first for one in FORMATS]


def measure(bench: Bench) -> dict[str, float]:
    """The fraction of photographs with one reason in all formats; none counts as a family."""
    kodak = bench.take(bench.kodak()[: len(HELD_OUT)])
    others = bench.take(bench.biq2021_test(), PHOTOGRAPHS - len(kodak))
    paths = [*kodak, *(Path(row["path"]) for row in others)]
    found = bench.processes.map(first_families, paths, "stability")
    figures = mean_figure("reason_stability", [len(set(names)) == 1 for names in found])
    for number, one in enumerate(FORMATS[1:], start=1):
        same = [names[number] == names[0] for names in found]
        figures |= mean_figure(f"reason_stability_{one['format'].lower()}", same)
    return figures
