"""How a backend says what one layer becomes: concrete calls as data.

A backend describes each layer of the graph concretely, with every number written out: ``nn.Conv2d(64, 128, 3,
stride=2)``.  The planner (`cnnspec.codegen.plan`) then compares all uses of a block, finds out which numbers differ,
and prints those as constructor arguments or expressions of them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

from typing_extensions import override

from cnnspec.codegen.surroundings import Surroundings
from cnnspec.graph import Node
from cnnspec.shapes import Shape


@dataclass(frozen=True, slots=True)
class Place:
    """One use of a layer: its node in the graph, with the shapes of what goes in and comes out.

    ``around`` is None where the layer stands for itself, in no graph.  ``given`` is a layer that the body does not
    name, but applies as what it is given or has chosen: what makes it may make others elsewhere.
    """

    node: Node
    inputs: tuple[Shape, ...]
    outputs: tuple[Shape, ...]
    around: Surroundings | None = None
    given: bool = False


class Required:
    """An argument that is always written."""

    @override
    def __repr__(self) -> str:
        return "REQUIRED"


REQUIRED = Required()
SMALL_DENOMINATOR, LARGEST_DENOMINATOR = 32, 200
"""Of the quotient that a number is written as, alone and behind a factor; any number is a quotient of large ones."""


@dataclass(frozen=True, slots=True)
class Code:
    """Text to print as it stands, such as ``torch.float32`` or ``gelu``."""

    text: str


class Sizes(tuple[int, ...]):
    """A number for each axis, where the target also takes one number for all of them: printed so if they are equal."""

    __slots__ = ()

    @classmethod
    def of(cls, value: Any) -> Any:
        """The value, as sizes if it is a tuple."""
        return cls(value) if isinstance(value, tuple) else value


@dataclass(frozen=True, slots=True)
class Argument:
    """``value`` by position, or ``name=value``; left out where every use has the target's own ``default``.

    A value is a number, bool, string, None, `Code`, a `Construct` without arguments that vary, `Sizes`, or a tuple or
    list of these.
    """

    value: Any
    name: str | None = None
    default: Any = REQUIRED


@dataclass(frozen=True, slots=True)
class Construct:
    """A constructor call: ``nn.Conv2d(64, 128, 3, stride=2)``.

    ``helper`` names the helper definition that the callee needs in the file, if any.  ``indifferent`` is a callee that
    takes any arguments and reads none, such as `torch.nn.Identity`.
    """

    callee: str
    arguments: tuple[Argument, ...] = ()
    helper: str | None = None
    indifferent: bool = False


@dataclass(frozen=True, slots=True)
class Maker:
    """What a block that takes a layer is given: ``nn.ReLU``, ``partial(nn.LeakyReLU, 0.1)``, or ``F.relu``."""

    text: str
    type: str
    """The annotation of a parameter that takes it: ``type[nn.Module]``."""
    helper: str | None
    given: bool = False
    """Whether the channels that come in are given to it where it makes the layer."""
    makes: str = ""
    """The definition of a block that it makes, if it is no layer."""


@dataclass(frozen=True, slots=True)
class Formula:
    """An expression over the inputs: ``F.relu({0})``, ``torch.cat(({all}), dim={axis})``, ``{0} + {1}``.

    ``{0}``, ``{1}`` are inputs, ``{all}`` all of them with commas, other fields come from ``values`` (numbers,
    tuples, strings, `Code`). ``loose`` marks an operator expression that needs parentheses inside another one.
    """

    pattern: str
    values: dict[str, Any] = field(default_factory=dict)
    loose: bool = False
    helper: str | None = None


@dataclass(frozen=True, slots=True)
class Stage:
    """One step of a layer's emission.

    ``suffix`` distinguishes the names of several steps of one layer (``"pad"`` gives ``conv1.pad``); the step that
    bears the layer's own weights, or the last one, has none.  ``module`` is the step as an object that is applied to
    its inputs, ``formula`` as an expression; at least one of them is there.  ``attribute`` marks a module that *is*
    its value (a learned array) and is not called.
    """

    module: Construct | None = None
    formula: Formula | None = None
    suffix: str = ""
    attribute: bool = False


@dataclass(frozen=True, slots=True)
class Emission:
    """What a layer becomes: steps applied one after another; the first takes the layer's inputs.

    There are none where the layers around it do its work as well: its result is then its input.
    """

    stages: tuple[Stage, ...]
    finisher: bool = False
    """Element by element (a norm, an activation, dropout): may be folded around the call before it."""


def literal(value: Any) -> str:
    """A value as Python source."""
    if isinstance(value, Code | Maker):
        return value.text
    if isinstance(value, Construct):
        parts = [
            literal(a.value) if a.name is None else f"{a.name}={literal(a.value)}"
            for a in value.arguments
            if a.default is REQUIRED or a.value != a.default
        ]
        return f"{value.callee}({', '.join(parts)})"
    if isinstance(value, Sizes) and len(set(value)) == 1:
        return literal(value[0])
    if isinstance(value, tuple):
        return f"({', '.join(map(literal, value))}{',' if len(value) == 1 else ''})"
    if isinstance(value, list):
        return f"[{', '.join(map(literal, value))}]"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, float):
        return re.sub(r"e([+-])0", r"e\1", repr(value))
    return repr(value)


def readable(text: str) -> str:
    """A number with many digits as a quotient, such as ``0.2 * 3 / 16``, if it is just that."""
    if not re.fullmatch(r"-?\d+\.\d{10,}(e-?\d+)?", text):
        return text
    value = float(text)
    top, bottom = Fraction(value).limit_denominator(255).as_integer_ratio()
    if top / bottom == value and (bottom <= SMALL_DENOMINATOR or bottom == 255):
        return f"{top} / {bottom}"
    for factor in (tenths / 10 for tenths in range(1, 10)):
        top, bottom = Fraction(value / factor).limit_denominator(LARGEST_DENOMINATOR).as_integer_ratio()
        # As rates that grow from layer to layer are computed: 0.2 * 3 / 57 is not 0.2 / 19 to the last digit.
        for times in range(1, LARGEST_DENOMINATOR // bottom + 1):
            if factor * (times * top) / (times * bottom) == value:
                return f"{factor} * {times * top} / {times * bottom}" if times * top != 1 else f"{factor} / {bottom}"
    return text


class Unsupported(Exception):
    """A deliberate gap of a backend: it cannot express this layer, and says why."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.why = why
