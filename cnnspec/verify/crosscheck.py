"""``cnnspec verify``: the same network, weights and inputs on every target, compared."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from cnnspec.backend import Backend, backends
from cnnspec.diagnostics import nearest
from cnnspec.graph import Graph
from cnnspec.shapes import Symbolic, show
from cnnspec.verify.comparison import judge
from cnnspec.verify.exchange import SETTINGS, Job, read_result, write_job
from cnnspec.verify.processes import run
from cnnspec.verify.report import Report, Row, Target

SMALLEST_BATCH = 2


class Unverifiable(Exception):
    """The cross-check cannot begin; says what is missing."""


def verify(
    graph: Graph,
    probes: Sequence[Graph] = (),
    *,
    targets: Sequence[str] | None = None,
    sources: Mapping[str, str] | None = None,
    seed: int = 0,
    batch: int = 3,
    timeout: float = 600.0,
    progress: Callable[[str], None] | None = None,
) -> Report:
    """Run a network on several targets, each in a process of its own, and compare all of them with the first.

    ``targets`` are names such as ``keras-jax``; left out, the first one of each installed backend that can run, those
    before all others that have no code and evaluate the network by definition.
    ``sources`` has source to check in place of what a backend would emit, by the backend's name.  ``timeout`` is for
    each target, in seconds.  ``progress`` is told in words what happens.

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
    chosen = _choose(targets)
    emitted = {
        one.name: sources[one.name] if sources and one.name in sources else one.emit(graph, probes)
        for one in dict.fromkeys(chosen.values())
    }
    with tempfile.TemporaryDirectory(prefix="cnnspec-verify-") as place:
        folders: dict[str, Path] = {}
        for number, (target, one) in enumerate(chosen.items()):
            folders[target] = Path(place) / str(number)
            folders[target].mkdir()
            write_job(folders[target], Job(one.name, target, seed, batch), graph, emitted[one.name])
        endings = run(folders, timeout, progress or (lambda _: None))
        results = {target: read_result(folders[target]) for target, ending in endings.items() if not ending.failure}
    rows: list[Row] = []
    if results:
        reference = next(iter(results.values()))
        rows = [
            Row(target, setting, judge(graph, setting, batch, reference.outcomes[setting], result.outcomes[setting]))
            for target, result in results.items()
            for setting in SETTINGS
        ]
    return Report(
        model=graph.name,
        reference=next(iter(results), ""),
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
            )
            for target, ending in endings.items()
        ),
        rows=tuple(rows),
        layers=len(graph.layers),
        sources=graph.sources,
    )


def _choose(wanted: Sequence[str] | None) -> dict[str, Backend]:
    """The backend of every target to run, in the order asked for."""
    owners = {target: one for one in backends().values() for target in one.targets}
    if wanted is None:
        chosen: dict[str, Backend] = {}
        absent = {}
        # What evaluates the definition itself goes first, and so is what the others are compared with.
        for one in sorted(backends().values(), key=lambda one: one.emits):
            missing = {target: one.missing(target) for target in one.targets}
            ready = [target for target, what in missing.items() if what is None]
            if ready:
                chosen[ready[0]] = one
            else:
                absent.update(missing)
        hint = "".join(f"; cannot run {target}: {what}" for target, what in absent.items())
    else:
        for target in wanted:
            if target not in owners:
                near = nearest(target, owners)
                raise Unverifiable(
                    f"there is no target `{target}`; "
                    + (f"did you mean `{near[0]}`?" if near else f"known: {', '.join(owners)}")
                )
            what = owners[target].missing(target)
            if what is not None:
                raise Unverifiable(f"cannot run {target}: {what}")
        chosen = {target: owners[target] for target in wanted}
        hint = ""
    if len(chosen) < 2:
        able = f"only {next(iter(chosen))}" if chosen else "nothing"
        raise Unverifiable(f"a cross-check compares at least two targets, and there is {able}{hint}")
    return chosen
