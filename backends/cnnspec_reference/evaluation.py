"""A whole network in float64: its values, its gradients, and its running statistics after a training pass."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from cnnspec.graph import Graph, Node, Port
from cnnspec.shapes import show
from cnnspec_reference import (
    activation,
    arithmetic,
    arrangement,
    convolution,
    dense,
    normalisation,
    pooling,
    regularisation,
)
from cnnspec_reference.definition import DEFINITIONS, Array, Given, Result

K = TypeVar("K", int, str)

FAMILIES = (convolution, dense, pooling, normalisation, regularisation, arrangement, arithmetic, activation)
"""Imported for their definitions."""


class Evaluation(NamedTuple):
    """The values that were kept, by number, and the state after the pass, by key."""

    values: dict[int, Array]
    state: dict[str, Array]


class Gradients(NamedTuple):
    """Gradients with respect to the inputs, by name, and to the trainable weights, by key."""

    inputs: dict[str, Array]
    state: dict[str, Array]


@dataclass(frozen=True, slots=True)
class Differentiable:
    """A pass whose gradients can be asked for, any number of times; it holds what they need in memory."""

    evaluation: Evaluation
    pull: Callable[[Mapping[str, NDArray[Any]]], Gradients]
    """From the gradient of a number with respect to the outputs, by name, to that with respect to all else.

    Outputs that are left out have no part in the number.
    """


def evaluate(
    graph: Graph,
    state: Mapping[str, NDArray[Any]],
    inputs: Mapping[str, NDArray[Any]],
    training: bool = False,
    *,
    keep: Collection[int] | None = None,
) -> Evaluation:
    """The values of a network for a batch of inputs by name, each ``N x C x ...``.

    ``keep`` are the numbers of the values to give back, the outputs' where it is left out; all others are freed as soon
    as nothing needs them.  In evaluation what is auxiliary is not computed.  The state that comes back has new running
    statistics after a training pass, and else the arrays that were given.

    Raises ValueError where inputs or state do not fit the graph.
    """
    wanted = {port.value for port in output_ports(graph, training)} if keep is None else set(keep)
    last = {value: node for node in computed(graph, training) for value in node.inputs}
    values, after = _start(graph, state, inputs)
    for node, _ in _steps(graph, values, after, training):
        for value in (*node.inputs, *node.outputs):
            if value not in wanted and last.get(value, node) is node:
                values.pop(value, None)
    return Evaluation({value: array for value, array in values.items() if value in wanted}, after)


def differentiate(
    graph: Graph,
    state: Mapping[str, NDArray[Any]],
    inputs: Mapping[str, NDArray[Any]],
    training: bool = False,
    *,
    keep: Collection[int] | None = None,
) -> Differentiable:
    """As `evaluate`, with a pull for the gradients of the same pass."""
    ports = output_ports(graph, training)
    wanted = {port.value for port in ports} if keep is None else set(keep)
    values, after = _start(graph, state, inputs)
    results = list(_steps(graph, values, after, training))
    shapes = {value: array.shape for value, array in values.items()}
    kept = Evaluation({value: array for value, array in values.items() if value in wanted}, after)
    values.clear()

    def pull(cotangents: Mapping[str, NDArray[Any]]) -> Gradients:
        _require_ports(cotangents, ports, "output")
        to_values: dict[int, Array] = {}
        for port in ports:
            if port.name in cotangents:
                given = np.asarray(cotangents[port.name], dtype=np.float64)
                if given.shape != shapes[port.value]:
                    raise ValueError(
                        f"the output `{port.name}` is {show(shapes[port.value])}, and its gradient {show(given.shape)}"
                    )
                _add_to(to_values, port.value, given)
        to_state: dict[str, Array] = {}
        for node, result in reversed(results):
            if to_values.keys().isdisjoint(node.outputs):
                continue
            gradients = tuple(
                to_values.pop(value) if value in to_values else np.zeros(shapes[value]) for value in node.outputs
            )
            pulled = result.pull(gradients)
            for value, gradient in zip(node.inputs, pulled.inputs, strict=True):
                _add_to(to_values, value, gradient)
            for weight in node.weights:
                if weight.trainable:
                    _add_to(to_state, node.key(weight), pulled.weights[weight.name])
        # What the number does not depend on has a gradient too.  Copies: some layers hand on what they were given.
        return Gradients(
            {port.name: np.array(to_values.get(port.value, np.zeros(shapes[port.value]))) for port in graph.inputs},
            {
                key: to_state[key] if key in to_state else np.zeros(weight.shape)
                for key, weight in graph.state.items()
                if weight.trainable
            },
        )

    return Differentiable(kept, pull)


def gradients(
    graph: Graph,
    state: Mapping[str, NDArray[Any]],
    inputs: Mapping[str, NDArray[Any]],
    cotangents: Mapping[str, NDArray[Any]],
    training: bool = False,
) -> Gradients:
    """Gradients of ``sum over outputs and their values of cotangent * output``, in one pass forward and one back.

    Raises ValueError where inputs, state or cotangents (by output name) do not fit the graph.
    """
    return differentiate(graph, state, inputs, training, keep=()).pull(cotangents)


def apply(node: Node, inputs: tuple[Array, ...], state: Mapping[str, Array], batch: int, training: bool) -> Result:
    """One layer on these inputs, with its weights from the state."""
    weights = {weight.name: state[node.key(weight)] for weight in node.weights}
    return DEFINITIONS[type(node.layer)](node.layer, Given(inputs, weights, batch, training))


def computed(graph: Graph, training: bool) -> tuple[Node, ...]:
    """The layers that a pass computes: what is auxiliary in training only."""
    return tuple(node for node in graph.layers if training or not node.auxiliary)


def output_ports(graph: Graph, training: bool) -> tuple[Port, ...]:
    """The outputs that a pass has: auxiliary ones in training only."""
    return tuple(port for port in graph.outputs if training or not port.auxiliary)


def _start(
    graph: Graph, state: Mapping[str, NDArray[Any]], inputs: Mapping[str, NDArray[Any]]
) -> tuple[dict[int, Array], dict[str, Array]]:
    """Inputs by the number of their value and the state, in float64, when all of them fit the graph."""
    _require_ports(inputs, graph.inputs, "input")
    values = {}
    for port in graph.inputs:
        if port.name not in inputs:
            raise ValueError(f"the input `{port.name}` is missing")
        array = np.asarray(inputs[port.name], dtype=np.float64)
        expected = graph.shape(port.value)
        sizes = zip(array.shape[1:], expected, strict=False)
        if array.ndim != len(expected) + 1 or any(have != size for have, size in sizes if isinstance(size, int)):
            raise ValueError(
                f"the input `{port.name}` is {show(array.shape)} instead of {show(expected)} behind the batch"
            )
        values[port.value] = array
    if len({len(array) for array in values.values()}) > 1:
        raise ValueError("the inputs differ in the size of their batch")
    after = {}
    for key, weight in graph.state.items():
        if key not in state:
            raise ValueError(f"`{key}` is missing from the state")
        after[key] = np.asarray(state[key], dtype=np.float64)
        if after[key].shape != weight.shape:
            raise ValueError(f"`{key}` is {show(after[key].shape)} instead of {show(weight.shape)}")
    return values, after


def _steps(
    graph: Graph, values: dict[int, Array], state: dict[str, Array], training: bool
) -> Iterator[tuple[Node, Result]]:
    """Compute layer by layer: results go into ``values``, new running statistics into ``state``."""
    batch = len(next(iter(values.values())))
    for node in computed(graph, training):
        result = apply(node, tuple(values[value] for value in node.inputs), state, batch, training)
        values.update(zip(node.outputs, result.outputs, strict=True))
        for weight in node.weights:
            if weight.name in result.statistics:
                state[node.key(weight)] = result.statistics[weight.name]
        yield node, result


def _add_to(gradients: dict[K, Array], key: K, gradient: Array) -> None:
    """Gradients of one array add up; none is changed in place, since several may share its memory."""
    gradients[key] = gradients[key] + gradient if key in gradients else gradient


def _require_ports(given: Mapping[str, Any], ports: tuple[Port, ...], what: str) -> None:
    names = [port.name for port in ports]
    for name in given:
        if name not in names:
            raise ValueError(f"there is no {what} `{name}`; there is {', '.join(f'`{one}`' for one in names)}")
