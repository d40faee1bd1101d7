"""What a target makes of a spec, and by how much two targets differ.

The gates are those of the cross-check, and so is what is held against rounding: see `cnnspec.verify.rounding`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import inf, prod
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from cnnspec.backend import Gradients, Pass, Runtime
from cnnspec.graph import Graph
from cnnspec.layers.normalisation import BatchNorm
from cnnspec.verify.comparison import ALLOWANCE, INEXACT_GATE, STEP_GATE, excusable
from cnnspec.verify.exchange import MODES, Mode
from cnnspec.verify.probing import draw_cotangents
from cnnspec.verify.rounding import rounding
from cnnspec.verify.worker import unbiased
from cnnspec.weights import draw, draw_inputs, known

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Array = NDArray[numpy.floating[Any]]

BATCH = 3


@dataclass(frozen=True, slots=True)
class Answer:
    """What a target makes of a spec in each mode: results of a pass and gradients, by what they are called."""

    results: dict[Mode, dict[str, Array]]
    coarse: bool
    """Whether its gradients meet a constant of float32."""


@dataclass(frozen=True, slots=True)
class Difference:
    """One array that differs by more than the gate relative to its ``peak``, its largest magnitude; how far at most.

    ``coarse`` is a gradient that meets a constant of float32.
    """

    mode: Mode
    name: str
    furthest: float
    peak: float
    coarse: bool = False

    @override
    def __str__(self) -> str:
        error = self.furthest / self.peak if self.peak else inf
        return f"{self.mode}: {self.name} is off by {error:.1e}"


def answer(runtime: Runtime, source: str, graph: Graph, seed: int) -> Answer:
    """Run a network forward and back, in both modes, in float64."""
    model = runtime.build_blank(source, graph)
    weights, inputs = draw(graph, seed), draw_inputs(graph, BATCH, seed)
    results = {}
    for mode in MODES:
        training = mode == "training"
        runtime.load(model, graph, weights)
        passed = runtime.forward(model, graph, inputs, training=training)
        runtime.load(model, graph, weights)
        cotangents = draw_cotangents(graph, BATCH, seed, training=training)
        pulled = runtime.gradients(model, graph, inputs, cotangents, training=training)
        corrected = training and runtime.biased_running_variance
        results[mode] = named(graph, passed, pulled, weights if corrected else None)
    coarse = any(node.layer.kind in runtime.single_precision_gradients for node in graph.layers)
    return Answer(results, coarse)


def named(graph: Graph, passed: Pass, pulled: Gradients, before: Mapping[str, Array] | None) -> dict[str, Array]:
    """Everything that is compared, by its name; ``before`` where running variances are to be corrected."""
    found = {f"output {name}": array for name, array in passed.outputs.items()}
    for node in graph.layers:
        for weight in node.weights:
            key = node.key(weight)
            array = passed.state[key]
            if before is not None and weight.name == "running_var" and isinstance(node.layer, BatchNorm):
                count = BATCH * prod(known(graph.shape(node.inputs[0]))[1:])
                array = unbiased(before[key], array, node.layer.momentum, count)
            found[key] = array
    found |= {f"gradient input {name}": array for name, array in pulled.inputs.items()}
    found |= {f"gradient {key}": array for key, array in pulled.state.items()}
    return found


def differences(reference: Answer, other: Answer) -> list[Difference]:
    """Where two answers differ by more than the gate, relative to the largest magnitude of each array."""
    import numpy

    found = []
    for mode, expected in reference.results.items():
        results = other.results[mode]
        found += [Difference(mode, name, inf, 0.0) for name in expected.keys() ^ results.keys()]
        for name in expected.keys() & results.keys():
            coarse = name.startswith("gradient ") and (reference.coarse or other.coarse)
            peak = float(numpy.abs(expected[name]).max(initial=0.0))
            furthest = _furthest(expected[name], results[name])
            if not furthest <= (INEXACT_GATE if coarse else STEP_GATE) * peak:
                found.append(Difference(mode, name, furthest, peak, coarse))
    return sorted(found, key=lambda one: (one.mode, not one.name.startswith("output"), one.name))


def _furthest(reference: Array, other: Array) -> float:
    """The largest difference; infinite where shapes differ or a value is no number."""
    import numpy

    if reference.shape != other.shape or not (numpy.isfinite(reference).all() and numpy.isfinite(other).all()):
        return inf
    return float(numpy.abs(reference - other).max(initial=0.0))


def moved_by_rounding(runtime: Runtime, graph: Graph, seed: int) -> dict[Mode, dict[str, float]]:
    """What rounding makes of each array, by mode and name; ``runtime`` is one whose layers can all be run alone."""
    model = runtime.build("", graph)
    runtime.load(model, graph, draw(graph, seed))
    inputs = draw_inputs(graph, BATCH, seed)
    found = {}
    for mode in MODES:
        training = mode == "training"
        cotangents = draw_cotangents(graph, BATCH, seed, training=training)
        found[mode] = rounding(runtime, model, graph, inputs, cotangents, training=training, seed=seed)
    return found


def sorted_out(
    found: list[Difference], moved: Mapping[Mode, Mapping[str, float]]
) -> tuple[list[Difference], list[Difference]]:
    """Those differences that rounding does not explain, and those that it does.

    Left out are arrays that are zero but for rounding, in which there is nothing else to compare.
    """
    unexplained, explained = [], []
    for one in found:
        how_far = moved.get(one.mode, {}).get(one.name, 0.0)
        backwards = one.name.startswith("gradient ")
        may = excusable(how_far, loose=one.coarse) if backwards else ALLOWANCE * how_far
        if not one.furthest <= may:
            unexplained.append(one)
        elif one.peak > may:
            explained.append(one)
    return unexplained, explained
