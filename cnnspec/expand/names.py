"""Names that are bound and never read, and names that are read and never bound."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any, NamedTuple

from cnnspec.diagnostics import Diagnostic, Span
from cnnspec.expand.expressions import built_in, unknown_name
from cnnspec.layers import LAYERS
from cnnspec.syntax import tree


class UnusedName(NamedTuple):
    """A name that nothing reads, and the warning of it."""

    text: str
    diagnostic: Diagnostic


def unused_names(file: tree.File) -> list[UnusedName]:
    """The names of each definition that nothing in it reads; a leading underscore silences the warning."""
    found = []
    blocks = {definition.name.text for definition in file.definitions}
    for definition in file.definitions:
        bound: dict[str, Span] = {parameter.name.text: parameter.name.span for parameter in definition.parameters}
        read: set[str] = set()
        unapplied: set[str] = set()
        for part in _parts((definition.body, definition.base)):
            match part:
                case tree.Binding() | tree.For():
                    targets = part.targets if isinstance(part, tree.Binding) else part.names
                    bound |= {target.text: target.span for target in targets if target.text not in bound}
                    if isinstance(part, tree.Binding) and _is_layer(part.value, blocks):
                        unapplied |= {target.text for target in targets}
                case tree.Name():
                    read.add(part.text)
        for parameter in definition.parameters:
            if parameter.default is not None:
                read |= {part.text for part in _parts(parameter.default) if isinstance(part, tree.Name)}
        for name, span in bound.items():
            if name not in read and not name.startswith("_"):
                help = f"remove it, or call it `_{name}` to keep it"
                if name in unapplied:
                    help = f"this is a layer that is applied to nothing; to apply it and name it, write `{name}: ...`"
                warning = Diagnostic("unused-name", f"`{name}` is never used", span, help=help, severity="warning")
                found.append(UnusedName(name, warning))
    return found


def _is_layer(e: tree.Expression, blocks: Collection[str]) -> bool:
    """Whether this is surely a layer or block alone; with names among its arguments it may be applied to them."""
    if isinstance(e, tree.Call) and not any(isinstance(part, tree.Name) for part in _parts(e.arguments)):
        e = e.function
    return isinstance(e, tree.Name) and (e.text in blocks or (e.text in LAYERS and LAYERS[e.text].inputs[1] != 0))


def unknown_names(file: tree.File, definitions: Collection[str]) -> list[Diagnostic]:
    """The names that mean nothing wherever they stand in their definition; ``definitions`` are those that can be used.

    Expansion finds more of them, in what it reaches: a name may be bound only after its use, or in another branch.
    """
    found = []
    for definition in file.definitions:
        # What is claimed is of a network that was built, with names of its own.
        parts = list(_parts((definition.parameters, definition.body, definition.base), without=tree.Expect))
        bound = {parameter.name.text for parameter in definition.parameters}
        for part in parts:
            match part:
                case tree.Binding():
                    bound |= {target.text for target in part.targets}
                case tree.For():
                    bound |= {name.text for name in part.names}
                case tree.Input():
                    bound |= {name.text for name in part.names}
                    # New names in a shape are symbolic sizes.
                    bound |= {size.text for size in _parts(part.shape) if isinstance(size, tree.Name)}
                case tree.Output(name=tree.Name(text=text)):
                    bound.add(text)
        known = {*bound, *definitions}
        found += [
            unknown_name(part, known).diagnostic
            for part in parts
            if isinstance(part, tree.Name) and part.text not in known and not built_in(part.text)
        ]
    return sorted(found, key=lambda diagnostic: (diagnostic.span.line, diagnostic.span.column))


def _parts(root: Any, without: Any = ()) -> Iterator[Any]:
    """Every node below, without the names that only bind or label, and without some kinds of nodes."""
    waiting = [root]
    while waiting:
        part = waiting.pop()
        if isinstance(part, tuple):
            waiting += part
        elif not isinstance(part, without) and (inner := _inner(part.__class__)):
            yield part
            waiting += [getattr(part, name) for name in inner]


@cache
def _inner(kind: Any) -> tuple[str, ...]:
    """The fields of a kind of node that may hold nodes which read names; none for what is no node."""
    given = fields(kind) if is_dataclass(kind) else ()
    return tuple(f.name for f in given if f.name not in {"targets", "span", "names", "name", "depth"})
