"""Where PyTorch and Keras differ: every difference that touches a layer of the language, as a network that shows it.

Each row is a case in which code translated word for word computes something else in the other framework.  All targets
must agree with the reference in float64 to 1e-10, forward and back, in evaluation and in training.

Gradients at the kinks of activations, which random inputs never meet, are in `KINKS` of ``test_keras_layers`` and in
``test_torch_layers``; dropout, whose masks cannot be equal, is off here; initialisers are in ``test_initialisers``.
What the language does not have, such as a divisor of an average or a cumulative batch norm, has no row.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

import pytest

from cnnspec.fuzz.campaign import Judge, judging

ENGINES = ("torch", "keras-tensorflow", "keras-torch")
SLOW_ENGINES = ("keras-jax",)


class Row(NamedTuple):
    """A difference, and pipelines on an input that it would change."""

    name: str
    body: str
    image: str = "3x8x7"


CONVOLUTION = [
    Row("k//2 of padding, stride 1", "conv(4, 3, pad = 1) -> conv(4, 5, pad = 2) -> conv(2, 3, dilation = 2, pad = 2)"),
    Row("k//2 of padding, kernel 3, stride 2, even size", "conv(4, 3, stride = 2, pad = 1)", "3x8x8"),
    Row("k//2 of padding, kernel 3, stride 2, odd size", "conv(4, 3, stride = 2, pad = 1)", "3x9x9"),
    Row("k//2 of padding, kernel 7, stride 2, even size", "conv(4, 7, stride = 2, pad = 3)", "3x10x10"),
    Row("k//2 of padding, kernel 5, stride 3", "conv(4, 5, stride = 3, pad = 2)", "3x11x10"),
    Row("`same`, stride above 1", "conv(4, 3, stride = 2, pad = same)", "3x8x8"),
    Row("`same`, kernel 5, stride 3", "conv(4, 5, stride = 3, pad = same)", "3x11x10"),
    Row("`same`, even kernel", "conv(4, 4, pad = same) -> conv(4, 2, dilation = 3, pad = same)"),
    Row("explicit padding", "conv(4, 3, pad = 1x2) -> conv(4, 3, pad = [(0, 1), (2, 0)])"),
    Row("stride and dilation", "conv(4, 3, stride = 2, dilation = 2, pad = 2)", "3x11x10"),
    Row("depthwise, stride and dilation", "depthwise_conv(3, stride = 2, dilation = 2, pad = 2)", "3x11x10"),
    Row("depthwise, unequal strides", "depthwise_conv(3, stride = 2x1, pad = 1)"),
    Row("depthwise, multiplier", "depthwise_conv(3, multiplier = 2)"),
    Row("groups", "conv(6, 3, groups = 3) -> conv(4, 3, groups = 2)"),
    Row("reflected border", "pad([(1, 2), (0, 3)], mode = reflect) -> conv(4, 3)"),
    Row("repeated border", "pad([(1, 2), (0, 3)], mode = replicate) -> conv(4, 3)"),
    Row("negative padding", "crop([(1, 0), (0, 2)]) -> conv(4, 3)"),
    Row("causal", "conv(4, 3, dilation = 2, pad = [(4, 0)])", "3x9"),
    Row("one dimension", "conv(4, 4, stride = 2, pad = 1)", "3x9"),
    Row("three dimensions", "conv(4, 3x2x3, stride = 1x2x1, pad = 1)", "2x5x4x6"),
    Row("separable", "depthwise_conv(3, pad = 1, bias = false) -> conv(5, 1)"),
    Row("orientation", "conv(1, 3x2, bias = false)", "1x6x5"),
]

TRANSPOSED = [
    *(
        Row(
            f"transposed, kernel {k}, stride {s}, pad {p}, output pad {extra}",
            f"conv_transpose(4, {k}, stride = {s}, pad = {p}, output_pad = {extra})",
            "3x5x4",
        )
        for k, s, p, extra in (
            (2, 2, 0, 0), (4, 2, 1, 0), (3, 1, 1, 0), (5, 3, 1, 0), (3, 2, 1, 1), (5, 2, 2, 1), (3, 2, 1, 0),
            (4, 2, 2, 0), (3, 2, 0, 1), (2, 3, 0, 0), (1, 2, 0, 0), (3, 3, 0, 2),
        )
    ),
    Row("transposed, dilation", "conv_transpose(4, 3, dilation = 2)", "3x5x4"),
    Row("transposed, stride and dilation", "conv_transpose(4, 3, stride = 2, dilation = 2, pad = 1)", "3x5x4"),
    Row("transposed, groups", "conv_transpose(6, 3, stride = 2, groups = 3, pad = 1)", "3x5x4"),
    Row("transposed, a group for each channel", "conv_transpose(3, 4, stride = 2, groups = 3, pad = 1)", "3x5x4"),
    Row("transposed, one dimension", "conv_transpose(4, 3, stride = 2, output_pad = 1)", "3x5"),
    Row("transposed, three dimensions", "conv_transpose(2, 3, stride = 2, pad = 1, output_pad = 1)", "2x3x4x3"),
]  # fmt: skip

# A map shifted far below zero: padding with zeros would win every maximum.
NEGATIVE = "scale_shift(1, -9) -> "
# Equal values in every window: which of them has the gradient shows.
TIES = "upsample(2) -> "

POOLING = [
    Row("max pool 3/2/1, even size", f"{NEGATIVE}max_pool(3, stride = 2, pad = 1)", "3x8x8"),
    Row("max pool 3/2/1, odd size", f"{NEGATIVE}max_pool(3, stride = 2, pad = 1)", "3x9x9"),
    Row("max pool, `same`", f"{NEGATIVE}max_pool(3, stride = 2, pad = same)", "3x8x8"),
    Row("max pool, `ceil_mode`", f"{NEGATIVE}max_pool(3, stride = 2, ceil_mode = true)", "3x8x7"),
    Row("max pool, `ceil_mode`, a last window left out", "max_pool(2, stride = 3, pad = 1, ceil_mode = true)", "3x8x7"),
    Row("max pool, dilation", f"{NEGATIVE}max_pool(3, stride = 2, dilation = 2, pad = 1)", "3x9x8"),
    Row("average, padding counts", "avg_pool(3, stride = 2, pad = 1, count_pad = true)", "3x8x8"),
    Row("average, padding does not count", "avg_pool(3, stride = 2, pad = 1)", "3x8x8"),
    Row("average, unequal padding", "avg_pool(3, stride = 2, pad = [(0, 1), (1, 0)])", "3x8x8"),
    Row(
        "average, unequal padding counts", "avg_pool(3, stride = 2, pad = [(0, 1), (1, 0)], count_pad = true)", "3x8x8"
    ),
    Row("average, `ceil_mode`", "avg_pool(3, stride = 2, pad = 1, ceil_mode = true)", "3x8x7"),
    Row(
        "average, `ceil_mode`, padding counts",
        "avg_pool(3, stride = 2, pad = 1, ceil_mode = true, count_pad = true)",
        "3x8x7",
    ),
    Row("average, `same`, even size", "avg_pool(3, stride = 2, pad = same)", "3x8x8"),
    Row("average, a kernel larger than the map", "avg_pool(5, stride = 1, pad = same)", "3x4x3"),
    Row("average, a kernel larger than the line", "avg_pool(5, stride = 1, pad = 2)", "3x4"),
    Row("average, a kernel larger than the volume", "avg_pool(3, stride = 1, pad = 1)", "2x2x3x2"),
    Row("adaptive average", "adaptive_avg_pool(3x5)", "3x8x7"),
    Row("adaptive maximum", "adaptive_max_pool(3x5)", "3x8x7"),
    Row("adaptive maximum, an axis of one", "adaptive_max_pool(3x1)", "3x1x7"),
    Row("global average", "global_avg_pool", "3x8x7"),
    Row("global maximum", "global_max_pool", "3x8x7"),
    Row("the first of equal values, max pool", f"{TIES}max_pool(3, stride = 2, pad = 1)", "3x4x4"),
    Row("the first of equal values, adaptive", f"{TIES}adaptive_max_pool(3x2)", "3x4x4"),
    Row("the first of equal values, global", f"{TIES}global_max_pool", "3x4x4"),
]

NORMALISATION = [
    Row("batch norm, epsilon", "batch_norm(eps = 1e-5) -> batch_norm(eps = 1e-3)"),
    Row("batch norm, momentum", "batch_norm(momentum = 0.1) -> batch_norm(momentum = 0.3)"),
    Row("batch norm, running variance", "batch_norm(momentum = 1.0)", "3x2x2"),
    Row("batch norm of a small variance", "scale_shift(0.01) -> batch_norm"),
    Row("layer norm, epsilon", "layer_norm -> layer_norm(eps = 1e-3)", "6x4x4"),
    Row("layer norm of the whole sample", "layer_norm(axes = all)"),
    Row("group norm, epsilon", "group_norm(2) -> group_norm(3, eps = 1e-3)", "6x4x4"),
    Row("instance norm", "instance_norm -> instance_norm(affine = true)"),
    Row("local response norm, odd size", "local_response_norm(3, alpha = 0.5, beta = 0.7, k = 2)", "6x4x4"),
    Row("local response norm, even size", "local_response_norm(4, alpha = 0.5, beta = 0.7, k = 2)", "6x4x4"),
]

# Far from zero too, where functions saturate and approximations differ.
WIDE = "scale_shift(20) -> "

ACTIVATIONS = [
    *(
        Row(f"{text}, wide", f"{WIDE}{text}")
        for text in (
            "relu", "relu6", "elu", "selu", "celu", "silu", "mish", "softsign", "tanh", "sigmoid", "hard_tanh",
            "hard_swish", "hard_sigmoid", "abs", "gelu", 'gelu(approximate = "tanh")', "softplus",
        )
    ),
    Row("leaky relu, slope", "leaky_relu -> leaky_relu(0.3) -> leaky_relu(0.2)"),
    Row("elu, alpha", "elu(0.3)"),
    Row("celu, alpha", "celu(0.3) -> celu(3.0)"),
    Row("hard tanh, limits", "hard_tanh(-0.3, 0.7)"),
    Row("prelu, a slope for each channel", "prelu"),
    Row("prelu, one slope", "prelu(shared = true)"),
    Row("softmax over the channels", "softmax"),
    Row("softmax over the width", "softmax(axis = 2)"),
    Row("log softmax over the channels", "log_softmax"),
]  # fmt: skip

ARRANGEMENT = [
    Row("nearest, enlarged", "upsample(2x3)"),
    Row("nearest, other sizes", "upsample(size = 11x5)"),
    Row("nearest, halved", "upsample(size = 4x4)", "3x8x8"),
    Row("bilinear", "upsample(2, mode = bilinear)"),
    Row("bilinear, other sizes", "upsample(size = 11x5, mode = bilinear)"),
    Row("bilinear, aligned corners", "upsample(size = 11x5, mode = bilinear, align_corners = true)"),
    Row("pixel shuffle", "pixel_shuffle(2)", "8x3x4"),
    Row("channel shuffle", "channel_shuffle(3)", "6x3x4"),
    Row("flatten and dense", "flatten -> dense(4)", "3x4x5"),
    Row("flatten, batch norm, dense", "flatten -> batch_norm -> relu -> dense(4)", "3x4x5"),
    Row("reshape", "reshape([5, 3, 4]) -> conv(2, 3, pad = 1)", "3x4x5"),
    Row("permute", "permute([2, 0, 1]) -> conv(2, 3, pad = 1)", "3x4x5"),
    Row("concatenated along an axis", "x\nconcat(x -> relu, x, axis = 1)", "3x4x5"),
]

LAYOUTS = [
    Row("kernels of convolutions", "conv(5, 2x3) -> conv(4, 3x1, groups = 1)"),
    Row("kernels of grouped convolutions", "conv(6, 2x3, groups = 3)"),
    Row("kernels of depthwise convolutions", "depthwise_conv(2x3, multiplier = 2)"),
    Row("kernels of transposed convolutions", "conv_transpose(5, 2x3)"),
    Row("kernels of grouped transposed convolutions", "conv_transpose(6, 2x3, groups = 3)"),
    Row("dense", "dense(5) -> dense(3, bias = false)", "7"),
    Row("dense over the channels", "dense(5, axis = channels)"),
    Row("dense behind a flattened volume", "flatten -> dense(3)", "2x3x4x2"),
    Row("dense behind a flattened line", "flatten -> dense(3)", "3x5"),
    Row("batch norm", "batch_norm -> batch_norm(affine = false)"),
    Row("batch norm of a vector", "dense(6) -> batch_norm", "7"),
    Row("layer norm over channels", "layer_norm", "6x3x4"),
    Row("layer norm over channels, height and width", "layer_norm(axes = all)", "2x3x4"),
    Row("group norm", "group_norm(3)", "6x3x4"),
    Row("instance norm", "instance_norm(affine = true)", "3x3x4"),
    Row("slopes of prelu", "prelu -> prelu(shared = true)", "3x3x4"),
    Row("learned array", "x\ngamma = gamma: parameter([3, 1, 7], init = 0.5)\nx * gamma"),
]

TABLE = {
    "convolution": CONVOLUTION,
    "transposed convolution": TRANSPOSED,
    "pooling": POOLING,
    "normalisation": NORMALISATION,
    "activation": ACTIVATIONS,
    "resizing and rearranging": ARRANGEMENT,
    "weight layout": LAYOUTS,
}
ROWS = [
    pytest.param(row, id=f"{section}: {row.name}".replace("[", "(").replace("]", ")"))
    for section, rows in TABLE.items()
    for row in rows
]


def spec(row: Row) -> str:
    first, *rest = row.body.split("\n")
    lines = ["x" if first == "x" else f"x -> {first}", *rest]
    return "\n".join(["model Row {", f"    input x: {row.image}", "", *(f"    {line}" for line in lines), "}"]) + "\n"


@pytest.fixture(scope="module")
def judge() -> Iterator[Judge]:
    with judging(ENGINES) as one:
        yield one


@pytest.fixture(scope="module")
def slow_judge() -> Iterator[Judge]:
    with judging(SLOW_ENGINES) as one:
        yield one


@pytest.mark.parametrize("row", ROWS)
def test_row(judge: Judge, row: Row) -> None:
    assert not judge.findings(spec(row), 0, ENGINES)


@pytest.mark.slow
@pytest.mark.parametrize("row", ROWS)
def test_row_on_jax(slow_judge: Judge, row: Row) -> None:
    assert not slow_judge.findings(spec(row), 0, SLOW_ENGINES)
