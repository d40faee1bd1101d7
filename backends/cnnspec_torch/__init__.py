"""The PyTorch backend."""

from __future__ import annotations

from collections.abc import Sequence
from importlib.util import find_spec
from typing import TYPE_CHECKING

from typing_extensions import override

from cnnspec.backend import Backend, Precision, Runtime
from cnnspec.graph import Graph

if TYPE_CHECKING:
    from cnnspec.weights.formats import WeightFiles


class TorchBackend(Backend):
    """PyTorch modules, channels first."""

    name = "torch"
    targets = ("torch",)

    @override
    def emit(self, graph: Graph, probes: Sequence[Graph]) -> str:
        from cnnspec_torch.emit import emit

        return emit(graph, probes)

    @override
    def runtime(self, target: str, precision: Precision) -> Runtime:
        from cnnspec_torch.runtime import TorchRuntime

        return TorchRuntime(target, precision)

    @override
    def missing(self, target: str) -> str | None:
        return None if find_spec("torch") else "PyTorch is not installed: pip install 'cnnspec[torch]'"

    @override
    def weight_files(self) -> WeightFiles:
        from cnnspec_torch.files import TorchFiles

        return TorchFiles()


BACKEND = TorchBackend()
