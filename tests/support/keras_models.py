"""The networks of keras.applications with random weights, beside the Keras code generated for the same networks.

``python -m support.keras_models JOB.json`` is a process of its own, which runs Keras on TensorFlow: the only one of its
backends that computes all of these networks (NASNetMobile needs TensorFlow or JAX) and all in float64.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from cnnspec import api, loading
from cnnspec.backend import backend
from cnnspec.graph import Graph
from cnnspec.weights import generator_for, read
from cnnspec_keras.engines import mends

Array = NDArray[np.floating[Any]]

TARGET = "keras-tensorflow"
BATCH = 2
SEED = 0
GAIN = 2.0
"""Kernels have the variance ``GAIN / fan_in``: He's, with which an image is not lost on the way through many layers."""
SPREAD = 1.0
"""The standard deviation of what goes into the softmax at the end: the classes then differ by orders of magnitude.

With a last layer drawn like the others it would be anything: all of the 1000 classes about 1e-3, or one of them 1.
"""


def main(path: Path) -> None:
    """Run the networks of a job: each original saves its weights, and runs beside the code that is given them.

    A network is ``[name in the zoo, name in keras.applications, input]``, and what comes of it goes into the folder of
    the job: ``name.weights.h5``, and ``name.npz`` with the image and the outputs of both in float64.
    """
    import_keras()
    for spec, name, shape in json.loads(path.read_text(encoding="utf-8")):
        file = path.with_name(f"{name}.weights.h5")
        image = save_original(name, tuple(shape), file)
        found = {"image": image}
        found.update(original_outputs(name, tuple(shape), file, image, ("float64",)))
        graph, source = generated(spec, tuple(shape), "keras")
        weights = read(file, graph)
        found.update(generated_outputs(graph, source, weights, image, ("float64",)))
        np.savez(path.with_name(f"{name}.npz"), allow_pickle=False, **found)


def import_keras() -> Any:
    """Keras on TensorFlow and the CPU; to be called before anything else imports it."""
    os.environ["KERAS_BACKEND"] = "tensorflow"
    os.environ["CUDA_VISIBLE_DEVICES"] = ""
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    import keras

    return keras


@contextmanager
def precision(name: str) -> Iterator[None]:
    """Build and compute in float32 or float64, with automatic names that count from zero."""
    import keras

    keras.backend.clear_session()
    keras.config.set_floatx(name)
    keras.config.set_dtype_policy(name)
    try:
        yield
    finally:
        keras.config.set_floatx("float32")
        keras.config.set_dtype_policy("float32")


@contextmanager
def whole_constants() -> Iterator[None]:
    """Let an original compute in float64 with the numbers that its code and Keras's have.

    TensorFlow makes float32 of Python's numbers before it casts them: of the scale of images, of the mean and variance
    of a `Normalization`, of the square root in GELU.  Generated code is run as it is.
    """
    import tensorflow
    from tensorflow.python.ops import math_ops

    before = math_ops.cast

    def cast(x: Any, dtype: Any, name: Any = None) -> Any:
        return tensorflow.constant(x, dtype, name=name) if isinstance(x, float) else before(x, dtype, name)

    math_ops.cast = tensorflow.cast = cast
    try:
        with mends("tensorflow"):
            yield
    finally:
        math_ops.cast = tensorflow.cast = before


def original(name: str, shape: tuple[int, ...]) -> Any:
    """A network of keras.applications for an input ``(C, H, W)``."""
    import keras

    channels, height, width = shape
    return getattr(keras.applications, name)(weights=None, input_shape=(height, width, channels))


def save_original(name: str, shape: tuple[int, ...], file: Path, gain: float = GAIN) -> Array:
    """Draw weights for a network and let it save them as users do; gives an image for it, channels first."""
    with precision("float32"):
        model = original(name, shape)
        draw(model, gain)
        image = draw_image(model, shape)
        spread(model, image)
        model.save_weights(file)
    return image


def original_outputs(
    name: str, shape: tuple[int, ...], file: Path, image: Array, precisions: tuple[str, ...]
) -> dict[str, Array]:
    """``original/float64`` and so on: what the network makes of an image with the weights in its own file."""
    found = {}
    for one in precisions:
        with precision(one), whole_constants():
            model = original(name, shape)
            model.load_weights(file)
            found[f"original/{one}"] = call(model, image, one)
            del model  # before the next one is made: they may be large
    return found


def generated(
    spec: str, shape: tuple[int, ...], target: str, parameters: dict[str, Any] | None = None
) -> tuple[Graph, str]:
    """A network of the zoo for an input of that shape, and its code."""
    found = loading.find(spec)
    (port,) = api.load_text(found).inputs
    graph, probes = api.load_for_compiling(found, inputs={port.name: shape}, parameters=parameters)
    return graph, backend(target).emit(graph, probes)


def generated_outputs(
    graph: Graph, source: str, weights: dict[str, Array], image: Array, precisions: tuple[str, ...]
) -> dict[str, Array]:
    """``keras/float64`` and so on: what generated Keras code makes of it."""
    found = {}
    for one in precisions:
        with precision(one):
            runtime = backend("keras").runtime(TARGET, one)
            model = runtime.build(source, graph)
            runtime.load(model, graph, weights)
            found[f"keras/{one}"] = call(model, image, one)
            del model
    return found


def call(model: Any, image: Array, dtype: str) -> Array:
    """The first output of a model in evaluation mode; auxiliary heads are others."""
    import keras

    results = model(keras.ops.convert_to_tensor(channels_last(image, dtype)), training=False)
    return np.array(keras.ops.convert_to_numpy(results[0] if isinstance(results, list) else results))


def channels_last(image: Array, dtype: str) -> Array:
    return np.ascontiguousarray(image.transpose(0, 2, 3, 1), dtype=dtype)


def draw(model: Any, gain: float) -> None:
    """Weights and running statistics as after training: values stay of order one, and nothing is zero or one."""
    import keras

    depthwise = {layer.kernel.path for layer in model.layers if isinstance(layer, keras.layers.DepthwiseConv2D)}
    for variable in model.variables:
        if variable.name not in ("count", "seed_generator_state"):
            name = "depthwise_kernel" if variable.path in depthwise else variable.name
            values = drawn(name, tuple(variable.shape), gain, generator_for(SEED, variable.path))
            variable.assign(values.astype(np.float32))
    for layer in model.layers:
        if isinstance(layer, keras.layers.Normalization):
            layer.finalize_state()  # it computes with copies of its variables


def drawn(name: str, shape: tuple[int, ...], gain: float, generator: np.random.Generator) -> Array:
    """Values of one variable, by the name that Keras's layer gives it."""
    match name:
        case "kernel" | "pointwise_kernel":
            return generator.standard_normal(shape) * np.sqrt(gain / np.prod(shape[:-1]))
        case "depthwise_kernel":  # (height, width, channels, multiplier)
            return generator.standard_normal(shape) * np.sqrt(gain / np.prod(shape[:-2]))
        case "gamma":
            return generator.uniform(0.5, 1.5, shape)
        case "moving_variance":
            return generator.uniform(0.5, 2.0, shape)
        case "bias" | "beta" | "moving_mean":
            return generator.uniform(0.05, 0.5, shape) * generator.choice((-1.0, 1.0), shape)
        case "mean":  # of images that are scaled to at most 1
            return generator.uniform(0.4, 0.6, shape)
        case "variance":
            return generator.uniform(0.05, 0.1, shape)
    # ConvNeXt's LayerScale gives its variable no name.
    if name.startswith("variable"):
        return generator.uniform(0.5, 1.0, shape)
    raise ValueError(f"how is `{name}` drawn?")


def draw_image(model: Any, shape: tuple[int, ...]) -> Array:
    """A batch, channels first: of pixels up to 255 where the network scales them itself, else around 0.3."""
    import keras

    generator = generator_for(SEED, "image")
    scales = any(isinstance(layer, (keras.layers.Rescaling, keras.layers.Normalization)) for layer in model.layers)
    image = generator.uniform(0, 255, (BATCH, *shape)) if scales else generator.normal(0.3, 1.0, (BATCH, *shape))
    return image.astype(np.float32).astype(np.float64)


def spread(model: Any, image: Array) -> None:
    """Scale the last layer with weights so that what goes into the softmax has the standard deviation `SPREAD`."""
    import keras

    last = [layer for layer in model.layers if layer.weights][-1]
    activation, last.activation = last.activation, keras.activations.linear
    scores = call(keras.Model(model.inputs, last.output), image, "float32")
    last.activation = activation
    for variable in last.weights:
        variable.assign(variable * (SPREAD / scores.std()))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
