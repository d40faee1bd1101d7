"""From syntax trees to a graph: statements run, blocks and loops expanded, shapes inferred as it goes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any, NamedTuple

from typing_extensions import override

from cnnspec.diagnostics import Diagnostic, Span, nearest
from cnnspec.expand.application import Application, Use, all_tensors, fields_of, reserved_name, signature_help
from cnnspec.expand.expressions import GaveUp, bound
from cnnspec.expand.values import (
    UNKNOWN,
    Applicable,
    BlockValue,
    Frame,
    Given,
    LabelledValue,
    Problem,
    Result,
    Tensor,
    Unknown,
    describe,
)
from cnnspec.graph import Branch, Graph, Item, Loop, Port, Scope, Turn, walk
from cnnspec.shapes import Shape, Symbolic, show
from cnnspec.syntax import tree

MOST_TURNS = 200_000
LARGEST_INPUT = 10**9


class Expander(Application):
    """Expands one model.  Errors collect in ``diagnostics``; what depends on them becomes `UNKNOWN`."""

    def __init__(self, definitions: dict[str, tree.Definition]) -> None:
        super().__init__(definitions)
        self.claims: list[tuple[tree.Expect, Frame]] = []
        self.model_inputs: list[Port] = []
        self.override_inputs: dict[str, Any] = {}
        self.turn_count = 0
        self.place = Span("", 1, 1, 1, 1)
        """The statement that is being run."""
        self._input_spans: dict[int, Span] = {}

    @contextmanager
    def bounded(self) -> Iterator[None]:
        """Run a part of the expansion; what ends it early is recorded."""
        try:
            try:
                yield
            except Problem as problem:
                self.report(problem.diagnostic)
            except RecursionError:
                self.give_up(
                    "nesting-too-deep",
                    "blocks, groups and expressions nest too deep here",
                    self.place,
                    "use fewer levels, or bind an inner part to a name",
                )
        except GaveUp:
            pass

    # ---- statements ---------------------------------------------------------------------------------------------

    @override
    def run(self, body: tuple[tree.Statement, ...], frame: Frame) -> None:
        for statement in body:
            self.place = statement.span
            self.spend(1, statement.span)
            try:
                self._statement(statement, frame)
            except Problem as problem:
                self._forget((statement,), frame)
                self.report(problem.diagnostic)

    def _statement(self, s: tree.Statement, frame: Frame) -> None:
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
                self._expect(s, frame)

    def _forget(self, body: Sequence[tree.Statement], frame: Frame) -> None:
        """Make everything unknown that statements would set, so that an error in them is told once."""
        changes = _changes(body)
        for name in changes.names:
            frame.names[name] = UNKNOWN
        if changes.flow:
            frame.current = UNKNOWN
        for name in changes.inputs:
            if all(name != known for known, _ in frame.inputs):
                frame.inputs.append((name, UNKNOWN))
            frame.names[name] = UNKNOWN
            frame.declared = True
            if frame.current is None and len(frame.inputs) == 1:
                frame.current = UNKNOWN
        if changes.output is not None:
            frame.outputs.append(Result("", UNKNOWN, False, changes.output))

    def _flow(self, s: tree.Flow, frame: Frame) -> None:
        value = self.evaluate(s.value, frame)
        if isinstance(value, Applicable):
            value = self.apply(value, [self.current(frame, s.span)], frame, s.value.span, name=bound(s.value, frame))
        if not isinstance(value, Tensor | Unknown) and not all_tensors(value):
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
        value = self.evaluate(s.value, frame)
        if isinstance(value, LabelledValue):
            raise Problem(
                "not-applied",
                f"`{value.label}` names a layer that is not applied to anything here",
                s.value.span,
                help=f"to apply it, write `... -> {value.label}: ...`; a layer kept for later needs no label",
            )
        self._bind_all(s.targets, value, s.value.span, frame)

    def _bind_all(self, targets: tuple[tree.Name | tree.Names, ...], value: Any, span: Span, frame: Frame) -> None:
        """Give one or several names their values."""
        if len(targets) == 1:
            values = [value]
        elif isinstance(value, Unknown):
            values = [UNKNOWN] * len(targets)
        else:
            values = list(value) if isinstance(value, list | tuple) else [value]
            if len(values) != len(targets):
                names = ", ".join(_written(target) for target in targets)
                counted = f"{len(values)} values" if len(values) != 1 else f"one value, {describe(value)}"
                raise Problem(
                    "not-several",
                    f"{len(targets)} names, {names}, and {counted}",
                    span,
                    help="write as many names as there are values",
                )
        for target, one in zip(targets, values, strict=True):
            if isinstance(target, tree.Names):
                self._bind_all(target.names, one, span, frame)
                continue
            frame.names[target.text] = one
            if isinstance(one, Tensor):
                frame.bindings.append((target.text, one.number))

    def _check_name(self, name: tree.Name) -> None:
        """Report a name that would not survive in generated code."""
        problem = reserved_name(name.text, name.span)
        if problem is not None:
            self.report(problem.diagnostic)

    @override
    def current(self, frame: Frame, span: Span) -> Any:
        if frame.current is not None:
            return frame.current
        if len(frame.inputs) > 1:
            first = frame.inputs[0][0]
            raise Problem(
                "no-flow",
                "with several inputs it must be said which one flows",
                span,
                help=f"start from a value, as in `{first} -> ...`",
            )
        if not frame.declared and len(frame.supplied) == 1:
            # A body with no `input` statement takes its one value as the flow.
            frame.declared = True
            frame.current = frame.supplied[0]
            return frame.current
        frame.current = UNKNOWN
        if not frame.declared and len(frame.supplied) > 1:
            raise Problem(
                "wrong-inputs",
                f"this body gets {len(frame.supplied)} values and names none of them",
                span,
                help="name them: `input a, b`",
            )
        if frame.is_model:
            raise self._no_input(span)
        raise Problem("no-input", "nothing flows here yet", span, help="declare the input first, as in `input x`")

    def _no_input(self, span: Span | None) -> Problem:
        name = self.active[-1].definition.name
        return Problem(
            "no-input",
            f"the model `{name.text}` has no input",
            name.span,
            notes=((span, "so nothing flows here"),) if span is not None else (),
            help="begin its body with one, as in `input image: 3x224x224`",
        )

    def _expect(self, s: tree.Expect, frame: Frame) -> None:
        if not frame.is_model:
            raise Problem(
                "misplaced-expect",
                "`expect` belongs in a model",
                s.span,
                help="a block has no shapes of its own; move the claim to a model that uses it",
            )
        # A model that is used as a block makes its claims only for itself.  Names may change until claims are checked.
        if not frame.path and frame.as_written:
            self.spend(len(frame.names), s.span)
            self.claims.append((s, replace(frame, names=dict(frame.names))))

    # ---- inputs and outputs -------------------------------------------------------------------------------------

    def _input(self, s: tree.Input, frame: Frame) -> None:
        if frame.current is not None and not frame.inputs:
            raise Problem(
                "late-input", "`input` comes before the first layer", s.span, help="move it to the top of the body"
            )
        frame.declared = True
        frame.input_span = frame.input_span or s.span
        for name in s.names:
            self._check_name(name)
            if any(name.text == known for known, _ in frame.inputs):
                raise Problem(
                    "duplicate-name",
                    f"two inputs are named `{name.text}`",
                    name.span,
                    help="give each its own name",
                )
            make = self._block_input if frame.path else self._model_input
            value: Tensor | Unknown = UNKNOWN
            try:
                value = make(s, name, frame)
            except Problem as problem:
                self.report(problem.diagnostic)
            frame.inputs.append((name.text, value))
            frame.names[name.text] = value
        frame.current = frame.inputs[0][1] if len(frame.inputs) == 1 else None

    def _block_input(self, s: tree.Input, name: tree.Name, frame: Frame) -> Tensor | Unknown:
        if len(frame.inputs) >= len(frame.supplied):
            return UNKNOWN  # told when all inputs are known
        value: Tensor | Unknown = frame.supplied[len(frame.inputs)]
        if s.shape is not None and isinstance(value, Tensor):
            wanted = self._shape(s.shape, frame)
            if isinstance(wanted, tuple) and not _fits(value.shape, wanted):
                raise Problem(
                    "shape-mismatch",
                    f"`{name.text}` must be {show(wanted)}, and this use gives {show(value.shape)}",
                    s.shape.span,
                    notes=((value.span, f"this is {show(value.shape)}"),),
                    help="leave out the shape to take any",
                )
        return value

    def _model_input(self, s: tree.Input, name: tree.Name, frame: Frame) -> Tensor | Unknown:
        if s.shape is None:
            raise Problem(
                "input-without-shape",
                f"the model's input `{name.text}` has no shape",
                name.span,
                help=f"write `input {name.text}: 3x224x224`, channels first",
            )
        shape = self._shape(s.shape, frame)
        given = self.override_inputs.get(name.text, self.override_inputs.get(""))
        if given is not None:
            shape = self._checked_shape(given, name.span)
        if isinstance(shape, Unknown):
            return UNKNOWN
        self._warn_of_channels_last(shape, s.shape.span if given is None else name.span)
        value = self.new_value(shape, name.span)
        self.model_inputs.append(Port.model_construct(name=name.text, value=value.number))
        self._input_spans[value.number] = name.span
        return value

    def _warn_of_channels_last(self, shape: Shape, span: Span) -> None:
        """Warn of what looks like height x width x channels, as in 224x224x3."""
        match shape:
            case (int(height), int(width), (1 | 3 | 4) as channels) if height == width > channels:
                self.report(
                    Diagnostic(
                        "channels-last",
                        f"this has {height} channels, and is {width} high and {channels} wide",
                        span,
                        severity="warning",
                        help=f"channels come first: `{channels}x{height}x{width}` is {height} high and {width} wide",
                    )
                )

    def _shape(self, e: tree.Expression, frame: Frame) -> Shape | Unknown:
        """A shape as an input declares it: dims, a number, or a list in which unknown names are symbolic sizes."""
        if isinstance(e, tree.ListLiteral):
            for item in e.items:
                if isinstance(item, tree.Name) and frame.find(item.text) is None and item.text not in self.definitions:
                    self._check_name(item)
                    frame.names[item.text] = Symbolic.of(item.text)
        value = self.evaluate(e, frame)
        return value if isinstance(value, Unknown) else self._checked_shape(value, e.span)

    def _checked_shape(self, value: Any, span: Span) -> Shape:
        """A spec-time value as the shape of an input."""
        sizes = value if isinstance(value, list | tuple) else (value,)
        if not sizes or not all(isinstance(n, int | Symbolic) and not isinstance(n, bool) for n in sizes):
            raise Problem(
                "bad-shape",
                f"a shape is sizes such as 3x224x224, not {describe(value)}",
                span,
                help="channels first and without the batch: `3x224x224`, or `784` for a vector",
            )
        for size in sizes:
            if isinstance(size, int) and not 0 < size <= LARGEST_INPUT:
                raise Problem(
                    "bad-shape",
                    f"{size} is no size of an input",
                    span,
                    help=f"every size is at least 1, and at most {LARGEST_INPUT:,}",
                )
        shape = tuple(sizes)
        self.check_size(shape, "this input", span)
        return shape

    def _output(self, s: tree.Output, frame: Frame) -> None:
        if s.name is not None:
            self._check_name(s.name)
        outer = frame.auxiliary
        frame.auxiliary = outer or s.auxiliary
        try:
            for e in s.values:
                place = s.name or e
                name = s.name.text if s.name else e.text if isinstance(e, tree.Name) else ""
                if name and any(name == known.name for known in frame.outputs):
                    raise Problem(
                        "duplicate-name",
                        f"two outputs are named `{name}`",
                        place.span,
                        help="give each its own name, as in `output other = ...`",
                    )
                value = self.evaluate(e, frame)
                if isinstance(value, Applicable):
                    value = self.apply(value, [self.current(frame, e.span)], frame, e.span, name=bound(e, frame))
                if isinstance(value, Tensor | Unknown):
                    frame.outputs.append(Result(name, value, s.auxiliary, e.span))
                    if s.name is not None:
                        self._bind_all((s.name,), value, e.span, frame)
                elif all_tensors(value):
                    for number, one in enumerate(value, 1):
                        frame.outputs.append(Result(f"{name}_{number}" if name else "", one, s.auxiliary, e.span))
                else:
                    raise Problem(
                        "bad-output",
                        f"an output is a value of the network, not {describe(value)}",
                        e.span,
                        help="spec-time values cannot leave a body",
                    )
        finally:
            frame.auxiliary = outer

    # ---- branches and loops -------------------------------------------------------------------------------------

    def _if(self, s: tree.If, frame: Frame) -> None:
        test = self.truth(s.test, frame)
        if test is None:
            self._forget((s,), frame)
            return
        outer, frame.items = frame.items, []
        known, count = len(frame.bindings), len(self.values)
        try:
            with self.nested(s.test.span):
                self.run(s.body if test else s.otherwise, frame)
        finally:
            body, frame.items = frame.items, outer
        bound = dict(frame.bindings[known:])
        frame.items.append(
            Branch.model_construct(
                span=s.test.span,
                taken=0 if test else 1,
                bindings=tuple([(name, value) for name, value in bound.items() if value < count]),
                body=tuple(body),
            )
        )

    def _for(self, s: tree.For, frame: Frame) -> None:
        for name in s.names:
            self._check_name(name)
        values = self.evaluate(s.iterable, frame)
        if isinstance(values, Unknown):
            self._forget((s,), frame)
            return
        if not isinstance(values, list | tuple | range | str):
            raise Problem(
                "not-a-list",
                f"a loop runs over a list, not over {describe(values)}",
                s.iterable.span,
                help=f"to count, write `for i in range({_count_of(s.iterable, values)})`",
            )
        outer = frame.items
        turns: list[tuple[dict[str, Any], list[Item]]] = []
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
                self._bind_all(s.targets, value, s.iterable.span, frame)
                variables = {name.text: frame.names[name.text] for name in s.names}
                frame.items = []
                with self.nested(s.iterable.span):
                    self.run(s.body, frame)
                turns.append((variables, frame.items))
        finally:
            frame.items = outer
        if any(items for _, items in turns):
            made = [
                Turn.model_construct(variables=self.plain(variables), body=tuple(items)) for variables, items in turns
            ]
            frame.items.append(Loop.model_construct(span=s.span, turns=tuple(made)))

    # ---- a whole model ------------------------------------------------------------------------------------------

    def model(
        self, definition: tree.Definition, parameters: Mapping[str, Given], sources: dict[str, str]
    ) -> Graph | None:
        """Expand a model; None where errors left no graph.  Errors are in ``diagnostics``."""
        graph = None
        with self.bounded():
            graph = self._model(definition, parameters, sources)
        return None if self.has_errors else graph

    def _model(
        self, definition: tree.Definition, parameters: Mapping[str, Given], sources: dict[str, str]
    ) -> Graph | None:
        name, span = definition.name.text, definition.name.span
        what = BlockValue(definition, dict(parameters), span)
        for parameter, given in parameters.items():
            if parameter not in fields_of(what):
                near = nearest(parameter, fields_of(what))
                self.report(
                    Diagnostic(
                        "unknown-argument",
                        f"the model `{name}` has no parameter `{parameter}`",
                        given.span,
                        help=f"did you mean `{near[0]}`?" if near else signature_help(what),
                    )
                )
        frame = Frame("", is_model=True)
        self.active.append(Use(definition, span, ""))
        self._check_complete(what)
        arguments, body = self.enter(what, frame)
        self.run(body, frame)
        for unknown in self.override_inputs.keys() - {"", *(name for name, _ in frame.inputs)}:
            inputs = ", ".join(name for name, _ in frame.inputs)
            self.report(
                Diagnostic(
                    "unknown-argument",
                    f"the model `{name}` has no input `{unknown}`",
                    frame.input_span or span,
                    help=f"its inputs: {inputs}",
                )
            )
        if not frame.inputs:
            raise self._no_input(None)
        if self.has_errors:
            return None
        if self.node_count == 0:
            raise Problem("no-output", f"the model `{name}` computes nothing", span, help="add layers after its input")
        ports = self._ports(frame, span)
        self._check_result(frame, ports, name, span)
        # The names of a derived model's body are those of the model that it derives from, some of them its own as well.
        own = arguments if definition.base is None else {}
        root = Scope.model_construct(
            path="",
            label="",
            named=False,
            definition=name,
            origin=span,
            span=definition.span,
            arguments=self.plain(arguments),
            names=self.plain({name: value for name, value in frame.names.items() if name not in own}),
            bindings=tuple(frame.bindings),
            inputs=tuple([port.value for port in self.model_inputs]),
            input_names=tuple([name for name, _ in frame.inputs]),
            outputs=tuple([port.value for port in ports]),
            auxiliary=False,
            body=tuple(frame.items),
        )
        return Graph.model_construct(
            name=name,
            parameters=self.plain(arguments),
            inputs=tuple(self.model_inputs),
            outputs=ports,
            values=tuple(self.values),
            root=root,
            sources=sources,
        )

    def _check_complete(self, what: BlockValue) -> None:
        """Report that a model cannot stand alone, since some parameter has no default and is not given."""
        definition = what.definition
        missing = [
            parameter.name
            for parameter in definition.parameters
            if parameter.default is None and parameter.name.text not in what.arguments
        ]
        if missing:
            settings = " ".join(f"--set {name.text}=..." for name in missing)
            derived = [d.name.text for d in self.definitions.values() if _base_name(d) == definition.name.text]
            self.report(
                Diagnostic(
                    "missing-argument",
                    f"the model `{definition.name.text}` needs {' and '.join(f'`{name.text}`' for name in missing)}",
                    definition.name.span,
                    notes=((missing[0].span.to(missing[-1].span), "without a default"),),
                    help=f"give it `{settings}`"
                    + (f", or choose a model that derives from it: {', '.join(derived[:6])}" if derived else ""),
                )
            )

    def _check_result(self, frame: Frame, ports: Sequence[Port], name: str, span: Span) -> None:
        """Refuse a model whose flow ends where it began, as bindings do not move it."""
        if all(output.auxiliary for output in frame.outputs):
            bound = [
                text
                for text, value in frame.names.items()
                if isinstance(value, Tensor) and value.number not in self._input_spans
            ]
            for port in ports:
                if not port.auxiliary and port.value in self._input_spans:
                    raise Problem(
                        "no-output",
                        f"the result of the model `{name}` is its input, unchanged",
                        span,
                        notes=((self._input_spans[port.value], "this flows to the end"),),
                        help=f"what is bound to a name does not flow; end with `{bound[-1]}`"
                        if bound
                        else "put a layer, or a value, at its end",
                    )

    def _ports(self, frame: Frame, span: Span) -> tuple[Port, ...]:
        """The outputs of the model, each with a name of its own."""
        outputs = list(frame.outputs)
        if all(output.auxiliary for output in outputs):
            # Auxiliary heads are beside the result, which then is what flows at the end.
            plain = replace(frame, outputs=[])
            outputs = [Result("", value, False, span) for value in self.results(plain, "this model", span)] + outputs
        taken = {output.name for output in outputs}
        results = sum(not output.auxiliary for output in outputs)
        ports = []
        for position, output in enumerate(outputs, 1):
            name = output.name
            if not name:
                name = "output" if results == 1 and not output.auxiliary else f"output_{position}"
                while name in taken:
                    name += "_"
                taken.add(name)
            assert isinstance(output.value, Tensor), "only an error makes a value unknown"
            self.check_sample(output.value, "an output", output.span)
            ports.append(Port.model_construct(name=name, value=output.value.number, auxiliary=output.auxiliary))
        return tuple(ports)

    def warn_unused(self, graph: Graph, told: set[str]) -> None:
        """Warn of layers and inputs whose result goes nowhere; names in ``told`` have had a warning of their own."""
        used = {port.value for port in graph.outputs}
        for node in graph.layers:
            used.update(node.inputs)
        used.update(value for name, value in _bindings(graph.root) if name in told or name.startswith("_"))
        for node in walk(graph.root):
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
        for port in graph.inputs:
            if port.value not in used:
                self.report(
                    Diagnostic(
                        "unused-value",
                        f"the input `{port.name}` is never used",
                        self._input_spans[port.value],
                        severity="warning",
                        help="use it or remove it",
                    )
                )


def _count_of(e: tree.Expression, value: Any) -> str:
    """How to write a number of turns that a loop was meant to have."""
    return e.text if isinstance(e, tree.Name) else str(value) if type(value) is int else "4"


class _Changes(NamedTuple):
    """What statements set in their frame."""

    names: set[str]
    inputs: list[str]
    flow: bool
    output: Span | None


def _changes(body: Sequence[tree.Statement]) -> _Changes:
    names: set[str] = set()
    inputs: list[str] = []
    flow = False
    output = None
    waiting = list(body)
    while waiting:
        match waiting.pop():
            case tree.Binding() as s:
                names |= {target.text for target in s.targets}
            case tree.For() as s:
                names |= {name.text for name in s.names}
                waiting += s.body
            case tree.If() as s:
                waiting += [*s.body, *s.otherwise]
            case tree.Flow():
                flow = True
            case tree.Input() as s:
                inputs += [name.text for name in s.names]
            case tree.Output() as s:
                output = s.span
                if s.name is not None:
                    names.add(s.name.text)
    return _Changes(names, inputs, flow, output)


def _written(target: tree.Name | tree.Names) -> str:
    """A name, or several that stand for one value, in a message."""
    if isinstance(target, tree.Names):
        return f"({', '.join(map(_written, target.names))})"
    return f"`{target.text}`"


def _base_name(definition: tree.Definition) -> str | None:
    function = definition.base.function if definition.base is not None else None
    return function.text if isinstance(function, tree.Name) else None


def _bindings(item: Item) -> Iterator[tuple[str, int]]:
    """Every name that some body gave a value of the network."""
    match item:
        case Scope():
            yield from item.bindings
            for inner in item.body:
                yield from _bindings(inner)
        case Branch():
            for inner in item.body:
                yield from _bindings(inner)
        case Loop():
            for turn in item.turns:
                for inner in turn.body:
                    yield from _bindings(inner)


def _fits(shape: Shape, wanted: Shape) -> bool:
    """Whether a shape is the declared one, where declared symbolic sizes take any."""
    return len(shape) == len(wanted) and all(
        isinstance(goal, Symbolic) or size == goal for size, goal in zip(shape, wanted, strict=True)
    )
