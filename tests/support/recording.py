"""Generated code run without a framework: what it computes, step by step, against what each layer says it becomes.

Stand-ins for ``torch`` and ``keras`` record every constructor and every call.  A value is an expression: what made it,
from which values.  Equal expressions are one object, so "the code computes this" is a look-up.  The planner and the
printers are held to the emissions of the single layers, node by node: the same constructor under the same path, applied
to the same values, and nothing besides.
"""

from __future__ import annotations

import builtins
import re
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from types import ModuleType
from typing import Any
from unittest import mock

import cnnspec_keras.emit
import cnnspec_torch.emit
from cnnspec.codegen.emission import REQUIRED, Construct, Emission, Formula, Place, Sizes, literal
from cnnspec.codegen.functions import FUNCTIONS
from cnnspec.codegen.naming import function_name, safe
from cnnspec.codegen.surroundings import Surroundings
from cnnspec.graph import Graph, Node, Port
from cnnspec_keras.helpers import HELPERS as KERAS_HELPERS
from cnnspec_keras.layers import layer_name
from cnnspec_torch.helpers import HELPERS as TORCH_HELPERS
from cnnspec_torch.layers import initialisation

EXECUTED = {*FUNCTIONS, "add_submodule"}
"""Helpers that are run as they are."""
Options = Callable[[Node], Sequence[Emission]]
"""What a node may be, in one of the forms that its uses could agree on."""


class Deviation(AssertionError):
    """Generated code that does something else than its graph."""


class Value:
    """An expression of the recorded computation."""

    def __init__(self, world: World, key: tuple[Any, ...]) -> None:
        self.world = world
        self.key = key

    def __repr__(self) -> str:
        return f"<{' '.join(str(part) for part in self.key)}>"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if name == "shape":
            return self.world.shape_of(self)
        return lambda *args, **kwargs: self.world.make("method", name, self, *args, **kwargs)

    def __getitem__(self, index: Any) -> Any:
        return self.world.make("item", self, index)

    def __iter__(self) -> Iterator[Any]:
        return iter([self[i] for i in range(self.world.parts(self))])

    def __add__(self, other: Any) -> Any:
        return self.world.make("+", self, other)

    def __radd__(self, other: Any) -> Any:
        return self.world.make("+", other, self)

    def __sub__(self, other: Any) -> Any:
        return self.world.make("-", self, other)

    def __rsub__(self, other: Any) -> Any:
        return self.world.make("-", other, self)

    def __mul__(self, other: Any) -> Any:
        return self.world.make("*", self, other)

    def __rmul__(self, other: Any) -> Any:
        return self.world.make("*", other, self)

    def __truediv__(self, other: Any) -> Any:
        return self.world.make("/", self, other)


class World:
    """All expressions of one run.  Once frozen it makes no new ones: what the run did not make is an error."""

    def __init__(self) -> None:
        self.values: dict[tuple[Any, ...], Value] = {}
        self.visited: set[tuple[Any, ...]] = set()
        self.frozen = False
        self.shape_of: Callable[[Value], Any] = lambda value: None
        self.parts: Callable[[Value], int] = _parts

    def make(self, *parts: Any, **named: Any) -> Value:
        key = (*map(self.canonical, parts), *((name, self.canonical(named[name])) for name in sorted(named)))
        if self.frozen:
            self.visited.add(key)
        if key not in self.values:
            if self.frozen:
                raise Deviation(f"the code does not compute {Value(self, key)}")
            self.values[key] = Value(self, key)
        return self.values[key]

    def canonical(self, value: Any) -> Any:
        """A hashable stand-in, equal for equal values of one type."""
        if isinstance(value, Value):
            return value
        if isinstance(value, tuple | list):
            return (type(value).__name__, *map(self.canonical, value))
        if isinstance(value, Function):
            return value.name
        return (type(value).__name__, value)


def _parts(value: Value) -> int:
    """How many parts ``x.chunk(2)`` or ``x.split((3, 5))`` has."""
    given = value.key[3]
    return int(given[1]) if given[0] == "int" else len(given) - 1


class Function:
    """A function of a framework: called, it is an expression."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name

    def __call__(self, *args: Any, **kwargs: Any) -> Value:
        return self.world.make("call", self.name, *args, **kwargs)


class Names(ModuleType):
    """A module whose every name is made when it is asked for."""

    def __init__(self, name: str, make: Callable[[str], Any], **known: Any) -> None:
        super().__init__(name)
        self._make = make
        vars(self).update(known)

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        setattr(self, name, made := self._make(name))
        return made


class Leaf:
    """A layer of a framework, with the arguments it was constructed with."""

    world: World
    kind: str
    path = "?"

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.arguments = args, kwargs

    def differs(self, construct: Construct, namespace: dict[str, Any]) -> str | None:
        """What distinguishes the recorded constructor call from an emitted one."""
        if self.kind != construct.callee:
            return f"it is {self.kind}, not {construct.callee}"
        args, kwargs = list(self.arguments[0]), dict(self.arguments[1])
        for argument in construct.arguments:
            expected = self.evaluate(argument.value, namespace)
            found = None if argument.default is REQUIRED else self.evaluate(argument.default, namespace)
            if argument.name is None and args:
                found = self.world.canonical(args.pop(0))
            elif argument.name in kwargs:
                found = self.world.canonical(kwargs.pop(argument.name))
            # A number for all axes says the same as one for each.
            same = self.evaluate(tuple(argument.value), namespace) if isinstance(argument.value, Sizes) else expected
            if found not in (expected, same):
                return f"{argument.name or 'an argument'} is {found}, not {expected}"
        return f"it also has {args} {kwargs}" if args or kwargs else None

    def evaluate(self, value: Any, namespace: dict[str, Any]) -> Any:
        """The canonical form of an emitted argument; made anew, so not looked for among what the code computes."""
        frozen, self.world.frozen = self.world.frozen, False
        try:
            return self.world.canonical(eval(literal(value), namespace))
        finally:
            self.world.frozen = frozen


def _execute(
    source: str, modules: Mapping[str, Any], helpers: dict[str, Any], texts: Mapping[str, str]
) -> dict[str, Any]:
    """Run a generated file with stand-ins for what it imports and for its helpers."""
    for text in (text for name, text in texts.items() if name not in EXECUTED):
        source = source.replace(text.strip("\n"), "")

    def load(name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0) -> Any:
        if name in ("collections", "collections.abc", "functools", "math"):
            return __import__(name, globals, locals, fromlist, level)
        if name not in modules:
            raise Deviation(f"the code imports {name}")
        # `import a.b as c` asks for `a`, and takes `b` from it.
        return modules[name] if fromlist else modules[name.partition(".")[0]]

    namespace: dict[str, Any] = {
        "__builtins__": {**vars(builtins), "__import__": load},
        "__name__": "generated",
        **{name: helper for name, helper in helpers.items() if name not in EXECUTED},
    }
    exec(compile(source, "<generated>", "exec"), namespace)
    return namespace


def _apply(formula: Formula, inputs: Sequence[Any], namespace: dict[str, Any]) -> Any:
    fields = {str(i): f"_in[{i}]" for i in range(len(inputs))} | {
        "all": ", ".join(f"_in[{i}]" for i in range(len(inputs)))
    }
    fields |= {name: literal(value) for name, value in formula.values.items()}
    text = re.sub(r"\{(\w+)\}", lambda match: fields[match[1]], formula.pattern)
    return eval(text, {**namespace, "_in": list(inputs)})


def _finish(world: World, ports: Sequence[Port], values: Mapping[int, Any], results: Sequence[Any]) -> None:
    if [values[port.value] for port in ports] != list(results):
        raise Deviation(f"the results are not {', '.join(port.name for port in ports)}")
    useless = [
        value
        for key, value in world.values.items()
        # Neither a part of a value, nor a constant such as an argument of a constructor.
        if key not in world.visited and key[0] != ("str", "item") and _depends(key)
    ]
    if useless:
        raise Deviation(f"the code also computes {useless[:3]}")


def _depends(part: Any) -> bool:
    """Whether a part of an expression has a value in it."""
    return isinstance(part, Value) or (isinstance(part, tuple) and any(map(_depends, part)))


# ---- PyTorch -------------------------------------------------------------------------------------------------------


class _Module:
    training = False

    def __init__(self) -> None:
        self.__dict__["_children"] = {}

    def __setattr__(self, name: str, value: Any) -> None:
        children = self.__dict__["_children"]
        if isinstance(value, _Module | TorchLeaf | _Parameter):
            if self.__dict__.get(name, 0) is None:
                del self.__dict__[name]
            self._register(name, value)
        elif name in children or name in self.__dict__:
            raise Deviation(f"`{name}` is set twice")
        else:
            self.__dict__[name] = value

    def __getattr__(self, name: str) -> Any:
        try:
            return self.__dict__["_children"][name]
        except KeyError:
            raise AttributeError(name) from None

    def add_module(self, name: str, module: Any) -> None:
        if isinstance(module, _Parameter):
            raise Deviation(f"`{name}` is no module")
        self._register(name, module)

    def register_parameter(self, name: str, parameter: Any) -> None:
        if not isinstance(parameter, _Parameter):
            raise Deviation(f"`{name}` is no parameter")
        self._register(name, parameter)

    def _register(self, name: str, module: Any) -> None:
        if "." in name or not name:
            raise Deviation(f"{name!r} cannot be the name of a module")
        if hasattr(self, name):
            raise Deviation(f"there is a `{name}` already")
        self.__dict__["_children"][name] = module

    def named_children(self) -> list[tuple[str, Any]]:
        return list(self.__dict__["_children"].items())

    def get_submodule(self, path: str) -> Any:
        found: Any = self
        for part in path.split("."):
            found = found.__dict__["_children"][part]
        if isinstance(found, _Parameter):
            raise Deviation(f"`{path}` is no module")
        return found

    def get_parameter(self, path: str) -> Any:
        owner, _, name = path.rpartition(".")
        return getattr(self.get_submodule(owner) if owner else self, name)

    def modules(self) -> Iterator[Any]:
        return (module for _, module in _walk(self) if not isinstance(module, _Parameter))

    def __call__(self, *values: Any) -> Any:
        return self.forward(*values)  # type: ignore[attr-defined]


def _walk(module: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    yield path, module
    if isinstance(module, _Module):
        for name, child in module.__dict__["_children"].items():
            yield from _walk(child, f"{path}.{name}" if path else name)


class _Sequential(_Module):
    def __init__(self, *modules: Any) -> None:
        super().__init__()
        ordered = len(modules) == 1 and isinstance(modules[0], OrderedDict)
        for name, module in modules[0].items() if ordered else ((str(i), one) for i, one in enumerate(modules)):
            self.add_module(name, module)

    def forward(self, x: Any) -> Any:
        for module in self.__dict__["_children"].values():
            x = module(x)
        return x


class _ModuleDict(_Module):
    def __setitem__(self, name: str, module: Any) -> None:
        self.add_module(name, module)

    def __getitem__(self, name: str) -> Any:
        return self.__dict__["_children"][name]


class TorchLeaf(Leaf):
    def __call__(self, *values: Any) -> Value:
        return self.world.make("module", self.path, *values)

    @property
    def weight(self) -> Any:
        return self, "weight"

    @property
    def bias(self) -> Any:
        return None if self.arguments[1].get("bias") is False else (self, "bias")


class _Parameter(Value, Leaf):
    kind = "nn.Parameter"

    def __init__(self, world: World, array: Any) -> None:
        Value.__init__(self, world, ("parameter", id(self)))
        Leaf.__init__(self, array)


class _Torch:
    """The stand-in for PyTorch."""

    def __init__(self) -> None:
        self.world = world = World()
        self.initialised: dict[tuple[int, str], Any] = {}
        init = Names("torch.nn.init", self._initialiser)
        functional = Names("torch.nn.functional", lambda name: Function(world, f"F.{name}"))
        nn = Names(
            "torch.nn",
            self._leaf,
            Module=_Module,
            Sequential=_Sequential,
            ModuleDict=_ModuleDict,
            init=init,
            functional=functional,
            Parameter=lambda array: _Parameter(world, array),
        )
        torch = Names("torch", lambda name: Function(world, f"torch.{name}"), nn=nn, Tensor=Value)
        self.modules = {"torch": torch, "torch.nn": nn, "torch.nn.functional": functional}
        self.helpers: dict[str, Any] = {"torch": torch, "F": functional, "nn": nn}
        for name, source in TORCH_HELPERS.items():
            base = re.search(rf"class {name}\(nn\.(\w+)\)", source)
            parent = TorchLeaf if base is None or base[1] == "Module" else getattr(nn, base[1])
            self.helpers[name] = (
                type(name, (parent,), {"world": world, "kind": name}) if base else Function(world, name)
            )

    def _leaf(self, name: str) -> type:
        return type(name, (TorchLeaf,), {"world": self.world, "kind": f"nn.{name}"})

    def _initialiser(self, name: str) -> Callable[..., None]:
        def record(where: Any, *args: Any, **kwargs: Any) -> None:
            module, weight = (where, "") if isinstance(where, _Parameter) else where
            self.initialised[id(module), weight] = name, args, kwargs

        return record


def check_torch(source: str, graph: Graph, options: Options, arguments: Mapping[str, Any], *, training: bool) -> None:
    """Run generated PyTorch code on symbols; raises `Deviation` where it is not what the graph says."""
    stand_in = _Torch()
    world = stand_in.world
    namespace = _execute(source, stand_in.modules, stand_in.helpers, TORCH_HELPERS)
    model = namespace[safe(graph.name)](**arguments)
    leaves = {path: leaf for path, leaf in _walk(model) if isinstance(leaf, Leaf)}
    if len({id(leaf) for leaf in leaves.values()}) < len(leaves):
        raise Deviation("one module under two paths")
    for path, leaf in leaves.items():
        leaf.path = path
    inputs = [world.make("input", port.name) for port in graph.inputs]
    with mock.patch.object(_Module, "training", training):
        results = model(*inputs)
    world.frozen = True
    evaluation = {**namespace, **stand_in.helpers}
    values: dict[int, Any] = dict(zip((port.value for port in graph.inputs), inputs, strict=True))
    for node in graph.layers:
        leaf = leaves.get(node.path)
        emissions = options(node)
        if leaf is not None:
            problems = {
                leaf.differs(stage.module, evaluation)
                for emission in emissions
                for stage in emission.stages
                if stage.module
            }
            if None not in problems:
                raise Deviation(f"`{node.path}`: {'; '.join(map(str, problems)) or 'it should be no module'}")
        if node.auxiliary and not training:
            continue
        given = [values[v] for v in node.inputs]
        made: Any = None
        if isinstance(leaf, _Parameter):
            made = leaf
        elif leaf is not None:
            made = world.make("module", node.path, *given)
        else:
            formulas = [emission.stages[-1].formula for emission in emissions]
            made = _one_of(world, [formula for formula in formulas if formula is not None], given, evaluation, node)
        made = [made] if len(node.outputs) == 1 else list(made)
        values.update(zip(node.outputs, made, strict=True))
    unknown = leaves.keys() - {node.path for node in graph.layers}
    if unknown:
        raise Deviation(f"modules of no layer: {', '.join(sorted(unknown))}")
    # Auxiliary outputs follow the others, in training only.
    ports = [port for port in graph.outputs if not port.auxiliary]
    ports += [port for port in graph.outputs if training and port.auxiliary]
    _finish(world, ports, values, results if isinstance(results, tuple) else (results,))
    found, stand_in.initialised = stand_in.initialised, {}
    for node in graph.layers:
        for name, template in initialisation(node):
            leaf = leaves[node.path]
            if template is not None:
                where = leaf if isinstance(leaf, _Parameter) else (leaf, name)
                eval(template.format("_where"), {**evaluation, "_where": where})
            if found.get((id(leaf), name)) != stand_in.initialised.get((id(leaf), name)):
                raise Deviation(f"`{node.path}.{name}` starts with {found.get((id(leaf), name))}, not {template}")


def _one_of(
    world: World, formulas: Sequence[Formula], given: Sequence[Any], namespace: dict[str, Any], node: Node
) -> Any:
    """The value of the one formula that the code computes."""
    problem = Deviation(f"`{node.path}` is no module, and has no formula")
    for formula in formulas:
        before = set(world.visited)
        try:
            return _apply(formula, given, namespace)
        except Deviation as deviation:
            world.visited = before
            problem = Deviation(f"`{node.path}`: {deviation}")
    raise problem


# ---- Keras ---------------------------------------------------------------------------------------------------------


class KerasLeaf(Leaf):
    def __init__(self, *args: Any, name: str, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        if name in self.known:
            raise Deviation(f"two layers are named {name}")
        self.path = name
        self.known[name] = self

    known: dict[str, KerasLeaf]

    def __call__(self, values: Any) -> Value:
        self.called = getattr(self, "called", 0) + 1
        if self.called > 1:
            raise Deviation(f"`{self.path}` is applied twice")
        return self.world.make("layer", self.path, values)


class _Keras:
    """The stand-in for Keras."""

    def __init__(self, graph: Graph) -> None:
        self.world = world = World()
        self.leaves: dict[str, KerasLeaf] = {}
        self.inputs: dict[str, Value] = {}
        self.model: tuple[Any, Any, str] | None = None
        self.shapes = {layer_name(node.path): [graph.values[v] for v in node.outputs] for node in graph.layers}
        self.ports = {port.name: graph.values[port.value] for port in graph.inputs}
        world.shape_of = self._shape
        world.parts = lambda value: len(self.shapes[value.key[1][1]])
        layers = Names("keras.layers", lambda name: self._leaf(f"layers.{name}"))
        initializers = Names("keras.initializers", lambda name: Function(world, f"keras.initializers.{name}"))
        keras = Names(
            "keras",
            lambda name: Function(world, f"keras.{name}"),
            layers=layers,
            initializers=initializers,
            ops=Names("keras.ops", lambda name: Function(world, f"ops.{name}")),
            Input=self._input,
            Model=self._model,
            KerasTensor=Value,
        )
        self.modules = {"keras": keras}
        self.helpers: dict[str, Any] = {"keras": keras, "layers": layers}
        for name, source in KERAS_HELPERS.items():
            self.helpers[name] = self._leaf(name) if re.search(rf"class {name}\b", source) else Function(world, name)

    def _leaf(self, name: str) -> type:
        return type(name, (KerasLeaf,), {"world": self.world, "kind": name, "known": self.leaves})

    def _input(self, shape: tuple[Any, ...], *, name: str) -> Value:
        size = self.ports[name]
        if shape != tuple(size if isinstance(size, int) else None for size in (*size[1:], size[0])):
            raise Deviation(f"the input {name} has the shape {shape}")
        self.inputs[name] = self.world.make("input", name)
        return self.inputs[name]

    def _model(self, inputs: Any, outputs: Any, *, name: str) -> Any:
        self.model = inputs, outputs, name
        return self.model

    def _shape(self, value: Value) -> tuple[Any, ...]:
        """Channels last, behind the batch."""
        number = 0
        if value.key[0] == ("str", "item"):
            number, value = value.key[2][1], value.key[1]
        name = value.key[1][1]
        size = self.ports[name] if value.key[0] == ("str", "input") else self.shapes[name][number]
        return (None, *size[1:], size[0])


def check_keras(source: str, graph: Graph, options: Options, arguments: Mapping[str, Any]) -> None:
    """Run generated Keras code on symbols; raises `Deviation` where it is not what the graph says."""
    stand_in = _Keras(graph)
    world = stand_in.world
    namespace = _execute(source, stand_in.modules, stand_in.helpers, KERAS_HELPERS)
    if namespace[function_name(graph.name)](**arguments) is not stand_in.model or stand_in.model is None:
        raise Deviation("the function returns no model")
    world.frozen = True
    evaluation = {**namespace, **stand_in.helpers}
    values: dict[int, Any] = {port.value: stand_in.inputs[port.name] for port in graph.inputs}
    seen = set()
    for node in graph.layers:
        made: Any = [values[v] for v in node.inputs]
        stages = [emission.stages for emission in options(node)]
        names = [
            [layer_name(f"{node.path}.{stage.suffix}" if stage.suffix else node.path) for stage in one]
            for one in stages
        ]
        problems: list[str] = []
        for some, called in zip(stages, names, strict=True):
            wrong = [f"there is no {name}" for name in called if name not in stand_in.leaves] or [
                f"`{name}`: {problem}"
                for name, stage in zip(called, some, strict=True)
                if stage.module is not None and (problem := stand_in.leaves[name].differs(stage.module, evaluation))
            ]
            if not wrong:
                break
            problems += wrong
        else:
            raise Deviation("; ".join(problems))
        for name in called:
            seen.add(name)
            if made:
                made = [world.make("layer", name, made[0] if len(made) == 1 else made)]
            else:
                # A learned array is called on any value, of which it takes the size of the batch.
                made = [value for value in world.values.values() if value.key[:2] == (("str", "layer"), ("str", name))]
                world.visited.update(value.key for value in made)
        values.update(zip(node.outputs, made if len(node.outputs) == 1 else list(made[0]), strict=True))
    if seen != stand_in.leaves.keys():
        raise Deviation(f"layers of no node: {', '.join(sorted(stand_in.leaves.keys() - seen))}")
    inputs, outputs, _ = stand_in.model
    if (inputs if isinstance(inputs, list) else [inputs]) != [values[port.value] for port in graph.inputs]:
        raise Deviation("the model has other inputs")
    _finish(world, graph.outputs, values, outputs if isinstance(outputs, list) else [outputs])


# ---- both ----------------------------------------------------------------------------------------------------------


@contextmanager
def _overheard(dialect: type) -> Iterator[dict[int, list[tuple[Emission, list[Place]]]]]:
    """What the planner is told of each node, together with which other places, by the node's identity."""
    told: dict[int, list[tuple[Emission, list[Place]]]] = {}
    describe = dialect.describe  # type: ignore[attr-defined]

    def listening(self: Any, places: Sequence[Place]) -> list[Emission]:
        emissions: list[Emission] = describe(self, places)
        for place, emission in zip(places, emissions, strict=True):
            known = told.setdefault(id(place.node), [])
            if all(emission != other or len(places) > len(beside) for other, beside in known):
                known.append((emission, places))
        return emissions

    with mock.patch.object(dialect, "describe", listening):
        yield told


def check(
    backend: str,
    graph: Graph,
    probes: Sequence[Graph] = (),
    others: Sequence[Graph] = (),
    change: Callable[[str], str] = lambda source: source,
) -> str:
    """Emit a graph and hold the code to it, and with other arguments to the graphs of these.

    ``probes`` are given to the emitter, ``others`` are not; graphs with parameters that the code does not take are left
    out.  ``change`` may damage the code, to see that it is noticed.  Returns the source.
    """
    emitter, dialect, emitters = _BACKENDS[backend]
    with _overheard(dialect) as told:
        source = change(emitter(graph, probes))
    name = safe(graph.name) if backend == "torch" else function_name(graph.name)
    definition = source.rpartition(f"class {name}(nn.Module):" if backend == "torch" else f"def {name}(")[2]
    taken = set(re.findall(r"(\w+): \w+ = ", re.split(r" -> (?:None|keras.Model):", definition)[0]))
    by_path = {node.path: node for node in graph.layers}
    # Of the places that an emission was told with, one of each kind: by the identity of their list.
    distinct: dict[int, list[Place]] = {}
    alone: list[Place] = []
    for one in [graph, *probes[-1:], *others]:
        arguments = {safe(name): value for name, value in one.parameters.items() if value != graph.parameters[name]}
        if not arguments.keys() <= taken:
            continue

        def options(node: Node, one: Graph = one) -> Sequence[Emission]:
            if id(node) in told:
                return [emission for emission, _ in told[id(node)]]
            # In the form that it has beside the other uses of its place.
            shapes = tuple(one.values[v] for v in node.inputs), tuple(one.values[v] for v in node.outputs)
            place = Place(node, *shapes, Surroundings(one))
            known = told[id(by_path[node.path])] if node.path in by_path else []
            beside = max((places for _, places in known), key=len, default=alone)
            if id(beside) not in distinct:
                by_kind = {(repr(other.node.layer), other.inputs): other for other in beside}
                distinct[id(beside)] = list(by_kind.values())
            return [emitters[type(node.layer)]([place, *places])[0] for places in (distinct[id(beside)], [])]

        if backend == "keras":
            check_keras(source, one, options, arguments)
        else:
            for training in {False, any(port.auxiliary for port in one.outputs)}:
                check_torch(source, one, options, arguments, training=training)
    return source


_BACKENDS: dict[str, tuple[Any, type, Mapping[Any, Any]]] = {
    "torch": (cnnspec_torch.emit.emit, cnnspec_torch.emit.TorchDialect, cnnspec_torch.emit.EMITTERS),
    "keras": (cnnspec_keras.emit.emit, cnnspec_keras.emit.KerasDialect, cnnspec_keras.emit.EMITTERS),
}
