"""Heat maps: the attention of a score drawn over the image, and their files."""

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, PngImagePlugin

from rsfiqa.errors import InputError
from rsfiqa.images import resize
from rsfiqa.images.listing import HEATMAP
from rsfiqa.images.location import file_state
from rsfiqa.io.atomic import atomic
from rsfiqa.products.scores import FileState, as_input_error

LONG_SIDE = 1024  # pixels of a heat map; smaller images keep their size
LONGEST_NAME = 255  # bytes, of most file systems

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
        InputError: a file that is no heat map, or the heat map of another picture.
    """
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


def heatmap(image: np.ndarray, attention_grid: np.ndarray) -> Image.Image:
    """An image overlaid with attention, bright where it is high.

    Args:
        image: uint8 (H, W, 3).
        attention_grid: float (G, G), see `Score`.
    """
    import matplotlib as mpl

    small = resize.reduce(image, LONG_SIDE)
    relative = cv2.resize(
        attention_grid / max(attention_grid.max(), 1e-12),
        small.shape[1::-1],
        interpolation=cv2.INTER_NEAREST,
    )
    colors = mpl.colormaps["magma"](relative)[..., :3] * 255
    return Image.fromarray(np.rint(0.45 * small + 0.55 * colors).astype(np.uint8))
