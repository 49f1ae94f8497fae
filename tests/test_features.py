import numpy as np
import pytest

from rsfiqa import features
from rsfiqa.errors import InputError
from rsfiqa.features import Features


def test_what_is_read_is_what_was_written(tmp_path, provenance):
    cells = np.random.default_rng(0).normal(size=(2, 2, 7, 3, 3)).astype(np.float16)
    content = Features(["a.png", "b.png"], cells, (3, 4))
    features.write(tmp_path / "a", content, provenance("features"))
    found, origin = features.read(tmp_path / "a")
    assert found.image_ids == ["a.png", "b.png"]
    np.testing.assert_array_equal(found.cells, cells, strict=True)
    assert found.channels == (3, 4)
    assert origin == provenance("features")


def test_another_schema(tmp_path, provenance):
    content = Features([], np.zeros((0, 2, 7, 3, 3)), (3, 4))
    features.write(tmp_path / "a", content, provenance("features", 2))
    with pytest.raises(InputError, match=r"expected features of schema 1, found features of sch"):
        features.read(tmp_path / "a")
