"""Definitions that a generated file brings along where PyTorch has no module for what the spec says.

Each stands alone, given ``import torch``, ``import torch.nn.functional as F`` and ``from torch import Tensor, nn``, of
which a file imports what it mentions.  They are written as ``ruff format`` leaves them, at 88 columns.
"""

from __future__ import annotations

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

    `nn.Upsample` rounds the ratio of the sizes to single precision, and for these sizes
    picks other neighbours than ``floor(i * before / after)`` in places.
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
    **{
        f"{name}{rank}d": _of_rank(template, rank)
        for name, template in (
            ("PaddedConv", _CONV),
            ("PaddedMaxPool", _MAX_POOL),
            ("PaddedAvgPool", _AVG_POOL),
            ("PaddedLPPool", _LP_POOL),
            ("LayerNorm", _LAYER_NORM),
        )
        for rank in (1, 2, 3)
    },
    **_ANY_RANK,
}
"""The source of each definition, by its name."""
