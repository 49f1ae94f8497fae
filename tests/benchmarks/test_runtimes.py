import numpy as np
import pytest

from benchmarks.runtimes import error, quantized, session
from rsfiqa.backbones import PERCEPTION
from rsfiqa.backbones.loading import load_backbone
from rsfiqa.backbones.onnx import graph_of
from rsfiqa.backbones.weights import PERCEPTION_BACKBONE

pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")


def test_a_quantized_graph_pads_as_before():
    graph = graph_of(load_backbone(PERCEPTION_BACKBONE, PERCEPTION).network)
    x = np.random.default_rng(0).standard_normal((1, 3, 75, 61)).astype(np.float32)
    found, expected = session(quantized(graph, [x]))(x), session(graph)(x)
    assert [values.shape for values in found] == [values.shape for values in expected]
    assert 0 < error([found], [expected]) < 1


def test_the_error_is_that_of_the_worst_map_averaged_over_pictures():
    one, other = np.array([3.0, 4.0]), np.array([0.0, 4.0])
    assert error([[one, other], [one, one]], [[one, one], [one, one]]) == pytest.approx(0.3)
