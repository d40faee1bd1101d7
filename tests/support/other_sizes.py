"""Layers that are compiled at one size of their input and run at others."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from typing import Any

from typing_extensions import override

from cnnspec.layers import arrangement, normalisation, pooling
from cnnspec.layers.base import Layer, RuleError
from cnnspec.layers.convolution import Conv, ConvTranspose, DepthwiseConv, SeparableConv
from support.layer_examples import Example

COMPILED = ((2, 8), (2, 9))
"""An even and an odd size, so that padding is none, even or odd in one of them."""
OTHERS = (5, 7, 8, 12)
"""Smaller and larger ones, of every remainder by the strides below."""


@dataclass(frozen=True)
class Resized:
    """A layer compiled at one shape, and what it is at others."""

    compiled: tuple[int, ...]
    examples: tuple[Example, ...]

    @override
    def __str__(self) -> str:
        return str(Example(self.examples[0].layer, (self.compiled,), ()))


def _resized(layer: Layer, compiled: tuple[int, ...], others: list[tuple[int, ...]]) -> Resized:
    examples = []
    for shape in others:
        try:
            examples.append(Example(layer, (shape,), layer.shapes(shape)))  # type: ignore[arg-type]
        except RuleError:
            continue
    return Resized(compiled, tuple(examples))


def _windows() -> Iterator[Layer]:
    pads: tuple[Any, ...] = (0, 1, ((1, 0),), "same")
    for kernel, stride, pad in product((1, 2, 3), (1, 2, 3), pads):
        for dilation in (1, 2):
            yield Conv(filters=3, kernel=kernel, stride=stride, pad=pad, dilation=dilation)
        for ceil_mode in (False, True):
            yield pooling.MaxPool(kernel=kernel, stride=stride, pad=pad, ceil_mode=ceil_mode)
            yield pooling.MaxPool(kernel=kernel, stride=stride, pad=pad, ceil_mode=ceil_mode, dilation=2)
            yield pooling.L2Pool(kernel=kernel, stride=stride, pad=pad, ceil_mode=ceil_mode)
            for count_pad in (False, True):
                yield pooling.AvgPool(kernel=kernel, stride=stride, pad=pad, ceil_mode=ceil_mode, count_pad=count_pad)


MAPS: tuple[Layer, ...] = (
    Conv(filters=2, kernel=(3, 2), stride=(2, 1), pad="same"),
    Conv(filters=2, kernel=3, stride=2, pad="same", dilation=2, groups=2),
    DepthwiseConv(kernel=3, stride=2, pad="same"),
    DepthwiseConv(kernel=3, stride=(2, 1), pad="same"),
    DepthwiseConv(kernel=2, stride=2, pad="same", multiplier=2),
    SeparableConv(filters=3, kernel=3, stride=2, pad="same"),
    SeparableConv(filters=3, kernel=3, stride=(1, 2), pad="same"),
    SeparableConv(filters=3, kernel=3, pad=1, stride=2),
    ConvTranspose(filters=3, kernel=3, stride=2, pad=1, output_pad=1),
    pooling.MaxPool(kernel=(3, 2), stride=(2, 3), pad="same"),
    pooling.MaxPool(kernel=3, stride=2, ceil_mode=True),
    pooling.AvgPool(kernel=3, stride=2, pad=1, ceil_mode=True),
    pooling.AvgPool(kernel=(3, 2), stride=2, pad="same"),
    pooling.GlobalMaxPool(),
    pooling.GlobalAvgPool(),
    pooling.AdaptiveMaxPool(size=3),
    pooling.AdaptiveAvgPool(size=3),
    normalisation.LayerNorm(axes="all", affine=False),
    normalisation.InstanceNorm(affine=True),
    arrangement.Flatten(),
    arrangement.Reshape(shape=(2, -1)),
    arrangement.Reshape(shape=(-1,)),
    arrangement.Upsample(scale=2),
    arrangement.Upsample(scale=41),
    arrangement.Upsample(size=(8, 10)),
    arrangement.Upsample(size=(7, 6), mode="bilinear"),
    arrangement.Upsample(scale=3, mode="bilinear"),
    arrangement.Pad(amount=((1, 0), (0, 2)), mode="reflect"),
    arrangement.Crop(amount=1),
)
VOLUMES: tuple[Layer, ...] = (
    Conv(filters=2, kernel=3, stride=2, pad="same"),
    Conv(filters=2, kernel=2, stride=3, pad="same"),
    pooling.MaxPool(kernel=2, stride=3, pad="same"),
    pooling.MaxPool(kernel=3, stride=2, pad="same"),
    pooling.AvgPool(kernel=3, stride=2, pad="same"),
    pooling.AvgPool(kernel=3, stride=2, pad=1, ceil_mode=True),
    pooling.AvgPool(kernel=3, stride=1, pad=1),
    pooling.L2Pool(kernel=2, stride=2, ceil_mode=True),
)


def _every() -> Iterator[Resized]:
    for layer, compiled in product(_windows(), COMPILED):
        try:
            layer.shapes(compiled)
        except RuleError:
            continue
        yield _resized(layer, compiled, [(2, size) for size in OTHERS])
    for layer in MAPS:
        # A map of 1x1 is where the order of the channels does not show.
        for shape in ((2, 8, 6), (2, 7, 9), *([(2, 1, 1)] if layer.kind in ("flatten", "reshape") else [])):
            yield _resized(layer, shape, [(2, 8, 6), (2, 7, 9), (2, 5, 5), (2, 9, 12)])
    for layer in VOLUMES:
        yield _resized(layer, (2, 4, 4, 4), [(2, 4, 4, 4), (2, 2, 5, 3)])


RESIZED = list(_every())
