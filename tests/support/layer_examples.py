"""One row of examples per layer: they drive the shape, count and cross-check tests of everybody.

Expected values come from the definitions, by hand; none was taken from the code under test.
"""

from __future__ import annotations

from dataclasses import dataclass

from typing_extensions import override

from cnnspec.initialisers import Initialiser
from cnnspec.layers import activation as act
from cnnspec.layers import arithmetic as arith
from cnnspec.layers import arrangement as arr
from cnnspec.layers import convolution as conv
from cnnspec.layers import normalisation as norm
from cnnspec.layers import pooling as pool
from cnnspec.layers import regularisation as reg
from cnnspec.layers.base import Layer
from cnnspec.layers.dense import Dense

POSITIVE = ("running_var", "variance")
"""The weights that must be positive numbers."""


@dataclass(frozen=True)
class Example:
    """A layer on inputs of these shapes: the outputs' shapes, trainable values, running statistics and cost."""

    layer: Layer
    inputs: tuple[tuple[int, ...], ...]
    outputs: tuple[tuple[int, ...], ...]
    params: int = 0
    buffers: int = 0
    macs: int = 0

    @override
    def __str__(self) -> str:
        given = ",".join(f"{name}={getattr(self.layer, name)}" for name in sorted(self.layer.model_fields_set))
        shapes = ",".join("x".join(map(str, shape)) for shape in self.inputs)
        return f"{self.layer.kind}({given})-{shapes}".replace(" ", "")


def _one(
    layer: Layer, given: tuple[int, ...], gives: tuple[int, ...], params: int = 0, buffers: int = 0, macs: int = 0
) -> Example:
    """An example with one input and one output."""
    return Example(layer, (given,), (gives,), params, buffers, macs)


def _same(layer: Layer, *shapes: tuple[int, ...], params: int = 0, buffers: int = 0) -> list[Example]:
    """Examples whose output has the input's shape."""
    return [_one(layer, shape, shape, params, buffers) for shape in shapes]


VECTOR = (6,)
LINE = (4, 9)
MAP = (4, 7, 6)
VOLUME = (4, 5, 6, 4)

CONVOLUTIONS = [
    # kernel and rank: 3*4*k weights, 3 biases
    _one(conv.Conv(filters=3, kernel=3), LINE, (3, 7), 39, 0, 252),
    _one(conv.Conv(filters=3, kernel=3), MAP, (3, 5, 4), 111, 0, 2160),
    _one(conv.Conv(filters=3, kernel=2), VOLUME, (3, 4, 5, 3), 99, 0, 5760),
    _one(conv.Conv(filters=3, kernel=(3, 2)), MAP, (3, 5, 5), 75, 0, 1800),
    _one(conv.Conv(filters=5, kernel=1, bias=False), MAP, (5, 7, 6), 20, 0, 840),
    # strides: even sizes, odd sizes, unequal ones
    _one(conv.Conv(filters=3, kernel=3, stride=2, pad=1), MAP, (3, 4, 3), 111, 0, 1296),
    _one(conv.Conv(filters=3, kernel=3, stride=(2, 1)), MAP, (3, 3, 4), 111, 0, 1296),
    _one(conv.Conv(filters=3, kernel=1, stride=2), MAP, (3, 4, 3), 15, 0, 144),
    _one(conv.Conv(filters=3, kernel=7, stride=2, pad=3), (4, 13, 12), (3, 7, 6), 591, 0, 24696),
    # every form of padding
    _one(conv.Conv(filters=3, kernel=3, pad="valid"), MAP, (3, 5, 4), 111, 0, 2160),
    _one(conv.Conv(filters=3, kernel=3, pad=(1, 0)), MAP, (3, 7, 4), 111, 0, 3024),
    _one(conv.Conv(filters=3, kernel=3, pad=((0, 1), (2, 1))), MAP, (3, 6, 7), 111, 0, 4536),
    _one(conv.Conv(filters=3, kernel=3, pad="same"), MAP, (3, 7, 6), 111, 0, 4536),
    _one(conv.Conv(filters=3, kernel=4, pad="same"), MAP, (3, 7, 6), 195, 0, 8064),
    _one(conv.Conv(filters=3, kernel=3, stride=2, pad="same"), MAP, (3, 4, 3), 111, 0, 1296),
    _one(conv.Conv(filters=3, kernel=5, stride=3, pad="same"), MAP, (3, 3, 2), 303, 0, 1800),
    _one(conv.Conv(filters=3, kernel=2, stride=3, pad="same"), MAP, (3, 3, 2), 51, 0, 288),
    _one(conv.Conv(filters=3, kernel=3, stride=2, pad="same"), LINE, (3, 5), 39, 0, 180),
    _one(conv.Conv(filters=3, kernel=3, stride=2, pad="same"), VOLUME, (3, 3, 3, 2), 327, 0, 5832),
    # dilation, alone and with a stride
    _one(conv.Conv(filters=3, kernel=3, dilation=2), MAP, (3, 3, 2), 111, 0, 648),
    _one(conv.Conv(filters=3, kernel=3, dilation=(2, 1), pad=(2, 1)), MAP, (3, 7, 6), 111, 0, 4536),
    _one(conv.Conv(filters=3, kernel=3, dilation=2, pad="same"), MAP, (3, 7, 6), 111, 0, 4536),
    _one(conv.Conv(filters=3, kernel=3, stride=2, dilation=2, pad=2), MAP, (3, 4, 3), 111, 0, 1296),
    _one(conv.Conv(filters=3, kernel=3, stride=2, dilation=2, pad="same"), MAP, (3, 4, 3), 111, 0, 1296),
    # groups
    _one(conv.Conv(filters=6, kernel=3, groups=2), MAP, (6, 5, 4), 114, 0, 2160),
    _one(conv.Conv(filters=8, kernel=3, groups=4, pad=1, bias=False), MAP, (8, 7, 6), 72, 0, 3024),
    _one(conv.Conv(filters=4, kernel=3, groups=4), MAP, (4, 5, 4), 40, 0, 720),
    # depthwise
    _one(conv.DepthwiseConv(kernel=3), MAP, (4, 5, 4), 40, 0, 720),
    _one(conv.DepthwiseConv(kernel=3, multiplier=2, bias=False), MAP, (8, 5, 4), 72, 0, 1440),
    _one(conv.DepthwiseConv(kernel=3, stride=2, pad=1), MAP, (4, 4, 3), 40, 0, 432),
    _one(conv.DepthwiseConv(kernel=3, stride=(2, 1), pad=1), MAP, (4, 4, 6), 40, 0, 864),
    _one(conv.DepthwiseConv(kernel=3, dilation=2, pad="same"), MAP, (4, 7, 6), 40, 0, 1512),
    _one(conv.DepthwiseConv(kernel=3, stride=2, pad="same"), MAP, (4, 4, 3), 40, 0, 432),
    _one(conv.DepthwiseConv(kernel=3, multiplier=2), LINE, (8, 7), 32, 0, 168),
    _one(conv.DepthwiseConv(kernel=2), VOLUME, (4, 4, 5, 3), 36, 0, 1920),
    # separable: 4*m*k + 3*4*m weights, 3 biases
    _one(conv.SeparableConv(filters=3, kernel=3), MAP, (3, 5, 4), 51, 0, 960),
    _one(conv.SeparableConv(filters=3, kernel=3, multiplier=2, bias=False), MAP, (3, 5, 4), 96, 0, 1920),
    _one(conv.SeparableConv(filters=3, kernel=3, pad="same"), MAP, (3, 7, 6), 51, 0, 2016),
    _one(conv.SeparableConv(filters=3, kernel=3, stride=2, pad="same", bias=False), MAP, (3, 4, 3), 48, 0, 576),
    _one(conv.SeparableConv(filters=3, kernel=3, stride=2, pad=1), MAP, (3, 4, 3), 51, 0, 576),
    _one(conv.SeparableConv(filters=3, kernel=(3, 2), pad=((0, 1), (2, 1))), MAP, (3, 6, 8), 39, 0, 1728),
    _one(conv.SeparableConv(filters=3, kernel=3, stride=(2, 1), pad=1), MAP, (3, 4, 6), 51, 0, 1152),
    _one(conv.SeparableConv(filters=3, kernel=3, dilation=2, pad="same"), MAP, (3, 7, 6), 51, 0, 2016),
    _one(conv.SeparableConv(filters=3, kernel=3, stride=2, dilation=2, pad="same"), MAP, (3, 4, 3), 51, 0, 576),
    _one(conv.SeparableConv(filters=3, kernel=3, multiplier=2, stride=2, pad="same"), LINE, (3, 5), 51, 0, 240),
    _one(conv.SeparableConv(filters=3, kernel=2), VOLUME, (3, 4, 5, 3), 47, 0, 2640),
    # transposed: U-Net, DCGAN, the decoders' 3/2/1/1, and the rows that frameworks get wrong
    _one(conv.ConvTranspose(filters=3, kernel=2, stride=2), MAP, (3, 14, 12), 51, 0, 2016),
    _one(conv.ConvTranspose(filters=3, kernel=4, stride=2, pad=1), MAP, (3, 14, 12), 195, 0, 8064),
    _one(conv.ConvTranspose(filters=3, kernel=3, pad=1), MAP, (3, 7, 6), 111, 0, 4536),
    _one(conv.ConvTranspose(filters=3, kernel=3, stride=2, pad=1, output_pad=1), MAP, (3, 14, 12), 111, 0, 4536),
    _one(conv.ConvTranspose(filters=3, kernel=3, stride=2, pad=1), MAP, (3, 13, 11), 111, 0, 4536),
    _one(conv.ConvTranspose(filters=3, kernel=5, stride=2, pad=2, output_pad=1), MAP, (3, 14, 12), 303, 0, 12600),
    _one(conv.ConvTranspose(filters=3, kernel=4, stride=2, pad=2), MAP, (3, 12, 10), 195, 0, 8064),
    _one(conv.ConvTranspose(filters=3, kernel=3, stride=2, output_pad=1), MAP, (3, 16, 14), 111, 0, 4536),
    _one(conv.ConvTranspose(filters=3, kernel=2, stride=3), MAP, (3, 20, 17), 51, 0, 2016),
    _one(conv.ConvTranspose(filters=3, kernel=1, stride=2), MAP, (3, 13, 11), 15, 0, 504),
    _one(conv.ConvTranspose(filters=3, kernel=3, dilation=2), MAP, (3, 11, 10), 111, 0, 4536),
    _one(conv.ConvTranspose(filters=3, kernel=3, stride=2, dilation=2, pad=1), MAP, (3, 15, 13), 111, 0, 4536),
    _one(conv.ConvTranspose(filters=6, kernel=3, stride=2, groups=2), MAP, (6, 15, 13), 114, 0, 4536),
    _one(conv.ConvTranspose(filters=4, kernel=2, stride=2, groups=4, bias=False), MAP, (4, 14, 12), 16, 0, 672),
    _one(
        conv.ConvTranspose(filters=3, kernel=(3, 2), stride=(2, 1), pad=(1, 0), output_pad=(1, 0)),
        MAP,
        (3, 14, 7),
        75,
        0,
        3024,
    ),
    _one(conv.ConvTranspose(filters=3, kernel=3, stride=2), LINE, (3, 19), 39, 0, 324),
    _one(conv.ConvTranspose(filters=3, kernel=2, stride=2), VOLUME, (3, 10, 12, 8), 99, 0, 11520),
]

DENSE = [
    _one(Dense(units=5), VECTOR, (5,), 35, 0, 30),
    _one(Dense(units=5, bias=False), VECTOR, (5,), 30, 0, 30),
    _one(Dense(units=5, axis="channels"), MAP, (5, 7, 6), 25, 0, 840),
    _one(Dense(units=5, axis="channels"), LINE, (5, 9), 25, 0, 180),
    _one(Dense(units=5, axis="channels", bias=False), VECTOR, (5,), 30, 0, 30),
]

POOLING = [
    _one(pool.MaxPool(kernel=2), MAP, (4, 3, 3)),
    _one(pool.MaxPool(kernel=2), LINE, (4, 4)),
    _one(pool.MaxPool(kernel=2), VOLUME, (4, 2, 3, 2)),
    _one(pool.MaxPool(kernel=(3, 2), stride=1), MAP, (4, 5, 5)),
    _one(pool.MaxPool(kernel=3, stride=2, pad=1), MAP, (4, 4, 3)),
    _one(pool.MaxPool(kernel=3, stride=2, pad=(1, 0)), MAP, (4, 4, 2)),
    _one(pool.MaxPool(kernel=3, stride=2, pad=((0, 1), (1, 1))), MAP, (4, 3, 3)),
    _one(pool.MaxPool(kernel=3, stride=2, pad="same"), MAP, (4, 4, 3)),
    _one(pool.MaxPool(kernel=2, stride=2, pad="same"), MAP, (4, 4, 3)),
    _one(pool.MaxPool(kernel=3, stride=2, ceil_mode=True), MAP, (4, 3, 3)),
    _one(pool.MaxPool(kernel=2, stride=2, ceil_mode=True), MAP, (4, 4, 3)),
    _one(pool.MaxPool(kernel=3, stride=2, pad=1, ceil_mode=True), MAP, (4, 4, 4)),
    # rounding up would let the last window begin behind the input: it is left out
    _one(pool.MaxPool(kernel=1, stride=3, ceil_mode=True), MAP, (4, 3, 2)),
    _one(pool.MaxPool(kernel=2, stride=3, pad=1, ceil_mode=True), MAP, (4, 3, 3)),
    _one(pool.MaxPool(kernel=3, stride=1, dilation=2), MAP, (4, 3, 2)),
    _one(pool.MaxPool(kernel=2, stride=2, dilation=2, pad=1, ceil_mode=True), MAP, (4, 4, 4)),
    # more padding than half of the kernel without its dilation
    _one(pool.MaxPool(kernel=3, stride=2, dilation=2, pad=2), MAP, (4, 4, 3)),
    _one(pool.AvgPool(kernel=2), MAP, (4, 3, 3)),
    _one(pool.AvgPool(kernel=2), LINE, (4, 4)),
    _one(pool.AvgPool(kernel=2), VOLUME, (4, 2, 3, 2)),
    _one(pool.AvgPool(kernel=3, stride=1, pad=1), MAP, (4, 7, 6)),
    _one(pool.AvgPool(kernel=3, stride=1, pad=1, count_pad=True), MAP, (4, 7, 6)),
    _one(pool.AvgPool(kernel=3, stride=2, pad="same"), MAP, (4, 4, 3)),
    _one(pool.AvgPool(kernel=3, stride=2, pad="same", count_pad=True), MAP, (4, 4, 3)),
    _one(pool.AvgPool(kernel=3, stride=2, pad=((0, 1), (1, 0))), MAP, (4, 3, 3)),
    _one(pool.AvgPool(kernel=3, stride=2, ceil_mode=True), MAP, (4, 3, 3)),
    _one(pool.AvgPool(kernel=3, stride=2, pad=1, ceil_mode=True), MAP, (4, 4, 4)),
    _one(pool.AvgPool(kernel=3, stride=2, pad=1, ceil_mode=True, count_pad=True), MAP, (4, 4, 4)),
    # a kernel larger than the map or volume without its padding
    _one(pool.AvgPool(kernel=5, stride=1, pad=2), (4, 4, 3), (4, 4, 3)),
    _one(pool.AvgPool(kernel=5, stride=1, pad="same"), (4, 4), (4, 4)),
    _one(pool.AvgPool(kernel=5, stride=1, pad=2), VOLUME, (4, 5, 6, 4)),
    _one(pool.AvgPool(kernel=3, stride=2, pad=1, count_pad=True), (4, 2, 5, 2), (4, 1, 3, 1)),
    _one(pool.L2Pool(kernel=2), MAP, (4, 3, 3)),
    _one(pool.L2Pool(kernel=3, stride=2, pad=1), MAP, (4, 4, 3)),
    _one(pool.L2Pool(kernel=3, stride=2, pad="same"), MAP, (4, 4, 3)),
    _one(pool.L2Pool(kernel=3, stride=2, ceil_mode=True), MAP, (4, 3, 3)),
    _one(pool.L2Pool(kernel=2), LINE, (4, 4)),
    _one(pool.AdaptiveAvgPool(size=3), MAP, (4, 3, 3)),
    _one(pool.AdaptiveAvgPool(size=(7, 2)), MAP, (4, 7, 2)),
    _one(pool.AdaptiveAvgPool(size=9), MAP, (4, 9, 9)),
    _one(pool.AdaptiveAvgPool(size=4), LINE, (4, 4)),
    _one(pool.AdaptiveAvgPool(size=2), VOLUME, (4, 2, 2, 2)),
    _one(pool.AdaptiveMaxPool(size=3), MAP, (4, 3, 3)),
    _one(pool.AdaptiveMaxPool(size=(1, 4)), MAP, (4, 1, 4)),
    _one(pool.AdaptiveMaxPool(size=4), LINE, (4, 4)),
    # an axis of one, before and after
    _one(pool.AdaptiveMaxPool(size=2), (4, 1, 1), (4, 2, 2)),
    _one(pool.AdaptiveMaxPool(size=(3, 1)), (4, 1, 5), (4, 3, 1)),
    _one(pool.AdaptiveMaxPool(size=(3, 1, 2)), VOLUME, (4, 3, 1, 2)),
    _one(pool.GlobalAvgPool(), MAP, (4, 1, 1)),
    _one(pool.GlobalAvgPool(), LINE, (4, 1)),
    _one(pool.GlobalAvgPool(), VOLUME, (4, 1, 1, 1)),
    _one(pool.GlobalMaxPool(), MAP, (4, 1, 1)),
    _one(pool.GlobalMaxPool(), LINE, (4, 1)),
    _one(pool.GlobalMaxPool(), VOLUME, (4, 1, 1, 1)),
]

NORMALISATION = [
    *_same(norm.BatchNorm(), LINE, MAP, VOLUME, params=8, buffers=8),
    *_same(norm.BatchNorm(), VECTOR, params=12, buffers=12),
    *_same(norm.BatchNorm(eps=1e-3, momentum=0.01), MAP, params=8, buffers=8),
    *_same(norm.BatchNorm(affine=False), MAP, buffers=8),
    *_same(norm.BatchNorm(scale=False), LINE, MAP, VOLUME, params=4, buffers=8),
    *_same(norm.BatchNorm(scale=False, momentum=0.01), VECTOR, params=6, buffers=12),
    *_same(norm.LayerNorm(), LINE, MAP, VOLUME, params=8),
    *_same(norm.LayerNorm(), VECTOR, params=12),
    *_same(norm.LayerNorm(eps=1e-6), MAP, params=8),
    *_same(norm.LayerNorm(axes="all"), MAP, params=336),
    *_same(norm.LayerNorm(axes="all"), VECTOR, params=12),
    *_same(norm.LayerNorm(axes="all", affine=False), MAP),
    *_same(norm.LayerNorm(affine=False), MAP),
    *_same(norm.GroupNorm(groups=2), LINE, MAP, VOLUME, params=8),
    *_same(norm.GroupNorm(groups=1), MAP, params=8),
    *_same(norm.GroupNorm(groups=4, eps=1e-3, affine=False), MAP),
    *_same(norm.GroupNorm(groups=2), VECTOR, params=12),
    *_same(norm.InstanceNorm(), LINE, MAP, VOLUME),
    *_same(norm.InstanceNorm(eps=1e-3, affine=True), MAP, params=8),
    *_same(norm.Normalize(), LINE, MAP, VOLUME, buffers=8),
    *_same(norm.Normalize(), VECTOR, buffers=12),
    *_same(norm.Normalize(mean=(0.3, -0.1, 110.0, 0.0), variance=(0.1, 2.0, 3249.7, 1.0)), LINE, MAP),
    *_same(norm.Normalize(mean=(0.0,) * 6, variance=(0.0,) * 6), VECTOR),
    *_same(norm.LocalResponseNorm(size=3), LINE, MAP),
    *_same(norm.LocalResponseNorm(size=2, alpha=0.5, beta=0.6, k=2.0), MAP),
    *_same(norm.LocalResponseNorm(size=5, alpha=5e-4, beta=0.75, k=2.0), MAP),
]

REGULARISATION = [
    *_same(reg.Dropout(rate=0.5), VECTOR, MAP),
    *_same(reg.Dropout(rate=0.0), MAP),
    *_same(reg.ChannelDropout(rate=0.5), LINE, MAP, VOLUME),
    *_same(reg.StochasticDepth(rate=0.2), VECTOR, MAP),
]

ARRANGEMENT = [
    *_same(arr.Identity(), VECTOR, MAP),
    _one(arr.Flatten(), MAP, (168,)),
    _one(arr.Flatten(), LINE, (36,)),
    _one(arr.Flatten(), VOLUME, (480,)),
    _one(arr.Flatten(), VECTOR, (6,)),
    _one(arr.Reshape(shape=(168,)), MAP, (168,)),
    _one(arr.Reshape(shape=(2, 2, 7, 6)), MAP, (2, 2, 7, 6)),
    _one(arr.Reshape(shape=(2, -1)), MAP, (2, 84)),
    _one(arr.Reshape(shape=(1, 2, -1)), VECTOR, (1, 2, 3)),
    _one(arr.Permute(order=(1, 2, 0)), MAP, (7, 6, 4)),
    _one(arr.Permute(order=(0, 2, 1)), MAP, (4, 6, 7)),
    _one(arr.Permute(order=(1, 0)), LINE, (9, 4)),
    _one(arr.Pad(amount=1), MAP, (4, 9, 8)),
    _one(arr.Pad(amount=(1, 2)), MAP, (4, 9, 10)),
    _one(arr.Pad(amount=((0, 1), (2, 3))), MAP, (4, 8, 11)),
    _one(arr.Pad(amount=2), LINE, (4, 13)),
    _one(arr.Pad(amount=1), VOLUME, (4, 7, 8, 6)),
    _one(arr.Pad(amount=((0, 1), (2, 3)), mode="reflect"), MAP, (4, 8, 11)),
    _one(arr.Pad(amount=2, mode="reflect"), LINE, (4, 13)),
    _one(arr.Pad(amount=1, mode="replicate"), MAP, (4, 9, 8)),
    _one(arr.Pad(amount=((0, 1), (2, 3)), mode="replicate"), MAP, (4, 8, 11)),
    _one(arr.Crop(amount=1), MAP, (4, 5, 4)),
    _one(arr.Crop(amount=(1, 2)), MAP, (4, 5, 2)),
    _one(arr.Crop(amount=((0, 1), (2, 3))), MAP, (4, 6, 1)),
    _one(arr.Crop(amount=((0, 4),)), LINE, (4, 5)),
    _one(arr.Upsample(scale=2), MAP, (4, 14, 12)),
    _one(arr.Upsample(scale=(3, 1)), MAP, (4, 21, 6)),
    _one(arr.Upsample(scale=2), LINE, (4, 18)),
    _one(arr.Upsample(scale=2), VOLUME, (4, 10, 12, 8)),
    _one(arr.Upsample(size=(11, 4)), MAP, (4, 11, 4)),
    _one(arr.Upsample(size=3), MAP, (4, 3, 3)),
    _one(arr.Upsample(scale=2, mode="bilinear"), MAP, (4, 14, 12)),
    _one(arr.Upsample(size=(11, 4), mode="bilinear"), MAP, (4, 11, 4)),
    _one(arr.Upsample(scale=2, mode="bilinear", align_corners=True), MAP, (4, 14, 12)),
    _one(arr.Upsample(size=(1, 9), mode="bilinear", align_corners=True), MAP, (4, 1, 9)),
    *_same(arr.ChannelShuffle(groups=2), MAP, LINE),
    *_same(arr.ChannelShuffle(groups=3), (6, 3, 2), VECTOR),
    _one(arr.PixelShuffle(factor=2), MAP, (1, 14, 12)),
    _one(arr.PixelShuffle(factor=2), (8, 3, 2), (2, 6, 4)),
    _one(arr.PixelShuffle(factor=3), (18, 3, 2), (2, 9, 6)),
    _one(arr.Slice(start=1, stop=3), MAP, (2, 7, 6)),
    _one(arr.Slice(start=0, stop=5, axis=1), MAP, (4, 5, 6)),
    _one(arr.Slice(start=2, stop=3, axis=2), MAP, (4, 7, 1)),
    _one(arr.Slice(start=1, stop=6), VECTOR, (5,)),
    Example(arr.Split(parts=2), (MAP,), ((2, 7, 6), (2, 7, 6))),
    Example(arr.Split(parts=(1, 3)), (MAP,), ((1, 7, 6), (3, 7, 6))),
    Example(arr.Split(parts=3, axis=2), (MAP,), ((4, 7, 2), (4, 7, 2), (4, 7, 2))),
    Example(arr.Split(parts=(2, 4)), (VECTOR,), ((2,), (4,))),
    Example(arr.Split(parts=1), (MAP,), (MAP,)),
    Example(arr.Concat(), (MAP,), (MAP,)),
    Example(arr.Concat(), (MAP, (2, 7, 6)), ((6, 7, 6),)),
    Example(arr.Concat(), (MAP, MAP, (1, 7, 6)), ((9, 7, 6),)),
    Example(arr.Concat(axis=1), (MAP, (4, 2, 6)), ((4, 9, 6),)),
    Example(arr.Concat(axis=2), (MAP, MAP), ((4, 7, 12),)),
    Example(arr.Concat(), (VECTOR, (2,)), ((8,),)),
    _one(arr.Mean(axes=(1, 2)), MAP, (4, 1, 1)),
    _one(arr.Mean(axes=(1, 2), keep=False), MAP, (4,)),
    _one(arr.Mean(axes=(0,)), MAP, (1, 7, 6)),
    _one(arr.Mean(axes=(2,), keep=False), MAP, (4, 7)),
    _one(arr.Mean(axes=(0, 1, 2)), MAP, (1, 1, 1)),
]

_TWO = [
    ((MAP, MAP), MAP),
    ((MAP, (4, 1, 1)), MAP),
    (((1, 7, 6), MAP), MAP),
    (((4, 1, 6), (4, 7, 1)), MAP),
    ((VECTOR, VECTOR), VECTOR),
    ((VECTOR, (1,)), VECTOR),
]

ARITHMETIC = [
    *(
        Example(layer, shapes, (result,))
        for layer in (arith.Add(), arith.Subtract(), arith.Multiply(), arith.Divide())
        for shapes, result in _TWO
    ),
    *_same(arith.ScaleShift(scale=-2.0, shift=0.5), VECTOR, MAP),
    *_same(arith.ScaleShift(scale=0.25), MAP),
    *_same(arith.ScaleShift(shift=1.5), MAP),
    Example(arith.Parameter(shape=(4, 1, 1), init=Initialiser(distribution="ones")), (), ((4, 1, 1),), 4),
    Example(
        arith.Parameter(shape=(3,), init=Initialiser(distribution="constant", value=1e-6)),
        (),
        ((3,),),
        3,
    ),
]

ACTIVATIONS = [
    *(
        example
        for layer in (
            act.Relu(),
            act.Relu6(),
            act.LeakyRelu(),
            act.LeakyRelu(slope=0.2),
            act.Elu(),
            act.Elu(alpha=0.5),
            act.Selu(),
            act.Celu(),
            act.Celu(alpha=0.5),
            act.Celu(alpha=0.3),
            act.Gelu(),
            act.Gelu(approximate="tanh"),
            act.Silu(),
            act.Mish(),
            act.Sigmoid(),
            act.HardSigmoid(),
            act.HardSwish(),
            act.Tanh(),
            act.HardTanh(),
            act.HardTanh(low=-0.5, high=2.0),
            act.Softplus(),
            act.Softsign(),
            act.Abs(),
        )
        for example in _same(layer, VECTOR, MAP)
    ),
    *_same(act.Prelu(), LINE, MAP, VOLUME, params=4),
    *_same(act.Prelu(), VECTOR, params=6),
    *_same(act.Prelu(shared=True), VECTOR, MAP, params=1),
    *_same(act.Prelu(init=Initialiser(distribution="zeros")), MAP, params=4),
    *_same(act.Softmax(), VECTOR, MAP),
    *_same(act.Softmax(axis=2), MAP),
    *_same(act.LogSoftmax(), VECTOR, MAP),
    *_same(act.LogSoftmax(axis=1), MAP),
]

EXAMPLES: list[Example] = [
    *CONVOLUTIONS,
    *DENSE,
    *POOLING,
    *NORMALISATION,
    *REGULARISATION,
    *ARRANGEMENT,
    *ARITHMETIC,
    *ACTIVATIONS,
]
