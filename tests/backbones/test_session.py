"""Graphs that come with the package, without torch."""

import sys

import numpy as np
import pytest
import torch

from rsfiqa.backbones import onnx, session
from rsfiqa.backbones.backbone import grid_features_of
from rsfiqa.backbones.session import GraphBackbone
from rsfiqa.backbones.weights import PERCEPTION_BACKBONE
from rsfiqa.captioners.classifier.weights import packaged
from rsfiqa.errors import InputError

pytest.importorskip("onnxruntime", reason="needs the extra onnx")


def weights() -> dict[str, np.ndarray]:
    return {name: value.numpy() for name, value in packaged().network.state_dict().items()}


@pytest.fixture(scope="module")
def graph() -> GraphBackbone:
    path = session.graph_path(PERCEPTION_BACKBONE)
    assert path is not None, "python -m recipes.backbone_graph writes it"
    return GraphBackbone.load(path, weights())


def assert_maps_of_torch(graph: GraphBackbone, image: np.ndarray) -> None:
    expected = packaged().backbone.image_maps(image)
    for own, torchs in zip(graph.image_maps(image), expected, strict=True):
        largest = float(torchs.abs().max())
        np.testing.assert_allclose(own, torchs[0].numpy(), rtol=0, atol=2e-5 * largest)


@pytest.mark.parametrize("shape", [(96, 64), (97, 131), (33, 250), (1, 1)])
def test_images_of_any_size_have_the_maps_of_torch(graph, shape):
    image = np.random.default_rng(0).integers(0, 256, (*shape, 3)).astype(np.uint8)
    assert_maps_of_torch(graph, image)


def test_the_graph_is_written_without_weights(graph, tmp_path):
    pytest.importorskip("onnx", reason="needs the extra onnx")
    onnx.write_graph(tmp_path / "new.onnx", packaged().backbone)
    assert (tmp_path / "new.onnx").stat().st_size < 300_000
    anew = GraphBackbone.load(tmp_path / "new.onnx", weights())
    image = np.random.default_rng(0).integers(0, 256, (40, 50, 3)).astype(np.uint8)
    assert_maps_of_torch(anew, image)
    np.testing.assert_array_equal(anew.mean, graph.mean)


def test_weights_of_another_network_are_refused():
    path = session.graph_path(PERCEPTION_BACKBONE)
    assert path is not None
    with pytest.raises(InputError, match=r"^backbone: must have the weights of .*, found others"):
        GraphBackbone.load(path, {"conv_stem.weight": np.zeros((2, 2), np.float32)})


def test_a_backbone_without_a_graph_has_none():
    assert session.graph_path("resnet18") is None


@pytest.mark.parametrize("shape", [(64, 64), (31, 70), (5, 8)])
def test_grid_features_are_those_of_torch(shape):
    random = np.random.default_rng(0)
    maps = [random.normal(0, 3, (n, *shape)).astype(np.float32) for n in (2, 5)]
    found = session.grid_features_of(maps, [np.square(values) for values in maps], 8)
    expected = grid_features_of([torch.from_numpy(values)[None] for values in maps], 8)
    np.testing.assert_allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("missing", onnx.LIBRARIES)
def test_a_missing_library_is_named(missing, monkeypatch):
    monkeypatch.setitem(sys.modules, missing, None)
    assert not session.is_installed(*onnx.LIBRARIES)
    with pytest.raises(InputError, match=rf"^--runtime: needs {missing}, found none; install it"):
        session.check_installed("--runtime", *onnx.LIBRARIES)
