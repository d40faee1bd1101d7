"""The head of a generated file: spec, version, shapes, parameters and cost; no date: equal specs give equal code."""

from __future__ import annotations

from collections.abc import Callable

from cnnspec.codegen.emission import literal
from cnnspec.codegen.program import Plan
from cnnspec.graph import Port
from cnnspec.shapes import Shape
from cnnspec.version import __version__


def header(planned: Plan, show: Callable[[Shape], str], axes: str) -> str:
    """The docstring of a generated file; ``show`` writes a shape in the order of ``axes``."""
    graph = planned.graph

    def ports(some: tuple[Port, ...]) -> str:
        return ", ".join(f"{port.name} {show(graph.values[port.value])}" for port in some)

    order = f" ({axes})" if any(len(graph.values[port.value]) == 3 for port in graph.inputs) else ""
    macs = f"{graph.macs:,}" if isinstance(graph.macs, int) else str(graph.macs)
    fixed = [f"{name} = {literal(value)}" for name, value in graph.parameters.items() if name not in planned.carried]
    lines = [
        f"{graph.name}, generated from {graph.root.span.file.rpartition('/')[2]} by cnnspec {__version__}.",
        "",
        f"Input: {ports(graph.inputs)}{order}",
        f"Output: {ports(graph.outputs)}",
        f"Parameters: {graph.params:,}",
        f"Multiply-accumulates: {macs}",
    ]
    if fixed:
        lines.append(f"Compiled with {', '.join(fixed)}")
    narrow = [routine.name for routine in planned.routines if routine.narrow]
    if narrow:
        lines.append(f"Right for this network's uses only: {', '.join(narrow)}")
    return "\n".join(lines)
