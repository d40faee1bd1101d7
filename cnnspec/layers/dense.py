"""Dense layers: every output is a weighted sum of all features."""

from __future__ import annotations

from typing import Literal

from typing_extensions import override

from cnnspec.initialisers import GLOROT_UNIFORM, ZEROS
from cnnspec.layers.base import (
    EVERYTHING,
    Dim,
    Flag,
    Init,
    Layer,
    Positive,
    RuleError,
    Shape,
    VectorInit,
    Weight,
    channels_of,
    product,
    show,
)


class Dense(Layer):
    """Dense (fully connected, linear) layer on a vector ``C``, or on the channels of a map.

    ``out[u] = bias[u] + sum over c of weight[u, c] * in[c]``

    With ``axis = features``, the default, the input is a vector.  With ``axis = channels`` the same sum is taken over
    the channels at each position of a map, as a 1x1 convolution does: ``out[u, p] = bias[u] + sum over c of weight[u,
    c] * in[c, p]``.

    Output: ``units``, or ``units x H x W``.
    Weights: ``weight`` of ``units x C``, ``bias`` of ``units``.
    Cost: ``units * C`` multiply-accumulates for each position; a vector has one.
    Source: Rumelhart, Hinton and Williams, "Learning representations by back-propagating errors" (1986).

    Example: on 784, ``dense(30)`` has 23,550 parameters and gives 30.
    """

    category = "Dense"

    units: Positive
    bias: Flag = True
    axis: Literal["features", "channels"] = "features"
    init: Init = GLOROT_UNIFORM
    bias_init: VectorInit = ZEROS

    @override
    def shapes(self, *inputs: Shape) -> tuple[Shape, ...]:
        (shape,) = inputs
        channels_of(self, shape)
        if len(shape) > 1 and self.axis == "features":
            raise RuleError(
                f"`dense` needs a vector, and its input is {show(shape)}",
                code="dense-needs-vector",
                help=(
                    f"write `flatten` before it: {show(shape)} becomes {product(shape)};\n"
                    f"or `dense({self.units}, axis = channels)` to apply it to the channels at each position: "
                    f"{show(shape)} becomes {show((self.units, *shape[1:]))}"
                ),
            )
        return ((self.units, *shape[1:]),)

    @override
    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        (shape,) = inputs
        weight = Weight(name="weight", shape=(self.units, channels_of(self, shape)), init=self.init)
        if not self.bias:
            return (weight,)
        return weight, Weight(name="bias", shape=(self.units,), init=self.bias_init)

    @override
    def macs(self, inputs: tuple[Shape, ...], outputs: tuple[Shape, ...]) -> Dim:
        return self.units * product(inputs[0])

    @override
    def window(self, *inputs: Shape) -> Literal["everything"] | None:
        return EVERYTHING if len(inputs[0]) == 1 else None
