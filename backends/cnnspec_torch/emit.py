"""Printing a plan as PyTorch: one `nn.Module` class for each block, and one for the model."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

from typing_extensions import override

from cnnspec.backend import UnsupportedLayer
from cnnspec.codegen.emission import REQUIRED, Emission, Place, Unsupported
from cnnspec.codegen.header import header
from cnnspec.codegen.layout import Bracket, Part, Writer, arguments, docstring, flat, shown
from cnnspec.codegen.naming import safe
from cnnspec.codegen.pieces import Piece
from cnnspec.codegen.plan import Dialect, Plan, Routine, Step, chain, literal, plan
from cnnspec.graph import Graph, Node
from cnnspec.shapes import show
from cnnspec_torch.helpers import HELPERS
from cnnspec_torch.layers import EMITTERS, initialisation

MODULE_ATTRIBUTES = frozenset(
    """T_destination add_module apply bfloat16 buffers call_super_init children compile cpu cuda double dump_patches eval
    extra_repr float forward get_buffer get_extra_state get_parameter get_submodule half ipu load_state_dict modules mtia
    named_buffers named_children named_modules named_parameters parameters register_backward_hook register_buffer
    register_forward_hook register_forward_pre_hook register_full_backward_hook register_full_backward_pre_hook
    register_load_state_dict_post_hook register_load_state_dict_pre_hook register_module register_parameter
    register_state_dict_post_hook register_state_dict_pre_hook requires_grad_ set_extra_state set_submodule share_memory
    state_dict to to_empty train training type xpu zero_grad""".split()
)
"""Attributes of `nn.Module` that a layer's name would hide."""


class TorchDialect(Dialect):
    """What the planner must know of PyTorch: modules state their input channels, and sequences are objects."""

    implicit_channels = True
    one_scope = False
    helpers = frozenset({*HELPERS, "OrderedDict", "math"})

    def __init__(self, graph: Graph) -> None:
        self.graph = graph

    @override
    def name(self, definition: str) -> str:
        return safe(definition)

    @override
    def model_name(self, name: str) -> str:
        return safe(name)

    @override
    def describe(self, places: Sequence[Place]) -> list[Emission]:
        node = places[0].node
        if node.label in MODULE_ATTRIBUTES or any(part in MODULE_ATTRIBUTES for part in node.label.split(".")[:1]):
            gap = Unsupported(f"`{node.label}` is an attribute of every nn.Module")
            raise UnsupportedLayer("torch", node, gap, self.graph.sources)
        try:
            return EMITTERS[type(node.layer)](places)
        except Unsupported as gap:
            raise UnsupportedLayer("torch", node, gap, self.graph.sources) from None

    @override
    def inlines(self, uses: Sequence[Piece]) -> bool:
        return all(chain(use, self._single) for use in uses)

    @override
    def opaque(self) -> bool:
        return True

    def _single(self, node: Node) -> bool:
        if len(node.inputs) != 1 or len(node.outputs) != 1 or node.operator:
            return False
        place = Place(node, (self.graph_values(node.inputs[0]),), (self.graph_values(node.outputs[0]),))
        return all(stage.module is not None for stage in self.describe([place])[0].stages)

    def graph_values(self, value: int) -> tuple[int, ...]:
        return self.graph.values[value]  # type: ignore[return-value]


def emit(graph: Graph, probes: Sequence[Graph]) -> str:
    """The PyTorch source of a graph."""
    planned = plan(graph, probes, TorchDialect(graph))
    return _File(planned).text()


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
        definitions.append(_Class(self, self.plan.model, model=True).lines())
        bodies = [HELPERS[name].rstrip("\n").split("\n") for name in HELPERS if name in self.helpers] + definitions
        code = "\n\n\n".join("\n".join(lines) for lines in bodies)
        writer = Writer()
        writer.lines += docstring(header(self.plan, show, "channels x height x width"), 0)
        writer.blank()
        standard = []
        if re.search(r"\bOrderedDict\b", code):
            standard.append("from collections import OrderedDict")
        if re.search(r"\bmath\.", code):
            standard.insert(0, "import math")
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


class _Class:
    """One class of the file."""

    def __init__(self, file: _File, routine: Routine, *, model: bool = False) -> None:
        self.file = file
        self.routine = routine
        self.model = model
        self.init = Writer(indent=2)
        self.forward = Writer(indent=2)
        self.attributes = {step.label for step in _all_steps(routine.body)}
        self.stored: dict[str, str] = {}

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
        for parameter in self.routine.parameters:
            default = "" if parameter.default is REQUIRED else f" = {literal(parameter.default)}"
            parameters.append(f"{parameter.name}: {parameter.type}{default}")
        writer.put("def __init__", Bracket("(", list(parameters)), " -> None:")
        writer.indent = 2
        writer.line("super().__init__()")
        stored = dict(self.stored)
        for name, text in self.routine.locals:
            # A name that only `forward` needs is stored without a detour.
            uses = sum(len(re.findall(rf"\b{name}\b", line)) for line in [*self.init.lines, *stored.values()])
            if uses == 1 and stored.get(name) == name:
                stored[name] = text
            else:
                writer.line(f"{name} = {text}")
        for attribute, text in stored.items():
            writer.line(f"self.{attribute} = {text}")
        writer.lines += self.init.lines
        if self.model:
            self._initialise(writer)
        writer.blank()
        writer.indent = 1
        inputs = ["self", *(f"{name}: Tensor" for name in self.routine.inputs)]
        writer.put("def forward", Bracket("(", list(inputs)), f" -> {self._result_type()}:")
        return writer.lines + self.forward.lines

    def _docstring(self) -> str:
        if self.model:
            graph = self.file.plan.graph
            shapes = ", ".join(show(graph.values[p.value]) for p in graph.inputs)
            results = ", ".join(show(graph.values[p.value]) for p in graph.outputs if not p.auxiliary)
            return f"{graph.name}: {shapes} -> {results}."
        count = sum(graph == 0 for graph, _ in self.routine.uses)
        first = next(piece.path for graph, piece in self.routine.uses if graph == 0)
        used = f"at `{first}`" if count == 1 else f"at `{first}`, the first of {count} uses"
        return f"{self.routine.example} {used}."

    def _result_type(self) -> str:
        if self.model:
            main, auxiliary = self._ports()
            if auxiliary:
                return "Tensor | tuple[Tensor, ...]"
            count = len(main)
        else:
            count = len(self.routine.outputs)
        return "Tensor" if count == 1 else f"tuple[{', '.join(['Tensor'] * count)}]"

    def _ports(self) -> tuple[list[str], list[str]]:
        ports = self.file.plan.graph.outputs
        named = list(zip(ports, self.routine.outputs, strict=True))
        return [n for p, n in named if not p.auxiliary], [n for p, n in named if p.auxiliary]

    def _return(self) -> None:
        main, auxiliary = self._ports() if self.model else (self.routine.outputs, [])
        if auxiliary:
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
        if step.routine is not None or step.bodies:
            return True
        stage = step.stages[-1]
        if stage.module is None:
            return False
        if stage.formula is None or (step.node is not None and step.node.weights):
            return True
        return step.named

    def _attribute(self, step: Step) -> str:
        """``self.conv1``, or a look-up where the label is no identifier."""
        head, *rest = step.label.split(".") if not step.label_is_pattern else [step.label]
        if step.label_is_pattern:
            return f'self.get_submodule(f"{step.label}")'
        if rest:
            return f"self.{head}" + "".join(f'["{part}"]' for part in rest)
        return f"self.{head}" if head.isidentifier() else f'self.get_submodule("{head}")'

    def _define_module(self, step: Step, writer: Writer) -> None:
        if step.bodies and self._dynamic(step.bodies[0]):
            self._define_list(step, writer)
            return
        part = self.construct(step)
        if step.label_is_pattern:
            writer.put("self.add_module", Bracket("(", [f'f"{step.label}"', part]))
            return
        head, *rest = step.label.split(".")
        for depth in range(len(rest)):
            holder = f"self.{head}" + "".join(f'["{one}"]' for one in rest[:depth])
            if holder not in self.stored and f"{holder} = nn.ModuleDict()" not in (line.strip() for line in writer.lines):
                writer.line(f"{holder} = nn.ModuleDict()")
        if not rest and not head.isidentifier():
            writer.put("self.add_module", Bracket("(", [f'"{head}"', part]))
            return
        writer.put(f"{self._attribute(step)} = ", part)

    def construct(self, step: Step) -> Part:
        """The expression that makes a step's module."""
        if step.routine is not None:
            return Bracket(f"{step.routine.name}(", arguments([(self._by_place(step, i, n), t) for i, (n, t) in enumerate(step.arguments)]))
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
        if position < len(parameters) and parameters[position].name == name and parameters[position].default is REQUIRED:
            return None
        return name

    def _sequence(self, steps: Sequence[Step]) -> Part:
        children = [(step, self.construct(step) if step.kind == "apply" else self._comprehension(step)) for step in steps]
        if all(self._numbered(step, position) for position, step in enumerate(steps)):
            parts = []
            for part, count in _runs([part for _, part in children]):
                if count < 3:
                    parts += [part] * count
                else:
                    parts.append(_starred(f"{flat(part)} for _ in range({count})", part))
            return Bracket("nn.Sequential(", parts)
        entries: list[Part] = []
        for step, part in children:
            key = f'f"{step.label}"' if step.label_is_pattern else f'"{step.label}"'
            entries.append(Bracket("(", [key, part]))
        return Bracket("nn.Sequential(", [Bracket("OrderedDict(", [Bracket("[", entries, "]")])])

    @staticmethod
    def _numbered(step: Step, position: int) -> bool:
        return step.kind == "repeat" or step.label in ("", str(position))

    def _comprehension(self, step: Step) -> Part:
        part = self.construct(step.bodies[0][0])
        return _starred(f"{flat(part)} for {step.variable} in range({step.count})", part)

    def _dynamic(self, steps: Sequence[Step]) -> bool:
        """Whether a sequence depends on arguments, so that it is built as a list."""
        return any(step.kind == "choice" or (step.kind == "repeat" and len(step.bodies[0]) > 1) for step in steps)

    def _define_list(self, step: Step, writer: Writer) -> None:
        writer.line("layers: list[nn.Module] = []")
        self._extend(step.bodies[0], writer)
        writer.line(f"{self._attribute(step)} = nn.Sequential(*layers)")

    def _extend(self, steps: Sequence[Step], writer: Writer) -> None:
        plain: list[Part] = []

        def flush() -> None:
            if len(plain) == 1:
                writer.put("layers.append", Bracket("(", list(plain)))
            elif plain:
                writer.put("layers += ", Bracket("[", list(plain), "]"))
            plain.clear()

        for step in steps:
            if step.kind == "choice":
                flush()
                writer.line(f"if {step.test}:")
                writer.indent += 1
                self._extend(step.bodies[0], writer)
                writer.indent -= 1
                if step.bodies[1]:
                    writer.line("else:")
                    writer.indent += 1
                    self._extend(step.bodies[1], writer)
                    writer.indent -= 1
            elif step.kind == "repeat" and len(step.bodies[0]) > 1:
                flush()
                writer.line(f"for {step.variable} in range({step.count}):")
                writer.indent += 1
                self._extend(step.bodies[0], writer)
                writer.indent -= 1
            else:
                plain.append(self.construct(step) if step.kind == "apply" else self._comprehension(step))
        flush()

    def _only_module(self, step: Step) -> Step | None:
        """The one module of a choice without an alternative, whose presence then tells the way."""
        modules = [inner for inner in step.bodies[0] if inner.kind == "apply" and self.is_module(inner)]
        others = [inner for inner in step.bodies[0] if inner.kind != "apply"]
        if len(modules) == 1 and not others and not step.bodies[1]:
            one = modules[0]
            if one.label.isidentifier() and not one.label_is_pattern and not (one.bodies and self._dynamic(one.bodies[0])):
                return one
        return None

    def _define_choice(self, step: Step, writer: Writer) -> None:
        only = self._only_module(step)
        if only is not None:
            kind = only.routine.name if only.routine else "nn.Sequential" if only.bodies else "nn.Module"
            writer.line(f"self.{only.label}: {kind} | None = None")
            writer.line(f"if {step.test}:")
            writer.indent += 1
            self._define_module(only, writer)
            writer.indent -= 1
            step.flag = f"self.{only.label} is not None"
            return
        step.flag = f"self.{self._store(step.flag, step.test)}"
        for number, body in enumerate(step.bodies):
            inner = Writer(indent=writer.indent + 1)
            self.define(body, inner)
            if inner.lines:
                test = step.test if number == 0 else f"not ({step.test})" if " " in step.test else f"not {step.test}"
                writer.line(f"if {test}:")
                writer.lines += inner.lines

    def _store(self, hint: str, text: str) -> str:
        """Keep a value of the constructor for `forward`; the attribute's name."""
        name = text if text.isidentifier() else hint
        if name in self.attributes or name in MODULE_ATTRIBUTES:
            name = f"has_{name}"
        while name in self.stored and self.stored[name] != text:
            name += "_"
        self.stored[name] = text
        return name

    def _define_repeat(self, step: Step, writer: Writer) -> None:
        inner = Writer(indent=writer.indent + 1)
        self.define(step.bodies[0], inner)
        if inner.lines:
            writer.line(f"for {step.variable} in range({step.count}):")
            writer.lines += inner.lines
        if not step.count.isdigit():
            step.count = f"self.{self._store('depth', step.count)}"

    # -- the forward pass

    def run(self, steps: Sequence[Step], writer: Writer) -> None:
        position = 0
        while position < len(steps):
            step = steps[position]
            if step.kind == "choice":
                for target, source in step.copies:
                    writer.line(f"{target} = {source}")
                writer.line(f"if {step.flag}:")
                writer.indent += 1
                self.run(step.bodies[0], writer)
                writer.indent -= 1
                if step.bodies[1]:
                    writer.line("else:")
                    writer.indent += 1
                    self.run(step.bodies[1], writer)
                    writer.indent -= 1
                position += 1
                continue
            if step.kind == "repeat":
                writer.line(f"for {step.variable} in range({step.count}):")
                writer.indent += 1
                self.run(step.bodies[0], writer)
                writer.indent -= 1
                position += 1
                continue
            position = self._statement(steps, position, writer)

    def _statement(self, steps: Sequence[Step], position: int, writer: Writer) -> int:
        """Print a step with the element-wise ones that follow it; the position after them."""
        step = steps[position]
        expression = self.expression(step, [Expr(name) for name in step.inputs])
        training_only = self.model and step.auxiliary
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
        if targets != expression.text:
            head, bracket, rest = expression.text.partition("(")
            whole = f"{'    ' * writer.indent}{targets} = {expression.text}"
            if len(whole) > 88 and rest.endswith(")") and _balanced(rest[:-1]):
                writer.put(f"{targets} = ", Bracket(head + bracket, list(_split(rest[:-1]))))
            else:
                writer.put(f"{targets} = ", expression.text, comment=shown(step.shapes, show))
        if training_only:
            writer.indent -= 1
        return position + 1

    def expression(self, step: Step, inputs: Sequence[Expr]) -> Expr:
        """What a step computes, given the expressions of its inputs."""
        texts = [one.text for one in inputs]
        if self.is_module(step):
            attribute = self._attribute(step)
            if step.stages and step.stages[-1].attribute:
                return Expr(attribute)
            return Expr(f"{attribute}({', '.join(texts)})")
        formula = step.stages[-1].formula
        assert formula is not None
        if formula.helper:
            self.file.helpers.add(formula.helper)
        guarded = [f"({e.text})" if e.loose and (formula.loose or f"{{{i}}}." in formula.pattern) else e.text for i, e in enumerate(inputs)]
        return Expr(formula.text(guarded), formula.loose)

    # -- initialisation

    def _initialise(self, writer: Writer) -> None:
        """Print the spec's initialisers: by kind of module, then the exceptions by name."""
        rules: dict[tuple[str, str], Counter[str]] = {}
        wanted: list[tuple[str, str, str, str]] = []
        optional: dict[str, set[bool]] = {}
        for node in self.file.plan.graph.layers:
            place = Place(node, tuple(self.file.plan.graph.values[v] for v in node.inputs), tuple(self.file.plan.graph.values[v] for v in node.outputs))
            module = EMITTERS[type(node.layer)]([place])[0].stages[-1].module
            if module is None:
                continue
            kind = _base(module.callee)
            if node.weights:
                optional.setdefault(kind, set()).add(any(weight.name == "bias" for weight in node.weights))
            for name, template in initialisation(node):
                if template is None:
                    continue
                rules.setdefault((kind, name), Counter())[template] += 1
                wanted.append((kind, name, template, f"{node.path}.{name}" if name else node.path))
        common = {key: counts.most_common(1)[0][0] for key, counts in rules.items()}
        by_rule: dict[tuple[tuple[str, str], ...], list[str]] = {}
        for kind in dict.fromkeys(kind for kind, _ in common):
            rule = tuple((name, template) for (k, name), template in common.items() if k == kind)
            by_rule.setdefault(rule, []).append(kind)
        merged: dict[str, tuple[list[str], list[tuple[str, str]]]] = {}
        for rule, kinds in by_rule.items():
            weight_only = tuple(entry for entry in rule if entry[0] != "bias")
            key = repr(weight_only)
            known = merged.setdefault(key, ([], []))
            known[0].extend(kinds)
            known[1].extend(entry for entry in rule if entry not in known[1])
        groups = [(kinds, entries) for kinds, entries in merged.values()]
        if groups:
            writer.line("for module in self.modules():")
            writer.indent += 1
            for kinds, entries in groups:
                test = kinds[0] if len(kinds) == 1 else f"({', '.join(kinds)})"
                writer.put("if isinstance", Bracket("(", ["module", test]), ":")
                writer.indent += 1
                has_bias = {flag for kind in kinds for flag in optional[kind]}
                for name, template in entries:
                    if name == "bias" and len(has_bias) > 1:
                        writer.line("if module.bias is not None:")
                        writer.line(f"    {template.format('module.bias')}")
                    else:
                        writer.line(template.format(f"module.{name}"))
                writer.indent -= 1
            writer.indent -= 1
        for kind, name, template, path in wanted:
            if template != common[kind, name]:
                writer.line(template.format(f'self.get_parameter("{path}")'))


def _base(callee: str) -> str:
    """The class that a rule of initialisation tests for."""
    return callee


def _in_training(writer: Writer) -> bool:
    """Whether the line before stands in a block that only training runs."""
    for line in reversed(writer.lines):
        if not line.startswith("    " * (writer.indent + 1)):
            return line.strip() == "if self.training:"
    return False


def _all_steps(steps: Sequence[Step]) -> list[Step]:
    found = []
    for step in steps:
        found.append(step)
        if step.kind != "apply":
            for body in step.bodies:
                found += _all_steps(body)
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


def _starred(text: str, part: Part) -> Part:
    return f"*[{text}]"


def _balanced(text: str) -> bool:
    depth = 0
    for character in text:
        depth += character in "([" 
        depth -= character in ")]"
        if depth < 0:
            return False
    return depth == 0


def _split(text: str) -> list[str]:
    """Arguments at the top level of a call."""
    parts, depth, start = [], 0, 0
    for position, character in enumerate(text):
        depth += character in "(["
        depth -= character in ")]"
        if character == "," and depth == 0:
            parts.append(text[start:position].strip())
            start = position + 1
    return [*parts, text[start:].strip()]

