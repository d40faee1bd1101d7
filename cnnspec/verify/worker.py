"""The process of one target: ``python -m cnnspec.verify.worker FOLDER`` runs all passes and writes what came of them."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnnspec.backend import Pass, Runtime, backend
from cnnspec.graph import Graph, Node
from cnnspec.layers.normalisation import BatchNorm
from cnnspec.shapes import product
from cnnspec.verify.comparison import relative_error
from cnnspec.verify.exchange import SETTINGS, Outcome, Setting, observe, read_job, write_outcome, write_result
from cnnspec.weights import draw, draw_inputs

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Array = NDArray[numpy.floating[Any]]


def work(folder: Path) -> None:
    """Do the job in the folder."""
    job, graph, source = read_job(folder)
    chosen = backend(job.backend)
    versions: dict[str, str] = {}
    plain: dict[Setting, dict[str, Any]] = {}
    for precision in dict.fromkeys(setting.precision for setting in SETTINGS):
        runtime = chosen.runtime(job.target, precision)
        versions = runtime.versions()
        model = runtime.build(source, graph)
        weights = {key: values.astype(precision, copy=False) for key, values in draw(graph, job.seed).items()}
        inputs = {name: values.astype(precision) for name, values in draw_inputs(graph, job.batch, job.seed).items()}
        for setting in SETTINGS:
            if setting.precision == precision:
                runtime.load(model, graph, weights)
                passed = runtime.forward(model, graph, inputs, training=setting.mode == "training")
                outcome = condense(passed, graph, weights, runtime, setting, job.batch)
                plain[setting] = write_outcome(folder, setting, outcome)
    write_result(folder, versions, plain)


def condense(
    passed: Pass, graph: Graph, weights: Mapping[str, Array], runtime: Runtime, setting: Setting, batch: int
) -> Outcome:
    """What is told of a pass: large layers folded, and of the state only what a forward pass may change, or changed."""
    statistics: dict[str, Array] = {}
    drift: dict[str, float] = {}
    for node in graph.layers:
        for weight in node.weights:
            key = node.key(weight)
            after = passed.state.get(key)
            if after is None:
                continue
            if weight.trainable:
                if error := relative_error(weights[key], after):
                    drift[key] = error
            elif weight.name == "running_var" and setting.mode == "training" and runtime.biased_running_variance:
                statistics[key] = unbiased(node, graph, weights[key], after, batch)
            else:
                statistics[key] = after
    return Outcome(
        outputs=passed.outputs,
        layers={path: observe(values) for path, values in passed.layers.items()},
        statistics=statistics,
        drift=drift,
        missing=tuple(key for key in graph.state if key not in passed.state),
    )


def unbiased(node: Node, graph: Graph, before: Array, after: Array, batch: int) -> Array:
    """The running variance as the spec has it, from one to which a pass added the batch's variance divided by ``n``.

    ``n`` is the number of values in each channel.  What was added is multiplied by ``n / (n - 1)``.
    """
    assert isinstance(node.layer, BatchNorm)
    count = product((batch, *graph.shape(node.inputs[0])[1:]))
    kept = (1 - node.layer.momentum) * before.astype("float64")
    return kept + (after - kept) * (int(count) / (int(count) - 1))


if __name__ == "__main__":
    work(Path(sys.argv[1]))
