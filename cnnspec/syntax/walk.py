"""Walking a syntax tree."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import fields, is_dataclass
from functools import cache
from typing import Any

from cnnspec.diagnostics import Span


def parts(root: Any) -> Iterator[Any]:
    """Every node of the tree below some node, that one included, or below several; each before what is in it."""
    waiting = [root]
    while waiting:
        part = waiting.pop()
        if isinstance(part, tuple) and not isinstance(part, Span):
            waiting += reversed(part)
        elif names := _fields(part.__class__):
            yield part
            waiting += [getattr(part, name) for name in reversed(names)]


@cache
def _fields(kind: type) -> tuple[str, ...]:
    return tuple(one.name for one in fields(kind) if one.name != "depth") if is_dataclass(kind) else ()
