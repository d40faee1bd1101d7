"""Every layer in Keras, on each backend of Keras, against its definition.

A backend of Keras has a process of its own, which this file is as a script: it runs all examples, and prints what differs.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from cnnspec.codegen.emission import Code, Construct, Emission, Place
from cnnspec.diagnostics import Span
from cnnspec.graph import Node
from cnnspec.initialisers import Initialiser
from cnnspec.layers import LAYERS, activation, arrangement, normalisation, pooling
from cnnspec.layers.base import Layer
from cnnspec.layers.convolution import Conv, ConvTranspose, DepthwiseConv
from cnnspec_keras.helpers import HELPERS
from cnnspec_keras.layers import EMITTERS, layer_name
from cnnspec_keras.runtime import KerasRuntime
from cnnspec_keras.weights import from_keras, to_keras, variable
from support.definitions import evaluate
from support.layer_examples import EXAMPLES, LINE, MAP, VECTOR, VOLUME, Example

ENGINES = ("tensorflow", "jax", "torch")
TOLERANCE = 1e-10
BATCH = 3

MORE = [
    # numbers that float32 does not have, in place of those that it has
    Example(activation.LeakyRelu(slope=0.3), (MAP,), (MAP,)),
    Example(activation.Elu(alpha=0.3), (MAP,), (MAP,)),
    Example(activation.Celu(alpha=0.3), (MAP,), (MAP,)),
    Example(activation.HardTanh(low=-0.3, high=0.7), (MAP,), (MAP,)),
    Example(LAYERS["scale_shift"](scale=0.3, shift=0.1), (MAP,), (MAP,)),
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


def place(layer: Layer, shapes: Sequence[tuple[int, ...]], path: str = "body.layer") -> Place:
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
        out = out * weights["weight"].reshape(shape) + weights["bias"].reshape(shape)
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


def report(engine: str) -> dict[str, dict[str, float]]:
    """What each example yields, on one backend of Keras, in this process."""
    runtime = KerasRuntime(f"keras-{engine}", "float64")
    names = namespace()
    saved: set[str] = set()
    found: dict[str, dict[str, float]] = {}
    with runtime._exact(), tempfile.TemporaryDirectory() as folder:
        for example in [*EXAMPLES, *MORE]:
            try:
                found[str(example)] = dict(differences(example, names, saved, Path(folder)))
            except Exception as problem:
                found[str(example)] = {f"{type(problem).__name__}: {problem}"[:1000]: float("inf")}
    found["helpers that no example uses"] = dict.fromkeys(HELPERS.keys() - saved, float("inf"))
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
    assert len(found) > len(EXAMPLES)
    wrong = {
        name: {what: size for what, size in sizes.items() if not size <= TOLERANCE} for name, sizes in found.items()
    }
    assert not {name: sizes for name, sizes in wrong.items() if sizes}


def test_every_layer_is_in_the_table() -> None:
    assert set(EMITTERS) == set(LAYERS.values())


if __name__ == "__main__":
    print(json.dumps(report(sys.argv[1])))
