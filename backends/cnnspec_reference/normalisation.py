"""Normalisation."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType

import numpy as np

from cnnspec.layers.normalisation import (
    BatchNorm,
    GroupNorm,
    InstanceNorm,
    LayerNorm,
    LocalResponseNorm,
    Normalize,
)
from cnnspec_reference.definition import (
    Array,
    Given,
    Pulled,
    Result,
    along,
    defines,
    maps,
    per_channel,
    rounded,
    summed_to,
)


def _normalised(x: Array, axes: tuple[int, ...], eps: float) -> tuple[Array, Callable[[Array], Array]]:
    """Shifted and scaled to mean zero and variance one over the axes, and the pull."""
    centred = x - rounded(x.mean(axis=axes, keepdims=True))
    deviation = np.sqrt((centred**2).mean(axis=axes, keepdims=True) + eps)
    y = rounded(centred / deviation)

    def pull(gradient: Array) -> Array:
        # What moves the mean or the variance goes out again with them.
        shift = gradient.mean(axis=axes, keepdims=True)
        scale = rounded(gradient * y).mean(axis=axes, keepdims=True)
        result: Array = (rounded(gradient) - rounded(shift) - rounded(y * scale)) / deviation
        return result

    return y, pull


def _affine(
    given: Given, y: Array, pull: Callable[[Array], Array], statistics: Mapping[str, Array] = MappingProxyType({})
) -> Result:
    """``weight * y + bias``, where the layer has them, after what ``pull`` goes back through."""
    if "bias" not in given.weights:
        return Result((y,), lambda gradients: Pulled((pull(gradients[0]),), {}), statistics)
    stored = given.weights["bias"].shape
    rank = y.ndim - 2
    weight, bias = (
        per_channel(array, rank) if array.ndim == 1 else array
        for array in (given.weights.get("weight", np.ones(stored)), given.weights["bias"])
    )

    def pull_all(gradients: tuple[Array, ...]) -> Pulled:
        (gradient,) = gradients
        to_weights = {"bias": summed_to(gradient, bias.shape).reshape(stored)}
        if "weight" in given.weights:
            to_weights["weight"] = summed_to(gradient * y, weight.shape).reshape(stored)
        return Pulled((pull(gradient * weight),), to_weights)

    return Result((weight * y + bias,), pull_all, statistics)


@defines(BatchNorm)
def _batch_norm(layer: BatchNorm, given: Given) -> Result:
    (x,) = given.inputs
    axes = (0, *range(2, x.ndim))
    if not given.training:
        mean, var = (per_channel(given.weights[name], x.ndim - 2) for name in ("running_mean", "running_var"))
        deviation = np.sqrt(var + layer.eps)
        return _affine(given, (x - mean) / deviation, lambda gradient: gradient / deviation)
    count = x.size // x.shape[1]
    if count < 2:
        raise ValueError("batch normalisation in training needs at least two values for each channel")
    y, pull = _normalised(x, axes, layer.eps)
    new = {"running_mean": x.mean(axis=axes), "running_var": x.var(axis=axes, ddof=1)}
    statistics = {
        name: (1 - layer.momentum) * given.weights[name] + layer.momentum * values for name, values in new.items()
    }
    return _affine(given, y, pull, statistics)


@defines(LayerNorm)
def _layer_norm(layer: LayerNorm, given: Given) -> Result:
    (x,) = given.inputs
    axes = (1,) if layer.axes == "channels" else tuple(range(1, x.ndim))
    return _affine(given, *_normalised(x, axes, layer.eps))


@defines(GroupNorm)
def _group_norm(layer: GroupNorm, given: Given) -> Result:
    (x,) = given.inputs
    grouped = (len(x), layer.groups, -1)
    y, pull = _normalised(x.reshape(grouped), (2,), layer.eps)
    return _affine(given, y.reshape(x.shape), lambda gradient: pull(gradient.reshape(grouped)).reshape(x.shape))


@defines(InstanceNorm)
def _instance_norm(layer: InstanceNorm, given: Given) -> Result:
    (x,) = given.inputs
    return _affine(given, *_normalised(x, tuple(range(2, x.ndim)), layer.eps))


@defines(Normalize)
def _normalize(layer: Normalize, given: Given) -> Result:
    (x,) = given.inputs
    constants = {"mean": layer.mean, "variance": layer.variance}
    mean, variance = (
        per_channel(given.weights[name] if values is None else np.array(values, dtype=np.float64), x.ndim - 2)
        for name, values in constants.items()
    )
    deviation = np.maximum(np.sqrt(variance), 1e-7)
    return Result(((x - mean) / deviation,), lambda gradients: Pulled((gradients[0] / deviation,), {}))


@maps(LocalResponseNorm)
def _local_response_norm(layer: LocalResponseNorm, x: Array) -> tuple[Array, Callable[[Array], Array]]:
    channels = np.arange(x.shape[1])
    ahead = channels - channels[:, None]
    # A 1 where the window of a channel (first axis) has another (second axis).
    window = ((ahead >= -(layer.size // 2)) & (ahead <= (layer.size - 1) // 2)).astype(np.float64)
    share = layer.alpha / layer.size
    base = layer.k + share * along(x**2, 1, window)
    factor = base**-layer.beta

    def pull(gradient: Array) -> Array:
        to_base = gradient * x * -layer.beta * factor / base
        return gradient * factor + 2 * share * x * along(to_base, 1, window.T)

    return x * factor, pull
