"""Outlines of regions as SVG paths; photographs and heat maps as data URIs."""

import base64
import io

import cv2
import numpy as np
from PIL import Image

from rsfiqa.images import resize
from rsfiqa.report.pictures import Heat
from rsfiqa.scale import MosScale

# Long side in pixels and JPEG quality of a photograph, tried in turn until it fits its budget.
PHOTO_SETTINGS = ((640, 92), (640, 85), (640, 70), (640, 50), (448, 50), (320, 40), (224, 30))
HEAT_SIDE = 96  # pixels of a heat map; the browser interpolates
# Tolerances of outlines in pixels, tried in turn until the outlines of a picture are small enough.
TOLERANCES = (1.0, 2.0, 4.0, 8.0)
OUTLINES_SIZE = 24_000  # bytes; the outlines of a photograph take about 18,000
MIN_CORNERS = 3


def outlines(labels: np.ndarray) -> list[str]:
    """The outlines of the regions 0..R-1 of a label map (H, W), as detailed as fits."""
    regions = range(int(labels.max()) + 1)
    for tolerance in TOLERANCES:
        paths = [outline(labels == region, tolerance) for region in regions]
        if sum(map(len, paths)) <= OUTLINES_SIZE:
            break
    return paths


def outline(mask: np.ndarray, tolerance: float = TOLERANCES[0]) -> str:
    """SVG path data of all borders of a mask bool (H, W), including holes, in pixels.

    Args:
        mask: of the region.
        tolerance: largest distance in pixels between the outline and the border of the mask.
    """
    # doubled, so that borders run along the edges of pixels and thin regions keep their width
    doubled = mask.repeat(2, axis=0).repeat(2, axis=1).astype(np.uint8)
    contours, _ = cv2.findContours(doubled, cv2.RETR_CCOMP, cv2.CHAIN_APPROX_SIMPLE)
    return "".join(_path(_simplified(contour, 2 * tolerance)[:, 0]) for contour in contours)


def anchor(mask: np.ndarray) -> tuple[float, float]:
    """The point of a mask bool (H, W) that is farthest from its border, x and y in percent."""
    distance = cv2.distanceTransform(np.pad(mask, 1).astype(np.uint8), cv2.DIST_L2, 3)[1:-1, 1:-1]
    y, x = np.unravel_index(int(distance.argmax()), mask.shape)
    height, width = mask.shape
    return round(100 * (float(x) + 0.5) / width, 2), round(100 * (float(y) + 0.5) / height, 2)


def _simplified(contour: np.ndarray, tolerance: float) -> np.ndarray:
    """The contour with fewer corners; unchanged if it would lose its area."""
    polygon = cv2.approxPolyDP(contour, tolerance, closed=True)
    return polygon if len(polygon) >= MIN_CORNERS else contour


def _path(corners: np.ndarray) -> str:
    points = [f"{(x + 0.5) / 2:g} {(y + 0.5) / 2:g}" for x, y in corners.tolist()]
    return f"M{'L'.join(points)}Z"


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

    The brightest color is the largest cost, or that of a cell of a uniformly worst picture if this
    is more: good pictures stay dark.
    """
    peak = max(float(costs.max()), abs(scale.span) / costs.size)
    return Heat(heat_uri(costs, peak), peak, costs.size)


def heat_uri(values: np.ndarray, peak: float) -> str:
    """A map float (G, G) as a PNG in magma, from 0 to its peak, smooth.

    Higher values are more opaque.
    """
    import matplotlib  # takes a moment, which a page without attention saves

    side = (HEAT_SIDE, HEAT_SIDE)
    smooth = cv2.resize(values.astype(np.float32), side, interpolation=cv2.INTER_CUBIC)
    fraction = np.clip(smooth / max(peak, 1e-9), 0, 1)
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
