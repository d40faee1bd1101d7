"""Generated code run without a framework: what it computes, step by step, against what each layer says it becomes.

A backend's stand-ins for its framework record every constructor and every call.  A value is an expression: what made
it, from which values.  Equal expressions are one object, so "the code computes this" is a look-up.  The planner and the
printers are held to the emissions of the single layers, node by node: the same constructor under the same path, applied
to the same values, and nothing besides.  The arguments of its constructor settle the shapes of a layer's weights.
"""

from __future__ import annotations

import builtins
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from symtable import symtable
from types import ModuleType
from typing import Any

from typing_extensions import override

from cnnspec.codegen.emission import REQUIRED, Construct, Emission, Formula, Sizes, literal
from cnnspec.graph import Node, Port

Options = Callable[[Node], Sequence[Emission]]
"""What a node may be, in one of the forms that its uses could agree on."""


class Deviation(Exception):
    """Generated code that does something else than its graph."""


class Value:
    """An expression of the recorded computation."""

    def __init__(self, world: World, key: tuple[Any, ...]) -> None:
        self.world = world
        self.key = key

    @override
    def __repr__(self) -> str:
        return f"<{' '.join('<...>' if isinstance(part, Value) else str(part) for part in self.key)}>"

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
        if isinstance(value, tuple | list):  # which layers take alike
            return ("tuple", *map(self.canonical, value))
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

    @override
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
        if construct.indifferent:
            return None
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


def execute(
    source: str, modules: Mapping[str, Any], helpers: dict[str, Any], texts: Mapping[str, str]
) -> dict[str, Any]:
    """Run a generated file with stand-ins for what it imports and for its helpers, whose ``texts`` are left out.

    Raises whatever running it does, and `Deviation` for a name that the file does not define, executed or not.
    """
    if unknown := _undefined(source):
        raise Deviation(f"the code does not define {', '.join(unknown)}")
    for name in helpers.keys() & texts.keys():
        source = source.replace(texts[name].strip("\n"), "")

    def load(name: str, globals: Any = None, locals: Any = None, fromlist: Any = (), level: int = 0) -> Any:
        if name in ("collections", "collections.abc", "functools", "math", "sys"):
            return __import__(name, globals, locals, fromlist, level)
        if name not in modules:
            raise Deviation(f"the code imports {name}")
        # `import a.b as c` asks for `a`, and takes `b` from it.
        return modules[name] if fromlist else modules[name.partition(".")[0]]

    namespace: dict[str, Any] = {
        "__builtins__": {**vars(builtins), "__import__": load},
        "__name__": "generated",
        **helpers,
    }
    exec(compile(source, "<generated>", "exec"), namespace)
    return namespace


def _undefined(source: str) -> list[str]:
    """Names that a file reads and nowhere defines."""
    top = symtable(source, "<generated>", "exec")
    defined = {s.get_name() for s in top.get_symbols() if s.is_assigned() or s.is_imported() or s.is_namespace()}
    read: set[str] = set()
    waiting = [top]
    while waiting:
        table = waiting.pop()
        waiting += table.get_children()
        # Not `is_global`, which takes a function of the name `top` for the module.
        inner = (
            {s.get_name() for s in table.get_symbols() if s.is_local() or s.is_free()} if table is not top else set()
        )
        read.update({s.get_name() for s in table.get_symbols() if s.is_referenced()} - inner)
    return sorted(read - defined - set(dir(builtins)))


def apply(formula: Formula, inputs: Sequence[Any], namespace: dict[str, Any]) -> Any:
    """What an emitted formula makes of values."""
    fields = {str(i): f"_in[{i}]" for i in range(len(inputs))} | {
        "all": ", ".join(f"_in[{i}]" for i in range(len(inputs)))
    }
    fields |= {name: literal(value) for name, value in formula.values.items()}
    text = re.sub(r"\{(\w+)\}", lambda match: fields[match[1]], formula.pattern)
    return eval(text, {**namespace, "_in": list(inputs)})


def finish(world: World, ports: Sequence[Port], values: Mapping[int, Any], results: Sequence[Any]) -> None:
    """See that the results are the outputs, and that nothing was computed besides."""
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
