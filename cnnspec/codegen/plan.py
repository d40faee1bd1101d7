"""From concrete graphs to general code: what a block's uses share is written once, what differs becomes an argument.

The planner looks at every use of a block, in the model itself and in *probes* (expansions of the same spec with other
values of the model's parameters), and lays them beside each other part by part.  A number that is the same in every
use is a literal.  One that differs is explained, in this order, by a block parameter of the spec, by a name that the
block binds, by a simple expression of these (a product, a quotient, an arithmetic progression over a loop), or else
becomes a constructor argument of its own.  An ``if`` that all uses decide alike disappears.  Every expression is
checked against every use, so the code computes for each of them exactly what the graph says.
"""

from __future__ import annotations

import itertools
import re
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

from typing_extensions import override

from cnnspec.codegen.emission import REQUIRED, Argument, Code, Construct, Emission, Formula, Place
from cnnspec.codegen.naming import class_name, safe
from cnnspec.codegen.pieces import Piece, pieces, produced
from cnnspec.graph import Graph, Loop, Node, Scope, Turn
from cnnspec.shapes import Shape, show

Values = dict[int, Any]
"""A value for each context of a body."""


class Differ(Exception):
    """Uses of a block that one piece of code cannot serve."""


class Restart(Exception):
    """A loop must be written out; planning starts again."""

    def __init__(self, loop: object) -> None:
        super().__init__(loop)
        self.loop = loop


class Dialect(ABC):
    """What the planner must know of a target."""

    implicit_channels: bool
    """Whether the channels of an input are a constructor parameter (PyTorch) or read from the value (Keras)."""

    one_scope: bool
    """Whether the arguments of a definition and the variables of its forward pass are names of one function (Keras)."""
    helpers: frozenset[str]
    """The names of definitions that a file may bring along."""

    @abstractmethod
    def name(self, definition: str) -> str:
        """What a block's definition is called."""

    @abstractmethod
    def model_name(self, name: str) -> str:
        """What the definition of the model is called."""

    @abstractmethod
    def describe(self, places: Sequence[Place]) -> list[Emission]:
        """What one layer becomes in each of its uses."""

    @abstractmethod
    def inlines(self, uses: Sequence[tuple[Graph, Piece]]) -> bool:
        """Whether a group is printed in place, rather than as a definition of its own."""

    @abstractmethod
    def opaque(self) -> bool:
        """Whether a group printed in place is one object that values pass through whole."""


# ---- what the planner gives ----------------------------------------------------------------------------------------


@dataclass(slots=True)
class Parameter:
    """A constructor argument: its value in each use by the use's identity, and its default if it has one."""

    name: str
    values: dict[tuple[int, str], Any]
    default: Any = REQUIRED

    @property
    def type(self) -> str:
        """The annotation: ``int``, ``tuple[int, int]``, or several of these."""
        kinds = {
            f"tuple[{', '.join(['int'] * len(value))}]" if isinstance(value, tuple) else type(value).__name__
            for value in self.values.values()
        }
        return " | ".join(sorted(kinds - {"int"} if "float" in kinds else kinds))


@dataclass(slots=True)
class Call:
    """A resolved constructor call: argument texts, with names where they are given by name."""

    callee: str
    arguments: list[tuple[str | None, str]]
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
    ``choice`` has a test and two bodies, ``repeat`` a variable, a count and a body.
    """

    kind: Literal["apply", "choice", "repeat"]
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
    arguments: list[tuple[str, str]] = field(default_factory=list)
    bodies: list[list[Step]] = field(default_factory=list)
    copies: list[tuple[str, str]] = field(default_factory=list)
    """Variables that a choice may change, set before it: name and source."""
    test: str = ""
    flag: str = ""
    count: str = ""
    variable: str = ""
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


@dataclass(slots=True)
class Plan:
    """Everything an emitter prints: definitions in order of use, the model last."""

    graph: Graph
    routines: list[Routine]
    model: Routine
    carried: list[str]
    """The model's parameters that the generated code takes."""


# ---- laying uses beside each other ---------------------------------------------------------------------------------


@dataclass(slots=True)
class Slot:
    """One part of a body in all its uses; ``pieces`` has None where a use does not have it."""

    kind: Literal["node", "scope", "branch", "loop"]
    key: tuple[object, ...]
    pieces: dict[int, Piece]
    bodies: list[Body] = field(default_factory=list)
    emissions: dict[int, Emission] = field(default_factory=dict)
    sides: dict[int, int] = field(default_factory=dict)
    """For a branch: the body that each context takes."""


@dataclass(slots=True)
class Body:
    """A body in all its uses.

    ``contexts`` lists them; ``parent`` maps each to its context in the surrounding body, ``turn`` to its turn if the
    body is a loop's, and ``graph`` to its graph.
    """

    contexts: list[int]
    graph: dict[int, int]
    slots: list[Slot] = field(default_factory=list)
    outer: Body | None = None
    parent: dict[int, int] = field(default_factory=dict)
    turn: dict[int, int] | None = None
    variable: str = ""
    positional: bool = False
    """Whether its parts, none of which has a name of its own, are known by their place alone."""


def align(sequences: dict[int, list[Piece]]) -> list[Slot]:
    """Merge the parts of several uses into one sequence, equal parts together."""
    order: list[tuple[object, ...]] = []
    places: set[tuple[object, ...]] = set()
    for sequence in sequences.values():
        position = 0
        for piece in sequence:
            if piece.key in places:
                position = (
                    order.index(piece.key) + 1 if piece.key not in order[position : position + 1] else position + 1
                )
            else:
                order.insert(position, piece.key)
                places.add(piece.key)
                position += 1
    slots = {key: Slot(kind="node", key=key, pieces={}) for key in order}
    for context, sequence in sequences.items():
        for piece in sequence:
            slot = slots[piece.key]
            if context in slot.pieces:
                raise Differ("one place of the spec twice in a body")
            slot.kind = piece.kind
            slot.pieces[context] = piece
    return [slots[key] for key in order]


class Names:
    """Explains values of one routine by its parameters and names."""

    def __init__(
        self,
        uses: Sequence[tuple[int, Piece]],
        channels: Sequence[tuple[str, Values]],
        reserved: set[str],
        carried: Sequence[str] | None,
    ) -> None:
        """``channels`` are varying channels of inputs with wished names, ``carried`` is given for the model."""
        self.uses = uses
        self.model = carried is not None
        self.reserved = reserved
        self.implicit: dict[str, Values] = {}
        self.arguments: dict[str, Values] = {}
        self.spec_locals: dict[str, Values] = {}
        self.used: dict[str, Values] = {}
        self.defined: dict[str, str] = {}
        self.tests: list[tuple[str, Values]] = []
        self.counters: set[str] = set()
        """The variables of loops."""
        self.open_loops: list[str] = []
        """Those of the loops that are being planned."""
        scopes = [piece.scope for _, piece in uses]
        if all(scope is not None for scope in scopes):
            known = [scope for scope in scopes if scope is not None]
            if carried is not None:
                for name in carried:
                    self.arguments[self.fresh(safe(name))] = {i: s.arguments[name] for i, s in enumerate(known)}
            else:
                for name, values in self._varying([scope.arguments for scope in known]):
                    self.arguments[self.fresh(safe(name))] = values
                counters = {name for _, piece in uses for name in _loop_variables(piece.body)}
                for name, values in self._varying([scope.names for scope in known]):
                    if name in counters:
                        continue
                    self.spec_locals[self.fresh(safe(name))] = values
        for name, values in channels:
            self.implicit[self.fresh(name)] = values

    @staticmethod
    def _varying(named: list[dict[str, Any]]) -> list[tuple[str, Values]]:
        found = []
        for name in named[0]:
            if all(name in one for one in named):
                values = _compact({i: one[name] for i, one in enumerate(named)})
                if len({(type(v), v) for v in values.values()}) > 1 and all(
                    isinstance(v, bool | int | float) or (isinstance(v, tuple) and all(type(size) is int for size in v))
                    for v in values.values()
                ):
                    found.append((name, values))
        return found

    @property
    def all(self) -> set[str]:
        """Every name that means something in the constructor."""
        return {*self.arguments, *self.implicit, *self.spec_locals, *self.used, *self.defined, *self.counters}

    def fresh(self, wish: str) -> str:
        """A name like this one that means nothing yet."""
        name, number = wish, 2
        while name in self.all or name in self.reserved:
            name = f"{wish}_{number}"
            number += 1
        return name

    @contextmanager
    def counter(self) -> Iterator[str]:
        """A variable for a loop, to be used again once the loop is over."""
        letters = (letter + number for number in ("", *map(str, range(2, 100))) for letter in "ijklmn")
        taken = {
            *self.arguments,
            *self.implicit,
            *self.spec_locals,
            *self.used,
            *self.defined,
            *self.reserved,
            *self.open_loops,
        }
        name = next(name for name in letters if name not in taken)
        self.counters.add(name)
        self.open_loops.append(name)
        try:
            yield name
        finally:
            self.open_loops.pop()

    def use(self, name: str) -> str:
        self.used[name] = {**self.arguments, **self.implicit, **self.used}[name]
        return name

    def candidates(self) -> dict[str, Values]:
        return {**self.arguments, **self.implicit, **self.used}

    def given(self, values: Values) -> str | None:
        """The parameter that has these values, if there is one."""
        for name, has in self.candidates().items():
            if values and _equal(has, values):
                return self.use(name)
        return None

    def namesake(self, values: Values, hint: str) -> str | None:
        """The varying parameter of an argument's own name, where the uses that have it agree: a branch's `stride`."""
        for name, has in self.arguments.items():
            if name in hint and values and len(values) < len(self.uses) and _equal(has, values):
                return self.use(name)
        return None

    def explain(self, values: Values, hint: str) -> str:
        """The text of an expression with these values."""
        if all(isinstance(value, bool) for value in values.values()):
            return self._condition(values, hint)
        known = self.given(values)
        if known is not None:
            return known
        if self.model:
            text = self._multiple(values, self.arguments)
            if text is None:
                raise Differ("the model's parameters do not explain this")
            return text
        for name, has in self.spec_locals.items():
            if _equal(has, values):
                return self._local(name, has)
        text = self._expression(values) or self._by_test(values)
        return text if text is not None else self._new(values, hint)

    def _by_test(self, values: Values) -> str | None:
        """A number that an earlier condition decides, such as the position of what follows an optional layer."""
        for test, truth in self.tests:
            if not all(type(value) is int and i in truth for i, value in values.items()):
                continue
            yes = {value for i, value in values.items() if truth[i]}
            no = {value for i, value in values.items() if not truth[i]}
            if len(yes) != 1 or len(no) != 1:
                continue
            a, b = yes.pop(), no.pop()
            if a != b + 1:
                return f"({a} if {test} else {b})"
            number = f"int({test})"
            name = next((name for name, text in self.defined.items() if text == number), None) or self.fresh("shift")
            self.defined[name] = number
            return f"{name} + {b}" if b else name
        return None

    def _local(self, name: str, values: Values) -> str:
        if name in self.defined or name in self.used:
            return name
        numbers = not any(isinstance(value, bool) for value in values.values())
        text = self._expression(values) if numbers else self._predicate(values)
        if text is None:
            self.used[name] = values
        else:
            self.defined[name] = text
        return name

    def _new(self, values: Values, hint: str) -> str:
        if self.model:
            raise Differ("a model takes only its own parameters")
        name = self.fresh(safe(hint))
        common = max(values.values(), key=lambda value: sum(other == value for other in values.values()))
        self.used[name] = {i: values.get(i, common) for i in range(len(self.uses))}
        return name

    def _multiple(self, values: Values, known: dict[str, Values]) -> str | None:
        for name, has in known.items():
            pairs = [(has[i], value) for i, value in values.items()]
            if not all(type(a) is int and type(b) is int and a > 0 and b > 0 for a, b in pairs):
                continue
            if all(b % a == 0 for a, b in pairs) and len({b // a for a, b in pairs}) == 1:
                return f"{self.use(name)} * {pairs[0][1] // pairs[0][0]}"
            if not self.model and all(a % b == 0 for a, b in pairs) and len({a // b for a, b in pairs}) == 1:
                return f"{self.use(name)} // {pairs[0][0] // pairs[0][1]}"
        return None

    def _expression(self, values: Values) -> str | None:
        """A product or quotient of a parameter and a number, or of two parameters."""
        known = self.candidates()
        numbers = {n: h for n, h in known.items() if all(type(h[i]) is int and h[i] > 0 for i in values)}
        if not all(type(value) is int for value in values.values()):
            return None
        # Of a few uses many a number is the same by chance: there, what two parameters say is more likely meant.
        if len(values) == len(self.uses):
            text = self._multiple(values, known) or self._of_two(values, numbers)
        else:
            text = self._of_two(values, numbers) or self._multiple(values, known)
        if text is not None:
            return text
        for name, has in numbers.items():
            if len(set(values.values())) > 1 and all(has[i] // 2 == value for i, value in values.items()):
                return f"{self.use(name)} // 2"
        return None

    def _of_two(self, values: Values, numbers: dict[str, Values]) -> str | None:
        order = list(numbers)
        for one, a in numbers.items():
            for other, b in numbers.items():
                if order.index(one) < order.index(other) and all(a[i] * b[i] == value for i, value in values.items()):
                    return f"{self.use(one)} * {self.use(other)}"
                if one != other and all(a[i] % b[i] == 0 and a[i] // b[i] == value for i, value in values.items()):
                    return f"{self.use(one)} // {self.use(other)}"
        return None

    def _condition(self, values: Values, hint: str) -> str:
        for name, has in self.candidates().items():
            if _equal(has, values):
                return self.use(name)
        for name, has in self.spec_locals.items():
            if _equal(has, values):
                return self._local(name, has)
        for name, has in {**self.candidates(), **self.spec_locals}.items():
            if all(has[i] is (not value) for i, value in values.items()):
                inner = self.use(name) if name in self.candidates() else self._local(name, has)
                return f"not {inner}"
        return self._predicate(values) or self._new(values, hint)

    def _predicate(self, values: Values) -> str | None:
        """A comparison of a parameter with 0 or 1, or of two parameters or names."""
        if self.model:
            return None
        whole = {n: h for n, h in self.candidates().items() if all(type(h[i]) is int for i in values)}
        for name, has in whole.items():
            if name in self.implicit:
                continue
            for constant in (1, 0):
                if all((has[i] == constant) == value for i, value in values.items()):
                    return f"{self.use(name)} == {constant}"
                if all((has[i] != constant) == value for i, value in values.items()):
                    return f"{self.use(name)} != {constant}"
        more = {n: h for n, h in self.spec_locals.items() if all(type(h[i]) is int for i in values)}
        both = {**whole, **more}
        names = [*self.implicit, *(name for name in both if name not in self.implicit)]
        for position, one in enumerate(names):
            for other in names[position + 1 :]:
                if one not in both or other not in both:
                    continue
                same = {i: both[one][i] == both[other][i] for i in values}
                symbol = "==" if all(same[i] == v for i, v in values.items()) else "!="
                if symbol == "==" or all(same[i] != v for i, v in values.items()):
                    texts = [
                        self._local(n, more[n]) if n in more and n not in whole else self.use(n) for n in (one, other)
                    ]
                    return f"{texts[0]} {symbol} {texts[1]}"
        return None


def _by_position(body: Iterable[Piece]) -> bool:
    """Whether the parts of a body have no names but their numbers in it."""
    return all(
        piece.label.isdigit() and not piece.named
        if piece.kind in ("node", "scope")
        else _by_position(piece.body if piece.kind == "branch" else itertools.chain(*piece.turns))
        for piece in body
    )


def _loop_variables(body: Iterable[Piece]) -> Iterator[str]:
    for piece in body:
        for variables, turn in zip(piece.variables, piece.turns, strict=False):
            yield from variables
            yield from _loop_variables(turn)
        if piece.kind == "branch":
            yield from _loop_variables(piece.body)


def _compact(values: Values) -> Values:
    """Sizes such as 3x3 as one number, where all uses allow it; else as one for each axis in all of them."""
    sizes = [
        value
        for value in values.values()
        if isinstance(value, tuple) and value and all(type(size) is int for size in value)
    ]
    if not sizes or not all(type(value) is int or value in sizes for value in values.values()):
        return values
    if all(len(set(size)) == 1 for size in sizes):
        return {i: value[0] if isinstance(value, tuple) else value for i, value in values.items()}
    rank = len(sizes[0])
    return {i: value if isinstance(value, tuple) else (value,) * rank for i, value in values.items()}


def _equal(has: Values, values: Values) -> bool:
    return all(type(has[i]) is type(value) and has[i] == value for i, value in values.items())


# ---- planning ------------------------------------------------------------------------------------------------------


def plan(graph: Graph, probes: Sequence[Graph], dialect: Dialect) -> Plan:
    """The general form of a graph.

    ``probes`` vary one parameter each; a parameter that changes nothing but what can be explained is carried.
    """
    by_parameter: dict[str, list[Graph]] = {}
    for probe in probes:
        changed = [name for name, value in probe.parameters.items() if graph.parameters.get(name) != value]
        if len(changed) == 1:
            by_parameter.setdefault(changed[0], []).append(probe)
    carried: list[str] = []
    used: list[Graph] = [graph]
    best = _plan([graph], [], dialect)
    for name, some in by_parameter.items():
        try:
            attempt = _plan([*used, *some], [*carried, name], dialect)
        except Differ:
            continue
        if not any(parameter.name == safe(name) for parameter in attempt.model.parameters):
            continue
        carried.append(name)
        used += some
        best = attempt
    return best


def _plan(graphs: list[Graph], carried: list[str], dialect: Dialect) -> Plan:
    unroll: set[object] = _loops_to_unroll(graphs)
    while True:
        planner = _Planner(graphs, carried, dialect, frozenset(unroll))
        try:
            return planner.run()
        except Restart as restart:
            unroll.add(restart.loop)


def _loops_to_unroll(graphs: Sequence[Graph]) -> set[object]:
    """Loops of few turns, with dotted labels, or in a numbered group of the model itself are written out."""
    counts: dict[object, set[int]] = {}
    dotted: set[object] = set()

    def visit(item: Any, loops: tuple[object, ...]) -> None:
        if isinstance(item, Node | Scope) and "." in item.label:
            dotted.update(loops)
        if isinstance(item, Loop):
            counts.setdefault(item.span, set()).add(len(item.turns))
            loops = (*loops, item.span)
            for turn in item.turns:
                for inner in turn.body:
                    visit(inner, loops)
        elif not isinstance(item, Node | Turn):
            inside = () if isinstance(item, Scope) else loops
            for inner in item.body:
                visit(inner, inside)

    for graph in graphs:
        visit(graph.root, ())
    return dotted | {loop for loop, seen in counts.items() if len(seen) == 1 and max(seen) <= 3}


def skeleton(label: str) -> tuple[str, ...]:
    """A label without its numbers."""
    return tuple(re.split(r"\d+", label))


class _Planner:
    def __init__(self, graphs: list[Graph], carried: list[str], dialect: Dialect, unroll: frozenset[object]) -> None:
        self.graphs = graphs
        self.carried = carried
        self.dialect = dialect
        self.roots = [pieces(graph, unroll) for graph in graphs]
        self.instances: dict[object, list[tuple[int, Piece]]] = {}
        self.routines: dict[object, list[Routine]] = {}
        self.owner: dict[tuple[int, str], Routine] = {}
        self.order: list[Routine] = []
        self.names_taken: set[str] = set()
        self.reserved: set[str] = set()

    def run(self) -> Plan:
        for number, root in enumerate(self.roots):
            self._collect(number, root.body)
        model_name = self.dialect.model_name(self.graphs[0].name)
        self.names_taken = {model_name, *self.dialect.helpers}
        definitions = [uses[0][1] for uses in self.instances.values() if self.is_routine(uses[0][1])]
        self.reserved = {model_name, *self.dialect.helpers, *map(self._wished_name, definitions)}
        uses = list(enumerate(self.roots))
        try:
            model = self._routine(model_name, uses, model=True)
        except Differ:
            self._write_out_loops(uses)
            raise
        return Plan(self.graphs[0], self.order, model, self.carried)

    def _collect(self, graph: int, body: Iterable[Piece]) -> None:
        for piece in body:
            if piece.kind == "scope":
                self.instances.setdefault(self._definition(piece), []).append((graph, piece))
            self._collect(graph, piece.body)
            for turn in piece.turns:
                self._collect(graph, turn)

    @staticmethod
    def _definition(piece: Piece) -> object:
        if piece.definition:
            return piece.definition
        return ("group", piece.scope.origin) if piece.scope is not None else piece.key

    def _wished_name(self, piece: Piece) -> str:
        return self.dialect.name(piece.definition or class_name(piece.label))

    def is_routine(self, piece: Piece) -> bool:
        if piece.definition:
            return True
        return not self.dialect.inlines(
            [(self.graphs[graph], use) for graph, use in self.instances[self._definition(piece)]]
        )

    # -- routines

    def routine_of(self, graph: int, piece: Piece) -> Routine:
        """The routine that serves a use of a block, planned now if it is not yet."""
        key = self._definition(piece)
        if key not in self.routines:
            uses = self.instances[key]
            wish = self._wished_name(piece)
            name = self._unique(wish)
            self.routines[key] = []
            made = self._together(uses)
            for number, routine in enumerate(made):
                routine.name = name if number == 0 else self._unique(wish)
            self.routines[key] = made
            for routine in made:
                self.order.append(routine)
                for number, use in routine.uses:
                    self.owner[number, use.path] = routine
        return self.owner[graph, piece.path]

    def _unique(self, name: str) -> str:
        number, result = 2, name
        while result in self.names_taken or (result != name and result in self.known_names):
            result = f"{name}{number}"
            number += 1
        self.names_taken.add(result)
        self.reserved.add(result)
        return result

    @cached_property
    def known_names(self) -> set[str]:
        """Every name of the spec: what a definition of a made-up name must not be called."""
        found = set(self.reserved)
        for root in self.roots:
            waiting = [root]
            while waiting:
                piece = waiting.pop()
                waiting += [*piece.body, *(part for turn in piece.turns for part in turn)]
                if piece.scope is not None:
                    scope = piece.scope
                    found.update(scope.arguments, scope.names, scope.input_names, (name for name, _ in scope.bindings))
        return found

    def _together(self, uses: list[tuple[int, Piece]]) -> list[Routine]:
        """The definitions of a block: one for all uses, for those of each structure, or for those that are equal."""
        try:
            return [self._routine("", uses)]
        except Differ:
            for exact in (False, True):
                groups: dict[object, list[tuple[int, Piece]]] = {}
                for graph, use in uses:
                    inner = self._inside(graph, use, exact)
                    groups.setdefault((len(use.inputs), len(use.outputs), inner), []).append((graph, use))
                if len(groups) > 1:
                    return [routine for group in groups.values() for routine in self._together(group)]
            self._write_out_loops(uses)
            raise

    @staticmethod
    def _write_out_loops(uses: Sequence[tuple[int, Piece]]) -> None:
        """Start again with the loops of a body written out, if there are any."""
        for _, use in uses:
            waiting = list(use.body)
            while waiting:
                piece = waiting.pop()
                if piece.kind == "loop":
                    raise Restart(piece.key[1])
                if piece.kind == "branch":
                    waiting += piece.body

    def _inside(self, graph: int, use: Piece, exact: bool) -> object:
        shapes = tuple(self.graphs[graph].values[value] for value in use.inputs) if exact else ()
        return shapes, tuple(self._signature(part, exact) for part in use.body)

    def _signature(self, piece: Piece, exact: bool) -> object:
        """What uses must share to have one definition whatever their numbers, or if ``exact`` all that can differ."""
        label = piece.label if exact else skeleton(piece.label)
        match piece.kind:
            case "node":
                assert piece.node is not None
                return (
                    repr(piece.node.layer) if exact else piece.node.layer.kind,
                    label,
                    len(piece.inputs),
                    len(piece.outputs),
                )
            case "branch":
                return piece.key, piece.taken, tuple(self._signature(p, exact) for p in piece.body)
            case "loop":
                return tuple(tuple(self._signature(p, exact) for p in turn) for turn in piece.turns)
            case "scope":
                inner = tuple(self._signature(p, exact) for p in piece.body)
                return piece.definition, label, len(piece.inputs), len(piece.outputs), inner

    def _routine(self, name: str, uses: list[tuple[int, Piece]], *, model: bool = False) -> Routine:
        first = uses[0][1]
        if len({(len(piece.inputs), len(piece.outputs)) for _, piece in uses}) > 1:
            raise Differ("uses with other numbers of inputs or outputs")
        contexts = list(range(len(uses)))
        body = Body(contexts, {i: graph for i, (graph, _) in enumerate(uses)})
        self._fill(body, {i: piece.body for i, (_, piece) in enumerate(uses)})
        input_names = self._input_names(first)
        channels: list[tuple[str, Values]] = []
        owners: list[str] = []
        for position, input_name in enumerate(input_names):
            shapes = {i: self.graphs[graph].values[piece.inputs[position]] for i, (graph, piece) in enumerate(uses)}
            channel_name = "in_channels" if len(input_names) == 1 else f"{input_name}_channels"
            values = {i: shape[0] for i, shape in shapes.items()}
            if all(type(value) is int for value in values.values()) and len(set(values.values())) > 1 and not model:
                channels.append((channel_name, values))
                owners.append(input_name)
        reserved = self.reserved | set(input_names) if self.dialect.one_scope else self.reserved
        names = Names(uses, channels, reserved, self.carried if model else None)
        sources = dict(zip(names.implicit, owners, strict=True))
        flow = _Flow(body, uses, input_names, self)
        steps = self._steps(body, names, flow)
        taken = names.counters | self.reserved
        if self.dialect.one_scope:
            taken |= {*names.used, *names.defined, *names.implicit}
        outputs = flow.results(taken)
        spec_order = [*names.implicit, *names.arguments]
        parameters = []
        read = []
        for parameter in sorted(names.used, key=lambda n: spec_order.index(n) if n in spec_order else len(spec_order)):
            if parameter in names.implicit and not self.dialect.implicit_channels:
                read.append((parameter, sources[parameter]))
                continue
            values = names.used[parameter]
            by_use = {(graph, piece.path): values[i] for i, (graph, piece) in enumerate(uses)}
            default = values[0] if model else REQUIRED if parameter in names.implicit else self._default(by_use)
            parameters.append(Parameter(parameter, by_use, default))
        parameters.sort(key=lambda parameter: parameter.default is not REQUIRED)
        shapes_in = ", ".join(show(self.graphs[uses[0][0]].values[value]) for value in first.inputs)
        shapes_out = ", ".join(show(self.graphs[uses[0][0]].values[value]) for value in first.outputs)
        return Routine(
            name,
            parameters,
            list(names.defined.items()),
            flow.input_names,
            outputs,
            steps,
            uses,
            f"{shapes_in} -> {shapes_out}",
            read,
            flow.beginnings,
        )

    @staticmethod
    def _default(values: dict[tuple[int, str], Any]) -> Any:
        """A plain value that half of the uses have makes a default."""
        for plain in (1, False, 0):
            same = sum(type(value) is type(plain) and value == plain for value in values.values())
            if same * 2 >= len(values) or (plain is False and same):
                return plain
        return REQUIRED

    def _input_names(self, piece: Piece) -> list[str]:
        """Names for the inputs: the spec's, and ``x``, ``y`` ... for values that a group uses without taking them."""
        scope = piece.scope
        wishes = [safe(name) for name in scope.input_names] if scope is not None else []
        others = set(map(safe, scope.arguments)) if scope is not None and self.dialect.one_scope else set()
        extra = ("x", "y", "z", *(f"x{i}" for i in range(2, 3 * len(piece.inputs) + len(others) + 3)))
        names: list[str] = []
        for position in range(len(piece.inputs)):
            wish = wishes[position] if position < len(wishes) else ""
            if not wish or wish in names or wish in self.reserved or wish in others:
                taken = {*names, *wishes, *others, *self.reserved}
                wish = next(name for name in extra if name not in taken)
            names.append(wish)
        return names

    # -- structure

    def _fill(self, body: Body, sequences: dict[int, list[Piece]]) -> None:
        body.slots = align(sequences)
        for slot in body.slots:
            whole = len(slot.pieces) == len(body.contexts)
            match slot.kind:
                case "node":
                    if not whole:
                        raise Differ("a layer that not every use has")
                    self._describe(slot, body)
                case "scope":
                    if not whole:
                        raise Differ("a block that not every use has")
                    some = next(iter(slot.pieces.values()))
                    if not self.is_routine(some):
                        inner = Body(
                            list(body.contexts), dict(body.graph), outer=body, parent={c: c for c in body.contexts}
                        )
                        inner.positional = self.dialect.opaque() and all(
                            _by_position(piece.body) for piece in slot.pieces.values()
                        )
                        self._fill(inner, {c: piece.body for c, piece in slot.pieces.items()})
                        slot.bodies = [inner]
                case "branch":
                    slot.sides = self._sides(slot, body)
                    for side in (0, 1):
                        takers = [c for c in body.contexts if slot.sides[c] == side]
                        inner = Body(
                            takers, {c: body.graph[c] for c in takers}, outer=body, parent={c: c for c in takers}
                        )
                        inner.positional = body.positional
                        self._fill(inner, {c: slot.pieces[c].body if c in slot.pieces else [] for c in takers})
                        slot.bodies.append(inner)
                case "loop":
                    self._fill_loop(slot, body)

    @staticmethod
    def _sides(slot: Slot, body: Body) -> dict[int, int]:
        """Which side of a choice each use takes; those that do nothing there take one on which nothing must be done."""
        sides = {c: piece.taken for c, piece in slot.pieces.items()}
        if len(sides) < len(body.contexts):
            parts: tuple[list[Piece], list[Piece]] = ([], [])
            for piece in slot.pieces.values():
                parts[piece.taken].extend(piece.body)
            idle = [side for side in (1, 0) if all(part.kind in ("branch", "loop") for part in parts[side])]
            if not idle:
                raise Differ("a choice of which some uses have neither side")
            sides |= {c: min(idle, key=lambda side: len(parts[side])) for c in body.contexts if c not in sides}
        return sides

    def _fill_loop(self, slot: Slot, body: Body) -> None:
        inner = Body([], {}, outer=body, turn={}, positional=body.positional)
        sequences = {}
        assert inner.turn is not None
        for context, piece in slot.pieces.items():
            for turn, one in enumerate(piece.turns):
                number = len(inner.contexts)
                inner.contexts.append(number)
                inner.graph[number] = body.graph[context]
                inner.parent[number] = context
                inner.turn[number] = turn
                sequences[number] = one
        try:
            self._fill(inner, sequences)
        except Differ:
            raise Restart(slot.key[1]) from None
        slot.bodies = [inner]

    def _describe(self, slot: Slot, body: Body) -> None:
        places = []
        for context in body.contexts:
            node = slot.pieces[context].node
            assert node is not None
            values = self.graphs[body.graph[context]].values
            places.append(Place(node, tuple(values[v] for v in node.inputs), tuple(values[v] for v in node.outputs)))
        if len({type(place.node.layer) for place in places}) > 1:
            raise Differ("other layers in other uses")
        slot.emissions = dict(zip(body.contexts, self.dialect.describe(places), strict=True))

    # -- steps

    def _steps(self, body: Body, names: Names, flow: _Flow) -> list[Step]:
        steps = []
        for slot in body.slots:
            match slot.kind:
                case "node":
                    steps.append(self._node_step(slot, body, names, flow))
                case "scope":
                    steps.append(self._scope_step(slot, body, names, flow))
                case "branch":
                    steps += self._choice(slot, body, names, flow)
                case "loop":
                    steps.append(self._repeat(slot, body, names, flow))
        return steps

    def resolve(self, values: Values, body: Body, names: Names, hint: str) -> str:
        """The text of an expression that has these values in these contexts."""
        some = next(iter(values.values()))
        if all(type(value) is type(some) and value == some for value in values.values()):
            return names.namesake(self._outermost(values, body), hint) or literal(some)
        if isinstance(some, tuple | list):
            whole = names.given(self._outermost(values, body))
            if whole is not None:
                return whole
            if any(type(value) is not type(some) or len(value) != len(some) for value in values.values()):
                raise Differ("lists of other lengths")
            parts = [
                self.resolve({c: value[i] for c, value in values.items()}, body, names, f"{hint}_{i}")
                for i in range(len(some))
            ]
            inner = ", ".join(parts) + ("," if len(parts) == 1 and isinstance(some, tuple) else "")
            return f"({inner})" if isinstance(some, tuple) else f"[{inner}]"
        if all(isinstance(value, Construct) for value in values.values()):
            return self._call(list(values.values()), list(values), body, names, hint).text()
        if any(not isinstance(value, bool | int | float | str) for value in values.values()):
            raise Differ("values that no argument can carry")
        if body.outer is None:
            return names.explain(values, hint)
        outer: dict[int, list[Any]] = {}
        turns: dict[int, list[tuple[int, Any]]] = {}
        for context, value in values.items():
            outer.setdefault(body.parent[context], []).append(value)
            if body.turn is not None:
                turns.setdefault(body.parent[context], []).append((body.turn[context], value))
        if all(len({(type(v), v) for v in some_values}) == 1 for some_values in outer.values()):
            return self.resolve({c: v[0] for c, v in outer.items()}, body.outer, names, hint)
        if body.turn is None:
            raise Differ("values that change within one use")
        return self._over_turns(turns, body, names, hint)

    @staticmethod
    def _outermost(values: Values, body: Body) -> Values:
        """Values by use of the routine; empty where they change within one use."""
        while body.outer is not None:
            lifted: Values = {}
            for context, value in values.items():
                if lifted.setdefault(body.parent[context], value) != value:
                    return {}
            values, body = lifted, body.outer
        return values

    def _over_turns(self, turns: dict[int, list[tuple[int, Any]]], body: Body, names: Names, hint: str) -> str:
        """A value that changes from turn to turn: an arithmetic progression, or another first one and then a rule."""
        assert body.outer is not None
        i = body.variable
        if all(type(value) is bool for points in turns.values() for _, value in points):
            for test, truth in ((f"{i} == 0", True), (f"{i} != 0", False)):
                if all(value == ((turn == 0) is truth) for points in turns.values() for turn, value in points):
                    return test
            raise Differ("a choice that follows no rule over the turns of a loop")
        text = self._progression(turns, body, names, hint)
        if text is not None:
            return text
        firsts = {c: points[0][1] for c, points in turns.items() if points[0][0] == 0}
        rests = {c: [point for point in points if point[0] > 0] for c, points in turns.items()}
        rests = {c: points for c, points in rests.items() if points}
        if not firsts or not rests:
            raise Differ("values that follow no rule over the turns of a loop")
        if all(len({(type(value), value) for _, value in points}) == 1 for points in rests.values()):
            rest: str | None = self.resolve({c: points[0][1] for c, points in rests.items()}, body.outer, names, hint)
        else:
            rest = self._progression(rests, body, names, hint)
        if rest is None:
            raise Differ("values that follow no rule over the turns of a loop")
        first = self.resolve(firsts, body.outer, names, hint)
        return f"{_term(first)} if {i} == 0 else {_term(rest)}"

    def _progression(self, turns: dict[int, list[tuple[int, Any]]], body: Body, names: Names, hint: str) -> str | None:
        """``start + i * step``, if the values are so in every use; those of uses with one turn may be on any line."""
        assert body.outer is not None
        i = body.variable
        if not all(type(value) is int for points in turns.values() for _, value in points):
            return None
        steps: dict[int, int] = {}
        for c, points in turns.items():
            if len(points) > 1:
                (t, value), (later, other) = points[:2]
                steps[c], left = divmod(other - value, later - t)
                if left or any(v != value + (at - t) * steps[c] for at, v in points):
                    return None
        if not steps:
            return None
        some = next(iter(steps.values()))
        starts = {c: points[0][1] - points[0][0] * steps.get(c, some) for c, points in turns.items()}
        step = self.resolve({c: steps.get(c, some) for c in turns}, body.outer, names, f"{hint}_step")
        start = self.resolve(starts, body.outer, names, hint)
        down = re.fullmatch(r"-\d+", step) is not None
        size = step[1:] if down else step
        product = i if size == "1" else f"{i} * {_tight(size)}"
        if down:
            return f"{_term(start)} - {product}"
        if start == "0":
            return product
        return f"{product} + {start}" if start.isdigit() else f"{_term(start)} + {product}"

    def _label(self, slot: Slot, body: Body, names: Names) -> tuple[str, bool]:
        if body.positional:
            return "", False
        labels = {c: piece.label for c, piece in slot.pieces.items()}
        first = next(iter(labels.values()))
        if all(label == first for label in labels.values()):
            return first, False
        shape = skeleton(first)
        if any(skeleton(label) != shape for label in labels.values()):
            raise Differ("other labels in other uses")
        if any(str(int(n)) != n for label in labels.values() for n in re.findall(r"\d+", label)):
            raise Differ("a number with leading zeros")
        numbers = {c: [int(n) for n in re.findall(r"\d+", label)] for c, label in labels.items()}
        text = shape[0]
        for position, after in enumerate(shape[1:]):
            one = self.resolve({c: n[position] for c, n in numbers.items()}, body, names, "number")
            choice = re.fullmatch(r"\((\w+ if [^()]+ else \w+)\)", one)
            text += (one if one.isdigit() else f"{{{choice[1] if choice else one}}}") + after
        return text, True

    def _shapes(self, slot: Slot, body: Body) -> tuple[Shape, ...]:
        shapes: set[tuple[Shape, ...]] = set()
        for context, piece in slot.pieces.items():
            if body.graph[context] == 0:
                values = self.graphs[0].values
                shapes.add(tuple(values[v] for v in piece.outputs))
        return shapes.pop() if len(shapes) == 1 else ()

    def _argument(
        self, arguments: list[Argument], contexts: Sequence[int], body: Body, names: Names, hint: str
    ) -> tuple[str | None, str] | None:
        """An argument's text in all uses, or None where it is the target's default everywhere."""
        first = arguments[0]
        if any(argument.name != first.name for argument in arguments):
            raise Differ("other arguments in other uses")
        if first.default is not REQUIRED and all(
            type(argument.value) is type(argument.default) and argument.value == argument.default
            for argument in arguments
        ):
            return None
        values = {c: argument.value for c, argument in zip(contexts, arguments, strict=True)}
        return first.name, self.resolve(values, body, names, hint)

    def _call(self, calls: list[Construct], contexts: Sequence[int], body: Body, names: Names, label: str) -> Call:
        first = calls[0]
        if any(call.callee != first.callee or len(call.arguments) != len(first.arguments) for call in calls):
            raise Differ("other calls in other uses")
        arguments = []
        for position, argument in enumerate(first.arguments):
            hint = f"{label}_{argument.name or ('size' if position else 'channels')}"
            one = self._argument([call.arguments[position] for call in calls], contexts, body, names, hint)
            if one is not None:
                arguments.append(one)
        return Call(first.callee, arguments, first.helper)

    def _node_step(self, slot: Slot, body: Body, names: Names, flow: _Flow) -> Step:
        contexts = list(slot.pieces)
        emissions = [slot.emissions[c] for c in contexts]
        some = next(iter(slot.pieces.values()))
        assert some.node is not None
        if len({len(emission.stages) for emission in emissions}) > 1:
            raise Differ("other steps in other uses")
        hint = "_".join(skeleton(some.label)) if some.named else some.node.layer.kind
        stages = []
        for position, stage in enumerate(emissions[0].stages):
            every = [emission.stages[position] for emission in emissions]
            modules = [one.module for one in every if one.module is not None]
            formulas = [one.formula for one in every if one.formula is not None]
            module = self._call(modules, contexts, body, names, hint) if len(modules) == len(every) else None
            formula = self._formula(formulas, contexts, body, names, hint) if len(formulas) == len(every) else None
            if module is None and formula is None:
                raise Differ("no form that all uses share")
            stages.append(ResolvedStage(module, formula, stage.suffix, stage.attribute))
        formula = stages[-1].formula
        constant = formula is not None and not any(
            _words(text) & {*names.used, *names.defined} for text in formula.values.values()
        )
        functional = constant and not (some.named or some.node.weights or isinstance(flow, _Closed))
        label, pattern = ("", False) if functional else self._label(slot, body, names)
        step = Step(
            kind="apply",
            functional=functional,
            label=label,
            label_is_pattern=pattern,
            named=some.named,
            node=some.node,
            path=some.path,
            stages=stages,
            finisher=all(emission.finisher for emission in emissions),
            shapes=self._shapes(slot, body),
            auxiliary=some.auxiliary,
        )
        flow.connect(step, slot)
        return step

    def _formula(
        self, formulas: list[Formula], contexts: Sequence[int], body: Body, names: Names, label: str
    ) -> Expression:
        first = formulas[0]
        if any(
            formula.pattern != first.pattern or formula.values.keys() != first.values.keys() for formula in formulas
        ):
            raise Differ("other formulas in other uses")
        values = {
            name: self.resolve(
                {c: f.values[name] for c, f in zip(contexts, formulas, strict=True)}, body, names, f"{label}_{name}"
            )
            for name in first.values
        }
        return Expression(first.pattern, values, first.loose, first.helper)

    def _scope_step(self, slot: Slot, body: Body, names: Names, flow: _Flow) -> Step:
        label, pattern = self._label(slot, body, names)
        some = next(iter(slot.pieces.values()))
        step = Step(
            kind="apply",
            label=label,
            label_is_pattern=pattern,
            named=some.named,
            path=some.path,
            shapes=self._shapes(slot, body),
            auxiliary=some.auxiliary,
        )
        if slot.bodies:
            opaque = self.dialect.opaque()
            if opaque:
                flow.connect(step, slot)
            step.bodies = [self._steps(slot.bodies[0], names, _Closed() if opaque else flow)]
            if label.isidentifier():
                for inner in step.bodies[0]:
                    inner.hint = inner.hint or label
            return step
        routines = {id(r): r for r in (self.routine_of(body.graph[c], piece) for c, piece in slot.pieces.items())}
        if len(routines) > 1:
            raise Differ("other definitions in other uses")
        step.routine = routine = next(iter(routines.values()))
        for parameter in routine.parameters:
            values = {c: parameter.values[body.graph[c], piece.path] for c, piece in slot.pieces.items()}
            text = self.resolve(values, body, names, parameter.name)
            if parameter.default is REQUIRED or text != literal(parameter.default):
                step.arguments.append((parameter.name, text))
        flow.connect(step, slot)
        return step

    def _choice(self, slot: Slot, body: Body, names: Names, flow: _Flow) -> list[Step]:
        taken = {c: slot.sides[c] == 0 for c in body.contexts}
        other = {c: slot.sides[c] == 1 for c in body.contexts}
        for side, same in ((0, taken), (1, other)):
            if all(same.values()):
                return self._steps(slot.bodies[side], names, flow)
        sides = [inner for inner in slot.bodies if inner.slots]
        hint = "option"
        for inner in sides:
            labels = [piece.label for s in inner.slots for piece in s.pieces.values() if piece.named]
            if labels:
                hint = labels[0].partition(".")[0]
                break
        ways = [(slot.bodies[0], taken), (slot.bodies[1], other)]
        if not slot.bodies[0].slots:
            ways.reverse()
        test = self.resolve(ways[0][1], body, names, hint)
        if test in {f"{counter} != 0" for counter in names.open_loops} and ways[1][0].slots:
            # What the first turn makes for the others comes first in the code as well.
            ways.reverse()
            test = self.resolve(ways[0][1], body, names, hint)
        truth = self._outermost(ways[0][1], body)
        if truth:
            names.tests.append((test, truth))
        step = Step(kind="choice", test=test, flag=safe(hint))
        flow.open(step, slot)
        step.bodies = [self._steps(side, names, flow) for side, _ in ways]
        flow.close()
        return [step]

    def _repeat(self, slot: Slot, body: Body, names: Names, flow: _Flow) -> Step:
        inner = slot.bodies[0]
        counts = {c: len(slot.pieces[c].turns) if c in slot.pieces else 0 for c in body.contexts}
        try:
            with names.counter() as variable:
                inner.variable = variable
                step = Step(kind="repeat", count=self.resolve(counts, body, names, "depth"), variable=variable)
                start = flow.position
                step.bodies = [self._steps(inner, names, flow)]
                flow.loops.append((start, flow.position))
        except Differ:
            raise Restart(slot.key[1]) from None
        return step


def literal(value: Any) -> str:
    """A value as Python source."""
    if isinstance(value, Code):
        return value.text
    if isinstance(value, Construct):
        parts = [
            literal(a.value) if a.name is None else f"{a.name}={literal(a.value)}"
            for a in value.arguments
            if a.default is REQUIRED or a.value != a.default
        ]
        return f"{value.callee}({', '.join(parts)})"
    if isinstance(value, tuple):
        return f"({', '.join(map(literal, value))}{',' if len(value) == 1 else ''})"
    if isinstance(value, list):
        return f"[{', '.join(map(literal, value))}]"
    if isinstance(value, str):
        return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'
    if isinstance(value, float):
        return re.sub(r"e([+-])0", r"e\1", repr(value))
    return repr(value)


def _words(text: str) -> set[str]:
    return set(re.findall(r"[A-Za-z_]\w*", text))


def _tight(text: str) -> str:
    """An expression as a factor: in brackets, unless it is a name or a number."""
    return text if re.fullmatch(r"[\w.]+", text) else f"({text})"


def _term(text: str) -> str:
    """An expression as a term of a sum, or a side of a condition."""
    return f"({text})" if " if " in text and not text.startswith("(") else text


# ---- variables -----------------------------------------------------------------------------------------------------


MOST_IMPROVEMENTS = 100
"""Variables of one routine for which a better name is tried: each trial runs through all uses."""


class _Flow:
    """Gives the values of a routine their variables.

    Values that one place reads in different uses share a variable.  Names are the spec's own where it gave one; a
    variable is used again once what it held is no longer needed.
    """

    def __init__(self, body: Body, uses: list[tuple[int, Piece]], input_names: list[str], planner: _Planner) -> None:
        self.uses = uses
        self.planner = planner
        self.input_names = input_names
        self.position = 0
        self.loops: list[tuple[int, int]] = []
        self.root: dict[int, int] = {}
        self.choices: list[tuple[Step, int]] = []
        self.opened: tuple[int, ...] = ()
        self.inside: dict[int, tuple[int, ...]] = {}
        self.copies: dict[tuple[int, int], int] = {}
        self.begun: dict[int, int] = {}
        self.beginnings: list[tuple[str, str]] = []
        self.is_model = uses[0][1].path == ""
        self.taken: set[str] = set()
        self.choice_of: dict[int, Step] = {}
        self.makers: dict[tuple[int, int], list[int]] = {}
        self.defined_at: dict[int, list[int]] = {}
        self.read_at: dict[int, list[int]] = {}
        self.by_step: dict[int, tuple[Step, list[int], list[int], int]] = {}
        self.pending: list[tuple[Step, list[list[tuple[int, int]]], list[int | list[tuple[int, int]]], int]] = []
        for position in range(len(input_names)):
            definition = self._new(0)
            for use, (_, piece) in enumerate(uses):
                self.makers.setdefault((use, piece.inputs[position]), []).append(definition)
        self.body = body
        self.step_of: dict[int, Step] = {}

    def _new(self, position: int) -> int:
        number = len(self.root)
        self.root[number] = number
        self.inside[number] = self.opened
        self.defined_at[number] = [position]
        self.read_at[number] = []
        return number

    def find(self, number: int) -> int:
        while self.root[number] != number:
            number = self.root[number]
        return number

    def _union(self, one: int, other: int) -> int:
        a, b = sorted((self.find(one), self.find(other)))
        if a != b:
            self.root[b] = a
        return a

    def _read(self, slot_values: list[tuple[int, int]], copying: bool) -> int:
        """The definition that is read where each use reads one of these values, in (graph, value) pairs."""
        options = [self.makers[key] for key in slot_values]
        common = [d for d in options[0] if all(d in other for other in options[1:])]
        if common:
            return common[0]
        definitions = sorted({option[0] for option in options})
        if copying:
            definitions = self._with_copies(definitions)
        if self.is_model:
            definitions = sorted(self._begun(d) if d < len(self.input_names) else d for d in definitions)
        for other in definitions[1:]:
            self._union(definitions[0], other)
        return definitions[0]

    def _begun(self, given: int) -> int:
        """The copy of a model's input that changes: the input itself is asked for at the end (Keras), and stays."""
        if given not in self.begun:
            self.begun[given] = self._new(0)
            self.inside[self.begun[given]] = ()
            self.read_at[given].append(0)
        return self.begun[given]

    def _with_copies(self, definitions: list[int]) -> list[int]:
        """Definitions of which some stand before a choice and some in it: the former as copies made at the choice."""
        shared = min(len(self.inside[d]) for d in definitions)
        choices = sorted(self.inside[d][shared] for d in definitions if len(self.inside[d]) > shared)
        if not choices:
            return definitions
        choice = choices[0]
        found = []
        for d in definitions:
            if len(self.inside[d]) > shared or self.defined_at[d][0] > self.choices[choice][1]:
                found.append(d)
                continue
            if (choice, d) not in self.copies:
                copy = self._new(self.choices[choice][1])
                self.inside[copy] = self.inside[d]
                self.copies[choice, d] = copy
                self.read_at[d].append(self.choices[choice][1])
            found.append(self.copies[choice, d])
        return found

    def open(self, step: Step, slot: Slot) -> None:
        """Enter a choice."""
        self.position += 1
        self.opened = (*self.opened, len(self.choices))
        self.choices.append((step, self.position))
        self.choice_of[id(slot)] = step

    def close(self) -> None:
        self.opened = self.opened[:-1]

    def connect(self, step: Step, slot: Slot) -> None:
        self.position += 1
        some = next(iter(slot.pieces.values()))
        use_of = {c: self._use(slot, c) for c in slot.pieces}
        self.step_of[id(slot)] = step
        reads = [
            [(use_of[c], piece.inputs[position]) for c, piece in slot.pieces.items()]
            for position in range(len(some.inputs))
        ]
        writes: list[int | list[tuple[int, int]]] = []
        for position, output in enumerate(some.outputs):
            keys = [(use_of[c], piece.outputs[position]) for c, piece in slot.pieces.items()]
            if output in some.inputs:
                writes.append(keys)
                continue
            definition = self._new(self.position)
            for key in keys:
                self.makers.setdefault(key, []).append(definition)
            writes.append(definition)
        # What a loop carries is read before the place that makes it has been met, so reads are resolved at the end.
        self.pending.append((step, reads, writes, self.position))

    def _use(self, slot: Slot, context: int) -> int:
        """The use of the routine that a context of one of its bodies belongs to."""
        body = self.home[id(slot)]
        while body.outer is not None:
            context, body = body.parent[context], body.outer
        return context

    @cached_property
    def home(self) -> dict[int, Body]:
        """The body that each slot stands in."""
        found: dict[int, Body] = {}
        waiting = [self.body]
        while waiting:
            body = waiting.pop()
            for slot in body.slots:
                found[id(slot)] = body
                waiting += slot.bodies
        return found

    def results(self, taken: set[str]) -> list[str]:
        """Name every variable and write the names into the steps; returns the names of the routine's outputs.

        No variable gets a name that is ``taken``.  A variable that a choice changes is first tried without a copy of
        what it held, then with one.
        """
        self.taken = taken
        definitions = len(self.root)
        self.position += 1
        try:
            return self._attempt(copying=False)
        except Differ:
            self.root = {number: number for number in range(definitions)}
            self.read_at = {number: [] for number in range(definitions)}
            self.begun.clear()
            return self._attempt(copying=True)

    def _attempt(self, *, copying: bool) -> list[str]:
        self.by_step.clear()
        for step, read_keys, write_keys, at in self.pending:
            reads = [self._read(keys, copying) for keys in read_keys]
            for definition in reads:
                self.read_at[definition].append(at)
            written = [key if isinstance(key, int) else self._read(key, copying) for key in write_keys]
            self.by_step[id(step)] = (step, reads, written, at)
        outputs = []
        for position in range(len(self.uses[0][1].outputs)):
            definition = self._read(
                [(use, piece.outputs[position]) for use, (_, piece) in enumerate(self.uses)], copying
            )
            self.read_at[definition].append(self.position)
            outputs.append(definition)
        names = self._name_all()
        self._settle(names, outputs)
        for key in reversed(self._inside_parts()[:MOST_IMPROVEMENTS]):
            names = self._with_better_name(names, key, outputs)
        results = self._settle(names, outputs)
        self._mark_feeds()
        self.input_names = [names[self.find(d)] for d in range(len(self.input_names))]
        return results

    def _settle(self, names: dict[int, str], outputs: list[int]) -> list[str]:
        """Write names into the steps, and see that every use then reads what it should; returns the outputs' names."""
        for step, reads, written, _ in self.by_step.values():
            step.inputs = [names[self.find(d)] for d in reads]
            step.outputs = [names[self.find(d)] for d in written]
        for step, _ in self.choices:
            step.copies = []
        for (choice, original), copy in self.copies.items():
            target, origin = names[self.find(copy)], names[self.find(original)]
            if target != origin:
                self.choices[choice][0].copies.append((target, origin))
        self.beginnings = [(names[self.find(copy)], names[self.find(given)]) for given, copy in self.begun.items()]
        input_names = [names[self.find(d)] for d in range(len(self.input_names))]
        results = [names[self.find(d)] for d in outputs]
        for use, (_, piece) in enumerate(self.uses):
            variables = dict(zip(input_names, piece.inputs, strict=True))
            for target, source in self.beginnings:
                variables[target] = variables[source]
            self._replay(self.body, use, variables)
            if [variables.get(name) for name in results] != list(piece.outputs):
                raise Differ("values that would meet in one variable")
        return results

    def _inside_parts(self) -> list[int]:
        """Variables that live inside a choice or a loop only, where more names are free than their positions tell."""
        inputs = {self.find(d) for d in range(len(self.input_names))}

        def inside(d: int) -> bool:
            return bool(self.inside[d]) or any(start < self.defined_at[d][0] <= stop for start, stop in self.loops)

        return [key for key, members in self._classes().items() if key not in inputs and all(map(inside, members))]

    def _with_better_name(self, names: dict[int, str], key: int, outputs: list[int]) -> dict[int, str]:
        """The names, where a variable has that of what it turns into, or of what it comes from, if that works."""
        steps = [
            (reads, written) for _, reads, written, _ in self.by_step.values() if len(reads) == 1 and len(written) == 1
        ]
        after = [self.find(written[0]) for reads, written in steps if self.find(reads[0]) == key]
        before = [self.find(reads[0]) for reads, written in steps if self.find(written[0]) == key]
        for other in (*after, *before):
            better = {**names, key: names[other]}
            try:
                self._settle(better, outputs)
            except Differ:
                continue
            return better
        return names

    def _replay(self, body: Body, context: int, variables: dict[str, int]) -> None:
        """Run one use in the variables that were chosen; raises `Differ` where a step would read another value."""
        for slot in body.slots:
            choice = self.choice_of.get(id(slot))
            if choice is not None:
                for target, source in choice.copies:
                    if source not in variables:
                        raise Differ("a variable that has no value yet")
                    variables[target] = variables[source]
            if slot.kind == "branch":
                self._replay(slot.bodies[slot.sides[context]], context, variables)
                continue
            piece = slot.pieces.get(context)
            if piece is None:
                continue
            step = self.step_of.get(id(slot))
            if step is not None:
                if [variables.get(name) for name in step.inputs] != list(piece.inputs):
                    raise Differ("values that would meet in one variable")
                variables.update(zip(step.outputs, piece.outputs, strict=True))
                continue
            inner = slot.bodies[0]
            for turn in inner.contexts:
                if inner.parent[turn] == context:
                    self._replay(inner, turn, variables)

    def _classes(self) -> dict[int, list[int]]:
        classes: dict[int, list[int]] = {}
        for definition in self.root:
            classes.setdefault(self.find(definition), []).append(definition)
        return classes

    def _interval(self, members: list[int]) -> tuple[float, float]:
        """From where to where a variable holds something; what is not read stands beside the step's other results."""
        events = sorted(p for d in members for p in (*self.defined_at[d], *self.read_at[d]))
        first, last = events[0], max(events[-1], events[0] + 0.5)
        for start, stop in self.loops:
            inside = [p for p in events if start < p <= stop]
            if inside and (first <= start or last > stop or len(members) > 1):
                first, last = min(first, start + 1) if first > start else first, max(last, stop)
        return first, last

    def _name_all(self) -> dict[int, str]:
        bound: dict[int, str] = {}
        for use, (_, piece) in enumerate(self.uses):
            for name, value in piece.scope.bindings if piece.scope is not None else ():
                for definition in self.makers.get((use, value), [])[:1]:
                    bound.setdefault(self.find(definition), safe(name))
        classes = self._classes()
        intervals = {key: self._interval(members) for key, members in classes.items()}
        readers: dict[int, list[tuple[int, int]]] = {}
        source: dict[int, int] = {}
        labels: dict[int, str] = {}
        for step, reads, written, _ in self.by_step.values():
            own = step.label if step.named and step.label.isidentifier() else step.hint
            if not own and step.finisher and len(reads) == 1:
                own = labels.get(self.find(reads[0]), "")
            if own and len(written) == 1:
                labels.setdefault(self.find(written[0]), safe(own))
            for definition in reads:
                readers.setdefault(self.find(definition), []).append(
                    (len(reads), self.find(written[0]) if written else -1)
                )
            for definition in written:
                if len(reads) == 1:
                    source.setdefault(self.find(definition), self.find(reads[0]))
        copied = {self.find(copy): self.find(original) for (_, original), copy in self.copies.items()}
        copies = set(self.copies.values())
        # Up to the first change, a copy and its original hold the same.
        changed = {key: self._interval([d for d in classes[key] if d not in copies]) for key in copied}
        busy_until: dict[str, float] = {}
        names: dict[int, str] = {}

        def free(name: str, key: int) -> bool:
            first, _ = changed[key] if names.get(copied.get(key, -1)) == name else intervals[key]
            return name not in self.taken and first >= busy_until.get(name, 0)

        def take(name: str, key: int) -> None:
            names[key] = name
            busy_until[name] = max(intervals[key][1], busy_until.get(name, 0))

        wishes: dict[int, str | None] = dict(bound)

        def wish(key: int) -> str | None:
            """The spec's name of a value, or of what it turns into through steps that take nothing else."""
            seen = []
            while key not in wishes:
                seen.append(key)
                wishes[key] = None
                following = readers.get(key, [])
                if len(following) == 1 and following[0][0] == 1 and following[0][1] >= 0:
                    key = following[0][1]
            wishes.update(dict.fromkeys(seen, wishes[key]))
            return wishes[key]

        def role(key: int) -> str | None:
            """The label of a value that an operation takes beside others, and of what leads to it under that label."""
            label = labels.get(key)
            seen: set[int] = set()
            while label and key not in seen:
                seen.add(key)
                following = readers.get(key, [])
                if len(following) != 1:
                    return None
                if following[0][0] > 1:
                    return label
                key = following[0][1]
                if labels.get(key) != label:
                    return None
            return None

        for position, name in enumerate(self.input_names):
            key = self.find(position)
            if key in names:
                raise Differ("two inputs in one variable")
            take(name, key)
        if self.is_model:
            self.taken = self.taken | set(self.input_names)
        for key in sorted(classes, key=lambda k: intervals[k][0]):
            if key in names:
                continue
            given = (names.get(copied.get(key, -1)), wish(key), role(key), names.get(source.get(key, -1)))
            options = itertools.chain((*given, "x", labels.get(key), "y", "z"), (f"x{n}" for n in itertools.count(2)))
            take(next(name for name in options if name is not None and free(name, key)), key)
        return names

    def _mark_feeds(self) -> None:
        """Mark the steps whose single result goes to the very next step alone, in a variable of its own."""
        sizes = {key: len(members) for key, members in self._classes().items()}
        ordered = list(self.by_step.values())
        read = {self.find(d) for d, places in self.read_at.items() if places}
        for step, _, written, _ in ordered:
            step.used = any(self.find(d) in read for d in written)
        for (step, _, written, at), (_, reads, _, following) in itertools.pairwise(ordered):
            if len(written) == 1 and following == at + 1:
                key = self.find(written[0])
                step.feeds_next = (
                    sizes[key] == 1
                    and len(self.read_at[written[0]]) == 1
                    and self.read_at[written[0]][0] == following
                    and [self.find(r) for r in reads].count(key) == 1
                )


class _Closed(_Flow):
    """The inside of a group that values pass through whole: nothing there has a variable."""

    def __init__(self) -> None:
        self.position = 0
        self.loops = []

    @override
    def open(self, step: Step, slot: Slot) -> None:
        pass

    @override
    def close(self) -> None:
        pass

    @override
    def connect(self, step: Step, slot: Slot) -> None:
        pass


def chain(piece: Piece, single: Callable[[Node], bool]) -> bool:
    """Whether a scope is a plain sequence: each part takes what the one before gave, and layers satisfy ``single``."""
    if len(piece.inputs) != 1 or len(piece.outputs) != 1:
        return False
    current = _chained(piece.body, piece.inputs[0], single)
    return current is not None and current == piece.outputs[0]


def _chained(body: Iterable[Piece], current: int, single: Callable[[Node], bool]) -> int | None:
    now: int | None = current
    for part in body:
        if now is None:
            return None
        match part.kind:
            case "node":
                assert part.node is not None
                ok = part.inputs == (now,) and len(part.outputs) == 1 and single(part.node)
                now = part.outputs[0] if ok else None
            case "scope":
                now = part.outputs[0] if part.inputs == (now,) and len(part.outputs) == 1 else None
            case "branch":
                now = _chained(part.body, now, single)
            case "loop":
                for turn in part.turns:
                    now = _chained(turn, now, single) if now is not None else None
    return now


__all__ = [
    "Call",
    "Dialect",
    "Differ",
    "Expression",
    "Parameter",
    "Plan",
    "Routine",
    "Step",
    "chain",
    "literal",
    "plan",
    "produced",
]
