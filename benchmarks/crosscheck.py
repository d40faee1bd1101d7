"""Every network of the zoo at level ``train`` on every target: the table in ``docs/verification.md``.

Networks run at the smallest size at which every position of every kernel meets the map, one after the other, small
ones first.  Results are kept in ``benchmarks/crosscheck.json`` as they come, by network and target: a run that was
stopped goes on where it was, on another machine too.  Where code or specs have changed since, ``--again`` begins anew.

    python benchmarks/crosscheck.py                      all that is not there yet
    python benchmarks/crosscheck.py --targets reference,torch,keras-jax
    python benchmarks/crosscheck.py lenet5 resnet18      these, again
    python benchmarks/crosscheck.py --list               what would run, at which size
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from cnnspec import api, loading, zoo
from cnnspec.backend import backends
from cnnspec.diagnostics import SpecError
from cnnspec.graph import Graph
from cnnspec.layers.base import Window
from cnnspec.shapes import Shape, Symbolic
from cnnspec.verify import Report, verify
from cnnspec.verify.exchange import Level
from cnnspec.verify.report import Target

ROOT = Path(__file__).parents[1]
RESULTS = ROOT / "benchmarks" / "crosscheck.json"
CACHE = ROOT / "build" / "jax"
"""Where JAX keeps what it compiled: networks of a family share most of it."""
DOCS = ROOT / "docs" / "verification.md"
BEGIN, END = "<!-- zoo: written by `make crosscheck` -->\n", "<!-- end of zoo -->\n"

STEP = 32
"""Sizes that are tried are multiples of it."""
MOST_TOGETHER = 60_000_000
"""The targets of networks with more weights run one at a time: training keeps a dozen copies of them in float64."""
MOST_TRAINED = 150_000_000
"""Networks with more are compared at level ``gradient``, which keeps half as many."""
MOST_WEIGHTS = 400_000_000
"""Networks with more are left out: they need more than 32 GB."""
TIMEOUT = 3600.0


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("networks", nargs="*", help="names in the zoo; by default all without a result")
    parser.add_argument("--again", action="store_true", help="forget the results there are")
    parser.add_argument("--list", action="store_true", help="say what would run")
    parser.add_argument("--targets", help="names with commas between; by default all that are installed")
    parser.add_argument("--minutes", type=float, help="begin nothing after so many")
    chosen = parser.parse_args()
    os.environ.setdefault("JAX_COMPILATION_CACHE_DIR", str(CACHE))
    os.environ.setdefault("JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS", "0")
    names = [name.lower() for name in chosen.networks] or list(zoo.models())
    if chosen.again and not chosen.list:
        RESULTS.unlink(missing_ok=True)
    targets = chosen.targets.split(",") if chosen.targets else everything()
    wanted = {target for target in targets if target not in definitions()}
    graphs = {name: smallest(name) for name in names}
    for name in [name for name in graphs if graphs[name].params > MOST_WEIGHTS]:
        print(f"{name} is too large: {graphs.pop(name).params:,} weights")

    def lacks(name: str) -> bool:
        found = results().get(name, {}).get("targets", {})
        return bool(chosen.networks) or not wanted <= {target for target, its in found.items() if not its["failure"]}

    waiting = sorted(filter(lacks, graphs), key=lambda name: work_of(graphs[name]))
    if chosen.list:
        for name in waiting:
            print(f"{name:28}{size_of(graphs[name]):>14}{graphs[name].params:>14,}{level_of(graphs[name]):>10}")
        return
    began = time.monotonic()
    failed = []
    for number, name in enumerate(waiting, 1):
        if chosen.minutes is not None and time.monotonic() - began > 60 * chosen.minutes:
            print(f"{len(waiting) - number + 1} networks are left")
            break
        # Another run may have come first.
        if not lacks(name):
            continue
        with cores_for(graphs[name]):
            one = check(name, graphs[name], targets)
        keep(name, one)
        wrong = [target for target, found in one["targets"].items() if not found["ok"]]
        failed += [name] if wrong else []
        print(
            f"{number} of {len(waiting)}: {name} {'FAILS on ' + ', '.join(wrong) if wrong else 'agrees'},"
            f" {sum(found['seconds'] for found in one['targets'].values()):.0f} s",
            flush=True,
        )
    print(
        f"{len(results())} of {len(zoo.models())} networks are in the table; failed now: {', '.join(failed) or 'none'}"
    )
    sys.exit(bool(failed))


def everything() -> list[str]:
    """Every target that can run."""
    return [target for one in backends().values() for target in one.targets if one.missing(target) is None]


def definitions() -> list[str]:
    """The targets that evaluate the definition: what all others are compared with."""
    return [target for one in backends().values() for target in one.targets if not one.emits]


def results() -> dict[str, Any]:
    """What is known so far, by network."""
    found: dict[str, Any] = json.loads(RESULTS.read_text(encoding="utf-8")) if RESULTS.exists() else {}
    return found


def keep(name: str, one: dict[str, Any]) -> None:
    """Add the results of a network to those there are, and write the table."""
    found = results()
    earlier = found.get(name, {}).get("targets", {})
    found[name] = one | {"targets": earlier | one["targets"]}
    # A line for each, so that a difference shows what ran.
    lines = [f"{json.dumps(key)}: {json.dumps(found[key])}" for key in zoo.models() if key in found]
    RESULTS.write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    write(table(found))


def smallest(name: str) -> Graph:
    """A network at the smallest square maps that exercise it, at most at those of its spec."""
    usual = api.load(name)
    shapes = {port.name: usual.shape(port.value) for port in usual.inputs}
    largest = max((size for shape in shapes.values() for size in shape[1:] if isinstance(size, int)), default=0)
    symbolic = any(isinstance(size, Symbolic) for shape in shapes.values() for size in shape)
    for size in range(STEP, max(largest, 512 if symbolic else 0), STEP):
        try:
            graph = api.load(name, inputs={port: resized(shape, size) for port, shape in shapes.items()})
        except SpecError:
            continue
        if exercised(graph):
            return graph
    return usual


def resized(shape: Shape, size: int) -> Shape:
    """The shape with maps of this size; vectors stay."""
    return (shape[0], *(size for _ in shape[1:]))


def exercised(graph: Graph) -> bool:
    """Whether every position of every window lies inside the map at some place."""
    return all(
        any(0 <= place * stride + offset * dilation - before < size for place in range(count))
        for size, kernel, stride, dilation, before, count in windows(graph)
        for offset in range(kernel)
    )


def windows(graph: Graph) -> Iterator[tuple[int, int, int, int, int, int]]:
    """Of each window along each axis: input size, kernel, stride, dilation, padding before, output size."""
    for node in graph.layers:
        window = node.layer.window(*map(graph.shape, node.inputs))
        if isinstance(window, Window) and not window.upscale:
            sizes, counts = graph.shape(node.inputs[0])[1:], graph.shape(node.outputs[0])[1:]
            for size, *at, count in zip(
                sizes, window.kernel, window.stride, window.dilation, window.pad, counts, strict=True
            ):
                if isinstance(size, int) and isinstance(count, int):
                    yield (size, *at, count)


@contextmanager
def cores_for(graph: Graph) -> Iterator[None]:
    """One core for what is too large for two processes at a time: `verify` runs as many as there are cores."""
    cores = os.sched_getaffinity(0)
    if graph.params > MOST_TOGETHER:
        os.sched_setaffinity(0, {min(cores)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, cores)


def work_of(graph: Graph) -> int:
    """What orders networks by their time, roughly."""
    return (graph.macs if isinstance(graph.macs, int) else 0) + 100 * graph.params


def size_of(graph: Graph) -> str:
    return ", ".join("x".join(map(str, graph.shape(port.value))) for port in graph.inputs)


def level_of(graph: Graph) -> Level:
    return "gradient" if graph.params > MOST_TRAINED else "train"


def check(name: str, graph: Graph, targets: list[str]) -> dict[str, Any]:
    """The numbers of one network, as plain data."""
    report = verify(graph, probes_of(name, graph), targets=targets, level=level_of(graph), timeout=TIMEOUT)
    if not report.ok:
        print(report.as_text(), flush=True)
    return {
        "size": size_of(graph),
        "params": graph.params,
        "layers": report.layers,
        "level": report.level,
        "targets": {target.name: result_of(report, target) for target in report.targets},
    }


def result_of(report: Report, target: Target) -> dict[str, Any]:
    """What is kept of a target.  One with code agrees where the definition does, too, with its own differences."""
    own = {target.name, report.reference}
    only = replace(
        report,
        targets=tuple(one for one in report.targets if one.name in own),
        rows=tuple(row for row in report.rows if row.target in own),
        slopes=tuple(row for row in report.slopes if row.target in own),
        courses=tuple(row for row in report.courses if row.target in own),
        singles={name: found for name, found in report.singles.items() if name in own},
    )
    return {
        "ok": only.ok,
        "seconds": round(target.seconds, 1),
        "failure": target.failure,
        "versions": target.versions,
        "errors": {kind: float(f"{error:.3g}") for kind, error in errors_of(only).items()},
        "excused": sum(len(row.verdict.excused) for row in only.rows)
        + sum(len(row.comparison.excused) for row in (*only.slopes, *only.courses)),
    }


def probes_of(name: str, graph: Graph) -> list[Graph]:
    """The probes of a network, as for compiling it."""
    inputs = {port.name: graph.shape(port.value) for port in graph.inputs}
    return api.load_for_compiling(loading.find(name), inputs=inputs)[1]


def errors_of(report: Report) -> dict[str, float]:
    """The largest error of each kind, on any target but the reference."""

    def worst(errors: Iterator[float]) -> float:
        return max(errors, default=0.0)

    others = [row for row in report.rows if row.target != report.reference]
    slopes = [row for row in report.slopes if row.target != report.reference]
    courses = [row for row in report.courses if row.target != report.reference]
    singles = [one for found in report.singles.values() for one in found]
    return {
        "forward64": worst(
            max(row.verdict.output_error, row.verdict.layer_error, row.verdict.state_error)
            for row in others
            if row.precision == "float64"
        ),
        "gradients64": worst(
            max(row.comparison.errors.values(), default=0.0) for row in slopes if row.precision == "float64"
        ),
        "steps64": worst(
            max(row.comparison.errors.values(), default=0.0) for row in courses if row.precision == "float64"
        ),
        "forward32": worst(
            max(row.verdict.output_error, row.verdict.state_error) for row in others if row.precision == "float32"
        ),
        "layers32": worst(one.output for one in singles),
        "gradients32": worst(error for one in singles for error in one.gradients.values()),
        "step32": worst(error for one in singles for error in one.steps.values()),
    }


def table(found: Mapping[str, Any]) -> str:
    """The results in Markdown, in the order of the zoo."""
    known = [(name, found[name]) for name in zoo.models() if name in found]
    ran = {name: {target for target in one["targets"] if target not in definitions()} for name, one in known}
    emitting = [target for one in backends().values() for target in one.targets if one.emits]
    versions = {
        name: of for _, one in known for target in one["targets"].values() for name, of in target["versions"].items()
    }
    seconds = sum(target["seconds"] for _, one in known for target in one["targets"].values())
    on = {target: [name for name in ran if target in ran[name]] for target in emitting}
    file_of = {name: network.path for name, network in zoo.models().items()}
    files = len(set(file_of.values()))
    counts = ", ".join(
        f"`{target}` {len(names)} (of {len({file_of[name] for name in names})} files)" for target, names in on.items()
    )
    agreeing = sum(all(target["ok"] for target in one["targets"].values()) for _, one in known)
    lines = [
        f"{len(known)} of {len(zoo.models())} networks, from {files} files, ran, and {agreeing} agree on every target"
        f" they ran on: {counts}."
        f" Errors are the largest on any target, in any tensor or layer, against `reference`."
        f" {', '.join(f'{name} {version}' for name, version in sorted(versions.items()))};"
        f" {seconds / 3600:.1f} hours of one core.",
        "",
        "| network | input | layers | level | forward | gradients | 5 steps | forward, float32 |"
        " layer alone, float32: output | gradients | one step | agrees | s |",
        "| --- " * 13 + "|",
    ]
    starred = False
    for name, one in known:
        targets = one["targets"].values()
        wrong = [target for target, its in one["targets"].items() if not its["ok"]]
        agrees = f"**not on {', '.join(wrong)}**" if wrong else "yes"
        if len(ran[name]) < len(emitting):
            agrees += f", without {', '.join(target for target in emitting if target not in ran[name])}"
        if any(its["excused"] for its in targets):
            agrees += "*"
            starred = True
        errors = {kind: max(its["errors"][kind] for its in targets) for kind in next(iter(targets))["errors"]}
        numbers = [f"{error:.0e}" if error else "0" for error in errors.values()]
        if one["level"] != "train":
            numbers[2] = "-"
        lines.append(
            f"| {name} | {one['size']} | {one['layers']} | {one['level']} | {' | '.join(numbers)} | {agrees} |"
            f" {sum(its['seconds'] for its in targets):.0f} |"
        )
    if starred:
        lines += [
            "",
            "\\* with arrays that were judged by what rounding makes of them, most of which are zero but for it.",
        ]
    return "\n".join([*lines, ""])


def write(text: str) -> None:
    """Put the table into the documentation, in place of the one there."""
    before, _, rest = DOCS.read_text(encoding="utf-8").partition(BEGIN)
    DOCS.write_text(f"{before}{BEGIN}{text}{END}{rest.partition(END)[2]}", encoding="utf-8")


if __name__ == "__main__":
    main()
