"""Receptive fields: which positions of the model's input each position of a value can depend on.

A field is followed layer by layer, as in Araujo, Norris and Sim, "Computing receptive fields of convolutional neural
networks" (Distill, 2019): a window of kernel ``k``, dilation ``d`` and stride ``s`` over a value whose positions are
``j`` inputs apart adds ``j * d * (k - 1)`` to the size, multiplies the distance by ``s``, and moves the start by
``-j * pad``.
"""

from __future__ import annotations

from fractions import Fraction
from typing import NamedTuple

from typing_extensions import override

from cnnspec.graph import Graph, Node
from cnnspec.layers.base import EVERYTHING, RuleError, Window
from cnnspec.shapes import Dim, Shape

Position = int | Fraction
"""A place on the input's grid, or between its points where a layer enlarges the map."""


class Field(NamedTuple):
    """What a value sees of the input, one entry for each spatial axis of the input.

    The value at position ``o`` sees ``size`` positions from ``offset + o * stride`` on.  The offset is negative where
    that begins in the padding, and a size can exceed the input.  Where a layer enlarges the map, positions lie between
    those of the input and stride and offset are fractions; sizes are rounded up.  A constant sees nothing: size 0.

    ``whole`` is set for a value each of whose positions can depend on all of the input; its sizes are the input's.
    """

    size: tuple[Dim, ...]
    stride: tuple[Position, ...]
    offset: tuple[Position, ...]
    whole: bool = False

    @override
    def __str__(self) -> str:
        if self.whole:
            return "all"
        if not self.size:
            return "itself"
        return str(self.size[0]) if len(set(self.size)) == 1 else "x".join(map(str, self.size))


class _Axis(NamedTuple):
    """A field on one axis, with its size not rounded yet."""

    size: Position
    stride: Position
    offset: Position


_Seen = tuple[_Axis, ...] | None
"""A field on every axis; None stands for the whole input."""
_NOTHING = _Axis(0, 0, 0)


def receptive_fields(graph: Graph, input: str | None = None) -> dict[int, Field]:
    """The field of every value by its number, with respect to one input of the model, by default the first.

    Where a window cannot be known because a size is symbolic, the whole input stands for it, as the upper bound.
    """
    port = next(port for port in graph.inputs if input in (None, port.name))
    sizes = graph.values[port.value][1:]
    seen: dict[int, _Seen] = {other.value: (_NOTHING,) * len(sizes) for other in graph.inputs}
    seen[port.value] = (_Axis(1, 1, 0),) * len(sizes)
    for node in graph.layers:
        field = _field(node, graph, seen, len(sizes))
        seen.update((output, field) for output in node.outputs)
    # Values far from each other often share a field, above all in what has seen everything.
    fields: dict[_Seen, Field] = {}
    for field in seen.values():
        if field not in fields:
            fields[field] = _whole(sizes) if field is None else _rounded(field)
    return {value: fields[field] for value, field in seen.items()}


def _field(node: Node, graph: Graph, seen: dict[int, _Seen], rank: int) -> _Seen:
    shapes = tuple(graph.values[value] for value in node.inputs)
    fields = [seen[value] for value in node.inputs]
    if all(field is not None and _empty(field) for field in fields):
        return (_NOTHING,) * rank
    if any(field is None for field in fields):
        return None
    try:
        window = node.layer.window(*shapes)
    except RuleError:  # a symbolic size
        return None
    if window == EVERYTHING:
        return None
    merged = _merged([field for field in fields if field is not None], shapes, graph.values[node.outputs[0]])
    if window is None or merged is None:
        return merged
    if len(window.kernel) != rank:
        return None
    return tuple(_through(window, axis, number) for number, axis in enumerate(merged))


def _through(window: Window, axis: _Axis, number: int) -> _Axis:
    """The field behind a sliding window."""
    upscale = window.upscale[number] if window.upscale else 1
    reach = window.dilation[number] * (window.kernel[number] - 1)
    return _Axis(
        axis.size + axis.stride * reach,
        _exact(axis.stride * window.stride[number], upscale),
        axis.offset - _exact(axis.stride * window.pad[number], upscale),
    )


def _merged(fields: list[tuple[_Axis, ...]], shapes: tuple[Shape, ...], out: Shape) -> _Seen:
    """The hull of what several values see, position by position."""
    if len(fields) == 1:
        return fields[0]
    kept = []
    for field, shape in zip(fields, shapes, strict=True):
        if _empty(field):
            continue
        # A size of 1 that is repeated along an axis has no stride there.
        if len(shape) == len(out) and any(own == 1 != other for own, other in zip(shape[1:], out[1:], strict=True)):
            return None
        kept.append(field)
    merged = kept[0]
    for field in kept[1:]:
        if field == merged:
            continue
        axes = [_hull(a, b, size) for a, b, size in zip(merged, field, out[1:], strict=True)]
        if any(axis is None for axis in axes):
            return None
        merged = tuple(axis for axis in axes if axis is not None)
    return merged


def _hull(a: _Axis, b: _Axis, size: Dim) -> _Axis | None:
    """The least field that covers two at each of ``size`` positions; None where that cannot be known."""
    stride = max(a.stride, b.stride)
    if a.stride == b.stride:
        last = 0
    elif isinstance(size, int):
        # The distance between the two grows evenly, so that it is greatest at one of the ends.
        last = size - 1
    else:
        return None
    starts = [axis.offset + position * (axis.stride - stride) for axis in (a, b) for position in (0, last)]
    ends = [start + axis.size for start, axis in zip(starts, (a, a, b, b), strict=True)]
    return _Axis(max(ends) - min(starts), stride, min(starts))


def _exact(numerator: Position, denominator: int) -> Position:
    """The quotient, as an integer where it is one."""
    quotient = Fraction(numerator) / denominator
    return quotient.numerator if quotient.denominator == 1 else quotient


def _empty(field: tuple[_Axis, ...]) -> bool:
    return bool(field) and all(axis.size == 0 for axis in field)


def _whole(sizes: Shape) -> Field:
    return Field(sizes, (0,) * len(sizes), (0,) * len(sizes), whole=True)


def _rounded(field: tuple[_Axis, ...]) -> Field:
    return Field(
        tuple(-(-axis.size // 1) for axis in field),
        tuple(axis.stride for axis in field),
        tuple(_exact(axis.offset, 1) for axis in field),
    )
