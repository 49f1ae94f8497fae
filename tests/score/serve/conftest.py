"""A service of a tiny checkpoint, and requests to it."""

import io
import json
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
from PIL import Image

from benchmarks.curate import client
from benchmarks.curate.client import Running, service
from benchmarks.curate.hostile import FORM, form
from tests.support.pipeline import made

LIMITS = ("--max-upload=4", "--max-megapixels=2", "--timeout=20", "--workers=1")


@pytest.fixture(scope="module")
def checkpoint(tmp_path_factory):
    return made(tmp_path_factory) / "train/tiny.full/split-00"


@pytest.fixture(scope="module")
def running(checkpoint) -> Iterator[Running]:
    with service(*LIMITS, "--checkpoint", checkpoint) as started:
        yield started


def png(width: int = 90, height: int = 70, seed: int = 0) -> bytes:
    """A picture of noise."""
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3)).astype(np.uint8)
    buffer = io.BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return buffer.getvalue()


def content(answer: client.Answer) -> Any:
    """What an answer holds: decoded JSON, or text."""
    is_json = answer.headers.get_content_type() == "application/json"
    return json.loads(answer.body) if is_json else answer.body.decode()


@pytest.fixture
def ask(running):
    """A function that sends a request; status, headers and content of the answer."""

    def request(method: str, path: str, body: bytes | None = None, **headers: str):
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        answer = client.ask(running.address, method, path, body, named)
        return answer.status, answer.headers, content(answer)

    return request


@pytest.fixture
def post(ask):
    """A function that sends a file by a form; status and content of the answer."""

    def send(file: bytes, path: str = "/score", name: str = "a.png"):
        status, _, found = ask("POST", path, form(file, name), content_type=FORM)
        return status, found

    return send
