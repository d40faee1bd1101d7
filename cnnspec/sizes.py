"""A network at other sizes of its inputs: the same layers and weights, on larger or smaller maps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from cnnspec.graph import Branch, Graph, Loop, Node, Scope, Turn
from cnnspec.layers.base import RuleError
from cnnspec.shapes import Shape, Symbolic, show


class OtherSizes(NamedTuple):
    """A network at other sizes, of which one is odd where it can be; ``why`` says why there are none."""

    graphs: tuple[Graph, ...]
    why: str = ""


class TiedToSize(Exception):
    """A network cannot have these sizes; says why."""


def other_sizes(graph: Graph) -> OtherSizes:
    """The network at two other sizes near its own, an odd and an even one where it takes them."""
    sizes = [size for port in graph.inputs for size in graph.shape(port.value)[1:]]
    if not sizes:
        return OtherSizes((), "its inputs have no sizes but their channels")
    if any(isinstance(size, Symbolic) for port in graph.inputs for size in graph.shape(port.value)):
        return OtherSizes((), "the size of its inputs is not known")
    found: dict[int, Graph] = {}
    why = ""
    for parity in (1, 0, None):
        for numerator, offset in _STEPS:
            shapes = {port.name: _moved(graph.shape(port.value), numerator, offset, parity) for port in graph.inputs}
            if shapes in (
                {port.name: one.shape(port.value) for port in graph.inputs} for one in (graph, *found.values())
            ):
                continue
            try:
                found[len(found)] = resized(graph, shapes)
            except TiedToSize as refusal:
                why = why or str(refusal)
                continue
            break
        if len(found) == 2:
            break
    return OtherSizes(tuple(found.values()), "" if found else why)


_STEPS = ((7, 0), (6, 0), (8, -1), (8, 1), (8, 2), (10, 0), (8, 32), (12, 0), (4, 0), (16, 0))
"""Eighths of a size and what is added to them, in the order of trying: smaller ones first, which cost less."""


def _moved(shape: Shape, eighths: int, offset: int, parity: int | None) -> Shape:
    """A shape with other sizes behind its channels; ``parity`` is that of all of them."""
    sizes = []
    for size in shape[1:]:
        assert isinstance(size, int)
        other = max(size * eighths // 8 + offset, 1)
        if parity is not None and other % 2 != parity:
            other += 1
        sizes.append(other)
    return (shape[0], *sizes)


def resized(graph: Graph, shapes: Mapping[str, Shape]) -> Graph:
    """The network on inputs of these shapes, by name; raises `TiedToSize` where it does not fit them."""
    values: dict[int, Shape] = {port.value: shapes[port.name] for port in graph.inputs}
    nodes: dict[str, Node] = {}
    what = ", ".join(f"`{name}` is {show(shape)}" for name, shape in shapes.items())
    for node in graph.layers:
        given = [values[value] for value in node.inputs]
        try:
            outputs = node.layer.shapes(*given)
            weights = node.layer.weights(*given)
            values.update(zip(node.outputs, outputs, strict=True))
        except (RuleError, ValueError) as error:
            said = error.message if isinstance(error, RuleError) else str(error)
            raise TiedToSize(f"where {what}, `{node.path}` does not fit: {said}") from None
        for old, new in zip(node.weights, weights, strict=True):
            if old.shape != new.shape:
                raise TiedToSize(
                    f"where {what}, `{node.key(old)}` would be {show(new.shape)} instead of {show(old.shape)}"
                )
        nodes[node.path] = node.model_copy(update={"macs": node.layer.macs(tuple(given), outputs)})
    root = _replaced(graph.root, nodes)
    fresh = {name: getattr(graph, name) for name in Graph.model_fields}
    shape_of = tuple(values.get(value, shape) for value, shape in enumerate(graph.values))
    return Graph.model_construct(**fresh | {"values": shape_of, "root": root})


def _replaced(item: Any, nodes: Mapping[str, Node]) -> Any:
    """A part of a graph with these nodes in place of its own."""
    if isinstance(item, Node):
        return nodes[item.path]
    if isinstance(item, Loop):
        return item.model_copy(update={"turns": tuple(_replaced(turn, nodes) for turn in item.turns)})
    assert isinstance(item, Scope | Branch | Turn)
    return item.model_copy(update={"body": tuple(_replaced(inner, nodes) for inner in item.body)})
