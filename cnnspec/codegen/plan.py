"""From concrete graphs to general code: what a block's uses share is written once, what differs becomes an argument.

The planner looks at every use of a block, in the model itself and in *probes* (expansions of the same spec with other
values of the model's parameters), and lays them beside each other part by part.  A number that is the same in every
use is a literal.  One that differs is explained, in this order, by a block parameter of the spec, by a name that the
block binds, by a simple expression of these (a product, a quotient, an arithmetic progression over a loop), or else
becomes a constructor argument of its own.  An ``if`` that all uses decide alike disappears.  Every expression is
checked against every use, so the code computes for each of them exactly what the graph says.
"""

from __future__ import annotations

import ast
import itertools
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import cached_property
from types import SimpleNamespace
from typing import Any

from cnnspec.codegen.alignment import Aligner, Body, Differ, Restart, Slot, loops_to_unroll, skeleton
from cnnspec.codegen.dialect import Dialect
from cnnspec.codegen.emission import REQUIRED, Code, Construct, Maker, Place, Sizes, literal, readable
from cnnspec.codegen.examples import drawn
from cnnspec.codegen.explanation import Names, Values
from cnnspec.codegen.naming import class_name, safe, unnumbered
from cnnspec.codegen.pieces import Piece, pieces, produced, used
from cnnspec.codegen.program import Call, Expression, Model, Parameter, Plan, ResolvedStage, Routine, Step
from cnnspec.codegen.resolution import Origins, outermost, resolve, resolve_call, resolve_formula, resolve_label
from cnnspec.codegen.source import Source, inside
from cnnspec.codegen.translation import Constants, Translated, Untranslatable, negated, substituted, text
from cnnspec.codegen.variables import Closed, Flow
from cnnspec.diagnostics import Span
from cnnspec.graph import Graph, Node, Plain, Scope, walk
from cnnspec.layers import LAYERS
from cnnspec.shapes import Dim, Shape, show
from cnnspec.syntax import tree
from cnnspec.syntax.walk import parts


def plan(graph: Graph, probes: Sequence[Graph], dialect: Dialect) -> Plan:
    """The general form of a graph.

    ``probes`` vary one parameter each; a parameter that changes nothing but what can be explained is carried.
    """
    draws = drawn(graph)
    carried: list[str] = []
    used: list[Graph] = [graph]
    best: Plan | None = None
    for name, some in by_parameter(graph, probes).items():
        try:
            attempt = _plan([*used, *some], draws, [*carried, name], dialect)
        except Differ:
            continue
        if not any(parameter.name == safe(name) for parameter in attempt.models[0].routine.parameters):
            continue
        carried.append(name)
        used += some
        best = attempt
    return best or _plan(used, draws, carried, dialect)


def by_parameter(graph: Graph, probes: Iterable[Graph]) -> dict[str, list[Graph]]:
    """The probes of a graph in which one parameter alone is another, by its name."""
    found: dict[str, list[Graph]] = {}
    for probe in probes:
        changed = [name for name, value in probe.parameters.items() if graph.parameters.get(name) != value]
        if len(changed) == 1:
            found.setdefault(changed[0], []).append(probe)
    return found


def _plan(graphs: list[Graph], draws: Sequence[Graph], carried: list[str], dialect: Dialect) -> Plan:
    unroll: set[object] = loops_to_unroll([*graphs, *draws], Source.of(graphs[0]))
    while True:
        planner = Planner([graphs], draws, dialect, frozenset(unroll))
        try:
            return planner.run(carried)
        except Restart as restart:
            unroll.add(restart.loop)


LONGEST_CHANNELS = 40
"""Letters of an expression that is worth following from block to block."""


@dataclass(slots=True)
class _Carry:
    """A number of channels that a loop takes from turn to turn, along with a value.

    ``begun`` are the first turns and ``values`` what is read in later ones, by context; ``maker`` is the part that
    makes it, with the place among its results; ``turns`` are the variables of the loops around, ``starts`` is what the
    channels at first may be called, and ``last`` what those are that the last turn made.
    """

    name: str
    step: Step
    body: Body
    outer: Body
    begun: set[int]
    values: dict[int, int]
    maker: tuple[int, int]
    turns: dict[tuple[Span, str], str]
    starts: list[Translated]
    last: dict[int, Translated | None] = field(default_factory=dict)


def arguments_of_base(scope: Scope | None, base: tree.Definition) -> dict[str, Plain]:
    """The plain arguments that a derived model gives the one that it derives from."""
    known = {**scope.arguments, **scope.names} if scope is not None else {}
    return {one.name.text: known[one.name.text] for one in base.parameters if one.name.text in known}


def _scopes(body: Iterable[Piece]) -> Iterator[Piece]:
    """The scopes in a body, those inside others too."""
    for piece in body:
        if piece.kind == "scope":
            yield piece
        yield from _scopes(itertools.chain(piece.body, *piece.turns))


def _everything(body: Body) -> Iterator[tuple[Slot, int, Piece]]:
    """The layers, scopes and loops in a body and in its branches, each with its slot and context."""
    for slot in body.slots:
        if slot.kind == "branch":
            for side in slot.bodies:
                yield from _everything(side)
        else:
            for context, piece in slot.pieces.items():
                yield slot, context, piece


class Planner:
    """Plans the definitions of a file, for models of one spec and what they use."""

    def __init__(
        self,
        models: Sequence[Sequence[Graph]],
        draws: Sequence[Graph],
        dialect: Dialect,
        unroll: frozenset[object],
    ) -> None:
        """Each of the models is a graph with its probes; ``draws`` have other uses of their blocks."""
        self.bases: set[str] = set()
        """The models that are planned for those that derive from them."""
        self.graphs = graphs = [*itertools.chain(*models), *draws]
        self.models = sum(map(len, models))
        ends = list(itertools.accumulate(map(len, models)))
        self.members = [range(end - len(some), end) for end, some in zip(ends, models, strict=True)]
        """The numbers of each model's graph and of its probes."""
        self.shown = {member[0]: graphs[member[0]] for member in self.members}
        self.source = Source.of(graphs[0])
        self.base: tree.Definition | None = None
        """The model that others derive from, while its definition is planned."""
        self.carries: list[_Carry] = []
        """Numbers that loops take from turn to turn."""
        self.accumulated: list[tuple[Step, str, Translated, Translated]] = []
        """What the spec's own loops take from turn to turn: a name, what it is at first, and after a turn."""
        self.equal: dict[tuple[int, str], int] = {}
        """The uses in probes and later models that are as in a graph before, with its number."""
        self.twins: dict[int, Node] = {}
        """The layers of the graphs before that those in such uses are as, by the identity of these."""
        self.handed: set[str] = set()
        """The blocks that are given to others as arguments."""
        self.around: dict[tuple[int, str], Scope] = {}
        """The use of a block that each group is in."""
        self.dialect = dialect
        self.unroll = unroll
        self.roots = [pieces(graph, unroll) for graph in graphs]
        self.instances: dict[object, list[tuple[int, Piece]]] = {}
        self.inlined: dict[object, bool] = {}
        self.routines: dict[object, list[Routine]] = {}
        self.owner: dict[tuple[int, str], Routine] = {}
        self.order: list[Routine] = []
        self.names_taken: set[str] = set()
        self.reserved: set[str] = set()
        self.aligner = Aligner(graphs, self.models, dialect, self.is_routine, self.source)

    def run(self, carried: Sequence[str]) -> Plan:
        """The plan of one model, of which these parameters stay arguments."""
        self.prepare([self.dialect.model_name(self.graphs[0].name)])
        model = self.model(self.members[0], carried)
        return Plan(self.order, [model], self.shown, self.twins)

    def prepare(self, names: Iterable[str]) -> None:
        """Find every use of a block, and take these names for models."""
        known: dict[str, list[tuple[int, Piece]]] = {}
        for number, root in enumerate(self.roots):
            assert root.scope is not None
            self._collect(number, root.body, root.scope, known if number < self.models else {})
            if number in self.shown:
                for piece in _scopes(root.body):
                    if (number, piece.path) not in self.equal:
                        known.setdefault(piece.path, []).append((number, piece))
        self.names_taken = {*names, *self.dialect.helpers}
        definitions = [uses[0][1] for uses in self.instances.values() if self.is_routine(uses[0][1])]
        self.reserved = {*self.names_taken, *map(self._wished_name, definitions)}

    def model(self, member: Sequence[int], carried: Sequence[str]) -> Model:
        """The definition of one model, given the numbers of its graph and of probes."""
        graph = self.graphs[member[0]]
        uses = [(number, self.roots[number]) for number in member]
        try:
            routine = self.routine(self.dialect.model_name(graph.name), uses, carried)
        except Differ:
            self._write_out_loops(uses)
            raise
        return Model(graph, routine, list(carried))

    def _collect(
        self, graph: int, body: Iterable[Piece], around: Scope, known: Mapping[str, Sequence[tuple[int, Piece]]]
    ) -> None:
        """Find the uses of blocks and groups, but for those of probes and models that are as in a graph before."""
        for piece in body:
            inner = around
            if piece.kind == "scope":
                if piece.definition and piece.scope is not None and self._is_given(piece.scope):
                    self.handed.add(piece.definition)
                before = known.get(piece.path, ())
                same = [(number, twin) for number, twin in before if self._equal(graph, piece, number, twin)]
                if piece.definition and same:
                    self.equal[graph, piece.path], twin = same[0]
                    assert piece.scope is not None
                    assert twin.scope is not None
                    for one, two in zip(walk(piece.scope), walk(twin.scope), strict=True):
                        self.twins[id(one)] = self.twins.get(id(two), two)
                    continue
                self.instances.setdefault(self._definition(piece), []).append((graph, piece))
                self.around[graph, piece.path] = around
                if piece.scope is not None and piece.definition:
                    inner = piece.scope
            self._collect(graph, piece.body, inner, known)
            for turn in piece.turns:
                self._collect(graph, turn, inner, known)

    def _is_given(self, use: Scope) -> bool:
        """Whether what is applied is a parameter, of a block or of a model that others derive from."""
        around = self.source.around(use.span)
        base = around if around is not None and around.name.text in self.bases else None
        return bool(self.aligner.given_block([use], base))

    def _equal(self, graph: int, piece: Piece, other: int, known: Piece) -> bool:
        """Whether a use is one of a graph before, with the same shapes, layers and values."""
        if piece.scope is None or known.scope is None or piece.definition != known.definition:
            return False
        if piece.inputs != known.inputs or piece.scope.arguments != known.scope.arguments:
            return False
        here, there = self.graphs[graph].values, self.graphs[other].values
        if any(here[value] != there[value] for value in piece.inputs):
            return False
        return all(
            one is not None
            and other is not None
            and (one.path, one.inputs, one.outputs) == (other.path, other.inputs, other.outputs)
            and (one.layer is other.layer or one.layer == other.layer)
            for one, other in itertools.zip_longest(walk(piece.scope), walk(known.scope))
        )

    def _use(self, graph: int, piece: Piece) -> tuple[int, str]:
        """What identifies a use, or the equal one of a graph before."""
        return self.equal.get((graph, piece.path), graph), piece.path

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
        key = self._definition(piece)
        if key not in self.inlined:
            uses = [(self.graphs[graph], use) for graph, use in self.instances[key]]
            self.inlined[key] = self.dialect.inlines(uses)
        return not self.inlined[key]

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
        if self._use(graph, piece) not in self.owner:
            raise Differ("a drawn use that the definition of its block does not serve")
        return self.owner[self._use(graph, piece)]

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
            return [self.routine("", uses)]
        except Differ:
            own = [(graph, use) for graph, use in uses if graph < self.models]
            if own and len(own) < len(uses):
                return self._with_draws(own, [use for use in uses if use not in own])
            for exact in (False, True):
                groups: dict[object, list[tuple[int, Piece]]] = {}
                for graph, use in uses:
                    inner = self._inside(graph, use, exact)
                    groups.setdefault((len(use.inputs), len(use.outputs), inner), []).append((graph, use))
                if len(groups) > 1:
                    parts = list(groups.values()) if exact else self._joined(groups.values(), uses)
                    return [routine for group in parts for routine in self._together(group)]
            self._write_out_loops(uses)
            raise

    def _joined(
        self, groups: Iterable[list[tuple[int, Piece]]], uses: list[tuple[int, Piece]]
    ) -> list[list[tuple[int, Piece]]]:
        """Groups of uses, those together that one definition serves."""
        joined: list[list[tuple[int, Piece]]] = []
        for group in groups:
            for number, other in enumerate(joined):
                both = [use for use in uses if use in group or use in other]
                try:
                    self.routine("", both)
                except (Differ, Restart):
                    continue
                joined[number] = both
                break
            else:
                joined.append(group)
        return joined

    def _with_draws(self, own: list[tuple[int, Piece]], drawn: list[tuple[int, Piece]]) -> list[Routine]:
        """The definitions of a block for its own uses, and of the drawn ones those that they can serve as well."""
        made = self._together(own)
        for use in drawn if len(made) == 1 else ():
            try:
                made = [self.routine("", [*own, use])]
                own = [*own, use]
            except (Differ, Restart):
                continue
        for routine in made:
            routine.narrow = True
        return made

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

    def routine(
        self,
        name: str,
        uses: list[tuple[int, Piece]],
        carried: Sequence[str] | None = None,
        base: tree.Definition | None = None,
    ) -> Routine:
        """The definition that serves these uses: of a block, of the model that ``carried`` is given for, or of a base.

        Raises `Differ` where there is none, and `Restart` where it needs a loop to be written out.
        """
        first = uses[0][1]
        model = carried is not None
        if len({(len(piece.inputs), len(piece.outputs)) for _, piece in uses}) > 1:
            raise Differ("uses with other numbers of inputs or outputs")
        contexts = list(range(len(uses)))
        body = Body(contexts, {i: graph for i, (graph, _) in enumerate(uses)})
        bases, self.aligner.base = self.aligner.base, base
        try:
            self.aligner.lay(body, {i: piece.body for i, (_, piece) in enumerate(uses)})
        finally:
            self.aligner.base = bases
        input_names = self._input_names(first)
        channels: list[tuple[str, Values]] = []
        owners: list[str] = []
        for position, input_name in enumerate(input_names):
            shapes = {i: self.graphs[graph].values[piece.inputs[position]] for i, (graph, piece) in enumerate(uses)}
            channel_name = "in_channels" if len(input_names) == 1 else f"{input_name}_channels"
            values = {i: shape[0] for i, shape in shapes.items()}
            # A group alone may take them from what it sees of the body around it.
            vary = first.definition or len(set(values.values())) > 1
            if all(type(value) is int for value in values.values()) and vary and not model:
                channels.append((channel_name, values))
                owners.append(input_name)
        reserved = self.reserved | set(input_names) if self.dialect.one_scope else self.reserved
        around = [self._seen(graph, piece) for graph, piece in uses] if not model and not first.definition else []
        around = [arguments_of_base(piece.scope, base) for _, piece in uses] if base is not None else around
        names = Names(uses, channels, reserved, carried, self.source, around, base)
        told = first.definition in self.handed and not model and self.dialect.implicit_channels
        if told:
            # Whoever is given the block does not know whether it needs them.
            names.used |= names.implicit
        self._name_channels(names, uses, owners, input_names)
        sources = dict(zip(names.implicit, owners, strict=True))
        flow = Flow(body, uses, input_names)
        others = self.carries, self.accumulated
        self.carries, self.accumulated = [], []
        try:
            steps = self._steps(body, names, flow)
            self._finish_carries(names, flow)
            self._leave_out_unchanged(steps)
            self._finish_accumulated(names)
        finally:
            self.carries, self.accumulated = others
        for step in _flat(steps):
            step.variable = step.variable if step.variable in names.carried_used else ""
        output_channels = self._output_channels(uses, body, names)
        told_channels = self._told(output_channels, names) if told else ""
        taken = names.counters | names.carried_used | self.reserved
        if self.dialect.one_scope:
            taken |= {*names.used, *names.defined, *names.implicit}
        outputs = flow.results(taken)
        steps = _without_idle(steps)
        self._name_repeated(steps, names)
        definition = base or self.source.definitions.get(first.definition)
        spec_order = [*names.implicit, *self._order(names, definition), *names.arguments]
        parameters = []
        read = []
        for parameter in sorted(names.used, key=lambda n: spec_order.index(n) if n in spec_order else len(spec_order)):
            if parameter in names.implicit and not self.dialect.implicit_channels:
                read.append((parameter, sources[parameter]))
                continue
            values = names.used[parameter]
            by_use = {(graph, piece.path): values[i] for i, (graph, piece) in enumerate(uses)}
            default: Any
            if model and base is None:
                default = values[0]
            elif parameter in names.implicit:
                default = REQUIRED
            elif definition is not None and parameter in names.parameter_names.values():
                default = self._spec_default(definition, names, parameter, uses)
            else:
                default = self._default(by_use)
            spec_name = next((name for name, own in names.parameter_names.items() if own == parameter), "")
            sizes = (
                parameter not in names.tuples
                and (not spec_name or spec_name in names.sized)
                and all(isinstance(value, tuple) for value in by_use.values())
            )
            channels_of = input_names.index(sources[parameter]) if parameter in sources else None
            stands_for = self._text(names.stand_ins.get(parameter)) if not spec_name else ""
            listed = base is not None and any(isinstance(value, tuple) for value in by_use.values()) and not sizes
            parameters.append(Parameter(parameter, by_use, default, sizes, spec_name, channels_of, stands_for, listed))
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
            output_channels,
            self._comment(definition) if definition is not None and not model else "",
            is_block=definition is not None and not model,
            narrow=(
                definition is not None
                and not model
                and (
                    names.searched
                    or self._written_out(definition)
                    or self._unmet(definition, [piece for _, piece in uses])
                )
            ),
            told_channels=told_channels,
        )

    def _told(self, channels: Sequence[Translated | None], names: Names) -> str:
        """What objects of a block tell of the channels of their results; nothing where that cannot be said."""
        texts = [names.commit(one) for one in channels if one is not None]
        if len(texts) < len(channels):
            return ""
        return texts[0] if len(texts) == 1 else f"({', '.join(texts)})"

    def _output_channels(self, uses: list[tuple[int, Piece]], body: Body, names: Names) -> list[Translated | None]:
        """What the channels of a definition's results are in terms of its parameters."""
        found: list[Translated | None] = []
        for position in range(len(uses[0][1].outputs)):
            sizes = {
                number: self._channels(body, number, use.outputs[position]) for number, (_, use) in enumerate(uses)
            }
            keys = [(number, use.outputs[position]) for number, (_, use) in enumerate(uses)]
            options = {one.text: one for key in keys if (one := names.value_channels.get(key)) is not None}
            found.append(names.channels(list(options.values()), sizes, body))
        return found

    def _written_out(self, definition: tree.Definition) -> bool:
        """Whether a loop is written out that arguments decide: other arguments then need other code."""
        return any(
            isinstance(loop, Span) and self.source.varies(loop) and self.source.around(loop) is definition
            for loop in self.unroll
        )

    @staticmethod
    def _unmet(definition: tree.Definition, uses: Sequence[Piece]) -> bool:
        """Whether there is a side of an `if` that none of these uses takes."""
        met: set[tuple[object, int]] = set()
        waiting = [part for use in uses for part in use.body]
        while waiting:
            piece = waiting.pop()
            if piece.kind == "branch":
                met.add((piece.key[1], piece.taken))
            if not piece.definition:
                waiting += itertools.chain(piece.body, *piece.turns)
        return any(
            (part.test.span, side) not in met
            for part in parts(definition.body)
            if isinstance(part, tree.If)
            for side in (0, 1)
        )

    def _text(self, span: Span | None) -> str:
        """What stands at a place in the spec, on one line."""
        if span is None:
            return ""
        lines = self.graphs[0].sources[span.file].removeprefix("\ufeff").split("\n")[span.line - 1 : span.end_line]
        lines[-1] = lines[-1][: span.end_column - 1]
        lines[0] = lines[0][span.column - 1 :]
        return " ".join(" ".join(lines).split())

    def _comment(self, definition: tree.Definition) -> str:
        """The comment right above a definition."""
        lines = self.graphs[0].sources[definition.span.file].removeprefix("\ufeff").split("\n")
        above = itertools.takewhile(lambda line: line.startswith("#"), reversed(lines[: definition.span.line - 1]))
        return " ".join(line.lstrip("#").strip() for line in reversed(list(above)))

    def _name_repeated(self, steps: Sequence[Step], names: Names) -> None:
        """Give what makes a layer a local name where several blocks are given the same."""
        given: dict[str, list[tuple[Step, int]]] = {}
        for step in _flat(steps):
            for number, (_, written) in enumerate(step.arguments):
                if written.startswith("partial("):
                    given.setdefault(written, []).append((step, number))
        for written, places in given.items():
            if len(places) > 1:
                name = names.fresh(safe(places[0][0].arguments[places[0][1]][0]))
                names.defined[name] = written
                for step, number in places:
                    step.arguments[number] = step.arguments[number][0], name

    def _seen(self, graph: int, piece: Piece) -> dict[str, Plain]:
        """The names that a group sees of the body around it."""
        scope = self.around[graph, piece.path]
        return {**scope.arguments, **scope.names}

    def _name_channels(
        self, names: Names, uses: list[tuple[int, Piece]], owners: Sequence[str], input_names: Sequence[str]
    ) -> None:
        """Tell the names of a definition what the channels of its inputs are called there."""
        first = uses[0][1]
        implicit = dict(zip(owners, names.implicit, strict=True))
        spec_names = first.scope.input_names if first.scope is not None else ()
        for position, input_name in enumerate(input_names):
            shapes = [self.graphs[graph].values[piece.inputs[position]] for graph, piece in uses]
            if position < len(spec_names) and len({len(shape) for shape in shapes}) == 1:
                names.ranks[spec_names[position]] = len(shapes[0])
            sizes = {shape[0] for shape in shapes}
            if input_name in implicit:
                channels = Translated(ast.Name(implicit[input_name]))
            elif len(sizes) == 1 and type(size := next(iter(sizes))) is int:
                channels = Translated(ast.Constant(size))
            else:
                continue
            if position < len(spec_names):
                names.channel_names[spec_names[position]] = channels
            for number, (_, piece) in enumerate(uses):
                names.value_channels[number, piece.inputs[position]] = channels

    @staticmethod
    def _order(names: Names, definition: tree.Definition | None) -> list[str]:
        """The parameters of the spec's block as they are called here, in its order."""
        known = [parameter.name.text for parameter in definition.parameters] if definition is not None else []
        return [names.parameter_names[name] for name in known if name in names.parameter_names]

    def _spec_default(
        self, definition: tree.Definition, names: Names, parameter: str, uses: list[tuple[int, Piece]]
    ) -> Any:
        """What the spec says a parameter is where it is not given."""
        name = next(name for name, own in names.parameter_names.items() if own == parameter)
        (e,) = [one.default for one in definition.parameters if one.name.text == name]
        if e is None:
            return REQUIRED
        if parameter in names.layers:
            left = [
                names.layers[parameter][number]
                for number, (_, piece) in enumerate(uses)
                if piece.scope is not None and name not in piece.scope.sources and number in names.layers[parameter]
            ]
            return left[0] if left else self._made_by_default(e, names.layers[parameter], uses)
        try:
            value = Constants().translate(e)
        except Untranslatable:
            plain = [made for made in names.translations([e.span]) if not made.locals]
            return Code(plain[0].text) if plain else REQUIRED
        if isinstance(e, tree.DimsLiteral) and len(set(e.sizes)) == 1 and parameter not in names.tuples:
            return e.sizes[0]
        return Code(text(value))

    def _made_by_default(self, e: tree.Expression, known: Values, uses: list[tuple[int, Piece]]) -> Any:
        """What makes the layer that a parameter is by default, where no use has left it so."""
        layer = LAYERS.get(e.text) if isinstance(e, tree.Name) else None
        if layer is None:
            return REQUIRED
        graph, use = uses[0]
        shape = self.graphs[graph].values[use.inputs[0]]
        node = self.graphs[graph].layers[0].model_copy(update={"layer": layer(), "named": False, "weights": ()})
        return self.aligner.maker_like(Place(node, (shape,), (shape,)), next(iter(known.values()))) or REQUIRED

    @staticmethod
    def _default(values: dict[tuple[int, str], Any]) -> Any:
        """A plain value that half of the uses have makes a default."""
        for plain in (1, False, 0, "valid"):
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

    # -- steps

    def _steps(self, body: Body, names: Names, flow: Flow) -> list[Step]:
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

    def _shapes(self, slot: Slot, body: Body) -> tuple[Shape, ...]:
        shapes: set[tuple[Shape, ...]] = set()
        for context, piece in slot.pieces.items():
            if body.graph[context] in self.shown:
                values = self.graphs[body.graph[context]].values
                shapes.add(tuple(values[v] for v in piece.outputs))
        return shapes.pop() if len(shapes) == 1 else ()

    def _node_step(self, slot: Slot, body: Body, names: Names, flow: Flow) -> Step:
        contexts = list(slot.pieces)
        emissions = [slot.emissions[c] for c in contexts]
        some = next(iter(slot.pieces.values()))
        assert some.node is not None
        if not slot.makers and len({len(emission.stages) for emission in emissions}) > 1:
            raise Differ("other steps in other uses")
        hint = (some.named and unnumbered(some.label)) or some.node.layer.kind
        stages = []
        origins = self._origins(slot, body, names, flow)
        if slot.makers:
            if slot.parameter and (outer := outermost(dict(slot.makers), body)):
                maker = names.layer(outer, slot.parameter)
            else:
                maker = resolve(dict(slot.makers), body, names, self._written(some.node))
            if slot.nameless:
                if isinstance(flow, Closed):
                    raise Differ("functions in a sequence of objects")
                function = f"{maker}()" if slot.called else maker
                called = Expression("{function}({0})", {"function": function}, loose=False, helper=None)
                stages.append(ResolvedStage(None, called, "", attribute=False))
            else:
                given = [Construct("", slot.placed[c]) for c in contexts]
                made = resolve_call(given, contexts, body, names, hint, origins)
                call = Call(maker, made.arguments, self.dialect.layer_class)
                stages.append(ResolvedStage(call, None, "", attribute=False))
        for position, stage in enumerate(() if slot.makers else emissions[0].stages):
            every = [emission.stages[position] for emission in emissions]
            modules = [one.module for one in every if one.module is not None]
            formulas = [one.formula for one in every if one.formula is not None]
            module = formula = None
            if len(modules) == len(every):
                module = resolve_call(modules, contexts, body, names, hint, origins)
            if len(formulas) == len(every):
                formula = resolve_formula(formulas, contexts, body, names, hint, origins)
            if module is None and formula is None:
                raise Differ("no form that all uses share")
            stages.append(ResolvedStage(module, formula, stage.suffix, stage.attribute))
        formula = stages[-1].formula if stages else None
        constant = formula is not None and not any(
            _words(text) & {*names.used, *names.defined} for text in formula.values.values()
        )
        functional = constant and not (some.named or some.node.weights or isinstance(flow, Closed))
        label, pattern = ("", False) if functional or slot.nameless else resolve_label(slot, body, names)
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
        self._follow_channels(slot, body, names, flow, origins)
        return step

    def _origins(self, slot: Slot, body: Body, names: Names, flow: Flow) -> Origins:
        """What the spec gives a layer, where it gives all uses of it the same, and the channels that come in."""
        nodes = [piece.node for piece in slot.pieces.values() if piece.node is not None]
        fields = {
            name: span
            for name, span in nodes[0].sources.items()
            if all(node.sources.get(name) == span for node in nodes)
        }
        known = [self._channels_read(slot, body, n, names, flow) for n in range(len(nodes[0].inputs))]
        options = list({one.text: one for some in known for one in some}.values())
        if len(options) > 1 and len(nodes[0].inputs) == 1:
            sizes = {c: self._channels(body, c, piece.inputs[0]) for c, piece in slot.pieces.items()}
            if names.channels(options, sizes, body) is None:
                either = names.either(options, sizes, body)
                options = [either] if either is not None else options
        return Origins(fields, options)

    def _carry(self, slot: Slot, step: Step, body: Body, names: Names, flow: Flow) -> None:
        """Name the channels of what a loop makes in one turn and reads in the next: numbers that go along with it."""
        inner = slot.bodies[0]
        assert inner.turn is not None
        before = {(inner.parent[c], inner.turn[c]): c for c in inner.contexts}
        made: dict[tuple[int, int], tuple[int, int, int]] = {}
        readers: list[tuple[int, int]] = []
        for part, context, piece in _everything(inner):
            # Of several results of a loop inside, the last turn's is what goes on.
            results = produced(piece)
            made |= {(context, value): (id(part), n - len(results), value) for n, value in enumerate(results)}
            readers += [(context, value) for value in used(piece)]
        carried: dict[tuple[int, int], dict[int, int]] = {}
        for context, value in readers:
            last = before.get((inner.parent[context], inner.turn[context] - 1))
            if last is not None and (last, value) in made:
                carried.setdefault(made[last, value][:2], {})[context] = value
        for (maker, position), values in carried.items():
            # What comes in at first is what is read in the first turn where later ones read what was made before.
            begun = self._begun(inner, set(values.items()), readers)
            if begun is None:
                continue
            name = names.fresh("channels")
            sizes = {c: self._channels(inner, c, value) for c, value in {**begun, **values}.items()}
            if len(set(sizes.values())) == 1:
                continue
            names.carried[name] = {(id(inner), c): size for c, size in sizes.items()}
            starts = {
                one.text: one
                for c, value in begun.items()
                if (one := names.value_channels.get((flow.use_of(inner, c), value))) is not None
            }
            for context, value in values.items():
                names.value_channels[flow.use_of(inner, context), value] = Translated(ast.Name(name))
            turns = dict(names.turn_names)
            self.carries.append(
                _Carry(name, step, inner, body, set(begun), values, (maker, position), turns, list(starts.values()))
            )

    @staticmethod
    def _begun(inner: Body, carried: set[tuple[int, int]], readers: Sequence[tuple[int, int]]) -> dict[int, int] | None:
        """The value that is read in each first turn in place of what later turns carry."""
        assert inner.turn is not None
        order: dict[int, list[int]] = {}
        for context, value in readers:
            order.setdefault(context, []).append(value)
        places = {order[c].index(value) for c, value in carried}
        firsts = [c for c in inner.contexts if inner.turn[c] == 0]
        place = min(places)
        if any(len(order.get(c, [])) <= place for c in firsts):
            return None
        return {c: order[c][place] for c in firsts}

    def _behind_loop(self, inner: Body, body: Body, names: Names, flow: Flow) -> None:
        """What the last turn has made has as many channels as the number says that was taken on."""
        assert inner.turn is not None
        last: dict[int, int] = {}
        for context in inner.contexts:
            last[inner.parent[context]] = max(inner.turn[context], last.get(inner.parent[context], 0))
        for carry in self.carries:
            if carry.body is not inner:
                continue
            for part, context, piece in _everything(inner):
                if id(part) == carry.maker[0] and inner.turn[context] == last[inner.parent[context]]:
                    value = produced(piece)[carry.maker[1]]
                    key = flow.use_of(inner, context), value
                    carry.last[context] = names.value_channels.get(key)
                    size = self._channels(inner, context, value)
                    outer, around = body, inner.parent[context]
                    names.carried[carry.name][id(outer), around] = size
                    while outer.turn is None and outer.outer is not None:
                        outer, around = outer.outer, outer.parent[around]
                        names.carried[carry.name][id(outer), around] = size
                    names.value_channels[key] = Translated(ast.Name(carry.name))

    def _finish_carries(self, names: Names, flow: Flow) -> None:
        """Write how the numbers begin and change that loops take from turn to turn, those that something reads."""
        waiting = list(self.carries)
        while ready := [carry for carry in waiting if carry.name in names.carried_used]:
            waiting = [carry for carry in waiting if carry not in ready]
            for carry in ready:
                self._finish_carry(carry, names, flow)
        self._join_carries(names)

    def _join_carries(self, names: Names) -> None:
        """Let a number that a loop in another takes on be that of the other, where this only passes it on."""
        for outer in self.carries:
            for inner in self.carries:
                if (outer.name, inner.name, outer.name) not in [
                    (name, then, first)
                    for name, _, then in outer.step.carried
                    for other, first, _ in inner.step.carried
                    if other == inner.name
                ]:
                    continue
                others = [step for step in _flat(outer.step.bodies[0]) if step is not inner.step]
                within = {id(step) for step in _flat([inner.step])}
                texts = [text for step in others if id(step) not in within for text in _texts(step)]
                if any(outer.name in _words(text) for text in texts):
                    continue
                _rename(inner.step, inner.name, outer.name)
                inner.step.carried = [one for one in inner.step.carried if one[0] != outer.name] + [
                    (outer.name, "", then) for name, _, then in inner.step.carried if name == outer.name
                ]
                outer.step.carried = [
                    (name, first, "" if name == outer.name else then) for name, first, then in outer.step.carried
                ]

    def _leave_out_unchanged(self, steps: Sequence[Step]) -> None:
        """Call a number that no turn changes what it is called before the loop."""
        while True:
            unchanged = [
                (carry.step, name, first)
                for carry in self.carries
                for name, first, then in carry.step.carried
                if then == first and re.fullmatch(r"\w+", first)
            ]
            if not unchanged:
                return
            step, name, first = unchanged[0]
            step.carried = [one for one in step.carried if one[0] != name]
            for one in steps:
                _rename(one, name, first)

    def _finish_carry(self, carry: _Carry, names: Names, flow: Flow) -> None:
        inner = carry.body
        assert inner.turn is not None
        before = {(inner.parent[c], inner.turn[c]): c for c in inner.contexts}
        values: Values = {}
        options: dict[str, Translated] = {}
        for context, value in carry.values.items():
            last = before[inner.parent[context], inner.turn[context] - 1]
            values[last] = names.carried[carry.name][id(inner), context]
            one = names.value_channels.get((flow.use_of(inner, last), value))
            if one is not None:
                options.setdefault(one.text, one)
        for context, one in carry.last.items():
            values[context] = names.carried[carry.name][id(carry.outer), inner.parent[context]]
            if one is not None:
                options.setdefault(one.text, one)
        first = {inner.parent[c]: names.carried[carry.name][id(inner), c] for c in carry.begun}
        defined = set(names.defined)
        with names.turns_again(carry.turns):
            made = names.channels(list(options.values()), values, inner)
            initial = names.translate(carry.starts, first, carry.outer)
            if initial is None and (either := names.either(carry.starts, first, carry.outer)) is not None:
                # A name for what begins here alone is one too many.
                initial = either.text if either.text in defined else names.defined.pop(either.text)
        if made is None or initial is None:
            raise Restart(inner.loop)  # channels that follow no rule over its turns
        carry.step.carried.append((carry.name, initial, names.commit(made)))

    def _channels(self, body: Body, context: int, value: int) -> Dim:
        shape = self.graphs[body.graph[context]].values[value]
        return shape[0] if shape else 0

    def _follow_channels(self, slot: Slot, body: Body, names: Names, flow: Flow, origins: Origins) -> None:
        """Remember what the channels of a layer's result are called."""
        for position in range(len(next(iter(slot.pieces.values())).outputs)):
            sizes = {c: self._channels(body, c, piece.outputs[position]) for c, piece in slot.pieces.items()}
            options: list[Translated] = []
            for name in ("filters", "units", "channels"):
                if name in origins.fields:
                    options += names.translations([origins.fields[name]])
            options += origins.channels
            inputs = self._sum_of_inputs(slot, body, names, flow)
            options += [inputs] if inputs is not None else []
            options += self._multiples(slot, body, sizes, origins.channels)
            if len(set(sizes.values())) == 1 and type(size := next(iter(sizes.values()))) is int:
                options.append(Translated(ast.Constant(size)))
            found = names.channels(options, sizes, body)
            if found is None:
                continue
            for context, piece in slot.pieces.items():
                names.value_channels[flow.use_of(body, context), piece.outputs[position]] = found

    def _multiples(
        self, slot: Slot, body: Body, sizes: Mapping[int, Dim], channels: Iterable[Translated]
    ) -> list[Translated]:
        """The channels of the input as many times as the result has them in every use: those of what is flattened."""
        times = set()
        for context, piece in slot.pieces.items():
            had, has = self._channels(body, context, piece.inputs[0]) if piece.inputs else 0, sizes[context]
            times.add(divmod(has, had) if type(had) is int and type(has) is int and had > 0 else None)
        whole = times.pop() if len(times) == 1 else None
        if whole is None or whole[0] < 2 or whole[1]:
            return []
        factor = ast.Constant(whole[0])
        return [Translated(ast.BinOp(one.expression, ast.Mult(), factor), one.locals) for one in channels if one.names]

    def _sum_of_inputs(self, slot: Slot, body: Body, names: Names, flow: Flow) -> Translated | None:
        """The channels of all inputs together."""
        count = len(next(iter(slot.pieces.values())).inputs)
        if count < 2 or any(len(piece.inputs) != count for piece in slot.pieces.values()):
            return None
        total: Translated | None = None
        for position in range(count):
            options = self._channels_read(slot, body, position, names, flow)
            sizes = {c: self._channels(body, c, piece.inputs[position]) for c, piece in slot.pieces.items()}
            one = names.channels(options, sizes, body)
            if one is None:
                return None
            if total is None:
                total = one
            else:
                both = ast.BinOp(total.expression, ast.Add(), one.expression)
                total = Translated(both, total.locals | one.locals)
        return total

    @staticmethod
    def _channels_read(slot: Slot, body: Body, position: int, names: Names, flow: Flow) -> list[Translated]:
        """What the channels of an input are called, in one use or another."""
        found: dict[str, Translated] = {}
        for context, piece in slot.pieces.items():
            if position < len(piece.inputs):
                one = names.value_channels.get((flow.use_of(body, context), piece.inputs[position]))
                if one is not None:
                    found.setdefault(one.text, one)
        return list(found.values())

    @staticmethod
    def _results_of(step: Step, position: int) -> list[Translated]:
        """What a definition says of the channels of a result, with what it is given in this place."""
        routine = step.routine
        if routine is None or position >= len(routine.output_channels):
            return []
        one = routine.output_channels[position]
        if one is None:
            return []
        given = {p.name: literal(p.default) for p in routine.parameters if p.default is not REQUIRED}
        found = Translated(substituted(one, {**given, **dict(step.arguments)}))
        # A number is better than the sum that it comes of, and a long expression than none no better.
        return [found] if not found.is_constant and len(found.text) <= LONGEST_CHANNELS else []

    def _written(self, node: Node) -> str:
        """The name under which the spec applies a layer, such as a block's parameter ``act``."""
        span = node.span
        line = self.graphs[0].sources[span.file].split("\n")[span.line - 1]
        found = re.match(r"(?:[\w.]+\s*:\s*)?([A-Za-z_]\w*)", line[span.column - 1 :])
        return found[1] if found else node.layer.kind

    def _scope_step(self, slot: Slot, body: Body, names: Names, flow: Flow) -> Step:
        label, pattern = resolve_label(slot, body, names)
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
            step.bodies = [self._steps(slot.bodies[0], names, Closed() if opaque else flow)]
            if label.isidentifier():
                for inner in step.bodies[0]:
                    inner.hint = inner.hint or label
            return step
        if slot.parameter:
            self._apply_given(step, slot, body, names, flow)
            return step
        routines = {id(r): r for r in (self.routine_of(body.graph[c], piece) for c, piece in slot.pieces.items())}
        if len(routines) > 1:
            raise Differ("other definitions in other uses")
        step.routine = routine = next(iter(routines.values()))
        for parameter in routine.parameters:
            values = {c: parameter.values[self._use(body.graph[c], piece)] for c, piece in slot.pieces.items()}
            if parameter.sizes:
                values = {c: Sizes.of(value) for c, value in values.items()}
            written = self._argument(values, slot, body, names, parameter, flow)
            left = parameter.spec_name and not any(
                piece.scope is not None and parameter.spec_name in piece.scope.sources for piece in slot.pieces.values()
            )
            if parameter.default is REQUIRED or not (left or written == literal(parameter.default)):
                step.arguments.append((parameter.name, readable(written)))
        flow.connect(step, slot)
        self._follow_results(step, slot, body, names, flow)
        return step

    def _apply_given(self, step: Step, slot: Slot, body: Body, names: Names, flow: Flow) -> None:
        """Apply a block that a parameter is: what is given here goes by name, but for the channels that come in."""
        routines = {c: self.routine_of(body.graph[c], piece) for c, piece in slot.pieces.items()}
        parts = {c: self._given_parts(routines[c], body.graph[c], piece) for c, piece in slot.pieces.items()}
        outer = outermost({c: maker for c, (maker, _) in parts.items()}, body)
        if not outer:
            raise Differ("a block that changes within one use")
        step.given = names.layer(outer, slot.parameter)
        step.routine = next(iter(routines.values()))
        places = {tuple(p.channels_of for p in r.parameters if p.channels_of is not None) for r in routines.values()}
        here = {tuple((p.name, p.spec_name) for p in some) for _, some in parts.values()}
        if len(places) > 1 or len(here) > 1:
            raise Differ("blocks that take other arguments")
        for place in places.pop():
            sizes = {c: self._channels(body, c, piece.inputs[place]) for c, piece in slot.pieces.items()}
            options = self._channels_read(slot, body, place, names, flow)
            step.arguments.append(("", resolve(sizes, body, names, "channels", options)))
        for number, (own, _) in enumerate(here.pop()):
            each = {c: some[number] for c, (_, some) in parts.items()}
            values = {c: each[c].values[self._use(body.graph[c], piece)] for c, piece in slot.pieces.items()}
            if any(parameter.sizes for parameter in each.values()):
                values = {c: Sizes.of(value) for c, value in values.items()}
            written = self._argument(values, slot, body, names, next(iter(each.values())), flow)
            step.arguments.append((own, readable(written)))
        flow.connect(step, slot)
        if self.dialect.implicit_channels:
            self._ask_channels(step, slot, body, names, flow, list(routines.values()))

    def _given_parts(self, routine: Routine, graph: int, piece: Piece) -> tuple[Maker, list[Parameter]]:
        """A block with the arguments that it has before it comes to a place, and the parameters given to it there."""
        scope = piece.scope
        assert scope is not None
        before: list[str] = []
        here: list[Parameter] = []
        for parameter in routine.parameters:
            value = parameter.values[self._use(graph, piece)]
            source = scope.sources.get(parameter.spec_name)
            if source is not None and inside(source, scope.span):
                here.append(parameter)
            elif parameter.channels_of is None and (source is not None or not parameter.spec_name):
                if parameter.sizes:
                    value = Sizes.of(value)
                before.append(f"{parameter.name}={readable(literal(value))}")
        if len(here) < sum(inside(source, scope.span) for source in scope.sources.values()):
            raise Differ("a block with arguments that no code can carry")
        text = f"partial({routine.name}, {', '.join(before)})" if before else routine.name
        return Maker(text, "", None, makes=self.dialect.made_by(routine.name)), here

    def _ask_channels(
        self, step: Step, slot: Slot, body: Body, names: Names, flow: Flow, routines: Sequence[Routine]
    ) -> None:
        """The channels of what a given block makes are known to it alone."""
        if not all(routine.told_channels for routine in routines):
            return
        step.variable = names.fresh("block")
        count = len(next(iter(slot.pieces.values())).outputs)
        sizes = {c: [self._channels(body, c, v) for v in piece.outputs] for c, piece in slot.pieces.items()}
        names.carried[step.variable] = {
            (id(body), c): SimpleNamespace(out_channels=some[0] if count == 1 else tuple(some))
            for c, some in sizes.items()
        }
        for position in range(count):
            asked: ast.expr = ast.Attribute(ast.Name(step.variable), "out_channels")
            if count > 1:
                asked = ast.Subscript(asked, ast.Constant(position))
            for context, piece in slot.pieces.items():
                names.value_channels[flow.use_of(body, context), piece.outputs[position]] = Translated(asked)

    def _argument(self, values: Values, slot: Slot, body: Body, names: Names, parameter: Parameter, flow: Flow) -> str:
        """What a definition is given for a parameter."""
        scopes = [piece.scope for piece in slot.pieces.values() if piece.scope is not None]
        spans = {scope.sources.get(parameter.spec_name) for scope in scopes}
        span = spans.pop() if len(spans) == 1 and parameter.spec_name else None
        sources: list[Span | Translated] = [span] if span is not None else []
        if parameter.channels_of is not None:
            options = self._channels_read(slot, body, parameter.channels_of, names, flow)
            if len(options) > 1 and names.channels(options, values, body) is None:
                either = names.either(options, values, body)
                options = [either] if either is not None else options
            sources += options
        some = next(iter(values.values()))
        if isinstance(some, Maker) and span is not None and (outer := outermost(values, body)):
            e = self.source.expressions.get(span)
            definition = self.source.around(span)
            known = self.source.parameters(definition, self.aligner.base) if definition is not None else ()
            if isinstance(e, tree.Name) and e.text in known:
                return names.layer(outer, e.text)
        return resolve(values, body, names, parameter.name, sources)

    def _follow_results(self, step: Step, slot: Slot, body: Body, names: Names, flow: Flow) -> None:
        """Remember what the channels of a block's results are called."""
        for position in range(len(next(iter(slot.pieces.values())).outputs)):
            sizes = {c: self._channels(body, c, piece.outputs[position]) for c, piece in slot.pieces.items()}
            some = next(iter(slot.pieces.values()))
            options = self._results_of(step, position)
            options += names.translations(list(some.scope.sources.values())) if some.scope is not None else []
            for number in range(len(some.inputs)):
                options += self._channels_read(slot, body, number, names, flow)
            if len(set(sizes.values())) == 1 and type(size := next(iter(sizes.values()))) is int:
                options.append(Translated(ast.Constant(size)))
            found = names.channels(options, sizes, body)
            if found is not None:
                for context, piece in slot.pieces.items():
                    names.value_channels[flow.use_of(body, context), piece.outputs[position]] = found

    def _choice(self, slot: Slot, body: Body, names: Names, flow: Flow) -> list[Step]:
        taken = {c: slot.sides[c] == 0 for c in body.contexts}
        other = {c: slot.sides[c] == 1 for c in body.contexts}
        for side, same in ((0, taken), (1, other)):
            if all(same.values()):
                if names.base is not None and any(
                    one.names
                    for one in names.translations([slot.key[1]])  # type: ignore[list-item]
                ):
                    raise Differ("a condition of which no use meets the other side")
                return [*self._steps(slot.bodies[side], names, flow), *self._aliases(slot, side, flow)]
        if not any(inner.slots for inner in slot.bodies) and not any(piece.bindings for piece in slot.pieces.values()):
            return []
        sides = [inner for inner in slot.bodies if inner.slots]
        hint = self._option(sides)
        ways = [(slot.bodies[0], taken), (slot.bodies[1], other)]
        renaming = any(piece.bindings and slot.sides[c] == 0 for c, piece in slot.pieces.items())
        if not slot.bodies[0].slots and not renaming:
            ways.reverse()
        translated = names.translate([slot.key[1]], taken, body)  # type: ignore[list-item]
        if translated is not None:
            test = translated if ways[0][1] is taken else negated(translated)
            names.translated_tests += names.translations([slot.key[1]])  # type: ignore[list-item]
        else:
            test = resolve(ways[0][1], body, names, hint, [slot.key[1]])  # type: ignore[list-item]
        turned = re.fullmatch(r"(\w+) != \d+", test)
        if translated is None and turned and turned[1] in names.open_loops and ways[1][0].slots:
            # What the first turn makes for the others comes first in the code as well.
            ways.reverse()
            test = resolve(ways[0][1], body, names, hint)
        truth = outermost(ways[0][1], body)
        if truth:
            names.tests.append((test, truth))
        step = Step(kind="choice", test=test, flag=safe(hint))
        flow.open(step, slot)
        step.bodies = [
            [*self._steps(side, names, flow), *self._aliases(slot, slot.bodies.index(side), flow)] for side, _ in ways
        ]
        flow.close()
        return [step]

    @staticmethod
    def _aliases(slot: Slot, side: int, flow: Flow) -> list[Step]:
        """The names that a side of a choice gives to values that were there before."""
        if isinstance(flow, Closed):
            return []
        pieces = {c: dict(piece.bindings) for c, piece in slot.pieces.items() if slot.sides[c] == side}
        steps = []
        for name in next(iter(pieces.values()), {}):
            if all(name in bindings for bindings in pieces.values()):
                step = Step(kind="alias", hint=name)
                flow.rename(step, slot, side, {c: bindings[name] for c, bindings in pieces.items()})
                steps.append(step)
        return steps

    @staticmethod
    def _option(sides: Sequence[Body]) -> str:
        """A name for whether the first of these bodies runs: the first label of the spec for what the other has not."""

        def inside(body: Body) -> list[Piece]:
            found = []
            for slot in body.slots:
                found += [piece for inner in slot.bodies for piece in inside(inner)] if slot.kind == "branch" else []
                found += slot.pieces.values()
            return found

        parts = list(map(inside, sides))

        def kind(piece: Piece) -> object:
            return piece.node.layer.kind if piece.node else piece.definition or piece.label

        for number, own in enumerate(parts):
            elsewhere = {kind(piece) for some in (*parts[:number], *parts[number + 1 :]) for piece in some}
            named = [piece for piece in own if piece.named]
            for piece in [piece for piece in named if kind(piece) not in elsewhere] or named:
                label = piece.label.partition(".")[0]
                return label if unnumbered(label) == label else f"with_{unnumbered(label) or 'option'}"
        return "option"

    def _repeat(self, slot: Slot, body: Body, names: Names, flow: Flow) -> Step:
        span = slot.key[1]
        if ("counted", span) not in self.unroll and span in self.source.loops:
            step = self._translated_loop(self.source.loops[span], slot, body, names, flow)
            if step is not None:
                return step
        inner = slot.bodies[0]
        counts = {c: len(slot.pieces[c].turns) if c in slot.pieces else 0 for c in body.contexts}
        try:
            with names.counter() as variable:
                inner.variable, inner.first = variable, 0
                count = resolve(counts, body, names, "depth")
                return self._loop_step(variable, f"range({count})", slot, names, flow)
        except Differ:
            raise Restart(span) from None

    def _translated_loop(self, loop: tree.For, slot: Slot, body: Body, names: Names, flow: Flow) -> Step | None:
        """The spec's own loop over what it says; None where that cannot be said, or is not what the uses do."""
        variables = names.turn_variables(loop)
        turns = {c: piece.variables for c, piece in slot.pieces.items()}
        turns |= {c: [] for c in body.contexts if c not in turns}
        iterable = names.iterable(loop, turns, body)
        if iterable is None:
            return None
        inner = slot.bodies[0]
        inner.variable, inner.first = self._counter(loop, inner, variables)
        targets = ", ".join(_target(one, variables) for one in loop.targets)
        without_counter = "without counter", slot.key[1]
        try:
            with names.turns(loop, variables), ExitStack() as stack:
                if without_counter in self.unroll:
                    inner.variable, inner.first = stack.enter_context(names.counter()), 0
                    iterable = f"enumerate({iterable})"
                    targets = f"{inner.variable}, {f'({targets})' if len(loop.targets) > 1 else targets}"
                accumulated = self._accumulate(loop, inner, body, names)
                step = self._loop_step(targets, iterable, slot, names, flow)
                self.accumulated += [(step, *one) for one in accumulated]
                return step
        except Differ:
            # The numbers in its labels may need one.
            raise Restart(("counted", slot.key[1]) if inner.variable else without_counter) from None

    def _accumulate(
        self, loop: tree.For, inner: Body, body: Body, names: Names
    ) -> list[tuple[str, Translated, Translated]]:
        """The names that a loop of the spec takes from turn to turn, with what they are at first and after a turn."""
        assert inner.turn is not None
        found = []
        turns = {(inner.parent[c], inner.turn[c]): c for c in inner.contexts}
        for bound in self.source.accumulated(loop):
            change = bound.statement
            assert isinstance(change, tree.Binding)
            name = change.targets[0].text
            first = names.value_before(name, loop)
            if first is None:
                continue
            own = names.local(safe(name))
            names.accumulated[loop.span, name] = own, bound
            after = next(iter(names.translations([change.value.span])), None)
            values: dict[tuple[int, int], Any] = {}
            names.carried[own] = values
            try:
                if after is None:
                    raise ValueError(name)
                for context in body.contexts:
                    value, turn = first.evaluate(names.environment(context, body)), 0
                    while (context, turn) in turns:
                        values[id(inner), turns[context, turn]] = value
                        value = after.evaluate(names.environment(turns[context, turn], inner))
                        turn += 1
                    values[id(body), context] = value
            except (NameError, TypeError, ValueError, ArithmeticError, IndexError):
                del names.accumulated[loop.span, name], names.carried[own]
                continue
            found.append((own, first, after))
        return found

    def _finish_accumulated(self, names: Names) -> None:
        """Write what loops take from turn to turn, as far as something reads it."""
        waiting = list(self.accumulated)
        while ready := [one for one in waiting if one[1] in names.carried_used]:
            waiting = [one for one in waiting if one not in ready]
            for step, own, first, after in ready:
                step.carried.append((own, names.commit(first), names.commit(after)))
                step.accumulated.add(own)

    @staticmethod
    def _counter(loop: tree.For, inner: Body, variables: Mapping[str, str]) -> tuple[str, int]:
        """The first name of a loop and where it begins, if it goes up by one from turn to turn; else none."""
        target = loop.targets[0]
        if not isinstance(target, tree.Name) or inner.turn is None:
            return "", 0
        found = {
            value - inner.turn[c] if type(value := inner.variables[c].get(target.text)) is int else -1
            for c in inner.contexts
        }
        first = found.pop() if len(found) == 1 else -1
        return (variables[target.text], first) if first >= 0 else ("", 0)

    def _loop_step(self, targets: str, iterable: str, slot: Slot, names: Names, flow: Flow) -> Step:
        step = Step(kind="repeat", iterable=iterable, targets=targets)
        start = flow.position
        outer = slot.bodies[0].outer
        assert outer is not None
        if self.dialect.implicit_channels:
            self._carry(slot, step, outer, names, flow)
        step.bodies = [self._steps(slot.bodies[0], names, flow)]
        flow.loops.append((start, flow.position))
        count = _count(iterable)
        if count and outer.outer is None:
            turns = {c: len(slot.pieces[c].turns) if c in slot.pieces else 0 for c in outer.contexts}
            names.turns_counted.append((count, turns))
        self._behind_loop(slot.bodies[0], outer, names, flow)
        return step


def _count(iterable: str) -> str:
    """How many turns a loop has, where one name says that."""
    found = re.fullmatch(r"range\(([A-Za-z_]\w*)\)|(?:enumerate\()?([A-Za-z_]\w*)\)?", iterable)
    if found is None:
        return ""
    return found[1] or f"len({found[2]})"


def _target(one: tree.Name | tree.Names, variables: Mapping[str, str]) -> str:
    """What takes a part of each item of a loop."""
    if isinstance(one, tree.Names):
        return f"({', '.join(variables[name.text] for name in one.names)})"
    return variables[one.text]


def _texts(step: Step) -> Iterator[str]:
    """The expressions of the constructor in a step, without those of steps inside."""
    yield step.test
    yield step.iterable
    yield step.label
    yield from (text for _, text in step.arguments)
    for stage in step.stages:
        if stage.module is not None:
            yield from (text for _, text in stage.module.arguments)
        if stage.formula is not None:
            yield from stage.formula.values.values()
    yield from (text for _, *both in step.carried for text in both)


def _rename(step: Step, name: str, other: str) -> None:
    """Give a name of the constructor another one in a step and those inside."""

    def renamed(text: str) -> str:
        return re.sub(rf"\b{name}\b", other, text)

    for one in _flat([step]):
        one.test, one.iterable, one.label = renamed(one.test), renamed(one.iterable), renamed(one.label)
        one.arguments = [(key, renamed(text)) for key, text in one.arguments]
        for stage in one.stages:
            if stage.module is not None:
                stage.module.arguments = [(key, renamed(text)) for key, text in stage.module.arguments]
            if stage.formula is not None:
                stage.formula.values = {key: renamed(text) for key, text in stage.formula.values.items()}
        one.carried = [(renamed(own), renamed(first), renamed(then)) for own, first, then in one.carried]


def _flat(steps: Sequence[Step]) -> Iterator[Step]:
    """All steps, those in bodies too."""
    for step in steps:
        yield step
        for body in step.bodies:
            yield from _flat(body)


def _without_idle(steps: Sequence[Step]) -> list[Step]:
    """The steps without names that nobody reads, and without choices in which nothing is left."""
    found = []
    for step in steps:
        step.bodies = list(map(_without_idle, step.bodies))
        idle = (step.kind == "alias" and (not step.used or step.inputs == step.outputs)) or (
            step.kind == "choice" and not any(step.bodies)
        )
        if not idle:
            found.append(step)
    return found


def _words(text: str) -> set[str]:
    return set(re.findall(r"[A-Za-z_]\w*", text))
