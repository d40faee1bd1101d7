"""MobileNetV3Small, generated from mobilenet_v3.cnn by cnnspec 0.1.0.

Input: image 3x224x224 (channels x height x width)
Output: output 1000
Parameters: 2,542,856
Multiply-accumulates: 56,510,400
Compiled with alpha = 1.0
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def round_to(
    value: float, multiple: int, least: int | None = None, limit: float = 0.9
) -> int:
    """Give the multiple nearest to a value, never below ``limit`` times it."""
    least = multiple if least is None else least
    rounded = max(least, int(value + multiple / 2) // multiple * multiple)
    return rounded + multiple if rounded < limit * value else rounded


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


class SqueezeExcite(nn.Module):
    """16x56x56 -> 16x56x56 at `expanded_conv.squeeze_excite`, the first of 9 uses."""

    def __init__(self, in_channels: int, squeezed: int) -> None:
        super().__init__()
        self.avg_pool = nn.AdaptiveAvgPool2d(1)
        self.conv = nn.Conv2d(in_channels, squeezed, 1)
        self.relu = nn.ReLU(inplace=True)
        self.conv_1 = nn.Conv2d(squeezed, in_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        scale = self.avg_pool(x)
        scale = self.relu(self.conv(scale))
        scale = F.hardsigmoid(self.conv_1(scale))
        return x * scale


class InvertedResidual(nn.Module):
    """16x112x112 -> 16x56x56 at `expanded_conv`, the first of 11 uses."""

    def __init__(
        self,
        in_channels: int,
        expansion: float,
        filters: int,
        kernel: int,
        stride: int,
        squeeze: bool,
        act: Callable[[], nn.Module],
    ) -> None:
        super().__init__()
        expanded = round_to(expansion * in_channels, 8)
        channels = expanded if expansion > 1 else in_channels
        self.has_expand = expansion > 1
        self.has_add = stride == 1 and in_channels == filters
        if expansion > 1:
            self.expand = nn.Conv2d(in_channels, expanded, 1, bias=False)
            self.expand_bn = nn.BatchNorm2d(expanded, eps=0.001, momentum=0.001)
            self.expand_act = act()
        self.depthwise = SameConv2d(
            channels, channels, kernel, stride=stride, groups=channels, bias=False
        )
        self.depthwise_bn = nn.BatchNorm2d(channels, eps=0.001, momentum=0.001)
        self.depthwise_act = act()
        self.squeeze_excite: SqueezeExcite | None = None
        if squeeze:
            self.squeeze_excite = SqueezeExcite(channels, round_to(expanded / 4, 8))
        self.project = nn.Conv2d(channels, filters, 1, bias=False)
        self.project_bn = nn.BatchNorm2d(filters, eps=0.001, momentum=0.001)

    def forward(self, x: Tensor) -> Tensor:
        y = x
        if self.has_expand:
            y = self.expand_act(self.expand_bn(self.expand(x)))
        y = self.depthwise_act(self.depthwise_bn(self.depthwise(y)))
        if self.squeeze_excite is not None:
            y = self.squeeze_excite(y)
        y = self.project_bn(self.project(y))
        if self.has_add:
            y = x + y
        return y


class MobileNetV3Small(nn.Module):
    """MobileNetV3Small: 3x224x224 -> 1000."""

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        self.conv = SameConv2d(3, 16, 3, stride=2, bias=False)
        self.conv_bn = nn.BatchNorm2d(16, eps=0.001, momentum=0.001)
        self.expanded_conv = InvertedResidual(16, 1, 16, 3, 2, True, nn.ReLU)
        self.expanded_conv_1 = InvertedResidual(16, 4.5, 24, 3, 2, False, nn.ReLU)
        self.expanded_conv_2 = InvertedResidual(24, 11 / 3, 24, 3, 1, False, nn.ReLU)
        self.expanded_conv_3 = InvertedResidual(24, 4, 40, 5, 2, True, nn.Hardswish)
        self.expanded_conv_4 = InvertedResidual(40, 6, 40, 5, 1, True, nn.Hardswish)
        self.expanded_conv_5 = InvertedResidual(40, 6, 40, 5, 1, True, nn.Hardswish)
        self.expanded_conv_6 = InvertedResidual(40, 3, 48, 5, 1, True, nn.Hardswish)
        self.expanded_conv_7 = InvertedResidual(48, 3, 48, 5, 1, True, nn.Hardswish)
        self.expanded_conv_8 = InvertedResidual(48, 6, 96, 5, 2, True, nn.Hardswish)
        self.expanded_conv_9 = InvertedResidual(96, 6, 96, 5, 1, True, nn.Hardswish)
        self.expanded_conv_10 = InvertedResidual(96, 6, 96, 5, 1, True, nn.Hardswish)
        self.conv_1 = nn.Conv2d(96, 576, 1, bias=False)
        self.conv_1_bn = nn.BatchNorm2d(576, eps=0.001, momentum=0.001)
        self.conv_2 = nn.Conv2d(576, 1024, 1)
        self.dropout_1 = nn.Dropout(0.2)
        self.logits = nn.Conv2d(1024, classes, 1)
        self.predictions = nn.Softmax(dim=1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, image: Tensor) -> Tensor:
        x = image / 127.5 - 1  # 3x224x224
        x = F.hardswish(self.conv_bn(self.conv(x)))  # 16x112x112
        x = self.expanded_conv(x)  # 16x56x56
        x = self.expanded_conv_1(x)  # 24x28x28
        x = self.expanded_conv_2(x)  # 24x28x28
        x = self.expanded_conv_3(x)  # 40x14x14
        x = self.expanded_conv_4(x)  # 40x14x14
        x = self.expanded_conv_5(x)  # 40x14x14
        x = self.expanded_conv_6(x)  # 48x14x14
        x = self.expanded_conv_7(x)  # 48x14x14
        x = self.expanded_conv_8(x)  # 96x7x7
        x = self.expanded_conv_9(x)  # 96x7x7
        x = self.expanded_conv_10(x)  # 96x7x7
        x = F.hardswish(self.conv_1_bn(self.conv_1(x)))  # 576x7x7
        x = F.adaptive_avg_pool2d(x, 1)  # 576x1x1
        x = self.dropout_1(F.hardswish(self.conv_2(x)))  # 1024x1x1
        x = self.logits(x)  # 1000x1x1
        return self.predictions(torch.flatten(x, 1))  # 1000
