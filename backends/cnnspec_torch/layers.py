"""What each layer becomes in PyTorch: the table keyed by layer class.

Every layer is one stage, so that its name and its number in a container stay what the spec says.  Modules are for
``nn.Sequential`` and for whatever has state; formulas are what a forward method reads best with.  Axis 0 of a spec's
shape is axis 1 here, behind the batch.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any, TypeVar, cast

from cnnspec.codegen.emission import (
    Argument,
    Construct,
    Emission,
    Formula,
    Place,
    Sizes,
    Stage,
    Unsupported,
    literal,
    readable,
)
from cnnspec.codegen.windows import Sides, pads_by_size
from cnnspec.graph import Node
from cnnspec.initialisers import Initialiser, Scaling
from cnnspec.layers import activation, arithmetic, arrangement, regularisation
from cnnspec.layers.activation import AlongAxis
from cnnspec.layers.base import Layer, per_axis
from cnnspec.layers.convolution import Conv, ConvTranspose, DepthwiseConv, SeparableConv
from cnnspec.layers.dense import Dense
from cnnspec.layers.normalisation import (
    BatchNorm,
    GroupNorm,
    InstanceNorm,
    LayerNorm,
    LocalResponseNorm,
    Normalize,
)
from cnnspec.layers.pooling import (
    AdaptiveAvgPool,
    AdaptiveMaxPool,
    AvgPool,
    GlobalAvgPool,
    GlobalMaxPool,
    L2Pool,
    MaxPool,
    Pooling,
)
from cnnspec.shapes import Shape, known

L = TypeVar("L", bound=Layer)
Pools = TypeVar("Pools", MaxPool, AvgPool, L2Pool)
Emitter = Callable[[Sequence[Place]], list[Emission]]

EMITTERS: dict[type[Layer], Emitter] = {}
"""How to emit all uses of one layer position; the function sees them together, and gives them one form."""


def emits_together(
    kind: type[L],
) -> Callable[[Callable[[Sequence[L], Sequence[Place]], list[Emission]]], Emitter]:
    """Register a function that chooses the form of all uses of a layer position together."""

    def register(function: Callable[[Sequence[L], Sequence[Place]], list[Emission]]) -> Emitter:
        def emitter(places: Sequence[Place]) -> list[Emission]:
            return function([cast("L", place.node.layer) for place in places], places)

        EMITTERS[kind] = emitter
        return emitter

    return register


def emits(kind: type[L]) -> Callable[[Callable[[L, Place], Emission]], Emitter]:
    """Register a function that emits one use of a layer, whatever the others are."""

    def register(function: Callable[[L, Place], Emission]) -> Emitter:
        return emits_together(kind)(lambda layers, places: list(map(function, layers, places)))

    return register


def _one(module: Construct | None, formula: Formula | None = None, *, finisher: bool = False) -> Emission:
    return Emission((Stage(module=module, formula=formula),), finisher)


def _call(callee: str, *arguments: Argument) -> Construct:
    return Construct(callee, arguments)


def _helper(name: str, *arguments: Argument) -> Construct:
    return Construct(name, arguments, helper=name)


def _rank(place: Place) -> int:
    """How many spatial axes the input has."""
    return len(place.inputs[0]) - 1


def _compact(rows: Sequence[tuple[int, ...]]) -> list[Any]:
    """Numbers for each axis as one number, where that holds in every use."""
    if all(len(set(row)) == 1 for row in rows):
        return [row[0] for row in rows]
    return list(rows)


def _like(value: Any, default: int) -> Any:
    """A default in the form of a value: a number, or one for each axis."""
    return (default,) * len(value) if isinstance(value, tuple) else default


def _spread(name: str, values: Sequence[Any], default: int) -> list[Argument]:
    """An argument that has one number or one for each axis."""
    return [Argument(Sizes.of(value), name, _like(value, default)) for value in values]


def _symmetric(pads: Sequence[Sides]) -> bool:
    return all(before == after for sides in pads for before, after in sides)


def _befores(pads: Sequence[Sides]) -> list[Any]:
    return _compact([tuple(before for before, _ in sides) for sides in pads])


def _sides(pads: Sides) -> tuple[int, ...]:
    """Padding in the order of `F.pad`: the last axis first."""
    return tuple(side for pair in reversed(pads) for side in pair)


def _number(size: Any, why: str) -> int:
    if not known(size):
        raise Unsupported(f"{why}, which is {size} here")
    return int(size)


# Convolutions


@emits_together(Conv)
def _conv(layers: Sequence[Conv], places: Sequence[Place]) -> list[Emission]:
    return _convolutions(layers, places)


@emits_together(DepthwiseConv)
def _depthwise_conv(layers: Sequence[DepthwiseConv], places: Sequence[Place]) -> list[Emission]:
    return _convolutions([layer.as_conv(place.inputs[0]) for layer, place in zip(layers, places, strict=True)], places)


def _convolutions(layers: Sequence[Conv], places: Sequence[Place]) -> list[Emission]:
    prefix, windows = _sliding(layers, places)
    emissions = []
    for layer, place, window in zip(layers, places, windows, strict=True):
        arguments = (
            Argument(place.inputs[0][0]),
            Argument(layer.filters),
            *window,
            Argument(layer.groups, "groups", 1),
            Argument(layer.bias, "bias", True),
        )
        name = f"{prefix}Conv{_rank(place)}d"
        emissions.append(_one(_helper(name, *arguments) if prefix else _call(f"nn.{name}", *arguments)))
    return emissions


@emits_together(SeparableConv)
def _separable_conv(layers: Sequence[SeparableConv], places: Sequence[Place]) -> list[Emission]:
    first = [layer.depthwise(place.inputs[0]) for layer, place in zip(layers, places, strict=True)]
    prefix, windows = _sliding(first, places)
    return [
        _one(
            _helper(
                f"{prefix}SeparableConv{_rank(place)}d",
                Argument(place.inputs[0][0]),
                Argument(layer.filters),
                *window,
                Argument(layer.multiplier, "multiplier", 1),
                Argument(layer.bias, "bias", True),
            )
        )
        for layer, place, window in zip(layers, places, windows, strict=True)
    ]


def _sliding(layers: Sequence[Conv], places: Sequence[Place]) -> tuple[str, list[tuple[Argument, ...]]]:
    """How the class is called that pads so (``Same``, ``Padded`` or nothing), and the arguments of each window."""
    shapes = [place.inputs[0] for place in places]
    pads = [layer.pads(shape) for layer, shape in zip(layers, shapes, strict=True)]
    windows = [layer.window(shape) for layer, shape in zip(layers, shapes, strict=True)]
    kernels = [Argument(Sizes.of(kernel)) for kernel in _compact([window.kernel for window in windows])]
    strides = _spread("stride", _compact([window.stride for window in windows]), 1)
    dilations = _spread("dilation", _compact([window.dilation for window in windows]), 1)
    same = all(layer.pad == "same" for layer in layers)
    prefix = ""
    if pads_by_size([layer.pad for layer in layers], pads, windows) or (same and not _symmetric(pads)):
        return "Same", list(zip(kernels, strides, dilations, strict=True))
    if not _symmetric(pads):
        prefix = "Padded"
        paddings = [Argument(_sides(sides), "padding") for sides in pads]
    elif same and all(set(window.stride) == {1} for window in windows):
        # Padding that is odd goes another way: PyTorch would pad in a copy there, and warn about it.
        none = all(pair == (0, 0) for sides in pads for pair in sides)
        paddings = [Argument(0 if none else "same", "padding", 0) for _ in places]
    else:
        paddings = _spread("padding", _befores(pads), 0)
    return prefix, list(zip(kernels, strides, paddings, dilations, strict=True))


@emits_together(ConvTranspose)
def _conv_transpose(layers: Sequence[ConvTranspose], places: Sequence[Place]) -> list[Emission]:
    def each(argument: str) -> list[Any]:
        rows = [
            per_axis(layer, argument, getattr(layer, argument), _rank(place))
            for layer, place in zip(layers, places, strict=True)
        ]
        return _compact(rows)

    kernels = each("kernel")
    strides = _spread("stride", each("stride"), 1)
    paddings = _spread("padding", each("pad"), 0)
    output_paddings = _spread("output_padding", each("output_pad"), 0)
    dilations = _spread("dilation", each("dilation"), 1)
    return [
        _one(
            _call(
                f"nn.ConvTranspose{_rank(place)}d",
                Argument(place.inputs[0][0]),
                Argument(layer.filters),
                Argument(kernels[i]),
                strides[i],
                paddings[i],
                output_paddings[i],
                Argument(layer.groups, "groups", 1),
                Argument(layer.bias, "bias", True),
                dilations[i],
            )
        )
        for i, (layer, place) in enumerate(zip(layers, places, strict=True))
    ]


# Dense


@emits_together(Dense)
def _dense(layers: Sequence[Dense], places: Sequence[Place]) -> list[Emission]:
    on_maps = any(_rank(place) > 0 for place in places)
    make = _helper if on_maps else _call
    return [
        _one(
            make(
                "ChannelLinear" if on_maps else "nn.Linear",
                Argument(place.inputs[0][0]),
                Argument(layer.units),
                Argument(layer.bias, "bias", True),
            )
        )
        for layer, place in zip(layers, places, strict=True)
    ]


# Pooling


def _windows(layers: Sequence[Pooling], places: Sequence[Place]) -> tuple[list[Any], list[Argument], list[Any]]:
    """Kernels, strides (the kernel where they are left out) and dilations."""
    geometries = [layer.geometry(place.inputs[0]) for layer, place in zip(layers, places, strict=True)]
    rows = _compact([row for geometry in geometries for row in (geometry.kernel, geometry.stride)])
    kernels, strides = rows[::2], rows[1::2]
    arguments = [Argument(stride, "stride", kernel) for kernel, stride in zip(kernels, strides, strict=True)]
    return kernels, arguments, _compact([geometry.dilation for geometry in geometries])


def _padding(layers: Sequence[Pools], places: Sequence[Place]) -> tuple[str, list[Sides]]:
    """How the class is called that pads so, and the padding without what rounding up adds.

    ``Same`` works out its padding from its input; ``Ceil`` pads by numbers, and works out what rounding up adds to
    them.  ``Padded`` is for what pads by numbers alone.
    """
    pads = [layer.geometry(place.inputs[0]).pads for layer, place in zip(layers, places, strict=True)]
    windows = [layer.window(place.inputs[0]) for layer, place in zip(layers, places, strict=True)]
    same = all(layer.pad == "same" for layer in layers)
    if pads_by_size([layer.pad for layer in layers], pads, windows) or (same and not _symmetric(pads)):
        return "Same", pads
    return "Ceil" if any(layer.ceil_mode for layer in layers) else "Padded", pads


def _rounds_up(prefix: str, layer: Pools) -> tuple[Argument, ...]:
    return (Argument(layer.ceil_mode, "ceil_mode", True),) if prefix == "Ceil" else ()


@emits_together(MaxPool)
def _max_pool(layers: Sequence[MaxPool], places: Sequence[Place]) -> list[Emission]:
    kernels, strides, dilations = _windows(layers, places)
    dilated = _spread("dilation", dilations, 1)
    prefix, pads = _padding(layers, places)
    if prefix == "Same":
        return [
            _one(_helper(f"SameMaxPool{_rank(place)}d", Argument(kernels[i]), strides[i], dilated[i]))
            for i, place in enumerate(places)
        ]
    # PyTorch holds the padding against half of the kernel without its dilation.
    accepted = all(
        before <= k // 2
        for layer, place, sides in zip(layers, places, pads, strict=True)
        for (before, _), k in zip(sides, per_axis(layer, "kernel", layer.kernel, _rank(place)), strict=True)
    )
    if accepted and _symmetric(pads):
        paddings = _spread("padding", _befores(pads), 0)
        return [
            _one(
                _call(
                    f"nn.MaxPool{_rank(place)}d",
                    Argument(kernels[i]),
                    strides[i],
                    paddings[i],
                    dilated[i],
                    Argument(layer.ceil_mode, "ceil_mode", False),
                )
            )
            for i, (layer, place) in enumerate(zip(layers, places, strict=True))
        ]
    return [
        _one(
            _helper(
                f"{prefix}MaxPool{_rank(place)}d",
                Argument(kernels[i]),
                Argument(strides[i].value, "stride"),
                Argument(_sides(pads[i]), "padding"),
                dilated[i],
                *_rounds_up(prefix, layer),
            )
        )
        for i, (layer, place) in enumerate(zip(layers, places, strict=True))
    ]


@emits_together(AvgPool)
def _avg_pool(layers: Sequence[AvgPool], places: Sequence[Place]) -> list[Emission]:
    kernels, strides, _ = _windows(layers, places)
    prefix, pads = _padding(layers, places)
    if prefix == "Same":
        return [
            _one(
                _helper(
                    f"SameAvgPool{_rank(place)}d",
                    Argument(kernels[i]),
                    strides[i],
                    Argument(layer.count_pad, "count_include_pad", True),
                )
            )
            for i, (layer, place) in enumerate(zip(layers, places, strict=True))
        ]
    padded = any(pair != (0, 0) for sides in pads for pair in sides)
    # In three dimensions PyTorch refuses a kernel that is larger than a volume without its padding.
    if _symmetric(pads) and not (padded and any(_rank(place) == 3 for place in places)):
        paddings = _spread("padding", _befores(pads), 0)
        return [
            _one(
                _call(
                    f"nn.AvgPool{_rank(place)}d",
                    Argument(kernels[i]),
                    strides[i],
                    paddings[i],
                    Argument(layer.ceil_mode, "ceil_mode", False),
                    # Without padding there is nothing to count.
                    Argument(layer.count_pad or not padded, "count_include_pad", True),
                )
            )
            for i, (layer, place) in enumerate(zip(layers, places, strict=True))
        ]
    emissions = []
    for i, (layer, place) in enumerate(zip(layers, places, strict=True)):
        given = _sides(pads[i])
        nothing = (0,) * len(given)
        counted, uncounted = (given, nothing) if layer.count_pad else (nothing, given)
        emissions.append(
            _one(
                _helper(
                    f"{prefix}AvgPool{_rank(place)}d",
                    Argument(kernels[i]),
                    Argument(strides[i].value, "stride"),
                    Argument(counted, "counted"),
                    Argument(uncounted, "uncounted"),
                    *_rounds_up(prefix, layer),
                )
            )
        )
    return emissions


@emits_together(L2Pool)
def _l2_pool(layers: Sequence[L2Pool], places: Sequence[Place]) -> list[Emission]:
    kernels, strides, _ = _windows(layers, places)
    prefix, pads = _padding(layers, places)
    if prefix == "Same":
        return [
            _one(_helper(f"SameLPPool{_rank(place)}d", Argument(2), Argument(kernels[i]), strides[i]))
            for i, place in enumerate(places)
        ]
    # PyTorch's own has no padding, and scales windows that rounding up left incomplete as if they were whole.
    stock = prefix == "Padded" and all(pair == (0, 0) for sides in pads for pair in sides)
    return [
        _one(
            _call(f"nn.LPPool{_rank(place)}d", Argument(2), Argument(kernels[i]), strides[i])
            if stock
            else _helper(
                f"{prefix}LPPool{_rank(place)}d",
                Argument(2),
                Argument(kernels[i]),
                Argument(strides[i].value, "stride"),
                Argument(_sides(pads[i]), "padding"),
                *_rounds_up(prefix, layer),
            )
        )
        for i, (layer, place) in enumerate(zip(layers, places, strict=True))
    ]


def _adaptive(name: str, sizes: Sequence[tuple[int, ...]], places: Sequence[Place]) -> list[Emission]:
    function = {"Avg": "F.adaptive_avg_pool", "Max": "F.adaptive_max_pool"}[name]
    return [
        _one(
            _call(f"nn.Adaptive{name}Pool{_rank(place)}d", Argument(size)),
            Formula(f"{function}{_rank(place)}d({{0}}, {{size}})", {"size": size}),
        )
        for size, place in zip(_compact(sizes), places, strict=True)
    ]


@emits_together(AdaptiveAvgPool)
def _adaptive_avg_pool(layers: Sequence[AdaptiveAvgPool], places: Sequence[Place]) -> list[Emission]:
    sizes = [per_axis(layer, "size", layer.size, _rank(place)) for layer, place in zip(layers, places, strict=True)]
    return _adaptive("Avg", sizes, places)


@emits_together(AdaptiveMaxPool)
def _adaptive_max_pool(layers: Sequence[AdaptiveMaxPool], places: Sequence[Place]) -> list[Emission]:
    sizes = [per_axis(layer, "size", layer.size, _rank(place)) for layer, place in zip(layers, places, strict=True)]
    return _adaptive("Max", sizes, places)


@emits_together(GlobalAvgPool)
def _global_avg_pool(layers: Sequence[GlobalAvgPool], places: Sequence[Place]) -> list[Emission]:
    return _adaptive("Avg", [(1,) * _rank(place) for place in places], places)


@emits_together(GlobalMaxPool)
def _global_max_pool(layers: Sequence[GlobalMaxPool], places: Sequence[Place]) -> list[Emission]:
    return _adaptive("Max", [(1,) * _rank(place) for place in places], places)


# Normalisation: epsilon and momentum are always written, because frameworks disagree about them.


@emits_together(BatchNorm)
def _batch_norm(layers: Sequence[BatchNorm], places: Sequence[Place]) -> list[Emission]:
    scaled = [layer.scale or not layer.affine for layer in layers]
    if any(scaled) and not all(scaled):
        raise Unsupported("one layer has a scale in some uses of its block, and none in others")
    emissions = []
    for layer, place in zip(layers, places, strict=True):
        (shape,) = place.inputs
        if len(shape) > 4:
            raise Unsupported(f"PyTorch has no batch norm for {len(shape)} axes")
        kind = f"BatchNorm{max(len(shape) - 1, 1)}d"
        arguments = (
            Argument(shape[0]),
            Argument(layer.eps, "eps"),
            Argument(layer.momentum, "momentum"),
            Argument(layer.affine, "affine", True),
        )
        module = _call(f"nn.{kind}", *arguments) if all(scaled) else _helper(f"Unscaled{kind}", *arguments)
        emissions.append(_one(module, finisher=True))
    return emissions


@emits_together(LayerNorm)
def _layer_norms(layers: Sequence[LayerNorm], places: Sequence[Place]) -> list[Emission]:
    if all(
        layer.axes != "channels" and not layer.affine and _rank(place) > 0
        for layer, place in zip(layers, places, strict=True)
    ):
        # `nn.LayerNorm` is told the sizes; one group of all channels is the same without them.
        return [
            _one(
                _call(
                    "nn.GroupNorm",
                    Argument(1),
                    Argument(place.inputs[0][0]),
                    Argument(layer.eps, "eps"),
                    Argument(False, "affine", True),
                ),
                finisher=True,
            )
            for layer, place in zip(layers, places, strict=True)
        ]
    return list(map(_layer_norm, layers, places))


def _layer_norm(layer: LayerNorm, place: Place) -> Emission:
    (shape,) = place.inputs
    over_channels = layer.axes == "channels" or len(shape) == 1
    arguments = (
        Argument(shape[0] if over_channels else shape),
        Argument(layer.eps, "eps"),
        Argument(layer.affine, "elementwise_affine", True),
    )
    if not over_channels or len(shape) == 1:
        return _one(_call("nn.LayerNorm", *arguments), finisher=True)
    if len(shape) > 4:
        raise Unsupported(f"layer norm over the channels of {len(shape)} axes")
    return _one(_helper(f"LayerNorm{len(shape) - 1}d", *arguments), finisher=True)


@emits(GroupNorm)
def _group_norm(layer: GroupNorm, place: Place) -> Emission:
    return _one(
        _call(
            "nn.GroupNorm",
            Argument(layer.groups),
            Argument(place.inputs[0][0]),
            Argument(layer.eps, "eps"),
            Argument(layer.affine, "affine", True),
        ),
        finisher=True,
    )


@emits(InstanceNorm)
def _instance_norm(layer: InstanceNorm, place: Place) -> Emission:
    return _one(
        _call(
            f"nn.InstanceNorm{_rank(place)}d",
            Argument(place.inputs[0][0]),
            Argument(layer.eps, "eps"),
            Argument(layer.affine, "affine", False),
        ),
        finisher=True,
    )


@emits(LocalResponseNorm)
def _local_response_norm(layer: LocalResponseNorm, place: Place) -> Emission:
    return _one(
        _call(
            "nn.LocalResponseNorm",
            Argument(layer.size),
            Argument(layer.alpha, "alpha", 1e-4),
            Argument(layer.beta, "beta", 0.75),
            Argument(layer.k, "k", 1.0),
        ),
        finisher=True,
    )


@emits_together(Normalize)
def _normalize(layers: Sequence[Normalize], places: Sequence[Place]) -> list[Emission]:
    constant = [layer.mean is not None for layer in layers]
    if not any(constant):
        return [_one(_helper("Normalize", Argument(place.inputs[0][0]))) for place in places]
    if not all(constant):
        raise Unsupported("one layer has constants in some uses of its block, and statistics in others")
    return [_one(_helper("FixedNormalize", Argument(layer.mean), Argument(layer.variance))) for layer in layers]


# Regularisation


@emits(regularisation.Dropout)
def _dropout(layer: regularisation.Dropout, place: Place) -> Emission:
    return _one(_call("nn.Dropout", Argument(layer.rate)), finisher=True)


@emits(regularisation.ChannelDropout)
def _channel_dropout(layer: regularisation.ChannelDropout, place: Place) -> Emission:
    return _one(_call(f"nn.Dropout{_rank(place)}d", Argument(layer.rate)), finisher=True)


@emits(regularisation.StochasticDepth)
def _stochastic_depth(layer: regularisation.StochasticDepth, place: Place) -> Emission:
    return _one(_helper("StochasticDepth", Argument(layer.rate)), finisher=True)


# Arrangement


def _unchanged() -> Emission:
    return _one(Construct("nn.Identity", indifferent=True), Formula("{0}"))


@emits(arrangement.Identity)
def _identity(layer: arrangement.Identity, place: Place) -> Emission:
    return _unchanged()


@emits(arrangement.Flatten)
def _flatten(layer: arrangement.Flatten, place: Place) -> Emission:
    return _one(_call("nn.Flatten"), Formula("torch.flatten({0}, 1)"))


@emits_together(arrangement.Reshape)
def _reshape(layers: Sequence[arrangement.Reshape], places: Sequence[Place]) -> list[Emission]:
    if all(len(place.outputs[0]) == 1 for place in places):
        return [_one(_call("nn.Flatten"), Formula("torch.flatten({0}, 1)")) for _ in places]
    emissions = []
    for layer, place in zip(layers, places, strict=True):
        sizes = _with_one_free(layer, place.outputs[0])
        arguments = [Argument(size) for size in sizes]
        fields = {f"size{axis}": size for axis, size in enumerate(sizes)}
        names = ", ".join(f"{{{name}}}" for name in fields)
        # Only one size may be left open: the batch, unless the shape leaves one open itself.
        pattern = f"{{0}}.flatten(1).unflatten(1, ({names}))" if -1 in sizes else f"{{0}}.reshape(-1, {names})"
        emissions.append(_one(_helper("Reshape", *arguments), Formula(pattern, dict(fields))))
    return emissions


def _with_one_free(layer: arrangement.Reshape, shape: Shape) -> tuple[int, ...]:
    """A new shape with -1 for the size that follows from the others, or is not known."""
    sizes = tuple(
        int(size) if known(size) and asked != -1 else -1 for asked, size in zip(layer.shape, shape, strict=True)
    )
    if sizes.count(-1) > 1:
        raise Unsupported(f"the new shape has sizes that are not known: {', '.join(map(str, shape))}")
    return sizes


@emits(arrangement.Permute)
def _permute(layer: arrangement.Permute, place: Place) -> Emission:
    axes = (0, *(axis + 1 for axis in layer.order))
    names = ", ".join(f"{{axis{i}}}" for i in range(len(axes)))
    return _one(
        _helper("Permute", *(Argument(axis) for axis in axes)),
        Formula(f"{{0}}.permute({names})", {f"axis{i}": axis for i, axis in enumerate(axes)}),
    )


@emits_together(arrangement.Pad)
def _pad(layers: Sequence[arrangement.Pad], places: Sequence[Place]) -> list[Emission]:
    names = {"zero": "nn.ZeroPad", "reflect": "nn.ReflectionPad", "replicate": "nn.ReplicationPad"}
    sides = [_sides(layer.pads(place.inputs[0])) for layer, place in zip(layers, places, strict=True)]
    return [
        _one(
            _call(f"{names[layer.mode]}{_rank(place)}d", Argument(module_sides)),
            Formula(
                "F.pad({0}, {sides})" if layer.mode == "zero" else f'F.pad({{0}}, {{sides}}, mode="{layer.mode}")',
                {"sides": formula_sides},
            ),
        )
        for layer, place, module_sides, formula_sides in zip(layers, places, _compact(sides), sides, strict=True)
    ]


@emits(arrangement.Crop)
def _crop(layer: arrangement.Crop, place: Place) -> Emission:
    sides = _sides(layer.cuts(place.inputs[0]))
    return _one(
        _helper("Crop", Argument(sides)), Formula("F.pad({0}, {sides})", {"sides": tuple(-side for side in sides)})
    )


@emits_together(arrangement.Upsample)
def _upsample(layers: Sequence[arrangement.Upsample], places: Sequence[Place]) -> list[Emission]:
    by_scale = all(layer.scale is not None for layer in layers)
    if not by_scale and any(layer.scale is not None for layer in layers):
        raise Unsupported("one layer enlarges by a factor in some uses of its block, and to a size in others")
    rows: list[tuple[int, ...]] = []
    for layer, place in zip(layers, places, strict=True):
        if layer.scale is not None:
            rows.append(per_axis(layer, "scale", layer.scale, _rank(place)))
        else:
            rows.append(
                tuple(_number(size, "`upsample` needs to know its output size") for size in place.outputs[0][1:])
            )
    nearest = [layer.mode == "nearest" for layer in layers]
    if any(nearest) and not all(_nearest_is_exact(number, by_scale) for row in rows for number in row):
        if not all(nearest):
            raise Unsupported("one layer interpolates in some uses of its block, and repeats rows in others")
        kind = "NearestUpsample" if by_scale else "NearestResize"
        return [_one(_helper(kind, *(Argument(number) for number in row))) for row in rows]
    arguments = []
    for layer, amount in zip(layers, _compact(rows), strict=True):
        arguments.append(
            (
                Argument(amount, "scale_factor" if by_scale else "size"),
                Argument(layer.mode, "mode", "nearest"),
                Argument(layer.align_corners, "align_corners", False),
            )
        )
    emissions = []
    # The same arguments for every use, so that all have one form.
    written = [i for i in range(3) if any(row[i].value != row[i].default for row in arguments)]
    for row in arguments:
        fields = {row[i].name or "": row[i].value for i in written}
        pattern = ", ".join(["F.interpolate({0}", *(f"{name}={{{name}}}" for name in fields)]) + ")"
        emissions.append(_one(_call("nn.Upsample", *row), Formula(pattern, fields)))
    return emissions


def _nearest_is_exact(number: int, by_scale: bool) -> bool:
    """Whether PyTorch picks the neighbour that the definition says, from a map of any size.

    It computes ``floor(i * ratio)`` in single precision, where the ratio is ``1 / scale``, or ``before / after``.  That
    falls short of a whole number now and then, unless the ratio is exact or rounded up.
    """
    if by_scale:
        return Fraction(_single(1 / number)) >= Fraction(1, number)
    return number & (number - 1) == 0


def _single(value: float) -> float:
    """A number rounded to single precision."""
    return float(struct.unpack("f", struct.pack("f", value))[0])


@emits_together(arrangement.ChannelShuffle)
def _channel_shuffle(layers: Sequence[arrangement.ChannelShuffle], places: Sequence[Place]) -> list[Emission]:
    # PyTorch's own takes no vectors.
    on_vectors = any(_rank(place) == 0 for place in places)
    emissions = []
    for layer in layers:
        groups = Argument(layer.groups)
        if on_vectors:
            formula = Formula(
                "{0}.unflatten(1, ({groups}, -1)).transpose(1, 2).flatten(1, 2)", {"groups": layer.groups}
            )
            emissions.append(_one(_helper("ChannelShuffle", groups), formula))
        else:
            formula = Formula("F.channel_shuffle({0}, {groups})", {"groups": layer.groups})
            emissions.append(_one(_call("nn.ChannelShuffle", groups), formula))
    return emissions


@emits(arrangement.PixelShuffle)
def _pixel_shuffle(layer: arrangement.PixelShuffle, place: Place) -> Emission:
    return _one(
        _call("nn.PixelShuffle", Argument(layer.factor)),
        Formula("F.pixel_shuffle({0}, {factor})", {"factor": layer.factor}),
    )


@emits(arrangement.Slice)
def _slice(layer: arrangement.Slice, place: Place) -> Emission:
    axis, length = layer.axis + 1, layer.stop - layer.start
    return _one(
        _helper("Narrow", Argument(axis), Argument(layer.start), Argument(length)),
        Formula("{0}.narrow({axis}, {start}, {length})", {"axis": axis, "start": layer.start, "length": length}),
    )


@emits(arrangement.Split)
def _split(layer: arrangement.Split, place: Place) -> Emission:
    axis = layer.axis + 1
    if len(place.outputs) == 1:
        return _unchanged()
    if isinstance(layer.parts, int):
        return _one(None, Formula("{0}.chunk({parts}, dim={axis})", {"parts": layer.parts, "axis": axis}))
    return _one(None, Formula("{0}.split({sizes}, dim={axis})", {"sizes": layer.parts, "axis": axis}))


@emits(arrangement.Concat)
def _concat(layer: arrangement.Concat, place: Place) -> Emission:
    if len(place.inputs) == 1:
        return _unchanged()
    return _one(None, Formula("torch.cat(({all}), dim={axis})", {"axis": layer.axis + 1}))


@emits(arrangement.Mean)
def _mean(layer: arrangement.Mean, place: Place) -> Emission:
    axes = tuple(axis + 1 for axis in layer.axes)
    dim = axes[0] if len(axes) == 1 else axes
    return _one(
        _helper("Mean", Argument(dim), Argument(layer.keep, "keepdim", False)),
        Formula("{0}.mean(dim={dim}" + (", keepdim=True)" if layer.keep else ")"), {"dim": dim}),
    )


# Arithmetic


def _operator(kind: type[arithmetic.Arithmetic], pattern: str) -> None:
    emits(kind)(lambda layer, place: _one(None, Formula(pattern, loose=True)))


_operator(arithmetic.Add, "{0} + {1}")
_operator(arithmetic.Subtract, "{0} - {1}")
_operator(arithmetic.Multiply, "{0} * {1}")
_operator(arithmetic.Divide, "{0} / {1}")


@emits_together(arithmetic.ScaleShift)
def _scale_shift(layers: Sequence[arithmetic.ScaleShift], places: Sequence[Place]) -> list[Emission]:
    scales = [layer.scale for layer in layers]
    shifts: list[float] = [layer.shift for layer in layers]
    if len(set(shifts)) == 1:
        shifts = [_short(shift) for shift in shifts]
    operators = all(place.node.operator for place in places)
    divisor = _divisor(scales[0]) if len(set(scales)) == 1 else None
    if set(scales) == {-1} and any(shifts):
        scaled, shifted = "{0}", "{shift} - "
    else:
        scaled = "{0} / {divisor}" if divisor else "{0}" if set(scales) == {1} else "{scale} * {0}"
        shifted = ""
    if all(shift < 0 for shift in shifts) and not shifted:
        shifts, pattern = [-shift for shift in shifts], f"{scaled} - {{shift}}"
    else:
        pattern = shifted + scaled + (" + {shift}" if any(shifts) and not shifted else "")
    if pattern == "{0}":
        return [_unchanged() for _ in layers]
    return [
        _one(
            # An operator stands among expressions: it is no part of a sequence.
            None if operators else _helper("ScaleShift", Argument(layer.scale), Argument(layer.shift)),
            Formula(
                pattern,
                {
                    name: value
                    for name, value in (("scale", layer.scale), ("shift", shift), ("divisor", divisor))
                    if f"{{{name}}}" in pattern
                },
                loose=True,
            ),
        )
        for layer, shift in zip(layers, shifts, strict=True)
    ]


def _divisor(scale: float) -> float | None:
    """A number so that dividing by it is multiplying by a factor, where that is much shorter: 255 for 0.0039..."""
    for digits in range(4):
        divisor = _short(round(1 / scale, digits)) if scale else 0
        if divisor and 1 / divisor == scale and len(repr(scale)) > len(repr(divisor)) + 4:
            return divisor
    return None


def _short(value: float) -> float:
    """A number without a point where it needs none."""
    return int(value) if value.is_integer() else value


@emits_together(arithmetic.Parameter)
def _parameter(layers: Sequence[arithmetic.Parameter], places: Sequence[Place]) -> list[Emission]:
    starts = [_constant(layer.init) for layer in layers]
    values = [start for start in starts if start is not None]
    arrays = []
    for layer in layers:
        shape = Argument(layer.shape)
        if len(values) < len(layers):
            arrays.append(_call("torch.empty", shape))
        elif set(values) == {0.0}:
            arrays.append(_call("torch.zeros", shape))
        elif set(values) == {1.0}:
            arrays.append(_call("torch.ones", shape))
        else:
            arrays.append(_call("torch.full", shape, Argument(_constant(layer.init))))
    return [Emission((Stage(module=_call("nn.Parameter", Argument(array)), attribute=True),)) for array in arrays]


# Activations

_ACTIVATIONS: dict[type[Layer], tuple[str, str]] = {
    activation.Selu: ("nn.SELU", "F.selu"),
    activation.Silu: ("nn.SiLU", "F.silu"),
    activation.Mish: ("nn.Mish", "F.mish"),
    activation.Sigmoid: ("nn.Sigmoid", "torch.sigmoid"),
    activation.HardSigmoid: ("nn.Hardsigmoid", "F.hardsigmoid"),
    activation.HardSwish: ("nn.Hardswish", "F.hardswish"),
    activation.Tanh: ("nn.Tanh", "torch.tanh"),
    activation.Softsign: ("nn.Softsign", "F.softsign"),
}
"""The activations without arguments: module and function."""


def _activation(module: str, function: str) -> Callable[[Layer, Place], Emission]:
    return lambda layer, place: _one(_call(module), Formula(function + "({0})"), finisher=True)


for _kind, (_module, _function) in _ACTIVATIONS.items():
    emits(_kind)(_activation(_module, _function))


_FRESH = (Conv, DepthwiseConv, SeparableConv, ConvTranspose, BatchNorm, arithmetic.Add, arrangement.Concat)
"""Layers whose result is new memory, which they need no more for their gradient."""


def _in_place(places: Sequence[Place]) -> bool:
    """Whether a layer may write over its input in all these uses: nothing else reads that, nor its maker's gradient."""
    return all(
        place.around is not None
        and not place.given
        and (maker := place.around.own(place.node)) is not None
        # Of a map, a dense layer's result is a view.
        and isinstance(maker.layer, _FRESH if len(place.inputs[0]) > 1 else (*_FRESH, Dense))
        for place in places
    )


def _rectifiers(module: str, function: str) -> Callable[[Sequence[Layer], Sequence[Place]], list[Emission]]:
    """ReLU and ReLU6, whose gradient needs their result alone: in place where that is safe, as written by hand."""

    def emitter(layers: Sequence[Layer], places: Sequence[Place]) -> list[Emission]:
        in_place = _in_place(places)
        formula = Formula(f"{function}({{0}}, inplace=True)" if in_place else f"{function}({{0}})")
        return [_one(_call(module, Argument(in_place, "inplace", False)), formula, finisher=True) for _ in layers]

    return emitter


emits_together(activation.Relu)(_rectifiers("nn.ReLU", "F.relu"))
emits_together(activation.Relu6)(_rectifiers("nn.ReLU6", "F.relu6"))


@emits(activation.Abs)
def _abs(layer: activation.Abs, place: Place) -> Emission:
    return _one(_helper("Abs"), Formula("torch.abs({0})"), finisher=True)


@emits(activation.LeakyRelu)
def _leaky_relu(layer: activation.LeakyRelu, place: Place) -> Emission:
    # Always written: frameworks disagree about the slope.
    return _one(
        _call("nn.LeakyReLU", Argument(layer.slope)),
        Formula("F.leaky_relu({0}, {slope})", {"slope": layer.slope}),
        finisher=True,
    )


@emits(activation.Prelu)
def _prelu(layer: activation.Prelu, place: Place) -> Emission:
    start = _constant(layer.init)
    return _one(
        _call(
            "nn.PReLU",
            Argument(1 if layer.shared else place.inputs[0][0], default=1),
            Argument(0.25 if start is None else start, "init", 0.25),
        ),
        finisher=True,
    )


def _with_alpha(
    module: str, function: str, layers: Sequence[activation.Elu] | Sequence[activation.Celu]
) -> list[Emission]:
    plain = all(layer.alpha == 1 for layer in layers)
    return [
        _one(
            _call(module, Argument(layer.alpha, default=1.0)),
            Formula(f"{function}({{0}})")
            if plain
            else Formula(f"{function}({{0}}, {{alpha}})", {"alpha": layer.alpha}),
            finisher=True,
        )
        for layer in layers
    ]


@emits_together(activation.Elu)
def _elu(layers: Sequence[activation.Elu], places: Sequence[Place]) -> list[Emission]:
    return _with_alpha("nn.ELU", "F.elu", layers)


@emits_together(activation.Celu)
def _celu(layers: Sequence[activation.Celu], places: Sequence[Place]) -> list[Emission]:
    if all(_single(value) == value for layer in layers for value in (layer.alpha, 1 / layer.alpha)):
        return _with_alpha("nn.CELU", "F.celu", layers)
    # PyTorch's gradient of CELU takes alpha and its inverse in float32, whatever the precision; its ELU does not.
    return [
        _one(
            _helper("ScaledELU", Argument(layer.alpha)),
            Formula("{alpha} * F.elu({0} / {alpha})", {"alpha": layer.alpha}, loose=True),
            finisher=True,
        )
        for layer in layers
    ]


@emits_together(activation.Gelu)
def _gelu(layers: Sequence[activation.Gelu], places: Sequence[Place]) -> list[Emission]:
    plain = all(layer.approximate == "exact" for layer in layers)
    emissions = []
    for layer in layers:
        approximate = "none" if layer.approximate == "exact" else layer.approximate
        emissions.append(
            _one(
                _call("nn.GELU", Argument(approximate, "approximate", "none")),
                Formula("F.gelu({0})")
                if plain
                else Formula("F.gelu({0}, approximate={approximate})", {"approximate": approximate}),
                finisher=True,
            )
        )
    return emissions


@emits_together(activation.HardTanh)
def _hard_tanh(layers: Sequence[activation.HardTanh], places: Sequence[Place]) -> list[Emission]:
    plain = all((layer.low, layer.high) == (-1, 1) for layer in layers)
    return [
        _one(
            _call("nn.Hardtanh", Argument(layer.low, "min_val", -1.0), Argument(layer.high, "max_val", 1.0)),
            Formula("F.hardtanh({0})")
            if plain
            else Formula("F.hardtanh({0}, {low}, {high})", {"low": layer.low, "high": layer.high}),
            finisher=True,
        )
        for layer in layers
    ]


@emits(activation.Softplus)
def _softplus(layer: activation.Softplus, place: Place) -> Emission:
    # Above its threshold PyTorch returns the input.  From 40 on that is right to the last bit in double precision too;
    # from the usual 20 on it is not.
    return _one(
        _call("nn.Softplus", Argument(40, "threshold")), Formula("F.softplus({0}, threshold=40)"), finisher=True
    )


def _along_axis(kind: type[AlongAxis], module: str, function: str) -> None:
    def emit(layer: AlongAxis, place: Place) -> Emission:
        axis = layer.axis + 1
        return _one(
            _call(module, Argument(axis, "dim")),
            Formula(f"{function}({{0}}, dim={{axis}})", {"axis": axis}),
            finisher=True,
        )

    emits(kind)(emit)


_along_axis(activation.Softmax, "nn.Softmax", "F.softmax")
_along_axis(activation.LogSoftmax, "nn.LogSoftmax", "F.log_softmax")


# Initialisation


def initialisation(node: Node) -> list[tuple[str, str | None]]:
    """How each weight of a layer starts: its name, and a statement with ``{}`` for the weight.

    The statement is None where the module already starts so.  PyTorch takes the fan in of a weight from its second axis
    and the fan out from its first, each times the kernel's size.  That is the spec's definition everywhere: for
    convolutions, grouped ones included, whose second axis is ``I / groups``; for transposed ones, whose weight is ``I x
    O/groups x k...`` and whose fans are those of the convolution that they transpose; and for dense layers.
    """
    if isinstance(node.layer, (Conv, DepthwiseConv, SeparableConv, ConvTranspose, Dense)):
        return [(weight.name, statement(weight.init)) for weight in node.weights]
    if isinstance(node.layer, (activation.Prelu, arithmetic.Parameter)):
        return [
            (weight.name, statement(weight.init) if _constant(weight.init) is None else None) for weight in node.weights
        ]
    # Norms: ones, zeros and running statistics, in PyTorch as in the spec.
    return [(weight.name, None) for weight in node.weights]


def _constant(init: Initialiser) -> float | None:
    """The one number that an initialiser fills with, if it does."""
    return {"zeros": 0.0, "ones": 1.0, "constant": init.value}.get(init.distribution)


def statement(init: Initialiser) -> str:
    """The call that fills a weight, with ``{}`` for the weight."""
    kind = init.distribution
    if init.scaling is not None:
        return _scaled(init.scaling)
    if kind == "orthogonal":
        return "nn.init.orthogonal_({}" + (f", gain={literal(init.scale)})" if init.scale != 1 else ")")
    if kind == "uniform":
        return f"nn.init.uniform_({{}}, {literal(init.value - init.scale)}, {literal(init.value + init.scale)})"
    if kind == "constant" or (kind == "truncated_normal" and init.scale == 0):
        return f"nn.init.constant_({{}}, {literal(init.value)})"
    mean = f", mean={literal(init.value)}" if init.value else ""
    if kind == "normal":
        return f"nn.init.normal_({{}}{mean}, std={literal(init.scale)})"
    if kind == "truncated_normal":
        low, high = init.value - 2 * init.scale, init.value + 2 * init.scale
        return f"nn.init.trunc_normal_({{}}{mean}, std={literal(init.scale)}, a={literal(low)}, b={literal(high)})"
    return f"nn.init.{kind}_({{}})"


def _scaled(scaling: Scaling) -> str:
    """A variance over a fan: by PyTorch's own functions where they have it, else by a helper."""
    scale, fan, form = scaling
    if form != "truncated_normal" and fan != "avg" and scale in (1, 2):
        mode = ', mode="fan_out"' if fan == "out" else ""
        return f'nn.init.kaiming_{form}_({{}}{mode}, nonlinearity="{"relu" if scale == 2 else "linear"}")'
    if form != "truncated_normal" and fan == "avg" and scale == 1:
        return f"nn.init.xavier_{form}_({{}})"
    return f'variance_scaling_({{}}, {readable(literal(scale))}, "fan_{fan}", "{form}")'
