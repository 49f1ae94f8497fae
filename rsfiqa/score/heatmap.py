"""Heat maps: what each part of an image costs its score, drawn over the image, and their files."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image, ImageDraw, ImageFont, PngImagePlugin

from rsfiqa.cost_map import BRIGHTEST, brightest_cost, brightness, total_cost
from rsfiqa.errors import InputError
from rsfiqa.images import resize
from rsfiqa.images.border import scaled_box
from rsfiqa.images.listing import HEATMAP
from rsfiqa.images.location import file_state
from rsfiqa.io.atomic import atomic
from rsfiqa.io.folders import check_folder
from rsfiqa.products.scores import FileState, as_input_error
from rsfiqa.scale import MosScale
from rsfiqa.score.result import Score

LONG_SIDE = 1024  # pixels of a heat map; smaller images keep their size
LONGEST_NAME = 255  # bytes, of most file systems
SHOWS = "cost"  # kind of map; a file that states another kind is drawn again
COLORS = "magma"  # of matplotlib
PICTURE = 0.45  # fraction of the picture in the colors; the rest is cost
LEGEND_HEIGHT, LEGEND_BAR, FONT_SIZE, MARGIN = 26, 90, 13, 8  # pixels

Record = dict[str, str]  # what a heat map says about its picture


def heatmap_path(folder: Path, path: str) -> Path:
    """The heat map of an image: the image's own path below `folder`, with `.png` appended.

    A name that would be too long ends in a checksum of the image's instead.
    """
    own = Path(path)
    if ".." in own.parts:
        own = Path(os.path.abspath(own))
    return folder / own.relative_to(own.anchor).with_name(_name(own.name))


def _name(own: str) -> str:
    if len(os.fsencode(own)) + len(".png") <= LONGEST_NAME:
        return f"{own}.png"
    digest = hashlib.sha256(os.fsencode(own)).hexdigest()[:16]
    kept = os.fsencode(own)[: LONGEST_NAME - len(f"-{digest}.png")]
    return f"{kept.decode('utf-8', 'ignore')}-{digest}.png"


def record(state: FileState, label: str) -> Record:
    """What a heat map says about its picture, and about the checkpoint.

    Args:
        state: of the picture's file when it was read.
        label: of the checkpoint.
    """
    return {
        "Software": HEATMAP,  # first, where the listing of pictures looks for it
        "Source": state["location"],
        "Source size": str(state["size"]),
        "Source modified": str(state["modified"]),
        "Checkpoint": label,
        "Shows": SHOWS,
        "Brightest": str(BRIGHTEST),
    }


def read_record(path: Path) -> Record | None:
    """What a heat map says about its picture; None for any other file."""
    try:
        with Image.open(path, formats=["PNG"]) as image:
            text = {str(key): str(value) for key, value in image.info.items()}
    except (OSError, ValueError, SyntaxError):
        return None
    return text if text.get("Software") == HEATMAP else None


def is_current(path: Path, expected: Record) -> bool:
    """Whether a heat map exists and is that of a picture as it is now."""
    if not path.is_file():
        return False
    found = read_record(path) or {}
    return all(found.get(key) == value for key, value in expected.items())


def check_paths(folder: Path, paths: Sequence[str]) -> None:
    """Reject a folder in which heat maps would replace something else.

    Raises:
        InputError: no folder, a file that is no heat map, or the heat map of another picture.
    """
    check_folder(folder)
    taken: set[int] = set()  # of a million names in little memory
    for path in paths:
        target = heatmap_path(folder, path)
        if (key := hash(str(target))) in taken:
            other = next(name for name in paths if hash(str(heatmap_path(folder, name))) == key)
            raise InputError(
                f"{target}: must be the heat map of one picture, found {other} and {path}; score"
                " them with different folders for --heatmaps"
            )
        taken.add(key)
        check_target(target, path)


def check_target(target: Path, path: str) -> None:
    """Reject a file that the heat map of a picture would replace.

    Raises:
        InputError: it is no heat map, or that of another picture.
    """
    if not target.is_symlink() and not target.exists():
        return
    found = read_record(target)
    if found is None:
        raise InputError(
            f"{target}: must not exist or be a heat map of rsfiqa, found another file; give"
            " another folder for --heatmaps"
        )
    source = found.get("Source", "")
    if source != file_state(path)["location"] and Path(source).is_file():
        raise InputError(
            f"{target}: must be the heat map of {path}, found that of {source}; give another"
            " folder for --heatmaps"
        )


def write(target: Path, image: Image.Image, text: Record) -> None:
    """Write a heat map with its record, atomically.

    Raises:
        InputError: it cannot be written.
    """
    info = PngImagePlugin.PngInfo()
    for key, value in text.items():
        info.add_text(key, value)
    with as_input_error(target), atomic(target) as partial:
        image.save(partial, format="PNG", pnginfo=info)


def heatmap(image: np.ndarray, score: Score, scale: MosScale) -> Image.Image:
    """An image overlaid with cost, bright where points are lost, and a legend below it.

    The brightest color is `brightest_cost`, so that good pictures stay dark.

    Args:
        image: uint8 (H, W, 3).
        score: of the image.
        scale: of the score.
    """
    small = resize.reduce(image, LONG_SIDE)
    height, width = small.shape[:2]
    x0, y0, x1, y1 = scaled_box(score.content, score.size, (width, height))
    top = brightest_cost(score.cost_grid, scale)
    fraction = brightness(score.cost_grid, top, (width, height))
    fraction[:y0] = fraction[y1:] = fraction[:, :x0] = fraction[:, x1:] = 0
    drawn = PICTURE * small + (1 - PICTURE) * _colors(fraction)
    total = total_cost(score.cost_grid, scale)
    return _with_legend(np.rint(drawn).astype(np.uint8), top, total, score.cost_grid.size)


def _colors(fraction: np.ndarray) -> np.ndarray:
    """Colors of values in [0, 1]: float (..., 3), 0 to 255."""
    import matplotlib as mpl  # takes a moment, which scoring without heat maps saves

    colors: np.ndarray = mpl.colormaps[COLORS](fraction)[..., :3] * 255
    return colors


def _with_legend(drawn: np.ndarray, top: float, total: float, cells: int) -> Image.Image:
    """A drawing uint8 (H, W, 3) above its legend; widened by black if it is narrower.

    Args:
        drawn: the picture.
        top: cost of the brightest color, MOS points per cell.
        total: cost of the whole image, MOS points within the scale.
        cells: of the grid.
    """
    font = ImageFont.load_default(FONT_SIZE)
    end = f"{top:.2g} points lost per 1/{cells} of the picture; {total:.1f} in all"
    start = MARGIN + round(font.getlength("0")) + MARGIN // 2
    stop = start + LEGEND_BAR
    height, width = drawn.shape[:2]
    wide = max(width, stop + round(font.getlength(end)) + 2 * MARGIN)
    whole = np.zeros((height + LEGEND_HEIGHT, wide, 3), np.uint8)
    whole[:height, :width] = drawn
    bar = slice(height + MARGIN, height + LEGEND_HEIGHT - MARGIN)
    ramp = PICTURE * 128 + (1 - PICTURE) * _colors(np.linspace(0, 1, LEGEND_BAR))  # on mid-grey
    whole[bar, start:stop] = np.rint(ramp)
    image = Image.fromarray(whole)
    draw, middle = ImageDraw.Draw(image), height + LEGEND_HEIGHT // 2
    draw.text((MARGIN, middle), "0", "white", font, "lm")
    draw.text((stop + MARGIN // 2, middle), end, "white", font, "lm")
    return image
