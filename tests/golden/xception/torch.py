"""Xception, generated from xception.cnn by cnnspec 0.1.0.

Input: image 3x299x299 (channels x height x width)
Output: output 1000
Parameters: 22,855,952
Multiply-accumulates: 8,357,403,496
"""

from collections import OrderedDict

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


class SeparableConv2d(nn.Module):
    """A convolution of each channel for itself, then a 1x1 convolution of all."""

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
        padding: int | tuple[int, int] | str = 0,
        dilation: int | tuple[int, int] = 1,
        multiplier: int = 1,
        bias: bool = True,
    ) -> None:
        super().__init__()
        self.depthwise = nn.Conv2d(
            in_channels,
            in_channels * multiplier,
            kernel_size,
            stride=stride,
            padding=padding,
            dilation=dilation,
            groups=in_channels,
            bias=False,
        )
        self.pointwise = nn.Conv2d(in_channels * multiplier, out_channels, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.pointwise(self.depthwise(x))


class SameMaxPool2d(nn.MaxPool2d):
    """Max pooling with ``ceil(size / stride)`` outputs along each axis."""

    def forward(self, x: Tensor) -> Tensor:
        sides = same_padding(x, self.kernel_size, self.stride, self.dilation)
        return super().forward(F.pad(x, sides, value=float("-inf")))


class Reduction(nn.Module):
    """A module of the entry or the exit flow, which halves the map.

    64x147x147 -> 128x74x74 at `block2`, the first of 4 uses.
    """

    def __init__(
        self, in_channels: int, widths: tuple[int, ...], relu_first: bool = True
    ) -> None:
        super().__init__()
        self.relu_first = relu_first
        self.widths = widths
        self.shortcut = nn.Conv2d(in_channels, widths[-1], 1, stride=2, bias=False)
        self.shortcut_bn = nn.BatchNorm2d(widths[-1], eps=0.001, momentum=0.01)
        channels = in_channels
        for i, width in enumerate(widths, 1):
            if relu_first or i > 1:
                self.add_module(f"sepconv{i}_act", nn.ReLU())
            self.add_module(
                f"sepconv{i}",
                SeparableConv2d(channels, width, 3, padding="same", bias=False),
            )
            self.add_module(
                f"sepconv{i}_bn",
                nn.BatchNorm2d(width, eps=0.001, momentum=0.01),
            )
            channels = width
        self.pool = SameMaxPool2d(3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        shortcut = self.shortcut_bn(self.shortcut(x))
        for i, width in enumerate(self.widths, 1):
            if self.relu_first or i > 1:
                x = getattr(self, f"sepconv{i}_act")(x)
            x = getattr(self, f"sepconv{i}_bn")(getattr(self, f"sepconv{i}")(x))
        pool = self.pool(x)
        return pool + shortcut


class Middle(nn.Module):
    """A module of the middle flow.

    728x19x19 -> 728x19x19 at `block5`, the first of 8 uses.
    """

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.sepconv1_act = nn.ReLU()
        self.sepconv1 = SeparableConv2d(
            in_channels, in_channels, 3, padding="same", bias=False
        )
        self.sepconv1_bn = nn.BatchNorm2d(in_channels, eps=0.001, momentum=0.01)
        self.sepconv2_act = nn.ReLU(inplace=True)
        self.sepconv2 = SeparableConv2d(
            in_channels, in_channels, 3, padding="same", bias=False
        )
        self.sepconv2_bn = nn.BatchNorm2d(in_channels, eps=0.001, momentum=0.01)
        self.sepconv3_act = nn.ReLU(inplace=True)
        self.sepconv3 = SeparableConv2d(
            in_channels, in_channels, 3, padding="same", bias=False
        )
        self.sepconv3_bn = nn.BatchNorm2d(in_channels, eps=0.001, momentum=0.01)

    def forward(self, x: Tensor) -> Tensor:
        y = self.sepconv1_act(x)  # 728x19x19
        y = self.sepconv2_act(self.sepconv1_bn(self.sepconv1(y)))  # 728x19x19
        y = self.sepconv3_act(self.sepconv2_bn(self.sepconv2(y)))  # 728x19x19
        y = self.sepconv3_bn(self.sepconv3(y))  # 728x19x19
        return y + x  # 728x19x19


class Xception(nn.Module):
    """Xception: 3x299x299 -> 1000."""

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        self.block1 = nn.Sequential(
            OrderedDict(
                conv1=nn.Conv2d(3, 32, 3, stride=2, bias=False),
                conv1_bn=nn.BatchNorm2d(32, eps=0.001, momentum=0.01),
                conv1_act=nn.ReLU(inplace=True),
                conv2=nn.Conv2d(32, 64, 3, bias=False),
                conv2_bn=nn.BatchNorm2d(64, eps=0.001, momentum=0.01),
                conv2_act=nn.ReLU(inplace=True),
            ),
        )
        self.block2 = Reduction(64, (128, 128), relu_first=False)
        self.block3 = Reduction(128, (256, 256))
        self.block4 = Reduction(256, (728, 728))
        for i in range(5, 13):
            self.add_module(f"block{i}", Middle(728))
        self.block13 = Reduction(728, (728, 1024))
        self.block14 = nn.Sequential(
            OrderedDict(
                sepconv1=SeparableConv2d(1024, 1536, 3, padding="same", bias=False),
                sepconv1_bn=nn.BatchNorm2d(1536, eps=0.001, momentum=0.01),
                sepconv1_act=nn.ReLU(inplace=True),
                sepconv2=SeparableConv2d(1536, 2048, 3, padding="same", bias=False),
                sepconv2_bn=nn.BatchNorm2d(2048, eps=0.001, momentum=0.01),
                sepconv2_act=nn.ReLU(inplace=True),
            ),
        )
        self.avg_pool = nn.AdaptiveAvgPool2d(1)
        self.predictions = nn.Linear(2048, classes)
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, image: Tensor) -> Tensor:
        x = self.block1(image)  # 64x147x147
        x = self.block2(x)  # 128x74x74
        x = self.block3(x)  # 256x37x37
        x = self.block4(x)  # 728x19x19
        x = self.block5(x)  # 728x19x19
        x = self.block6(x)  # 728x19x19
        x = self.block7(x)  # 728x19x19
        x = self.block8(x)  # 728x19x19
        x = self.block9(x)  # 728x19x19
        x = self.block10(x)  # 728x19x19
        x = self.block11(x)  # 728x19x19
        x = self.block12(x)  # 728x19x19
        x = self.block13(x)  # 1024x10x10
        x = self.block14(x)  # 2048x10x10
        x = self.avg_pool(x)  # 2048x1x1
        x = torch.flatten(x, 1)  # 2048
        return F.softmax(self.predictions(x), dim=1)  # 1000
