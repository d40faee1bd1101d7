"""Applying layers, blocks and groups to values: what grows the graph."""

from __future__ import annotations

import keyword
import re
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, NamedTuple, NoReturn, get_args

from pydantic import ValidationError
from typing_extensions import override

from cnnspec.diagnostics import Diagnostic, Span, nearest
from cnnspec.expand.expressions import Expressions, GaveUp, LabelAt, Then, bound, extent
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
from cnnspec.graph import Node, Plain, Scope, plain, plain_names
from cnnspec.initialisers import Initialiser
from cnnspec.layers import LAYERS
from cnnspec.layers.base import Layer, RuleError, Says, Weight
from cnnspec.layers.convolution import Conv
from cnnspec.layers.elsewhere import argument_help
from cnnspec.shapes import Dim, Shape, Symbolic, UnknownSize, show
from cnnspec.syntax import tree

LARGE_KERNEL = 16
"""From here on a kernel may be a number of filters."""
MOST_LAYERS = 200_000
MOST_VALUES = 400_000
MOST_AXES = 16
LARGEST_SIZE = 10**15
"""Values that one tensor or weight may have, so that all later arithmetic stays within a few dozen digits."""
DEEPEST_NESTING = 40
"""Levels of blocks, groups, loops and branches: Pydantic reads JSON 200 deep, and a loop takes four of them."""
MOST_USES_KEPT = 100
MOST_ERRORS = 50
MOST_WARNINGS = 50
LONGEST_LABEL = 200
LONGEST_KEPT_LIST = 1000
LONGEST_SHOWN_PATH = 60
OPERATORS = {"+": "add", "-": "subtract", "*": "multiply", "/": "divide"}
UNAPPLIED = "a layer gives a value where it is applied to one, as in `a = x -> conv(...)`"
LABEL_PART = re.compile(r"[A-Za-z0-9_-]+")


class Use(NamedTuple):
    """A block that is being expanded: where it is used, and the path it gets there."""

    definition: tree.Definition
    span: Span
    path: str


class BlockUse(NamedTuple):
    """What a block was given in one use: arguments, without those left to their defaults, and shapes of values."""

    what: BlockValue
    shapes: tuple[Shape, ...]


class LayerFacts(NamedTuple):
    """What a layer makes of inputs of given shapes."""

    outputs: tuple[Shape, ...]
    weights: tuple[Weight, ...]
    macs: Dim


class Application(Expressions):
    """Applies layers, blocks and groups.  Running the statements of a body is left to the subclass."""

    def __init__(self, definitions: dict[str, tree.Definition]) -> None:
        super().__init__(definitions)
        self.diagnostics: list[Diagnostic] = []
        self.values: list[Shape] = []
        self.paths: dict[str, Span] = {}
        self.containers: dict[str, Span] = {}
        self.active: list[Use] = []
        self.node_count = 0
        self.nesting = 0
        self._seen: set[tuple[str, Span]] = set()
        self._layers: dict[Any, Layer] = {}
        self._facts: dict[tuple[int, tuple[Shape, ...]], LayerFacts] = {}
        self.block_uses: dict[str, list[BlockUse]] = {}
        """The first uses of each block."""

    @abstractmethod
    def run(self, body: tuple[tree.Statement, ...], frame: Frame) -> None:
        """Run the statements of a body."""

    # ---- errors -------------------------------------------------------------------------------------------------

    def report(self, diagnostic: Diagnostic) -> None:
        """Record a finding once, with the use of the block it happened in; raises `GaveUp` when there are too many."""
        key = (diagnostic.code, diagnostic.span)
        if key in self._seen:
            return
        alike = sum(d.severity == diagnostic.severity for d in self.diagnostics)
        if diagnostic.severity == "warning" and alike >= MOST_WARNINGS:
            return
        self._seen.add(key)
        self.diagnostics.append(self._with_use(diagnostic))
        if diagnostic.severity == "error" and alike + 1 >= MOST_ERRORS:
            raise GaveUp

    def _with_use(self, d: Diagnostic) -> Diagnostic:
        """An error in a block says for which use of it: other arguments may do."""
        use = self.active[-1] if self.active else None
        chosen = len(self.active) == 1 and use is not None and not use.path
        if use is None or chosen or d.severity == "warning":
            return d
        if (d.span.file, d.span.line) == (use.span.file, use.span.line) or any(span == use.span for span, _ in d.notes):
            return d
        path = use.path if len(use.path) <= LONGEST_SHOWN_PATH else "..." + use.path[-LONGEST_SHOWN_PATH:]
        note = f"in this use of `{use.definition.name.text}`" + (f", as `{path}`" if path else "")
        return replace(d, notes=(*d.notes, (use.span, note)))

    @property
    def has_errors(self) -> bool:
        return any(d.severity == "error" for d in self.diagnostics)

    @override
    def give_up(self, code: str, message: str, span: Span, help: str) -> NoReturn:
        self.report(Diagnostic(code, message, span, help=help))
        raise GaveUp

    # ---- calls and operators ------------------------------------------------------------------------------------

    @override
    def pipeline(self, pipeline: tree.Pipeline, frame: Frame) -> Any:
        value: Any = UNKNOWN
        for position, stage in enumerate(pipeline.stages):
            try:
                one = self.evaluate(stage, frame)
                if isinstance(one, Applicable):
                    source = value if position else self.current(frame, stage.span)
                    value = self.apply(one, [source], frame, stage.span, name=bound(stage, frame))
                elif position == 0:
                    if not isinstance(one, Tensor | Unknown) and not all_tensors(one):
                        raise Problem(
                            "not-a-layer",
                            f"a flow starts from a value of the network or a layer, not from {describe(one)}",
                            stage.span,
                            help="only what `input` declares and what layers give can flow",
                        )
                    value = one
                elif isinstance(one, Unknown):
                    value = UNKNOWN
                else:
                    raise Problem(
                        "not-a-layer",
                        f"a stage of a flow is a layer, and this is {describe(one)}",
                        stage.span,
                        help="a call on values is applied already; bind it to a name, or begin a flow with it"
                        if isinstance(one, Tensor) or all_tensors(one)
                        else "write a layer, as in `x -> relu`",
                    )
            except Problem as problem:
                self.report(problem.diagnostic)
                value = UNKNOWN
        return value

    @abstractmethod
    def current(self, frame: Frame, span: Span) -> Any:
        """The value that flows here."""

    @override
    def call(
        self,
        function: Any,
        arguments: list[tuple[tree.Name | None, Given]],
        span: Span,
        frame: Frame,
        label: LabelAt | None,
        name: str,
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
        for argument, given in arguments:
            if argument is not None:
                if argument.text in named:
                    raise Problem(
                        "duplicate-argument",
                        f"`{argument.text}` is given twice",
                        argument.span,
                        notes=((named[argument.text][0].span, "the first time"),),
                        help="keep one of them",
                    )
                named[argument.text] = (argument, given)
            elif isinstance(given.value, Tensor) or all_tensors(given.value):
                tensors += given.value if isinstance(given.value, list | tuple) else [given.value]
            else:
                positional.append(given)
        if tensors and isinstance(function, LayerValue) and function.layer.inputs[1] != 1:
            for given in positional:
                if isinstance(given.value, LayerValue | BlockValue):
                    what = f"{describe(function)} takes values, and this is {describe(given.value)}"
                    raise Problem("bad-argument", what, given.span, help=UNAPPLIED)
        merged = self._merge(function, positional, named)
        if merged is None:
            return UNKNOWN
        made = replace(function, arguments=merged, span=span)
        sourceless = isinstance(made, LayerValue) and made.layer.inputs[1] == 0
        if tensors or sourceless:
            return self.apply(made, tensors, frame, span, label=label, name=name, operator=True)
        return made

    def _merge(
        self,
        function: LayerValue | BlockValue,
        positional: list[Given],
        named: dict[str, tuple[tree.Name, Given]],
    ) -> dict[str, Given] | None:
        """The arguments that a layer or block has after a call; None where it cannot be told."""
        merged = dict(function.arguments)
        known = fields_of(function)
        # Arguments by place are the rest of those given before.
        fields = [field for field in known if field not in merged]
        taken: set[str] = set()
        if len(positional) > len(fields):
            if any(isinstance(given.value, Unknown) for given in positional):
                return None
            most = f"{len(fields)} argument{'s' * (len(fields) != 1)} at most" if fields else "no arguments"
            raise Problem(
                "too-many-arguments",
                f"{describe(function)} takes {most}, and this is number {len(fields) + 1}",
                positional[len(fields)].span,
                help=signature_help(function),
            )
        for field, given in zip(fields, positional, strict=False):
            merged[field] = given
            taken.add(field)
        problems = []
        for text, (name, given) in named.items():
            if text not in known:
                near = nearest(text, known)
                elsewhere = argument_help(text, known) if isinstance(function, LayerValue) else ""
                problems.append(
                    Problem(
                        "unknown-argument",
                        f"{describe(function)} has no argument `{text}`",
                        name.span,
                        help=f"did you mean `{near[0]}`?" if near else elsewhere or signature_help(function),
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
        if isinstance(function, BlockValue):
            for name, given in named.values():
                if isinstance(given.value, Tensor) or all_tensors(given.value):
                    problems.append(
                        Problem(
                            "bad-argument",
                            f"`{name.text}` is a parameter, and cannot be {describe(given.value)}",
                            given.span,
                            help="values of the network come in as inputs: give it without a name, "
                            "and declare it with `input` in the block",
                        )
                    )
        for problem in problems[:-1]:
            self.report(problem.diagnostic)
        if problems:
            raise problems[-1]
        return merged

    @override
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
        if isinstance(left, Tensor) and isinstance(right, Tensor) and symbol in OPERATORS:
            layer = LayerValue(LAYERS[OPERATORS[symbol]], {}, span)
            try:
                return self.apply(layer, [left, right], frame, span, label=label, operator=True)
            except Problem as problem:
                # The layer's rule does not know what its operands are called.
                d, help = problem.diagnostic, problem.diagnostic.help
                for which, operand in zip(("first", "second"), operands, strict=True):
                    if isinstance(operand, tree.Name):
                        help = help.replace(f"the {which}: `", f"the {which}: `{operand.text} -> ")
                problem.diagnostic = replace(d, help=help)
                raise
        number, tensor = (right, left) if isinstance(left, Tensor) else (left, right)
        if isinstance(number, int | float) and not isinstance(number, bool) and isinstance(tensor, Tensor):
            if symbol == "/" and number == 0 and tensor is left:
                raise Problem("division-by-zero", "division by zero", operands[1].span, help="divide by another number")
            change = _scale_and_shift(symbol, float(number), tensor is left)
            if change is not None:
                if then is not None:
                    # A product shifts nothing, and a sum scales by 1 or -1: one layer rounds as two would.
                    last = _scale_and_shift(then.symbol, float(then.number), then.product_first)
                    assert last is not None
                    change = {"scale": change["scale"] * last["scale"], "shift": last["shift"]}
                number_at = operands[1].span if tensor is left else operands[0].span
                given = {name: Given(value, number_at if value == number else span) for name, value in change.items()}
                scaled = LayerValue(LAYERS["scale_shift"], given, span)
                return self.apply(scaled, [tensor], frame, span, label=label, operator=True)
        if isinstance(number, Symbolic) and isinstance(tensor, Tensor):
            raise self.unknown_size(number, span)
        raise Problem(
            "type-mismatch",
            f"cannot apply `{symbol}` to {describe(left)} and {describe(right)}",
            span,
            help=UNAPPLIED
            if isinstance(number, LayerValue | BlockValue) or isinstance(tensor, LayerValue | BlockValue)
            else "values of the network take + - * / with each other and with numbers"
            if symbol != "/"
            else "values of the network can be divided by each other and by numbers",
        )

    # ---- application --------------------------------------------------------------------------------------------

    def apply(
        self,
        what: Applicable,
        inputs: list[Any],
        frame: Frame,
        span: Span,
        *,
        label: LabelAt | None = None,
        name: str = "",
        operator: bool = False,
    ) -> Any:
        """Apply a layer, block or group to values; the result is a value, or a tuple of several.

        Without a label it is named after the ``name`` that the body has for it, or else after what it is.
        """
        if len(inputs) == 1 and isinstance(inputs[0], list | tuple):
            inputs = list(inputs[0])
        self.spend(len(inputs), span)
        if isinstance(what, LabelledValue):
            label, what = LabelAt(what.label, what.span), what.value
        match what:
            case LayerValue():
                return self._apply_layer(what, inputs, frame, span, label, name, operator)
            case BlockValue():
                return self._apply_block(what, inputs, frame, span, label, name, operator)
            case GroupValue():
                return self._apply_group(what, inputs, frame, span, label, name)

    def _place(self, frame: Frame, label: LabelAt | None, kind: str, span: Span, operator: bool) -> tuple[str, str]:
        """The label and path of a new child, each path once.  What is wrong with them is reported."""
        if label is not None:
            text, where = label
            problem = _bad_label(text, where)
            if problem is not None:
                self.report(problem.diagnostic)
                return text, frame.join(text)
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
        first = self.paths.get(path)
        if first is not None:
            same = first == where
            help = f"in a loop, put the loop's variable into the label, as in `{text}{{i}}`"
            self.report(
                Diagnostic(
                    "duplicate-name",
                    f"two layers are named `{path}`",
                    where,
                    notes=() if same else ((first, "the first one"),),
                    help=help if same else "give each its own label",
                )
            )
        self.paths.setdefault(path, where)
        # A dotted label nests: what stands before a dot is a container, and cannot be a layer or block as well.
        outer = [frame.join(text[: dot.start()]) for dot in re.finditer(r"\.", text)] if "." in text else ()
        for container in outer:
            self.containers.setdefault(container, where)
        for both in (path, *outer):
            if both in self.paths and both in self.containers:
                ours, other = self.paths[both], self.containers[both]
                self.report(
                    Diagnostic(
                        "duplicate-name",
                        f"`{both}` is a layer or block, and part of another label",
                        where,
                        notes=((other if where == ours else ours, "the other one"),),
                        help="give one of them another label",
                    )
                )
        return text, path

    def _apply_layer(
        self,
        what: LayerValue,
        inputs: list[Any],
        frame: Frame,
        span: Span,
        label: LabelAt | None,
        name: str,
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
        text, path = self._place(frame, label, name or what.layer.kind, span, operator)
        layer = self.build(what, span)
        if layer is None or any(isinstance(value, Unknown) for value in inputs):
            return UNKNOWN
        least, most = what.layer.inputs
        if not least <= len(inputs) <= (most if most is not None else len(inputs)):
            raise Problem(
                "wrong-inputs",
                f"`{layer.kind}` takes {_count(least, most)}, and this is {len(inputs)}",
                span,
                notes=_shape_notes(inputs, span),
                help=_inputs_help(layer.kind, least, most, len(inputs)),
            )
        shapes = tuple(value.shape for value in inputs)
        if isinstance(layer, Conv):
            self._warn_of_channels_as_filters(layer, shapes[0], span)
        try:
            facts = self._facts_of(layer, shapes, span)
        except RuleError as error:
            where = what.arguments[error.argument].span if error.argument in what.arguments else span
            notes = _shape_notes(inputs, where)
            raise Problem(error.code, error.message, where, label=error.detail, notes=notes, help=error.help) from None
        except UnknownSize as error:
            raise self.unknown_size(error.size, span) from None
        auxiliary = frame.auxiliary or any(value.auxiliary for value in inputs)
        place = label.span if label else span
        if len(self.values) + len(facts.outputs) > MOST_VALUES:
            self.give_up(
                "too-many-layers",
                f"this model has more than {MOST_VALUES:,} values",
                span,
                "no network needs that many; is a size given where a count was meant?",
            )
        learned = all(value.learned for value in inputs)
        if not layer.arithmetic and inputs:
            for value in inputs:
                self.check_sample(value, f"`{layer.kind}`", span)
        results = tuple([self.new_value(shape, place, auxiliary, learned) for shape in facts.outputs])
        frame.items.append(
            Node.model_construct(
                path=path,
                layer=layer,
                inputs=tuple([value.number for value in inputs]),
                outputs=tuple([value.number for value in results]),
                weights=facts.weights,
                macs=facts.macs,
                auxiliary=auxiliary,
                operator=operator,
                label=text,
                named=label is not None,
                span=span,
                sources=places_of(what.arguments),
            )
        )
        return results[0] if len(results) == 1 else results

    def _warn_of_channels_as_filters(self, layer: Conv, shape: Shape, span: Span) -> None:
        """Warn of what looks like (channels in, channels out, kernel), as in PyTorch."""
        kernel, stride = layer.kernel, layer.stride
        if isinstance(kernel, int) and kernel >= LARGE_KERNEL and stride != 1 and (layer.filters,) == shape[:1]:
            size = "x".join([str(kernel)] * (len(shape) - 1))
            steps = stride if isinstance(stride, int) else show(stride)
            self.report(
                Diagnostic(
                    "channels-as-filters",
                    f"this has {layer.filters} filters of {size}, with a stride of {steps}",
                    span,
                    severity="warning",
                    help=f"the input's channels are known; write filters and kernel: `conv({kernel}, {steps})`",
                )
            )

    def _facts_of(self, layer: Layer, shapes: tuple[Shape, ...], span: Span) -> LayerFacts:
        """What the layer makes of these shapes.  Raises `RuleError`, `UnknownSize` and `Problem`."""
        key = (id(layer), shapes)
        facts = self._facts.get(key)
        if facts is None:
            outputs = layer.shapes(*shapes)
            for shape in outputs:
                self.check_size(shape, f"the result of `{layer.kind}`", span)
            weights = layer.weights(*shapes)
            for weight in weights:
                self.check_size(weight.shape, f"`{weight.name or layer.kind}` of `{layer.kind}`", span)
            facts = self._facts[key] = LayerFacts(outputs, weights, layer.macs(shapes, outputs))
        return facts

    def check_size(self, shape: Shape, what: str, span: Span) -> None:
        """Bounds the size of a tensor; the arithmetic on shapes then needs no bounds of its own."""
        if len(shape) > MOST_AXES:
            raise Problem(
                "too-large", f"{what} would have {len(shape)} axes", span, help=f"{MOST_AXES} axes are the most"
            )
        total = 1
        for size in shape:
            if isinstance(size, Symbolic):
                self.bounded_number(size, span)
            else:
                total *= size
        if total > LARGEST_SIZE:
            raise Problem(
                "too-large",
                f"{what} would have more than 10^15 numbers",
                span,
                help="is a size given where a count was meant?",
            )

    def build(self, what: LayerValue, span: Span) -> Layer | None:
        """The layer with its arguments checked; None where an argument is unknown."""
        # True equals 1 in Python, so the types belong to the key.
        key: list[Any] = [what.layer]
        values = {name: _as_word(what.layer, name, given.value) for name, given in what.arguments.items()}
        for name, value in values.items():
            if isinstance(value, Unknown):
                return None
            if isinstance(value, list | tuple | range):
                self.spend(extent(value), span)
            key += (name, type(value), _hashable(value))
        known = self._layers.get(tuple(key))
        if known is not None:
            return known
        try:
            layer = what.layer(**{name: _as_data(value) for name, value in values.items()})
        except ValidationError as error:
            problems = self._argument_problems(what, error, span)
            for problem in problems[:-1]:
                self.report(problem.diagnostic)
            raise problems[-1] from None
        self._layers[tuple(key)] = layer
        return layer

    def _argument_problems(self, what: LayerValue, error: ValidationError, span: Span) -> list[Problem]:
        kind = what.layer.kind
        problems: dict[str, Problem] = {}
        missing = [str(e["loc"][0]) for e in error.errors() if e["type"] == "missing"]
        if missing:
            names = " and ".join(f"`{name}`" for name in missing)
            problems[""] = Problem("missing-argument", f"`{kind}` needs {names}", span, help=signature_help(what))
        for details in error.errors():
            name = str(details["loc"][0]) if details["loc"] else ""
            if details["type"] == "missing" or name in problems:
                continue
            given = what.arguments.get(name)
            where = given.span if given else span
            rule = details.get("ctx", {}).get("error")
            if isinstance(rule, RuleError):
                problems[name] = Problem(rule.code, rule.message, where, label=rule.detail, help=rule.help)
                continue
            value = given.value if given else details["input"]
            if isinstance(value, Symbolic):
                problems[name] = self.unknown_size(value, where)
                continue
            field = what.layer.model_fields[name]
            says = next((note.text for note in field.metadata if isinstance(note, Says)), "")
            options = _options(field.annotation)
            near = nearest(value, options) if isinstance(value, str) else []
            help = f"did you mean `{near[0]}`?" if near else f"`cnnspec layers {kind}` tells what it takes"
            if isinstance(value, float) and "whole" in says:
                help = "`//` and `round(x)` give whole numbers"
            must = says or (f"one of {', '.join(options)}" if options else "of another type")
            shown = f"`{value}`" if isinstance(value, str) and value.isidentifier() else describe(value)
            problems[name] = Problem(
                "bad-argument",
                f"`{name}` of `{kind}` must be {must}, and this is {shown}",
                where,
                help=help,
            )
        return list(problems.values())

    def new_value(self, shape: Shape, span: Span, auxiliary: bool = False, learned: bool = False) -> Tensor:
        self.values.append(shape)
        return Tensor(len(self.values) - 1, shape, span, auxiliary, learned)

    @staticmethod
    def check_sample(value: Tensor, where: str, span: Span) -> None:
        """A learned array is no value of a sample: it takes part in arithmetic with one, and in nothing else."""
        if value.learned:
            raise Problem(
                "learned-alone",
                f"{where} needs a value of the input, and this is learned: the same for every sample",
                span,
                notes=((value.span, "learned here"),) if value.span != span else (),
                help="combine it with a value first, as in `x * scale` or `x + offset`",
            )

    @contextmanager
    def nested(self, span: Span) -> Iterator[None]:
        """Count a level of the graph, which others walk by recursion and JSON bounds as well."""
        self.nesting += 1
        if self.nesting > DEEPEST_NESTING:
            self.give_up(
                "nesting-too-deep",
                f"blocks, groups, loops and branches nest more than {DEEPEST_NESTING} deep here",
                span,
                "use fewer levels",
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
        label: LabelAt | None,
        name: str,
        operator: bool,
    ) -> Any:
        definition = what.definition
        for depth, use in enumerate(self.active):
            if use.definition is definition:
                chain = [use.definition.name.text for use in self.active[depth:]] + [definition.name.text]
                raise Problem(
                    "recursive-block",
                    f"a {definition.keyword} cannot contain itself: {' in '.join(reversed(chain))}",
                    span,
                    notes=((definition.name.span, "defined here"),),
                    help="repeat it with `for`",
                )
        text, path = self._place(frame, label, name or snake_case(definition.name.text), span, operator)
        inner = Frame(path, supplied=inputs, auxiliary=frame.auxiliary, is_model=definition.keyword == "model")
        outer = len(self.active)
        self.active.append(Use(definition, what.span, path))
        try:
            with self.nested(span):
                arguments, body = self.enter(what, inner)
                self.run(body, inner)
        finally:
            del self.active[outer:]
        wanted = len(inner.inputs)
        dots = ["..."] if what.arguments else []
        if inner.declared and wanted and wanted != len(inputs):
            raise Problem(
                "wrong-inputs",
                f"`{definition.name.text}` takes {_count(wanted, wanted)}, and this is {len(inputs)}",
                span,
                notes=((inner.input_span or definition.name.span, "its inputs"),),
                help=f"write `{definition.name.text}({', '.join([*(name for name, _ in inner.inputs), *dots])})`"
                if wanted > 1
                else "combine them first, as in `a + b` or `concat(a, b)`",
            )
        name, origin = definition.name.text, definition.name.span
        known = self.block_uses.setdefault(name, [])
        if len(known) < MOST_USES_KEPT and all(isinstance(value, Tensor) for value in inputs):
            known.append(BlockUse(what, tuple([value.shape for value in inputs])))
        sources = places_of(what.arguments)
        return self._finish(inner, frame, text, label, name, origin, span, arguments, sources, inputs)

    def _apply_group(
        self, what: GroupValue, inputs: list[Any], frame: Frame, span: Span, label: LabelAt | None, name: str
    ) -> Any:
        text, path = self._place(frame, label, name or "group", span, False)
        numbered = label is not None or frame.numbered
        inner = Frame(path, numbered=numbered, parent=what.frame, supplied=inputs, auxiliary=frame.auxiliary)
        with self.nested(span):
            self.run(what.group.body, inner)
        return self._finish(inner, frame, text, label, "", what.group.span, span, {}, {}, inputs)

    def _finish(
        self,
        inner: Frame,
        frame: Frame,
        text: str,
        label: LabelAt | None,
        definition: str,
        origin: Span,
        span: Span,
        arguments: dict[str, Any],
        sources: dict[str, Span],
        inputs: list[Any],
    ) -> Any:
        """Close a body: its result, and its scope in the graph."""
        results = self.results(inner, f"`{definition}`" if definition else "this group", span)
        tensors = [value for value in results if isinstance(value, Tensor)]
        auxiliary = frame.auxiliary or any(isinstance(value, Tensor) and value.auxiliary for value in inputs)
        names = {name: value for name, value in inner.names.items() if name not in arguments}
        frame.items.append(
            Scope.model_construct(
                path=inner.path,
                label=text,
                named=label is not None,
                definition=definition,
                origin=origin,
                span=span,
                arguments=self.plain(arguments),
                sources=sources,
                names=self.plain(names),
                bindings=tuple(inner.bindings),
                inputs=tuple([value.number for value in inputs if isinstance(value, Tensor)]),
                input_names=tuple([name for name, _ in inner.inputs]),
                outputs=tuple([value.number for value in tensors]),
                auxiliary=auxiliary,
                body=tuple(inner.items),
            )
        )
        if len(tensors) < len(results):
            return UNKNOWN if len(results) == 1 else tuple(results)
        place = label.span if label else span
        renamed = [replace(value, span=place) for value in tensors]
        return renamed[0] if len(renamed) == 1 else tuple(renamed)

    def plain(self, names: Mapping[str, Any]) -> dict[str, Plain]:
        """The plain values among named ones, as the graph keeps them; long lists are left out."""
        kept = {name: value for name, value in names.items() if extent(value) <= LONGEST_KEPT_LIST}
        self.steps += sum(extent(value) for value in kept.values())
        return plain_names(kept)

    def results(self, inner: Frame, what: str, span: Span) -> list[Any]:
        """What a body gives: its outputs, or what flows at its end."""
        if inner.outputs:
            return [output.value for output in inner.outputs]
        if inner.current is None:
            if not inner.declared and len(inner.supplied) == 1:
                return [inner.supplied[0]]
            raise Problem(
                "no-output",
                f"{what} computes nothing that could be its result",
                span,
                help="end it with a layer, a value, or `output ...`",
            )
        return list(inner.current) if isinstance(inner.current, list | tuple) else [inner.current]

    def enter(self, what: BlockValue, inner: Frame) -> tuple[dict[str, Any], tuple[tree.Statement, ...]]:
        """What a block or model was called with, and the body to run, whose parameters ``inner`` then has.

        A derived model's body is that of its base, which sees the base's parameters and not the derived model's.
        """
        self.bind_parameters(what, inner)
        arguments = dict(inner.names)
        while what.definition.base is not None:
            self.run(what.definition.body, inner)  # its claims
            # A group among the arguments goes on to see the names of the derived model.
            what = self._base(what.definition, what.definition.base, replace(inner))
            self.active.append(Use(what.definition, what.span, inner.path))
            inner.names = {}
            self.bind_parameters(what, inner)
            inner.as_written = self._has_defaults(what, inner)
        return arguments, what.definition.body

    def _base(self, derived: tree.Definition, call: tree.Call, frame: Frame) -> BlockValue:
        """The model that another derives from, with its arguments."""
        assert isinstance(call.function, tree.Name)
        name, span = call.function.text, call.function.span
        base = self.definitions.get(name)
        if base is None:
            near = nearest(name, [d.name.text for d in self.definitions.values() if d.keyword == "model"])
            raise Problem(
                "unknown-name",
                f"there is no model `{name}` for `{derived.name.text}` to derive from",
                span,
                help=f"did you mean `{near[0]}`?" if near else "the base is a model of this file, or of a used one",
            )
        if base.keyword != "model":
            raise Problem(
                "bad-base",
                f"`{derived.name.text}` cannot derive from `{name}`, which is a block",
                span,
                notes=((base.name.span, "defined here"),),
                help=f"give the model an input, and use the block: `model {derived.name.text} {{ ... {name} }}`",
            )
        chain = [use.definition for use in self.active]
        if any(definition is base for definition in chain):
            names = [d.name.text for d in chain[next(i for i, d in enumerate(chain) if d is base) :]]
            raise Problem(
                "recursive-block",
                f"a model cannot derive from itself: {' from '.join([*names, name])}",
                span,
                notes=((base.name.span, "defined here"),),
                help="one of them needs a body of its own",
            )
        arguments = []
        for argument in call.arguments:
            value = self.evaluate(argument.value, frame)
            if isinstance(value, Tensor) or all_tensors(value):
                raise Problem(
                    "bad-argument",
                    f"a parameter of a model cannot be {describe(value)}",
                    argument.value.span,
                    help="give it a layer or block that is not yet applied, or a number, word or list",
                )
            arguments.append((argument.name, Given(value, argument.value.span)))
        made = self.call(BlockValue(base, {}, span), arguments, call.span, frame, None, "")
        if isinstance(made, BlockValue):
            return made
        raise GaveUp  # an argument is unknown, which is told already

    def _has_defaults(self, what: BlockValue, inner: Frame) -> bool:
        """Whether the parameters that have a default have that value."""
        for parameter in what.definition.parameters:
            if parameter.default is None or parameter.name.text not in what.arguments:
                continue
            try:
                default = plain(self.evaluate(parameter.default, inner))
            except Problem:
                return False
            if default is None or default != plain(inner.names[parameter.name.text]):
                return False
        return True

    def bind_parameters(self, what: BlockValue, inner: Frame) -> None:
        """Give a body its parameters: the arguments, or their defaults."""
        missing = []
        for parameter in what.definition.parameters:
            name = parameter.name.text
            if name in what.arguments:
                inner.names[name] = what.arguments[name].value
                continue
            inner.names[name] = UNKNOWN
            if parameter.default is None:
                missing.append(parameter)
                continue
            try:
                inner.names[name] = self.evaluate(parameter.default, inner)
            except Problem as problem:
                self.report(problem.diagnostic)
        if missing:
            names = " and ".join(f"`{parameter.name.text}`" for parameter in missing)
            note = "it has no default" if len(missing) == 1 else "they have no defaults"
            self.report(
                Diagnostic(
                    "missing-argument",
                    f"{describe(what)} needs {names}",
                    what.span,
                    notes=((missing[0].span.to(missing[-1].span), note),),
                    help=signature_help(what),
                )
            )


def snake_case(name: str) -> str:
    """``BasicBlock`` as ``basic_block``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", name).lower()


def fields_of(function: LayerValue | BlockValue) -> list[str]:
    """The arguments that a layer or block takes, in order."""
    if isinstance(function, LayerValue):
        return list(function.layer.model_fields)
    return [parameter.name.text for parameter in function.definition.parameters]


def places_of(arguments: Mapping[str, Given]) -> dict[str, Span]:
    """Where arguments are written."""
    return {name: given.span for name, given in arguments.items()}


def signature_help(function: LayerValue | BlockValue) -> str:
    """What a layer or block takes, as a help line."""
    fields = fields_of(function)
    return f"it takes {', '.join(f'`{field}`' for field in fields)}" if fields else "it takes no arguments"


def reserved_name(name: str, span: Span, what: str = "a name") -> Problem | None:
    """Why a name would not survive in generated code, if it would not."""
    if len(name) > LONGEST_LABEL:
        return Problem("bad-name", f"a name of {len(name):,} letters", span, help=f"{LONGEST_LABEL} are the most")
    if keyword.iskeyword(name) or name.startswith("__"):
        return Problem(
            "bad-name",
            f"`{name}` cannot be {what}: generated code reserves it",
            span,
            help=f"try `{name.strip('_')}_`",
        )
    return None


def _bad_label(text: str, span: Span) -> Problem | None:
    if len(text) > LONGEST_LABEL:
        return Problem("bad-name", f"a label of {len(text):,} letters", span, help=f"{LONGEST_LABEL} are the most")
    for part in text.split("."):
        if not part:
            help = "parts of a label are joined by single dots, as in `layer1.0`"
            return Problem("bad-name", "a part of this label is empty", span, help=help)
        if not LABEL_PART.fullmatch(part):
            return Problem(
                "bad-name",
                f"{describe(part)} cannot be part of a label",
                span,
                help="labels are made of letters, digits, `_` and, in quotes, `-`; dots nest",
            )
        problem = reserved_name(part, span, "a layer's name")
        if problem is not None:
            return problem
    return None


def _count(least: int, most: int | None) -> str:
    if most == 0:
        return "no value"
    if most is not None and most > least:
        return f"{least} to {most} values"
    return f"{least} value{'s' * (least != 1)}" + (" or more" if most is None else "")


def _inputs_help(kind: str, least: int, most: int | None, count: int) -> str:
    if count < least:
        return f"write `{kind}({', '.join('abcdefgh'[:least])})` with the values it takes"
    if most == 0:
        return f"bind it to a name, as in `p = {kind}(...)`, and use that"
    return "combine them first, as in `a + b` or `concat(a, b)`"


def _shape_notes(inputs: Iterable[Tensor], where: Span) -> tuple[tuple[Span, str], ...]:
    """Where the inputs of a layer come from: the first of each shape, three at most."""
    found: dict[Shape, Tensor] = {}
    for value in inputs:
        found.setdefault(value.shape, value)
    places = {value.span: value for value in found.values() if value.span != where}
    return tuple((span, f"this is {show(value.shape)}") for span, value in list(places.items())[:3])


def _scale_and_shift(symbol: str, number: float, tensor_first: bool) -> dict[str, float] | None:
    """``tensor symbol number`` (or the other way round) as ``scale * x + shift``; None where it has no such form."""
    if symbol == "+":
        return {"scale": 1.0, "shift": number}
    if symbol == "*":
        return {"scale": number, "shift": 0.0}
    if symbol == "-":
        return {"scale": 1.0, "shift": -number} if tensor_first else {"scale": -1.0, "shift": number}
    if symbol == "/" and tensor_first:
        return {"scale": 1.0 / number, "shift": 0.0}
    return None


def all_tensors(value: Any) -> bool:
    """Whether a value is a list of values of the network."""
    return isinstance(value, list | tuple) and bool(value) and all(isinstance(item, Tensor | Unknown) for item in value)


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
        # A layer or block, which no argument takes: it will not get as far as being kept under this key.
        return id(value)
    return value


def _as_word(layer: type[Layer], name: str, value: Any) -> Any:
    """The word, where an argument takes one that is a layer's name too: ``gelu(approximate = tanh)``."""
    bare = isinstance(value, LayerValue) and not value.arguments
    return value.layer.kind if bare and value.layer.kind in _options(layer.model_fields[name].annotation) else value


def _options(annotation: Any) -> list[str]:
    """The words that an argument takes."""
    found: list[str] = []
    for part in get_args(annotation):
        found += [part] if isinstance(part, str) else _options(part)
    return list(dict.fromkeys(found))
