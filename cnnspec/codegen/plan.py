"""From concrete graphs to general code: what a block's uses share is written once, what differs becomes an argument.

The planner looks at every use of a block, in the model itself and in *probes* (expansions of the same spec with other
values of the model's parameters), and lays them beside each other part by part.  A number that is the same in every
use is a literal.  One that differs is explained, in this order, by a block parameter of the spec, by a name that the
block binds, by a simple expression of these (a product, a quotient, an arithmetic progression over a loop), or else
becomes a constructor argument of its own.  An ``if`` that all uses decide alike disappears.  Every expression is
checked against every use, so the code computes for each of them exactly what the graph says.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from functools import cached_property
from typing import Any

from cnnspec.codegen.alignment import Aligner, Body, Differ, Restart, Slot, loops_to_unroll, skeleton
from cnnspec.codegen.dialect import Dialect
from cnnspec.codegen.emission import REQUIRED, Sizes, literal
from cnnspec.codegen.explanation import Names, Values
from cnnspec.codegen.naming import class_name, safe, unnumbered
from cnnspec.codegen.pieces import Piece, pieces
from cnnspec.codegen.program import Call, Expression, Parameter, Plan, ResolvedStage, Routine, Step
from cnnspec.codegen.resolution import outermost, resolve, resolve_call, resolve_formula, resolve_label
from cnnspec.codegen.variables import Closed, Flow
from cnnspec.graph import Graph, Node
from cnnspec.shapes import Shape, show


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
    best: Plan | None = None
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
    return best or _plan(used, carried, dialect)


def _plan(graphs: list[Graph], carried: list[str], dialect: Dialect) -> Plan:
    unroll: set[object] = loops_to_unroll(graphs)
    while True:
        planner = _Planner(graphs, carried, dialect, frozenset(unroll))
        try:
            return planner.run()
        except Restart as restart:
            unroll.add(restart.loop)


class _Planner:
    def __init__(self, graphs: list[Graph], carried: list[str], dialect: Dialect, unroll: frozenset[object]) -> None:
        self.graphs = graphs
        self.carried = carried
        self.dialect = dialect
        self.roots = [pieces(graph, unroll) for graph in graphs]
        self.instances: dict[object, list[tuple[int, Piece]]] = {}
        self.inlined: dict[object, bool] = {}
        self.routines: dict[object, list[Routine]] = {}
        self.owner: dict[tuple[int, str], Routine] = {}
        self.order: list[Routine] = []
        self.names_taken: set[str] = set()
        self.reserved: set[str] = set()
        self.aligner = Aligner(graphs, dialect, self.is_routine)

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
        self.aligner.fill(body, {i: piece.body for i, (_, piece) in enumerate(uses)})
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
        flow = Flow(body, uses, input_names)
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
            sizes = parameter not in names.tuples and all(isinstance(value, tuple) for value in by_use.values())
            parameters.append(Parameter(parameter, by_use, default, sizes))
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
            if body.graph[context] == 0:
                values = self.graphs[0].values
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
        if slot.makers:
            maker = resolve(dict(slot.makers), body, names, self._written(some.node))
            if slot.nameless:
                if isinstance(flow, Closed):
                    raise Differ("functions in a sequence of objects")
                called = Expression("{function}({0})", {"function": maker}, loose=False, helper=None)
                stages.append(ResolvedStage(None, called, "", attribute=False))
            else:
                stages.append(ResolvedStage(Call(maker, [], self.dialect.layer_class), None, "", attribute=False))
        for position, stage in enumerate(() if slot.makers else emissions[0].stages):
            every = [emission.stages[position] for emission in emissions]
            modules = [one.module for one in every if one.module is not None]
            formulas = [one.formula for one in every if one.formula is not None]
            module = resolve_call(modules, contexts, body, names, hint) if len(modules) == len(every) else None
            formula = resolve_formula(formulas, contexts, body, names, hint) if len(formulas) == len(every) else None
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
        return step

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
        routines = {id(r): r for r in (self.routine_of(body.graph[c], piece) for c, piece in slot.pieces.items())}
        if len(routines) > 1:
            raise Differ("other definitions in other uses")
        step.routine = routine = next(iter(routines.values()))
        for parameter in routine.parameters:
            values = {c: parameter.values[body.graph[c], piece.path] for c, piece in slot.pieces.items()}
            if parameter.sizes:
                values = {c: Sizes.of(value) for c, value in values.items()}
            text = resolve(values, body, names, parameter.name)
            if parameter.default is REQUIRED or text != literal(parameter.default):
                step.arguments.append((parameter.name, text))
        flow.connect(step, slot)
        return step

    def _choice(self, slot: Slot, body: Body, names: Names, flow: Flow) -> list[Step]:
        taken = {c: slot.sides[c] == 0 for c in body.contexts}
        other = {c: slot.sides[c] == 1 for c in body.contexts}
        for side, same in ((0, taken), (1, other)):
            if all(same.values()):
                return self._steps(slot.bodies[side], names, flow)
        sides = [inner for inner in slot.bodies if inner.slots]
        hint = self._option(sides)
        ways = [(slot.bodies[0], taken), (slot.bodies[1], other)]
        if not slot.bodies[0].slots:
            ways.reverse()
        test = resolve(ways[0][1], body, names, hint)
        if test in {f"{counter} != 0" for counter in names.open_loops} and ways[1][0].slots:
            # What the first turn makes for the others comes first in the code as well.
            ways.reverse()
            test = resolve(ways[0][1], body, names, hint)
        truth = outermost(ways[0][1], body)
        if truth:
            names.tests.append((test, truth))
        step = Step(kind="choice", test=test, flag=safe(hint))
        flow.open(step, slot)
        step.bodies = [self._steps(side, names, flow) for side, _ in ways]
        flow.close()
        return [step]

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
        inner = slot.bodies[0]
        counts = {c: len(slot.pieces[c].turns) if c in slot.pieces else 0 for c in body.contexts}
        try:
            with names.counter() as variable:
                inner.variable = variable
                step = Step(kind="repeat", count=resolve(counts, body, names, "depth"), variable=variable)
                start = flow.position
                step.bodies = [self._steps(inner, names, flow)]
                flow.loops.append((start, flow.position))
        except Differ:
            raise Restart(slot.key[1]) from None
        return step


def _words(text: str) -> set[str]:
    return set(re.findall(r"[A-Za-z_]\w*", text))
