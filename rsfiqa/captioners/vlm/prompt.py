"""What a language model is shown and asked: of one region, or of all regions of an image.

What all requests share comes first, then what the requests of one image share, then the region:
a server that keeps prefixes computes the first two once.
"""

import base64
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import cv2
import numpy as np

VERSION = 1  # of the texts and pictures below; part of every answer's key


FOLDER = Path(__file__).parent / "prompts"


MARGIN = 0.1  # of a region's box, shown around it


LEAST = 64  # pixels; a smaller cut shows more around the region, a smaller image is enlarged


OUTLINE = ((0, 0, 0), (255, 255, 255))  # outside the region: a black line, a white one around it


@cache
def instructions(kind: str) -> str:
    """What every request begins with; `kind` is regions or image."""
    return (FOLDER / f"{kind}-{VERSION}.txt").read_text("utf-8").strip()


def region_messages(whole: str, region: str) -> list[dict[str, Any]]:
    """The request about one region; both pictures are data URIs."""
    return _messages("regions", [("The whole photograph:", whole), ("The region:", region)])


def image_messages(whole: str, marks: str, regions: int) -> list[dict[str, Any]]:
    """The request about all regions of an image, shown without and with numbered marks."""
    numbered = f"The same with its regions outlined and numbered, 1 to {regions}:"
    return _messages("image", [("The photograph:", whole), (numbered, marks)])


def _messages(kind: str, pictures: Sequence[tuple[str, str]]) -> list[dict[str, Any]]:
    content: list[dict[str, Any]] = []
    for text, uri in pictures:
        content += [
            {"type": "text", "text": text},
            {"type": "image_url", "image_url": {"url": uri}},
        ]
    return [
        {"role": "system", "content": instructions(kind)},
        {"role": "user", "content": content},
    ]


def picture(image: np.ndarray, max_pixels: int) -> str:
    """An image uint8 (H, W, 3) as a data URI, without loss but for its size.

    Args:
        image: sRGB; reduced where it has more than `max_pixels`, enlarged below 64 pixels a side.
        max_pixels: at most.
    """
    height, width = image.shape[:2]
    scale = min((max_pixels / (height * width)) ** 0.5, max(1.0, LEAST / min(height, width)))
    if scale != 1:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST
        image = cv2.resize(image, size, interpolation=method)
    _, data = cv2.imencode(".png", image[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 1])
    return data_uri(data.tobytes())


def data_uri(png: bytes) -> str:
    """A PNG as servers take it."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def cut_out(image: np.ndarray, labels: np.ndarray, region: int) -> np.ndarray:
    """A region with some of its surroundings, outlined: uint8 (h, w, 3).

    Args:
        image: uint8 (H, W, 3).
        labels: its label map, brought to the same size (H, W).
        region: in 0..R-1.
    """
    inside = labels == region
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    y0, y1 = _widened(rows[0], rows[-1] + 1, image.shape[0])
    x0, x1 = _widened(columns[0], columns[-1] + 1, image.shape[1])
    cut, mask = image[y0:y1, x0:x1].copy(), inside[y0:y1, x0:x1].astype(np.uint8)
    thickness = max(1, round(max(image.shape) / 512))
    for ring, color in enumerate(OUTLINE, start=1):
        side = 2 * thickness * ring + 1
        wide = cv2.dilate(mask, np.ones((side, side), np.uint8))
        side -= 2 * thickness
        narrow = cv2.dilate(mask, np.ones((side, side), np.uint8)) if side > 1 else mask
        cut[(wide > 0) & (narrow == 0)] = color
    return cut


def marked(image: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """All regions outlined, each with its number from 1 on where it is widest: uint8 (H, W, 3).

    Set-of-Mark prompting (Yang et al. 2023).

    Args:
        image: uint8 (H, W, 3).
        labels: its label map, brought to the same size (H, W).
    """
    marks = image.copy()
    size = max(image.shape) / 512
    thickness = max(1, round(size))
    edge = np.zeros(labels.shape, np.uint8)
    edge[:, 1:] |= labels[:, 1:] != labels[:, :-1]
    edge[1:] |= labels[1:] != labels[:-1]
    for color, side in zip(OUTLINE[::-1], (2 * thickness + 1, thickness), strict=True):
        marks[cv2.dilate(edge, np.ones((side, side), np.uint8)) > 0] = color
    for region in range(int(labels.max()) + 1):
        inside = np.pad(labels == region, 1).astype(np.uint8)  # the image's edge is a border too
        depth = cv2.distanceTransform(inside, cv2.DIST_L2, 3)[1:-1, 1:-1]
        y, x = np.unravel_index(depth.argmax(), depth.shape)
        text, font = str(region + 1), cv2.FONT_HERSHEY_SIMPLEX
        (width, height), _ = cv2.getTextSize(text, font, 0.5 * size, thickness)
        place = (int(x) - width // 2, int(y) + height // 2)
        for color, line in zip(OUTLINE, (4 * thickness, thickness), strict=True):
            cv2.putText(marks, text, place, font, 0.5 * size, color, line, cv2.LINE_AA)
    return marks


def _widened(start: int, end: int, limit: int) -> tuple[int, int]:
    """The interval with a margin on both sides, at least `LEAST` long where there is room."""
    extra = max(round(MARGIN * (end - start)), -(-(LEAST - (end - start)) // 2), 0)
    start, end = start - extra, end + extra
    if start < 0:
        start, end = 0, end - start
    if end > limit:
        start, end = start - (end - limit), limit
    return max(int(start), 0), int(end)
