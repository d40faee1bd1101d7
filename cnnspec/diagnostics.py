"""Diagnostics as data, and the one renderer that prints them.

A `Diagnostic` is a code that is a name, a message that stands alone, the smallest span that says it, further
spans with what they contribute, and a help line.  Nothing here prints.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple


class Span(NamedTuple):
    """A stretch of source text.  Lines and columns count from 1; the end column is past the last character."""

    file: str
    line: int
    column: int
    end_line: int
    end_column: int

    def to(self, other: Span) -> Span:
        """From the start of this span to the end of the other."""
        return Span(self.file, self.line, self.column, other.end_line, other.end_column)

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"


@dataclass(frozen=True, slots=True)
class Diagnostic:
    """One finding: ``code`` such as ``unknown-layer``, and everything a reader needs to mend it."""

    code: str
    message: str
    span: Span
    label: str = ""
    notes: tuple[tuple[Span, str], ...] = ()
    help: str = ""
    severity: Literal["error", "warning"] = "error"

    def as_json(self) -> dict[str, Any]:
        def place(span: Span) -> dict[str, Any]:
            return span._asdict()

        return {
            "code": self.code,
            "severity": self.severity,
            "message": self.message,
            "span": place(self.span),
            "label": self.label,
            "notes": [{"span": place(span), "text": text} for span, text in self.notes],
            "help": self.help,
        }


class SpecError(Exception):
    """A spec that does not hold: carries every diagnostic, and the sources to show them in."""

    def __init__(self, diagnostics: Iterable[Diagnostic], sources: Mapping[str, str] | None = None) -> None:
        self.diagnostics = tuple(diagnostics)
        self.sources = dict(sources or {})
        super().__init__(render(self.diagnostics, self.sources))


@dataclass(slots=True)
class Style:
    """ANSI codes for the renderer; the default writes none."""

    colour: bool = False
    codes: dict[str, str] = field(
        default_factory=lambda: {"error": "1;31", "warning": "1;33", "bold": "1", "blue": "1;34", "help": "1;36"}
    )

    def __call__(self, kind: str, text: str) -> str:
        return f"\x1b[{self.codes[kind]}m{text}\x1b[0m" if self.colour and text else text


def _clean(line: str) -> str:
    """A source line that is safe and aligned on a terminal: tabs as a space, control characters as dots."""
    return "".join(" " if c == "\t" else c if c.isprintable() else "·" for c in line)


MAX_LINE = 160


def render(
    diagnostics: Iterable[Diagnostic], sources: Mapping[str, str], *, colour: bool = False, short: bool = False
) -> str:
    """The diagnostics as text, each with its source lines underlined; ``short`` gives a line each."""
    style = Style(colour)
    write = _one_line if short else _full
    return ("\n" if short else "\n\n").join(write(d, sources, style) for d in diagnostics)


def _one_line(d: Diagnostic, sources: Mapping[str, str], style: Style) -> str:
    return f"{d.span}: {style(d.severity, f'{d.severity}[{d.code}]')}: {d.message}"


def _full(d: Diagnostic, sources: Mapping[str, str], style: Style) -> str:
    head = f"{style(d.severity, f'{d.severity}[{d.code}]')}{style('bold', ': ' + d.message)}"
    marks = [(d.span, d.label, True), *((span, text, False) for span, text in d.notes)]
    files = list(dict.fromkeys(span.file for span, _, _ in marks))
    width = len(str(max(span.line for span, _, _ in marks)))
    bar = style("blue", "|")
    pad = " " * width
    out = [head]
    for position, file in enumerate(files):
        here = [mark for mark in marks if mark[0].file == file]
        first = d.span if position == 0 else here[0][0]
        out.append(f"{pad}{style('blue', '-->' if position == 0 else ':::')} {first}")
        lines = sources.get(file, "").splitlines()
        previous = 0
        by_line: dict[int, list[tuple[Span, str, bool]]] = {}
        for mark in here:
            by_line.setdefault(mark[0].line, []).append(mark)
        if any(0 < number <= len(lines) for number in by_line):
            out.append(f"{pad} {bar}")
        for number in sorted(by_line):
            if not 0 < number <= len(lines):
                continue
            if previous and number > previous + 2:
                out.append(f"{pad} {style('blue', '...')}")
            elif previous and number == previous + 2:
                out.append(f"{style('blue', str(previous + 1).rjust(width))} {bar} {_shown(lines[previous])}")
            out.append(f"{style('blue', str(number).rjust(width))} {bar} {_shown(lines[number - 1])}".rstrip())
            for span, text, primary in sorted(by_line[number], key=lambda mark: (mark[0].column, not mark[2])):
                end = span.end_column if span.end_line == span.line else len(lines[number - 1]) + 1
                start = min(span.column, MAX_LINE)
                length = max(1, min(end, MAX_LINE) - start)
                mark = style(d.severity if primary else "blue", ("^" if primary else "-") * length)
                out.append(f"{pad} {bar} {' ' * (start - 1)}{mark} {text}".rstrip())
            previous = number
    if d.help:
        out.append(f"{pad} {bar}")
        indent = f"\n{pad}         "
        out.append(f"{pad} = {style('help', 'help')}: {d.help.replace(chr(10), indent)}")
    return "\n".join(out)


def _shown(line: str) -> str:
    line = _clean(line)
    return line if len(line) <= MAX_LINE else line[: MAX_LINE - 1] + "…"


def nearest(word: str, known: Iterable[str], most: int = 1) -> list[str]:
    """The names closest to a misspelt one, best first; empty where none is near."""
    import difflib

    candidates = list(known)
    folded = {name.casefold().replace("_", ""): name for name in candidates}
    same = folded.get(word.casefold().replace("_", ""))
    if same is not None:
        return [same]
    return difflib.get_close_matches(word[:80], candidates, n=most, cutoff=0.6)
