"""Examples for fine-tuning: JSON lines in the chat format of transformers, and their images.

A line is one request about one region with the response to be learned:

id           dataset/image_id/view/region
source       dataset/image_id of the photograph
kind         of the view: pristine, global or local
region       its number in the label map
distortions  list of {family, severity}: those of the region
labels       path of the view's label map, PNG, 8 or 16 bits
images       paths of the two images, in their order in the messages
messages     system, user, assistant; content is a list of {type: text, text} and {type: image}
sha256       of the bytes of the label map and the images, in this order

Paths are relative to the folder of the file.
"""

import base64
import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any, NotRequired, TypedDict

import cv2
import numpy as np

from rsfiqa.captioners.vlm import prompt
from rsfiqa.captioners.vlm.answer import Answer, Distortion
from rsfiqa.errors import InputError, first_line
from rsfiqa.images import load, resize
from rsfiqa.io.atomic import write_bytes
from rsfiqa.teach.ratings import ratings_of
from rsfiqa.vocabulary import ITU_LEVELS

VERSION = 2
MAX_UINT8 = np.iinfo(np.uint8).max


class Part(TypedDict):
    """A part of a message: text, or the place of an image."""

    type: str
    text: NotRequired[str]


class Message(TypedDict):
    """A message of a chat."""

    role: str
    content: list[Part]


@dataclass(frozen=True)
class Example:
    """One line of a file of examples; the module describes its fields."""

    id: str
    source: str
    kind: str
    region: int
    distortions: tuple[Distortion, ...]
    labels: str
    images: tuple[str, ...]
    messages: tuple[Message, ...]
    sha256: str = ""

    @property
    def answer(self) -> Answer:
        """The correct answer, as the assistant's message gives it."""
        return Answer.model_validate_json(self.messages[-1]["content"][0]["text"])

    def to_json(self) -> str:
        """The line, without its end."""
        content = asdict(self) | {"distortions": [one.model_dump() for one in self.distortions]}
        return json.dumps(content, ensure_ascii=False)

    @classmethod
    def from_json(cls, line: str) -> "Example":
        """The inverse of `to_json`.

        Raises:
            ValueError: not JSON, or a field is missing.
        """
        content = json.loads(line)
        try:
            content["distortions"] = tuple(Distortion(**one) for one in content["distortions"])
            for name in ("images", "messages"):
                content[name] = tuple(content[name])
            return cls(**content)
        except (TypeError, KeyError) as error:
            raise ValueError(f"not an example: {first_line(error)}") from error


def correct_answer(content: str, distortions: Sequence[Distortion]) -> Answer:
    """The answer about a region with these distortions; they determine its ratings.

    Args:
        content: what the region shows.
        distortions: at most four.
    """
    worst_first = sorted(distortions, key=lambda one: (-one.severity, one.family))
    levels = {name: ITU_LEVELS[rating - 1] for name, rating in ratings_of(distortions).items()}
    return Answer(content=content, distortions=worst_first, **levels)


def request_about(image: np.ndarray, region_image: np.ndarray, max_pixels: int) -> list[Any]:
    """The request about a region that the VLM captioner sends, images as data URIs.

    Args:
        image: uint8 (H, W, 3), the view.
        region_image: uint8 (h, w, 3), the region cut out of it.
        max_pixels: to which both are reduced.
    """
    uris = (prompt.picture(each, max_pixels) for each in (image, region_image))
    return prompt.region_messages(*uris)


def to_chat(
    request: Sequence[Mapping[str, Any]], answer: Answer
) -> tuple[tuple[Message, ...], list[bytes]]:
    """Messages of an example, and its images as PNG.

    Args:
        request: of `request_about`.
        answer: becomes the assistant's message.
    """
    images: list[bytes] = []

    def to_part(part: Mapping[str, Any]) -> Part:
        if part["type"] != "image_url":
            return {"type": part["type"], "text": part["text"]}
        images.append(base64.b64decode(part["image_url"]["url"].partition(",")[2]))
        return {"type": "image"}

    def to_message(role: str, content: str | Sequence[Mapping[str, Any]]) -> Message:
        if isinstance(content, str):
            return {"role": role, "content": [{"type": "text", "text": content}]}
        return {"role": role, "content": [to_part(part) for part in content]}

    messages = [to_message(message["role"], message["content"]) for message in request]
    messages.append(to_message("assistant", answer.model_dump_json()))
    return tuple(messages), images


def digest_of(paths: Iterable[Path]) -> str:
    """SHA-256 of the bytes of several files, one after the other.

    It makes a file of examples differ where only the pictures do.
    """
    digest = hashlib.sha256()
    for path in paths:
        digest.update(path.read_bytes())
    return digest.hexdigest()


def read(path: Path) -> list[Example]:
    """The examples of a file.

    Raises:
        InputError: no such file, an empty one, or a line that is no example.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; make it with rsfiqa teach data")
    examples = []
    with path.open(encoding="utf-8") as file:
        # unlike splitlines, a file does not split at U+2028, which JSON leaves in a text
        for number, line in enumerate(file, start=1):
            try:
                examples.append(Example.from_json(line))
            except ValueError as error:
                raise InputError(
                    f"{path}: line {number} must be an example, found {first_line(error)}; make it"
                    " again with rsfiqa teach data"
                ) from error
    if not examples:
        raise InputError(f"{path}: must hold examples, found none; give teach data more sources")
    return examples


def write(path: Path, examples: Iterable[Example]) -> None:
    """Write examples, one line each, atomically."""
    write_bytes(path, "".join(f"{example.to_json()}\n" for example in examples).encode())


def write_labels(path: Path, labels: np.ndarray) -> None:
    """Write a label map uint16 (H, W) as PNG, atomically; with 8 bits if they suffice."""
    compact = labels.astype(np.uint8) if labels.max() <= MAX_UINT8 else labels
    _, data = cv2.imencode(".png", compact)
    write_bytes(path, data.tobytes())


def read_image(folder: Path, example: Example) -> tuple[np.ndarray, np.ndarray]:
    """The whole image of an example uint8 (H, W, 3) and its label map (H, W).

    Raises:
        InputError: a file is missing or damaged.
    """
    path = folder / example.labels
    labels = cv2.imread(str(path), cv2.IMREAD_UNCHANGED) if path.is_file() else None
    if labels is None:
        raise InputError(
            f"{path}: must be the label map of an example, found none that is whole;"
            " run rsfiqa teach data again"
        )
    image = load.load_rgb(folder / example.images[0])
    return image, resize.fit_labels(labels, image.shape[:2])
