"""GoogLeNet, generated from googlenet.cnn by cnnspec 0.1.0.

Input: image 3x224x224 (channels x height x width)
Output: logits 1000
Parameters: 6,624,904
Multiply-accumulates: 1,498,376,192
Compiled with auxiliary_heads = False
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class BasicConv(nn.Module):
    """3x224x224 -> 64x112x112 at `conv1`, the first of 57 uses."""

    def __init__(
        self,
        in_channels: int,
        filters: int,
        kernel: int | tuple[int, int],
        stride: int = 1,
        pad: int = 0,
    ) -> None:
        super().__init__()
        self.conv = nn.Conv2d(
            in_channels, filters, kernel, stride=stride, padding=pad, bias=False
        )
        self.bn = nn.BatchNorm2d(filters, eps=0.001, momentum=0.1)

    def forward(self, x: Tensor) -> Tensor:
        return F.relu(self.bn(self.conv(x)), inplace=True)


class Inception(nn.Module):
    """The arguments are a row of the paper's table 1: "#1x1", "#3x3 reduce",
    "#3x3", "#5x5 reduce", "#5x5", "pool proj".

    192x28x28 -> 256x28x28 at `inception3a`, the first of 9 uses.
    """

    def __init__(
        self,
        in_channels: int,
        narrow: int,
        reduced3: int,
        wide3: int,
        reduced5: int,
        wide5: int,
        pooled: int,
    ) -> None:
        super().__init__()
        self.branch1 = BasicConv(in_channels, narrow, 1)
        self.branch2 = nn.Sequential(
            BasicConv(in_channels, reduced3, 1),
            BasicConv(reduced3, wide3, 3, pad=1),
        )
        self.branch3 = nn.Sequential(
            BasicConv(in_channels, reduced5, 1),
            BasicConv(reduced5, wide5, 3, pad=1),
        )
        self.branch4 = nn.Sequential(
            nn.MaxPool2d(3, stride=1, padding=1),
            BasicConv(in_channels, pooled, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        branch1 = self.branch1(x)
        branch2 = self.branch2(x)
        branch3 = self.branch3(x)
        branch4 = self.branch4(x)
        return torch.cat((branch1, branch2, branch3, branch4), dim=1)


class GoogLeNet(nn.Module):
    """GoogLeNet: 3x224x224 -> 1000."""

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        self.conv1 = BasicConv(3, 64, 7, stride=2, pad=3)
        self.maxpool1 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.conv2 = BasicConv(64, 64, 1)
        self.conv3 = BasicConv(64, 192, 3, pad=1)
        self.maxpool2 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.inception3a = Inception(192, 64, 96, 128, 16, 32, 32)
        self.inception3b = Inception(256, 128, 128, 192, 32, 96, 64)
        self.maxpool3 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.inception4a = Inception(480, 192, 96, 208, 16, 48, 64)
        self.inception4b = Inception(512, 160, 112, 224, 24, 64, 64)
        self.inception4c = Inception(512, 128, 128, 256, 24, 64, 64)
        self.inception4d = Inception(512, 112, 144, 288, 32, 64, 64)
        self.inception4e = Inception(528, 256, 160, 320, 32, 128, 128)
        self.maxpool4 = nn.MaxPool2d(2, ceil_mode=True)
        self.inception5a = Inception(832, 256, 160, 320, 32, 128, 128)
        self.inception5b = Inception(832, 384, 192, 384, 48, 128, 128)
        self.dropout_1 = nn.Dropout(0.2)
        self.fc = nn.Linear(1024, classes)
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, image: Tensor) -> Tensor:
        early = self.conv1(image)  # 64x112x112
        early = self.maxpool1(early)  # 64x56x56
        early = self.conv2(early)  # 64x56x56
        early = self.conv3(early)  # 192x56x56
        early = self.maxpool2(early)  # 192x28x28
        early = self.inception3a(early)  # 256x28x28
        early = self.inception3b(early)  # 480x28x28
        early = self.maxpool3(early)  # 480x14x14
        early = self.inception4a(early)  # 512x14x14
        middle = self.inception4b(early)  # 512x14x14
        middle = self.inception4c(middle)  # 512x14x14
        middle = self.inception4d(middle)  # 528x14x14
        logits = self.inception4e(middle)  # 832x14x14
        logits = self.maxpool4(logits)  # 832x7x7
        logits = self.inception5a(logits)  # 832x7x7
        logits = self.inception5b(logits)  # 1024x7x7
        logits = F.adaptive_avg_pool2d(logits, 1)  # 1024x1x1
        logits = self.dropout_1(torch.flatten(logits, 1))  # 1024
        return self.fc(logits)  # 1000
