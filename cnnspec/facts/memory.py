"""Memory of the activations of one sample: what training keeps, and what inference holds at once."""

from __future__ import annotations

from typing import NamedTuple

from cnnspec.graph import Graph
from cnnspec.shapes import Dim, Symbolic, product

BYTES_PER_ELEMENT = 4
"""In float32."""


class ActivationMemory(NamedTuple):
    """Elements of the values of one sample, each counted as an array of its own.

    ``training`` is all of them together, inputs and auxiliary heads included: a backward pass may need each.
    ``inference`` is the most that must be held at once when the layers run in the order of the graph, a value is freed
    behind its last use, and a layer's inputs and outputs exist together; None where a symbolic size leaves it open.

    Frameworks need less where they work in place (a ReLU) or share memory (a flattened map), and more for workspaces.
    """

    training: Dim
    inference: int | None


def activation_memory(graph: Graph) -> ActivationMemory:
    """The elements that a sample takes, in training and in inference; times `BYTES_PER_ELEMENT` for bytes."""
    elements = [product(shape) for shape in graph.values]
    training: Dim = 0
    for count in elements:
        training = training + count
    return ActivationMemory(training, _peak(graph, elements))


def _peak(graph: Graph, elements: list[Dim]) -> int | None:
    nodes = [node for node in graph.layers if not node.auxiliary]
    last_use: dict[int, int] = {}
    for position, node in enumerate(nodes):
        for value in (*node.inputs, *node.outputs):
            last_use[value] = position
    for port in graph.outputs:
        last_use[port.value] = len(nodes)
    held = 0
    for port in graph.inputs:
        size = elements[port.value]
        if isinstance(size, Symbolic):
            return None
        held += size
    peak = held
    for position, node in enumerate(nodes):
        for value in node.outputs:
            size = elements[value]
            if isinstance(size, Symbolic):
                return None
            held += size
        peak = max(peak, held)
        for value in {*node.inputs, *node.outputs}:
            if last_use[value] == position:
                size = elements[value]
                held -= size if isinstance(size, int) else 0
    return peak


__all__ = ["BYTES_PER_ELEMENT", "ActivationMemory", "activation_memory"]
