"""Evaluating expressions over spec-time values."""

from __future__ import annotations

import operator
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable
from functools import cache
from typing import Any, NamedTuple, NoReturn, TypeGuard, get_args

from cnnspec.diagnostics import Span, nearest
from cnnspec.expand.functions import FUNCTIONS, INITIALISERS, LONGEST_LIST, USAGE
from cnnspec.expand.values import (
    UNKNOWN,
    BlockValue,
    Frame,
    Function,
    Given,
    GroupValue,
    LabelledValue,
    LayerValue,
    Problem,
    Tensor,
    Unknown,
    describe,
)
from cnnspec.graph import Node, Scope
from cnnspec.layers import LAYERS
from cnnspec.layers.elsewhere import layer_called
from cnnspec.shapes import Dims, Symbolic, UnknownSize, product
from cnnspec.syntax import tree

LARGEST_NUMBER = 10**18
MOST_STEPS = 4_000_000
LONGEST_STRING = 1000
LONGEST_SIZE = 500
"""Characters of a symbolic size as it is written."""
DEEPEST_LIST = 8

ARITHMETIC: dict[str, Callable[[Any, Any], Any]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": operator.floordiv,
    "%": operator.mod,
    "**": operator.pow,
}
ORDER: dict[str, Callable[[Any, Any], bool]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
AXES = {2: ("channels", "length"), 3: ("channels", "height", "width"), 4: ("channels", "depth", "height", "width")}


PYTHON = {"True": "true", "False": "false"}
"""Words of Python by those of a spec."""


def built_in(name: str) -> bool:
    """Whether a name means something wherever nothing else has it."""
    return name in LAYERS or name in INITIALISERS or name in FUNCTIONS or name in words()


def unknown_name(name: tree.Name, visible: Iterable[str]) -> Problem:
    """The error of a name that means nothing; ``visible`` are those that do, beside what is built in."""
    visible = list(visible)
    meant = PYTHON.get(name.text) or (None if nearest(name.text, visible) else layer_called(name.text))
    meant = meant or next(iter(nearest(name.text, [*visible, *LAYERS, *FUNCTIONS, *words()])), None)
    return Problem(
        "unknown-name",
        f"`{name.text}` is not defined",
        name.span,
        help=f"did you mean `{meant}`?"
        if meant
        else "blocks see only their own parameters, inputs and names; `cnnspec layers` lists the layers",
    )


@cache
def words() -> frozenset[str]:
    """Every word that some layer's or initialiser's argument takes, such as `same` or `bilinear`."""
    found = {"out", "avg"}  # in `he_normal(fan = out)`; the other fan, `in`, is the default and reserved

    def collect(annotation: Any) -> None:
        for part in get_args(annotation):
            if isinstance(part, str):
                found.add(part)
            elif not isinstance(part, int | float | bool):
                collect(part)

    for layer in LAYERS.values():
        for field in layer.model_fields.values():
            collect(field.annotation)
    return frozenset(found)


def number_like(value: Any) -> bool:
    """Whether a value is a number, or a size that is one when it is known."""
    return isinstance(value, int | float | Symbolic) and not isinstance(value, bool)


def _is_number(value: Any) -> TypeGuard[int | float]:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_product(e: tree.Expression) -> TypeGuard[tree.Binary]:
    return isinstance(e, tree.Binary) and e.operator in ("*", "/")


class GaveUp(Exception):
    """A budget is spent; the diagnostic is recorded."""


class LabelAt(NamedTuple):
    """The label of a layer, and its place."""

    text: str
    span: Span


class Then(NamedTuple):
    """A number that is added to a product: ``... - 1``, or ``1 - ...``."""

    symbol: str
    number: int | float
    product_first: bool


class Expressions(ABC):
    """Evaluates expressions; what concerns layers and blocks is left to the subclass."""

    def __init__(self, definitions: dict[str, tree.Definition]) -> None:
        self.definitions = definitions
        self.steps = 0
        self.truths: set[tuple[Span, bool]] = set()
        """Which conditions have been met, and which have not."""

    @abstractmethod
    def give_up(self, code: str, message: str, span: Span, help: str) -> NoReturn:
        """Record an error that ends the expansion; raises `GaveUp`."""

    def spend(self, steps: int, span: Span) -> None:
        """Count work, one step for each expression, statement and entry of a list, so that every expansion ends."""
        self.steps += steps
        if self.steps > MOST_STEPS:
            self.give_up(
                "too-much-work",
                f"expanding this model takes more than {MOST_STEPS:,} steps",
                span,
                "no network needs that many; is a size given where a count was meant?",
            )

    @abstractmethod
    def call(
        self,
        function: Any,
        arguments: list[tuple[tree.Name | None, Given]],
        span: Span,
        frame: Frame,
        label: LabelAt | None,
        name: str,
    ) -> Any:
        """A layer, block or function called with arguments; ``name`` is what the body calls it, if it does."""

    @abstractmethod
    def pipeline(self, pipeline: tree.Pipeline, frame: Frame) -> Any:
        """The value at the end of `a -> b -> c`."""

    @abstractmethod
    def combine(
        self,
        symbol: str,
        left: Any,
        right: Any,
        span: Span,
        frame: Frame,
        label: LabelAt | None,
        operands: tuple[tree.Expression, tree.Expression],
        then: Then | None = None,
    ) -> Any:
        """An operator with a tensor on at least one side; ``then`` comes after a product with a number."""

    def evaluate(self, e: tree.Expression, frame: Frame, label: LabelAt | None = None) -> Any:
        """The value of an expression; raises `Problem`.

        A ``label`` names the layer that the expression applies, if it does.
        """
        self.spend(1, e.span)
        match e:
            case tree.Name():
                return self._name(e, frame)
            case tree.Number() | tree.Boolean():
                return e.value
            case tree.String():
                return self._bounded_string(e.value, e.span)
            case tree.Interpolated():
                text = self._filled(e.parts, frame, "type-mismatch", "a string")
                return UNKNOWN if text is None else self._bounded_string(text, e.span)
            case tree.DimsLiteral():
                return Dims(e.sizes)
            case tree.ListLiteral():
                return self._literal(e, frame)
            case tree.TupleLiteral():
                items = self._literal(e, frame)
                return items if isinstance(items, Unknown) else tuple(items)
            case tree.Pipeline():
                return self.pipeline(e, frame)
            case tree.Call():
                function = self.evaluate(e.function, frame)
                arguments = []
                for argument in e.arguments:
                    value = self.evaluate(argument.value, frame)
                    arguments.append((argument.name, Given(value, argument.value.span)))
                return self.call(function, arguments, e.span, frame, label, bound(e, frame))
            case tree.Attribute():
                return self._attribute(e, frame)
            case tree.Index():
                return self._index(e, frame)
            case tree.Unary():
                return self._unary(e, frame, label)
            case tree.Binary():
                return self._binary(e, frame, label)
            case tree.Conditional():
                test = self.truth(e.test, frame)
                if test is None:
                    return UNKNOWN
                return self.evaluate(e.yes if test else e.no, frame, label)
            case tree.Group():
                return GroupValue(e, frame)
            case tree.Labelled():
                return self._labelled(e, frame)
        raise AssertionError(e)

    def _literal(self, e: tree.ListLiteral | tree.TupleLiteral, frame: Frame) -> Any:
        items = [self.evaluate(item, frame) for item in e.items]
        return UNKNOWN if any(isinstance(item, Unknown) for item in items) else self.bounded_list(items, e.span)

    def _labelled(self, e: tree.Labelled, frame: Frame) -> Any:
        """A layer with its label, applied already where it is called on values."""
        text = self.label_text(e.label, frame)
        value = self.evaluate(e.value, frame, LabelAt(text, e.label.span) if text else None)
        if isinstance(value, LabelledValue):
            raise Problem(
                "two-labels",
                "a layer has one label, and this has two",
                e.label.span,
                notes=((value.span, "the other label"),),
                help="keep one of them",
            )
        if isinstance(value, LayerValue | BlockValue | GroupValue):
            return LabelledValue(text, e.label.span, value) if text else UNKNOWN
        applied = isinstance(e.value, tree.Call | tree.Binary | tree.Unary | tree.Conditional)
        if isinstance(value, Unknown) or (isinstance(value, Tensor | tuple) and applied):
            return value
        raise Problem(
            "not-a-layer",
            f"a label names a layer, and this is {describe(value)}",
            e.value.span,
            help=f"to name a value, write `{text} = ...`",
        )

    def label_text(self, label: tree.Label, frame: Frame) -> str:
        """A label with its interpolations filled in; empty where one of them is unknown."""
        return self._filled(label.parts, frame, "bad-name", "a label") or ""

    def _filled(self, parts: tuple[str | tree.Expression, ...], frame: Frame, code: str, what: str) -> str | None:
        """Text with the values in its braces filled in; None where one of them is unknown."""
        text = ""
        for part in parts:
            if isinstance(part, str):
                text += part
                continue
            value = self.evaluate(part, frame)
            if isinstance(value, Unknown):
                return None
            if not (isinstance(value, str) or (isinstance(value, int) and not isinstance(value, bool) and value >= 0)):
                raise Problem(
                    code,
                    f"{what} is made of text and whole numbers, not {describe(value)}",
                    part.span,
                    help="use a whole number of at least 0, or a string",
                )
            text += str(value)
        return text

    def _name(self, e: tree.Name, frame: Frame) -> Any:
        name = e.text
        value = frame.find(name)
        if value is not None:
            return value
        definition = self.definitions.get(name)
        if definition is not None:
            return BlockValue(definition, {}, e.span)
        layer = LAYERS.get(name)
        if layer is not None:
            return LayerValue(layer, {}, e.span)
        if name in INITIALISERS:
            return INITIALISERS[name]
        if name in FUNCTIONS:
            return Function(name)
        if name in words():
            return name
        if any(isinstance(item, Node | Scope) and item.label == name for item in frame.items):
            raise Problem(
                "unknown-name",
                f"`{name}` is the label of a layer, and not of what it gives",
                e.span,
                help=f"bind that to a name, as in `y = x -> {name}: ...`",
            )
        raise unknown_name(e, [*frame.visible(), *self.definitions])

    def truth(self, e: tree.Expression, frame: Frame) -> bool | None:
        """The value of a condition; None where it is unknown."""
        value = self.evaluate(e, frame)
        if isinstance(value, Unknown):
            return None
        if not isinstance(value, bool):
            raise Problem(
                "not-a-condition",
                f"a condition is true or false, and this is {describe(value)}",
                e.span,
                help="compare it, as in `x != 0`",
            )
        self.truths.add((e.span, value))
        return value

    def _attribute(self, e: tree.Attribute, frame: Frame) -> Any:
        value = self.evaluate(e.value, frame)
        if isinstance(value, Unknown):
            return UNKNOWN
        if not isinstance(value, Tensor):
            raise Problem(
                "no-attribute",
                f"{describe(value)} has no `{e.name.text}`",
                e.span,
                help="values of the network have attributes, such as `x.channels`, `x.height` and `x.shape`",
            )
        names = AXES.get(len(value.shape), ("channels",))
        if e.name.text in names[: len(value.shape)]:
            return value.shape[names.index(e.name.text)]
        if e.name.text == "shape":
            return tuple(value.shape)
        if e.name.text == "rank":
            return len(value.shape)
        if e.name.text == "size":
            return product(value.shape)
        known = [*names, "shape", "rank", "size"]
        near = nearest(e.name.text, known)
        raise Problem(
            "no-attribute",
            f"{describe(value)} has no `{e.name.text}`",
            e.name.span,
            help=f"did you mean `{near[0]}`?" if near else f"it has {', '.join(known)}",
        )

    def _index(self, e: tree.Index, frame: Frame) -> Any:
        value = self.evaluate(e.value, frame)
        index = self.evaluate(e.index, frame)
        if isinstance(value, Unknown) or isinstance(index, Unknown):
            return UNKNOWN
        if not isinstance(value, list | tuple | range | str):
            raise Problem(
                "not-a-list",
                f"only lists, tuples and strings can be indexed, and this is {describe(value)}",
                e.value.span,
                help="to take channels of a value, use `slice(x, start, stop)`",
            )
        if not isinstance(index, int) or isinstance(index, bool):
            raise Problem(
                "bad-index",
                f"an index is a whole number, not {describe(index)}",
                e.index.span,
                help="indices count from 0; negative ones from the end",
            )
        if not -len(value) <= index < len(value):
            kind = "string" if isinstance(value, str) else "list"
            raise Problem(
                "bad-index",
                f"index {index} is outside a {kind} of {len(value)}",
                e.index.span,
                help=f"indices go from 0 to {len(value) - 1}" if value else f"the {kind} is empty",
            )
        return value[index]

    def _unary(self, e: tree.Unary, frame: Frame, label: LabelAt | None) -> Any:
        if e.operator == "not":
            test = self.truth(e.operand, frame)
            return UNKNOWN if test is None else not test
        value = self.evaluate(e.operand, frame)
        if isinstance(value, Unknown):
            return UNKNOWN
        if isinstance(value, Tensor) and e.operator == "-":
            return self.combine("*", value, -1, e.span, frame, label, (e.operand, e))
        if isinstance(value, Tensor):
            return value
        if not number_like(value):
            raise Problem(
                "type-mismatch",
                f"`{e.operator}` needs a number, and this is {describe(value)}",
                e.operand.span,
                help="numbers and values of the network have signs",
            )
        return -value if e.operator == "-" else value

    def _binary(self, e: tree.Binary, frame: Frame, label: LabelAt | None) -> Any:
        if e.operator in ("and", "or"):
            left_truth = self.truth(e.left, frame)
            if left_truth is None:
                return UNKNOWN
            if left_truth == (e.operator == "or"):
                return left_truth
            right_truth = self.truth(e.right, frame)
            return UNKNOWN if right_truth is None else right_truth
        for first, other in ((e.left, e.right), (e.right, e.left)):
            # No other expression: one that adds layers must have its turn, which is after what is left of it.
            if e.operator in ("+", "-") and _is_product(first) and isinstance(other, tree.Number | tree.Name):
                number = other.value if isinstance(other, tree.Number) else frame.find(other.text)
                if _is_number(number):
                    return self._scale(first, Then(e.operator, number, first is e.left), e, frame, label)
        left = self.evaluate(e.left, frame)
        right = self.evaluate(e.right, frame)
        if isinstance(left, Unknown) or isinstance(right, Unknown):
            return UNKNOWN
        return self.operate(e, left, right, frame, label)

    def _scale(self, product: tree.Binary, then: Then, e: tree.Binary, frame: Frame, label: LabelAt | None) -> Any:
        """A product and a number added to it: one layer, where the product is of a tensor with a number."""
        left = self.evaluate(product.left, frame)
        right = self.evaluate(product.right, frame)
        if isinstance(left, Unknown) or isinstance(right, Unknown):
            return UNKNOWN
        if (isinstance(left, Tensor) and _is_number(right)) or (_is_number(left) and isinstance(right, Tensor)):
            operands = (product.left, product.right)
            return self.combine(product.operator, left, right, e.span, frame, label, operands, then)
        value = self.operate(product, left, right, frame)
        if then.product_first:
            return self.operate(e, value, then.number, frame, label)
        return self.operate(e, then.number, value, frame, label)

    def operate(self, e: tree.Binary, left: Any, right: Any, frame: Frame, label: LabelAt | None = None) -> Any:
        """``left operator right`` on values."""
        symbol = e.operator
        if symbol in ("==", "!="):
            return self._equal(left, right, e) == (symbol == "==")
        if symbol in ORDER:
            if not (number_like(left) and number_like(right)):
                raise Problem(
                    "type-mismatch",
                    f"cannot compare {describe(left)} with {describe(right)} by `{symbol}`",
                    e.span,
                    help="only numbers have an order",
                )
            return self._compute(ORDER[symbol], left, right, e)
        if isinstance(left, Tensor) or isinstance(right, Tensor):
            return self.combine(symbol, left, right, e.span, frame, label, (e.left, e.right))
        if number_like(left) and number_like(right):
            return self._arithmetic(symbol, left, right, e)
        if symbol == "+":
            if isinstance(left, list) and isinstance(right, list):
                return self.bounded_list([*left, *right], e.span)
            if isinstance(left, tuple) and isinstance(right, tuple):
                return self.bounded_list((*left, *right), e.span)
            if isinstance(left, str) and isinstance(right, str):
                return self._bounded_string(left + right, e.span)
        if symbol == "*" and isinstance(left, list) and isinstance(right, int) and not isinstance(right, bool):
            if len(left) * right > LONGEST_LIST:
                raise too_long(len(left) * right, e.span)
            return self.bounded_list(left * right, e.span)
        raise Problem(
            "type-mismatch",
            f"cannot apply `{symbol}` to {describe(left)} and {describe(right)}",
            e.span,
            help="arithmetic needs numbers, or values of the network",
        )

    def _arithmetic(self, symbol: str, left: Any, right: Any, e: tree.Binary) -> Any:
        """``left symbol right`` on numbers and sizes."""
        for value, other in ((left, right), (right, left)):
            if isinstance(value, Symbolic) and (isinstance(other, float) or symbol in ("/", "%", "**")):
                raise self.unknown_size(value, e.span)
        if symbol in ("/", "//", "%") and not isinstance(right, Symbolic) and right == 0:
            raise Problem("division-by-zero", "division by zero", e.right.span, help="this must not be 0")
        if symbol == "**" and (abs(right) > 64 or abs(left) > 10**6):
            raise Problem(
                "too-large",
                f"{describe(left)} ** {describe(right)} is too large to compute",
                e.span,
                help="exponents go up to 64, and bases up to 1,000,000",
            )
        return self._compute(ARITHMETIC[symbol], left, right, e)

    def _equal(self, left: Any, right: Any, e: tree.Binary) -> bool:
        if isinstance(left, list | tuple | range) and isinstance(right, list | tuple | range):
            self.spend(min(len(left), len(right)), e.span)
            return len(left) == len(right) and all(self._equal(a, b, e) for a, b in zip(left, right, strict=True))
        for value in (left, right):
            if isinstance(value, Tensor | LayerValue | BlockValue | GroupValue):
                raise Problem(
                    "type-mismatch",
                    f"cannot compare {describe(left)} with {describe(right)}",
                    e.span,
                    help="compare numbers, words, lists or shapes, as in `x.shape == y.shape`",
                )
            if isinstance(value, Symbolic) and number_like(left) and number_like(right):
                difference = None if float in (type(left), type(right)) else left - right
                if not isinstance(difference, int):
                    raise self.unknown_size(value, e.span)
                return difference == 0
        return isinstance(left, bool) == isinstance(right, bool) and bool(left == right)

    def _compute(self, compute: Callable[[Any, Any], Any], left: Any, right: Any, e: tree.Expression) -> Any:
        try:
            value = compute(left, right)
        except UnknownSize as error:
            raise self.unknown_size(error.size, e.span) from None
        except ArithmeticError:
            raise _no_number(e.span) from None
        return self.bounded_number(value, e.span)

    def unknown_size(self, size: Any, span: Span) -> Problem:
        """The error of a step that needs the number behind a symbolic size."""
        return Problem(
            "symbolic-size",
            f"this needs to know the size {size}, which the input leaves open",
            span,
            help="give the model's input a fixed size, as in `input image: 3x224x224`, or `--input 3x224x224`",
        )

    def bounded_number(self, value: Any, span: Span) -> Any:
        """The number, unless it is none or so large that arithmetic on it would take long."""
        if isinstance(value, complex):
            raise _no_number(span)
        if isinstance(value, Symbolic):
            if len(str(value)) > LONGEST_SIZE:
                raise Problem(
                    "too-large",
                    f"a size has grown to a formula of more than {LONGEST_SIZE} characters",
                    span,
                    help="give the model's input a fixed size",
                )
        elif isinstance(value, int | float) and abs(value) > LARGEST_NUMBER:
            raise Problem("too-large", "this number is larger than 10^18", span, help="no size is that large")
        return value

    def bounded_list(self, value: Any, span: Span) -> Any:
        """The list, unless it is so long or so deep that work on it would take long."""
        entries = extent(value)
        if entries > LONGEST_LIST:
            raise too_long(entries, span)
        self.spend(entries, span)
        return value

    def _bounded_string(self, value: str, span: Span) -> str:
        if len(value) > LONGEST_STRING:
            raise Problem(
                "too-large",
                f"a string of {len(value):,} characters is too long",
                span,
                help=f"strings have at most {LONGEST_STRING:,}",
            )
        return value

    def call_function(self, function: Function, arguments: list[tuple[tree.Name | None, Given]], span: Span) -> Any:
        """A pure function's value."""
        name = function.name
        if any(isinstance(given.value, Unknown) for _, given in arguments):
            return UNKNOWN
        symbolic = None
        for _, given in arguments:
            items = given.value if isinstance(given.value, list | tuple) else [given.value]
            self.spend(extent(given.value), span)
            for item in items:
                if isinstance(item, Unknown):
                    return UNKNOWN
                if isinstance(item, Symbolic):
                    symbolic = item
            if isinstance(given.value, Tensor | LayerValue | BlockValue | GroupValue | LabelledValue):
                raise Problem(
                    "type-mismatch",
                    f"`{name}` works on numbers and lists, not on {describe(given.value)}",
                    given.span,
                    help="functions of values are layers; `cnnspec layers` lists them",
                )
        positional = [given.value for name, given in arguments if name is None]
        named = {name.text: given.value for name, given in arguments if name is not None}
        try:
            value = FUNCTIONS[name](*positional, **named)
        except UnknownSize as error:
            raise self.unknown_size(error.size, span) from None
        except (TypeError, ValueError, ArithmeticError) as error:
            if symbolic is not None:
                raise self.unknown_size(symbolic, span) from None
            what = "does not take these arguments" if isinstance(error, TypeError) else "has no value here"
            raise Problem("bad-call", f"`{name}` {what}", span, help=f"it is used like {USAGE[name]}") from None
        if isinstance(value, range) and len(value) > LONGEST_LIST:
            raise Problem(
                "too-many-turns",
                f"a range of {len(value):,} is too long",
                span,
                help=f"a loop makes at most {LONGEST_LIST:,} turns",
            )
        if isinstance(value, list | tuple):
            return self.bounded_list(value, span)
        return self.bounded_number(value, span)


def bound(e: tree.Expression, frame: Frame) -> str:
    """The name that a body has for a layer, such as a parameter; none where it writes the layer's own."""
    while isinstance(e, tree.Call | tree.Index):
        e = e.function if isinstance(e, tree.Call) else e.value
    return e.text if isinstance(e, tree.Name) and frame.find(e.text) is not None else ""


def extent(value: Any, depth: int = DEEPEST_LIST) -> int:
    """How many entries a list has with all its inner lists; more than any may have where they nest too deep."""
    if isinstance(value, range):
        return len(value)
    if not isinstance(value, list | tuple):
        return 1
    if not depth:
        return LONGEST_LIST + 1
    total = len(value)
    for item in value:
        if isinstance(item, list | tuple | range):
            total += extent(item, depth - 1)
            if total > LONGEST_LIST:
                break
    return total


def too_long(entries: int, span: Span) -> Problem:
    """The error of a list that is too long."""
    return Problem(
        "too-large",
        f"a list of {entries:,} entries is too long" if entries <= 10**18 else "this list is too long",
        span,
        help=f"lists have at most {LONGEST_LIST:,} entries, and nest at most {DEEPEST_LIST} deep",
    )


def _no_number(span: Span) -> Problem:
    return Problem(
        "bad-arithmetic", "this has no value as a number", span, help="roots and powers must be real numbers"
    )
