"""Uniform borders of pictures: letterboxes, pillarboxes and frames."""

from dataclasses import dataclass

import numpy as np

Box = tuple[int, int, int, int]

FLAT = 8  # grey levels by which pixels of a border differ from its color at most
VISIBLE = 12  # grey levels from which a pixel differs from the border
STRAIGHT = 0.5  # mean fraction of two edges along which the picture must differ from the border
LEAST_STRAIGHT = 0.25  # fraction of each, since the picture may have a dark side as its border
SHARP = 0.6  # fraction of the difference that must come within two pixels
COMPLETE, STEP = 0.95, 20  # or fraction of the edge along which it comes, and mean grey levels
THINNEST, THICKEST = 0.01, 0.45  # of a side; thinner borders hardly count, some scanners leave them
LEAST = 3  # pixels of thickness
MIXED = 18  # pixels at the edge that compression mixes with the picture: a block of 16, and 2
BAND = 16  # lines compared at a time


def content_box(pixels: np.ndarray) -> Box:
    """The part of an image inside its border: x0, y0, x1, y1 in pixels, x1 and y1 exclusive.

    A border has one color, lies at two opposite sides or at all four, and ends at sharp straight
    edges. The sky of a photograph or the background of a studio shot has none, and stays.

    Args:
        pixels: uint8 (H, W, 3).
    """
    height, width = pixels.shape[:2]
    whole = (0, 0, width, height)
    columns = pixels.swapaxes(0, 1)
    top, bottom = _Side.pair(pixels)
    if top.flat and bottom.flat:
        if found := _framed(pixels, top, bottom):
            return found
        if rows := _thickness(pixels, top, bottom):
            return 0, rows[0], width, height - rows[1]
        return whole
    left, right = _Side.pair(columns)
    if left.flat and right.flat and (sides := _thickness(columns, left, right)):
        return sides[0], 0, width - sides[1], height
    return whole


def crop(pixels: np.ndarray, box: Box) -> np.ndarray:
    """A part of an image (H, W, 3) in memory of its own; the image itself if it is all of it."""
    x0, y0, x1, y1 = box
    if (x1 - x0, y1 - y0) == pixels.shape[1::-1]:
        return pixels
    return np.ascontiguousarray(pixels[y0:y1, x0:x1])


def _framed(pixels: np.ndarray, top: "_Side", bottom: "_Side") -> Box | None:
    """The part of an image inside a border at all four sides; None without one.

    Sides of an even gradient can overlap, so that nothing lies between them.
    """
    height, width = pixels.shape[:2]
    y0, y1 = top.flat, height - bottom.flat
    if y0 >= y1:
        return None
    columns = pixels.swapaxes(0, 1)
    left, right = _Side.pair(columns[:, y0:y1])
    x0, x1 = left.flat, width - right.flat
    if not (left.flat and right.flat) or x0 >= x1:
        return None
    rows = _thickness(pixels[:, x0:x1], top, bottom)
    sides = _thickness(columns[:, y0:y1], left, right)
    if rows and sides and _alike(top, left):
        return sides[0], rows[0], width - sides[1], height - rows[1]
    return None


def has_border(pixels: np.ndarray) -> bool:
    """Whether an image uint8 (H, W, 3) has a border; see `content_box`."""
    return content_box(pixels) != (0, 0, pixels.shape[1], pixels.shape[0])


def scaled_box(box: Box, size: tuple[int, int], other: tuple[int, int]) -> Box:
    """A box in an image at another size, of a pixel each way at least.

    Args:
        box: in the image, pixels.
        size: width and height of the image, pixels.
        other: likewise at the other size.
    """
    scale = np.tile(np.divide(other, size), 2)
    x0, y0, x1, y1 = np.rint(np.array(box) * scale).astype(int).tolist()
    return x0, y0, max(x1, x0 + 1), max(y1, y0 + 1)


def pad_labels(labels: np.ndarray, content: Box, size: tuple[int, int]) -> np.ndarray:
    """A label map of the whole image, whose border gets the labels of the nearest pixels inside.

    Args:
        labels: label map (h, w) of the content.
        content: box of the content in the image, pixels.
        size: width and height of the image, pixels.
    """
    height, width = labels.shape
    x0, y0, x1, y1 = content
    across, down = width / (x1 - x0), height / (y1 - y0)
    thickness = (
        (round(y0 * down), round((size[1] - y1) * down)),
        (round(x0 * across), round((size[0] - x1) * across)),
    )
    return np.pad(labels, thickness, mode="edge")


def pad_grid(grid: np.ndarray, content: Box, size: tuple[int, int]) -> np.ndarray:
    """A grid of the whole image, each cell the sum of the parts of the content's cells in it.

    Args:
        grid: float (G, G), sums over the cells of the content.
        content: box of the content in the image, pixels.
        size: width and height of the image, pixels.
    """
    x0, y0, x1, y1 = content
    if (x0, y0, x1, y1) == (0, 0, *size):
        return grid
    down = _overlap(len(grid), y0 / size[1], y1 / size[1])
    across = _overlap(len(grid), x0 / size[0], x1 / size[0])
    whole: np.ndarray = (down @ grid @ across.T).astype(grid.dtype)
    return whole


def _overlap(cells: int, start: float, stop: float) -> np.ndarray:
    """Fraction of each of `cells` between start and stop in each of as many in [0, 1]: (G, G)."""
    inner, outer = np.linspace(start, stop, cells + 1), np.linspace(0, 1, cells + 1)
    low = np.maximum(inner[:-1], outer[:-1, None])
    high = np.minimum(inner[1:], outer[1:, None])
    overlap: np.ndarray = np.maximum(high - low, 0) * cells / (stop - start)
    return overlap


@dataclass(frozen=True, eq=False)
class _Side:
    """One side of an image.

    Attributes:
        color: of the outermost line, (3,).
        flat: number of lines of this color.
    """

    color: np.ndarray
    flat: int

    @classmethod
    def pair(cls, lines: np.ndarray) -> "tuple[_Side, _Side]":
        """The first and the last side; no line of the second is counted if the first has none."""
        first = cls.of(lines)
        return first, cls.of(lines[::-1]) if first.flat else cls(first.color, 0)

    @classmethod
    def of(cls, lines: np.ndarray) -> "_Side":
        """The side at which an image (N, M, 3) begins; all lines of one color are no side."""
        color = np.median(lines[0], axis=0)
        for start in range(0, len(lines), BAND):
            is_flat = (_difference(lines[start : start + BAND], color) <= FLAT).all(axis=1)
            if not is_flat.all():
                return cls(color, start + int(np.argmin(is_flat)))
        return cls(color, 0)


def _alike(first: _Side, second: _Side) -> bool:
    return float(np.abs(first.color - second.color).max()) <= FLAT


def _thickness(lines: np.ndarray, first: _Side, last: _Side) -> tuple[int, int] | None:
    """Lines of the border at both sides; None if there is none."""
    if not _alike(first, last):
        return None
    start, end = _edge(lines, first), _edge(lines[::-1], last)
    if start is None or end is None or (start.straight + end.straight) / 2 < STRAIGHT:
        return None
    low, high = max(THINNEST * len(lines), LEAST), THICKEST * len(lines)
    found = start.line, end.line
    return found if low <= min(found) and max(found) <= high else None


@dataclass(frozen=True)
class _Edge:
    """Where a picture begins.

    Attributes:
        line: the first of its lines.
        straight: fraction of the line, or of the next, that differs from the border.
    """

    line: int
    straight: float


def _edge(lines: np.ndarray, side: _Side) -> _Edge | None:
    """The sharp edge at which an image (N, M, 3) begins; None if there is none."""
    mixed = max(MIXED, len(lines) // 50)  # enlarged pictures have larger blocks
    last = side.flat - 1  # the last line of the border's color
    near = _difference(lines[last : last + mixed + 4], side.color)  # (lines, M)
    mean = near.mean(axis=1)
    edge = 1 + int(np.argmax(np.diff(mean[:mixed])))
    inside = near[edge : edge + 4]
    straight = float((inside[:2] >= VISIBLE).mean(axis=1).max())
    step = mean[edge : edge + 2].max() - mean[edge - 1]
    is_sharp = step >= SHARP * inside.mean() or (straight >= COMPLETE and step >= STEP)
    return _Edge(last + edge, straight) if is_sharp and straight >= LEAST_STRAIGHT else None


def _difference(lines: np.ndarray, color: np.ndarray) -> np.ndarray:
    """Largest difference of a channel from a color, of each pixel: int16 (N, M)."""
    largest: np.ndarray = np.abs(lines.astype(np.int16) - np.rint(color).astype(np.int16)).max(2)
    return largest
