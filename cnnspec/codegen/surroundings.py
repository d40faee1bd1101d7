"""What stands around a layer: what makes its inputs, and what comes right before and after it."""

from __future__ import annotations

import itertools
from collections import Counter
from functools import cached_property

from cnnspec.graph import Branch, Graph, Item, Loop, Node


class Surroundings:
    """Where the layers of a graph stand."""

    def __init__(self, graph: Graph) -> None:
        self.graph = graph

    @cached_property
    def makers(self) -> dict[int, Node]:
        """The layer that makes each value; none makes the inputs of the model."""
        return {value: node for node in self.graph.layers for value in node.outputs}

    def own(self, node: Node) -> Node | None:
        """The layer that makes the one input of this one for it alone, in the same body or in a part of that."""
        (value,) = node.inputs
        maker = self.makers.get(value)
        if maker is None or self._readers[value] > 1:
            return None
        body = self._bodies[node.path]
        return maker if not body or maker.path.startswith(f"{body}.") else None

    @cached_property
    def _readers(self) -> Counter[int]:
        """How many layers and outputs of the model read each value."""
        return Counter(
            [value for node in self.graph.layers for value in node.inputs] + [port.value for port in self.graph.outputs]
        )

    @cached_property
    def _bodies(self) -> dict[str, str]:
        """The path of the innermost block or group around each layer."""
        found: dict[str, str] = {}
        waiting: list[tuple[Item, str]] = [(self.graph.root, "")]
        while waiting:
            item, path = waiting.pop()
            if isinstance(item, Node):
                found[item.path] = path
                continue
            path = path if isinstance(item, Branch | Loop) else item.path
            parts = [one for turn in item.turns for one in turn.body] if isinstance(item, Loop) else item.body
            waiting += [(one, path) for one in parts]
        return found

    def after(self, node: Node) -> Node | None:
        """The layer right behind this one in the same body, if it takes just its one result, and nothing else does.

        All uses of a body that have both layers have them so, or else the body has another structure in them.
        """
        return self._pairs.get(node.path)

    def before(self, node: Node) -> Node | None:
        """The layer that this one is `after`."""
        return self._reversed.get(node.path)

    @cached_property
    def _pairs(self) -> dict[str, Node]:
        reads: Counter[int] = Counter(value for node in self.graph.layers for value in node.inputs)
        pairs: list[tuple[Node, Node]] = []
        waiting: list[Item] = [self.graph.root]
        while waiting:
            item = waiting.pop()
            if isinstance(item, Node):
                continue
            if not isinstance(item, Branch | Loop):
                reads.update(item.outputs)
            for body in [turn.body for turn in item.turns] if isinstance(item, Loop) else [item.body]:
                waiting += body
                pairs += [
                    (one, other)
                    for one, other in itertools.pairwise(body)
                    if isinstance(one, Node) and isinstance(other, Node)
                ]
        return {
            one.path: other
            for one, other in pairs
            if one.outputs == other.inputs and [reads[value] for value in one.outputs] == [1]
        }

    @cached_property
    def _reversed(self) -> dict[str, Node]:
        nodes = {node.path: node for node in self.graph.layers}
        return {other.path: nodes[path] for path, other in self._pairs.items()}
