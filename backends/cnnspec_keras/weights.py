"""The spec's weights and Keras's variables: the same numbers in another order of axes.

The spec has outputs before inputs and channels before positions, Keras the other way round.  Everything here is a
transposition or a reshape, and everything returned is a copy: JAX would otherwise share memory with the array it was
given.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

from cnnspec.graph import Node
from cnnspec.layers.activation import Prelu
from cnnspec.layers.arithmetic import Parameter
from cnnspec.layers.base import Layer
from cnnspec.layers.convolution import Conv, ConvTranspose, DepthwiseConv, SeparableConv
from cnnspec.layers.dense import Dense
from cnnspec.layers.normalisation import LayerNorm, Normalisation

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Array = NDArray[numpy.floating[Any]]

_KERNELS: tuple[type[Layer], ...] = (Conv, DepthwiseConv, SeparableConv, ConvTranspose, Dense)
_DEPTHWISE: tuple[type[Layer], ...] = (Conv, DepthwiseConv, SeparableConv)
_NORM_VARIABLES = {
    "weight": "gamma",
    "bias": "beta",
    "running_mean": "moving_mean",
    "running_var": "moving_variance",
    "mean": "adapt_mean",
    "variance": "adapt_variance",
}
_OTHER_VARIABLES = {
    "weight": "kernel",
    "bias": "bias",
    "depthwise.weight": "depthwise_kernel",
    "pointwise.weight": "pointwise_kernel",
    "pointwise.bias": "bias",
    "": "value",
}


def variable(node: Node, name: str) -> str:
    """The attribute of the Keras layer that holds a weight: ``kernel`` for the ``weight`` of a convolution."""
    if isinstance(node.layer, Prelu):
        return "alpha"
    return (_NORM_VARIABLES if isinstance(node.layer, Normalisation) else _OTHER_VARIABLES)[name]


def to_keras(node: Node, name: str, array: Array, shape: tuple[int, ...]) -> Array:
    """A weight in the order of the Keras variable of that shape; raises ValueError where it does not fit."""
    found = _rearranged(node, name, array, shape)
    if found.shape != shape:
        raise ValueError(f"`{node.path}.{name}` of {array.shape} does not fit a variable of {shape}")
    return found.copy()


def from_keras(node: Node, name: str, array: Array) -> Array:
    """A weight in the order of the spec, from the value of the Keras variable; raises ValueError where it misfits."""
    shape = _shape(node, name)
    found = in_spec_order(node, name, array)
    if found.shape != shape:
        raise ValueError(f"the variable of `{node.path}.{name}` has {array.shape}, and the spec has {shape}")
    return found.copy()


def in_spec_order(node: Node, name: str, array: Array) -> Array:
    """The value of the Keras variable of a weight, with its axes as the spec has them, whatever their sizes."""
    layer = node.layer
    if isinstance(layer, _KERNELS) and _is_kernel(name) and array.ndim > 1:
        # (k..., a, b) to (b, a, k...), and depthwise to (a, b, k...), which is a * b filters of one channel.
        found = array.transpose((array.ndim - 1, array.ndim - 2, *range(array.ndim - 2)))
        shape = _shape(node, name)
        depthwise = isinstance(layer, _DEPTHWISE) and shape[1] == 1 and found.size == prod(shape)
        return found.swapaxes(0, 1).reshape(shape) if depthwise and found.shape != shape else found
    rank = len(_shape(node, name))
    if array.ndim > rank == 1 and set(array.shape[:-1]) == {1}:
        return array.reshape(-1)  # a PReLU that is shared along the axes of the map
    if isinstance(layer, Parameter) and array.ndim < rank:
        array = array.reshape((1,) * (rank - array.ndim) + array.shape)  # as broadcasting has it
    if _has_positions(layer, array.ndim):
        return array.transpose((array.ndim - 1, *range(array.ndim - 1)))
    return array


def _shape(node: Node, name: str) -> tuple[int, ...]:
    return next(weight.shape for weight in node.weights if weight.name == name)


def _rearranged(node: Node, name: str, array: Array, shape: tuple[int, ...]) -> Array:
    layer = node.layer
    if isinstance(layer, _KERNELS) and _is_kernel(name):
        # (a, b, k...) to (k..., b, a)
        plain = array.transpose((*range(2, array.ndim), 1, 0))
        if plain.shape == shape or not isinstance(layer, _DEPTHWISE):
            return plain
        # Depthwise: (C * m, 1, k...) to (k..., C, m).
        split = array.reshape(*shape[-2:], *array.shape[2:])
        return split.transpose((*range(2, array.ndim), 0, 1))
    if _has_positions(layer, array.ndim):
        return array.transpose((*range(1, array.ndim), 0))
    return array


def _is_kernel(name: str) -> bool:
    return name.rpartition(".")[2] == "weight"


def _has_positions(layer: Layer, rank: int) -> bool:
    """Whether a weight has a value for each position of a map, channels first in the spec and last in Keras."""
    return isinstance(layer, (LayerNorm, Parameter)) and rank > 1
