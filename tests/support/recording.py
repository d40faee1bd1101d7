"""Emitting with a check of every graph that the code stands for, not only of the one it was compiled from."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any
from unittest import mock

import cnnspec_keras.emit
import cnnspec_keras.replay
import cnnspec_torch.emit
import cnnspec_torch.replay
from cnnspec.codegen.dialect import Dialect
from cnnspec.codegen.emission import Emission, Place
from cnnspec.codegen.naming import function_name, safe
from cnnspec.codegen.surroundings import Surroundings
from cnnspec.graph import Graph, Node


def check(
    backend: str,
    graph: Graph,
    probes: Sequence[Graph] = (),
    others: Sequence[Graph] = (),
    change: Callable[[str], str] = lambda source: source,
) -> str:
    """Emit a graph and hold the code to it, and with other arguments to the graphs of these.

    ``probes`` are given to the emitter, ``others`` are not; graphs with parameters that the code does not take are left
    out.  ``change`` may damage the code, to see that it is noticed.  Returns the source.
    """
    emitter, dialect = _BACKENDS[backend]
    with mock.patch.object(dialect, "__init__", _kept(dialect)):
        emitted = emitter(graph, probes)
    source = change(emitted)
    told = _DIALECTS[-1].told
    emitters = cnnspec_torch.emit.EMITTERS if backend == "torch" else cnnspec_keras.emit.EMITTERS
    name = safe(graph.name) if backend == "torch" else function_name(graph.name)
    definition = source.rpartition(f"class {name}(nn.Module):" if backend == "torch" else f"def {name}(")[2]
    taken = set(re.findall(r"(\w+): \w+ = ", re.split(r" -> (?:None|keras.Model):", definition)[0]))
    by_path = {node.path: node for node in graph.layers}
    # Of the places that an emission was told with, one of each kind: by the identity of their list.
    distinct: dict[int, list[Place]] = {}
    alone: list[Place] = []
    # The emitter has held the code to the graph itself.
    damaged = source != emitted
    for one in [*([graph] if damaged else []), *probes[-1:], *others]:
        arguments = {safe(name): value for name, value in one.parameters.items() if value != graph.parameters[name]}
        if not arguments.keys() <= taken:
            continue

        def options(node: Node, one: Graph = one) -> Sequence[Emission]:
            if id(node) in told:
                return [emission for emission, _ in told[id(node)]]
            # In the form that it has beside the other uses of its place.
            shapes = tuple(one.values[v] for v in node.inputs), tuple(one.values[v] for v in node.outputs)
            place = Place(node, *shapes, Surroundings(one))
            known = told[id(by_path[node.path])] if node.path in by_path else []
            beside = max((places for _, places in known), key=len, default=alone)
            if id(beside) not in distinct:
                by_kind = {(repr(other.node.layer), other.inputs): other for other in beside}
                distinct[id(beside)] = list(by_kind.values())
            return [emitters[type(node.layer)]([place, *places])[0] for places in (distinct[id(beside)], [])]

        if backend == "keras":
            cnnspec_keras.replay.replay(source, one, options, arguments)
        else:
            for training in {False, any(port.auxiliary for port in one.outputs)}:
                cnnspec_torch.replay.replay(source, one, options, arguments, training=training)
    return source


_BACKENDS: dict[str, tuple[Any, type[Dialect]]] = {
    "torch": (cnnspec_torch.emit.emit, cnnspec_torch.emit.TorchDialect),
    "keras": (cnnspec_keras.emit.emit, cnnspec_keras.emit.KerasDialect),
}
_DIALECTS: list[Dialect] = []


def _kept(dialect: type[Dialect]) -> Callable[..., None]:
    """A constructor that remembers what it made."""
    usual = dialect.__init__

    def made(self: Dialect, *arguments: Any) -> None:
        usual(self, *arguments)
        _DIALECTS[:] = [self]

    return made
