"""Syntax errors in words: what was found, what can stand there, and how to mend it.

The parser knows where it stopped and which terminals it would have taken.  Everything else is read off the text,
and each likely slip has a function here; `_expected` speaks for the rest.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Set
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Final

import lark

from cnnspec.diagnostics import Diagnostic, Span, nearest
from cnnspec.syntax.parse import RESERVED

_CLOSERS: Final = {"(": ")", "[": "]", "{": "}"}
_BRACKET: Final = re.compile(r'"(?:[^"\\\n]|\\.)*"|#[^\n]*|([()\[\]{}])')
_FOUND: Final = re.compile(
    r"->|==|!=|<=|>=|//|\*\*|[A-Za-z_][A-Za-z0-9_]*|[0-9](?:[0-9_.]|x[0-9])*|\"[^\"\n]*\"?|\S",
)
_VALUES: Final = frozenset({"NAME", "NUMBER", "DIMS", "STRING", "LSQB", "LPAR", "TRUE", "FALSE"})


@dataclass(frozen=True, slots=True)
class _Bracket:
    sign: str
    position: int


@dataclass
class _Stop:
    """Where the parser stopped, and what it knew."""

    text: str
    file: str
    origin: Span | None  # where the text begins, if it is the inside of a label's braces
    position: int
    at_end: bool
    accepts: Set[str]

    @cached_property
    def line_break(self) -> bool:
        """Whether a line break (or a comment before one) is what was found."""
        return not self.at_end and re.match(r"[ \t]*(?:#[^\n]*)?\r?\n", self.text[self.position :]) is not None

    @cached_property
    def found(self) -> str:
        """What stands at the place, as the reader sees it: a word, a sign, a number, a string; empty at an end."""
        match = None if self.at_end or self.line_break else _FOUND.match(self.text, self.position)
        return match[0] if match else ""

    @cached_property
    def shown(self) -> str:
        if self.at_end:
            return "the end of the braces" if self.origin else "the end of the text"
        if self.line_break:
            return "the end of the line"
        if self.found in RESERVED:
            return f"the word `{self.found}`"
        return f"`{_short(self.found)}`"

    @cached_property
    def before(self) -> str:
        """The line up to the place."""
        return self.text[self.text.rfind("\n", 0, self.position) + 1 : self.position]

    @cached_property
    def tail(self) -> str:
        """The last of `before`, short enough to be searched by any pattern."""
        return self.before[-500:]

    @cached_property
    def line_start(self) -> int:
        return self.position - len(self.before)

    @cached_property
    def line(self) -> str:
        """The line of the place without a comment at its end, short enough to be searched by any pattern."""
        return re.split(r"[#\n]", self.text[self.line_start : self.line_start + 500], maxsplit=1)[0].rstrip()

    @cached_property
    def open_brackets(self) -> list[_Bracket]:
        stack: list[_Bracket] = []
        for match in _BRACKET.finditer(self.text, 0, self.position):
            sign = match[1]
            if sign in _CLOSERS:
                stack.append(_Bracket(sign, match.start()))
            elif sign and stack:
                stack.pop()
        return stack

    @property
    def innermost(self) -> str:
        return self.open_brackets[-1].sign if self.open_brackets else ""

    def span(self, position: int, length: int = 1) -> Span:
        line = self.text.count("\n", 0, position) + 1
        column = position - self.text.rfind("\n", 0, position)
        if self.origin is not None:
            line, column = self.origin.line, column + self.origin.column - 1
        return Span(self.file, line, column, line, column + length)

    @property
    def here(self) -> Span:
        return self.span(self.position, max(1, len(self.found)))

    def error(self, code: str, message: str, label: str = "", help: str = "") -> Diagnostic:
        return Diagnostic(code, message, self.here, label, help=help)


def explain(error: lark.UnexpectedInput, text: str, file: str, origin: Span | None = None) -> Diagnostic:
    """What to tell the author.  ``origin`` is given for the inside of a label's braces, which is parsed by itself."""
    stopped: Any = error
    accepts = frozenset(stopped.interactive_parser.accepts())
    if isinstance(error, lark.UnexpectedCharacters):
        return _character(_Stop(text, file, origin, stopped.pos_in_stream, False, accepts))
    token = stopped.token
    at_end = token.type == "$END"
    position = len(text.rstrip()) if at_end else token.start_pos
    if not at_end:
        position += len(token) - 2 if token.type == "_ARROW" else 0  # it takes the line breaks before it
    stop = _Stop(text, file, origin, position, at_end, accepts)
    for slip in _SLIPS:
        diagnostic = slip(stop)
        if diagnostic is not None:
            return diagnostic
    return _expected(stop)


def _short(text: str) -> str:
    text = "".join(c if c.isprintable() else "·" for c in text[:24])
    return text if len(text) < 24 else text[:20] + "..."


# ---------------------------------------------------------------------------------------------------- characters

_INSTEAD: Final = {
    ";": "a statement ends with its line, no sign is needed",
    "'": 'strings stand in double quotes: `"blocks.cnn"`',
    "&": "write `and`",
    "|": "write `or`",
    "!": "write `not`, or `!=` for unequal",
    "^": "write `**` for a power",
    "\\": "a line that goes on stands in brackets, or begins with `->`",
    "→": "write `->`",
    "\u00d7": "write `x` as in `3x3`, or `*` to multiply",
    "\u2212": "write `-`",
    "\u2013": "write `-`",
    "“": 'write a plain `"`',
    "”": 'write a plain `"`',
    "≤": "write `<=`",
    "≥": "write `>=`",
    "≠": "write `!=`",
    "\xa0": "write a plain space",
    "\r": "lines end with a line feed, with or without a carriage return before it",
}


def _character(stop: _Stop) -> Diagnostic:
    comment = _comment(stop)
    if comment:
        return comment
    sign = stop.text[stop.position]
    if sign == '"':
        return _string(stop)
    shown = f"`{sign}`" if sign.isprintable() and sign != "`" else f"U+{ord(sign):04X}"
    help = _INSTEAD.get(sign, "")
    if not help and sign.isalpha():
        help = "names are made of the letters a to z, digits and `_`; other letters may stand in comments and strings"
    message = f"the character {shown} has no meaning here"
    return Diagnostic("unexpected-character", message, stop.span(stop.position), help=help)


def _string(stop: _Stop) -> Diagnostic:
    whole = re.compile(r'"(?:[^"\\\n]|\\[^\n])*"').match(stop.text, stop.position)
    if whole:
        escape = re.search(r'\\[^"\\]', whole[0])
        assert escape is not None
        place = stop.span(stop.position + escape.start(), 2)
        message = f"the escape `{_short(escape[0])}` is not known"
        return Diagnostic("unknown-escape", message, place, help='the escapes are `\\"` and `\\\\`')
    line_end = stop.text.find("\n", stop.position)
    length = len(stop.text[stop.position : line_end if line_end >= 0 else None].rstrip())
    return Diagnostic(
        "unterminated-string",
        "this string does not end on its line",
        stop.span(stop.position, length),
        help='close it with `"`',
    )


# ---------------------------------------------------------------------------------------------------- likely slips


_COMMENT: Final = re.compile(r"\n/[/*]|/\n\*|(?P<late>//)[ \t]*\w+(?:[ \t]+\n\w|\n')")
"""A comment of other languages.  The line break marks the place: behind a value, ``//`` and a word are a division."""


def _comment(stop: _Stop) -> Diagnostic | None:
    match = _COMMENT.search(f"{stop.tail}\n{stop.text[stop.position : stop.position + 2]}")
    if match is None or (match["late"] and stop.innermost in ("(", "[")):
        return None
    sign = match[0].replace("\n", "")[:2]
    place = stop.span(stop.position - len(stop.tail) + match.start(), 2)
    return Diagnostic("unexpected-token", f"`{sign}` begins no comment", place, help="comments begin with `#`")


def _brackets(stop: _Stop) -> Diagnostic | None:
    """An opening bracket without its partner, or the other way round."""
    closer = stop.found in (")", "]", "}")
    of_its_kind = any(_CLOSERS[bracket.sign] == stop.found for bracket in stop.open_brackets)
    if closer and not of_its_kind and stop.innermost in ("", "{"):
        help = "remove it, or open what it closes"
        return stop.error("unopened-bracket", f"`{stop.found}` closes nothing", help=help)
    if not stop.open_brackets:
        return None
    last = stop.open_brackets[-1]
    if closer and _CLOSERS[last.sign] != stop.found:
        return _unclosed(stop, last, stop.position, f"`{stop.found}` stands here instead")
    if stop.at_end:
        return _unclosed(stop, _suspect(stop) or last, stop.position, "the text ends here")
    if last.sign == "{":
        if stop.found in ("block", "model", "use"):
            end = _partner(stop, stop.open_brackets[0])
            if end is None:
                return _unclosed(stop, _suspect(stop) or last, stop.position, "the next definition begins here")
        return None
    if "\n" in stop.text[last.position : stop.position]:
        end = _partner(stop, last)
        if end is None:
            return _unclosed(stop, last, stop.position, f"{stop.shown} does not go on with it")
    return None


def _unclosed(stop: _Stop, bracket: _Bracket, position: int, note: str) -> Diagnostic:
    closer = _CLOSERS[bracket.sign]
    return Diagnostic(
        "unclosed-bracket",
        f"the bracket `{bracket.sign}` is not closed",
        stop.span(bracket.position),
        "opened here",
        ((stop.span(min(position, len(stop.text)), max(1, len(stop.found))), note),),
        help=f"close it with `{closer}`",
    )


def _partner(stop: _Stop, bracket: _Bracket) -> int | None:
    """Where the bracket is closed, if every bracket on the way is closed by its own kind."""
    stack: list[str] = []
    for match in _BRACKET.finditer(stop.text, bracket.position):
        sign = match[1]
        if sign in _CLOSERS:
            stack.append(_CLOSERS[sign])
        elif sign:
            if stack.pop() != sign:
                return None
            if not stack:
                return match.start()
    return None


def _suspect(stop: _Stop) -> _Bracket | None:
    """The first brace closed by one on a line of another indentation: most likely its own is missing."""

    def indentation(position: int) -> int:
        line = stop.text[stop.text.rfind("\n", 0, position) + 1 : position + 1]
        return len(line) - len(line.lstrip())

    stack: list[_Bracket] = []
    for match in _BRACKET.finditer(stop.text, 0, stop.position):
        sign = match[1]
        if sign in _CLOSERS:
            stack.append(_Bracket(sign, match.start()))
        elif sign and stack:
            opened = stack.pop()
            apart = "\n" in stop.text[opened.position : match.start()]
            if apart and sign == "}" and indentation(opened.position) != indentation(match.start()):
                return opened
    return None


_PYTHON: Final = "a spec is no Python program: it begins with"
_FOREIGN: Final = tuple(
    (re.compile(rf"(?:^|[{{}}])[ \t]*{pattern}"), help)
    for pattern, help in (
        (
            r"(?P<word>return)[ \t]+(?P<value>[A-Za-z_]\w*)(?:$|[ \t]*\})",
            r"what flows at the end of a body is its output: write `\g<value>`, or `output \g<value>`",
        ),
        (
            r"(?P<word>return)[ \t]+\w",
            "write `output` instead; without one, the output is what flows at the end of the body",
        ),
        (r"(?P<word>el(?:se?)?if)\b.*[{:]$", "write `} else if ... {`, on one line"),
        (r"(?P<word>import|include|from)[ \t]+[\"'](?P<path>[^\"']+)[\"']", r'write `use "\g<path>"`'),
        (r"(?P<word>class)[ \t]+(?P<name>[A-Za-z_]\w*)", rf"{_PYTHON} `model \g<name> {{`"),
        (r"(?P<word>import|from|def)[ \t]+[A-Za-z_.]", f"{_PYTHON} `model Name {{ ... }}`"),
    )
)
"""What begins a statement in other languages, and what to write instead."""


def _foreign(stop: _Stop) -> Diagnostic | None:
    for pattern, help in _FOREIGN:
        match = pattern.search(stop.line)
        if match and stop.line_start + match.start("word") <= stop.position:
            place = stop.span(stop.line_start + match.start("word"), len(match["word"]))
            message = f"`{match['word']}` is no word of the language"
            return Diagnostic("unexpected-token", message, place, help=match.expand(help))
    return None


_INPUT: Final = re.compile(r"(?:^|[{}])[ \t]*(?P<word>input)\b[ \t]*(?P<name>[A-Za-z_]\w*)?(?P<shape>[^}]*)")
_SIZES: Final = re.compile(r"[ \t=:({[]*[0-9]+(?:[ \t,*xX]+[0-9]+)*[ \t,)\]]*")


def _input(stop: _Stop) -> Diagnostic | None:
    """The declaration of an input, in one of the many ways that sizes are written elsewhere."""
    line = _INPUT.search(stop.line)
    place = stop.position - stop.line_start
    if not line or not line.start("word") <= place < line.end() or stop.innermost in ("(", "["):
        return None
    name = line["name"] or "image"
    if name in RESERVED:
        return None
    help = f"as in `input {name}: 3x32x32`, or `[3, height, width]` with names; each input has a line of its own"
    if _SIZES.fullmatch(line["shape"]):
        help = f"write `input {name}: {'x'.join(re.findall('[0-9]+', line['shape']))}`"
    elif stop.found not in ("=", ",", "x"):
        return None
    message = "the shape of an input is one value"
    if not line["name"]:
        message = "this input has no name"
    elif "_COLON" in stop.accepts:
        message = "the shape of an input stands behind a `:`"
    return stop.error("unexpected-token", message, help=help)


def _number(stop: _Stop) -> Diagnostic | None:
    """``3xH``, ``64px``, ``0x``: letters that follow a number without a space; ``.5`` and ``1.``."""
    before = re.search(r"(?<![A-Za-z_])[0-9](?:[0-9_.]|x[0-9])*$", stop.tail)
    if before and re.match(r"[A-Za-z_]", stop.found):
        whole = before[0] + stop.found
        place = stop.span(stop.position - len(before[0]), len(whole))
        unknown = re.fullmatch(r"[0-9]+(?:x(?:[0-9]+|[A-Za-wyz_]+))+", whole)
        help = "a name does not begin with a digit; in dims such as `3x224x224` every part is a number"
        if unknown:
            help = f"where a size is a name, write a list: `[{', '.join(whole.split('x'))}]`"
        return Diagnostic("bad-number", f"`{_short(whole)}` is neither a number nor a name", place, help=help)
    if stop.found == "." and re.match(r"\.[0-9]", stop.text[stop.position :]):
        return stop.error("bad-number", "a number does not begin with a dot", help="write `0.5`")
    if re.search(r"(?<![\w.])[0-9]+\.$", stop.tail) and "SEGMENT" in stop.accepts:
        return stop.error("bad-number", "a digit is missing after the dot", help="write `1.0`, or `1` for an integer")
    return None


def _else(stop: _Stop) -> Diagnostic | None:
    if stop.found != "else" or stop.before.strip():
        return None
    if stop.text[: stop.position].rstrip().endswith("}"):
        return stop.error("misplaced-else", "`else` cannot begin a line", help="write it behind the brace: `} else {`")
    return stop.error("misplaced-else", "this `else` follows no `if`", help="as in `if test { ... } else { ... }`")


def _definition(stop: _Stop) -> Diagnostic | None:
    if stop.found in ("block", "model", "use") and stop.innermost == "{":
        what = "files are taken in with `use`" if stop.found == "use" else "blocks and models are defined"
        return stop.error("misplaced-definition", f"{what} at the top of a file only", help="move it out of the braces")
    return None


def _top(stop: _Stop) -> Diagnostic | None:
    if stop.origin is None and not stop.at_end and not stop.open_brackets and stop.accepts >= {"BLOCK", "MODEL"}:
        help = "put it into the braces of a `model Name { ... }`"
        if stop.found == "{":
            help = "a body begins on the line of its name: `model Name {`"
        near = nearest(stop.found, ("model", "block", "use"))
        if near and re.match(r"\w+[ \t]+[\w\"']", stop.line[len(stop.before) :]):
            message = f"{stop.shown} begins no definition"
            return stop.error("misplaced-statement", message, help=f"did you mean `{near[0]}`?")
        return stop.error("misplaced-statement", f"{stop.shown} stands outside every block and model", help=help)
    return None


def _base(stop: _Stop) -> Diagnostic | None:
    """What stands behind ``model Name =``, the one place that takes a call and no other expression."""
    begins = "NUMBER" in stop.accepts and not stop.accepts & {"SIGN", "COMPARISON"}
    goes_on = stop.accepts >= {"LBRACE", "LPAR", "_NEWLINE"} and "_ARROW" not in stop.accepts
    if begins and stop.found == "{":
        return stop.error("bad-base", "a model with a body has no `=`", help="remove the `=`")
    if begins or goes_on:
        where = "where a model should stand" if begins else "behind the model that this one derives from"
        help = "it is called once, on this line: `model Small(classes = 10) = Net(2, classes)`"
        return stop.error("bad-base", f"found {stop.shown} {where}", help=help)
    return None


def _reserved(stop: _Stop) -> Diagnostic | None:
    if stop.found in RESERVED and stop.accepts & {"NAME", "SEGMENT"}:
        message = f"`{stop.found}` is a word of the language and cannot be a name"
        help = f"another name will do: `{stop.found}_` or `{stop.found}1`"
        if stop.found in ("then", "else", "and", "or"):
            help = f"a value is missing before it; or, where a name is meant, write `{stop.found}_`"
        return stop.error("reserved-word", message, help=help)
    return None


def _equals(stop: _Stop) -> Diagnostic | None:
    if stop.found != "=":
        return None
    condition = re.search(r"\b(?:if|expect|and|or|not)\b(?!.*\b(?:then|else)\b)", stop.tail)
    if condition and "COMPARISON" in stop.accepts:
        return stop.error("equals-in-condition", "`=` gives a name to a value", help="to compare, write `==`")
    change = re.search(r"([A-Za-z_]\w*)\s*(\+|-|\*\*?|//?|%)$", stop.tail)
    if change:
        return stop.error("unexpected-token", f"`{change[2]}=` does not exist", help=f"as in `n = n {change[2]} 1`")
    if stop.accepts & {"_NEWLINE", "_COMMA", "RPAR"}:
        help = "to the left of `=` stands a name, or names with commas: `left, right = split(x, 2)`"
        return stop.error("not-a-name", "only a name can be given a value", help=help)
    return None


def _comparison(stop: _Stop) -> Diagnostic | None:
    if stop.found in ("==", "!=", "<", "<=", ">", ">=") and "AND" in stop.accepts and "COMPARISON" not in stop.accepts:
        return stop.error("chained-comparison", "comparisons do not chain", help="write `a < b and b < c`")
    return None


def _colon(stop: _Stop) -> Diagnostic | None:
    if stop.found != ":":
        return None
    head = re.match(r"\s*(?:\}\s*)?(if|for|else|model|block)\b", stop.before)
    if head and "LBRACE" in stop.accepts:
        return stop.error("colon-for-brace", "a body stands in braces", help="write `{` here, and `}` behind the body")
    if stop.innermost in ("(", "[") and "_EQUALS" in stop.accepts:
        return stop.error("colon-for-equals", "`:` does not give a value", help="write `name = value`")
    help = 'a label is a word such as `conv1` or `layer{i}.{j}`, or a string: `"block1-0"`'
    return stop.error("bad-label", "what stands before `:` is not a label", help=help)


def _arrow(stop: _Stop) -> Diagnostic | None:
    if stop.found != "->":
        return None
    if stop.accepts >= {"NAME", "LABEL"} and "_ARROW" not in stop.accepts:
        help = "begin with a layer or a value"
        return stop.error("nothing-before-arrow", "nothing stands before this `->`", help=help)
    help = "bind the pipeline to a name on a line before, or put it in parentheses"
    return stop.error("misplaced-pipeline", "a pipeline cannot stand here", help=help)


def _comma(stop: _Stop) -> Diagnostic | None:
    if stop.found == "," and "_NEWLINE" in stop.accepts and stop.innermost in ("", "{"):
        return stop.error("unexpected-token", "the `,` stands outside brackets", help="a tuple is written `(a, b)`")
    return None


def _line_break(stop: _Stop) -> Diagnostic | None:
    """A line that ends too early."""
    if not stop.line_break:
        return None
    if stop.tail.rstrip().endswith("->"):
        help = "put the arrow at the start of the next line instead"
        return stop.error("unexpected-line-end", "a layer is missing after `->`", help=help)
    if "LBRACE" in stop.accepts and not stop.accepts & {"NAME", "NUMBER"}:
        return stop.error("missing-brace", "`{` is missing", help="the `{` stands on the line of what it belongs to")
    if stop.accepts & {"_THEN", "_ELSE"} and "_NEWLINE" not in stop.accepts:
        help = "a choice between values is `if test then one else other`"
        return stop.error("unexpected-line-end", "this choice is not finished", help=help)
    if re.search(r"[-+*/%<>=]$|\b(?:and|or|not)$", stop.tail.rstrip()):
        help = "finish it on this line, or put it in parentheses: inside them lines may break"
        return stop.error("unexpected-line-end", "the line ends before the expression does", help=help)
    return None


def _two_values(stop: _Stop) -> Diagnostic | None:
    """Something begins where something else should have ended."""
    begins = re.match(r"[A-Za-z0-9_\"(\[{]", stop.found)
    if not begins or stop.accepts & _VALUES - {"LPAR", "LSQB"}:
        return None
    if stop.found == "{" and re.search(r"[A-Za-z0-9_.]$", stop.tail):
        help = "a label with braces is closed and followed by `:`, as in `layer{i}: conv(64)`"
        return stop.error("bad-label", "braces directly behind a name, and no label", help=help)
    if stop.found == "if":
        help = "write `if test then one else other`"
        return stop.error("unexpected-token", "a condition stands behind its value", help=help)
    if stop.innermost in ("(", "[") and "_COMMA" in stop.accepts:
        return stop.error("missing-comma", f"a comma is missing before {stop.shown}", help="`,` separates them")
    if stop.accepts & {"_ARROW"} and "_NEWLINE" in stop.accepts:
        help = "join layers with `->`, or begin a new line"
        return stop.error("missing-arrow", f"nothing joins {stop.shown} to what stands before it", help=help)
    return None


_SLIPS: Final[tuple[Callable[[_Stop], Diagnostic | None], ...]] = (
    _comment,
    _brackets,
    _foreign,
    _input,
    _number,
    _else,
    _definition,
    _top,
    _base,
    _reserved,
    _comparison,
    _equals,
    _colon,
    _arrow,
    _comma,
    _line_break,
    _two_values,
)

# ---------------------------------------------------------------------------------------------------- all the rest

_IN_WORDS: Final = {
    "SEGMENT": "a name",
    "_EQUALS": "`=`",
    "_IN": "`in`",
    "_THEN": "`then`",
    "_ELSE": "`else`",
    "OUTPUT": "`output`",
    "_COLON": "`:`",
    "_COMMA": "`,`",
    "RPAR": "`)`",
    "RSQB": "`]`",
    "LBRACE": "`{`",
    "RBRACE": "`}`",
    "_ARROW": "`->`",
    "_NEWLINE": "the end of the line",
    "$END": "the end",
}


def _expected(stop: _Stop) -> Diagnostic:
    accepts = set(stop.accepts)
    words: list[str] = []
    if "EXPECT" in accepts:
        words.append("a statement")
        accepts -= {"LBRACE", "OUTPUT", "_NEWLINE"}
    elif "NUMBER" in accepts:
        words.append("a layer or value" if "LABEL" in accepts else "a value")
        accepts -= {"LBRACE"}
    elif "NAME" in accepts:
        words.append("a name")
    elif "STRING" in accepts:
        words.append('a string such as `"blocks.cnn"`')
    if stop.innermost in ("(", "["):
        accepts -= {"_NEWLINE"}
    words += [word for name, word in _IN_WORDS.items() if name in accepts]
    if len(words) > 1 and words[-1] == _IN_WORDS["$END"]:
        words.pop()
    either = " or ".join([", ".join(words[:-1]), words[-1]] if len(words) > 1 else words or ["the end"])
    return stop.error("unexpected-token", f"found {stop.shown} where {either} should stand", f"expected {either}")
