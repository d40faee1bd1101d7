"""Inception_V3, generated from inception_v3.cnn by cnnspec 0.1.0.

Input: image 3x299x299 (channels x height x width)
Output: output 1000, aux 1000
Parameters: 27,161,264
Multiply-accumulates: 5,713,216,096
Compiled with auxiliary_heads = True
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class BasicConv(nn.Module):
    """3x299x299 -> 32x149x149 at `Conv2d_1a_3x3`, the first of 96 uses."""

    def __init__(
        self,
        in_channels: int,
        filters: int,
        kernel: int | tuple[int, int],
        stride: int = 1,
        pad: int | tuple[int, int] = 0,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            in_channels, filters, kernel, stride=stride, padding=pad, bias=False
        )
        self.bn = nn.BatchNorm2d(filters, eps=0.001, momentum=0.1)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)), inplace=True)


class InceptionA(nn.Module):
    """Figure 5: 35x35 maps.

    192x35x35 -> 256x35x35 at `Mixed_5b`, the first of 3 uses.
    """

    def __init__(self, in_channels: int, pooled: int) -> None:
        super().__init__()
        self.branch1x1 = BasicConv(in_channels, 64, 1)
        self.branch5x5_1 = BasicConv(in_channels, 48, 1)
        self.branch5x5_2 = BasicConv(48, 64, 5, pad=2)
        self.branch3x3dbl_1 = BasicConv(in_channels, 64, 1)
        self.branch3x3dbl_2 = BasicConv(64, 96, 3, pad=1)
        self.branch3x3dbl_3 = BasicConv(96, 96, 3, pad=1)
        self.avg_pool_1 = nn.AvgPool2d(3, stride=1, padding=1)
        self.branch_pool = BasicConv(in_channels, pooled, 1)

    def forward(self, x: Tensor) -> Tensor:
        branch1x1 = self.branch1x1(x)  # 64x35x35
        branch5x5_1 = self.branch5x5_1(x)  # 48x35x35
        branch5x5_2 = self.branch5x5_2(branch5x5_1)  # 64x35x35
        branch3x3dbl_1 = self.branch3x3dbl_1(x)  # 64x35x35
        branch3x3dbl_1 = self.branch3x3dbl_2(branch3x3dbl_1)  # 96x35x35
        branch3x3dbl_3 = self.branch3x3dbl_3(branch3x3dbl_1)  # 96x35x35
        x = self.avg_pool_1(x)
        branch_pool = self.branch_pool(x)
        return torch.cat((branch1x1, branch5x5_2, branch3x3dbl_3, branch_pool), dim=1)


class InceptionB(nn.Module):
    """Figure 10: from 35x35 to 17x17.

    288x35x35 -> 768x17x17 at `Mixed_6a`.
    """

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.branch3x3 = BasicConv(in_channels, 384, 3, stride=2)
        self.branch3x3dbl_1 = BasicConv(in_channels, 64, 1)
        self.branch3x3dbl_2 = BasicConv(64, 96, 3, pad=1)
        self.branch3x3dbl_3 = BasicConv(96, 96, 3, stride=2)
        self.max_pool_1 = nn.MaxPool2d(3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        branch3x3 = self.branch3x3(x)  # 384x17x17
        branch3x3dbl_1 = self.branch3x3dbl_1(x)  # 64x35x35
        branch3x3dbl_1 = self.branch3x3dbl_2(branch3x3dbl_1)  # 96x35x35
        branch3x3dbl_3 = self.branch3x3dbl_3(branch3x3dbl_1)  # 96x17x17
        x = self.max_pool_1(x)  # 288x17x17
        return torch.cat((branch3x3, branch3x3dbl_3, x), dim=1)  # 768x17x17


class InceptionC(nn.Module):
    """Figure 6, with n = 7: 17x17 maps.

    768x17x17 -> 768x17x17 at `Mixed_6b`, the first of 4 uses.
    """

    def __init__(self, in_channels: int, narrow: int) -> None:
        super().__init__()
        self.branch1x1 = BasicConv(in_channels, 192, 1)
        self.branch7x7_1 = BasicConv(in_channels, narrow, 1)
        self.branch7x7_2 = BasicConv(narrow, narrow, (1, 7), pad=(0, 3))
        self.branch7x7_3 = BasicConv(narrow, 192, (7, 1), pad=(3, 0))
        self.branch7x7dbl_1 = BasicConv(in_channels, narrow, 1)
        self.branch7x7dbl_2 = BasicConv(narrow, narrow, (7, 1), pad=(3, 0))
        self.branch7x7dbl_3 = BasicConv(narrow, narrow, (1, 7), pad=(0, 3))
        self.branch7x7dbl_4 = BasicConv(narrow, narrow, (7, 1), pad=(3, 0))
        self.branch7x7dbl_5 = BasicConv(narrow, 192, (1, 7), pad=(0, 3))
        self.avg_pool_1 = nn.AvgPool2d(3, stride=1, padding=1)
        self.branch_pool = BasicConv(in_channels, 192, 1)

    def forward(self, x: Tensor) -> Tensor:
        branch1x1 = self.branch1x1(x)  # 192x17x17
        branch7x7_1 = self.branch7x7_1(x)
        branch7x7_1 = self.branch7x7_2(branch7x7_1)
        branch7x7_3 = self.branch7x7_3(branch7x7_1)  # 192x17x17
        branch7x7dbl_1 = self.branch7x7dbl_1(x)
        branch7x7dbl_1 = self.branch7x7dbl_2(branch7x7dbl_1)
        branch7x7dbl_1 = self.branch7x7dbl_3(branch7x7dbl_1)
        branch7x7dbl_1 = self.branch7x7dbl_4(branch7x7dbl_1)
        branch7x7dbl_5 = self.branch7x7dbl_5(branch7x7dbl_1)  # 192x17x17
        x = self.avg_pool_1(x)  # 768x17x17
        branch_pool = self.branch_pool(x)  # 192x17x17
        return torch.cat((branch1x1, branch7x7_3, branch7x7dbl_5, branch_pool), dim=1)


class InceptionAux(nn.Module):
    """768x17x17 -> 1000 at `AuxLogits`."""

    def __init__(self, in_channels: int, classes: int) -> None:
        super().__init__()
        self.avg_pool_1 = nn.AvgPool2d(5, stride=3)
        self.conv0 = BasicConv(in_channels, 128, 1)
        self.conv1 = BasicConv(128, 768, 5)
        self.fc = nn.Linear(768, classes)

    def forward(self, x: Tensor) -> Tensor:
        x = self.avg_pool_1(x)  # 768x5x5
        x = self.conv0(x)  # 128x5x5
        x = self.conv1(x)  # 768x1x1
        x = F.adaptive_avg_pool2d(x, 1)  # 768x1x1
        x = torch.flatten(x, 1)  # 768
        return self.fc(x)  # 1000


class InceptionD(nn.Module):
    """From 17x17 to 8x8.

    768x17x17 -> 1280x8x8 at `Mixed_7a`.
    """

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.branch3x3_1 = BasicConv(in_channels, 192, 1)
        self.branch3x3_2 = BasicConv(192, 320, 3, stride=2)
        self.branch7x7x3_1 = BasicConv(in_channels, 192, 1)
        self.branch7x7x3_2 = BasicConv(192, 192, (1, 7), pad=(0, 3))
        self.branch7x7x3_3 = BasicConv(192, 192, (7, 1), pad=(3, 0))
        self.branch7x7x3_4 = BasicConv(192, 192, 3, stride=2)
        self.max_pool_1 = nn.MaxPool2d(3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        branch3x3_1 = self.branch3x3_1(x)  # 192x17x17
        branch3x3_2 = self.branch3x3_2(branch3x3_1)  # 320x8x8
        branch7x7x3_1 = self.branch7x7x3_1(x)  # 192x17x17
        branch7x7x3_1 = self.branch7x7x3_2(branch7x7x3_1)  # 192x17x17
        branch7x7x3_1 = self.branch7x7x3_3(branch7x7x3_1)  # 192x17x17
        branch7x7x3_4 = self.branch7x7x3_4(branch7x7x3_1)  # 192x8x8
        x = self.max_pool_1(x)  # 768x8x8
        return torch.cat((branch3x3_2, branch7x7x3_4, x), dim=1)  # 1280x8x8


class InceptionE(nn.Module):
    """Figure 7: 8x8 maps.

    1280x8x8 -> 2048x8x8 at `Mixed_7b`, the first of 2 uses.
    """

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.branch1x1 = BasicConv(in_channels, 320, 1)
        self.branch3x3_1 = BasicConv(in_channels, 384, 1)
        self.branch3x3_2a = BasicConv(384, 384, (1, 3), pad=(0, 1))
        self.branch3x3_2b = BasicConv(384, 384, (3, 1), pad=(1, 0))
        self.branch3x3dbl_1 = BasicConv(in_channels, 448, 1)
        self.branch3x3dbl_2 = BasicConv(448, 384, 3, pad=1)
        self.branch3x3dbl_3a = BasicConv(384, 384, (1, 3), pad=(0, 1))
        self.branch3x3dbl_3b = BasicConv(384, 384, (3, 1), pad=(1, 0))
        self.avg_pool_1 = nn.AvgPool2d(3, stride=1, padding=1)
        self.branch_pool = BasicConv(in_channels, 192, 1)

    def forward(self, x: Tensor) -> Tensor:
        narrow = self.branch1x1(x)  # 320x8x8
        wide = self.branch3x3_1(x)  # 384x8x8
        branch3x3_2a = self.branch3x3_2a(wide)  # 384x8x8
        branch3x3_2b = self.branch3x3_2b(wide)  # 384x8x8
        wide = torch.cat((branch3x3_2a, branch3x3_2b), dim=1)  # 768x8x8
        deep = self.branch3x3dbl_1(x)  # 448x8x8
        deep = self.branch3x3dbl_2(deep)  # 384x8x8
        branch3x3dbl_3a = self.branch3x3dbl_3a(deep)  # 384x8x8
        branch3x3dbl_3b = self.branch3x3dbl_3b(deep)  # 384x8x8
        deep = torch.cat((branch3x3dbl_3a, branch3x3dbl_3b), dim=1)  # 768x8x8
        pooled = self.avg_pool_1(x)
        pooled = self.branch_pool(pooled)  # 192x8x8
        return torch.cat((narrow, wide, deep, pooled), dim=1)  # 2048x8x8


class Inception_V3(nn.Module):
    """Inception_V3: 3x299x299 -> 1000."""

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        self.Conv2d_1a_3x3 = BasicConv(3, 32, 3, stride=2)
        self.Conv2d_2a_3x3 = BasicConv(32, 32, 3)
        self.Conv2d_2b_3x3 = BasicConv(32, 64, 3, pad=1)
        self.maxpool1 = nn.MaxPool2d(3, stride=2)
        self.Conv2d_3b_1x1 = BasicConv(64, 80, 1)
        self.Conv2d_4a_3x3 = BasicConv(80, 192, 3)
        self.maxpool2 = nn.MaxPool2d(3, stride=2)
        self.Mixed_5b = InceptionA(192, 32)
        self.Mixed_5c = InceptionA(256, 64)
        self.Mixed_5d = InceptionA(288, 64)
        self.Mixed_6a = InceptionB(288)
        self.Mixed_6b = InceptionC(768, 128)
        self.Mixed_6c = InceptionC(768, 160)
        self.Mixed_6d = InceptionC(768, 160)
        self.Mixed_6e = InceptionC(768, 192)
        self.AuxLogits = InceptionAux(768, classes)
        self.Mixed_7a = InceptionD(768)
        self.Mixed_7b = InceptionE(1280)
        self.Mixed_7c = InceptionE(2048)
        self.dropout_1 = nn.Dropout(0.5)
        self.fc = nn.Linear(2048, classes)
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, image: Tensor) -> Tensor | tuple[Tensor, ...]:
        x = self.Conv2d_1a_3x3(image)  # 32x149x149
        x = self.Conv2d_2a_3x3(x)  # 32x147x147
        x = self.Conv2d_2b_3x3(x)  # 64x147x147
        x = self.maxpool1(x)  # 64x73x73
        x = self.Conv2d_3b_1x1(x)  # 80x73x73
        x = self.Conv2d_4a_3x3(x)  # 192x71x71
        x = self.maxpool2(x)  # 192x35x35
        x = self.Mixed_5b(x)  # 256x35x35
        x = self.Mixed_5c(x)  # 288x35x35
        x = self.Mixed_5d(x)  # 288x35x35
        x = self.Mixed_6a(x)  # 768x17x17
        x = self.Mixed_6b(x)  # 768x17x17
        x = self.Mixed_6c(x)  # 768x17x17
        x = self.Mixed_6d(x)  # 768x17x17
        x = self.Mixed_6e(x)  # 768x17x17
        if self.training:
            aux = self.AuxLogits(x)  # 1000
        x = self.Mixed_7a(x)  # 1280x8x8
        x = self.Mixed_7b(x)  # 2048x8x8
        x = self.Mixed_7c(x)  # 2048x8x8
        x = self.dropout_1(F.adaptive_avg_pool2d(x, 1))  # 2048x1x1
        x = torch.flatten(x, 1)  # 2048
        x = self.fc(x)  # 1000
        if self.training:
            return x, aux
        return x
