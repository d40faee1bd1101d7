"""Literate error tests: the Markdown files of tests/errors, read, run and rewritten.

A file has a title and a sentence.  Each ``##`` section is about one code, says what it means, and holds cases, each
under a ``###`` heading.  A case is made of fenced blocks:

- ``cnn``: the spec, ``spec.cnn``; with a path behind it, another file beside it;
- ``python``: an expression that gives the text or the bytes of ``spec.cnn``, for what is too large or no text;
- ``console``: the command, where it is not ``$ cnnspec check spec.cnn``;
- ``text``: what is written, exactly; the totals in one line where nothing is wrong;
- ``cnn mended``: the spec after doing what the help line says; nothing may be wrong with it.
"""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from cnnspec import api, loading
from cnnspec.cli.selection import BadValue, select
from cnnspec.diagnostics import Diagnostic, SpecError, render
from cnnspec.shapes import show

FOLDER = Path(__file__).parents[1] / "errors"
COMMAND = "$ cnnspec check spec.cnn"
FENCE = re.compile(r"^(```+)(\S*)[ ]?(.*)\n((?:.*\n)*?)\1\n", re.MULTILINE)


@dataclass
class Outcome:
    """What a check writes, and what it found."""

    text: str
    diagnostics: tuple[Diagnostic, ...]
    sources: dict[str, str]


@dataclass
class Case:
    """One spec and what a check of it writes."""

    file: Path
    code: str
    meaning: str
    title: str
    files: dict[str, str | bytes] = field(default_factory=dict)
    shown: str = ""
    """The spec as the Markdown has it."""
    language: str = "cnn"
    command: str = COMMAND
    expected: str = ""
    mended: str = ""

    def __str__(self) -> str:
        return f"{self.file.stem}-{self.code}-{self.title.replace(' ', '_')}"

    def run(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> Outcome:
        """Check the spec in an empty folder."""
        monkeypatch.chdir(folder)
        for name, content in self.files.items():
            path = folder / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return check(self.command)


def check(command: str) -> Outcome:
    """What ``$ cnnspec check ...`` writes, on both streams together."""
    words = shlex.split(command)
    assert words[:3] == ["$", "cnnspec", "check"], command
    spec, model, settings, inputs = words[3], None, [], []
    options = words[4:]
    for option, value in zip(options[::2], options[1::2], strict=True):
        match option:
            case "--model":
                model = value
            case "--set":
                settings.append(value)
            case "--input":
                inputs.append(value)
            case _:
                raise AssertionError(f"{option} in {command}")
    try:
        chosen = select(spec, model, tuple(settings), tuple(inputs))
        parsed = loading.parse_all(loading.find(chosen.spec))
        checked = api.check(parsed, model=chosen.model, parameters=chosen.parameters, inputs=chosen.inputs)
    except (SpecError, BadValue) as error:
        found, sources = tuple(error.diagnostics), error.sources
        return Outcome(render(found, sources) + "\n", found, sources)
    text = render(checked.diagnostics, checked.sources)
    if checked.graph is not None:
        outputs = ", ".join(show(checked.graph.values[port.value]) for port in checked.graph.outputs)
        totals = f"{checked.graph.name}: {checked.graph.params:,} parameters, output {outputs}"
        text = f"{text}\n\n{totals}" if text else totals
    assert (checked.graph is None) <= checked.failed, "no graph, and nothing says why"
    return Outcome(text + "\n", tuple(checked.diagnostics), checked.sources)


def read(file: Path) -> Iterator[Case]:
    """The cases of a file."""
    text = file.read_text(encoding="utf-8")
    for section in re.split(r"^## ", text, flags=re.MULTILINE)[1:]:
        code, rest = section.split("\n", 1)
        meaning, *cases = re.split(r"^### ", rest, flags=re.MULTILINE)
        assert cases, f"{file}: no case for {code}"
        for case in cases:
            title, body = case.split("\n", 1)
            yield _case(Case(file, code, " ".join(meaning.split()), title), body)


def _case(case: Case, body: str) -> Case:
    for _, kind, rest, content in FENCE.findall(body):
        match kind, rest:
            case "cnn", "mended":
                case.mended = content
            case "cnn", name:
                case.files[name or "spec.cnn"] = content
                case.shown = case.shown or content
            case "python", "":
                case.files["spec.cnn"] = eval(content)
                case.shown, case.language = content, "python"
            case "console", "":
                case.command = content.strip()
            case "text", "":
                case.expected = content
            case _:
                raise AssertionError(f"{case}: a block ```{kind} {rest}")
    return case


def rewrite(case: Case, produced: str) -> None:
    """Put what a case produced into its file."""
    case.expected = produced
    text = case.file.read_text(encoding="utf-8")
    section = text.index(f"\n## {case.code}\n")
    start = text.index(f"\n### {case.title}\n", section)
    ends = [at for at in (text.find("\n### ", start + 1), text.find("\n## ", start + 1)) if at >= 0]
    end = min(ends, default=len(text))
    before, body, after = text[:start], text[start:end], text[end:]
    fence = "````" if "```" in produced else "```"
    block = f"{fence}text\n{produced}{fence}\n"
    written = next((match for match in FENCE.finditer(body) if match[2] == "text"), None)
    if written is not None:
        body = body[: written.start()] + block + body[written.end() :]
    else:
        body = body.rstrip("\n") + "\n\n" + block
    case.file.write_text(before + body + after, encoding="utf-8", newline="\n")


CASES = [case for file in sorted(FOLDER.glob("*.md")) for case in read(file)]


def catalogue() -> str:
    """docs/errors.md: every code with its meaning, its first example, and what mends it."""
    parts = [CATALOGUE_HEAD]
    first: dict[str, Case] = {}
    for case in CASES:
        first.setdefault(case.code, case)
    themes = {case.file: case.file.read_text(encoding="utf-8").split("\n", 1)[0].removeprefix("# ") for case in CASES}
    for file, theme in themes.items():
        codes = [case.code for case in first.values() if case.file == file]
        parts.append(f"- {theme}: " + ", ".join(f"[`{code}`](#{code})" for code in sorted(codes)))
    parts.append("")
    for code, case in sorted(first.items()):
        parts.append(f"## {code}\n\n{case.meaning}\n")
        if case.command != COMMAND:
            parts.append(f"```console\n{case.command}\n```\n")
        if case.shown:
            parts.append(f"```{case.language}\n{case.shown}```\n")
        parts.append(f"```text\n{case.expected}```\n")
        if case.mended:
            parts.append(f"Mended:\n\n```cnn\n{case.mended}```\n")
    return "\n".join(parts)


CATALOGUE_HEAD = """\
# Errors and warnings

<!-- Written by `make golden` from tests/errors, where more examples of each code are. -->

A diagnostic has a code, which is a name; a message that stands alone; the place it is about; the places where the
other facts come from; and mostly a line of help.  `cnnspec check --format json` gives all of it as data,
`--format short` a line each.

The codes by theme:
"""
