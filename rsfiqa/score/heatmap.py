"""Heat maps: the attention of a score drawn over the image."""

import os
from pathlib import Path

import cv2
import numpy as np
from PIL import Image

from rsfiqa.images import resize

LONG_SIDE = 1024  # pixels of a heat map; smaller images keep their size


def heatmap_path(folder: Path, path: str) -> Path:
    """The heat map of an image: the image's own path below `folder`, with `.png` appended."""
    own = Path(path)
    if ".." in own.parts:
        own = Path(os.path.abspath(own))
    return folder / own.relative_to(own.anchor).with_name(f"{own.name}.png")


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
