"""What the planner gives and a backend prints: definitions, their parameters, and the statements in them.

Everything is text of Python by now, but for how a target writes a statement.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from typing_extensions import override

from cnnspec.codegen.emission import REQUIRED, Code, Maker, literal
from cnnspec.codegen.naming import safe
from cnnspec.codegen.pieces import Piece
from cnnspec.codegen.translation import Translated, is_literal
from cnnspec.graph import Graph, Node
from cnnspec.shapes import Shape


@dataclass(slots=True)
class Parameter:
    """A constructor argument: its value in each use by the use's identity, and its default if it has one."""

    name: str
    values: dict[tuple[int, str], Any]
    default: Any = REQUIRED
    sizes: bool = False
    """Whether it takes one number in place of a tuple of equal ones."""
    spec_name: str = ""
    """The parameter of the spec's block that it is, if it is one."""
    channels_of: int | None = None
    """The input whose channels it is, if it is that."""
    stands_for: str = ""
    """What the spec has where this is a parameter of its own, since nothing else could say it."""
    listed: bool = False
    """Whether it is given as a list, where its values are tuples here."""

    @override
    def __str__(self) -> str:
        """How the parameter is declared."""
        if self.default is REQUIRED:
            return f"{self.name}: {self.type}"
        if self._is_made:
            return f"{self.name}: {self.type} | None = None"
        return f"{self.name}: {self.type} = {literal(self.default)}"

    @property
    def _is_made(self) -> bool:
        """Whether the default is made of others, or by a call: the body then says what it is."""
        if isinstance(self.default, Maker):
            return self.default.text.startswith("partial(")
        return isinstance(self.default, Code) and not is_literal(self.default.text)

    @property
    def type(self) -> str:
        """The annotation: ``int``, ``tuple[int, int]``, several of these, or ``type[nn.Module]``."""
        makers = {value.type for value in self.values.values() if isinstance(value, Maker)}
        blocks = {value.makes for value in self.values.values() if isinstance(value, Maker)} - {""}
        if blocks:
            return f"Callable[..., {' | '.join(sorted(blocks))}]"
        if makers:
            return min(makers)  # a class is callable too: ``Callable`` comes before ``type``
        tuples = [value for value in self.values.values() if isinstance(value, tuple)]
        lengths = {len(value) for value in tuples}
        inner = sorted({type(item).__name__ for value in tuples for item in value})
        if self.listed:
            return f"list[{' | '.join(inner)}]"
        several = f"tuple[{' | '.join(inner)}, ...]"
        kinds = {
            type(value).__name__
            if not isinstance(value, tuple)
            else several
            if len(lengths) > 1 or len(inner) > 1
            else f"tuple[{', '.join(inner * len(value))}]"
            for value in self.values.values()
            if not (self.sizes and len(set(value)) == 1)
        }
        if self.sizes and any(len(set(value)) == 1 for value in self.values.values()):
            return " | ".join(["int", *sorted(kinds)])
        return " | ".join(sorted(kinds - {"int"} if "float" in kinds else kinds))


@dataclass(slots=True)
class Call:
    """A resolved constructor call: argument texts, with names where they are given by name.

    ``makes`` is the class of what it makes: the callee, unless that is an argument of the definition.
    """

    callee: str
    arguments: list[tuple[str | None, str]]
    makes: str
    helper: str | None = None

    def text(self, extra: Iterable[str] = ()) -> str:
        parts = [value if name is None else f"{name}={value}" for name, value in self.arguments]
        return f"{self.callee}({', '.join([*parts, *extra])})"


@dataclass(slots=True)
class Expression:
    """A resolved formula."""

    pattern: str
    values: dict[str, str]
    loose: bool
    helper: str | None

    def text(self, inputs: Sequence[str]) -> str:
        fields = {str(position): value for position, value in enumerate(inputs)}
        fields |= self.values | {"all": ", ".join(inputs)}
        return re.sub(r"\{(\w+)\}", lambda match: fields[match.group(1)], self.pattern)


@dataclass(slots=True)
class ResolvedStage:
    module: Call | None
    formula: Expression | None
    suffix: str
    attribute: bool


@dataclass(slots=True)
class Step:
    """A statement of the generated forward pass.

    ``apply`` has stages (a layer), a routine with arguments (a block), or a body (a group printed in place).
    ``choice`` has a test and two bodies, ``repeat`` variables, what they run over and a body.  ``alias`` gives a value
    another variable.
    """

    kind: Literal["apply", "choice", "repeat", "alias"]
    functional: bool = False
    """Whether the step is an expression of its inputs alone, which needs no name."""
    label: str = ""
    label_is_pattern: bool = False
    named: bool = False
    node: Node | None = None
    path: str = ""
    stages: list[ResolvedStage] = field(default_factory=list)
    finisher: bool = False
    routine: Routine | None = None
    given: str = ""
    """The parameter that makes the block, where uses of the definition around it have several."""
    variable: str = ""
    """A name of the constructor for what the step makes, where something there asks for its channels."""
    arguments: list[tuple[str, str]] = field(default_factory=list)
    """What a block is given, by its parameters' names; without a name it is by place."""
    bodies: list[list[Step]] = field(default_factory=list)
    copies: list[tuple[str, str]] = field(default_factory=list)
    """Variables that a choice may change, set before it: name and source."""
    test: str = ""
    flag: str = ""
    iterable: str = ""
    """What a loop runs over: ``range(depth)``, ``enumerate(widths, 1)``."""
    targets: str = ""
    """The variables of a loop: ``i``, ``i, (width, depth)``."""
    carried: list[tuple[str, str, str]] = field(default_factory=list)
    """Numbers that a loop of the constructor takes from turn to turn: a name, what it is at first and after a turn.

    Either text is empty where a loop around this one, or inside it, says so.
    """
    accumulated: set[str] = field(default_factory=set)
    """Those of them that the spec itself takes from turn to turn."""
    inputs: list[str] = field(default_factory=list)
    outputs: list[str] = field(default_factory=list)
    used: bool = True
    """Whether anything reads a result."""
    feeds_next: bool = False
    shapes: tuple[Shape, ...] = ()
    """The results' shapes, where every use has the same."""
    auxiliary: bool = False
    hint: str = ""
    """A name for the result where the spec gave none: that of the group around it."""

    def beginnings(self) -> list[str]:
        """The statements before a loop for what it takes from turn to turn."""
        return [f"{name} = {first}" for name, first, _ in self.carried if first and first != name]

    def changes(self) -> list[str]:
        """Those at the end of its turns."""
        found = []
        for name, _, then in self.carried:
            if not then or then == name:
                continue
            made: ast.expr = ast.parse(then, mode="eval").body
            added: list[str] = []
            while isinstance(made, ast.BinOp) and isinstance(made.op, ast.Add):
                added.insert(0, ast.unparse(made.right))
                made = made.left
            grows = added and ast.unparse(made) == name
            found.append(f"{name} += {' + '.join(added)}" if grows else f"{name} = {then}")
        return found


@dataclass(slots=True)
class Routine:
    """A definition of the generated file: a block, a group that needs one, or the model."""

    name: str
    parameters: list[Parameter]
    locals: list[tuple[str, str]]
    inputs: list[str]
    outputs: list[str]
    body: list[Step]
    uses: list[tuple[int, Piece]]
    example: str
    """Shapes of the first use: ``64x56x56 -> 256x56x56``."""
    channels: list[tuple[str, str]] = field(default_factory=list)
    """Names for channels that the body uses, with their inputs, where the target reads them from the values."""
    copies: list[tuple[str, str]] = field(default_factory=list)
    """Variables that begin as an input of the model and change: name and input."""
    output_channels: list[Translated | None] = field(default_factory=list)
    """The channels of its results, in terms of its parameters."""
    comment: str = ""
    """What the spec says above the block."""
    is_block: bool = False
    """Whether it is a block of the spec, rather than a group or the model."""
    narrow: bool = False
    """Whether some arguments that the spec's block takes are not right here."""
    told_channels: str = ""
    """What objects of it have as ``out_channels``, for those that are given one and do not know which."""

    def described(self, used: str) -> str:
        """The docstring: what the spec says, where the definition is used, and what it is not."""
        own = [
            f"`{p.name}`: `{p.stands_for}`, which the spec computes."
            if p.stands_for
            else f"`{p.name}`: no parameter of the spec's block, which computes it."
            for p in self.parameters
            if not p.spec_name and p.channels_of is None and self.is_block
        ]
        warning = "Right for the uses in this file, not for all arguments that the spec's block takes."
        return "\n\n".join(filter(None, [self.comment, used, *own, warning if self.narrow else ""]))

    def helpers(self, shown: Container[int]) -> set[str]:
        """Helpers that are handed to it as arguments in these graphs, or are so by default."""
        values = [
            value for parameter in self.parameters for (graph, _), value in parameter.values.items() if graph in shown
        ]
        values += [parameter.default for parameter in self.parameters]
        return {value.helper for value in values if isinstance(value, Maker) and value.helper is not None}


def stated_defaults(parameters: Iterable[Parameter]) -> list[str]:
    """Statements that give parameters their defaults where the declaration cannot."""
    return [
        line
        for parameter in parameters
        if str(parameter).endswith("| None = None")
        for line in (f"if {parameter.name} is None:", f"    {parameter.name} = {literal(parameter.default)}")
    ]


def needed(names: Sequence[tuple[str, str]], lines: Iterable[str]) -> list[tuple[str, str]]:
    """Of local names in order, each with the text of its value, those that the lines of code need.

    A name can be several, with commas.
    """
    kept: list[tuple[str, str]] = []
    code = "\n".join(lines)
    for name, text in reversed(names):
        if re.search(rf"\b(?:{'|'.join(name.split(', '))})\b", code):
            kept.insert(0, (name, text))
            code += f"\n{text}"
    return kept


@dataclass(slots=True)
class Derived:
    """A model of a file that is another one with these arguments: a function that makes it.

    ``parameters`` are declarations, ``carried`` their names in the spec, and ``arguments`` the texts of what the other
    one is given, by name where they have one.
    """

    name: str
    graph: Graph
    parameters: list[str]
    carried: list[str]
    arguments: list[tuple[str | None, str]]


@dataclass(slots=True)
class Model:
    """The definition of a model, or of one that others of its file derive from."""

    graph: Graph
    """The model; where that needs arguments, the first of those that derive from it."""
    routine: Routine
    carried: list[str]
    """The graph's own parameters that the generated code takes."""
    derived: list[Derived] = field(default_factory=list)

    @property
    def graphs(self) -> list[Graph]:
        """All models that this is the definition of."""
        return [self.graph, *(one.graph for one in self.derived if one.graph is not self.graph)]


@dataclass(slots=True)
class Plan:
    """Everything an emitter prints: definitions in order of use, models last."""

    routines: list[Routine]
    models: list[Model]
    shown: dict[int, Graph]
    """The models themselves by the numbers that uses of definitions have; other numbers are other values of theirs."""
    twins: dict[int, Node]
    """The layers that others were found to be as, which alone were looked at, by the identity of the others."""

    @property
    def graph(self) -> Graph:
        """The first model."""
        return self.models[0].graph

    @property
    def is_family(self) -> bool:
        """Whether there are several models."""
        return len(self.shown) > 1

    def entry(self, graph: Graph) -> tuple[str, dict[str, str]]:
        """What makes a model, and its parameters that are arguments of that: by their names in the spec."""
        for model in self.models:
            for derived in model.derived:
                if derived.graph is graph:
                    return derived.name, {name: safe(name) for name in derived.carried}
            if model.graph is graph:
                names = {one.spec_name: one.name for one in model.routine.parameters}
                return model.routine.name, {name: names[name] for name in model.carried}
        raise LookupError(graph.name)

    def first_use(self, routine: Routine) -> tuple[Graph, Piece, str] | None:
        """Where a definition is used first, and the words for it; None where only other values use it."""
        own = [(self.shown[graph], use) for graph, use in routine.uses if graph in self.shown]
        if not own:
            return None
        graph, use = own[0]
        where = f"at `{use.path}`{f' of {graph.name}' if self.is_family else ''}"
        return graph, use, where if len(own) == 1 else f"{where}, the first of {len(own)} uses"
