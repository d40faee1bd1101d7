"""Every layer computed from its definition, in NumPy and slowly: who is right when frameworks differ.

Written from the docstrings of the layers, not from a framework.  Arrays are one sample, channels first.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from itertools import product
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnnspec.layers.base import Layer

Array = NDArray[np.float64]
Sides = list[tuple[int, int]]


def evaluate(
    layer: Layer, weights: Mapping[str, Array], inputs: list[Array], sizes: tuple[tuple[int, ...], ...]
) -> list[Array]:
    """The outputs of a layer in evaluation mode, given the output shapes."""
    outputs = _DEFINITIONS[layer.kind](layer, weights, inputs, sizes)
    return outputs if isinstance(outputs, list) else [outputs]


def _each(value: Any, rank: int) -> tuple[int, ...]:
    return (value,) * rank if isinstance(value, int) else tuple(value)


def _sides(amount: Any, rank: int) -> Sides:
    return [(entry, entry) if isinstance(entry, int) else tuple(entry) for entry in _each(amount, rank)]


def _pads(pad: Any, sizes: tuple[int, ...], kernel: Any, stride: Any, dilation: Any) -> Sides:
    if pad == "valid":
        return [(0, 0)] * len(sizes)
    if pad == "same":
        totals = [
            max((math.ceil(n / s) - 1) * s + d * (k - 1) + 1 - n, 0)
            for n, k, s, d in zip(sizes, kernel, stride, dilation, strict=True)
        ]
        return [(total // 2, total - total // 2) for total in totals]
    return _sides(pad, len(sizes))


def _positions(sizes: tuple[int, ...]) -> Iterator[tuple[int, ...]]:
    return product(*map(range, sizes))


# Convolutions


def _conv(layer: Any, weights: Mapping[str, Array], inputs: list[Array], sizes: Any) -> Array:
    return _convolve(layer, weights, inputs[0], sizes[0], layer.groups)


def _depthwise_conv(layer: Any, weights: Mapping[str, Array], inputs: list[Array], sizes: Any) -> Array:
    return _convolve(layer, weights, inputs[0], sizes[0], len(inputs[0]))


def _separable_conv(layer: Any, weights: Mapping[str, Array], inputs: list[Array], sizes: Any) -> Array:
    depthwise, pointwise = weights["depthwise.weight"], weights["pointwise.weight"]
    filters, middle, *ones = pointwise.shape
    assert set(ones) == {1}
    first = _convolve(
        layer.model_copy(update={"bias": False}),
        {"weight": depthwise},
        inputs[0],
        (middle, *sizes[0][1:]),
        len(inputs[0]),
    )
    out: Array = np.einsum("oi,i...->o...", pointwise.reshape(filters, middle), first)
    return out + (weights["pointwise.bias"].reshape(-1, *[1] * len(ones)) if layer.bias else 0)


def _convolve(layer: Any, weights: Mapping[str, Array], x: Array, size: tuple[int, ...], groups: int) -> Array:
    rank = x.ndim - 1
    kernel, stride, dilation = (_each(value, rank) for value in (layer.kernel, layer.stride, layer.dilation))
    padded = np.pad(x, [(0, 0), *_pads(layer.pad, x.shape[1:], kernel, stride, dilation)])
    weight, out = weights["weight"], np.zeros(size)
    members, filters = len(x) // groups, len(weight) // groups
    for position in _positions(size[1:]):
        window = tuple(
            slice(p * s, p * s + d * (k - 1) + 1, d)
            for p, s, d, k in zip(position, stride, dilation, kernel, strict=True)
        )
        for o in range(len(weight)):
            first = o // filters * members
            out[(o, *position)] = np.sum(weight[o] * padded[(slice(first, first + members), *window)])
    return out + (weights["bias"].reshape(-1, *[1] * rank) if layer.bias else 0)


def _conv_transpose(layer: Any, weights: Mapping[str, Array], inputs: list[Array], sizes: Any) -> Array:
    (x,), (size,) = inputs, sizes
    rank = x.ndim - 1
    kernel, stride, dilation, pad = (
        _each(value, rank) for value in (layer.kernel, layer.stride, layer.dilation, layer.pad)
    )
    weight, out = weights["weight"], np.zeros(size)
    members, filters = len(x) // layer.groups, weight.shape[1]
    for c, o in product(range(len(x)), range(filters)):
        target = c // members * filters + o
        for i, k in product(_positions(x.shape[1:]), _positions(kernel)):
            at = tuple(i[a] * stride[a] + k[a] * dilation[a] - pad[a] for a in range(rank))
            if all(0 <= at[a] < size[1 + a] for a in range(rank)):
                out[(target, *at)] += weight[(c, o, *k)] * x[(c, *i)]
    return out + (weights["bias"].reshape(-1, *[1] * rank) if layer.bias else 0)


def _dense(layer: Any, weights: Mapping[str, Array], inputs: list[Array], sizes: Any) -> Array:
    (x,) = inputs
    out: Array = np.einsum("uc,c...->u...", weights["weight"], x)
    return out + (weights["bias"].reshape(-1, *[1] * (x.ndim - 1)) if layer.bias else 0)


# Pooling


def _pooling(reduce: Callable[[Array, int], Array]) -> Any:
    """``reduce`` gets a window's values inside the input, channels first, and how many positions count."""

    def pool(layer: Any, weights: Mapping[str, Array], inputs: list[Array], sizes: Any) -> Array:
        (x,), (size,) = inputs, sizes
        rank = x.ndim - 1
        kernel = _each(layer.kernel, rank)
        stride = kernel if layer.stride is None else _each(layer.stride, rank)
        dilation = _each(getattr(layer, "dilation", 1), rank)
        pads = _pads(layer.pad, x.shape[1:], kernel, stride, dilation)
        out = np.zeros(size)
        for position in _positions(size[1:]):
            rows = []
            counted = 1
            for axis in range(rank):
                taken = [
                    position[axis] * stride[axis] + k * dilation[axis] - pads[axis][0] for k in range(kernel[axis])
                ]
                length = x.shape[1 + axis]
                rows.append([i for i in taken if 0 <= i < length])
                counted *= sum(-pads[axis][0] <= i < length + pads[axis][1] for i in taken)
            inside = x[np.ix_(range(len(x)), *rows)].reshape(len(x), -1)
            if not getattr(layer, "count_pad", False):
                counted = inside.shape[1]
            out[(slice(None), *position)] = reduce(inside, counted)
        return out

    return pool


def _adaptive(reduce: Callable[..., Any]) -> Any:
    def pool(layer: Any, weights: Mapping[str, Array], inputs: list[Array], sizes: Any) -> Array:
        (x,), (size,) = inputs, sizes
        out = np.zeros(size)
        for position in _positions(size[1:]):
            window = tuple(
                slice(i * n // m, -(-(i + 1) * n // m)) for i, n, m in zip(position, x.shape[1:], size[1:], strict=True)
            )
            out[(slice(None), *position)] = reduce(x[(slice(None), *window)].reshape(len(x), -1), axis=1)
        return out

    return pool


# Normalisation


def _affine(layer: Any, weights: Mapping[str, Array], x: Array) -> Array:
    if not layer.affine:
        return x
    bias = weights["bias"]
    weight = weights.get("weight", np.ones_like(bias))
    if weight.ndim == 1:
        weight, bias = (array.reshape(-1, *[1] * (x.ndim - 1)) for array in (weight, bias))
    return x * weight + bias


def _normalise(x: Array, axes: tuple[int, ...], eps: float) -> Array:
    mean = x.mean(axis=axes, keepdims=True)
    return (x - mean) / np.sqrt(((x - mean) ** 2).mean(axis=axes, keepdims=True) + eps)


def _batch_norm(layer: Any, weights: Mapping[str, Array], inputs: list[Array], sizes: Any) -> Array:
    (x,) = inputs
    mean, var = (weights[name].reshape(-1, *[1] * (x.ndim - 1)) for name in ("running_mean", "running_var"))
    return _affine(layer, weights, (x - mean) / np.sqrt(var + layer.eps))


def _layer_norm(layer: Any, weights: Mapping[str, Array], inputs: list[Array], sizes: Any) -> Array:
    (x,) = inputs
    axes = (0,) if layer.axes == "channels" else tuple(range(x.ndim))
    return _affine(layer, weights, _normalise(x, axes, layer.eps))


def _group_norm(layer: Any, weights: Mapping[str, Array], inputs: list[Array], sizes: Any) -> Array:
    (x,) = inputs
    return _affine(layer, weights, _normalise(x.reshape(layer.groups, -1), (1,), layer.eps).reshape(x.shape))


def _instance_norm(layer: Any, weights: Mapping[str, Array], inputs: list[Array], sizes: Any) -> Array:
    (x,) = inputs
    return _affine(layer, weights, _normalise(x, tuple(range(1, x.ndim)), layer.eps))


def _normalize(layer: Any, weights: Mapping[str, Array], inputs: list[Array], sizes: Any) -> Array:
    (x,) = inputs
    mean = weights["mean"] if layer.mean is None else layer.mean
    variance = weights["variance"] if layer.variance is None else layer.variance
    return np.stack([(x[c] - mean[c]) / max(math.sqrt(variance[c]), 1e-7) for c in range(len(x))])


def _local_response_norm(layer: Any, weights: Mapping[str, Array], inputs: list[Array], sizes: Any) -> Array:
    (x,) = inputs
    out = np.zeros_like(x)
    for c in range(len(x)):
        window = x[max(c - layer.size // 2, 0) : c + (layer.size - 1) // 2 + 1]
        out[c] = x[c] / (layer.k + layer.alpha / layer.size * (window**2).sum(axis=0)) ** layer.beta
    return out


# Arrangement


def _pad(layer: Any, weights: Mapping[str, Array], inputs: list[Array], sizes: Any) -> Array:
    (x,) = inputs
    mode: Any = {"zero": "constant", "reflect": "reflect", "replicate": "edge"}[layer.mode]
    return np.pad(x, [(0, 0), *_sides(layer.amount, x.ndim - 1)], mode=mode)


def _crop(layer: Any, weights: Mapping[str, Array], inputs: list[Array], sizes: Any) -> Array:
    (x,) = inputs
    cuts = _sides(layer.amount, x.ndim - 1)
    return x[(slice(None), *(slice(a, n - b) for (a, b), n in zip(cuts, x.shape[1:], strict=True)))]


def _upsample(layer: Any, weights: Mapping[str, Array], inputs: list[Array], sizes: Any) -> Array:
    (x,), (size,) = inputs, sizes
    for axis, m in enumerate(size[1:], start=1):
        n = x.shape[axis]
        rows = []
        for i in range(m):
            if layer.mode == "nearest":
                low, part = i * n // m, 0.0
            else:
                if layer.align_corners:
                    place = i * (n - 1) / (m - 1) if m > 1 else 0.0
                else:
                    place = max((i + 0.5) * n / m - 0.5, 0.0)
                low = int(place)
                part = place - low
            high = min(low + 1, n - 1)
            rows.append((1 - part) * x.take(low, axis) + part * x.take(high, axis))
        x = np.stack(rows, axis)
    return x


def _channel_shuffle(layer: Any, weights: Mapping[str, Array], inputs: list[Array], sizes: Any) -> Array:
    (x,) = inputs
    out = np.zeros_like(x)
    members = len(x) // layer.groups
    for g, i in product(range(layer.groups), range(members)):
        out[i * layer.groups + g] = x[g * members + i]
    return out


def _pixel_shuffle(layer: Any, weights: Mapping[str, Array], inputs: list[Array], sizes: Any) -> Array:
    (x,), (size,) = inputs, sizes
    r = layer.factor
    out = np.zeros(size)
    for c, i, j in product(range(size[0]), range(r), range(r)):
        out[c, i::r, j::r] = x[(c * r + i) * r + j]
    return out


def _slice(layer: Any, weights: Mapping[str, Array], inputs: list[Array], sizes: Any) -> Array:
    return inputs[0].take(range(layer.start, layer.stop), layer.axis)


def _split(layer: Any, weights: Mapping[str, Array], inputs: list[Array], sizes: Any) -> list[Array]:
    out, start = [], 0
    for size in sizes:
        out.append(inputs[0].take(range(start, start + size[layer.axis]), layer.axis))
        start += size[layer.axis]
    return out


# Activations


def _elementwise(function: Callable[[float], float]) -> Any:
    def apply(layer: Any, weights: Mapping[str, Array], inputs: list[Array], sizes: Any) -> Array:
        return np.vectorize(function, otypes=[np.float64])(inputs[0])

    return apply


def _with_layer(function: Callable[[Any, float], float]) -> Any:
    def apply(layer: Any, weights: Mapping[str, Array], inputs: list[Array], sizes: Any) -> Array:
        return np.vectorize(lambda value: function(layer, value), otypes=[np.float64])(inputs[0])

    return apply


def _gelu(layer: Any, x: float) -> float:
    if layer.approximate == "tanh":
        return x / 2 * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))
    return x / 2 * (1 + math.erf(x / math.sqrt(2)))


def _prelu(layer: Any, weights: Mapping[str, Array], inputs: list[Array], sizes: Any) -> Array:
    (x,) = inputs
    return np.where(x > 0, x, weights["weight"].reshape(-1, *[1] * (x.ndim - 1)) * x)


def _softmax(layer: Any, weights: Mapping[str, Array], inputs: list[Array], sizes: Any) -> Array:
    exp = np.exp(inputs[0])
    return exp / exp.sum(axis=layer.axis, keepdims=True)


def _log_softmax(layer: Any, weights: Mapping[str, Array], inputs: list[Array], sizes: Any) -> Array:
    (x,) = inputs
    return x - np.log(np.exp(x).sum(axis=layer.axis, keepdims=True))


_ALPHA, _SCALE = 1.6732632423543772848170429916717, 1.0507009873554804934193349852946

_DEFINITIONS: dict[str, Any] = {
    "conv": _conv,
    "depthwise_conv": _depthwise_conv,
    "separable_conv": _separable_conv,
    "conv_transpose": _conv_transpose,
    "dense": _dense,
    "max_pool": _pooling(lambda inside, counted: inside.max(axis=1)),
    "avg_pool": _pooling(lambda inside, counted: inside.sum(axis=1) / counted),
    "l2_pool": _pooling(lambda inside, counted: np.sqrt((inside**2).sum(axis=1))),
    "adaptive_avg_pool": _adaptive(np.mean),
    "adaptive_max_pool": _adaptive(np.max),
    "global_avg_pool": _adaptive(np.mean),
    "global_max_pool": _adaptive(np.max),
    "batch_norm": _batch_norm,
    "layer_norm": _layer_norm,
    "group_norm": _group_norm,
    "instance_norm": _instance_norm,
    "normalize": _normalize,
    "local_response_norm": _local_response_norm,
    "dropout": lambda layer, weights, inputs, sizes: inputs[0],
    "channel_dropout": lambda layer, weights, inputs, sizes: inputs[0],
    "stochastic_depth": lambda layer, weights, inputs, sizes: inputs[0],
    "identity": lambda layer, weights, inputs, sizes: inputs[0],
    "flatten": lambda layer, weights, inputs, sizes: inputs[0].reshape(-1),
    "reshape": lambda layer, weights, inputs, sizes: inputs[0].reshape(sizes[0]),
    "permute": lambda layer, weights, inputs, sizes: inputs[0].transpose(layer.order),
    "pad": _pad,
    "crop": _crop,
    "upsample": _upsample,
    "channel_shuffle": _channel_shuffle,
    "pixel_shuffle": _pixel_shuffle,
    "slice": _slice,
    "split": _split,
    "concat": lambda layer, weights, inputs, sizes: np.concatenate(inputs, axis=layer.axis),
    "mean": lambda layer, weights, inputs, sizes: inputs[0].mean(axis=layer.axes, keepdims=layer.keep),
    "add": lambda layer, weights, inputs, sizes: inputs[0] + inputs[1],
    "subtract": lambda layer, weights, inputs, sizes: inputs[0] - inputs[1],
    "multiply": lambda layer, weights, inputs, sizes: inputs[0] * inputs[1],
    "divide": lambda layer, weights, inputs, sizes: inputs[0] / inputs[1],
    "scale_shift": lambda layer, weights, inputs, sizes: layer.scale * inputs[0] + layer.shift,
    "parameter": lambda layer, weights, inputs, sizes: weights[""],
    "relu": _elementwise(lambda x: max(x, 0.0)),
    "relu6": _elementwise(lambda x: min(max(x, 0.0), 6.0)),
    "leaky_relu": _with_layer(lambda layer, x: x if x > 0 else layer.slope * x),
    "prelu": _prelu,
    "elu": _with_layer(lambda layer, x: x if x > 0 else layer.alpha * (math.exp(x) - 1)),
    "selu": _elementwise(lambda x: _SCALE * (x if x > 0 else _ALPHA * (math.exp(x) - 1))),
    "celu": _with_layer(lambda layer, x: x if x > 0 else layer.alpha * (math.exp(x / layer.alpha) - 1)),
    "gelu": _with_layer(_gelu),
    "silu": _elementwise(lambda x: x / (1 + math.exp(-x))),
    "mish": _elementwise(lambda x: x * math.tanh(math.log(1 + math.exp(x)))),
    "sigmoid": _elementwise(lambda x: 1 / (1 + math.exp(-x))),
    "hard_sigmoid": _elementwise(lambda x: min(max(x + 3, 0.0), 6.0) / 6),
    "hard_swish": _elementwise(lambda x: x * min(max(x + 3, 0.0), 6.0) / 6),
    "tanh": _elementwise(math.tanh),
    "hard_tanh": _with_layer(lambda layer, x: min(max(x, layer.low), layer.high)),
    "softplus": _elementwise(lambda x: math.log(1 + math.exp(x))),
    "softsign": _elementwise(lambda x: x / (1 + abs(x))),
    "abs": _elementwise(abs),
    "softmax": _softmax,
    "log_softmax": _log_softmax,
}
"""The definition of each layer by its keyword."""
