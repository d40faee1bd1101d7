"""The reference evaluator: layers by hand, against loops, by their invariants, and gradients by finite differences."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner

import cnnspec
from cnnspec.api import load, loads
from cnnspec.backend import backends
from cnnspec.cli.application import application
from cnnspec.layers import LAYERS
from cnnspec.layers import activation as act
from cnnspec.layers import arithmetic as arith
from cnnspec.layers import arrangement as arr
from cnnspec.layers import convolution as conv
from cnnspec.layers import normalisation as norm
from cnnspec.layers import pooling as pool
from cnnspec.layers.base import Layer
from cnnspec.weights import draw, draw_inputs
from cnnspec_reference.definition import DEFINITIONS, Array, Given, Result
from cnnspec_reference.evaluation import FAMILIES, differentiate, evaluate, gradients
from support.definitions import evaluate as by_loops
from support.layer_examples import EXAMPLES, POSITIVE, Example

assert FAMILIES, "imported, so that the table is complete"

BATCH = 2


def generator(seed: int = 7) -> np.random.Generator:
    return np.random.default_rng(seed)


def drawn(example: Example) -> tuple[list[Array], dict[str, Array]]:
    """A batch for each input, and weights, away from zero so that nothing hides."""
    numbers = generator()
    inputs = [numbers.normal(0.2, 1.0, (BATCH, *shape)) for shape in example.inputs]
    if isinstance(example.layer, arith.Divide):
        inputs[1] = numbers.uniform(0.5, 2.0, inputs[1].shape)
    weights = {}
    for weight in example.layer.weights(*example.inputs):
        values = numbers.uniform(0.5, 2.0, weight.shape)
        signs = numbers.choice([-1, 1], weight.shape)
        weights[weight.name] = values if weight.name in POSITIVE else values * signs
    return inputs, weights


def compute(layer: Layer, *inputs: Array, training: bool = False, **weights: Array) -> Result:
    batch = len(inputs[0]) if inputs else BATCH
    return DEFINITIONS[type(layer)](layer, Given(inputs, weights, batch, training))


def of_one(layer: Layer, x: Any, **weights: Any) -> Array:
    """The only output for one sample, given and returned without the batch."""
    arrays = {name: np.array(values, dtype=np.float64) for name, values in weights.items()}
    return compute(layer, np.array([x], dtype=np.float64), **arrays).outputs[0][0]


def pulled(layer: Layer, x: Any, gradient: Any, **weights: Any) -> Array:
    """The gradient with respect to the only input of one sample."""
    result = compute(layer, np.array([x], dtype=np.float64), **weights)
    return result.pull((np.array([gradient], dtype=np.float64),)).inputs[0][0]


def near(found: Array, expected: Array, bound: float = 1e-13) -> None:
    assert found.shape == expected.shape
    assert float(np.abs(found - expected).max()) <= bound * max(float(np.abs(expected).max()), 1e-300)


# The table


@pytest.mark.parametrize("kind", LAYERS)
def test_every_layer_has_a_definition(kind: str) -> None:
    assert LAYERS[kind] in DEFINITIONS, f"add `@defines({LAYERS[kind].__name__})` to backends/cnnspec_reference/"


# Forward


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
@pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])
def test_shapes_are_the_layers_own(example: Example, training: bool) -> None:
    inputs, weights = drawn(example)
    result = compute(example.layer, *inputs, training=training, **weights)
    assert tuple(y.shape for y in result.outputs) == tuple((BATCH, *shape) for shape in example.outputs)
    assert all(y.dtype == np.float64 for y in result.outputs)
    back = result.pull(result.outputs)
    assert [gradient.shape for gradient in back.inputs] == [x.shape for x in inputs]
    trainable = [weight for weight in example.layer.weights(*example.inputs) if weight.trainable]
    assert {name: gradient.shape for name, gradient in back.weights.items()} == {w.name: w.shape for w in trainable}
    moved = training and isinstance(example.layer, norm.BatchNorm)
    assert set(result.statistics) == ({"running_mean", "running_var"} if moved else set())


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_layer_is_what_loops_over_its_definition_give(example: Example) -> None:
    inputs, weights = drawn(example)
    samples = [by_loops(example.layer, weights, [x[i] for x in inputs], example.outputs) for i in range(BATCH)]
    for found, expected in zip(
        compute(example.layer, *inputs, **weights).outputs, zip(*samples, strict=True), strict=True
    ):
        near(found, np.stack(expected), 1e-14)


@pytest.mark.parametrize(
    ("layer", "x", "weights", "expected"),
    [
        (conv.Conv(filters=1, kernel=2), [[1, 2, 4]], {"weight": [[[10, 1]]], "bias": [0.5]}, [[12.5, 24.5]]),
        (conv.Conv(filters=1, kernel=3, stride=2, pad="same", bias=False), [[1, 2, 3, 4]], {"weight": [[[1, 10, 100]]]},
         [[321, 43]]),
        (conv.DepthwiseConv(kernel=2, multiplier=2, bias=False), [[1, 2], [3, 4]],
         {"weight": [[[1, 1]], [[1, -1]], [[2, 0]], [[0, 2]]]}, [[3], [-1], [6], [8]]),
        (conv.ConvTranspose(filters=1, kernel=3, stride=2, pad=1, output_pad=1, bias=False), [[1, 10]],
         {"weight": [[[1, 2, 3]]]}, [[2, 13, 20, 30]]),
        (pool.MaxPool(kernel=2, pad=1), [[-1, -2, -3, -4]], {}, [[-1, -2, -4]]),
        (pool.AvgPool(kernel=2, pad=1), [[2, 4, 6, 8]], {}, [[2, 5, 8]]),
        (pool.AvgPool(kernel=2, pad=1, count_pad=True), [[2, 4, 6, 8]], {}, [[1, 5, 4]]),
        (pool.AvgPool(kernel=2, ceil_mode=True, count_pad=True), [[2, 4, 6]], {}, [[3, 6]]),
        (pool.L2Pool(kernel=2), [[3, 4, 5, 12]], {}, [[5, 13]]),
        (pool.AdaptiveAvgPool(size=2), [[1, 2, 6]], {}, [[1.5, 4]]),
        (norm.LayerNorm(affine=False, eps=0.44), [1, 3], {}, [-1 / 1.2, 1 / 1.2]),
        (norm.LocalResponseNorm(size=2, alpha=2.0, beta=1.0), [[1], [2]], {}, [[1 / 2], [2 / 6]]),
        (arr.Upsample(size=3, mode="nearest"), [[1, 2]], {}, [[1, 1, 2]]),
        (arr.ChannelShuffle(groups=2), [0, 1, 2, 3], {}, [0, 2, 1, 3]),
        (arr.PixelShuffle(factor=2), [[[1]], [[2]], [[3]], [[4]]], {}, [[[1, 2], [3, 4]]]),
        (arr.Pad(amount=2, mode="reflect"), [[1, 2, 3]], {}, [[3, 2, 1, 2, 3, 2, 1]]),
        (arr.Pad(amount=((1, 2),), mode="replicate"), [[1, 2, 3]], {}, [[1, 1, 2, 3, 3, 3]]),
        (act.HardSwish(), [-4, -3, 0, 1, 3, 4], {}, [0, 0, 0, 4 / 6, 3, 4]),
        (act.Prelu(), [-2, 3], {"weight": [0.5, 0.1]}, [-1, 3]),
        (arith.ScaleShift(scale=2.0, shift=-1.0), [1, 2], {}, [1, 3]),
    ],
    ids=lambda value: value.kind if isinstance(value, Layer) else "",
)  # fmt: skip
def test_by_hand(layer: Layer, x: Any, weights: dict[str, Any], expected: Any) -> None:
    np.testing.assert_allclose(of_one(layer, x, **weights), np.array(expected), rtol=1e-15, atol=1e-15)


def test_bilinear_by_hand() -> None:
    x = [[[0.0, 4.0]]]
    assert of_one(arr.Upsample(size=(1, 4), mode="bilinear"), x).tolist() == [[[0, 1, 3, 4]]]
    corners = of_one(arr.Upsample(size=(1, 5), mode="bilinear", align_corners=True), x)
    assert corners.tolist() == [[[0, 1, 2, 3, 4]]]


def test_aligned_corners_keep_the_corners() -> None:
    x = generator().normal(size=(3, 5, 7))
    y = of_one(arr.Upsample(size=(11, 4), mode="bilinear", align_corners=True), x)
    near(y[:, ::10, ::3], x[:, ::4, ::6], 1e-15)


@pytest.mark.parametrize(("groups", "filters"), [(2, 6), (4, 4), (4, 8)])
def test_groups_are_convolutions_side_by_side(groups: int, filters: int) -> None:
    numbers = generator()
    x, gradient = numbers.normal(size=(2, 4, 6, 5)), numbers.normal(size=(2, filters, 3, 3))
    whole = conv.Conv(filters=filters, kernel=3, stride=2, pad=1, groups=groups)
    alone = conv.Conv(filters=filters // groups, kernel=3, stride=2, pad=1)
    weight, bias = numbers.normal(size=(filters, 4 // groups, 3, 3)), numbers.normal(size=filters)

    def split(array: Array, axis: int = 1) -> list[Array]:
        return np.split(array, groups, axis)

    result = compute(whole, x, weight=weight, bias=bias)
    parts = [
        compute(alone, *given, weight=w, bias=b)
        for *given, w, b in zip(split(x), split(weight, 0), split(bias, 0), strict=True)
    ]
    near(result.outputs[0], np.concatenate([part.outputs[0] for part in parts], 1))
    back = result.pull((gradient,))
    backs = [part.pull((piece,)) for part, piece in zip(parts, split(gradient), strict=True)]
    near(back.inputs[0], np.concatenate([one.inputs[0] for one in backs], 1))
    near(back.weights["weight"], np.concatenate([one.weights["weight"] for one in backs]))
    near(back.weights["bias"], np.concatenate([one.weights["bias"] for one in backs]))


@pytest.mark.parametrize("groups", [1, 2, 4])
@pytest.mark.parametrize(
    ("kernel", "stride", "pad", "dilation"), [(3, 1, 1, 1), (3, 2, 1, 1), (2, 3, 0, 1), (3, 2, 1, 2)]
)
def test_a_transposed_convolution_is_the_adjoint(
    groups: int, kernel: int, stride: int, pad: int, dilation: int
) -> None:
    numbers = generator()
    same = {"kernel": kernel, "stride": stride, "pad": pad, "dilation": dilation, "groups": groups, "bias": False}
    there = conv.Conv(filters=8, **same)
    x = numbers.normal(size=(2, 4, 9, 8))
    weight = numbers.normal(size=(8, 4 // groups, kernel, kernel))
    y = compute(there, x, weight=weight).outputs[0]
    other = numbers.normal(size=y.shape)
    sizes = [(n - 1) * stride - 2 * pad + dilation * (kernel - 1) + 1 for n in y.shape[2:]]
    missing = tuple(have - size for have, size in zip(x.shape[2:], sizes, strict=True))
    back = conv.ConvTranspose(filters=4, output_pad=missing, **same)
    again = compute(back, other, weight=weight).outputs[0]
    assert np.vdot(y, other) == pytest.approx(np.vdot(x, again), rel=1e-13)


def test_large_maps_are_computed_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    numbers = generator()
    x, weight = numbers.normal(size=(2, 4, 9, 8)), numbers.normal(size=(6, 2, 3, 3))
    layer = conv.Conv(filters=6, kernel=3, pad=1, groups=2, bias=False)
    results = []
    for block in (10**6, 500, 1):
        monkeypatch.setattr("cnnspec_reference.convolution.BLOCK", block)
        result = compute(layer, x, weight=weight)
        results.append((result.outputs[0], result.pull(result.outputs).weights["weight"]))
    for y, to_weight in results[1:]:
        near(y, results[0][0])
        near(to_weight, results[0][1])


def test_batch_norm_in_training() -> None:
    layer = norm.BatchNorm(eps=1e-15, momentum=0.25)
    x = np.array([[[1.0, 3.0]], [[5.0, 7.0]]])
    state = {"weight": np.array([2.0]), "bias": np.array([1.0])}
    statistics = {"running_mean": np.array([8.0]), "running_var": np.array([4.0])}
    result = compute(layer, x, training=True, **state, **statistics)
    near(result.outputs[0], 1 + 2 * (x - 4) / np.sqrt(5))
    assert result.statistics["running_mean"].tolist() == [0.75 * 8 + 0.25 * 4]
    near(result.statistics["running_var"], np.array([0.75 * 4 + 0.25 * 20 / 3]))
    near(compute(layer, x, **state, **statistics).outputs[0], 1 + 2 * (x - 8) / 2)


def test_batch_norm_in_training_needs_two_values() -> None:
    inputs, weights = drawn(Example(norm.BatchNorm(), ((3,),), ((3,),)))
    with pytest.raises(ValueError, match="at least two values"):
        compute(norm.BatchNorm(), inputs[0][:1], training=True, **weights)


# Gradients


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
@pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])
def test_gradients_are_finite_differences(example: Example, training: bool) -> None:
    inputs, weights = drawn(example)
    numbers = generator(3)
    cotangents = tuple(numbers.normal(size=(BATCH, *shape)) for shape in example.outputs)

    def number(inputs: list[Array], weights: dict[str, Array]) -> float:
        outputs = compute(example.layer, *inputs, training=training, **weights).outputs
        return sum(float(np.vdot(cotangent, y)) for cotangent, y in zip(cotangents, outputs, strict=True))

    back = compute(example.layer, *inputs, training=training, **weights).pull(cotangents)
    step = 1e-5
    for position in range(len(inputs)):
        direction = numbers.normal(size=inputs[position].shape)

        def moved(by: float, position: int = position, direction: Array = direction) -> float:
            there = [x + by * direction if i == position else x for i, x in enumerate(inputs)]
            return number(there, weights)

        agree(back.inputs[position], direction, moved, step)
    for name in back.weights:
        direction = numbers.normal(size=weights[name].shape)
        agree(
            back.weights[name],
            direction,
            lambda by, name=name, direction=direction: number(  # type: ignore[misc]
                inputs, {**weights, name: weights[name] + by * direction}
            ),
            step,
        )


def agree(gradient: Array, direction: Array, moved: Callable[[float], float], step: float) -> None:
    slope = (moved(step) - moved(-step)) / (2 * step)
    scale = float(np.linalg.norm(gradient) * np.linalg.norm(direction))
    assert float(np.vdot(gradient, direction)) == pytest.approx(slope, rel=1e-6, abs=1e-8 * max(scale, 1e-3))


@pytest.mark.parametrize(
    ("layer", "at_kink"),
    [
        (act.Relu(), {0.0: 0.0}),
        (act.Relu6(), {0.0: 0.0, 6.0: 0.0}),
        (act.LeakyRelu(slope=0.2), {0.0: 0.2}),
        (act.Elu(alpha=0.5), {0.0: 0.5}),
        (act.Selu(), {0.0: 1.0507009873554804934193349852946 * 1.6732632423543772848170429916717}),
        (act.Celu(alpha=0.5), {0.0: 1.0}),
        (act.HardSigmoid(), {-3.0: 0.0, 3.0: 0.0}),
        (act.HardSwish(), {-3.0: 0.0, 3.0: 1.0}),
        (act.HardTanh(low=-0.5), {-0.5: 0.0, 1.0: 0.0}),
        (act.Abs(), {0.0: 0.0}),
    ],
    ids=lambda value: value.kind if isinstance(value, Layer) else "",
)
def test_derivatives_at_kinks(layer: Layer, at_kink: dict[float, float]) -> None:
    assert pulled(layer, list(at_kink), [1.0] * len(at_kink)).tolist() == list(at_kink.values())


def test_the_derivative_of_prelu_at_zero_is_the_slope() -> None:
    assert pulled(act.Prelu(), [0.0, 0.0], [1.0, 1.0], weight=np.array([0.5, -2.0])).tolist() == [0.5, -2.0]


@pytest.mark.parametrize("layer", [pool.MaxPool(kernel=2), pool.AdaptiveMaxPool(size=1), pool.GlobalMaxPool()])
def test_of_equal_values_the_first_passes_the_gradient(layer: Layer) -> None:
    assert pulled(layer, [[[1, 2], [2, 2]]], [[[5.0]]]).tolist() == [[[0, 5], [0, 0]]]


def test_padding_that_equals_the_largest_value_passes_nothing() -> None:
    assert pulled(pool.MaxPool(kernel=2, pad=1), [[-1.0, -1.0]], [[1.0, 1.0]]).tolist() == [[1, 1]]


def test_overlapping_windows_add_up() -> None:
    assert pulled(pool.MaxPool(kernel=3, stride=1), [[0, 1, 9, 2, 0]], [[1.0, 10.0, 100.0]]).tolist() == [
        [0, 0, 111, 0, 0]
    ]
    assert pulled(pool.AdaptiveMaxPool(size=4), [[1, 2]], [[1.0, 10.0, 100.0, 1000.0]]).tolist() == [[11, 1100]]


def test_the_norm_of_zeros_has_no_gradient() -> None:
    assert pulled(pool.L2Pool(kernel=2), [[0, 0, 3, 4]], [[1.0, 5.0]]).tolist() == [[0, 0, 3, 4]]


@pytest.mark.parametrize(
    "layer", [act.Sigmoid(), act.Silu(), act.Mish(), act.Softplus(), act.Elu(), act.Selu(), act.Celu(alpha=0.1),
              act.Gelu(), act.Gelu(approximate="tanh"), act.Tanh(), act.Softmax(), act.LogSoftmax()],
    ids=lambda layer: layer.kind,
)  # fmt: skip
def test_large_values_neither_overflow_nor_warn(layer: Layer) -> None:
    x = np.array([[-1e4, -800.0, 0.0, 800.0, 1e4]])
    result = compute(layer, x)
    assert np.isfinite(result.outputs[0]).all()
    assert np.isfinite(result.pull((np.ones(x.shape),)).inputs[0]).all()


@pytest.mark.parametrize("layer", [act.Relu(), act.HardTanh(), pool.MaxPool(kernel=2), pool.GlobalMaxPool()])
def test_what_is_no_number_is_not_lost(layer: Layer) -> None:
    assert np.isnan(of_one(layer, [[np.nan, 1.0]])).any()


# Networks

SPEC = """
model Two(width = 3) {
    input left: 2x6x6
    input right: 2x6x6
    factor = scale: parameter([2, 1, 1], init = 0.5)
    x = left * factor + right
    y = x -> conv(width, 3x3, pad = 1) -> batch_norm -> sigmoid
    a, b, c = split(concat(x, y), [2, 1, 2])
    auxiliary output helper = c -> global_avg_pool -> flatten -> dense(2)
    output first = a * a -> global_avg_pool -> flatten -> dense(4)
    output second = a -> flatten -> dropout(0.5) -> dense(3)
}
"""


def network(text: str = SPEC) -> tuple[Any, dict[str, Array], dict[str, Array]]:
    graph = loads(text)
    state, inputs = draw(graph, 0), draw_inputs(graph, BATCH, 0)
    return graph, dict(state), dict(inputs)  # type: ignore[arg-type]


def total(graph: Any, state: Any, inputs: Any, cotangents: dict[str, Array], training: bool) -> float:
    values = evaluate(graph, state, inputs, training).values
    return sum(float(np.vdot(cotangents[p.name], values[p.value])) for p in graph.outputs if p.name in cotangents)


@pytest.mark.parametrize("training", [False, True], ids=["evaluation", "training"])
def test_gradients_of_a_network_are_finite_differences(training: bool) -> None:
    graph, state, inputs = network()
    numbers = generator()
    shapes = {port.name: graph.shape(port.value) for port in graph.outputs if training or not port.auxiliary}
    cotangents = {name: numbers.normal(size=(BATCH, *shape)) for name, shape in shapes.items()}
    found = gradients(graph, state, inputs, cotangents, training)
    assert found.inputs.keys() == inputs.keys()
    assert found.state.keys() == {key for key, weight in graph.state.items() if weight.trainable}
    for name, gradient in found.inputs.items():
        direction = numbers.normal(size=gradient.shape)

        def moved(by: float, name: str = name, direction: Array = direction) -> float:
            return total(graph, state, {**inputs, name: inputs[name] + by * direction}, cotangents, training)

        agree(gradient, direction, moved, 1e-5)
    for key, gradient in found.state.items():
        direction = numbers.normal(size=gradient.shape)

        def moved_weight(by: float, key: str = key, direction: Array = direction) -> float:
            return total(graph, {**state, key: state[key] + by * direction}, inputs, cotangents, training)

        agree(gradient, direction, moved_weight, 1e-5)


def test_an_output_that_is_left_out_counts_as_zero() -> None:
    graph, state, inputs = network()
    one = gradients(graph, state, inputs, {"first": np.ones((BATCH, 4))})
    both = gradients(graph, state, inputs, {"first": np.ones((BATCH, 4)), "second": np.zeros((BATCH, 3))})
    for key, gradient in one.state.items():
        near(gradient, both.state[key])
    assert not gradients(graph, state, inputs, {}).inputs["left"].any()


def test_a_pass_can_be_pulled_more_than_once() -> None:
    graph, state, inputs = network()
    run = differentiate(graph, state, inputs, True)
    assert run.evaluation.state.keys() == state.keys()
    cotangents = {"second": np.ones((BATCH, 3))}
    first, again = run.pull(cotangents), run.pull(cotangents)
    for key, gradient in first.state.items():
        assert np.array_equal(gradient, again.state[key])


def test_only_training_moves_statistics_and_computes_what_is_auxiliary() -> None:
    graph, state, inputs = network()
    before = {key: values.copy() for key, values in state.items()}
    plain, trained = evaluate(graph, state, inputs), evaluate(graph, state, inputs, True)
    names = {port.value: port.name for port in graph.outputs}
    assert {names[value] for value in plain.values} == {"first", "second"}
    assert {names[value] for value in trained.values} == {"first", "second", "helper"}
    statistics = {key for key, weight in graph.state.items() if not weight.trainable}
    assert {key for key in state if not np.array_equal(trained.state[key], before[key])} == statistics
    assert all(np.array_equal(plain.state[key], before[key]) for key in state)
    assert all(np.array_equal(state[key], before[key]) for key in state), "what was given is left alone"


def test_values_are_kept_on_demand() -> None:
    graph, state, inputs = network()
    everything = evaluate(graph, state, inputs, True, keep=range(len(graph.values))).values
    assert sorted(everything) == list(range(len(graph.values)))
    for number, array in everything.items():
        assert array.shape == (BATCH, *graph.shape(number))
    one = graph.layers[2].outputs[0]
    assert list(evaluate(graph, state, inputs, keep=[one]).values) == [one]
    kept = differentiate(graph, state, inputs, keep=[one]).evaluation.values
    assert list(kept) == [one]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda state, inputs, out: inputs.pop("left"), "the input `left` is missing"),
        (lambda state, inputs, out: inputs.update(more=inputs["left"]), "there is no input `more`; there is `left`"),
        (lambda state, inputs, out: inputs.update(left=inputs["left"][0]), "`left` is 2x6x6 instead of 2x6x6 behind"),
        (lambda state, inputs, out: inputs.update(left=inputs["left"][:, :1]), "`left` is 2x1x6x6 instead of 2x6x6"),
        (lambda state, inputs, out: inputs.update(left=inputs["left"][:1]), "differ in the size of their batch"),
        (lambda state, inputs, out: state.pop("scale"), "`scale` is missing from the state"),
        (lambda state, inputs, out: state.update(scale=np.ones(2)), "`scale` is 2 instead of 2x1x1"),
        (lambda state, inputs, out: out.update(first=np.ones((BATCH, 1))), "`first` is 2x4, and its gradient 2x1"),
        (lambda state, inputs, out: out.update(helper=np.ones((BATCH, 2))), "there is no output `helper`"),
    ],
)
def test_what_does_not_fit_is_refused(change: Callable[..., Any], message: str) -> None:
    graph, state, inputs = network()
    cotangents: dict[str, Array] = {}
    change(state, inputs, cotangents)
    with pytest.raises(ValueError, match=message):
        gradients(graph, state, inputs, cotangents)


def test_a_known_network_runs() -> None:
    graph = load("lenet5")
    values = evaluate(graph, draw(graph, 0), draw_inputs(graph, BATCH, 0)).values
    assert [array.shape for array in values.values()] == [(BATCH, *graph.shape(graph.outputs[0].value))]


# As a target


@pytest.mark.parametrize("precision", ["float32", "float64"])
def test_as_a_target_it_computes_in_float64(precision: Any) -> None:
    graph, state, inputs = network()
    reference = backends()["reference"]
    assert reference.missing("reference") is None
    runtime = reference.runtime("reference", precision)
    assert runtime.versions() == {"numpy": np.__version__}
    model = runtime.build(reference.emit(graph, []), graph)
    runtime.load(model, graph, {key: values.astype(precision) for key, values in state.items()})
    passed = runtime.forward(
        model, graph, {name: array.astype(precision) for name, array in inputs.items()}, training=True
    )
    expected = evaluate(
        graph,
        {key: values.astype(precision) for key, values in state.items()},
        {name: array.astype(precision) for name, array in inputs.items()},
        True,
    )
    assert list(passed.outputs) == [port.name for port in graph.outputs]
    for port in graph.outputs:
        assert np.array_equal(passed.outputs[port.name], expected.values[port.value])
    assert set(passed.layers) == {node.path for node in graph.layers if len(node.outputs) == 1}
    for key, values in expected.state.items():
        assert np.array_equal(passed.state[key], values)
        assert np.array_equal(runtime.state(model, graph)[key], values)
    with pytest.raises(ValueError, match="lacks scale"):
        runtime.load(model, graph, {key: values for key, values in state.items() if key != "scale"})


def test_it_has_no_code() -> None:
    result = CliRunner().invoke(application, ["compile", "lenet5", "--backend", "reference"])
    assert result.exit_code == 2
    assert "`reference` writes no code" in result.stderr
    with pytest.raises(LookupError, match="`reference` writes no code"):
        cnnspec.compile("lenet5", "reference")
    with pytest.raises(LookupError, match="`reference` writes no code"):
        cnnspec.build("lenet5", "reference")
