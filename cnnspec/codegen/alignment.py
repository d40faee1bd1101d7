"""All uses of a block beside each other, part by part: where they agree, and where they cannot share one definition."""

from __future__ import annotations

import heapq
import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Literal

from cnnspec.backend import UnsupportedLayer
from cnnspec.codegen.dialect import Dialect
from cnnspec.codegen.emission import Argument, Construct, Emission, Maker, Place, literal
from cnnspec.codegen.pieces import Piece
from cnnspec.codegen.source import Source
from cnnspec.codegen.surroundings import Surroundings
from cnnspec.diagnostics import Span
from cnnspec.graph import Graph, Loop, Node, Plain, Scope, Turn
from cnnspec.syntax import tree


class Differ(Exception):
    """Uses of a block that one piece of code cannot serve."""


class Restart(Exception):
    """A loop must be written out; planning starts again."""

    def __init__(self, loop: object) -> None:
        super().__init__(loop)
        self.loop = loop


@dataclass(slots=True)
class Slot:
    """One part of a body in all its uses; ``pieces`` has None where a use does not have it."""

    kind: Literal["node", "scope", "branch", "loop"]
    key: tuple[object, ...]
    pieces: dict[int, Piece]
    bodies: list[Body] = field(default_factory=list)
    emissions: dict[int, Emission] = field(default_factory=dict)
    makers: dict[int, Maker] = field(default_factory=dict)
    """Where uses have layers of other kinds here, or one that a parameter is: what makes each, or is each."""
    parameter: str = ""
    """The parameter of the spec's block whose layer or block this is."""
    placed: dict[int, tuple[Argument, ...]] = field(default_factory=dict)
    """What the maker is given here: the arguments that depend on what comes in."""
    nameless: bool = False
    """Whether what is made has no name of its own: functions, or `called` objects that several places may share."""
    called: bool = False
    """Whether each maker is called for the object, which has no weights."""
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
    loop: Span | None = None
    """The place of the loop whose body this is."""
    variables: dict[int, dict[str, Plain]] = field(default_factory=dict)
    """What the loop's names are in each turn, as far as that is plain."""
    variable: str = ""
    """A name that counts its turns, and what that is in the first one."""
    first: int = 0
    positional: bool = False
    """Whether its parts, none of which has a name of its own, are known by their place alone."""
    closed: bool = False
    """Whether it is inside of one object that values pass through whole."""


class Aligner:
    """Lays the uses of a body beside each other, with what the target makes of each layer."""

    def __init__(
        self,
        graphs: Sequence[Graph],
        models: int,
        dialect: Dialect,
        is_routine: Callable[[Piece], bool],
        source: Source,
    ) -> None:
        """The first ``models`` of the graphs are the model, the others have drawn uses of its blocks.

        ``is_routine`` tells which scopes have a definition of their own: their insides are not looked at.
        """
        self.models = models
        self.source = source
        self.graphs = graphs
        self.surroundings = list(map(Surroundings, graphs))
        self.dialect = dialect
        self.is_routine = is_routine
        self.base: tree.Definition | None = None
        """The model that others derive from, while its definition is planned."""
        self.takes: dict[bool, set[str]] = {}
        """The parameters whose layers are told the channels that come in, and those that are not."""

    def lay(self, body: Body, sequences: dict[int, list[Piece]]) -> None:
        """Lay the uses of a definition beside each other; raises `Differ` and `Restart`."""
        self.takes = {True: set(), False: set()}
        self.fill(body, sequences)
        if self.takes[True] & self.takes[False]:
            # What one place of a parameter needs to know, all are told.
            self.takes[False] = set()
            self.fill(body, sequences)

    def fill(self, body: Body, sequences: dict[int, list[Piece]]) -> None:
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
                    slot.parameter = self.given_block([piece.scope for piece in slot.pieces.values()], self.base)
                    if not self.is_routine(some):
                        inner = Body(
                            list(body.contexts), dict(body.graph), outer=body, parent={c: c for c in body.contexts}
                        )
                        inner.closed = self.dialect.opaque()
                        inner.positional = inner.closed and all(
                            _by_position(piece.body) for piece in slot.pieces.values()
                        )
                        self.fill(inner, {c: piece.body for c, piece in slot.pieces.items()})
                        slot.bodies = [inner]
                case "branch":
                    slot.sides = self._sides(slot, body)
                    for side in (0, 1):
                        takers = [c for c in body.contexts if slot.sides[c] == side]
                        inner = Body(
                            takers, {c: body.graph[c] for c in takers}, outer=body, parent={c: c for c in takers}
                        )
                        inner.positional, inner.closed = body.positional, body.closed
                        self.fill(inner, {c: slot.pieces[c].body if c in slot.pieces else [] for c in takers})
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
        inner = Body([], {}, outer=body, turn={}, loop=slot.key[1], positional=body.positional, closed=body.closed)  # type: ignore[arg-type]
        sequences = {}
        assert inner.turn is not None
        for context, piece in slot.pieces.items():
            for turn, one in enumerate(piece.turns):
                number = len(inner.contexts)
                inner.contexts.append(number)
                inner.graph[number] = body.graph[context]
                inner.parent[number] = context
                inner.turn[number] = turn
                inner.variables[number] = piece.variables[turn]
                sequences[number] = one
        try:
            self.fill(inner, sequences)
        except Differ:
            raise Restart(slot.key[1]) from None
        slot.bodies = [inner]

    def _describe(self, slot: Slot, body: Body) -> None:
        places = []
        for context in body.contexts:
            node = slot.pieces[context].node
            assert node is not None
            around = self.surroundings[body.graph[context]]
            values = around.graph.values
            shapes = tuple(values[v] for v in node.inputs), tuple(values[v] for v in node.outputs)
            places.append(Place(node, *shapes, around))
        kinds = {type(place.node.layer) for place in places}
        slot.parameter = self._parameter(places)
        if len(kinds) > 1 or slot.parameter:
            places = [replace(place, given=True) for place in places]
        for kind in kinds:
            alike = [c for c, place in zip(body.contexts, places, strict=True) if type(place.node.layer) is kind]
            some = [place for place in places if type(place.node.layer) is kind]
            slot.emissions |= dict(zip(alike, self._described(some, alike, body), strict=True))
        if len(kinds) > 1 or slot.parameter:
            # The usual labels, `relu_1`, are of the kind: an object has another name in each use, a function has none.
            functions = self.dialect.value_class and not body.closed
            plain = not any(place.node.weights or place.node.named for place in places)
            several = len({skeleton(piece.label) for piece in slot.pieces.values()}) > 1
            slot.nameless = not body.positional and (several or bool(functions and plain))
            # What a parameter is given is the same thing in all its places, and some are in a sequence of objects.
            shared = slot.parameter and slot.nameless and plain and self.dialect.value_class
            made = self._makers(slot, body, places, nameless=False) if shared else None
            slot.called = made is not None and not any(maker.given for maker, _ in made.values())
            if made is not None and not slot.called and not several:
                slot.nameless = False
            elif not slot.called:
                made = self._makers(slot, body, places, nameless=slot.nameless)
            if made is not None:
                slot.makers = {context: maker for context, (maker, _) in made.items()}
                slot.placed = {context: given for context, (_, given) in made.items()}
            elif len(kinds) > 1:
                raise Differ("other layers in other uses, which nothing that a block could take makes")
            else:
                slot.parameter, slot.nameless = "", False

    def _makers(
        self, slot: Slot, body: Body, places: Sequence[Place], *, nameless: bool
    ) -> dict[int, tuple[Maker, tuple[Argument, ...]]] | None:
        """What makes the layer of each use, and what that is given there; None where nothing does."""
        try:
            made = {
                context: self._maker(slot.emissions[context], place, nameless)
                for context, place in zip(body.contexts, places, strict=True)
            }
        except Differ:
            return None
        takes = any(given for _, given in made.values())
        if slot.parameter and self.dialect.implicit_channels and not nameless:
            takes = takes or slot.parameter in self.takes[True]
            self.takes[takes].add(slot.parameter)
        if takes and not self.dialect.implicit_channels and not all(given for _, given in made.values()):
            return None
        for context, place in zip(body.contexts, places, strict=True):
            maker, given = made[context]
            if takes:
                made[context] = self._given_channels(maker), given or (Argument(place.inputs[0][0]),)
            elif self.dialect.implicit_channels and not self._is_function(maker):
                made[context] = replace(maker, type=f"Callable[[], {self.dialect.layer_class}]", given=False), ()
        return made

    @property
    def _function(self) -> str:
        """The annotation of a function of a value."""
        return f"Callable[[{self.dialect.value_class}], {self.dialect.value_class}]"

    def _is_function(self, maker: Maker) -> bool:
        """Whether it is a function of a value itself, and makes nothing."""
        return maker.type == self._function

    def _given_channels(self, maker: Maker) -> Maker:
        """What makes a layer where it is given the channels that come in, whether or not it needs them."""
        if not self.dialect.implicit_channels:
            return maker
        type = f"Callable[[int], {self.dialect.layer_class}]"
        if maker.given:
            return replace(maker, type=type)
        call = f"{maker.text[8:-1].replace(', ', '(', 1)})" if maker.text.startswith("partial(") else f"{maker.text}()"
        return replace(maker, text=f"lambda channels: {call}", type=type, given=True)

    def _described(self, places: Sequence[Place], contexts: Sequence[int], body: Body) -> list[Emission]:
        """What a layer becomes in these uses; raises `Differ` where the target can say each of the spec's alone."""
        try:
            return self.dialect.describe(places)
        except UnsupportedLayer:
            for place, context in zip(places, contexts, strict=True):
                try:
                    self.dialect.describe([place])
                except UnsupportedLayer:
                    if body.graph[context] < self.models:
                        raise
            raise Differ("forms of a layer that one definition cannot have") from None

    def _parameter(self, places: Sequence[Place]) -> str:
        """The parameter of a block that is applied in all these places, if there is one."""
        found = {self._parameter_applied(self.source.applied(place.node.span), self.base) for place in places}
        return found.pop() if len(found) == 1 else ""

    def _parameter_applied(self, e: tree.Expression | None, base: tree.Definition | None) -> str:
        """The parameter of the definition around it that an expression is, if it is one."""
        definition = self.source.around(e.span) if e is not None else None
        if not isinstance(e, tree.Name) or definition is None:
            return ""
        return e.text if e.text in self.source.parameters(definition, base) else ""

    def given_block(self, uses: Iterable[Scope | None], base: tree.Definition | None) -> str:
        """The parameter of a definition whose block is applied in a place, if there is one."""
        spans = {use.span for use in uses if use is not None and use.definition}
        e = self.source.applied(spans.pop()) if len(spans) == 1 else None
        return self._parameter_applied(e.function if isinstance(e, tree.Call) else e, base)

    def _placed(self, construct: Construct, place: Place) -> int:
        """How many arguments by place depend on what comes in: the last ones, or none."""
        (shape, *others) = place.inputs
        if not shape or not isinstance(shape[0], int):
            raise Differ("a layer whose input has channels that are not known")
        wider = Place(place.node, ((2 * shape[0], *shape[1:]), *others), place.outputs)
        (module,) = [stage.module for stage in self.dialect.describe([wider])[0].stages]
        assert module is not None
        if len(module.arguments) != len(construct.arguments):
            raise Differ("a layer that takes more of another input")
        changed = [one != other for one, other in zip(construct.arguments, module.arguments, strict=True)]
        by_place = [c for c, argument in zip(changed, construct.arguments, strict=True) if argument.name is None]
        count = sum(changed)
        if count > 1 or count != sum(by_place) or any(by_place[: len(by_place) - count]):
            raise Differ("a layer of which something else depends on its input")
        return count

    def maker_like(self, place: Place, other: Maker) -> Maker | None:
        """What makes the layer of a place, as the other one makes its own; None where nothing does."""
        try:
            maker, given = self._maker(self.dialect.describe([place])[0], place, self._is_function(other))
        except Differ:
            return None
        if bool(given) != other.given and not (other.given and self.dialect.implicit_channels):
            return None
        return self._given_channels(maker) if other.given else replace(maker, type=other.type)

    def _maker(self, emission: Emission, place: Place, nameless: bool) -> tuple[Maker, tuple[Argument, ...]]:
        """A layer that a block takes as an argument, and what it is given where it is made: the channels, if any."""
        if len(emission.stages) == 1 and not (place.node.weights and nameless):
            module, formula = emission.stages[0].module, emission.stages[0].formula
            if nameless and formula is not None and not place.node.named and self.dialect.value_class:
                values = {name: literal(value) for name, value in formula.values.items()}
                call = re.fullmatch(r"([\w.]+)\(\{0\}((?:, \w+=[^,]+)*)\)", formula.pattern)
                if call is not None:
                    text = f"partial({call[1]}{call[2].format(**values)})" if call[2] else call[1]
                    return Maker(text, self._function, formula.helper), ()
            elif not nameless and module is not None:
                count = self._placed(module, place)
                positions = [i for i, argument in enumerate(module.arguments) if argument.name is None]
                placed = positions[len(positions) - count :]
                fixed = replace(module, arguments=tuple(a for i, a in enumerate(module.arguments) if i not in placed))
                given = tuple(module.arguments[i] for i in placed)
                inner = literal(fixed).removeprefix(f"{module.callee}(").removesuffix(")")
                made = f"Callable[..., {self.dialect.layer_class}]"
                takes = bool(given) or module.indifferent
                if inner:
                    return Maker(f"partial({module.callee}, {inner})", made, module.helper, takes), given
                return Maker(module.callee, made, module.helper, takes), given
        raise Differ("a layer that nothing makes which a block could take")


def align(sequences: dict[int, list[Piece]]) -> list[Slot]:
    """Merge the parts of several uses into one sequence that has the order of each, equal parts together.

    Parts that no use orders have the order of the spec.
    """
    slots: dict[tuple[object, ...], Slot] = {}
    following: dict[tuple[object, ...], set[tuple[object, ...]]] = {}
    for context, sequence in sequences.items():
        for piece in sequence:
            slot = slots.setdefault(piece.key, Slot(piece.kind, piece.key, {}))
            if context in slot.pieces:
                raise Differ("one place of the spec twice in a body")
            slot.pieces[context] = piece
        for before, after in itertools.pairwise(sequence):
            following.setdefault(before.key, set()).add(after.key)
    waits = Counter(key for keys in following.values() for key in keys)
    numbers = {key: number for number, key in enumerate(slots)}
    places = {key: min(map(_place, slot.pieces.values())) for key, slot in slots.items()}
    ready = [(places[key], numbers[key], key) for key in slots if not waits[key]]
    heapq.heapify(ready)
    found = []
    while ready:
        _, _, key = heapq.heappop(ready)
        found.append(slots[key])
        for after_key in following.get(key, ()):
            waits[after_key] -= 1
            if not waits[after_key]:
                heapq.heappush(ready, (places[after_key], numbers[after_key], after_key))
    if len(found) < len(slots):
        raise Differ("parts in another order in other uses")
    return _with_alternatives(found)


def _place(piece: Piece) -> Span:
    """Where the spec has a part; of a container, its first part."""
    if piece.key[0] == "container":
        return _place(piece.body[0])
    place = piece.key[1]
    assert isinstance(place, Span)
    return place


def _with_alternatives(slots: Iterable[Slot]) -> list[Slot]:
    """The parts, where several layers, or blocks, at one place of the spec, each in other uses, are one part."""
    found: list[Slot] = []
    for slot in slots:
        last = found[-1] if found else None
        if (
            last is not None
            and last.kind == slot.kind
            and (slot.kind == "node" or (slot.kind == "scope" and last.key[2] and slot.key[2]))
            and (last.key[1], last.key[3:]) == (slot.key[1], slot.key[3:])
            and not last.pieces.keys() & slot.pieces.keys()
        ):
            last.pieces = dict(sorted((last.pieces | slot.pieces).items()))
        else:
            found.append(slot)
    return found


def _by_position(body: Iterable[Piece]) -> bool:
    """Whether the parts of a body have no names but their numbers in it."""
    return all(
        piece.label.isdigit() and not piece.named
        if piece.kind in ("node", "scope")
        else _by_position(piece.body if piece.kind == "branch" else itertools.chain(*piece.turns))
        for piece in body
    )


def skeleton(label: str) -> tuple[str, ...]:
    """A label without its numbers."""
    return tuple(re.split(r"\d+", label))


def loops_to_unroll(graphs: Sequence[Graph], source: Source, *, family: bool = False) -> set[object]:
    """Loops of few turns, or with dotted labels of several roots, are written out; not those that an argument decides.

    In the model itself any dotted labels suffice: its containers each get a line.  In a family of models such loops
    stay, and those that an argument of their base decides.
    """
    counts: dict[object, set[int]] = {}
    roots: dict[object, set[str]] = {}
    dotted: set[object] = set()

    def visit(item: Any, loops: tuple[object, ...], top: bool) -> None:
        if isinstance(item, Node | Scope) and "." in item.label:
            if top:
                dotted.update(loops)
            for loop in loops:
                roots.setdefault(loop, set()).add(item.label.partition(".")[0])
        if isinstance(item, Loop):
            counts.setdefault(item.span, set()).add(len(item.turns))
            loops = (*loops, item.span)
            for turn in item.turns:
                for inner in turn.body:
                    visit(inner, loops, top)
        elif not isinstance(item, Node | Turn):
            scope = isinstance(item, Scope)
            for inner in item.body:
                visit(inner, () if scope else loops, top and not (scope and item.definition and item.path))

    for graph in graphs:
        visit(graph.root, (), graph is graphs[0])
    dotted |= {loop for loop, heads in roots.items() if len(heads) > 1}
    few = {loop for loop, seen in counts.items() if len(seen) == 1 and max(seen) <= 3}
    few = {loop for loop in few if not (isinstance(loop, Span) and source.varies(loop, models=family))}
    return few if family else dotted | few
