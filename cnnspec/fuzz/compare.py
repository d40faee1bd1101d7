"""What a target makes of a spec, and by how much two targets differ.

Two networks that are the same function may differ by more than the gate where the function itself makes much of little:
a max pool over values that are equal but for rounding, a norm of nearly equal values.  How much a network makes of
rounding is measured on the reference: every layer's result is disturbed as rounding would disturb it.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import inf, prod
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from cnnspec.backend import Gradients, Pass, Runtime
from cnnspec.graph import Graph, Node
from cnnspec.layers.normalisation import BatchNorm
from cnnspec.verify.worker import unbiased
from cnnspec.weights import draw, draw_inputs, generator_for, known

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Array = NDArray[numpy.floating[Any]]

BATCH = 3
GATE = 1e-10
COARSE_GATE = 1e-6
"""For gradients where the framework itself rounds a constant to float32."""
FLOOR = 1e-3
"""Smaller gradients and statistics are measured against this share of the largest: a bias in front of a batch norm has
a gradient that is zero but for rounding."""
DISTURBANCE = 1e-15
DRAWS = 3
ALLOWANCE = 30.0
"""How much more than its disturbance would a network may make of a target's rounding."""

# What these give is a choice among what they get, or its sign changed: nothing is rounded.
EXACT = frozenset(
    ["max_pool", "adaptive_max_pool", "global_max_pool", "relu", "relu6", "leaky_relu", "abs", "hard_tanh", "identity",
     "flatten", "reshape", "permute", "pad", "crop", "channel_shuffle", "pixel_shuffle", "slice", "split", "concat",
     "dropout", "channel_dropout", "stochastic_depth", "parameter"]
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Mode:
    """One of the two kinds of pass."""

    name: str
    training: bool


MODES = (Mode("evaluation", False), Mode("training", True))


@dataclass(frozen=True, slots=True)
class Answer:
    """What a target makes of a spec in each mode: results of a pass and gradients, by what they are called."""

    results: dict[str, dict[str, Array]]
    coarse: bool
    """Whether its gradients meet a constant of float32."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One array that differs by more than the gate."""

    mode: str
    name: str
    error: float

    @override
    def __str__(self) -> str:
        return f"{self.mode}: {self.name} is off by {self.error:.1e}"


def answer(runtime: Runtime, source: str, graph: Graph, seed: int) -> Answer:
    """Run a network forward and back, in both modes, in float64."""
    model = runtime.build(source, graph)
    weights, inputs = draw(graph, seed), draw_inputs(graph, BATCH, seed)
    results = {}
    for mode in MODES:
        runtime.load(model, graph, weights)
        passed = runtime.forward(model, graph, inputs, training=mode.training)
        runtime.load(model, graph, weights)
        cotangents = draw_cotangents(graph, mode, seed)
        pulled = runtime.gradients(model, graph, inputs, cotangents, training=mode.training)
        corrected = mode.training and runtime.biased_running_variance
        results[mode.name] = named(graph, passed, pulled, weights if corrected else None)
    coarse = any(node.layer.kind in runtime.single_precision_gradients for node in graph.layers)
    return Answer(results, coarse)


def draw_cotangents(graph: Graph, mode: Mode, seed: int) -> dict[str, Array]:
    """The numbers that the outputs are weighed with before they are summed up."""
    return {
        port.name: generator_for(seed, f"cotangent {port.name}").standard_normal(
            (BATCH, *known(graph.shape(port.value)))
        )
        for port in graph.outputs
        if mode.training or not port.auxiliary
    }


def named(graph: Graph, passed: Pass, pulled: Gradients, before: Mapping[str, Array] | None) -> dict[str, Array]:
    """Everything that is compared, by its name; ``before`` where running variances are to be corrected."""
    found = {f"output `{name}`": array for name, array in passed.outputs.items()}
    for node in graph.layers:
        for weight in node.weights:
            key = node.key(weight)
            array = passed.state[key]
            if before is not None and weight.name == "running_var" and isinstance(node.layer, BatchNorm):
                count = BATCH * prod(known(graph.shape(node.inputs[0]))[1:])
                array = unbiased(before[key], array, node.layer.momentum, count)
            found[f"state `{key}`"] = array
    found |= {f"gradient of `{name}`": array for name, array in pulled.inputs.items()}
    found |= {f"gradient of `{key}`": array for key, array in pulled.state.items()}
    return found


def differences(reference: Answer, other: Answer) -> list[Difference]:
    """Where two answers differ by more than the gate."""
    found = []
    for mode, expected in reference.results.items():
        floor = _floors(expected)
        results = other.results[mode]
        found += [Difference(mode, name, inf) for name in expected.keys() ^ results.keys()]
        for name in expected.keys() & results.keys():
            gate = COARSE_GATE if name.startswith("gradient") and (reference.coarse or other.coarse) else GATE
            error = relative_error(expected[name], results[name], floor[name])
            if not error <= gate:
                found.append(Difference(mode, name, error))
    return sorted(found, key=lambda one: (one.mode, not one.name.startswith("output"), one.name))


def relative_error(reference: Array, other: Array, floor: float) -> float:
    """The largest difference over the largest magnitude; infinite where shapes differ or a value is no number."""
    import numpy

    if reference.shape != other.shape or not (numpy.isfinite(reference).all() and numpy.isfinite(other).all()):
        return inf
    difference = float(numpy.abs(reference - other).max(initial=0.0))
    if difference == 0:
        return 0.0
    peak = max(float(numpy.abs(reference).max(initial=0.0)), floor)
    return difference / peak if peak else inf


def _floors(results: Mapping[str, Array]) -> dict[str, float]:
    import numpy

    peaks = {name: float(numpy.abs(array).max(initial=0.0)) for name, array in results.items()}
    largest: dict[str, float] = {}
    for name, peak in peaks.items():
        kind = name.split()[0]
        largest[kind] = max(largest.get(kind, 0.0), peak)
    return {name: FLOOR * largest[name.split()[0]] for name in results}


def rounding(runtime: Runtime, graph: Graph, seed: int) -> dict[str, dict[str, float]]:
    """The error that rounding in each layer may make of each result, by mode and name.

    ``runtime`` is one whose layers can all be run alone.
    """
    model = runtime.build("", graph)
    weights, inputs = draw(graph, seed), draw_inputs(graph, BATCH, seed)
    found: dict[str, dict[str, float]] = {}
    for mode in MODES:
        cotangents = draw_cotangents(graph, mode, seed)
        runtime.load(model, graph, weights)
        exact = _disturbed(runtime, model, graph, inputs, cotangents, mode, None)
        floor = _floors(exact)
        worst = dict.fromkeys(exact, 0.0)
        for draw_number in range(DRAWS):
            noise = generator_for(seed, f"noise {draw_number}")
            other = _disturbed(runtime, model, graph, inputs, cotangents, mode, noise)
            for name, array in exact.items():
                worst[name] = max(worst[name], relative_error(array, other[name], floor[name]))
        found[mode.name] = worst
    return found


def _disturbed(
    runtime: Runtime,
    model: Any,
    graph: Graph,
    inputs: Mapping[str, Array],
    cotangents: Mapping[str, Array],
    mode: Mode,
    noise: numpy.random.Generator | None,
) -> dict[str, Array]:
    """Outputs and gradients, layer by layer, with noise on what each layer gives."""
    import numpy

    def disturb(node: Node, array: Array) -> Array:
        if noise is None or node.layer.kind in EXACT:
            return array
        factors: Array = 1 + DISTURBANCE * noise.standard_normal(array.shape)
        return array * factors

    def run(node: Node, given: list[Array], pulling: list[Array]) -> Any:
        result = runtime.layer(model, graph, node, given, pulling, training=mode.training)
        assert result is not None, "the reference shows every layer"
        return result

    values = {port.value: inputs[port.name] for port in graph.inputs}
    steps = [node for node in graph.layers if mode.training or not node.auxiliary]
    for node in steps:
        shapes = [(BATCH, *known(graph.shape(value))) for value in node.outputs]
        result = run(node, [values[value] for value in node.inputs], [numpy.zeros(shape) for shape in shapes])
        values.update((v, disturb(node, array)) for v, array in zip(node.outputs, result.outputs, strict=True))
    pulled: dict[int, Array] = {}
    to_state: dict[str, Array] = {}
    for port in graph.outputs:
        if port.name in cotangents:
            pulled[port.value] = pulled.get(port.value, 0.0) + cotangents[port.name]
    for node in reversed(steps):
        pulling = [pulled.get(value, numpy.zeros(values[value].shape)) for value in node.outputs]
        result = run(node, [values[value] for value in node.inputs], pulling)
        for value, array in zip(node.inputs, result.inputs, strict=True):
            pulled[value] = pulled.get(value, 0.0) + disturb(node, array)
        for weight in node.weights:
            if weight.trainable:
                to_state[node.key(weight)] = disturb(node, result.weights[weight.name])
    zero = numpy.zeros(())
    return {
        **{f"output `{port.name}`": values[port.value] for port in graph.outputs if port.name in cotangents},
        **{f"gradient of `{port.name}`": numpy.asarray(pulled.get(port.value, zero)) for port in graph.inputs},
        **{f"gradient of `{key}`": array for key, array in to_state.items()},
    }


def unexplained(found: list[Difference], allowed: Mapping[str, Mapping[str, float]]) -> Iterator[Difference]:
    """Those differences that rounding does not explain."""
    for one in found:
        if not one.error <= ALLOWANCE * allowed[one.mode].get(one.name, 0.0):
            yield one
