"""The layers: shapes, counts, costs and windows of every example, what each rule refuses, and the reference."""

from __future__ import annotations

import re
from collections.abc import Iterable
from itertools import product
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from cnnspec.initialisers import Initialiser
from cnnspec.layers import LAYERS, categories
from cnnspec.layers.activation import HardTanh, LogSoftmax, Prelu, Softmax
from cnnspec.layers.arithmetic import Add, Divide, Multiply, Parameter, ScaleShift, Subtract
from cnnspec.layers.arrangement import (
    ChannelShuffle,
    Concat,
    Crop,
    Flatten,
    Identity,
    Mean,
    Pad,
    Permute,
    PixelShuffle,
    Reshape,
    Slice,
    Split,
    Upsample,
)
from cnnspec.layers.base import EVERYTHING, Layer, RuleError, Says, Shape, Symbolic, Window, expects
from cnnspec.layers.convolution import Conv, ConvTranspose, DepthwiseConv, SeparableConv
from cnnspec.layers.dense import Dense
from cnnspec.layers.normalisation import BatchNorm, GroupNorm, InstanceNorm, LayerNorm, LocalResponseNorm
from cnnspec.layers.pooling import (
    AdaptiveAvgPool,
    AdaptiveMaxPool,
    AvgPool,
    GlobalAvgPool,
    L2Pool,
    MaxPool,
)
from cnnspec.layers.reference import describe, reference, signature
from cnnspec.layers.regularisation import ChannelDropout
from cnnspec.shapes import UnknownSize, show
from support.layer_examples import EXAMPLES, Example

MAP = (4, 7, 6)
H, W = Symbolic.of("H"), Symbolic.of("W")
HE = Initialiser(distribution="he_normal")
ONE = Initialiser(distribution="ones")


def every(*values: Iterable[Any]) -> list[tuple[Any, ...]]:
    """Every combination."""
    return list(product(*values))


def kind(value: object) -> str | None:
    """A test's name for a layer."""
    return value.kind if isinstance(value, Layer) else None


# Every layer


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_example(example: Example) -> None:
    layer = example.layer
    outputs = layer.shapes(*example.inputs)
    weights = layer.weights(*example.inputs)
    assert outputs == example.outputs
    assert sum(weight.size for weight in weights if weight.trainable) == example.params
    assert sum(weight.size for weight in weights if not weight.trainable) == example.buffers
    assert layer.macs(example.inputs, outputs) == example.macs
    assert len({weight.name for weight in weights}) == len(weights)


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_window_has_an_entry_for_each_spatial_axis(example: Example) -> None:
    window = example.layer.window(*example.inputs)
    if isinstance(window, Window):
        rank = len(example.inputs[0]) - 1
        assert {len(entry) for entry in window if entry} == {rank}
        assert all(size > 0 for entry in (window.kernel, window.dilation, window.upscale) for size in entry)
        assert all(type(number) is int for entry in window for number in entry)
    else:
        assert window in {None, EVERYTHING}


@pytest.mark.parametrize("example", EXAMPLES, ids=str)
def test_layer_survives_json(example: Example) -> None:
    assert type(example.layer).model_validate_json(example.layer.model_dump_json()) == example.layer


@pytest.mark.parametrize("kind", LAYERS)
def test_every_layer_has_an_example(kind: str) -> None:
    assert any(type(example.layer) is LAYERS[kind] for example in EXAMPLES), (
        f"add a row for `{kind}` to tests/support/layer_examples.py"
    )


@pytest.mark.parametrize("layer", LAYERS.values(), ids=LAYERS)
def test_every_layer_is_documented(layer: type[Layer]) -> None:
    text = layer.__doc__ or ""
    assert layer.category
    assert re.match(r"[A-Z].*\.$", text.splitlines()[0])
    for name, field in layer.model_fields.items():
        words = [note for note in field.metadata if isinstance(note, Says)]
        assert len(words) == (0 if expects(layer, name).startswith("one of ") else 1), name


def test_keywords_and_headings() -> None:
    assert LAYERS["l2_pool"] is L2Pool
    assert LAYERS["relu6"].__name__ == "Relu6"
    assert LAYERS["local_response_norm"] is LocalResponseNorm
    assert "layer" not in LAYERS
    assert "pooling" not in LAYERS
    assert [layer for layers in categories().values() for layer in layers] == list(LAYERS.values())
    assert list(categories()) == [
        "Convolutions",
        "Dense",
        "Pooling",
        "Normalisation",
        "Regularisation",
        "Arrangement",
        "Arithmetic",
        "Activations",
    ]


# Arguments


@pytest.mark.parametrize(
    ("layer", "arguments"),
    [
        (Conv, {"filters": 0, "kernel": 3}),
        (Conv, {"filters": -1, "kernel": 3}),
        (Conv, {"filters": True, "kernel": 3}),
        (Conv, {"filters": 2.0, "kernel": 3}),
        (Conv, {"filters": "2", "kernel": 3}),
        (Conv, {"filters": 2, "kernel": 0}),
        (Conv, {"filters": 2, "kernel": (3, 0)}),
        (Conv, {"filters": 2, "kernel": 3, "stride": 0}),
        (Conv, {"filters": 2, "kernel": 3, "pad": -1}),
        (Conv, {"filters": 2, "kernel": 3, "pad": "full"}),
        (Conv, {"filters": 2, "kernel": 3, "bias": 1}),
        (Conv, {"filters": 2, "kernel": 3, "init": "he_normal"}),
        (Conv, {"filters": 2, "kernel": 3, "init": True}),
        (Conv, {"filters": 2, "kernel": 3, "bias_init": HE}),
        (Conv, {"filters": 2, "kernel": 3, "strides": 2}),
        (Conv, {"filters": 2}),
        (Dense, {"units": 3, "axis": "space"}),
        (ConvTranspose, {"filters": 3, "kernel": 2, "pad": "same"}),
        (BatchNorm, {"eps": 0.0}),
        (BatchNorm, {"momentum": 1.5}),
        (BatchNorm, {"eps": "1e-5"}),
        (LayerNorm, {"axes": "rows"}),
        (ChannelDropout, {"rate": 1.0}),
        (ChannelDropout, {"rate": True}),
        (ScaleShift, {"scale": float("nan")}),
        (Parameter, {"shape": (), "init": ONE}),
        (Parameter, {"shape": (2, 0), "init": ONE}),
        (Parameter, {"shape": (2, 2), "init": HE}),
        (Permute, {"order": (0, -1)}),
        (Reshape, {"shape": ()}),
        (Reshape, {"shape": (True,)}),
        (Pad, {"amount": -1}),
        (Upsample, {"scale": 1.5}),
    ],
)
def test_bad_argument(layer: type[Layer], arguments: dict[str, object]) -> None:
    with pytest.raises(ValidationError):
        layer(**arguments)


def test_number_is_a_constant_initialiser() -> None:
    half = Initialiser(distribution="constant", value=0.5)
    assert Conv.model_validate({"filters": 2, "kernel": 3, "init": 0.5}).init == half
    assert Parameter.model_validate({"shape": [3], "init": 2}).init == Initialiser(distribution="constant", value=2.0)
    assert Prelu.model_validate({"init": 0.5}).weights(MAP)[0].init == half


def test_number_alone_is_a_list_of_one() -> None:
    assert Reshape.model_validate({"shape": 784}).shape == (784,)
    assert Mean.model_validate({"axes": 1}).axes == (1,)
    assert Parameter.model_validate({"shape": 3, "init": 0}).shape == (3,)


def test_integer_is_a_real_number() -> None:
    assert ScaleShift.model_validate({"scale": 2, "shift": -1}) == ScaleShift(scale=2.0, shift=-1.0)


def test_equal_layers_are_equal_and_hash_alike() -> None:
    assert {Conv(filters=2, kernel=3), Conv(filters=2, kernel=3)} == {Conv(filters=2, kernel=3)}
    assert Conv(filters=2, kernel=3) != Conv(filters=2, kernel=(3, 3))


# Refusals


@pytest.mark.parametrize(
    ("layer", "inputs", "code", "says", "helps"),
    [
        (Conv(filters=2, kernel=9), (MAP,), "kernel-too-large", "covers 9", "at most 7"),
        (Conv(filters=2, kernel=3, dilation=4), (MAP,), "kernel-too-large", "covers 9", "at most 2"),
        (Conv(filters=2, kernel=9, pad=1), ((4, 6, 9),), "kernel-too-large", "8 with its padding", "at most 8"),
        (Conv(filters=2, kernel=3), ((784,),), "wrong-rank", "needs a map", "reshape"),
        (Conv(filters=2, kernel=3), ((1, 2, 3, 4, 5),), "wrong-rank", "needs a map", ""),
        (Conv(filters=2, kernel=(3, 3)), ((4, 9),), "bad-argument", "has 2 sizes", "one number"),
        (Conv(filters=2, kernel=3, pad=(1, 1, 1)), (MAP,), "bad-argument", "has 3 entries", "2 entries"),
        (Conv(filters=2, kernel=3, groups=3), (MAP,), "groups-do-not-divide", "input's channels, 4", "4 and 2"),
        (Conv(filters=2, kernel=3, groups=4), (MAP,), "groups-do-not-divide", "filters, 2", "4 and 2"),
        (DepthwiseConv(kernel=9), (MAP,), "kernel-too-large", "covers 9", "at most 7"),
        (DepthwiseConv(kernel=3), ((4,),), "wrong-rank", "`depthwise_conv` needs a map", "reshape"),
        (ConvTranspose(filters=2, kernel=2, stride=2, output_pad=2), (MAP,), "bad-argument", "is 2", "stride"),
        (ConvTranspose(filters=2, kernel=1, pad=4), (MAP,), "empty-output", "8 rows off an output of 7", "less"),
        (ConvTranspose(filters=2, kernel=2, groups=3), (MAP,), "groups-do-not-divide", "channels, 4", "4 and 2"),
        (Dense(units=10), ((1024, 7, 7),), "dense-needs-vector", "1024x7x7", "1024x7x7 becomes 50176"),
        (Dense(units=10), ((1024, 7, 7),), "dense-needs-vector", "", "`dense(10, axis = channels)`"),
        (Dense(units=10), ((),), "wrong-rank", "scalar", ""),
        (MaxPool(kernel=9), (MAP,), "kernel-too-large", "covers 9", "at most 7"),
        (MaxPool(kernel=3, pad=2), (MAP,), "pad-too-large", "more than half", "at most 1"),
        (AvgPool(kernel=2, pad=((0, 2), (0, 0))), (MAP,), "pad-too-large", "more than half", "at most 1"),
        (MaxPool(kernel=2, pad=3, dilation=5), ((4, 2, 9),), "pad-too-large", "dilation 5", "at most 2"),
        (AdaptiveAvgPool(size=(1, 2, 3)), (MAP,), "bad-argument", "has 3 sizes", "or 2"),
        (GlobalAvgPool(), ((10,),), "wrong-rank", "needs a map", "reshape"),
        (GroupNorm(groups=3), (MAP,), "groups-do-not-divide", "channels, 4", "divide 4"),
        (GroupNorm(groups=6), ((6,),), "nothing-to-normalise", "always gives zero", "larger"),
        (InstanceNorm(), ((4, 1, 1),), "nothing-to-normalise", "always gives zero", "larger"),
        (LayerNorm(), ((1, 7, 6),), "nothing-to-normalise", "always gives zero", "larger"),
        (LayerNorm(axes="all"), ((1, 1),), "nothing-to-normalise", "always gives zero", "larger"),
        (LocalResponseNorm(size=3), ((4,),), "wrong-rank", "needs a map", "reshape"),
        (ChannelDropout(rate=0.5), ((4,),), "wrong-rank", "needs a map", "reshape"),
        (Reshape(shape=(4, 7)), (MAP,), "reshape-count", "168 values", "-1"),
        (Reshape(shape=(5, -1)), (MAP,), "reshape-count", "multiples of 5", ""),
        (Reshape(shape=(-1, -1)), (MAP,), "bad-argument", "one of them may be -1", ""),
        (Reshape(shape=(0, 168)), (MAP,), "bad-argument", "at least 1", ""),
        (Permute(order=(0, 1)), (MAP,), "bad-permutation", "[0, 1]", "0 to 2"),
        (Permute(order=(0, 1, 1)), (MAP,), "bad-permutation", "[0, 1, 1]", "0 to 2"),
        (Pad(amount=6, mode="reflect"), (MAP,), "pad-too-large", "5 behind its border", "replicate"),
        (Pad(amount=(1, 1, 1)), (MAP,), "bad-argument", "has 3 entries", "2 entries"),
        (Crop(amount=3), (MAP,), "empty-output", "6 rows off 4x7x6", "less"),
        (Upsample(), (MAP,), "bad-argument", "either `scale` or `size`", "upsample(2)"),
        (Upsample(scale=2, size=3), (MAP,), "bad-argument", "either `scale` or `size`", "upsample(2)"),
        (Upsample(scale=2, align_corners=True), (MAP,), "bad-argument", "bilinear", ""),
        (Upsample(scale=2, mode="bilinear"), ((4, 9),), "wrong-rank", "CxHxW", ""),
        (Upsample(size=(2, 2, 2)), (MAP,), "bad-argument", "has 3 sizes", "or 2"),
        (ChannelShuffle(groups=3), (MAP,), "groups-do-not-divide", "channels, 4", "divide 4"),
        (PixelShuffle(factor=3), (MAP,), "groups-do-not-divide", "is 9", "9 channels"),
        (PixelShuffle(factor=2), ((4, 9),), "wrong-rank", "CxHxW", ""),
        (Slice(start=2, stop=5), (MAP,), "slice-out-of-range", "2 to 5 of the channels", "0 to 4"),
        (Slice(start=2, stop=2), (MAP,), "slice-out-of-range", "2 to 2", "below"),
        (Slice(start=0, stop=1, axis=3), (MAP,), "no-such-axis", "no axis 3", "0 to 2"),
        (Split(parts=3), (MAP,), "split-sizes", "3 equal parts", "divide 4"),
        (Split(parts=(2, 3)), (MAP,), "split-sizes", "2 + 3 make 5", "add up to 4"),
        (Split(parts=10**9), ((10**9, 1, 1),), "split-sizes", "1,000 are the most", ""),
        (Concat(), (MAP, (4, 7, 5)), "concat-mismatch", "4x7x6 and 4x7x5 along the channels", "equal"),
        (Concat(), (MAP, (4, 7)), "concat-mismatch", "4x7x6 and 4x7", "equal"),
        (Concat(axis=3), (MAP,), "no-such-axis", "no axis 3", "0 to 2"),
        (Mean(axes=(1, 1)), (MAP,), "bad-argument", "twice", ""),
        (Mean(axes=(0,), keep=False), ((4,),), "bad-argument", "no axis left", "keep = true"),
        (Softmax(axis=1), ((4,),), "no-such-axis", "4 has no axis 1", "only axis is 0"),
        (HardTanh(low=1.0, high=1.0), (MAP,), "bad-argument", "below `high`", ""),
    ],
    ids=kind,
)
def test_refusal(layer: Layer, inputs: tuple[Shape, ...], code: str, says: str, helps: str) -> None:
    with pytest.raises(RuleError) as caught:
        layer.shapes(*inputs)
    assert caught.value.code == code
    assert says in caught.value.message
    assert helps in caught.value.help
    assert caught.value.argument is None or caught.value.argument in type(layer).model_fields


@pytest.mark.parametrize(
    ("left", "right", "message", "detail", "advice"),
    [
        (
            (16, 32, 32),
            (32, 16, 16),
            "cannot add 16x32x32 and 32x16x16",
            "channels 16 and 32, height 32 and 16, width 32 and 16",
            "project the first: `conv(32, 1x1, stride = 2)` makes it 32x16x16",
        ),
        (
            (32, 16, 16),
            (16, 32, 31),
            "cannot add 32x16x16 and 16x32x31",
            "channels 32 and 16, height 16 and 32, width 16 and 31",
            "project the second: `conv(32, 1x1, stride = 2)` makes it 32x16x16",
        ),
        (
            (8, 9, 4),
            (8, 5, 4),
            "cannot add 8x9x4 and 8x5x4",
            "height 9 and 5",
            "project the first: `conv(8, 1x1, stride = 2x1)` makes it 8x5x4",
        ),
        (
            (8, H, W),
            (6, H, W),
            "cannot add [8, H, W] and [6, H, W]",
            "channels 8 and 6",
            "project the first: `conv(6, 1x1)` makes it [6, H, W]",
        ),
        ((8,), (6,), "cannot add 8 and 6", "features 8 and 6", "project the first: `dense(6)` makes it 6"),
        (
            (8,),
            (8, 5, 5),
            "cannot add 8 and 8x5x5",
            "1 axis and 3 axes",
            "spread the first over the map: `reshape([8, 1, 1])` makes it 8x1x1",
        ),
        # 7 rows cannot be thinned out to 5, nor 5 to 7.
        (
            (8, 7, 7),
            (8, 5, 5),
            "cannot add 8x7x7 and 8x5x5",
            "height 7 and 5, width 7 and 5",
            "sizes must be equal, or 1 in one of the two",
        ),
        (
            (2, 3, 4, 5, 6),
            (3, 3, 4, 5, 6),
            "cannot add 2x3x4x5x6 and 3x3x4x5x6",
            "axis 0 2 and 3",
            "sizes must be equal, or 1 in one of the two",
        ),
        (
            (2, 3),
            (2, 3, 4),
            "cannot add 2x3 and 2x3x4",
            "2 axes and 3 axes",
            "sizes must be equal, or 1 in one of the two",
        ),
    ],
)
def test_shape_mismatch(left: Shape, right: Shape, message: str, detail: str, advice: str) -> None:
    with pytest.raises(RuleError) as caught:
        Add().shapes(left, right)
    assert caught.value.code == "shape-mismatch"
    assert (caught.value.message, caught.value.detail, caught.value.help) == (message, detail, advice)


@pytest.mark.parametrize("layer", [Subtract(), Multiply(), Divide()])
def test_shape_mismatch_names_the_operation(layer: Layer) -> None:
    with pytest.raises(RuleError, match=f"cannot {layer.kind} 2 and 3"):
        layer.shapes((2,), (3,))


def test_concat_mismatch_names_the_axes() -> None:
    with pytest.raises(RuleError) as caught:
        Concat().shapes((4, 7, 6), (2, 7, 6), (2, 8, 5))
    assert caught.value.detail == "height 7 and 8, width 6 and 5"
    with pytest.raises(RuleError) as caught:
        Concat().shapes((4, 7, 6), (2, 7))
    assert caught.value.detail == "the first has 3 axes, number 2 has 2"


# Weights


def test_weights_are_named_shapes() -> None:
    def named(layer: Layer, *inputs: Shape) -> dict[str, tuple[int, ...]]:
        return {weight.name: weight.shape for weight in layer.weights(*inputs)}

    assert named(Conv(filters=6, kernel=(3, 2), groups=2), MAP) == {"weight": (6, 2, 3, 2), "bias": (6,)}
    assert named(DepthwiseConv(kernel=3, multiplier=2), MAP) == {"weight": (8, 1, 3, 3), "bias": (8,)}
    assert named(SeparableConv(filters=6, kernel=3, multiplier=2), MAP) == {
        "depthwise.weight": (8, 1, 3, 3),
        "pointwise.weight": (6, 8, 1, 1),
        "pointwise.bias": (6,),
    }
    assert named(ConvTranspose(filters=6, kernel=3, groups=2), MAP) == {"weight": (4, 3, 3, 3), "bias": (6,)}
    assert named(Dense(units=5, axis="channels"), MAP) == {"weight": (5, 4), "bias": (5,)}
    assert named(LayerNorm(axes="all"), MAP) == {"weight": MAP, "bias": MAP}
    assert named(Parameter(shape=(4, 1, 1), init=ONE)) == {"": (4, 1, 1)}
    running = {"running_mean": (4,), "running_var": (4,)}
    assert named(BatchNorm(), MAP) == {"weight": (4,), "bias": (4,), **running}
    assert list(named(BatchNorm(affine=False), MAP)) == ["running_mean", "running_var"]
    assert list(named(BatchNorm(scale=False), MAP)) == ["bias", "running_mean", "running_var"]


# Windows


def _inputs_seen(window: Window, position: int, size: int) -> tuple[set[int], set[int]]:
    """What a window claims on its first axis: inputs seen if it begins at the grid before, or after, its start."""
    start = position * window.stride[0] - window.pad[0]
    upscale = window.upscale[0] if window.upscale else 1
    reach = [k * window.dilation[0] for k in range(window.kernel[0])]
    below, above = start // upscale, -(-start // upscale)
    return tuple({first + offset for offset in reach} & set(range(size)) for first in (below, above))  # type: ignore[return-value]


@pytest.mark.parametrize(("k", "s", "p", "d"), every((1, 2, 3, 5), (1, 2, 3), (0, 1), (1, 2)))
def test_window_of_a_transposed_convolution(k: int, s: int, p: int, d: int) -> None:
    layer = ConvTranspose(filters=1, kernel=k, stride=s, pad=p if k > 1 else 0, dilation=d)
    pad = layer.pad
    assert isinstance(pad, int)
    size, out = 9, layer.shapes((1, 9))[0][1]
    window = layer.window((1, 9))
    assert isinstance(out, int)
    for o in range(out):
        seen = {i for i in range(size) for j in range(k) if i * s + j * d - pad == o}
        assert seen <= _inputs_seen(window, o, size)[1]


@pytest.mark.parametrize(("size", "goal"), every((5, 6, 7, 12, 14), (2, 3, 4, 5, 9)))
def test_window_of_an_adaptive_pool(size: int, goal: int) -> None:
    window = AdaptiveMaxPool(size=goal).window((1, size))
    assert isinstance(window, Window)
    widest = 0
    for o in range(goal):
        seen = set(range(o * size // goal, -(-(o + 1) * size // goal)))
        assert seen <= _inputs_seen(window, o, size)[0]
        widest = max(widest, len(seen))
    assert window.kernel == (widest,)


@pytest.mark.parametrize(("size", "goal", "corners"), every((5, 7, 12), (1, 4, 9, 14), (False, True)))
def test_window_of_a_bilinear_resize(size: int, goal: int, corners: bool) -> None:
    window = Upsample(size=goal, mode="bilinear", align_corners=corners).window((1, size, size))
    for o in range(goal):
        if corners:
            place = o * (size - 1) / (goal - 1) if goal > 1 else 0.0
        else:
            place = max((o + 0.5) * size / goal - 0.5, 0.0)
        seen = {int(place)} | ({min(int(place) + 1, size - 1)} if place > int(place) else set())
        assert seen <= set().union(*_inputs_seen(window, o, size))


def test_windows_that_shift_or_scale() -> None:
    assert Pad(amount=((1, 0), (2, 3))).window(MAP) == Window((1, 1), (1, 1), (1, 1), (1, 2))
    assert Crop(amount=((1, 0), (2, 3))).window(MAP) == Window((1, 1), (1, 1), (1, 1), (-1, -2))
    assert Slice(start=2, stop=4, axis=2).window(MAP) == Window((1, 1), (1, 1), (1, 1), (0, -2))
    assert Upsample(scale=(2, 3)).window(MAP) == Window((1, 1), (1, 1), (1, 1), (0, 0), (2, 3))
    assert Upsample(size=(14, 3)).window(MAP) == Window((1, 1), (7, 6), (1, 1), (0, 0), (14, 3))
    assert PixelShuffle(factor=2).window(MAP) == Window((1, 1), (1, 1), (1, 1), (0, 0), (2, 2))
    assert Conv(filters=2, kernel=3, stride=2, pad="same").window(MAP) == Window((3, 3), (2, 2), (1, 1), (1, 0))


@pytest.mark.parametrize(
    "layer",
    [
        Flatten(),
        GlobalAvgPool(),
        GroupNorm(groups=2),
        InstanceNorm(),
        LayerNorm(axes="all"),
        Reshape(shape=(-1,)),
        Permute(order=(1, 2, 0)),
        Mean(axes=(1, 2)),
        Softmax(axis=1),
    ],
    ids=kind,
)
def test_window_that_sees_all(layer: Layer) -> None:
    assert layer.window(MAP) == EVERYTHING


@pytest.mark.parametrize(
    "layer",
    [
        Identity(),
        BatchNorm(),
        LayerNorm(),
        Softmax(),
        LogSoftmax(),
        Mean(axes=(0,)),
        Slice(start=0, stop=1),
        Dense(units=3, axis="channels"),
        Permute(order=(0, 1, 2)),
    ],
    ids=kind,
)
def test_window_that_sees_its_own_position(layer: Layer) -> None:
    assert layer.window(MAP) is None


def test_a_vector_is_seen_whole() -> None:
    for layer in (Dense(units=3), LayerNorm(), Softmax()):
        assert layer.window((4,)) == EVERYTHING
    assert AdaptiveAvgPool(size=1).window((4, H, W)) == EVERYTHING


def test_padding_of_a_convolution() -> None:
    pads = ((1, 1), (0, 1))
    assert Conv(filters=2, kernel=3, stride=2, pad="same").pads(MAP) == pads
    assert DepthwiseConv(kernel=3, stride=2, pad="same").pads(MAP) == pads


# Pooling windows, against their definition


@pytest.mark.parametrize(("n", "k", "s", "p"), every(range(3, 9), (1, 2, 3), (1, 2, 3, 4), (0, 1)))
def test_pooling_output_and_padding(n: int, k: int, s: int, p: int) -> None:
    p = min(p, k // 2)
    for layer in (
        MaxPool(kernel=k, stride=s, pad=p, ceil_mode=True),
        AvgPool(kernel=k, stride=s, pad=p, ceil_mode=True),
        L2Pool(kernel=k, stride=s, pad=p, ceil_mode=True),
        MaxPool(kernel=k, stride=s, pad=p),
    ):
        starts = [-p]
        # Rounding up goes on until the padded input is covered, but no window begins behind the input.
        while starts[-1] + s + (k if not layer.rounds_up else 1) <= n + (0 if layer.rounds_up else p):
            if layer.rounds_up and starts[-1] + k >= n + p:
                break
            starts.append(starts[-1] + s)
        extra = max(starts[-1] + k - (n + p), 0)
        assert layer.shapes((1, n)) == ((1, len(starts)),)
        assert layer.ceil_extra((1, n)) == (extra,)
        assert layer.pads((1, n)) == ((p, p + extra),)


# Symbolic sizes


@pytest.mark.parametrize(
    ("layer", "inputs", "outputs"),
    [
        (Conv(filters=8, kernel=3, pad=1), ((4, H, W),), "[8, H, W]"),
        (Conv(filters=8, kernel=3, pad="same"), ((4, H, W),), "[8, H, W]"),
        (Conv(filters=8, kernel=3, stride=2, pad=1), ((4, H, W),), "[8, (H + 1) // 2, (W + 1) // 2]"),
        (DepthwiseConv(kernel=3), ((4, H, W),), "[4, H - 2, W - 2]"),
        (ConvTranspose(filters=8, kernel=2, stride=2), ((4, H, W),), "[8, 2 * H, 2 * W]"),
        (MaxPool(kernel=2), ((4, H, W),), "[4, H // 2, W // 2]"),
        (MaxPool(kernel=3, stride=2, ceil_mode=True), ((4, H, W),), "[4, H // 2, W // 2]"),
        (AdaptiveAvgPool(size=2), ((4, H, W),), "4x2x2"),
        (GlobalAvgPool(), ((4, H, W),), "4x1x1"),
        (BatchNorm(), ((4, H, W),), "[4, H, W]"),
        (InstanceNorm(), ((4, H, W),), "[4, H, W]"),
        (Dense(units=3, axis="channels"), ((4, H, W),), "[3, H, W]"),
        (Flatten(), ((4, H, W),), "[4 * H * W]"),
        (Reshape(shape=(2, -1)), ((4, H, W),), "[2, 2 * H * W]"),
        (Reshape(shape=(2, 2, H, W)), ((4, H, W),), "[2, 2, H, W]"),
        (Permute(order=(1, 2, 0)), ((4, H, W),), "[H, W, 4]"),
        (Pad(amount=1, mode="reflect"), ((4, H, W),), "[4, H + 2, W + 2]"),
        (Crop(amount=1), ((4, H, W),), "[4, H - 2, W - 2]"),
        (Upsample(scale=2), ((4, H, W),), "[4, 2 * H, 2 * W]"),
        (Upsample(size=(H, W)), ((4, 7, 6),), "[4, H, W]"),
        (ChannelShuffle(groups=2), ((4, H, W),), "[4, H, W]"),
        (PixelShuffle(factor=2), ((4, H, W),), "[1, 2 * H, 2 * W]"),
        (Slice(start=0, stop=2), ((4, H, W),), "[2, H, W]"),
        (Concat(), ((4, H, W), (2, H, W)), "[6, H, W]"),
        (Concat(axis=1), ((4, H, W), (4, 2, W)), "[4, H + 2, W]"),
        (Add(), ((4, H, W), (4, 1, 1)), "[4, H, W]"),
        (Mean(axes=(1, 2)), ((4, H, W),), "4x1x1"),
        (Softmax(axis=1), ((4, H, W),), "[4, H, W]"),
    ],
    ids=kind,
)
def test_symbolic_sizes_flow_through(layer: Layer, inputs: tuple[Shape, ...], outputs: str) -> None:
    shapes = layer.shapes(*inputs)
    assert show(shapes[0]) == outputs
    layer.weights(*inputs)
    layer.macs(inputs, shapes)


@pytest.mark.parametrize(
    ("layer", "shape"),
    [
        (Conv(filters=8, kernel=3), (H, 7, 6)),
        (Conv(filters=8, kernel=3, stride=2, pad="same"), (4, H, W)),
        (MaxPool(kernel=2, stride=2, pad=1, ceil_mode=True), (4, H, W)),
        (BatchNorm(), (H,)),
        (Dense(units=8), (4 * H,)),
        (Slice(start=0, stop=2, axis=1), (4, H, W)),
        (Split(parts=2, axis=1), (4, H, W)),
    ],
    ids=kind,
)
def test_symbolic_size_where_a_number_is_needed(layer: Layer, shape: Shape) -> None:
    with pytest.raises(RuleError) as caught:
        layer.shapes(shape)
    assert caught.value.code == "symbolic-size"
    assert "--input" in caught.value.help


def test_symbolic_size_in_a_layer_survives_json() -> None:
    for layer in (Upsample(size=(H * 2, W)), Reshape(shape=(2, H, -1)), Upsample(size=(7, 6))):
        assert type(layer).model_validate_json(layer.model_dump_json()) == layer


def test_symbolic_window_and_weights() -> None:
    assert Upsample(scale=2, mode="bilinear").window((4, H, W)) == Window((2, 2), (2, 2), (1, 1), (1, 1), (4, 4))
    with pytest.raises(RuleError, match="every size"):
        LayerNorm(axes="all").weights((4, H, W))
    with pytest.raises(RuleError, match="size of its input"):
        AdaptiveAvgPool(size=2).window((4, H, W))
    with pytest.raises(UnknownSize):
        Reshape(shape=(-1, H)).shapes((4, H, W))


# The reference


def test_reference_is_written_from_the_classes() -> None:
    written = Path(__file__).parents[2] / "docs" / "layers.md"
    assert written.read_text(encoding="utf-8") == reference(), (
        "write cnnspec.layers.reference.reference() to docs/layers.md"
    )


@pytest.mark.parametrize(
    ("layer", "text"),
    [
        (
            Conv,
            "conv(filters, kernel, stride = 1, pad = 0, dilation = 1, groups = 1, bias = true, init = glorot_uniform, "
            "bias_init = zeros)",
        ),
        (MaxPool, "max_pool(kernel, stride = kernel, pad = 0, dilation = 1, ceil_mode = false)"),
        (BatchNorm, "batch_norm(eps = 1e-5, momentum = 0.1, affine = true, scale = true)"),
        (LayerNorm, "layer_norm(axes = channels, eps = 1e-5, affine = true)"),
        (Prelu, "prelu(shared = false, init = 0.25)"),
        (Flatten, "flatten"),
    ],
)
def test_signature(layer: type[Layer], text: str) -> None:
    assert signature(layer) == text


def test_entry() -> None:
    text = describe(Concat)
    assert text.startswith("### `concat`\n\n```\nconcat(axis = 0)\n```\n\nValues joined along one axis")
    assert "Takes 1 or more inputs." in text
    assert "| `axis` | a whole number of at least 0 | `0` |" in text
    assert "Takes 2 inputs." in describe(Add)
    assert "Takes no input." in describe(Parameter)
    assert "one of nearest, bilinear" in describe(Upsample)
    assert "``" not in describe(Add).replace("```", "")
