"""Heat maps of what counts for a score."""

import os
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from PIL import Image

from rsfiqa.images import resize

if TYPE_CHECKING:  # torch takes long to import, which a wrong argument need not wait for
    pass


def heatmap_path(folder: Path, path: str) -> Path:
    """Where the heat map of a picture lies: under its own path, so that none has another's."""
    own = Path(path)
    if ".." in own.parts:
        own = Path(os.path.abspath(own))
    return folder / own.relative_to(own.anchor).with_name(f"{own.name}.png")


def heatmap(image: np.ndarray, grid_features: np.ndarray) -> Image.Image:
    """An image with what counts for its score: bright where it counts much.

    Args:
        image: uint8 (H, W, 3).
        grid_features: float (G, G), of `Score`.
    """
    import matplotlib

    small = resize.reduce(image, 1024)
    size = small.shape[1::-1]
    fraction = cv2.resize(
        grid_features / max(grid_features.max(), 1e-12), size, interpolation=cv2.INTER_NEAREST
    )
    colors = matplotlib.colormaps["magma"](fraction)[..., :3] * 255
    return Image.fromarray(np.rint(0.45 * small + 0.55 * colors).astype(np.uint8))
