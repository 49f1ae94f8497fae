"""Requests about the regions of images, ready to be sent."""

from collections.abc import Container
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rsfiqa.caption.options import CaptionOptions
from rsfiqa.captioners.vlm import prompt
from rsfiqa.captioners.vlm.answer import response_format
from rsfiqa.images import load

TOP_LOGPROBS = 20  # the most that servers give; at most ten tokens can begin one of the five words


@dataclass(frozen=True)
class Request:
    """A chat request and the cache keys of the regions that its response describes.

    Attributes:
        keys: one for each region.
        body: body of the request, without a seed.
        regions: number of regions if the response describes several; None if it describes one.
    """

    keys: list[str]
    body: dict[str, Any]
    regions: int | None


@dataclass(frozen=True)
class PendingImage:
    """An image to caption and the cache keys of its regions, in the order of their numbers."""

    image_id: str
    path: Path
    keys: list[str]


def read_requests(
    image: PendingImage, labels: np.ndarray, options: CaptionOptions, cached: Container[str]
) -> list[Request]:
    """The requests about the regions of an image file that are not cached.

    Args:
        image: the image and its keys.
        labels: label map of the image, (h, w), 0..R-1.
        options: options of the caption stage.
        cached: keys of cached responses.

    Raises:
        ImageError: the image cannot be read.
    """
    pixels, labels = load.load_with_labels(image.path, labels, options.long_side)
    return image_requests(pixels, labels, image.keys, options, cached)


def image_requests(
    image: np.ndarray,
    labels: np.ndarray,
    keys: list[str],
    options: CaptionOptions,
    cached: Container[str] = (),
) -> list[Request]:
    """The requests about the regions of an image, in the order of their numbers.

    Args:
        image: sRGB, uint8 (H, W, 3).
        labels: label map of the same size (H, W), 0..R-1.
        keys: cache key of each region.
        options: options of the caption stage.
        cached: keys of regions that need no request of their own.
    """
    whole = prompt.picture(image, options.max_pixels)
    if options.prompt == "image":
        marked = prompt.picture(prompt.marked(image, labels), options.max_pixels)
        messages = prompt.image_messages(whole, marked, len(keys))
        return [Request(keys, request_body(options, messages, len(keys)), len(keys))]
    requests = []
    for region, key in enumerate(keys):
        if key not in cached:
            crop = prompt.picture(prompt.cut_out(image, labels, region), options.max_pixels)
            requests.append(region_request(key, whole, crop, options))
    return requests


def region_request(key: str, image: str, crop: str, options: CaptionOptions) -> Request:
    """The request about one region.

    Args:
        key: cache key of the region.
        image: the whole image as a data URI.
        crop: the outlined region as a data URI.
        options: options of the caption stage.
    """
    body = request_body(options, prompt.region_messages(image, crop), None)
    return Request([key], body, None)


def request_body(
    options: CaptionOptions, messages: list[dict[str, Any]], regions: int | None
) -> dict[str, Any]:
    """The body of a request about one region (None) or about several."""
    return {
        "model": options.model,
        "messages": messages,
        "response_format": response_format(regions),
        "max_tokens": options.max_tokens * (regions or 1),
        "temperature": options.temperature,
        "logprobs": True,
        "top_logprobs": TOP_LOGPROBS,
    }
