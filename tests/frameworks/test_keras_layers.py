"""Every layer in Keras, on each backend of Keras, against its definition.

A backend of Keras has a process of its own, which this file is as a script: it runs all examples, and prints by how
much each differs.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnnspec.api import load, loads
from cnnspec.codegen.emission import Code, Construct, Emission, Place, Unsupported
from cnnspec.codegen.functions import FUNCTIONS
from cnnspec.diagnostics import Span
from cnnspec.graph import Node
from cnnspec.initialisers import Initialiser
from cnnspec.layers import LAYERS, activation, arithmetic, arrangement, normalisation, pooling
from cnnspec.layers.base import Layer
from cnnspec.layers.convolution import Conv, ConvTranspose, DepthwiseConv, SeparableConv
from cnnspec.shapes import Shape, Symbolic
from cnnspec.weights import draw, draw_inputs
from cnnspec_keras import BACKEND
from cnnspec_keras.helpers import HELPERS
from cnnspec_keras.layers import EMITTERS, layer_name
from cnnspec_keras.runtime import KerasRuntime
from cnnspec_keras.weights import from_keras, to_keras, variable
from support.definitions import evaluate
from support.layer_examples import EXAMPLES, LINE, MAP, VECTOR, VOLUME, Example
from support.other_sizes import RESIZED, Resized

ENGINES = ("tensorflow", "jax", "torch")
TOLERANCE = 1e-10
BATCH = 3

MORE = [
    Example(pooling.MaxPool(kernel=3, stride=2, ceil_mode=True), (MAP,), ((4, 3, 3),)),
    # numbers that float32 does not have, in place of those that it has
    Example(activation.LeakyRelu(slope=0.3), (MAP,), (MAP,)),
    Example(activation.Elu(alpha=0.3), (MAP,), (MAP,)),
    Example(activation.Celu(alpha=0.3), (MAP,), (MAP,)),
    Example(activation.HardTanh(low=-0.3, high=0.7), (MAP,), (MAP,)),
    Example(arithmetic.ScaleShift(scale=0.3, shift=0.1), (MAP,), (MAP,)),
    # what `same` says on every backend
    Example(pooling.MaxPool(kernel=3, stride=1, pad=1), (MAP,), (MAP,)),
    Example(pooling.MaxPool(kernel=3, stride=1, pad=1), (LINE,), (LINE,)),
    Example(pooling.MaxPool(kernel=3, stride=1, pad=1), (VOLUME,), (VOLUME,)),
    Example(pooling.MaxPool(kernel=3, stride=2, pad=1), (LINE,), ((4, 5),)),
    Example(pooling.MaxPool(kernel=3, stride=2, pad=1), (VOLUME,), ((4, 3, 3, 2),)),
    Example(pooling.AvgPool(kernel=3, stride=1, pad=1), (LINE,), (LINE,)),
    Example(pooling.AvgPool(kernel=(5, 3), stride=1, pad=(2, 1)), (MAP,), (MAP,)),
    Example(pooling.AvgPool(kernel=3, stride=1, pad=1), (VOLUME,), (VOLUME,)),
    Example(pooling.AvgPool(kernel=3, stride=2, pad=1, ceil_mode=True), (VOLUME,), ((4, 3, 4, 3),)),
    Example(pooling.MaxPool(kernel=3, stride=1, dilation=2), (LINE,), ((4, 5),)),
    Example(pooling.AdaptiveMaxPool(size=2), (VOLUME,), ((4, 2, 2, 2),)),
    # more output padding than padding, in one axis; a kernel below the stride; three dimensions
    Example(ConvTranspose(filters=3, kernel=3, stride=3, pad=(0, 1), output_pad=2), (MAP,), ((3, 23, 18),)),
    Example(ConvTranspose(filters=3, kernel=2, stride=3, pad=1, output_pad=1), (LINE,), ((3, 25),)),
    Example(ConvTranspose(filters=3, kernel=2, stride=3, pad=1, output_pad=1), (VOLUME,), ((3, 13, 16, 10),)),
    Example(ConvTranspose(filters=3, kernel=1, dilation=2, pad=1), (MAP,), ((3, 5, 4),)),
    Example(ConvTranspose(filters=6, kernel=3, groups=2, stride=2, dilation=2, pad=1), (LINE,), ((6, 19),)),
    Example(ConvTranspose(filters=4, kernel=3, groups=2, stride=2, output_pad=1), (VOLUME,), ((4, 12, 14, 10),)),
    Example(Conv(filters=3, kernel=3, stride=(1, 2), dilation=(2, 1), pad=1), (MAP,), ((3, 5, 3),)),
    Example(Conv(filters=4, kernel=2, stride=2, dilation=2, groups=2), (VOLUME,), ((4, 2, 2, 1),)),
    Example(DepthwiseConv(kernel=3, multiplier=2, stride=2, dilation=2), (MAP,), ((8, 2, 1),)),
    Example(DepthwiseConv(kernel=2, multiplier=2, init=Initialiser(distribution="orthogonal")), (MAP,), ((8, 6, 5),)),
    Example(Conv(filters=8, kernel=3, groups=4, pad=1), (LINE,), ((8, 9),)),
    Example(normalisation.GroupNorm(groups=3), (VECTOR,), (VECTOR,)),
    Example(normalisation.LayerNorm(axes="all"), (VOLUME,), (VOLUME,)),
    Example(arrangement.Reshape(shape=(8, 3, 7)), (MAP,), ((8, 3, 7),)),
    Example(arrangement.Reshape(shape=(168, 1, 1)), (MAP,), ((168, 1, 1),)),
    Example(arrangement.Permute(order=(3, 1, 0, 2)), (VOLUME,), ((4, 5, 4, 6),)),
    Example(arrangement.Pad(amount=((0, 3), (2, 0), (1, 1)), mode="reflect"), (VOLUME,), ((4, 8, 8, 6),)),
    Example(arrangement.Mean(axes=(0,), keep=False), (MAP,), ((7, 6),)),
    Example(arrangement.Mean(axes=(0, 2), keep=False), (VOLUME,), ((5, 4),)),
    Example(arrangement.Upsample(scale=(2, 3), mode="bilinear", align_corners=True), (MAP,), ((4, 14, 18),)),
    Example(arrangement.Upsample(size=(14, 6)), (MAP,), ((4, 14, 6),)),
]


KINKS = [
    (activation.Relu(), (-1, 0, 1), (0, 0, 1)),
    (activation.Relu6(), (-1, 0, 1, 6, 7), (0, 0, 1, 0, 0)),
    (activation.LeakyRelu(slope=0.3), (-1, 0, 1), (0.3, 0.3, 1)),
    (activation.Prelu(), (-1, 0, 1), (0.25, 0.25, 1)),
    (activation.Elu(alpha=0.3), (0, 1, 1000), (0.3, 1, 1)),
    (activation.Selu(), (0, 1000), (1.6732632423543772 * 1.0507009873554805, 1.0507009873554805)),
    (activation.Celu(alpha=0.3), (0, 1, 1000), (1, 1, 1)),
    (activation.Gelu(), (0,), (0.5,)),
    (activation.HardSigmoid(), (-3, 0, 3), (0, 1 / 6, 0)),
    (activation.HardSwish(), (-4, 0, 4), (0, 0.5, 1)),
    (activation.HardTanh(low=-0.5, high=2.0), (-1, -0.5, 0, 2, 3), (0, 0, 1, 0, 0)),
    (activation.Softplus(), (0, 50), (0.5, 1)),
    (activation.Softsign(), (0, 1), (1, 0.25)),
    (activation.Abs(), (-1, 0, 1), (-1, 0, 1)),
    # of equal values the first passes the gradient
    (pooling.MaxPool(kernel=2), (5, 5, 5, 5), (1, 0, 1, 0)),
    (pooling.MaxPool(kernel=3, stride=2, pad=1), (5, 5, 5, 5), (1, 1, 0, 0)),
    (pooling.MaxPool(kernel=2, stride=1, dilation=2), (5, 5, 5, 5), (1, 1, 0, 0)),
    (pooling.AdaptiveMaxPool(size=3), (5, 5, 5, 5), (1, 1, 1, 0)),
    (pooling.GlobalMaxPool(), (5, 5, 5, 5), (1, 0, 0, 0)),
    (pooling.L2Pool(kernel=2), (0, 0, 3, 4), (0, 0, 0.6, 0.8)),
]
"""A layer on one channel of these values, with the derivatives of the sum of its outputs."""


def place(layer: Layer, shapes: Sequence[Shape], path: str = "body.layer") -> Place:
    outputs = layer.shapes(*shapes)
    span = Span("example.cnn", 1, 1, 1, 2)
    node = Node(
        path=path,
        layer=layer,
        inputs=tuple(range(len(shapes))),
        outputs=tuple(range(len(shapes), len(shapes) + len(outputs))),
        weights=layer.weights(*shapes),
        macs=0,
        auxiliary=False,
        operator=False,
        label="layer",
        named=True,
        span=span,
    )
    return Place(node, tuple(shapes), outputs)


def text(value: Any, extra: str = "") -> str:
    """A construct as Python."""
    if isinstance(value, Code):
        return value.text
    if not isinstance(value, Construct):
        return repr(value)
    parts = [
        (f"{argument.name}=" if argument.name else "") + text(argument.value)
        for argument in value.arguments
        if argument.value != argument.default
    ]
    return f"{value.callee}({', '.join(parts + [extra] * bool(extra))})"


def namespace() -> dict[str, Any]:
    """What a generated file with every helper defines."""
    names: dict[str, Any] = {"__name__": "generated"}
    exec("import keras\nfrom keras import layers, ops\n\n\n" + "\n\n".join(HELPERS.values()), names)
    return names


def model_of(use: Place, emission: Emission, names: dict[str, Any]) -> Any:
    keras = names["keras"]
    shapes = use.inputs or ((2,),)
    inputs = [keras.Input((*shape[1:], shape[0])) for shape in shapes]
    value = inputs if len(inputs) > 1 else inputs[0]
    for stage in emission.stages:
        assert stage.module is not None
        name = layer_name(f"{use.node.path}.{stage.suffix}" if stage.suffix else use.node.path)
        value = eval(text(stage.module, f"name={name!r}"), names)(value)
    return keras.Model(inputs, value)


def last(array: Any) -> Any:
    return np.ascontiguousarray(np.moveaxis(array, 1, -1))


def first(array: Any) -> Any:
    return np.moveaxis(np.asarray(array), -1, 1)


def error(found: Any, wanted: Any) -> float:
    """The largest difference, relative to the largest magnitude."""
    if found.shape != wanted.shape or not np.isfinite(found).all():
        return float("inf")
    return float(np.abs(found - wanted).max() / max(np.abs(wanted).max(), 1e-300))


def worst(found: Sequence[Any], wanted: Sequence[Any]) -> float:
    return max(error(one, other) for one, other in zip(found, wanted, strict=True))


def batch_norm_in_training(layer: Any, weights: dict[str, Any], x: Any) -> tuple[Any, dict[str, Any]]:
    """Output, and running statistics with the variance of the batch divided by its number of values, as Keras does."""
    axes = (0, *range(2, x.ndim))
    shape = (1, -1, *(1 for _ in x.shape[2:]))
    mean, var = x.mean(axes), x.var(axes)
    out = (x - mean.reshape(shape)) / np.sqrt(var + layer.eps).reshape(shape)
    if layer.affine:
        out = out * weights.get("weight", np.ones(x.shape[1])).reshape(shape) + weights["bias"].reshape(shape)
    moved = {
        name: (1 - layer.momentum) * weights[name] + layer.momentum * new
        for name, new in (("running_mean", mean), ("running_var", var))
    }
    return out, moved


def differences(example: Example, names: dict[str, Any], saved: set[str], folder: Path) -> Iterator[tuple[str, float]]:
    keras = names["keras"]
    convert = keras.ops.convert_to_numpy
    layer = example.layer
    generator = np.random.default_rng(0)
    use = place(layer, example.inputs)
    (emission,) = EMITTERS[type(layer)]([use])
    model = model_of(use, emission, names)
    weights = {weight.name: generator.uniform(0.3, 1.5, weight.shape) for weight in use.node.weights}
    own = model.get_layer(layer_name(use.node.path))
    for name, array in weights.items():
        held = getattr(own, variable(use.node, name))
        held.assign(to_keras(use.node, name, array, tuple(held.shape)))
        yield f"{name} there and back", error(from_keras(use.node, name, convert(held)), array)
    if isinstance(layer, normalisation.Normalize):
        own.finalize_state()
    spread = 15 if layer.category == "Activations" else 1
    x = [spread * generator.standard_normal((BATCH, *shape)) for shape in example.inputs]
    for array in x:
        array.flat[1] = 0.0
    if layer.kind == "divide":
        x[1] = 1 + np.abs(x[1])
    samples = [evaluate(layer, weights, [array[n] for array in x], example.outputs) for n in range(BATCH)]
    wanted = [np.stack([sample[i] for sample in samples]) for i in range(len(example.outputs))]
    given = [keras.ops.convert_to_tensor(last(array)) for array in (x or [np.ones((BATCH, 2))])]

    def run(one: Any, **mode: bool) -> list[Any]:
        results = one(given if len(given) > 1 else given[0], **mode)
        results = results if isinstance(results, list | tuple) else [results]
        return [first(convert(result)) for result in results]

    found = run(model, training=False)
    if any(array.dtype != np.float64 for array in found):
        yield "dtype", float("inf")
    yield "evaluation", worst(found, wanted)
    if hasattr(own, "rate"):
        rate, own.rate = own.rate, 0.0
        yield "training without drops", worst(run(model, training=True), wanted)
        own.rate = rate
    elif isinstance(layer, normalisation.BatchNorm):
        result, moved = batch_norm_in_training(layer, weights, x[0])
        yield "training", error(run(model, training=True)[0], result)
        for name, array in moved.items():
            yield f"{name} after training", error(convert(getattr(own, variable(use.node, name))), array)
    else:
        yield "training", worst(run(model, training=True), wanted)
    kinds = {stage.module.callee for stage in emission.stages if stage.module}
    kinds |= {stage.module.helper for stage in emission.stages if stage.module and stage.module.helper}
    if not kinds <= saved:
        saved |= kinds
        found = run(model, training=False)
        model.save(folder / "model.keras")
        again = keras.saving.load_model(folder / "model.keras")
        yield "saved and loaded", worst(run(again, training=False), found)


def derivative(model: Any, x: Any, engine: str) -> Any:
    """Of the sum of the outputs, with respect to the input."""
    if engine == "tensorflow":
        import tensorflow

        given = tensorflow.constant(x)
        with tensorflow.GradientTape() as tape:
            tape.watch(given)
            total = tensorflow.reduce_sum(model(given))
        return tape.gradient(total, given).numpy()
    if engine == "jax":
        import jax

        weights = [[held.value for held in some] for some in (model.trainable_variables, model.non_trainable_variables)]
        return np.asarray(jax.grad(lambda given: model.stateless_call(*weights, given)[0].sum())(x))
    import torch

    given = torch.tensor(x, requires_grad=True)
    model(given).sum().backward()
    return given.grad.numpy()


def kink(layer: Layer, values: tuple[float, ...], wanted: tuple[float, ...], names: dict[str, Any]) -> float:
    use = place(layer, [(1, len(values))])
    model = model_of(use, EMITTERS[type(layer)]([use])[0], names)
    found = derivative(model, np.array(values, "float64").reshape(1, -1, 1), names["keras"].backend.backend())
    return error(found.ravel(), np.array(wanted, "float64"))


def unknown_size(names: dict[str, Any]) -> float:
    """The largest value of a map whose size is not known, and its gradient where two are equal."""
    keras = names["keras"]
    given = keras.Input((None, None, 2))
    model = keras.Model(given, names["FirstMaximum"]()(given))
    x = np.array([[[[1.0, 7.0], [3.0, 7.0]], [[3.0, 2.0], [0.0, 4.0]]]])
    found = derivative(model, x, keras.backend.backend())
    wanted = np.array([[[[0.0, 1.0], [1.0, 0.0]], [[0.0, 0.0], [0.0, 0.0]]]])
    return error(found, wanted) + error(keras.ops.convert_to_numpy(model(x)), np.array([[[[3.0, 7.0]]]]))


def at_other_sizes(case: Resized, names: dict[str, Any]) -> float:
    """The largest error of a layer that was written for one size of its input, on inputs of others."""
    convert, layer = names["keras"].ops.convert_to_numpy, case.examples[0].layer
    generator = np.random.default_rng(0)
    use = place(layer, [case.compiled])
    (emission,) = EMITTERS[type(layer)]([use])
    own = layer_name(use.node.path)
    made = {}
    for stage in emission.stages:
        name = f"{own}_{stage.suffix}" if stage.suffix else own
        made[name] = eval(text(stage.module, f"name={name!r}"), names)
    weights = {weight.name: generator.uniform(0.3, 1.5, weight.shape) for weight in use.node.weights}
    errors = []
    for example in case.examples:
        (x,) = (generator.standard_normal((BATCH, *shape)) for shape in example.inputs)
        value = names["keras"].ops.convert_to_tensor(last(x))
        for name, step in made.items():
            if name == own and weights and not step.built:
                step.build(tuple(value.shape))
            if name == own and not errors:
                for key, array in weights.items():
                    held = getattr(step, variable(use.node, key))
                    held.assign(to_keras(use.node, key, array, tuple(held.shape)))
            value = step(value)
        wanted = np.stack([evaluate(layer, weights, [sample], example.outputs)[0] for sample in x])
        errors.append(error(first(convert(value)), wanted))
    return max(errors)


def whole_network(target: str) -> Iterator[tuple[str, float]]:
    """A model through the runtime, in one precision after the other in the same process."""
    graph = load("lenet5")
    source = BACKEND.emit(graph, [])
    state, inputs = draw(graph, 0), draw_inputs(graph, 2, 0)
    outputs = []
    for precision in ("float64", "float32", "float64"):
        runtime = KerasRuntime(target, precision)
        model = runtime.build(source, graph)
        runtime.load(model, graph, {key: array.astype(precision) for key, array in state.items()})
        passed = runtime.forward(
            model, graph, {name: array.astype(precision) for name, array in inputs.items()}, training=False
        )
        outputs.append(passed.outputs["output"])
        yield f"{precision} dtype", 0.0 if outputs[-1].dtype == precision else float("inf")
        yield f"{precision} layers", float(set(passed.layers) != {node.path for node in graph.layers})
        yield (
            f"{precision} state",
            max(error(passed.state[key], array.astype(precision)) for key, array in state.items()),
        )
    yield "float64 again", error(outputs[2], outputs[0])
    yield from blank(target)
    yield "float32", float(error(outputs[1], outputs[0]) > 1e-5)
    some = next(iter(state))
    for wrong in (
        {key: array for key, array in state.items() if key != some},
        state | {"other": state[some]},
        state | {some: state[some][:1]},
    ):
        try:
            runtime.load(model, graph, wrong)
        except ValueError:
            continue
        yield "a wrong state is taken", float("inf")


def blank(target: str) -> Iterator[tuple[str, float]]:
    """A model that is not initialised: random weights are zeros, constants are there, and the next one is drawn."""
    graph = loads("model Blank { input image: 2x5x5\n conv(3, 3x3) -> batch_norm -> prelu -> flatten -> dense(2) }")
    runtime, source = KerasRuntime(target, "float64"), BACKEND.emit(graph, [])
    empty, drawn = (
        runtime.state(runtime.build_blank(source, graph), graph),
        runtime.state(runtime.build(source, graph), graph),
    )
    for key, array in drawn.items():
        wanted = np.zeros_like(array) if key.endswith((".weight", ".kernel")) and array.ndim > 1 else array
        yield f"blank {key}", error(empty[key], wanted)
    yield "drawn", float(not any(array.ndim > 1 and array.any() for array in drawn.values()))


def loaded_again(target: str) -> Iterator[tuple[str, float]]:
    """Gradients of a model that is given other weights, against those of a new model with these weights."""
    graph = loads("model Again { input image: 2x5x5\n normalize -> conv(3, 3x3) -> batch_norm -> flatten -> dense(2) }")
    runtime = KerasRuntime(target, "float64")
    source = BACKEND.emit(graph, [])
    inputs, cotangents = draw_inputs(graph, 2, 0), {"output": np.ones((2, *graph.shape(graph.outputs[0].value)))}

    def results(model: Any, seed: int) -> dict[str, np.ndarray[Any, Any]]:
        found = {}
        for training in (True, False):
            runtime.load(model, graph, draw(graph, seed))
            pulled = runtime.gradients(model, graph, inputs, cotangents, training=training)
            arrays = {**pulled.inputs, **pulled.state, **runtime.state(model, graph)}
            found.update({f"{name}, {training}": array for name, array in arrays.items()})
        return found

    model = runtime.build(source, graph)
    first, second = results(model, 0), results(model, 1)
    for name, array in results(runtime.build(source, graph), 1).items():
        yield name, error(second[name], array)
    yield "unlike the first", float(not error(first["image, False"], second["image, False"]) > TOLERANCE)


def _in_keras(example: Example) -> bool:
    """Whether Keras has the layer in this number of dimensions."""
    return not isinstance(example.layer, SeparableConv) or example.inputs != (VOLUME,)


def report(engine: str) -> dict[str, dict[str, float]]:
    """What each example yields, on one backend of Keras, in this process."""
    runtime = KerasRuntime(f"keras-{engine}", "float64")
    names = namespace()
    saved: set[str] = set()
    found: dict[str, dict[str, float]] = {}
    with runtime._exact(), tempfile.TemporaryDirectory() as folder:
        for example in [*filter(_in_keras, EXAMPLES), *MORE]:
            try:
                found[str(example)] = dict(differences(example, names, saved, Path(folder)))
            except Exception as problem:
                found[str(example)] = {f"{type(problem).__name__}: {problem}"[:1000]: float("inf")}
        found["kinks"] = {
            f"{layer.kind} {values}": kink(layer, values, wanted, names) for layer, values, wanted in KINKS
        }
        found["other sizes"] = {}
        for case in RESIZED[::3]:  # PyTorch runs all of them
            try:
                found["other sizes"][str(case)] = at_other_sizes(case, names)
            except Exception as problem:
                found["other sizes"][f"{case}: {type(problem).__name__}: {problem}"[:1000]] = float("inf")
        found["unknown size"] = {"first maximum": unknown_size(names)}
    found["whole network"] = dict(whole_network(f"keras-{engine}"))
    found["loaded again"] = dict(loaded_again(f"keras-{engine}"))
    # Tested above, and in test_exact_training.py.
    saved |= {"FirstMaximum", "BatchNormalization", "window_padding"}
    found["helpers that no example uses"] = dict.fromkeys(HELPERS.keys() - FUNCTIONS.keys() - saved, float("inf"))
    return found


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
def test_every_layer_computes_its_definition(engine: str) -> None:
    tests = Path(__file__).parents[1]
    environment = os.environ | {"PYTHONPATH": str(tests)}
    command = [sys.executable, __file__, engine]
    run = subprocess.run(command, capture_output=True, text=True, env=environment, timeout=900, check=False)
    assert run.returncode == 0, run.stderr[-4000:]
    found = json.loads(run.stdout.splitlines()[-1])
    assert len(found) > len(list(filter(_in_keras, EXAMPLES)))
    wrong = {
        name: {what: size for what, size in sizes.items() if not size <= TOLERANCE} for name, sizes in found.items()
    }
    assert not {name: sizes for name, sizes in wrong.items() if sizes}


def test_every_layer_is_in_the_table() -> None:
    assert set(EMITTERS) == set(LAYERS.values())


def written(layers: Sequence[Layer], shapes: Sequence[Shape]) -> list[str]:
    """What the uses of one layer position become."""
    emissions = EMITTERS[type(layers[0])]([place(layer, [shape]) for layer, shape in zip(layers, shapes, strict=True)])
    return [" ".join(text(stage.module) for stage in emission.stages) for emission in emissions]


H, W = Symbolic.of("H"), Symbolic.of("W")


@pytest.mark.parametrize(
    ("layers", "shapes", "wanted"),
    [
        pytest.param(
            [Conv(filters=8, kernel=3, stride=2, pad=1), Conv(filters=8, kernel=3, pad=1)],
            [MAP, MAP],
            ["layers.ZeroPadding2D(1) layers.Conv2D(8, 3, strides=2)", "layers.ZeroPadding2D(1) layers.Conv2D(8, 3)"],
            id="`same` only where all uses may have it",
        ),
        pytest.param(
            [Conv(filters=8, kernel=(1, 3), pad=(0, 1)), Conv(filters=8, kernel=3, pad=1)],
            [MAP, MAP],
            ["layers.Conv2D(8, (1, 3), padding='same')", "layers.Conv2D(8, (3, 3), padding='same')"],
            id="a tuple where one use needs it",
        ),
        pytest.param(
            [Conv(filters=4, kernel=3, groups=4), Conv(filters=6, kernel=3, groups=2)],
            [MAP, MAP],
            ["layers.Conv2D(4, 3, groups=4)", "layers.Conv2D(6, 3, groups=2)"],
            id="depthwise only where all uses are",
        ),
        pytest.param(
            [DepthwiseConv(kernel=3, multiplier=2), DepthwiseConv(kernel=3, multiplier=2)],
            [MAP, (6, 5, 5)],
            ["layers.Conv2D(8, 3, groups=4)", "layers.Conv2D(12, 3, groups=6)"],
            id="a depthwise kernel whose initialiser would differ",
        ),
        pytest.param(
            [SeparableConv(filters=8, kernel=3, stride=2, pad="same")] * 2,
            [MAP, MAP],
            ["layers.SeparableConv2D(8, 3, strides=2, padding='same')"] * 2,
            id="a separable convolution as it is",
        ),
        pytest.param(
            [SeparableConv(filters=8, kernel=3, stride=(2, 1), pad=1)],
            [MAP],
            [
                "layers.ZeroPadding2D(1) layers.SeparableConv2D(8, 3) "
                "layers.MaxPooling2D(1, strides=(2, 1))"
            ],
            id="a separable convolution of unequal strides",
        ),
        pytest.param(
            [Conv(filters=8, kernel=1), Conv(filters=8, kernel=1)],
            [MAP, LINE],
            ["layers.Conv2D(8, 1)", "layers.Conv1D(8, 1)"],
            id="other ranks",
        ),
        pytest.param(
            [pooling.MaxPool(kernel=3, stride=2, ceil_mode=True)] * 2,
            [(4, 8, 8), (4, 9, 9)],
            [
                "WindowPadding((3, 3), strides=(2, 2), padding=((0, 0), (0, 0)), ceil_mode=True, lowest=True) "
                "layers.MaxPooling2D(3, strides=2)",
            ]
            * 2,
            id="rounding up that depends on the size",
        ),
        pytest.param([Conv(filters=8, kernel=3, pad="same")], [(1, H, W)], ["layers.Conv2D(8, 3, padding='same')"]),
        pytest.param(
            [Conv(filters=8, kernel=3, stride=2, pad=1)],
            [(1, H, W)],
            ["layers.ZeroPadding2D(1) layers.Conv2D(8, 3, strides=2)"],
        ),
        pytest.param([pooling.GlobalMaxPool()], [(1, H, W)], ["FirstMaximum()"]),
        pytest.param(
            [arrangement.Reshape(shape=(3, -1))],
            [(3, H, W)],
            ["layers.Permute((3, 1, 2)) layers.Reshape((3, -1)) layers.Permute((2, 1))"],
        ),
    ],
)  # fmt: skip
def test_form(layers: Sequence[Layer], shapes: Sequence[Shape], wanted: list[str]) -> None:
    assert written(layers, shapes) == wanted


@pytest.mark.parametrize(
    ("name", "wanted"),
    [
        ("he_normal", "VarianceScaling(2.0, 'fan_out', 'untruncated_normal')"),
        ("lecun_uniform", "VarianceScaling(1.0, 'fan_out', 'uniform')"),
        ("glorot_normal", "VarianceScaling(1.0, 'fan_avg', 'untruncated_normal')"),
        ("normal", "RandomNormal(0.0, 0.5)"),
        ("truncated_normal", "TruncatedNormal(0.0, 0.5)"),
        ("uniform", "RandomUniform(-0.5, 0.5)"),
        ("constant", "Constant(0.0)"),
    ],
)
def test_initialisers_of_depthwise_kernels(name: Any, wanted: str) -> None:
    """Their fans, as Keras sees them, are exchanged."""
    (found,) = written([DepthwiseConv(kernel=3, init=Initialiser(distribution=name, scale=0.5))], [MAP])
    assert found == f"layers.DepthwiseConv2D(3, depthwise_initializer=keras.initializers.{wanted})"


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (pooling.AdaptiveAvgPool(size=3), (1, H, W)),
        (normalisation.LayerNorm(axes="all", affine=False), (1, H, W)),
        (arrangement.Upsample(size=(H, 3)), (1, H, W)),
        (arrangement.Reshape(shape=(H, W, 3)), (3, H, W)),
    ],
)
def test_gaps_where_a_size_is_unknown(layer: Layer, shape: Shape) -> None:
    with pytest.raises(Unsupported, match=r"known"):
        written([layer], [shape])


@pytest.mark.parametrize(
    "layers",
    [
        [arrangement.Pad(amount=1), arrangement.Pad(amount=1, mode="reflect")],
        [arrangement.Upsample(scale=2), arrangement.Upsample(scale=2, mode="bilinear")],
    ],
)
def test_gaps_where_uses_differ_in_kind(layers: list[Layer]) -> None:
    with pytest.raises(Unsupported, match="in others"):
        written(layers, [MAP, MAP])


ORTHOGONAL = Initialiser(distribution="orthogonal")
CONSTANTS = normalisation.Normalize(mean=(0.5,) * 4, variance=(2.0,) * 4)


@pytest.mark.parametrize(
    ("layers", "shapes", "reason"),
    [
        ([SeparableConv(filters=3, kernel=2)], [VOLUME], "three dimensions"),
        ([SeparableConv(filters=3, kernel=2, depthwise_init=ORTHOGONAL)], [MAP], "initialiser"),
        ([SeparableConv(filters=3, kernel=2, multiplier=2)] * 2, [MAP, (6, 7, 6)], "initialiser"),
        ([normalisation.Normalize(), CONSTANTS], [MAP, MAP], "statistics in others"),
    ],
)
def test_gaps(layers: list[Layer], shapes: list[Shape], reason: str) -> None:
    with pytest.raises(Unsupported, match=reason):
        written(layers, shapes)


def test_helpers_stand_alone_and_are_formatted(tmp_path: Path) -> None:
    file = tmp_path / "generated.py"
    for name, source in HELPERS.items():
        others = {other for other in HELPERS if other != name and re.search(rf"\b{other}\b", source)}
        assert others <= {"window_padding"}, f"{name} mentions {others}"
    heads = "import keras\nfrom keras import layers, ops\n"
    file.write_text(heads + "".join(f"\n\n{source}" for source in HELPERS.values()), encoding="utf-8")
    for command in (["check"], ["format", "--check"]):
        run = subprocess.run(
            [sys.executable, "-m", "ruff", *command, "--isolated", str(file)],
            capture_output=True,
            text=True,
            check=False,
        )
        assert run.returncode == 0, run.stdout + run.stderr


if __name__ == "__main__":
    sys.stdout.write("\n" + json.dumps(report(sys.argv[1])))
