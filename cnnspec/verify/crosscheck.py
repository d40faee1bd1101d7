"""``cnnspec verify``: the same network, weights and inputs on every target, compared."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from hashlib import sha256
from pathlib import Path

from cnnspec.backend import Backend, backends, is_part
from cnnspec.diagnostics import nearest
from cnnspec.graph import Graph
from cnnspec.shapes import Symbolic, show
from cnnspec.sizes import other_sizes
from cnnspec.verify.comparison import judge, judge_course, judge_size, judge_slopes
from cnnspec.verify.exchange import (
    MODES,
    Course,
    Job,
    Level,
    Result,
    Rounding,
    Search,
    Setting,
    read_result,
    read_rounding,
    read_search,
    write_job,
)
from cnnspec.verify.processes import run
from cnnspec.verify.report import CourseRow, Report, Row, SizeRow, SlopeRow, Target, Unfinished

SMALLEST_BATCH = 2
ALL = "all"
"""Among targets: everything else that can run."""


class Unverifiable(Exception):
    """The cross-check cannot begin; says what is missing."""


def verify(
    graph: Graph,
    probes: Sequence[Graph] = (),
    *,
    targets: Sequence[str] | None = None,
    sources: Mapping[str, str] | None = None,
    level: Level = "gradient",
    steps: int = 5,
    seed: int = 0,
    batch: int = 3,
    timeout: float = 600.0,
    exact_training: bool = False,
    progress: Callable[[str], None] | None = None,
    meter: Callable[[Mapping[str, float]], None] | None = None,
) -> Report:
    """Run a network on several targets, each in a process of its own, and compare all of them with the first.

    ``targets`` are names such as ``keras-jax``; left out, the first one of each installed backend that can run, those
    before all others that have no code and evaluate the network by definition; ``"all"`` among them is every other one
    that can run.
    ``level`` is how far the comparison goes, ``steps`` how many steps of training the last level has.
    ``sources`` has source to check in place of what a backend would emit, by the backend's name.  ``timeout`` is for
    each target, in seconds.  ``exact_training`` checks what `Backend.exact_training` emits, and demands the spec's
    running variance of it as it is.  ``progress`` is told in words what happens, ``meter`` the share of each target's
    work that is done.

    Raises `Unverifiable` where it cannot begin, and `UnsupportedLayer` where a backend cannot express a layer.  What
    goes wrong within a target's process is in the report.
    """
    began = time.monotonic()
    if batch < SMALLEST_BATCH:
        raise Unverifiable(
            f"a batch of {batch} is too small: batch normalisation in training needs at least {SMALLEST_BATCH}"
        )
    for port in graph.inputs:
        shape = graph.shape(port.value)
        if any(isinstance(size, Symbolic) for size in shape):
            raise Unverifiable(
                f"the input `{port.name}` is {show(shape)}: give it a size to run at, as in `--input 3x64x64`"
            )
    if level == "train" and steps < 1:
        raise Unverifiable(f"there is nothing to compare after {steps} steps of training")
    if not timeout > 0:
        raise Unverifiable(f"nothing ends within {timeout:g} seconds")
    chosen = _choose(targets)
    emitted = {
        one.name: sources[one.name]
        if sources and one.name in sources
        else (one.exact_training() if exact_training else one).emit(graph, probes)
        for one in dict.fromkeys(chosen.values())
    }
    heard = progress or (lambda _: None)
    watched = meter or (lambda _: None)
    with tempfile.TemporaryDirectory(prefix="cnnspec-verify-") as place:

        def folders(kind: str, jobs: Mapping[str, Job]) -> dict[str, Path]:
            made = {}
            for number, (target, job) in enumerate(jobs.items()):
                made[target] = Path(place) / f"{kind}{number}"
                made[target].mkdir()
                write_job(made[target], job, graph, emitted[job.backend])
            return made

        definition = next((one.name for one in backends().values() if not one.emits and _ready(one)), "")
        jobs = {
            target: Job(one.name, target, seed, batch, level, steps, definition, exact_training)
            for target, one in chosen.items()
        }
        places = folders("run", jobs)
        endings = run(places, timeout, heard, watched)
        results = {target: read_result(places[target]) for target, ending in endings.items() if not ending.failure}
        reference = next(iter(results), "")
        yardstick = next((target for target in results if chosen[target].yardstick), "")
        rows, slopes, courses = _compare(graph, batch, results, Rounding())
        others = other_sizes(graph)
        sizes = _compare_sizes(others.graphs, results, Rounding())
        failed: list[Row | SizeRow | SlopeRow] = [row for row in rows if not row.verdict.ok]
        failed += [row for row in sizes if not row.verdict.ok]
        failed += [row for row in slopes if not row.comparison.ok]
        strayed = dict.fromkeys(row.course.method for row in courses if row.comparison.judged and not row.comparison.ok)
        unfinished: list[Unfinished] = []
        if (failed or strayed) and definition:
            # Whether it is rounding.
            heard("measures what rounding makes of the network")
            defining = backends()[definition]
            name = f"rounding of {defining.targets[0]}"
            modes = [mode for mode in MODES if any(one.setting.mode == mode for one in failed)]
            backwards: Level = "gradient" if any(isinstance(one, SlopeRow) for one in failed) else "forward"
            job = replace(
                next(iter(jobs.values())), task="rounding", modes=modes, methods=tuple(strayed), level=backwards
            )
            measured = {name: job}
            places = folders("rounding", measured)
            end = run(places, timeout, heard, watched)[name]
            if end.failure:
                unfinished.append(Unfinished("measure what rounding makes of the network", end.failure, end.log))
            else:
                moved = read_rounding(places[name])
                rows, slopes, courses = _compare(graph, batch, results, moved)
                sizes = _compare_sizes(others.graphs, results, moved)
        # A second look, at what is wrong where it shows in float64.
        compared: tuple[SlopeRow | CourseRow, ...] = (*slopes, *courses)
        guilty: list[Row | SlopeRow | CourseRow] = [row for row in rows if not row.verdict.ok]
        guilty += [row for row in compared if not row.comparison.ok]
        wrong = {row.target for row in guilty if row.precision == "float64"}
        # Where targets with code alone are compared, it may be the first of them that is wrong.
        wrong |= {reference} if wrong else set()
        suspects = {
            target: replace(jobs[target], task="search")
            for target in results
            if target in wrong and definition and chosen[target].emits
        }
        searches: dict[str, Search] = {}
        if suspects:
            heard(f"runs every layer of {', '.join(suspects)} alone")
            places = folders("search", suspects)
            ends = run(places, timeout, heard, watched)
            searches = {target: read_search(places[target]) for target, end in ends.items() if not end.failure}
            unfinished += [
                Unfinished(f"run the layers of {target} alone", end.failure, end.log)
                for target, end in ends.items()
                if end.failure
            ]
    return Report(
        model=graph.name,
        reference=reference,
        definition=definition,
        yardstick=yardstick,
        level=level,
        steps=steps,
        exact_training=exact_training,
        seed=seed,
        batch=batch,
        seconds=time.monotonic() - began,
        targets=tuple(
            Target(
                target,
                results[target].versions if target in results else {},
                ending.seconds,
                ending.failure,
                ending.log,
                sha256(emitted[chosen[target].name].encode()).hexdigest() if chosen[target].emits else "",
            )
            for target, ending in endings.items()
        ),
        rows=tuple(rows),
        slopes=tuple(slopes),
        courses=tuple(courses),
        directions=tuple((target, one) for target, result in results.items() for one in result.directions),
        singles={target: result.singles for target, result in results.items() if result.singles},
        searches=searches,
        unfinished=tuple(unfinished),
        graph=graph,
        sizes=tuple(sizes),
        why_no_sizes=others.why,
    )


def _compare_sizes(graphs: Sequence[Graph], results: Mapping[str, Result], moved: Rounding) -> list[SizeRow]:
    """Every target at the other sizes against the first one there.

    What rounding makes of each array was measured at the network's own size, where it was.
    """
    if not results:
        return []
    first = next(iter(results.values()))
    return [
        SizeRow(target, one, judge_size(one, first.sizes[number], result.sizes[number], moved.passes.get("evaluation")))
        for target, result in results.items()
        for number, one in enumerate(graphs)
    ]


def _compare(
    graph: Graph, batch: int, results: Mapping[str, Result], moved: Rounding
) -> tuple[list[Row], list[SlopeRow], list[CourseRow]]:
    """Every target against what the first one has in float64, the first one too.

    ``moved`` is what rounding makes of each array, where it was measured.
    """
    rows: list[Row] = []
    slopes: list[SlopeRow] = []
    courses: list[CourseRow] = []
    if not results:
        return rows, slopes, courses
    first = next(iter(results.values()))

    for target, result in results.items():
        rows += [
            Row(
                target,
                setting,
                judge(
                    graph,
                    setting,
                    batch,
                    first.outcomes[Setting("float64", setting.mode)],
                    outcome,
                    moved.passes.get(setting.mode),
                ),
            )
            for setting, outcome in result.outcomes.items()
        ]
        slopes += [
            SlopeRow(
                target,
                setting,
                judge_slopes(
                    graph,
                    setting,
                    first.slopes[Setting("float64", setting.mode)],
                    seen,
                    first.inexact | result.inexact,
                    moved.passes.get(setting.mode),
                ),
            )
            for setting, seen in result.slopes.items()
        ]
        courses += [
            CourseRow(
                target,
                course,
                judge_course(
                    graph,
                    course,
                    first.courses[Course("float64", course.method)],
                    states,
                    first.inexact | result.inexact,
                    moved.courses.get(course.method, ()),
                ),
            )
            for course, states in result.courses.items()
        ]
    return rows, slopes, courses


def _ready(one: Backend) -> bool:
    return one.missing(one.targets[0]) is None


def _choose(wanted: Sequence[str] | None) -> dict[str, Backend]:
    """The backend of every target to run, in the order asked for."""
    # What evaluates the definition itself goes first, and so is what the others are compared with.
    ranked = sorted(backends().values(), key=lambda one: (one.emits, not one.yardstick))
    owners = {target: one for one in ranked for target in one.targets}
    chosen: dict[str, Backend] = {}
    for target in [target for target in wanted or () if target != ALL]:
        if target not in owners:
            named = next((one.targets for one in ranked if one.name == target.casefold()), ())
            parts = [one for one in owners if is_part(target, one)]
            near = [*named, *parts, *nearest(target, [*owners, ALL])]
            raise Unverifiable(
                f"there is no target `{target}`; "
                + (f"did you mean `{near[0]}`?" if near else f"known: {', '.join(owners)}")
            )
        what = owners[target].missing(target)
        if what is not None:
            raise Unverifiable(f"cannot run {target}: {what}")
        chosen[target] = owners[target]
    hint = ""
    if wanted is None or ALL in wanted:
        for one in ranked:
            missing = {target: one.missing(target) for target in one.targets}
            ready = [target for target, what in missing.items() if what is None]
            chosen |= dict.fromkeys(ready if wanted else ready[:1], one)
            hint += "" if ready else "".join(f"; cannot run {target}: {what}" for target, what in missing.items())
    if len(chosen) < 2:
        able = f"only {next(iter(chosen))}" if chosen else "nothing"
        raise Unverifiable(f"a cross-check compares at least two targets, and there is {able}{hint}")
    return chosen
