"""What every definition of a layer is: from inputs and weights to outputs, and how gradients go back through it.

Arrays are float64 with the batch first and then channels first, as in a spec.  A gradient goes back by a *pull*, the
vector-Jacobian product: it takes the gradient of some number with respect to the outputs, and gives that with respect
to the inputs and the weights.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any, NamedTuple, TypeVar, cast

import numpy as np
from numpy.typing import NDArray

from cnnspec.layers.base import Layer

Array = NDArray[np.float64]
L = TypeVar("L", bound=Layer)


class Given(NamedTuple):
    """What a layer works on: its inputs, its weights by name, how many samples, and whether this is a training pass."""

    inputs: tuple[Array, ...]
    weights: Mapping[str, Array]
    batch: int
    training: bool


class Pulled(NamedTuple):
    """Gradients with respect to the inputs, and to the trainable weights by name."""

    inputs: tuple[Array, ...]
    weights: Mapping[str, Array]


@dataclass(frozen=True, slots=True)
class Result:
    """What a layer makes: outputs, the pull, and the running statistics by name where the pass moved them.

    What ``pull`` needs of the forward pass stays in memory as long as it does.
    """

    outputs: tuple[Array, ...]
    pull: Callable[[tuple[Array, ...]], Pulled]
    statistics: Mapping[str, Array] = field(default_factory=dict)


Definition = Callable[[Layer, Given], Result]

DEFINITIONS: dict[type[Layer], Definition] = {}
"""How each layer computes, by its class."""


def defines(kind: type[L]) -> Callable[[Callable[[L, Given], Result]], Definition]:
    """Register the definition of a layer."""

    def register(function: Callable[[L, Given], Result]) -> Definition:
        definition = cast("Definition", function)
        DEFINITIONS[kind] = definition
        return definition

    return register


def maps(kind: type[L]) -> Callable[[Callable[[L, Array], tuple[Array, Callable[[Array], Array]]]], Definition]:
    """Register a layer of one input, one output and no weights: a function to the output and its pull."""

    def register(function: Callable[[L, Array], tuple[Array, Callable[[Array], Array]]]) -> Definition:
        def definition(layer: L, given: Given) -> Result:
            (x,) = given.inputs
            y, pull = function(layer, x)
            return Result((y,), lambda gradients: Pulled((pull(gradients[0]),), {}))

        return defines(kind)(definition)

    return register


_error: ContextVar[Callable[[NDArray[Any]], NDArray[Any]] | None] = ContextVar("_error", default=None)


@contextmanager
def disturbed(error: Callable[[NDArray[Any]], NDArray[Any]]) -> Iterator[None]:
    """Within, what `rounded` gets comes out as ``error`` makes it."""
    token = _error.set(error)
    try:
        yield
    finally:
        _error.reset(token)


def rounded(values: Array) -> Array:
    """The values as they are, outside of `disturbed`.

    It marks what a layer computes on its way and takes differences of, which may make much of a rounding there.
    """
    error = _error.get()
    return values if error is None else error(values)


def per_channel(vector: Array, rank: int) -> Array:
    """A vector with an entry for each channel, ready to be broadcast over a batch of ``rank`` spatial axes."""
    return vector.reshape(-1, *(1,) * rank)


def summed_to(array: Array, shape: tuple[int, ...]) -> Array:
    """The sum over the axes along which ``shape`` was broadcast: the pull of broadcasting."""
    extra = array.ndim - len(shape)
    stretched = (i for i, size in enumerate(shape, extra) if size == 1 and array.shape[i] != 1)
    total: Array = array.sum(axis=(*range(extra), *stretched))
    return total.reshape(shape)


def along(x: Array, axis: int, matrix: Array) -> Array:
    """The matrix times ``x`` along one axis: ``out[..., i, ...] = sum over j of matrix[i, j] * x[..., j, ...]``."""
    return np.moveaxis(np.tensordot(x, matrix, (axis, 1)), -1, axis)


def along_space(x: Array, matrices: tuple[Array, ...]) -> tuple[Array, Callable[[Array], Array]]:
    """A matrix along each spatial axis, and the pull."""
    y = x
    for axis, matrix in enumerate(matrices, 2):
        y = along(y, axis, matrix)

    def pull(gradient: Array) -> Array:
        for axis, matrix in enumerate(matrices, 2):
            gradient = along(gradient, axis, matrix.T)
        return gradient

    return y, pull
