"""Generated PyTorch code run on symbols, in place of PyTorch and tensors: `cnnspec.codegen.replay`."""

from __future__ import annotations

import re
from collections import OrderedDict
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from typing_extensions import override

from cnnspec.codegen.emission import Emission
from cnnspec.codegen.functions import FUNCTIONS
from cnnspec.codegen.naming import safe
from cnnspec.codegen.replay import Deviation, Function, Leaf, Names, Options, Value, World, apply, execute, finish
from cnnspec.graph import Graph, Node
from cnnspec_torch.helpers import HELPERS
from cnnspec_torch.layers import initialisation, statement

EXECUTED = {*FUNCTIONS, "add_submodule"}
"""Helpers that are run as they are."""


class _Module:
    training = False

    def __init__(self) -> None:
        self.__dict__["_children"] = {}

    @override
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
            found = found.parts[part] if isinstance(found, TorchLeaf) else found.__dict__["_children"][part]
        if isinstance(found, _Parameter):
            raise Deviation(f"`{path}` is no module")
        return found

    def get_parameter(self, path: str) -> Any:
        owner, _, name = path.rpartition(".")
        return getattr(self.get_submodule(owner) if owner else self, name)

    def modules(self) -> Iterator[Any]:
        for _, module in _walk(self):
            if not isinstance(module, _Parameter):
                yield module
            if isinstance(module, TorchLeaf):
                yield from module.parts.values()

    def __call__(self, *values: Any) -> Any:
        return self.forward(*values)


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
    kinds: Mapping[str, type[TorchLeaf]] = {}
    """The classes of the modules that a helper is made of, by their names in it."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        # Of the parts of a separable convolution, the one of each channel alone has groups.
        self.parts = {name: kind(groups=0 if name == "depthwise" else 1) for name, kind in self.kinds.items()}

    @property
    def groups(self) -> Any:
        return self.arguments[1].get("groups", 1)

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
        for name, source in HELPERS.items():
            if name in EXECUTED:
                continue
            base = re.search(rf"class {name}\(nn\.(\w+)\)", source)
            parent = TorchLeaf if base is None or base[1] == "Module" else getattr(nn, base[1])
            kinds = {part: getattr(nn, kind) for part, kind in re.findall(r"self\.(\w+) = nn\.(\w+)\(", source)}
            own = {"world": world, "kind": name, "kinds": kinds}
            function = self._initialiser(name) if name.endswith("_") else Function(world, name)
            self.helpers[name] = type(name, (parent,), own) if base else function

    def _leaf(self, name: str) -> type:
        return type(name, (TorchLeaf,), {"world": self.world, "kind": f"nn.{name}"})

    def _initialiser(self, name: str) -> Callable[..., None]:
        def record(where: Any, *args: Any, **kwargs: Any) -> None:
            module, weight = (where, "") if isinstance(where, _Parameter) else where
            self.initialised[id(module), weight] = name, args, kwargs

        return record


def replay(
    source: str,
    graph: Graph,
    options: Options,
    arguments: Mapping[str, Any],
    *,
    training: bool,
    entry: str | None = None,
) -> None:
    """Run generated PyTorch code on symbols; raises `Deviation` where it is not what the graph says.

    ``entry`` makes the model of these arguments: its class, unless that is told.
    """
    stand_in = _Torch()
    world = stand_in.world
    namespace = execute(source, stand_in.modules, stand_in.helpers, HELPERS)
    model = namespace[entry or safe(graph.name)](**arguments)
    leaves = {path: leaf for path, leaf in _walk(model) if isinstance(leaf, Leaf)}
    if len({id(leaf) for leaf in leaves.values()}) < len(leaves):
        raise Deviation("one module under two paths")
    for path, one in leaves.items():
        one.path = path
    inputs = [world.make("input", port.name) for port in graph.inputs]
    for _, module in _walk(model):
        if isinstance(module, _Module):
            module.__dict__["training"] = training
    results = model(*inputs)
    world.frozen = True
    evaluation = {**namespace, **stand_in.helpers}
    # What a definition is given to apply is one object for all its places; it has no weights and no layer's path.
    shared = {path: leaves.pop(path) for path in leaves.keys() - {node.path for node in graph.layers}}
    applied: dict[tuple[Any, ...], list[str]] = {}
    for key in world.values:
        if key[0] == ("str", "module") and key[1][1] in shared:
            applied.setdefault(key[2:], []).append(key[1][1])
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
            several = [] if node.weights else applied.get(tuple(map(world.canonical, given)), [])
            made = _one_of(world, emissions, given, evaluation, node, {path: shared[path] for path in several})
        made = [made] if len(node.outputs) == 1 else list(made)
        values.update(zip(node.outputs, made, strict=True))
    unknown = {
        path for path in shared if not any(key[:2] == (("str", "module"), ("str", path)) for key in world.visited)
    }
    if unknown:
        raise Deviation(f"modules of no layer: {', '.join(sorted(unknown))}")
    # Auxiliary outputs follow the others, in training only.
    ports = [port for port in graph.outputs if not port.auxiliary]
    ports += [port for port in graph.outputs if training and port.auxiliary]
    finish(world, ports, values, results if isinstance(results, tuple) else (results,))
    found, stand_in.initialised = stand_in.initialised, {}
    for node in graph.layers:
        inits = {weight.name: weight.init for weight in node.weights}
        for path, template in initialisation(node):
            own: Any = leaves[node.path]
            part, _, name = path.rpartition(".")
            if part and isinstance(own, TorchLeaf):
                own = own.parts[part]
            where: Any = (own, name)
            if isinstance(own, _Parameter):
                where, name = own, ""
            eval((template or statement(inits[path])).format("_where"), {**evaluation, "_where": where})
            start = found.get((id(own), name))
            # What starts so by itself may be told so, as one of a kind that others of it need be told.
            if start != stand_in.initialised[id(own), name] and not (start is None and template is None):
                raise Deviation(f"`{node.path}.{path}` starts with {start}, not {template}")


def _one_of(
    world: World,
    emissions: Sequence[Emission],
    given: Sequence[Any],
    namespace: dict[str, Any],
    node: Node,
    shared: Mapping[str, Leaf],
) -> Any:
    """The value of the one formula that the code computes, or of the one ``shared`` object, applied to the same."""
    problem = Deviation(f"`{node.path}` is no module, and has no formula")
    attempts: list[Callable[[], Any]] = []
    for emission in emissions:
        last = emission.stages[-1]
        if last.module is not None and len(emission.stages) == 1:
            attempts += [
                partial(world.make, "module", path, *given)
                for path, leaf in shared.items()
                if leaf.differs(last.module, namespace) is None
            ]
        if last.formula is not None:
            attempts.append(partial(apply, last.formula, given, namespace))
    for attempt in attempts:
        before = set(world.visited)
        try:
            return attempt()
        except Deviation as deviation:
            world.visited = before
            problem = Deviation(f"`{node.path}`: {deviation}")
    raise problem
