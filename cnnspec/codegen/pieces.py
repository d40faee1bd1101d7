"""The graph's tree, ready for comparison: some loops written out, dotted labels gathered into containers."""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Literal

from cnnspec.diagnostics import Span
from cnnspec.graph import Branch, Graph, Item, Loop, Node, Plain, Scope


@dataclass(slots=True)
class Piece:
    """A part of a body: a layer, a scope (block, group or gathered container), a branch or a loop.

    ``key`` tells which part of the spec it comes from, so that uses of one block can be compared part by part.
    """

    kind: Literal["node", "scope", "branch", "loop"]
    key: tuple[object, ...]
    label: str = ""
    named: bool = False
    node: Node | None = None
    scope: Scope | None = None
    body: list[Piece] = field(default_factory=list)
    turns: list[list[Piece]] = field(default_factory=list)
    variables: list[dict[str, Plain]] = field(default_factory=list)
    taken: int = 0
    bindings: tuple[tuple[str, int], ...] = ()
    """Of a branch: names that it gives values which were there before."""
    inputs: tuple[int, ...] = ()
    outputs: tuple[int, ...] = ()
    path: str = ""

    @property
    def definition(self) -> str:
        return self.scope.definition if self.scope is not None else ""

    @property
    def auxiliary(self) -> bool:
        part = self.node or self.scope
        return part is not None and part.auxiliary


Unroll = frozenset[object]
"""The places of loops that are written out turn by turn."""


def pieces(graph: Graph, unroll: Unroll) -> Piece:
    """The whole model as one scope piece."""
    return _scope(graph.root, unroll)


def _scope(scope: Scope, unroll: Unroll) -> Piece:
    body = gather(_items(scope.body, unroll, ()), scope.outputs, scope.origin)
    piece = Piece(
        kind="scope",
        key=("scope", scope.span),
        label=scope.label,
        named=scope.named,
        scope=scope,
        body=body,
        outputs=scope.outputs,
        path=scope.path,
    )
    # A body may use values that were not handed to it as inputs: names of the surrounding body, or block arguments.
    inner = {value for part in body for value in produced(part)}
    free = [value for part in body for value in used(part) if value not in inner and value not in scope.inputs]
    passed = [value for value in scope.outputs if value not in inner and value not in scope.inputs]
    piece.inputs = (*scope.inputs, *dict.fromkeys([*free, *passed]))
    return piece


def _items(items: Iterable[Item], unroll: Unroll, turn: tuple[int, ...]) -> list[Piece]:
    found: list[Piece] = []
    for item in items:
        match item:
            case Node():
                found.append(
                    Piece(
                        kind="node",
                        key=("node", item.span, item.layer.kind, *turn),
                        label=item.label,
                        named=item.named,
                        node=item,
                        inputs=item.inputs,
                        outputs=item.outputs,
                        path=item.path,
                    )
                )
            case Scope():
                piece = _scope(item, unroll)
                piece.key = ("scope", item.span, item.definition, *turn)
                found.append(piece)
            case Branch():
                body = _items(item.body, unroll, turn)
                found.append(
                    Piece("branch", ("branch", item.span, *turn), taken=item.taken, bindings=item.bindings, body=body)
                )
            case Loop():
                if item.span in unroll:
                    for number, one in enumerate(item.turns):
                        found += _items(one.body, unroll, (*turn, number))
                else:
                    found.append(
                        Piece(
                            kind="loop",
                            key=("loop", item.span, *turn),
                            turns=[_items(one.body, unroll, turn) for one in item.turns],
                            variables=[one.variables for one in item.turns],
                        )
                    )
    return found


def used(piece: Piece) -> list[int]:
    """The values that a piece takes from outside itself, in order."""
    if piece.kind in ("node", "scope"):
        return list(piece.inputs)
    bodies = [piece.body] if piece.kind == "branch" else piece.turns
    made: set[int] = set()
    found = []
    for body in bodies:
        for part in body:
            found += [value for value in used(part) if value not in made]
            made.update(produced(part))
    return found


def produced(piece: Piece) -> list[int]:
    """The values that a piece offers to what follows it."""
    if piece.kind in ("node", "scope"):
        return [value for value in piece.outputs if value not in piece.inputs]
    bodies = [piece.body] if piece.kind == "branch" else piece.turns
    return [value for body in bodies for part in body for value in produced(part)]


def gather(body: list[Piece], results: tuple[int, ...], home: Span) -> list[Piece]:
    """Put neighbours whose labels share a first part (``layer1.0``, ``layer1.1``) into a container of that name.

    Loops and branches go along where all labels in them share it too; nothing else in the body may have it.  A turn of
    a loop may have containers of its own.  ``home`` is the place of the block or group.
    """
    everywhere: Counter[str] = Counter(head for piece in body for head in _heads(piece))
    reads = Counter(results)
    reads.update(value for piece in body for value in _read(piece))
    return _gathered(body, reads, everywhere, home)


def _gathered(body: list[Piece], reads: Counter[int], everywhere: Counter[str], home: Span) -> list[Piece]:
    """Gather in a body of which each value is read, and each first part of a label is met, so many times in all."""
    found: list[Piece] = []
    position = 0
    while position < len(body):
        heads = _heads(body[position])
        head = heads[0] if heads else ""
        end = position
        while head and end < len(body) and set(_heads(body[end])) == {head}:
            end += 1
        run = body[position:end]
        whole = run and sum(len(_heads(piece)) for piece in run) == everywhere[head] and all(map(_dotted, run))
        container = _container(head, run, reads, home) if whole else None
        if container is None:
            run = body[position : max(end, position + 1)]
            for piece in run:
                if piece.kind == "branch":
                    piece.body = _gathered(piece.body, reads, everywhere, home)
                piece.turns = [_gathered_turn(turn, reads, everywhere, home) for turn in piece.turns]
        found += [container] if container else run
        position += len(run)
    return found


def _gathered_turn(turn: list[Piece], reads: Counter[int], everywhere: Counter[str], home: Span) -> list[Piece]:
    """Gather in a turn of a loop: what differs from turn to turn in its name is the same part all the same."""
    found = _gathered(turn, reads, everywhere, home)
    for piece in found:
        if piece.key[0] == "container":
            piece.key = ("container", _place_of(piece), home)
    return found


def _place_of(piece: Piece) -> object:
    """Where the spec has the first layer or block of a part."""
    first = _first(piece)
    return first.key[1] if first.scope is not None or first.node is not None else _place_of(first.body[0])


def _read(piece: Piece) -> Iterator[int]:
    """The values that the layers and scopes in a part take, each as often as it is taken."""
    if piece.kind in ("node", "scope"):
        yield from piece.inputs
        return
    for body in [piece.body] if piece.kind == "branch" else piece.turns:
        for part in body:
            yield from _read(part)


def scattered(piece: Piece) -> Iterator[object]:
    """The places of loops, inside others first, of which the labels have dots and several first parts."""
    for part in itertools.chain(piece.body, *piece.turns):
        yield from scattered(part)
    if piece.kind == "loop":
        heads = {head for turn in piece.turns for part in turn for head in _dotted_heads(part)}
        if len(heads) > 1:
            yield piece.key[1]


def _dotted_heads(piece: Piece) -> list[str]:
    """The first parts of the labels with dots in a part of a body."""
    if piece.kind in ("node", "scope"):
        return [piece.label.partition(".")[0]] if "." in piece.label else []
    bodies = [piece.body] if piece.kind == "branch" else piece.turns
    return [head for body in bodies for part in body for head in _dotted_heads(part)]


def _heads(piece: Piece) -> list[str]:
    """The first parts of the labels of layers and scopes in a part of a body."""
    if piece.kind in ("node", "scope"):
        return [piece.label.partition(".")[0]]
    bodies = [piece.body] if piece.kind == "branch" else piece.turns
    return [head for body in bodies for part in body for head in _heads(part)]


def _dotted(piece: Piece) -> bool:
    """Whether all labels in a part have a dot."""
    if piece.kind in ("node", "scope"):
        return "." in piece.label
    return all(_dotted(part) for body in ([piece.body] if piece.kind == "branch" else piece.turns) for part in body)


def _without(piece: Piece, head: str) -> None:
    """Take the first part away from all labels in a part."""
    if piece.kind in ("node", "scope"):
        piece.label = piece.label[len(head) + 1 :]
    for body in [piece.body] if piece.kind == "branch" else piece.turns:
        for part in body:
            _without(part, head)


def _first(piece: Piece) -> Piece:
    """The first layer or scope in a part."""
    if piece.kind in ("node", "scope"):
        return piece
    return next(_first(part) for body in ([piece.body] if piece.kind == "branch" else piece.turns) for part in body)


def _container(head: str, run: list[Piece], reads: Counter[int], home: Span) -> Piece | None:
    """The run as one scope, if it is a chain of which only the end is seen from outside."""
    first = _first(run[0])
    if len(first.inputs) != 1:
        return None
    made = [value for piece in run for value in produced(piece)]
    inner = Counter(value for piece in run for value in _read(piece))
    last = _chained(run, first.inputs[0], lambda node: True)
    if last is None or any(inner[value] != 1 or reads[value] != 1 for value in made if value != last):
        return None
    if any(made.count(value) != 1 for value in made) or last not in made:
        return None
    outer = first.path.rpartition("." + first.label)[0]
    for piece in run:
        _without(piece, head)
    return Piece(
        kind="scope",
        key=("container", head, home),
        label=head,
        named=True,
        body=gather(run, (last,), home),
        inputs=first.inputs,
        outputs=(last,),
        path=f"{outer}.{head}" if outer else head,
    )


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
