"""MobileNet, generated from mobilenet.cnn by cnnspec 0.1.0.

Input: image 3x224x224 (channels x height x width)
Output: output 1000
Parameters: 4,231,976
Multiply-accumulates: 568,740,352
Compiled with alpha = 1.0
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


class MobileNet(nn.Module):
    """MobileNet: 3x224x224 -> 1000."""

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        self.conv1 = SameConv2d(3, 32, 3, stride=2, bias=False)
        self.conv1_bn = nn.BatchNorm2d(32, eps=0.001, momentum=0.01)
        self.conv1_relu = nn.ReLU6()
        self.conv_dw_1 = nn.Conv2d(32, 32, 3, padding=1, groups=32, bias=False)
        self.conv_dw_1_bn = nn.BatchNorm2d(32, eps=0.001, momentum=0.01)
        self.conv_dw_1_relu = nn.ReLU6()
        self.conv_pw_1 = nn.Conv2d(32, 64, 1, bias=False)
        self.conv_pw_1_bn = nn.BatchNorm2d(64, eps=0.001, momentum=0.01)
        self.conv_pw_1_relu = nn.ReLU6()
        self.conv_dw_2 = PaddedConv2d(
            64, 64, 3, stride=2, padding=(0, 1, 0, 1), groups=64, bias=False
        )
        self.conv_dw_2_bn = nn.BatchNorm2d(64, eps=0.001, momentum=0.01)
        self.conv_dw_2_relu = nn.ReLU6()
        self.conv_pw_2 = nn.Conv2d(64, 128, 1, bias=False)
        self.conv_pw_2_bn = nn.BatchNorm2d(128, eps=0.001, momentum=0.01)
        self.conv_pw_2_relu = nn.ReLU6()
        self.conv_dw_3 = nn.Conv2d(128, 128, 3, padding=1, groups=128, bias=False)
        self.conv_dw_3_bn = nn.BatchNorm2d(128, eps=0.001, momentum=0.01)
        self.conv_dw_3_relu = nn.ReLU6()
        self.conv_pw_3 = nn.Conv2d(128, 128, 1, bias=False)
        self.conv_pw_3_bn = nn.BatchNorm2d(128, eps=0.001, momentum=0.01)
        self.conv_pw_3_relu = nn.ReLU6()
        self.conv_dw_4 = PaddedConv2d(
            128, 128, 3, stride=2, padding=(0, 1, 0, 1), groups=128, bias=False
        )
        self.conv_dw_4_bn = nn.BatchNorm2d(128, eps=0.001, momentum=0.01)
        self.conv_dw_4_relu = nn.ReLU6()
        self.conv_pw_4 = nn.Conv2d(128, 256, 1, bias=False)
        self.conv_pw_4_bn = nn.BatchNorm2d(256, eps=0.001, momentum=0.01)
        self.conv_pw_4_relu = nn.ReLU6()
        self.conv_dw_5 = nn.Conv2d(256, 256, 3, padding=1, groups=256, bias=False)
        self.conv_dw_5_bn = nn.BatchNorm2d(256, eps=0.001, momentum=0.01)
        self.conv_dw_5_relu = nn.ReLU6()
        self.conv_pw_5 = nn.Conv2d(256, 256, 1, bias=False)
        self.conv_pw_5_bn = nn.BatchNorm2d(256, eps=0.001, momentum=0.01)
        self.conv_pw_5_relu = nn.ReLU6()
        self.conv_dw_6 = PaddedConv2d(
            256, 256, 3, stride=2, padding=(0, 1, 0, 1), groups=256, bias=False
        )
        self.conv_dw_6_bn = nn.BatchNorm2d(256, eps=0.001, momentum=0.01)
        self.conv_dw_6_relu = nn.ReLU6()
        self.conv_pw_6 = nn.Conv2d(256, 512, 1, bias=False)
        self.conv_pw_6_bn = nn.BatchNorm2d(512, eps=0.001, momentum=0.01)
        self.conv_pw_6_relu = nn.ReLU6()
        self.conv_dw_7 = nn.Conv2d(512, 512, 3, padding=1, groups=512, bias=False)
        self.conv_dw_7_bn = nn.BatchNorm2d(512, eps=0.001, momentum=0.01)
        self.conv_dw_7_relu = nn.ReLU6()
        self.conv_pw_7 = nn.Conv2d(512, 512, 1, bias=False)
        self.conv_pw_7_bn = nn.BatchNorm2d(512, eps=0.001, momentum=0.01)
        self.conv_pw_7_relu = nn.ReLU6()
        self.conv_dw_8 = nn.Conv2d(512, 512, 3, padding=1, groups=512, bias=False)
        self.conv_dw_8_bn = nn.BatchNorm2d(512, eps=0.001, momentum=0.01)
        self.conv_dw_8_relu = nn.ReLU6()
        self.conv_pw_8 = nn.Conv2d(512, 512, 1, bias=False)
        self.conv_pw_8_bn = nn.BatchNorm2d(512, eps=0.001, momentum=0.01)
        self.conv_pw_8_relu = nn.ReLU6()
        self.conv_dw_9 = nn.Conv2d(512, 512, 3, padding=1, groups=512, bias=False)
        self.conv_dw_9_bn = nn.BatchNorm2d(512, eps=0.001, momentum=0.01)
        self.conv_dw_9_relu = nn.ReLU6()
        self.conv_pw_9 = nn.Conv2d(512, 512, 1, bias=False)
        self.conv_pw_9_bn = nn.BatchNorm2d(512, eps=0.001, momentum=0.01)
        self.conv_pw_9_relu = nn.ReLU6()
        self.conv_dw_10 = nn.Conv2d(512, 512, 3, padding=1, groups=512, bias=False)
        self.conv_dw_10_bn = nn.BatchNorm2d(512, eps=0.001, momentum=0.01)
        self.conv_dw_10_relu = nn.ReLU6()
        self.conv_pw_10 = nn.Conv2d(512, 512, 1, bias=False)
        self.conv_pw_10_bn = nn.BatchNorm2d(512, eps=0.001, momentum=0.01)
        self.conv_pw_10_relu = nn.ReLU6()
        self.conv_dw_11 = nn.Conv2d(512, 512, 3, padding=1, groups=512, bias=False)
        self.conv_dw_11_bn = nn.BatchNorm2d(512, eps=0.001, momentum=0.01)
        self.conv_dw_11_relu = nn.ReLU6()
        self.conv_pw_11 = nn.Conv2d(512, 512, 1, bias=False)
        self.conv_pw_11_bn = nn.BatchNorm2d(512, eps=0.001, momentum=0.01)
        self.conv_pw_11_relu = nn.ReLU6()
        self.conv_dw_12 = PaddedConv2d(
            512, 512, 3, stride=2, padding=(0, 1, 0, 1), groups=512, bias=False
        )
        self.conv_dw_12_bn = nn.BatchNorm2d(512, eps=0.001, momentum=0.01)
        self.conv_dw_12_relu = nn.ReLU6()
        self.conv_pw_12 = nn.Conv2d(512, 1024, 1, bias=False)
        self.conv_pw_12_bn = nn.BatchNorm2d(1024, eps=0.001, momentum=0.01)
        self.conv_pw_12_relu = nn.ReLU6()
        self.conv_dw_13 = nn.Conv2d(1024, 1024, 3, padding=1, groups=1024, bias=False)
        self.conv_dw_13_bn = nn.BatchNorm2d(1024, eps=0.001, momentum=0.01)
        self.conv_dw_13_relu = nn.ReLU6()
        self.conv_pw_13 = nn.Conv2d(1024, 1024, 1, bias=False)
        self.conv_pw_13_bn = nn.BatchNorm2d(1024, eps=0.001, momentum=0.01)
        self.conv_pw_13_relu = nn.ReLU6()
        self.dropout = nn.Dropout(0.001)
        self.conv_preds = nn.Conv2d(1024, classes, 1)
        self.predictions = nn.Softmax(dim=1)
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, image: Tensor) -> Tensor:
        x = self.conv1_relu(self.conv1_bn(self.conv1(image)))  # 32x112x112
        x = self.conv_dw_1_relu(self.conv_dw_1_bn(self.conv_dw_1(x)))  # 32x112x112
        x = self.conv_pw_1_relu(self.conv_pw_1_bn(self.conv_pw_1(x)))  # 64x112x112
        x = self.conv_dw_2_relu(self.conv_dw_2_bn(self.conv_dw_2(x)))  # 64x56x56
        x = self.conv_pw_2_relu(self.conv_pw_2_bn(self.conv_pw_2(x)))  # 128x56x56
        x = self.conv_dw_3_relu(self.conv_dw_3_bn(self.conv_dw_3(x)))  # 128x56x56
        x = self.conv_pw_3_relu(self.conv_pw_3_bn(self.conv_pw_3(x)))  # 128x56x56
        x = self.conv_dw_4_relu(self.conv_dw_4_bn(self.conv_dw_4(x)))  # 128x28x28
        x = self.conv_pw_4_relu(self.conv_pw_4_bn(self.conv_pw_4(x)))  # 256x28x28
        x = self.conv_dw_5_relu(self.conv_dw_5_bn(self.conv_dw_5(x)))  # 256x28x28
        x = self.conv_pw_5_relu(self.conv_pw_5_bn(self.conv_pw_5(x)))  # 256x28x28
        x = self.conv_dw_6_relu(self.conv_dw_6_bn(self.conv_dw_6(x)))  # 256x14x14
        x = self.conv_pw_6_relu(self.conv_pw_6_bn(self.conv_pw_6(x)))  # 512x14x14
        x = self.conv_dw_7_relu(self.conv_dw_7_bn(self.conv_dw_7(x)))  # 512x14x14
        x = self.conv_pw_7_relu(self.conv_pw_7_bn(self.conv_pw_7(x)))  # 512x14x14
        x = self.conv_dw_8_relu(self.conv_dw_8_bn(self.conv_dw_8(x)))  # 512x14x14
        x = self.conv_pw_8_relu(self.conv_pw_8_bn(self.conv_pw_8(x)))  # 512x14x14
        x = self.conv_dw_9_relu(self.conv_dw_9_bn(self.conv_dw_9(x)))  # 512x14x14
        x = self.conv_pw_9_relu(self.conv_pw_9_bn(self.conv_pw_9(x)))  # 512x14x14
        x = self.conv_dw_10_relu(self.conv_dw_10_bn(self.conv_dw_10(x)))  # 512x14x14
        x = self.conv_pw_10_relu(self.conv_pw_10_bn(self.conv_pw_10(x)))  # 512x14x14
        x = self.conv_dw_11_relu(self.conv_dw_11_bn(self.conv_dw_11(x)))  # 512x14x14
        x = self.conv_pw_11_relu(self.conv_pw_11_bn(self.conv_pw_11(x)))  # 512x14x14
        x = self.conv_dw_12_relu(self.conv_dw_12_bn(self.conv_dw_12(x)))  # 512x7x7
        x = self.conv_pw_12_relu(self.conv_pw_12_bn(self.conv_pw_12(x)))  # 1024x7x7
        x = self.conv_dw_13_relu(self.conv_dw_13_bn(self.conv_dw_13(x)))  # 1024x7x7
        x = self.conv_pw_13_relu(self.conv_pw_13_bn(self.conv_pw_13(x)))  # 1024x7x7
        x = self.dropout(F.adaptive_avg_pool2d(x, 1))  # 1024x1x1
        x = self.conv_preds(x)  # 1000x1x1
        return self.predictions(torch.flatten(x, 1))  # 1000
