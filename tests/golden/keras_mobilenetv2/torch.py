"""MobileNetV2, generated from mobilenet_v2.cnn by cnnspec 0.1.0.

Input: image 3x224x224 (channels x height x width)
Output: output 1000
Parameters: 3,504,872
Multiply-accumulates: 300,774,272
"""

import math

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


class InvertedResidual(nn.Module):
    """32x112x112 -> 16x112x112 at `expanded_conv`, the first of 17 uses."""

    def __init__(
        self, in_channels: int, filters: int, expansion: int = 6, stride: int = 1
    ) -> None:
        super().__init__()
        self.has_expand = expansion > 1
        self.has_add = stride == 1 and in_channels == filters
        if expansion > 1:
            self.expand = nn.Conv2d(in_channels, expansion * in_channels, 1, bias=False)
            self.expand_BN = nn.BatchNorm2d(
                expansion * in_channels, eps=0.001, momentum=0.001
            )
            self.expand_relu = nn.ReLU6(inplace=True)
        self.depthwise = SameConv2d(
            expansion * in_channels,
            expansion * in_channels,
            3,
            stride=stride,
            groups=expansion * in_channels,
            bias=False,
        )
        self.depthwise_BN = nn.BatchNorm2d(
            expansion * in_channels, eps=0.001, momentum=0.001
        )
        self.depthwise_relu = nn.ReLU6(inplace=True)
        self.project = nn.Conv2d(expansion * in_channels, filters, 1, bias=False)
        self.project_BN = nn.BatchNorm2d(filters, eps=0.001, momentum=0.001)

    def forward(self, x: Tensor) -> Tensor:
        y = x
        if self.has_expand:
            y = self.expand_relu(self.expand_BN(self.expand(x)))
        y = self.depthwise_relu(self.depthwise_BN(self.depthwise(y)))
        y = self.project_BN(self.project(y))
        if self.has_add:
            y = x + y
        return y


class MobileNetV2(nn.Module):
    """MobileNetV2: 3x224x224 -> 1000."""

    def __init__(self, classes: int = 1000, alpha: float = 1.0) -> None:
        super().__init__()
        self.Conv1 = SameConv2d(3, round_to(32 * alpha, 8), 3, stride=2, bias=False)
        self.bn_Conv1 = nn.BatchNorm2d(
            round_to(32 * alpha, 8), eps=0.001, momentum=0.001
        )
        self.Conv1_relu = nn.ReLU6(inplace=True)
        self.expanded_conv = InvertedResidual(
            round_to(32 * alpha, 8), round_to(math.floor(16 * alpha), 8), expansion=1
        )
        channels = round_to(math.floor(16 * alpha), 8)
        before = 1
        for width, depth, stride in [
            (24, 2, 2),
            (32, 3, 2),
            (64, 4, 2),
            (96, 3, 1),
            (160, 3, 2),
            (320, 1, 1),
        ]:
            for j in range(depth):
                self.add_module(
                    f"block_{before + j}",
                    InvertedResidual(
                        channels,
                        round_to(math.floor(width * alpha), 8),
                        stride=stride if j == 0 else 1,
                    ),
                )
                channels = round_to(math.floor(width * alpha), 8)
            before += depth
        self.Conv_1 = nn.Conv2d(channels, 1280, 1, bias=False)
        self.Conv_1_bn = nn.BatchNorm2d(
            round_to(1280 * max(alpha, 1.0), 8), eps=0.001, momentum=0.001
        )
        self.out_relu = nn.ReLU6(inplace=True)
        self.predictions = nn.Linear(round_to(1280 * max(alpha, 1.0), 8), classes)
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, image: Tensor) -> Tensor:
        x = self.Conv1_relu(self.bn_Conv1(self.Conv1(image)))  # 32x112x112
        x = self.expanded_conv(x)  # 16x112x112
        before = 1
        for width, depth, stride in [
            (24, 2, 2),
            (32, 3, 2),
            (64, 4, 2),
            (96, 3, 1),
            (160, 3, 2),
            (320, 1, 1),
        ]:
            for j in range(depth):
                x = getattr(self, f"block_{before + j}")(x)
            before += depth
        x = self.out_relu(self.Conv_1_bn(self.Conv_1(x)))  # 1280x7x7
        x = F.adaptive_avg_pool2d(x, 1)  # 1280x1x1
        x = torch.flatten(x, 1)  # 1280
        return F.softmax(self.predictions(x), dim=1)  # 1000
