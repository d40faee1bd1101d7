"""The torch backend's table of layers, its helper definitions and its runtime, each layer against its definition."""

from __future__ import annotations

import math
import re
import subprocess
import sys
import traceback
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray

from cnnspec.api import loads
from cnnspec.backend import backend
from cnnspec.codegen.emission import Emission, Formula, Place, Unsupported, literal
from cnnspec.diagnostics import Span
from cnnspec.graph import Graph, Node
from cnnspec.initialisers import Distribution, Initialiser
from cnnspec.layers import LAYERS
from cnnspec.layers import activation as act
from cnnspec.layers import arithmetic as arith
from cnnspec.layers import arrangement as arr
from cnnspec.layers import convolution as conv
from cnnspec.layers import normalisation as norm
from cnnspec.layers import pooling as pool
from cnnspec.layers.base import Layer
from cnnspec.layers.dense import Dense
from cnnspec.layers.regularisation import StochasticDepth
from cnnspec.shapes import Shape, Symbolic
from cnnspec_torch.helpers import HELPERS
from cnnspec_torch.layers import EMITTERS, initialisation
from cnnspec_torch.runtime import TorchRuntime
from support.definitions import evaluate
from support.layer_examples import EXAMPLES, POSITIVE, Example
from support.other_sizes import RESIZED
from support.torchvision_models import torchvision_models

Array = NDArray[np.float64]

HEAD = "import torch\nimport torch.nn.functional as F\nfrom torch import Tensor, nn\n\n\n"
SPAN = Span("test.cnn", 1, 1, 1, 1)
BATCH = 2
H, W = Symbolic.of("H"), Symbolic.of("W")


def namespace() -> dict[str, Any]:
    """What a generated file with every helper would have."""
    names: dict[str, Any] = {}
    exec(HEAD + "\n\n".join(HELPERS.values()), names)
    return names


NAMES = namespace()


def place_of(layer: Layer, *inputs: Shape) -> Place:
    outputs = layer.shapes(*inputs)
    node = Node(
        path="here", layer=layer, inputs=tuple(range(len(inputs))), outputs=(9,), weights=layer.weights(*inputs),
        macs=layer.macs(inputs, outputs), auxiliary=False, operator=False, label="here", named=True, span=SPAN,
    )  # fmt: skip
    return Place(node, inputs, outputs)


def emit_together(*uses: tuple[Layer, Shape]) -> list[Emission]:
    emissions = EMITTERS[type(uses[0][0])]([place_of(layer, shape) for layer, shape in uses])
    assert len({skeleton(emission) for emission in emissions}) == 1, "the uses have no common form"
    return emissions


def skeleton(emission: Emission) -> tuple[Any, ...]:
    """What all uses of a layer position must share."""
    (stage,) = emission.stages
    module = stage.module and (stage.module.callee, stage.module.helper, tuple(a.name for a in stage.module.arguments))
    formula = stage.formula and (stage.formula.pattern, tuple(stage.formula.values))
    return module, formula, stage.attribute, emission.finisher


def emit(layer: Layer, *inputs: Shape) -> tuple[str | None, str | None]:
    """The texts of a layer's module and formula."""
    (emission,) = EMITTERS[type(layer)]([place_of(layer, *inputs)])
    (stage,) = emission.stages
    names = [f"x{i}" for i in range(len(inputs))]
    return stage.module and literal(stage.module), stage.formula and show_formula(stage.formula, names)


def show_formula(formula: Formula, inputs: Sequence[str]) -> str:
    fields = dict(zip(map(str, range(len(inputs))), inputs, strict=True)) | {"all": ", ".join(inputs)}
    fields |= {name: literal(value) for name, value in formula.values.items()}
    return re.sub(r"\{(\w+)\}", lambda match: fields[match.group(1)], formula.pattern)


def make(text: str) -> Any:
    """The module that a text constructs, in float64."""
    made = eval(text, NAMES)
    return made.double().eval() if isinstance(made, torch.nn.Module) else made


def state_of(module: Any) -> dict[str, Any]:
    return {key: value for key, value in module.state_dict().items() if key != "num_batches_tracked"}


def draw(example: Example) -> tuple[list[Array], dict[str, Array]]:
    """A batch for each input, and weights, away from zero so that nothing hides."""
    generator = np.random.default_rng(7)
    inputs = [generator.normal(size=(BATCH, *shape)) for shape in example.inputs]
    if example.layer.kind == "divide":
        inputs[1] = generator.uniform(0.5, 2.0, inputs[1].shape)
    weights = {}
    for weight in example.layer.weights(*example.inputs):
        weights[weight.name] = generator.uniform(0.5, 2.0, weight.shape) * generator.choice([-1, 1], weight.shape)
        if weight.name in POSITIVE:
            weights[weight.name] = abs(weights[weight.name])
    return inputs, weights


def defined(example: Example, inputs: list[Array], weights: Mapping[str, Array]) -> list[Array]:
    samples = [
        evaluate(example.layer, weights, [values[i] for values in inputs], example.outputs) for i in range(BATCH)
    ]
    return [np.stack(outputs) for outputs in zip(*samples, strict=True)]


def close(found: Any, expected: Array) -> None:
    values = found.detach().numpy()
    assert values.shape == expected.shape
    np.testing.assert_allclose(values, expected, rtol=0, atol=1e-12 * max(float(abs(expected).max()), 1e-300))


# The table


def test_every_layer_has_an_emitter() -> None:
    missing = [layer.__name__ for layer in LAYERS.values() if layer not in EMITTERS]
    assert not missing, f"add `@emits({missing[0]})` to backends/cnnspec_torch/layers.py"


@pytest.mark.parametrize("kind", LAYERS)
def test_every_layer_has_an_example(kind: str) -> None:
    assert any(example.layer.kind == kind for example in EXAMPLES), f"add `{kind}` to tests/support/layer_examples.py"


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_layer_computes_its_definition(example: Example) -> None:
    inputs, weights = draw(example)
    expected = defined(example, inputs, weights)
    tensors = [torch.from_numpy(values) for values in inputs]
    module, formula = emit(example.layer, *example.inputs)
    if len(example.inputs) == 1 and len(example.outputs) == 1:
        assert module is not None, "it must be able to stand in nn.Sequential"
    if module is not None:
        made = make(module)
        if isinstance(made, torch.nn.Module):
            state = state_of(made)
            assert {key: tuple(value.shape) for key, value in state.items()} == {
                weight.name: weight.shape for weight in example.layer.weights(*example.inputs)
            }
            made.load_state_dict({key: torch.from_numpy(value) for key, value in weights.items()}, strict=False)
            close(made(*tensors), expected[0])
        else:
            assert tuple(made.shape) == example.outputs[0]
    if formula is not None:
        assert not weights, "a formula has nowhere to keep weights"
        found = eval(formula, NAMES | {f"x{i}": tensor for i, tensor in enumerate(tensors)})
        found = found if isinstance(found, tuple) else (found,)
        for one, values in zip(found, expected, strict=True):
            close(one, values)


def test_a_layer_written_for_one_size_computes_its_definition_at_others() -> None:
    for case in RESIZED:
        assert case.examples
        module, formula = emit(case.examples[0].layer, case.compiled)
        assert module is not None
        made = make(module)
        for example in case.examples:
            inputs, weights = draw(example)
            expected = defined(example, inputs, weights)[0]
            (tensor,) = map(torch.from_numpy, inputs)
            made.load_state_dict({key: torch.from_numpy(value) for key, value in weights.items()}, strict=False)
            try:
                close(made(tensor), expected)
                if formula is not None:
                    close(eval(formula, NAMES | {"x0": tensor}), expected)
            except Exception as problem:
                raise AssertionError(f"{module}, written for {case.compiled}, at {example.inputs[0]}") from problem


@pytest.mark.parametrize("example", [e for e in EXAMPLES if len(e.inputs) == 1], ids=str)
def test_layer_has_the_same_form_alone_and_among_others(example: Example) -> None:
    place = place_of(example.layer, *example.inputs)
    alone, again, other = (EMITTERS[type(example.layer)](places) for places in ([place], [place, place], [place]))
    assert again == alone + other


@pytest.mark.parametrize(
    ("layer", "inputs", "module", "formula"),
    [
        (conv.Conv(filters=64, kernel=7, stride=2, pad=3, bias=False), [(3, 32, 32)],
         "nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)", None),
        (conv.Conv(filters=8, kernel=3, pad="same"), [(4, 7, 6)], 'nn.Conv2d(4, 8, 3, padding="same")', None),
        (conv.Conv(filters=8, kernel=1, pad="same"), [(4, 7, 6)], "nn.Conv2d(4, 8, 1)", None),
        (conv.Conv(filters=8, kernel=(3, 1), pad=(1, 0)), [(4, 7, 6)], "nn.Conv2d(4, 8, (3, 1), padding=(1, 0))", None),
        (conv.Conv(filters=8, kernel=3, stride=2, pad="same"), [(4, 8, 8)],
         "SameConv2d(4, 8, 3, stride=2)", None),
        (conv.DepthwiseConv(kernel=3, pad=1), [(4, 8, 8)], "nn.Conv2d(4, 4, 3, padding=1, groups=4)", None),
        (conv.ConvTranspose(filters=8, kernel=2, stride=2), [(4, 8, 8)], "nn.ConvTranspose2d(4, 8, 2, stride=2)", None),
        (Dense(units=5), [(6,)], "nn.Linear(6, 5)", None),
        (Dense(units=5, axis="channels", bias=False), [(6, 2, 2)], "ChannelLinear(6, 5, bias=False)", None),
        (pool.MaxPool(kernel=2), [(4, 8, 8)], "nn.MaxPool2d(2)", None),
        (pool.MaxPool(kernel=3, stride=2, pad=1), [(4, 8, 8)], "nn.MaxPool2d(3, stride=2, padding=1)", None),
        (pool.AvgPool(kernel=2), [(4, 8, 8)], "nn.AvgPool2d(2)", None),
        (pool.AvgPool(kernel=3, stride=1, pad=1), [(4, 8, 8)],
         "nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)", None),
        (pool.L2Pool(kernel=2), [(4, 8, 8)], "nn.LPPool2d(2, 2)", None),
        (pool.GlobalAvgPool(), [(4, 8, 8)], "nn.AdaptiveAvgPool2d(1)", "F.adaptive_avg_pool2d(x0, 1)"),
        (norm.BatchNorm(), [(4, 8, 8)], "nn.BatchNorm2d(4, eps=1e-5, momentum=0.1)", None),
        (norm.LayerNorm(eps=1e-6), [(4, 8, 8)], "LayerNorm2d(4, eps=1e-6)", None),
        (norm.LayerNorm(), [(4,)], "nn.LayerNorm(4, eps=1e-5)", None),
        (norm.GroupNorm(groups=2), [(4, 8, 8)], "nn.GroupNorm(2, 4, eps=1e-5)", None),
        (arr.Flatten(), [(4, 8, 8)], "nn.Flatten()", "torch.flatten(x0, 1)"),
        (arr.Reshape(shape=(1, 28, 28)), [(784,)], "Reshape(1, 28, 28)", "x0.reshape(-1, 1, 28, 28)"),
        (arr.Permute(order=(1, 2, 0)), [(4, 8, 8)], "Permute(0, 2, 3, 1)", "x0.permute(0, 2, 3, 1)"),
        (arr.Pad(amount=1), [(4, 8, 8)], "nn.ZeroPad2d(1)", "F.pad(x0, (1, 1, 1, 1))"),
        (arr.Crop(amount=((0, 1), (2, 3))), [(4, 8, 8)], "Crop((2, 3, 0, 1))", "F.pad(x0, (-2, -3, 0, -1))"),
        (arr.Upsample(scale=2), [(4, 8, 8)], "nn.Upsample(scale_factor=2)", "F.interpolate(x0, scale_factor=2)"),
        (arr.Upsample(size=(9, 5), mode="bilinear"), [(4, 8, 8)],
         'nn.Upsample(size=(9, 5), mode="bilinear")', 'F.interpolate(x0, size=(9, 5), mode="bilinear")'),
        (arr.Split(parts=2), [(4, 8, 8)], None, "x0.chunk(2, dim=1)"),
        (arr.Concat(), [(4, 8, 8), (2, 8, 8)], None, "torch.cat((x0, x1), dim=1)"),
        (arr.Mean(axes=(1, 2)), [(4, 8, 8)], "Mean((2, 3), keepdim=True)", "x0.mean(dim=(2, 3), keepdim=True)"),
        (arith.Add(), [(4,), (4,)], None, "x0 + x1"),
        (arith.ScaleShift(scale=-1.0, shift=1.0), [(4,)], "ScaleShift(-1.0, 1.0)", "1 - x0"),
        (arith.ScaleShift(shift=-0.5), [(4,)], "ScaleShift(1.0, -0.5)", "x0 - 0.5"),
        (arith.Parameter(shape=(4, 1, 1), init=Initialiser(distribution="constant", value=1e-6)), [],
         "nn.Parameter(torch.full((4, 1, 1), 1e-6))", None),
        (act.Relu(), [(4,)], "nn.ReLU()", "F.relu(x0)"),
        (act.LeakyRelu(), [(4,)], "nn.LeakyReLU(0.01)", "F.leaky_relu(x0, 0.01)"),
        (act.HardTanh(low=-2.0), [(4,)], "nn.Hardtanh(min_val=-2.0)", "F.hardtanh(x0, -2.0, 1.0)"),
        (act.Softmax(), [(4, 8, 8)], "nn.Softmax(dim=1)", "F.softmax(x0, dim=1)"),
    ],
    ids=lambda value: value.kind if isinstance(value, Layer) else "",
)  # fmt: skip
def test_layer_reads_as_people_write_it(layer: Layer, inputs: list[Shape], module: str, formula: str) -> None:
    assert emit(layer, *inputs) == (module, formula)


@pytest.mark.parametrize(
    "uses",
    [
        # One use needs the padded helper, one does not.
        [(conv.Conv(filters=4, kernel=3, pad="same"), (4, 8, 8)),
         (conv.Conv(filters=4, kernel=3, stride=2, pad="same"), (4, 8, 8))],
        [(conv.Conv(filters=4, kernel=3, pad="same"), (4, 7, 7)),
         (conv.Conv(filters=4, kernel=3, stride=2, pad="same"), (4, 7, 7))],
        [(conv.Conv(filters=4, kernel=1, pad="same"), (4, 8, 8)),
         (conv.Conv(filters=4, kernel=5, pad="same"), (4, 8, 8))],
        # One kernel is square, one is not.
        [(conv.Conv(filters=4, kernel=3, pad=1), (4, 8, 8)),
         (conv.Conv(filters=4, kernel=(1, 7), pad=(0, 3)), (4, 8, 8))],
        [(conv.ConvTranspose(filters=4, kernel=3), (4, 8, 8)),
         (conv.ConvTranspose(filters=4, kernel=(1, 7), stride=(2, 1)), (4, 8, 8))],
        [(pool.MaxPool(kernel=2), (4, 8, 8)), (pool.MaxPool(kernel=(2, 1)), (4, 8, 8))],
        [(pool.MaxPool(kernel=3, stride=2, pad="same"), (4, 8, 8)),
         (pool.MaxPool(kernel=3, stride=1, pad=1), (4, 8, 8))],
        [(pool.MaxPool(kernel=4, pad=((1, 0), (1, 2))), (4, 8, 8)),
         (pool.MaxPool(kernel=4, ceil_mode=True), (4, 9, 9))],
        [(pool.AvgPool(kernel=3, stride=2, pad=((1, 0), (1, 0))), (4, 8, 8)),
         (pool.AvgPool(kernel=2, ceil_mode=True, count_pad=True), (4, 7, 7))],
        [(pool.AvgPool(kernel=3, pad=1), (4, 8, 8)), (pool.AvgPool(kernel=3), (4, 8, 8))],
        [(pool.L2Pool(kernel=2), (4, 8, 8)), (pool.L2Pool(kernel=3, pad=1), (4, 8, 8))],
        [(pool.AdaptiveAvgPool(size=2), (4, 8, 8)), (pool.AdaptiveAvgPool(size=(2, 1)), (4, 8, 8))],
        [(Dense(units=3, axis="channels"), (4, 8, 8)), (Dense(units=3, axis="channels"), (4,))],
        [(arr.Reshape(shape=(32,)), (4, 8)), (arr.Reshape(shape=(36,)), (4, 9))],
        [(arr.Pad(amount=1), (4, 8, 8)), (arr.Pad(amount=((0, 1), (0, 1))), (4, 8, 8))],
        [(arr.Upsample(scale=2), (4, 8, 8)), (arr.Upsample(scale=2, mode="bilinear"), (4, 8, 8))],
        [(arr.Upsample(scale=2), (4, 8, 8)), (arr.Upsample(scale=41), (4, 8, 8))],
        [(arr.ChannelShuffle(groups=2), (4, 8, 8)), (arr.ChannelShuffle(groups=2), (4,))],
        [(arith.ScaleShift(scale=2.0), (4,)), (arith.ScaleShift(shift=2.0), (4,))],
        [(act.Elu(), (4,)), (act.Elu(alpha=0.5), (4,))],
        [(act.Gelu(), (4,)), (act.Gelu(approximate="tanh"), (4,))],
        [(act.HardTanh(), (4,)), (act.HardTanh(low=-2.0), (4,))],
    ],
    ids=lambda uses: uses[0][0].kind,
)  # fmt: skip
def test_uses_of_one_position_share_a_form_and_compute_their_definitions(uses: list[tuple[Layer, Shape]]) -> None:
    for (layer, shape), emission in zip(uses, emit_together(*uses), strict=True):
        known = tuple(int(size) for size in shape if isinstance(size, int))
        example = Example(layer, (known,), layer.shapes(known))  # type: ignore[arg-type]
        inputs, weights = draw(example)
        (stage,) = emission.stages
        tensor = torch.from_numpy(inputs[0])
        expected = defined(example, inputs, weights)[0]
        if stage.module is not None:
            module = make(literal(stage.module))
            module.load_state_dict({key: torch.from_numpy(value) for key, value in weights.items()}, strict=False)
            close(module(tensor), expected)
        if stage.formula is not None:
            close(eval(show_formula(stage.formula, ["x0"]), NAMES | {"x0": tensor}), expected)


def test_parameters_that_start_otherwise_share_a_form() -> None:
    def starts(*inits: Initialiser) -> list[str]:
        places = [place_of(arith.Parameter(shape=(3, 1, 1), init=init)) for init in inits]
        return [literal(emission.stages[0].module) for emission in EMITTERS[arith.Parameter](places)]

    zeros, ones, normal = (Initialiser(distribution=name) for name in ("zeros", "ones", "normal"))
    assert starts(ones, ones) == ["nn.Parameter(torch.ones((3, 1, 1)))"] * 2
    assert starts(zeros) == ["nn.Parameter(torch.zeros((3, 1, 1)))"]
    assert starts(zeros, ones) == [f"nn.Parameter(torch.full((3, 1, 1), {value}))" for value in (0.0, 1.0)]
    assert starts(zeros, normal) == ["nn.Parameter(torch.empty((3, 1, 1)))"] * 2


# Sizes that are not known


@pytest.mark.parametrize(
    ("layer", "module", "formula"),
    [
        (conv.Conv(filters=8, kernel=4, pad="same"), "SameConv2d(4, 8, 4)", None),
        (pool.MaxPool(kernel=3, stride=2, pad=1), "nn.MaxPool2d(3, stride=2, padding=1)", None),
        (arr.Upsample(scale=2), "nn.Upsample(scale_factor=2)", "F.interpolate(x0, scale_factor=2)"),
        (arr.Reshape(shape=(2, -1)), "Reshape(2, -1)", "x0.flatten(1).unflatten(1, (2, -1))"),
        (arr.Crop(amount=1), "Crop((1, 1, 1, 1))", "F.pad(x0, (-1, -1, -1, -1))"),
    ],
    ids=lambda value: value.kind if isinstance(value, Layer) else "",
)
def test_unknown_sizes_stay_out_of_the_code(layer: Layer, module: str, formula: str) -> None:
    assert emit(layer, (4, H, W)) == (module, formula)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (arr.Reshape(shape=(2, 2, H, W)), (4, H, W)),
        (arr.Upsample(size=(H, W)), (4, 8, 8)),
        (norm.BatchNorm(), (4, 2, 2, 2, 2)),
        (norm.LayerNorm(), (4, 2, 2, 2, 2)),
    ],
    ids=lambda value: value.kind if isinstance(value, Layer) else "",
)
def test_what_torch_cannot_say_is_refused(layer: Layer, shape: Shape) -> None:
    with pytest.raises(Unsupported):
        emit(layer, shape)


@pytest.mark.parametrize(
    ("one", "other", "why"),
    [
        (pool.MaxPool(kernel=3, stride=2, pad="same"), pool.MaxPool(kernel=3, stride=2, pad=1), "pads `same`"),
        (conv.Conv(filters=4, kernel=2, stride=2, pad="same"), conv.Conv(filters=4, kernel=2, stride=2), "pads `same`"),
        (arr.Upsample(scale=2), arr.Upsample(size=16), "by a factor"),
        (arr.Upsample(scale=41), arr.Upsample(scale=2, mode="bilinear"), "interpolates"),
    ],
)
def test_uses_that_agree_at_one_size_alone_are_refused(one: Layer, other: Layer, why: str) -> None:
    with pytest.raises(Unsupported, match=why):
        emit_together((one, (4, 8, 8)), (other, (4, 8, 8)))


# What no example shows


@pytest.mark.parametrize(("before", "after"), [(2, 82), (3, 123), (8, 328)])
def test_nearest_neighbours_are_exact_where_single_precision_is_not(before: int, after: int) -> None:
    module, _ = emit(arr.Upsample(size=after), (1, before))
    assert module == f"NearestResize({after})"
    x = torch.arange(before, dtype=torch.float32).reshape(1, 1, before)
    expected = [i * before // after for i in range(after)]
    assert make(module)(x).flatten().tolist() == expected
    assert torch.nn.functional.interpolate(x, size=after).flatten().tolist() != expected


def test_softplus_is_exact_at_every_size() -> None:
    for dtype, values in ((torch.float64, np.linspace(-745, 745, 9001)), (torch.float32, np.linspace(-87, 200, 9001))):
        x = torch.tensor(values, dtype=dtype, requires_grad=True)
        found = eval(emit(act.Softplus(), (1,))[1] or "", NAMES | {"x0": x})
        expected = np.logaddexp(x.detach().double().numpy(), 0)
        np.testing.assert_allclose(
            found.detach().double().numpy(), expected, rtol=4 * torch.finfo(dtype).eps, atol=1e-300
        )
        found.sum().backward()
        assert x.grad is not None
        slope = torch.sigmoid(x.detach().double())
        torch.testing.assert_close(x.grad.double(), slope, rtol=8 * torch.finfo(dtype).eps, atol=1e-300)


@pytest.mark.parametrize("pad", [0, 1])
def test_l2_pool_of_zeros_has_no_gradient(pad: int) -> None:
    x = torch.zeros(1, 1, 4, 4, requires_grad=True)
    make(emit(pool.L2Pool(kernel=2, pad=pad), (1, 4, 4))[0] or "").float()(x).sum().backward()
    assert x.grad is not None
    assert not x.grad.any()


@pytest.mark.parametrize(("layer", "at_kink"), [
    (act.Relu(), {0.0: 0.0}), (act.Relu6(), {0.0: 0.0, 6.0: 0.0}), (act.LeakyRelu(slope=0.2), {0.0: 0.2}),
    (act.Elu(alpha=0.5), {0.0: 0.5}), (act.Selu(), {0.0: 1.0507009873554805 * 1.6732632423543772}),
    (act.HardSigmoid(), {-3.0: 0.0, 3.0: 0.0}), (act.HardTanh(), {-1.0: 0.0, 1.0: 0.0}), (act.Abs(), {0.0: 0.0}),
], ids=lambda value: value.kind if isinstance(value, Layer) else "")  # fmt: skip
def test_derivatives_at_kinks(layer: Layer, at_kink: dict[float, float]) -> None:
    for text in emit(layer, (1,)):
        x = torch.tensor([list(at_kink)], dtype=torch.float64, requires_grad=True)
        assert text is not None
        found = make(text)(x) if text.startswith(("nn.", "Abs")) else eval(text, NAMES | {"x0": x})
        found.sum().backward()
        assert x.grad is not None
        assert x.grad[0].tolist() == pytest.approx(list(at_kink.values()), abs=1e-15)


def test_batch_norm_moves_its_statistics_as_defined() -> None:
    layer = norm.BatchNorm(eps=1e-3, momentum=0.25)
    module = make(emit(layer, (3, 4, 4))[0] or "").train()
    x = np.random.default_rng(0).normal(2.0, 3.0, (2, 3, 4, 4))
    found = module(torch.from_numpy(x))
    mean, var = x.mean(axis=(0, 2, 3)), x.var(axis=(0, 2, 3))
    shape = (1, 3, 1, 1)
    close(found, (x - mean.reshape(shape)) / np.sqrt(var.reshape(shape) + 1e-3))
    close(module.running_mean, 0.25 * mean)
    close(module.running_var, 0.75 + 0.25 * var * 32 / 31)


def test_dropouts_drop_what_they_say() -> None:
    torch.manual_seed(0)
    x = torch.ones(64, 8, 4, 4, dtype=torch.float64)
    for kind, spread in (("dropout", (1, 2, 3)), ("channel_dropout", (2, 3)), ("stochastic_depth", (1, 2, 3))):
        module = make(emit(LAYERS[kind](rate=0.25), (8, 4, 4))[0] or "").train()
        y = module(x)
        assert set(y.unique().tolist()) == {0.0, 1 / 0.75}
        whole = (y.amax(spread) == y.amin(spread)).all()
        assert bool(whole) is (kind != "dropout")
        assert torch.equal(module.eval()(x), x)


# Against torchvision's own


def test_stochastic_depth_is_torchvisions() -> None:
    torchvision_models()
    from torchvision.ops import StochasticDepth as Original

    x = torch.randn(16, 3, 2, 2)
    ours = make(emit(StochasticDepth(rate=0.3), (3, 2, 2))[0] or "").train()
    torch.manual_seed(1)
    expected = Original(0.3, "row")(x)
    torch.manual_seed(1)
    assert torch.equal(ours(x), expected)


def test_a_convnext_block_is_torchvisions() -> None:
    models = torchvision_models()
    original = models.convnext.CNBlock(6, 1e-6, 0.0).eval().block
    shape: Shape = (6, 5, 4)
    texts = [
        emit(conv.Conv(filters=6, kernel=7, pad=3, groups=6), shape)[0],
        emit(arr.Identity(), shape)[0],
        emit(norm.LayerNorm(eps=1e-6), shape)[0],
        emit(Dense(units=24, axis="channels"), shape)[0],
        emit(act.Gelu(), (24, 5, 4))[0],
        emit(Dense(units=6, axis="channels"), (24, 5, 4))[0],
    ]
    ours = torch.nn.Sequential(*(make(text or "").float() for text in texts))
    ours.load_state_dict(original.state_dict())
    x = torch.randn(2, 6, 5, 4)
    # Bit for bit, but for GELU: on a CPU PyTorch has a kernel of its own for contiguous memory.
    assert torch.equal(ours[:4](x), original[:4](x).permute(0, 3, 1, 2))
    torch.testing.assert_close(ours(x), original(x), rtol=1e-6, atol=1e-6)
    y = torch.randn(2, 24, 5, 4).contiguous(memory_format=torch.channels_last)
    assert torch.equal(ours[5](y), original[5:](y.permute(0, 2, 3, 1)))
    norm_of_torchvision = models.convnext.LayerNorm2d(6, eps=1e-6)
    assert torch.equal(make(texts[2] or "").float()(x), norm_of_torchvision(x))


# The helper definitions


def test_helpers_are_formatted_and_clean(tmp_path: Path) -> None:
    file = tmp_path / "helpers.py"
    file.write_text('"""Every helper."""\n\n' + HEAD + "\n\n".join(HELPERS.values()), encoding="utf-8")
    ruff = [sys.executable, "-m", "ruff"]
    for command in (["format", "--check"], ["check", "--select", "E,F,B,D,UP", "--ignore", "D1,D203,D213"]):
        result = subprocess.run([*ruff, *command, "--isolated", str(file)], capture_output=True, text=True, check=False)
        assert result.returncode == 0, result.stdout + result.stderr


def test_every_helper_is_used_by_an_example() -> None:
    texts = [text for example in EXAMPLES for text in emit(example.layer, *example.inputs) if text]
    texts += [emit(arr.Upsample(scale=41), (4, 2, 3))[0] or "", emit(arr.Upsample(size=41), (4, 2, 3))[0] or ""]
    texts += [emit(case.examples[0].layer, case.compiled)[0] or "" for case in RESIZED]
    used = {text.partition("(")[0] for text in texts}
    # Of the rank's own definitions, one stands for all three: they have one template.
    modules = [name for name in HELPERS if not name.islower()]
    assert {re.sub(r"\dd$", "", name) for name in modules} <= {re.sub(r"\dd$", "", name) for name in used}


class _Together(torch.nn.Module):
    """Many modules at once, each with its own input: one export and one compilation for all."""

    def __init__(self, parts: list[Any]) -> None:
        super().__init__()
        self.parts = torch.nn.ModuleList(parts)

    def forward(self, inputs: list[Any]) -> list[Any]:
        return [part(x) for part, x in zip(self.parts, inputs, strict=True)]


@pytest.mark.parametrize("training", [False, True])
def test_modules_are_traced_whole(training: bool) -> None:
    examples = [e for e in EXAMPLES if len(e.inputs) == len(e.outputs) == 1]
    texts = dict.fromkeys((emit(e.layer, *e.inputs)[0] or "", e.inputs[0]) for e in examples)
    helpers = [(text, shape) for text, shape in texts if text.partition("(")[0] in HELPERS or "Shuffle" in text]
    together = _Together([make(text).float() for text, _ in helpers]).train(training)
    inputs = [torch.randn(BATCH, *shape) for _, shape in helpers]
    torch.manual_seed(0)
    expected = together(inputs)
    torch.manual_seed(0)
    compiled = torch.compile(together, fullgraph=True, backend="eager")(inputs)
    torch.manual_seed(0)
    exported = torch.export.export(together, (inputs,)).module()(inputs)
    for one, two, three in zip(expected, compiled, exported, strict=True):
        torch.testing.assert_close(two, one)
        torch.testing.assert_close(three, one)


# Initialisation

FANS = [
    (conv.Conv(filters=256, kernel=5, groups=4), (64, 9, 9), 16 * 25, 256 * 25),
    (conv.DepthwiseConv(kernel=11, multiplier=4), (64, 11, 11), 121, 256 * 121),
    (conv.ConvTranspose(filters=64, kernel=5, groups=2), (128, 4, 4), 32 * 25, 128 * 25),
    (Dense(units=300), (200,), 200, 300),
]


@pytest.mark.parametrize(
    ("layer", "shape", "fan_in", "fan_out"), FANS, ids=lambda v: v.kind if isinstance(v, Layer) else ""
)
@pytest.mark.parametrize(
    ("distribution", "fan", "variance", "truncated"),
    [
        ("glorot_uniform", "in", lambda i, o: 2 / (i + o), False),
        ("glorot_normal", "in", lambda i, o: 2 / (i + o), False),
        ("he_uniform", "in", lambda i, o: 2 / i, False),
        ("he_normal", "in", lambda i, o: 2 / i, False),
        ("he_normal", "out", lambda i, o: 2 / o, False),
        ("he_uniform", "out", lambda i, o: 2 / o, False),
        ("lecun_uniform", "in", lambda i, o: 1 / i, False),
        ("lecun_normal", "in", lambda i, o: 1 / i, False),
        ("normal", "in", lambda i, o: 0.02**2, False),
        ("truncated_normal", "in", lambda i, o: 0.02**2, True),
        ("uniform", "in", lambda i, o: 0.02**2 / 3, False),
    ],
)
def test_weights_start_with_the_variance_of_the_spec(
    layer: Any,
    shape: Shape,
    fan_in: int,
    fan_out: int,
    distribution: Distribution,
    fan: Any,
    variance: Any,
    truncated: bool,
) -> None:
    init = Initialiser(distribution=distribution, fan=fan, scale=0.02)
    place = place_of(layer.model_copy(update={"init": init}), *[shape])
    (_, template), (_, bias) = initialisation(place.node)
    assert bias == "nn.init.zeros_({})"
    assert template is not None
    torch.manual_seed(0)
    weight = torch.empty(place.node.weights[0].shape, dtype=torch.float64)
    eval(template.format("weight"), NAMES | {"weight": weight})
    deviation = math.sqrt(variance(fan_in, fan_out))
    largest = float(weight.abs().max())
    if distribution.endswith("uniform"):
        assert largest <= deviation * math.sqrt(3)
    elif truncated:
        assert largest <= 0.04
        # The deviation of a normal that is cut at two of its own.
        deviation *= 0.87962566
    else:
        assert largest > 2.5 * deviation
    assert float(weight.std()) == pytest.approx(deviation, rel=0.03)
    assert abs(float(weight.mean())) < 0.05 * deviation


@pytest.mark.parametrize(
    ("init", "statement"),
    [
        (Initialiser(distribution="orthogonal"), "nn.init.orthogonal_({})"),
        (Initialiser(distribution="orthogonal", scale=2.0), "nn.init.orthogonal_({}, gain=2.0)"),
        (Initialiser(distribution="constant", value=0.5), "nn.init.constant_({}, 0.5)"),
        (Initialiser(distribution="ones"), "nn.init.ones_({})"),
        (Initialiser(distribution="normal", value=1.0, scale=0.5), "nn.init.normal_({}, mean=1.0, std=0.5)"),
        (
            Initialiser(distribution="truncated_normal", value=1.0, scale=0.5),
            "nn.init.trunc_normal_({}, mean=1.0, std=0.5, a=0.0, b=2.0)",
        ),
        # PyTorch would divide by the deviation.
        (Initialiser(distribution="truncated_normal", value=1.0, scale=0.0), "nn.init.constant_({}, 1.0)"),
        (Initialiser(distribution="uniform", value=0.5, scale=0.25), "nn.init.uniform_({}, 0.25, 0.75)"),
    ],
    ids=str,
)
def test_statements_of_initialisation(init: Initialiser, statement: str) -> None:
    node = place_of(Dense(units=3, init=init, bias=False), (4,)).node
    assert initialisation(node) == [("weight", statement)]
    weight = torch.empty(3, 4)
    eval(statement.format("weight"), NAMES | {"weight": weight})


def test_modules_that_start_right_need_no_statement() -> None:
    constant = Initialiser(distribution="constant", value=0.125)
    cases: list[tuple[Layer, tuple[Shape, ...]]] = [
        (layer, ((4, 3, 3),))
        for layer in (
            norm.BatchNorm(), norm.LayerNorm(), norm.GroupNorm(groups=2), norm.InstanceNorm(affine=True),
            act.Prelu(), act.Prelu(init=constant),
        )
    ]  # fmt: skip
    cases.append((arith.Parameter(shape=(2, 3), init=constant), ()))
    for layer, inputs in cases:
        place = place_of(layer, *inputs)
        assert initialisation(place.node) == [(weight.name, None) for weight in place.node.weights]
        made = make(emit(layer, *inputs)[0] or "")
        state = state_of(made) if isinstance(made, torch.nn.Module) else {"": made}
        for weight in place.node.weights:
            start = {"zeros": 0.0, "ones": 1.0, "constant": weight.init.value}[weight.init.distribution]
            assert torch.equal(state[weight.name], torch.full_like(state[weight.name], start))


def test_vectors_that_start_at_random_are_drawn() -> None:
    init = Initialiser(distribution="uniform", value=0.25, scale=0.125)
    for place in (place_of(act.Prelu(init=init), (4,)), place_of(arith.Parameter(shape=(4,), init=init))):
        assert initialisation(place.node) == [(place.node.weights[0].name, "nn.init.uniform_({}, 0.125, 0.375)")]


@pytest.mark.parametrize(
    "layers",
    [
        (norm.BatchNorm(), norm.BatchNorm(scale=False)),
        (norm.Normalize(), norm.Normalize(mean=(0.5,) * 4, variance=(2.0,) * 4)),
    ],
)
def test_norms_whose_uses_differ_in_kind(layers: tuple[Layer, Layer]) -> None:
    with pytest.raises(Unsupported, match="in others"):
        emit_together(*((layer, (4, 3, 3)) for layer in layers))


def test_parts_of_a_layer_start_by_the_rule_for_their_kind() -> None:
    text = """model Net {
        input x: 3x6x6
        conv(4, 3x3, init = he_normal) -> conv(4, 1x1, init = he_normal) -> conv(4, 1x1, init = he_normal)
        s: separable_conv(5, 3x3, depthwise_init = he_normal, pointwise_init = lecun_normal, bias = false)
    }"""
    source = backend("torch").emit(loads(text), [])
    assert "isinstance(module, nn.Conv2d)" in source
    assert "isinstance(module, SeparableConv2d)" not in source
    assert source.count("s.pointwise.weight") == 1
    assert "s.depthwise.weight" not in source


# The runtime

SPEC = """\
model Tiny {
    input image: 3x6x6
    input scale: 4x1x1
    x = image -> conv1: conv(4, 3x3, pad = 1) -> bn1: batch_norm -> relu -> drop: dropout(0.5)
    auxiliary output early = x -> flatten -> head: dense(2)
    y = x * scale -> depth: stochastic_depth(0.5)
    output map = y
    output logits = y -> global_avg_pool -> flatten -> fc: dense(2)
}
"""

SOURCE = (
    HEAD
    + HELPERS["StochasticDepth"]
    + """

class Tiny(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 4, 3, padding=1)
        self.bn1 = nn.BatchNorm2d(4, eps=1e-5, momentum=0.1)
        self.drop = nn.Dropout(0.5)
        self.head = nn.Linear(144, 2)
        self.depth = StochasticDepth(0.5)
        self.fc = nn.Linear(4, 2)

    def forward(self, image: Tensor, scale: Tensor) -> tuple[Tensor, ...]:
        x = self.drop(F.relu(self.bn1(self.conv1(image))))
        y = self.depth(x * scale)
        logits = self.fc(y.mean(dim=(2, 3)))
        if self.training:
            return y, logits, self.head(torch.flatten(x, 1))
        return y, logits
"""
)


@pytest.fixture(scope="module")
def graph() -> Graph:
    return loads(SPEC)


@pytest.fixture
def runtime() -> TorchRuntime:
    return TorchRuntime("torch", "float64")


def state_for(graph: Graph) -> dict[str, Array]:
    generator = np.random.default_rng(3)
    return {key: generator.uniform(0.5, 1.5, weight.shape) for key, weight in graph.state.items()}


def inputs_for(graph: Graph) -> dict[str, Array]:
    generator = np.random.default_rng(4)
    return {
        port.name: generator.normal(
            size=(BATCH, *(int(size) for size in graph.shape(port.value) if isinstance(size, int)))
        )
        for port in graph.inputs
    }


def test_runtime_gives_outputs_layers_and_state(runtime: TorchRuntime, graph: Graph) -> None:
    model = runtime.build(SOURCE, graph)
    state, inputs = state_for(graph), inputs_for(graph)
    runtime.load(model, graph, state)
    before = torch.get_float32_matmul_precision(), torch.are_deterministic_algorithms_enabled()
    evaluated = runtime.forward(model, graph, inputs, training=False)
    assert list(evaluated.outputs) == ["map", "logits"]
    assert set(evaluated.layers) == {"conv1", "bn1", "drop", "depth", "fc"}
    assert evaluated.layers["conv1"].shape == (BATCH, 4, 6, 6)
    np.testing.assert_array_equal(evaluated.layers["fc"], evaluated.outputs["logits"])
    assert all(np.array_equal(evaluated.state[key], state[key]) for key in state)
    assert list(evaluated.state) == list(graph.state)

    trained = runtime.forward(model, graph, inputs, training=True)
    assert set(trained.outputs) == {"map", "logits", "early"}
    assert "head" in trained.layers
    # Neither dropout nor stochastic depth touched anything, and both are as they were.
    np.testing.assert_array_equal(trained.layers["drop"], np.maximum(trained.layers["bn1"], 0))
    np.testing.assert_array_equal(trained.outputs["map"], trained.layers["drop"] * inputs["scale"])
    assert (model.drop.p, model.depth.p, model.training) == (0.5, 0.5, True)
    changed = {key for key in state if not np.array_equal(trained.state[key], state[key])}
    assert changed == {"bn1.running_mean", "bn1.running_var"}
    assert before == (torch.get_float32_matmul_precision(), torch.are_deterministic_algorithms_enabled())
    assert runtime.versions() == {"torch": torch.__version__}


def test_runtime_copies_what_it_is_given(runtime: TorchRuntime, graph: Graph) -> None:
    model = runtime.build(SOURCE, graph)
    state = state_for(graph)
    for values in state.values():
        values.flags.writeable = False
    runtime.load(model, graph, state)
    runtime.forward(model, graph, inputs_for(graph), training=True)
    assert all(np.array_equal(values, state_for(graph)[key]) for key, values in state.items())
    held = runtime.state(model, graph)
    held["fc.bias"][:] = 0
    assert runtime.state(model, graph)["fc.bias"].all()


def test_runtime_works_in_its_precision(graph: Graph) -> None:
    single = TorchRuntime("torch", "float32")
    model = single.build(SOURCE, graph)
    single.load(model, graph, state_for(graph))
    passed = single.forward(model, graph, inputs_for(graph), training=False)
    assert {values.dtype for values in (*passed.outputs.values(), *passed.layers.values())} == {np.dtype("float32")}


def test_runtime_names_what_does_not_match(runtime: TorchRuntime, graph: Graph) -> None:
    model, state = runtime.build(SOURCE, graph), state_for(graph)
    with pytest.raises(ValueError, match=r"it lacks fc\.bias"):
        runtime.load(model, graph, {key: values for key, values in state.items() if key != "fc.bias"})
    with pytest.raises(ValueError, match=r"it has fc\.extra"):
        runtime.load(model, graph, state | {"fc.extra": np.zeros(1)})
    with pytest.raises(ValueError, match=r"`fc\.bias` is \(2,\) in the model, and \(3,\) was given"):
        runtime.load(model, graph, state | {"fc.bias": np.zeros(3)})
    renamed = runtime.build(SOURCE.replace("self.fc", "self.classifier"), graph)
    with pytest.raises(ValueError, match=r"it lacks fc\.weight, fc\.bias; it has classifier\.weight"):
        runtime.state(renamed, graph)


def test_tracebacks_show_the_generated_lines(runtime: TorchRuntime, graph: Graph) -> None:
    model = runtime.build(SOURCE.replace("x * scale", "x * missing"), graph)
    with pytest.raises(NameError) as caught:
        runtime.forward(model, graph, inputs_for(graph), training=False)
    assert "y = self.depth(x * missing)" in "".join(traceback.format_exception(caught.value))
    assert model.drop.p == 0.5
