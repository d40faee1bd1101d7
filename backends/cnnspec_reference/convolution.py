"""Convolutions: three sums of products, which BLAS computes, and the layers made of them.

`correlate` is linear in the input and in the weight; `spread` and `cross` are its adjoints, so that they are its
gradients.  A transposed convolution is `spread`, and its gradients are the other two.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import product
from math import prod
from typing import NamedTuple

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from cnnspec.layers.base import per_axis
from cnnspec.layers.convolution import Conv, ConvTranspose, DepthwiseConv, SeparableConv
from cnnspec_reference.definition import Array, Given, Pulled, Result, defines, per_channel

BLOCK = 2**20
"""The most numbers of a column matrix at once; more would only take memory."""


class Way(NamedTuple):
    """How a kernel goes over a map that has its padding: an entry for each spatial axis; ``sizes`` are the output's."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    sizes: tuple[int, ...]
    groups: int


def correlate(x: Array, weight: Array, way: Way) -> Array:
    """``out[o, p] = sum over c, k of weight[o, c, k] * x[g(o) + c, p * stride + k * dilation]``."""
    filters, members = weight.shape[:2]
    each = filters // way.groups
    if _is_depthwise(weight, way):
        out = np.zeros((len(x), way.groups, each, *way.sizes))
        for factors, place in zip(_by_place(weight, way), _places(way), strict=True):
            out += factors.reshape(way.groups, each, *(1,) * len(way.kernel)) * x[place][:, :, None]
        return out.reshape(len(x), filters, *way.sizes)
    out = np.empty((len(x), way.groups, each, *way.sizes))
    kernels = weight.reshape(way.groups, each, members * prod(way.kernel))
    for sample, rows, columns in _columns(x, way):
        part = out[sample, :, :, rows]
        part[:] = (kernels @ columns).reshape(part.shape)
    return out.reshape(len(x), filters, *way.sizes)


def spread(y: Array, weight: Array, way: Way, canvas: tuple[int, ...]) -> Array:
    """``out[g(o) + c, p * stride + k * dilation] += weight[o, c, k] * y[o, p]``, on a map of the sizes ``canvas``."""
    filters, members = weight.shape[:2]
    each = filters // way.groups
    out = np.zeros((len(y), way.groups * members, *canvas))
    if _is_depthwise(weight, way):
        y = y.reshape(len(y), way.groups, each, *way.sizes)
        for factors, place in zip(_by_place(weight, way), _places(way), strict=True):
            out[place] += (factors.reshape(way.groups, each, *(1,) * len(way.kernel)) * y).sum(axis=2)
        return out
    y = y.reshape(len(y), way.groups, each, prod(way.sizes))
    for factors, place in zip(_by_place(weight, way), _places(way), strict=True):
        target = out[place]
        target += (factors.swapaxes(1, 2) @ y).reshape(target.shape)
    return out


def cross(x: Array, y: Array, way: Way) -> Array:
    """``out[o, c, k] = sum over p and samples of y[o, p] * x[g(o) + c, p * stride + k * dilation]``."""
    members, filters = x.shape[1] // way.groups, y.shape[1]
    each = filters // way.groups
    y = y.reshape(len(y), way.groups, each, *way.sizes)
    if members == 1 and way.groups > 1:
        p = "xyz"[: len(way.kernel)]
        parts = [np.einsum(f"ngm{p},ng{p}->gm", y, x[place]) for place in _places(way)]
        return np.stack(parts, axis=2).reshape(filters, 1, *way.kernel)
    out = np.zeros((way.groups, each, members * prod(way.kernel)))
    for sample, rows, columns in _columns(x, way):
        out += y[sample, :, :, rows].reshape(way.groups, each, -1) @ columns.swapaxes(1, 2)
    return out.reshape(filters, members, *way.kernel)


def _is_depthwise(weight: Array, way: Way) -> bool:
    """Whether each group has one channel: there products are too small for BLAS, and many."""
    return weight.shape[1] == 1 and way.groups > 1


def _places(way: Way) -> Iterator[tuple[slice, ...]]:
    """What each position of the kernel meets on a map, in the order in which weights lie."""
    for k in product(*map(range, way.kernel)):
        spans = (
            slice(i * d, i * d + (size - 1) * s + 1, s)
            for i, d, s, size in zip(k, way.dilation, way.stride, way.sizes, strict=True)
        )
        yield slice(None), slice(None), *spans


def _by_place(weight: Array, way: Way) -> Array:
    """The weights of each position of the kernel: ``positions x groups x filters of a group x members``."""
    filters, members = weight.shape[:2]
    split = weight.reshape(way.groups, filters // way.groups, members, prod(way.kernel))
    return np.ascontiguousarray(np.moveaxis(split, -1, 0))


def _columns(x: Array, way: Way) -> Iterator[tuple[int, slice, Array]]:
    """The windows of a map as matrices, ``groups x (members * kernel) x positions``, each with its sample and rows.

    A matrix is for some rows of the output: those of one sample may be too many at once.
    """
    rank = len(way.kernel)
    reaches = tuple(d * (k - 1) + 1 for k, d in zip(way.kernel, way.dilation, strict=True))
    view = sliding_window_view(x, reaches, axis=tuple(range(2, 2 + rank)))
    starts = (slice(0, (size - 1) * s + 1, s) for size, s in zip(way.sizes, way.stride, strict=True))
    view = view[(slice(None), slice(None), *starts, *(slice(None, None, d) for d in way.dilation))]
    # Of one sample: channels, kernel, positions.
    order = (0, *range(1 + rank, 1 + 2 * rank), *range(1, 1 + rank))
    height = x.shape[1] // way.groups * prod(way.kernel)
    step = max(1, BLOCK // (way.groups * height * prod(way.sizes[1:])))
    for sample in range(len(x)):
        for first in range(0, way.sizes[0], step):
            rows = slice(first, first + step)
            yield sample, rows, view[sample, :, rows].transpose(order).reshape(way.groups, height, -1)


def _padded(x: Array, pads: tuple[tuple[int, int], ...]) -> Array:
    if not any(map(any, pads)):
        return x
    out = np.zeros((*x.shape[:2], *(n + before + after for n, (before, after) in zip(x.shape[2:], pads, strict=True))))
    out[_inside(x.shape[2:], pads)] = x
    return out


def _inside(sizes: tuple[int, ...], pads: tuple[tuple[int, int], ...]) -> tuple[slice, ...]:
    """Where a map of these sizes lies within itself and its padding."""
    spans = (slice(before, before + size) for size, (before, _) in zip(sizes, pads, strict=True))
    return (slice(None), slice(None), *spans)


def _bias_gradient(gradient: Array) -> Array:
    total: Array = gradient.sum(axis=(0, *range(2, gradient.ndim)))
    return total


@defines(Conv)
def _conv(layer: Conv, given: Given) -> Result:
    (x,) = given.inputs
    sizes, weight = x.shape[2:], given.weights["weight"]
    pads = layer.pads(x.shape[1:])
    kernel, stride, dilation = (
        per_axis(layer, name, getattr(layer, name), len(sizes)) for name in ("kernel", "stride", "dilation")
    )
    out = tuple(
        (size + before + after - d * (k - 1) - 1) // s + 1
        for size, (before, after), k, s, d in zip(sizes, pads, kernel, stride, dilation, strict=True)
    )
    way = Way(kernel, stride, dilation, out, layer.groups)
    y = correlate(_padded(x, pads), weight, way)
    if layer.bias:
        y += per_channel(given.weights["bias"], len(sizes))

    def pull(gradients: tuple[Array, ...]) -> Pulled:
        (gradient,) = gradients
        canvas = tuple(size + before + after for size, (before, after) in zip(sizes, pads, strict=True))
        to_x = spread(gradient, weight, way, canvas)[_inside(sizes, pads)]
        to_weights = {"weight": cross(_padded(x, pads), gradient, way)}
        if layer.bias:
            to_weights["bias"] = _bias_gradient(gradient)
        return Pulled((to_x,), to_weights)

    return Result((y,), pull)


@defines(DepthwiseConv)
def _depthwise_conv(layer: DepthwiseConv, given: Given) -> Result:
    # By its definition it is the convolution with a group for each channel.
    return _conv(layer.as_conv(given.inputs[0].shape[1:]), given)


@defines(SeparableConv)
def _separable_conv(layer: SeparableConv, given: Given) -> Result:
    def part(name: str, conv: Conv, x: Array) -> Result:
        own = {key.removeprefix(name): array for key, array in given.weights.items() if key.startswith(name)}
        return _conv(conv, given._replace(inputs=(x,), weights=own))

    (x,) = given.inputs
    first = part("depthwise.", layer.depthwise(x.shape[1:]), x)
    second = part("pointwise.", layer.pointwise(), first.outputs[0])

    def pull(gradients: tuple[Array, ...]) -> Pulled:
        behind = second.pull(gradients)
        before = first.pull(behind.inputs)
        to_weights = {f"depthwise.{name}": gradient for name, gradient in before.weights.items()}
        to_weights |= {f"pointwise.{name}": gradient for name, gradient in behind.weights.items()}
        return Pulled(before.inputs, to_weights)

    return Result(second.outputs, pull)


@defines(ConvTranspose)
def _conv_transpose(layer: ConvTranspose, given: Given) -> Result:
    (x,) = given.inputs
    sizes, weight = x.shape[2:], given.weights["weight"]
    kernel, stride, dilation, pad, extra = (
        per_axis(layer, name, getattr(layer, name), len(sizes))
        for name in ("kernel", "stride", "dilation", "pad", "output_pad")
    )
    out = tuple(
        (size - 1) * s - 2 * p + d * (k - 1) + e + 1
        for size, k, s, d, p, e in zip(sizes, kernel, stride, dilation, pad, extra, strict=True)
    )
    # The output with the rows that `pad` takes off.
    pads = tuple((p, p) for p in pad)
    canvas = tuple(size + 2 * p for size, p in zip(out, pad, strict=True))
    way = Way(kernel, stride, dilation, sizes, layer.groups)
    y = spread(x, weight, way, canvas)[_inside(out, pads)]
    if layer.bias:
        y += per_channel(given.weights["bias"], len(sizes))

    def pull(gradients: tuple[Array, ...]) -> Pulled:
        (gradient,) = gradients
        padded = _padded(gradient, pads)
        to_weights = {"weight": cross(padded, x, way)}
        if layer.bias:
            to_weights["bias"] = _bias_gradient(gradient)
        return Pulled((correlate(padded, weight, way),), to_weights)

    return Result((y,), pull)
