"""Definitions that a generated file brings along where PyTorch has no module for what the spec says.

Each stands alone, or with another that it calls, given ``import torch``, ``import torch.nn.functional as F`` and
``from torch import Tensor, nn``, of which a file imports what it mentions.  They are written as ``ruff format`` leaves
them, at 88 columns.
"""

from __future__ import annotations

from cnnspec.codegen.functions import FUNCTIONS

_CONV = '''\
class PaddedConv{rank}d(nn.Conv{rank}d):
    """A convolution that pads each side by an amount of its own.

    ``padding`` has {sides}.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: {sizes},
        stride: {sizes} = 1,
        padding: tuple[int, ...] = {none},
        dilation: {sizes} = 1,
        groups: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__(
            in_channels,
            out_channels,
            kernel_size,
            stride=stride,
            dilation=dilation,
            groups=groups,
            bias=bias,
        )
        self.sides = padding

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.pad(x, self.sides))
'''

_SAME_CONV = '''\
class SameConv{rank}d(nn.Conv{rank}d):
    """A convolution with ``ceil(size / stride)`` outputs along each axis."""

    def forward(self, x: Tensor) -> Tensor:
        sides = same_padding(x, self.kernel_size, self.stride, self.dilation)
        return super().forward(F.pad(x, sides))
'''

_SEPARABLE_CONV = '''\
class SeparableConv{rank}d(nn.Module):
    """A convolution of each channel for itself, then a 1x1 convolution of all."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: {sizes},
        stride: {sizes} = 1,
        padding: {sizes} | str = 0,
        dilation: {sizes} = 1,
        multiplier: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.depthwise = nn.Conv{rank}d(
            in_channels,
            in_channels * multiplier,
            kernel_size,
            stride=stride,
            padding=padding,
            dilation=dilation,
            groups=in_channels,
            bias=False,
        )
        self.pointwise = nn.Conv{rank}d(in_channels * multiplier, out_channels, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.pointwise(self.depthwise(x))
'''

_PADDED_SEPARABLE_CONV = '''\
class PaddedSeparableConv{rank}d(nn.Module):
    """A convolution of each channel for itself, then a 1x1 convolution of all.

    Each side is padded by an amount of its own, in ``padding``:
    {sides}.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: {sizes},
        stride: {sizes} = 1,
        padding: tuple[int, ...] = {none},
        dilation: {sizes} = 1,
        multiplier: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.sides = padding
        self.depthwise = nn.Conv{rank}d(
            in_channels,
            in_channels * multiplier,
            kernel_size,
            stride=stride,
            dilation=dilation,
            groups=in_channels,
            bias=False,
        )
        self.pointwise = nn.Conv{rank}d(in_channels * multiplier, out_channels, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.pointwise(self.depthwise(F.pad(x, self.sides)))
'''

_SAME_SEPARABLE_CONV = '''\
class SameSeparableConv{rank}d(nn.Module):
    """A convolution of each channel for itself, then a 1x1 convolution of all.

    The first has ``ceil(size / stride)`` outputs along each axis.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: {sizes},
        stride: {sizes} = 1,
        dilation: {sizes} = 1,
        multiplier: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.depthwise = nn.Conv{rank}d(
            in_channels,
            in_channels * multiplier,
            kernel_size,
            stride=stride,
            dilation=dilation,
            groups=in_channels,
            bias=False,
        )
        self.pointwise = nn.Conv{rank}d(in_channels * multiplier, out_channels, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        first = self.depthwise
        sides = same_padding(x, first.kernel_size, first.stride, first.dilation)
        return self.pointwise(first(F.pad(x, sides)))
'''

_MAX_POOL = '''\
class PaddedMaxPool{rank}d(nn.MaxPool{rank}d):
    """Max pooling that pads each side by an amount of its own, with minus infinity.

    ``padding`` has {sides}.
    """

    def __init__(
        self,
        kernel_size: {sizes},
        stride: {sizes},
        padding: tuple[int, ...],
        dilation: {sizes} = 1,
    ) -> None:
        super().__init__(kernel_size, stride, dilation=dilation)
        self.sides = padding

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.pad(x, self.sides, value=float("-inf")))
'''

_SAME_MAX_POOL = '''\
class SameMaxPool{rank}d(nn.MaxPool{rank}d):
    """Max pooling with ``ceil(size / stride)`` outputs along each axis."""

    def forward(self, x: Tensor) -> Tensor:
        sides = same_padding(x, self.kernel_size, self.stride, self.dilation)
        return super().forward(F.pad(x, sides, value=float("-inf")))
'''

_AVG_POOL = '''\
class PaddedAvgPool{rank}d(nn.AvgPool{rank}d):
    """Average pooling that pads each side by an amount of its own.

    ``counted`` is padding that counts as zeros, ``uncounted`` padding that is left out
    of the average; each has {sides}.
    """

    def __init__(
        self,
        kernel_size: {sizes},
        stride: {sizes},
        counted: tuple[int, ...],
        uncounted: tuple[int, ...],
    ) -> None:
        super().__init__(kernel_size, stride)
        self.counted = counted
        self.uncounted = uncounted

    def forward(self, x: Tensor) -> Tensor:
        x = F.pad(x, self.counted)
        share = super().forward(F.pad(x.new_ones(1, 1, *x.shape[2:]), self.uncounted))
        return super().forward(F.pad(x, self.uncounted)) / share
'''

_SAME_AVG_POOL = '''\
class SameAvgPool{rank}d(nn.AvgPool{rank}d):
    """Average pooling with ``ceil(size / stride)`` outputs along each axis."""

    def forward(self, x: Tensor) -> Tensor:
        sides = same_padding(x, self.kernel_size, self.stride)
        mean = super().forward(F.pad(x, sides))
        if self.count_include_pad:
            return mean
        return mean / super().forward(F.pad(x.new_ones(1, 1, *x.shape[2:]), sides))
'''

_CEIL_MAX_POOL = '''\
class CeilMaxPool{rank}d(nn.MaxPool{rank}d):
    """Max pooling that pads each side by an amount of its own, with minus infinity.

    ``padding`` has {sides}.
    In ``ceil_mode`` a last window that begins in the map is kept.
    """

    def __init__(
        self,
        kernel_size: {sizes},
        stride: {sizes},
        padding: tuple[int, ...],
        dilation: {sizes} = 1,
        ceil_mode: bool = True,
    ) -> None:
        super().__init__(kernel_size, stride, dilation=dilation)
        self.sides = padding
        self.rounds_up = ceil_mode

    def forward(self, x: Tensor) -> Tensor:
        sides = self.sides
        if self.rounds_up:
            sides = ceil_padding(x, sides, self.kernel_size, self.stride, self.dilation)
        return super().forward(F.pad(x, sides, value=float("-inf")))
'''

_CEIL_AVG_POOL = '''\
class CeilAvgPool{rank}d(nn.AvgPool{rank}d):
    """Average pooling that pads each side by an amount of its own.

    ``counted`` is padding that counts as zeros, ``uncounted`` padding that is left out
    of the average; each has {sides}.
    In ``ceil_mode`` a last window that begins in the map is kept.
    """

    def __init__(
        self,
        kernel_size: {sizes},
        stride: {sizes},
        counted: tuple[int, ...],
        uncounted: tuple[int, ...],
        ceil_mode: bool = True,
    ) -> None:
        super().__init__(kernel_size, stride)
        self.counted = counted
        self.uncounted = uncounted
        self.rounds_up = ceil_mode

    def forward(self, x: Tensor) -> Tensor:
        x, sides = F.pad(x, self.counted), self.uncounted
        if self.rounds_up:
            behind = self.counted[1::2]
            sides = ceil_padding(x, sides, self.kernel_size, self.stride, padded=behind)
        share = super().forward(F.pad(x.new_ones(1, 1, *x.shape[2:]), sides))
        return super().forward(F.pad(x, sides)) / share
'''

_SAME_LP_POOL = '''\
class SameLPPool{rank}d(nn.LPPool{rank}d):
    """Power-average pooling with ``ceil(size / stride)`` outputs along each axis."""

    def forward(self, x: Tensor) -> Tensor:
        stride = self.kernel_size if self.stride is None else self.stride
        return super().forward(F.pad(x, same_padding(x, self.kernel_size, stride)))
'''

_CEIL_LP_POOL = '''\
class CeilLPPool{rank}d(nn.LPPool{rank}d):
    """Power-average pooling that pads each side by an amount of its own.

    ``padding`` has {sides}.
    In ``ceil_mode`` a last window that begins in the map is kept.
    """

    def __init__(
        self,
        norm_type: float,
        kernel_size: {sizes},
        stride: {sizes},
        padding: tuple[int, ...],
        ceil_mode: bool = True,
    ) -> None:
        super().__init__(norm_type, kernel_size, stride)
        self.sides = padding
        self.rounds_up = ceil_mode

    def forward(self, x: Tensor) -> Tensor:
        sides = self.sides
        if self.rounds_up:
            sides = ceil_padding(x, sides, self.kernel_size, self.stride)
        return super().forward(F.pad(x, sides))
'''

_LP_POOL = '''\
class PaddedLPPool{rank}d(nn.LPPool{rank}d):
    """Power-average pooling that pads each side by an amount of its own.

    ``padding`` has {sides}.
    """

    def __init__(
        self,
        norm_type: float,
        kernel_size: {sizes},
        stride: {sizes},
        padding: tuple[int, ...],
    ) -> None:
        super().__init__(norm_type, kernel_size, stride)
        self.sides = padding

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(F.pad(x, self.sides))
'''

_BATCH_NORM = '''\
class UnscaledBatchNorm{rank}d(nn.BatchNorm{rank}d):
    """Batch normalisation with a bias, and without a factor for each channel."""

    def __init__(self, num_features: int, eps: float, momentum: float) -> None:
        super().__init__(num_features, eps=eps, momentum=momentum)
        self.register_parameter("weight", None)
'''

_LAYER_NORM = '''\
class LayerNorm{rank}d(nn.LayerNorm):
    """Layer normalisation over the channels at each position of a map."""

    def forward(self, x: Tensor) -> Tensor:
        x = x.permute({last})
        x = F.layer_norm(x, self.normalized_shape, self.weight, self.bias, self.eps)
        return x.permute({first})
'''

_ANY_RANK = {
    "ChannelLinear": '''\
class ChannelLinear(nn.Linear):
    """A linear layer over the channels at each position of a map."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)
''',
    "Normalize": '''\
class Normalize(nn.Module):
    """Shifts and scales channels by a mean and a variance among the weights."""

    def __init__(self, num_features: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(num_features))
        self.register_buffer("variance", torch.ones(num_features))

    def forward(self, x: Tensor) -> Tensor:
        shape = (-1, *(1,) * (x.ndim - 2))
        deviation = self.variance.sqrt().clamp(min=1e-7)
        return (x - self.mean.reshape(shape)) / deviation.reshape(shape)
''',
    "FixedNormalize": '''\
class FixedNormalize(nn.Module):
    """Shifts and scales each channel by a mean and a variance that are constants."""

    def __init__(self, mean: tuple[float, ...], variance: tuple[float, ...]) -> None:
        super().__init__()
        self.mean = mean
        self.variance = variance

    def forward(self, x: Tensor) -> Tensor:
        shape = (-1, *(1,) * (x.ndim - 2))
        deviation = x.new_tensor(self.variance).sqrt().clamp(min=1e-7)
        return (x - x.new_tensor(self.mean).reshape(shape)) / deviation.reshape(shape)

    def extra_repr(self) -> str:
        return f"mean={self.mean}, variance={self.variance}"
''',
    "ScaledELU": '''\
class ScaledELU(nn.Module):
    """CELU; `nn.CELU` rounds `alpha` to float32 in its gradient."""

    def __init__(self, alpha: float) -> None:
        super().__init__()
        self.alpha = alpha

    def forward(self, x: Tensor) -> Tensor:
        return self.alpha * F.elu(x / self.alpha)
''',
    "StochasticDepth": '''\
class StochasticDepth(nn.Module):
    """Drops each sample whole with probability ``p`` in training; scales the others."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        keep = 1 - self.p
        noise = x.new_empty(x.shape[0], *(1,) * (x.ndim - 1)).bernoulli_(keep)
        return x * noise.div_(keep)

    def extra_repr(self) -> str:
        return f"p={self.p}"
''',
    "Reshape": '''\
class Reshape(nn.Module):
    """The values of each sample in another shape, of which one size may be -1."""

    def __init__(self, *shape: int) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, x: Tensor) -> Tensor:
        return x.reshape(x.shape[0], *self.shape)

    def extra_repr(self) -> str:
        return ", ".join(map(str, self.shape))
''',
    "Permute": '''\
class Permute(nn.Module):
    """The axes in another order, the batch included."""

    def __init__(self, *axes: int) -> None:
        super().__init__()
        self.axes = axes

    def forward(self, x: Tensor) -> Tensor:
        return x.permute(self.axes)

    def extra_repr(self) -> str:
        return ", ".join(map(str, self.axes))
''',
    "Crop": '''\
class Crop(nn.Module):
    """Cuts rows off each side of a map; the last axis comes first, as in `F.pad`."""

    def __init__(self, sides: tuple[int, ...]) -> None:
        super().__init__()
        self.sides = sides

    def forward(self, x: Tensor) -> Tensor:
        return F.pad(x, [-side for side in self.sides])

    def extra_repr(self) -> str:
        return f"{self.sides}"
''',
    "NearestResize": '''\
class NearestResize(nn.Module):
    """Nearest neighbours in whole-number arithmetic.

    `nn.Upsample` rounds the ratio of the sizes to single precision, and picks other
    neighbours than ``floor(i * before / after)`` in places.
    """

    def __init__(self, *size: int) -> None:
        super().__init__()
        self.size = size

    def forward(self, x: Tensor) -> Tensor:
        for axis, size in enumerate(self.size, start=2):
            index = torch.arange(size, device=x.device) * x.shape[axis] // size
            x = x.index_select(axis, index)
        return x

    def extra_repr(self) -> str:
        return ", ".join(map(str, self.size))
''',
    "NearestUpsample": '''\
class NearestUpsample(nn.Module):
    """Repeats the rows along each axis.

    `nn.Upsample` rounds the inverse of these factors to single precision, and picks
    other neighbours in places.
    """

    def __init__(self, *factors: int) -> None:
        super().__init__()
        self.factors = factors

    def forward(self, x: Tensor) -> Tensor:
        for axis, factor in enumerate(self.factors, start=2):
            x = x.repeat_interleave(factor, dim=axis)
        return x

    def extra_repr(self) -> str:
        return ", ".join(map(str, self.factors))
''',
    "ChannelShuffle": '''\
class ChannelShuffle(nn.Module):
    """Interleaves the groups of channels of a vector or a map."""

    def __init__(self, groups: int) -> None:
        super().__init__()
        self.groups = groups

    def forward(self, x: Tensor) -> Tensor:
        return x.unflatten(1, (self.groups, -1)).transpose(1, 2).flatten(1, 2)

    def extra_repr(self) -> str:
        return f"groups={self.groups}"
''',
    "Narrow": '''\
class Narrow(nn.Module):
    """The positions of one axis from ``start`` on, ``length`` of them."""

    def __init__(self, dim: int, start: int, length: int) -> None:
        super().__init__()
        self.dim = dim
        self.start = start
        self.length = length

    def forward(self, x: Tensor) -> Tensor:
        return x.narrow(self.dim, self.start, self.length)

    def extra_repr(self) -> str:
        return f"dim={self.dim}, start={self.start}, length={self.length}"
''',
    "Mean": '''\
class Mean(nn.Module):
    """The mean over one or more axes."""

    def __init__(self, dim: int | tuple[int, ...], keepdim: bool = False) -> None:
        super().__init__()
        self.dim = dim
        self.keepdim = keepdim

    def forward(self, x: Tensor) -> Tensor:
        return x.mean(dim=self.dim, keepdim=self.keepdim)

    def extra_repr(self) -> str:
        return f"dim={self.dim}, keepdim={self.keepdim}"
''',
    "ScaleShift": '''\
class ScaleShift(nn.Module):
    """Multiplies by a number and adds another."""

    def __init__(self, scale: float, shift: float) -> None:
        super().__init__()
        self.scale = scale
        self.shift = shift

    def forward(self, x: Tensor) -> Tensor:
        return self.scale * x + self.shift

    def extra_repr(self) -> str:
        return f"scale={self.scale}, shift={self.shift}"
''',
    "Abs": '''\
class Abs(nn.Module):
    """The absolute value."""

    def forward(self, x: Tensor) -> Tensor:
        return torch.abs(x)
''',
}

_SAME_PADDING = '''\
def same_padding(
    x: Tensor,
    kernel_size: int | tuple[int, ...],
    stride: int | tuple[int, ...],
    dilation: int | tuple[int, ...] = 1,
) -> list[int]:
    """Work out padding for ``ceil(size / stride)`` windows along each axis.

    It is in the order of `F.pad`; an odd one more goes behind, as in TensorFlow.
    """
    kernels, strides, dilations = (
        (setting,) * (x.ndim - 2) if isinstance(setting, int) else setting
        for setting in (kernel_size, stride, dilation)
    )
    sides: list[int] = []
    for size, k, s, d in zip(x.shape[2:], kernels, strides, dilations, strict=True):
        total = max((-(-size // s) - 1) * s + d * (k - 1) + 1 - size, 0)
        sides = [total // 2, total - total // 2, *sides]
    return sides
'''

_CEIL_PADDING = '''\
def ceil_padding(
    x: Tensor,
    padding: tuple[int, ...],
    kernel_size: int | tuple[int, ...],
    stride: int | tuple[int, ...],
    dilation: int | tuple[int, ...] = 1,
    padded: tuple[int, ...] = (0, 0, 0),
) -> list[int]:
    """Add to padding what completes the last window, where that begins in the map.

    It is in the order of `F.pad`; ``padded`` are the rows of padding that the map
    already ends with.
    """
    kernels, strides, dilations = (
        (setting,) * (x.ndim - 2) if isinstance(setting, int) else setting
        for setting in (kernel_size, stride, dilation)
    )
    sides: list[int] = []
    for i, size in enumerate(reversed(x.shape[2:])):
        k, s, d = (setting[-1 - i] for setting in (kernels, strides, dilations))
        before, after = padding[2 * i], padding[2 * i + 1]
        reach = d * (k - 1) + 1
        last = -(-(size + before + after - reach) // s) * s
        if last >= size + before - padded[i]:
            last -= s
        sides += [before, max(last + reach - size - before, after)]
    return sides
'''

_VARIANCE_SCALING = '''\
def variance_scaling_(
    weight: Tensor, scale: float, mode: str, distribution: str
) -> None:
    """Draws values of variance ``scale / fan``, of which ``mode`` is the fan."""
    fan_out, fan_in = (size * weight[0, 0].numel() for size in weight.shape[:2])
    fans = {"fan_in": fan_in, "fan_out": fan_out, "fan_avg": (fan_in + fan_out) / 2}
    std = (scale / fans[mode]) ** 0.5
    if distribution == "truncated_normal":
        std /= 0.87962566103423978  # what cutting off at two standard deviations leaves
        nn.init.trunc_normal_(weight, std=std, a=-2 * std, b=2 * std)
    elif distribution == "normal":
        nn.init.normal_(weight, std=std)
    else:
        nn.init.uniform_(weight, -(3**0.5) * std, 3**0.5 * std)
'''

_ADD_SUBMODULE = '''\
def add_submodule(module: nn.Module, path: str, child: nn.Module) -> None:
    """Add a module under a dotted path, with the containers on the way."""
    *outer, name = path.split(".")
    for part in outer:
        if part not in dict(module.named_children()):
            module.add_module(part, nn.ModuleDict())
        module = module.get_submodule(part)
    module.add_module(name, child)
'''

_SIDES = {
    1: "left and right",
    2: "left, right, top and bottom",
    3: "left, right, top, bottom, front and back",
}


def _of_rank(template: str, rank: int) -> str:
    """A definition for maps of this many spatial axes."""
    axes = range(2, 2 + rank)
    return template.format(
        rank=rank,
        sides=_SIDES[rank],
        sizes=f"int | tuple[{', '.join(['int'] * rank)}]",
        none=f"({', '.join(['0'] * 2 * rank)})",
        last=", ".join(map(str, (0, *axes, 1))),
        first=", ".join(map(str, (0, rank + 1, *range(1, rank + 1)))),
    )


HELPERS: dict[str, str] = {
    **FUNCTIONS,
    "same_padding": _SAME_PADDING,
    "ceil_padding": _CEIL_PADDING,
    **{
        f"{name}{rank}d": _of_rank(template, rank)
        for name, template in (
            ("SameConv", _SAME_CONV),
            ("PaddedConv", _CONV),
            ("SeparableConv", _SEPARABLE_CONV),
            ("SameSeparableConv", _SAME_SEPARABLE_CONV),
            ("PaddedSeparableConv", _PADDED_SEPARABLE_CONV),
            ("SameMaxPool", _SAME_MAX_POOL),
            ("PaddedMaxPool", _MAX_POOL),
            ("SameAvgPool", _SAME_AVG_POOL),
            ("PaddedAvgPool", _AVG_POOL),
            ("CeilMaxPool", _CEIL_MAX_POOL),
            ("CeilAvgPool", _CEIL_AVG_POOL),
            ("SameLPPool", _SAME_LP_POOL),
            ("PaddedLPPool", _LP_POOL),
            ("CeilLPPool", _CEIL_LP_POOL),
            ("UnscaledBatchNorm", _BATCH_NORM),
            ("LayerNorm", _LAYER_NORM),
        )
        for rank in (1, 2, 3)
    },
    **_ANY_RANK,
    "add_submodule": _ADD_SUBMODULE,
    "variance_scaling_": _VARIANCE_SCALING,
}
"""The source of each definition, by its name."""
