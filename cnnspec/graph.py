"""The graph: a network with every block and loop expanded, every shape known, and its structure kept.

A `Graph` is immutable data and goes through JSON unchanged (`Graph.model_dump_json`, `Graph.model_validate_json`).
Its body is a tree: a `Scope` for each use of a block or group, a `Node` for each layer, and `Branch` and `Loop` where
the spec had an ``if`` or a ``for``, so that emitters can keep the structure a person wrote.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer, PlainValidator, WithJsonSchema
from typing_extensions import TypeAliasType, override

from cnnspec.diagnostics import Span
from cnnspec.layers import LAYERS
from cnnspec.layers.base import Layer, Weight
from cnnspec.shapes import Dim, Dims, Shape

SCHEMA_VERSION = 1

# A named alias: Pydantic follows a recursive one by its name only.
Plain = TypeAliasType("Plain", "bool | int | float | str | tuple[Plain, ...]")


def _read_layer(value: Any) -> Layer:
    if isinstance(value, Layer):
        return value
    if not isinstance(value, dict) or value.get("kind") not in LAYERS:
        raise ValueError("a layer is an object with its `kind` and arguments")
    return LAYERS[value["kind"]](**{name: argument for name, argument in value.items() if name != "kind"})


def _write_layer(layer: Layer) -> dict[str, Any]:
    return {"kind": layer.kind, **layer.model_dump(mode="json")}


# `json_schema` puts the reference to all layers in its place, once they are defined.
AnyLayer = Annotated[
    Layer, PlainValidator(_read_layer), PlainSerializer(_write_layer), WithJsonSchema({"title": "Layer"})
]


class _Part(BaseModel):
    # Validators are built when a graph is first read: expansion makes its parts by `model_construct`, from values it
    # has checked itself, and a check of a spec never needs them.
    model_config = ConfigDict(frozen=True, extra="forbid", defer_build=True)


class Node(_Part):
    """One layer in place.  ``inputs`` and ``outputs`` are numbers of values; ``Graph.values`` has their shapes.

    ``auxiliary`` marks what only a training pass computes.
    """

    type: Literal["node"] = "node"
    path: str
    layer: AnyLayer
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    weights: tuple[Weight, ...]
    macs: Dim
    auxiliary: bool
    operator: bool
    """Written as an operator (`x + y`) or a call on values (`concat(x, y)`), not as a stage of the flow."""
    label: str
    """What the path adds to that of the scope it stands in."""
    named: bool
    """Whether the spec gave the label, rather than the kind and a number."""
    span: Span
    sources: dict[str, Span] = Field(default_factory=dict)
    """Where the layer's arguments are written, by name: each an expression over the names of the body around it."""

    @property
    def params(self) -> int:
        return sum(weight.size for weight in self.weights if weight.trainable)

    def key(self, weight: Weight) -> str:
        """The name of a weight in the state of the network."""
        return f"{self.path}.{weight.name}" if weight.name else self.path


class Branch(_Part):
    """An ``if``: ``taken`` is 0 for the first body, 1 for the ``else`` (an ``else if`` is a branch in it).

    ``bindings`` are the names that the body gave a value of the network that was there before.
    """

    type: Literal["branch"] = "branch"
    span: Span
    taken: int
    bindings: tuple[tuple[str, int], ...] = ()
    body: tuple[Item, ...]


class Turn(_Part):
    """One turn of a loop, with the values its variables had."""

    variables: dict[str, Plain]
    body: tuple[Item, ...]


class Loop(_Part):
    """A ``for``, turn by turn."""

    type: Literal["loop"] = "loop"
    span: Span
    turns: tuple[Turn, ...]


class Scope(_Part):
    """A use of a block (``definition`` is its name), or of a group (``definition`` is empty).

    ``arguments`` and ``names`` are the plain values of its parameters and of the names it bound; ``sources`` tells
    where the arguments are written, by parameter: each an expression over the names of the body around it.
    """

    type: Literal["scope"] = "scope"
    path: str
    label: str
    named: bool
    definition: str
    origin: Span
    """The body's place: where the block's name or the group's brace stands."""
    span: Span
    arguments: dict[str, Plain]
    sources: dict[str, Span] = Field(default_factory=dict)
    names: dict[str, Plain]
    bindings: tuple[tuple[str, int], ...]
    """The values of the network that the body gave a name, in order."""
    inputs: tuple[int, ...]
    input_names: tuple[str, ...]
    outputs: tuple[int, ...]
    auxiliary: bool
    body: tuple[Item, ...]


Item = Annotated[Node | Scope | Branch | Loop, Field(discriminator="type")]


class Port(_Part):
    """An input or output of the model."""

    name: str
    value: int
    auxiliary: bool = False


class Graph(_Part):
    """A model, expanded and checked."""

    version: int = SCHEMA_VERSION
    name: str
    parameters: dict[str, Plain]
    """The model's parameters, as they were for this expansion."""
    inputs: tuple[Port, ...]
    outputs: tuple[Port, ...]
    values: tuple[Shape, ...]
    root: Scope
    sources: dict[str, str]
    """The text of every file the model came from, by the name that spans use."""

    @cached_property
    def layers(self) -> tuple[Node, ...]:
        """Every layer in the order of computation."""
        return tuple(walk(self.root))

    @cached_property
    def params(self) -> int:
        """Trainable parameters, those of auxiliary heads included."""
        return sum(node.params for node in self.layers)

    @cached_property
    def buffer_elements(self) -> int:
        """Elements that are kept but not trained: running statistics."""
        return sum(weight.size for node in self.layers for weight in node.weights if not weight.trainable)

    @cached_property
    def macs(self) -> Dim:
        """Multiply-accumulates of one forward pass in evaluation mode, batch 1; convolutions and dense layers only."""
        total: Dim = 0
        for node in self.layers:
            if not node.auxiliary:
                total = total + node.macs
        return total

    @cached_property
    def state(self) -> dict[str, Weight]:
        """Every weight by its key, in order of computation."""
        return {node.key(weight): weight for node in self.layers for weight in node.weights}

    def shape(self, value: int) -> Shape:
        return self.values[value]

    def _repr_html_(self) -> str:
        from cnnspec.facts.report import as_html

        return as_html(self)

    @override
    def __str__(self) -> str:
        from cnnspec.facts.report import as_text

        return as_text(self)


def walk(item: Item) -> Iterator[Node]:
    """The layers below an item, in order of computation."""
    if isinstance(item, Node):
        yield item
    elif isinstance(item, Loop):
        for turn in item.turns:
            for inner in turn.body:
                yield from walk(inner)
    else:
        for inner in item.body:
            yield from walk(inner)


def json_schema() -> dict[str, Any]:
    """The JSON Schema of a serialised graph, with every layer's arguments."""
    schema = Graph.model_json_schema(mode="serialization")
    definitions: dict[str, Any] = schema["$defs"]
    definitions["Node"]["properties"]["layer"] = {"$ref": "#/$defs/Layer"}
    references = []
    for kind, layer in LAYERS.items():
        one = layer.model_json_schema(mode="serialization")
        definitions.update(one.pop("$defs", {}))
        one["properties"] = {"kind": {"const": kind}, **one.get("properties", {})}
        one["required"] = ["kind", *one.get("required", [])]
        definitions[f"layer_{kind}"] = one
        references.append({"$ref": f"#/$defs/layer_{kind}"})
    definitions["Layer"] = {"oneOf": references}
    return {"$schema": "https://json-schema.org/draft/2020-12/schema", **schema}


def plain(value: Any) -> Plain | None:
    """A spec-time value as plain data; None for layers, tensors and sizes that are not known."""
    if isinstance(value, bool | int | float | str | Dims):
        return value
    if isinstance(value, list | tuple | range):
        items = [plain(item) for item in value]
        return None if any(item is None for item in items) else tuple(item for item in items if item is not None)
    return None


def plain_names(values: Mapping[str, Any]) -> dict[str, Plain]:
    """The plain ones of named values."""
    found = {name: plain(value) for name, value in values.items()}
    return {name: value for name, value in found.items() if value is not None}
