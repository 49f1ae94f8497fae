"""The extract stage on real photographs: features and augmented views."""

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
    images = root / "images"
    images.mkdir()
    first, second = skimage.data.chelsea()[:120, :161], skimage.data.coffee()[:150, :100]
    for name, image in {"a": first, "b": second, "mirrored": first[:, ::-1]}.items():
        Image.fromarray(image).save(images / f"{name}.png")
    options = PrepareOptions(layout="folder", root=str(images))
    prepare.run(root / "set", options, shard_size=10, seed=0, max_failed_fraction=0)
    return root / "set"


def extracted(folder: Path, **changes) -> features.Features:
    extract.run(folder, OPTIONS.model_copy(update=changes), max_failed_fraction=0)
    return features.read(product_path(folder, "extract", "00000"))[0]


def test_mirrored_grid_cells_lie_in_their_own_place(folder):
    computed = extracted(folder)
    assert computed.image_ids == ["a.png", "b.png", "mirrored.png"]
    np.testing.assert_array_equal(computed.mirrored[0][..., ::-1], computed.grid_features[2])
    np.testing.assert_array_equal(computed.mirrored[2][..., ::-1], computed.grid_features[0])
    assert not np.array_equal(computed.mirrored[0], computed.grid_features[0])


def test_distorted_views_differ_and_are_reproducible(folder):
    computed = extracted(folder)
    assert computed.distorted.shape == computed.grid_features.shape
    for grid_features, view in zip(computed.grid_features, computed.distorted, strict=True):
        assert np.abs(view.astype(float) - grid_features).max() > 0.1
    again = extracted(folder, device="cpu")
    np.testing.assert_array_equal(again.distorted, computed.distorted)


def test_both_runtimes_give_the_same_features(folder):
    """Up to the rounding to float16; a finished shard is kept, so it is removed first."""
    pytest.importorskip("onnxruntime", reason="needs the extra onnx")
    found = []
    for runtime in ("torch", "onnx"):
        product_path(folder, "extract", "00000").unlink(missing_ok=True)
        found.append(extracted(folder, runtime=runtime))
    for view in features.VIEWS:
        torch, onnx = (getattr(each, view).astype(float) for each in found)
        assert np.abs(torch - onnx).max() < 1e-3 * np.abs(torch).max()


def test_augmented_views_can_be_left_out(folder):
    with_views, without = extracted(folder), extracted(folder, augmented_views=False)
    np.testing.assert_array_equal(without.grid_features, with_views.grid_features)
    empty = (0, *without.grid_features.shape[1:])
    assert without.mirrored.shape == without.distorted.shape == empty


@pytest.mark.parametrize("value", [7e4, -7e4, np.inf, np.nan])
def test_features_beyond_float16_are_an_error(value):
    grid_features = np.ones((2, 3, 4, 4), np.float32)
    assert features.to_float16(grid_features).dtype == np.float16
    grid_features[1, 2, 0, 0] = value
    with pytest.raises(ImageError, match=r"features must lie within float16 \(65504\), found"):
        features.to_float16(grid_features)
