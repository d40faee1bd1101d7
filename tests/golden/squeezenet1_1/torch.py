"""SqueezeNet1_1, generated from squeezenet.cnn by cnnspec 0.1.0.

Input: image 3x224x224 (channels x height x width)
Output: output 1000
Parameters: 1,235,496
Multiply-accumulates: 349,151,936
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Fire(nn.Module):
    """64x55x55 -> 128x55x55 at `features.3`, the first of 8 uses."""

    def __init__(self, in_channels: int, squeezed: int, expanded: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(in_channels, squeezed, 1)
        self.expand1x1 = nn.Conv2d(squeezed, expanded, 1)
        self.expand3x3 = nn.Conv2d(squeezed, expanded, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        hidden = F.relu(self.squeeze(x), inplace=True)
        expand1x1 = F.relu(self.expand1x1(hidden), inplace=True)
        expand3x3 = F.relu(self.expand3x3(hidden), inplace=True)
        return torch.cat((expand1x1, expand3x3), dim=1)


class SqueezeNet1_1(nn.Module):
    """SqueezeNet1_1: 3x224x224 -> 1000."""

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Conv2d(3, 64, 3, stride=2),
            nn.ReLU(inplace=True),
            nn.MaxPool2d(3, stride=2, ceil_mode=True),
            Fire(64, 16, 64),
            Fire(128, 16, 64),
            nn.MaxPool2d(3, stride=2, ceil_mode=True),
            Fire(128, 32, 128),
            Fire(256, 32, 128),
            nn.MaxPool2d(3, stride=2, ceil_mode=True),
            Fire(256, 48, 192),
            Fire(384, 48, 192),
            Fire(384, 64, 256),
            Fire(512, 64, 256),
        )
        self.classifier = nn.Sequential(
            nn.Dropout(0.5),
            nn.Conv2d(512, classes, 1),
            nn.ReLU(inplace=True),
            nn.AdaptiveAvgPool2d(1),
        )
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)

    def forward(self, image: Tensor) -> Tensor:
        x = self.features(image)  # 512x13x13
        x = self.classifier(x)  # 1000x1x1
        return torch.flatten(x, 1)  # 1000
