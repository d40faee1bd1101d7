"""Every layer of a network run alone, for a process that has one backend of Keras."""

from __future__ import annotations

import numpy

import cnnspec
from cnnspec.backend import backend
from cnnspec.weights import draw


def compare(text: str, target: str) -> tuple[int, float]:
    """How many layers could run, and the largest difference from what their definition gives.

    Of outputs, and gradients of inputs and weights, in float64.
    """
    graph = cnnspec.loads(text)
    definition = backend("reference").runtime("reference", "float64")
    chosen = backend(target.partition("-")[0])
    runtime = chosen.runtime(target, "float64")
    model, truth = runtime.build(chosen.emit(graph, []), graph), definition.build("", graph)
    state = draw(graph, 0)
    runtime.load(model, graph, state)
    definition.load(truth, graph, state)
    numbers = numpy.random.default_rng(0)
    seen = 0
    differences = []
    for node in graph.layers:
        inputs = [numbers.normal(0.3, 1, (2, *graph.shape(value))) for value in node.inputs]
        cotangents = [numbers.normal(0, 1, (2, *graph.shape(value))) for value in node.outputs]
        expected = definition.layer(truth, graph, node, inputs, cotangents, training=True)
        found = runtime.layer(model, graph, node, inputs, cotangents, training=True)
        assert expected is not None
        if found is None:
            continue
        seen += 1
        assert found.weights.keys() == expected.weights.keys()
        pairs = zip(
            (*expected.outputs, *expected.inputs, *expected.weights.values()),
            (*found.outputs, *found.inputs, *(found.weights[name] for name in expected.weights)),
            strict=True,
        )
        differences += [float(numpy.abs(here - there).max()) for here, there in pairs]
    return seen, float(numpy.max(differences))
