"""MobileNet, generated from mobilenet.cnn by cnnspec 0.1.0.

Input: image 3x224x224 (channels x height x width)
Output: output 1000
Parameters: 4,231,976
Multiply-accumulates: 568,740,352
"""

import math

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


class PaddedConv2d(nn.Conv2d):
    """A convolution that pads each side by an amount of its own.

    ``padding`` has left, right, top and bottom.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: tuple[int, ...] = (0, 0, 0, 0),
        dilation: int | tuple[int, int] = 1,
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


class DepthwiseConvBlock(nn.Module):
    """32x112x112 -> 64x112x112 at `conv_1`, the first of 13 uses."""

    def __init__(self, in_channels: int, filters: int, stride: int) -> None:
        super().__init__()
        self.dw = PaddedConv2d(
            in_channels,
            in_channels,
            3,
            stride=stride,
            padding=(2 - stride, 1, 2 - stride, 1),
            groups=in_channels,
            bias=False,
        )
        self.dw_bn = nn.BatchNorm2d(in_channels, eps=0.001, momentum=0.01)
        self.dw_relu = nn.ReLU6(inplace=True)
        self.pw = nn.Conv2d(in_channels, filters, 1, bias=False)
        self.pw_bn = nn.BatchNorm2d(filters, eps=0.001, momentum=0.01)
        self.pw_relu = nn.ReLU6(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        x = self.dw_relu(self.dw_bn(self.dw(x)))
        return self.pw_relu(self.pw_bn(self.pw(x)))


class MobileNet(nn.Module):
    """MobileNet: 3x224x224 -> 1000."""

    def __init__(self, classes: int = 1000, alpha: float = 1.0) -> None:
        super().__init__()
        self.conv1 = SameConv2d(3, math.floor(32 * alpha), 3, stride=2, bias=False)
        self.conv1_bn = nn.BatchNorm2d(math.floor(32 * alpha), eps=0.001, momentum=0.01)
        self.conv1_relu = nn.ReLU6(inplace=True)
        channels = math.floor(32 * alpha)
        for i, (width, stride) in enumerate(
            [(64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2)]
            + [(512, 1)] * 5
            + [(1024, 2), (1024, 1)],
            1,
        ):
            self.add_module(
                f"conv_{i}",
                DepthwiseConvBlock(channels, math.floor(width * alpha), stride),
            )
            channels = math.floor(width * alpha)
        self.dropout = nn.Dropout(0.001)
        self.conv_preds = nn.Conv2d(channels, classes, 1)
        self.predictions = nn.Softmax(dim=1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, image: Tensor) -> Tensor:
        x = self.conv1_relu(self.conv1_bn(self.conv1(image)))  # 32x112x112
        for i in range(1, 14):
            x = getattr(self, f"conv_{i}")(x)
        x = self.dropout(F.adaptive_avg_pool2d(x, 1))  # 1024x1x1
        x = self.conv_preds(x)  # 1000x1x1
        return self.predictions(torch.flatten(x, 1))  # 1000
