"""Generated Keras code run on symbols, in place of Keras and its tensors: `cnnspec.codegen.replay`."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from cnnspec.codegen.functions import FUNCTIONS
from cnnspec.codegen.naming import function_name
from cnnspec.codegen.replay import Deviation, Function, Leaf, Names, Options, Value, World, execute, finish
from cnnspec.graph import Graph
from cnnspec_keras.helpers import HELPERS
from cnnspec_keras.initialisers import PREFIX
from cnnspec_keras.layers import layer_name


class KerasLeaf(Leaf):
    def __init__(self, *args: Any, name: str, **kwargs: Any) -> None:
        super().__init__(*map(self._initialiser, args), **{key: self._initialiser(kwargs[key]) for key in kwargs})
        if name in self.known:
            raise Deviation(f"two layers are named {name}")
        self.path = name
        self.known[name] = self

    known: dict[str, KerasLeaf]

    def _initialiser(self, value: Any) -> Any:
        """An initialiser that is given as its configuration, as the call that makes it."""
        if not isinstance(value, dict):
            return value
        return self.world.make("call", f"{PREFIX}{value['class_name']}", *value["config"].values())

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
        for name, source in HELPERS.items():
            if name in FUNCTIONS:  # run as they are
                continue
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


def replay(
    source: str, graph: Graph, options: Options, arguments: Mapping[str, Any], *, entry: str | None = None
) -> None:
    """Run generated Keras code on symbols; raises `Deviation` where it is not what the graph says.

    ``entry`` makes the model of these arguments: the function of its name, unless that is told.
    """
    stand_in = _Keras(graph)
    world = stand_in.world
    namespace = execute(source, stand_in.modules, stand_in.helpers, HELPERS)
    if namespace[entry or function_name(graph.name)](**arguments) is not stand_in.model or stand_in.model is None:
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
    finish(world, graph.outputs, values, outputs if isinstance(outputs, list) else [outputs])
