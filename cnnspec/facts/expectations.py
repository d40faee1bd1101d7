"""`expect` statements: claims about a model, checked against its facts."""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any

from cnnspec.diagnostics import Diagnostic, nearest
from cnnspec.expand.expander import Expander
from cnnspec.expand.values import Dims, Frame, Problem, Unknown, describe
from cnnspec.graph import Graph, Item, Loop, Node, Scope
from cnnspec.shapes import Dim, Symbolic, show
from cnnspec.syntax import tree

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


def failed_claims(graph: Graph, claims: list[tuple[tree.Expect, Frame]], expander: Expander) -> list[Diagnostic]:
    """A diagnostic for each claim that does not hold, showing both sides."""
    found = []
    checker = _Claims(graph, expander)
    for statement, frame in claims:
        try:
            checker.check(statement, frame)
        except Problem as problem:
            found.append(problem.diagnostic)
    return found


class _Claims:
    def __init__(self, graph: Graph, expander: Expander) -> None:
        self.graph = graph
        self.expander = expander
        self.places: dict[str, list[Node]] = {}
        for node in graph.layers:
            parts = node.path.split(".")
            for length in range(1, len(parts) + 1):
                self.places.setdefault(".".join(parts[:length]), []).append(node)
        self.scopes = {scope.path: scope for scope in _scopes(graph.root)}

    def check(self, statement: tree.Expect, frame: Frame) -> None:
        claim = statement.claim
        if not isinstance(claim, tree.Binary) or claim.operator not in COMPARISONS:
            raise Problem(
                "bad-claim", "a claim compares two things", claim.span, help="write it like `expect params == 520`"
            )
        left, right = self.value(claim.left, frame), self.value(claim.right, frame)
        if isinstance(left, Unknown) or isinstance(right, Unknown):
            return
        a, b = _comparable(left), _comparable(right)
        if isinstance(a, tuple) != isinstance(b, tuple) or (
            isinstance(a, tuple) and claim.operator not in ("==", "!=")
        ):
            raise Problem(
                "type-mismatch", f"cannot compare {_show(left)} with {_show(right)} by `{claim.operator}`", claim.span
            )
        if isinstance(a, Symbolic) or isinstance(b, Symbolic):
            holds = (a == b) if claim.operator == "==" else (a != b)
        else:
            holds = COMPARISONS[claim.operator](a, b)
        if not holds:
            sides = [
                (e.span, f"this is {_show(v)}")
                for e, v in ((claim.left, left), (claim.right, right))
                if not isinstance(e, tree.Number | tree.DimsLiteral)
            ]
            raise Problem(
                "expectation-failed",
                f"the claim does not hold: {_show(left)} {claim.operator} {_show(right)} is false",
                claim.span,
                notes=tuple(sides),
                help="either the network or the claim is wrong; `cnnspec summary` shows every layer",
            )

    def value(self, e: tree.Expression, frame: Frame) -> Any:
        """One side of a claim: a fact, or an expression over the model's names and facts."""
        match e:
            case tree.Name() if e.text in TOTALS and frame.find(e.text) is None:
                return self.total(e.text)
            case tree.Call(function=tree.Name(text=fact)) if fact in OF_A_PATH and frame.find(fact) is None:
                if len(e.arguments) != 1 or e.arguments[0].name is not None:
                    raise Problem("bad-claim", f"`{fact}` takes the name of one layer or block", e.span)
                return self.fact(fact, e.arguments[0].value)
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

    def fact(self, fact: str, e: tree.Expression) -> Any:
        path = _path(e)
        if path is None:
            raise Problem(
                "bad-claim",
                f"`{fact}` takes the name of a layer or block",
                e.span,
                help=f"write `{fact}(conv_1)`, or `{fact}(layer1.0.conv1)`",
            )
        nodes = self.places.get(path)
        inputs = {port.name: port.value for port in self.graph.inputs}
        if nodes is None and not (fact == "shape" and path in inputs):
            near = nearest(path, [*self.places, *inputs])
            raise Problem(
                "unknown-layer-path",
                f"there is no layer or block `{path}`",
                e.span,
                help=f"did you mean `{near[0]}`?" if near else "`cnnspec summary` shows every layer",
            )
        if nodes is None:
            return Dims(self.graph.values[inputs[path]])  # type: ignore[arg-type]
        if fact == "params":
            return sum(node.params for node in nodes)
        if fact == "macs":
            total: Dim = 0
            for node in nodes:
                total = total + node.macs
            return total
        scope = self.scopes.get(path)
        output = scope.outputs[0] if scope is not None else nodes[-1].outputs[0]
        if fact == "shape":
            return tuple(self.graph.values[output])
        from cnnspec.facts.receptive_field import receptive_fields

        field = receptive_fields(self.graph)[output]
        sizes = field.size
        return sizes[0] if len(set(sizes)) == 1 else tuple(sizes)


def _scopes(item: Item) -> list[Scope]:
    found = [item] if isinstance(item, Scope) else []
    if isinstance(item, Loop):
        bodies = [inner for turn in item.turns for inner in turn.body]
    else:
        bodies = [] if isinstance(item, Node) else list(item.body)
    for inner in bodies:
        found += _scopes(inner)
    return found


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


def _comparable(value: Any) -> Any:
    return tuple(value) if isinstance(value, list | tuple) else value


def _show(value: Any) -> str:
    if isinstance(value, tuple) and all(isinstance(size, int | Symbolic) for size in value):
        return show(value)
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return describe(value)
