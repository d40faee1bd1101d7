"""The syntax tree: what a `.cnn` file says, with the place of every word.

Plain slotted dataclasses, never changed once made: freezing would make this module twice as slow to import and each
node three times as slow to make.  Every node has a ``span``.  Expressions know their ``depth`` so that nesting can be
bounded while the tree is built, and no later walk over it can exhaust the stack.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

from cnnspec.diagnostics import Span


@dataclass(slots=True)
class Name:
    """``width``."""

    span: Span
    text: str
    depth: int = 1


@dataclass(slots=True)
class Number:
    """``25_557_032`` or ``1e-3``; ``text`` keeps how it was written."""

    span: Span
    value: int | float
    text: str
    depth: int = 1


@dataclass(slots=True)
class String:
    """``"block1-0"``, without its quotes."""

    span: Span
    value: str
    depth: int = 1


@dataclass(slots=True)
class Interpolated:
    """``"{name}_stage_{i}"``: text and expressions in turn."""

    span: Span
    parts: tuple[str | Expression, ...]
    depth: int


@dataclass(slots=True)
class Boolean:
    """``true`` or ``false``."""

    span: Span
    value: bool
    depth: int = 1


@dataclass(slots=True)
class DimsLiteral:
    """``3x224x224``."""

    span: Span
    sizes: tuple[int, ...]
    depth: int = 1


@dataclass(slots=True)
class ListLiteral:
    """``[1, H, W]``."""

    span: Span
    items: tuple[Expression, ...]
    depth: int


@dataclass(slots=True)
class TupleLiteral:
    """``(64, 3)``; one value in parentheses is that value, ``(64,)`` a tuple of one."""

    span: Span
    items: tuple[Expression, ...]
    depth: int


@dataclass(slots=True)
class Attribute:
    """``x.channels``; in a claim also a path such as ``layer1.0.conv1`` (then ``name`` may be digits)."""

    span: Span
    value: Expression
    name: Name
    depth: int


@dataclass(slots=True)
class Index:
    """``widths[i]``."""

    span: Span
    value: Expression
    index: Expression
    depth: int


@dataclass(slots=True)
class Argument:
    """``stride = 2`` or a value alone.  The value may be a pipeline: ``concat(left, right -> relu)``."""

    span: Span
    name: Name | None
    value: Expression
    depth: int


@dataclass(slots=True)
class Call:
    """``conv(64, 3x3, stride = 2)``."""

    span: Span
    function: Expression
    arguments: tuple[Argument, ...]
    depth: int


@dataclass(slots=True)
class Unary:
    """``-x``, ``+x`` or ``not x``."""

    span: Span
    operator: Literal["-", "+", "not"]
    operand: Expression
    depth: int


@dataclass(slots=True)
class Binary:
    """``left operator right``; comparisons do not chain."""

    span: Span
    operator: Literal["+", "-", "*", "/", "//", "%", "**", "==", "!=", "<", "<=", ">", ">=", "and", "or"]
    left: Expression
    right: Expression
    depth: int


@dataclass(slots=True)
class Conditional:
    """``if test then yes else no``."""

    span: Span
    test: Expression
    yes: Expression
    no: Expression
    depth: int


@dataclass(slots=True)
class Label:
    """The name given to a layer: text and interpolated expressions in turn, as in ``layer{i}.{j}``.

    ``quoted`` is set for ``"block1-{j}"``.  A dot in an unquoted label nests.
    """

    span: Span
    parts: tuple[str | Expression, ...]
    quoted: bool
    depth: int


@dataclass(slots=True)
class Group:
    """``{ conv(64) -> batch_norm }``: a body used as a layer."""

    span: Span
    body: tuple[Statement, ...]
    depth: int


@dataclass(slots=True)
class Labelled:
    """``conv1: conv(64, 3x3)``."""

    span: Span
    label: Label
    value: Expression
    depth: int


@dataclass(slots=True)
class Pipeline:
    """``a -> b -> c``: two stages or more."""

    span: Span
    stages: tuple[Expression, ...]
    depth: int


Expression = (
    Name
    | Number
    | String
    | Interpolated
    | Boolean
    | DimsLiteral
    | ListLiteral
    | TupleLiteral
    | Attribute
    | Index
    | Call
    | Unary
    | Binary
    | Conditional
    | Group
    | Labelled
    | Pipeline
)


@dataclass(slots=True)
class Input:
    """``input image: 3x224x224``; in a block ``input x`` or ``input a, b``.  ``shape`` belongs to a single name."""

    span: Span
    names: tuple[Name, ...]
    shape: Expression | None


@dataclass(slots=True)
class Output:
    """``output x``, ``output logits = x -> dense(10)``, ``auxiliary output aux1 = ...``, ``output a, b``."""

    span: Span
    name: Name | None
    values: tuple[Expression, ...]
    auxiliary: bool


@dataclass(slots=True)
class Binding:
    """``y = x -> relu`` or ``left, right = split(x, 2)``."""

    span: Span
    targets: tuple[Name, ...]
    value: Expression


@dataclass(slots=True)
class Flow:
    """A bare expression: it moves the flow."""

    span: Span
    value: Expression


@dataclass(slots=True)
class Names:
    """``(width, depth)`` among the names of a loop."""

    span: Span
    names: tuple[Name, ...]


@dataclass(slots=True)
class For:
    """``for i, width in [(1, 64), (2, 128)] { ... }``; names nest one level: ``for i, (width, depth) in ...``."""

    span: Span
    targets: tuple[Name | Names, ...]
    iterable: Expression
    body: tuple[Statement, ...]

    @property
    def names(self) -> tuple[Name, ...]:
        """All names that a turn gives a value."""
        inner = [target.names if isinstance(target, Names) else (target,) for target in self.targets]
        return tuple([name for names in inner for name in names])


@dataclass(slots=True)
class If:
    """``if test { ... } else { ... }``; ``else if`` is an `If` alone in ``otherwise``."""

    span: Span
    test: Expression
    body: tuple[Statement, ...]
    otherwise: tuple[Statement, ...]


@dataclass(slots=True)
class Expect:
    """``expect params == 25_557_032``."""

    span: Span
    claim: Expression


Statement = Input | Output | Binding | Flow | For | If | Expect


@dataclass(slots=True)
class Parameter:
    """``stride = 1`` in the head of a block or model."""

    span: Span
    name: Name
    default: Expression | None


@dataclass(slots=True)
class Definition:
    """A ``block`` or a ``model``.

    A derived model such as ``model ResNet18(classes = 1000) = ResNet(BasicBlock, [2, 2, 2, 2], classes)`` has a
    ``base``, whose body it takes over; its own ``body`` has only claims.
    """

    span: Span
    keyword: Literal["block", "model"]
    name: Name
    parameters: tuple[Parameter, ...]
    body: tuple[Statement, ...]
    base: Call | None = None


@dataclass(slots=True)
class Use:
    """``use "blocks.cnn"``."""

    span: Span
    path: String


@dataclass(slots=True)
class File:
    """One source file."""

    name: str
    uses: tuple[Use, ...]
    definitions: tuple[Definition, ...]
    span: Span = field(default=Span("", 1, 1, 1, 1))
