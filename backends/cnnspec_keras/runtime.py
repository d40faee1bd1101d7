"""Running generated Keras code, on one of the backends of Keras."""

from __future__ import annotations

import inspect
import linecache
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from cnnspec.backend import Pass, Precision, Runtime
from cnnspec.codegen.naming import function_name
from cnnspec.graph import Graph, Port
from cnnspec_keras.layers import layer_name
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
        self._precision: Precision = precision

    @override
    def build(self, source: str, graph: Graph) -> Any:
        with self._exact():
            name = f"<generated {graph.name}>"
            linecache.cache[name] = (len(source), None, source.splitlines(keepends=True), name)
            namespace: dict[str, Any] = {"__name__": f"cnnspec_generated_{function_name(graph.name)}"}
            exec(compile(source, name, "exec"), namespace)
            build = namespace[function_name(graph.name)]
            taken = inspect.signature(build).parameters
            return build(**{name: value for name, value in graph.parameters.items() if name in taken})

    @override
    def load(self, model: Any, graph: Graph, state: Mapping[str, Array]) -> None:
        unknown = state.keys() - graph.state.keys()
        if unknown:
            raise ValueError(f"the spec has no {', '.join(sorted(unknown))}")
        for key, (own, node, name) in self._variables(model, graph).items():
            if key not in state:
                raise ValueError(f"the given state lacks `{key}`")
            own.assign(to_keras(node, name, state[key], tuple(own.shape)))

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
            outputs = [port for port in graph.outputs if training or not port.auxiliary]
            tensors = _by_port(model.outputs, graph.outputs, model.output_names)
            probe = self._keras.Model(
                model.inputs, [*(tensors[port.name] for port in outputs), *(tensor for tensor in results.values())]
            )
            given = [_channels_last(inputs[port.name]).astype(self._precision) for port in graph.inputs]
            values = probe([self._keras.ops.convert_to_tensor(array) for array in given], training=training)
            arrays = [_channels_first(self._keras.ops.convert_to_numpy(value)) for value in values]
        names = [port.name for port in outputs]
        return Pass(
            dict(zip(names, arrays, strict=False)),
            dict(zip(results, arrays[len(names) :], strict=True)),
            self.state(model, graph),
        )

    @override
    def versions(self) -> dict[str, str]:
        from importlib.metadata import version

        return {"keras": version("keras"), self._engine: version(self._engine)}

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
            with _volume_pools() if self._engine == "tensorflow" else nullcontext():
                yield
        finally:
            config.set_floatx(before[0])
            config.set_dtype_policy(before[1])
            NARROWED["float64"] = before[2]


@contextmanager
def _volume_pools() -> Iterator[None]:
    """Let TensorFlow pool volumes of float64, for which it has no kernels: the planes first, then along the depth."""
    import tensorflow
    from tensorflow.python.ops import gen_nn_ops

    def planes_first(volumes: Any, plane: Any) -> Any:
        def pool(x: Any, ksize: Any, strides: Any, padding: Any, data_format: str = "NDHWC", name: Any = None) -> Any:
            if x.dtype != tensorflow.float64:
                return volumes(x, ksize, strides, padding, data_format, name)
            batch, depth, *sizes = tensorflow.unstack(tensorflow.shape(x))
            x = plane(tensorflow.reshape(x, (batch * depth, *sizes)), ksize[2:4], strides[2:4], padding)
            _, *sizes, channels = tensorflow.unstack(tensorflow.shape(x))
            x = tensorflow.reshape(x, (batch, depth, sizes[0] * sizes[1], channels))
            x = plane(x, (ksize[1], 1), (strides[1], 1), padding)
            return tensorflow.reshape(x, (batch, -1, *sizes, channels))

        return pool

    before = gen_nn_ops.max_pool3d, gen_nn_ops.avg_pool3d
    gen_nn_ops.max_pool3d = planes_first(before[0], tensorflow.nn.max_pool2d)
    gen_nn_ops.avg_pool3d = planes_first(before[1], tensorflow.nn.avg_pool2d)
    try:
        yield
    finally:
        gen_nn_ops.max_pool3d, gen_nn_ops.avg_pool3d = before


def _results(model: Any, graph: Graph, *, training: bool) -> dict[str, Any]:
    """The symbolic result of each layer with one output, by path: that of its last step in the model."""
    last: dict[str, Any] = {}
    paths = {
        layer_name(node.path): node.path
        for node in graph.layers
        if len(node.outputs) == 1 and (training or not node.auxiliary)
    }
    for layer in model.layers:
        # The steps of a layer are in the order of computation, and named by its path and a suffix.
        path = paths.get(layer.name) or paths.get(layer.name.rpartition("_")[0])
        if path:
            last[path] = layer.output
    return last


def _by_port(values: list[Any], ports: tuple[Port, ...], names: list[str]) -> dict[str, Any]:
    """A model's outputs by the spec's names, whichever order the model has."""
    if set(names) == {port.name for port in ports}:
        return dict(zip(names, values, strict=True))
    return {port.name: value for port, value in zip(ports, values, strict=True)}


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
