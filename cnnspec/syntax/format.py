"""The canonical form of a `.cnn` file.

Works on the tokens, so comments, numbers and parentheses stay as they were written.  The author decides where a
pipeline breaks, whether a body stands on one line, and (by a line break right behind the opening bracket) whether
a list has an item a line; everything else about white space is decided here.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from cnnspec.syntax.parse import RESERVED, parse

WIDTH: Final = 120
INDENT: Final = 4


def format_source(text: str, name: str) -> str:
    """The text in canonical form: the same tree, the same comments; formatting it again changes nothing.

    Raises:
        SpecError: the text is not a spec.
    """
    parse(text, name)
    entries = _Reader(text.removeprefix("\ufeff")).body()
    writer = _Writer()
    writer.entries(entries, 0, top=True)
    return "".join(line + "\n" for line in writer.lines)


# ---------------------------------------------------------------------------------------------------- tokens

_TRIVIA: Final = r"(?P<comment>\#[^\n]*)|(?P<break>\r?\n)|[ \t]+"
_TOKEN: Final = re.compile(
    _TRIVIA
    + r"""|(?P<label>[A-Za-z_](?:[A-Za-z0-9_.]|\{[^{}\n]*+\})*+(?=[ \t]*+:))
    |(?P<word>[A-Za-z_][A-Za-z0-9_]*)
    |(?P<value>"(?:[^"\\\n]|\\.)*+"|[0-9]+(?:x[0-9]+)+|[0-9_]+(?:\.[0-9_]+)?(?:[eE][+-]?[0-9]+)?)
    |(?P<sign>->|[=!<>]=|//|\*\*|.)""",
    re.VERBOSE,
)
_SEGMENT: Final = re.compile(_TRIVIA + "|(?P<value>[A-Za-z0-9_]+)", re.VERBOSE)  # behind a dot


@dataclass(slots=True)
class _Comment:
    text: str
    own_line: bool
    blank_before: bool


@dataclass(slots=True)
class _Token:
    text: str
    kind: str  # "word", "value", "sign" or, at the end, ""
    line: int
    line_breaks: int  # between the token or comment before and this one
    comments: list[_Comment]  # between the token before and this one
    broken: bool  # whether a line break stands between the token before and this one


def _tokens(text: str) -> Iterator[_Token]:
    """The tokens of a text known to be right; a last one, empty, carries the comments at the end."""
    position, line, breaks, broken = 0, 1, 0, False
    comments: list[_Comment] = []
    previous = ""
    while position < len(text):
        match = (_SEGMENT if previous == "." else _TOKEN).match(text, position)
        assert match is not None
        position, kind = match.end(), match.lastgroup
        if kind == "comment":
            comments.append(_Comment(_comment_text(match[0]), broken or not previous, breaks > 1))
            breaks = 0
        elif kind == "break":
            line += 1
            breaks += 1
            broken = True
        elif kind is not None:
            previous = match[0]
            if kind == "label":
                kind = "value"
            yield _Token(previous, kind, line, breaks, comments, broken)
            breaks, broken, comments = 0, False, []
    yield _Token("", "", line, breaks, comments, broken)


def _comment_text(comment: str) -> str:
    comment = comment.rstrip()
    return f"# {comment[1:]}" if re.match(r"#\w", comment) else comment


# ---------------------------------------------------------------------------------------------------- structure


@dataclass(slots=True)
class _Arrow:
    broken: bool
    comments: list[_Comment]


@dataclass(slots=True)
class _Item:
    """What stands between two commas."""

    comments: list[_Comment] = field(default_factory=list)
    nodes: list[_Node] = field(default_factory=list)
    trailing: list[_Comment] = field(default_factory=list)


@dataclass(slots=True)
class _Bracket:
    opening: str
    closing: str
    items: list[_Item]
    dangling: list[_Comment]  # comments before the closing bracket
    tuple_of_one: bool  # `(a,)`, where the comma is part of the meaning
    comma_may_follow: bool  # whether one may be added behind the last item: not in `(a)` and `xs[i]`
    exploded: bool  # an item a line


@dataclass(slots=True)
class _Braces:
    entries: list[_Entry]
    broken: bool
    header: _Comment | None  # `{  # like this`


@dataclass(slots=True)
class _Entry:
    """A statement, or a comment on a line of its own."""

    nodes: list[_Node]
    comment: _Comment | None
    blank_before: bool

    @property
    def is_definition(self) -> bool:
        first = self.nodes[0] if self.nodes else None
        return isinstance(first, _Token) and first.text in ("block", "model")


_Node = _Token | _Arrow | _Bracket | _Braces


def _ends_value(nodes: list[_Node], place: int) -> bool:
    """Whether what stands there could be the end of a value, so that a bracket behind it calls or indexes."""
    node = nodes[place] if place >= 0 else None
    if isinstance(node, _Token):
        return node.kind == "value" or (node.kind == "word" and node.text not in RESERVED)
    return isinstance(node, _Bracket | _Braces)


def _is_prefix(nodes: list[_Node], place: int) -> bool:
    """Whether a sign belongs to what follows, as in ``-x``."""
    node = nodes[place]
    return isinstance(node, _Token) and node.text in ("+", "-") and not _ends_value(nodes, place - 1)


class _Reader:
    """Tokens to brackets, bodies and statements."""

    def __init__(self, text: str) -> None:
        self.stream = _tokens(text)
        self.next = next(self.stream)

    def take(self) -> _Token:
        token = self.next
        self.next = next(self.stream)
        return token

    def take_comments(self) -> list[_Comment]:
        comments, self.next.comments = self.next.comments, []
        return comments

    def body(self) -> list[_Entry]:
        """The statements up to a closing brace or the end, which is left to the caller."""
        entries: list[_Entry] = []
        while True:
            for comment in self.take_comments():
                if not comment.own_line and entries:
                    entries[-1].comment = comment
                else:
                    entries.append(_Entry([], comment, comment.blank_before))
            if self.next.text in ("}", ""):
                return entries
            blank_before = self.next.line_breaks > 1
            entries.append(_Entry(self.statement(), None, blank_before))

    def statement(self) -> list[_Node]:
        nodes: list[_Node] = []
        while self.next.text not in ("}", ""):
            if nodes and self.next.broken and self.next.text != "->":
                break
            self.node(nodes)
        return nodes

    def node(self, nodes: list[_Node]) -> None:
        token = self.take()
        if token.text == "->":
            nodes.append(_Arrow(token.broken, token.comments))
        elif token.text in ("(", "["):
            nodes.append(self.bracket(token, _ends_value(nodes, len(nodes) - 1)))
        elif token.text == "{":
            header = self.next.comments.pop(0) if self.next.comments and not self.next.comments[0].own_line else None
            entries = self.body()
            nodes.append(_Braces(entries, self.take().line > token.line, header))
        else:
            nodes.append(token)

    def bracket(self, opening: _Token, behind_value: bool) -> _Bracket:
        closing = ")" if opening.text == "(" else "]"
        exploded = self.next.broken
        items: list[_Item] = []
        comma = False
        while True:
            comments = self.take_comments()
            if items and comments and not comments[0].own_line:
                items[-1].trailing.append(comments.pop(0))
            if self.next.text == closing:
                break
            item = _Item(comments)
            while self.next.text not in (",", closing):
                if self.next.text != "->":
                    item.comments += self.take_comments()  # from the middle of an item to the lines before it
                self.node(item.nodes)
            items.append(item)
            comma = self.next.text == ","
            if comma:
                item.trailing += self.take_comments()
                self.take()
        self.take()
        if opening.text == "[":
            comma_may_follow = not behind_value
        else:
            comma_may_follow = behind_value or comma or len(items) > 1
        tuple_of_one = comma and len(items) == 1 and opening.text == "(" and not behind_value
        return _Bracket(opening.text, closing, items, comments, tuple_of_one, comma_may_follow, exploded)


# ---------------------------------------------------------------------------------------------------- on one line


def _gap(nodes: list[_Node], place: int) -> str:
    """The space before a node."""
    if place == 0:
        return ""
    node, last = nodes[place], nodes[place - 1]
    if _is_prefix(nodes, place - 1) or (isinstance(last, _Token) and last.text == "."):
        return ""
    if isinstance(node, _Bracket):
        return "" if _ends_value(nodes, place - 1) else " "
    return "" if isinstance(node, _Token) and node.text in (",", ":", ".") else " "


def _flat(nodes: list[_Node]) -> str | None:
    """The nodes on one line, or None where there must be a line break."""
    parts: list[str] = []
    for place, node in enumerate(nodes):
        text = _flat_node(node)
        if text is None:
            return None
        parts.append(_gap(nodes, place) + text)
    return "".join(parts)


def _flat_node(node: _Node) -> str | None:
    if isinstance(node, _Token):
        return node.text
    if isinstance(node, _Arrow):
        return None if node.broken or node.comments else "->"
    if isinstance(node, _Braces):
        if not node.entries and not node.header:
            return "{}"
        inner = None if node.broken else _flat(node.entries[0].nodes)
        return None if inner is None else f"{{ {inner} }}"
    if node.dangling or (node.exploded and node.items):
        return None
    items: list[str] = []
    for item in node.items:
        text = None if item.comments or item.trailing else _flat(item.nodes)
        if text is None:
            return None
        items.append(text)
    return f"{node.opening}{', '.join(items)}{',' if node.tuple_of_one else ''}{node.closing}"


# ---------------------------------------------------------------------------------------------------- on many lines


class _Writer:
    """Structure to lines."""

    def __init__(self) -> None:
        self.lines: list[str] = []
        self.line = ""

    def end_line(self, indent: int) -> None:
        self.lines.append(self.line.rstrip())
        self.line = " " * indent

    def comments(self, comments: list[_Comment], indent: int) -> None:
        """Comments on lines of their own, the current one being empty."""
        for comment in comments:
            self.line = " " * indent + comment.text
            self.end_line(indent)
        self.line = " " * indent

    def entries(self, entries: list[_Entry], indent: int, *, top: bool = False) -> None:
        for place, entry in enumerate(entries):
            if place and (entry.blank_before or (top and entries[place - 1].is_definition)):
                self.lines.append("")
            self.line = " " * indent
            self.nodes(entry.nodes, indent)
            if entry.comment:
                self.line += ("  " if entry.nodes else "") + entry.comment.text
            self.end_line(indent)

    def nodes(self, nodes: list[_Node], indent: int, suffix: int = 0) -> None:
        """Goes on with the current line.  ``suffix`` is the room to leave for what follows on the last line."""
        arrows = [place for place, node in enumerate(nodes) if isinstance(node, _Arrow)]
        ends = dict(zip(arrows, [*arrows[1:], len(nodes)], strict=False))
        column = -1  # where the arrows of this pipeline stand
        for place, node in enumerate(nodes):
            gap = _gap(nodes, place)
            if isinstance(node, _Arrow):
                end = ends[place]
                broken = node.broken or bool(node.comments)
                # Arrows stand below the first one, unless that leaves no room for stages.
                far = column < 0 and len(self.line) + 1 > WIDTH // 2
                if not broken and (column >= 0 or far):
                    room = WIDTH - len(self.line) - len(" -> ") - (suffix if end == len(nodes) else 0)
                    broken = self.head(nodes[place + 1 : end]) > room
                if column < 0:
                    column = indent + INDENT if broken or far else len(self.line) + 1
                if broken:
                    self.arrow_line(node, column)
                else:
                    self.line += " ->"
            elif isinstance(node, _Token):
                self.line += gap + node.text
            else:
                flat = _flat_node(node)
                room = WIDTH - len(self.line) - len(gap) - (suffix if place == len(nodes) - 1 else 0)
                if flat is not None and (len(flat) + self.up_to_break(nodes, place + 1) <= room or len(flat) == 2):
                    self.line += gap + flat
                elif isinstance(node, _Bracket):
                    self.line += gap
                    self.bracket(node)
                else:
                    self.line += gap
                    self.braces(node)

    def head(self, stage: list[_Node]) -> int:
        """The width a stage needs on its first line."""
        flat = _flat(stage)
        if flat is not None:
            return len(flat)
        width = 0
        for place, node in enumerate(stage):
            text = _flat_node(node)
            width += len(_gap(stage, place)) + (1 if text is None else len(text))
            if text is None:
                break
        return width

    def up_to_break(self, nodes: list[_Node], place: int) -> int:
        """The width of what must stand on the same line: up to the next arrow or opening bracket."""
        width = 0
        while place < len(nodes):
            node = nodes[place]
            if isinstance(node, _Arrow):
                break
            width += len(_gap(nodes, place)) + (len(node.text) if isinstance(node, _Token) else 1)
            if not isinstance(node, _Token):
                break
            place += 1
        return width

    def arrow_line(self, arrow: _Arrow, column: int) -> None:
        comments = arrow.comments
        if comments and not comments[0].own_line:
            self.line += "  " + comments[0].text
            comments = comments[1:]
        self.end_line(column)
        self.comments(comments, column)
        self.line += "->"

    def bracket(self, bracket: _Bracket) -> None:
        """An item a line."""
        outer = len(self.line) - len(self.line.lstrip())
        inner = outer + INDENT
        self.line += bracket.opening
        self.end_line(inner)
        for item in bracket.items:
            self.comments(item.comments, inner)
            self.nodes(item.nodes, inner, suffix=1)
            if bracket.comma_may_follow or item is not bracket.items[-1]:
                self.line += ","
            if item.trailing:
                self.line += "  " + item.trailing[0].text
            self.end_line(inner)
            self.comments(item.trailing[1:], inner)
        self.comments(bracket.dangling, inner)
        self.line = " " * outer + bracket.closing

    def braces(self, braces: _Braces) -> None:
        outer = len(self.line) - len(self.line.lstrip())
        self.line += "{" + (f"  {braces.header.text}" if braces.header else "")
        self.end_line(outer)
        self.entries(braces.entries, outer + INDENT)
        self.line = " " * outer + "}"
