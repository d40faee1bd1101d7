"""MobileNet_V2, generated from mobilenet_v2.cnn by cnnspec 0.1.0.

Input: image 3x224x224 (channels x height x width)
Output: output 1000
Parameters: 3,504,872
Multiply-accumulates: 300,774,272
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class InvertedResidual(nn.Module):
    """32x112x112 -> 16x112x112 at `features.1`, the first of 17 uses."""

    def __init__(
        self, in_channels: int, filters: int, expansion: int, stride: int = 1
    ) -> None:
        super().__init__()
        expanded = in_channels * expansion
        self.residual = stride == 1 and in_channels == filters
        layers: list[nn.Module] = []
        if expansion > 1:
            layers.append(
                nn.Sequential(
                    nn.Conv2d(in_channels, expanded, 1, bias=False),
                    nn.BatchNorm2d(expanded, eps=1e-5, momentum=0.1),
                    nn.ReLU6(inplace=True),
                ),
            )
        layers += [
            nn.Sequential(
                nn.Conv2d(
                    expanded,
                    expanded,
                    3,
                    stride=stride,
                    padding=1,
                    groups=expanded,
                    bias=False,
                ),
                nn.BatchNorm2d(expanded, eps=1e-5, momentum=0.1),
                nn.ReLU6(inplace=True),
            ),
            nn.Conv2d(expanded, filters, 1, bias=False),
            nn.BatchNorm2d(filters, eps=1e-5, momentum=0.1),
        ]
        self.conv = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        if self.residual:
            y = x + y
        return y


class MobileNet_V2(nn.Module):
    """MobileNet_V2: 3x224x224 -> 1000."""

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        layers: list[nn.Module] = [
            nn.Sequential(
                nn.Conv2d(3, 32, 3, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(32, eps=1e-5, momentum=0.1),
                nn.ReLU6(inplace=True),
            ),
        ]
        channels = 32
        for expansion, filters, depth, stride in [
            (1, 16, 1, 1),
            (6, 24, 2, 2),
            (6, 32, 3, 2),
            (6, 64, 4, 2),
            (6, 96, 3, 1),
            (6, 160, 3, 2),
            (6, 320, 1, 1),
        ]:
            for j in range(depth):
                layers.append(
                    InvertedResidual(
                        channels,
                        filters,
                        expansion,
                        stride=stride if j == 0 else 1,
                    ),
                )
                channels = filters
        layers.append(
            nn.Sequential(
                nn.Conv2d(channels, 1280, 1, bias=False),
                nn.BatchNorm2d(1280, eps=1e-5, momentum=0.1),
                nn.ReLU6(inplace=True),
            ),
        )
        self.features = nn.Sequential(*layers)
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(1280, classes))
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, image: Tensor) -> Tensor:
        x = self.features(image)  # 1280x7x7
        x = F.adaptive_avg_pool2d(x, 1)  # 1280x1x1
        x = torch.flatten(x, 1)  # 1280
        return self.classifier(x)  # 1000
