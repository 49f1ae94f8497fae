"""Examples: pictures, and JSON lines in the chat format that trainers read.

One line is one question about one region with the answer that is wanted:

id           dataset/image_id/view/region
source       dataset/image_id of the photograph
kind         pristine, global or local: what was done to the view
region       its number in the label map
distortions  list of {family, severity}: those of the region
labels       path of the view's label map, PNG, 8 or 16 bits
images       paths of the two pictures, in their order in the messages
messages     system, user, assistant; content is a list of {type: text, text} and {type: image}

Paths are relative to the folder of the file.
"""

import base64
import json
from collections.abc import Iterable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from rsfiqa.captioners.vlm import prompt
from rsfiqa.captioners.vlm.answer import Answer, Distortion
from rsfiqa.errors import InputError, first_line
from rsfiqa.images import load, resize
from rsfiqa.io.atomic import write_bytes
from rsfiqa.teach.ratings import ratings_of
from rsfiqa.vocabulary import ITU_LEVELS

VERSION = 1
Message = dict[str, Any]


@dataclass(frozen=True)
class Example:
    """One line; see above."""

    id: str
    source: str
    kind: str
    region: int
    distortions: tuple[Distortion, ...]
    labels: str
    images: tuple[str, ...]
    messages: tuple[Message, ...]

    @property
    def wanted(self) -> Answer:
        """The answer that is wanted."""
        return Answer.model_validate_json(self.messages[-1]["content"][0]["text"])

    def to_json(self) -> str:
        """The line, without its end."""
        content = asdict(self) | {"distortions": [one.model_dump() for one in self.distortions]}
        return json.dumps(content, ensure_ascii=False)

    @classmethod
    def from_json(cls, line: str) -> "Example":
        """The inverse of `to_json`.

        Raises:
            ValueError: not JSON, or without what an example has.
        """
        content = json.loads(line)
        try:
            content["distortions"] = tuple(Distortion(**one) for one in content["distortions"])
            for name in ("images", "messages"):
                content[name] = tuple(content[name])
            return cls(**content)
        except (TypeError, KeyError) as error:
            raise ValueError(f"not an example: {first_line(error)}") from error


def answer_of(content: str, distortions: Sequence[Distortion]) -> Answer:
    """The answer that is wanted of a region, its ratings by the table."""
    worst_first = sorted(distortions, key=lambda one: (-one.severity, one.family))
    words = {name: ITU_LEVELS[rating - 1] for name, rating in ratings_of(distortions).items()}
    return Answer(content=content, distortions=worst_first, **words)


def chat(request: Sequence[Message], wanted: Answer) -> tuple[tuple[Message, ...], list[bytes]]:
    """Messages of an example, and its pictures as PNG, from the request that would be sent.

    Args:
        request: as `prompt.region_messages` gives it, pictures as data URIs.
        wanted: the assistant's answer.
    """
    pictures: list[bytes] = []

    def part(found: dict[str, Any]) -> dict[str, Any]:
        if found["type"] != "image_url":
            return found
        pictures.append(base64.b64decode(found["image_url"]["url"].partition(",")[2]))
        return {"type": "image"}

    messages = [
        {
            "role": message["role"],
            "content": [{"type": "text", "text": message["content"]}]
            if isinstance(message["content"], str)
            else [part(found) for found in message["content"]],
        }
        for message in [*request, {"role": "assistant", "content": wanted.model_dump_json()}]
    ]
    return tuple(messages), pictures


def request(pixels: np.ndarray, cut: np.ndarray, max_pixels: int) -> list[Message]:
    """What the caption stage sends about a region, of the image and the region cut out."""
    return prompt.region_messages(
        prompt.picture(pixels, max_pixels), prompt.picture(cut, max_pixels)
    )


def read(path: Path) -> list[Example]:
    """The examples of a file.

    Raises:
        InputError: no such file, an empty one, or a line that is no example.
    """
    if not path.is_file():
        raise InputError(f"{path}: no such file; make it with rsfiqa teach data")
    found = []
    for number, line in enumerate(path.read_text("utf-8").splitlines(), start=1):
        try:
            found.append(Example.from_json(line))
        except ValueError as error:
            raise InputError(
                f"{path}: line {number} must be an example, found {first_line(error)}; make it"
                " again with rsfiqa teach data"
            ) from error
    if not found:
        raise InputError(f"{path}: must hold examples, found none; give teach data more sources")
    return found


def write(path: Path, examples: Iterable[Example]) -> None:
    """Write examples, one line each, atomically."""
    write_bytes(path, "".join(f"{example.to_json()}\n" for example in examples).encode())


def write_labels(path: Path, labels: np.ndarray) -> None:
    """Write a label map uint16 (H, W) as PNG, atomically; 8 bits where they suffice."""
    narrow = labels.astype(np.uint8) if labels.max() < 256 else labels
    _, data = cv2.imencode(".png", narrow)
    write_bytes(path, data.tobytes())


def read_picture(folder: Path, example: Example) -> tuple[np.ndarray, np.ndarray]:
    """The whole picture of an example uint8 (H, W, 3) and its label map (H, W).

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
    pixels = load.load_rgb(folder / example.images[0])
    return pixels, resize.fit_labels(labels, pixels.shape[:2])
