import numpy as np
import pytest

from rsfiqa.errors import InputError
from rsfiqa.products import embeddings
from rsfiqa.products.embeddings import Embeddings


def test_what_is_read_is_what_was_written(tmp_path, provenance):
    vectors = np.array([[1, 0], [0.6, 0.8], [0, 1]], np.float32)
    content = Embeddings(["a.png", "\u00e9.png"], np.array([0, 2, 3]), vectors, truncated=1)
    embeddings.write(tmp_path / "a", content, provenance("embeddings"))
    read, origin = embeddings.read(tmp_path / "a")
    assert read.image_ids == ["a.png", "\u00e9.png"]
    assert read.offsets.tolist() == [0, 2, 3]
    assert read.vectors.dtype == np.float16
    np.testing.assert_allclose(read.vectors, vectors, atol=2**-11)  # float16
    assert read.truncated == 1
    assert origin == provenance("embeddings")


def test_no_images(tmp_path, provenance):
    content = Embeddings([], np.array([0]), np.zeros((0, 384)), truncated=0)
    embeddings.write(tmp_path / "a", content, provenance("embeddings"))
    read, _ = embeddings.read(tmp_path / "a")
    assert read.image_ids == []
    assert read.vectors.shape == (0, 384)


def test_another_product(tmp_path, provenance):
    content = Embeddings([], np.array([0]), np.zeros((0, 2)), truncated=0)
    embeddings.write(tmp_path / "a", content, provenance("features"))
    with pytest.raises(InputError, match=r"expected embeddings of schema 1, found features of sch"):
        embeddings.read(tmp_path / "a")


@pytest.mark.parametrize("offsets", [[0, 2], [0, 2, 4], [0, 1, 2, 3]])
def test_vectors_that_belong_to_no_image_are_refused(tmp_path, provenance, offsets):
    content = Embeddings(["a.png", "b.png"], np.array(offsets), np.zeros((3, 2)), truncated=0)
    embeddings.write(tmp_path / "a", content, provenance("embeddings"))
    with pytest.raises(InputError, match=r"'offsets' must divide the 3 vectors among 2 images, fo"):
        embeddings.read(tmp_path / "a")
