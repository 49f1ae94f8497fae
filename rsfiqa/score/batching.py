"""Batches of images of equal size: which are formed, and what becomes of one that fails.

Importing this module imports no torch.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, TypeVar

from rsfiqa.captioners import CAPTIONERS
from rsfiqa.checkpoints import Card
from rsfiqa.errors import InputError
from rsfiqa.score.rows import is_out_of_memory

if TYPE_CHECKING:
    from rsfiqa.score.inputs import ModelInputs
    from rsfiqa.score.result import Score

BATCH_SIZE = 16  # images of equal size that a GPU scores together

T = TypeVar("T")


def can_batch(card: Card) -> bool:
    """Whether a checkpoint's captions follow from the maps of its own, frozen backbone.

    Args:
        card: of the checkpoint. Loading checks that captioner and backbone have its checksums.
    """
    return (
        not card.finetuned
        and CAPTIONERS[card.caption["backend"]].takes_maps
        and bool(card.caption["sha256"] == card.backbone["sha256"])
        and bool(card.caption["long_side"] == card.backbone["long_side"])
        and bool(card.segment["long_side"] <= card.caption["long_side"])
    )


def score_in_batches(
    images: Iterable[tuple[T, "ModelInputs | None"]],
    score: Callable[[Sequence["ModelInputs"]], Sequence["Score"]],
    *,
    size: int,
    window: int,
) -> Iterator[tuple[T, "Score | Exception | None"]]:
    """What belongs to each image, with its score or error, in the order of the images.

    Which images are scored together depends on their order and sizes alone.

    Args:
        images: with what belongs to each; None for one that could not be prepared.
        score: scores images of equal size.
        size: see `by_size`.
        window: see `by_size`.

    Raises:
        InputError: of `score`; it concerns all images.
    """
    done: dict[int, tuple[T, Score | Exception | None]] = {}
    given = 0
    numbered = (((number, own), pixels) for number, (own, pixels) in enumerate(images))
    for batch in by_size(numbered, size, window):
        prepared = [pixels for _, pixels in batch if pixels is not None]
        found = score_halving(prepared, score) if prepared else [None]
        for ((number, own), _), result in zip(batch, found, strict=True):
            done[number] = own, result
        while given in done:
            yield done.pop(given)
            given += 1


def by_size(
    images: Iterable[tuple[T, "ModelInputs | None"]], size: int, window: int
) -> Iterator[list[tuple[T, "ModelInputs | None"]]]:
    """Batches of images of equal size, complete ones as soon as they are.

    An image that could not be prepared is a batch of its own.

    Args:
        images: with what belongs to each.
        size: largest number of images of a batch.
        window: number of images after which incomplete batches are given too.
    """
    waiting: dict[tuple[int, ...] | None, list[tuple[T, ModelInputs | None]]] = {}
    for number, item in enumerate(images, 1):
        shape = None if item[1] is None else item[1].pixels.shape
        batch = waiting.setdefault(shape, [])
        batch.append(item)
        if shape is None or len(batch) == size:
            yield waiting.pop(shape)
        if number % window == 0:
            yield from waiting.values()
            waiting.clear()
    yield from waiting.values()


def score_halving(
    images: Sequence["ModelInputs"],
    score: Callable[[Sequence["ModelInputs"]], Sequence["Score"]],
) -> Sequence["Score | Exception"]:
    """The score of each image, or its error: a batch that fails is halved down to single images.

    So memory may be too small for a batch, and one bad image does not fail the others.

    Raises:
        InputError: of `score`; it concerns all images.
    """
    try:
        return score(images)
    except InputError:
        raise
    except Exception as error:
        if len(images) == 1:
            if is_out_of_memory(error):
                error.__traceback__ = None  # it would keep the tensors of the attempt
            return [error]
    # after the block, which keeps the tensors of the attempt
    half = len(images) // 2
    return [*score_halving(images[:half], score), *score_halving(images[half:], score)]
