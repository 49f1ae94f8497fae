"""Pixels as parts of a page: outlines of regions, photographs, heat maps."""

import base64
import io

import cv2
import matplotlib
import numpy as np
from PIL import Image

from rsfiqa.images import resize

# long side in pixels and JPEG quality of a photograph, tried until it fits its share of the page
TRIED = ((640, 92), (640, 85), (640, 70), (640, 50), (448, 50), (320, 40), (224, 30))
HEAT_SIDE = 96  # pixels of a heat map; the browser enlarges it smoothly
# pixels by which an outline may leave the label map's border, tried until all outlines of a
# picture are small enough
SMOOTH = (1.0, 2.0, 4.0, 8.0)
OUTLINES = 24_000  # bytes of them; those of photographs have about 18,000


def outlines(labels: np.ndarray) -> list[str]:
    """The outline of every region of a label map (H, W), 0..R-1, with as many corners as fit."""
    regions = range(int(labels.max()) + 1)
    for smooth in SMOOTH:
        found = [outline(labels == region, smooth) for region in regions]
        if sum(map(len, found)) <= OUTLINES:
            break
    return found


def outline(mask: np.ndarray, smooth: float = SMOOTH[0]) -> str:
    """SVG path data of all borders, holes too, of a mask bool (H, W), in pixels."""
    # doubled, so that borders run along the edges of pixels and thin regions keep their width
    doubled = mask.repeat(2, axis=0).repeat(2, axis=1).astype(np.uint8)
    found, _ = cv2.findContours(doubled, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    return "".join(_path(_smoothed(border, 2 * smooth)[:, 0]) for border in found)


def _smoothed(border: np.ndarray, distance: float) -> np.ndarray:
    """The border with fewer corners, unless nothing would be left of it."""
    found = cv2.approxPolyDP(border, distance, closed=True)
    return found if len(found) > 2 else border


def _path(border: np.ndarray) -> str:
    points = [f"{(x + 0.5) / 2:g} {(y + 0.5) / 2:g}" for x, y in border.tolist()]
    return f"M{'L'.join(points)}Z"


def photo_uri(image: np.ndarray, size: int) -> str:
    """An image uint8 (H, W, 3) as a reduced JPEG, the largest and best that fits `size` bytes."""
    for long_side, quality in TRIED:
        small = resize.reduce(image, long_side)[..., ::-1]
        _, data = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, quality])
        if len(data) * 4 / 3 <= size:
            break
    return _data_uri("image/jpeg", data.tobytes())


def heat_uri(attention: np.ndarray) -> str:
    """A map float (G, G) from 0 to its peak as a PNG in magma, more opaque where it is higher."""
    side = (HEAT_SIDE, HEAT_SIDE)
    smooth = cv2.resize(attention.astype(np.float32), side, interpolation=cv2.INTER_CUBIC)
    fraction = np.clip(smooth / max(float(attention.max()), 1e-9), 0, 1)
    levels = np.arange(256) / 255
    colors = np.rint(255 * matplotlib.colormaps["magma"](levels)[:, :3]).astype(np.uint8)
    image = Image.fromarray(np.rint(255 * fraction).astype(np.uint8))
    image.putpalette(colors.tobytes())  # a quarter of the bytes of four channels
    opacity = np.rint(255 * (0.45 + 0.4 * levels)).astype(np.uint8)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", transparency=opacity.tobytes(), optimize=True)
    return _data_uri("image/png", buffer.getvalue())


def _data_uri(kind: str, data: bytes) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"
