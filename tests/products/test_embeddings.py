import numpy as np
import pytest

from rsfiqa.errors import InputError
from rsfiqa.products import embeddings
from rsfiqa.products.embeddings import Embeddings


def test_what_is_read_is_what_was_written(tmp_path, provenance):
    vectors = np.array([[1, 0], [0.6, 0.8], [0, 1]], np.float32)
    content = Embeddings(["a.png", "\u00e9.png"], np.array([0, 2, 3]), vectors, truncated=1)
    embeddings.write(tmp_path / "a", content, provenance("embeddings"))
    found, origin = embeddings.read(tmp_path / "a")
    assert found.image_ids == ["a.png", "\u00e9.png"]
    assert found.offsets.tolist() == [0, 2, 3]
    assert found.vectors.dtype == np.float16
    np.testing.assert_allclose(found.vectors, vectors, atol=2**-11)  # half precision
    assert found.truncated == 1
    assert origin == provenance("embeddings")


def test_no_images(tmp_path, provenance):
    content = Embeddings([], np.array([0]), np.zeros((0, 384)), truncated=0)
    embeddings.write(tmp_path / "a", content, provenance("embeddings"))
    found, _ = embeddings.read(tmp_path / "a")
    assert found.image_ids == []
    assert found.vectors.shape == (0, 384)


def test_another_product(tmp_path, provenance):
    content = Embeddings([], np.array([0]), np.zeros((0, 2)), truncated=0)
    embeddings.write(tmp_path / "a", content, provenance("features"))
    with pytest.raises(InputError, match=r"expected embeddings of schema 1, found features of sch"):
        embeddings.read(tmp_path / "a")
