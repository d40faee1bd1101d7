"""The report of a cross-check, as data, as text and as JSON."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from math import isfinite
from operator import itemgetter
from typing import Any

from cnnspec.backend import Precision
from cnnspec.diagnostics import Diagnostic, render
from cnnspec.graph import Graph
from cnnspec.shapes import show
from cnnspec.verify.comparison import (
    ALLOWANCE,
    DIRECTION_GATE,
    GATES,
    GRADIENT_ALLOWANCE,
    INEXACT_GATE,
    SINGLE_GATE,
    SINGLE_STEP_GATE,
    STEP_GATE,
    Comparison,
    Divergence,
    Verdict,
)
from cnnspec.verify.exchange import OUTPUT, SETTINGS, Course, Direction, Level, Search, Setting, Single
from cnnspec.weights import known

PROBLEMS = 10
"""How many lines of them are shown."""


@dataclass(frozen=True, slots=True)
class Target:
    """A target that took part: ``failure`` says how its process ended if not well, ``log`` is what it wrote last.

    ``source_hash`` is the SHA-256 of its code; empty where it has none.
    """

    name: str
    versions: dict[str, str]
    seconds: float
    failure: str = ""
    log: str = ""
    source_hash: str = ""


@dataclass(frozen=True, slots=True)
class Unfinished:
    """A look into a disagreement that its process did not end: ``what`` was to be done, and the rest as of `Target`."""

    what: str
    failure: str
    log: str

    @property
    def message(self) -> str:
        return f"could not {self.what}: {self.failure}"


@dataclass(frozen=True, slots=True)
class Row:
    """One target in one setting, against the reference."""

    target: str
    setting: Setting
    verdict: Verdict

    @property
    def precision(self) -> Precision:
        return self.setting.precision


@dataclass(frozen=True, slots=True)
class SizeRow:
    """One target in evaluation at another size of the inputs, one sample in float64, against the reference there."""

    target: str
    graph: Graph
    verdict: Verdict

    @property
    def setting(self) -> Setting:
        return Setting("float64", "evaluation")

    @property
    def inputs(self) -> dict[str, tuple[int, ...]]:
        """The shapes of the inputs by name."""
        return {port.name: known(self.graph.shape(port.value)) for port in self.graph.inputs}

    @property
    def size(self) -> str:
        """Those as words."""
        return ", ".join(map(show, self.inputs.values()))


@dataclass(frozen=True, slots=True)
class SlopeRow:
    """One target's gradients in one setting, against the reference's."""

    target: str
    setting: Setting
    comparison: Comparison

    @property
    def precision(self) -> Precision:
        return self.setting.precision


@dataclass(frozen=True, slots=True)
class CourseRow:
    """One target's steps of training, against the reference's."""

    target: str
    course: Course
    comparison: Comparison

    @property
    def precision(self) -> Precision:
        return self.course.precision


@dataclass(frozen=True, slots=True)
class Table:
    """Lines of cells, the first one of headings, under a title."""

    title: str
    lines: tuple[tuple[str, ...], ...]


@dataclass(frozen=True, slots=True)
class Report:
    """What a cross-check found.

    ``reference`` is the target that all are compared with; empty where none ran.  ``yardstick`` is the one in whose
    float32 rounding that of the others is told; empty where it did not run.  ``definition`` is the backend whose inputs
    the layers were given in ``searches``, which are by target, and which ``singles`` are compared with.  ``steps`` of
    training count at level ``train``.
    """

    model: str
    reference: str
    definition: str
    yardstick: str
    level: Level
    steps: int
    exact_training: bool
    seed: int
    batch: int
    seconds: float
    targets: tuple[Target, ...]
    rows: tuple[Row, ...]
    slopes: tuple[SlopeRow, ...]
    courses: tuple[CourseRow, ...]
    directions: tuple[tuple[str, Direction], ...]
    singles: Mapping[str, tuple[Single, ...]]
    searches: Mapping[str, Search]
    unfinished: tuple[Unfinished, ...]
    graph: Graph
    sizes: tuple[SizeRow, ...] = ()
    why_no_sizes: str = ""
    """Why the network was compared at no other size of its inputs."""

    @property
    def ok(self) -> bool:
        """Whether every target ran and agrees with the reference."""
        return (
            not any(target.failure for target in self.targets)
            and all(row.verdict.ok for row in self.rows)
            and all(size.verdict.ok for size in self.sizes)
            and all(row.comparison.ok for row in self.compared)
            and all(one.error <= DIRECTION_GATE for _, one in self.directions)
            and not any(map(wrong_of, (one for singles in self.singles.values() for one in singles)))
        )

    @property
    def compared(self) -> tuple[SlopeRow | CourseRow, ...]:
        """What there is besides forward passes."""
        return (*self.slopes, *self.courses)

    @property
    def layers(self) -> int:
        """How many layers the network has."""
        return len(self.graph.layers)

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """For each target that disagrees, the layer at fault, then the first place where a whole pass shows it.

        Where the reference itself fails, that comes alone: what differs from it says nothing then.
        """
        first: dict[str, Row] = {}
        for row in self.rows:
            if not row.verdict.ok:
                first.setdefault(row.target, row)
        if self.reference in first:
            worst = first[self.reference]
            return (self._diagnostic(worst, worst.verdict.divergence),) if worst.verdict.divergence else ()
        found: list[Diagnostic] = []
        for target in self.targets:
            search = self.searches.get(target.name, Search((), ()))
            if search.faults:
                found.append(self._alone(target.name, search))
            guilty = first.get(target.name)
            if guilty is not None and guilty.verdict.divergence is not None:
                found.append(self._diagnostic(guilty, guilty.verdict.divergence))
            if not search.faults:
                if guilty is None or guilty.precision == "float32":
                    # Gradients in float32 follow from a pass that is wrong in it.
                    rows = [row for row in self.slopes if guilty is None or row.precision == "float64"]
                    found += self._backwards(target.name, search, rows)
                found += self._rounded(target.name)
            if guilty is None:
                found += self._resized(target.name)
        return tuple(found)

    def _resized(self, target: str) -> list[Diagnostic]:
        """The first place where a pass at another size is wrong."""
        for row in self.sizes:
            if row.target == target and row.verdict.divergence is not None:
                return [self._diagnostic(row, row.verdict.divergence)]
        return []

    def _rounded(self, target: str) -> list[Diagnostic]:
        """The first layer that is wrong in float32 alone."""
        wrong = [one for one in self.singles.get(target, ()) if wrong_of(one)]
        if not wrong:
            return []
        first, others = wrong[0], list(dict.fromkeys(one.path for one in wrong[1:] if one.path != wrong[0].path))
        node = next(node for node in self.graph.layers if node.path == first.path)
        more = f"; so are {', '.join(f'`{path}`' for path in others[:PROBLEMS])}" if others else ""
        return [
            Diagnostic(
                "targets-disagree",
                f"{target} has `{first.path}` wrong in float32 alone ({first.mode})",
                node.span,
                label=", ".join(
                    f"{_off(what, error)}, and the gate is {gate:.0e}"
                    for what, (error, gate) in wrong_of(first).items()
                ),
                help=f"it was given inputs without rounding errors that keep away from kinks{more}",
            )
        ]

    def _alone(self, target: str, search: Search) -> Diagnostic:
        """The first layer that goes wrong by itself."""
        path = search.faults[0].path
        faults = [fault for fault in search.faults if fault.path == path and fault.mode == search.faults[0].mode]
        others = list(dict.fromkeys(fault.path for fault in search.faults if fault.path != path))
        node = next(node for node in self.graph.layers if node.path == path)
        gate = GATES[Setting("float64", faults[0].mode)]
        help = f"it was given the inputs that {self.definition} computed, so that no other layer can be at fault"
        if others:
            named = ", ".join(f"`{other}`" for other in others[:PROBLEMS])
            more = f" and {len(others) - PROBLEMS} more" if len(others) > PROBLEMS else ""
            help += f"; wrong alone are also {named}{more}"
        return Diagnostic(
            "targets-disagree",
            f"{target} has `{path}` wrong by itself (float64, {faults[0].mode})",
            node.span,
            label=f"{', '.join(_off(fault.what, fault.error) for fault in faults)}; the gate is {gate:.0e}",
            help=help,
        )

    def _backwards(self, target: str, search: Search, rows: Iterable[SlopeRow]) -> list[Diagnostic]:
        """Where the gradients part, seen from the outputs, though every layer that can be run alone is right."""
        for row in rows:
            wrong = set(row.comparison.wrong)
            if row.target != target or not wrong:
                continue
            unseen = ", ".join(f"`{path}`" for path in search.unseen[:PROBLEMS])
            for node in reversed(self.graph.layers):
                for key in (node.key(weight) for weight in node.weights):
                    if key in wrong:
                        return [
                            Diagnostic(
                                "targets-disagree",
                                f"{target} and {self.reference} disagree about the gradients from `{key}` back"
                                f" ({row.precision}, {row.setting.mode})",
                                node.span,
                                label=f"its gradient is off by {row.comparison.errors[key]:.1e}, and the gate is"
                                f" {row.comparison.gate_of(key):.0e}",
                                help=f"what is at fault is this layer, or one behind it that could not be run alone:"
                                f" {unseen}"
                                if unseen
                                else "",
                            )
                        ]
        return []

    def _diagnostic(self, row: Row | SizeRow, found: Divergence) -> Diagnostic:
        subject = f"the result of this `{found.node.layer.kind}`"
        if found.output:
            what, subject = f"the output `{found.output}`, made by `{found.node.path}`", "the output"
        elif found.key:
            what = subject = f"`{found.key}`"
        else:
            what = f"`{found.node.path}`"
        if found.missing:
            label = f"{subject} is missing from {row.target}"
        elif found.shapes is not None:
            here, there = map(show, found.shapes)
            label = f"{subject} is {here} in {self.reference} and {there} in {row.target}"
        elif isfinite(found.error):
            label = f"{subject} is off by {found.error:.1e}, and the gate is {GATES[row.setting]:.0e}"
        else:
            label = f"{subject} cannot be compared: it is of another shape, infinite or no number"
        unseen = [f"`{look.path}`" for look in found.inputs if look.error is None]
        if unseen and not found.key:
            what += f", or {' or '.join(unseen)} before it,"
        who = "goes wrong" if row.target == self.reference else f"and {self.reference} disagree"
        notes = tuple(
            (look.node.span, f"`{look.path}` before it {_agreement(look.error)}")
            for look in found.inputs
            if look.node is not None
        )
        given = ", ".join(f"`{look.path}`" for look in found.inputs if look.node is None)
        return Diagnostic(
            "targets-disagree",
            f"{row.target} {who} from {what} on ({_where(row)})",
            found.node.span,
            label=label,
            notes=notes,
            help=f"the input {given} is the model's own, the same for every target" if given else "",
        )

    def as_text(self, *, colour: bool = False) -> str:
        """Tables of the comparisons, what ran, and on disagreement the place in the spec where it begins."""
        ran = [target.name for target in self.targets if not target.failure]
        others = [name for name in ran if name != self.reference]
        sections = [f"{self.model}: no target ran"]
        if ran:
            sections = [f"{self.model}: {', '.join(others) or 'nothing'} compared with {self.reference}"]
            tables = self.tables()
            sections += [_as_text(table) for table in tables] or ["there is nothing to compare with"]
        sections += [
            "\n    ".join([f"{target.name} failed: {target.failure}", *target.log.splitlines()])
            for target in self.targets
            if target.failure
        ]
        sections += ["\n    ".join([one.message, *one.log.splitlines()]) for one in self.unfinished]
        if problems := self.problems():
            sections.append("\n".join(problems))
        if self.diagnostics:
            sections.append(render(self.diagnostics, self.graph.sources, colour=colour))
        sections.append("\n".join([*self.remarks(), *self._ran(others), f"seed {self.seed}, batch {self.batch}"]))
        return "\n\n".join(sections)

    def _ran(self, others: list[str]) -> list[str]:
        lines = []
        for target in self.targets:
            versions = ", ".join(f"{name} {version}" for name, version in target.versions.items())
            line = f"{target.name}: {versions or 'unknown versions'}, {target.seconds:.1f} s"
            if target.name in others:
                seen = max(row.verdict.layers for row in self.rows if row.target == target.name)
                line += f", {seen} of {self.layers} layers compared"
            if target.name in self.searches:
                line += f", {self.layers - len(self.searches[target.name].unseen)} run alone"
            lines.append(line)
        return lines

    def remarks(self) -> list[str]:
        """What a reader must know of the numbers."""
        lines = []
        if self.directions:
            worst = max((one.error for _, one in self.directions), default=0.0)
            target = self.directions[0][0]
            lines.append(
                f"gradients of {target} against differences along {len(self.directions)} random directions: off by"
                f" {worst:.1e} at most, and the gate is {DIRECTION_GATE:.0e}"
            )
            lines += [
                f"{target}: {_off(f'the gradient along {one.what} ({one.mode})', one.error)}"
                for target, one in self.directions
                if one.error > DIRECTION_GATE
            ]
        if self.why_no_sizes:
            lines.append(f"compared at no other size of the inputs: {self.why_no_sizes}")
        lines += self._roundings()
        loose = dict.fromkeys(row.target for row in self.compared if row.comparison.loose)
        lines += [
            f"{target} rounds a constant of gradients to float32: what it touches is judged by {INEXACT_GATE:.0e}"
            for target in loose
            if target != self.reference
        ]
        return lines

    def _roundings(self) -> list[str]:
        """What is judged by what rounding makes of it, and why."""
        lines = []
        makes = f"makes of {self.definition}'s"
        rounding = f"what one rounding of every value {makes}"

        def judged_by(names: Sequence[str], comparison: Comparison) -> Iterator[tuple[list[str], str]]:
            for loose, what in (
                (False, f"{GRADIENT_ALLOWANCE:.0f} times {rounding}"),
                (True, f"what one rounding of every value to float32 {makes}"),
            ):
                if of := [name for name in names if (name in comparison.loose) == loose]:
                    yield of, what

        for row in self.rows:
            if row.verdict.excused:
                most = max(row.verdict.excused.items(), key=itemgetter(1))[0]
                lines.append(
                    f"* {row.target} ({' '.join(row.setting)}): {_count(row.verdict.excused, 'array')} judged by"
                    f" {ALLOWANCE:.0f} times {rounding}, such as `{most}`"
                )
        for slope in self.slopes:
            excused = slope.comparison.excused
            zero = [name for name, size in excused.items() if size <= 1]
            other = [name for name, size in excused.items() if size > 1]
            where = f"{slope.target} ({' '.join(slope.setting)})"
            if zero:
                lines.append(f"{where}: zero but for rounding: {_count(zero, 'gradient')}, such as that of `{zero[0]}`")
            lines += [
                f"{where}: {_count(names, 'gradient')} judged by {what}, such as that of `{names[0]}`"
                for names, what in judged_by(other, slope.comparison)
            ]
        for course in self.courses:
            lines += [
                f"{course.target} ({' '.join(course.course)}): {_count(names, 'array')} judged by {what},"
                f" such as `{names[0]}`"
                for names, what in judged_by(list(course.comparison.excused), course.comparison)
            ]
        return lines

    def problems(self) -> list[str]:
        """What cannot be put as an error, once for each target with the passes where it shows."""
        found: dict[tuple[str, str], list[str]] = {}
        for row in self.rows:
            for problem in row.verdict.problems:
                found.setdefault((row.target, problem), []).append(" ".join(row.setting))
        for size in self.sizes:
            for problem in size.verdict.problems:
                found.setdefault((size.target, problem), []).append(_where(size))
        for one in self.compared:
            what = "gradients" if isinstance(one, SlopeRow) else "training"
            for problem in one.comparison.problems:
                found.setdefault((one.target, problem), []).append(f"{one.precision} {what}")
        lines = [
            f"{target}: {problem} ({'every pass' if len(where) == len(SETTINGS) else ', '.join(dict.fromkeys(where))})"
            for (target, problem), where in found.items()
        ]
        return lines if len(lines) <= PROBLEMS else [*lines[:PROBLEMS], f"... and {len(lines) - PROBLEMS} more"]

    def tables(self) -> list[Table]:
        """The comparisons of each level; the reference itself is there only where it fails."""
        tables = []
        lines = []
        for row in self.rows:
            verdict = row.verdict
            if self._is_truth(row) and verdict.ok:
                continue
            counted = _number(verdict.layer_error) if row.precision == "float64" else "-"
            errors = _number(verdict.output_error), counted, _number(verdict.state_error)
            gate = f"{GATES[row.setting]:.0e}"
            units = self._units(row, verdict.output_error)
            if verdict.excused:
                gate = f"{max(verdict.excused.values()):.0e}*"
            lines.append((row.target, *row.setting, *errors, *units, gate, self._word(row.target, verdict.ok)))
        columns = ("target", "precision", "mode")
        measure = (f"in {self.yardstick}'s",) if self.yardstick else ()
        if lines:
            heading = (*columns, "outputs", "layers", "state", *measure, "gate", "verdict")
            tables.append(Table("forward", (heading, *lines)))
        lines = []
        for size in self.sizes:
            verdict = size.verdict
            if size.target == self.reference and verdict.ok:
                continue
            gate = f"{GATES[size.setting]:.0e}"
            if verdict.excused:
                gate = f"{max(verdict.excused.values()):.0e}*"
            lines.append(
                (
                    *(size.target, size.size, _number(verdict.output_error), _number(verdict.layer_error)),
                    *(gate, self._word(size.target, verdict.ok)),
                )
            )
        if lines:
            heading = ("target", "inputs", "outputs", "layers", "gate", "verdict")
            tables.append(Table("at other sizes, float64, evaluation", (heading, *lines)))
        lines = []
        for slope in self.slopes:
            comparison = slope.comparison
            if self._is_truth(slope) and comparison.ok:
                continue
            groups = [_largest(comparison, inputs=True), _largest(comparison, inputs=False)]
            units = self._units(slope, max(groups))
            lines.append(
                (
                    *(
                        slope.target,
                        *slope.setting,
                        *map(_number, groups),
                        *units,
                        _gate(comparison),
                    ),
                    *(self._word(slope.target, comparison.ok, judged=comparison.judged), comparison.worst),
                )
            )
        if lines:
            heading = (*columns, "inputs", "weights", *measure, "gate", "verdict", "worst")
            tables.append(Table("gradients", (heading, *lines)))
        lines = []
        for target, singles in self.singles.items():
            worst = max(singles, key=lambda one: max(error / gate for error, gate in errors_of(one).values()))
            largest = (
                max((one.output for one in singles), default=0.0),
                max((error for one in singles for error in one.gradients.values()), default=0.0),
                max((error for one in singles for error in one.steps.values()), default=0.0),
            )
            stood_for = {one.path: one for one in singles}.values()
            covered = f"{sum(one.alike for one in stood_for)} of {self.layers} ({len(stood_for)} kinds)"
            wrong = any(map(wrong_of, singles))
            gates = f"{SINGLE_GATE:.0e}, {SINGLE_STEP_GATE:.0e}"
            lines.append(
                (target, covered, *map(_number, largest), gates, self._word(target, not wrong), worst.path),
            )
        if lines:
            heading = ("target", "layers", "outputs", "gradients", "one step", "gates", "verdict", "worst")
            tables.append(Table("each layer alone, float32", (heading, *lines)))
        lines = []
        count = max((len(course.comparison.steps) for course in self.courses), default=0)
        for course in self.courses:
            comparison = course.comparison
            if self._is_truth(course) and comparison.ok:
                continue
            steps = [_number(error) for error in comparison.steps] + [""] * (count - len(comparison.steps))
            lines.append(
                (
                    *(course.target, *course.course, *steps, _gate(comparison)),
                    *(self._word(course.target, comparison.ok, judged=comparison.judged), comparison.worst),
                )
            )
        if lines:
            numbers = [f"step {number}" for number in range(1, count + 1)]
            heading = ("target", "precision", "optimiser", *numbers, "gate", "verdict", "worst")
            tables.append(Table("weights after steps of training", (heading, *lines)))
        return tables

    def _is_truth(self, row: Row | SlopeRow | CourseRow) -> bool:
        """Whether it is the reference's float64, with which all else is compared."""
        return row.target == self.reference and row.precision == "float64"

    def _word(self, target: str, ok: bool, *, judged: bool = True) -> str:
        if ok and not judged:
            return "told"
        return "agrees" if ok else "FAILS" if target == self.reference else "DISAGREES"

    def _units(self, row: Row | SlopeRow, error: float) -> tuple[str, ...]:
        """The error in units of the yardstick's own in the same pass, which is rounding; for float32 alone."""
        if not self.yardstick:
            return ()
        unit = self.unit(row)
        return (f"{error / unit:.2g}" if unit and isfinite(error) else "-",)

    def unit(self, row: Row | SlopeRow) -> float | None:
        """The yardstick's error in the same pass; None in float64, where it rounds nothing."""
        if row.precision == "float64":
            return None
        if isinstance(row, Row):
            errors = [
                one.verdict.output_error
                for one in self.rows
                if one.target == self.yardstick and one.setting == row.setting
            ]
        else:
            errors = [
                max(one.comparison.errors.values(), default=0.0)
                for one in self.slopes
                if one.target == self.yardstick and one.setting == row.setting
            ]
        return next((error for error in errors if error and isfinite(error)), None)

    def as_json(self) -> dict[str, Any]:
        """The report as plain data; an error that is infinite, or not counted, is null."""
        return {
            "model": self.model,
            "ok": self.ok,
            "reference": self.reference or None,
            "level": self.level,
            "steps": self.steps,
            "exact_training": self.exact_training,
            "seed": self.seed,
            "batch": self.batch,
            "seconds": self.seconds,
            "layers": self.layers,
            "targets": [
                {
                    "target": target.name,
                    "versions": target.versions,
                    "seconds": target.seconds,
                    "failure": target.failure or None,
                    "log": target.log,
                    "source_hash": target.source_hash or None,
                }
                for target in self.targets
            ],
            "unfinished": [asdict(one) for one in self.unfinished],
            "comparisons": [self._row_as_json(row) for row in self.rows],
            "sizes": [
                {
                    "target": row.target,
                    "inputs": row.inputs,
                    "output_error": _finite(row.verdict.output_error),
                    "layer_error": _finite(row.verdict.layer_error),
                    "gate": GATES[row.setting],
                    "excused": dict(row.verdict.excused),
                    "problems": list(row.verdict.problems),
                    "ok": row.verdict.ok,
                }
                for row in self.sizes
            ],
            "why_no_sizes": self.why_no_sizes or None,
            "gradients": [
                {
                    "target": row.target,
                    **row.setting._asdict(),
                    **self._comparison_as_json(row.comparison),
                    "yardstick_error": self.unit(row),
                }
                for row in self.slopes
            ],
            "training": [
                {
                    "target": row.target,
                    **row.course._asdict(),
                    "steps": [_finite(error) for error in row.comparison.steps],
                    **self._comparison_as_json(row.comparison),
                }
                for row in self.courses
            ],
            "directions": [
                {
                    "target": target,
                    "mode": one.mode,
                    "what": one.what,
                    "error": _finite(one.error),
                    "gate": DIRECTION_GATE,
                }
                for target, one in self.directions
            ],
            "singles": {
                target: [
                    {
                        "path": one.path,
                        "mode": one.mode,
                        "alike": one.alike,
                        "own": one.own,
                        "errors": {what: _finite(error) for what, (error, _) in errors_of(one).items()},
                        "gates": {what: gate for what, (_, gate) in errors_of(one).items()},
                        "ok": not wrong_of(one),
                    }
                    for one in singles
                ]
                for target, singles in self.singles.items()
            },
            "alone": {
                target: {
                    "faults": [fault._asdict() | {"error": _finite(fault.error)} for fault in search.faults],
                    "unseen": list(search.unseen),
                }
                for target, search in self.searches.items()
            },
            "diagnostics": [diagnostic.as_json() for diagnostic in self.diagnostics],
        }

    @staticmethod
    def _comparison_as_json(comparison: Comparison) -> dict[str, Any]:
        return {
            "errors": {name: _finite(error) for name, error in comparison.errors.items()},
            "gate": STEP_GATE if comparison.judged else None,
            "loose": {name: comparison.gate_of(name) for name in sorted(comparison.loose)},
            "excused": dict(comparison.excused),
            "problems": list(comparison.problems),
            "ok": comparison.ok,
        }

    def _row_as_json(self, row: Row) -> dict[str, Any]:
        verdict, found = row.verdict, row.verdict.divergence
        return {
            "target": row.target,
            "precision": row.setting.precision,
            "mode": row.setting.mode,
            "output_error": _finite(verdict.output_error),
            "layer_error": _finite(verdict.layer_error) if row.setting.precision == "float64" else None,
            "state_error": _finite(verdict.state_error),
            "errors": {name: _finite(error) for name, error in verdict.errors.items()},
            "yardstick_error": self.unit(row),
            "gate": GATES[row.setting],
            "excused": dict(verdict.excused),
            "layers_compared": verdict.layers,
            "problems": list(verdict.problems),
            "ok": verdict.ok,
            "first_divergence": found
            and {
                "path": found.node.path,
                "kind": found.node.layer.kind,
                "state": found.key or None,
                "output": found.output or None,
                "error": _finite(found.error),
                "shapes": found.shapes,
                "span": found.node.span._asdict(),
                "inputs": [
                    {"path": look.path, "error": None if look.error is None else _finite(look.error)}
                    for look in found.inputs
                ],
            },
        }


def errors_of(single: Single) -> dict[str, tuple[float, float]]:
    """The errors of a layer alone in float32, with their gates, by what they are of."""
    return {
        OUTPUT: (single.output, SINGLE_GATE),
        **{what: (error, SINGLE_STEP_GATE) for what, error in single.gradients.items()},
        **{f"`{name}` after a step": (error, SINGLE_STEP_GATE) for name, error in single.steps.items()},
    }


def wrong_of(single: Single) -> dict[str, tuple[float, float]]:
    """Those that are larger than their gates."""
    return {what: (error, gate) for what, (error, gate) in errors_of(single).items() if not error <= gate}


def _count(what: Collection[str], noun: str) -> str:
    return f"{len(what)} {noun}" + ("s" if len(what) > 1 else "")


def _as_text(table: Table) -> str:
    widths = [max(map(len, column)) for column in zip(*table.lines, strict=True)]
    lines = ["  ".join(map(str.ljust, line, widths)).rstrip() for line in table.lines]
    return "\n".join([table.title, *lines])


def _where(row: Row | SizeRow) -> str:
    return ", ".join([*row.setting, *([f"at {row.size}"] if isinstance(row, SizeRow) else [])])


def _off(what: str, error: float) -> str:
    return f"{what} is off by {error:.1e}" if isfinite(error) else f"{what} is of another shape, infinite or no number"


def _gate(comparison: Comparison) -> str:
    """The gate of what differs most, where there is one."""
    return f"{comparison.gate_of(comparison.worst):.0e}" if comparison.judged else "-"


def _largest(comparison: Comparison, *, inputs: bool) -> float:
    return max((error for name, error in comparison.errors.items() if name.startswith("input ") == inputs), default=0.0)


def _agreement(error: float | None) -> str:
    if error is None:
        return "is not visible in both, and may be at fault"
    return "is equal in both" if error == 0 else f"agrees to {error:.1e}"


def _number(error: float) -> str:
    return f"{error:.1e}" if isfinite(error) else "-"


def _finite(error: float) -> float | None:
    return error if isfinite(error) else None
