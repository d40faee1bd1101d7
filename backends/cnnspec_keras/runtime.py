"""Running generated Keras code, on one of the backends of Keras."""

from __future__ import annotations

import inspect
import linecache
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any
from weakref import WeakKeyDictionary

from typing_extensions import override

from cnnspec.backend import Gradients, LayerPass, Pass, Precision, Runtime
from cnnspec.codegen.naming import function_name
from cnnspec.graph import Graph, Node, Port
from cnnspec.layers.arrangement import Flatten
from cnnspec.layers.pooling import MaxPool
from cnnspec_keras.emit import size_parameter
from cnnspec_keras.engines import Pull, mends, passing, pulling
from cnnspec_keras.layers import layer_name, ordered_alike
from cnnspec_keras.weights import from_keras, to_keras, variable

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Array = NDArray[numpy.floating[Any]]


class KerasRuntime(Runtime):
    """Runs generated Keras code on the CPU.

    One process has one backend of Keras.  Both precisions can follow each other in it: a runtime sets its own whenever
    it builds or runs a model.
    """

    biased_running_variance = True

    @override
    def __init__(self, target: str, precision: Precision) -> None:
        engine = target.removeprefix("keras-")
        os.environ["KERAS_BACKEND"] = engine
        os.environ["CUDA_VISIBLE_DEVICES"] = ""
        os.environ["JAX_PLATFORMS"] = "cpu"
        os.environ["JAX_ENABLE_X64"] = "1"
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        import keras

        if keras.backend.backend() != engine:
            raise RuntimeError(f"this process already runs Keras on {keras.backend.backend()}: {target} needs its own")
        self._keras = keras
        self._engine = engine
        if engine == "torch":
            self.single_precision_gradients = frozenset({"hard_sigmoid"})
        self._precision: Precision = precision
        # An engine may compile them.
        self._pulls: WeakKeyDictionary[Any, dict[bool, Pull]] = WeakKeyDictionary()

    @override
    def build(self, source: str, graph: Graph) -> Any:
        with self._exact():
            name = f"<generated {graph.name}>"
            linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
            namespace: dict[str, Any] = {"__name__": f"cnnspec_generated_{function_name(graph.name)}"}
            exec(compile(source, name, "exec"), namespace)
            build = namespace[function_name(graph.name)]
            taken = inspect.signature(build).parameters
            sizes = {
                size_parameter(graph, port.name, graph.parameters): graph.shape(port.value)[1:] for port in graph.inputs
            }
            return build(**{name: value for name, value in {**graph.parameters, **sizes}.items() if name in taken})

    @override
    def build_blank(self, source: str, graph: Graph) -> Any:
        with _zeros_for_random_weights():
            return self.build(source, graph)

    @override
    def load(self, model: Any, graph: Graph, state: Mapping[str, Array]) -> None:
        unknown = state.keys() - graph.state.keys()
        if unknown:
            raise ValueError(f"the spec has no {', '.join(sorted(unknown))}")
        for key, (own, node, name) in self._variables(model, graph).items():
            if key not in state:
                raise ValueError(f"the given state lacks `{key}`")
            own.assign(to_keras(node, name, state[key], tuple(own.shape)))
        for layer in model.layers:
            if isinstance(layer, self._keras.layers.Normalization):
                # It computes with copies of its variables, and so does what was compiled.
                before = layer.mean, layer.variance
                layer.finalize_state()
                if any(map(self._differ, before, (layer.mean, layer.variance))):
                    self._pulls.pop(model, None)

    @override
    def state(self, model: Any, graph: Graph) -> dict[str, Array]:
        return {
            key: from_keras(node, name, self._keras.ops.convert_to_numpy(own))
            for key, (own, node, name) in self._variables(model, graph).items()
        }

    @override
    def forward(self, model: Any, graph: Graph, inputs: Mapping[str, Array], *, training: bool) -> Pass:
        results = _results(model, graph, training=training)
        with self._exact(), _dropout_off(model):
            outputs = _outputs(model, graph, training=training)
            probe = self._keras.Model(model.inputs, [*outputs.values(), *results.values()])
            run = passing(self._engine, lambda given: probe(given, training=training), probe.variables)
            values = run([self._tensor(inputs[port.name]) for port in graph.inputs])
            arrays = [_channels_first(self._keras.ops.convert_to_numpy(value)) for value in values]
        names = list(outputs)
        # A global average may have flattened its result.
        ranks = {node.path: len(graph.shape(node.outputs[0])) for node in graph.layers}
        shown = {
            path: array.reshape(array.shape + (1,) * (1 + ranks[path] - array.ndim))
            for path, array in zip(results, arrays[len(names) :], strict=True)
        }
        return Pass(
            dict(zip(names, arrays, strict=False)),
            shown,
            self.state(model, graph),
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
        with self._exact(), _dropout_off(model):
            outputs = _outputs(model, graph, training=training)
            weights = {
                key: (own, node, name)
                for key, (own, node, name) in self._variables(model, graph).items()
                if graph.state[key].trainable
            }
            pulls = self._pulls.setdefault(model, {})
            if training not in pulls:
                part = self._keras.Model(model.inputs, list(outputs.values()))
                pulls[training] = pulling(
                    self._engine,
                    lambda given: part(given, training=training),
                    [own for own, _, _ in weights.values()],
                    part.non_trainable_variables,
                )
            _, to_inputs, to_weights = self._arrays(
                pulls[training](
                    [self._tensor(inputs[port.name]) for port in graph.inputs],
                    [self._tensor(cotangents[name]) for name in outputs],
                )
            )
        return Gradients(
            {port.name: _channels_first(found) for port, found in zip(graph.inputs, to_inputs, strict=True)},
            {
                key: from_keras(node, name, found)
                for (key, (_, node, name)), found in zip(weights.items(), to_weights, strict=True)
            },
        )

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
        steps = _steps(model, graph).get(node.path, [])
        if not steps or not inputs or not _whole(node, graph, steps):
            return None
        rank = len(graph.shape(node.outputs[0]))

        def call(given: list[Any]) -> Any:
            value: Any = given if len(given) > 1 else given[0]
            for step in steps:
                takes_training = "training" in inspect.signature(step.call).parameters
                value = step(value, training=training) if takes_training else step(value)
            if len(node.outputs) == 1 and len(value.shape) <= rank:
                # A global average that flattened its result.
                value = self._keras.ops.expand_dims(value, tuple(range(1, 2 + rank - len(value.shape))))
            return value

        with self._exact(), _dropout_off(model):
            # The step that holds the weights has the layer's own name.
            owner = next((step for step in steps if step.name == layer_name(node.path)), None)
            weights = {
                weight.name: getattr(owner, variable(node, weight.name)) for weight in node.weights if weight.trainable
            }
            moved = [own for step in steps for own in step.non_trainable_variables]
            pull = pulling(self._engine, call, list(weights.values()), moved)
            outputs, to_inputs, to_weights = self._arrays(
                pull([self._tensor(array) for array in inputs], [self._tensor(array) for array in cotangents])
            )
        return LayerPass(
            tuple(map(_channels_first, outputs)),
            tuple(map(_channels_first, to_inputs)),
            {name: from_keras(node, name, found) for name, found in zip(weights, to_weights, strict=True)},
        )

    @override
    def versions(self) -> dict[str, str]:
        from importlib.metadata import version

        return {"keras": version("keras"), self._engine: version(self._engine)}

    def _tensor(self, array: Array) -> Any:
        """An array of a spec as a tensor of Keras."""
        return self._keras.ops.convert_to_tensor(_channels_last(array).astype(self._precision))

    def _differ(self, one: Any, other: Any) -> bool:
        first, second = map(self._keras.ops.convert_to_numpy, (one, other))
        return bool((first != second).any())

    def _arrays(self, pulled: tuple[list[Any], list[Any], list[Any]]) -> list[list[Array]]:
        return [[self._keras.ops.convert_to_numpy(one) for one in group] for group in pulled]

    def _variables(self, model: Any, graph: Graph) -> dict[str, tuple[Any, Any, str]]:
        """The Keras variable of each weight, by state key, with its node and the weight's name."""
        layers = {layer.name: layer for layer in model.layers}
        found = {}
        for node in graph.layers:
            for weight in node.weights:
                layer = layers.get(layer_name(node.path))
                if layer is None:
                    raise ValueError(f"the generated model has no layer `{layer_name(node.path)}`")
                own = getattr(layer, variable(node, weight.name))
                found[node.key(weight)] = (own, node, weight.name)
        return found

    @contextmanager
    def _exact(self) -> Iterator[None]:
        """Compute in the precision of this runtime, throughout.

        Keras turns every float64 result of a promotion into float32 on JAX and PyTorch, by a table.
        """
        from keras.src.backend.common.dtypes import BIT64_TO_BIT32_DTYPE as NARROWED

        config = self._keras.config
        before = config.floatx(), config.dtype_policy(), NARROWED["float64"]
        config.set_floatx(self._precision)
        config.set_dtype_policy(self._precision)
        if self._precision == "float64":
            NARROWED["float64"] = "float64"
        try:
            with mends(self._engine):
                yield
        finally:
            config.set_floatx(before[0])
            config.set_dtype_policy(before[1])
            NARROWED["float64"] = before[2]


def _steps(model: Any, graph: Graph) -> dict[str, list[Any]]:
    """The Keras layers that a layer of the spec became, in the order of computation, by its path."""
    paths = {layer_name(node.path): node.path for node in graph.layers}
    steps: dict[str, list[Any]] = {}
    for layer in model.layers:
        # They are named by its path and a suffix.
        path = paths.get(layer.name) or paths.get(layer.name.rpartition("_")[0])
        if path:
            steps.setdefault(path, []).append(layer)
    return steps


def _whole(node: Node, graph: Graph, steps: Sequence[Any]) -> bool:
    """Whether the steps compute the layer on all inputs, and not just with what stands before them in the network."""
    if isinstance(node.layer, MaxPool):
        return not any(type(step).__name__.startswith("ZeroPadding") for step in steps)
    return len(steps) > 1 or not isinstance(node.layer, Flatten) or ordered_alike(graph.shape(node.inputs[0]))


def _results(model: Any, graph: Graph, *, training: bool) -> dict[str, Any]:
    """The symbolic result of each layer with one output, by path: that of its last step in the model."""
    nodes = {node.path: node for node in graph.layers}
    return {
        path: steps[-1].output
        for path, steps in _steps(model, graph).items()
        if len(nodes[path].outputs) == 1 and (training or not nodes[path].auxiliary)
    }


def _outputs(model: Any, graph: Graph, *, training: bool) -> dict[str, Any]:
    """The symbolic outputs of a pass, by name: those of auxiliary heads in training only."""
    tensors = _by_port(model.outputs, graph.outputs, model.output_names)
    return {port.name: tensors[port.name] for port in graph.outputs if training or not port.auxiliary}


def _by_port(values: list[Any], ports: tuple[Port, ...], names: list[str]) -> dict[str, Any]:
    """A model's outputs by the spec's names, whichever order the model has."""
    if set(names) == {port.name for port in ports}:
        return dict(zip(names, values, strict=True))
    return {port.name: value for port, value in zip(ports, values, strict=True)}


@contextmanager
def _zeros_for_random_weights() -> Iterator[None]:
    """Let layers begin with zeros where their initialisers would draw.  Constants stay."""
    from keras.initializers import RandomNormal, RandomUniform, TruncatedNormal, VarianceScaling, get
    from keras.layers import Layer

    drawing = (RandomNormal, RandomUniform, TruncatedNormal, VarianceScaling)
    before = Layer.add_weight

    def add_weight(self: Any, *shape: Any, initializer: Any = None, **named: Any) -> Any:
        chosen = initializer and get(initializer)
        return before(self, *shape, initializer="zeros" if isinstance(chosen, drawing) else chosen, **named)

    Layer.add_weight = add_weight
    try:
        yield
    finally:
        Layer.add_weight = before


@contextmanager
def _dropout_off(model: Any) -> Iterator[None]:
    """Every rate of dropout at 0."""
    droppers = [layer for layer in model.layers if hasattr(layer, "rate")]
    rates = [layer.rate for layer in droppers]
    for layer in droppers:
        layer.rate = 0.0
    try:
        yield
    finally:
        for layer, rate in zip(droppers, rates, strict=True):
            layer.rate = rate


def _channels_last(array: Array) -> Array:
    """From ``(batch, C, ...)`` to ``(batch, ..., C)``, as a copy."""
    return array.transpose((0, *range(2, array.ndim), 1)).copy() if array.ndim > 2 else array.copy()


def _channels_first(array: Array) -> Array:
    """From ``(batch, ..., C)`` to ``(batch, C, ...)``, as a copy."""
    return array.transpose((0, array.ndim - 1, *range(1, array.ndim - 1))).copy() if array.ndim > 2 else array.copy()
