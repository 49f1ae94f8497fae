"""Layers in NumPy against those of torch."""

import math

import numpy as np
import pytest
import torch
from torch.nn import functional

from rsfiqa.runtime import layers

X = np.concatenate([np.linspace(-30, 30, 997), [0.0, -1e-9]]).astype(np.float32)


def test_erf_is_that_of_the_standard_library():
    for kind, tolerance in ((np.float64, 1.5e-7), (np.float32, 6e-7)):
        x = np.linspace(-5, 5, 10_001, dtype=kind)
        found = layers.erf(x)
        assert found.dtype == kind
        np.testing.assert_allclose(found, [math.erf(each) for each in x], rtol=0, atol=tolerance)


def test_activations_are_those_of_torch():
    x = torch.from_numpy(X)
    np.testing.assert_allclose(layers.gelu(X), functional.gelu(x), rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(layers.sigmoid(X), x.sigmoid(), atol=1e-7)
    np.testing.assert_allclose(layers.softplus(X), functional.softplus(x), rtol=1e-6)


def test_normalizations_are_those_of_torch():
    x, scale, shift = np.random.default_rng(0).normal(1, 3, (3, 7, 16)).astype(np.float32)
    given = torch.from_numpy(x), (16,), *map(torch.from_numpy, (scale[0], shift[0]))
    expected = functional.layer_norm(*given)
    np.testing.assert_allclose(layers.layer_norm(x, scale[0], shift[0]), expected, atol=1e-6)
    np.testing.assert_allclose(layers.softmax(x), given[0].softmax(-1), atol=1e-7)


def test_a_linear_layer_can_have_no_bias():
    x, weight = np.arange(6.0).reshape(2, 3), np.ones((4, 3))
    np.testing.assert_array_equal(layers.linear(x, weight), [[3.0] * 4, [12.0] * 4])
    np.testing.assert_array_equal(layers.linear(x, weight, np.ones(4))[0], [4.0] * 4)


@pytest.mark.parametrize(("side", "cells"), [(12, 4), (13, 4), (3, 8), (1, 1), (7, 7)])
def test_pooling_bounds_are_those_of_torch(side, cells):
    x = np.random.default_rng(0).normal(size=side)
    begin, end = layers.pooling_bounds(side, cells)
    found = [x[low:high].mean() for low, high in zip(begin, end, strict=True)]
    expected = functional.adaptive_avg_pool1d(torch.from_numpy(x)[None], cells)[0]
    np.testing.assert_allclose(found, expected, rtol=1e-12)
