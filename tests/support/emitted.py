"""Networks of the zoo and their code, once for all tests of a process: half the time of the fast tests went there."""

from __future__ import annotations

from functools import cache

from cnnspec import api, loading
from cnnspec.backend import emitter
from cnnspec.graph import Graph

SOURCES: dict[tuple[str, str], str] = {}
"""What was emitted so far, by network and backend: a test that emits one anyway puts it here."""


@cache
def for_compiling(name: str) -> tuple[Graph, list[Graph]]:
    """What `api.compile` loads."""
    return api.load_for_compiling(loading.find(name))


def emitted(name: str, backend: str) -> str:
    """What `api.compile` gives."""
    key = name, backend
    if key not in SOURCES:
        SOURCES[key] = emitter(backend).emit(*for_compiling(name))
    return SOURCES[key]
