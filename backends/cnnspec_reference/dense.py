"""Dense layers."""

from __future__ import annotations

import numpy as np

from cnnspec.layers.dense import Dense
from cnnspec_reference.definition import Array, Given, Pulled, Result, defines


@defines(Dense)
def _dense(layer: Dense, given: Given) -> Result:
    (x,) = given.inputs
    weight = given.weights["weight"]
    # Every position of a map is a row of one matrix; a vector has one position.
    rows = np.moveaxis(x, 1, -1).reshape(-1, x.shape[1])
    y = rows @ weight.T
    if layer.bias:
        y += given.weights["bias"]

    def pull(gradients: tuple[Array, ...]) -> Pulled:
        gradient = np.moveaxis(gradients[0], 1, -1).reshape(-1, layer.units)
        to_weights = {"weight": gradient.T @ rows}
        if layer.bias:
            to_weights["bias"] = gradient.sum(axis=0)
        return Pulled((_as_map(gradient @ weight, x),), to_weights)

    return Result((_as_map(y, x),), pull)


def _as_map(rows: Array, x: Array) -> Array:
    """Rows, one for each position of ``x``, as a map again."""
    return np.moveaxis(rows.reshape(len(x), *x.shape[2:], rows.shape[1]), -1, 1)
