"""Activations: each a value and its slope, with the slope at a kink as the layer says it."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import TypeVar

import numpy as np

from cnnspec.layers.activation import (
    Abs,
    Activation,
    Celu,
    Elu,
    Gelu,
    HardSigmoid,
    HardSwish,
    HardTanh,
    LeakyRelu,
    LogSoftmax,
    Mish,
    Prelu,
    Relu,
    Relu6,
    Selu,
    Sigmoid,
    Silu,
    Softmax,
    Softplus,
    Softsign,
    Tanh,
)
from cnnspec_reference.definition import (
    Array,
    Definition,
    Given,
    Pulled,
    Result,
    defines,
    maps,
    per_channel,
    rounded,
    summed_to,
)

A = TypeVar("A", bound=Activation)
Slope = Callable[[], Array]
"""The derivative at every value; computed only where gradients are wanted."""


def pointwise(kind: type[A]) -> Callable[[Callable[[A, Array], tuple[Array, Slope]]], Definition]:
    """Register a function of each value by itself: from the values to the results and their slopes."""

    def register(function: Callable[[A, Array], tuple[Array, Slope]]) -> Definition:
        def definition(layer: A, x: Array) -> tuple[Array, Callable[[Array], Array]]:
            y, slope = function(layer, x)
            return y, lambda gradient: gradient * slope()

        return maps(kind)(definition)

    return register


def _logistic(x: Array) -> Array:
    # The exponential of a negative number cannot overflow.
    small = np.exp(-np.abs(x))
    result: Array = np.where(x >= 0, 1, small) / (1 + small)
    return result


def _softplus(x: Array) -> Array:
    result: Array = np.logaddexp(x, 0)
    return result


def _erf(x: Array) -> Array:
    # NumPy has none; the C library's is exact to the last digits.
    flat = np.ascontiguousarray(x).reshape(-1)
    return np.fromiter(map(math.erf, flat.data), np.float64, flat.size).reshape(x.shape)


@pointwise(Relu)
def _relu(layer: Relu, x: Array) -> tuple[Array, Slope]:
    return np.maximum(x, 0), lambda: (x > 0).astype(np.float64)


@pointwise(Relu6)
def _relu6(layer: Relu6, x: Array) -> tuple[Array, Slope]:
    return np.minimum(np.maximum(x, 0), 6), lambda: ((x > 0) & (x < 6)).astype(np.float64)


@pointwise(LeakyRelu)
def _leaky_relu(layer: LeakyRelu, x: Array) -> tuple[Array, Slope]:
    return np.where(x > 0, x, layer.slope * x), lambda: np.where(x > 0, 1.0, layer.slope)


@defines(Prelu)
def _prelu(layer: Prelu, given: Given) -> Result:
    (x,) = given.inputs
    weight = per_channel(given.weights["weight"], x.ndim - 2)

    def pull(gradients: tuple[Array, ...]) -> Pulled:
        (gradient,) = gradients
        to_weight = summed_to(gradient * np.minimum(x, 0), weight.shape).reshape(-1)
        return Pulled((gradient * np.where(x > 0, 1.0, weight),), {"weight": to_weight})

    return Result((np.where(x > 0, x, weight * x),), pull)


def _exponential(x: Array, alpha: float, scale: float, sharpness: float) -> tuple[Array, Slope]:
    """``scale * (x if x > 0 else alpha * (exp(sharpness * x) - 1))``."""
    # Of positive values the exponential is not used, and could overflow.
    below = sharpness * np.minimum(x, 0)
    y = scale * np.where(x > 0, x, alpha * np.expm1(below))
    return y, lambda: scale * np.where(x > 0, 1.0, alpha * sharpness * np.exp(below))


@pointwise(Elu)
def _elu(layer: Elu, x: Array) -> tuple[Array, Slope]:
    return _exponential(x, layer.alpha, 1.0, 1.0)


@pointwise(Selu)
def _selu(layer: Selu, x: Array) -> tuple[Array, Slope]:
    return _exponential(x, 1.6732632423543772848170429916717, 1.0507009873554804934193349852946, 1.0)


@pointwise(Celu)
def _celu(layer: Celu, x: Array) -> tuple[Array, Slope]:
    return _exponential(x, layer.alpha, 1.0, 1 / layer.alpha)


@pointwise(Gelu)
def _gelu(layer: Gelu, x: Array) -> tuple[Array, Slope]:
    if layer.approximate == "tanh":
        root = math.sqrt(2 / math.pi)
        bend = np.tanh(root * (x + 0.044715 * x**3))
        return x / 2 * (1 + bend), lambda: (1 + bend) / 2 + x / 2 * (1 - bend**2) * root * (1 + 3 * 0.044715 * x**2)
    share = (1 + _erf(x / math.sqrt(2))) / 2
    return x * share, lambda: share + x * np.exp(-(x**2) / 2) / math.sqrt(2 * math.pi)


@pointwise(Silu)
def _silu(layer: Silu, x: Array) -> tuple[Array, Slope]:
    gate = _logistic(x)
    return x * gate, lambda: gate * (1 + x * (1 - gate))


@pointwise(Mish)
def _mish(layer: Mish, x: Array) -> tuple[Array, Slope]:
    gate = np.tanh(_softplus(x))
    return x * gate, lambda: gate + x * (1 - gate**2) * _logistic(x)


@pointwise(Sigmoid)
def _sigmoid(layer: Sigmoid, x: Array) -> tuple[Array, Slope]:
    y = _logistic(x)
    return y, lambda: y * (1 - y)


@pointwise(HardSigmoid)
def _hard_sigmoid(layer: HardSigmoid, x: Array) -> tuple[Array, Slope]:
    return np.minimum(np.maximum(x + 3, 0), 6) / 6, lambda: ((x > -3) & (x < 3)) / 6


@pointwise(HardSwish)
def _hard_swish(layer: HardSwish, x: Array) -> tuple[Array, Slope]:
    y = x * np.minimum(np.maximum(x + 3, 0), 6) / 6
    return y, lambda: np.where(x <= -3, 0.0, np.where(x >= 3, 1.0, (2 * x + 3) / 6))


@pointwise(Tanh)
def _tanh(layer: Tanh, x: Array) -> tuple[Array, Slope]:
    y = np.tanh(x)
    return y, lambda: 1 - y**2


@pointwise(HardTanh)
def _hard_tanh(layer: HardTanh, x: Array) -> tuple[Array, Slope]:
    low, high = layer.low, layer.high
    return np.minimum(np.maximum(x, low), high), lambda: ((x > low) & (x < high)).astype(np.float64)


@pointwise(Softplus)
def _soft_plus(layer: Softplus, x: Array) -> tuple[Array, Slope]:
    return _softplus(x), lambda: _logistic(x)


@pointwise(Softsign)
def _softsign(layer: Softsign, x: Array) -> tuple[Array, Slope]:
    return x / (1 + np.abs(x)), lambda: 1 / (1 + np.abs(x)) ** 2


@pointwise(Abs)
def _abs(layer: Abs, x: Array) -> tuple[Array, Slope]:
    return np.abs(x), lambda: np.sign(x)


@maps(Softmax)
def _softmax(layer: Softmax, x: Array) -> tuple[Array, Callable[[Array], Array]]:
    axis = layer.axis + 1
    # A common factor of all exponentials falls out; with this one none overflows.
    powers = np.exp(x - x.max(axis=axis, keepdims=True))
    y = powers / powers.sum(axis=axis, keepdims=True)
    return y, lambda gradient: y * (rounded(gradient) - rounded(gradient * y).sum(axis=axis, keepdims=True))


@maps(LogSoftmax)
def _log_softmax(layer: LogSoftmax, x: Array) -> tuple[Array, Callable[[Array], Array]]:
    axis = layer.axis + 1
    shifted = x - x.max(axis=axis, keepdims=True)
    y = shifted - np.log(np.exp(shifted).sum(axis=axis, keepdims=True))
    return y, lambda gradient: rounded(gradient) - rounded(np.exp(y)) * gradient.sum(axis=axis, keepdims=True)
