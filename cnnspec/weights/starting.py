"""What training starts from: the spec's initialisers, drawn once for every framework."""

from __future__ import annotations

from math import prod, sqrt
from typing import TYPE_CHECKING, Any

from cnnspec.graph import Graph
from cnnspec.initialisers import TRUNCATED_DEVIATION, Initialiser
from cnnspec.weights.drawing import generator_for

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Array = NDArray[numpy.floating[Any]]

TRUNCATION = 2.0
"""Where a truncated normal is cut off, in standard deviations."""


def initial(graph: Graph, seed: int) -> dict[str, Array]:
    """Every weight and running statistic in float32, by state key, as the spec's initialisers have them.

    Each array has a generator of its own, seeded by its key and ``seed``: it depends on nothing else in the network.
    """
    return {
        key: sample(weight.init, weight.shape, generator_for(seed, f"initial {key}")).astype("float32")
        for key, weight in graph.state.items()
    }


def sample(init: Initialiser, shape: tuple[int, ...], generator: numpy.random.Generator) -> Array:
    """One draw in float64 of a distribution that `Initialiser` defines."""
    import numpy

    match init.distribution:
        case "zeros":
            return numpy.zeros(shape)
        case "ones":
            return numpy.ones(shape)
        case "constant":
            return numpy.full(shape, init.value)
        case "normal":
            return generator.normal(init.value, init.scale, shape)
        case "truncated_normal":
            return init.value + init.scale * _truncated(shape, generator)
        case "uniform":
            return generator.uniform(init.value - init.scale, init.value + init.scale, shape)
        case "orthogonal":
            return init.scale * _orthogonal(shape, generator)
    assert init.scaling is not None
    fan_in, fan_out = _fans(shape)
    deviation = init.scaling.deviation(fan_in, fan_out)
    match init.scaling.form:
        case "normal":
            return generator.normal(0.0, deviation, shape)
        case "truncated_normal":
            return deviation / TRUNCATED_DEVIATION * _truncated(shape, generator)
        case "uniform":
            limit = sqrt(3) * deviation
            return generator.uniform(-limit, limit, shape)


def _fans(shape: tuple[int, ...]) -> tuple[int, int]:
    """The fan in and the fan out of a weight: its first two axes times the kernel.

    Those of a transposed convolution are stored the other way round, as the fans of the convolution it transposes are.
    """
    fan_out, fan_in = (size * prod(shape[2:]) for size in shape[:2])
    return fan_in, fan_out


def _truncated(shape: tuple[int, ...], generator: numpy.random.Generator) -> Array:
    """A standard normal, drawn anew wherever it is cut off."""
    import numpy

    values: Array = generator.standard_normal(shape).reshape(-1)
    outside = numpy.flatnonzero(numpy.abs(values) > TRUNCATION)
    while outside.size:
        values[outside] = generator.standard_normal(outside.size)
        outside = outside[numpy.abs(values[outside]) > TRUNCATION]
    return values.reshape(shape)


def _orthogonal(shape: tuple[int, ...], generator: numpy.random.Generator) -> Array:
    """A matrix of orthonormal rows or columns, whichever are fewer: outputs by all else (Saxe et al. 2014).

    Every such matrix is as likely as any other: the sign of each column, which the decomposition leaves open, is that
    of the diagonal (Mezzadri 2007).
    """
    import numpy

    rows, columns = shape[0], prod(shape[1:])
    q, r = numpy.linalg.qr(generator.standard_normal((max(rows, columns), min(rows, columns))))
    q *= numpy.where(numpy.diagonal(r) < 0, -1.0, 1.0)
    result: Array = q if rows >= columns else q.T
    return result.reshape(shape)
