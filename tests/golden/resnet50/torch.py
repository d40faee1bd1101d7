"""ResNet50, generated from resnet.cnn by cnnspec 0.1.0.

Input: image 3x224x224 (channels x height x width)
Output: output 1000
Parameters: 25,557,032
Multiply-accumulates: 4,089,184,256
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Bottleneck(nn.Module):
    """`groups` is the cardinality C of ResNeXt's table 1, and `base` its width
    d of one group in the first stage.

    64x56x56 -> 256x56x56 at `layer1.0`, the first of 16 uses.
    """

    def __init__(
        self,
        in_channels: int,
        width: int,
        stride: int = 1,
        groups: int = 1,
        base: int = 64,
    ) -> None:
        super().__init__()
        inner = width * base // 64 * groups
        expanded = 4 * width
        self.conv1 = nn.Conv2d(in_channels, inner, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(inner, eps=1e-5, momentum=0.1)
        self.conv2 = nn.Conv2d(
            inner, inner, 3, stride=stride, padding=1, groups=groups, bias=False
        )
        self.bn2 = nn.BatchNorm2d(inner, eps=1e-5, momentum=0.1)
        self.conv3 = nn.Conv2d(inner, expanded, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(expanded, eps=1e-5, momentum=0.1)
        self.downsample: nn.Sequential | None = None
        if stride != 1 or in_channels != expanded:
            self.downsample = nn.Sequential(
                nn.Conv2d(in_channels, expanded, 1, stride=stride, bias=False),
                nn.BatchNorm2d(expanded, eps=1e-5, momentum=0.1),
            )

    def forward(self, x: Tensor) -> Tensor:
        y = F.relu(self.bn1(self.conv1(x)), inplace=True)
        y = F.relu(self.bn2(self.conv2(y)), inplace=True)
        y = self.bn3(self.conv3(y))
        if self.downsample is not None:
            x = self.downsample(x)
        return F.relu(x + y, inplace=True)


class ResNet50(nn.Module):
    """ResNet50: 3x224x224 -> 1000."""

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64, eps=1e-5, momentum=0.1)
        self.max_pool_1 = nn.MaxPool2d(3, stride=2, padding=1)
        self.layer1 = nn.Sequential(
            Bottleneck(64, 64),
            Bottleneck(256, 64),
            Bottleneck(256, 64),
        )
        self.layer2 = nn.Sequential(
            Bottleneck(256, 128, stride=2),
            *[Bottleneck(512, 128) for _ in range(3)],
        )
        self.layer3 = nn.Sequential(
            Bottleneck(512, 256, stride=2),
            *[Bottleneck(1024, 256) for _ in range(5)],
        )
        self.layer4 = nn.Sequential(
            Bottleneck(1024, 512, stride=2),
            Bottleneck(2048, 512),
            Bottleneck(2048, 512),
        )
        self.fc = nn.Linear(2048, classes)
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, image: Tensor) -> Tensor:
        x = F.relu(self.bn1(self.conv1(image)), inplace=True)  # 64x112x112
        x = self.max_pool_1(x)  # 64x56x56
        x = self.layer1(x)  # 256x56x56
        x = self.layer2(x)  # 512x28x28
        x = self.layer3(x)  # 1024x14x14
        x = self.layer4(x)  # 2048x7x7
        x = F.adaptive_avg_pool2d(x, 1)  # 2048x1x1
        x = torch.flatten(x, 1)  # 2048
        return self.fc(x)  # 1000
