"""Arithmetic: the layers behind ``+ - * /`` between tensors and numbers, and learned parameters."""

from __future__ import annotations

from abc import ABC

from typing_extensions import override

from cnnspec.layers.base import (
    Layer,
    Real,
    RuleError,
    SameShape,
    Shape,
    Sizes,
    Symbolic,
    VectorInit,
    Weight,
    axis_name,
    show,
)
from cnnspec.layers.convolution import Conv
from cnnspec.layers.dense import Dense


class Arithmetic(Layer, ABC):
    """Common to the operators on two tensors.

    Both have as many axes; sizes are equal, or one of them is 1 and counts for every position (NumPy's broadcasting).
    """

    category = "Arithmetic"
    inputs = (2, 2)
    arithmetic = True

    @override
    def shapes(self, *inputs: Shape) -> tuple[Shape, ...]:
        left, right = inputs
        if len(left) != len(right):
            raise self._mismatch(left, right, f"{_axes(left)} and {_axes(right)}")
        unequal = [i for i, (a, b) in enumerate(zip(left, right, strict=True)) if a != b and a != 1 and b != 1]
        if unequal:
            # All axes that differ are named: those that could be broadcast are often part of the same mistake.
            differing = [i for i, (a, b) in enumerate(zip(left, right, strict=True)) if a != b]
            detail = ", ".join(f"{axis_name(len(left), i)} {left[i]} and {right[i]}" for i in differing)
            raise self._mismatch(left, right, detail)
        return (tuple(b if a == 1 else a for a, b in zip(left, right, strict=True)),)

    def _mismatch(self, left: Shape, right: Shape, detail: str) -> RuleError:
        return RuleError(
            f"cannot {self.kind} {show(left)} and {show(right)}",
            code="shape-mismatch",
            detail=detail,
            help=_projection(left, right) or _projection(right, left, "second") or _reshaping(left, right),
        )


def _axes(shape: Shape) -> str:
    return "1 axis" if len(shape) == 1 else f"{len(shape)} axes"


def _projection(source: Shape, goal: Shape, which: str = "first") -> str:
    """A layer that gives one operand the other's shape, in words; empty where a 1x1 convolution cannot."""
    if len(source) != len(goal) or not goal or not isinstance(goal[0], int):
        return ""
    layer: Conv | Dense
    if len(goal) == 1:
        layer = Dense(units=goal[0])
        text = f"dense({goal[0]})"
    else:
        strides = tuple(_stride(size, wanted) for size, wanted in zip(source[1:], goal[1:], strict=True))
        stride = strides[0] if len(set(strides)) == 1 else strides
        layer = Conv(filters=goal[0], kernel=1, stride=stride)
        text = f"conv({goal[0]}, {show((1,) * len(strides))}"
        text += ")" if stride == 1 else f", stride = {stride if isinstance(stride, int) else show(stride)})"
    try:
        (out,) = layer.shapes(source)
    except RuleError:
        return ""
    return f"project the {which}: `{text}` makes it {show(out)}" if out == goal else ""


def _stride(size: int | Symbolic, wanted: int | Symbolic) -> int:
    """The smallest stride that could take a size to another; 1 where none can."""
    if isinstance(size, int) and isinstance(wanted, int) and size > wanted:
        return (size - 1) // wanted + 1
    return 1


def _reshaping(left: Shape, right: Shape) -> str:
    """How a vector can be spread over a map of as many channels."""
    for which, short, long in (("first", left, right), ("second", right, left)):
        if len(short) == 1 and len(long) > 1 and short[0] == long[0]:
            target = [short[0], *(1 for _ in long[1:])]
            return f"spread the {which} over the map: `reshape({target})` makes it {show(tuple(target))}"
    return "sizes must be equal, or 1 in one of the two"


class Add(Arithmetic):
    """Sum of two tensors: ``x + y``.

    ``out = left + right``

    Both have as many axes; sizes are equal, or one of them is 1 and counts for every position.

    Example: 64x56x56 and 64x56x56 give 64x56x56.
    """


class Subtract(Arithmetic):
    """Difference of two tensors: ``x - y``.

    ``out = left - right``

    Both have as many axes; sizes are equal, or one of them is 1 and counts for every position.

    Example: 64x56x56 and 64x1x1 give 64x56x56.
    """


class Multiply(Arithmetic):
    """Product of two tensors, value by value: ``x * y``.

    ``out = left * right``

    Both have as many axes; sizes are equal, or one of them is 1 and counts for every position.

    Example: 64x56x56 and 64x1x1 give 64x56x56, as in squeeze and excitation.
    """


class Divide(Arithmetic):
    """Quotient of two tensors, value by value: ``x / y``.

    ``out = left / right``

    Both have as many axes; sizes are equal, or one of them is 1 and counts for every position.

    Example: 64x56x56 and 1x56x56 give 64x56x56.
    """


class ScaleShift(SameShape):
    """Arithmetic of a tensor with a number: ``2 * x``, ``x - 0.5``, ``x / 255``.

    ``out = scale * in + shift``

    Output: as the input.

    Example: ``1 - x`` is ``x -> scale_shift(-1, 1)``.
    """

    category = "Arithmetic"
    arithmetic = True

    scale: Real = 1.0
    shift: Real = 0.0


class Parameter(Layer):
    """A learned array, the same for every sample.

    It has no input.  ``init`` is an initialiser without fans, or the number that it starts at.

    Output: ``shape``.
    Weights: one of ``shape``, named by the parameter itself.

    Example: ``scale = parameter([x.channels, 1, 1], init = 1e-6)``, then ``x * scale``.
    """

    category = "Arithmetic"
    inputs = (0, 0)

    shape: Sizes
    init: VectorInit

    @override
    def shapes(self, *inputs: Shape) -> tuple[Shape, ...]:
        return (self.shape,)

    @override
    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        return (Weight(name="", shape=self.shape, init=self.init),)
