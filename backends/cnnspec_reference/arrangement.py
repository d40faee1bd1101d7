"""Arrangement: values moved, copied or left out, means and interpolation."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable

import numpy as np

from cnnspec.layers.arrangement import (
    ChannelShuffle,
    Concat,
    Crop,
    Flatten,
    Identity,
    Mean,
    Pad,
    Permute,
    PixelShuffle,
    Reshape,
    Slice,
    Split,
    Upsample,
)
from cnnspec_reference.definition import Array, Given, Pulled, Result, along_space, defines, maps


@maps(Identity)
def _identity(layer: Identity, x: Array) -> tuple[Array, Callable[[Array], Array]]:
    return x, lambda gradient: gradient


@maps(Flatten)
def _flatten(layer: Flatten, x: Array) -> tuple[Array, Callable[[Array], Array]]:
    return x.reshape(len(x), -1), lambda gradient: gradient.reshape(x.shape)


@maps(Reshape)
def _reshape(layer: Reshape, x: Array) -> tuple[Array, Callable[[Array], Array]]:
    sizes = tuple(map(int, layer.shape))
    return x.reshape(len(x), *sizes), lambda gradient: gradient.reshape(x.shape)


@maps(Permute)
def _permute(layer: Permute, x: Array) -> tuple[Array, Callable[[Array], Array]]:
    order = (0, *(axis + 1 for axis in layer.order))
    return x.transpose(order), lambda gradient: gradient.transpose(np.argsort(order))


@maps(Pad)
def _pad(layer: Pad, x: Array) -> tuple[Array, Callable[[Array], Array]]:
    matrices = []
    for n, (before, after) in zip(x.shape[2:], layer.pads(x.shape[1:]), strict=True):
        rows = np.arange(-before, n + after)
        if layer.mode == "reflect":
            rows = np.where(rows < 0, -rows, np.where(rows >= n, 2 * (n - 1) - rows, rows))
        elif layer.mode == "replicate":
            rows = np.clip(rows, 0, n - 1)
        # In the mode `zero` a row outside meets none.
        matrices.append(_selection(rows, n))
    return along_space(x, tuple(matrices))


def _selection(rows: Iterable[int], n: int) -> Array:
    """The matrix that takes these rows of ``n``; a row that does not exist gives zero."""
    return np.array([[float(row == i) for i in range(n)] for row in rows])


def _cut(x: Array, where: tuple[slice, ...]) -> tuple[Array, Callable[[Array], Array]]:
    """A part of an array, and the pull: zeros around it."""

    def pull(gradient: Array) -> Array:
        total = np.zeros(x.shape)
        total[where] = gradient
        return total

    return x[where], pull


@maps(Crop)
def _crop(layer: Crop, x: Array) -> tuple[Array, Callable[[Array], Array]]:
    cuts = zip(x.shape[2:], layer.cuts(x.shape[1:]), strict=True)
    return _cut(x, (slice(None), slice(None), *(slice(before, n - after) for n, (before, after) in cuts)))


@maps(Slice)
def _slice(layer: Slice, x: Array) -> tuple[Array, Callable[[Array], Array]]:
    return _cut(x, (*(slice(None),) * (layer.axis + 1), slice(layer.start, layer.stop)))


@maps(Upsample)
def _upsample(layer: Upsample, x: Array) -> tuple[Array, Callable[[Array], Array]]:
    (goal,) = layer.shapes(x.shape[1:])
    matrices = []
    for n, m in zip(x.shape[2:], map(int, goal[1:]), strict=True):
        if layer.mode == "nearest":
            matrices.append(_selection([i * n // m for i in range(m)], n))
            continue
        matrix = np.zeros((m, n))
        for i in range(m):
            if layer.align_corners:
                position = i * (n - 1) / (m - 1) if m > 1 else 0.0
            else:
                position = max((i + 0.5) * n / m - 0.5, 0.0)
            row = math.floor(position)
            matrix[i, row] += 1 - (position - row)
            matrix[i, min(row + 1, n - 1)] += position - row
        matrices.append(matrix)
    return along_space(x, tuple(matrices))


@maps(ChannelShuffle)
def _channel_shuffle(layer: ChannelShuffle, x: Array) -> tuple[Array, Callable[[Array], Array]]:
    groups, members = layer.groups, x.shape[1] // layer.groups

    def pull(gradient: Array) -> Array:
        return gradient.reshape(len(x), members, groups, *x.shape[2:]).swapaxes(1, 2).reshape(x.shape)

    return x.reshape(len(x), groups, members, *x.shape[2:]).swapaxes(1, 2).reshape(x.shape), pull


@maps(PixelShuffle)
def _pixel_shuffle(layer: PixelShuffle, x: Array) -> tuple[Array, Callable[[Array], Array]]:
    r = layer.factor
    count, channels, height, width = x.shape
    # Batch, channels, rows within a cell, columns within a cell, rows, columns.
    apart = (count, channels // r**2, r, r, height, width)
    y = x.reshape(apart).transpose(0, 1, 4, 2, 5, 3).reshape(count, channels // r**2, height * r, width * r)

    def pull(gradient: Array) -> Array:
        cells = gradient.reshape(count, channels // r**2, height, r, width, r)
        return cells.transpose(0, 1, 3, 5, 2, 4).reshape(x.shape)

    return y, pull


@defines(Split)
def _split(layer: Split, given: Given) -> Result:
    (x,) = given.inputs
    axis = layer.axis + 1
    stops = np.cumsum(layer.sizes(x.shape[1:]))
    outputs = tuple(np.split(x, stops[:-1], axis))
    return Result(outputs, lambda gradients: Pulled((np.concatenate(gradients, axis),), {}))


@defines(Concat)
def _concat(layer: Concat, given: Given) -> Result:
    axis = layer.axis + 1
    stops = np.cumsum([x.shape[axis] for x in given.inputs])
    y = np.concatenate(given.inputs, axis)
    return Result((y,), lambda gradients: Pulled(tuple(np.split(gradients[0], stops[:-1], axis)), {}))


@maps(Mean)
def _mean(layer: Mean, x: Array) -> tuple[Array, Callable[[Array], Array]]:
    axes = tuple(axis + 1 for axis in layer.axes)
    count = math.prod(x.shape[axis] for axis in axes)
    kept = tuple(1 if axis in axes else size for axis, size in enumerate(x.shape))
    y: Array = x.sum(axis=axes, keepdims=layer.keep) / count
    return y, lambda gradient: np.broadcast_to(gradient.reshape(kept) / count, x.shape)
