"""What a name can stand for while a spec is expanded.  Not frozen: freezing would add to the cost of every start."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, NamedTuple

from cnnspec.diagnostics import Diagnostic, Span
from cnnspec.graph import Item
from cnnspec.initialisers import Initialiser
from cnnspec.layers.base import Layer
from cnnspec.shapes import Dims, Shape, show
from cnnspec.syntax import tree


class Problem(Exception):
    """An error with its place; whoever runs the statement records it and goes on."""

    def __init__(self, code: str, message: str, span: Span, **more: Any) -> None:
        super().__init__(message)
        self.diagnostic = Diagnostic(code, message, span, **more)


class Unknown:
    """What is left of a value whose expression had an error: everything made from it is unknown too."""


UNKNOWN = Unknown()


@dataclass(slots=True)
class Tensor:
    """A value of the network: its number in the graph, its shape, and where it was made.

    ``learned`` marks a learned array, and what arithmetic makes of such alone: it is the same for every sample.
    """

    number: int
    shape: Shape
    span: Span
    auxiliary: bool = False
    learned: bool = False


@dataclass(slots=True)
class Given:
    """An argument with the place of its value."""

    value: Any
    span: Span


@dataclass(slots=True)
class LayerValue:
    """A layer not yet applied, with the arguments it has so far."""

    layer: type[Layer]
    arguments: dict[str, Given]
    span: Span


@dataclass(slots=True)
class BlockValue:
    """A block or model not yet applied, with the arguments it has so far."""

    definition: tree.Definition
    arguments: dict[str, Given]
    span: Span


@dataclass(slots=True)
class GroupValue:
    """``{ ... }`` with the names it can see."""

    group: tree.Group
    frame: Frame


@dataclass(slots=True)
class LabelledValue:
    """``conv1: conv(64, 3x3)``, not yet applied."""

    label: str
    span: Span
    value: LayerValue | BlockValue | GroupValue


Applicable = LayerValue | BlockValue | GroupValue | LabelledValue


@dataclass(slots=True)
class Function:
    """A pure function of spec-time values."""

    name: str


class Result(NamedTuple):
    """An output of a body."""

    name: str
    value: Tensor | Unknown
    auxiliary: bool
    span: Span


@dataclass(slots=True)
class Frame:
    """The names, the flow and the layers of one body while it is run."""

    path: str
    numbered: bool = False
    """Whether unlabelled children are numbered, as in a labelled group."""
    parent: Frame | None = None
    """Where a group looks for names it does not bind itself."""
    names: dict[str, Any] = field(default_factory=dict)
    current: Any = None
    inputs: list[tuple[str, Tensor | Unknown]] = field(default_factory=list)
    supplied: list[Any] = field(default_factory=list)
    """The values given to the block's inputs, in order."""
    declared: bool = False
    """Whether the body has had an `input` statement."""
    input_span: Span | None = None
    """Where the body declares its inputs."""
    outputs: list[Result] = field(default_factory=list)
    bindings: list[tuple[str, int]] = field(default_factory=list)
    items: list[Item] = field(default_factory=list)
    counts: dict[str, int] = field(default_factory=dict)
    number: int = 0
    auxiliary: bool = False
    is_model: bool = False
    as_written: bool = True
    """Whether a base's parameters have their defaults, where they have any: its claims are about that case only."""

    def find(self, name: str) -> Any:
        frame: Frame | None = self
        while frame is not None:
            if name in frame.names:
                return frame.names[name]
            frame = frame.parent
        return None

    def visible(self) -> list[str]:
        return [*self.names, *(self.parent.visible() if self.parent else [])]

    def join(self, label: str) -> str:
        return f"{self.path}.{label}" if self.path else label


def describe(value: Any, depth: int = 3) -> str:
    """A value in a message: what it is, and what it says."""
    if isinstance(value, Tensor):
        return f"a value of the network ({show(value.shape)})"
    if isinstance(value, LayerValue):
        return f"the layer `{value.layer.kind}`"
    if isinstance(value, BlockValue):
        return f"the {value.definition.keyword} `{value.definition.name.text}`"
    if isinstance(value, GroupValue):
        return "a group of layers"
    if isinstance(value, LabelledValue):
        return describe(value.value)
    if isinstance(value, Function):
        return f"the function `{value.name}`"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, Dims):
        return "x".join(map(str, value[:8])) + "x..." * (len(value) > 8)
    if isinstance(value, str):
        return f'"{value}"' if len(value) < 40 else f'"{value[:36]}..."'
    if isinstance(value, Initialiser):
        return f"the initialiser `{value.distribution}`"
    if isinstance(value, range):
        return f"a range of {len(value)}"
    if isinstance(value, list | tuple):
        if any(isinstance(item, Tensor) for item in value):
            return f"{len(value)} values of the network"
        inner = ", ".join(describe(item, depth - 1) for item in value[:4]) if depth else "..."
        inner += ", ..." if depth and len(value) > 4 else ""
        return f"[{inner}]" if isinstance(value, list) else f"({inner})"
    text = str(value)
    return text if len(text) < 40 else text[:36] + "..."
