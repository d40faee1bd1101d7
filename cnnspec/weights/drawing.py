"""Weights and inputs for comparing implementations: a function of the spec and a seed alone.

Every array has a generator of its own, seeded by its name, so that what is drawn depends neither on the order of
drawing nor on what else is drawn.  The distributions are not those that training starts from: values stay of order one
through deep networks, and nothing is zero or one where that would hide a part (a branch scaled by 1e-6, a bias that is
never added, a running mean of 0).
"""

from __future__ import annotations

from hashlib import blake2b
from math import prod, sqrt
from typing import TYPE_CHECKING, Any

from cnnspec.graph import Graph, Node
from cnnspec.layers.base import Weight, per_axis
from cnnspec.layers.convolution import ConvTranspose
from cnnspec.layers.normalisation import Normalisation
from cnnspec.shapes import Shape, Symbolic, UnknownSize

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Array = NDArray[numpy.floating[Any]]


def draw(graph: Graph, seed: int) -> dict[str, Array]:
    """Every weight and running statistic of a network in float64, by state key, in the spec's layout."""
    return {node.key(weight): draw_weight(node, weight, seed) for node in graph.layers for weight in node.weights}


def draw_weight(node: Node, weight: Weight, seed: int) -> Array:
    """One weight of a layer in float64.

    Kernels are normal with variance ``1 / fan_in``, which keeps the sum that they weigh near the size of its inputs;
    whatever is added is at least 0.05 away from zero, whatever multiplies or divides lies within a factor of two of
    one.  Norms shift upwards: where as many values are cut off by each ReLU as are let through, a training pass through
    a hundred batch norms makes rounding errors thousands of times larger, and float32 could not be judged.
    """
    generator = generator_for(seed, node.key(weight))
    name = weight.name.rpartition(".")[2]
    if name in ("running_var", "variance"):
        return generator.uniform(0.5, 2.0, weight.shape)
    if name in ("running_mean", "mean"):
        return _off_zero(generator, 0.1, 0.5, weight.shape)
    if isinstance(node.layer, Normalisation):
        low, high = (0.3, 1.0) if name == "bias" else (0.5, 1.5)
        return generator.uniform(low, high, weight.shape)
    if name == "bias":
        return _off_zero(generator, 0.05, 0.3, weight.shape)
    if name == "weight" and len(weight.shape) > 1:
        return generator.standard_normal(weight.shape) / sqrt(_fan_in(node, weight.shape))
    return generator.uniform(0.5, 1.0, weight.shape)


def draw_inputs(graph: Graph, batch: int, seed: int) -> dict[str, Array]:
    """A batch for every input, in float64, channels first.

    Normal around 0.3, so that padding with zeros is not padding with the mean.

    Raises `UnknownSize` where a size is symbolic.
    """
    return {
        port.name: generator_for(seed, f"input {port.name}").normal(0.3, 1.0, (batch, *known(graph.shape(port.value))))
        for port in graph.inputs
    }


def generator_for(seed: int, name: str) -> numpy.random.Generator:
    """The random generator of one array."""
    import numpy

    return numpy.random.default_rng(int.from_bytes(blake2b(f"{seed} {name}".encode(), digest_size=16).digest(), "big"))


def known(shape: Shape) -> tuple[int, ...]:
    """The shape, whose sizes must all be known; raises `UnknownSize`."""
    sizes = []
    for size in shape:
        if isinstance(size, Symbolic):
            raise UnknownSize(size)
        sizes.append(size)
    return tuple(sizes)


def _off_zero(generator: numpy.random.Generator, low: float, high: float, shape: tuple[int, ...]) -> Array:
    """Uniform magnitudes of either sign."""
    magnitudes: Array = generator.uniform(low, high, shape)
    magnitudes *= generator.choice((-1.0, 1.0), shape)
    return magnitudes


def _fan_in(node: Node, shape: tuple[int, ...]) -> float:
    """How many products an output of a kernel sums up."""
    if isinstance(node.layer, ConvTranspose):
        stride = per_axis(node.layer, "stride", node.layer.stride, len(shape) - 2)
        return max(1.0, shape[0] // node.layer.groups * prod(shape[2:]) / prod(stride))
    return float(prod(shape[1:]))
