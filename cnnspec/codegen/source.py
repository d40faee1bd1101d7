"""The syntax that a graph came from, by place: what planners translate."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import lru_cache

from cnnspec.diagnostics import Span
from cnnspec.graph import Graph
from cnnspec.syntax import tree
from cnnspec.syntax.parse import parse_once
from cnnspec.syntax.walk import parts


@dataclass(frozen=True, slots=True)
class Bound:
    """A place in a body that gives a name its value.

    ``within`` are the bodies of loops, branches and groups around it, from the outside in; ``loops`` are those of loops
    alone, and ``instead`` the other sides of the branches.
    """

    statement: tree.Binding | tree.For | tree.Input | tree.Output
    within: tuple[Span, ...]
    loops: tuple[Span, ...]
    instead: tuple[Span, ...]

    def always_before(self, span: Span) -> bool:
        """Whether what is at a place further on comes after this, however the conditions turn out."""
        return all(inside(span, one) for one in self.within)


class Source:
    """The definitions of the files behind a graph."""

    def __init__(self, files: Iterable[tree.File]) -> None:
        self.definitions: dict[str, tree.Definition] = {}
        self.expressions: dict[Span, tree.Expression] = {}
        self.labels: dict[Span, tree.Label] = {}
        """The label before an expression, by the place of the two together and of the expression alone."""
        self.loops: dict[Span, tree.For] = {}
        self.regions: dict[Span, tree.For] = {}
        """The loops by the places of their bodies."""
        self._bound: dict[str, dict[str, list[Bound]]] = {}
        for file in files:
            for definition in file.definitions:
                self.definitions[definition.name.text] = definition
                for part in parts((definition.parameters, definition.body, definition.base)):
                    if isinstance(part, tree.For):
                        self.loops[part.span] = part
                        self.regions[region(part.body)] = part
                    if isinstance(part, tree.Labelled):
                        self.labels[part.span] = self.labels[part.value.span] = part.label
                    if isinstance(part, tree.Expression):
                        # Of two in one place, the outer one comes first.
                        self.expressions.setdefault(part.span, part)

    @classmethod
    def of(cls, graph: Graph) -> Source:
        """The syntax of a graph's files."""
        return _source(tuple(graph.sources.items()))

    def applied(self, span: Span) -> tree.Expression | None:
        """The expression of a layer or block where it is applied, without its label."""
        e = self.expressions.get(span)
        while isinstance(e, tree.Labelled):
            e = e.value
        return e

    def parameters(self, definition: tree.Definition, base: tree.Definition | None = None) -> set[str]:
        """The parameters of a block, or of the model ``base``, that nothing in it gives another value."""
        known = {parameter.name.text for parameter in definition.parameters} - self.bound(definition).keys()
        return known if definition.keyword == "block" or definition is base else set()

    def varies(self, loop: Span, *, models: bool = False) -> bool:
        """Whether an argument of a block, or of a model where that is asked, decides what a loop in it runs over."""
        statement, definition = self.loops.get(loop), self.around(loop)
        if statement is None or definition is None or (definition.keyword == "model" and not models):
            return False
        known = {parameter.name.text for parameter in definition.parameters} | self.bound(definition).keys()
        return any(isinstance(part, tree.Name) and part.text in known for part in parts(statement.iterable))

    def around(self, span: Span) -> tree.Definition | None:
        """The definition that a place is in."""
        for definition in self.definitions.values():
            if inside(span, definition.span):
                return definition
        return None

    def accumulated(self, loop: tree.For) -> Iterator[Bound]:
        """What gives another value, in each turn of a loop, to a name that had one before and is read until then."""
        definition = self.around(loop.span)
        body = region(loop.body)
        for name, known in self.bound(definition).items() if definition is not None else ():
            within = [one for one in known if inside(one.statement.span, loop.span)]
            if len(within) != 1 or not isinstance(within[0].statement, tree.Binding):
                continue
            (one,) = within
            reads = [part.span for part in parts(loop.body) if isinstance(part, tree.Name) and part.text == name]
            if (
                one.within[-1:] == (body,)
                and len(within[0].statement.targets) == 1
                and any(before(other.statement.span, loop.span) for other in known if other is not one)
                and not any(before(one.statement.span, span) and not inside(span, one.statement.span) for span in reads)
            ):
                yield one

    def bound(self, definition: tree.Definition) -> dict[str, list[Bound]]:
        """Where each name of a definition's body gets values, in the order of the text; groups are bodies of it too."""
        name = definition.name.text
        if name not in self._bound:
            found: dict[str, list[Bound]] = {}
            for one, *around in _statements(definition.body, (), (), ()):
                match one:
                    case tree.Binding():
                        names = one.targets
                    case tree.For() | tree.Input():
                        names = one.names
                    case tree.Output(name=tree.Name() as given):
                        names = (given,)
                    case _:
                        continue
                for each in names:
                    found.setdefault(each.text, []).append(Bound(one, *around))
            self._bound[name] = found
        return self._bound[name]


def _statements(
    body: tuple[tree.Statement, ...],
    within: tuple[Span, ...],
    loops: tuple[Span, ...],
    instead: tuple[Span, ...],
) -> Iterator[tuple[tree.Statement, tuple[Span, ...], tuple[Span, ...], tuple[Span, ...]]]:
    """Every statement of a body and the bodies in it, with what `Bound` has of each."""
    for statement in body:
        yield statement, within, loops, instead
        match statement:
            case tree.For():
                inner = region(statement.body)
                yield from _statements(statement.body, (*within, inner), (*loops, inner), instead)
            case tree.If():
                one, other = region(statement.body), region(statement.otherwise)
                yield from _statements(statement.body, (*within, one), loops, (*instead, other))
                yield from _statements(statement.otherwise, (*within, other), loops, (*instead, one))
            case _:
                for part in parts(statement):
                    if isinstance(part, tree.Group):
                        yield from _statements(part.body, (*within, part.span), loops, instead)


def region(body: tuple[tree.Statement, ...]) -> Span:
    """The place of a body, from its first statement to its last; an empty one has none."""
    return body[0].span.to(body[-1].span) if body else Span("", 0, 0, 0, 0)


def before(one: Span, other: Span) -> bool:
    """Whether a place comes before another in the text."""
    return (one.line, one.column) < (other.line, other.column)


def inside(span: Span, outer: Span) -> bool:
    """Whether a place lies in another."""
    return (
        span.file == outer.file
        and (outer.line, outer.column) <= (span.line, span.column)
        and (span.end_line, span.end_column) <= (outer.end_line, outer.end_column)
    )


def files_of(sources: Iterable[tuple[str, str]]) -> list[tree.File]:
    """The syntax trees of files, given their names and texts; raises `SpecError`."""
    return [parse_once(text, name) for name, text in sources]


@lru_cache(maxsize=4)
def _source(sources: tuple[tuple[str, str], ...]) -> Source:
    return Source(files_of(sources))
