"""Laying out Python source as the usual formatters do, at 88 columns.

A call that does not fit on its line is broken after its opening bracket: plain arguments on one line where they fit,
others one a line with a trailing comma, which formatters leave as it is.
"""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, replace

from cnnspec.shapes import Shape

WIDTH = 88
INDENT = "    "


@dataclass(slots=True)
class Bracket:
    """``head(a, b)``: text that may be broken between its parts.  A part is text or another bracket."""

    head: str
    parts: list[Part]
    closing: str = ")"
    prefix: str = ""
    """Stands before the head when the bracket is a part: ``*`` or ``name=``."""

    def flat(self) -> str:
        return f"{self.prefix}{self.head}{', '.join(flat(part) for part in self.parts)}{self.closing}"


@dataclass(slots=True)
class Comprehension:
    """``*[element for i in range(n)]``."""

    element: Part
    clause: str
    opening: str = "*["

    def flat(self) -> str:
        return f"{self.opening}{flat(self.element)} {self.clause}]"


@dataclass(slots=True)
class Chain:
    """``a + b + c`` or ``a if test else b``: text that may be broken before its operators.

    Each part but the first begins with the operator before it.
    """

    parts: list[str]
    prefix: str = ""

    def flat(self) -> str:
        return self.prefix + " ".join(self.parts)


Part = str | Bracket | Comprehension | Chain


def flat(part: Part) -> str:
    """A part on one line."""
    return part if isinstance(part, str) else part.flat()


def prefixed(prefix: str, part: Part) -> Part:
    """A part with something before it: ``name=part``."""
    if isinstance(part, Bracket | Chain):
        return replace(part, prefix=f"{prefix}{part.prefix}")
    return f"{prefix}{flat(part)}"


def lay_out(before: str, part: Part, indent: int, after: str = "") -> list[str]:
    """The lines of ``before + part + after`` at an indentation."""
    pad = INDENT * indent
    line = f"{pad}{before}{flat(part)}{after}"
    if isinstance(part, str) or len(line) <= WIDTH:
        return [line]
    if isinstance(part, Comprehension):
        return [
            f"{pad}{before}{part.opening}",
            *lay_out("", part.element, indent + 1),
            f"{pad}{INDENT}{part.clause}",
            f"{pad}]{after}",
        ]
    if isinstance(part, Chain):
        if not before and after == ",":
            first, *others = part.parts
            indented = [f"{pad}{INDENT if part.prefix else ''}{other}" for other in others]
            broken = [f"{pad}{part.prefix}{first}", *indented]
            return [*broken[:-1], f"{broken[-1]}{after}"]
        whole = f"{pad}{INDENT}{' '.join(part.parts)}"
        operands = [whole] if len(whole) <= WIDTH else [f"{pad}{INDENT}{one}" for one in part.parts]
        return [f"{pad}{before}{part.prefix}(", *operands, f"{pad}){after}"]
    if not part.parts:
        return [line]
    lines = [f"{pad}{before}{part.prefix}{part.head}"]
    inside = f"{pad}{INDENT}{', '.join(flat(inner) for inner in part.parts)}"
    plain = all(isinstance(inner, str) for inner in part.parts)
    # With a call of the result to break instead, formatters would leave the arguments on the line.
    called = after.startswith("(") and len(f"{pad}{before}{flat(part)}(") <= WIDTH
    # Those of a list get a line each.
    if plain and len(inside) <= WIDTH and not called and after != "," and part.head != "[":
        return [*lines, inside, f"{pad}{part.closing}{after}"]
    for inner in part.parts:
        lines += lay_out("", inner, indent + 1, ",")
    return [*lines, f"{pad}{part.closing}{after}"]


@dataclass(slots=True)
class Writer:
    """Collects the lines of a file."""

    lines: list[str] = field(default_factory=list)
    indent: int = 0
    _last: tuple[int, str, Part, str, str] | None = None

    def line(self, text: str = "") -> None:
        self._last = None
        self.lines.append(f"{INDENT * self.indent}{text}" if text else "")

    def put(self, before: str, part: Part, after: str = "", comment: str = "") -> None:
        """A statement, with a trailing comment where there is room for it."""
        self._last = (len(self.lines), before, part, after, comment)
        lines = lay_out(before, part, self.indent, after)
        if comment and len(lines) == 1 and len(lines[0]) + len(comment) + 4 <= WIDTH:
            lines[0] += f"  # {comment}"
        self.lines += lines

    def forget(self) -> None:
        """Whatever was last is no statement of its own any more."""
        self._last = None

    def return_instead(self, name: str) -> bool:
        """Turn the last statement, if it is ``name = ...``, into ``return ...``; whether that was done."""
        if self._last is None:
            return False
        start, before, part, after, comment = self._last
        if before != f"{name} = " or not self.lines[start].startswith(f"{INDENT * self.indent}{before}"):
            return False
        del self.lines[start:]
        self.put("return ", part, after, comment)
        return True

    def take(self, lines: Iterable[str]) -> None:
        """Add lines that are written already."""
        self.lines += lines
        self._last = None

    def blank(self, count: int = 1) -> None:
        self.lines += [""] * count

    def text(self) -> str:
        return "\n".join(self.lines) + "\n"


def join_else_if(writer: Writer) -> None:
    """Write the ``else:`` that was just written as ``elif``, where its body is one ``if``."""
    pad = INDENT * writer.indent
    start = max(i for i, line in enumerate(writer.lines) if line == f"{pad}else:")
    body = writer.lines[start + 1 :]
    at_top = [line for line in body if not line.startswith(f"{pad}{INDENT * 2}")]
    if (
        not at_top
        or not at_top[0].startswith(f"{pad}{INDENT}if ")
        or any(not line.strip().startswith(("else:", "elif ")) for line in at_top[1:])
    ):
        return
    writer.lines[start:] = [f"{pad}el{body[0].strip()}", *(line[len(INDENT) :] for line in body[1:])]
    writer.forget()


def docstring(text: str, indent: int) -> list[str]:
    """A docstring's lines, wrapped."""
    text = text.replace("\\", "\\\\").replace('"""', '\\"\\"\\"')
    pad = INDENT * indent
    if len(pad) + len(text) + 6 <= WIDTH and "\n" not in text:
        return [f'{pad}"""{text}"""']
    paragraphs = text.split("\n")
    lines: list[str] = []
    for number, paragraph in enumerate(paragraphs):
        first = f'{pad}"""' if number == 0 else pad
        # Narrower than a line: what nearly fits would be joined with its closing quotes.
        wrapped = textwrap.wrap(
            paragraph, WIDTH - 8, initial_indent=first, subsequent_indent=pad, break_long_words=False
        )
        lines += wrapped or [""]
    return [*lines, f'{pad}"""']


def arguments(texts: Iterable[tuple[str | None, str]]) -> list[Part]:
    """Call arguments as parts."""
    return [parsed(text, "" if name is None else f"{name}=") for name, text in texts]


LONGEST_PART = 56
"""Calls and tuples shorter than this are never broken."""


def parsed(text: str, prefix: str = "") -> Part:
    """An expression as a part: a call, a tuple or a list that is long enough to be broken with its parts apart."""
    if len(prefix) + len(text) < LONGEST_PART:
        return f"{prefix}{text}"
    call, table = re.fullmatch(r"([\w.]*\()(.*)\)", text), re.fullmatch(r"(\[)(.*)\]", text)
    for found, closing in ((call, ")"), (table, "]")):
        inner = _split(found[2]) if found is not None else None
        if found is not None and inner is not None and " for " not in found[2]:
            return Bracket(found[1], [parsed(one) for one in inner], closing, prefix=prefix)
    operands = _operands(text)
    return Chain(operands, prefix) if len(operands) > 1 else f"{prefix}{text}"


def _operands(text: str) -> list[str]:
    """The operands of an expression at its outermost operators, each behind the first with its operator."""
    try:
        e = ast.parse(text, mode="eval").body
    except SyntaxError:  # an argument with a star
        return [text]
    cuts: list[ast.expr] = []
    if isinstance(e, ast.BinOp):
        strength = isinstance(e.op, ast.Add | ast.Sub)
        while isinstance(e, ast.BinOp) and isinstance(e.op, ast.Add | ast.Sub) == strength:
            cuts.insert(0, e.right)
            e = e.left
    elif isinstance(e, ast.IfExp):
        cuts = [e.test, e.orelse]
    elif isinstance(e, ast.BoolOp):
        cuts = e.values[1:]
    # From the start of an operand back over brackets and the operator before it.
    starts = []
    for cut in cuts:
        before = text[: cut.col_offset].rstrip("(").rstrip()
        starts.append(before.rindex(" ") + 1)
    return [text[a:b].strip() for a, b in zip([0, *starts], [*starts, len(text)], strict=True)]


def _split(text: str) -> list[str] | None:
    """The parts of a text between its outermost commas; None where its brackets do not match."""
    parts, depth, start = [], 0, 0
    for position, character in enumerate(text):
        depth += character in "([{"
        depth -= character in ")]}"
        if depth < 0:
            return None
        if character == "," and depth == 0:
            parts.append(text[start:position].strip())
            start = position + 1
    return [*parts, text[start:].strip()] if text[start:].strip() else parts


def shown(shapes: tuple[Shape, ...], show: Callable[[Shape], str]) -> str:
    """A comment with the shapes of a statement's results."""
    return " and ".join(map(show, shapes))
