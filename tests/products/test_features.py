import numpy as np
import pytest

from rsfiqa.errors import InputError
from rsfiqa.products import features
from rsfiqa.products.features import Features

GRID_FEATURES = np.random.default_rng(0).normal(size=(3, 2, 2, 7, 3, 3)).astype(np.float16)
NONE = np.zeros((0, 2, 7, 3, 3), np.float16)


@pytest.mark.parametrize("views", [tuple(GRID_FEATURES[1:]), (NONE, NONE)])
def test_what_is_read_is_what_was_written(tmp_path, provenance, views):
    content = Features(["a.png", "b.png"], GRID_FEATURES[0], *views, channels=(3, 4))
    features.write(tmp_path / "a", content, provenance("features", features.VERSION))
    read, origin = features.read(tmp_path / "a")
    assert read.image_ids == ["a.png", "b.png"]
    for name, grid_features in zip(features.VIEWS, (GRID_FEATURES[0], *views), strict=True):
        np.testing.assert_array_equal(getattr(read, name), grid_features, strict=True)
    assert read.channels == (3, 4)
    assert origin == provenance("features", features.VERSION)


def test_another_schema(tmp_path, provenance):
    features.write(tmp_path / "a", Features([], NONE, NONE, NONE, (3, 4)), provenance("features"))
    with pytest.raises(InputError, match=r"expected features of schema 5, found features of sch"):
        features.read(tmp_path / "a")
