"""What a target's process computes to find mistakes: slopes against differences, and each layer alone."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from math import inf, isfinite, sqrt
from typing import TYPE_CHECKING, Any, Protocol

from cnnspec.backend import LayerPass, Runtime, backend
from cnnspec.graph import Graph, Node
from cnnspec.verify.comparison import DIRECTION_GATE, GATES, INEXACT_GATE, SMALLEST_PEAK, UNIT
from cnnspec.verify.exchange import MODES, OUTPUT, Direction, Fault, Job, Mode, Search, Setting
from cnnspec.weights import draw, draw_inputs, generator_for, known

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Array = NDArray[numpy.floating[Any]]

STRIDES = (1e-7, 1e-8, 1e-9, 1e-6, 1e-10, 1e-5)
"""How far along a direction, relative to the values; the difference that fits best counts.

Short ones lose digits, long ones step over the kinks of a ReLU or a maximum: in ResNet-50 in training on small images,
with 1e-8, over so many that the difference is off by 1e-3.
"""
USUAL_STRIDE = 1e-7
"""Shorter ones must not excuse more by their loss of digits than this one does."""
ATTEMPTS = 3
"""How many random directions are tried before one counts as wrong.

A kink lies across one of them by chance; a gradient that is wrong shows along nearly all.
"""
SINGLE_WEIGHTS = 3
"""How many weights have a direction of their own, spread over the network."""
ENOUGH = 1e-5
"""An error as small as this is not improved upon."""


class Counter(Protocol):
    """Takes note that a unit of work is done."""

    def done(self) -> None: ...


def draw_cotangents(graph: Graph, batch: int, seed: int, *, training: bool) -> dict[str, Array]:
    """The weight of every output value in the scalar whose gradients are compared."""
    return {
        port.name: generator_for(seed, f"cotangent {port.name}").standard_normal(
            (batch, *known(graph.shape(port.value)))
        )
        for port in graph.outputs
        if training or not port.auxiliary
    }


def slopes_along_directions(
    job: Job, graph: Graph, runtime: Runtime, model: Any, setting: Setting, steps: Counter
) -> list[Direction]:
    """A runtime's gradients along random directions against differences of its own outputs.

    There is a direction for each input, one for all weights together, and one for each of a few weights.
    """
    import numpy

    training = setting.mode == "training"
    state, inputs = draw(graph, job.seed), draw_inputs(graph, job.batch, job.seed)
    cotangents = draw_cotangents(graph, job.batch, job.seed, training=training)
    runtime.load(model, graph, state)
    found = runtime.gradients(model, graph, inputs, cotangents, training=training)
    trainable = [key for key, weight in graph.state.items() if weight.trainable]
    singles = trainable[:: max(1, (len(trainable) - 1) // max(1, SINGLE_WEIGHTS - 1))]
    # What is moved is called, where it is, and its gradients.
    directions: list[tuple[str, dict[str, Array], dict[str, Array], tuple[str, ...]]] = [
        (f"input `{name}`", inputs, found.inputs, (name,)) for name in inputs
    ]
    directions += [("all weights", state, found.state, tuple(trainable))] if trainable else []
    directions += [(f"`{key}`", state, found.state, (key,)) for key in singles]

    def error_along(along: Mapping[str, Array], place: Mapping[str, Array], slopes: Mapping[str, Array]) -> float:
        slope = sum(float((slopes[name] * step).sum()) for name, step in along.items())
        length = sqrt(sum(float((slopes[name] ** 2).sum() * (place[name] ** 2).mean()) for name in along))
        error = inf
        for stride in STRIDES:
            sides: list[dict[str, Array]] = []
            for sign in (1, -1):
                moved = {name: place[name] + sign * stride * step for name, step in along.items()}
                runtime.load(model, graph, {**state, **moved} if place is state else state)
                given = {**inputs, **moved} if place is inputs else inputs
                sides.append(runtime.forward(model, graph, given, training=training).outputs)
            change = sum(float((cotangents[n] * (sides[0][n] - sides[1][n])).sum()) for n in cotangents)
            difference = abs(change / (2 * stride) - slope)
            # The outputs round: a slope as small as that cannot be told from zero.
            summed = sum(float(numpy.abs(cotangents[n] * sides[0][n]).sum()) for n in cotangents)
            smallest = UNIT * summed / max(stride, USUAL_STRIDE) / DIRECTION_GATE
            scale = max(length, smallest)
            error = min(error, difference / scale if scale else (0.0 if difference == 0 else inf))
            if error <= ENOUGH:
                break
        return error

    result = []
    for what, place, slopes, names in directions:
        error = inf
        for attempt in range(ATTEMPTS):
            # As long in each array as its values are large, so that none hides the others.
            along = {
                name: generator_for(job.seed, f"direction {name} {attempt}").standard_normal(place[name].shape)
                * sqrt(float((place[name] ** 2).mean()))
                for name in names
            }
            error = min(error, error_along(along, place, slopes))
            if error <= DIRECTION_GATE:
                break
        result.append(Direction(setting.mode, what, error))
    steps.done()
    return result


def search(job: Job, graph: Graph, source: str, steps: Counter) -> Search:
    """Run every layer of a target's code alone, on the inputs that the definition computed, in float64.

    Errors of one layer neither spread to others nor cancel.
    """
    defining = backend(job.definition)
    definition = defining.runtime(defining.targets[0], "float64")
    runtime = backend(job.backend).runtime(job.target, "float64")
    state = draw(graph, job.seed)
    models = definition.build("", graph), runtime.build_blank(source, graph)
    faults: list[Fault] = []
    unseen: dict[str, None] = {}
    for mode in MODES:
        definition.load(models[0], graph, state)
        runtime.load(models[1], graph, state)
        training = mode == "training"
        drawn = draw_inputs(graph, job.batch, job.seed)
        values = {port.value: drawn[port.name] for port in graph.inputs}
        reached = set(values)
        last = {value: node.path for node in graph.layers for value in node.inputs}
        for node in graph.layers:
            if node.auxiliary and not training:
                continue
            inputs = [values[value] for value in node.inputs]
            cotangents = [
                generator_for(job.seed, f"cotangent {node.path} {number}").standard_normal(
                    (job.batch, *known(graph.shape(value)))
                )
                for number, value in enumerate(node.outputs)
            ]
            expected = definition.layer(models[0], graph, node, inputs, cotangents, training=training)
            if expected is None:
                raise RuntimeError(f"{job.definition} cannot run `{node.path}` alone")
            values.update(zip(node.outputs, expected.outputs, strict=True))
            # What no input reaches has the axis of the batch in some targets, in others not.
            if not reached.isdisjoint(node.inputs):
                reached.update(node.outputs)
                given = runtime.layer(models[1], graph, node, inputs, cotangents, training=training)
                if given is None:
                    unseen[node.path] = None
                else:
                    inexact = node.layer.kind in runtime.single_precision_gradients
                    faults += _faults(node, mode, expected, given, inexact=inexact)
            for value in {*node.inputs, *node.outputs}:
                if last.get(value, node.path) == node.path:
                    values.pop(value, None)
            steps.done()
    return Search(tuple(faults), tuple(unseen))


def _faults(node: Node, mode: Mode, expected: LayerPass, given: LayerPass, *, inexact: bool) -> Iterator[Fault]:
    """What of a layer is off by more than the gate, which is looser for gradients that the framework rounds."""
    gate = GATES[Setting("float64", mode)]
    for what, array, found in paired(expected, given):
        error = _error(array, found)
        if error > (INEXACT_GATE if inexact and not what.startswith(OUTPUT) else gate):
            yield Fault(node.path, mode, what, error)


def paired(expected: LayerPass, given: LayerPass) -> Iterator[tuple[str, Array, Array | None]]:
    """What there is to compare of two passes of one layer, with what it is called; None where the second lacks it."""
    for what, here, there in (
        (OUTPUT, expected.outputs, given.outputs),
        ("the gradient of its input", expected.inputs, given.inputs),
    ):
        for number, array in enumerate(here):
            suffix = f" {number}" if len(here) > 1 else ""
            yield what + suffix, array, there[number] if number < len(there) else None
    for name, array in expected.weights.items():
        yield f"the gradient of `{name}`", array, given.weights.get(name)


def _error(expected: Array, found: Array | None) -> float:
    import numpy

    if found is None or expected.shape != found.shape:
        return inf
    peak = max(float(numpy.abs(expected).max(initial=0.0)), SMALLEST_PEAK)
    error = float(numpy.abs(expected - found).max(initial=0.0)) / peak
    return error if isfinite(error) else inf
