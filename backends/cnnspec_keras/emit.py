"""Printing a plan as Keras: a function for each block, and one that builds the functional model."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from math import ceil

from typing_extensions import override

from cnnspec.backend import Member, UnsupportedLayer, held_to
from cnnspec.codegen.dialect import Dialect
from cnnspec.codegen.emission import REQUIRED, Emission, Place, Unsupported
from cnnspec.codegen.family import plan_family, told_apart
from cnnspec.codegen.functions import FUNCTIONS
from cnnspec.codegen.header import family_docstring, header, numbers
from cnnspec.codegen.layout import Bracket, Part, Writer, arguments, docstring, join_else_if, parsed, shown
from cnnspec.codegen.naming import function_name, snake_case
from cnnspec.codegen.pieces import Piece
from cnnspec.codegen.plan import plan
from cnnspec.codegen.program import Derived, Model, Plan, Routine, Step, needed, stated_defaults
from cnnspec.graph import Graph, Node
from cnnspec.layers.arrangement import Flatten
from cnnspec.layers.base import Layer
from cnnspec.layers.regularisation import Dropout
from cnnspec.shapes import Shape
from cnnspec.shapes import show as show_first
from cnnspec.sizes import other_sizes
from cnnspec_keras.helpers import HELPERS
from cnnspec_keras.initialisers import PREFIX, constants
from cnnspec_keras.layers import EMITTERS, EXACT_EMITTERS, Emitter, layer_name
from cnnspec_keras.replay import replay

MOST_CALLS = 800
"""How many layers may follow one another before Python's default limit of 1000 nested calls is too near."""


class KerasDialect(Dialect):
    """What the planner must know of Keras: channels are read from values, and groups are printed in place."""

    implicit_channels = False
    layer_class = "layers.Layer"
    value_class = ""
    one_scope = True
    helpers = frozenset({*HELPERS, "Callable", "math", "partial", "sys"})

    def __init__(self, graph: Graph, emitters: Mapping[type[Layer], Emitter]) -> None:
        super().__init__()
        self.graph = graph
        self.emitters = emitters

    @override
    def name(self, definition: str) -> str:
        return snake_case(definition)

    @override
    def made_by(self, name: str) -> str:
        return "keras.KerasTensor"

    @override
    def model_name(self, name: str) -> str:
        return function_name(name)

    @override
    def emissions(self, places: Sequence[Place]) -> list[Emission]:
        node = places[0].node
        try:
            return self.emitters[type(node.layer)](places)
        except Unsupported as gap:
            raise UnsupportedLayer("keras", node, gap, self.graph.sources) from None

    @override
    def inlines(self, uses: Sequence[tuple[Graph, Piece]]) -> bool:
        return True

    @override
    def opaque(self) -> bool:
        return False

    @override
    def shares_model(self, graphs: Sequence[Graph]) -> bool:
        def ends(graph: Graph) -> tuple[object, ...]:
            shapes = [graph.shape(port.value) for port in graph.inputs]
            sizable = bool(other_sizes(graph).graphs)
            # The sizes of images are arguments, where they can be others.
            return sizable, tuple((len(shape), shape[:1]) if sizable else shape for shape in shapes)

        return super().shares_model(graphs) and len(set(map(ends, graphs))) == 1


def emit(graph: Graph, probes: Sequence[Graph], *, exact_training: bool = False) -> str:
    """The Keras source of a graph; with ``exact_training`` its running statistics are the spec's."""
    _check_names(graph)
    _check_results(graph)
    dialect = KerasDialect(graph, EXACT_EMITTERS if exact_training else EMITTERS)
    with held_to(graph, "keras"):
        source = _File(plan(graph, probes, dialect)).text()
        replay(source, graph, dialect.forms, {})
    return source


def emit_family(members: Sequence[Member], *, exact_training: bool = False) -> str:
    """The Keras source of all models of a file, each with its probes."""
    for graph, _ in members:
        _check_names(graph)
        _check_results(graph)
    first = members[0][0]
    dialect = KerasDialect(first, EXACT_EMITTERS if exact_training else EMITTERS)
    with held_to(first, "keras"):
        planned = plan_family(members, dialect)
        source = _File(planned).text()

    def options(node: Node) -> list[Emission]:
        return dialect.forms(planned.twins.get(id(node), node))

    for graph, probes in members:
        entry, carried = planned.entry(graph)
        with held_to(graph, "keras"):
            for one, arguments in told_apart(graph, probes, carried):
                replay(source, one, options, arguments, entry=entry)
    return source


def _check_names(graph: Graph) -> None:
    """Refuse paths that Keras could not tell apart, where a dot becomes an underscore."""
    known: dict[str, str] = {}
    for node in graph.layers:
        name = layer_name(node.path)
        if name in known:
            gap = Unsupported(f"its name there, `{name}`, is that of `{known[name]}` too")
            raise UnsupportedLayer("keras", node, gap, graph.sources)
        known[name] = node.path


def _check_results(graph: Graph) -> None:
    """Refuse weights on which no output depends: a functional model has no layers but those between its ends."""
    read = {port.value for port in graph.outputs}
    for node in reversed(graph.layers):
        if not read.isdisjoint(node.outputs):
            read.update(node.inputs)
        elif node.weights:
            gap = Unsupported("nothing reads its result, and a Keras model has only layers on which its outputs depend")
            raise UnsupportedLayer("keras", node, gap, graph.sources)


def _longest_chain(graph: Graph) -> int:
    """How many layers follow one another at most."""
    depths: dict[int, int] = {}
    for node in graph.layers:
        depth = 1 + max((depths.get(value, 0) for value in node.inputs), default=0)
        depths.update(dict.fromkeys(node.outputs, depth))
    return max(depths.values(), default=0)


def size_parameter(graph: Graph, name: str, taken: Container[str]) -> str:
    """What the model's function calls the size of an input: ``input_size``, or by its name among several."""
    word = "input_size" if len(graph.inputs) == 1 else f"{name}_size"
    while word in taken:
        word += "_"
    return word


def show(shape: Shape) -> str:
    """A shape channels last: ``56x56x64``."""
    return show_first((*shape[1:], shape[0])) if shape else show_first(shape)


@dataclass(slots=True)
class _File:
    plan: Plan
    helpers: set[str] = field(default_factory=set)
    initialisers: Counter[str] = field(default_factory=Counter)
    """How often each initialiser is written that Keras has no word for."""
    constants: dict[str, str] = field(default_factory=dict)
    """The names of those that are constants of the file."""

    def text(self) -> str:
        functions = self._functions()
        for routine in [*self.plan.routines, *(model.routine for model in self.plan.models)]:
            self.helpers |= routine.helpers(self.plan.shown)
        repeated = [call for call, count in self.initialisers.items() if count > 1]
        if repeated:
            words = {word for lines in functions for line in lines for word in re.findall(r"\w+", line)}
            self.constants, definitions = constants(repeated, words)
            functions = self._functions()
        needed = self._needed(functions)
        bodies = [HELPERS[name].rstrip("\n").split("\n") for name in HELPERS if name in needed] + functions
        for model in self.plan.models:
            if model.routine.name in needed:
                gap = Unsupported(f"the file needs a definition named `{model.routine.name}` besides the model")
                raise UnsupportedLayer("keras", model.graph.layers[0], gap, model.graph.sources)
        if self.constants:
            bodies.insert(0, definitions)
        code = "\n\n\n".join("\n".join(lines) for lines in bodies)
        writer = Writer()
        writer.lines += docstring(header(self.plan, show, "height x width x channels"), 0)
        writer.blank()
        standard = [f"import {name}" for name in ("math", "sys") if re.search(rf"\b{name}\.", code)]
        for module, name in (("collections.abc", "Callable"), ("functools", "partial")):
            if re.search(rf"\b{name}\b[\[(]", code):
                standard.append(f"from {module} import {name}")
        if standard:
            writer.lines += standard
            writer.blank()
        writer.line("import keras")
        used = [name for name in ("layers", "ops") if re.search(rf"\b{name}\.", code)]
        if used:
            writer.line(f"from keras import {', '.join(used)}")
        writer.blank(1 if self.constants else 2)
        return writer.text() + code + "\n"

    def _functions(self) -> list[list[str]]:
        functions = [_Function(self, routine).lines() for routine in self.plan.routines]
        for model in self.plan.models:
            base = _Function(self, model.routine, model)
            functions.append(base.lines())
            functions += [base.derived(derived) for derived in model.derived]
        return functions

    def initialiser(self, text: str) -> str:
        """An argument, by the name of the constant where it is one."""
        if text.startswith(PREFIX):
            self.initialisers[text] += 1
        return self.constants.get(text, text)

    def _needed(self, functions: Sequence[Sequence[str]]) -> set[str]:
        """The helpers in use, with those that they use themselves."""
        needed = set(self.helpers)
        needed |= {name for name in FUNCTIONS if any(f"{name}(" in line for lines in functions for line in lines)}
        waiting = list(needed)
        while waiting:
            text = HELPERS[waiting.pop()]
            more = {name for name in HELPERS if re.search(rf"\b{name}\b", text)} - needed
            needed |= more
            waiting += more
        return needed


class _Function:
    """One function of the file."""

    def __init__(self, file: _File, routine: Routine, model: Model | None = None) -> None:
        self.file = file
        self.routine = routine
        self.model = model
        self.body = Writer(indent=1)

    def lines(self) -> list[str]:
        for target, source in self.routine.copies:
            self.body.line(f"{target} = {source}")
        self.run(self.routine.body, "")
        writer = Writer()
        if self.model is not None:
            self._model(writer, self.model)
        else:
            self._block(writer)
        return writer.lines

    def _parameters(self) -> list[str]:
        return list(map(str, self.routine.parameters))

    def _block(self, writer: Writer) -> None:
        count = len(self.routine.outputs)
        result = "keras.KerasTensor" if count == 1 else f"tuple[{', '.join(['keras.KerasTensor'] * count)}]"
        inputs = [f"{name}: keras.KerasTensor" for name in self.routine.inputs]
        parts: list[Part] = [*inputs, *self._parameters(), "*", "name: str"]
        writer.put(f"def {self.routine.name}", Bracket("(", parts), f" -> {result}:")
        writer.lines += docstring(self._docstring(), 1)
        writer.indent = 1
        for line in stated_defaults(self.routine.parameters):
            writer.line(line)
        read = [(name, f"{source}.shape[-1]") for name, source in self.routine.channels]
        for name, text in needed([*read, *self.routine.locals], self.body.lines):
            writer.put(f"{name} = ", parsed(text))
        self._return(self.routine.outputs)
        writer.lines += self.body.lines

    def _return(self, outputs: Sequence[str]) -> None:
        if len(outputs) > 1 or not self.body.return_instead(outputs[0]):
            self.body.line(f"return {', '.join(outputs)}")

    def _docstring(self) -> str:
        used = self.file.plan.first_use(self.routine)
        if used is None:
            return self.routine.described("Not used with this network's numbers.")
        graph, first, where = used
        shapes = (", ".join(show(graph.values[v]) for v in ports) for ports in (first.inputs, first.outputs))
        return self.routine.described(f"{' -> '.join(shapes)} {where}.")

    def _model(self, writer: Writer, model: Model) -> None:
        graph = model.graph
        name = self.routine.name
        sizes_of = self._input_sizes(graph)
        parts: list[Part] = [*self._parameters()]
        if sizes_of or model.derived:
            parts.append("*")
        parts += _sizes_declared(sizes_of)
        if model.derived:
            parts.append(f'name: str = "{name}"')
        writer.put(f"def {name}", Bracket("(", parts), " -> keras.Model:")
        shapes = ", ".join(show(graph.values[port.value]) for port in graph.inputs)
        results = ", ".join(show(graph.values[port.value]) for port in graph.outputs)
        words = family_docstring(model, show) if model.derived else f"{graph.name}: {shapes} -> {results}."
        writer.lines += docstring(words, 1)
        writer.indent = 1
        for variable, port in zip(self.routine.inputs, graph.inputs, strict=True):
            shape = graph.values[port.value]
            sizes = [str(size) if isinstance(size, int) else "None" for size in (*shape[1:], shape[0])]
            inner = f"({', '.join(sizes)}{',' if len(sizes) == 1 else ''})"
            if port.name in sizes_of:
                inner = f"(*{sizes_of[port.name][0]}, {shape[0]})"
            writer.put(f"{variable} = keras.Input", Bracket("(", [inner, f'name="{port.name}"']))
        for local, text in needed(self.routine.locals, self.body.lines):
            writer.put(f"{local} = ", parsed(text))
        writer.lines += self.body.lines
        inputs = _one_or_list(self.routine.inputs)
        outputs = _one_or_list(self.routine.outputs)
        longest = max(map(_longest_chain, model.graphs))
        if longest > MOST_CALLS:
            writer.line("# Keras follows the layers back by recursion, a call for each.")
            writer.line(f"sys.setrecursionlimit(max(sys.getrecursionlimit(), {1000 * ceil(longest / 500)}))")
        own = "name=name" if model.derived else f'name="{name}"'
        writer.put("return keras.Model", Bracket("(", [inputs, outputs, own]))

    def derived(self, derived: Derived) -> list[str]:
        """The function that makes a derived model."""
        writer = Writer()
        sizes_of = self._input_sizes(derived.graph)
        own: list[Part] = [*derived.parameters, *(["*"] if sizes_of else []), *_sizes_declared(sizes_of)]
        writer.put(f"def {derived.name}", Bracket("(", own), " -> keras.Model:")
        writer.lines += docstring(numbers(derived.graph), 1)
        writer.indent = 1
        given = [*derived.arguments, *((word, word) for word, _ in sizes_of.values()), ("name", f'"{derived.name}"')]
        writer.put(f"return {self.routine.name}", Bracket("(", arguments(given)))
        return writer.lines

    def _input_sizes(self, graph: Graph) -> dict[str, tuple[str, tuple[int, ...]]]:
        """The parameters that take the sizes of the inputs, where the network can have others, with their defaults."""
        if not other_sizes(graph).graphs:
            return {}
        sized = {port.name: graph.shape(port.value)[1:] for port in graph.inputs if len(graph.shape(port.value)) > 1}
        taken = {*graph.parameters, *(parameter.name for parameter in self.routine.parameters)}
        return {
            name: (size_parameter(graph, name, taken), tuple(size for size in sizes if isinstance(size, int)))
            for name, sizes in sized.items()
        }

    # -- statements

    def run(self, steps: Sequence[Step], prefix: str) -> None:
        steps = list(steps)
        _show_flat(steps)
        position = 0
        while position < len(steps):
            step = steps[position]
            match step.kind:
                case "choice":
                    for target, source in step.copies:
                        self.body.line(f"{target} = {source}")
                    self.body.put("if ", parsed(step.test), ":")
                    self._indented(step.bodies[0], prefix)
                    if step.bodies[1]:
                        self.body.line("else:")
                        self._indented(step.bodies[1], prefix)
                        join_else_if(self.body)
                case "alias":
                    self.body.line(f"{step.outputs[0]} = {step.inputs[0]}")
                case "repeat":
                    for line in step.beginnings():
                        self.body.line(line)
                    self.body.put(f"for {step.targets} in ", parsed(step.iterable), ":")
                    self._indented(step.bodies[0], prefix)
                    for line in step.changes():
                        self.body.line(f"    {line}")
                case "apply" if not (step.stages or step.bodies or step.routine):
                    self._pass_on(steps, position)
                case "apply":
                    length = _run_length(steps, position)
                    if length > 2:
                        self._loop(steps[position : position + length], prefix)
                        position += length
                        continue
                    self._apply(step, prefix)
            position += 1

    def _indented(self, steps: Sequence[Step], prefix: str) -> None:
        self.body.indent += 1
        self.run(steps, prefix)
        self.body.indent -= 1

    def _loop(self, steps: Sequence[Step], prefix: str) -> None:
        """Equal blocks one after another, as a loop over their number."""
        head, first, tail = _numbered(steps[0].label)
        count = len(steps)
        self.body.line(f"for i in range({count}):" if first == 0 else f"for i in range({first}, {first + count}):")
        step = steps[0]
        comment = shown(steps[-1].shapes, show)
        if comment and steps[-1].shapes != step.shapes:
            comment += " at the end"
        self.body.indent += 1
        self._call(step, self._name(f"{head}{{i}}{tail}", True, prefix), comment=comment)
        self.body.indent -= 1

    def _apply(self, step: Step, prefix: str) -> None:
        if step.bodies:
            self.run(step.bodies[0], f"{prefix}{step.label}.")
            return
        if step.routine is not None:
            self._call(step, self._name(step.label, step.label_is_pattern, prefix), comment=shown(step.shapes, show))
            return
        # A learned array is repeated for every sample of the batch, whose size it takes from any value.
        inputs = step.inputs or self.routine.inputs[:1]
        for number, stage in enumerate(step.stages):
            call = stage.module
            assert call is not None
            if call.helper:
                self.file.helpers.add(call.helper)
            label = f"{step.label}.{stage.suffix}" if stage.suffix else step.label
            name = self._name(label, step.label_is_pattern, prefix)
            last = number == len(step.stages) - 1
            targets = step.outputs[0] if not last else ", ".join(step.outputs) if step.used else ""
            given = [(key, self.file.initialiser(text)) for key, text in call.arguments]
            layer = Bracket(f"{call.callee}(", [*arguments(given), name])
            self._statement(targets, layer, _one_or_list(inputs), shown(step.shapes, show) if last else "")
            inputs = [step.outputs[0]]

    def _pass_on(self, steps: list[Step], position: int) -> None:
        """What is no step in Keras: the next one reads its input, or it is another name for that."""
        step = steps[position]
        (source,), (target,) = step.inputs, step.outputs
        following = steps[position + 1] if position + 1 < len(steps) else None
        if following and step.feeds_next and target in following.inputs:
            inputs = [source if name == target else name for name in following.inputs]
            steps[position + 1] = replace(following, inputs=inputs)
        elif step.used and target != source:
            self.body.line(f"{target} = {source}")

    def _call(self, step: Step, name: str, comment: str) -> None:
        assert step.routine is not None
        parts: list[Part] = [*step.inputs]
        required = {parameter.name for parameter in step.routine.parameters if parameter.default is REQUIRED}
        by_place = {"", *(required if not step.given else ())}
        parts += [text if parameter in by_place else f"{parameter}={text}" for parameter, text in step.arguments]
        targets = f"{', '.join(step.outputs)} = " if step.used else ""
        self.body.put(targets, Bracket(f"{step.given or step.routine.name}(", [*parts, name]), comment=comment)

    def _statement(self, targets: str, layer: Bracket, argument: str, comment: str) -> None:
        self.body.put(f"{targets} = " if targets else "", layer, f"({argument})", comment=comment)

    def _name(self, label: str, pattern: bool, prefix: str) -> str:
        whole = layer_name(f"{prefix}{label}")
        if self.model is None:
            return f'name=f"{{name}}_{whole}"'
        return f'name=f"{whole}"' if pattern or "{" in prefix else f'name="{whole}"'


def _show_flat(steps: Sequence[Step]) -> None:
    """Give the shape of a ``flatten`` that is none in Keras to the global average that does its work."""
    for position, step in enumerate(steps):
        if step.kind == "apply" and isinstance(step.node and step.node.layer, Flatten) and not step.stages:
            for earlier in reversed(steps[:position]):
                earlier.shapes = step.shapes
                if not isinstance(earlier.node and earlier.node.layer, Dropout):
                    break


def _numbered(label: str) -> tuple[str, int, str]:
    """A label with its last number apart."""
    match = re.fullmatch(r"(.*?)(\d+)(\D*)", label)
    assert match is not None
    return match[1], int(match[2]), match[3]


def _run_length(steps: Sequence[Step], position: int) -> int:
    """How many equal blocks follow each other here, numbered one by one, each fed by the one before."""
    first = steps[position]
    if (
        first.routine is None
        or first.label_is_pattern
        or not re.search(r"\d", first.label)
        or first.inputs != first.outputs
    ):
        return 1
    head, number, tail = _numbered(first.label)
    length = 1
    while position + length < len(steps):
        step = steps[position + length]
        if (
            step.kind != "apply"
            or step.routine is not first.routine
            or step.arguments != first.arguments
            or step.inputs != first.inputs
            or step.outputs != first.outputs
            or step.label != f"{head}{number + length}{tail}"
        ):
            break
        length += 1
    return length


def _sizes_declared(sizes_of: Mapping[str, tuple[str, tuple[int, ...]]]) -> list[str]:
    """The declarations of the parameters that take the sizes of inputs."""
    return [f"{word}: tuple[{', '.join(['int'] * len(sizes))}] = {sizes}" for word, sizes in sizes_of.values()]


def _one_or_list(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"[{', '.join(names)}]"
