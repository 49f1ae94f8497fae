"""Layers of networks in NumPy, for small networks that run without torch; all in float32."""

import numpy as np

SOFTPLUS_LINEAR = 20  # above it the softplus is the identity, as in torch
LAYER_NORM_EPS = 1e-5
# Abramowitz and Stegun 7.1.26
ERF_SCALE = 0.3275911
ERF = (1.061405429, -1.453152027, 1.421413741, -0.284496736, 0.254829592)


def linear(x: np.ndarray, weight: np.ndarray, bias: np.ndarray | None = None) -> np.ndarray:
    """`x` (..., I) by a weight (O, I) and a bias (O,): (..., O)."""
    product: np.ndarray = x @ weight.T
    return product if bias is None else product + bias


def erf(x: np.ndarray) -> np.ndarray:
    """The error function in the type and shape of `x`: to 1.5e-7 in float64, 6e-7 in float32."""
    size = np.abs(x)
    t = 1 / (1 + ERF_SCALE * size)
    polynomial = np.zeros_like(t)
    for coefficient in ERF:
        polynomial = (polynomial + coefficient) * t
    found: np.ndarray = np.copysign(1 - polynomial * np.exp(-size * size), x)
    return found


def gelu(x: np.ndarray) -> np.ndarray:
    """`x` times the normal distribution function of it."""
    found: np.ndarray = 0.5 * x * (1 + erf(x * np.float32(0.5**0.5)))
    return found


def sigmoid(x: np.ndarray) -> np.ndarray:
    """The logistic function."""
    found: np.ndarray = 0.5 + 0.5 * np.tanh(0.5 * x)
    return found


def softplus(x: np.ndarray) -> np.ndarray:
    """log(1 + exp(x))."""
    found: np.ndarray = np.where(
        x > SOFTPLUS_LINEAR, x, np.log1p(np.exp(np.minimum(x, SOFTPLUS_LINEAR)))
    )
    return found


def softmax(x: np.ndarray) -> np.ndarray:
    """Softmax over the last axis."""
    power = np.exp(x - x.max(axis=-1, keepdims=True))
    found: np.ndarray = power / power.sum(axis=-1, keepdims=True)
    return found


def layer_norm(x: np.ndarray, weight: np.ndarray, bias: np.ndarray) -> np.ndarray:
    """Normalization over the last axis, scaled and shifted."""
    centred = x - x.mean(axis=-1, keepdims=True)
    variance = np.square(centred).mean(axis=-1, keepdims=True)
    found: np.ndarray = centred / np.sqrt(variance + LAYER_NORM_EPS) * weight + bias
    return found


def pooling_bounds(side: int, cells: int) -> tuple[np.ndarray, np.ndarray]:
    """First index of each cell of adaptive average pooling, and the one after its last: (cells,).

    Args:
        side: length of the axis; cells overlap where it is no multiple of their number.
        cells: their number.
    """
    number = np.arange(cells)
    return number * side // cells, -(-(number + 1) * side // cells)
