"""Convolutions: sliding dot products, cross-correlation as in every framework."""

from __future__ import annotations

from typing_extensions import override

from cnnspec.initialisers import GLOROT_UNIFORM, ZEROS
from cnnspec.layers.base import (
    Amount,
    Dim,
    Flag,
    Init,
    Layer,
    Pad,
    Positive,
    RuleError,
    Shape,
    Size,
    VectorInit,
    Weight,
    Window,
    channels_of,
    padding,
    per_axis,
    product,
    show,
    slide,
    spatial,
)


def _groups_divide(layer: Conv | ConvTranspose, channels: int) -> None:
    for value, what in ((channels, "the input's channels"), (layer.filters, "the filters")):
        if value % layer.groups:
            raise RuleError(
                f"{layer.groups} groups do not divide {what}, {value}",
                code="groups-do-not-divide",
                argument="groups",
                help=f"groups must divide both {channels} and {layer.filters}",
            )


class Conv(Layer):
    """Convolution (cross-correlation) on ``CxL``, ``CxHxW`` or ``CxDxHxW``.

    ``out[o, p] = bias[o] + sum over c, k of weight[o, c, k] * in[g(o) + c, p * stride + k * dilation - pad]``

    with zeros outside the input; channels are taken in ``groups`` blocks.

    Output: ``filters`` channels, each size
    ``floor((size + before + after - dilation * (kernel - 1) - 1) / stride) + 1``.
    Weights: ``weight`` of ``filters x channels/groups x kernel...``, ``bias`` of ``filters``.
    Cost: ``filters * channels/groups * prod(kernel)`` multiply-accumulates for each output position.
    Source: Dumoulin and Visin, "A guide to convolution arithmetic for deep learning" (2016).

    Example: on 1x28x28, ``conv(20, 5x5)`` has 520 parameters and gives 20x24x24.
    """

    category = "Convolutions"

    filters: Positive
    kernel: Size
    stride: Size = 1
    pad: Pad = 0
    dilation: Size = 1
    groups: Positive = 1
    bias: Flag = True
    init: Init = GLOROT_UNIFORM
    bias_init: VectorInit = ZEROS

    def _geometry(self, shape: Shape) -> tuple[Shape, Window, tuple[tuple[int, int], ...]]:
        sizes = spatial(self, shape)
        kernel = per_axis(self, "kernel", self.kernel, len(sizes))
        stride = per_axis(self, "stride", self.stride, len(sizes))
        dilation = per_axis(self, "dilation", self.dilation, len(sizes))
        pads = padding(self, self.pad, sizes, kernel, stride, dilation)
        return sizes, Window(kernel, stride, dilation, tuple(before for before, _ in pads)), pads

    def pads(self, shape: Shape) -> tuple[tuple[int, int], ...]:
        """Zeros before and after on each spatial axis of this input."""
        return self._geometry(shape)[2]

    @override
    def shapes(self, *inputs: Shape) -> tuple[Shape, ...]:
        (shape,) = inputs
        sizes, window, pads = self._geometry(shape)
        channels = channels_of(self, shape)
        _groups_divide(self, channels)
        return ((self.filters, *slide(self, sizes, window.kernel, window.stride, window.dilation, pads)),)

    @override
    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        (shape,) = inputs
        kernel = self._geometry(shape)[1].kernel
        channels = channels_of(self, shape)
        weight = Weight(name="weight", shape=(self.filters, channels // self.groups, *kernel), init=self.init)
        if not self.bias:
            return (weight,)
        return weight, Weight(name="bias", shape=(self.filters,), init=self.bias_init)

    @override
    def macs(self, inputs: tuple[Shape, ...], outputs: tuple[Shape, ...]) -> Dim:
        return product(self.weights(*inputs)[0].shape) * product(outputs[0][1:])

    @override
    def window(self, *inputs: Shape) -> Window:
        return self._geometry(inputs[0])[1]


class DepthwiseConv(Layer):
    """Depthwise convolution: every channel has its own ``multiplier`` filters and meets no other channel.

    ``out[c * m + j, p] = bias[c * m + j] + sum over k of weight[c * m + j, 0, k] * in[c, p * s + k * d - pad]``

    with zeros outside the input, ``m`` the multiplier, ``s`` the stride and ``d`` the dilation: the same as
    ``conv(C * m, kernel, groups = C)`` on ``C`` channels.

    Output: ``C * multiplier`` channels, sizes as for ``conv``.
    Weights: ``weight`` of ``C*multiplier x 1 x kernel...``, ``bias`` of ``C*multiplier``; the filters of a channel
    stand together.
    Cost: ``C * multiplier * prod(kernel)`` multiply-accumulates for each output position.
    Source: Howard et al., "MobileNets: efficient convolutional neural networks for mobile vision applications"
    (2017).

    Example: on 32x112x112, ``depthwise_conv(3x3, pad = 1, bias = false)`` has 288 parameters and gives 32x112x112.
    """

    category = "Convolutions"

    kernel: Size
    multiplier: Positive = 1
    stride: Size = 1
    pad: Pad = 0
    dilation: Size = 1
    bias: Flag = True
    init: Init = GLOROT_UNIFORM
    bias_init: VectorInit = ZEROS

    def as_conv(self, shape: Shape) -> Conv:
        """The grouped convolution that it is on this input."""
        spatial(self, shape)
        channels = channels_of(self, shape)
        return Conv(
            filters=channels * self.multiplier,
            kernel=self.kernel,
            stride=self.stride,
            pad=self.pad,
            dilation=self.dilation,
            groups=channels,
            bias=self.bias,
            init=self.init,
            bias_init=self.bias_init,
        )

    def pads(self, shape: Shape) -> tuple[tuple[int, int], ...]:
        """Zeros before and after on each spatial axis of this input."""
        return self.as_conv(shape).pads(shape)

    @override
    def shapes(self, *inputs: Shape) -> tuple[Shape, ...]:
        return self.as_conv(*inputs).shapes(*inputs)

    @override
    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        return self.as_conv(*inputs).weights(*inputs)

    @override
    def macs(self, inputs: tuple[Shape, ...], outputs: tuple[Shape, ...]) -> Dim:
        return self.as_conv(*inputs).macs(inputs, outputs)

    @override
    def window(self, *inputs: Shape) -> Window:
        return self.as_conv(*inputs).window(*inputs)


class SeparableConv(Layer):
    """Depthwise separable convolution: a depthwise convolution, then a 1x1 convolution of its channels.

    ``middle[c * m + j, p] = sum over k of depthwise.weight[c * m + j, 0, k] * in[c, p * s + k * d - pad]``

    ``out[o, p] = pointwise.bias[o] + sum over i of pointwise.weight[o, i] * middle[i, p]``

    with zeros outside the input, ``m`` the multiplier, ``s`` the stride and ``d`` the dilation; nothing stands between
    the two.

    Output: ``filters`` channels, sizes as for ``conv``.
    Weights: ``depthwise.weight`` of ``C*multiplier x 1 x kernel...``, ``pointwise.weight`` of ``filters x C*multiplier
    x 1...``, ``pointwise.bias`` of ``filters``.
    Cost: ``C * multiplier * prod(kernel) + C * multiplier * filters`` multiply-accumulates for each output position.
    Source: Chollet, "Xception: deep learning with depthwise separable convolutions" (2017).

    Example: on 64x149x149, ``separable_conv(128, 3x3, pad = 1, bias = false)`` has 8,768 parameters and gives
    128x149x149.
    """

    category = "Convolutions"

    filters: Positive
    kernel: Size
    stride: Size = 1
    pad: Pad = 0
    dilation: Size = 1
    multiplier: Positive = 1
    bias: Flag = True
    depthwise_init: Init = GLOROT_UNIFORM
    pointwise_init: Init = GLOROT_UNIFORM
    bias_init: VectorInit = ZEROS

    def depthwise(self, shape: Shape) -> Conv:
        """The first of the two on this input, as the grouped convolution that it is."""
        spatial(self, shape)
        first = DepthwiseConv(
            kernel=self.kernel,
            multiplier=self.multiplier,
            stride=self.stride,
            pad=self.pad,
            dilation=self.dilation,
            bias=False,
            init=self.depthwise_init,
        )
        return first.as_conv(shape)

    def pointwise(self) -> Conv:
        """The second of the two."""
        return Conv(filters=self.filters, kernel=1, bias=self.bias, init=self.pointwise_init, bias_init=self.bias_init)

    @override
    def shapes(self, *inputs: Shape) -> tuple[Shape, ...]:
        return self.pointwise().shapes(*self.depthwise(*inputs).shapes(*inputs))

    @override
    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        first = self.depthwise(*inputs)
        return (
            *_named("depthwise", first.weights(*inputs)),
            *_named("pointwise", self.pointwise().weights(*first.shapes(*inputs))),
        )

    @override
    def macs(self, inputs: tuple[Shape, ...], outputs: tuple[Shape, ...]) -> Dim:
        first, second = self.depthwise(*inputs), self.pointwise()
        middle = first.shapes(*inputs)
        return first.macs(inputs, middle) + second.macs(middle, outputs)

    @override
    def window(self, *inputs: Shape) -> Window:
        return self.depthwise(*inputs).window(*inputs)


def _named(part: str, weights: tuple[Weight, ...]) -> tuple[Weight, ...]:
    """The weights of a part of a layer, by the part's name and theirs."""
    return tuple(weight.model_copy(update={"name": f"{part}.{weight.name}"}) for weight in weights)


class ConvTranspose(Layer):
    """Transposed convolution: the gradient of a convolution with respect to its input, used to enlarge a map.

    ``out[o, i * stride + k * dilation - pad] += weight[c, o - g, k] * in[c, i]``

    for every input position ``i``, kernel position ``k`` and channel ``c`` of the group that starts at output channel
    ``g``, on top of ``bias[o]``; what falls outside the output is dropped.  ``pad`` takes rows off both ends of the
    output; ``output_pad`` adds rows at its end, which the sum fills like all others.

    Output: ``filters`` channels, each size
    ``(size - 1) * stride - 2 * pad + dilation * (kernel - 1) + output_pad + 1``.
    Weights: ``weight`` of ``channels x filters/groups x kernel...``, ``bias`` of ``filters``.  The fans of ``init``
    are those of the convolution that it transposes: in ``filters/groups * prod(kernel)``, out ``channels *
    prod(kernel)``.
    Cost: ``filters/groups * prod(kernel)`` multiply-accumulates for each input value.
    Source: Dumoulin and Visin, "A guide to convolution arithmetic for deep learning" (2016), chapter 4.

    Example: on 128x28x28, ``conv_transpose(64, 2x2, stride = 2)`` has 32,832 parameters and gives 64x56x56.
    """

    category = "Convolutions"

    filters: Positive
    kernel: Size
    stride: Size = 1
    pad: Amount = 0
    output_pad: Amount = 0
    dilation: Size = 1
    groups: Positive = 1
    bias: Flag = True
    init: Init = GLOROT_UNIFORM
    bias_init: VectorInit = ZEROS

    @override
    def shapes(self, *inputs: Shape) -> tuple[Shape, ...]:
        (shape,) = inputs
        sizes = spatial(self, shape)
        rank = len(sizes)
        kernel, stride, pad, output_pad, dilation = (
            per_axis(self, name, value, rank)
            for name, value in (
                ("kernel", self.kernel),
                ("stride", self.stride),
                ("pad", self.pad),
                ("output_pad", self.output_pad),
                ("dilation", self.dilation),
            )
        )
        _groups_divide(self, channels_of(self, shape))
        out: list[Dim] = []
        for size, k, s, p, extra, d in zip(sizes, kernel, stride, pad, output_pad, dilation, strict=True):
            if extra >= max(s, d):
                raise RuleError(
                    f"`output_pad` is {extra}, and must be below the stride {s} or the dilation {d}",
                    argument="output_pad",
                    help="a larger output needs a larger stride or kernel, or less `pad`",
                )
            length = (size - 1) * s - 2 * p + d * (k - 1) + extra + 1
            if isinstance(length, int) and length < 1:
                raise RuleError(
                    f"`pad` takes {2 * p} rows off an output of {length + 2 * p}, on the input {show(shape)}",
                    code="empty-output",
                    argument="pad",
                    help="use less `pad`, or a larger kernel or stride",
                )
            out.append(length)
        return ((self.filters, *out),)

    @override
    def weights(self, *inputs: Shape) -> tuple[Weight, ...]:
        (shape,) = inputs
        kernel = per_axis(self, "kernel", self.kernel, len(shape) - 1)
        sizes = (channels_of(self, shape), self.filters // self.groups, *kernel)
        weight = Weight(name="weight", shape=sizes, init=self.init)
        if not self.bias:
            return (weight,)
        return weight, Weight(name="bias", shape=(self.filters,), init=self.bias_init)

    @override
    def macs(self, inputs: tuple[Shape, ...], outputs: tuple[Shape, ...]) -> Dim:
        return product(self.weights(*inputs)[0].shape) * product(inputs[0][1:])

    @override
    def window(self, *inputs: Shape) -> Window:
        rank = len(inputs[0]) - 1
        kernel = per_axis(self, "kernel", self.kernel, rank)
        stride = per_axis(self, "stride", self.stride, rank)
        pad = per_axis(self, "pad", self.pad, rank)
        dilation = per_axis(self, "dilation", self.dilation, rank)
        # Output o meets input i where i * stride = o + pad - k * dilation for some k from 0 to kernel - 1.
        reaches = tuple(d * (k - 1) for k, d in zip(kernel, dilation, strict=True))
        return Window(
            kernel=tuple(reach // s + 1 for reach, s in zip(reaches, stride, strict=True)),
            stride=(1,) * rank,
            dilation=(1,) * rank,
            pad=tuple(reach - p for reach, p in zip(reaches, pad, strict=True)),
            upscale=stride,
        )
