"""What Keras leaves to its engines: gradients, compilation, and float64 where an engine does not have it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any

Call = Callable[[list[Any]], Any]
"""From tensors to one tensor or several."""
Pull = Callable[[list[Any], list[Any]], tuple[list[Any], list[Any], list[Any]]]
"""From inputs and a cotangent of each output to the outputs and gradients of ``sum of cotangent * output``.

The gradients are those of the inputs, and those of some variables.
"""


def passing(engine: str, call: Call, variables: Sequence[Any]) -> Call:
    """The call as the engine runs it best.  ``variables`` are all that it reads or assigns."""
    if engine != "jax":
        return call
    import jax

    # Operation by operation, every shape of every operation would be compiled by itself.
    compiled = jax.jit(_stateless(call, variables))

    def run(given: list[Any]) -> list[Any]:
        values, after = compiled(given, [own.value for own in variables])
        _assign(variables, after)
        return list(values)

    return run


def pulling(engine: str, call: Call, trained: Sequence[Any], moved: Sequence[Any]) -> Pull:
    """Gradients of a call with respect to its inputs and to the variables ``trained``, by the engine's own means.

    ``moved`` are those that the call reads or assigns beside them.
    """
    make = {"tensorflow": _pulling_on_tensorflow, "torch": _pulling_on_torch, "jax": _pulling_on_jax}[engine]
    return make(call, trained, moved)


def _pulling_on_tensorflow(call: Call, trained: Sequence[Any], _: Sequence[Any]) -> Pull:
    import tensorflow

    def pull(inputs: list[Any], cotangents: list[Any]) -> tuple[list[Any], list[Any], list[Any]]:
        with tensorflow.GradientTape() as tape:
            tape.watch(inputs)
            outputs = _listed(call(inputs))
        found = tape.gradient(
            outputs,
            [*inputs, *(own.value for own in trained)],
            output_gradients=cotangents,
            unconnected_gradients=tensorflow.UnconnectedGradients.ZERO,
        )
        return outputs, found[: len(inputs)], found[len(inputs) :]

    return pull


def _pulling_on_torch(call: Call, trained: Sequence[Any], _: Sequence[Any]) -> Pull:
    import torch

    def pull(inputs: list[Any], cotangents: list[Any]) -> tuple[list[Any], list[Any], list[Any]]:
        given = [tensor.detach().requires_grad_() for tensor in inputs]
        sources = [*given, *(own.value for own in trained)]
        outputs = _listed(call(given))
        pulled = torch.autograd.grad(outputs, sources, cotangents, allow_unused=True)
        found = [torch.zeros_like(source) if one is None else one for source, one in zip(sources, pulled, strict=True)]
        return outputs, found[: len(inputs)], found[len(inputs) :]

    return pull


def _pulling_on_jax(call: Call, trained: Sequence[Any], moved: Sequence[Any]) -> Pull:
    import jax

    stateless = _stateless(call, [*trained, *moved])

    def pulled_back(
        inputs: list[Any], weights: list[Any], rest: list[Any], cotangents: list[Any]
    ) -> tuple[list[Any], list[Any], list[Any], list[Any]]:
        def passed(inputs: list[Any], weights: list[Any]) -> tuple[list[Any], list[Any]]:
            return stateless(inputs, [*weights, *rest])

        outputs, pulled, after = jax.vjp(passed, inputs, weights, has_aux=True)
        return outputs, after[len(weights) :], *pulled(cotangents)

    compiled = jax.jit(pulled_back)

    def pull(inputs: list[Any], cotangents: list[Any]) -> tuple[list[Any], list[Any], list[Any]]:
        outputs, after, to_inputs, to_weights = compiled(
            inputs, [own.value for own in trained], [own.value for own in moved], cotangents
        )
        _assign(moved, after)
        return outputs, to_inputs, to_weights

    return pull


def _stateless(call: Call, variables: Sequence[Any]) -> Callable[[list[Any], list[Any]], tuple[list[Any], list[Any]]]:
    """From tensors and values of the variables to what the call gives, and to the values that it leaves."""
    import keras

    def run(given: list[Any], values: list[Any]) -> tuple[list[Any], list[Any]]:
        with keras.StatelessScope(state_mapping=list(zip(variables, values, strict=True))) as scope:
            made = _listed(call(given))
        return made, [scope.get_current_value(own) for own in variables]

    return run


def _assign(variables: Sequence[Any], values: Sequence[Any]) -> None:
    for own, value in zip(variables, values, strict=True):
        own.assign(value)


def _listed(values: Any) -> list[Any]:
    return list(values) if isinstance(values, (list, tuple)) else [values]


@contextmanager
def mends(engine: str) -> Iterator[None]:
    """Within, the engine computes in float64 what it otherwise cannot, or computes in float32."""
    mending = {"tensorflow": (_volume_pools, _whole_constants), "torch": (_contiguous_kernels,)}
    with ExitStack() as stack:
        for mend in mending.get(engine, ()):
            stack.enter_context(mend())
        yield


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
            # Not -1: a window larger than the volume, as Keras has them in adaptive pools, gives nothing to divide.
            return tensorflow.reshape(x, (batch, tensorflow.shape(x)[1], *sizes, channels))

        return pool

    before = gen_nn_ops.max_pool3d, gen_nn_ops.avg_pool3d
    gen_nn_ops.max_pool3d = planes_first(before[0], tensorflow.nn.max_pool2d)
    gen_nn_ops.avg_pool3d = planes_first(before[1], tensorflow.nn.avg_pool2d)
    try:
        yield
    finally:
        gen_nn_ops.max_pool3d, gen_nn_ops.avg_pool3d = before


@contextmanager
def _whole_constants() -> Iterator[None]:
    """Keep the constants of a normalisation as they are: Keras makes float32 tensors of Python's numbers first."""
    import numpy
    from keras.layers import Normalization

    before = Normalization.build

    def build(self: Any, input_shape: Any) -> None:
        if self.input_mean is not None:
            self.input_mean, self.input_variance = map(numpy.array, (self.input_mean, self.input_variance))
        before(self, input_shape)

    Normalization.build = build
    try:
        yield
    finally:
        Normalization.build = before


@contextmanager
def _contiguous_kernels() -> Iterator[None]:
    """Let PyTorch differentiate the convolutions of Keras in float64.

    It refuses some, such as those of one filter, since Keras's kernels are views with their axes in another order.
    """
    from torch.nn import functional

    def contiguous(convolve: Callable[..., Any]) -> Callable[..., Any]:
        return lambda x, weight, *rest, **named: convolve(x, weight.contiguous(), *rest, **named)

    before = functional.conv2d, functional.conv_transpose2d
    functional.conv2d, functional.conv_transpose2d = map(contiguous, before)
    try:
        yield
    finally:
        functional.conv2d, functional.conv_transpose2d = before
