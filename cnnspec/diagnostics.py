"""Diagnostics as data, and the one renderer that prints them.

A `Diagnostic` is a code that is a name, a message that stands alone, the smallest span that says it, further
spans with what they contribute, and a help line.  Nothing here prints.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from typing_extensions import override


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

    @override
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


def clean(text: str) -> str:
    """A line that is safe and aligned on a terminal: tabs as a space, control characters as dots."""
    return "".join(" " if c == "\t" else c if c.isprintable() else "·" for c in text)


LONGEST_LINE = 160
"""Columns of a source line that are shown; of a longer one, those around the mark."""
BEFORE_MARK = 60


def render(
    diagnostics: Iterable[Diagnostic], sources: Mapping[str, str], *, colour: bool = False, short: bool = False
) -> str:
    """The diagnostics as text, each with its source lines underlined; ``short`` gives a line each."""
    style = Style(colour)
    if short:
        return "\n".join(_one_line(d, style) for d in diagnostics)
    # As the parser counts lines: `str.splitlines` would also break at form feeds and the like.
    lines = {name: text.removeprefix("\ufeff").split("\n") for name, text in sources.items()}
    return "\n\n".join(_full(d, lines, style) for d in diagnostics)


def _one_line(d: Diagnostic, style: Style) -> str:
    return f"{_place(d.span)}: {style(d.severity, f'{d.severity}[{d.code}]')}: {clean(d.message)}"


def _place(span: Span) -> str:
    return clean(str(span))


class _Mark(NamedTuple):
    span: Span
    text: str
    primary: bool


def _full(d: Diagnostic, sources: Mapping[str, list[str]], style: Style) -> str:
    marks = [_Mark(d.span, d.label, True), *(_Mark(span, text, False) for span, text in d.notes)]
    width = len(str(max(mark.span.line for mark in marks)))
    bar, pad = style("blue", "|"), " " * width
    out = [f"{style(d.severity, f'{d.severity}[{d.code}]')}{style('bold', ': ' + clean(d.message))}"]
    for file in dict.fromkeys(mark.span.file for mark in marks):
        here = [mark for mark in marks if mark.span.file == file]
        main = here[0].primary
        out.append(f"{pad}{style('blue', '-->' if main else ':::')} {_place(here[0].span)}")
        lines = sources.get(file, [])
        by_line: dict[int, list[_Mark]] = {}
        for mark in here:
            if 0 < mark.span.line <= len(lines):
                by_line.setdefault(mark.span.line, []).append(mark)
        if by_line:
            out.append(f"{pad} {bar}")
        previous = 0
        for number in sorted(by_line):
            if previous and number > previous + 2:
                out.append(style("blue", "..."))
            elif previous and number == previous + 2:
                between = _shown(lines[previous], 0)
                out.append(f"{style('blue', str(previous + 1).rjust(width))} {bar} {between}".rstrip())
            line = lines[number - 1].rstrip("\r")
            ordered = sorted(by_line[number], key=lambda mark: (mark.span.column, not mark.primary))
            left = max(0, ordered[0].span.column - 1 - BEFORE_MARK) if len(line) > LONGEST_LINE else 0
            out.append(f"{style('blue', str(number).rjust(width))} {bar} {_shown(line, left)}".rstrip())
            for mark in ordered:
                end = mark.span.end_column if mark.span.end_line == mark.span.line else len(line) + 1
                start = min(mark.span.column - left, LONGEST_LINE)
                length = max(1, min(end - left, LONGEST_LINE) - start)
                signs = style(d.severity if mark.primary else "blue", ("^" if mark.primary else "-") * length)
                out.append(f"{pad} {bar} {' ' * (start - 1)}{signs} {clean(mark.text)}".rstrip())
            previous = number
    if d.help:
        out.append(f"{pad} {bar}")
        indent = f"\n{pad}         "
        out.append(f"{pad} = {style('help', 'help')}: {indent.join(map(clean, d.help.splitlines()))}")
    return "\n".join(out)


def _shown(line: str, left: int) -> str:
    """What fits of a source line, from the column ``left`` on."""
    line = clean(line.rstrip("\r"))
    if left:
        line = "…" + line[left + 1 :]
    return line if len(line) <= LONGEST_LINE else line[: LONGEST_LINE - 1] + "…"


MOST_CANDIDATES = 2000
SMALLEST_BEGINNING = 0.4
"""Of a word, as a share: what is shorter begins it by chance, or leaves out what it says."""


def nearest(word: str, known: Iterable[str], most: int = 1) -> list[str]:
    """The names closest to a misspelt one, best first; empty where none is near.

    Where none is spelt alike, it is the longest of those that it begins with: `pad` for ``padding``.
    """
    import difflib
    from itertools import islice

    word = word[:80]
    # Only names of about the same length can be close, and a network may have a hundred thousand.
    candidates = list(islice((name for name in known if abs(len(name) - len(word)) <= len(word)), MOST_CANDIDATES))
    same = [name for name in candidates if folded(name) == folded(word)]
    near = same[:most] or difflib.get_close_matches(word, candidates, n=most, cutoff=0.7)
    if near:
        return near
    long_enough = (name for name in candidates if len(name) >= SMALLEST_BEGINNING * len(word))
    begun = (name for name in long_enough if folded(word).startswith(folded(name)))
    return sorted(begun, key=len, reverse=True)[:most]


def folded(name: str) -> str:
    """A name as it is compared where case and underscores do not matter."""
    return name.casefold().replace("_", "")
