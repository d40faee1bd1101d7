"""The PyTorch backend."""

from __future__ import annotations

import os
from collections.abc import Sequence
from importlib.util import find_spec
from shutil import which
from typing import TYPE_CHECKING

from typing_extensions import override

from cnnspec.backend import Backend, Member, Precision, Runtime
from cnnspec.graph import Graph

if TYPE_CHECKING:
    from cnnspec.weights.formats import WeightFiles


class TorchBackend(Backend):
    """PyTorch modules, channels first."""

    name = "torch"
    targets = ("torch", "torch-compile")
    yardstick = True

    @override
    def emit(self, graph: Graph, probes: Sequence[Graph]) -> str:
        from cnnspec_torch.emit import emit

        return emit(graph, probes)

    @override
    def emit_family(self, members: Sequence[Member]) -> str:
        from cnnspec_torch.emit import emit_family

        return emit_family(members)

    @override
    def runtime(self, target: str, precision: Precision) -> Runtime:
        from cnnspec_torch.runtime import CompiledRuntime, TorchRuntime

        return (CompiledRuntime if target == "torch-compile" else TorchRuntime)(target, precision)

    @override
    def missing(self, target: str) -> str | None:
        if not find_spec("torch"):
            return "PyTorch is not installed: pip install 'cnnspec[torch]'"
        if target == "torch-compile" and not which(os.environ.get("CXX", "c++")):
            return "torch.compile needs a C++ compiler"
        return None

    @override
    def weight_files(self) -> WeightFiles:
        from cnnspec_torch.files import TorchFiles

        return TorchFiles()


BACKEND = TorchBackend()
