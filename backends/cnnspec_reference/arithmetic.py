"""Arithmetic: operators on tensors and numbers, and learned parameters."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import numpy as np

from cnnspec.layers.arithmetic import Add, Arithmetic, Divide, Multiply, Parameter, ScaleShift, Subtract
from cnnspec_reference.definition import Array, Definition, Given, Pulled, Result, defines, maps, summed_to

O = TypeVar("O", bound=Arithmetic)  # noqa: E741
Pair = tuple[Array, Array]


def operator(kind: type[O]) -> Callable[[Callable[[Array, Array], tuple[Array, Callable[[Array], Pair]]]], Definition]:
    """Register an operator: from two arrays to the result and a pull to both, in the result's shape."""

    def register(function: Callable[[Array, Array], tuple[Array, Callable[[Array], Pair]]]) -> Definition:
        def definition(layer: O, given: Given) -> Result:
            left, right = given.inputs
            y, pull = function(left, right)

            def pull_both(gradients: tuple[Array, ...]) -> Pulled:
                to_left, to_right = pull(gradients[0])
                return Pulled((summed_to(to_left, left.shape), summed_to(to_right, right.shape)), {})

            return Result((y,), pull_both)

        return defines(kind)(definition)

    return register


@operator(Add)
def _add(left: Array, right: Array) -> tuple[Array, Callable[[Array], Pair]]:
    return left + right, lambda gradient: (gradient, gradient)


@operator(Subtract)
def _subtract(left: Array, right: Array) -> tuple[Array, Callable[[Array], Pair]]:
    return left - right, lambda gradient: (gradient, -gradient)


@operator(Multiply)
def _multiply(left: Array, right: Array) -> tuple[Array, Callable[[Array], Pair]]:
    return left * right, lambda gradient: (gradient * right, gradient * left)


@operator(Divide)
def _divide(left: Array, right: Array) -> tuple[Array, Callable[[Array], Pair]]:
    y = left / right
    return y, lambda gradient: (gradient / right, -gradient * y / right)


@maps(ScaleShift)
def _scale_shift(layer: ScaleShift, x: Array) -> tuple[Array, Callable[[Array], Array]]:
    return layer.scale * x + layer.shift, lambda gradient: layer.scale * gradient


@defines(Parameter)
def _parameter(layer: Parameter, given: Given) -> Result:
    values = given.weights[""]
    # The same for every sample, without a copy for each.
    y = np.broadcast_to(values, (given.batch, *values.shape))
    return Result((y,), lambda gradients: Pulled((), {"": gradients[0].sum(axis=0)}))
