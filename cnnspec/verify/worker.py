"""The process of one target: ``python -m cnnspec.verify.worker FOLDER`` does its job and writes the results."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field, replace
from functools import partial
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from cnnspec.backend import Backend, Gradients, Pass, Precision, Runtime, backend
from cnnspec.graph import Graph
from cnnspec.layers.normalisation import BatchNorm
from cnnspec.sizes import other_sizes
from cnnspec.verify.comparison import relative_error
from cnnspec.verify.exchange import (
    COURSES,
    FOLDED_GRADIENT,
    SETTINGS,
    Course,
    Direction,
    Job,
    Mode,
    Outcome,
    Rounding,
    Setting,
    Single,
    Slopes,
    at_size,
    observe,
    read_job,
    write_observations,
    write_outcome,
    write_progress,
    write_result,
    write_rounding,
    write_search,
)
from cnnspec.verify.optimisers import optimiser
from cnnspec.verify.probing import draw_cotangents, search, slopes_along_directions
from cnnspec.verify.rounding import DRAWS, course_rounding, draws, noisy, rounding
from cnnspec.verify.singles import singles
from cnnspec.weights import draw, draw_inputs, known

if TYPE_CHECKING:
    import numpy
    from numpy.typing import NDArray

    Array = NDArray[numpy.floating[Any]]


def work(folder: Path) -> None:
    """Do the job in the folder."""
    job, graph, source = read_job(folder)
    if job.task == "search":
        write_search(folder, search(job, graph, source, Steps(folder, 2 * len(graph.layers))))
        return
    if job.task == "rounding":
        units = len(job.modes) + len(job.methods) * (1 + DRAWS) * job.steps
        write_rounding(folder, measure(job, graph, Steps(folder, units)))
        return
    chosen = backend(job.backend)
    others = other_sizes(graph).graphs
    steps = Steps(folder, work_units(job, chosen) + len(others))
    versions: dict[str, str] = {}
    inexact: set[str] = set()
    plain: dict[Setting, Any] = {}
    slopes: dict[Setting, Any] = {}
    courses: dict[Course, Any] = {}
    directions: list[Direction] = []
    alone: list[Single] = []
    sizes: list[Any] = []
    for precision in precisions(chosen):
        runtime = chosen.runtime(job.target, precision)
        versions = runtime.versions()
        inexact |= runtime.single_precision_gradients
        if job.exact_training:
            runtime.biased_running_variance = False  # whatever the framework's own layer does
        worker = _Worker(folder, job, graph, runtime, runtime.build_blank(source, graph), precision, steps)
        settings = [setting for setting in SETTINGS if setting.precision == precision]
        plain.update((setting, worker.forward(setting)) for setting in settings)
        if precision == "float64":
            sizes = [worker.resized(one, source, number) for number, one in enumerate(others)]
        if job.level != "forward":
            slopes.update((setting, worker.slopes(setting)) for setting in settings)
            if not chosen.emits:
                for setting in settings:
                    directions += slopes_along_directions(job, graph, runtime, worker.model, setting, steps)
        if job.level == "train":
            courses.update((course, worker.course(course)) for course in COURSES if course.precision == precision)
        if precision == "float32" and judges_layers(job):
            alone += singles(job, graph, chosen, backend(job.definition), runtime, worker.model)
            steps.done()
    write_result(folder, versions, plain, slopes, courses, directions, alone, inexact, sizes)


def judges_layers(job: Job) -> bool:
    """Whether every layer is run alone in float32, which needs the definition."""
    return job.level != "forward" and bool(job.definition)


def measure(job: Job, graph: Graph, steps: Steps) -> Rounding:
    """What rounding makes of the network and of training it, as the definition computes it."""
    defining = backend(job.definition)
    runtime = defining.runtime(defining.targets[0], "float64")
    model = runtime.build("", graph)
    worker = _Worker(Path(), job, graph, runtime, model, "float64", steps)
    inputs = worker.inputs(job.seed)
    passes: dict[Mode, dict[str, float]] = {}
    for mode in job.modes:
        training = mode == "training"
        cotangents = worker.cotangents(job.seed, training)
        runtime.load(model, graph, worker.weights())
        passes[mode] = rounding(
            runtime,
            model,
            graph,
            inputs,
            cotangents,
            training=training,
            seed=job.seed,
            backwards=job.level != "forward",
        )
        steps.done()
    courses = {
        method: course_rounding(
            worker.train(Course("float64", method), job.steps, noise) for noise in (None, *draws(job.seed))
        )
        for method in job.methods
    }
    return Rounding(passes, courses)


def precisions(chosen: Backend) -> tuple[Precision, ...]:
    """What a backend computes in.  The definition's float64 is the truth of both."""
    return ("float64", "float32") if chosen.emits else ("float64",)


def work_units(job: Job, chosen: Backend) -> int:
    """How often `Steps.done` is called in a job."""
    units = 0
    for precision in precisions(chosen):
        settings = sum(setting.precision == precision for setting in SETTINGS)
        courses = sum(course.precision == precision for course in COURSES)
        units += settings
        if job.level != "forward":
            # What has no code is compared with differences of itself too.
            units += settings * (1 if chosen.emits else 2)
        if job.level == "train":
            units += courses * (job.steps if precision == "float64" else 1)
        if precision == "float32" and judges_layers(job):
            units += 1
    return units


class Steps:
    """Counts what is done, for whoever watches."""

    def __init__(self, folder: Path, of: int) -> None:
        self.folder = folder
        self.count = 0
        self.of = of

    def done(self) -> None:
        self.count += 1
        write_progress(self.folder, self.count, self.of)


@dataclass(slots=True)
class _Worker:
    """One target in one precision.  What each method holds, which may be gigabytes, goes with its end."""

    folder: Path
    job: Job
    graph: Graph
    runtime: Runtime
    model: Any
    precision: Precision
    steps: Steps
    drawn: dict[str, Array] = field(default_factory=dict)
    """The weights in float32, once they were drawn: for 100 million of them that takes seconds."""

    def weights(self) -> dict[str, Array]:
        self.drawn = self.drawn or rounded(draw(self.graph, self.job.seed))
        return self.widened(self.drawn)

    def inputs(self, seed: int) -> dict[str, Array]:
        return self.widened(rounded(draw_inputs(self.graph, self.job.batch, seed)))

    def cotangents(self, seed: int, training: bool) -> dict[str, Array]:
        return self.widened(rounded(draw_cotangents(self.graph, self.job.batch, seed, training=training)))

    def widened(self, arrays: Mapping[str, Array]) -> dict[str, Array]:
        return {name: values.astype(self.precision) for name, values in arrays.items()}

    def forward(self, setting: Setting) -> Any:
        weights, inputs = self.weights(), self.inputs(self.job.seed)
        self.runtime.load(self.model, self.graph, weights)
        passed = self.runtime.forward(self.model, self.graph, inputs, training=setting.mode == "training")
        outcome = condense(passed, self.graph, weights, self.runtime, setting, self.job.batch)
        self.steps.done()
        return write_outcome(self.folder, setting, outcome)

    def resized(self, graph: Graph, source: str, number: int) -> Any:
        """A pass of one sample in evaluation, by the same code and weights, at another size of the inputs.

        What is raised there is told: the rest of the comparison does not depend on it.
        """
        setting = Setting("float64", "evaluation")
        other = replace(self, graph=graph, job=replace(self.job, batch=1), drawn=self.drawn)
        weights = other.weights()
        try:
            model = self.runtime.build_blank(source, graph)
            self.runtime.load(model, graph, weights)
            passed = self.runtime.forward(model, graph, other.inputs(self.job.seed), training=False)
        except Exception as error:
            return f"{type(error).__name__}: {error}"
        finally:
            self.steps.done()
        return write_outcome(self.folder, at_size(number), condense(passed, graph, weights, self.runtime, setting, 1))

    def slopes(self, setting: Setting) -> Any:
        weights, inputs = self.weights(), self.inputs(self.job.seed)
        self.runtime.load(self.model, self.graph, weights)
        training = setting.mode == "training"
        cotangents = self.cotangents(self.job.seed, training)
        found = self.runtime.gradients(self.model, self.graph, inputs, cotangents, training=training)
        self.steps.done()
        seen = _observed(found)
        return {
            group: write_observations(self.folder, "-".join(("slopes", *setting, group)), arrays)
            for group, arrays in (("inputs", seen.inputs), ("weights", seen.weights))
        }

    def course(self, course: Course) -> Any:
        count = self.job.steps if course.precision == "float64" else 1
        return [
            write_observations(
                self.folder, "-".join((*course, str(number))), {key: observe(values) for key, values in state.items()}
            )
            for number, state in enumerate(self.train(course, count), 1)
        ]

    def train(
        self, course: Course, count: int, noise: numpy.random.Generator | None = None
    ) -> Iterator[dict[str, Array]]:
        """The state after each step, with other inputs and another scalar each time.

        With ``noise`` every weight has an error while the gradients of a step are computed.
        """
        chosen = optimiser(course.method)
        state = self.weights()
        for number in range(count):
            inputs = self.inputs(self.job.seed + number)
            cotangents = self.cotangents(self.job.seed + number, training=True)
            error = None if noise is None else partial(noisy, noise)
            given = state if error is None else {key: error(array) for key, array in state.items()}
            self.runtime.load(self.model, self.graph, given)
            with nullcontext() if error is None else self.runtime.disturbed(error):
                found = self.runtime.gradients(self.model, self.graph, inputs, cotangents, training=True)
            moved = statistics(
                self.graph, state, self.runtime.state(self.model, self.graph), self.runtime, True, self.job.batch
            )
            state = state | moved | chosen.step(state, found.state)
            self.steps.done()
            yield state


def rounded(arrays: Mapping[str, Array]) -> dict[str, Array]:
    """The same numbers for both precisions, so that what float64 makes of them is the truth of float32 too."""
    return {name: values.astype("float32") for name, values in arrays.items()}


def _observed(found: Gradients) -> Slopes:
    inputs, weights = (
        {name: observe(values, FOLDED_GRADIENT) for name, values in arrays.items()}
        for arrays in (found.inputs, found.state)
    )
    return Slopes(inputs, weights)


def condense(
    passed: Pass, graph: Graph, weights: Mapping[str, Array], runtime: Runtime, setting: Setting, batch: int
) -> Outcome:
    """What is told of a pass: large layers folded, and of the state only what a forward pass may change, or changed."""
    import numpy

    drift = {
        key: relative_error(weights[key], after)
        for key, after in passed.state.items()
        if key in graph.state and graph.state[key].trainable and not numpy.array_equal(weights[key], after)
    }
    return Outcome(
        outputs=passed.outputs,
        layers={path: observe(values) for path, values in passed.layers.items()},
        statistics=statistics(graph, weights, passed.state, runtime, setting.mode == "training", batch),
        drift=drift,
        missing=tuple(key for key in graph.state if key not in passed.state),
    )


def statistics(
    graph: Graph,
    before: Mapping[str, Array],
    after: Mapping[str, Array],
    runtime: Runtime,
    training: bool,
    batch: int,
) -> dict[str, Array]:
    """The running statistics after a pass, in the spec's convention."""
    found: dict[str, Array] = {}
    for node in graph.layers:
        for weight in node.weights:
            key = node.key(weight)
            if weight.trainable or key not in after:
                continue
            found[key] = after[key]
            corrected = training and runtime.biased_running_variance
            if corrected and weight.name == "running_var" and isinstance(node.layer, BatchNorm):
                count = batch * prod(known(graph.shape(node.inputs[0]))[1:])
                found[key] = unbiased(before[key], after[key], node.layer.momentum, count)
    return found


def unbiased(before: Array, after: Array, momentum: float, count: int) -> Array:
    """The running variance as the spec has it, from one that a pass moved by a variance that divides by ``count``.

    ``count`` is the number of values in each channel.  What was added is multiplied by ``count / (count - 1)``.
    """
    kept = (1 - momentum) * before.astype("float64")
    return kept + (after - kept) * (count / (count - 1))


if __name__ == "__main__":
    work(Path(sys.argv[1]))
