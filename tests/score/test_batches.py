"""Images scored in batches have the scores of single ones."""

from contextlib import closing
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from rsfiqa import checkpoints
from rsfiqa.datasets import demo
from rsfiqa.errors import ImageError, InputError
from rsfiqa.runtime.devices import device_of
from rsfiqa.score import inside
from rsfiqa.score.batching import can_batch
from rsfiqa.score.options import ScoreOptions
from rsfiqa.score.result import Score
from rsfiqa.score.scorer import Scorer
from rsfiqa.score.workers import Setup, Workers

NAMES = ("skimage/data/chelsea.png", "skimage/data/coffee.png", "skimage/data/astronaut.png")
TOLERANCE = 0.02  # points of 100


@pytest.fixture(scope="module")
def scorer() -> Scorer:
    return Scorer.load(device="cpu", runtime="torch")


@pytest.fixture(scope="module")
def photographs() -> list[np.ndarray]:
    """Nine of three sizes, mixed."""
    random, found = np.random.default_rng(0), []
    for sigma in (0, 8, 25):
        for name in NAMES:
            pixels = demo.photograph(name)
            noisy = pixels + sigma * random.standard_normal(pixels.shape)
            found.append(noisy.clip(0, 255).astype(np.uint8))
    return found


def assert_same(found: Score, expected: Score) -> None:
    assert found.score == pytest.approx(expected.score, abs=TOLERANCE)
    assert found.reason == expected.reason
    np.testing.assert_array_equal(found.labels, expected.labels)
    np.testing.assert_allclose(found.cost_grid, expected.cost_grid, atol=TOLERANCE)
    for own, single in zip(found.regions, expected.regions, strict=True):
        assert (own.box, own.text) == (single.box, single.text)
        assert own.score == pytest.approx(single.score, abs=5 * TOLERANCE)


def test_pictures_without_color_are_told_apart_in_a_batch(scorer, photographs):
    grey = np.repeat(photographs[0].mean(axis=2, keepdims=True).astype(np.uint8), 3, axis=2)
    pictures = [grey, np.full_like(grey, 200)]
    found = list(scorer.score_many(pictures, batch_size=2))
    for own, pixels in zip(found, pictures, strict=True):
        assert_same(own, scorer.score(pixels))
    assert "black and white" in found[0].reason
    assert found[1].reason.startswith("blank")


@pytest.mark.parametrize("batch_size", [2, 16])
def test_a_batch_has_the_scores_of_single_images_in_their_order(scorer, photographs, batch_size):
    found = list(scorer.score_many(photographs, batch_size=batch_size))
    for own, pixels in zip(found, photographs, strict=True):
        assert isinstance(own, Score)
        assert_same(own, scorer.score(pixels))


def test_an_image_that_cannot_be_read_leaves_its_batch_whole(scorer, photographs, tmp_path):
    (tmp_path / "bad.png").write_text("no picture")
    sources = [photographs[0], tmp_path / "bad.png", None, photographs[3]]
    first, bad, none, last = scorer.score_many(sources, batch_size=4)
    assert isinstance(bad, ImageError)
    assert isinstance(none, ImageError)
    assert_same(first, scorer.score(photographs[0]))
    assert_same(last, scorer.score(photographs[3]))


@pytest.mark.parametrize(("step", "expected"), [(0, 2), (1, 8)])
def test_images_are_read_a_few_batches_ahead(scorer, photographs, step, expected):
    """As many as fill a batch of the first one's size, but at most a window."""
    taken = []

    def sources():
        for number in range(100):
            taken.append(number)
            yield photographs[0][: 40 + step * number, :40]

    next(scorer.score_many(sources(), batch_size=2))
    assert len(taken) == expected


def test_a_batch_size_below_1_is_refused(scorer):
    with pytest.raises(InputError, match=r"^batch_size: must be 1 or more, found 0; change it$"):
        scorer.score_many([], batch_size=0)


def test_a_checkpoint_with_other_captions_is_scored_one_by_one(checkpoint, photographs):
    other = Scorer.load(checkpoint, device="cpu", runtime="torch")
    assert not can_batch(other.card)
    (found,) = other.score_many([photographs[0]], batch_size=4)
    assert found == other.score(photographs[0])


@pytest.fixture
def files(photographs, tmp_path) -> list[str]:
    """The photographs, a file that is none, and one that is missing."""
    for number, pixels in enumerate(photographs):
        Image.fromarray(pixels).save(tmp_path / f"{number}.png")
    (tmp_path / "4x.png").write_text("no picture")
    return [*sorted(map(str, tmp_path.glob("*.png"))), str(tmp_path / "gone.png")]


@pytest.mark.parametrize("given", [None, inside.GivenBox((0.2, 0.2, 0.7, 0.9))])
def test_rows_in_batches_are_those_of_single_images(scorer, files, given):
    options = ScoreOptions(device="cpu", runtime="torch")
    workers = Workers(Setup(checkpoints.PACKAGED, options, None, given), 2)
    with closing(workers.rows_in_batches(files, scorer)) as rows:
        found = list(rows)
    with closing(workers.rows(files)) as rows:
        expected = list(rows)
    assert len(found) == len(files)
    for (own, regions), (single, single_regions) in zip(found, expected, strict=True):
        assert own.keys() == single.keys()
        for name, value in own.items():
            if isinstance(value, float):
                assert value == pytest.approx(single[name], abs=5 * TOLERANCE), name
            else:
                assert value == single[name], name
        assert [r.text for r in regions] == [r.text for r in single_regions]
    statuses = {Path(row["path"]).name: row["status"] for row, _ in found}
    assert [name for name, status in statuses.items() if status == "failed"] == [
        "4x.png",
        "gone.png",
    ]


def test_a_device_that_is_missing_is_named():
    for name in ("cuda", "mps"):
        backend = torch.cuda if name == "cuda" else torch.backends.mps
        if not backend.is_available():
            wrong = rf"^--device: must be a device of this machine, found no {name}; set it to auto"
            with pytest.raises(InputError, match=wrong):
                device_of(name, "--device")
            with pytest.raises(InputError, match=wrong.replace("--device", "device")):
                Scorer.load(device=name)


def test_stages_inside_the_scorer_compute_on_the_cpu_beside_mps():
    assert ScoreOptions(device="mps").stage_device == "cpu"
    assert ScoreOptions(device="auto").stage_device == "auto"
