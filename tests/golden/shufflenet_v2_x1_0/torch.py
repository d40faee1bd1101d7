"""ShuffleNet_V2_x1_0, generated from shufflenet_v2.cnn by cnnspec 0.1.0.

Input: image 3x224x224 (channels x height x width)
Output: output 1000
Parameters: 2,278,604
Multiply-accumulates: 144,907,992
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class DownsamplingUnit(nn.Module):
    """Figure 3 (d): both branches see every channel, and halve height and
    width.

    24x56x56 -> 116x28x28 at `stage2.0`, the first of 3 uses.
    """

    def __init__(self, in_channels: int, filters: int) -> None:
        super().__init__()
        width = filters // 2
        self.branch1 = nn.Sequential(
            nn.Conv2d(
                in_channels,
                in_channels,
                3,
                stride=2,
                padding=1,
                groups=in_channels,
                bias=False,
            ),
            nn.BatchNorm2d(in_channels, eps=1e-5, momentum=0.1),
            nn.Conv2d(in_channels, width, 1, bias=False),
            nn.BatchNorm2d(width, eps=1e-5, momentum=0.1),
            nn.ReLU(inplace=True),
        )
        self.branch2 = nn.Sequential(
            nn.Conv2d(in_channels, width, 1, bias=False),
            nn.BatchNorm2d(width, eps=1e-5, momentum=0.1),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, stride=2, padding=1, groups=width, bias=False),
            nn.BatchNorm2d(width, eps=1e-5, momentum=0.1),
            nn.Conv2d(width, width, 1, bias=False),
            nn.BatchNorm2d(width, eps=1e-5, momentum=0.1),
            nn.ReLU(inplace=True),
        )

    def forward(self, x: Tensor) -> Tensor:
        left = self.branch1(x)
        right = self.branch2(x)
        x = torch.cat((left, right), dim=1)
        return F.channel_shuffle(x, 2)


class BasicUnit(nn.Module):
    """Figure 3 (c): half the channels pass through untouched.

    116x28x28 -> 116x28x28 at `stage2.1`, the first of 13 uses.
    """

    def __init__(self, in_channels: int) -> None:
        super().__init__()
        width = in_channels // 2
        self.branch2 = nn.Sequential(
            nn.Conv2d(width, width, 1, bias=False),
            nn.BatchNorm2d(width, eps=1e-5, momentum=0.1),
            nn.ReLU(inplace=True),
            nn.Conv2d(width, width, 3, padding=1, groups=width, bias=False),
            nn.BatchNorm2d(width, eps=1e-5, momentum=0.1),
            nn.Conv2d(width, width, 1, bias=False),
            nn.BatchNorm2d(width, eps=1e-5, momentum=0.1),
            nn.ReLU(inplace=True),
        )

    def forward(self, x: Tensor) -> Tensor:
        left, right = x.chunk(2, dim=1)
        y = self.branch2(right)
        x = torch.cat((left, y), dim=1)
        return F.channel_shuffle(x, 2)


class ShuffleNet_V2_x1_0(nn.Module):
    """ShuffleNet_V2_x1_0: 3x224x224 -> 1000."""

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        self.conv1 = nn.Sequential(
            nn.Conv2d(3, 24, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(24, eps=1e-5, momentum=0.1),
            nn.ReLU(inplace=True),
        )
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        self.stage2 = nn.Sequential(
            DownsamplingUnit(24, 116),
            *[BasicUnit(116) for _ in range(3)],
        )
        self.stage3 = nn.Sequential(
            DownsamplingUnit(116, 232),
            *[BasicUnit(232) for _ in range(7)],
        )
        self.stage4 = nn.Sequential(
            DownsamplingUnit(232, 464),
            *[BasicUnit(464) for _ in range(3)],
        )
        self.conv5 = nn.Sequential(
            nn.Conv2d(464, 1024, 1, bias=False),
            nn.BatchNorm2d(1024, eps=1e-5, momentum=0.1),
            nn.ReLU(inplace=True),
        )
        self.fc = nn.Linear(1024, classes)
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, image: Tensor) -> Tensor:
        x = self.conv1(image)  # 24x112x112
        x = self.maxpool(x)  # 24x56x56
        x = self.stage2(x)  # 116x28x28
        x = self.stage3(x)  # 232x14x14
        x = self.stage4(x)  # 464x7x7
        x = self.conv5(x)  # 1024x7x7
        x = F.adaptive_avg_pool2d(x, 1)  # 1024x1x1
        x = torch.flatten(x, 1)  # 1024
        return self.fc(x)  # 1000
