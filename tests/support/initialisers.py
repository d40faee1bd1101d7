"""What each initialiser promises of the values it draws, and a network that uses all of them everywhere."""

from __future__ import annotations

from math import prod, sqrt
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

import cnnspec
from cnnspec.backend import backend
from cnnspec.initialisers import Initialiser

PLAIN = (
    "zeros", "ones", "constant(0.3)", "normal(0.02)", "normal(0.5, mean = 1)", "truncated_normal(0.02)",
    "truncated_normal(0.5, mean = 1)", "uniform(-0.1, 0.3)",
)  # fmt: skip
WITH_FANS = (
    "glorot_uniform", "glorot_normal", "he_uniform", "he_normal", "he_uniform(fan = out)", "he_normal(fan = out)",
    "lecun_uniform", "lecun_normal", "orthogonal", "orthogonal(2)",
    "variance_scaling(0.5)", "variance_scaling(3, fan = avg, distribution = normal)",
    "variance_scaling(2, distribution = truncated_normal)",
    "variance_scaling(2, fan = out, distribution = truncated_normal)",
    "variance_scaling(1, fan = avg, distribution = truncated_normal)",
    "variance_scaling(1 / 3, fan = out, distribution = uniform)",
    "variance_scaling(2, fan = avg, distribution = uniform)",
)  # fmt: skip
# Fans in and out differ everywhere, and each kernel has tens of thousands of values.
KERNELS = {
    "dense": ("features", "dense(200, {})"),
    "pointwise": ("map", "dense(400, axis = channels, {})"),
    "conv1d": ("line", "conv(128, 5, {})"),
    "conv2d": ("map", "conv(96, 3x3, {})"),
    "conv3d": ("volume", "conv(32, 3x3x3, {})"),
    "grouped": ("map", "conv(128, 5x5, groups = 4, {})"),
    "depthwise1d": ("long", "depthwise_conv(9, multiplier = 2, {})"),
    "depthwise2d": ("wide", "depthwise_conv(5x5, multiplier = 2, {})"),
    "depthwise3d": ("deep", "depthwise_conv(3x3x3, multiplier = 2, {})"),
    "separable1d": ("long", "separable_conv(64, 9, multiplier = 2, depthwise_{0}, pointwise_{0})"),
    "separable2d": ("wide", "separable_conv(64, 5x5, multiplier = 2, depthwise_{0}, pointwise_{0})"),
    "transposed1d": ("line", "conv_transpose(96, 5, stride = 2, {})"),
    "transposed2d": ("map", "conv_transpose(96, 3x3, stride = 2, {})"),
    "transposed3d": ("volume", "conv_transpose(32, 3x3x3, {})"),
    "transposed_grouped": ("map", "conv_transpose(96, 5x5, groups = 4, {})"),
}
VECTORS = {
    "bias": ("one", "dense(20000, init = zeros, bias_{})"),
    "slope": ("many", "prelu({})"),
}
INPUTS = {
    "features": "300", "line": "64x20", "map": "64x8x8", "volume": "24x5x5x5", "long": "2048x9", "wide": "1024x8x8",
    "deep": "512x3x3x3", "one": "1", "many": "20000x1x1",
}  # fmt: skip


def spec() -> str:
    """A model with a layer for every initialiser and every kind of weight, each an output of its own."""
    lines = ["model Initialisers {", *(f"    input {name}: {shape}" for name, shape in INPUTS.items())]
    for number, initialiser in enumerate((*PLAIN, *WITH_FANS)):
        places = KERNELS if initialiser in WITH_FANS else KERNELS | VECTORS
        for kind, (given, layer) in places.items():
            if initialiser.startswith("orthogonal"):
                layer = layer.replace("depthwise_{0}, ", "")  # which Keras cannot say
            lines.append(
                f"    output y_{kind}{number} = {given} -> {kind}{number}: {layer}".format(f"init = {initialiser}")
            )
    return "\n".join([*lines, "}", ""])


class Promise(NamedTuple):
    """The moments of a distribution, and the farthest from the mean that it reaches; None where it has no end."""

    mean: float
    deviation: float
    reach: float | None


def promise(init: Initialiser, shape: tuple[int, ...]) -> Promise:
    """What an initialiser's definition says of a weight, whose fans are its first two axes times the kernel."""
    kind = init.distribution
    if kind in ("zeros", "ones", "constant"):
        return Promise({"zeros": 0.0, "ones": 1.0}.get(kind, init.value), 0.0, 0.0)
    if kind == "normal":
        return Promise(init.value, init.scale, None)
    if kind == "truncated_normal":
        # The standard deviation of a standard normal cut off at 2: 1 - 4 * pdf(2) / (2 * cdf(2) - 1) is its square.
        return Promise(init.value, 0.87962566103423978 * init.scale, 2 * init.scale)
    if kind == "uniform":
        return Promise(init.value, init.scale / sqrt(3), init.scale)
    fan_out, fan_in = shape[0] * prod(shape[2:]), shape[1] * prod(shape[2:])
    if kind == "orthogonal":
        return Promise(0.0, init.scale / sqrt(max(shape[0], fan_in)), None)
    fans = {"in": fan_in, "out": fan_out, "avg": (fan_in + fan_out) / 2}
    if kind == "variance_scaling":
        deviation = sqrt(init.scale / fans[init.fan])
        # Cut off at two standard deviations of what it is cut from, of which the cut leaves this much.
        reach = {"normal": None, "truncated_normal": 2 / 0.87962566103423978, "uniform": sqrt(3)}[init.form]
        return Promise(0.0, deviation, None if reach is None else reach * deviation)
    fan = {"glorot": fans["avg"], "he": fans[init.fan] / 2, "lecun": fan_in}
    deviation = 1 / sqrt(fan[kind.partition("_")[0]])
    return Promise(0.0, deviation, sqrt(3) * deviation if kind.endswith("uniform") else None)


def wrong(init: Initialiser, values: NDArray[np.floating]) -> list[str]:
    """In what these values of a weight break their initialiser's promise; bounds are five standard errors."""
    mean, deviation, reach = promise(init, values.shape)
    farthest = float(np.abs(values.astype(np.float64) - mean).max())
    found = []
    if deviation == 0:
        return [] if farthest <= 1e-7 else [f"{farthest} away from {mean}"]
    if abs(values.mean() - mean) > 5 * deviation / sqrt(values.size):
        found.append(f"mean {values.mean()}, not {mean}")
    if abs(values.std() / deviation - 1) > 5 / sqrt(2 * values.size):
        found.append(f"standard deviation {values.std()}, not {deviation}")
    if reach is not None and not 0.98 * reach < farthest < reach * (1 + 1e-5):
        found.append(f"reaches {farthest}, not {reach}")
    if reach is None and farthest < 3.3 * deviation:
        found.append(f"reaches {farthest / deviation} standard deviations only: it is cut off")
    if init.distribution == "orthogonal":
        matrix = values.reshape(values.shape[0], -1).astype(np.float64) / init.scale
        product = matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix
        if np.abs(product - np.eye(len(product))).max() > 1e-5:
            found.append("not orthogonal")
    return found


def started(text: str, target: str) -> dict[str, NDArray[np.floating]]:
    """What the generated code of a spec starts from, in a process that has the target's framework."""
    graph = cnnspec.loads(text)
    chosen = backend(target.partition("-")[0])
    runtime = chosen.runtime(target, "float32")
    if target == "torch":
        import torch

        torch.manual_seed(1)
    else:
        import keras

        keras.utils.set_random_seed(1)
    model = runtime.build(chosen.emit(graph, []), graph)
    return runtime.state(model, graph)
