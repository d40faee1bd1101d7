"""Generated code run without a framework: what it computes, step by step, against what each layer says it becomes.

Stand-ins for ``torch`` and ``keras`` record every constructor and every call.  A value is an expression: what made it, from which values.
Equal expressions are one object, so that "the code computes this" is a look-up.  The planner and the printers are held to the emissions of
the single layers, node by node: the same constructor under the same path, applied to the same values.
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
from cnnspec.codegen.emission import Construct, Emission, Formula, Place, Stage
from cnnspec.codegen.naming import function_name, safe
from cnnspec.codegen.plan import literal
from cnnspec.graph import Graph, Node, Port
from cnnspec.shapes import Shape
from cnnspec_keras.helpers import HELPERS as KERAS_HELPERS
from cnnspec_keras.layers import layer_name
from cnnspec_torch.helpers import HELPERS as TORCH_HELPERS
from cnnspec_torch.layers import initialisation

Emissions = dict[int, list[Emission]]
"""What the planner was told of each node, by the node's identity."""


class Deviation(AssertionError):
    """Generated code that does something else than its graph."""


class Value:
    """An expression of the recorded computation."""

    def __init__(self, world: World, key: tuple[Any, ...]) -> None:
        self.world = world
        self.key = key

    def __repr__(self) -> str:
        return f"<{' '.join(map(str, self.key))}>"

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        if name == "shape" and self.world.shape_of is not None:
            return self.world.shape_of(self)
        return lambda *args, **kwargs: self.world.make("method", name, self, *args, **kwargs)

    def __getitem__(self, index: Any) -> Any:
        return self.world.make("item", self, index)

    def __iter__(self) -> Iterator[Any]:
        return iter([self[i] for i in range(self.world.outputs(self))])

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
    """All expressions of one run.  Once frozen it makes no new ones: asking for one that the run did not make is an error."""

    def __init__(self) -> None:
        self.values: dict[tuple[Any, ...], Value] = {}
        self.visited: set[tuple[Any, ...]] = set()
        self.frozen = False
        self.shape_of: Callable[[Value], tuple[Any, ...]] | None = None
        self.split: dict[str, int] = {}
        self.initialised: dict[tuple[str, str], tuple[Any, ...]] = {}

    def make(self, *parts: Any, **named: Any) -> Value:
        key = (*map(self.canonical, parts), *((name, self.canonical(value)) for name, value in sorted(named.items())))
        self.visited.add(key)
        if key not in self.values:
            if self.frozen:
                raise Deviation(f"the code does not compute {key}")
            self.values[key] = Value(self, key)
        return self.values[key]

    def canonical(self, value: Any) -> Any:
        if isinstance(value, Value | Leaf | Function):
            return value
        if isinstance(value, tuple | list):
            return (type(value).__name__, *map(self.canonical, value))
        return (type(value).__name__, value)

    def outputs(self, value: Value) -> int:
        """How many parts a value that is unpacked has."""
        if value.key[0] == ("str", "layer"):
            return self.split[value.key[1][1]]
        sizes = next(part for part in value.key[3:] if part[0] in ("int", "tuple", "list"))
        return int(sizes[1]) if sizes[0] == "int" else len(sizes) - 1


class Function:
    """A function of a framework: called, it is an expression."""

    def __init__(self, world: World, name: str) -> None:
        self.world = world
        self.name = name

    def __repr__(self) -> str:
        return self.name

    def __call__(self, *args: Any, **kwargs: Any) -> Value:
        return self.world.make("call", self.name, *args, **kwargs)


class Names(ModuleType):
    """A namespace whose every name is made when it is asked for."""

    def __init__(self, name: str, make: Callable[[str], Any]) -> None:
        super().__init__(name)
        self._make = make

    def __getattr__(self, name: str) -> Any:
        if name.startswith("__"):
            raise AttributeError(name)
        made = self._make(name)
        setattr(self, name, made)
        return made


class Leaf:
    """A layer of a framework, with the arguments it was constructed with."""

    world: World
    kind: str
    arguments: tuple[tuple[Any, ...], dict[str, Any]]
    path: str | None = None


def _same(world: World, construct: Construct, leaf: Leaf, namespace: dict[str, Any]) -> str | None:
    """What distinguishes a recorded constructor call from an emitted one."""
    if leaf.kind != construct.callee:
        return f"it is a {leaf.kind}, not a {construct.callee}"
    args, kwargs = list(leaf.arguments[0]), dict(leaf.arguments[1])
    kwargs.pop("name", None)
    for argument in construct.arguments:
        expected = world.canonical(eval(literal(argument.value), namespace))
        default = world.canonical(eval(literal(argument.default), namespace)) if argument.default.__class__.__name__ != "Required" else None
        if argument.name is None:
            found = world.canonical(args.pop(0)) if args else default
        else:
            found = world.canonical(kwargs.pop(argument.name)) if argument.name in kwargs else default
        if found != expected:
            return f"{argument.name or 'an argument'} is {found}, not {expected}"
    return f"it has {args} {kwargs} besides" if args or kwargs else None


# ---- PyTorch -----------------------------------------------------------------------------------------------------------


class _Module:
    training = False

    def __init__(self) -> None:
        self.__dict__["_children"] = {}

    def __setattr__(self, name: str, value: Any) -> None:
        children = self.__dict__["_children"]
        if isinstance(value, _Module | TorchLeaf | _Parameter):
            self.__dict__.pop(name, None)
            self.add_module(name, value)
        elif name in children:
            raise Deviation(f"`{name}` is a module, and {value!r} is put in its place")
        elif name in self.__dict__ and self.__dict__[name] is not None:
            raise Deviation(f"`{name}` is set twice")
        else:
            self.__dict__[name] = value

    def __getattr__(self, name: str) -> Any:
        try:
            return self.__dict__["_children"][name]
        except KeyError:
            raise AttributeError(name) from None

    def add_module(self, name: str, module: Any) -> None:
        if "." in name or not name:
            raise Deviation(f"{name!r} cannot be the name of a module")
        if name in self.__dict__["_children"] or hasattr(type(self), name):
            raise Deviation(f"there is a `{name}` already")
        self.__dict__["_children"][name] = module

    def get_submodule(self, path: str) -> Any:
        found: Any = self
        for part in path.split("."):
            found = found.__dict__["_children"][part]
        return found

    def get_parameter(self, path: str) -> Any:
        owner, _, name = path.rpartition(".")
        found = self.get_submodule(owner) if owner else self
        return getattr(found, name)

    def modules(self) -> Iterator[Any]:
        for _, module in _walk(self, ""):
            if not isinstance(module, _Parameter):
                yield module

    def __call__(self, *values: Any) -> Any:
        return self.forward(*values)  # type: ignore[attr-defined]


def _walk(module: Any, path: str) -> Iterator[tuple[str, Any]]:
    yield path, module
    if isinstance(module, _Module):
        for name, child in module.__dict__["_children"].items():
            yield from _walk(child, f"{path}.{name}" if path else name)


class _Sequential(_Module):
    def __init__(self, *modules: Any) -> None:
        super().__init__()
        named = modules[0] if len(modules) == 1 and isinstance(modules[0], OrderedDict) else {str(i): m for i, m in enumerate(modules)}
        for name, module in named.items():
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
    def __init__(self, *args: Any, **kwargs: Any) -> None:
        self.arguments = args, kwargs

    def __call__(self, *values: Any) -> Value:
        return self.world.make("module", self.path, *values)

    @property
    def weight(self) -> tuple[str | None, str]:
        return self.path, "weight"

    @property
    def bias(self) -> tuple[str | None, str] | None:
        return None if self.arguments[1].get("bias") is False else (self.path, "bias")


class _Parameter(Value, Leaf):
    kind = "nn.Parameter"

    def __init__(self, world: World, array: Any) -> None:
        Value.__init__(self, world, ("parameter", id(self)))
        self.arguments = (array,), {}


class Torch:
    """The stand-in for PyTorch."""

    def __init__(self) -> None:
        self.world = world = World()
        self.init = Names("torch.nn.init", lambda name: lambda where, *args, **kwargs: self._initialise(name, where, args, kwargs))
        self.nn = Names("torch.nn", self._leaf)
        vars(self.nn).update(
            Module=_Module, Sequential=_Sequential, ModuleDict=_ModuleDict, init=self.init, Parameter=lambda array: _Parameter(world, array)
        )
        self.functional = Names("torch.nn.functional", lambda name: Function(world, f"F.{name}"))
        self.torch = Names("torch", lambda name: Function(world, f"torch.{name}"))
        vars(self.torch).update(nn=self.nn, Tensor=Value)
        vars(self.nn)["functional"] = self.functional
        self.modules = {
            "torch": self.torch, "torch.nn": self.nn, "torch.nn.functional": self.functional,
        }  # fmt: skip

    def _leaf(self, name: str, base: type = TorchLeaf) -> type:
        return type(name, (base,), {"world": self.world, "kind": f"nn.{name}" if base is TorchLeaf else name})

    def helpers(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        for name, source in TORCH_HELPERS.items():
            base = re.search(rf"class {name}\(nn\.(\w+)\)", source)
            if base is None:
                found[name] = Function(self.world, name)
            else:
                parent = TorchLeaf if base[1] == "Module" else getattr(self.nn, base[1])
                found[name] = type(name, (parent,), {"world": self.world, "kind": name})
        return found

    def _initialise(self, name: str, where: Any, args: Any, kwargs: Any) -> None:
        key = (where.path, "") if isinstance(where, _Parameter) else where
        self.world.initialised[key] = (name, self.world.canonical(args), sorted((k, self.world.canonical(v)) for k, v in kwargs.items()))


def _execute(source: str, modules: Mapping[str, Any], helpers: dict[str, Any], texts: Mapping[str, str]) -> dict[str, Any]:
    """Run a generated file with stand-ins for what it imports and for its helpers."""
    for text in texts.values():
        source = source.replace(text.strip("\n"), "")

    def load(name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0) -> Any:
        if name in ("collections", "math"):
            return builtins.__import__(name, globals, locals, fromlist, level)
        if name not in modules:
            raise Deviation(f"the code imports {name}")
        # `import a.b as c` asks for the package and takes the part from it.
        return modules[name] if fromlist else modules[name.partition(".")[0]]

    namespace: dict[str, Any] = {"__builtins__": {**vars(builtins), "__import__": load}, "__name__": "generated", **helpers}
    exec(compile(source, "<generated>", "exec"), namespace)
    return namespace


def check_torch(source: str, graph: Graph, options: Callable[[Node], Sequence[Emission]], arguments: Mapping[str, Any], *, training: bool) -> None:
    """Run generated PyTorch code on symbols; raises `Deviation` where it is not what the graph says."""
    stand_in = Torch()
    world = stand_in.world
    namespace = _execute(source, stand_in.modules, stand_in.helpers(), TORCH_HELPERS)
    model = namespace[safe(graph.name)](**arguments)
    leaves = {path: leaf for path, leaf in _walk(model, "") if isinstance(leaf, Leaf)}
    for path, leaf in leaves.items():
        if leaf.path is not None and leaf.path != path:
            raise Deviation(f"`{leaf.path}` and `{path}` are one module")
        leaf.path = path
    # Again, now that the leaves know their paths: the end of the constructor initialises them.
    model_again = _Rerun(namespace[safe(graph.name)], model)
    model_again.initialise()
    _Module.training = training
    inputs = [world.make("input", port.name) for port in graph.inputs]
    results = model(*inputs)
    _Module.training = False
    world.frozen = True
    evaluation = {**namespace, "torch": stand_in.torch, "F": stand_in.functional, "nn": stand_in.nn}
    values: dict[int, Any] = dict(zip((port.value for port in graph.inputs), inputs, strict=True))
    seen = set()
    for node in graph.layers:
        if node.path in leaves:
            seen.add(node.path)
        if node.auxiliary and not training:
            # Constructed, and not run.
            _fits(world, node, [e.stages[-1].module for e in options(node) if node.path in leaves], leaves.get(node.path), evaluation)
            continue
        given = [values[v] for v in node.inputs]
        made = _results(world, node, options(node), leaves, given, evaluation)
        values.update(zip(node.outputs, made, strict=True))
    if leaves.keys() != seen:
        raise Deviation(f"modules of no layer: {', '.join(sorted(leaves.keys() - seen))}")
    _check_end(world, graph, values, results if isinstance(results, tuple) else (results,), training=training)
    _check_initialisation(stand_in, graph, leaves, evaluation)


class _Rerun:
    """The statements that initialise, run once more on a finished model."""

    def __init__(self, kind: type, model: Any) -> None:
        self.kind = kind
        self.model = model

    def initialise(self) -> None:
        raise NotImplementedError


def _fits(world: World, node: Node, constructs: Sequence[Construct | None], leaf: Leaf | None, namespace: dict[str, Any]) -> None:
    problems = []
    for construct in constructs:
        if construct is None or leaf is None:
            continue
        problem = _same(world, construct, leaf, namespace)
        if problem is None:
            return
        problems.append(problem)
    if problems:
        raise Deviation(f"`{node.path}`: {'; '.join(problems)}")
