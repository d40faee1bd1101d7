"""A small language for convolutional networks: checked at once, compiled to code that agrees.

    >>> import cnnspec
    >>> graph = cnnspec.load("resnet50", classes=10)
    >>> source = cnnspec.compile(graph, backend="torch")

Importing the package imports nothing else: each name below is found when it is first used.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from cnnspec.version import __version__

if TYPE_CHECKING:
    from cnnspec.api import build, compile, compile_all, load, loads
    from cnnspec.diagnostics import Diagnostic, SpecError
    from cnnspec.graph import Graph

_HOMES = {
    "Diagnostic": "cnnspec.diagnostics",
    "Graph": "cnnspec.graph",
    "SpecError": "cnnspec.diagnostics",
    "build": "cnnspec.api",
    "compile": "cnnspec.api",
    "compile_all": "cnnspec.api",
    "load": "cnnspec.api",
    "loads": "cnnspec.api",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(_HOMES[name]), name)


def __dir__() -> list[str]:
    return sorted({*globals(), *_HOMES})


__all__ = ["Diagnostic", "Graph", "SpecError", "__version__", "build", "compile", "compile_all", "load", "loads"]
