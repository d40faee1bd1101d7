"""The report of a cross-check, as data, as text and as JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

from cnnspec.diagnostics import Diagnostic, render
from cnnspec.shapes import show
from cnnspec.verify.comparison import GATES, Divergence, Verdict
from cnnspec.verify.exchange import SETTINGS, Setting

PROBLEMS = 10
"""How many lines of them are shown."""


@dataclass(frozen=True, slots=True)
class Target:
    """A target that took part: ``failure`` says how its process ended if not well, ``log`` is what it wrote last."""

    name: str
    versions: dict[str, str]
    seconds: float
    failure: str = ""
    log: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One target in one setting, against the reference."""

    target: str
    setting: Setting
    verdict: Verdict


@dataclass(frozen=True, slots=True)
class Report:
    """What a cross-check found.  ``reference`` is the target that all are compared with; empty where none ran."""

    model: str
    reference: str
    seed: int
    batch: int
    seconds: float
    targets: tuple[Target, ...]
    rows: tuple[Row, ...]
    layers: int
    """How many layers the network has."""
    sources: Mapping[str, str]

    @property
    def ok(self) -> bool:
        """Whether every target ran and agrees with the reference."""
        return not any(target.failure for target in self.targets) and all(row.verdict.ok for row in self.rows)

    @property
    def diagnostics(self) -> tuple[Diagnostic, ...]:
        """For each target that disagrees, the first place where it does, from its first setting that fails.

        Where the reference itself fails, that comes alone: what differs from it says nothing then.
        """
        first: dict[str, Row] = {}
        for row in self.rows:
            if not row.verdict.ok:
                first.setdefault(row.target, row)
        if self.reference in first:
            first = {self.reference: first[self.reference]}
        return tuple(
            self._diagnostic(row, row.verdict.divergence)
            for row in first.values()
            if row.verdict.divergence is not None
        )

    def _diagnostic(self, row: Row, found: Divergence) -> Diagnostic:
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
            f"{row.target} {who} from {what} on ({row.setting.precision}, {row.setting.mode})",
            found.node.span,
            label=label,
            notes=notes,
            help=f"the input {given} is the model's own, the same for every target" if given else "",
        )

    def as_text(self, *, colour: bool = False) -> str:
        """A table of the comparisons, what ran, and on disagreement the place in the spec where it begins."""
        ran = [target.name for target in self.targets if not target.failure]
        others = [name for name in ran if name != self.reference]
        sections = [f"{self.model}: no target ran"]
        if ran:
            sections = [f"{self.model}: {', '.join(others) or 'nothing'} compared with {self.reference}", self._table()]
        sections += [
            "\n    ".join([f"{target.name} failed: {target.failure}", *target.log.splitlines()])
            for target in self.targets
            if target.failure
        ]
        if problems := self._problems():
            sections.append("\n".join(problems))
        if self.diagnostics:
            sections.append(render(self.diagnostics, self.sources, colour=colour))
        ending = []
        for target in self.targets:
            versions = ", ".join(f"{name} {version}" for name, version in target.versions.items())
            line = f"{target.name}: {versions or 'unknown versions'}, {target.seconds:.1f} s"
            if target.name in others:
                seen = max(row.verdict.layers for row in self.rows if row.target == target.name)
                line += f", {seen} of {self.layers} layers compared"
            ending.append(line)
        ending.append(f"seed {self.seed}, batch {self.batch}")
        sections.append("\n".join(ending))
        return "\n\n".join(sections)

    def _problems(self) -> list[str]:
        """What cannot be put as an error, once for each target with the passes where it shows."""
        found: dict[tuple[str, str], list[str]] = {}
        for row in self.rows:
            for problem in row.verdict.problems:
                found.setdefault((row.target, problem), []).append(" ".join(row.setting))
        lines = [
            f"{target}: {problem} ({'every pass' if len(where) == len(SETTINGS) else ', '.join(where)})"
            for (target, problem), where in found.items()
        ]
        return lines if len(lines) <= PROBLEMS else [*lines[:PROBLEMS], f"... and {len(lines) - PROBLEMS} more"]

    def _table(self) -> str:
        rows = [("target", "precision", "mode", "outputs", "layers", "state", "gate", "verdict")]
        for row in self.rows:
            verdict = row.verdict
            if row.target == self.reference and verdict.ok:
                continue
            counted = _number(verdict.layer_error) if row.setting.precision == "float64" else "-"
            errors = _number(verdict.output_error), counted, _number(verdict.state_error)
            word = "agrees" if verdict.ok else "FAILS" if row.target == self.reference else "DISAGREES"
            rows.append((row.target, *row.setting, *errors, f"{GATES[row.setting]:.0e}", word))
        if len(rows) == 1:
            return "there is nothing to compare with"
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        return "\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows)

    def as_json(self) -> dict[str, Any]:
        """The report as plain data; an error that is infinite, or not counted, is null."""
        return {
            "model": self.model,
            "ok": self.ok,
            "reference": self.reference or None,
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
                }
                for target in self.targets
            ],
            "comparisons": [self._row_as_json(row) for row in self.rows],
            "diagnostics": [diagnostic.as_json() for diagnostic in self.diagnostics],
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
            "gate": GATES[row.setting],
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


def _agreement(error: float | None) -> str:
    if error is None:
        return "is not visible in both, and may be at fault"
    return "is equal in both" if error == 0 else f"agrees to {error:.1e}"


def _number(error: float) -> str:
    return f"{error:.1e}" if isfinite(error) else "-"


def _finite(error: float) -> float | None:
    return error if isfinite(error) else None
