"""The multiply-accumulates of a training step."""

from __future__ import annotations

from cnnspec.graph import Graph
from cnnspec.shapes import Dim


def training_macs(graph: Graph) -> dict[str, Dim]:
    """The multiply-accumulates of one training step of one sample, by the path of the layer.

    A convolution or dense layer costs its forward pass, as much again for the gradient of its weight, and as much
    again for that of its input, unless nothing before it is trained: the first layer's input needs no gradient.  So
    a step costs about three forward passes.  As with forward passes, everything else counts nothing; auxiliary heads
    are included, since they are trained.
    """
    needs_gradient: set[int] = set()
    costs: dict[str, Dim] = {}
    for node in graph.layers:
        trained = node.params > 0
        upstream = not needs_gradient.isdisjoint(node.inputs)
        costs[node.path] = node.macs * (1 + trained + upstream)
        if trained or upstream:
            needs_gradient.update(node.outputs)
    return costs
