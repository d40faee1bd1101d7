"""From the text of a `.cnn` file to its syntax tree.

Lark's LALR(1) parser calls the `_Builder` at each reduction, so the tree is made in one pass and no other tree
exists beside it.  Its tables are prepared once and kept in the user's cache folder.
"""

from __future__ import annotations

import gc
import hashlib
import io
import os
import pickle
import re
import sys
import tempfile
import threading
from collections.abc import Iterable, Iterator
from dataclasses import replace
from functools import cache, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, NoReturn

import lark

from cnnspec.diagnostics import Diagnostic, Span, SpecError
from cnnspec.syntax.tree import (
    Argument,
    Attribute,
    Binary,
    Binding,
    Boolean,
    Call,
    Conditional,
    Definition,
    DimsLiteral,
    Expect,
    Expression,
    File,
    Flow,
    For,
    Group,
    If,
    Index,
    Input,
    Interpolated,
    Label,
    Labelled,
    ListLiteral,
    Name,
    Names,
    Number,
    Output,
    Parameter,
    Pipeline,
    Statement,
    String,
    TupleLiteral,
    Unary,
    Use,
)
from cnnspec_grammar import grammar_text

if TYPE_CHECKING:
    from lark import Lark, Token

RESERVED: Final = frozenset(
    {
        *("block", "model", "input", "output", "auxiliary", "use", "expect"),
        *("for", "in", "if", "then", "else", "and", "or", "not", "true", "false"),
    }
)
"""The words that cannot be names.  They can be labels, and parts of a path behind a dot."""

MAX_BRACKETS: Final = 100
"""How deep brackets may nest."""
MAX_DEPTH: Final = 200
"""How deep expressions and statements may nest, so that no later walk over the tree exhausts the stack."""
MAX_DIGITS: Final = 18
"""How many digits an integer may have: what fits a signed 64-bit word."""


def parse(text: str, name: str) -> File:
    """The tree of a whole file.  ``name`` stands in every span.

    Raises:
        SpecError: the text is not a spec; the places count from the start of ``text``, a byte-order mark left out.
    """
    tree: File = _run(text.removeprefix("\ufeff"), name, "file")
    return tree


@lru_cache(maxsize=32)
def parse_once(text: str, name: str) -> File:
    """What `parse` gives, kept for when the same file is asked for again: trees are never changed."""
    return parse(text, name)


def parse_expression(text: str, name: str) -> Expression:
    """The tree of an expression that stands alone, such as the value in ``--set stride=(1, 2)``.

    Raises:
        SpecError: the text is not one expression.
    """
    tree: Expression = _run(text, name, "expression")
    return tree


_lock = threading.RLock()  # one parser, whose builder knows the file it is at; re-entered for a label's braces


def _run(text: str, name: str, start: str) -> Any:
    with _lock:
        parser, builder = _parser()
        builder.file_name = name
        # A parse makes no cycles, only ever more objects: collections would look at each of them again and again.
        collecting = gc.isenabled()
        gc.disable()
        try:
            return parser.parse(text, start)
        except _Refused as refused:
            raise SpecError([refused.diagnostic], {name: text}) from None
        except lark.UnexpectedInput as error:
            raise SpecError([_explained(error, text, name)], {name: text}) from None
        finally:
            if collecting:
                gc.enable()


def _explained(error: lark.UnexpectedInput, text: str, name: str, origin: Span | None = None) -> Diagnostic:
    from cnnspec.syntax.errors import explain  # only when there is something to explain

    return explain(error, text, name, origin)


class _Refused(Exception):
    """The grammar takes it, the builder does not."""

    def __init__(self, diagnostic: Diagnostic) -> None:
        super().__init__(diagnostic.message)
        self.diagnostic = diagnostic


def _refuse(code: str, message: str, span: Span, label: str = "", *, help: str = "") -> NoReturn:
    raise _Refused(Diagnostic(code, message, span, label, help=help))


# ---------------------------------------------------------------------------------------------------- the parser


@cache
def _parser() -> tuple[Lark, _Builder]:
    """The parser with the builder it calls, from prepared tables where there are any."""
    builder = _Builder()
    text = grammar_text()
    bound: dict[str, Any] = {"transformer": builder, "postlex": _Brackets(builder)}
    folder = _cache_folder()
    key = hashlib.sha256(f"{text}{lark.__version__}{sys.version_info[:2]}".encode()).hexdigest()[:16]
    tables = folder / f"grammar-{key}.tables" if folder else None
    if tables:
        try:
            content = tables.read_bytes()
        except OSError:  # not there yet, or not to be read
            content = b""
        if hashlib.sha256(content[_SEAL:]).digest() == content[:_SEAL]:
            # As Lark's own stand-alone parsers load theirs.  Its `cache` option does not write whole or not at all.
            load: Any = lark.Lark._load_from_dict
            return load(**pickle.loads(content[_SEAL:]), **bound), builder
    parser = lark.Lark(
        text, parser="lalr", lexer="contextual", start=["file", "expression"], maybe_placeholders=False, **bound
    )
    if tables:
        _keep(parser, tables, set(bound))
    return parser, builder


def _keep(parser: Lark, tables: Path, bound: set[str]) -> None:
    """Writes the tables beside their place and moves them there, so that no other process sees half a file."""
    content = io.BytesIO()
    parser.save(content, bound)
    try:
        tables.parent.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=tables.parent) as workshop:
            fresh = Path(workshop) / tables.name
            fresh.write_bytes(hashlib.sha256(content.getvalue()).digest() + content.getvalue())
            fresh.replace(tables)
    except OSError:  # nowhere to write: slower at each start, and otherwise the same
        pass


_SEAL: Final = hashlib.sha256().digest_size
"""The tables begin with a digest of the rest, which tells damaged ones."""


def _cache_folder() -> Path | None:
    try:
        return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "cnnspec"
    except RuntimeError:  # no home
        return None


class _Brackets:
    """Between lexer and parser: a line break counts unless the innermost open bracket is ``(`` or ``[``."""

    always_accept = ("_NEWLINE",)
    _steps: Final = {"LPAR": True, "LSQB": True, "LBRACE": False, "RPAR": None, "RSQB": None, "RBRACE": None}

    def __init__(self, builder: _Builder) -> None:
        self.builder = builder

    def process(self, stream: Iterable[Token]) -> Iterator[Token]:
        steps = self._steps
        silent: list[bool] = []  # for each open bracket, whether line breaks mean nothing in it
        origin = self.builder.origin
        begins = False  # whether a statement begins here
        for token in stream:
            kind = token.type
            if origin is not None:
                token.line, token.end_line = origin.line, origin.line
                token.column += origin.column - 1  # type: ignore[operator]
                token.end_column += origin.column - 1  # type: ignore[operator]
            if kind == "_NEWLINE":
                if not silent or not silent[-1]:
                    begins = True
                    yield token
                continue
            if begins and kind == "SIGN":
                self.refuse_sign(token)
            begins = kind == "LBRACE"
            if kind in steps:
                step = steps[kind]
                if step is not None:
                    if len(silent) == MAX_BRACKETS:
                        _refuse(
                            "nesting-too-deep",
                            f"brackets nest deeper than {MAX_BRACKETS}",
                            self.builder.span(token, token),
                            "one too many",
                            help="give an inner part a name of its own, or a block",
                        )
                    silent.append(step)
                elif silent:  # whether it is the right one is seen by the parser
                    silent.pop()
            yield token

    def refuse_sign(self, token: Token) -> NoReturn:
        """Most likely the line was meant to go on with the sum that the one before began."""
        _refuse(
            "leading-sign",
            f"a statement cannot begin with `{token}`",
            self.builder.span(token, token),
            help="a line goes on only with `->` or inside brackets: write the sum in parentheses"
            + ("; a value alone can be negated in them, as in `(-x)`" if token == "-" else ""),
        )


# ---------------------------------------------------------------------------------------------------- the builder


class _Body(NamedTuple):
    span: Span
    statements: tuple[Statement, ...]
    depth: int


class _Deep(NamedTuple):
    """A statement on its way up, with its depth, which the tree does not keep."""

    statement: Statement
    depth: int


_HOLE: Final = re.compile(r"\{([^{}]*)\}")
_SIMPLE: Final = re.compile(r"(?P<name>[A-Za-z_][A-Za-z0-9_]*)|(?P<number>[0-9]{1,18})")
_NO_LAYERS: Final = (Number, DimsLiteral, String, Interpolated, Boolean, ListLiteral, TupleLiteral)
_ESCAPE: Final = re.compile(r"\\(.)")


class _Builder:
    """A method for each rule of the grammar; each takes what the rule matched and gives a node."""

    def __init__(self) -> None:
        self.file_name = ""
        self.origin: Span | None = None  # where the text being parsed begins, if it is a part of the file

    def span(self, first: Token, last: Token) -> Span:
        return Span(self.file_name, first.line, first.column, last.end_line, last.end_column)  # type: ignore[arg-type]

    def deeper(self, span: Span, depth: int) -> int:
        if depth >= MAX_DEPTH:
            _refuse(
                "nesting-too-deep",
                f"this is nested deeper than {MAX_DEPTH} steps",
                span,
                help="bind an inner part to a name, or write a list and a loop",
            )
        return depth + 1

    # ---- files

    def file(self, children: list[Any]) -> File:
        uses = tuple(node for node in children if isinstance(node, Use))
        definitions = tuple(node for node in children if isinstance(node, Definition))
        span = children[0].span.to(children[-1].span) if children else Span(self.file_name, 1, 1, 1, 1)
        return File(self.file_name, uses, definitions, span)

    def use(self, children: list[Token]) -> Use:
        keyword, path = children
        return Use(self.span(keyword, path), self.plain_string(path))

    def definition(self, children: list[Any]) -> Definition:
        keyword, name, *parameters, body = children
        span = self.span(keyword, keyword).to(body.span)
        return Definition(span, keyword.value, name, parameters[0] if parameters else (), body.statements)

    def derived(self, children: list[Any]) -> Definition:
        keyword, name, *middle = children
        claims = middle.pop() if isinstance(middle[-1], _Body) else None
        base = middle.pop()
        span = self.span(keyword, keyword).to(claims.span if claims else base.span)
        call = Call(base.span, base, (), base.depth) if isinstance(base, Name) else base
        if not isinstance(call, Call) or not isinstance(call.function, Name):
            _refuse(
                "bad-base",
                "a model derives from a model",
                base.span,
                "this is no call of one",
                help=f"as in `model {name.text} = Base(10)`; with a body, there is no `=`",
            )
        if keyword.type != "MODEL":
            _refuse(
                "bad-base",
                "only a model can derive from another",
                name.span,
                help=f"give it a body: `block {name.text} {{ {call.function.text}(...) }}`",
            )
        for statement in claims.statements if claims else ():
            if not isinstance(statement, Expect):
                _refuse(
                    "misplaced-statement",
                    f"a derived model has only `expect` statements: its layers are those of `{call.function.text}`",
                    statement.span,
                    help=f"move it to `{call.function.text}`, under a condition that a parameter decides",
                )
        statements = claims.statements if claims else ()
        return Definition(span, keyword.value, name, middle[0] if middle else (), statements, call)

    def parameters(self, children: list[Any]) -> tuple[Parameter, ...]:
        return tuple(children[1:-1])

    def parameter(self, children: list[Any]) -> Parameter:
        name, *default = children
        span = name.span.to(default[0].span) if default else name.span
        return Parameter(span, name, default[0] if default else None)

    # ---- statements

    def body(self, children: list[Any]) -> _Body:
        first, *deep, last = children
        depth = max([each.depth for each in deep], default=0)
        return _Body(self.span(first, last), tuple([each.statement for each in deep]), depth)

    def input_line(self, children: list[Any]) -> _Deep:
        keyword, names, *shape = children
        span = self.span(keyword, keyword).to(shape[0].span if shape else names[-1].span)
        if shape and len(names) > 1:
            _refuse(
                "input-shape",
                "one shape for several inputs",
                shape[0].span,
                f"whose: {' or '.join(name.text for name in names)}?",
                help="write a line for each: " + ", ".join(f"`input {name.text}: ...`" for name in names),
            )
        return _Deep(Input(span, names, shape[0] if shape else None), shape[0].depth if shape else 1)

    def output(self, children: list[Any]) -> _Deep:
        auxiliary = children[0].type == "AUXILIARY"
        values = tuple(children[2:] if auxiliary else children[1:])
        span = self.span(children[0], children[0]).to(values[-1].span)
        return _Deep(Output(span, None, values, auxiliary), max([value.depth for value in values]))

    def named_output(self, children: list[Any]) -> _Deep:
        first, name, value = children[0], children[-2], children[-1]
        span = self.span(first, first).to(value.span)
        return _Deep(Output(span, self.name([name]), (value,), first.type == "AUXILIARY"), value.depth)

    def binding(self, children: list[Any]) -> _Deep:
        names, value = children
        return _Deep(Binding(names[0].span.to(value.span), names, value), value.depth)

    def flow(self, children: list[Any]) -> _Deep:
        (value,) = children
        return _Deep(Flow(value.span, value), value.depth)

    def for_loop(self, children: list[Any]) -> _Deep:
        keyword, names, iterable, body = children
        span = self.span(keyword, keyword).to(body.span)
        depth = self.deeper(span, max(iterable.depth, body.depth))
        return _Deep(For(span, names, iterable, body.statements), depth)

    def condition(self, children: list[Any]) -> _Deep:
        # IF test body, again for each `else if`, and the body of a last `else`: built from the end.
        end = children[-1].span
        otherwise: tuple[Statement, ...] = ()
        depth = 0
        if len(children) % 3:
            last = children.pop()
            otherwise, depth = last.statements, last.depth
        for place in range(len(children) - 3, -1, -3):
            keyword, test, body = children[place : place + 3]
            span = self.span(keyword, keyword).to(end)
            depth = self.deeper(span, max(depth, test.depth, body.depth))
            otherwise = (If(span, test, body.statements, otherwise),)
        return _Deep(otherwise[0], depth)

    def expect(self, children: list[Any]) -> _Deep:
        keyword, claim = children
        return _Deep(Expect(self.span(keyword, keyword).to(claim.span), claim), claim.depth)

    def names(self, children: list[Any]) -> tuple[Name | Names, ...]:
        return tuple(children)

    def inner_names(self, children: list[Any]) -> Names:
        first, *names, last = children
        return Names(self.span(first, last), tuple(names))

    # ---- flow

    def pipeline(self, children: list[Any]) -> Pipeline:
        span = children[0].span.to(children[-1].span)
        return Pipeline(span, tuple(children), self.deeper(span, max([stage.depth for stage in children])))

    def labelled(self, children: list[Any]) -> Labelled:
        token, value = children
        label = self.label(token)
        span = label.span.to(value.span)
        if isinstance(value, _NO_LAYERS):
            if token == "input":
                shape = "x".join(map(str, value.sizes)) if isinstance(value, DimsLiteral) else "3x32x32"
                _refuse("unexpected-token", "this input has no name", label.span, help=f"as in `input image: {shape}`")
            _refuse(
                "label-without-layer",
                "a label names a layer, and this is none",
                span,
                help=f"to give a value a name, write `{token} = ...`" if not label.quoted else "",
            )
        return Labelled(span, label, value, self.deeper(span, max(label.depth, value.depth)))

    def label(self, token: Token) -> Label:
        span = self.span(token, token)
        text = str(token)
        quoted = text[0] == '"'
        if "{" not in text and "\\" not in text and not quoted:
            if text[-1] == "." or ".." in text:
                self.bad_label(span)
            return Label(span, (text,), False, 1)
        parts, depth = self.parts("label", text[1:-1] if quoted else text, span, int(quoted))
        literal = "".join([part if isinstance(part, str) else "0" for part in parts])
        if not literal or (not quoted and (literal[-1] == "." or ".." in literal)):
            self.bad_label(span)
        return Label(span, parts, quoted, depth)

    def parts(self, what: str, text: str, span: Span, offset: int) -> tuple[tuple[str | Expression, ...], int]:
        """Text and the expressions in its braces, in turn, and their depth.  ``offset`` is the text's in its span."""
        parts: list[str | Expression] = []
        start, depth = 0, 1
        for hole in _HOLE.finditer(text):
            parts.append(self.literal(what, text[start : hole.start()], span))
            value = self.hole(hole[1], span, hole.start(1) + offset)
            depth = max(depth, self.deeper(span, value.depth))
            parts.append(value)
            start = hole.end()
        parts.append(self.literal(what, text[start:], span))
        return tuple([part for part in parts if part != ""]), depth

    def literal(self, what: str, text: str, span: Span) -> str:
        if "{" in text or "}" in text:
            if what == "label":
                _refuse("bad-label", "a brace in this label has no partner", span, help='as in `"block{i}-{j}"`')
            _refuse("bad-string", "a brace in this string has no partner", span, help='as in `"{x}_conv"`')
        return _ESCAPE.sub(r"\1", text)

    def bad_label(self, span: Span) -> NoReturn:
        _refuse(
            "bad-label",
            "a part of this label is empty",
            span,
            help="parts of a label are joined by single dots, as in `layer1.0`",
        )

    def hole(self, text: str, label: Span, offset: int) -> Expression:
        """The expression in the braces of a label, which is parsed on its own."""
        stripped = text.strip()
        column = label.column + offset + len(text) - len(text.lstrip())
        span = Span(self.file_name, label.line, column, label.line, column + len(stripped))
        simple = _SIMPLE.fullmatch(stripped)
        if simple is not None and stripped not in RESERVED:
            return Name(span, stripped) if simple["name"] else Number(span, int(stripped), stripped)
        outer, self.origin = self.origin, span
        try:
            value: Any = _parser()[0].parse(stripped, "expression")
        except lark.UnexpectedInput as error:
            raise _Refused(_explained(error, stripped, self.file_name, span)) from None
        finally:
            self.origin = outer
        tree: Expression = value
        return tree

    def group(self, children: list[Any]) -> Group:
        (body,) = children
        return Group(body.span, body.statements, self.deeper(body.span, body.depth))

    # ---- expressions

    def conditional(self, children: list[Any]) -> Conditional:
        keyword, test, yes, no = children
        span = self.span(keyword, keyword).to(no.span)
        return Conditional(span, test, yes, no, self.deeper(span, max(test.depth, yes.depth, no.depth)))

    def binary(self, children: list[Any]) -> Binary:
        left, operator, right = children
        span = left.span.to(right.span)
        return Binary(span, operator.value, left, right, self.deeper(span, max(left.depth, right.depth)))

    def unary(self, children: list[Any]) -> Unary:
        operator, operand = children
        span = self.span(operator, operator).to(operand.span)
        return Unary(span, operator.value, operand, self.deeper(span, operand.depth))

    def call(self, children: list[Any]) -> Call:
        function = children[0]
        arguments = tuple(children[2:-1])
        last = children[-1]
        span = Span(self.file_name, function.span.line, function.span.column, last.end_line, last.end_column)
        depth = function.depth
        for argument in arguments:
            if argument.depth > depth:
                depth = argument.depth
        return Call(span, function, arguments, self.deeper(span, depth))

    def index(self, children: list[Any]) -> Index:
        value, _, index, last = children
        span = value.span.to(self.span(last, last))
        return Index(span, value, index, self.deeper(span, max(value.depth, index.depth)))

    def attribute(self, children: list[Any]) -> Attribute:
        value, token = children
        name = self.name([token])
        span = value.span.to(name.span)
        if isinstance(value, Number):
            _refuse(
                "bad-number", "a number has no attributes", span, help="a fraction is written without spaces: `0.5`"
            )
        return Attribute(span, value, name, self.deeper(span, value.depth))

    def argument(self, children: list[Any]) -> Argument:
        (value,) = children
        return Argument(value.span, None, value, value.depth)

    def named_argument(self, children: list[Any]) -> Argument:
        token, value = children
        name = self.name([token])
        return Argument(name.span.to(value.span), name, value, value.depth)

    def name(self, children: list[Token]) -> Name:
        (token,) = children
        return Name(self.span(token, token), str(token))

    def number(self, children: list[Token]) -> Number:
        (token,) = children
        text = token.value
        span = self.span(token, token)
        value: int | float
        if text.isdigit() and len(text) <= MAX_DIGITS:
            return Number(span, int(text), text)
        if text.replace("_", "").isdigit():
            return Number(span, self.integer(text.replace("_", ""), span), text)
        value = float(text)
        if value == float("inf"):
            _refuse(
                "number-too-large",
                f"the number {text[:12]}{'...' if len(text) > 12 else ''} is too large",
                span,
                help="the largest is about 1.8e308",
            )
        return Number(span, value, text)

    def integer(self, digits: str, span: Span) -> int:
        if len(digits) > MAX_DIGITS:
            _refuse(
                "number-too-large",
                f"an integer of {len(digits)} digits, {digits[:6]}...",
                span,
                help=f"integers have at most {MAX_DIGITS} digits",
            )
        return int(digits)

    def dims(self, children: list[Token]) -> DimsLiteral:
        (token,) = children
        span = self.span(token, token)
        return DimsLiteral(span, tuple([self.integer(part, span) for part in token.split("x")]))

    def string(self, children: list[Token]) -> String | Interpolated:
        (token,) = children
        if "{" in token.value or "}" in token.value:
            span = self.span(token, token)
            parts, depth = self.parts("string", token.value[1:-1], span, 1)
            return Interpolated(span, parts, depth)
        return self.plain_string(token)

    def plain_string(self, token: Token) -> String:
        text = token.value[1:-1]
        return String(self.span(token, token), _ESCAPE.sub(r"\1", text) if "\\" in text else text)

    def boolean(self, children: list[Token]) -> Boolean:
        (token,) = children
        return Boolean(self.span(token, token), token.value == "true")

    def list_literal(self, children: list[Any]) -> ListLiteral:
        span = self.span(children[0], children[-1])
        items = tuple(children[1:-1])
        return ListLiteral(span, items, self.deeper(span, max([item.depth for item in items], default=0)))

    def tuple_literal(self, children: list[Any]) -> TupleLiteral:
        span = self.span(children[0], children[-1])
        items = tuple(children[1:-1])
        return TupleLiteral(span, items, self.deeper(span, max([item.depth for item in items], default=0)))

    def parentheses(self, children: list[Any]) -> Expression:
        first, inner, last = children
        value: Expression = replace(inner, span=self.span(first, last))  # so that a wider span shows both brackets
        return value
