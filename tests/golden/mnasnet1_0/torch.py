"""MNASNet1_0, generated from mnasnet.cnn by cnnspec 0.1.0.

Input: image 3x224x224 (channels x height x width)
Output: output 1000
Parameters: 4,383,312
Multiply-accumulates: 314,415,872
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class InvertedResidual(nn.Module):
    """16x112x112 -> 24x56x56 at `layers.8.0`, the first of 16 uses."""

    def __init__(
        self,
        in_channels: int,
        kernel: int,
        expansion: int,
        filters: int,
        stride: int = 1,
    ) -> None:
        super().__init__()
        self.residual = stride == 1 and in_channels == filters
        self.layers = nn.Sequential(
            nn.Conv2d(in_channels, expansion * in_channels, 1, bias=False),
            nn.BatchNorm2d(expansion * in_channels, eps=1e-5, momentum=0.0003),
            nn.ReLU(inplace=True),
            nn.Conv2d(
                expansion * in_channels,
                expansion * in_channels,
                kernel,
                stride=stride,
                padding=kernel // 2,
                groups=expansion * in_channels,
                bias=False,
            ),
            nn.BatchNorm2d(expansion * in_channels, eps=1e-5, momentum=0.0003),
            nn.ReLU(inplace=True),
            nn.Conv2d(expansion * in_channels, filters, 1, bias=False),
            nn.BatchNorm2d(filters, eps=1e-5, momentum=0.0003),
        )

    def forward(self, x: Tensor) -> Tensor:
        y = self.layers(x)
        if self.residual:
            y = y + x
        return y


class MNASNet1_0(nn.Module):
    """MNASNet1_0: 3x224x224 -> 1000."""

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        self.layers = nn.Sequential(
            nn.Conv2d(3, 32, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(32, eps=1e-5, momentum=0.0003),
            nn.ReLU(inplace=True),
            nn.Conv2d(32, 32, 3, padding=1, groups=32, bias=False),
            nn.BatchNorm2d(32, eps=1e-5, momentum=0.0003),
            nn.ReLU(inplace=True),
            nn.Conv2d(32, 16, 1, bias=False),
            nn.BatchNorm2d(16, eps=1e-5, momentum=0.0003),
            nn.Sequential(
                InvertedResidual(16, 3, 3, 24, stride=2),
                InvertedResidual(24, 3, 3, 24),
                InvertedResidual(24, 3, 3, 24),
            ),
            nn.Sequential(
                InvertedResidual(24, 5, 3, 40, stride=2),
                InvertedResidual(40, 5, 3, 40),
                InvertedResidual(40, 5, 3, 40),
            ),
            nn.Sequential(
                InvertedResidual(40, 5, 6, 80, stride=2),
                InvertedResidual(80, 5, 6, 80),
                InvertedResidual(80, 5, 6, 80),
            ),
            nn.Sequential(
                InvertedResidual(80, 3, 6, 96),
                InvertedResidual(96, 3, 6, 96),
            ),
            nn.Sequential(
                InvertedResidual(96, 5, 6, 192, stride=2),
                *[InvertedResidual(192, 5, 6, 192) for _ in range(3)],
            ),
            nn.Sequential(InvertedResidual(192, 3, 6, 320)),
            nn.Conv2d(320, 1280, 1, bias=False),
            nn.BatchNorm2d(1280, eps=1e-5, momentum=0.0003),
            nn.ReLU(inplace=True),
        )
        self.classifier = nn.Sequential(nn.Dropout(0.2), nn.Linear(1280, classes))
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, image: Tensor) -> Tensor:
        x = self.layers(image)  # 1280x7x7
        x = F.adaptive_avg_pool2d(x, 1)  # 1280x1x1
        x = torch.flatten(x, 1)  # 1280
        return self.classifier(x)  # 1000
