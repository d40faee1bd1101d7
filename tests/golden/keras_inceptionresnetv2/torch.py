"""InceptionResNetV2, generated from inception_resnet_v2.cnn by cnnspec 0.1.0.

Input: image 3x299x299 (channels x height x width)
Output: output 1000
Parameters: 55,813,192
Multiply-accumulates: 13,155,794,016
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

    3x299x299 -> 32x149x149 at `stem.conv_norm_valid_1`, the first of 8 uses.
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
    """32x147x147 -> 64x147x147 at `stem.conv_norm_1`, the first of 195 uses."""

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

    192x35x35 -> 320x35x35 at `mixed_5b`.
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
        branch1x1 = self.branch1x1(x)  # 96x35x35
        branch5x5 = self.branch5x5(x)  # 64x35x35
        branch3x3dbl = self.branch3x3dbl(x)  # 96x35x35
        branch_pool = self.branch_pool(x)  # 64x35x35
        return torch.cat((branch1x1, branch5x5, branch3x3dbl, branch_pool), dim=1)


class Block35(nn.Module):
    """Figure 16: 35x35 maps. In all of these blocks the joined branches are
    projected to the channels of the input, scaled down and added.

    320x35x35 -> 320x35x35 at `block35_1`, the first of 10 uses.
    """

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.branch_0 = ConvNorm(in_channels, 32, 1)
        self.branch_1 = nn.Sequential(ConvNorm(in_channels, 32, 1), ConvNorm(32, 32, 3))
        self.branch_2 = nn.Sequential(
            ConvNorm(in_channels, 32, 1),
            ConvNorm(32, 48, 3),
            ConvNorm(48, 64, 3),
        )
        self.conv = nn.Conv2d(32 + 32 + 64, in_channels, 1)
        self.ac = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        branch_0 = self.branch_0(x)  # 32x35x35
        branch_1 = self.branch_1(x)  # 32x35x35
        branch_2 = self.branch_2(x)  # 64x35x35
        up = torch.cat((branch_0, branch_1, branch_2), dim=1)  # 128x35x35
        up = self.conv(up)  # 320x35x35
        up = 0.17 * up  # 320x35x35
        return self.ac(x + up)  # 320x35x35


class ReductionA(nn.Module):
    """Figure 10: from 35x35 to 17x17.

    320x35x35 -> 1088x17x17 at `mixed_6a`.
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
        branch3x3dbl = self.branch3x3dbl(x)  # 384x17x17
        branch_pool = self.branch_pool(x)  # 320x17x17
        return torch.cat((branch3x3, branch3x3dbl, branch_pool), dim=1)  # 1088x17x17


class Block17(nn.Module):
    """Figure 17: 17x17 maps.

    1088x17x17 -> 1088x17x17 at `block17_1`, the first of 20 uses.
    """

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.branch_0 = ConvNorm(in_channels, 192, 1)
        self.branch_1 = nn.Sequential(
            ConvNorm(in_channels, 128, 1),
            ConvNorm(128, 160, (1, 7)),
            ConvNorm(160, 192, (7, 1)),
        )
        self.conv = nn.Conv2d(192 + 192, in_channels, 1)
        self.ac = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        branch_0 = self.branch_0(x)  # 192x17x17
        branch_1 = self.branch_1(x)  # 192x17x17
        up = torch.cat((branch_0, branch_1), dim=1)  # 384x17x17
        up = self.conv(up)  # 1088x17x17
        up = 0.1 * up  # 1088x17x17
        return self.ac(x + up)  # 1088x17x17


class Reduction17(nn.Module):
    """Figure 18: from 17x17 to 8x8.

    1088x17x17 -> 2080x8x8 at `mixed_7a`.
    """

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.branch_0 = nn.Sequential(
            ConvNorm(in_channels, 256, 1),
            ConvNormValid(256, 384, 3, stride=2),
        )
        self.branch_1 = nn.Sequential(
            ConvNorm(in_channels, 256, 1),
            ConvNormValid(256, 288, 3, stride=2),
        )
        self.branch_2 = nn.Sequential(
            ConvNorm(in_channels, 256, 1),
            ConvNorm(256, 288, 3),
            ConvNormValid(288, 320, 3, stride=2),
        )
        self.branch_pool = nn.MaxPool2d(3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        branch_0 = self.branch_0(x)  # 384x8x8
        branch_1 = self.branch_1(x)  # 288x8x8
        branch_2 = self.branch_2(x)  # 320x8x8
        branch_pool = self.branch_pool(x)  # 1088x8x8
        return torch.cat((branch_0, branch_1, branch_2, branch_pool), dim=1)  # 2080x8x8


class Block8(nn.Module):
    """Figure 19: 8x8 maps. The last of these blocks neither scales nor
    activates.

    2080x8x8 -> 2080x8x8 at `block8_1`, the first of 10 uses.
    """

    def __init__(
        self, in_channels: int, scale: float = 0.2, activate: bool = True
    ) -> None:
        super().__init__()
        self.scale = scale
        self.branch_0 = ConvNorm(in_channels, 192, 1)
        self.branch_1 = nn.Sequential(
            ConvNorm(in_channels, 192, 1),
            ConvNorm(192, 224, (1, 3)),
            ConvNorm(224, 256, (3, 1)),
        )
        self.conv = nn.Conv2d(192 + 256, in_channels, 1)
        self.ac: nn.ReLU | None = None
        if activate:
            self.ac = nn.ReLU(inplace=True)

    def forward(self, x: Tensor) -> Tensor:
        branch_0 = self.branch_0(x)  # 192x8x8
        branch_1 = self.branch_1(x)  # 256x8x8
        up = torch.cat((branch_0, branch_1), dim=1)  # 448x8x8
        up = self.conv(up)  # 2080x8x8
        up = self.scale * up  # 2080x8x8
        x = x + up  # 2080x8x8
        if self.ac is not None:
            x = self.ac(x)  # 2080x8x8
        return x


class InceptionResNetV2(nn.Module):
    """InceptionResNetV2: 3x299x299 -> 1000."""

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        self.stem = Stem(3)
        self.mixed_5b = InceptionA(192, 64, narrow=96)
        for i in range(1, 11):
            self.add_module(f"block35_{i}", Block35(320))
        self.mixed_6a = ReductionA(320, (256, 256, 384))
        for i in range(1, 21):
            self.add_module(f"block17_{i}", Block17(1088))
        self.mixed_7a = Reduction17(1088)
        for i in range(1, 10):
            self.add_module(f"block8_{i}", Block8(2080))
        self.block8_10 = Block8(2080, scale=1.0, activate=False)
        self.conv_7b = nn.Conv2d(2080, 1536, 1, bias=False)
        self.conv_7b_bn = UnscaledBatchNorm2d(1536, eps=0.001, momentum=0.01)
        self.conv_7b_ac = nn.ReLU(inplace=True)
        self.avg_pool = nn.AdaptiveAvgPool2d(1)
        self.predictions = nn.Linear(1536, classes)
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, image: Tensor) -> Tensor:
        x = self.stem(image)  # 192x35x35
        x = self.mixed_5b(x)  # 320x35x35
        for i in range(1, 11):
            x = getattr(self, f"block35_{i}")(x)  # 320x35x35
        x = self.mixed_6a(x)  # 1088x17x17
        for i in range(1, 21):
            x = getattr(self, f"block17_{i}")(x)  # 1088x17x17
        x = self.mixed_7a(x)  # 2080x8x8
        for i in range(1, 10):
            x = getattr(self, f"block8_{i}")(x)  # 2080x8x8
        x = self.block8_10(x)  # 2080x8x8
        x = self.conv_7b_ac(self.conv_7b_bn(self.conv_7b(x)))  # 1536x8x8
        x = self.avg_pool(x)  # 1536x1x1
        x = torch.flatten(x, 1)  # 1536
        return F.softmax(self.predictions(x), dim=1)  # 1000
