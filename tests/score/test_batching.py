"""Which images are scored together, and what becomes of a batch that fails."""

import gc
import weakref
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from rsfiqa import checkpoints
from rsfiqa.checkpoints import Card
from rsfiqa.errors import ImageError, InputError
from rsfiqa.score.batching import by_size, can_batch, score_halving, score_in_batches


@pytest.fixture(scope="module")
def card() -> Card:
    return checkpoints.read_card(checkpoints.PACKAGED)[0]


def pixels(name: Any, *shape: int) -> Any:
    """A prepared image with a name."""
    return SimpleNamespace(name=name, pixels=np.zeros(shape or (2, 2)))


class FakeScorer:
    """Scores images by their names, and records which it gets together.

    Args:
        errors: what it raises of an image with that name.
        most: images for which its memory suffices.
        error: what it raises of more.
    """

    def __init__(
        self,
        errors: dict[Any, Exception] | None = None,
        most: int = 100,
        error: Callable[[], Exception] = MemoryError,
    ) -> None:
        self.errors, self.most, self.error = errors or {}, most, error
        self.batches: list[list[Any]] = []

    def __call__(self, images: Sequence[Any]) -> list[Any]:
        """The names, as if they were scores."""
        names = [image.name for image in images]
        self.batches.append(names)
        if len(names) > self.most:
            raise self.error()
        for name in names:
            if name in self.errors:
                raise self.errors[name]
        return names


def test_the_packaged_checkpoint_is_scored_in_batches(card):
    assert can_batch(card)


@pytest.mark.parametrize(
    ("part", "entry", "value"),
    [
        ("caption", "backend", "rule_based"),
        ("caption", "sha256", "0" * 64),
        ("caption", "long_side", 64),
        ("segment", "long_side", 4096),
    ],
)
def test_captions_of_other_maps_are_made_image_by_image(card, part, entry, value):
    assert not can_batch(replace(card, **{part: {**getattr(card, part), entry: value}}))


def test_a_finetuned_backbone_has_other_maps_than_the_captioner(card):
    assert not can_batch(replace(card, finetuned=True))


def test_batches_are_of_equal_size():
    small, large = pixels("s", 2, 2), pixels("l", 3, 3)
    items = [(0, small), (1, large), (2, None), (3, small), (4, small), (5, large)]
    found = [[number for number, _ in batch] for batch in by_size(items, 2, 100)]
    assert found == [[2], [0, 3], [1, 5], [4]]


def test_incomplete_batches_end_with_their_window():
    shapes = [(2, 2), (3, 3), (2, 2), (2, 2), (3, 3)]
    items = [(number, pixels("", *shape)) for number, shape in enumerate(shapes)]
    found = [[number for number, _ in batch] for batch in by_size(items, 4, 3)]
    assert found == [[0, 2], [1], [3], [4]]


def test_scores_come_in_order_and_as_soon_as_they_are_there():
    taken = []

    def images() -> Iterator[tuple[str, Any]]:
        for name, side in zip("abcdef", (2, 3, 2, 3, 2, 2), strict=True):
            taken.append(name)
            yield name.upper(), None if name == "e" else pixels(name, side, side)

    found = score_in_batches(images(), FakeScorer(), size=2, window=100)
    assert next(found) == ("A", "a")
    assert taken == ["a", "b", "c"]
    assert list(found) == [("B", "b"), ("C", "c"), ("D", "d"), ("E", None), ("F", "f")]


@pytest.mark.parametrize(
    "error",
    [
        MemoryError,
        lambda: RuntimeError("CUDA out of memory. Tried to allocate 2.00 GiB"),
        lambda: RuntimeError("CUDA error: CUBLAS_STATUS_ALLOC_FAILED when calling cublasCreate"),
    ],
)
def test_a_batch_for_which_memory_is_too_small_is_halved(error):
    scorer = FakeScorer(most=2, error=error)
    assert score_halving([pixels(name) for name in "abcde"], scorer) == list("abcde")
    assert [len(batch) for batch in scorer.batches] == [5, 2, 3, 1, 2]


def test_an_image_that_fails_alone_leaves_the_others():
    bad = ValueError("regions must be ...")
    found = score_halving([pixels(name) for name in "abcd"], FakeScorer({"c": bad}))
    assert found == ["a", "b", bad, "d"]


def test_an_image_error_is_the_result_of_its_image():
    bad = ImageError("no regions")
    assert score_halving([pixels("a"), pixels("b")], FakeScorer({"a": bad})) == [bad, "b"]


def test_an_error_of_all_images_ends_the_run():
    with pytest.raises(InputError, match="another checkpoint"):
        score_halving(
            [pixels("a"), pixels("b")], FakeScorer({"b": InputError("another checkpoint")})
        )


def test_a_failed_attempt_keeps_no_tensors_where_memory_is_too_small():
    class Tensor:
        pass

    kept: list[weakref.ref[Tensor]] = []
    alive = []

    def score(_: Sequence[Any]) -> Any:
        alive.append(sum(each() is not None for each in kept))
        tensor = Tensor()
        kept.append(weakref.ref(tensor))
        raise MemoryError

    gc.disable()
    try:
        found = score_halving([pixels("a"), pixels("b")], score)
        after = sum(each() is not None for each in kept)
    finally:
        gc.enable()
    assert [type(each) for each in found] == [MemoryError, MemoryError]
    assert (alive, after) == ([0, 0, 0], 0)
