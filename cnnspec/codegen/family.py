"""All models of a file in one module: their blocks once, the model that others derive from as a definition of its own.

A derived model then is a function that gives the base its arguments.  Where the base cannot be said for all that derive
from it, each model is a definition of its own, as it is in a file for it alone.
"""

from __future__ import annotations

import ast
import re
from collections.abc import Container, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from typing import Any

from typing_extensions import override

from cnnspec.backend import Member
from cnnspec.codegen.alignment import Differ, Restart, loops_to_unroll
from cnnspec.codegen.dialect import Dialect
from cnnspec.codegen.emission import REQUIRED, Sizes, literal, readable
from cnnspec.codegen.examples import drawn
from cnnspec.codegen.explanation import same
from cnnspec.codegen.naming import function_name, safe
from cnnspec.codegen.pieces import scattered
from cnnspec.codegen.plan import Planner, arguments_of_base, by_parameter
from cnnspec.codegen.program import Derived, Model, Parameter, Plan, Routine
from cnnspec.codegen.source import Source, files_of
from cnnspec.codegen.translation import Translated, Translator, Untranslatable, text, word
from cnnspec.diagnostics import Span
from cnnspec.expand import expand
from cnnspec.graph import Graph, Plain, Scope
from cnnspec.syntax import tree
from cnnspec.syntax.walk import parts


def told_apart(
    graph: Graph, probes: Iterable[Graph], carried: Mapping[str, str]
) -> Iterator[tuple[Graph, dict[str, Any]]]:
    """A model and those of its probes that differ in a parameter which its code takes, with what that is given."""
    yield graph, {}
    for name, some in by_parameter(graph, probes).items():
        if name in carried:
            yield some[0], {carried[name]: some[0].parameters[name]}


def plan_family(members: Sequence[Member], dialect: Dialect) -> Plan:
    """The models of one file together.  Raises `Differ` where their blocks cannot be said together."""
    source = Source.of(members[0][0])
    draws = _draws([graph for graph, _ in members])
    graphs = [[graph, *probes] for graph, probes in members]
    for some in _by_base(graphs, source).values():
        some[0] += _with_other_arguments(some, source)
    unroll: set[object] = loops_to_unroll([*(graph for some in graphs for graph in some), *draws], source, family=True)
    apart: set[object] = set()
    while True:
        planner = _FamilyPlanner(graphs, draws, dialect, frozenset(unroll))
        try:
            for root in planner.roots:
                for loop in scattered(root):
                    raise Restart(loop)
            return planner.run_all(apart)
        except _Apart as one:
            apart.add(one.name)
        except Restart as restart:
            unroll.add(restart.loop)


def _base(name: str, source: Source) -> tree.Definition:
    """The model of a name, or that from which it derives in the end."""
    definition = source.definitions[name]
    while definition.base is not None:
        assert isinstance(definition.base.function, tree.Name)
        definition = source.definitions[definition.base.function.text]
    return definition


def _by_base(graphs: Sequence[list[Graph]], source: Source) -> dict[str, list[list[Graph]]]:
    """Models with their probes by the name of what they derive from."""
    found: dict[str, list[list[Graph]]] = {}
    for some in graphs:
        found.setdefault(_base(some[0].name, source).name.text, []).append(some)
    return found


def _with_other_arguments(members: Sequence[Sequence[Graph]], source: Source) -> list[Graph]:
    """The first of some models with other values of what all of them give their base: these show what follows it."""
    first = members[0][0]
    base = _base(first.name, source)
    given = [arguments_of_base(graph.root, base) for some in members for graph in some]
    found = []
    for name, value in given[0].items():
        if all(name in one and same(one[name], value) for one in given):
            for other in _other_values(value):
                inputs = {port.name: first.shape(port.value) for port in first.inputs}
                if first.name == base.name.text:
                    files, parameters = files_of(first.sources.items()), {name: other}
                else:
                    files, parameters = _changed(first, base, name, other, source), {}
                expansion = expand(files, first.sources, model=first.name, parameters=parameters, inputs=inputs)
                if expansion.graph is not None and not any(d.severity == "error" for d in expansion.diagnostics):
                    found.append(expansion.graph)
    return found


def _other_values(value: Plain) -> list[Plain]:
    """Others that a parameter may have: of a list a shorter one, and those with the same change in each place."""
    match value:
        case bool():
            return [not value]
        case int() if value > 0:
            return [value + 1, 3 * value + 8]
        case float() if value > 0:
            return [value / 2, value / 3]
        case tuple() if value:
            return [*([value[:-1]] if len(value) > 1 else []), *zip(*map(_other_values, value), strict=False)]
    return []


def _changed(graph: Graph, base: tree.Definition, name: str, value: Plain, source: Source) -> list[tree.File]:
    """The files of a derived model where its base is given another value for a parameter."""
    definition = source.definitions[graph.name]
    while True:
        call = definition.base
        assert call is not None
        assert isinstance(call.function, tree.Name)
        if call.function.text == base.name.text:
            break
        definition = source.definitions[call.function.text]
    position = [one.name.text for one in base.parameters].index(name)
    given = list(call.arguments)
    for place, one in enumerate(given):
        if one.name.text == name if one.name is not None else place == position:
            given[place] = replace(one, value=_written(value, one.span))
            break
    else:
        given.append(tree.Argument(call.span, tree.Name(call.span, name), _written(value, call.span), 1))
    other = replace(definition, base=replace(call, arguments=tuple(given)))
    return [
        replace(file, definitions=tuple(other if one.span == other.span else one for one in file.definitions))
        for file in files_of(graph.sources.items())
    ]


def _written(value: Plain, span: Span) -> tree.Expression:
    match value:
        case bool():
            return tree.Boolean(span, value)
        case int() | float():
            return tree.Number(span, value, str(value))
        case tuple():
            return tree.ListLiteral(span, tuple(_written(one, span) for one in value), 1)
    raise TypeError(f"{value!r} is not written")


class _Apart(Exception):
    """A model that cannot be said for all that derive from it: planning starts again without it."""

    def __init__(self, name: str) -> None:
        super().__init__(name)
        self.name = name


def _draws(graphs: Sequence[Graph]) -> list[Graph]:
    """Other uses of the blocks of several models, of each block once."""
    known: set[str] = set()
    found: list[Graph] = []
    for graph in graphs:
        definitions = _definitions(graph.root)
        if definitions - known:
            found += drawn(graph)
            known |= definitions
    return found


def _definitions(scope: Scope) -> set[str]:
    found: set[str] = set()
    waiting: list[object] = [scope]
    while waiting:
        part = waiting.pop()
        if isinstance(part, Scope):
            found.add(part.definition)
        waiting += getattr(part, "body", ()) or getattr(part, "turns", ())
    return found


class _FamilyPlanner(Planner):
    """Plans several models of a file."""

    def run_all(self, apart: Container[object]) -> Plan:
        """The plan of all models, those that derive from a model ``apart`` with a definition each."""
        groups: dict[str, list[range]] = {}
        for member in self.members:
            groups.setdefault(_base(self.graphs[member[0]].name, self.source).name.text, []).append(member)
        names = [self.dialect.model_name(name) for name in groups]
        for graph in self.shown.values():
            names += [self.dialect.model_name(graph.name), function_name(graph.name)]
        for name, some in groups.items():
            graphs = [self.graphs[member[0]] for member in some]
            derived = any(graph.name != name for graph in graphs)
            if derived and name not in apart and self.dialect.shares_model(graphs):
                self.bases.add(name)
        self.prepare(names)
        models = []
        for name, some in groups.items():
            models += [self._base_of(name, some)] if name in self.bases else [self._own(member) for member in some]
        return Plan(self.order, models, self.shown, self.twins)

    def _base_of(self, name: str, members: Sequence[range]) -> Model:
        """The definition of a base, with the functions that make its models of it."""
        base = self.source.definitions[name]
        uses = [(number, self.roots[number]) for member in members for number in member]
        try:
            routine = self.routine(self.dialect.model_name(name), uses, [], base)
            own = [self.graphs[member[0]] for member in members if self._is(member, name)]
            derived = [self._derived(member, base, routine) for member in members if not self._is(member, name)]
        except Differ:
            raise _Apart(name) from None
        carried = [parameter.spec_name for parameter in routine.parameters if own]
        return Model(own[0] if own else derived[0].graph, routine, carried, derived)

    def _is(self, member: range, name: str) -> bool:
        return self.graphs[member[0]].name == name

    def _own(self, member: range) -> Model:
        """The definition of one model, with the parameters that it can keep."""
        graph, *probes = (self.graphs[number] for number in member)
        numbers = {id(self.graphs[number]): number for number in member}
        used, carried = [member[0]], list[str]()
        best: Model | None = None
        for name, some in by_parameter(graph, probes).items():
            try:
                attempt = self.model([*used, *(numbers[id(probe)] for probe in some)], [*carried, name])
            except Differ:
                continue
            if any(parameter.name == safe(name) for parameter in attempt.routine.parameters):
                carried.append(name)
                used += [numbers[id(probe)] for probe in some]
                best = attempt
        return best or self.model(used, carried)

    def _derived(self, member: range, base: tree.Definition, routine: Routine) -> Derived:
        """The function of a derived model: what it gives the base, in terms of its own parameters."""
        graph = self.graphs[member[0]]
        given = _Given(self.source, graph, base)
        while True:
            arguments: list[tuple[str | None, str]] = []
            for parameter in routine.parameters:
                written = given.argument(parameter, parameter.values[member[0], self.roots[member[0]].path])
                if written is not None:
                    by_place = len(arguments) == routine.parameters.index(parameter) and parameter.default is REQUIRED
                    arguments.append((None if by_place else parameter.name, written))
            if not given.changed:
                break
            given = _Given(self.source, graph, base, given.fixed)
        written = " ".join(one for _, one in arguments)
        carried = [name for name in given.own if re.search(rf"\b{safe(name)}\b", written)]
        declared = [
            str(Parameter(safe(name), {(0, ""): graph.parameters[name]}, graph.parameters[name])) for name in carried
        ]
        return Derived(function_name(graph.name), graph, declared, carried, arguments)


class _Given(Translator):
    """The arguments that a base has in a derived model, as expressions of the derived model's parameters."""

    def __init__(self, source: Source, graph: Graph, base: tree.Definition, fixed: Iterable[str] = ()) -> None:
        """``fixed`` are parameters that stay as they are, since some argument that needs them cannot be said."""
        super().__init__()
        definition = source.definitions[graph.name]
        plain = {
            one.name.text: value
            for one in definition.parameters
            if isinstance(value := graph.parameters.get(one.name.text), bool | int | float | str)
        }
        self.fixed = set(fixed)
        self.changed = False
        self.own = [name for name in plain if name not in self.fixed]
        self.values = {safe(name): value for name, value in plain.items()}
        self.known: dict[str, ast.expr] = {
            name: ast.Constant(value) if name in self.fixed else ast.Name(safe(name)) for name, value in plain.items()
        }
        self.needs: dict[str, set[str]] = {name: {name} for name in self.own}
        """The derived model's parameters on which each parameter of the model in view depends."""
        self.given: set[str] = set()
        while definition is not base:
            call = definition.base
            assert call is not None
            assert isinstance(call.function, tree.Name)
            definition = source.definitions[call.function.text]
            self._pass_on(call, definition)

    def _pass_on(self, call: tree.Call, definition: tree.Definition) -> None:
        """Go from a model's parameters to those of the one that it derives from."""
        names = [one.name.text for one in definition.parameters]
        given = {
            argument.name.text if argument.name is not None else names[position]: argument.value
            for position, argument in enumerate(call.arguments)
        }
        found: dict[str, ast.expr] = {}
        needs: dict[str, set[str]] = {}
        for name, e in given.items():
            words = {part.text for part in parts(e) if isinstance(part, tree.Name)}
            needs[name] = set().union(*(self.needs.get(word, ()) for word in words))
            try:
                found[name] = self.translate(e)
            except Untranslatable:
                continue
        self.known, self.needs, self.given = found, needs, set(given)
        for one in definition.parameters:
            if one.name.text not in given and one.default is not None:
                try:
                    self.known[one.name.text] = self.translate(one.default)
                except Untranslatable:
                    continue

    def argument(self, parameter: Parameter, value: Any) -> str | None:
        """The text of what a parameter of the base is given; None where it is left to its default."""
        name = parameter.spec_name
        if name not in self.given and parameter.default is not REQUIRED:
            return None
        made = self.known.get(name)
        if made is not None:
            try:
                translated = Translated(made)
                if translated.names and same(translated.evaluate(self.values), value):
                    return text(made)
            except (NameError, TypeError, ValueError, ArithmeticError, IndexError):
                pass
        if self.needs.get(name):
            self.fixed |= self.needs[name]
            self.changed = True
        if parameter.sizes:
            value = Sizes.of(value)
        return readable(literal(list(value) if parameter.listed else value))

    @override
    def name(self, e: tree.Name) -> ast.expr:
        found = self.known.get(e.text) or word(e.text)
        if found is None:
            raise Untranslatable(e.text)
        return found

    @override
    def attribute(self, e: tree.Attribute) -> ast.expr:
        raise Untranslatable(e.name.text)
