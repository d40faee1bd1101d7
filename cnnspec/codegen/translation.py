"""The spec's expressions as expressions of Python, over the names that a definition's constructor has.

A translation is no more than a proposal until it was evaluated in every known use: `Names.translate` in
`cnnspec.codegen.explanation` does so, and only then writes it.
"""

from __future__ import annotations

import ast
import math
import re
from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from types import CodeType
from typing import Any

from typing_extensions import override

from cnnspec.codegen.emission import literal
from cnnspec.expand.expressions import words
from cnnspec.expand.functions import FUNCTIONS
from cnnspec.syntax import tree


class Untranslatable(Exception):
    """An expression that cannot be said, or not for certain, where it is needed."""


FUNCTION_NAMES = {
    **{name: name for name in ("min", "max", "round", "len", "sum", "range", "zip", "enumerate")},
    **{name: f"math.{name}" for name in ("ceil", "floor", "sqrt", "log2")},
    **{name: name for name in ("round_to", "linspace")},
}
"""What the language's functions are in generated code; `round_to` and `linspace` are helpers that a file brings."""

_BINARY: dict[str, type[ast.operator]] = {
    "+": ast.Add,
    "-": ast.Sub,
    "*": ast.Mult,
    "/": ast.Div,
    "//": ast.FloorDiv,
    "%": ast.Mod,
    "**": ast.Pow,
}
_COMPARE: dict[str, type[ast.cmpop]] = {
    "==": ast.Eq,
    "!=": ast.NotEq,
    "<": ast.Lt,
    "<=": ast.LtE,
    ">": ast.Gt,
    ">=": ast.GtE,
}
_ENVIRONMENT: dict[str, Any] = {
    "__builtins__": {name: FUNCTIONS[name] for name in ("min", "max", "round", "len", "sum", "range")}
    | {"zip": zip, "enumerate": enumerate, "int": int, "str": str},
    "math": math,
    "round_to": FUNCTIONS["round_to"],
    "linspace": FUNCTIONS["linspace"],
}


@dataclass(slots=True)
class Translated:
    """An expression of Python, with the local names that it needs, each made of those before it.

    A local name can be several, with commas: they take the parts of one value.
    """

    expression: ast.expr
    locals: dict[str, ast.expr] = field(default_factory=dict)
    _text: str = ""
    _codes: list[tuple[list[str], CodeType]] = field(default_factory=list)

    @property
    def text(self) -> str:
        """Its source."""
        self._text = self._text or text(self.expression)
        return self._text

    def evaluate(self, names: Mapping[str, Any]) -> Any:
        """The value that its text has, given those of the other names.  Raises whatever the expression does."""
        if not self._codes:
            written = [(name.split(", "), text(e)) for name, e in self.locals.items()]
            self._codes = [(targets, _compiled(one)) for targets, one in [*written, ([], self.text)]]
        known = dict(names)
        for targets, code in self._codes[:-1]:
            value = _evaluated(code, known)
            known |= zip(targets, value, strict=True) if len(targets) > 1 else {targets[0]: value}
        return _evaluated(self._codes[-1][1], known)

    def elements(self) -> list[Translated]:
        """The expressions in a list or tuple that is written out, and in those inside it; itself, if it is no such."""
        return [Translated(one, self.locals) for one in _elements(self.expression)]

    @property
    def names(self) -> set[str]:
        """The names in it and in its locals, those of functions included, and not those of its own loops."""
        everything = [part for one in (self.expression, *self.locals.values()) for part in ast.walk(one)]
        turns = [part.target for part in everything if isinstance(part, ast.comprehension)]
        own = {part.id for target in turns for part in ast.walk(target) if isinstance(part, ast.Name)}
        return {part.id for part in everything if isinstance(part, ast.Name)} - own

    @property
    def is_constant(self) -> bool:
        """Whether it has a value whatever the names are."""
        try:
            self.evaluate({})
        except NameError:
            return False
        return True


def _elements(e: ast.expr) -> list[ast.expr]:
    match e:
        case ast.List() | ast.Tuple():
            return [inner for one in e.elts for inner in _elements(one)]
        case ast.BinOp(op=ast.Mult(), left=ast.List() as repeated):
            return _elements(repeated)
    return [e]


@lru_cache(maxsize=10_000)
def _compiled(written: str) -> CodeType:
    return compile(written, "<translated>", "eval")


def _evaluated(code: CodeType, names: Mapping[str, Any]) -> Any:
    # What is inside a loop of an expression sees global names alone.
    inner = any(isinstance(constant, CodeType) for constant in code.co_consts)
    return eval(code, {**_ENVIRONMENT, **names}) if inner else eval(code, _ENVIRONMENT, names)


_DOUBLED = re.compile(r"\bsum\(\(((?:[^()]|\((?:[^()]|\([^()]*\))*\))* for (?:[^()]|\((?:[^()]|\([^()]*\))*\))*)\)\)")
"""What `ast.unparse` writes with parentheses twice."""


def text(expression: ast.expr) -> str:
    """Python source, as formatters leave it."""
    constants: list[str] = []

    class Placeholders(ast.NodeTransformer):
        """Strings and numbers are written as everywhere else in generated code."""

        @override
        def visit_Constant(self, node: ast.Constant) -> ast.expr:
            constants.append(literal(node.value))
            return ast.Name(f"_constant{len(constants) - 1}_")

        @override
        def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.expr:
            constants.append('f"' + ast.unparse(node)[2:-1] + '"')
            return ast.Name(f"_constant{len(constants) - 1}_")

    written = ast.unparse(Placeholders().visit(_copy(expression)))
    written = re.sub(r"_constant(\d+)_", lambda match: constants[int(match[1])], written)
    written = re.sub(r"\b([\w.]+) \*\* ([\w.]+)", r"\1**\2", written)
    return _DOUBLED.sub(r"sum(\1)", written)


def _copy(expression: ast.expr) -> ast.expr:
    return ast.parse(ast.unparse(expression), mode="eval").body


class Translator(ABC):
    """Translates expressions; what names mean is left to the subclass."""

    def __init__(self) -> None:
        self.locals: dict[str, ast.expr] = {}

    @abstractmethod
    def name(self, e: tree.Name) -> ast.expr:
        """A name of the spec's body; raises `Untranslatable`."""

    @abstractmethod
    def attribute(self, e: tree.Attribute) -> ast.expr:
        """An attribute of a value of the network; raises `Untranslatable`."""

    def translate(self, e: tree.Expression) -> ast.expr:
        """An expression of spec-time values; raises `Untranslatable`."""
        match e:
            case tree.Name():
                return self.name(e)
            case tree.Number() | tree.Boolean() | tree.String():
                return ast.Constant(e.value)
            case tree.DimsLiteral():
                return ast.Tuple([ast.Constant(size) for size in e.sizes])
            case tree.ListLiteral():
                return ast.List([self.translate(item) for item in e.items])
            case tree.TupleLiteral():
                return ast.Tuple([self.translate(item) for item in e.items])
            case tree.Attribute():
                return self.attribute(e)
            case tree.Index():
                return ast.Subscript(self.translate(e.value), self.translate(e.index))
            case tree.Unary(operator="not"):
                return ast.UnaryOp(ast.Not(), self.translate(e.operand))
            case tree.Unary():
                return ast.UnaryOp(ast.USub() if e.operator == "-" else ast.UAdd(), self.translate(e.operand))
            case tree.Binary(operator="and" | "or"):
                operator = ast.And() if e.operator == "and" else ast.Or()
                return ast.BoolOp(operator, [self.translate(e.left), self.translate(e.right)])
            case tree.Binary() if e.operator in _COMPARE:
                return ast.Compare(self.translate(e.left), [_COMPARE[e.operator]()], [self.translate(e.right)])
            case tree.Binary():
                return ast.BinOp(self.translate(e.left), _BINARY[e.operator](), self.translate(e.right))
            case tree.Conditional():
                return ast.IfExp(self.translate(e.test), self.translate(e.yes), self.translate(e.no))
            case tree.Call(function=tree.Name(text=function)) if function in FUNCTION_NAMES:
                made = ast.parse(FUNCTION_NAMES[function], mode="eval").body
                given = [self.translate(one.value) for one in e.arguments if one.name is None]
                named = [
                    ast.keyword(one.name.text, self.translate(one.value)) for one in e.arguments if one.name is not None
                ]
                return ast.Call(made, given, named)
            case tree.Interpolated():
                return self.string(e.parts)
        raise Untranslatable(type(e).__name__)

    def string(self, parts: tuple[str | tree.Expression, ...]) -> ast.JoinedStr:
        """Text with values filled in."""
        return ast.JoinedStr(
            [
                ast.Constant(part) if isinstance(part, str) else ast.FormattedValue(self.translate(part), -1)
                for part in parts
            ]
        )


def word(name: str) -> ast.expr | None:
    """A word of the language that is a string in generated code."""
    return ast.Constant(name) if name in words() else None


def substituted(one: Translated, given: Mapping[str, str]) -> ast.expr:
    """An expression with what is given for its names in their place, and without local names."""
    known = {name: ast.parse(written, mode="eval").body for name, written in given.items()}

    class Substitution(ast.NodeTransformer):
        """Puts expressions in the place of names."""

        @override
        def visit_Name(self, node: ast.Name) -> ast.expr:
            return known.get(node.id, node)

    for name, expression in one.locals.items():
        if ", " not in name:
            known[name] = Substitution().visit(_copy(expression))
    found: ast.expr = Substitution().visit(_copy(one.expression))
    return found


class Constants(Translator):
    """Translates expressions that have no names in them."""

    @override
    def name(self, e: tree.Name) -> ast.expr:
        found = word(e.text)
        if found is None:
            raise Untranslatable(e.text)
        return found

    @override
    def attribute(self, e: tree.Attribute) -> ast.expr:
        raise Untranslatable(e.name.text)


def negated(test: str) -> str:
    """The opposite of a condition."""
    e = ast.parse(test, mode="eval").body
    if isinstance(e, ast.UnaryOp) and isinstance(e.op, ast.Not):
        return text(e.operand)
    if isinstance(e, ast.Compare) and isinstance(e.ops[0], ast.Eq | ast.NotEq):
        other = ast.NotEq() if isinstance(e.ops[0], ast.Eq) else ast.Eq()
        return text(ast.Compare(e.left, [other], e.comparators))
    return text(ast.UnaryOp(ast.Not(), e))


def is_literal(written: str) -> bool:
    """Whether this is a number, a string, or a list or tuple of such: the targets have their own ways to write them."""
    try:
        ast.literal_eval(written)
    except ValueError:
        return False
    return True
