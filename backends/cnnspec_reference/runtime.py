"""The reference evaluator as a target of the cross-check."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from cnnspec.backend import Gradients, LayerPass, Pass, Precision, Runtime
from cnnspec.graph import Graph, Node

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Array = NDArray[numpy.floating[Any]]


class ReferenceRuntime(Runtime):
    """Evaluates the graph itself, without code.

    It computes in float64 whatever the precision of what it is given: from float32 numbers come the results that a
    float32 computation would have if it did not round.  Layers alone it computes in the runtime's precision.
    """

    biased_running_variance = False

    @override
    def __init__(self, target: str, precision: Precision) -> None:
        import numpy

        self._numpy = numpy
        self._precision = precision

    @override
    def build(self, source: str, graph: Graph) -> Any:
        state: dict[str, Array] = {}
        return state

    @override
    def load(self, model: Any, graph: Graph, state: Mapping[str, Array]) -> None:
        missing = [key for key in graph.state if key not in state]
        if missing:
            raise ValueError(f"the given state lacks {', '.join(missing)}")
        model.update((key, self._numpy.array(state[key], dtype=self._numpy.float64)) for key in graph.state)

    @override
    def state(self, model: Any, graph: Graph) -> dict[str, Array]:
        return {key: model[key].copy() for key in graph.state}

    @override
    def forward(self, model: Any, graph: Graph, inputs: Mapping[str, Array], *, training: bool) -> Pass:
        from cnnspec_reference.evaluation import computed, evaluate, output_ports

        values, after = evaluate(graph, model, inputs, training, keep=range(len(graph.values)))
        model.update(after)
        return Pass(
            outputs={port.name: values[port.value] for port in output_ports(graph, training)},
            layers={node.path: values[node.outputs[0]] for node in computed(graph, training) if len(node.outputs) == 1},
            state=self.state(model, graph),
        )

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
        from cnnspec_reference.evaluation import differentiate

        passed = differentiate(graph, model, inputs, training, keep=())
        model.update(passed.evaluation.state)
        found = passed.pull(cotangents)
        return Gradients({**found.inputs}, {**found.state})

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
    ) -> LayerPass:
        from cnnspec_reference.evaluation import apply

        given, pulling = ([array.astype(self._precision) for array in arrays] for arrays in (inputs, cotangents))
        weights = {key: model[key].astype(self._precision, copy=False) for key in map(node.key, node.weights)}
        # A learned parameter takes nothing and is repeated for each sample.
        batch = len((given or pulling)[0])
        result = apply(node, tuple(given), weights, batch, training)
        if not pulling:
            return LayerPass(result.outputs, (), {})
        pulled = result.pull(tuple(pulling))
        return LayerPass(result.outputs, pulled.inputs, dict(pulled.weights))

    @override
    def disturbed(self, error: Callable[[Array], Array]) -> AbstractContextManager[None]:
        from cnnspec_reference.definition import disturbed

        return disturbed(error)

    @override
    def versions(self) -> dict[str, str]:
        return {"numpy": self._numpy.__version__}
