"""`expect` statements: claims about a model, checked against its facts."""

from __future__ import annotations

import operator
from collections.abc import Callable, Iterator
from functools import cached_property
from typing import TYPE_CHECKING, Any

from cnnspec.diagnostics import Diagnostic, nearest
from cnnspec.expand.expander import Expander
from cnnspec.expand.expressions import number_like
from cnnspec.expand.values import Frame, Problem, Tensor, Unknown, describe
from cnnspec.graph import Graph, Item, Loop, Node, Scope
from cnnspec.shapes import Dim, Shape, Symbolic, show
from cnnspec.syntax import tree

if TYPE_CHECKING:
    from cnnspec.facts.receptive_field import Field

COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
TOTALS = ("params", "macs", "layers")
OF_A_PATH = ("shape", "params", "macs", "receptive_field")
MOST_FAILURES = 50


def failed_claims(graph: Graph, claims: list[tuple[tree.Expect, Frame]], expander: Expander) -> list[Diagnostic]:
    """A diagnostic for each claim that does not hold, showing both sides."""
    found: list[Diagnostic] = []
    checker = _Claims(graph, expander)
    with expander.bounded():
        for statement, frame in claims:
            try:
                checker.check(statement, frame)
            except Problem as problem:
                found.append(problem.diagnostic)
            if len(found) == MOST_FAILURES:
                break
    return found


class _Claims:
    def __init__(self, graph: Graph, expander: Expander) -> None:
        self.graph = graph
        self.expander = expander

    @cached_property
    def places(self) -> dict[str, list[Node]]:
        """The layers at and below each path."""
        places: dict[str, list[Node]] = {}
        for node in self.graph.layers:
            parts = node.path.split(".")
            for length in range(1, len(parts) + 1):
                places.setdefault(".".join(parts[:length]), []).append(node)
        return places

    @cached_property
    def scopes(self) -> dict[str, Scope]:
        return {scope.path: scope for scope in _scopes(self.graph.root)}

    @cached_property
    def fields(self) -> dict[int, Field]:
        from cnnspec.facts.receptive_field import receptive_fields

        return receptive_fields(self.graph)

    def check(self, statement: tree.Expect, frame: Frame) -> None:
        claim = statement.claim
        if not isinstance(claim, tree.Binary) or claim.operator not in COMPARISONS:
            raise Problem(
                "bad-claim", "a claim compares two things", claim.span, help="write it like `expect params == 520`"
            )
        values = len(self.expander.values)
        left, right = self.value(claim.left, frame), self.value(claim.right, frame)
        if len(self.expander.values) > values:
            raise Problem(
                "bad-claim",
                "a claim is about the network, and this one adds layers to it",
                claim.span,
                help="bind the value to a name in the model, and claim something about its layer",
            )
        if isinstance(left, Unknown) or isinstance(right, Unknown):
            return
        if not _comparable(left, right, claim.operator):
            raise Problem(
                "type-mismatch",
                f"cannot compare {_show(left)} with {_show(right)} by `{claim.operator}`",
                claim.span,
                help="numbers have an order; shapes are equal or not",
            )
        # The expression of the claim itself, on values that are known by now.
        if not self.expander.operate(claim, left, right, frame):
            sides = zip((claim.left, claim.right), (left, right), strict=True)
            written = tree.Number | tree.DimsLiteral
            raise Problem(
                "expectation-failed",
                f"the claim does not hold: {_show(left)} {claim.operator} {_show(right)} is false",
                claim.span,
                notes=tuple((e.span, f"this is {_show(v)}") for e, v in sides if not isinstance(e, written)),
                help="either the network or the claim is wrong; `cnnspec summary` shows every layer",
            )

    def value(self, e: tree.Expression, frame: Frame) -> Any:
        """One side of a claim: a fact, or an expression over the model's names and facts."""
        match e:
            case tree.Name() if e.text in TOTALS and frame.find(e.text) is None:
                return self.total(e.text)
            case tree.Call(function=tree.Name(text=fact)) if fact in OF_A_PATH and frame.find(fact) is None:
                if len(e.arguments) != 1 or e.arguments[0].name is not None:
                    raise Problem(
                        "bad-claim",
                        f"`{fact}` takes the name of one layer or block",
                        e.span,
                        help=f"as in `{fact}(conv_1)`",
                    )
                return self.fact(fact, e.arguments[0].value, frame)
            case tree.Binary() if e.operator not in ("and", "or"):
                left, right = self.value(e.left, frame), self.value(e.right, frame)
                if isinstance(left, Unknown) or isinstance(right, Unknown):
                    return left if isinstance(left, Unknown) else right
                return self.expander.operate(e, left, right, frame)
            case _:
                return self.expander.evaluate(e, frame)

    def total(self, fact: str) -> Dim:
        if fact == "params":
            return self.graph.params
        if fact == "macs":
            return self.graph.macs
        return len(self.graph.layers)

    def fact(self, fact: str, e: tree.Expression, frame: Frame) -> Any:
        """A fact of a layer or block; of a named value of the network its shape and receptive field."""
        path = self.expander.evaluate(e, frame) if isinstance(e, tree.Interpolated) else _path(e)
        if isinstance(path, Unknown):
            return path
        if path is None:
            raise Problem(
                "bad-claim",
                f"`{fact}` takes the name of a layer or block",
                e.span,
                help=f"write `{fact}(conv_1)`, or `{fact}(layer1.0.conv1)`",
            )
        nodes = self.places.get(path)
        output = None
        if nodes is not None:
            scope = self.scopes.get(path)
            output = (scope if scope is not None else nodes[-1]).outputs[0]
        elif fact in ("shape", "receptive_field"):
            value = frame.find(path)
            output = value.number if isinstance(value, Tensor) else None
        if output is None:
            values = [name for name, value in frame.names.items() if isinstance(value, Tensor)]
            near = nearest(path, [*values, *self.places])
            raise Problem(
                "unknown-layer-path",
                f"there is no layer or block `{path}`",
                e.span,
                help=f"did you mean `{near[0]}`?" if near else "`cnnspec summary` shows every layer",
            )
        match fact:
            case "params":
                return sum(node.params for node in nodes or ())
            case "macs":
                return sum((node.macs for node in nodes or ()), 0)
            case "shape":
                return tuple(self.graph.values[output])
        sizes = self.fields[output].size
        if not sizes:
            raise Problem(
                "bad-claim",
                "there are no receptive fields in a vector",
                e.span,
                help="they are counted in rows and columns of the model's input",
            )
        return sizes[0] if len(set(sizes)) == 1 else tuple(sizes)


def _scopes(item: Item) -> Iterator[Scope]:
    """Every scope at and below an item."""
    match item:
        case Node():
            return
        case Loop():
            for turn in item.turns:
                for inner in turn.body:
                    yield from _scopes(inner)
        case _:
            if isinstance(item, Scope):
                yield item
            for inner in item.body:
                yield from _scopes(inner)


def _path(e: tree.Expression) -> str | None:
    match e:
        case tree.Name():
            return e.text
        case tree.String():
            return e.value
        case tree.Attribute():
            inner = _path(e.value)
            return f"{inner}.{e.name.text}" if inner is not None else None
    return None


def _comparable(left: Any, right: Any, symbol: str) -> bool:
    """Whether two values can be compared: numbers by any operator, lists and shapes for equality alone."""
    if number_like(left) and number_like(right):
        return True
    if symbol not in ("==", "!="):
        return False
    both_lists = isinstance(left, list | tuple) and isinstance(right, list | tuple)
    return both_lists or (type(left) is type(right) and isinstance(left, bool | str))


def _show(value: Any) -> str:
    if isinstance(value, tuple) and value and all(isinstance(size, int | Symbolic) for size in value):
        shape: Shape = value
        return show(shape)
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return describe(value)
