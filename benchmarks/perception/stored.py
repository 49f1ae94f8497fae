"""Whether a distortion is still named once the picture has been stored as JPEG."""

from dataclasses import dataclass
from pathlib import Path

from PIL import Image

from benchmarks.perception.assess import assess
from benchmarks.perception.intervals import mean_figure
from benchmarks.perception.models import Models
from benchmarks.perception.photographs import Bench, generator
from benchmarks.perception.realistic import PHOTOGRAPHS, single
from benchmarks.perception.stability import encode
from rsfiqa.images import load
from rsfiqa.images.realistic import distort
from rsfiqa.images.realistic.distort import RealisticDistortion
from rsfiqa.vocabulary import REALISTIC_FAMILIES

EACH = 4  # distortions of a photograph
SEVERITY = 4
QUALITY = 85  # of JPEG


@dataclass(frozen=True)
class Distorted:
    """A photograph and the distortion of the whole of it."""

    path: Path
    photograph: int
    distortion: RealisticDistortion


def first_families(models: Models, item: Distorted) -> tuple[str, str]:
    """The first-named family of the worst region, as the picture is and stored as JPEG."""
    random = generator("stored", item.photograph, item.distortion.variant)
    pixels = distort.distort(load.load_rgb(item.path), item.distortion, random)
    file = encode(Image.fromarray(pixels), format="JPEG", quality=QUALITY)
    return assess(models.scorer, pixels).first, assess(models.scorer, file).first


def measure(bench: Bench) -> dict[str, float]:
    """The fraction of pictures whose first-named family is right, and by family."""
    items = [
        Distorted(path, number, single(number * EACH + turn, SEVERITY))
        for number, path in enumerate(bench.take(bench.best(), PHOTOGRAPHS))
        for turn in range(EACH)
    ]
    found = bench.processes.map(first_families, items, "stored")
    figures: dict[str, float] = {}
    for name, column in (("stored_family", 1), ("stored_family_as_is", 0)):
        hits = [
            names[column] == item.distortion.family
            for item, names in zip(items, found, strict=True)
        ]
        figures |= mean_figure(name, hits, [item.photograph for item in items])
        for family in REALISTIC_FAMILIES:
            own = [i for i, item in enumerate(items) if item.distortion.family == family]
            photographs = [items[i].photograph for i in own]
            figures |= mean_figure(f"{name}_{family}", [hits[i] for i in own], photographs)
    return figures
