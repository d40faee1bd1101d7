"""The process of one target: ``python -m cnnspec.verify.worker FOLDER`` runs all passes and writes the results."""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnnspec.backend import Pass, Runtime, backend
from cnnspec.graph import Graph
from cnnspec.layers.normalisation import BatchNorm
from cnnspec.verify.comparison import relative_error
from cnnspec.verify.exchange import SETTINGS, Job, Outcome, Setting, observe, read_job, write_outcome, write_result
from cnnspec.weights import draw, draw_inputs, known

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
        settings = [setting for setting in SETTINGS if setting.precision == precision]
        plain.update(_run_all(folder, job, graph, source, runtime, settings))
    write_result(folder, versions, plain)


# Functions of their own: what a pass or a model holds, which may be gigabytes, is let go before the next one begins.
def _run_all(
    folder: Path, job: Job, graph: Graph, source: str, runtime: Runtime, settings: Sequence[Setting]
) -> dict[Setting, dict[str, Any]]:
    """Run and write the passes of one precision."""
    precision = settings[0].precision
    model = runtime.build(source, graph)
    weights = {key: values.astype(precision, copy=False) for key, values in draw(graph, job.seed).items()}
    return {
        setting: write_outcome(folder, setting, _run(job, graph, runtime, model, weights, setting))
        for setting in settings
    }


def _run(
    job: Job, graph: Graph, runtime: Runtime, model: Any, weights: Mapping[str, Array], setting: Setting
) -> Outcome:
    inputs = draw_inputs(graph, job.batch, job.seed)
    runtime.load(model, graph, weights)
    passed = runtime.forward(
        model,
        graph,
        {name: values.astype(setting.precision) for name, values in inputs.items()},
        training=setting.mode == "training",
    )
    return condense(passed, graph, weights, runtime, setting, job.batch)


def condense(
    passed: Pass, graph: Graph, weights: Mapping[str, Array], runtime: Runtime, setting: Setting, batch: int
) -> Outcome:
    """What is told of a pass: large layers folded, and of the state only what a forward pass may change, or changed."""
    import numpy

    statistics: dict[str, Array] = {}
    drift: dict[str, float] = {}
    corrected = setting.mode == "training" and runtime.biased_running_variance
    for node in graph.layers:
        for weight in node.weights:
            key = node.key(weight)
            after = passed.state.get(key)
            if after is None:
                continue
            if weight.trainable:
                if not numpy.array_equal(weights[key], after):
                    drift[key] = relative_error(weights[key], after)
            elif corrected and weight.name == "running_var" and isinstance(node.layer, BatchNorm):
                count = batch * prod(known(graph.shape(node.inputs[0]))[1:])
                statistics[key] = unbiased(weights[key], after, node.layer.momentum, count)
            else:
                statistics[key] = after
    return Outcome(
        outputs=passed.outputs,
        layers={path: observe(values) for path, values in passed.layers.items()},
        statistics=statistics,
        drift=drift,
        missing=tuple(key for key in graph.state if key not in passed.state),
    )


def unbiased(before: Array, after: Array, momentum: float, count: int) -> Array:
    """The running variance as the spec has it, from one that a pass moved by a variance that divides by ``count``.

    ``count`` is the number of values in each channel.  What was added is multiplied by ``count / (count - 1)``.
    """
    kept = (1 - momentum) * before.astype("float64")
    return kept + (after - kept) * (count / (count - 1))


if __name__ == "__main__":
    work(Path(sys.argv[1]))
