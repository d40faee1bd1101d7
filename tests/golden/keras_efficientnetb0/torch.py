"""EfficientNetB0, generated from efficientnet.cnn by cnnspec 0.1.0.

Input: image 3x224x224 (channels x height x width)
Output: output 1000
Parameters: 5,288,548
Multiply-accumulates: 385,814,752
Compiled with imagenet = False
"""

from collections.abc import Callable
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn


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


class SameConv2d(nn.Conv2d):
    """A convolution with ``ceil(size / stride)`` outputs along each axis."""

    def forward(self, x: Tensor) -> Tensor:
        sides = same_padding(x, self.kernel_size, self.stride, self.dilation)
        return super().forward(F.pad(x, sides))


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


class SqueezeExcite(nn.Module):
    """32x112x112 -> 32x112x112 at `block1a.se`, the first of 16 uses."""

    def __init__(self, in_channels: int, squeezed: int) -> None:
        super().__init__()
        self.squeeze = nn.AdaptiveAvgPool2d(1)
        self.reduce = nn.Conv2d(in_channels, squeezed, 1)
        self.expand = nn.Conv2d(squeezed, in_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        scale = self.squeeze(x)
        scale = F.silu(self.reduce(scale))
        scale = torch.sigmoid(self.expand(scale))
        return x * scale


class MBConv(nn.Module):
    """The squeeze is a quarter of the channels that come in, not of the
    expanded ones. All kernels start by their fan out, which for a depthwise one
    Keras takes to be that of a single filter: here its fan in.

    32x112x112 -> 16x112x112 at `block1a`, the first of 16 uses.
    """

    def __init__(
        self,
        in_channels: int,
        expansion: int,
        kernel: int,
        filters: int,
        norm: Callable[[int], nn.Module],
        rate: float,
        stride: int = 1,
        depthwise: str = "dwconv",
    ) -> None:
        super().__init__()
        self.has_expand_conv = expansion > 1
        if expansion > 1:
            self.expand_conv = nn.Conv2d(
                in_channels, expansion * in_channels, 1, bias=False
            )
            self.expand_bn = norm(expansion * in_channels)
            self.expand_activation = nn.SiLU()
        self.dwconv = SameConv2d(
            expansion * in_channels,
            expansion * in_channels,
            kernel,
            stride=stride,
            groups=expansion * in_channels,
            bias=False,
        )
        self.bn = norm(expansion * in_channels)
        self.activation = nn.SiLU()
        self.se = SqueezeExcite(expansion * in_channels, in_channels // 4)
        self.project_conv = nn.Conv2d(expansion * in_channels, filters, 1, bias=False)
        self.project_bn = norm(filters)
        self.drop: StochasticDepth | None = None
        if stride == 1 and in_channels == filters:
            self.drop = StochasticDepth(rate)

    def forward(self, x: Tensor) -> Tensor:
        y = x
        if self.has_expand_conv:
            y = self.expand_activation(self.expand_bn(self.expand_conv(x)))
        y = self.activation(self.bn(self.dwconv(y)))
        y = self.se(y)
        y = self.project_bn(self.project_conv(y))
        if self.drop is not None:
            y = self.drop(y)
            y = y + x
        return y


class EfficientNetB0(nn.Module):
    """EfficientNetB0: 3x224x224 -> 1000."""

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        norm = partial(nn.BatchNorm2d, eps=0.001, momentum=0.01)
        self.normalize_1 = Normalize(3)
        self.stem_conv = SameConv2d(3, 32, 3, stride=2, bias=False)
        self.stem_bn = nn.BatchNorm2d(32, eps=0.001, momentum=0.01)
        self.stem_activation = nn.SiLU()
        self.block1a = MBConv(32, 1, 3, 16, norm, 0.0)
        self.block2a = MBConv(16, 6, 3, 24, norm, 0.0125, stride=2)
        self.block2b = MBConv(24, 6, 3, 24, norm, 0.025)
        self.block3a = MBConv(24, 6, 5, 40, norm, 0.1 * 3 / 8, stride=2)
        self.block3b = MBConv(40, 6, 5, 40, norm, 0.05)
        self.block4a = MBConv(40, 6, 3, 80, norm, 0.0625, stride=2)
        self.block4b = MBConv(80, 6, 3, 80, norm, 0.1 * 3 / 4)
        self.block4c = MBConv(80, 6, 3, 80, norm, 0.1 * 7 / 8)
        self.block5a = MBConv(80, 6, 5, 112, norm, 0.1)
        self.block5b = MBConv(112, 6, 5, 112, norm, 0.1125)
        self.block5c = MBConv(112, 6, 5, 112, norm, 0.125)
        self.block6a = MBConv(112, 6, 5, 192, norm, 0.1375, stride=2)
        self.block6b = MBConv(192, 6, 5, 192, norm, 0.1 * 3 / 2)
        self.block6c = MBConv(192, 6, 5, 192, norm, 0.1625)
        self.block6d = MBConv(192, 6, 5, 192, norm, 0.1 * 7 / 4)
        self.block7a = MBConv(192, 6, 3, 320, norm, 0.1875)
        self.top_conv = nn.Conv2d(320, 1280, 1, bias=False)
        self.top_bn = nn.BatchNorm2d(1280, eps=0.001, momentum=0.01)
        self.top_activation = nn.SiLU()
        self.avg_pool = nn.AdaptiveAvgPool2d(1)
        self.top_dropout = nn.Dropout(0.2)
        self.predictions = nn.Linear(1280, classes)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                if module.groups == 1:
                    variance_scaling_(module.weight, 2.0, "fan_out", "truncated_normal")
                else:
                    variance_scaling_(module.weight, 2.0, "fan_in", "truncated_normal")
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
            if isinstance(module, nn.Linear):
                variance_scaling_(module.weight, 1 / 3, "fan_out", "uniform")
                nn.init.zeros_(module.bias)

    def forward(self, image: Tensor) -> Tensor:
        x = image / 255  # 3x224x224
        x = self.normalize_1(x)  # 3x224x224
        x = self.stem_activation(self.stem_bn(self.stem_conv(x)))  # 32x112x112
        x = self.block1a(x)  # 16x112x112
        x = self.block2a(x)  # 24x56x56
        x = self.block2b(x)  # 24x56x56
        x = self.block3a(x)  # 40x28x28
        x = self.block3b(x)  # 40x28x28
        x = self.block4a(x)  # 80x14x14
        x = self.block4b(x)  # 80x14x14
        x = self.block4c(x)  # 80x14x14
        x = self.block5a(x)  # 112x14x14
        x = self.block5b(x)  # 112x14x14
        x = self.block5c(x)  # 112x14x14
        x = self.block6a(x)  # 192x7x7
        x = self.block6b(x)  # 192x7x7
        x = self.block6c(x)  # 192x7x7
        x = self.block6d(x)  # 192x7x7
        x = self.block7a(x)  # 320x7x7
        x = self.top_activation(self.top_bn(self.top_conv(x)))  # 1280x7x7
        x = self.avg_pool(x)  # 1280x1x1
        x = self.top_dropout(torch.flatten(x, 1))  # 1280
        return F.softmax(self.predictions(x), dim=1)  # 1000
