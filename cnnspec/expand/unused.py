"""Names that are bound and never read."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from typing import Any

from cnnspec.diagnostics import Diagnostic, Span
from cnnspec.syntax import tree


def unused_names(file: tree.File) -> list[Diagnostic]:
    """A warning for each name of a definition that nothing in it reads; a leading underscore silences it."""
    warnings = []
    for definition in file.definitions:
        bound: dict[str, Span] = {parameter.name.text: parameter.name.span for parameter in definition.parameters}
        read: set[str] = set()
        for part in _parts(definition.body):
            match part:
                case tree.Binding() | tree.For():
                    bound |= {target.text: target.span for target in part.targets if target.text not in bound}
                case tree.Name():
                    read.add(part.text)
        for parameter in definition.parameters:
            if parameter.default is not None:
                read |= {part.text for part in _parts(parameter.default) if isinstance(part, tree.Name)}
        for name, span in bound.items():
            if name not in read and not name.startswith("_"):
                warnings.append(
                    Diagnostic(
                        "unused-name",
                        f"`{name}` is never used",
                        span,
                        severity="warning",
                        help=f"remove it, or call it `_{name}` to keep it",
                    )
                )
    return warnings


def _parts(root: Any) -> Iterator[Any]:
    """Every node below, without the names that only bind or label."""
    waiting = [root]
    while waiting:
        part = waiting.pop()
        if isinstance(part, Span):
            continue
        if isinstance(part, tuple):
            waiting += part
        elif is_dataclass(part):
            yield part
            skipped = {"targets", "span", "names", "name"}
            waiting += [getattr(part, f.name) for f in fields(part) if f.name not in skipped]
