"""Pooling: a window or the whole map becomes one value, channel by channel."""

from __future__ import annotations

from abc import ABC, abstractmethod
from math import gcd
from typing import Any, Literal, NamedTuple

from typing_extensions import override

from cnnspec.layers.base import (
    EVERYTHING,
    Dim,
    Flag,
    Layer,
    Pad,
    RuleError,
    Shape,
    Size,
    Stride,
    Window,
    needs_number,
    padding,
    per_axis,
    show,
    slide,
    spatial,
)


class Pooled(NamedTuple):
    """How a pooling window goes over one input; an entry for each spatial axis."""

    kernel: tuple[int, ...]
    stride: tuple[int, ...]
    dilation: tuple[int, ...]
    pads: tuple[tuple[int, int], ...]
    """Padding before and after as the arguments say, without what ``ceil_mode`` adds."""
    sizes: Shape
    """Output sizes."""


def _pooled(
    layer: Pooling, shape: Shape, kernel: Any, stride: Any, pad: Any, ceil_mode: bool, dilation: Any = 1
) -> Pooled:
    sizes = spatial(layer, shape)
    rank = len(sizes)
    kernel = per_axis(layer, "kernel", kernel, rank)
    stride = kernel if stride is None else per_axis(layer, "stride", stride, rank)
    dilation = per_axis(layer, "dilation", dilation, rank)
    pads = padding(layer, pad, sizes, kernel, stride, dilation)
    for size, k, d, (before, after) in zip(sizes, kernel, dilation, pads, strict=True):
        reach = d * (k - 1) + 1
        if max(before, after) > reach // 2:
            raise RuleError(
                f"`pad` is {max(before, after)}, more than half of the {reach} that the kernel covers: "
                "a window could lie in padding alone",
                code="pad-too-large",
                argument="pad",
                help=f"a pad of at most {reach // 2}; use the layer `pad` before it for more",
            )
        if d > 1 and (before or after) and isinstance(size, int) and size < d:
            raise RuleError(
                f"the dilation {d} is larger than the input {show(sizes)}: a window could lie in padding alone",
                code="pad-too-large",
                argument="dilation",
                help=f"a dilation of at most {size}, or no padding",
            )
    out = slide(layer, sizes, kernel, stride, dilation, pads)
    if ceil_mode:
        out = tuple(
            _rounded_up(layer, size, s, d * (k - 1) + 1, before, after)
            for size, k, s, d, (before, after) in zip(sizes, kernel, stride, dilation, pads, strict=True)
        )
    return Pooled(kernel, stride, dilation, pads, out)


def _rounded_up(layer: Pooling, size: Dim, stride: int, reach: int, before: int, after: int) -> Dim:
    """``ceil((size + before + after - reach) / stride) + 1``, less a last window that would begin behind the input."""
    steps = (size + (before + after - reach + stride - 1)) // stride
    # The last window begins at most `after - reach + stride - 1` behind the input and its padding before.
    if after - reach + stride - 1 >= 0:
        start = needs_number(layer, "the size that `ceil_mode` rounds up", steps) * stride
        return steps if start >= size + before else steps + 1
    return steps + 1


class Pooling(Layer, ABC):
    """Common to the pools with a sliding window."""

    category = "Pooling"

    @abstractmethod
    def geometry(self, shape: Shape) -> Pooled:
        """The window's way over this input."""

    def ceil_extra(self, shape: Shape) -> tuple[int, ...]:
        """Rows that ``ceil_mode`` adds after the padding of each spatial axis, so that the last window is complete."""
        window = self.geometry(shape)
        extra = []
        for size, out, k, s, d, (before, after) in zip(
            shape[1:], window.sizes, window.kernel, window.stride, window.dilation, window.pads, strict=True
        ):
            missing = (out - 1) * s + d * (k - 1) + 1 - (size + before + after)
            extra.append(max(needs_number(self, "the size of its input", missing), 0) if self.rounds_up else 0)
        return tuple(extra)

    def pads(self, shape: Shape) -> tuple[tuple[int, int], ...]:
        """Padding before and after on each spatial axis, what ``ceil_mode`` adds included."""
        pads, extras = self.geometry(shape).pads, self.ceil_extra(shape)
        return tuple((before, after + extra) for (before, after), extra in zip(pads, extras, strict=True))

    @property
    @abstractmethod
    def rounds_up(self) -> bool:
        """Whether the output size is rounded up."""

    @override
    def shapes(self, *inputs: Shape) -> tuple[Shape, ...]:
        (shape,) = inputs
        return ((shape[0], *self.geometry(shape).sizes),)

    @override
    def window(self, *inputs: Shape) -> Window:
        pooled = self.geometry(inputs[0])
        return Window(pooled.kernel, pooled.stride, pooled.dilation, tuple(before for before, _ in pooled.pads))


class MaxPool(Pooling):
    """Largest value in each window.

    ``out[c, p] = max over k of in[c, p * stride + k * dilation - pad]``

    Padding counts as minus infinity, so it never wins.  The stride is the kernel unless given.  Of equal values the
    first passes the gradient.  ``pad`` is at most half the kernel.

    Output: each size ``floor((size + before + after - dilation * (kernel - 1) - 1) / stride) + 1``; with
    ``ceil_mode`` rounded up, where a last window that would begin behind the input and its padding before is left
    out.
    Source: Ranzato et al., "Unsupervised learning of invariant feature hierarchies with applications to object
    recognition" (2007).

    Example: on 64x112x112, ``max_pool(3x3, stride = 2, pad = 1)`` gives 64x56x56.
    """

    kernel: Size
    stride: Stride = None
    pad: Pad = 0
    dilation: Size = 1
    ceil_mode: Flag = False

    @override
    def geometry(self, shape: Shape) -> Pooled:
        return _pooled(self, shape, self.kernel, self.stride, self.pad, self.ceil_mode, self.dilation)

    @property
    @override
    def rounds_up(self) -> bool:
        return self.ceil_mode


class AvgPool(Pooling):
    """Average of each window.

    ``out[c, p] = sum over k of in[c, p * stride + k - pad] / n(p)``

    ``n(p)`` is the number of values that the window has inside the input, so that padding never darkens a border.
    With ``count_pad = true`` padding counts as zeros: ``n(p)`` is then the window's part inside the padded input.
    The rows that ``ceil_mode`` adds never count.  The stride is the kernel unless given.  ``pad`` is at most half the
    kernel.

    Output: each size ``floor((size + before + after - kernel) / stride) + 1``; with ``ceil_mode`` rounded up, where a
    last window that would begin behind the input and its padding before is left out.
    Source: LeCun et al., "Gradient-based learning applied to document recognition" (1998), there with a learned
    scale.

    Example: on 6x28x28, ``avg_pool(2x2)`` gives 6x14x14.
    """

    kernel: Size
    stride: Stride = None
    pad: Pad = 0
    ceil_mode: Flag = False
    count_pad: Flag = False

    @override
    def geometry(self, shape: Shape) -> Pooled:
        return _pooled(self, shape, self.kernel, self.stride, self.pad, self.ceil_mode)

    @property
    @override
    def rounds_up(self) -> bool:
        return self.ceil_mode


class L2Pool(Pooling):
    """Euclidean norm of each window.

    ``out[c, p] = sqrt(sum over k of in[c, p * stride + k - pad] ** 2)``

    A sum, not a mean, of squares; padding is zero.  The gradient of a window of zeros is zero.  The stride is the
    kernel unless given.  ``pad`` is at most half the kernel.

    Output: each size ``floor((size + before + after - kernel) / stride) + 1``; with ``ceil_mode`` rounded up, where a
    last window that would begin behind the input and its padding before is left out.
    Source: Sermanet, Chintala and LeCun, "Convolutional neural networks applied to house numbers digit
    classification" (2012), with p = 2 and a uniform window.

    Example: on 20x24x24, ``l2_pool(2x2)`` gives 20x12x12.
    """

    kernel: Size
    stride: Stride = None
    pad: Pad = 0
    ceil_mode: Flag = False

    @override
    def geometry(self, shape: Shape) -> Pooled:
        return _pooled(self, shape, self.kernel, self.stride, self.pad, self.ceil_mode)

    @property
    @override
    def rounds_up(self) -> bool:
        return self.ceil_mode


class AdaptivePooling(Layer, ABC):
    """Common to the pools that are given their output size."""

    category = "Pooling"

    size: Size

    @override
    def shapes(self, *inputs: Shape) -> tuple[Shape, ...]:
        (shape,) = inputs
        return ((shape[0], *per_axis(self, "size", self.size, len(spatial(self, shape)))),)

    @override
    def window(self, *inputs: Shape) -> Window | Literal["everything"]:
        (shape,) = inputs
        (out,) = self.shapes(shape)
        if all(size == 1 for size in out[1:]):
            return EVERYTHING
        sizes = tuple(needs_number(self, "the size of its input", size) for size in shape[1:])
        goals = tuple(needs_number(self, "the size of its output", size) for size in out[1:])
        # Window i goes from floor(i * n / m) to ceil((i + 1) * n / m); with n and m in lowest terms the widest has
        # ceil((n + m - 1) / m).
        kernel = tuple(-(-(size + goal - gcd(size, goal)) // goal) for size, goal in zip(sizes, goals, strict=True))
        rank = len(sizes)
        return Window(kernel, stride=sizes, dilation=(1,) * rank, pad=(0,) * rank, upscale=goals)


class AdaptiveAvgPool(AdaptivePooling):
    """Average over windows that are laid so that the output has the given size.

    ``out[c, i] = mean of in[c, floor(i * n / size)] ... in[c, ceil((i + 1) * n / size) - 1]`` on each axis of size
    ``n``

    Windows overlap or repeat where ``size`` does not divide ``n``.

    Output: ``size`` on each axis.
    Source: He et al., "Spatial pyramid pooling in deep convolutional networks for visual recognition" (2014).

    Example: on 256x13x13, ``adaptive_avg_pool(6x6)`` gives 256x6x6.
    """


class AdaptiveMaxPool(AdaptivePooling):
    """Largest value over windows that are laid so that the output has the given size.

    ``out[c, i] = max of in[c, floor(i * n / size)] ... in[c, ceil((i + 1) * n / size) - 1]`` on each axis of size
    ``n``

    Windows overlap or repeat where ``size`` does not divide ``n``.  Of equal values the first passes the gradient.

    Output: ``size`` on each axis.
    Source: He et al., "Spatial pyramid pooling in deep convolutional networks for visual recognition" (2014).

    Example: on 512x14x10, ``adaptive_max_pool(7x7)`` gives 512x7x7.
    """


class GlobalPooling(Layer, ABC):
    """Common to the pools over the whole map."""

    category = "Pooling"

    @override
    def shapes(self, *inputs: Shape) -> tuple[Shape, ...]:
        (shape,) = inputs
        return ((shape[0], *(1 for _ in spatial(self, shape))),)

    @override
    def window(self, *inputs: Shape) -> Literal["everything"]:
        return EVERYTHING


class GlobalAvgPool(GlobalPooling):
    """Average of each channel.

    ``out[c] = mean over p of in[c, p]``

    Output: the spatial axes stay, with size 1; ``flatten`` after it makes a vector.
    Source: Lin, Chen and Yan, "Network in network" (2013).

    Example: on 512x7x7, ``global_avg_pool`` gives 512x1x1.
    """


class GlobalMaxPool(GlobalPooling):
    """Largest value of each channel.

    ``out[c] = max over p of in[c, p]``

    Of equal values the first passes the gradient.

    Output: the spatial axes stay, with size 1; ``flatten`` after it makes a vector.
    Source: Oquab et al., "Is object localization for free? Weakly-supervised learning with convolutional neural
    networks" (2015).

    Example: on 512x7x7, ``global_max_pool`` gives 512x1x1.
    """
