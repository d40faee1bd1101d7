"""Whether the cross-check catches what it is for: mutants, each with one small change of meaning, put through `verify`.

A mutant is the code of one target with a detail changed (see `support.mutants`).  It goes through the same `verify` as
on the command line, whose processes alone are replaced: a new one for each mutant would take an hour.  PyTorch and the
reference run here, Keras in its resident process; what did not change is computed once.

``make mutants`` writes the table in ``docs/verification.md``.
"""

from __future__ import annotations

import io
import re
import shutil
import traceback
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext, redirect_stderr, redirect_stdout
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from time import monotonic
from typing import Any
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
from cnnspec.verify.exchange import Level, Setting, read_job, read_result
from cnnspec.verify.processes import Ending
from cnnspec.verify.worker import work
from cnnspec_reference.definition import DEFINITIONS, Definition, Given, Result
from support.residents import ResidentError, Residents

DOCS = Path(__file__).parents[2] / "docs" / "verification.md"
BEGIN, END = "<!-- mutants: written by `make mutants` -->\n", "<!-- end of mutants -->\n"

TARGETS = {"torch": "torch", "keras": "keras-tensorflow", "reference": "reference"}
EMITTERS: dict[str, dict[type[Layer], Any]] = {
    "torch": cnnspec_torch.layers.EMITTERS,
    "keras": cnnspec_keras.layers.EMITTERS,
}

EQUAL = 1e-10
"""Smaller differences of outputs in float64 are rounding."""
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


@dataclass(frozen=True, slots=True, eq=False)
class Mutant:
    """One change: in ``backend``, to the layer at ``path`` of a network."""

    name: str
    backend: str
    network: str
    path: str
    change: Misread | Edit | Redefine
    level: Level = "forward"
    """What must be compared to see it."""
    shown_at: str = ""
    """What is named where the change lies between two layers, each of which is right."""

    @property
    def targets(self) -> tuple[str, str]:
        """The reference and the target that changes; PyTorch, where it is the reference that does."""
        return "reference", "torch" if self.backend == "reference" else TARGETS[self.backend]


@dataclass(frozen=True, slots=True)
class Finding:
    """What `verify` says of a mutant, and what others would have said of its outputs."""

    mutant: Mutant
    report: Report
    accepted_by: Mapping[str, bool]

    @property
    def seen_in(self) -> str:
        """The first pass that is not equal in float64; empty where all are."""
        for row in self.report.rows:
            if not row.verdict.ok and row.setting.precision == "float64":
                return row.setting.mode
        wrong = any(not row.comparison.ok and row.setting.precision == "float64" for row in self.report.slopes)
        return "gradients" if wrong else ""

    @property
    def blamed(self) -> str:
        """The first layer that goes wrong by itself; empty where none does."""
        faults = (fault.path for search in self.report.searches.values() for fault in search.faults)
        return next(faults, "")

    @property
    def names_the_layer(self) -> bool:
        """Whether the report names the layer: alone, or among some that the code has in one expression."""
        if self.blamed:
            return self.blamed == self.mutant.path
        told = " ".join(f"{one.message} {one.help}" for one in self.report.diagnostics)
        return re.search(rf"`{re.escape(self.mutant.shown_at or self.mutant.path)}[`.]", told) is not None

    @property
    def output_error(self) -> float:
        """Of the outputs in evaluation, in float64."""
        return next(
            row.verdict.output_error
            for row in self.report.rows
            if row.target != self.report.reference and row.setting == Setting("float64", "evaluation")
        )


class Laboratory:
    """Puts mutants through `verify`, and keeps what they share."""

    def __init__(self, place: Path, residents: Residents) -> None:
        self._place = place
        self._residents = residents
        self._results: dict[tuple[str, ...], Path] = {}
        self._findings: dict[Mutant, Finding] = {}
        self._outputs: dict[str, Any] = {}
        self._changed = ""
        """The change in the definition, which is part of what computes then."""

    def examine(self, mutant: Mutant) -> Finding:
        """Put a mutant through `verify`, once."""
        if mutant not in self._findings:
            with patch("cnnspec.verify.crosscheck.run", self._run):
                report = examine(mutant, self)
            self._findings[mutant] = Finding(mutant, report, self._accepted())
        return self._findings[mutant]

    def unchanged(self, mutant: Mutant) -> Report:
        """The same comparison without the change."""
        with patch("cnnspec.verify.crosscheck.run", self._run):
            return verify(graph_of(mutant.network), targets=mutant.targets, level=mutant.level)

    @contextmanager
    def definition_changed(self, name: str) -> Iterator[None]:
        self._changed = name
        try:
            yield
        finally:
            self._changed = ""

    def _run(
        self,
        folders: Mapping[str, Path],
        timeout: float,
        progress: Callable[[str], None],
        meter: Callable[[Mapping[str, float]], None],
    ) -> dict[str, Ending]:
        """In place of a process for each target."""
        return {target: self._work(target, folder) for target, folder in folders.items()}

    def _work(self, target: str, folder: Path) -> Ending:
        began = monotonic()
        job = read_job(folder)[0]
        searches = job.task != "run"
        # Layers alone are compared with the definition in the target's own process.
        defined = target == "reference" or searches or job.level != "forward"
        given = [(folder / name).read_text(encoding="utf-8") for name in ("job.json", "graph.json", "source.py")]
        key = (target, self._changed if defined else "", *given)
        failure = ""
        if key in self._results:
            shutil.copytree(self._results[key], folder, dirs_exist_ok=True)
        else:
            failure = self._work_in_keras(target, folder) if target.startswith("keras") else work_here(folder)
            if not failure:
                self._results[key] = self._place / str(len(self._results))
                shutil.copytree(folder, self._results[key])
        if not failure and not searches:
            outcomes = read_result(folder).outcomes
            # The reference has no float32.
            found = outcomes.get(Setting("float32", "evaluation")) or outcomes[Setting("float64", "evaluation")]
            self._outputs[target] = found.outputs["output"]
        return Ending(monotonic() - began, "it raised an exception" if failure else "", failure)

    def _work_in_keras(self, target: str, folder: Path) -> str:
        try:
            self._residents.of(target).call(work, folder)
        except ResidentError as error:
            return str(error)
        return ""

    def _accepted(self) -> dict[str, bool]:
        """What usual comparisons of the last two outputs say: in evaluation, in float32."""
        reference, other = self._outputs.pop("reference"), self._outputs.popitem()[1]
        same = {"argmax": bool((reference.argmax(axis=1) == other.argmax(axis=1)).all())}
        return same | {
            name: bool(np.allclose(other, reference, rtol=relative, atol=absolute))
            for name, (relative, absolute) in TOLERANCES.items()
        }


def examine(mutant: Mutant, laboratory: Laboratory | None = None) -> Report:
    """Put a mutant through `verify` with a process for each target, or in a laboratory."""
    graph = graph_of(mutant.network)
    sources = {}
    changed = mutant.name if mutant.backend == "reference" else ""
    with mutated(mutant, graph), laboratory.definition_changed(changed) if laboratory else nullcontext():
        if isinstance(mutant.change, Edit):
            sources[mutant.backend] = edited(backend(mutant.backend).emit(graph, []), mutant.change)
        report = verify(graph, targets=mutant.targets, sources=sources, level=mutant.level)
    # Code that does not run is found by anyone.
    assert not any(target.failure for target in report.targets), report.as_text()
    return report


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


def table(findings: Sequence[Finding]) -> str:
    """The findings in Markdown, with a summary."""
    checks = ("argmax", *TOLERANCES)
    missed = [f"{sum(finding.accepted_by[name] for finding in findings)} ({name})" for name in checks]
    caught = sum(bool(finding.seen_in) and finding.names_the_layer for finding in findings)
    alone = sum(finding.blamed == finding.mutant.path for finding in findings)
    rows = [["change", "layer", "in", "seen in", "outputs off by", *checks]]
    rows.append(["---"] * len(rows[0]))
    for finding in findings:
        mutant = finding.mutant
        kind = next(node.layer.kind for node in graph_of(mutant.network).layers if node.path == mutant.path)
        off = "0" if finding.output_error < EQUAL else f"{finding.output_error:.0e}"
        accepted = ["**misses**" if finding.accepted_by[name] else "sees" for name in checks]
        rows.append([mutant.name, f"`{kind}`", TARGETS[mutant.backend], finding.seen_in, off, *accepted])
    return (
        f"Of {len(findings)} mutants `verify` catches {caught} and names the layer: {alone} times as the first that is"
        " wrong by itself, otherwise by\nits state, or with neighbours that the code has in one expression."
        f" The other checks miss: {', '.join(missed)}.\n\n" + "".join(f"| {' | '.join(cells)} |\n" for cells in rows)
    )


def documented() -> str:
    """The table in the documentation."""
    return DOCS.read_text(encoding="utf-8").partition(BEGIN)[2].partition(END)[0]


def without_numbers(text: str) -> str:
    """The table without the errors, whose last digits depend on the machine."""
    return re.sub(r"\| (0|\de[+-]\d\d) \|", "| |", text)


def write(text: str) -> None:
    """Put a table into the documentation, in place of the one there."""
    before, _, rest = DOCS.read_text(encoding="utf-8").partition(BEGIN)
    DOCS.write_text(f"{before}{BEGIN}{text}{END}{rest.partition(END)[2]}", encoding="utf-8")
