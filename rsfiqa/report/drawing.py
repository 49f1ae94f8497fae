"""Photographs and heat maps as data URIs."""

import base64
import io

import cv2
import numpy as np
from PIL import Image

from rsfiqa.cost_map import brightest_cost, brightness
from rsfiqa.images import resize
from rsfiqa.report.pictures import Heat
from rsfiqa.scale import MosScale

# Long side in pixels and JPEG quality of a photograph, tried in turn until it fits its budget.
PHOTO_SETTINGS = ((640, 92), (640, 85), (640, 70), (640, 50), (448, 50), (320, 40), (224, 30))
HEAT_SIDE = 96  # pixels of a heat map; the browser interpolates


def photo_uri(image: np.ndarray, size: int) -> str:
    """An image uint8 (H, W, 3) as the largest JPEG of `PHOTO_SETTINGS` that fits `size` bytes.

    The smallest one if none fits.
    """
    for long_side, quality in PHOTO_SETTINGS:
        small = resize.reduce(image, long_side)[..., ::-1]
        _, data = cv2.imencode(".jpg", small, [cv2.IMWRITE_JPEG_QUALITY, quality])
        if len(data) * 4 / 3 <= size:
            break
    return _data_uri("image/jpeg", data.tobytes())


def attention_heat(attention: np.ndarray) -> Heat:
    """An attention map float (G, G), which sums to 1, relative to a uniform map."""
    relative = attention.astype(np.float64) * attention.size
    peak = float(relative.max())
    return Heat(heat_uri(relative, peak), peak, attention.size)


def cost_heat(costs: np.ndarray, scale: MosScale) -> Heat:
    """Costs of grid cells float (G, G), MOS points.

    The brightest color is `brightest_cost`, as in the heat maps of `rsfiqa score`.
    """
    peak = brightest_cost(costs, scale)
    return Heat(heat_uri(costs, peak), peak, costs.size)


def heat_uri(values: np.ndarray, peak: float) -> str:
    """A map float (G, G) as a PNG in magma, from 0 to its peak, smooth.

    Higher values are more opaque.
    """
    import matplotlib  # takes a moment, which a page without attention saves

    fraction = brightness(values, peak, (HEAT_SIDE, HEAT_SIDE))
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
