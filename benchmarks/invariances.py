"""How far a score moves by what should not move it: mirroring, borders, file formats, sizes.

Photographs that come in packages, or with --data those of Kodak. About six minutes on one core.
"""

import io
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image, ImageEnhance, ImageOps

from benchmarks.figures import RELEASES, add_data, parser, write
from benchmarks.pipeline import with_interval
from rsfiqa import Scorer
from rsfiqa.datasets import demo
from rsfiqa.images import load
from rsfiqa.images.flags import is_upscaled

Change = Callable[[Image.Image], Image.Image]

COLORS = {"black": (0, 0, 0), "white": (255, 255, 255), "grey": (128, 128, 128)}
BORDERS = {"letterbox": (0, 1), "pillarbox": (1, 0), "frame": (1, 1)}  # sides that have one
THICKNESS = 0.12  # of each border, fraction of the side
SIZES = (300, 400, 512, 640, 768, 1000, 1500, 2000, 3000, 4000)  # pixels of the long side
LARGEST = max(SIZES)
SHARPENING = 3.0  # factor of Pillow's ImageEnhance.Sharpness; 1 changes nothing


def jpeg(image: Image.Image, quality: int = 95) -> Image.Image:
    """The image after a round trip through JPEG."""
    file = io.BytesIO()
    image.save(file, "JPEG", quality=quality)
    return Image.open(file).convert("RGB")


def resized(image: Image.Image, long_side: int) -> Image.Image:
    """The image with its long side enlarged or reduced to so many pixels."""
    scale = long_side / max(image.size)
    width, height = (round(side * scale) for side in image.size)
    return image.resize((width, height), Image.Resampling.BICUBIC)


def bordered(
    image: Image.Image, sides: tuple[int, int], color: tuple[int, int, int]
) -> Image.Image:
    """The image with borders at the left and right, above and below, or all around."""
    border = tuple(
        round(use * THICKNESS * side) for use, side in zip(sides, image.size, strict=True)
    )
    return ImageOps.expand(image, border, color)


def changes() -> Iterator[tuple[str, Change]]:
    """Each change by the name of its figure."""
    yield "mirrored", ImageOps.mirror
    yield "cropped", lambda image: ImageOps.crop(image, 2)
    yield "jpeg95", jpeg
    yield "grey", lambda image: image.convert("L")
    yield "sharpened", lambda image: ImageEnhance.Sharpness(image).enhance(SHARPENING)
    for kind, sides in BORDERS.items():
        for name, color in COLORS.items():
            yield f"{kind}_{name}", partial(bordered, sides=sides, color=color)
    yield "letterbox_jpeg", lambda image: jpeg(bordered(image, BORDERS["letterbox"], (0, 0, 0)), 85)
    for size in SIZES:
        yield f"size_{size}", partial(resized, long_side=size)


def photographs(data: Path | None) -> list[np.ndarray]:
    """Kodak's photographs, or those in packages: uint8 (H, W, 3) each."""
    if data is None:
        return [demo.photograph(source, LARGEST) for source in demo.PHOTOGRAPHS]
    return [load.load_rgb(path) for path in sorted((data / RELEASES["kodak"]).glob("*.png"))]


def measure(scorer: Scorer, images: Sequence[np.ndarray]) -> dict[str, float]:
    """Median change of the score, % of the range, with its interval and the largest one."""
    pictures = [Image.fromarray(image) for image in images]
    before = np.array([scorer.score(picture).score for picture in pictures])
    unit = abs(scorer.scale.span) / 100
    figures: dict[str, float] = {"photographs": len(images)}
    for name, change in changes():
        changed = [change(picture) for picture in pictures]
        moved = (np.array([scorer.score(picture).score for picture in changed]) - before) / unit
        figures |= with_interval(name, moved)
        figures[f"{name}_largest"] = float(np.abs(moved).max())
        if name.startswith("size_"):
            flagged = [is_upscaled(np.asarray(picture)) for picture in changed]
            figures[f"{name}_upscaled"] = float(np.mean(flagged))
        print(name, figures[name], flush=True)
    return figures


def main(arguments: Sequence[str]) -> None:
    """Measure, and write the figures."""
    options = parser(__name__, __doc__)
    add_data(options, "kodak", required=False)
    options.add_argument("--checkpoint", type=Path, help="folder; by default the packaged one")
    given = options.parse_args(arguments)
    figures = measure(Scorer.load(given.checkpoint), photographs(given.data))
    source = " --data DIR" if given.data else ""
    write("bench-invariances", figures, f"python -m benchmarks invariances{source}")
