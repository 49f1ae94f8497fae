"""The scorer as a function for `datasets.Dataset.map`."""

from collections.abc import Mapping, Sequence
from typing import Any

from rsfiqa import Scorer
from rsfiqa.errors import ImageError, InputError

COLUMNS = ("score", "word", "reason", "worst_box", "score_error")


class ScoreColumns:
    """Columns of scores for a batch of a data set: `dataset.map(ScoreColumns(), batched=True)`.

    Args:
        scorer: a scorer; by default that of the packaged checkpoint.
        column: of the images: pictures of Pillow, paths or arrays.
    """

    def __init__(self, scorer: Scorer | None = None, column: str = "image") -> None:
        self.scorer, self.column = scorer or Scorer.load(), column

    def __call__(self, batch: Mapping[str, Sequence[Any]]) -> dict[str, list[Any]]:
        """Score, word, reason and box of the worst region of each image, and the error if any.

        Everything but `score_error` is None for an image that cannot be read.

        Args:
            batch: columns by name.

        Raises:
            InputError: no column of that name.
        """
        rows = [self._row(source) for source in self._images(batch)]
        return {name: [row.get(name) for row in rows] for name in COLUMNS}

    def _images(self, batch: Mapping[str, Sequence[Any]]) -> Sequence[Any]:
        if self.column not in batch:
            raise InputError(
                f"column: must be one of {', '.join(batch)}, found {self.column}; give its name"
            )
        return batch[self.column]

    def _row(self, source: Any) -> dict[str, Any]:
        try:
            found = self.scorer.score(source)
        except (ImageError, InputError) as error:
            return {"score_error": str(error)}
        return {
            "score": found.score,
            "word": found.word,
            "reason": found.reason,
            "worst_box": list(found.worst.box),
        }
