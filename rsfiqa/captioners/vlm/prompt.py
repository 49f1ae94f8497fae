"""Requests as messages: instructions, the whole image, then one region or numbered marks.

What all requests share comes first, then what the requests about one image share, then the region,
so that a server with a prefix cache computes the first two once.
"""

import base64
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from string import Template
from typing import Any

import cv2
import numpy as np

from rsfiqa.captioners.vlm.answer import MOST_DISTORTIONS
from rsfiqa.vocabulary import FAMILIES, ITU_LEVELS, RATINGS, SEVERITIES, SEVERITY_WORDS

VERSION = 1  # of the texts and pictures below; part of the key of every cached response
FOLDER = Path(__file__).parent / "prompts"
NUMBER_WORDS = ("no", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
MARGIN = 0.1  # of the box of a region, shown around it
MIN_SIDE = 64  # pixels; smaller crops take in more of the image, smaller images are enlarged
OUTLINE = ((0, 0, 0), (255, 255, 255))  # around a region: a black line, a white line around that


def instructions(kind: str) -> str:
    """The text with which every request begins, filled in from the vocabulary.

    Args:
        kind: regions for one region in each request, image for all regions of an image.
    """
    *parts, overall = RATINGS
    return _template(kind).substitute(
        families=", ".join(FAMILIES),
        lowest=SEVERITIES[0],
        highest=SEVERITIES[-1],
        faintest=SEVERITY_WORDS[SEVERITIES[0]],
        strongest=SEVERITY_WORDS[SEVERITIES[-1]],
        most_distortions=NUMBER_WORDS[MOST_DISTORTIONS],
        ratings=", ".join(f'"{rating}"' for rating in parts),
        overall=overall,
        levels=f"{', '.join(ITU_LEVELS[:-1])} or {ITU_LEVELS[-1]}",
        best=ITU_LEVELS[-1],
    )


@cache
def _template(kind: str) -> Template:
    return Template((FOLDER / f"{kind}-{VERSION}.txt").read_text("utf-8").strip())


def region_messages(image: str, crop: str) -> list[dict[str, Any]]:
    """The messages of a request about one region.

    Args:
        image: the whole image as a data URI.
        crop: the outlined region as a data URI.
    """
    return _messages("regions", [("The whole photograph:", image), ("The region:", crop)])


def image_messages(image: str, marked_image: str, regions: int) -> list[dict[str, Any]]:
    """The messages of a request about all regions of an image.

    Args:
        image: the whole image as a data URI.
        marked_image: the image with outlined and numbered regions as a data URI.
        regions: their number.
    """
    numbered = f"The same with its regions outlined and numbered, 1 to {regions}:"
    return _messages("image", [("The photograph:", image), (numbered, marked_image)])


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
    """An image as the data URI of a PNG.

    Args:
        image: sRGB, uint8 (H, W, 3); enlarged if a side is below 64 pixels.
        max_pixels: number of pixels to which larger images are reduced.
    """
    height, width = image.shape[:2]
    scale = min((max_pixels / (height * width)) ** 0.5, max(1.0, MIN_SIDE / min(height, width)))
    if scale != 1:
        size = (max(1, round(width * scale)), max(1, round(height * scale)))
        method = cv2.INTER_AREA if scale < 1 else cv2.INTER_NEAREST
        image = cv2.resize(image, size, interpolation=method)
    _, data = cv2.imencode(".png", image[..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 1])
    return data_uri(data.tobytes())


def data_uri(png: bytes) -> str:
    """A PNG as a data URI."""
    return f"data:image/png;base64,{base64.b64encode(png).decode()}"


def cut_out(image: np.ndarray, labels: np.ndarray, region: int) -> np.ndarray:
    """A region with a margin, outlined outside its pixels: uint8 (h, w, 3).

    Args:
        image: uint8 (H, W, 3).
        labels: label map of the same size (H, W), 0..R-1.
        region: number of the region.
    """
    inside = labels == region
    rows, columns = np.flatnonzero(inside.any(axis=1)), np.flatnonzero(inside.any(axis=0))
    y0, y1 = _with_margin(rows[0], rows[-1] + 1, image.shape[0])
    x0, x1 = _with_margin(columns[0], columns[-1] + 1, image.shape[1])
    crop, mask = image[y0:y1, x0:x1].copy(), inside[y0:y1, x0:x1].astype(np.uint8)
    thickness = max(1, round(max(image.shape) / 512))
    for ring, color in enumerate(OUTLINE, start=1):
        side = 2 * thickness * ring + 1
        wide = cv2.dilate(mask, np.ones((side, side), np.uint8))
        side -= 2 * thickness
        narrow = cv2.dilate(mask, np.ones((side, side), np.uint8)) if side > 1 else mask
        crop[(wide > 0) & (narrow == 0)] = color
    return crop


def marked(image: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """All regions outlined and numbered from 1 where they are widest: uint8 (H, W, 3).

    Set-of-Mark prompting (Yang et al. 2023).

    Args:
        image: uint8 (H, W, 3).
        labels: label map of the same size (H, W), 0..R-1.
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
        inside = np.pad(labels == region, 1).astype(np.uint8)  # the image's edge is a border
        depth = cv2.distanceTransform(inside, cv2.DIST_L2, 3)[1:-1, 1:-1]
        y, x = np.unravel_index(depth.argmax(), depth.shape)
        text, font = str(region + 1), cv2.FONT_HERSHEY_SIMPLEX
        (width, height), _ = cv2.getTextSize(text, font, 0.5 * size, thickness)
        place = (int(x) - width // 2, int(y) + height // 2)
        for color, line in zip(OUTLINE, (4 * thickness, thickness), strict=True):
            cv2.putText(marks, text, place, font, 0.5 * size, color, line, cv2.LINE_AA)
    return marks


def _with_margin(start: int, end: int, limit: int) -> tuple[int, int]:
    """An interval widened by the margin, at least `MIN_SIDE` long if the limit allows."""
    extra = max(round(MARGIN * (end - start)), -(-(MIN_SIDE - (end - start)) // 2), 0)
    start, end = start - extra, end + extra
    if start < 0:
        start, end = 0, end - start
    if end > limit:
        start, end = start - (end - limit), limit
    return max(int(start), 0), int(end)
