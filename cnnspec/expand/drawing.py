"""Other valid uses of a spec's blocks: what generated code is held to beside the uses that the spec has.

A draw starts from a use that the spec has and changes arguments and shapes; what expands without an error is valid.
Draws go on until each side of each condition has been taken, or enough were tried.  All is settled by the spec: equal
specs have equal draws.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from cnnspec.diagnostics import Span
from cnnspec.expand.application import BlockUse
from cnnspec.expand.expander import Expander
from cnnspec.expand.expressions import LabelAt
from cnnspec.expand.values import Frame, Given, LayerValue, Tensor
from cnnspec.graph import Graph, Port, Scope
from cnnspec.layers import LAYERS
from cnnspec.shapes import Dim, Dims, Shape
from cnnspec.syntax import tree
from cnnspec.syntax.walk import parts

LABEL = "block"
"""The path of a drawn use in its graph."""
ENOUGH = 12
"""Draws of a block that are kept, besides those that meet a condition with arguments that few others have there."""
SEVERAL = 3
"""Values that every argument shall have had on each side of each condition."""
MOST_TRIES = 100
MOST_USELESS = 20
"""Draws in a row that bring nothing new, after which there are enough."""
LARGEST_DRAWN = 4096
"""Numbers larger than this stay as they are: nothing is learned from a block of a million channels."""
ACTIVATIONS = ("relu", "relu6", "silu", "hard_swish", "tanh", "sigmoid", "hard_sigmoid")
"""Layers that can stand for each other."""


@dataclass(slots=True)
class Draws:
    """The drawn uses of the blocks of a spec: for each a graph that has it alone, under the path `LABEL`."""

    graphs: list[Graph] = field(default_factory=list)
    uses: list[BlockUse] = field(default_factory=list)
    """What each of them was given."""


def draw_uses(expander: Expander, sources: dict[str, str], seed: int = 0) -> Draws:
    """Other uses of every block that an expansion has used."""
    draws = Draws()
    uses = {name: list(some) for name, some in expander.block_uses.items()}
    waiting = list(uses)
    while waiting:
        name = waiting.pop(0)
        definition = expander.definitions[name]
        if definition.keyword == "model":
            continue
        found = _Drawing(
            expander.definitions, definition, uses[name], sources, random.Random(f"{name} {seed}"), set(expander.truths)
        )
        found.run()
        draws.graphs += found.graphs
        draws.uses += found.drawn
        for inner, some in found.uses_inside.items():
            if inner not in uses:
                # A block that only a drawn use has: behind a condition that the spec's own uses never meet.
                uses[inner] = some
                waiting.append(inner)
    return draws


def expand_use(
    definitions: Mapping[str, tree.Definition], use: BlockUse, sources: dict[str, str]
) -> tuple[Graph, Expander] | None:
    """The graph of one use of a block alone; None where it has errors."""
    expander = Expander(dict(definitions))
    frame = Frame("", is_model=True)
    made: list[Any] = []
    with expander.bounded():
        inputs = [expander.new_value(shape, use.what.span) for shape in use.shapes]
        result = expander.apply(use.what, inputs, frame, use.what.span, label=LabelAt(LABEL, use.what.span))
        made = list(result) if isinstance(result, tuple | list) else [result]
    if expander.has_errors or not made or not all(isinstance(value, Tensor) for value in made):
        return None
    (scope,) = frame.items
    assert isinstance(scope, Scope)
    names = [*scope.input_names, *(f"input_{n}" for n in range(len(scope.input_names), len(inputs)))]
    root = Scope.model_construct(
        path="",
        label="",
        named=False,
        definition="",
        origin=use.what.definition.name.span,
        span=use.what.definition.span,
        arguments={},
        sources={},
        names={},
        bindings=(),
        inputs=tuple([value.number for value in inputs]),
        input_names=tuple(names),
        outputs=tuple([value.number for value in made]),
        auxiliary=False,
        body=(scope,),
    )
    graph = Graph.model_construct(
        name=use.what.definition.name.text,
        parameters={},
        inputs=tuple(
            [Port.model_construct(name=name, value=one.number) for name, one in zip(names, inputs, strict=True)]
        ),
        outputs=tuple(
            [Port.model_construct(name=f"output_{n}", value=one.number, auxiliary=False) for n, one in enumerate(made)]
        ),
        values=tuple(expander.values),
        root=root,
        sources=sources,
    )
    return graph, expander


def conditions(definition: tree.Definition) -> list[Span]:
    """The places of the conditions in a definition: of statements, of expressions, and of their parts."""
    found: list[Span] = []

    def test(e: tree.Expression) -> None:
        found.append(e.span)
        if isinstance(e, tree.Unary) and e.operator == "not":
            test(e.operand)
        if isinstance(e, tree.Binary) and e.operator in ("and", "or"):
            test(e.left)
            test(e.right)

    for part in parts(definition.body):
        if isinstance(part, tree.If | tree.Conditional):
            test(part.test)
    return found


class _Drawing:
    """The draws of one block."""

    def __init__(
        self,
        definitions: Mapping[str, tree.Definition],
        definition: tree.Definition,
        uses: Sequence[BlockUse],
        sources: dict[str, str],
        numbers: random.Random,
        truths: set[tuple[Span, bool]],
    ) -> None:
        self.definitions = definitions
        self.definition = definition
        self.uses = list(uses)
        self.sources = sources
        self.numbers = numbers
        self.truths = truths
        self.met: dict[tuple[Span, bool, str], set[str]] = {}
        """The values of each argument with which each side of each condition was met."""
        self.sides: set[tuple[Span, bool]] = set()
        """The sides of conditions that were met."""
        self.graphs: list[Graph] = []
        self.drawn: list[BlockUse] = []
        self.uses_inside: dict[str, list[BlockUse]] = {}
        self.results: list[Shape] = []
        """Shapes that the block has given: as inputs, they meet conditions such as `x.channels == filters`."""
        self.pool: dict[str, list[Any]] = {}
        for use in uses:
            for name, given in use.what.arguments.items():
                if all(given.value is not known for known in self.pool.setdefault(name, [])):
                    self.pool[name].append(given.value)

    def run(self) -> None:
        wanted = {(span, truth) for span in conditions(self.definition) for truth in (True, False)}
        useless = 0
        for tried in range(MOST_TRIES):
            if len(self.graphs) >= ENOUGH and (
                self.complete(wanted) or (useless >= MOST_USELESS and wanted <= self.sides)
            ):
                break
            useless += 1
            use = self.draw(tried)
            found = expand_use(self.definitions, use, self.sources)
            if found is None:
                continue
            graph, expander = found
            met = wanted & expander.truths
            if len(self.graphs) < ENOUGH or self.adds(met, use):
                useless = 0
                self.truths |= expander.truths
                self.note(met, use)
                self.graphs.append(graph)
                self.drawn.append(use)
                self.uses.append(use)
                for name, some in expander.block_uses.items():
                    if name != self.definition.name.text:
                        self.uses_inside.setdefault(name, []).extend(some)
            self.results += [graph.values[port.value] for port in graph.outputs]

    def complete(self, wanted: Iterable[tuple[Span, bool]]) -> bool:
        """Whether each side of each condition was met, with several values of every argument."""
        names = {name for name, pool in self.pool.items() if pool}
        return all(len(self.met.get((*side, name), ())) >= SEVERAL for side in wanted for name in names)

    def adds(self, met: Iterable[tuple[Span, bool]], use: BlockUse) -> bool:
        """Whether a use meets a side of a condition with an argument that few others have had there."""
        return any(
            len(known := self.met.get((*side, name), set())) < SEVERAL and repr(given.value) not in known
            for side in met
            for name, given in use.what.arguments.items()
        )

    def note(self, met: Iterable[tuple[Span, bool]], use: BlockUse) -> None:
        self.sides.update(met)
        for side in met:
            for name, given in use.what.arguments.items():
                self.met.setdefault((*side, name), set()).add(repr(given.value))

    def draw(self, number: int) -> BlockUse:
        """A use with other arguments: of every parameter in turn, and of others by chance."""
        base = self.numbers.choice(self.uses)
        parameters = self.definition.parameters
        arguments = dict(base.what.arguments)
        for position, parameter in enumerate(parameters):
            if position != number % len(parameters) and self.numbers.random() < 0.5:
                continue
            name = parameter.name.text
            left_out = position == number % len(parameters) and number // len(parameters) % 3 == 1
            if name in arguments and parameter.default is not None and left_out:
                del arguments[name]
            elif name in arguments:
                given = arguments[name]
                arguments[name] = Given(self.other(given.value, self.pool.get(name, [])), given.span)
            elif isinstance(parameter.default, tree.Number | tree.Boolean):
                value = self.other(parameter.default.value, self.pool.get(name, []))
                arguments[name] = Given(value, parameter.default.span)
            elif isinstance(parameter.default, tree.Name) and parameter.default.text in ACTIVATIONS:
                arguments[name] = Given(self.activation(parameter.default.span), parameter.default.span)
        what = replace(base.what, arguments=arguments)
        return BlockUse(what, self.shapes(base.shapes, arguments))

    def other(self, value: Any, pool: Sequence[Any]) -> Any:
        """Another value of the same kind, or now and then one of a use."""
        if len(pool) > 1 and self.numbers.random() < 0.3:
            return self.numbers.choice(pool)
        match value:
            case bool():
                return not value
            case int() if value <= LARGEST_DRAWN:
                return self.numbers.choice([value + 1, 2 * value, max(1, value // 2), 1, 2, 3, 5, value + 8, 3 * value])
            case float():
                return self.numbers.choice([value / 2, value / 4, (value + 1) / 3])
            case Dims():
                return Dims(self.numbers.choice([1, 2, 3, 5, 7]) for _ in value)
            case str() if value.isidentifier():
                return f"{value}_2"
            case LayerValue() if value.layer.kind in ACTIVATIONS and not value.arguments:
                return self.activation(value.span)
            case LayerValue():
                changed = {n: replace(g, value=self.other(g.value, [])) for n, g in value.arguments.items()}
                return replace(value, arguments=changed)
            case list() | tuple() if value:
                items = [self.other(item, []) if self.numbers.random() < 0.5 else item for item in value]
                if isinstance(value, list):
                    items = self.numbers.choice([items, [*items, items[-1]], [*items, *items], items[1:] or items])
                return type(value)(items)
        return value

    def activation(self, span: Span) -> LayerValue:
        return LayerValue(LAYERS[self.numbers.choice(ACTIVATIONS)], {}, span)

    def shapes(self, base: Sequence[Shape], arguments: Mapping[str, Given]) -> tuple[Shape, ...]:
        """Shapes of inputs, equal where those of the use are."""
        given = [one.value for one in arguments.values()]
        flat = [item for value in given for item in (value if isinstance(value, list | tuple) else [value])]
        sizes = [size for size in flat if type(size) is int and 0 < size <= LARGEST_DRAWN]
        results = [shape[0] for shape in self.results if shape and isinstance(shape[0], int)]
        # Inputs of equal channels stay so as a rule, since many blocks add them.
        apart = self.numbers.random() < 0.3
        channels: dict[tuple[int, Dim], Dim] = {}
        for number, shape in enumerate(base):
            for size in shape[:1]:
                if isinstance(size, int) and (number * apart, size) not in channels:
                    options = [size, 2 * size, size + 8, size + 3, *sizes, *(4 * one for one in sizes), *results[-4:]]
                    # Conditions such as `x.channels == filters` ask for what is given.
                    channels[number * apart, size] = self.numbers.choice(
                        sizes if sizes and self.numbers.random() < 0.3 else options
                    )
        places: dict[Dim, Dim] = {}
        # Of several inputs, one may have to be of twice the size of another.
        if len({size for shape in base for size in shape[1:]}) == 1 and self.numbers.random() < 0.7:
            for size in {size for shape in base for size in shape[1:]}:
                if isinstance(size, int) and size > 1:
                    places[size] = self.numbers.randint(min(size, 6), min(size, 6) + 12)
        return tuple(
            [
                (*[channels.get((n * apart, s), s) for s in shape[:1]], *[places.get(s, s) for s in shape[1:]])
                for n, shape in enumerate(base)
            ]
        )
