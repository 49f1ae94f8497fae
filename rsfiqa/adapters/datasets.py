"""The scorer as a function for `datasets.Dataset.map`."""

import os
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from PIL import Image

from rsfiqa import Scorer
from rsfiqa.errors import ImageError, InputError

COLUMNS = ("score", "word", "reason", "worst_box", "score_error")


class ScoreColumns:
    """Columns of scores for a batch of a data set: `dataset.map(ScoreColumns(), batched=True)`.

    Args:
        scorer: a scorer; by default that of the packaged checkpoint.
        column: of the images: undecoded, as `datasets.Image(decode=False)` gives them, or any
            source of `Scorer.score`. A damaged file that the data set decodes itself ends the map.
    """

    def __init__(self, scorer: Scorer | None = None, column: str = "image") -> None:
        self.scorer, self.column = scorer or Scorer.load(), column

    def __call__(self, batch: Mapping[str, Sequence[Any]]) -> dict[str, list[Any]]:
        """Score, word, reason and box of the worst region of each image, and the error if any.

        Everything but `score_error` is None for an image that is missing or cannot be read.

        Args:
            batch: columns by name.

        Raises:
            InputError: no column of that name, one image instead of a batch, or a source of another
                type, shape or range.
        """
        rows = [self._row(source) for source in self._images(batch)]
        return {name: [row.get(name) for row in rows] for name in COLUMNS}

    def _images(self, batch: Mapping[str, Sequence[Any]]) -> Sequence[Any]:
        if self.column not in batch:
            raise InputError(
                f"column: must be one of {', '.join(batch)}, found {self.column}; give its name"
            )
        images = batch[self.column]
        is_one = isinstance(images, str | bytes | os.PathLike | Mapping | Image.Image)
        if is_one or not isinstance(images, Iterable):
            raise InputError(
                f"column: {self.column} must be a batch of images, found one"
                f" {type(images).__name__}; call map with batched=True"
            )
        return images

    def _row(self, source: Any) -> dict[str, Any]:
        if (image := _undecoded(source)) is None:
            return {"score_error": "no image"}
        try:
            found = self.scorer.score(image)
        except ImageError as error:
            return {"score_error": str(error)}
        return {
            "score": found.score,
            "word": found.word,
            "reason": found.reason,
            "worst_box": list(found.worst.box),
        }


def _undecoded(source: Any) -> Any:
    """The bytes, or else the path, of an image that a data set has not decoded."""
    if isinstance(source, Mapping) and {"bytes", "path"} >= source.keys():
        content = source.get("bytes")
        return source.get("path") if content is None else content
    return source
