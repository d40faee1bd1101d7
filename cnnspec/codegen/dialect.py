"""What the planner must know of a target."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence

from cnnspec.codegen.emission import Emission, Place
from cnnspec.codegen.pieces import Piece
from cnnspec.graph import Graph, Node


class Dialect(ABC):
    """A target, as the planner sees it."""

    implicit_channels: bool
    """Whether the channels of an input are a constructor parameter (PyTorch) or read from the value (Keras)."""

    one_scope: bool
    """Whether the arguments of a definition and the variables of its forward pass are names of one function (Keras)."""
    layer_class: str
    """The class of all layers, of which the type of a parameter that takes one is made."""
    value_class: str
    """That of values, if what has no weights can be a function of them; else empty: each has a name, as in Keras."""
    helpers: frozenset[str]
    """The names of definitions that a file may bring along."""

    @abstractmethod
    def name(self, definition: str) -> str:
        """What a block's definition is called."""

    @abstractmethod
    def made_by(self, name: str) -> str:
        """The type of what the definition of a block makes."""

    @abstractmethod
    def model_name(self, name: str) -> str:
        """What the definition of the model is called."""

    def __init__(self) -> None:
        self.told: dict[int, list[tuple[Emission, Sequence[Place]]]] = {}
        """What the planner was told of each node, with the places beside it, by the node's identity."""

    def describe(self, places: Sequence[Place]) -> list[Emission]:
        """What one layer becomes in each of its uses; it is remembered, for the code to be held to."""
        emissions = self.emissions(places)
        for place, emission in zip(places, emissions, strict=True):
            known = self.told.setdefault(id(place.node), [])
            if all(emission != other or len(places) > len(beside) for other, beside in known):
                known.append((emission, places))
        return emissions

    def forms(self, node: Node) -> list[Emission]:
        """What a layer of the graph may be in the code: the forms that its uses could agree on."""
        return [emission for emission, _ in self.told.get(id(node), [])]

    def shares_model(self, graphs: Sequence[Graph]) -> bool:
        """Whether what a target says of a model besides its layers is the same for all of these."""
        return len({tuple((port.name, port.auxiliary) for port in (*g.inputs, *g.outputs)) for g in graphs}) == 1

    @abstractmethod
    def emissions(self, places: Sequence[Place]) -> list[Emission]:
        """What one layer becomes in each of its uses."""

    @abstractmethod
    def inlines(self, uses: Sequence[tuple[Graph, Piece]]) -> bool:
        """Whether a group is printed in place, rather than as a definition of its own."""

    @abstractmethod
    def opaque(self) -> bool:
        """Whether a group printed in place is one object that values pass through whole."""
