"""NASNetMobile, generated from nasnet.cnn by cnnspec 0.1.0.

Input: image 3x224x224 (channels x height x width)
Output: output 1000
Parameters: 5,289,978
Multiply-accumulates: 563,638,816
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


class SameSeparableConv2d(nn.Module):
    """A convolution of each channel for itself, then a 1x1 convolution of all.

    The first has ``ceil(size / stride)`` outputs along each axis.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: int | tuple[int, int],
        stride: int | tuple[int, int] = 1,
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
            dilation=dilation,
            groups=in_channels,
            bias=False,
        )
        self.pointwise = nn.Conv2d(in_channels * multiplier, out_channels, 1, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        first = self.depthwise
        sides = same_padding(x, first.kernel_size, first.stride, first.dilation)
        return self.pointwise(first(F.pad(x, sides)))


class Separable(nn.Module):
    """Two separable convolutions in a row, each between an activation and a
    norm.

    11x111x111 -> 11x56x56 at `stem_1.reduction_left1`, the first of 80 uses.
    """

    def __init__(
        self,
        in_channels: int,
        width: int,
        kernel: int | tuple[int, int],
        stride: int = 1,
    ) -> None:
        super().__init__()
        self.separable_conv_1 = SameSeparableConv2d(
            in_channels, width, kernel, stride=stride, bias=False
        )
        self.separable_conv_1_bn = nn.BatchNorm2d(width, eps=0.001, momentum=0.0003)
        self.separable_conv_2 = SameSeparableConv2d(width, width, kernel, bias=False)
        self.separable_conv_2_bn = nn.BatchNorm2d(width, eps=0.001, momentum=0.0003)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(x)
        x = F.relu(self.separable_conv_1_bn(self.separable_conv_1(x)), inplace=True)
        return self.separable_conv_2_bn(self.separable_conv_2(x))


class ReductionCell(nn.Module):
    """Figure 4, right.

    32x111x111, 32x111x111 -> 44x56x56 at `stem_1`, the first of 4 uses.

    `reduction_pad`: `[(h.height % 2, 1), (h.width % 2, 1)]`, which the spec
    computes.
    """

    def __init__(
        self, x_channels: int, p_channels: int, width: int, reduction_pad: int = 0
    ) -> None:
        super().__init__()
        self.reduction_conv_1 = nn.Conv2d(x_channels, width, 1, bias=False)
        self.reduction_bn_1 = nn.BatchNorm2d(width, eps=0.001, momentum=0.0003)
        self.reduction_pad_1 = nn.ZeroPad2d((reduction_pad, 1, reduction_pad, 1))
        self.reduction_left1 = Separable(width, width, 5, stride=2)
        self.reduction_right1 = Separable(p_channels, width, 7, stride=2)
        self.reduction_left2 = nn.MaxPool2d(3, stride=2)
        self.reduction_right2 = Separable(p_channels, width, 7, stride=2)
        self.reduction_left3 = nn.AvgPool2d(3, stride=2)
        self.reduction_right3 = Separable(p_channels, width, 5, stride=2)
        self.reduction_average4 = nn.AvgPool2d(
            3, stride=1, padding=1, count_include_pad=False
        )
        self.reduction_left4 = Separable(width, width, 3)
        self.reduction_right5 = nn.MaxPool2d(3, stride=2)

    def forward(self, x: Tensor, p: Tensor) -> Tensor:
        h = F.relu(x)
        h = self.reduction_bn_1(self.reduction_conv_1(h))
        padded = self.reduction_pad_1(h)
        reduction_left1 = self.reduction_left1(h)
        reduction_right1 = self.reduction_right1(p)
        x1 = reduction_left1 + reduction_right1
        reduction_left2 = self.reduction_left2(padded)
        reduction_right2 = self.reduction_right2(p)
        x2 = reduction_left2 + reduction_right2
        reduction_left3 = self.reduction_left3(padded)
        reduction_right3 = self.reduction_right3(p)
        x3 = reduction_left3 + reduction_right3
        reduction_average4 = self.reduction_average4(x1)
        x4 = x2 + reduction_average4
        reduction_left4 = self.reduction_left4(x1)
        reduction_right5 = self.reduction_right5(padded)
        x5 = reduction_left4 + reduction_right5
        return torch.cat((x2, x3, x4, x5), dim=1)


class Adjust(nn.Module):
    """Gives `earlier` the size of `x` and the width of the cell.

    44x56x56, 32x111x111 -> 22x56x56 at `adjust_stem_2`, the first of 15 uses.

    `with_avg_pool`: `y.height != x.height`, which the spec computes.
    """

    def __init__(
        self, earlier_channels: int, width: int, with_avg_pool: bool = False
    ) -> None:
        super().__init__()
        self.with_avg_pool = with_avg_pool
        self.has_conv_projection = earlier_channels != width
        if with_avg_pool:
            self.relu_1 = nn.ReLU()
            self.avg_pool_1 = nn.AvgPool2d(1, stride=2)
            self.conv_1 = nn.Conv2d(earlier_channels, width // 2, 1, bias=False)
            self.avg_pool_2 = nn.AvgPool2d(1, stride=2)
            self.conv_2 = nn.Conv2d(earlier_channels, width // 2, 1, bias=False)
            self.bn = nn.BatchNorm2d(
                width // 2 + width // 2, eps=0.001, momentum=0.0003
            )
        elif earlier_channels != width:
            self.conv_projection = nn.Conv2d(earlier_channels, width, 1, bias=False)
            self.bn = nn.BatchNorm2d(width, eps=0.001, momentum=0.0003)

    def forward(self, x: Tensor, earlier: Tensor) -> Tensor:
        if self.with_avg_pool:
            y = self.relu_1(earlier)
            x = self.avg_pool_1(y)
            x = self.conv_1(x)
            y = F.pad(y, (0, 1, 0, 1))
            y = F.pad(y, (-1, 0, -1, 0))
            y = self.avg_pool_2(y)
            y = self.conv_2(y)
            earlier = self.bn(torch.cat((x, y), dim=1))
        elif self.has_conv_projection:
            earlier = F.relu(earlier)
            earlier = self.bn(self.conv_projection(earlier))
        return earlier


class NormalCell(nn.Module):
    """Figure 4, left. `x` is what the cell before gives, `p` what that took.

    88x28x28, 44x28x28 -> 264x28x28 at `normal_0`, the first of 12 uses.
    """

    def __init__(self, x_channels: int, p_channels: int, width: int) -> None:
        super().__init__()
        self.conv_1 = nn.Conv2d(x_channels, width, 1, bias=False)
        self.bn_1 = nn.BatchNorm2d(width, eps=0.001, momentum=0.0003)
        self.left1 = Separable(width, width, 5)
        self.right1 = Separable(p_channels, width, 3)
        self.left2 = Separable(p_channels, width, 5)
        self.right2 = Separable(p_channels, width, 3)
        self.left3 = nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)
        self.left4 = nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)
        self.right4 = nn.AvgPool2d(3, stride=1, padding=1, count_include_pad=False)
        self.left5 = Separable(width, width, 3)

    def forward(self, x: Tensor, p: Tensor) -> Tensor:
        h = F.relu(x)
        h = self.bn_1(self.conv_1(h))
        left1 = self.left1(h)
        right1 = self.right1(p)
        x = left1 + right1
        left2 = self.left2(p)
        right2 = self.right2(p)
        y = left2 + right2
        left3 = self.left3(h)
        z = left3 + p
        left4 = self.left4(p)
        right4 = self.right4(p)
        x2 = left4 + right4
        left5 = self.left5(h)
        x3 = left5 + h
        return torch.cat((p, x, y, z, x2, x3), dim=1)


class NASNetMobile(nn.Module):
    """NASNetMobile: 3x224x224 -> 1000."""

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        self.stem_conv1 = nn.Conv2d(3, 32, 3, stride=2, bias=False)
        self.stem_bn1 = nn.BatchNorm2d(32, eps=0.001, momentum=0.0003)
        self.stem_1 = ReductionCell(32, 32, 11, reduction_pad=1)
        self.adjust_stem_2 = Adjust(32, 22, with_avg_pool=True)
        self.stem_2 = ReductionCell(44, 22, 22)
        self.adjust_0 = Adjust(44, 44, with_avg_pool=True)
        self.normal_0 = NormalCell(88, 44, 44)
        self.adjust_1 = Adjust(88, 44)
        self.normal_1 = NormalCell(264, 44, 44)
        self.adjust_2 = Adjust(264, 44)
        self.normal_2 = NormalCell(264, 44, 44)
        self.adjust_3 = Adjust(264, 44)
        self.normal_3 = NormalCell(264, 44, 44)
        self.adjust_reduce_4 = Adjust(264, 88)
        self.reduce_4 = ReductionCell(264, 88, 88)
        self.adjust_5 = Adjust(264, 88, with_avg_pool=True)
        self.normal_5 = NormalCell(352, 88, 88)
        self.adjust_6 = Adjust(352, 88)
        self.normal_6 = NormalCell(528, 88, 88)
        self.adjust_7 = Adjust(528, 88)
        self.normal_7 = NormalCell(528, 88, 88)
        self.adjust_8 = Adjust(528, 88)
        self.normal_8 = NormalCell(528, 88, 88)
        self.adjust_reduce_8 = Adjust(528, 176)
        self.reduce_8 = ReductionCell(528, 176, 176)
        self.adjust_9 = Adjust(528, 176, with_avg_pool=True)
        self.normal_9 = NormalCell(704, 176, 176)
        self.adjust_10 = Adjust(704, 176)
        self.normal_10 = NormalCell(1056, 176, 176)
        self.adjust_11 = Adjust(1056, 176)
        self.normal_11 = NormalCell(1056, 176, 176)
        self.adjust_12 = Adjust(1056, 176)
        self.normal_12 = NormalCell(1056, 176, 176)
        self.predictions = nn.Linear(1056, classes)
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)
        for path in (
            "stem_conv1.weight",
            "stem_1.reduction_conv_1.weight",
            "adjust_stem_2.conv_1.weight",
            "adjust_stem_2.conv_2.weight",
            "stem_2.reduction_conv_1.weight",
            "adjust_0.conv_1.weight",
            "adjust_0.conv_2.weight",
            "normal_0.conv_1.weight",
            "adjust_1.conv_projection.weight",
            "normal_1.conv_1.weight",
            "adjust_2.conv_projection.weight",
            "normal_2.conv_1.weight",
            "adjust_3.conv_projection.weight",
            "normal_3.conv_1.weight",
            "adjust_reduce_4.conv_projection.weight",
            "reduce_4.reduction_conv_1.weight",
            "adjust_5.conv_1.weight",
            "adjust_5.conv_2.weight",
            "normal_5.conv_1.weight",
            "adjust_6.conv_projection.weight",
            "normal_6.conv_1.weight",
            "adjust_7.conv_projection.weight",
            "normal_7.conv_1.weight",
            "adjust_8.conv_projection.weight",
            "normal_8.conv_1.weight",
            "adjust_reduce_8.conv_projection.weight",
            "reduce_8.reduction_conv_1.weight",
            "adjust_9.conv_1.weight",
            "adjust_9.conv_2.weight",
            "normal_9.conv_1.weight",
            "adjust_10.conv_projection.weight",
            "normal_10.conv_1.weight",
            "adjust_11.conv_projection.weight",
            "normal_11.conv_1.weight",
            "adjust_12.conv_projection.weight",
            "normal_12.conv_1.weight",
        ):
            nn.init.kaiming_normal_(self.get_parameter(path), nonlinearity="relu")

    def forward(self, image: Tensor) -> Tensor:
        first = self.stem_bn1(self.stem_conv1(image))  # 32x111x111
        before = self.stem_1(first, first)  # 44x56x56
        adjust_stem_2 = self.adjust_stem_2(before, first)  # 22x56x56
        x = self.stem_2(before, adjust_stem_2)  # 88x28x28
        adjust_0 = self.adjust_0(x, before)  # 44x28x28
        y = self.normal_0(x, adjust_0)  # 264x28x28
        adjust_1 = self.adjust_1(y, x)  # 44x28x28
        x = self.normal_1(y, adjust_1)  # 264x28x28
        adjust_2 = self.adjust_2(x, y)  # 44x28x28
        y = self.normal_2(x, adjust_2)  # 264x28x28
        adjust_3 = self.adjust_3(y, x)  # 44x28x28
        x = self.normal_3(y, adjust_3)  # 264x28x28
        adjust_reduce_4 = self.adjust_reduce_4(x, y)  # 88x28x28
        reduced = self.reduce_4(x, adjust_reduce_4)  # 352x14x14
        adjust_5 = self.adjust_5(reduced, x)  # 88x14x14
        y = self.normal_5(reduced, adjust_5)  # 528x14x14
        adjust_6 = self.adjust_6(y, reduced)  # 88x14x14
        x = self.normal_6(y, adjust_6)  # 528x14x14
        adjust_7 = self.adjust_7(x, y)  # 88x14x14
        y = self.normal_7(x, adjust_7)  # 528x14x14
        adjust_8 = self.adjust_8(y, x)  # 88x14x14
        x = self.normal_8(y, adjust_8)  # 528x14x14
        adjust_reduce_8 = self.adjust_reduce_8(x, y)  # 176x14x14
        reduced = self.reduce_8(x, adjust_reduce_8)  # 704x7x7
        adjust_9 = self.adjust_9(reduced, x)  # 176x7x7
        y = self.normal_9(reduced, adjust_9)  # 1056x7x7
        adjust_10 = self.adjust_10(y, reduced)  # 176x7x7
        x = self.normal_10(y, adjust_10)  # 1056x7x7
        adjust_11 = self.adjust_11(x, y)  # 176x7x7
        y = self.normal_11(x, adjust_11)  # 1056x7x7
        adjust_12 = self.adjust_12(y, x)  # 176x7x7
        y = F.relu(self.normal_12(y, adjust_12), inplace=True)  # 1056x7x7
        y = F.adaptive_avg_pool2d(y, 1)  # 1056x1x1
        y = torch.flatten(y, 1)  # 1056
        return F.softmax(self.predictions(y), dim=1)  # 1000
