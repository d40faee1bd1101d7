"""Running generated PyTorch code."""

from __future__ import annotations

import linecache
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from hashlib import blake2b
from types import ModuleType
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from cnnspec.backend import Gradients, LayerPass, Pass, Precision, Runtime
from cnnspec.codegen.naming import safe
from cnnspec.graph import Graph, Node

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Array = NDArray[numpy.floating[Any]]


class TorchRuntime(Runtime):
    """Runs generated PyTorch code on the CPU."""

    biased_running_variance = False
    # hardsigmoid_backward has 1/6 as a float; that of hard_swish divides in the precision of its input.
    single_precision_gradients = frozenset({"hard_sigmoid"})

    @override
    def __init__(self, target: str, precision: Precision) -> None:
        import torch

        self._torch = torch
        self._dtype = {"float32": torch.float32, "float64": torch.float64}[precision]

    @override
    def build(self, source: str, graph: Graph) -> Any:
        module = import_source(source, graph.name)
        return getattr(module, safe(graph.name))().to(device="cpu", dtype=self._dtype)

    @override
    def load(self, model: Any, graph: Graph, state: Mapping[str, Array]) -> None:
        own = self._own_state(model)
        _require_same("the generated model", own, "the spec", graph.state)
        _require_same("the given state", state, "the spec", graph.state)
        for key, tensor in own.items():
            if tuple(tensor.shape) != state[key].shape:
                raise ValueError(f"`{key}` is {tuple(tensor.shape)} in the model, and {state[key].shape} was given")
        with self._torch.no_grad():
            for key, tensor in own.items():
                # A copy: what was given may be read-only, or be loaded elsewhere too.
                tensor.copy_(self._torch.from_numpy(state[key].copy()))

    @override
    def state(self, model: Any, graph: Graph) -> dict[str, Array]:
        own = self._own_state(model)
        _require_same("the generated model", own, "the spec", graph.state)
        return {key: own[key].numpy().copy() for key in graph.state}

    @override
    def forward(self, model: Any, graph: Graph, inputs: Mapping[str, Array], *, training: bool) -> Pass:
        layers: dict[str, Array] = {}
        with self._torch.no_grad(), self._recording(model, graph, layers):
            results = self._results(model, graph, self._tensors(inputs, graph), training)
        outputs = {name: value.numpy().copy() for name, value in results.items()}
        return Pass(outputs, layers, self.state(model, graph))

    @override
    def gradients(
        self,
        model: Any,
        graph: Graph,
        inputs: Mapping[str, Array],
        cotangents: Mapping[str, Array],
        *,
        training: bool,
    ) -> Gradients:
        tensors = [tensor.requires_grad_() for tensor in self._tensors(inputs, graph)]
        weights = dict(model.named_parameters())
        with self._exact():
            results = self._results(model, graph, tensors, training)
            found = self._pulled(
                list(results.values()), [cotangents[name] for name in results], [*tensors, *weights.values()]
            )
        names = [port.name for port in graph.inputs]
        return Gradients(dict(zip(names, found, strict=False)), dict(zip(weights, found[len(names) :], strict=True)))

    @override
    def layer(
        self,
        model: Any,
        graph: Graph,
        node: Node,
        inputs: Sequence[Array],
        cotangents: Sequence[Array],
        *,
        training: bool,
    ) -> LayerPass | None:
        module = dict(model.named_modules()).get(node.path)
        if module is None or not inputs:
            return None
        tensors = [self._torch.from_numpy(array.copy()).to(self._dtype).requires_grad_() for array in inputs]
        weights = dict(module.named_parameters())
        was_training = module.training
        with self._exact(), self._dropout_off(module):
            try:
                # Of a leaf, a layer that works in place could not take the gradient.
                results = module.train(training)(*[tensor.clone() for tensor in tensors])
            finally:
                module.train(was_training)
            results = results if isinstance(results, tuple) else (results,)
            found = self._pulled(results, cotangents, [*tensors, *weights.values()])
        return LayerPass(
            tuple(value.detach().numpy().copy() for value in results),
            tuple(found[: len(tensors)]),
            dict(zip(weights, found[len(tensors) :], strict=True)),
        )

    @override
    def versions(self) -> dict[str, str]:
        return {"torch": self._torch.__version__}

    def _tensors(self, inputs: Mapping[str, Array], graph: Graph) -> list[Any]:
        return [self._torch.from_numpy(inputs[port.name].copy()).to(self._dtype) for port in graph.inputs]

    def _results(self, model: Any, graph: Graph, tensors: Sequence[Any], training: bool) -> dict[str, Any]:
        """The outputs of a pass by name."""
        was_training = model.training
        with self._exact(), self._dropout_off(model):
            try:
                results = model.train(training)(*tensors)
            finally:
                model.train(was_training)
        # In training the auxiliary outputs follow the others; in evaluation they are not computed.
        ports = [port for port in graph.outputs if not port.auxiliary]
        if training:
            ports += [port for port in graph.outputs if port.auxiliary]
        values = results if isinstance(results, tuple) else (results,)
        return {port.name: value for port, value in zip(ports, values, strict=True)}

    def _pulled(self, outputs: Sequence[Any], cotangents: Sequence[Array], sources: Sequence[Any]) -> list[Array]:
        """Gradients with respect to the sources; zeros where there is no way to one."""
        torch = self._torch
        given = [torch.from_numpy(array.copy()).to(self._dtype) for array in cotangents]
        found = torch.autograd.grad(outputs, sources, given, allow_unused=True)
        return [
            (torch.zeros_like(source) if gradient is None else gradient).detach().numpy().copy()
            for source, gradient in zip(sources, found, strict=True)
        ]

    @contextmanager
    def _recording(self, model: Any, graph: Graph, layers: dict[str, Array]) -> Iterator[None]:
        """Keep the result of every layer that is a module of its own."""

        def keep(path: str) -> Any:
            def hook(module: Any, inputs: Any, result: Any) -> None:
                layers[path] = result.numpy().copy()

            return hook

        modules = dict(model.named_modules())
        handles = [
            modules[node.path].register_forward_hook(keep(node.path)) for node in graph.layers if node.path in modules
        ]
        try:
            yield
        finally:
            for handle in handles:
                handle.remove()

    def _own_state(self, model: Any) -> dict[str, Any]:
        """The tensors of a model that the spec knows of; PyTorch counts the batches of its batch norms besides."""
        return {key: value for key, value in model.state_dict().items() if not key.endswith(".num_batches_tracked")}

    @contextmanager
    def _exact(self) -> Iterator[None]:
        """Full precision and fixed algorithms, whatever the process is set to."""
        torch = self._torch
        precision = torch.get_float32_matmul_precision()
        deterministic = torch.are_deterministic_algorithms_enabled()
        warn_only = torch.is_deterministic_algorithms_warn_only_enabled()
        torch.set_float32_matmul_precision("highest")
        torch.use_deterministic_algorithms(True)
        try:
            yield
        finally:
            torch.set_float32_matmul_precision(precision)
            torch.use_deterministic_algorithms(deterministic, warn_only=warn_only)

    @contextmanager
    def _dropout_off(self, model: Any) -> Iterator[None]:
        """Every rate of dropout at 0."""
        nn = self._torch.nn
        known = (nn.Dropout, nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)
        droppers = [m for m in model.modules() if isinstance(m, known) or type(m).__name__ == "StochasticDepth"]
        rates = [module.p for module in droppers]
        for module in droppers:
            module.p = 0.0
        try:
            yield
        finally:
            for module, rate in zip(droppers, rates, strict=True):
                module.p = rate


class CompiledRuntime(TorchRuntime):
    """Runs it through ``torch.compile``: whole, by its default compiler.  Nothing within can be observed."""

    @override
    def build(self, source: str, graph: Graph) -> Any:
        model = super().build(source, graph)
        # In place, so that weights keep their names.
        model.compile(fullgraph=True)
        return model

    @override
    def layer(
        self,
        model: Any,
        graph: Graph,
        node: Node,
        inputs: Sequence[Array],
        cotangents: Sequence[Array],
        *,
        training: bool,
    ) -> LayerPass | None:
        # It is not this that runs.
        return None

    @contextmanager
    @override
    def _recording(self, model: Any, graph: Graph, layers: dict[str, Array]) -> Iterator[None]:
        yield


def import_source(source: str, name: str) -> ModuleType:
    """Generated source as a module of its own, with its lines in tracebacks."""
    digest = blake2b(source.encode(), digest_size=6).hexdigest()
    module = ModuleType(f"cnnspec_generated_{safe(name)}_{digest}")
    module.__file__ = f"<{module.__name__}>"
    # Without a time of change: the entry is never looked for on disk.
    linecache.cache[module.__file__] = (len(source), None, source.splitlines(keepends=True), module.__file__)
    exec(compile(source, module.__file__, "exec"), module.__dict__)
    return module


def _require_same(what: str, found: Mapping[str, Any], where: str, expected: Mapping[str, Any]) -> None:
    missing = [key for key in expected if key not in found]
    unexpected = [key for key in found if key not in expected]
    if missing or unexpected:
        parts = [f"it lacks {', '.join(missing)}"] if missing else []
        parts += [f"it has {', '.join(unexpected)}, which is not in {where}"] if unexpected else []
        raise ValueError(f"{what} does not match {where}: {'; '.join(parts)}")
