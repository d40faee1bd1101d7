"""Printing a plan as PyTorch: one `nn.Module` class for each block, and one for the model."""

from __future__ import annotations

import ast
import dataclasses
import itertools
import re
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from keyword import iskeyword
from typing import Any, NamedTuple

from typing_extensions import override

from cnnspec.backend import Member, UnsupportedLayer, held_to
from cnnspec.codegen.dialect import Dialect
from cnnspec.codegen.emission import REQUIRED, Emission, Place, Unsupported
from cnnspec.codegen.family import plan_family, told_apart
from cnnspec.codegen.functions import FUNCTIONS
from cnnspec.codegen.header import family_docstring, header, numbers
from cnnspec.codegen.layout import (
    Bracket,
    Comprehension,
    Part,
    Writer,
    arguments,
    docstring,
    flat,
    join_else_if,
    parsed,
    prefixed,
    shown,
)
from cnnspec.codegen.naming import safe
from cnnspec.codegen.pieces import Piece, chain
from cnnspec.codegen.plan import plan
from cnnspec.codegen.program import Derived, Model, Plan, Routine, Step, stated_defaults
from cnnspec.codegen.replay import Options
from cnnspec.codegen.translation import Translated, negated
from cnnspec.graph import Branch, Graph, Item, Loop, Node, Scope
from cnnspec.shapes import show
from cnnspec_torch.helpers import HELPERS
from cnnspec_torch.layers import EMITTERS, initialisation, statement
from cnnspec_torch.replay import replay

MODULE_ATTRIBUTES = frozenset(
    [
        "T_destination",
        "add_module",
        "apply",
        "bfloat16",
        "buffers",
        "call_super_init",
        "children",
        "compile",
        "cpu",
        "cuda",
        "double",
        "dump_patches",
        "eval",
        "extra_repr",
        "float",
        "forward",
        "get_buffer",
        "get_extra_state",
        "get_parameter",
        "get_submodule",
        "half",
        "ipu",
        "load_state_dict",
        "modules",
        "mtia",
        "named_buffers",
        "named_children",
        "named_modules",
        "named_parameters",
        "parameters",
        "register_backward_hook",
        "register_buffer",
        "register_forward_hook",
        "register_forward_pre_hook",
        "register_full_backward_hook",
        "register_full_backward_pre_hook",
        "register_load_state_dict_post_hook",
        "register_load_state_dict_pre_hook",
        "register_module",
        "register_parameter",
        "register_state_dict_post_hook",
        "register_state_dict_pre_hook",
        "requires_grad_",
        "set_extra_state",
        "set_submodule",
        "share_memory",
        "state_dict",
        "to",
        "to_empty",
        "train",
        "training",
        "type",
        "xpu",
        "zero_grad",
        "_apply",
        "_backward_hooks",
        "_backward_pre_hooks",
        "_buffers",
        "_call_impl",
        "_compiled_call_impl",
        "_forward_hooks",
        "_forward_hooks_always_called",
        "_forward_hooks_with_kwargs",
        "_forward_pre_hooks",
        "_forward_pre_hooks_with_kwargs",
        "_get_backward_hooks",
        "_get_backward_pre_hooks",
        "_get_name",
        "_is_full_backward_hook",
        "_load_from_state_dict",
        "_load_state_dict_post_hooks",
        "_load_state_dict_pre_hooks",
        "_maybe_warn_non_full_backward_hook",
        "_modules",
        "_named_members",
        "_non_persistent_buffers_set",
        "_parameters",
        "_register_load_state_dict_pre_hook",
        "_register_state_dict_hook",
        "_replicate_for_data_parallel",
        "_save_to_state_dict",
        "_slow_forward",
        "_state_dict_hooks",
        "_state_dict_pre_hooks",
        "_version",
        "_wrapped_call_impl",
    ]
)
"""Attributes of every `nn.Module`, which no layer's name can hide."""

CONTAINER_ATTRIBUTES = frozenset(
    ["append", "clear", "extend", "insert", "items", "keys", "pop", "update", "values", "_get_item_by_idx"]
)
"""Those that `nn.Sequential` and `nn.ModuleDict` have besides."""


def _check_labels(graph: Graph, scope: Scope, body: Iterable[Item]) -> None:
    """Refuse names of layers that PyTorch has other uses for."""
    for item in body:
        if isinstance(item, Loop):
            for turn in item.turns:
                _check_labels(graph, scope, turn.body)
            continue
        if isinstance(item, Branch):
            _check_labels(graph, scope, item.body)
            continue
        first, *others = item.label.split(".")
        contained = others if scope.definition or scope.path == "" else [first, *others]
        for part in (first, *others):
            if part in MODULE_ATTRIBUTES or (part in CONTAINER_ATTRIBUTES and part in contained):
                gap = Unsupported(f"`{part}` is an attribute of every nn.Module")
                if part in CONTAINER_ATTRIBUTES:
                    gap = Unsupported(f"`{part}` is an attribute of nn.Sequential and nn.ModuleDict")
                raise UnsupportedLayer("torch", item, gap, graph.sources)
        if isinstance(item, Scope):
            _check_labels(graph, item, item.body)


class TorchDialect(Dialect):
    """What the planner must know of PyTorch: modules state their input channels, and sequences are objects."""

    implicit_channels = True
    layer_class = "nn.Module"
    value_class = "Tensor"
    one_scope = False
    helpers = frozenset({*HELPERS, "Callable", "OrderedDict", "math", "partial"})

    def __init__(self, graph: Graph) -> None:
        super().__init__()
        self.graph = graph

    @override
    def name(self, definition: str) -> str:
        return safe(definition)

    @override
    def made_by(self, name: str) -> str:
        return name

    @override
    def model_name(self, name: str) -> str:
        return safe(name)

    @override
    def emissions(self, places: Sequence[Place]) -> list[Emission]:
        node = places[0].node
        try:
            return EMITTERS[type(node.layer)](places)
        except Unsupported as gap:
            raise UnsupportedLayer("torch", node, gap, self.graph.sources) from None

    @override
    def inlines(self, uses: Sequence[tuple[Graph, Piece]]) -> bool:
        return all(chain(use, partial(self._single, graph)) for graph, use in uses)

    @override
    def opaque(self) -> bool:
        return True

    def _single(self, graph: Graph, node: Node) -> bool:
        """Whether a layer is a module from one value to one value."""
        if len(node.inputs) != 1 or len(node.outputs) != 1 or node.operator:
            return False
        place = Place(node, (graph.values[node.inputs[0]],), (graph.values[node.outputs[0]],))
        return all(stage.module is not None for stage in self.describe([place])[0].stages)

    @override
    def shares_model(self, graphs: Sequence[Graph]) -> bool:
        _, exceptions = initial_values(*graphs)
        # Statements that name a weight are about one graph.
        return super().shares_model(graphs) and not exceptions


def emit(graph: Graph, probes: Sequence[Graph]) -> str:
    """The PyTorch source of a graph."""
    _check_labels(graph, graph.root, graph.root.body)
    dialect = TorchDialect(graph)
    with held_to(graph, "torch"):
        source = _File(plan(graph, _with_these_starts(graph, probes), dialect)).text()
        _try_out(source, graph, dialect.forms, {})
    return source


def emit_family(members: Sequence[Member]) -> str:
    """The PyTorch source of all models of a file, each with its probes."""
    for graph, _ in members:
        _check_labels(graph, graph.root, graph.root.body)
    members = [(graph, _with_these_starts(graph, probes)) for graph, probes in members]
    dialect = TorchDialect(members[0][0])
    with held_to(members[0][0], "torch"):
        planned = plan_family(members, dialect)
        source = _File(planned).text()

    def options(node: Node) -> list[Emission]:
        return dialect.forms(planned.twins.get(id(node), node))

    for graph, probes in members:
        entry, carried = planned.entry(graph)
        with held_to(graph, "torch"):
            for one, arguments in told_apart(graph, probes, carried):
                _try_out(source, one, options, arguments, entry)
    return source


def _with_these_starts(graph: Graph, probes: Sequence[Graph]) -> Sequence[Graph]:
    """The probes without those of parameters that change which statements name a weight: these are not carried."""
    rules, exceptions = initial_values(graph)
    if not exceptions:
        return probes
    others = [probe for probe in probes if initial_values(probe) != (rules, exceptions)]
    changing = {name for probe in others for name, value in probe.parameters.items() if value != graph.parameters[name]}
    return [probe for probe in probes if all(probe.parameters[name] == graph.parameters[name] for name in changing)]


def _try_out(
    source: str, graph: Graph, options: Options, arguments: Mapping[str, Any], entry: str | None = None
) -> None:
    """Run the code on symbols, in training as well where that is another function."""
    for training in {False, any(port.auxiliary for port in graph.outputs)}:
        replay(source, graph, options, arguments, training=training, entry=entry)


@dataclass(slots=True)
class Expr:
    """An expression with whether it needs parentheses inside an operator."""

    text: str
    loose: bool = False


@dataclass(slots=True)
class _File:
    plan: Plan
    helpers: set[str] = field(default_factory=set)

    def text(self) -> str:
        definitions = [_Class(self, routine).lines() for routine in self.plan.routines]
        models = [(model.routine, model) for model in self.plan.models]
        for routine in [*self.plan.routines, *(routine for routine, _ in models)]:
            self.helpers |= routine.helpers(self.plan.shown)
        for routine, model in models:
            definitions.append(_Class(self, routine, model).lines())
            definitions += [_derived(derived, routine.name) for derived in model.derived]
        self.helpers |= {name for name in FUNCTIONS if any(f"{name}(" in line for one in definitions for line in one)}
        self.helpers |= {name for name in HELPERS for user in self.helpers if f" {name}(" in HELPERS.get(user, "")}
        bodies = [HELPERS[name].rstrip("\n").split("\n") for name in HELPERS if name in self.helpers] + definitions
        for routine, model in models:
            if routine.name in self.helpers:
                gap = Unsupported(f"the file needs a definition named `{routine.name}` besides the model")
                raise UnsupportedLayer("torch", model.graph.layers[0], gap, model.graph.sources)
        code = "\n\n\n".join("\n".join(lines) for lines in bodies)
        writer = Writer()
        writer.lines += docstring(header(self.plan, show, "channels x height x width"), 0)
        writer.blank()
        standard = []
        if re.search(r"\bmath\.", code):
            standard.append("import math")
        for module, name in (("collections", "OrderedDict"), ("collections.abc", "Callable"), ("functools", "partial")):
            if re.search(rf"\b{name}\b[\[(]", code):
                standard.append(f"from {module} import {name}")
        if standard:
            writer.lines += standard
            writer.blank()
        if re.search(r"\btorch\.", code):
            writer.line("import torch")
        if re.search(r"\bF\.", code):
            writer.line("import torch.nn.functional as F")
        writer.line("from torch import Tensor, nn")
        writer.blank(2)
        return writer.text() + code + "\n"


def _derived(derived: Derived, base: str) -> list[str]:
    """The function that makes a derived model."""
    writer = Writer()
    writer.put(f"def {derived.name}", Bracket("(", [*derived.parameters]), f" -> {base}:")
    writer.lines += docstring(numbers(derived.graph), 1)
    writer.indent = 1
    writer.put(f"return {base}", Bracket("(", arguments(derived.arguments)))
    return writer.lines


class _Class:
    """One class of the file."""

    def __init__(self, file: _File, routine: Routine, model: Model | None = None) -> None:
        self.file = file
        self.routine = routine
        self.model = model
        self.init = Writer(indent=2)
        self.forward = Writer(indent=2)
        self.attributes = {label for _, use in routine.uses for label in _labels(use.body)}
        self.patterns = [re.sub(r"\{.*?\}", r"\\d+", label) for label in _patterns(routine.body)]
        self.counters = _counters(routine.body)
        self.loose_roots = _loose_roots(routine.body)
        self.stored: dict[str, str] = {}
        self.lists: list[str] = []
        """The variables of the sequences that are being built."""
        self.annotated: dict[str, str] = {}
        """The types of such variables of the constructor as have had theirs said."""
        self.prepared: dict[int, str] = {}
        """Sequences that were built in a variable, by the identity of their step."""

    def lines(self) -> list[str]:
        self.define(self.routine.body, self.init)
        for target, source in self.routine.copies:
            self.forward.line(f"{target} = {source}")
        self.run(self.routine.body, self.forward)
        self._return()
        writer = Writer()
        writer.line(f"class {self.routine.name}(nn.Module):")
        writer.lines += docstring(self._docstring(), 1)
        writer.blank()
        writer.indent = 1
        parameters = ["self"]
        parameters += map(str, self.routine.parameters)
        writer.put("def __init__", Bracket("(", list(parameters)), " -> None:")
        writer.indent = 2
        writer.line("super().__init__()")
        code = "\n".join([*self.init.lines, *self.forward.lines])
        # What a loop of `forward` that counts its turns, or is written out, does not read after all.
        stored = {name: text for name, text in self.stored.items() if re.search(rf"\bself\.{name}\b", code)}
        definitions = dict(self.routine.locals)
        told = [self.routine.told_channels] if self.routine.told_channels else []
        for name, text in reversed(self.routine.locals):
            either = "|".join(name.split(", "))
            uses = sum(
                len(re.findall(rf"\b(?:{either})\b", line))
                for line in [*self.init.lines, *stored.values(), *definitions.values(), *told]
            )
            if uses == 1 and stored.get(name) == name:
                # A name that only `forward` needs is stored without a detour.
                stored[name] = text
            if uses == 0 or stored.get(name) == text:
                del definitions[name]
        for line in stated_defaults(self.routine.parameters):
            writer.line(line)
        for name, text in definitions.items():
            writer.put(f"{name} = ", parsed(text))
        for attribute, text in stored.items():
            writer.put(f"self.{attribute} = ", parsed(text))
        writer.lines += self.init.lines
        if self.routine.told_channels:
            writer.put("self.out_channels = ", parsed(self.routine.told_channels))
        if self.model is not None:
            self._initialise(writer, self.model)
        writer.blank()
        writer.indent = 1
        inputs = ["self", *(f"{name}: Tensor" for name in self.routine.inputs)]
        writer.put("def forward", Bracket("(", list(inputs)), f" -> {self._result_type()}:")
        return writer.lines + self.forward.lines

    def _docstring(self) -> str:
        if self.model is not None and self.model.derived:
            return family_docstring(self.model, show)
        if self.model is not None:
            graph = self.model.graph
            shapes = ", ".join(show(graph.values[p.value]) for p in graph.inputs)
            results = ", ".join(show(graph.values[p.value]) for p in graph.outputs if not p.auxiliary)
            return f"{graph.name}: {shapes} -> {results}."
        used = self.file.plan.first_use(self.routine)
        if used is None:
            return self.routine.described("Not used with this network's numbers.")
        return self.routine.described(f"{self.routine.example} {used[2]}.")

    def _result_type(self) -> str:
        if self.model is not None:
            main, auxiliary = self._ports(self.model)
            if auxiliary:
                return "Tensor | tuple[Tensor, ...]"
            count = len(main)
        else:
            count = len(self.routine.outputs)
        return "Tensor" if count == 1 else f"tuple[{', '.join(['Tensor'] * count)}]"

    def _ports(self, model: Model) -> tuple[list[str], list[str]]:
        ports = model.graph.outputs
        named = list(zip(ports, self.routine.outputs, strict=True))
        return [n for p, n in named if not p.auxiliary], [n for p, n in named if p.auxiliary]

    def _return(self) -> None:
        main, auxiliary = self._ports(self.model) if self.model is not None else (self.routine.outputs, [])
        if auxiliary:
            if not _in_training(self.forward):
                self.forward.line("if self.training:")
            self.forward.line(f"    return {', '.join([*main, *auxiliary])}")
        if len(main) > 1 or auxiliary or not self.forward.return_instead(main[0]):
            self.forward.line(f"return {', '.join(main)}")

    # -- the constructor

    def define(self, steps: Sequence[Step], writer: Writer) -> None:
        """Create the modules of some steps."""
        for step in steps:
            match step.kind:
                case "choice":
                    self._define_choice(step, writer)
                case "repeat":
                    self._define_repeat(step, writer)
                case "apply":
                    if self.is_module(step):
                        self._define_module(step, writer)

    def is_module(self, step: Step) -> bool:
        """Whether a step becomes an attribute, rather than an expression in `forward`."""
        return not step.functional and (not step.stages or step.stages[-1].module is not None)

    def _attribute(self, step: Step) -> str:
        """``self.conv1``, or a look-up where the label is no identifier."""
        if self._loose(step):
            label = re.sub(r"\{.*?\}", lambda match: self._in_forward(match[0]), step.label)
            return f'self.get_submodule({"f" * step.label_is_pattern}"{label}")'
        if step.label_is_pattern:
            label = re.sub(r"\{.*?\}", lambda match: self._in_forward(match[0]), step.label)
            return f'getattr(self, f"{label}")'
        if step.label.isidentifier():
            return f"self.{step.label}"
        head, *rest = step.label.split(".")
        if not rest:
            return f'getattr(self, "{step.label}")'
        if _is_parameter(step):
            return f'self.get_parameter("{step.label}")'
        return f"self.{head}" + "".join(f'["{part}"]' for part in rest)

    def _define_module(self, step: Step, writer: Writer) -> None:
        self._prepare(step, writer, "layers")
        self._assign(step, self.construct(step), writer)

    def _assign(self, step: Step, part: Part, writer: Writer) -> None:
        """Give a module or learned array the name of its step."""
        if step.label.isidentifier() and not step.label_is_pattern:
            writer.put(f"self.{step.label} = ", part)
        elif self._loose(step):
            self.file.helpers.add("add_submodule")
            writer.put("add_submodule", Bracket("(", ["self", _quoted(step), part]))
        elif "." in step.label:
            head, *outer, last = step.label.split(".")
            holder = f"self.{head}"
            for name in (None, *outer):
                holder += f'["{name}"]' if name is not None else ""
                if f"{holder} = nn.ModuleDict()" not in (line.strip() for line in writer.lines):
                    writer.line(f"{holder} = nn.ModuleDict()")
            if _is_parameter(step):
                writer.put(f"{holder}.register_parameter", Bracket("(", [f'"{last}"', part]))
            else:
                writer.put(f'{holder}["{last}"] = ', part)
        else:
            register = "register_parameter" if _is_parameter(step) else "add_module"
            writer.put(f"self.{register}", Bracket("(", [_quoted(step), part]))

    def _loose(self, step: Step) -> bool:
        """Whether the containers around a module are made where it is added: conditions and loops decide on it."""
        return step.label.partition(".")[0] in self.loose_roots

    def construct(self, step: Step) -> Part:
        """The expression that makes a step's module."""
        if id(step) in self.prepared:
            return self.prepared[id(step)]
        if step.given:
            return Bracket(f"{step.given}(", arguments([(name or None, text) for name, text in step.arguments]))
        if step.routine is not None:
            return Bracket(
                f"{step.routine.name}(",
                arguments([(self._by_place(step, i, n), t) for i, (n, t) in enumerate(step.arguments)]),
            )
        if step.bodies:
            return self._sequence(step.bodies[0])
        call = step.stages[-1].module
        assert call is not None
        if call.helper:
            self.file.helpers.add(call.helper)
        return Bracket(f"{call.callee}(", arguments(call.arguments))

    @staticmethod
    def _by_place(step: Step, position: int, name: str) -> str | None:
        """Required arguments go by place, as long as none before them is left out; the rest by name."""
        assert step.routine is not None
        parameters = step.routine.parameters
        if (
            position < len(parameters)
            and parameters[position].name == name
            and parameters[position].default is REQUIRED
        ):
            return None
        return name

    def _sequence(self, steps: Sequence[Step]) -> Part:
        children = [(step, self._part(step)) for step in steps]
        if self._all_numbered(steps):
            parts: list[Part] = []
            for part, count in _runs([part for _, part in children]):
                if count < 3:
                    parts += [part] * count
                else:
                    parts.append(Comprehension(part, f"for _ in range({count})"))
            return Bracket("nn.Sequential(", parts)
        return Bracket("nn.Sequential(", [Bracket("OrderedDict(", self._entries(children))])

    def _entries(self, children: Sequence[tuple[Step, Part]]) -> list[Part]:
        """The arguments of an `OrderedDict` in the plainest form that its keys allow."""
        if all(step.kind == "apply" and not step.label_is_pattern for step, _ in children):
            if all(step.label.isidentifier() and not iskeyword(step.label) for step, _ in children):
                return [prefixed(f"{step.label}=", part) for step, part in children]
            return [Bracket("{", [prefixed(f"{self._key(step)}: ", part) for step, part in children], "}")]
        if len(children) == 1 and isinstance(children[0][1], Comprehension):
            return [dataclasses.replace(children[0][1], opening="[")]
        entries = [part if step.kind == "repeat" else Bracket("(", [self._key(step), part]) for step, part in children]
        return [Bracket("[", entries, "]")]

    @staticmethod
    def _key(step: Step) -> str:
        return f'f"{step.label}"' if step.label_is_pattern else f'"{step.label}"'

    def _all_numbered(self, steps: Sequence[Step]) -> bool:
        """Whether all parts of a sequence are named by their positions."""
        known = len(list(itertools.takewhile(lambda step: step.kind == "apply", steps)))
        return all(self._numbered(step, position if position <= known else None) for position, step in enumerate(steps))

    def _numbered(self, step: Step, position: int | None) -> bool:
        """Whether a part of a sequence is named by its position, as the first ones are where that is not given."""
        if step.kind == "apply":
            return not step.label or step.label == str(position)
        if (
            step.kind == "repeat"
            and position == 0
            and [inner.label for inner in step.bodies[0]] == [f"{{{step.targets}}}"]
        ):
            # The first parts, which count their turns from zero.
            return re.fullmatch(r"range\([^,]*\)", step.iterable) is not None
        return all(self._numbered(inner, None) for body in step.bodies for inner in body)

    def _comprehension(self, step: Step) -> Part:
        (inner,) = step.bodies[0]
        part = self.construct(inner)
        if inner.label and not self._numbered(step, 0):
            part = Bracket("(", [self._key(inner), part])
        used = any(re.search(rf"\b{variable}\b", flat(part)) for variable in re.findall(r"\w+", step.targets))
        return Comprehension(part, f"for {step.targets if used else '_'} in {step.iterable}")

    def _dynamic(self, steps: Sequence[Step]) -> bool:
        """Whether a sequence depends on arguments, so that it is built as a list."""
        return not all(map(self._is_part, steps))

    def _prepare(self, step: Step, writer: Writer, wish: str) -> None:
        """Write the lines that must come before a step: a sequence which depends on arguments, or what has a name."""
        if step.variable:
            writer.put(f"{step.variable} = ", self.construct(step))
            self.prepared[id(step)] = step.variable
            return
        if not step.bodies or not self._dynamic(step.bodies[0]):
            return
        steps = step.bodies[0]
        numbered = self._all_numbered(steps)
        type_ = "list[nn.Module]" if numbered else "OrderedDict[str, nn.Module]"
        variable = wish
        while variable in self.lists or self.annotated.get(variable, type_) != type_:
            variable += "_"
        declared = variable if variable in self.annotated else f"{variable}: {type_}"
        self.annotated[variable] = type_
        self.lists.append(variable)
        if not numbered:
            writer.line(f"{declared} = OrderedDict()")
            self._enter(steps, writer)
            self.prepared[id(step)] = f"nn.Sequential({variable})"
        else:
            plain = next((position for position, inner in enumerate(steps) if not self._is_part(inner)), len(steps))
            parts = [self._part(inner) for inner in steps[:plain]]
            writer.put(f"{declared} = ", Bracket("[", parts, "]"))
            self._extend(steps[plain:], writer)
            self.prepared[id(step)] = f"nn.Sequential(*{variable})"
        self.lists.pop()

    def _enter(self, steps: Sequence[Step], writer: Writer) -> None:
        """Fill a sequence whose parts have names."""
        for step in steps:
            if step.kind == "apply":
                self._prepare(step, writer, step.label if step.label.isidentifier() else "inner")
                writer.put(f"{self.lists[-1]}[{self._key(step)}] = ", self.construct(step))
            else:
                self._control(step, writer, self._enter)

    def _control(self, step: Step, writer: Writer, inside: Callable[[Sequence[Step], Writer], None]) -> None:
        """Print a choice or a loop of the constructor."""
        if step.kind == "repeat":
            self._begin_turns(step, writer)
        else:
            writer.put("if ", parsed(step.test), ":")
        writer.indent += 1
        inside(step.bodies[0], writer)
        self._end_turn(step, writer)
        writer.indent -= 1
        if len(step.bodies) > 1 and step.bodies[1]:
            writer.line("else:")
            writer.indent += 1
            inside(step.bodies[1], writer)
            writer.indent -= 1
            join_else_if(writer)

    def _is_part(self, step: Step) -> bool:
        """Whether a step of a sequence is one expression."""
        if step.kind == "apply":
            return not step.variable and not (step.bodies and self._dynamic(step.bodies[0]))
        if step.kind != "repeat" or step.carried:
            return False
        return len(step.bodies[0]) == 1 and self._is_only(step.bodies[0][0])

    def _is_only(self, step: Step) -> bool:
        return step.kind == "apply" and self._is_part(step)

    def _part(self, step: Step) -> Part:
        return self.construct(step) if step.kind == "apply" else self._comprehension(step)

    def _extend(self, steps: Sequence[Step], writer: Writer) -> None:
        position = 0
        while position < len(steps):
            step = steps[position]
            if self._is_part(step):
                parts = [self._part(inner) for inner in itertools.takewhile(self._is_part, steps[position:])]
                if len(parts) == 1 and step.kind == "apply":
                    writer.put(f"{self.lists[-1]}.append", Bracket("(", list(parts)))
                else:
                    writer.put(f"{self.lists[-1]} += ", Bracket("[", list(parts), "]"))
                position += len(parts)
                continue
            if step.kind == "apply":
                self._prepare(step, writer, step.label if step.label.isidentifier() else "inner")
                writer.put(f"{self.lists[-1]}.append", Bracket("(", [self.construct(step)]))
                position += 1
                continue
            self._control(step, writer, self._extend)
            position += 1

    def _only_module(self, step: Step) -> Step | None:
        """The one module of a choice without an alternative, whose presence then tells the way."""
        modules = [inner for inner in step.bodies[0] if inner.kind == "apply" and self.is_module(inner)]
        others = [inner for inner in step.bodies[0] if inner.kind != "apply"]
        if len(modules) == 1 and not others and not step.bodies[1]:
            one = modules[0]
            # Without the option, a numbered layer may have its name.
            free = not any(re.fullmatch(pattern, one.label) for pattern in self.patterns)
            if (
                one.label.isidentifier()
                and not one.label_is_pattern
                and free
                and not one.variable
                and not (one.bodies and self._dynamic(one.bodies[0]))
            ):
                return one
        return None

    def _define_choice(self, step: Step, writer: Writer) -> None:
        only = self._only_module(step)
        if only is not None:
            module = only.stages[-1].module if only.stages else None
            if only.given:
                kind = "nn.Module"
            elif only.routine:
                kind = only.routine.name
            else:
                kind = module.makes if module else "nn.Sequential"
            writer.line(f"self.{only.label}: {kind} | None = None")
            writer.put("if ", parsed(step.test), ":")
            writer.indent += 1
            self._define_module(only, writer)
            writer.indent -= 1
            step.flag = f"self.{only.label} is not None"
            return
        step.flag = self._kept(step.test, step.flag)
        first, second = (Writer(indent=writer.indent + 1) for _ in range(2))
        self.define(step.bodies[0], first)
        self.define(step.bodies[1], second)
        if first.lines:
            writer.put("if ", parsed(step.test), ":")
            writer.lines += first.lines
        if second.lines and first.lines:
            writer.line("else:")
            writer.lines += second.lines
            join_else_if(writer)
        elif second.lines:
            writer.put("if ", parsed(negated(step.test)), ":")
            writer.lines += second.lines

    def _kept(self, text: str, hint: str) -> str:
        """An expression of the constructor in `forward`: a comparison with a number as it is, others under a name."""
        if self._counts(text):
            return self._in_forward(text)
        comparison = re.fullmatch(r"([A-Za-z_]\w*) (==|!=) (\d+)", text)
        if comparison:
            return f"self.{self._store(comparison[1], comparison[1])} {comparison[2]} {comparison[3]}"
        return f"self.{self._store(hint, text)}"

    def _counts(self, text: str) -> bool:
        """Whether an expression has the variable of a loop in it, which `forward` has as well."""
        return any(re.search(rf"\b{counter}\b", text) for counter in self.counters)

    def _in_forward(self, text: str) -> str:
        """An expression in which names of the constructor have become attributes."""
        known = {parameter.name for parameter in self.routine.parameters}
        known |= {one for name, _ in self.routine.locals for one in name.split(", ")}
        if text.removesuffix("()") in known and text.endswith("()"):
            # A layer that the definition is given is made once.
            return f"self.{self._store(text.removesuffix('()'), text)}"
        word = r"(?<![\w.\"'])[A-Za-z_]\w*"
        return re.sub(
            word, lambda match: f"self.{self._store(match[0], match[0])}" if match[0] in known else match[0], text
        )

    def _store(self, hint: str, text: str) -> str:
        """Keep a value of the constructor for `forward`; the attribute's name."""
        value = text.removesuffix("()")
        name = value if value.isidentifier() else hint
        if name in self.attributes or name in MODULE_ATTRIBUTES:
            choice = any(parameter.name == text and parameter.type == "bool" for parameter in self.routine.parameters)
            name = f"has_{name}" if choice or not value.isidentifier() else f"{name}_"
        while name in self.attributes or (name in self.stored and self.stored[name] != text):
            name += "_"
        self.stored[name] = text
        return name

    @staticmethod
    def _begin_turns(step: Step, writer: Writer) -> None:
        for line in step.beginnings():
            writer.line(line)
        writer.put(f"for {step.targets} in ", parsed(step.iterable), ":")

    @staticmethod
    def _end_turn(step: Step, writer: Writer) -> None:
        for line in step.changes():
            writer.line(line)

    def _define_repeat(self, step: Step, writer: Writer) -> None:
        inner = Writer(indent=writer.indent + 1)
        self.define(step.bodies[0], inner)
        if inner.lines or step.carried:
            self._end_turn(step, inner)
            self._begin_turns(step, writer)
            writer.lines += inner.lines
        count = re.fullmatch(r"range\(([^(),]*)\)", step.iterable)
        if count is None or self._counts(count[1]):
            step.iterable = self._in_forward(step.iterable)
        elif not count[1].isdigit():
            step.iterable = f"range(self.{self._store('depth', count[1])})"

    # -- the forward pass

    def run(self, steps: Sequence[Step], writer: Writer) -> None:
        position = 0
        while position < len(steps):
            step = steps[position]
            if step.kind == "choice":
                for target, source in step.copies:
                    writer.line(f"{target} = {source}")
                writer.put("if ", parsed(step.flag), ":")
                writer.indent += 1
                self.run(step.bodies[0], writer)
                writer.indent -= 1
                if step.bodies[1]:
                    writer.line("else:")
                    writer.indent += 1
                    self.run(step.bodies[1], writer)
                    writer.indent -= 1
                    join_else_if(writer)
                position += 1
                continue
            if step.kind == "alias":
                writer.line(f"{step.outputs[0]} = {step.inputs[0]}")
                position += 1
                continue
            if step.kind == "repeat":
                inner = Writer(indent=writer.indent + 1)
                self.run(step.bodies[0], inner)
                read = {name for name in step.accumulated if re.search(rf"\b{name}\b", "\n".join(inner.lines))}
                step.carried = [
                    (name, self._in_forward(first), self._in_forward(then))
                    for name, first, then in step.carried
                    if name in read
                ]
                self._end_turn(step, inner)
                for line in step.beginnings():
                    writer.line(line)
                targets, iterable, numbers = _counted(step.targets, step.iterable, inner.lines)
                turns = _written_out(targets, numbers, inner.lines)
                if turns:
                    writer.take(line.removeprefix("    ") for line in turns)
                else:
                    writer.put(f"for {targets} in ", parsed(iterable), ":")
                    writer.lines += inner.lines
                position += 1
                continue
            position = self._statement(steps, position, writer)

    def _statement(self, steps: Sequence[Step], position: int, writer: Writer) -> int:
        """Print a step with the element-wise ones that follow it; the position after them."""
        step = steps[position]
        expression = self.expression(step, [Expr(name) for name in step.inputs])
        training_only = self.model is not None and step.auxiliary
        indent = writer.indent + training_only
        while step.feeds_next and position + 1 < len(steps):
            following = steps[position + 1]
            if following.kind != "apply" or not following.finisher or len(following.inputs) != 1:
                break
            folded = self.expression(following, [expression])
            if len(f"{'    ' * indent}{', '.join(following.outputs)} = {folded.text}") > 88:
                break
            position, step, expression = position + 1, following, folded
        if training_only:
            if not writer.lines or not _in_training(writer):
                writer.line("if self.training:")
            writer.indent += 1
        targets = ", ".join(step.outputs)
        if not step.used:
            writer.put("", parsed(expression.text))
        elif targets != expression.text:
            writer.put(f"{targets} = ", parsed(expression.text), comment=shown(step.shapes, show))
        if training_only:
            writer.indent -= 1
        return position + 1

    def expression(self, step: Step, inputs: Sequence[Expr]) -> Expr:
        """What a step computes, given the expressions of its inputs."""
        texts = [one.text for one in inputs]
        if self.is_module(step):
            attribute = self._attribute(step)
            if _is_parameter(step):
                return Expr(attribute)
            return Expr(f"{attribute}({', '.join(texts)})")
        formula = step.stages[-1].formula
        assert formula is not None
        if formula.helper:
            self.file.helpers.add(formula.helper)
        guarded = [
            f"({e.text})" if e.loose and (formula.loose or f"{{{i}}}." in formula.pattern) else e.text
            for i, e in enumerate(inputs)
        ]
        values = {name: self._in_forward(text) for name, text in formula.values.items()}
        return Expr(dataclasses.replace(formula, values=values).text(guarded), formula.loose)

    # -- initialisation

    def _initialise(self, writer: Writer, model: Model) -> None:
        """Print the spec's initialisers: by kind of module, then the exceptions by name."""
        rules, exceptions = initial_values(*model.graphs)
        groups = _together({kind: rule.starts for kind, rule in rules.items()})
        if groups:
            writer.line("for module in self.modules():")
            writer.indent += 1
            for kinds, entries in groups:
                writer.put(
                    "if isinstance",
                    Bracket("(", ["module", kinds[0] if len(kinds) == 1 else f"({', '.join(kinds)})"]),
                    ":",
                )
                writer.indent += 1
                always = all(rules[kind].biased == {True} for kind in kinds)
                for name, start in entries.items():
                    optional = name == "bias" and not always
                    if optional:
                        writer.line("if module.bias is not None:")
                        writer.indent += 1
                    self._start(writer, start, f"module.{name}")
                    writer.indent -= optional
                writer.indent -= 1
            writer.indent -= 1
        for template in dict.fromkeys(exceptions.values()):
            paths = [path for path, one in exceptions.items() if one == template]
            if len(paths) == 1:
                (path,) = paths
                self._fill(writer, template, f"self.{path}" if path.isidentifier() else f'self.get_parameter("{path}")')
                continue
            writer.put("for path in ", Bracket("(", [f'"{path}"' for path in paths]), ":")
            writer.indent += 1
            self._fill(writer, template, "self.get_parameter(path)")
            writer.indent -= 1

    def _start(self, writer: Writer, start: Start, weight: str) -> None:
        if start.grouped is None:
            self._fill(writer, start.usual, weight)
            return
        for line, template in (("if module.groups == 1:", start.usual), ("else:", start.grouped)):
            writer.line(line)
            writer.indent += 1
            self._fill(writer, template, weight)
            writer.indent -= 1

    def _fill(self, writer: Writer, template: str, weight: str) -> None:
        """Print the call that fills a weight."""
        callee, _, inner = template.partition("(")
        if callee in HELPERS:
            self.file.helpers.add(callee)
        writer.put(callee, Bracket("(", [part.format(weight) for part in inner[:-1].split(", ")]))


@dataclass(frozen=True, slots=True)
class Start:
    """How a weight of one kind of module starts: a statement, and the one for several groups where it is another."""

    usual: str
    grouped: str | None = None

    def of(self, grouped: bool) -> str:
        return self.grouped if grouped and self.grouped is not None else self.usual


def _together(starts: dict[str, dict[str, Start]]) -> list[tuple[list[str], dict[str, Start]]]:
    """Kinds of modules that start alike, where those without a bias are like those with one."""
    groups: list[tuple[list[str], dict[str, Start]]] = []
    for kind, own in starts.items():
        for kinds, entries in groups:
            shared = entries.keys() & own.keys()
            if (entries.keys() ^ own.keys()) <= {"bias"} and all(entries[name] == own[name] for name in shared):
                kinds.append(kind)
                entries.update(own)
                break
        else:
            groups += [([kind], dict(own))] if own else []
    return groups


@dataclass(slots=True)
class Rule:
    """How the weights of one kind of module start: by weight, and whether they have biases."""

    starts: dict[str, Start] = field(default_factory=dict)
    biased: set[bool] = field(default_factory=set)


class _Weight(NamedTuple):
    """A weight of a network: the class and the attribute it is in, and the statement that starts it."""

    kind: str
    name: str
    grouped: bool
    template: str
    by_itself: bool
    """Whether the module starts it so without being told."""
    path: str


def initial_values(*graphs: Graph) -> tuple[dict[str, Rule], dict[str, str]]:
    """The usual start of each weight of each kind of module, and statements for the others by path."""
    rules: dict[str, Rule] = {}
    weights: list[_Weight] = []
    for node, values in ((node, graph.values) for graph in graphs for node in graph.layers if node.weights):
        place = Place(node, tuple(values[v] for v in node.inputs), tuple(values[v] for v in node.outputs))
        module = EMITTERS[type(node.layer)]([place])[0].stages[-1].module
        assert module is not None  # what has weights is a module
        groups = next((argument.value for argument in module.arguments if argument.name == "groups"), 1)
        starts = initialisation(node)
        for part in dict.fromkeys(name.rpartition(".")[0] for name, _ in starts):
            rule = rules.setdefault(_part(module.callee, part), Rule())
            rule.biased.add(any(name == (f"{part}.bias" if part else "bias") for name, _ in starts))
        for weight, (path, template) in zip(node.weights, starts, strict=True):
            part, _, name = path.rpartition(".")
            # Of the parts of a helper, only the depthwise one of a separable convolution has groups.
            grouped = place.inputs[0][0] != 1 if part == "depthwise" else groups != 1
            text = statement(weight.init) if template is None else template
            kind = _part(module.callee, part)
            weights.append(_Weight(kind, name, grouped, text, template is None, node.key(weight)))
    usual = _usual(weights)
    for (kind, name, grouped), text in usual.items():
        other = usual.get((kind, name, not grouped), text)
        single, several = (other, text) if grouped else (text, other)
        rules[kind].starts[name] = Start(single, several if several != single else None)
    exceptions = {}
    for one in weights:
        start = rules[one.kind].starts.get(one.name)
        # What a module starts with by itself is written out where the rule for others of its kind would change it.
        if start.of(one.grouped) != one.template if start else not one.by_itself:
            exceptions[one.path] = one.template
    return rules, exceptions


def _usual(weights: Sequence[_Weight]) -> dict[tuple[str, str, bool], str]:
    """The most common statement by class, attribute and whether there are groups; none for what stands by itself."""
    counts: dict[tuple[str, str, bool], Counter[str]] = {}
    for weight in weights:
        if weight.name and not weight.by_itself:
            counts.setdefault((weight.kind, weight.name, weight.grouped), Counter())[weight.template] += 1
    return {key: found.most_common(1)[0][0] for key, found in counts.items()}


def _part(kind: str, attribute: str) -> str:
    """The class of PyTorch that a module or a part of a helper is: for a subclass its base, whose rule it falls under.

    A use of a layer does not tell whether its class is the helper: that depends on the other uses of its block.
    """
    if not attribute:
        return _base(kind) or kind
    found = re.search(rf"self\.{attribute} = (nn\.\w+)\(", HELPERS[kind])
    assert found is not None  # what has a dotted name is in a part
    return found[1]


def _base(kind: str) -> str:
    """The class that a helper is derived from; what it is called itself, if it is none."""
    found = re.search(rf"class {kind}\((nn\.\w+)\)", HELPERS.get(kind, ""))
    return found[1] if found else ""


MOST_TURNS_WRITTEN_OUT = 8


def _counted(targets: str, iterable: str, lines: Sequence[str]) -> tuple[str, str, list[int]]:
    """What a loop runs over where its body reads its counter alone: not the table that the constructor has.

    The third result is what the counter is in each turn, as far as no argument decides that.
    """
    code = "\n".join(lines)
    counter, *others = re.findall(r"\w+", targets)
    numbers = _numbers(ast.parse(iterable, mode="eval").body, bool(others))
    if any(re.search(rf"\b{name}\b", code) for name in others):
        return targets, iterable, []
    if not numbers:
        counts = re.fullmatch(r"enumerate\(([\w.]+)\)", iterable)
        return (counter, f"range(len({counts[1]}))", []) if counts else (targets, iterable, [])
    if numbers != list(range(numbers[0], numbers[0] + len(numbers))):
        return targets, iterable, []
    ends = (numbers[0], numbers[0] + len(numbers)) if numbers[0] else (len(numbers),)
    return counter, f"range({', '.join(map(str, ends))})", numbers


def _numbers(iterable: ast.expr, several: bool) -> list[int]:
    """The first part of each item, if that is a number which no argument decides.

    The lists in a ``zip`` are of one length.
    """
    if isinstance(iterable, ast.Call) and isinstance(iterable.func, ast.Name) and several:
        if iterable.func.id == "zip":
            return _numbers(iterable.args[0], False)
        inner = iterable.args[0]
        if iterable.func.id == "enumerate" and isinstance(inner, ast.Call) and not iterable.keywords:
            alike = inner.args if isinstance(inner.func, ast.Name) and inner.func.id == "zip" else [inner]
            lengths = [len(known) for one in alike if (known := _known(one)) is not None]
            start = _known(iterable.args[1]) if len(iterable.args) > 1 else 0
            return list(range(start, start + lengths[0])) if lengths and type(start) is int else []
    known = _known(iterable)
    numbers = [item[0] if several else item for item in known] if known is not None else []
    return numbers if all(type(number) is int for number in numbers) else []


def _known(e: ast.expr) -> Any:
    """What an expression is that no argument decides; else None."""
    try:
        found = Translated(e).evaluate({})
    except NameError:
        return None
    return list(found) if isinstance(found, Iterable) and not isinstance(found, str) else found


def _written_out(counter: str, numbers: Sequence[int], lines: Sequence[str]) -> list[str]:
    """The turns of a loop one by one, if all that they need their number for is the name of a layer."""
    if len(numbers) > MOST_TURNS_WRITTEN_OUT or not numbers:
        return []
    field = f"{{{counter}}}"
    named = re.compile(rf'getattr\(self, f"((?:\w|{re.escape(field)})+)"\)')
    if not any(map(named.search, lines)):
        return []

    def at(number: int, line: str) -> str:
        return named.sub(lambda match: f"self.{match[1].replace(field, str(number))}", line)

    turns = [at(number, line) for number in numbers for line in lines]
    return turns if not any(re.search(rf"\b{counter}\b", line) for line in turns) else []


def _in_training(writer: Writer) -> bool:
    """Whether the line before stands in a block that only training runs."""
    for line in reversed(writer.lines):
        if not line.startswith("    " * (writer.indent + 1)):
            return line.strip() == "if self.training:"
    return False


def _labels(body: Sequence[Piece]) -> set[str]:
    """The names of the children of a body."""
    found = set()
    for piece in body:
        if piece.kind in ("node", "scope"):
            found.add(piece.label.partition(".")[0])
        found |= _labels(piece.body if piece.kind == "branch" else [part for turn in piece.turns for part in turn])
    return found


def _counters(steps: Sequence[Step]) -> set[str]:
    """The variables of loops."""
    found = {name for step in steps if step.kind == "repeat" for name in re.findall(r"\w+", step.targets)}
    return found.union(*(_counters(body) for step in steps for body in step.bodies))


def _patterns(steps: Sequence[Step]) -> list[str]:
    """The labels with numbers to be filled in."""
    inner = [label for step in steps if step.kind != "apply" for body in step.bodies for label in _patterns(body)]
    return [step.label for step in steps if step.label_is_pattern] + inner


def _is_parameter(step: Step) -> bool:
    """Whether a step is a learned array, rather than a module."""
    return bool(step.stages) and step.stages[-1].attribute


def _quoted(step: Step) -> str:
    """A label as a string of the constructor."""
    return f'{"f" * step.label_is_pattern}"{step.label}"'


def _loose_roots(steps: Sequence[Step], inside: bool = False) -> set[str]:
    """The first parts of dotted labels of which some stand behind a condition, in a loop, or are made of numbers."""
    found: set[str] = set()
    for step in steps:
        if step.kind == "apply":
            head, dot, _ = step.label.partition(".")
            if dot and (inside or step.label_is_pattern) and not _is_parameter(step):
                found.add(head)
        else:
            found = found.union(*(_loose_roots(body, True) for body in step.bodies))
    return found


def _runs(parts: Sequence[Part]) -> list[tuple[Part, int]]:
    """Equal neighbours with their number."""
    runs: list[tuple[Part, int]] = []
    for part in parts:
        if runs and flat(runs[-1][0]) == flat(part):
            runs[-1] = (part, runs[-1][1] + 1)
        else:
            runs.append((part, 1))
    return runs
