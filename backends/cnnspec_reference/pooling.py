"""Pooling: sums and largest values over windows."""

from __future__ import annotations

from collections.abc import Callable
from functools import reduce
from itertools import product
from math import prod

import numpy as np
from numpy.typing import NDArray

from cnnspec.layers.base import per_axis
from cnnspec.layers.pooling import (
    AdaptiveAvgPool,
    AdaptiveMaxPool,
    AdaptivePooling,
    AvgPool,
    GlobalAvgPool,
    GlobalMaxPool,
    L2Pool,
    MaxPool,
    Pooling,
)
from cnnspec_reference.definition import Array, along_space, maps

Rows = NDArray[np.intp]
"""Along one axis, ``outputs x kernel``: the row of the input that each kernel position of each output meets.

Rows below 0 and from the input's size on are padding.
"""


def _window_rows(layer: Pooling, x: Array) -> list[Rows]:
    window = layer.geometry(x.shape[1:])
    return [
        np.arange(int(size))[:, None] * s + np.arange(k) * d - before
        for size, k, s, d, (before, _) in zip(
            window.sizes, window.kernel, window.stride, window.dilation, window.pads, strict=True
        )
    ]


def _adaptive_spans(layer: AdaptivePooling, x: Array) -> list[list[tuple[int, int]]]:
    """The first row of each output's window, and the one behind its last, along each axis."""
    goals = per_axis(layer, "size", layer.size, x.ndim - 2)
    return [
        [(i * n // size, -(-(i + 1) * n // size)) for i in range(size)]
        for n, size in zip(x.shape[2:], goals, strict=True)
    ]


def _largest(x: Array, tables: list[Rows]) -> tuple[Array, Callable[[Array], Array]]:
    """The largest value of each window, and a pull to the first of equal ones; padding never wins."""
    sizes = x.shape[2:]
    flat = x.reshape(*x.shape[:2], -1)
    goals = tuple(len(table) for table in tables)
    out = np.full((*x.shape[:2], prod(goals)), -np.inf)
    winner = np.zeros(out.shape, dtype=np.intp)
    # Kernel positions come as the map is read, so that the first of equal values is the one that stays.
    for k in product(*(range(table.shape[1]) for table in tables)):
        rows = [table[:, i] for table, i in zip(tables, k, strict=True)]
        places = np.ravel_multi_index(np.ix_(*rows), sizes, mode="clip").ravel()
        outside = reduce(np.logical_or.outer, [(row < 0) | (row >= n) for row, n in zip(rows, sizes, strict=True)])
        values = flat.take(places, axis=2)
        values[:, :, outside.ravel()] = -np.inf
        np.copyto(winner, places, where=values > out)
        # Not only where it is larger: what is no number must not be lost.
        np.maximum(out, values, out=out)

    def pull(gradient: Array) -> Array:
        starts = np.arange(x.shape[0] * x.shape[1])[:, None] * flat.shape[2]
        places = (winner.reshape(len(starts), -1) + starts).ravel()
        total: Array = np.zeros(x.size)
        np.add.at(total, places, gradient.ravel())
        return total.reshape(x.shape)

    return out.reshape(*x.shape[:2], *goals), pull


@maps(MaxPool)
def _max_pool(layer: MaxPool, x: Array) -> tuple[Array, Callable[[Array], Array]]:
    return _largest(x, _window_rows(layer, x))


@maps(AdaptiveMaxPool)
def _adaptive_max_pool(layer: AdaptiveMaxPool, x: Array) -> tuple[Array, Callable[[Array], Array]]:
    tables = []
    for spans in _adaptive_spans(layer, x):
        widest = max(stop - start for start, stop in spans)
        # A window that is narrower meets its last row again, which changes neither the largest value nor the first.
        tables.append(np.array([[min(start + k, stop - 1) for k in range(widest)] for start, stop in spans]))
    return _largest(x, tables)


@maps(GlobalMaxPool)
def _global_max_pool(layer: GlobalMaxPool, x: Array) -> tuple[Array, Callable[[Array], Array]]:
    flat = x.reshape(*x.shape[:2], -1)
    first = flat.argmax(axis=2, keepdims=True)
    shape = (*x.shape[:2], *(1,) * (x.ndim - 2))

    def pull(gradient: Array) -> Array:
        total = np.zeros(flat.shape)
        np.put_along_axis(total, first, gradient.reshape(first.shape), axis=2)
        return total.reshape(x.shape)

    return np.take_along_axis(flat, first, axis=2).reshape(shape), pull


def _counts(rows: Rows, first: int, stop: int) -> Array:
    """How many rows of each window lie from ``first`` to before ``stop``."""
    counts: Array = ((rows >= first) & (rows < stop)).sum(axis=1).astype(np.float64)
    return counts


def _incidence(rows: Rows, n: int) -> Array:
    """A 1 where a window (first axis) meets a row of an input of size ``n`` (second axis)."""
    met: Array = (rows[:, :, None] == np.arange(n)).sum(axis=1).astype(np.float64)
    return met


@maps(AvgPool)
def _avg_pool(layer: AvgPool, x: Array) -> tuple[Array, Callable[[Array], Array]]:
    # The number of values in a window is a product over the axes, so that each axis can be averaged by itself.
    matrices = []
    pads = layer.geometry(x.shape[1:]).pads
    for rows, n, (before, after) in zip(_window_rows(layer, x), x.shape[2:], pads, strict=True):
        counts = _counts(rows, -before, n + after) if layer.count_pad else _counts(rows, 0, n)
        matrices.append(_incidence(rows, n) / counts[:, None])
    return along_space(x, tuple(matrices))


@maps(L2Pool)
def _l2_pool(layer: L2Pool, x: Array) -> tuple[Array, Callable[[Array], Array]]:
    matrices = tuple(_incidence(rows, n) for rows, n in zip(_window_rows(layer, x), x.shape[2:], strict=True))
    squares, pull_squares = along_space(x**2, matrices)
    y = np.sqrt(squares)

    def pull(gradient: Array) -> Array:
        # The derivative of the norm is x / norm; a window of zeros has none, and passes nothing.
        return x * pull_squares(np.divide(gradient, y, out=np.zeros(y.shape), where=y > 0))

    return y, pull


@maps(AdaptiveAvgPool)
def _adaptive_avg_pool(layer: AdaptiveAvgPool, x: Array) -> tuple[Array, Callable[[Array], Array]]:
    matrices = []
    for spans, n in zip(_adaptive_spans(layer, x), x.shape[2:], strict=True):
        matrix = np.zeros((len(spans), n))
        for i, (start, stop) in enumerate(spans):
            matrix[i, start:stop] = 1 / (stop - start)
        matrices.append(matrix)
    return along_space(x, tuple(matrices))


@maps(GlobalAvgPool)
def _global_avg_pool(layer: GlobalAvgPool, x: Array) -> tuple[Array, Callable[[Array], Array]]:
    axes = tuple(range(2, x.ndim))
    y: Array = x.mean(axis=axes, keepdims=True)
    return y, lambda gradient: np.broadcast_to(gradient / (x.size // y.size), x.shape)
