"""Whether the cross-check catches what it is for: mutants, each with one small change of meaning, put through `verify`.

A mutant is the code of one target with a detail changed (see `support.mutants`).  It goes through the same `verify` as
on the command line, whose processes alone are replaced: a new one for each mutant would take an hour.  PyTorch and the
reference run here, Keras in one process for all mutants; what did not change is computed once.

As a command (``make mutants``) it writes the table in ``docs/verification.md``.
"""

from __future__ import annotations

import io
import re
import shutil
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import dataclass, field, replace
from functools import cache
from pathlib import Path
from time import monotonic
from typing import Any, NoReturn
from unittest.mock import patch

import numpy as np

import cnnspec
import cnnspec_keras.layers
import cnnspec_reference.evaluation  # noqa: F401 - it registers the definitions
import cnnspec_torch.layers
from cnnspec.backend import backend
from cnnspec.codegen.emission import Emission, Place
from cnnspec.graph import Graph
from cnnspec.layers.base import Layer
from cnnspec.verify import Report, verify
from cnnspec.verify.exchange import Setting, read_result
from cnnspec.verify.processes import Ending
from cnnspec.verify.report import Row
from cnnspec.verify.worker import work
from cnnspec_reference.definition import DEFINITIONS, Definition, Given, Result

DOCS = Path(__file__).parents[2] / "docs" / "verification.md"
BEGIN, END = "<!-- mutants: written by `make mutants` -->\n", "<!-- end of mutants -->\n"

TARGETS = {"torch": "torch", "keras": "keras-tensorflow", "reference": "reference"}
EMITTERS: dict[str, dict[type[Layer], Any]] = {
    "torch": cnnspec_torch.layers.EMITTERS,
    "keras": cnnspec_keras.layers.EMITTERS,
}

TOLERANCES = {
    "NNSmith": (1e-2, 1e-3),
    "nobuco, onnx2tf": (0.0, 1e-4),
    "ONNX": (1e-3, 1e-7),
}
"""Relative and absolute, as in `numpy.allclose`, with which these compare outputs unless told otherwise."""


@dataclass(frozen=True, slots=True)
class Misread:
    """The backend reads arguments of the layer wrong: it takes these in place of those in the spec."""

    arguments: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Edit:
    """The backend writes other code: one pattern is replaced, and definitions are put after the imports."""

    pattern: str
    replacement: str
    definitions: str = ""


@dataclass(frozen=True, slots=True)
class Redefine:
    """The reference computes the layer by another function, which is given the right one."""

    function: Callable[[Definition, Layer, Given], Result]


@dataclass(frozen=True, slots=True)
class Mutant:
    """One change: in ``backend``, to the layer at ``path`` of a network."""

    name: str
    backend: str
    network: str
    path: str
    change: Misread | Edit | Redefine
    level: str = "forward"
    """What must be compared to see it."""


@dataclass(frozen=True, slots=True)
class Finding:
    """What `verify` says of a mutant, and what others would have said of its outputs."""

    mutant: Mutant
    report: Report
    accepted_by: Mapping[str, bool]

    @property
    def row(self) -> Row | None:
        """The first comparison that fails."""
        return next((row for row in self.report.rows if not row.verdict.ok), None)

    @property
    def named(self) -> tuple[str, ...]:
        """The layer that is named, and those before it that cannot be seen, of which one may be at fault."""
        if self.row is None or self.row.verdict.divergence is None:
            return ()
        found = self.row.verdict.divergence
        return found.node.path, *(look.path for look in found.inputs if look.error is None)

    @property
    def output_error(self) -> float:
        """Of the outputs in evaluation, in float64."""
        return next(
            row.verdict.output_error
            for row in self.report.rows
            if row.target != self.report.reference and row.setting == Setting("float64", "evaluation")
        )


class KerasProcess:
    """One process that does the jobs of all mutants."""

    _PROGRAM = """
import sys, traceback
from pathlib import Path
from cnnspec.verify.worker import work

answers, sys.stdout = sys.stdout, sys.stderr
for line in sys.stdin:
    try:
        work(Path(line.strip()))
        print("done", file=answers, flush=True)
    except Exception:
        print(repr(traceback.format_exc()), file=answers, flush=True)
"""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-P", "-c", self._PROGRAM],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )

    def work(self, folder: Path) -> str:
        """Do the job in the folder; the traceback, if it fails."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        print(folder, file=self._process.stdin, flush=True)
        answer = self._process.stdout.readline().strip()
        return "" if answer == "done" else answer or "the process of Keras ended"

    def close(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        self._process.wait()


class Laboratory:
    """Puts mutants through `verify`, and keeps what they share."""

    def __init__(self, place: Path) -> None:
        self._place = place
        self._keras = KerasProcess()
        self._results: dict[tuple[str, ...], Path] = {}
        self._outputs: dict[str, dict[str, Any]] = {}
        self._mutant = ""

    def close(self) -> None:
        self._keras.close()

    def examine(self, mutant: Mutant) -> Finding:
        """Put a mutant through `verify`, against the reference; a mutant of the reference, against PyTorch."""
        graph = graph_of(mutant.network)
        sources = {}
        with mutated(mutant, graph):
            if isinstance(mutant.change, Edit):
                sources[mutant.backend] = edited(backend(mutant.backend).emit(graph, []), mutant.change)
            self._mutant = mutant.name if mutant.backend == "reference" else ""
            target = "torch" if mutant.backend == "reference" else TARGETS[mutant.backend]
            report = self.verify(graph, ["reference", target], sources)
        assert not any(one.failure for one in report.targets), report.as_text()
        return Finding(mutant, report, self._accepted(graph))

    def verify(self, graph: Graph, targets: Sequence[str], sources: Mapping[str, str] | None = None) -> Report:
        with patch("cnnspec.verify.crosscheck.run", self._run):
            return verify(graph, targets=targets, sources=sources)

    def _run(self, folders: Mapping[str, Path], timeout: float, progress: Callable[[str], None]) -> dict[str, Ending]:
        """In place of a process for each target."""
        return {target: self._work(target, folder) for target, folder in folders.items()}

    def _work(self, target: str, folder: Path) -> Ending:
        began = monotonic()
        changed = self._mutant if target == "reference" else ""
        key = (target, changed, *((folder / name).read_text("utf-8") for name in ("job.json", "graph.json", "source.py")))
        failure = ""
        if key in self._results:
            shutil.copytree(self._results[key], folder, dirs_exist_ok=True)
        else:
            failure = self._keras.work(folder) if target.startswith("keras") else work_here(folder)
            if not failure:
                self._results[key] = self._place / str(len(self._results))
                shutil.copytree(folder, self._results[key])
        if not failure:
            self._outputs[target] = read_result(folder).outcomes[Setting("float32", "evaluation")].outputs
        return Ending(monotonic() - began, "it raised an exception" if failure else "", failure)

    def _accepted(self, graph: Graph) -> dict[str, bool]:
        """What usual comparisons of outputs say: in evaluation, in float32."""
        (name,) = (port.name for port in graph.outputs)
        (_, reference), (_, other) = ((target, outputs[name]) for target, outputs in self._outputs.items())
        self._outputs.clear()
        same = {"argmax": bool((reference.argmax(axis=1) == other.argmax(axis=1)).all())}
        return same | {
            name: bool(np.allclose(other, reference, rtol=relative, atol=absolute))
            for name, (relative, absolute) in TOLERANCES.items()
        }


def work_here(folder: Path) -> str:
    """Do the job in this process; the traceback, if it fails."""
    try:
        with redirect_stdout(io.StringIO()), redirect_stderr(io.StringIO()):
            work(folder)
    except Exception:
        return traceback.format_exc()
    return ""


@cache
def graph_of(network: str) -> Graph:
    return cnnspec.loads(network)


@contextmanager
def mutated(mutant: Mutant, graph: Graph) -> Iterator[None]:
    """The backend with the change, where it is one of its functions and not of the text that they write."""
    (layer,) = (node.layer for node in graph.layers if node.path == mutant.path)
    kind, change = type(layer), mutant.change
    if isinstance(change, Edit):
        yield
    elif mutant.backend == "reference":
        with patch.dict(DEFINITIONS, {kind: _misdefined(DEFINITIONS[kind], layer, change)}):
            yield
    else:
        assert isinstance(change, Misread)
        table = EMITTERS[mutant.backend]
        with patch.dict(table, {kind: _misread(table[kind], mutant.path, change)}):
            yield


def _misdefined(definition: Definition, which: Layer, change: Misread | Redefine) -> Definition:
    def other(layer: Layer, given: Given) -> Result:
        if layer != which:
            return definition(layer, given)
        if isinstance(change, Misread):
            return definition(layer.model_copy(update=dict(change.arguments)), given)
        return change.function(definition, layer, given)

    return other


def _misread(emitter: Callable[[Sequence[Place]], list[Emission]], path: str, change: Misread) -> Any:
    def alter(place: Place) -> Place:
        if place.node.path != path:
            return place
        layer = place.node.layer.model_copy(update=dict(change.arguments))
        return replace(place, node=place.node.model_copy(update={"layer": layer}))

    return lambda places: emitter([alter(place) for place in places])


def edited(source: str, edit: Edit) -> str:
    """The source with the change; the pattern must be there, once or more."""
    text, count = re.subn(edit.pattern, edit.replacement, source)
    assert count, f"nothing matches {edit.pattern!r} in\n{source}"
    assert text != source, f"{edit.pattern!r} changes nothing"
    if edit.definitions:
        text, count = re.subn(r"\n\n\n", "\n\n\n" + edit.definitions.replace("\\", r"\\") + "\n\n", text, count=1)
        assert count
    return text


@dataclass(slots=True)
class Table:
    """The findings as a Markdown table."""

    findings: list[Finding] = field(default_factory=list)

    def lines(self, *, numbers: bool = True) -> list[str]:
        """All rows; without ``numbers``, those that must be the same on every machine."""
        checks = ("argmax", *TOLERANCES)
        head = ["change", "in", "layer", "first seen in", "outputs off by", *checks]
        rows = [head, ["---"] * len(head)]
        for finding in self.findings:
            mutant, row = finding.mutant, finding.row
            assert row is not None
            accepted = ["misses" if finding.accepted_by[name] else "sees" for name in checks]
            error = finding.output_error
            small = "0" if error < 1e-10 else f"{error:.0e}"
            seen = row.setting.mode if mutant.level == "forward" else mutant.level
            layer = type(graph_of(mutant.network).node(mutant.path).layer).kind if False else finding.kind
            rows.append(
                [mutant.name, TARGETS[mutant.backend], f"`{layer}`", seen, small if numbers else "", *accepted]
            )
        return [f"| {' | '.join(cells)} |" for cells in rows]


def main() -> NoReturn:
    raise SystemExit


if __name__ == "__main__":
    main()
