"""The extract stage on real pictures: what the copies are."""

from pathlib import Path

import numpy as np
import pytest
import skimage
from PIL import Image

from rsfiqa.errors import ImageError
from rsfiqa.extract import stage as extract
from rsfiqa.extract.options import ExtractOptions
from rsfiqa.prepare import stage as prepare
from rsfiqa.prepare.options import PrepareOptions
from rsfiqa.products import features
from rsfiqa.products.paths import product_path

OPTIONS = ExtractOptions(grid=4)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """A data set's folder: two photographs and the mirror image of the first."""
    root = tmp_path_factory.mktemp("extract")
    pictures = root / "pictures"
    pictures.mkdir()
    first, second = skimage.data.chelsea()[:120, :161], skimage.data.coffee()[:150, :100]
    for name, image in {"a": first, "b": second, "mirrored": first[:, ::-1]}.items():
        Image.fromarray(image).save(pictures / f"{name}.png")
    options = PrepareOptions(layout="folder", root=str(pictures))
    prepare.run(root / "set", options, shard_size=10, seed=0, max_failed_fraction=0)
    return root / "set"


def extracted(folder: Path, **changes) -> features.Features:
    extract.run(folder, OPTIONS.model_copy(update=changes), max_failed_fraction=0)
    return features.read(product_path(folder, "extract", "00000"))[0]


def test_mirrored_cells_lie_in_the_place_of_their_own(folder):
    found = extracted(folder)
    assert found.image_ids == ["a.png", "b.png", "mirrored.png"]
    np.testing.assert_array_equal(found.mirrored[0][..., ::-1], found.grid_features[2])
    np.testing.assert_array_equal(found.mirrored[2][..., ::-1], found.grid_features[0])
    assert not np.array_equal(found.mirrored[0], found.grid_features[0])


def test_distorted_copies_differ_and_are_the_same_again(folder):
    found = extracted(folder)
    assert found.distorted.shape == found.grid_features.shape
    for grid_features, copy in zip(found.grid_features, found.distorted, strict=True):
        assert np.abs(copy.astype(float) - grid_features).max() > 0.1
    again = extracted(folder, device="cpu")
    np.testing.assert_array_equal(again.distorted, found.distorted)


def test_no_copies_where_they_are_not_wanted(folder):
    whole, found = extracted(folder), extracted(folder, augmented_views=False)
    np.testing.assert_array_equal(found.grid_features, whole.grid_features)
    assert found.mirrored.shape == found.distorted.shape == (0, *found.grid_features.shape[1:])


@pytest.mark.parametrize("value", [7e4, -7e4, np.inf, np.nan])
def test_features_that_cannot_be_kept_are_an_error(value):
    grid_features = np.ones((2, 3, 4, 4), np.float32)
    assert features.to_float16(grid_features).dtype == np.float16
    grid_features[1, 2, 0, 0] = value
    with pytest.raises(ImageError, match=r"features must lie within float16 \(65504\), found"):
        features.to_float16(grid_features)
