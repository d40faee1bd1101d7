"""What each layer becomes in Keras 3, channels last.

A stock layer wherever it computes the layer's definition on all three backends of Keras, gradients at kinks included;
a helper of `cnnspec_keras.helpers` elsewhere.  Graph shapes are channels first without the batch: ``CxHxW`` is
``(batch, H, W, C)`` here.
"""

from __future__ import annotations

import struct
from collections import ChainMap
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, TypeVar, cast

from cnnspec.codegen.emission import Argument, Code, Construct, Emission, Place, Sizes, Stage, Unsupported
from cnnspec.codegen.windows import Sides as Pairs
from cnnspec.codegen.windows import pads_by_size
from cnnspec.initialisers import Initialiser, Scaling
from cnnspec.layers import activation, arithmetic, arrangement, normalisation, pooling, regularisation
from cnnspec.layers.base import Layer, SameShape, padding, per_axis
from cnnspec.layers.convolution import Conv, ConvTranspose, DepthwiseConv, SeparableConv
from cnnspec.layers.dense import Dense
from cnnspec.shapes import Dim, Shape, known

L = TypeVar("L", bound=Layer)
Emitter = Callable[[Sequence[Place]], list[Emission]]

EMITTERS: dict[type[Layer], Emitter] = {}
"""For each layer class: what its uses at one position of a block become, one emission for each."""


def emits_together(kind: type[L]) -> Callable[[Callable[[list[L], Sequence[Place]], list[Emission]]], Emitter]:
    """Register the emitter of a layer whose uses must choose one form together."""

    def register(emitter: Callable[[list[L], Sequence[Place]], list[Emission]]) -> Emitter:
        def emit(places: Sequence[Place]) -> list[Emission]:
            found: dict[int, Emission] = {}
            # Inputs of another rank are other layers in Keras: Conv1D, Conv2D.
            for rank in {_ranks(place) for place in places}:
                alike = [number for number, place in enumerate(places) if _ranks(place) == rank]
                some = [places[number] for number in alike]
                emissions = emitter([cast("L", place.node.layer) for place in some], some)
                found.update(zip(alike, emissions, strict=True))
            return [found[number] for number in range(len(places))]

        EMITTERS[kind] = emit
        return emit

    return register


def emits(kind: type[L]) -> Callable[[Callable[[L, Place], Emission]], Emitter]:
    """Register the emitter of a layer whose form does not depend on its other uses."""

    def register(emitter: Callable[[L, Place], Emission]) -> Emitter:
        return emits_together(kind)(lambda layers, places: list(map(emitter, layers, places)))

    return register


def layer_name(path: str) -> str:
    """The name of a layer in Keras: its path with ``_`` for ``.``, which PyTorch allows in no name of a parameter."""
    return path.replace(".", "_")


# ---- what the emitters share -----------------------------------------------------------------------------------------


def _ranks(place: Place) -> tuple[tuple[int, ...], tuple[int, ...]]:
    return tuple(map(len, place.inputs)), tuple(map(len, place.outputs))


def _layer(kind: str, *arguments: Argument | Any) -> Construct:
    """A stock layer; plain values are positional arguments."""
    return Construct(f"layers.{kind}", _arguments(arguments))


def _helper(name: str, *arguments: Argument | Any) -> Construct:
    """A layer whose definition is in `HELPERS`."""
    return Construct(name, _arguments(arguments), helper=name)


def _function(name: str) -> Construct:
    """An elementwise function whose definition is in `HELPERS`, as a layer."""
    return Construct("layers.Activation", (Argument(Code(name)),), helper=name)


def _arguments(arguments: tuple[Argument | Any, ...]) -> tuple[Argument, ...]:
    return tuple(argument if isinstance(argument, Argument) else Argument(argument) for argument in arguments)


def _one(construct: Construct, *, finisher: bool = False) -> Emission:
    return Emission((Stage(construct),), finisher=finisher)


def _number(size: Dim, what: str) -> int:
    """A size as a number; Keras code cannot be written where it must be known and is not."""
    if not isinstance(size, int):
        raise Unsupported(f"{what} must be known, and it is {size}")
    return size


def _alike(values: Sequence[tuple[Any, ...]]) -> list[Any]:
    """One number for all axes where that is so in every use, a tuple elsewhere."""
    if all(len(set(value)) == 1 for value in values):
        return [value[0] for value in values]
    return list(values)


def _paddings(pads: Sequence[Pairs]) -> list[Any]:
    """The argument of ``ZeroPaddingND`` and ``CroppingND``, in the shortest form that all uses can take."""
    if all(len({side for pair in pairs for side in pair}) == 1 for pairs in pads):
        return [pairs[0][0] for pairs in pads]
    if len(pads[0]) == 1:
        return [pairs[0] for pairs in pads]
    if all(before == after for pairs in pads for before, after in pairs):
        return [Sizes(before for before, _ in pairs) for pairs in pads]
    return list(pads)


def _no_pad(pads: Sequence[Pairs]) -> bool:
    return not any(side for pairs in pads for pair in pairs for side in pair)


def _same_pads(layer: Layer, shape: Shape, kernel: Any, stride: Any, dilation: Any) -> Pairs | None:
    """What ``padding="same"`` pads on this input; None where that depends on a size that is not known."""
    if any(s != 1 for s in stride) and not all(known(size) for size in shape[1:]):
        return None
    return padding(layer, "same", shape[1:], kernel, stride, dilation)


def _position(axis: int) -> int:
    """The place of a channels-first axis among those of a Keras tensor."""
    return -1 if axis == 0 else axis


def _initialiser(init: Initialiser) -> Any:
    """An initialiser as Keras has it."""
    if init.scaling is not None:
        return _variance_scaling(init.scaling)
    match init.distribution:
        case "constant":
            return _keras_initialiser("Constant", init.value)
        case "normal":
            return _keras_initialiser("RandomNormal", Argument(init.value), Argument(init.scale))
        case "truncated_normal":
            return _keras_initialiser("TruncatedNormal", Argument(init.value), Argument(init.scale))
        case "uniform":
            return _keras_initialiser("RandomUniform", init.value - init.scale, init.value + init.scale)
        case "orthogonal":
            return _keras_initialiser("Orthogonal", Argument(init.scale, default=1.0))
    return init.distribution


_SHORT = {
    Scaling(1.0, "avg", "uniform"): "glorot_uniform",
    Scaling(1.0, "avg", "truncated_normal"): "glorot_normal",
    Scaling(2.0, "in", "uniform"): "he_uniform",
    Scaling(2.0, "in", "truncated_normal"): "he_normal",
    Scaling(1.0, "in", "uniform"): "lecun_uniform",
    Scaling(1.0, "in", "truncated_normal"): "lecun_normal",
}
"""Those that Keras has a word for, whose ``*_normal`` ones are cut off at two standard deviations."""


def _variance_scaling(scaling: Scaling) -> Any:
    if scaling in _SHORT:
        return _SHORT[scaling]
    form = "untruncated_normal" if scaling.form == "normal" else scaling.form
    return _keras_initialiser("VarianceScaling", scaling.scale, f"fan_{scaling.fan}", form)


def _keras_initialiser(name: str, *arguments: Argument | Any) -> Construct:
    return Construct(f"keras.initializers.{name}", _arguments(arguments))


def _depthwise_initialiser(init: Initialiser, channels: int, multiplier: int) -> Any:
    """The same distribution for a kernel ``(k..., C, m)``, whose fans Keras takes to be ``k * C`` and ``k * m``.

    The spec's fans are ``k`` and ``k * C * m``.  None where Keras has no such initialiser.
    """
    if init.distribution == "orthogonal":
        return None
    if init.scaling is None:
        return _initialiser(init)
    scale, fan, form = init.scaling
    if fan == "avg":
        if multiplier != 1:
            scale *= (channels + multiplier) / (1 + channels * multiplier)
        return _variance_scaling(Scaling(scale, fan, form))
    if fan == "in":
        return _variance_scaling(Scaling(scale * multiplier, "out", form))
    return _variance_scaling(Scaling(scale / multiplier, "in", form))


def _affine(layer: Any) -> tuple[Argument, Argument]:
    return Argument(layer.affine, "center", True), Argument(layer.affine, "scale", True)


# ---- convolutions ----------------------------------------------------------------------------------------------------


@emits_together(Conv)
def conv(layers: list[Conv], places: Sequence[Place]) -> list[Emission]:
    """``Conv2D``; ``DepthwiseConv2D`` where every group is one channel, which TensorFlow computes far faster."""
    channels = [place.inputs[0][0] for place in places]
    depthwise = all(layer.groups == c and layer.groups > 1 for layer, c in zip(layers, channels, strict=True))
    return _convolutions(layers, places, depthwise=depthwise)


@emits_together(DepthwiseConv)
def depthwise_conv(layers: list[DepthwiseConv], places: Sequence[Place]) -> list[Emission]:
    grouped = [layer.as_conv(place.inputs[0]) for layer, place in zip(layers, places, strict=True)]
    return _convolutions(grouped, places, depthwise=True)


def _convolutions(layers: Sequence[Conv], places: Sequence[Place], *, depthwise: bool) -> list[Emission]:
    sliding = _sliding(layers, places)
    rank = sliding.rank
    # The depthwise kernels of TensorFlow refuse unequal strides, and Keras has none of three dimensions.
    depthwise = depthwise and rank < 3 and (sliding.thinned or all(len(set(s)) == 1 for s in sliding.strides))
    initialisers = _depthwise_initialisers(layers) if depthwise else None
    emissions = []
    for number, (layer, (kernel, dilation, shared)) in enumerate(zip(layers, sliding.arguments(), strict=True)):
        rest = (Argument(layer.bias, "use_bias", True),)
        bias = Argument(_initialiser(layer.bias_init), "bias_initializer", "zeros")
        if initialisers is not None:
            module = _layer(
                f"DepthwiseConv{rank}D",
                kernel,
                *shared,
                Argument(layer.filters // layer.groups, "depth_multiplier", 1),
                dilation,
                *rest,
                Argument(initialisers[number], "depthwise_initializer", "glorot_uniform"),
                bias,
            )
        else:
            module = _layer(
                f"Conv{rank}D",
                layer.filters,
                kernel,
                *shared,
                dilation,
                Argument(layer.groups, "groups", 1),
                *rest,
                Argument(_initialiser(layer.init), "kernel_initializer", "glorot_uniform"),
                bias,
            )
        emissions.append(sliding.emission(number, module))
    return emissions


@emits_together(SeparableConv)
def separable_conv(layers: list[SeparableConv], places: Sequence[Place]) -> list[Emission]:
    """``SeparableConv2D``; a stride that its depthwise part refuses can be taken after the pointwise part as well."""
    first = [layer.depthwise(place.inputs[0]) for layer, place in zip(layers, places, strict=True)]
    sliding = _sliding(first, places, equal_strides=True)
    rank = sliding.rank
    if rank == 3:
        raise Unsupported("Keras has no separable convolution of three dimensions")
    initialisers = _depthwise_initialisers(first)
    if initialisers is None:
        raise Unsupported("Keras has no initialiser for the depthwise weights that starts them so")
    return [
        sliding.emission(
            number,
            _layer(
                f"SeparableConv{rank}D",
                layer.filters,
                kernel,
                *shared,
                dilation,
                Argument(layer.multiplier, "depth_multiplier", 1),
                Argument(layer.bias, "use_bias", True),
                Argument(initialisers[number], "depthwise_initializer", "glorot_uniform"),
                Argument(_initialiser(layer.pointwise_init), "pointwise_initializer", "glorot_uniform"),
                Argument(_initialiser(layer.bias_init), "bias_initializer", "zeros"),
            ),
        )
        for number, (layer, (kernel, dilation, shared)) in enumerate(zip(layers, sliding.arguments(), strict=True))
    ]


def _depthwise_initialisers(layers: Sequence[Conv]) -> list[Any] | None:
    """What starts depthwise weights; None where Keras cannot say it in the same way for all uses."""
    found = [_depthwise_initialiser(layer.init, layer.groups, layer.filters // layer.groups) for layer in layers]
    # An initialiser is not an argument that a block can pass on.
    return found if None not in found and all(one == found[0] for one in found) else None


@dataclass(frozen=True)
class _Sliding:
    """How the kernels of a layer's uses go over their inputs.

    ``modes`` is what ``padding`` says in each use, None where it cannot say it in all of them; ``by_size`` is whether
    what goes before then works out ``same`` padding from its input.  ``thinned`` is whether the stride is taken
    afterwards.
    """

    rank: int
    kernels: list[tuple[int, ...]]
    strides: list[tuple[int, ...]]
    dilations: list[tuple[int, ...]]
    pads: list[Pairs]
    modes: list[str] | None
    by_size: bool
    thinned: bool

    def arguments(self) -> Iterator[tuple[Any, Argument, tuple[Argument, Argument]]]:
        """For each use the kernel, the dilation, and stride and padding."""
        modes = self.modes or ["valid"] * len(self.pads)
        sizes = map(_alike, (self.kernels, self.strides, self.dilations))
        for kernel, stride, dilation, mode in zip(*sizes, modes, strict=True):
            padding = Argument(mode, "padding", "valid")
            strides = Argument(1 if self.thinned else Sizes.of(stride), "strides", 1)
            yield Sizes.of(kernel), Argument(Sizes.of(dilation), "dilation_rate", 1), (strides, padding)

    @cached_property
    def written_pads(self) -> list[Any]:
        """What a layer of padding takes in each use."""
        return _paddings(self.pads)

    @cached_property
    def written_strides(self) -> list[Any]:
        """What a layer that thins out takes in each use."""
        return _alike(self.strides)

    def emission(self, number: int, module: Construct) -> Emission:
        """The layer of a use, with what goes before and after it."""
        stages = [Stage(module)]
        if self.modes is None:
            if self.by_size:
                kernel, dilation = self.kernels[number], self.dilations[number]
                pad = _window_padding(kernel, self.strides[number], dilation, "same")
            else:
                pad = _layer(f"ZeroPadding{self.rank}D", self.written_pads[number])
            stages.insert(0, Stage(pad, suffix="pad"))
        if self.thinned:
            thin = _layer(f"MaxPooling{self.rank}D", 1, Argument(self.written_strides[number], "strides"))
            stages.append(Stage(thin, suffix="stride"))
        return Emission(tuple(stages))


def _sliding(layers: Sequence[Conv], places: Sequence[Place], *, equal_strides: bool = False) -> _Sliding:
    """``equal_strides`` is for layers that need them; unequal ones are then taken afterwards."""
    shapes = [place.inputs[0] for place in places]
    rank = len(shapes[0]) - 1
    kernels = [per_axis(layer, "kernel", layer.kernel, rank) for layer in layers]
    strides = [per_axis(layer, "stride", layer.stride, rank) for layer in layers]
    dilations = [per_axis(layer, "dilation", layer.dilation, rank) for layer in layers]
    pads = [layer.pads(shape) for layer, shape in zip(layers, shapes, strict=True)]
    windows = [layer.window(shape) for layer, shape in zip(layers, shapes, strict=True)]
    by_size = pads_by_size([layer.pad for layer in layers], pads, windows)

    # `same` where it is what the spec says, or cannot depend on the size of the input.  In three dimensions TensorFlow
    # begins at the wrong place where the stride is larger than the kernel (docs/verification.md).
    same = [
        (layer.pad == "same" or set(stride) == {1})
        and not (rank == 3 and any(map(int.__lt__, kernel, stride)))
        and pad == _same_pads(layer, shape, kernel, stride, dilation)
        for layer, shape, kernel, stride, dilation, pad in zip(
            layers, shapes, kernels, strides, dilations, pads, strict=True
        )
    ]
    # Keras refuses a stride together with a dilation: every position is computed then, and the stride taken afterwards.
    thinned = any(
        (set(s) != {1} and set(d) != {1}) or (equal_strides and len(set(s)) > 1)
        for s, d in zip(strides, dilations, strict=True)
    )
    modes: list[str] | None = None
    if _no_pad(pads) and not by_size:
        modes = ["valid"] * len(pads)
    elif all(same) and not thinned:
        modes = ["same"] * len(pads)
    elif not thinned and not by_size and all(one or _no_pad([pad]) for one, pad in zip(same, pads, strict=True)):
        modes = ["valid" if _no_pad([pad]) else "same" for pad in pads]
    return _Sliding(rank, kernels, strides, dilations, pads, modes, by_size, thinned)


def _window_padding(
    kernel: Sequence[int],
    stride: Sequence[int],
    dilation: Sequence[int],
    padding: Any,
    *,
    ceil_mode: bool = False,
    lowest: bool = False,
) -> Construct:
    """A layer that pads a map as the window needs it at the map's size."""
    return _helper(
        "WindowPadding",
        tuple(d * (k - 1) + 1 for k, d in zip(kernel, dilation, strict=True)),
        Argument(tuple(stride), "strides"),
        Argument(padding, "padding"),
        Argument(ceil_mode, "ceil_mode", False),
        Argument(lowest, "lowest", False),
    )


@emits_together(ConvTranspose)
def conv_transpose(layers: list[ConvTranspose], places: Sequence[Place]) -> list[Emission]:
    """``Conv2DTranspose`` without padding, and a crop; in one step where ``padding="same"`` crops the same."""
    rank = len(places[0].inputs[0]) - 1

    def axes(name: str) -> list[tuple[int, ...]]:
        return [per_axis(layer, name, getattr(layer, name), rank) for layer in layers]

    kernels, strides, dilations = axes("kernel"), axes("stride"), axes("dilation")
    pads, extras = axes("pad"), axes("output_pad")
    if any(layer.groups > 1 or set(d) != {1} for layer, d in zip(layers, dilations, strict=True)):
        return [
            _one(
                _helper(
                    "ConvTranspose",
                    layer.filters,
                    kernels[n],
                    Argument(strides[n], "strides"),
                    Argument(pads[n], "cropping"),
                    Argument(extras[n], "output_padding"),
                    Argument(dilations[n], "dilation_rate"),
                    Argument(layer.groups, "groups"),
                    Argument(layer.bias, "use_bias", True),
                    Argument(_initialiser(layer.init), "kernel_initializer", "glorot_uniform"),
                    Argument(_initialiser(layer.bias_init), "bias_initializer", "zeros"),
                )
            )
            for n, layer in enumerate(layers)
        ]
    every = [axis for axes in map(zip, kernels, strides, pads, extras) for axis in axes]
    plain = not any(p for _, _, p, _ in every)
    # `same` crops k - s rows, the odd one after; `valid` adds s - k rows where the kernel is smaller than the stride.
    same = not plain and all(extra == 0 and k - s == 2 * p for k, s, p, extra in every)
    exact = all(k >= s and extra == 0 for k, s, _, extra in every)
    crops = _paddings([tuple((p, p) for p in pad) for pad in pads])
    emissions = []
    for layer, kernel, stride, extra, pad in zip(
        layers, _alike(kernels), _alike(strides), _alike(extras), crops, strict=True
    ):
        module = _layer(
            f"Conv{rank}DTranspose",
            layer.filters,
            kernel,
            Argument(stride, "strides", 1),
            Argument("same" if same else "valid", "padding", "valid"),
            Argument(None if exact else extra, "output_padding", None),
            Argument(layer.bias, "use_bias", True),
            Argument(_initialiser(layer.init), "kernel_initializer", "glorot_uniform"),
            Argument(_initialiser(layer.bias_init), "bias_initializer", "zeros"),
        )
        crop = () if plain or same else (Stage(_layer(f"Cropping{rank}D", pad), suffix="crop"),)
        emissions.append(Emission((Stage(module), *crop)))
    return emissions


@emits(Dense)
def dense(layer: Dense, place: Place) -> Emission:
    """Keras applies it to the last axis, which is the channels."""
    return _one(
        _layer(
            "Dense",
            layer.units,
            Argument(layer.bias, "use_bias", True),
            Argument(_initialiser(layer.init), "kernel_initializer", "glorot_uniform"),
            Argument(_initialiser(layer.bias_init), "bias_initializer", "zeros"),
        )
    )


# ---- pooling ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Pools:
    """How the windows of a layer's uses go over their inputs.

    ``pads`` is without what ``ceil_mode`` adds.  ``by_size`` is whether the padding depends on the size of the map.
    """

    windows: list[pooling.Pooled]
    pads: list[Pairs]
    by_size: bool
    rounds_up: list[bool]

    def arguments(self, number: int) -> tuple[Argument, ...]:
        """Padding and rounding of a use, for a helper: ``same`` where a size decides."""
        return (
            Argument("same" if self.by_size else self.pads[number], "padding"),
            Argument(self.rounds_up[number], "ceil_mode", False),
        )


def _pools(layers: Sequence[Any], places: Sequence[Place]) -> _Pools:
    windows = [layer.geometry(place.inputs[0]) for layer, place in zip(layers, places, strict=True)]
    pads = [window.pads for window in windows]
    sliding = [layer.window(place.inputs[0]) for layer, place in zip(layers, places, strict=True)]
    by_size = pads_by_size([layer.pad for layer in layers], pads, sliding)
    # `same` leaves nothing to round up.
    return _Pools(windows, pads, by_size, [layer.rounds_up and layer.pad != "same" for layer in layers])


def _pool_arguments(windows: Sequence[pooling.Pooled]) -> list[tuple[Argument, Argument]]:
    """Window and stride, which is left out where it is always the window."""
    tiled = all(window.stride == window.kernel for window in windows)
    kernels, strides = _alike([window.kernel for window in windows]), _alike([window.stride for window in windows])
    return [
        (Argument(kernel), Argument(None if tiled else stride, "strides", None))
        for kernel, stride in zip(kernels, strides, strict=True)
    ]


def _never_negative(place: Place) -> bool:
    """Whether a layer takes nothing below zero, and zeros only where the gradient ends anyway."""
    if place.around is None:
        return False
    waiting, seen = list(place.node.inputs), set(place.node.inputs)
    while waiting:
        node = place.around.makers.get(waiting.pop())
        if node is None or not isinstance(node.layer, (*_ENDS_AT_ZERO, *_KEEPS_SIGN)):
            return False
        if isinstance(node.layer, _KEEPS_SIGN):
            waiting += set(node.inputs) - seen
            seen |= set(node.inputs)
    return True


_ENDS_AT_ZERO: tuple[type[Layer], ...] = (
    activation.Relu,
    activation.Relu6,
    activation.Sigmoid,
    activation.HardSigmoid,
)
_KEEPS_SIGN: tuple[type[Layer], ...] = (
    pooling.MaxPool,
    arrangement.Concat,
    arrangement.Identity,
    regularisation.Dropout,
)


@emits_together(pooling.MaxPool)
def max_pool(layers: list[pooling.MaxPool], places: Sequence[Place]) -> list[Emission]:
    """``MaxPooling2D``, after rows of minus infinity where it has padding that ``same`` cannot say.

    Rows of zeros do the same behind a relu.  A zero of the padding may then have the gradient that one of the map has
    in the spec, but the relu lets neither through.
    """
    rank = len(places[0].inputs[0]) - 1
    pools = _pools(layers, places)
    windows, pads, rounds_up = pools.windows, pools.pads, pools.rounds_up
    if any(set(window.dilation) != {1} for window in windows):
        return [
            _one(
                _helper(
                    "DilatedMaxPooling",
                    window.kernel,
                    Argument(window.stride, "strides"),
                    *pools.arguments(number),
                    Argument(window.dilation, "dilation_rate"),
                )
            )
            for number, window in enumerate(windows)
        ]
    plain = _no_pad(pads) and not pools.by_size and not any(rounds_up)
    same = pools.by_size or all(
        layer.pad == "same"
        or (
            set(window.stride) == {1}
            and pad == _same_pads(layer, place.inputs[0], window.kernel, window.stride, (1,) * rank)
        )
        or (up and _rounds_up_as_same(window))
        for layer, place, window, pad, up in zip(layers, places, windows, pads, rounds_up, strict=True)
    )
    zeros = all(map(_never_negative, places))
    emissions = []
    for number, (arguments, pad) in enumerate(zip(_pool_arguments(windows), _paddings(pads), strict=True)):
        module = _layer(f"MaxPooling{rank}D", *arguments, Argument("same" if same else "valid", "padding", "valid"))
        if any(rounds_up):
            kernel, stride, dilation = windows[number][:3]
            padding = _window_padding(kernel, stride, dilation, pads[number], ceil_mode=rounds_up[number], lowest=True)
        else:
            padding = _layer(f"ZeroPadding{rank}D", pad) if zeros else _helper(f"InfinityPadding{rank}D", pad)
        before = () if plain or same else (Stage(padding, suffix="pad"),)
        emissions.append(Emission((*before, Stage(module))))
    return emissions


def _rounds_up_as_same(window: pooling.Pooled) -> bool:
    """Whether ``ceil_mode`` pads as ``same`` does at every size: one row at most, behind."""
    return _no_pad([window.pads]) and all(k <= 2 and k <= s for k, s in zip(window.kernel, window.stride, strict=True))


@emits_together(pooling.AvgPool)
def avg_pool(layers: list[pooling.AvgPool], places: Sequence[Place]) -> list[Emission]:
    """``AveragePooling2D``; with ``same``, under which padding does not count, or after zeros where they do.

    Never ``same`` with a stride or an even window: on its PyTorch backend, Keras 3.15 then pads both sides.  Nor with a
    window larger than the map: TensorFlow's gradient is wrong then, and PyTorch refuses it in three dimensions.
    """
    rank = len(places[0].inputs[0]) - 1
    pools = _pools(layers, places)
    windows, pads = pools.windows, pools.pads
    up = any(pools.rounds_up)
    plain = _no_pad(pads) and not pools.by_size and not up
    counted = all(layer.count_pad for layer in layers) and not up
    same = all(
        rank < 3
        and set(window.stride) == {1}
        and all(k % 2 for k in window.kernel)
        and pad == tuple((k // 2, k // 2) for k in window.kernel)
        and not layer.count_pad
        and not any(known(n) and n < k for n, k in zip(place.inputs[0][1:], window.kernel, strict=True))
        for layer, place, window, pad in zip(layers, places, windows, pads, strict=True)
    )
    if not (plain or same or counted):
        return [
            _one(
                _helper(
                    "BorderAveragePooling",
                    window.kernel,
                    Argument(window.stride, "strides"),
                    *pools.arguments(number),
                    Argument(layer.count_pad, "count_padding", False),
                )
            )
            for number, (layer, window) in enumerate(zip(layers, windows, strict=True))
        ]
    emissions = []
    for window, arguments, pad in zip(windows, _pool_arguments(windows), _paddings(pads), strict=True):
        mode = Argument("same" if same and not plain else "valid", "padding", "valid")
        if pools.by_size:
            padding = _window_padding(window.kernel, window.stride, window.dilation, "same")
        else:
            padding = _layer(f"ZeroPadding{rank}D", pad)
        before = () if plain or same else (Stage(padding, suffix="pad"),)
        emissions.append(Emission((*before, Stage(_layer(f"AveragePooling{rank}D", *arguments, mode)))))
    return emissions


@emits_together(pooling.L2Pool)
def l2_pool(layers: list[pooling.L2Pool], places: Sequence[Place]) -> list[Emission]:
    pools = _pools(layers, places)
    return [
        _one(_helper("L2Pooling", window.kernel, Argument(window.stride, "strides"), *pools.arguments(number)))
        for number, window in enumerate(pools.windows)
    ]


def _adaptive_average(layers: Sequence[pooling.AdaptiveAvgPool], places: Sequence[Place]) -> list[Emission]:
    _sizes_known(places)
    rank = len(places[0].inputs[0]) - 1
    sizes = _alike([per_axis(layer, "size", layer.size, rank) for layer in layers])
    return [_one(_layer(f"AdaptiveAveragePooling{rank}D", size)) for size in sizes]


def _sizes_known(places: Sequence[Place]) -> None:
    for place in places:
        for size in place.inputs[0][1:]:
            _number(size, "the size of the input of an adaptive pool")


def _to_one(places: Sequence[Place]) -> bool:
    return all(size == 1 for place in places for size in place.outputs[0][1:])


@emits_together(pooling.AdaptiveAvgPool)
def adaptive_avg_pool(layers: list[pooling.AdaptiveAvgPool], places: Sequence[Place]) -> list[Emission]:
    return _global_average(places) if _to_one(places) else _adaptive_average(layers, places)


@emits_together(pooling.AdaptiveMaxPool)
def adaptive_max_pool(layers: list[pooling.AdaptiveMaxPool], places: Sequence[Place]) -> list[Emission]:
    if _to_one(places):
        return _global_maximum(places)
    # Keras's own pools with windows that may be larger than the map, and throws the empty result away: TensorFlow's
    # gradient of an empty max pool is memory that nobody wrote.  Of equal values it prefers columns to rows, too.
    _sizes_known(places)
    rank = len(places[0].inputs[0]) - 1
    return [_one(_helper("AdaptiveMaximum", per_axis(layer, "size", layer.size, rank))) for layer in layers]


@emits_together(pooling.GlobalAvgPool)
def global_avg_pool(layers: list[pooling.GlobalAvgPool], places: Sequence[Place]) -> list[Emission]:
    return _global_average(places)


@emits_together(pooling.GlobalMaxPool)
def global_max_pool(layers: list[pooling.GlobalMaxPool], places: Sequence[Place]) -> list[Emission]:
    return _global_maximum(places)


def _global_average(places: Sequence[Place]) -> list[Emission]:
    """``GlobalAveragePooling2D``, which can flatten its result as well."""
    rank = len(places[0].inputs[0]) - 1
    keep = not all(map(_flattened, places))
    return [_one(_layer(f"GlobalAveragePooling{rank}D", Argument(keep, "keepdims", False))) for _ in places]


def _flattened(place: Place) -> bool:
    """Whether nothing but ``flatten`` follows, dropout aside."""
    node = place.around.after(place.node) if place.around else None
    while place.around and node and isinstance(node.layer, regularisation.Dropout):
        node = place.around.after(node)
    return node is not None and isinstance(node.layer, arrangement.Flatten)


def _global_maximum(places: Sequence[Place]) -> list[Emission]:
    """A helper: ``GlobalMaxPooling2D`` shares the gradient among equal values."""
    return [_one(_helper("FirstMaximum")) for _ in places]


# ---- normalisation ---------------------------------------------------------------------------------------------------


@emits(normalisation.BatchNorm)
def batch_norm(layer: normalisation.BatchNorm, place: Place) -> Emission:
    # Rounded: 1 - 0.1 is 0.9, but 1 - 0.03 is not quite 0.97.
    momentum, epsilon = Argument(round(1 - layer.momentum, 12), "momentum"), Argument(layer.eps, "epsilon")
    center, scale = Argument(layer.affine, "center", True), Argument(layer.affine and layer.scale, "scale", True)
    return _one(_layer("BatchNormalization", momentum, epsilon, center, scale), finisher=True)


def _exact_batch_norms(places: Sequence[Place]) -> list[Emission]:
    stock = [emission.stages[0].module for emission in EMITTERS[normalisation.BatchNorm](places)]
    return [_one(_helper("BatchNormalization", *call.arguments), finisher=True) for call in stock if call is not None]


EXACT_EMITTERS: Mapping[type[Layer], Emitter] = ChainMap({normalisation.BatchNorm: _exact_batch_norms}, EMITTERS)
"""`EMITTERS`, with a running variance as the spec has it."""


@emits(normalisation.LayerNorm)
def layer_norm(layer: normalisation.LayerNorm, place: Place) -> Emission:
    rank = len(place.inputs[0])
    axes = -1 if layer.axes == "channels" or rank == 1 else tuple(range(1, rank + 1))
    for size in place.inputs[0] if axes != -1 else ():
        _number(size, "every size of the input")
    return _one(
        _layer("LayerNormalization", Argument(axes, "axis", -1), Argument(layer.eps, "epsilon"), *_affine(layer)),
        finisher=True,
    )


@emits(normalisation.GroupNorm)
def group_norm(layer: normalisation.GroupNorm, place: Place) -> Emission:
    return _one(
        _layer("GroupNormalization", layer.groups, Argument(layer.eps, "epsilon"), *_affine(layer)), finisher=True
    )


@emits(normalisation.InstanceNorm)
def instance_norm(layer: normalisation.InstanceNorm, place: Place) -> Emission:
    """Groups of one channel."""
    return _one(
        _layer("GroupNormalization", Argument(-1, "groups"), Argument(layer.eps, "epsilon"), *_affine(layer)),
        finisher=True,
    )


@emits(normalisation.LocalResponseNorm)
def local_response_norm(layer: normalisation.LocalResponseNorm, place: Place) -> Emission:
    return _one(
        _helper(
            "LocalResponseNormalization",
            layer.size,
            Argument(layer.alpha, "alpha"),
            Argument(layer.beta, "beta"),
            Argument(layer.k, "k"),
        ),
        finisher=True,
    )


@emits_together(normalisation.Normalize)
def normalize(layers: list[normalisation.Normalize], places: Sequence[Place]) -> list[Emission]:
    constant = [layer.mean is not None for layer in layers]
    if any(constant) and not all(constant):
        raise Unsupported("one layer has constants in some uses of its block, and statistics in others")
    return [
        _one(_layer("Normalization", Argument(layer.mean, "mean", None), Argument(layer.variance, "variance", None)))
        for layer in layers
    ]


# ---- regularisation --------------------------------------------------------------------------------------------------


@emits(regularisation.Dropout)
def dropout(layer: regularisation.Dropout, place: Place) -> Emission:
    return _one(_layer("Dropout", layer.rate), finisher=True)


@emits(regularisation.ChannelDropout)
def channel_dropout(layer: regularisation.ChannelDropout, place: Place) -> Emission:
    return _one(_layer(f"SpatialDropout{len(place.inputs[0]) - 1}D", layer.rate), finisher=True)


@emits(regularisation.StochasticDepth)
def stochastic_depth(layer: regularisation.StochasticDepth, place: Place) -> Emission:
    """Dropout that draws once for each sample."""
    shape = (None, *(1 for _ in place.inputs[0]))
    return _one(_layer("Dropout", layer.rate, Argument(shape, "noise_shape")), finisher=True)


# ---- arrangement -----------------------------------------------------------------------------------------------------


@emits(arrangement.Identity)
def identity(layer: arrangement.Identity, place: Place) -> Emission:
    return _one(_layer("Identity"))


def ordered_alike(shape: Shape) -> bool:
    """Whether channels first and channels last put the values in the same order."""
    return shape[0] == 1 or all(size == 1 for size in shape[1:])


def _to_channels_first(rank: int) -> Construct:
    return _layer("Permute", (rank, *range(1, rank)))


def _to_channels_last(rank: int) -> Construct:
    return _layer("Permute", (*range(2, rank + 1), 1))


@emits_together(arrangement.Flatten)
def flatten(layers: list[arrangement.Flatten], places: Sequence[Place]) -> list[Emission]:
    """``Flatten`` in the order of the spec, channels first, so that weights after it need no reordering."""
    if all(map(_is_flat, places)):
        return [Emission(()) for _ in places]
    rank = len(places[0].inputs[0])
    alike = all(map(_stays_ordered_alike, places)) or all(map(_is_channels_last, places))
    before = () if alike else (Stage(_to_channels_first(rank), suffix="permute"),)
    return [Emission((*before, Stage(_layer("Flatten")))) for _ in places]


def _stays_ordered_alike(place: Place) -> bool:
    """Whether the input is `ordered_alike` at every size that the network can have."""
    (shape,) = place.inputs
    return ordered_alike(shape) and (shape[0] == 1 or _is_fixed(place) or _goes_to_dense(place))


def _is_fixed(place: Place) -> bool:
    """Whether no size of the network's inputs decides the input's."""
    if place.around is None:
        return False
    waiting, seen = list(place.node.inputs), set(place.node.inputs)
    while waiting:
        node = place.around.makers.get(waiting.pop())
        if node is None:
            return False
        if not isinstance(node.layer, _FIXES_SIZE):
            waiting += set(node.inputs) - seen
            seen |= set(node.inputs)
    return True


_FIXES_SIZE: tuple[type[Layer], ...] = (
    pooling.AdaptivePooling,
    pooling.GlobalPooling,
    arithmetic.Parameter,
)


def _goes_to_dense(place: Place) -> bool:
    """Whether the weights of a dense layer behind a ``flatten`` fix the size."""
    node = place.around.after(place.node) if place.around else None
    while place.around and node and isinstance(node.layer, SameShape):
        node = place.around.after(node)
    return node is not None and isinstance(node.layer, Dense)


def _is_flat(place: Place) -> bool:
    """Whether the global average before a ``flatten`` has done its work."""
    node = place.around.before(place.node) if place.around else None
    while place.around and node and isinstance(node.layer, regularisation.Dropout):
        node = place.around.before(node)
    return (
        node is not None
        and isinstance(node.layer, (pooling.GlobalAvgPool, pooling.AdaptiveAvgPool))
        and all(size == 1 for size in place.inputs[0][1:])
    )


def _is_channels_last(place: Place) -> bool:
    """Whether the ``permute`` before a ``flatten`` only asks for the order that values have in Keras."""
    node = place.around.before(place.node) if place.around else None
    return node is not None and _is_to_channels_last(node.layer)


def _flattens_as_is(place: Place) -> bool:
    """Whether this ``permute`` is such a one."""
    node = place.around.after(place.node) if place.around else None
    return node is not None and isinstance(node.layer, arrangement.Flatten) and _is_to_channels_last(place.node.layer)


def _is_to_channels_last(layer: Layer) -> bool:
    return isinstance(layer, arrangement.Permute) and tuple(layer.order) == (*range(1, len(layer.order)), 0)


@emits_together(arrangement.Reshape)
def reshape(layers: list[arrangement.Reshape], places: Sequence[Place]) -> list[Emission]:
    """``Reshape`` between two permutations, each left out where it moves nothing."""
    goals = [
        tuple(
            size if isinstance(size, int) and asked != -1 else -1
            for asked, size in zip(layer.shape, place.outputs[0], strict=True)
        )
        for layer, place in zip(layers, places, strict=True)
    ]
    if any(goal.count(-1) > 1 for goal in goals):
        raise Unsupported("only one size of the new shape may be unknown")
    # A shape with -1 takes inputs of other sizes, whose order then matters.
    from_first = not all(
        ordered_alike(place.inputs[0]) and (-1 not in goal or place.inputs[0][0] == 1)
        for place, goal in zip(places, goals, strict=True)
    )
    to_last = not all(map(ordered_alike, goals))
    emissions = []
    for place, goal in zip(places, goals, strict=True):
        stages = [Stage(_to_channels_first(len(place.inputs[0])), suffix="permute")] if from_first else []
        if to_last:
            stages += [Stage(_layer("Reshape", goal), suffix="reshape"), Stage(_to_channels_last(len(goal)))]
        else:
            stages += [Stage(_layer("Reshape", (*goal[1:], goal[0])))]
        emissions.append(Emission(tuple(stages)))
    return emissions


@emits_together(arrangement.Permute)
def permute(layers: list[arrangement.Permute], places: Sequence[Place]) -> list[Emission]:
    """``Permute``; nothing where a ``flatten`` follows that wants the channels last, as they are."""
    if all(map(_flattens_as_is, places)):
        return [Emission(()) for _ in places]
    # Keras counts the axes behind the batch from 1; the channels are the last of them.
    rank = len(layers[0].order)
    positions = [rank, *range(1, rank)]
    return [
        _one(_layer("Permute", tuple(positions[axis] for axis in (*layer.order[1:], layer.order[0]))))
        for layer in layers
    ]


@emits_together(arrangement.Pad)
def pad(layers: list[arrangement.Pad], places: Sequence[Place]) -> list[Emission]:
    rank = len(places[0].inputs[0]) - 1
    pads = [layer.pads(place.inputs[0]) for layer, place in zip(layers, places, strict=True)]
    if all(layer.mode == "zero" for layer in layers):
        return [_one(_layer(f"ZeroPadding{rank}D", amount)) for amount in _paddings(pads)]
    if any(layer.mode == "zero" for layer in layers):
        raise Unsupported("one layer pads with zeros in some uses of its block, and with the map's own rows in others")
    return [
        _one(_helper("EdgePadding", amount, Argument(layer.mode, "mode")))
        for layer, amount in zip(layers, pads, strict=True)
    ]


@emits_together(arrangement.Crop)
def crop(layers: list[arrangement.Crop], places: Sequence[Place]) -> list[Emission]:
    rank = len(places[0].inputs[0]) - 1
    cuts = [layer.cuts(place.inputs[0]) for layer, place in zip(layers, places, strict=True)]
    return [_one(_layer(f"Cropping{rank}D", cut)) for cut in _paddings(cuts)]


@emits_together(arrangement.Upsample)
def upsample(layers: list[arrangement.Upsample], places: Sequence[Place]) -> list[Emission]:
    """``UpSampling2D`` where rows are only repeated: elsewhere its kernels differ between the backends of Keras."""
    rank = len(places[0].inputs[0]) - 1
    sizes = [place.outputs[0][1:] for place in places]
    factors = [per_axis(layer, "scale", layer.scale, rank) for layer in layers if layer.scale is not None]
    scaled = len(factors) == len(layers)
    if factors and not scaled:
        raise Unsupported("one layer enlarges by a factor in some uses of its block, and to a size in others")
    if all(layer.mode == "nearest" for layer in layers):
        if scaled:
            return [_one(_layer(f"UpSampling{rank}D", factor)) for factor in _alike(factors)]
        return [_one(_helper("NearestResizing", _known_sizes(size))) for size in sizes]
    if any(layer.mode == "nearest" for layer in layers):
        raise Unsupported("one layer interpolates in some uses of its block, and repeats rows in others")
    if scaled:
        return [
            _one(_helper("BilinearUpsampling", factor, Argument(layer.align_corners, "align_corners", False)))
            for layer, factor in zip(layers, factors, strict=True)
        ]
    return [
        _one(_helper("BilinearResizing", _known_sizes(size), Argument(layer.align_corners, "align_corners", False)))
        for layer, size in zip(layers, sizes, strict=True)
    ]


def _known_sizes(sizes: Sequence[Dim]) -> tuple[int, ...]:
    return tuple(_number(size, "the size that a map is resized to") for size in sizes)


@emits(arrangement.ChannelShuffle)
def channel_shuffle(layer: arrangement.ChannelShuffle, place: Place) -> Emission:
    return _one(_helper("ChannelShuffle", layer.groups))


@emits(arrangement.PixelShuffle)
def pixel_shuffle(layer: arrangement.PixelShuffle, place: Place) -> Emission:
    return _one(_helper("PixelShuffle", layer.factor))


@emits(arrangement.Slice)
def slice_(layer: arrangement.Slice, place: Place) -> Emission:
    return _one(_helper("Slice", layer.start, layer.stop, Argument(_position(layer.axis), "axis", -1)))


@emits_together(arrangement.Split)
def split(layers: list[arrangement.Split], places: Sequence[Place]) -> list[Emission]:
    if all(len(place.outputs) == 1 for place in places):
        return [_one(_layer("Identity")) for _ in places]
    equal = all(isinstance(layer.parts, int) for layer in layers)
    if not equal and any(isinstance(layer.parts, int) and layer.axis > 0 for layer in layers):
        raise Unsupported("one layer splits a map evenly in some uses of its block, and by numbers in others")
    return [
        _one(
            _helper(
                "Split",
                layer.parts if equal else layer.sizes(place.inputs[0]),
                Argument(_position(layer.axis), "axis", -1),
            )
        )
        for layer, place in zip(layers, places, strict=True)
    ]


@emits(arrangement.Concat)
def concat(layer: arrangement.Concat, place: Place) -> Emission:
    if len(place.inputs) == 1:
        return _one(_layer("Identity"))
    return _one(_layer("Concatenate", Argument(_position(layer.axis), "axis", -1)))


@emits(arrangement.Mean)
def mean(layer: arrangement.Mean, place: Place) -> Emission:
    rank = len(place.inputs[0])
    if rank > 1 and sorted(layer.axes) == list(range(1, rank)):
        return _one(_layer(f"GlobalAveragePooling{rank - 1}D", Argument(layer.keep, "keepdims", False)))
    axes = tuple(sorted(axis or rank for axis in layer.axes))
    module = _helper("Mean", axes, Argument(layer.keep, "keepdims"))
    left = len(place.outputs[0])
    if layer.keep or 0 not in layer.axes or left == 1:
        return _one(module)
    # The first axis that is left becomes the channels.
    return Emission((Stage(module, suffix="mean"), Stage(_to_channels_last(left))))


# ---- arithmetic ------------------------------------------------------------------------------------------------------


@emits(arithmetic.Add)
def add(layer: arithmetic.Add, place: Place) -> Emission:
    return _one(_layer("Add"))


@emits(arithmetic.Subtract)
def subtract(layer: arithmetic.Subtract, place: Place) -> Emission:
    return _one(_layer("Subtract"))


@emits(arithmetic.Multiply)
def multiply(layer: arithmetic.Multiply, place: Place) -> Emission:
    return _one(_layer("Multiply"))


@emits(arithmetic.Divide)
def divide(layer: arithmetic.Divide, place: Place) -> Emission:
    return _one(_helper("Divide"))


@emits_together(arithmetic.ScaleShift)
def scale_shift(layers: list[arithmetic.ScaleShift], places: Sequence[Place]) -> list[Emission]:
    """``Rescaling``, which on TensorFlow takes its numbers through float32: only where they all are the same there."""
    graphs = [around.graph for around in dict.fromkeys(place.around for place in places) if around is not None]
    beside = [node.layer for graph in graphs for node in graph.layers]
    every = [layer for layer in (*layers, *beside) if isinstance(layer, arithmetic.ScaleShift)]
    if all(_is_float32(number) for layer in every for number in (layer.scale, layer.shift)):
        return [_one(_layer("Rescaling", layer.scale, Argument(layer.shift, "offset", 0.0))) for layer in layers]
    return [_one(_helper("ScaleShift", layer.scale, Argument(layer.shift, default=0.0))) for layer in layers]


def _is_float32(number: float) -> bool:
    try:
        return bool(struct.unpack("f", struct.pack("f", number))[0] == number)
    except OverflowError:
        return False


@emits(arithmetic.Parameter)
def parameter(layer: arithmetic.Parameter, place: Place) -> Emission:
    shape = (*layer.shape[1:], layer.shape[0])
    return _one(_helper("LearnedParameter", shape, _initialiser(layer.init)))


# ---- activations -----------------------------------------------------------------------------------------------------


def _activation(kind: type[Layer], construct: Construct) -> None:
    """Register an activation without arguments."""
    emits(kind)(lambda layer, place: _one(construct, finisher=True))


def _named(name: str) -> Construct:
    return _layer("Activation", name)


_activation(activation.Relu, _layer("ReLU"))
_activation(activation.Relu6, _layer("ReLU", 6.0))
_activation(activation.Selu, _function("selu"))
_activation(activation.Silu, _named("silu"))
_activation(activation.Mish, _named("mish"))
_activation(activation.Sigmoid, _named("sigmoid"))
_activation(activation.HardSigmoid, _function("hard_sigmoid"))
_activation(activation.HardSwish, _function("hard_swish"))
_activation(activation.Tanh, _named("tanh"))
_activation(activation.Softplus, _function("softplus"))
_activation(activation.Softsign, _named("softsign"))
_activation(activation.Abs, _function("absolute"))


@emits(activation.LeakyRelu)
def leaky_relu(layer: activation.LeakyRelu, place: Place) -> Emission:
    return _one(_helper("LeakyRelu", layer.slope), finisher=True)


@emits(activation.Prelu)
def prelu(layer: activation.Prelu, place: Place) -> Emission:
    initialiser = Argument(_initialiser(layer.init), "alpha_initializer")
    return _one(_helper("Prelu", Argument(layer.shared, "shared", False), initialiser), finisher=True)


@emits(activation.Elu)
def elu(layer: activation.Elu, place: Place) -> Emission:
    return _one(_layer("ELU", Argument(layer.alpha, "alpha", 1.0)), finisher=True)


@emits(activation.Celu)
def celu(layer: activation.Celu, place: Place) -> Emission:
    return _one(_helper("Celu", layer.alpha), finisher=True)


@emits(activation.Gelu)
def gelu(layer: activation.Gelu, place: Place) -> Emission:
    return _one(_function("gelu" if layer.approximate == "exact" else "gelu_tanh"), finisher=True)


@emits(activation.HardTanh)
def hard_tanh(layer: activation.HardTanh, place: Place) -> Emission:
    return _one(_helper("HardTanh", layer.low, layer.high), finisher=True)


@emits(activation.Softmax)
def softmax(layer: activation.Softmax, place: Place) -> Emission:
    return _one(_layer("Softmax", Argument(_position(layer.axis), "axis", -1)), finisher=True)


@emits_together(activation.LogSoftmax)
def log_softmax(layers: list[activation.LogSoftmax], places: Sequence[Place]) -> list[Emission]:
    if all(layer.axis == 0 for layer in layers):
        return [_one(_named("log_softmax"), finisher=True) for _ in layers]
    return [_one(_helper("LogSoftmax", _position(layer.axis)), finisher=True) for layer in layers]
