"""The Keras 3 backend: functional models, channels last, on TensorFlow, JAX or PyTorch."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING

from typing_extensions import override

from cnnspec.backend import Backend, Member, Precision, Runtime
from cnnspec.graph import Graph

if TYPE_CHECKING:
    from cnnspec.weights.formats import WeightFiles

ENGINES = {"keras-tensorflow": "tensorflow", "keras-jax": "jax", "keras-torch": "torch"}
"""What Keras needs for each target."""


class KerasBackend(Backend):
    """Keras functional models."""

    name = "keras"
    targets = tuple(ENGINES)

    def __init__(self, *, exact: bool = False) -> None:
        """``exact`` is whether the running variance of batch norms follows the spec, by a layer of the file's own."""
        self.exact = exact

    @override
    def emit(self, graph: Graph, probes: Sequence[Graph]) -> str:
        from cnnspec_keras.emit import emit

        return emit(graph, probes, exact_training=self.exact)

    @override
    def emit_family(self, members: Sequence[Member]) -> str:
        from cnnspec_keras.emit import emit_family

        return emit_family(members, exact_training=self.exact)

    @override
    def exact_training(self) -> Backend:
        return KerasBackend(exact=True)

    @override
    def runtime(self, target: str, precision: Precision) -> Runtime:
        from cnnspec_keras.runtime import KerasRuntime

        return KerasRuntime(target, precision)

    @override
    def missing(self, target: str) -> str | None:
        absent = [package for package in ("keras", ENGINES[target]) if find_spec(package) is None]
        return f"{' and '.join(absent)} not installed: pip install 'cnnspec[keras]'" if absent else None

    @override
    def weight_files(self) -> WeightFiles:
        from cnnspec_keras.files import KerasFiles

        return KerasFiles()


BACKEND = KerasBackend()
