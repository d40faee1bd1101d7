"""EfficientNetV2B0, generated from efficientnet_v2.cnn by cnnspec 0.1.0.

Input: image 3x224x224 (channels x height x width)
Output: output 1000
Parameters: 7,139,704
Multiply-accumulates: 718,086,176
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


class FusedMBConv(nn.Module):
    """Figure 2, right: one convolution expands and filters.

    32x112x112 -> 16x112x112 at `block1a`, the first of 5 uses.
    """

    def __init__(
        self,
        in_channels: int,
        expansion: int,
        filters: int,
        norm: Callable[[int], nn.Module],
        rate: float,
        stride: int = 1,
    ) -> None:
        super().__init__()
        self.has_expand_conv = expansion > 1
        if expansion > 1:
            self.expand_conv = SameConv2d(
                in_channels, expansion * in_channels, 3, stride=stride, bias=False
            )
            self.expand_bn = norm(expansion * in_channels)
            self.expand_activation = nn.SiLU()
            self.project_conv = nn.Conv2d(
                expansion * in_channels, filters, 1, bias=False
            )
            self.project_bn = norm(filters)
        else:
            self.project_conv = SameConv2d(
                in_channels, filters, 3, stride=stride, bias=False
            )
            self.project_bn = norm(filters)
            self.project_activation = nn.SiLU()
        self.drop: StochasticDepth | None = None
        if stride == 1 and in_channels == filters:
            self.drop = StochasticDepth(rate)

    def forward(self, x: Tensor) -> Tensor:
        if self.has_expand_conv:
            y = self.expand_activation(self.expand_bn(self.expand_conv(x)))
            y = self.project_bn(self.project_conv(y))
        else:
            y = self.project_activation(self.project_bn(self.project_conv(x)))
        if self.drop is not None:
            y = self.drop(y)
            y = y + x
        return y


class SqueezeExcite(nn.Module):
    """192x14x14 -> 192x14x14 at `block4a.se`, the first of 16 uses."""

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

    48x28x28 -> 96x14x14 at `block4a`, the first of 16 uses.
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
        self.depthwise = depthwise
        if expansion > 1:
            self.expand_conv = nn.Conv2d(
                in_channels, expansion * in_channels, 1, bias=False
            )
            self.expand_bn = norm(expansion * in_channels)
            self.expand_activation = nn.SiLU()
        self.add_module(
            f"{depthwise}",
            SameConv2d(
                expansion * in_channels,
                expansion * in_channels,
                kernel,
                stride=stride,
                groups=expansion * in_channels,
                bias=False,
            ),
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
        y = self.activation(self.bn(getattr(self, f"{self.depthwise}")(y)))
        y = self.se(y)
        y = self.project_bn(self.project_conv(y))
        if self.drop is not None:
            y = self.drop(y)
            y = y + x
        return y


class EfficientNetV2B0(nn.Module):
    """EfficientNetV2B0: 3x224x224 -> 1000."""

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        norm = partial(nn.BatchNorm2d, eps=0.001, momentum=0.1)
        self.normalize_1 = FixedNormalize(
            (0.485, 0.456, 0.406), (0.052441, 0.050176000000000005, 0.050625)
        )
        self.stem_conv = SameConv2d(3, 32, 3, stride=2, bias=False)
        self.stem_bn = nn.BatchNorm2d(32, eps=0.001, momentum=0.1)
        self.stem_activation = nn.SiLU()
        self.block1a = FusedMBConv(32, 1, 16, norm, 0.0)
        self.block2a = FusedMBConv(16, 4, 32, norm, 0.1 * 2 / 21, stride=2)
        self.block2b = FusedMBConv(32, 4, 32, norm, 0.1 * 4 / 21)
        self.block3a = FusedMBConv(32, 4, 48, norm, 0.1 * 2 / 7, stride=2)
        self.block3b = FusedMBConv(48, 4, 48, norm, 0.1 * 8 / 21)
        self.block4a = MBConv(48, 4, 3, 96, norm, 1 / 21, stride=2, depthwise="dwconv2")
        self.block4b = MBConv(96, 4, 3, 96, norm, 0.1 * 4 / 7, depthwise="dwconv2")
        self.block4c = MBConv(96, 4, 3, 96, norm, 0.1 * 6 / 9, depthwise="dwconv2")
        self.block5a = MBConv(96, 6, 3, 112, norm, 0.1 * 16 / 21, depthwise="dwconv2")
        self.block5b = MBConv(112, 6, 3, 112, norm, 0.1 * 18 / 21, depthwise="dwconv2")
        self.block5c = MBConv(112, 6, 3, 112, norm, 2 / 21, depthwise="dwconv2")
        self.block5d = MBConv(112, 6, 3, 112, norm, 0.1 * 22 / 21, depthwise="dwconv2")
        self.block5e = MBConv(112, 6, 3, 112, norm, 0.1 * 8 / 7, depthwise="dwconv2")
        self.block6a = MBConv(
            112, 6, 3, 192, norm, 0.1 * 26 / 21, stride=2, depthwise="dwconv2"
        )
        self.block6b = MBConv(192, 6, 3, 192, norm, 0.1 * 12 / 9, depthwise="dwconv2")
        self.block6c = MBConv(192, 6, 3, 192, norm, 1 / 7, depthwise="dwconv2")
        self.block6d = MBConv(192, 6, 3, 192, norm, 0.1 * 32 / 21, depthwise="dwconv2")
        self.block6e = MBConv(192, 6, 3, 192, norm, 0.1 * 34 / 21, depthwise="dwconv2")
        self.block6f = MBConv(192, 6, 3, 192, norm, 0.1 * 36 / 21, depthwise="dwconv2")
        self.block6g = MBConv(192, 6, 3, 192, norm, 0.1 * 38 / 21, depthwise="dwconv2")
        self.block6h = MBConv(192, 6, 3, 192, norm, 4 / 21, depthwise="dwconv2")
        self.top_conv = nn.Conv2d(192, 1280, 1, bias=False)
        self.top_bn = nn.BatchNorm2d(1280, eps=0.001, momentum=0.1)
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
        x = self.block2a(x)  # 32x56x56
        x = self.block2b(x)  # 32x56x56
        x = self.block3a(x)  # 48x28x28
        x = self.block3b(x)  # 48x28x28
        x = self.block4a(x)  # 96x14x14
        x = self.block4b(x)  # 96x14x14
        x = self.block4c(x)  # 96x14x14
        x = self.block5a(x)  # 112x14x14
        x = self.block5b(x)  # 112x14x14
        x = self.block5c(x)  # 112x14x14
        x = self.block5d(x)  # 112x14x14
        x = self.block5e(x)  # 112x14x14
        x = self.block6a(x)  # 192x7x7
        x = self.block6b(x)  # 192x7x7
        x = self.block6c(x)  # 192x7x7
        x = self.block6d(x)  # 192x7x7
        x = self.block6e(x)  # 192x7x7
        x = self.block6f(x)  # 192x7x7
        x = self.block6g(x)  # 192x7x7
        x = self.block6h(x)  # 192x7x7
        x = self.top_activation(self.top_bn(self.top_conv(x)))  # 1280x7x7
        x = self.avg_pool(x)  # 1280x1x1
        x = self.top_dropout(torch.flatten(x, 1))  # 1280
        return F.softmax(self.predictions(x), dim=1)  # 1000
