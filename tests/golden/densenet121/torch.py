"""DenseNet121, generated from densenet.cnn by cnnspec 0.1.0.

Input: image 3x224x224 (channels x height x width)
Output: output 1000
Parameters: 7,978,856
Multiply-accumulates: 2,834,161,664
"""

from collections import OrderedDict

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class DenseLayer(nn.Module):
    """64x56x56 -> 32x56x56 at `features.denseblock1.denselayer1`, the first of
    58 uses.
    """

    def __init__(self, in_channels: int, growth: int) -> None:
        super().__init__()
        self.norm1 = nn.BatchNorm2d(in_channels, eps=1e-5, momentum=0.1)
        self.relu1 = nn.ReLU(inplace=True)
        self.conv1 = nn.Conv2d(in_channels, 4 * growth, 1, bias=False)
        self.norm2 = nn.BatchNorm2d(4 * growth, eps=1e-5, momentum=0.1)
        self.relu2 = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu1(self.norm1(x))
        x = self.relu2(self.norm2(self.conv1(x)))
        return self.conv2(x)


class DenseBlock(nn.Module):
    """64x56x56 -> 256x56x56 at `features.denseblock1`, the first of 4 uses."""

    def __init__(self, in_channels: int, depth: int, growth: int) -> None:
        super().__init__()
        self.depth = depth
        channels = in_channels
        for i in range(1, depth + 1):
            self.add_module(f"denselayer{i}", DenseLayer(channels, growth))
            channels += growth

    def forward(self, x: Tensor) -> Tensor:
        for i in range(1, self.depth + 1):
            y = getattr(self, f"denselayer{i}")(x)
            x = torch.cat((x, y), dim=1)
        return x


class Transition(nn.Module):
    """256x56x56 -> 128x28x28 at `features.transition1`, the first of 3 uses."""

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(in_channels, eps=1e-5, momentum=0.1)
        self.conv = nn.Conv2d(in_channels, in_channels // 2, 1, bias=False)
        self.pool = nn.AvgPool2d(2)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.norm(x), inplace=True)
        x = self.conv(x)
        return self.pool(x)


class DenseNet121(nn.Module):
    """DenseNet121: 3x224x224 -> 1000."""

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        self.features = nn.Sequential(
            OrderedDict(
                conv0=nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False),
                norm0=nn.BatchNorm2d(64, eps=1e-5, momentum=0.1),
                relu0=nn.ReLU(inplace=True),
                pool0=nn.MaxPool2d(3, stride=2, padding=1),
                denseblock1=DenseBlock(64, 6, 32),
                transition1=Transition(256),
                denseblock2=DenseBlock(128, 12, 32),
                transition2=Transition(512),
                denseblock3=DenseBlock(256, 24, 32),
                transition3=Transition(1024),
                denseblock4=DenseBlock(512, 16, 32),
                norm5=nn.BatchNorm2d(1024, eps=1e-5, momentum=0.1),
            ),
        )
        self.classifier = nn.Linear(1024, classes)
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, image: Tensor) -> Tensor:
        x = F.relu(self.features(image), inplace=True)  # 1024x7x7
        x = F.adaptive_avg_pool2d(x, 1)  # 1024x1x1
        x = torch.flatten(x, 1)  # 1024
        return self.classifier(x)  # 1000
