"""InceptionV3, generated from inception_v3.cnn by cnnspec 0.1.0.

Input: image 3x299x299 (channels x height x width)
Output: output 1000
Parameters: 23,817,352
Multiply-accumulates: 5,713,216,096
"""

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


class UnscaledBatchNorm2d(nn.BatchNorm2d):
    """Batch normalisation with a bias, and without a factor for each channel."""

    def __init__(self, num_features: int, eps: float, momentum: float) -> None:
        super().__init__(num_features, eps=eps, momentum=momentum)
        self.register_parameter("weight", None)


class ConvNormValid(nn.Module):
    """The same without padding.

    3x299x299 -> 32x149x149 at `stem.conv_norm_valid_1`, the first of 7 uses.
    """

    def __init__(
        self,
        in_channels: int,
        filters: int,
        kernel: int | tuple[int, int],
        stride: int = 1,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(in_channels, filters, kernel, stride=stride, bias=False)
        self.bn = UnscaledBatchNorm2d(filters, eps=0.001, momentum=0.01)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)), inplace=True)


class ConvNorm(nn.Module):
    """32x147x147 -> 64x147x147 at `stem.conv_norm_1`, the first of 87 uses."""

    def __init__(
        self, in_channels: int, filters: int, kernel: int | tuple[int, int]
    ) -> None:
        super().__init__()
        self.conv = SameConv2d(in_channels, filters, kernel, bias=False)
        self.bn = UnscaledBatchNorm2d(filters, eps=0.001, momentum=0.01)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)), inplace=True)


class Stem(nn.Module):
    """To 35x35 maps.

    3x299x299 -> 192x35x35 at `stem`.
    """

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.conv_norm_valid_1 = ConvNormValid(in_channels, 32, 3, stride=2)
        self.conv_norm_valid_2 = ConvNormValid(32, 32, 3)
        self.conv_norm_1 = ConvNorm(32, 64, 3)
        self.max_pool_1 = nn.MaxPool2d(3, stride=2)
        self.conv_norm_2 = ConvNorm(64, 80, 1)
        self.conv_norm_valid_3 = ConvNormValid(80, 192, 3)
        self.max_pool_2 = nn.MaxPool2d(3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv_norm_valid_1(x)  # 32x149x149
        x = self.conv_norm_valid_2(x)  # 32x147x147
        x = self.conv_norm_1(x)  # 64x147x147
        x = self.max_pool_1(x)  # 64x73x73
        x = self.conv_norm_2(x)  # 80x73x73
        x = self.conv_norm_valid_3(x)  # 192x71x71
        return self.max_pool_2(x)  # 192x35x35


class InceptionA(nn.Module):
    """Figure 5: 35x35 maps.

    192x35x35 -> 256x35x35 at `mixed0`, the first of 3 uses.
    """

    def __init__(self, in_channels: int, pooled: int, narrow: int = 64) -> None:
        super().__init__()
        self.branch1x1 = ConvNorm(in_channels, narrow, 1)
        self.branch5x5 = nn.Sequential(
            ConvNorm(in_channels, 48, 1),
            ConvNorm(48, 64, 5),
        )
        self.branch3x3dbl = nn.Sequential(
            ConvNorm(in_channels, 64, 1),
            ConvNorm(64, 96, 3),
            ConvNorm(96, 96, 3),
        )
        self.branch_pool = nn.Sequential(
            nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False),
            ConvNorm(in_channels, pooled, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        branch1x1 = self.branch1x1(x)  # 64x35x35
        branch5x5 = self.branch5x5(x)  # 64x35x35
        branch3x3dbl = self.branch3x3dbl(x)  # 96x35x35
        branch_pool = self.branch_pool(x)
        return torch.cat((branch1x1, branch5x5, branch3x3dbl, branch_pool), dim=1)


class ReductionA(nn.Module):
    """Figure 10: from 35x35 to 17x17.

    288x35x35 -> 768x17x17 at `mixed3`.
    """

    def __init__(self, in_channels: int, widths: tuple[int, int, int]) -> None:
        super().__init__()
        reduced, wide, deep = widths
        self.branch3x3 = ConvNormValid(in_channels, 384, 3, stride=2)
        self.branch3x3dbl = nn.Sequential(
            ConvNorm(in_channels, reduced, 1),
            ConvNorm(reduced, wide, 3),
            ConvNormValid(wide, deep, 3, stride=2),
        )
        self.branch_pool = nn.MaxPool2d(3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        branch3x3 = self.branch3x3(x)  # 384x17x17
        branch3x3dbl = self.branch3x3dbl(x)  # 96x17x17
        branch_pool = self.branch_pool(x)  # 288x17x17
        return torch.cat((branch3x3, branch3x3dbl, branch_pool), dim=1)  # 768x17x17


class InceptionB(nn.Module):
    """Figure 6, with n = 7: 17x17 maps.

    768x17x17 -> 768x17x17 at `mixed4`, the first of 4 uses.
    """

    def __init__(self, in_channels: int, narrow: int) -> None:
        super().__init__()
        self.branch1x1 = ConvNorm(in_channels, 192, 1)
        self.branch7x7 = nn.Sequential(
            ConvNorm(in_channels, narrow, 1),
            ConvNorm(narrow, narrow, (1, 7)),
            ConvNorm(narrow, 192, (7, 1)),
        )
        self.branch7x7dbl = nn.Sequential(
            ConvNorm(in_channels, narrow, 1),
            ConvNorm(narrow, narrow, (7, 1)),
            ConvNorm(narrow, narrow, (1, 7)),
            ConvNorm(narrow, narrow, (7, 1)),
            ConvNorm(narrow, 192, (1, 7)),
        )
        self.branch_pool = nn.Sequential(
            nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False),
            ConvNorm(in_channels, 192, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        branch1x1 = self.branch1x1(x)  # 192x17x17
        branch7x7 = self.branch7x7(x)  # 192x17x17
        branch7x7dbl = self.branch7x7dbl(x)  # 192x17x17
        branch_pool = self.branch_pool(x)  # 192x17x17
        return torch.cat((branch1x1, branch7x7, branch7x7dbl, branch_pool), dim=1)


class ReductionB(nn.Module):
    """From 17x17 to 8x8.

    768x17x17 -> 1280x8x8 at `mixed8`.
    """

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.branch3x3 = nn.Sequential(
            ConvNorm(in_channels, 192, 1),
            ConvNormValid(192, 320, 3, stride=2),
        )
        self.branch7x7x3 = nn.Sequential(
            ConvNorm(in_channels, 192, 1),
            ConvNorm(192, 192, (1, 7)),
            ConvNorm(192, 192, (7, 1)),
            ConvNormValid(192, 192, 3, stride=2),
        )
        self.branch_pool = nn.MaxPool2d(3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        branch3x3 = self.branch3x3(x)  # 320x8x8
        branch7x7x3 = self.branch7x7x3(x)  # 192x8x8
        branch_pool = self.branch_pool(x)  # 768x8x8
        return torch.cat((branch3x3, branch7x7x3, branch_pool), dim=1)  # 1280x8x8


class Fork(nn.Module):
    """A convolution of each direction, on the same map.

    384x8x8 -> 768x8x8 at `mixed9.branch3x3.1`, the first of 4 uses.
    """

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.row = ConvNorm(in_channels, 384, (1, 3))
        self.column = ConvNorm(in_channels, 384, (3, 1))

    def forward(self, x: Tensor) -> Tensor:
        row = self.row(x)  # 384x8x8
        column = self.column(x)  # 384x8x8
        return torch.cat((row, column), dim=1)  # 768x8x8


class InceptionC(nn.Module):
    """Figure 7: 8x8 maps.

    1280x8x8 -> 2048x8x8 at `mixed9`, the first of 2 uses.
    """

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.branch1x1 = ConvNorm(in_channels, 320, 1)
        self.branch3x3 = nn.Sequential(ConvNorm(in_channels, 384, 1), Fork(384))
        self.branch3x3dbl = nn.Sequential(
            ConvNorm(in_channels, 448, 1),
            ConvNorm(448, 384, 3),
            Fork(384),
        )
        self.branch_pool = nn.Sequential(
            nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False),
            ConvNorm(in_channels, 192, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        branch1x1 = self.branch1x1(x)  # 320x8x8
        branch3x3 = self.branch3x3(x)  # 768x8x8
        branch3x3dbl = self.branch3x3dbl(x)  # 768x8x8
        branch_pool = self.branch_pool(x)  # 192x8x8
        return torch.cat((branch1x1, branch3x3, branch3x3dbl, branch_pool), dim=1)


class InceptionV3(nn.Module):
    """InceptionV3: 3x299x299 -> 1000."""

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        self.stem = Stem(3)
        self.mixed0 = InceptionA(192, 32)
        self.mixed1 = InceptionA(256, 64)
        self.mixed2 = InceptionA(288, 64)
        self.mixed3 = ReductionA(288, (64, 96, 96))
        self.mixed4 = InceptionB(768, 128)
        self.mixed5 = InceptionB(768, 160)
        self.mixed6 = InceptionB(768, 160)
        self.mixed7 = InceptionB(768, 192)
        self.mixed8 = ReductionB(768)
        self.mixed9 = InceptionC(1280)
        self.mixed10 = InceptionC(2048)
        self.avg_pool = nn.AdaptiveAvgPool2d(1)
        self.predictions = nn.Linear(2048, classes)
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, image: Tensor) -> Tensor:
        x = self.stem(image)  # 192x35x35
        x = self.mixed0(x)  # 256x35x35
        x = self.mixed1(x)  # 288x35x35
        x = self.mixed2(x)  # 288x35x35
        x = self.mixed3(x)  # 768x17x17
        x = self.mixed4(x)  # 768x17x17
        x = self.mixed5(x)  # 768x17x17
        x = self.mixed6(x)  # 768x17x17
        x = self.mixed7(x)  # 768x17x17
        x = self.mixed8(x)  # 1280x8x8
        x = self.mixed9(x)  # 2048x8x8
        x = self.mixed10(x)  # 2048x8x8
        x = self.avg_pool(x)  # 2048x1x1
        x = torch.flatten(x, 1)  # 2048
        return F.softmax(self.predictions(x), dim=1)  # 1000
