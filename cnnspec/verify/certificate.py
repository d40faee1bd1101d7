"""The report as a document to keep beside the code: what was compared, on what, by which gates, and every error."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from hashlib import sha256
from html import escape
from math import isfinite

from cnnspec.graph import Graph
from cnnspec.verify.comparison import (
    ALLOWANCE,
    DIRECTION_GATE,
    GRADIENT_ALLOWANCE,
    INEXACT_GATE,
    SINGLE_GATE,
    SINGLE_STEP_GATE,
)
from cnnspec.verify.report import Report, Table
from cnnspec.version import __version__


@dataclass(frozen=True, slots=True)
class Section:
    """A heading, paragraphs, and tables."""

    title: str
    paragraphs: Sequence[str] = ()
    tables: Sequence[Table] = ()


def as_markdown(report: Report) -> str:
    """The certificate in Markdown."""
    lines: list[str] = []
    for number, section in enumerate(_sections(report)):
        lines += [f"{'#' if number == 0 else '##'} {section.title}", ""]
        for paragraph in section.paragraphs:
            lines += [paragraph, ""]
        for table in section.tables:
            if table.title:
                lines += [f"### {table.title.capitalize()}", ""]
            heading, *rest = ([cell.replace("|", "\\|") for cell in line] for line in table.lines)
            lines += [_row(heading), _row(["---"] * len(heading)), *map(_row, rest), ""]
    return "\n".join(lines)


def as_html(report: Report) -> str:
    """The certificate as one page that needs nothing else."""
    parts = [
        "<!DOCTYPE html>",
        '<html lang="en">',
        f'<meta charset="utf-8"><title>{escape(report.model)}: cross-check</title>',
        "<style>body{font:15px/1.5 sans-serif;max-width:75em;margin:2em auto;padding:0 1em}"
        "table{border-collapse:collapse;margin:1em 0}td,th{border:1px solid #ccc;padding:.2em .6em;text-align:left}"
        "td{font-family:monospace}</style>",
    ]
    for number, section in enumerate(_sections(report)):
        level = 1 if number == 0 else 2
        parts.append(f"<h{level}>{escape(section.title)}</h{level}>")
        parts += [f"<p>{escape(paragraph)}</p>" for paragraph in section.paragraphs]
        for table in section.tables:
            if table.title:
                parts.append(f"<h3>{escape(table.title.capitalize())}</h3>")
            parts.append("<table>")
            for index, line in enumerate(table.lines):
                tag = "th" if index == 0 else "td"
                parts.append("<tr>" + "".join(f"<{tag}>{escape(cell)}</{tag}>" for cell in line) + "</tr>")
            parts.append("</table>")
    return "\n".join([*parts, "</html>", ""])


def spec_hash(graph: Graph) -> str:
    """The SHA-256 of every file that the model came from, with its name and with the parameters of the model."""
    digest = sha256()
    for name, text in sorted(graph.sources.items()):
        digest.update(f"{name}\0{text}\0".encode())
    digest.update(repr((graph.name, sorted(graph.parameters.items()))).encode())
    return digest.hexdigest()


def _sections(report: Report) -> Iterator[Section]:
    verdict = "all targets agree" if report.ok else "THE TARGETS DO NOT AGREE"
    when = datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC")
    graph = report.graph
    parameters = ", ".join(f"{name} = {value}" for name, value in graph.parameters.items())
    shapes = ", ".join(
        f"{port.name} {'x'.join(map(str, (report.batch, *graph.shape(port.value))))}" for port in graph.inputs
    )
    variance = "the spec (--exact-training)" if report.exact_training else "each framework, converted"
    facts = [
        ("fact", "value"),
        ("model", f"{report.model}({parameters})"),
        ("spec", ", ".join(sorted(graph.sources))),
        ("spec hash", f"sha256:{spec_hash(graph)}"),
        ("inputs", shapes),
        ("level", f"train, {report.steps} steps" if report.level == "train" else report.level),
        ("running variance", f"of {variance}"),
        ("seed", str(report.seed)),
        ("compared with", report.reference or "nothing: no target ran"),
        ("cnnspec", __version__),
        ("made", when),
    ]
    yield Section(f"{report.model}: {verdict}", (), (Table("", tuple(facts)),))
    targets = [("target", "versions", "code", "ended")]
    for target in report.targets:
        versions = ", ".join(f"{name} {version}" for name, version in target.versions.items())
        code = f"sha256:{target.source_hash}" if target.source_hash else "none: it evaluates the definition"
        targets.append((target.name, versions, code, target.failure or "well"))
    yield Section("Targets", (), (Table("", tuple(targets)),))
    gates = (
        "The error of a tensor is its largest difference from the reference's float64 over the largest value there. "
        f"What differs by more than the gate may differ by {ALLOWANCE:.0f} times (gradients {GRADIENT_ALLOWANCE:.0f}"
        " times) what one rounding of every value of the network makes of it, and is named.",
        "Gradients and steps of training of the whole network in float32 are told and not judged: its rounding crosses"
        " kinks by chance. Each layer alone is judged, on inputs without rounding errors: outputs by"
        f" {SINGLE_GATE:.0e}, gradients and weights after a step by {SINGLE_STEP_GATE:.0e}.",
        f"Differences have a gate of {DIRECTION_GATE:.0e}; gradients that a framework multiplies by a constant of"
        f" float32 have {INEXACT_GATE:.0e}.",
    )
    remarks = (*report.problems(), *(one.message for one in report.unfinished), *report.remarks())
    yield Section("Results", (*gates, *remarks), report.tables())
    findings = [f"{one.message}: {one.label} ({one.span})" for one in report.diagnostics]
    if findings:
        yield Section("Where they part", findings)
    yield Section("Every tensor", ("The error of each in float64.",), _tensors(report))


def _tensors(report: Report) -> list[Table]:
    tables = []
    for target in report.targets:
        columns: dict[str, dict[str, float]] = {}
        for row in report.rows:
            if row.target == target.name and row.precision == "float64":
                columns[f"forward, {row.setting.mode}"] = dict(row.verdict.errors)
        for slope in report.slopes:
            if slope.target == target.name and slope.precision == "float64":
                columns[f"gradient, {slope.setting.mode}"] = dict(slope.comparison.errors)
        for course in report.courses:
            if course.target == target.name and course.precision == "float64":
                columns[f"{len(course.comparison.steps)} steps of {course.course.method}"] = dict(
                    course.comparison.errors
                )
        if not columns or target.name == report.reference:
            continue
        names = dict.fromkeys(name for errors in columns.values() for name in errors)
        lines = [("tensor", *columns)]
        lines += [
            (name, *(_number(errors[name]) if name in errors else "" for errors in columns.values())) for name in names
        ]
        tables.append(Table(target.name, tuple(lines)))
    return tables


def _row(cells: Sequence[str]) -> str:
    return f"| {' | '.join(cells)} |"


def _number(error: float) -> str:
    return f"{error:.1e}" if isfinite(error) else "not comparable"
