"""Evaluating expressions over spec-time values."""

from __future__ import annotations

import operator
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, get_args

from cnnspec.diagnostics import Span, nearest
from cnnspec.expand.functions import FUNCTIONS, INITIALISERS, LONGEST_LIST
from cnnspec.expand.values import (
    UNKNOWN,
    BlockValue,
    Dims,
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
from cnnspec.initialisers import Initialiser
from cnnspec.layers import LAYERS
from cnnspec.shapes import Symbolic, UnknownSize, product
from cnnspec.syntax import tree

LARGEST_NUMBER = 10**18

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
AXIS_WORDS = {"channels": 0}


def _words() -> frozenset[str]:
    """Every word that some layer's argument takes, such as `same` or `bilinear`."""
    found: set[str] = set()

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


_WORDS: list[frozenset[str]] = []


def words() -> frozenset[str]:
    if not _WORDS:
        _WORDS.append(_words())
    return _WORDS[0]


def number_like(value: Any) -> bool:
    return isinstance(value, int | float | Symbolic) and not isinstance(value, bool)


class Expressions(ABC):
    """Evaluates expressions; what concerns layers and blocks is left to the subclass."""

    definitions: dict[str, tree.Definition]

    @abstractmethod
    def call(
        self,
        function: Any,
        arguments: list[tuple[tree.Name | None, Given]],
        span: Span,
        frame: Frame,
        label: tuple[str, Span] | None,
    ) -> Any:
        """A layer, block or function called with arguments."""

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
        label: tuple[str, Span] | None,
        spans: tuple[Span, Span],
    ) -> Any:
        """An operator with a tensor on at least one side."""

    def evaluate(self, e: tree.Expression, frame: Frame, label: tuple[str, Span] | None = None) -> Any:
        """The value of an expression; raises `Problem`.

        A ``label`` names the layer that the expression applies, if it does.
        """
        match e:
            case tree.Name():
                return self._name(e, frame)
            case tree.Number() | tree.String() | tree.Boolean():
                return e.value
            case tree.DimsLiteral():
                return Dims(e.sizes)
            case tree.ListLiteral():
                return [self.evaluate(item, frame) for item in e.items]
            case tree.TupleLiteral():
                return tuple(self.evaluate(item, frame) for item in e.items)
            case tree.Pipeline():
                return self.pipeline(e, frame)
            case tree.Call():
                function = self.evaluate(e.function, frame)
                arguments = []
                for argument in e.arguments:
                    value = self.evaluate(argument.value, frame)
                    arguments.append((argument.name, Given(value, argument.value.span)))
                return self.call(function, arguments, e.span, frame, label)
            case tree.Attribute():
                return self._attribute(e, frame)
            case tree.Index():
                return self._index(e, frame)
            case tree.Unary():
                return self._unary(e, frame)
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
                text = self.label_text(e.label, frame)
                value = self.evaluate(e.value, frame, (text, e.label.span))
                if isinstance(value, LabelledValue):
                    raise Problem(
                        "two-labels",
                        "a layer has one label, and this has two",
                        e.span,
                        notes=((value.span, "the other label"),),
                        help="keep one of them",
                    )
                if isinstance(value, LayerValue | BlockValue | GroupValue):
                    return LabelledValue(text, e.label.span, value)
                if isinstance(value, Tensor | Unknown | tuple) and isinstance(e.value, tree.Call | tree.Binary):
                    return value
                raise Problem(
                    "not-a-layer",
                    f"a label names a layer, and this is {describe(value)}",
                    e.value.span,
                    help=f"to name a value, write `{text} = ...`",
                )
        raise AssertionError(e)

    def label_text(self, label: tree.Label, frame: Frame) -> str:
        """A label with its interpolations filled in, checked to be a name or a dotted path."""
        text = ""
        for part in label.parts:
            if isinstance(part, str):
                text += part
                continue
            value = self.evaluate(part, frame)
            if isinstance(value, Unknown):
                text += "unknown"
            elif (isinstance(value, int) and not isinstance(value, bool) and value >= 0) or isinstance(value, str):
                text += str(value)
            else:
                raise Problem(
                    "bad-name",
                    f"a label is made of text and whole numbers, not {describe(value)}",
                    part.span,
                    help="use a whole number of at least 0, or a string",
                )
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
        known = [*frame.visible(), *self.definitions, *LAYERS, *FUNCTIONS, *words()]
        near = nearest(name, known)
        raise Problem(
            "unknown-name",
            f"`{name}` is not defined",
            e.span,
            help=f"did you mean `{near[0]}`?"
            if near
            else "blocks see only their own parameters, inputs and names; `cnnspec layers` lists the layers",
        )

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
                help="only values of the network have attributes: channels, height, width, shape",
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
        if not isinstance(value, list | tuple | range):
            raise Problem(
                "not-a-list",
                f"only lists and tuples can be indexed, and this is {describe(value)}",
                e.value.span,
                help="to take channels of a value, use `slice(x, start, stop)`",
            )
        if not isinstance(index, int) or isinstance(index, bool):
            raise Problem("bad-index", f"an index is a whole number, not {describe(index)}", e.index.span)
        if not -len(value) <= index < len(value):
            raise Problem(
                "bad-index",
                f"index {index} is outside a list of {len(value)}",
                e.index.span,
                help=f"indices go from 0 to {len(value) - 1}" if value else "the list is empty",
            )
        return value[index]

    def _unary(self, e: tree.Unary, frame: Frame) -> Any:
        if e.operator == "not":
            test = self.truth(e.operand, frame)
            return UNKNOWN if test is None else not test
        value = self.evaluate(e.operand, frame)
        if isinstance(value, Unknown):
            return UNKNOWN
        if isinstance(value, Tensor):
            return (
                self.combine("*", value, -1, e.span, frame, None, (e.operand.span, e.span))
                if e.operator == "-"
                else value
            )
        if not number_like(value):
            raise Problem(
                "type-mismatch", f"`{e.operator}` needs a number, and this is {describe(value)}", e.operand.span
            )
        return -value if e.operator == "-" else value

    def _binary(self, e: tree.Binary, frame: Frame, label: tuple[str, Span] | None) -> Any:
        if e.operator in ("and", "or"):
            left_truth = self.truth(e.left, frame)
            if left_truth is None:
                return UNKNOWN
            if left_truth == (e.operator == "or"):
                return left_truth
            right_truth = self.truth(e.right, frame)
            return UNKNOWN if right_truth is None else right_truth
        left = self.evaluate(e.left, frame)
        right = self.evaluate(e.right, frame)
        if isinstance(left, Unknown) or isinstance(right, Unknown):
            return UNKNOWN
        return self.operate(e, left, right, frame, label)

    def operate(
        self, e: tree.Binary, left: Any, right: Any, frame: Frame, label: tuple[str, Span] | None = None
    ) -> Any:
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
            return self._compute(lambda: ORDER[symbol](left, right), e)
        if isinstance(left, Tensor) or isinstance(right, Tensor):
            return self.combine(symbol, left, right, e.span, frame, label, (e.left.span, e.right.span))
        if (
            symbol == "+"
            and isinstance(left, list | tuple)
            and isinstance(right, list | tuple)
            and (isinstance(left, list) == isinstance(right, list))
        ):
            return self._bounded([*left, *right] if isinstance(left, list) else (*left, *right), e)
        if symbol == "+" and isinstance(left, str) and isinstance(right, str):
            return left + right
        if symbol == "*" and isinstance(left, list) and isinstance(right, int) and not isinstance(right, bool):
            if len(left) * right > LONGEST_LIST:
                raise Problem(
                    "too-large",
                    f"a list of {len(left) * right:,} is too long",
                    e.span,
                    help=f"lists have at most {LONGEST_LIST:,} entries",
                )
            return left * right
        if not (number_like(left) and number_like(right)):
            raise Problem(
                "type-mismatch",
                f"cannot apply `{symbol}` to {describe(left)} and {describe(right)}",
                e.span,
                help="arithmetic needs numbers, or values of the network",
            )
        if symbol in ("/", "//", "%") and right == 0:
            raise Problem("division-by-zero", "division by zero", e.span, notes=((e.right.span, "this is 0"),))
        if symbol == "**" and (abs(right) > 64 or abs(left) > 10**6):
            raise Problem(
                "too-large",
                f"{describe(left)} ** {describe(right)} is too large to compute",
                e.span,
                help="exponents go up to 64 and bases up to 1,000,000",
            )
        return self._compute(lambda: ARITHMETIC[symbol](left, right), e)

    def _equal(self, left: Any, right: Any, e: tree.Binary) -> bool:
        if isinstance(left, Symbolic) != isinstance(right, Symbolic) and number_like(left) and number_like(right):
            unknown = left if isinstance(left, Symbolic) else right
            raise self.unknown_size(unknown, e.span)
        if isinstance(left, tuple) and isinstance(right, list | tuple):
            return tuple(left) == tuple(right)
        if isinstance(left, Tensor | LayerValue | BlockValue | GroupValue) or isinstance(
            right, Tensor | LayerValue | BlockValue | GroupValue
        ):
            raise Problem(
                "type-mismatch",
                f"cannot compare {describe(left)} with {describe(right)}",
                e.span,
                help="compare numbers, words, lists or shapes, as in `x.shape == y.shape`",
            )
        return bool(left == right)

    def _compute(self, compute: Callable[[], Any], e: tree.Expression) -> Any:
        try:
            value = compute()
        except UnknownSize as error:
            raise self.unknown_size(error.size, e.span) from None
        except (ArithmeticError, ValueError, TypeError):
            raise Problem("bad-arithmetic", "this has no value as a number", e.span) from None
        return self._bounded_number(value, e)

    def unknown_size(self, size: Any, span: Span) -> Problem:
        return Problem(
            "symbolic-size",
            f"this needs to know the size {size}, which the input leaves open",
            span,
            help="give the model's input a fixed size, as in `input image: 3x224x224`, or `--input 3x224x224`",
        )

    def _bounded_number(self, value: Any, e: tree.Expression) -> Any:
        if isinstance(value, complex) or (isinstance(value, float) and value != value):
            raise Problem("bad-arithmetic", "this has no value as a number", e.span)
        if isinstance(value, int | float) and abs(value) > LARGEST_NUMBER:
            raise Problem("too-large", "this number is larger than 10^18", e.span)
        return value

    def _bounded(self, value: Any, e: tree.Expression) -> Any:
        if len(value) > LONGEST_LIST:
            raise Problem(
                "too-large",
                f"a list of {len(value):,} is too long",
                e.span,
                help=f"lists have at most {LONGEST_LIST:,} entries",
            )
        return value

    def call_function(self, function: Function, arguments: list[tuple[tree.Name | None, Given]], span: Span) -> Any:
        """A pure function's value."""
        if any(isinstance(given.value, Unknown) for _, given in arguments):
            return UNKNOWN
        for _, given in arguments:
            items = given.value if isinstance(given.value, list | tuple) else [given.value]
            if any(isinstance(item, Unknown) for item in items):
                return UNKNOWN
            if isinstance(given.value, Tensor | LayerValue | BlockValue | GroupValue):
                raise Problem(
                    "type-mismatch",
                    f"`{function.name}` works on numbers and lists, not on {describe(given.value)}",
                    given.span,
                    help="functions of values are layers; `cnnspec layers` lists them",
                )
        positional = [given.value for name, given in arguments if name is None]
        named = {name.text: given.value for name, given in arguments if name is not None}
        implementation = FUNCTIONS[function.name]
        try:
            value = implementation(*positional, **named)
        except UnknownSize as error:
            raise self.unknown_size(error.size, span) from None
        except TypeError as error:
            raise Problem(
                "bad-call", f"`{function.name}` does not take these arguments", span, help=_plain_reason(error)
            ) from None
        except (ValueError, ArithmeticError) as error:
            raise Problem("bad-call", f"`{function.name}` has no value here", span, help=_plain_reason(error)) from None
        if isinstance(value, Initialiser):
            return value
        if isinstance(value, range) and len(value) > LONGEST_LIST:
            raise Problem(
                "too-many-turns",
                f"a range of {len(value):,} is too long",
                span,
                help=f"a loop makes at most {LONGEST_LIST:,} turns",
            )
        return value


def _plain_reason(error: Exception) -> str:
    text = str(error).splitlines()[0]
    return text.replace("<lambda>", "it").replace("_flat.<locals>.it", "it").split("() ", 1)[-1]
