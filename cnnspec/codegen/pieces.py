"""The graph's tree, ready for comparison: some loops written out, dotted labels gathered into containers."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Literal

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
    body = gather(_items(scope.body, unroll, ()), scope.outputs)
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
                found.append(Piece(kind="branch", key=("branch", item.span, *turn), taken=item.taken, body=body))
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


def gather(body: list[Piece], results: tuple[int, ...]) -> list[Piece]:
    """Put neighbours whose labels share a first part (``layer1.0``, ``layer1.1``) into a container of that name."""
    for piece in body:
        if piece.kind == "branch":
            piece.body = gather(piece.body, tuple(produced(piece)))
    uses: dict[int, int] = dict.fromkeys(results, 1)
    for piece in body:
        for value in used(piece):
            uses[value] = uses.get(value, 0) + 1
    found: list[Piece] = []
    position = 0
    while position < len(body):
        piece = body[position]
        head, dot, _ = piece.label.partition(".")
        if not dot:
            found.append(piece)
            position += 1
            continue
        end = position
        while end < len(body) and body[end].label.startswith(head + "."):
            end += 1
        run = body[position:end]
        others = [p for p in body[:position] + body[end:] if p.label == head or p.label.startswith(head + ".")]
        container = None if others else _container(head, run, uses)
        found += [container] if container else run
        position = end
    return found


def _container(head: str, run: list[Piece], uses: dict[int, int]) -> Piece | None:
    """The run as one scope, if it is a chain of which only the end is seen from outside."""
    if any(len(piece.inputs) != 1 or len(piece.outputs) != 1 for piece in run):
        return None
    for before, after in itertools.pairwise(run):
        if after.inputs != before.outputs or uses.get(before.outputs[0], 0) != 1:
            return None
    for piece in run:
        piece.label = piece.label[len(head) + 1 :]
    last = run[-1].outputs
    outer = run[0].path.rpartition("." + run[0].label)[0] if run[0].label else head
    return Piece(
        kind="scope",
        key=("container", head, run[0].key),
        label=head,
        named=True,
        body=gather(run, last),
        inputs=run[0].inputs,
        outputs=last,
        path=outer,
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
