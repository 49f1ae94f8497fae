"""Answers of a captioner to examples, as JSON text in the schema of the VLM's answers."""

from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from tqdm import tqdm

from rsfiqa.caption.options import CaptionOptions
from rsfiqa.captioners import Captioner
from rsfiqa.captioners.vlm import prompt
from rsfiqa.captioners.vlm.answer import MOST_DISTORTIONS, Answer
from rsfiqa.captioners.vlm.cache import ResponseCache, key_of
from rsfiqa.captioners.vlm.captioner import VLMCaptioner
from rsfiqa.captioners.vlm.requests import Request, region_request
from rsfiqa.io.checksum import sha256_of
from rsfiqa.teach import examples
from rsfiqa.teach.examples import Example
from rsfiqa.vocabulary import ITU_LEVELS, RATINGS

CHUNK = 200  # requests in memory at once, of about half a megabyte each


def from_captioner(captioner: Captioner, folder: Path, tests: Sequence[Example]) -> Iterator[str]:
    """The answers of a captioner that is no language model.

    Args:
        captioner: captions the image of each example.
        folder: of the examples.
        tests: examples to answer.
    """
    cv2.setNumThreads(1)
    for example in tests:
        image, labels = examples.read_image(folder, example)
        # reducing the label map to the size of the image can have dropped small regions
        regions, dense = np.unique(labels, return_inverse=True)
        rows = captioner.caption(image, dense.reshape(labels.shape).astype(labels.dtype))
        row = rows[int(np.searchsorted(regions, example.region))]
        levels = {name: ITU_LEVELS[(row.ratings[name] or 0) - 1] for name in RATINGS}
        worst = row.distortions[:MOST_DISTORTIONS]
        yield Answer(content=row.content, distortions=worst, **levels).model_dump_json()


def from_vlm(
    captioner: VLMCaptioner,
    folder: Path,
    tests: Sequence[Example],
    *,
    digests: Mapping[str, str],
    cache: Path,
    chunk: int = CHUNK,
) -> list[str]:
    """The answers of a VLM behind a server, which gets the requests of the caption stage.

    Args:
        captioner: sends the requests.
        folder: of the examples.
        tests: examples to answer.
        digests: SHA-256 of each file of the model by name; empty with endpoints.
        cache: SQLite file of responses; those in it are not requested again.
        chunk: requests after which responses are cached.

    Raises:
        InputError: the servers cannot be used.
    """
    options = captioner.options
    model = {"model": options.model, "files": dict(digests), "options": options.recorded()}
    keys = [_key(folder, example, model) for example in tests]
    with ResponseCache(cache) as responses:
        cached = responses.get(keys)
        pending = [pair for pair in zip(keys, tests, strict=True) if pair[0] not in cached]
        with tqdm(total=len(pending), desc="teach test", disable=None) as bar:
            for start in range(0, len(pending), chunk):
                part = pending[start : start + chunk]
                responses.put(
                    captioner.complete([_request(folder, *pair, options) for pair in part])
                )
                bar.update(len(part))
        cached = responses.get(keys)
    return [cached[key].raw for key in keys]


def _key(folder: Path, example: Example, model: Mapping[str, Any]) -> str:
    """Key of the response in the cache: a hash of everything that it depends on."""
    images = [sha256_of(folder / path) for path in example.images]
    return key_of(**model, prompt=prompt.VERSION, example=example.id, images=images)


def _request(folder: Path, key: str, example: Example, options: CaptionOptions) -> Request:
    image, region_image = (prompt.data_uri((folder / path).read_bytes()) for path in example.images)
    return region_request(key, image, region_image, options)
