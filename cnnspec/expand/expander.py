"""From syntax trees to a graph: blocks and loops expanded, layers applied, shapes inferred as it goes."""

from __future__ import annotations

import keyword
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails
from typing_extensions import override

from cnnspec.diagnostics import Diagnostic, Span, nearest
from cnnspec.expand.expressions import Expressions, number_like
from cnnspec.expand.values import (
    UNKNOWN,
    Applicable,
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
from cnnspec.graph import Branch, Graph, Item, Loop, Node, Port, Scope, Turn, plain_names
from cnnspec.initialisers import Initialiser
from cnnspec.layers import LAYERS
from cnnspec.layers.base import Layer, RuleError, Says, Weight
from cnnspec.shapes import Dim, Shape, Symbolic, UnknownSize, show
from cnnspec.syntax import tree

MOST_LAYERS = 1_000_000
MOST_TURNS = 1_000_000
DEEPEST_NESTING = 64
MOST_ERRORS = 50
OPERATORS = {"+": "add", "-": "subtract", "*": "multiply", "/": "divide"}
LABEL_PART = re.compile(r"[A-Za-z0-9_-]+")


class GaveUp(Exception):
    """A budget is spent; the diagnostic is recorded."""


def snake_case(name: str) -> str:
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


class Expander(Expressions):
    """Expands one model.  Errors collect in ``diagnostics``; what depends on them becomes `UNKNOWN`."""

    def __init__(self, definitions: dict[str, tree.Definition]) -> None:
        self.definitions = definitions
        self.diagnostics: list[Diagnostic] = []
        self.values: list[Shape] = []
        self.paths: dict[str, Span] = {}
        self.claims: list[tuple[tree.Expect, Frame]] = []
        self.model_inputs: list[Port] = []
        self.override_inputs: dict[str, Any] = {}
        self.node_count = 0
        self.turn_count = 0
        self.active: list[tuple[tree.Definition, Span]] = []
        self.nesting = 0
        self._layers: dict[Any, Layer] = {}
        self._facts: dict[Any, tuple[tuple[Shape, ...], tuple[Weight, ...], Dim]] = {}

    # ---- errors -------------------------------------------------------------------------------------------------

    def report(self, diagnostic: Diagnostic) -> None:
        """Record a finding once, with the use of the block it happened in."""
        for seen in self.diagnostics:
            if seen.code == diagnostic.code and seen.span == diagnostic.span:
                return
        if self.active and diagnostic.severity == "error":
            definition, span = self.active[-1]
            if definition.keyword == "block" and not (
                diagnostic.span.file == span.file and span.line == diagnostic.span.line
            ):
                note = (span, f"in this use of `{definition.name.text}`")
                diagnostic = Diagnostic(
                    diagnostic.code,
                    diagnostic.message,
                    diagnostic.span,
                    diagnostic.label,
                    (*diagnostic.notes, note),
                    diagnostic.help,
                    diagnostic.severity,
                )
        self.diagnostics.append(diagnostic)
        if sum(d.severity == "error" for d in self.diagnostics) >= MOST_ERRORS:
            raise GaveUp

    @contextmanager
    def guarded(self) -> Iterator[None]:
        """Run a step; record its problem and go on."""
        try:
            yield
        except Problem as problem:
            self.report(problem.diagnostic)

    def give_up(self, code: str, message: str, span: Span, help: str) -> None:
        self.diagnostics.append(Diagnostic(code, message, span, help=help))
        raise GaveUp

    # ---- statements ---------------------------------------------------------------------------------------------

    def run(self, body: tuple[tree.Statement, ...], frame: Frame) -> None:
        for statement in body:
            with self.guarded():
                self.statement(statement, frame)

    def statement(self, s: tree.Statement, frame: Frame) -> None:
        match s:
            case tree.Flow():
                self._flow(s, frame)
            case tree.Binding():
                self._binding(s, frame)
            case tree.Input():
                self._input(s, frame)
            case tree.Output():
                self._output(s, frame)
            case tree.If():
                self._if(s, frame)
            case tree.For():
                self._for(s, frame)
            case tree.Expect():
                if not frame.is_model:
                    raise Problem(
                        "misplaced-expect",
                        "`expect` belongs in a model",
                        s.span,
                        help="a block has no shapes of its own; move the claim to a model that uses it",
                    )
                self.claims.append((s, frame))

    def _flow(self, s: tree.Flow, frame: Frame) -> None:
        try:
            value = self.evaluate(s.value, frame)
            if isinstance(value, Applicable):
                value = self.apply(value, [self.current(frame, s.span)], frame, s.value.span)
        except Problem:
            frame.current = UNKNOWN
            raise
        if not isinstance(value, Tensor | Unknown) and not _all_tensors(value):
            raise Problem(
                "no-effect",
                f"a statement moves the flow, and this is only {describe(value)}",
                s.span,
                help="write a layer, a value of the network, or a binding `name = ...`",
            )
        frame.current = value

    def _binding(self, s: tree.Binding, frame: Frame) -> None:
        for target in s.targets:
            self._check_name(target)
        try:
            value = self.evaluate(s.value, frame)
            if isinstance(value, LabelledValue):
                raise Problem(
                    "not-applied",
                    f"`{value.label}` names a layer that is not applied to anything here",
                    s.value.span,
                    help=f"to apply it to the flow, write `... -> {value.label}: ...`; a layer kept for later needs no label",
                )
            if len(s.targets) == 1:
                self._bind(frame, s.targets[0].text, value)
                return
            if isinstance(value, Unknown):
                values: Any = [UNKNOWN] * len(s.targets)
            elif isinstance(value, list | tuple):
                values = list(value)
            else:
                raise Problem("not-several", f"{len(s.targets)} names, and one value: {describe(value)}", s.value.span)
            if len(values) != len(s.targets):
                raise Problem("not-several", f"{len(s.targets)} names, and {len(values)} values", s.span)
            for target, one in zip(s.targets, values, strict=True):
                self._bind(frame, target.text, one)
        except Problem:
            for target in s.targets:
                frame.names[target.text] = UNKNOWN
            raise

    @staticmethod
    def _bind(frame: Frame, name: str, value: Any) -> None:
        frame.names[name] = value
        if isinstance(value, Tensor):
            frame.bindings.append((name, value.number))

    def _check_name(self, name: tree.Name) -> None:
        """Names that would not survive in generated code are refused."""
        text = name.text
        if keyword.iskeyword(text) or text.startswith("__"):
            raise Problem(
                "bad-name",
                f"`{text}` cannot be a name: generated code reserves it",
                name.span,
                help=f"try `{text.strip('_')}_`",
            )

    def current(self, frame: Frame, span: Span) -> Any:
        """The value that flows here."""
        if frame.current is None:
            if not frame.declared and frame.supplied:
                # A body with no `input` statement takes its one value as the flow.
                if len(frame.supplied) > 1:
                    raise Problem(
                        "wrong-inputs",
                        f"this body gets {len(frame.supplied)} values and names none of them",
                        span,
                        help="name them: `input a, b`",
                    )
                frame.declared = True
                frame.current = frame.supplied[0]
                return frame.current
            if len(frame.inputs) > 1:
                names = " or ".join(f"`{name}`" for name, _ in frame.inputs)
                raise Problem(
                    "no-flow",
                    "with several inputs it must be said which one flows",
                    span,
                    help=f"start from a value: {names} `-> ...`",
                )
            raise Problem(
                "no-input",
                "nothing flows here yet",
                span,
                help="declare the input first, as in `input image: 3x224x224`",
            )
        return frame.current

    def _input(self, s: tree.Input, frame: Frame) -> None:
        if frame.current is not None and not frame.inputs:
            raise Problem(
                "late-input", "`input` comes before the first layer", s.span, help="move it to the top of the body"
            )
        for name in s.names:
            self._check_name(name)
            if any(name.text == known for known, _ in frame.inputs):
                raise Problem(
                    "duplicate-name", f"two inputs are named `{name.text}`", name.span, help="give each its own name"
                )
        if frame.is_model and not frame.supplied:
            for name in s.names:
                self._model_input(s, name, frame)
        else:
            frame.declared = True
            for name in s.names:
                index = len(frame.inputs)
                if index >= len(frame.supplied):
                    frame.inputs.append((name.text, UNKNOWN))
                    frame.names[name.text] = UNKNOWN
                    continue
                value = frame.supplied[index]
                if s.shape is not None and isinstance(value, Tensor):
                    wanted = self._shape(s.shape, frame)
                    if isinstance(wanted, tuple) and wanted != value.shape:
                        raise Problem(
                            "shape-mismatch",
                            f"`{name.text}` must be {show(wanted)}, and this use gives {show(value.shape)}",
                            s.shape.span,
                        )
                frame.inputs.append((name.text, value))
                frame.names[name.text] = value
        frame.current = frame.inputs[0][1] if len(frame.inputs) == 1 else None

    def _model_input(self, s: tree.Input, name: tree.Name, frame: Frame) -> None:
        frame.declared = True
        if s.shape is None:
            raise Problem(
                "input-without-shape",
                f"the model's input `{name.text}` has no shape",
                name.span,
                help=f"write `input {name.text}: 3x224x224`, channels first",
            )
        try:
            shape = self._shape(s.shape, frame)
        except Problem:
            frame.inputs.append((name.text, UNKNOWN))
            frame.names[name.text] = UNKNOWN
            raise
        given = self.override_inputs.get(name.text, self.override_inputs.get(""))
        if given is not None:
            shape = given
        if isinstance(shape, Unknown):
            value: Tensor | Unknown = UNKNOWN
        else:
            value = self.new_value(shape, name.span)
            self.model_inputs.append(Port(name=name.text, value=value.number))
        frame.inputs.append((name.text, value))
        frame.names[name.text] = value

    def _shape(self, e: tree.Expression, frame: Frame) -> Shape | Unknown:
        """A shape as an input declares it: dims, a number, or a list in which unknown names are symbolic sizes."""
        if isinstance(e, tree.ListLiteral):
            for item in e.items:
                if isinstance(item, tree.Name) and frame.find(item.text) is None and item.text not in self.definitions:
                    self._check_name(item)
                    frame.names[item.text] = Symbolic.of(item.text)
        value = self.evaluate(e, frame)
        if isinstance(value, Unknown):
            return value
        sizes = (value,) if isinstance(value, int | Symbolic) and not isinstance(value, bool) else value
        if not isinstance(sizes, list | tuple) or not sizes or not all(isinstance(n, int | Symbolic) for n in sizes):
            raise Problem(
                "bad-shape",
                f"a shape is sizes such as 3x224x224, not {describe(value)}",
                e.span,
                help="channels first and without the batch: `3x224x224`, or `784` for a vector",
            )
        for size in sizes:
            if isinstance(size, int) and not 0 < size < 10**9:
                raise Problem("bad-shape", f"{size} is no size of an input", e.span, help="every size is at least 1")
        return tuple(sizes)

    def _output(self, s: tree.Output, frame: Frame) -> None:
        if s.name is not None:
            self._check_name(s.name)
            if any(s.name.text == known for known, _, _, _ in frame.outputs):
                raise Problem(
                    "duplicate-name",
                    f"two outputs are named `{s.name.text}`",
                    s.name.span,
                    help="give each its own name",
                )
        outer = frame.auxiliary
        frame.auxiliary = outer or s.auxiliary
        try:
            for e in s.values:
                name = s.name.text if s.name else e.text if isinstance(e, tree.Name) else ""
                try:
                    value = self.evaluate(e, frame)
                    if isinstance(value, Applicable):
                        value = self.apply(value, [self.current(frame, e.span)], frame, e.span)
                except Problem:
                    frame.outputs.append((name, UNKNOWN, s.auxiliary, e.span))
                    raise
                if not isinstance(value, Tensor | Unknown) and not _all_tensors(value):
                    raise Problem("bad-output", f"an output is a value of the network, not {describe(value)}", e.span)
                for one in value if isinstance(value, list | tuple) else [value]:
                    frame.outputs.append((name, one, s.auxiliary, e.span))
                if s.name is not None and not isinstance(value, list | tuple):
                    self._bind(frame, s.name.text, value)
        finally:
            frame.auxiliary = outer

    def _if(self, s: tree.If, frame: Frame) -> None:
        test = self.truth(s.test, frame)
        if test is None:
            for name in _assigned(s.body) | _assigned(s.otherwise):
                frame.names[name] = UNKNOWN
            return
        outer, frame.items = frame.items, []
        try:
            self.run(s.body if test else s.otherwise, frame)
        finally:
            body, frame.items = frame.items, outer
            if body:
                frame.items.append(Branch(span=s.test.span, taken=0 if test else 1, body=tuple(body)))

    def _for(self, s: tree.For, frame: Frame) -> None:
        for target in s.targets:
            self._check_name(target)
        values = self.evaluate(s.iterable, frame)
        if isinstance(values, Unknown):
            for name in {target.text for target in s.targets} | _assigned(s.body):
                frame.names[name] = UNKNOWN
            return
        if not isinstance(values, list | tuple | range):
            raise Problem(
                "not-a-list",
                f"a loop runs over a list, not over {describe(values)}",
                s.iterable.span,
                help="to count, write `for i in range(4)`",
            )
        outer = frame.items
        turns = []
        try:
            for value in values:
                self.turn_count += 1
                if self.turn_count > MOST_TURNS:
                    self.give_up(
                        "too-many-turns",
                        f"the loops of this model make more than {MOST_TURNS:,} turns",
                        s.iterable.span,
                        "no network needs that many; is a size given where a count was meant?",
                    )
                self._bind_targets(s, value, frame)
                variables = plain_names({target.text: frame.names[target.text] for target in s.targets})
                frame.items = []
                self.run(s.body, frame)
                turns.append(Turn(variables=variables, body=tuple(frame.items)))
        finally:
            frame.items = outer
            if any(turn.body for turn in turns):
                frame.items.append(Loop(span=s.span, turns=tuple(turns)))

    def _bind_targets(self, s: tree.For, value: Any, frame: Frame) -> None:
        if len(s.targets) == 1:
            frame.names[s.targets[0].text] = value
            return
        if not isinstance(value, list | tuple) or len(value) != len(s.targets):
            count = len(value) if isinstance(value, list | tuple) else 1
            raise Problem(
                "not-several",
                f"{len(s.targets)} names, and {count} value{'s' * (count != 1)}: {describe(value)}",
                s.iterable.span,
                help="each entry of the list needs a value for each name",
            )
        for target, one in zip(s.targets, value, strict=True):
            frame.names[target.text] = one

    # ---- applying layers, blocks and groups ---------------------------------------------------------------------

    @override
    def pipeline(self, pipeline: tree.Pipeline, frame: Frame) -> Any:
        value: Any = UNKNOWN
        for position, stage in enumerate(pipeline.stages):
            try:
                one = self.evaluate(stage, frame)
                if isinstance(one, Applicable):
                    source = value if position else self.current(frame, stage.span)
                    inputs = list(source) if isinstance(source, list | tuple) else [source]
                    value = self.apply(one, inputs, frame, stage.span)
                elif position == 0:
                    if not isinstance(one, Tensor | Unknown) and not _all_tensors(one):
                        raise Problem(
                            "not-a-layer",
                            f"a flow starts from a value of the network or a layer, not from {describe(one)}",
                            stage.span,
                        )
                    value = one
                elif isinstance(one, Unknown):
                    value = UNKNOWN
                else:
                    raise Problem(
                        "not-a-layer",
                        f"a stage of a flow is a layer, and this is {describe(one)}",
                        stage.span,
                        help="a call on values is applied already; bind it to a name first",
                    )
            except Problem as problem:
                self.report(problem.diagnostic)
                value = UNKNOWN
        return value

    @override
    def call(
        self,
        function: Any,
        arguments: list[tuple[tree.Name | None, Given]],
        span: Span,
        frame: Frame,
        label: tuple[str, Span] | None,
    ) -> Any:
        if isinstance(function, Unknown):
            return UNKNOWN
        if isinstance(function, Function):
            return self.call_function(function, arguments, span)
        if isinstance(function, Initialiser):
            return self.call_function(Function(function.distribution), arguments, span)
        if not isinstance(function, LayerValue | BlockValue):
            raise Problem(
                "not-callable",
                f"{describe(function)} takes no arguments",
                span,
                help="only layers, blocks and functions do",
            )
        tensors: list[Any] = []
        positional: list[Given] = []
        named: dict[str, tuple[tree.Name, Given]] = {}
        for name, given in arguments:
            if name is not None:
                if name.text in named:
                    raise Problem(
                        "duplicate-argument",
                        f"`{name.text}` is given twice",
                        name.span,
                        notes=((named[name.text][0].span, "the first time"),),
                        help="keep one of them",
                    )
                named[name.text] = (name, given)
            elif isinstance(given.value, Tensor) or _all_tensors(given.value):
                tensors += given.value if isinstance(given.value, list | tuple) else [given.value]
            else:
                positional.append(given)
        merged = dict(function.arguments)
        fields = self._fields(function)
        taken: set[str] = set()
        if len(positional) > len(fields):
            if any(isinstance(given.value, Unknown) for given in positional):
                return UNKNOWN
            raise Problem(
                "too-many-arguments",
                f"{describe(function)} takes {len(fields)} arguments at most, and this is {len(positional)}",
                positional[len(fields)].span,
                help=self._signature_help(function),
            )
        for field, given in zip(fields, positional, strict=False):
            merged[field] = given
            taken.add(field)
        problems = []
        for text, (name, given) in named.items():
            if text not in fields:
                near = nearest(text, fields)
                problems.append(
                    Problem(
                        "unknown-argument",
                        f"{describe(function)} has no argument `{text}`",
                        name.span,
                        help=f"did you mean `{near[0]}`?" if near else self._signature_help(function),
                    )
                )
            elif text in taken:
                problems.append(
                    Problem(
                        "duplicate-argument",
                        f"`{text}` is given twice, by place and by name",
                        name.span,
                        notes=((merged[text].span, "the first time"),),
                        help="keep one of them",
                    )
                )
            else:
                merged[text] = given
        if problems:
            for problem in problems[:-1]:
                self.report(problem.diagnostic)
            raise problems[-1]
        made: LayerValue | BlockValue = (
            LayerValue(function.layer, merged, span)
            if isinstance(function, LayerValue)
            else BlockValue(function.definition, merged, span)
        )
        sourceless = isinstance(made, LayerValue) and made.layer.inputs[1] == 0
        if tensors or sourceless:
            return self.apply(made, tensors, frame, span, label=label, operator=True)
        return made

    @staticmethod
    def _fields(function: LayerValue | BlockValue) -> list[str]:
        if isinstance(function, LayerValue):
            return list(function.layer.model_fields)
        return [parameter.name.text for parameter in function.definition.parameters]

    def _signature_help(self, function: LayerValue | BlockValue) -> str:
        fields = self._fields(function)
        return f"it takes {', '.join(f'`{field}`' for field in fields)}" if fields else "it takes no arguments"

    @override
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
        if isinstance(left, Tensor) and isinstance(right, Tensor) and symbol in OPERATORS:
            layer = LayerValue(LAYERS[OPERATORS[symbol]], {}, span)
            try:
                return self.apply(layer, [left, right], frame, span, label=label, operator=True)
            except Problem as problem:
                d = problem.diagnostic
                notes = tuple(
                    (s, f"this is {show(t.shape)}") for s, t in ((left.span, left), (right.span, right)) if s != span
                )
                raise Problem(d.code, d.message, span, label=d.label, notes=d.notes or notes, help=d.help) from None
        number, tensor = (right, left) if isinstance(left, Tensor) else (left, right)
        if isinstance(number, int | float) and not isinstance(number, bool) and isinstance(tensor, Tensor):
            change = _scale_and_shift(symbol, float(number), tensor is left)
            if change is not None:
                given = {name: Given(value, span) for name, value in change.items()}
                return self.apply(
                    LayerValue(LAYERS["scale_shift"], given, span), [tensor], frame, span, label=label, operator=True
                )
        raise Problem(
            "type-mismatch",
            f"cannot apply `{symbol}` to {describe(left)} and {describe(right)}",
            span,
            notes=tuple((s, f"this is {describe(v)}") for s, v in zip(spans, (left, right), strict=True)),
            help="values of the network take + - * / with each other, and + - * / by a number",
        )

    def apply(
        self,
        what: Applicable,
        inputs: list[Any],
        frame: Frame,
        span: Span,
        *,
        label: tuple[str, Span] | None = None,
        operator: bool = False,
    ) -> Any:
        """Apply a layer, block or group to values; the result is a value, or a tuple of several."""
        if len(inputs) == 1 and isinstance(inputs[0], list | tuple):
            inputs = list(inputs[0])
        if isinstance(what, LabelledValue):
            label, what = (what.label, what.span), what.value
        match what:
            case LayerValue():
                return self._apply_layer(what, inputs, frame, span, label, operator)
            case BlockValue():
                return self._apply_block(what, inputs, frame, span, label, operator)
            case GroupValue():
                return self._apply_group(what, inputs, frame, span, label)

    def _place(
        self, frame: Frame, label: tuple[str, Span] | None, kind: str, span: Span, operator: bool
    ) -> tuple[str, str]:
        """The label and path of a new child, each path once."""
        if label is not None:
            text, label_span = label
            for part in text.split("."):
                if not LABEL_PART.fullmatch(part):
                    raise Problem(
                        "bad-name",
                        f"`{_safe(part)}` cannot be part of a label",
                        label_span,
                        help="labels are made of letters, digits, `_` and, in quotes, `-`; dots nest",
                    )
                if keyword.iskeyword(part) or part.startswith("__"):
                    raise Problem(
                        "bad-name",
                        f"`{part}` cannot be a layer's name: generated code reserves it",
                        label_span,
                        help=f"try `{part.strip('_')}_`",
                    )
            where = label_span
        else:
            where = span
            if frame.numbered and not operator:
                text = str(frame.number)
                frame.number += 1
            else:
                while True:
                    frame.counts[kind] = frame.counts.get(kind, 0) + 1
                    text = f"{kind}_{frame.counts[kind]}"
                    if frame.join(text) not in self.paths:
                        break
        path = frame.join(text)
        if path in self.paths:
            first = self.paths[path]
            same = first == where
            raise Problem(
                "duplicate-name",
                f"two layers are named `{path}`",
                where,
                notes=() if same else ((first, "the first one"),),
                help=f"in a loop, put the loop's variable into the label, as in `{text}{{i}}`"
                if same
                else "give each its own label",
            )
        self.paths[path] = where
        return text, path

    def _apply_layer(
        self,
        what: LayerValue,
        inputs: list[Any],
        frame: Frame,
        span: Span,
        label: tuple[str, Span] | None,
        operator: bool,
    ) -> Any:
        self.node_count += 1
        if self.node_count > MOST_LAYERS:
            self.give_up(
                "too-many-layers",
                f"this model has more than {MOST_LAYERS:,} layers",
                span,
                "no network needs that many; is a size given where a count was meant?",
            )
        text, path = self._place(frame, label, what.layer.kind, span, operator)
        layer = self.build(what, span)
        if layer is None or any(isinstance(value, Unknown) for value in inputs):
            return UNKNOWN
        least, most = what.layer.inputs
        if not least <= len(inputs) <= (most if most is not None else len(inputs)):
            wanted = (
                "no value" if most == 0 else f"{least} value{'s' * (least != 1)}" + (" or more" if most is None else "")
            )
            raise Problem(
                "wrong-inputs",
                f"`{layer.kind}` takes {wanted}, and this is {len(inputs)}",
                span,
                help="combine them first, as in `a + b` or `concat(a, b)`" if len(inputs) > 1 else "",
            )
        shapes = tuple(value.shape for value in inputs)
        try:
            outputs, weights, macs = self._facts_of(layer, shapes)
        except RuleError as error:
            where = what.arguments[error.argument].span if error.argument in what.arguments else span
            notes = tuple((value.span, f"this is {show(value.shape)}") for value in inputs if value.span != where)
            raise Problem(error.code, error.message, where, notes=notes[:2], help=error.help) from None
        except UnknownSize as error:
            raise self.unknown_size(error.size, span) from None
        auxiliary = frame.auxiliary or any(value.auxiliary for value in inputs)
        place = label[1] if label else span
        results = tuple(self.new_value(shape, place, auxiliary) for shape in outputs)
        frame.items.append(
            Node(
                path=path,
                layer=layer,
                inputs=tuple(value.number for value in inputs),
                outputs=tuple(value.number for value in results),
                weights=weights,
                macs=macs,
                auxiliary=auxiliary,
                operator=operator,
                label=text,
                named=label is not None,
                span=span,
            )
        )
        return results[0] if len(results) == 1 else results

    def _facts_of(self, layer: Layer, shapes: tuple[Shape, ...]) -> tuple[tuple[Shape, ...], tuple[Weight, ...], Dim]:
        key = (id(layer), shapes)
        if key not in self._facts:
            outputs = layer.shapes(*shapes)
            self._facts[key] = outputs, layer.weights(*shapes), layer.macs(shapes, outputs)
        return self._facts[key]

    def build(self, what: LayerValue, span: Span) -> Layer | None:
        """The layer with its arguments checked; None where an argument is unknown."""
        values = {name: given.value for name, given in what.arguments.items()}
        if any(isinstance(value, Unknown) for value in values.values()):
            return None
        # True equals 1 in Python, so the types belong to the key.
        key = (what.layer, *((name, type(value), _hashable(value)) for name, value in values.items()))
        known = self._layers.get(key)
        if known is not None:
            return known
        try:
            layer = what.layer(**{name: _as_data(value) for name, value in values.items()})
        except ValidationError as error:
            problems = self._argument_problems(what, error, span)
            for problem in problems[:-1]:
                self.report(problem.diagnostic)
            raise problems[-1] from None
        except RuleError as error:
            where = what.arguments[error.argument].span if error.argument in what.arguments else span
            raise Problem(error.code, error.message, where, help=error.help) from None
        self._layers[key] = layer
        return layer

    def _argument_problems(self, what: LayerValue, error: ValidationError, span: Span) -> list[Problem]:
        kind = what.layer.kind
        problems: dict[str, Problem] = {}
        missing = [str(e["loc"][0]) for e in error.errors() if e["type"] == "missing"]
        if missing:
            names = " and ".join(f"`{name}`" for name in missing)
            problems[""] = Problem("missing-argument", f"`{kind}` needs {names}", span, help=self._signature_help(what))
        details: ErrorDetails
        for details in error.errors():
            name = str(details["loc"][0]) if details["loc"] else ""
            if details["type"] == "missing" or name in problems:
                continue
            given = what.arguments.get(name)
            where = given.span if given else span
            if details["type"] == "value_error" and isinstance(details.get("ctx", {}).get("error"), RuleError):
                rule = details["ctx"]["error"]
                problems[name] = Problem(rule.code, rule.message, where, help=rule.help)
                continue
            says = next((m.text for m in what.layer.model_fields[name].metadata if isinstance(m, Says)), "")
            options = _options(what.layer.model_fields[name].annotation)
            value = given.value if given else details["input"]
            help = ""
            if isinstance(value, str) and options:
                near = nearest(value, options)
                help = f"did you mean `{near[0]}`?" if near else ""
            must = says or (f"one of {', '.join(options)}" if options else "of another type")
            text = f"`{value}`" if isinstance(value, str) else describe(value)
            problems[name] = Problem(
                "bad-argument",
                f"`{name}` of `{kind}` must be {must}, and this is {text}",
                where,
                help=help or f"`cnnspec layers {kind}` tells what it takes",
            )
        return list(problems.values())

    def new_value(self, shape: Shape, span: Span, auxiliary: bool = False) -> Tensor:
        self.values.append(shape)
        return Tensor(len(self.values) - 1, shape, span, auxiliary)

    @contextmanager
    def nested(self, span: Span) -> Iterator[None]:
        self.nesting += 1
        if self.nesting > DEEPEST_NESTING:
            self.give_up(
                "nesting-too-deep",
                f"blocks and groups nest more than {DEEPEST_NESTING} deep here",
                span,
                "flatten the structure",
            )
        try:
            yield
        finally:
            self.nesting -= 1

    def _apply_block(
        self,
        what: BlockValue,
        inputs: list[Any],
        frame: Frame,
        span: Span,
        label: tuple[str, Span] | None,
        operator: bool,
    ) -> Any:
        definition = what.definition
        for depth, (active, _) in enumerate(self.active):
            if active is definition:
                chain = [d.name.text for d, _ in self.active[depth:]] + [definition.name.text]
                raise Problem(
                    "recursive-block",
                    f"a block cannot contain itself: {' in '.join(reversed(chain))}",
                    span,
                    notes=((definition.name.span, "defined here"),),
                    help="unroll it with `for`",
                )
        text, path = self._place(frame, label, snake_case(definition.name.text), span, operator)
        inner = Frame(path, supplied=inputs, auxiliary=frame.auxiliary, is_model=definition.keyword == "model")
        self.active.append((definition, what.span))
        try:
            with self.nested(span):
                self._bind_parameters(what, inner)
                arguments = dict(inner.names)
                self.run(definition.body, inner)
        finally:
            self.active.pop()
        wanted = len(inner.inputs)
        if inner.declared and wanted and wanted != len(inputs):
            raise Problem(
                "wrong-inputs",
                f"`{definition.name.text}` takes {wanted} value{'s' * (wanted != 1)}, and this is {len(inputs)}",
                span,
                notes=((definition.name.span, "defined here"),),
            )
        return self._finish(
            inner, frame, text, label, definition.name.text, definition.name.span, span, arguments, inputs
        )

    def _apply_group(
        self, what: GroupValue, inputs: list[Any], frame: Frame, span: Span, label: tuple[str, Span] | None
    ) -> Any:
        text, path = self._place(frame, label, "group", span, False)
        numbered = label is not None or frame.numbered
        inner = Frame(path, numbered=numbered, parent=what.frame, supplied=inputs, auxiliary=frame.auxiliary)
        with self.nested(span):
            self.run(what.group.body, inner)
        return self._finish(inner, frame, text, label, "", what.group.span, span, {}, inputs)

    def _finish(
        self,
        inner: Frame,
        frame: Frame,
        text: str,
        label: tuple[str, Span] | None,
        definition: str,
        origin: Span,
        span: Span,
        arguments: dict[str, Any],
        inputs: list[Any],
    ) -> Any:
        """Close a body: its result, and its scope in the graph."""
        results = self._results(inner, span)
        tensors = [value for value in results if isinstance(value, Tensor)]
        auxiliary = frame.auxiliary or any(isinstance(value, Tensor) and value.auxiliary for value in inputs)
        names = {name: value for name, value in inner.names.items() if name not in arguments}
        frame.items.append(
            Scope(
                path=inner.path,
                label=text,
                named=label is not None,
                definition=definition,
                origin=origin,
                span=span,
                arguments=plain_names(arguments),
                names=plain_names(names),
                bindings=tuple(inner.bindings),
                inputs=tuple(value.number for value in inputs if isinstance(value, Tensor)),
                input_names=tuple(name for name, _ in inner.inputs),
                outputs=tuple(value.number for value in tensors),
                auxiliary=auxiliary,
                body=tuple(inner.items),
            )
        )
        if any(isinstance(value, Unknown) for value in results):
            return UNKNOWN if len(results) == 1 else tuple(results)
        place = label[1] if label else span
        renamed = [Tensor(value.number, value.shape, place, value.auxiliary) for value in tensors]
        return renamed[0] if len(renamed) == 1 else tuple(renamed)

    def _results(self, inner: Frame, span: Span) -> list[Any]:
        if inner.outputs:
            return [value for _, value, _, _ in inner.outputs]
        if inner.current is None:
            if not inner.declared and len(inner.supplied) == 1:
                return [inner.supplied[0]]
            raise Problem(
                "no-output",
                "this body computes nothing that could be its result",
                span,
                help="end it with a layer, a value, or `output ...`",
            )
        return list(inner.current) if isinstance(inner.current, list | tuple) else [inner.current]

    def _bind_parameters(self, what: BlockValue, inner: Frame) -> None:
        for parameter in what.definition.parameters:
            name = parameter.name.text
            if name in what.arguments:
                inner.names[name] = what.arguments[name].value
            elif parameter.default is not None:
                inner.names[name] = self.evaluate(parameter.default, inner)
            else:
                inner.names[name] = UNKNOWN
                self.report(
                    Diagnostic(
                        "missing-argument",
                        f"{describe(what)} needs `{name}`",
                        what.span,
                        notes=((parameter.span, "it has no default"),),
                        help=self._signature_help(what),
                    )
                )

    # ---- a whole model ------------------------------------------------------------------------------------------

    def model(
        self, definition: tree.Definition, parameters: Mapping[str, Given], sources: dict[str, str]
    ) -> Graph | None:
        """Expand a model; None where errors left no graph.  Errors are in ``diagnostics``."""
        try:
            return self._model(definition, parameters, sources)
        except GaveUp:
            return None
        except Problem as problem:
            with self.guarded_quietly():
                self.report(problem.diagnostic)
            return None

    @contextmanager
    def guarded_quietly(self) -> Iterator[None]:
        try:
            yield
        except GaveUp:
            pass

    def _model(
        self, definition: tree.Definition, parameters: Mapping[str, Given], sources: dict[str, str]
    ) -> Graph | None:
        what = BlockValue(definition, dict(parameters), definition.name.span)
        for name, given in parameters.items():
            if name not in self._fields(what):
                near = nearest(name, self._fields(what))
                raise Problem(
                    "unknown-argument",
                    f"the model `{definition.name.text}` has no parameter `{name}`",
                    given.span,
                    notes=((definition.name.span, self._signature_help(what)),) if not near else (),
                    help=f"did you mean `{near[0]}`?" if near else self._signature_help(what),
                )
        frame = Frame("", is_model=True)
        self._bind_parameters(what, frame)
        arguments = dict(frame.names)
        self.active.append((definition, definition.name.span))
        self.run(definition.body, frame)
        self.active.pop()
        if not frame.inputs:
            raise Problem(
                "no-input",
                f"the model `{definition.name.text}` has no input",
                definition.name.span,
                help="begin its body with `input image: 3x224x224`",
            )
        if not frame.outputs and not frame.items and not self.has_errors:
            raise Problem(
                "no-output",
                f"the model `{definition.name.text}` computes nothing",
                definition.name.span,
                help="add layers after its input",
            )
        unknown_inputs = set(self.override_inputs) - {""} - {name for name, _ in frame.inputs}
        if unknown_inputs:
            raise Problem(
                "unknown-argument",
                f"the model has no input `{sorted(unknown_inputs)[0]}`",
                definition.name.span,
                help=f"its inputs: {', '.join(name for name, _ in frame.inputs)}",
            )
        outputs = frame.outputs or [
            ("output", value, False, definition.name.span) for value in self._results(frame, definition.name.span)
        ]
        if self.has_errors or any(isinstance(value, Unknown) for _, value, _, _ in outputs):
            return None
        if all(auxiliary for _, _, auxiliary, _ in outputs):
            # Auxiliary heads are beside the result, which then is what flows at the end.
            outputs = [("output", value, False, definition.name.span) for value in _as_list(frame.current)] + outputs
        ports = tuple(
            Port(name=name or f"output_{position + 1}", value=value.number, auxiliary=auxiliary)
            for position, (name, value, auxiliary, _) in enumerate(outputs)
        )
        self._warn_unused(frame.items, {port.value for port in ports})
        names = {name: value for name, value in frame.names.items() if name not in arguments}
        root = Scope(
            path="",
            label="",
            named=False,
            definition=definition.name.text,
            origin=definition.name.span,
            span=definition.span,
            arguments=plain_names(arguments),
            names=plain_names(names),
            bindings=tuple(frame.bindings),
            inputs=tuple(port.value for port in self.model_inputs),
            input_names=tuple(name for name, _ in frame.inputs),
            outputs=tuple(port.value for port in ports),
            auxiliary=False,
            body=tuple(frame.items),
        )
        return Graph(
            name=definition.name.text,
            parameters=plain_names(arguments),
            inputs=tuple(self.model_inputs),
            outputs=ports,
            values=tuple(self.values),
            root=root,
            sources=sources,
        )

    @property
    def has_errors(self) -> bool:
        return any(d.severity == "error" for d in self.diagnostics)

    def _warn_unused(self, items: list[Item], results: set[int]) -> None:
        """Warn of layers whose result goes nowhere."""
        used = set(results)
        nodes: list[Node] = []
        scopes: list[Scope] = []

        def collect(some: tuple[Item, ...] | list[Item]) -> None:
            for item in some:
                match item:
                    case Node():
                        nodes.append(item)
                    case Loop():
                        for turn in item.turns:
                            collect(turn.body)
                    case Scope():
                        scopes.append(item)
                        collect(item.body)
                    case Branch():
                        collect(item.body)

        collect(items)
        for node in nodes:
            used.update(node.inputs)
        for node in nodes:
            if not used.intersection(node.outputs):
                self.report(
                    Diagnostic(
                        "unused-value",
                        f"the result of `{node.path}` is never used",
                        node.span,
                        severity="warning",
                        help="use it, make it an output, or remove it",
                    )
                )
        for port in self.model_inputs:
            if port.value not in used:
                span = self.active[0][1] if self.active else items[0].span if items else None
                if span is not None:
                    self.report(
                        Diagnostic(
                            "unused-value",
                            f"the input `{port.name}` is never used",
                            span,
                            severity="warning",
                            help="use it or remove it",
                        )
                    )


def _scale_and_shift(symbol: str, number: float, tensor_first: bool) -> dict[str, float] | None:
    """``tensor symbol number`` (or the other way round) as ``scale * x + shift``; None where it has no such form."""
    if symbol == "+":
        return {"scale": 1.0, "shift": number}
    if symbol == "*":
        return {"scale": number, "shift": 0.0}
    if symbol == "-":
        return {"scale": 1.0, "shift": -number} if tensor_first else {"scale": -1.0, "shift": number}
    if symbol == "/" and tensor_first and number != 0:
        return {"scale": 1.0 / number, "shift": 0.0}
    return None


def _all_tensors(value: Any) -> bool:
    return isinstance(value, list | tuple) and bool(value) and all(isinstance(item, Tensor | Unknown) for item in value)


def _as_list(value: Any) -> list[Any]:
    return list(value) if isinstance(value, list | tuple) else [value]


def _as_data(value: Any) -> Any:
    """An argument as layers take it: lists and dims as tuples."""
    if isinstance(value, list | tuple | range):
        return tuple(_as_data(item) for item in value)
    return value


def _hashable(value: Any) -> Any:
    if isinstance(value, list | tuple | range):
        return tuple((type(item), _hashable(item)) for item in value)
    try:
        hash(value)
    except TypeError:
        return id(value)
    return value


def _options(annotation: Any) -> list[str]:
    """The words that an argument takes."""
    from typing import get_args

    found: list[str] = []
    for part in get_args(annotation):
        found += [part] if isinstance(part, str) else _options(part)
    return list(dict.fromkeys(found))


def _safe(text: str) -> str:
    return "".join(c if c.isprintable() else "·" for c in text)[:40]


def _assigned(body: tuple[tree.Statement, ...]) -> set[str]:
    """The names that a body binds."""
    names: set[str] = set()
    for s in body:
        match s:
            case tree.Binding():
                names |= {target.text for target in s.targets}
            case tree.For():
                names |= {target.text for target in s.targets} | _assigned(s.body)
            case tree.If():
                names |= _assigned(s.body) | _assigned(s.otherwise)
    return names


__all__ = ["Expander", "number_like"]
