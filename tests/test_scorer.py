"""A single image scored in process, against the stages of the pipeline."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from rsfiqa import benchmark, checkpoints, samples
from rsfiqa.errors import ImageError, InputError
from rsfiqa.scorer import Scorer
from tests.pipeline import made


@pytest.fixture(scope="module")
def root(tmp_path_factory):
    return made(tmp_path_factory)


@pytest.fixture(scope="module")
def scorer(root):
    return Scorer(root / "train/tiny.full/split-00")


def test_the_score_is_that_of_the_pipeline(root, scorer):
    data = samples.load(root / "tiny")
    model, _ = checkpoints.read(root / "train/tiny.full/split-00")
    wanted = benchmark.predict_quality(model, data)
    for path, quality in zip(data.rows["path"].to_pylist()[:4], wanted, strict=False):
        found = scorer.score(path)
        assert found.score == pytest.approx(1 + 4 * quality, abs=4e-4)  # MOS in [1, 5]


def test_the_parts_add_up(root, scorer):
    data = samples.load(root / "tiny")
    found = scorer.score(data.rows["path"][0].as_py())
    regional = sum(region.weight * region.quality for region in found.regions)
    assert found.score == pytest.approx(regional + found.global_term, abs=1e-3)
    assert sum(region.weight for region in found.regions) == pytest.approx(1, abs=1e-5)
    assert found.attention.sum() == pytest.approx(1, abs=1e-4)
    height, width = found.attention.shape
    for region in found.regions:
        x0, y0, x1, y1 = region.box
        assert 0 <= x0 < x1 <= width
        assert 0 <= y0 < y1 <= height
    assert 0 <= found.quality <= 1


def test_a_path_an_array_and_an_image_score_the_same(root, scorer):
    path = samples.load(root / "tiny").rows["path"][1].as_py()
    image = Image.open(path)
    scores = {scorer.score(x).score for x in (path, Path(path), image, np.asarray(image))}
    assert len(scores) == 1


@pytest.mark.parametrize(("shape", "dtype"), [((8, 8), "uint8"), ((8, 8, 3), "float32")])
def test_an_array_that_is_no_picture(scorer, shape, dtype):
    with pytest.raises(InputError, match=r"image: must be uint8 \(H, W, 3\), found"):
        scorer.score(np.zeros(shape, dtype))


def test_a_file_that_is_no_picture(scorer, tmp_path):
    (tmp_path / "a.jpg").write_text("text")
    with pytest.raises(ImageError, match="not an image"):
        scorer.score(tmp_path / "a.jpg")


@pytest.mark.parametrize("shape", [(1, 1), (3, 500), (700, 20)])
def test_pictures_of_odd_shapes(scorer, shape):
    found = scorer.score(np.full((*shape, 3), 128, np.uint8))
    assert np.isfinite(found.score)
    assert found.attention.shape == shape
