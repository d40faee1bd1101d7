"""The reference: every layer computed in NumPy and float64 from its definition, to say who is right.

``cnnspec_reference.evaluation`` has `evaluate`, `gradients` and `differentiate`.
"""

from __future__ import annotations

from collections.abc import Sequence

from typing_extensions import override

from cnnspec.backend import Backend, Precision, Runtime
from cnnspec.graph import Graph


class ReferenceBackend(Backend):
    """A target of the cross-check that needs no framework and has no code."""

    name = "reference"
    targets = ("reference",)
    emits = False

    @override
    def emit(self, graph: Graph, probes: Sequence[Graph]) -> str:
        return ""

    @override
    def runtime(self, target: str, precision: Precision) -> Runtime:
        from cnnspec_reference.runtime import ReferenceRuntime

        return ReferenceRuntime(target, precision)

    @override
    def missing(self, target: str) -> str | None:
        return None


BACKEND = ReferenceBackend()
