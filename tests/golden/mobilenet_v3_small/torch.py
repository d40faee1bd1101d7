"""MobileNet_V3_Small, generated from mobilenet_v3.cnn by cnnspec 0.1.0.

Input: image 3x224x224 (channels x height x width)
Output: output 1000
Parameters: 2,542,856
Multiply-accumulates: 56,510,400
"""

from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn


def round_to(
    value: float, multiple: int, least: int | None = None, limit: float = 0.9
) -> int:
    """Give the multiple nearest to a value, never below ``limit`` times it."""
    least = multiple if least is None else least
    rounded = max(least, int(value + multiple / 2) // multiple * multiple)
    return rounded + multiple if rounded < limit * value else rounded


class SqueezeExcitation(nn.Module):
    """16x56x56 -> 16x56x56 at `features.1.block.1`, the first of 9 uses."""

    def __init__(
        self,
        in_channels: int,
        squeezed: int,
        act: Callable[[], nn.Module] = nn.ReLU,
        gate: Callable[[], nn.Module] = nn.Sigmoid,
    ) -> None:
        super().__init__()
        self.act = act()
        self.gate = gate()
        self.fc1 = nn.Conv2d(in_channels, squeezed, 1)
        self.fc2 = nn.Conv2d(squeezed, in_channels, 1)

    def forward(self, x: Tensor) -> Tensor:
        scale = F.adaptive_avg_pool2d(x, 1)
        scale = self.act(self.fc1(scale))
        scale = self.gate(self.fc2(scale))
        return scale * x


class InvertedResidual(nn.Module):
    """16x112x112 -> 16x56x56 at `features.1`, the first of 11 uses."""

    def __init__(
        self,
        in_channels: int,
        kernel: int,
        expanded: int,
        filters: int,
        squeeze: bool,
        act: Callable[[], nn.Module],
        stride: int,
    ) -> None:
        super().__init__()
        self.residual = stride == 1 and in_channels == filters
        layers: list[nn.Module] = []
        if expanded != in_channels:
            layers.append(
                nn.Sequential(
                    nn.Conv2d(in_channels, expanded, 1, bias=False),
                    nn.BatchNorm2d(expanded, eps=0.001, momentum=0.01),
                    act(),
                ),
            )
        layers.append(
            nn.Sequential(
                nn.Conv2d(
                    expanded,
                    expanded,
                    kernel,
                    stride=stride,
                    padding=kernel // 2,
                    groups=expanded,
                    bias=False,
                ),
                nn.BatchNorm2d(expanded, eps=0.001, momentum=0.01),
                act(),
            ),
        )
        if squeeze:
            layers.append(
                SqueezeExcitation(
                    expanded,
                    round_to(expanded // 4, 8),
                    gate=nn.Hardsigmoid,
                ),
            )
        layers.append(
            nn.Sequential(
                nn.Conv2d(expanded, filters, 1, bias=False),
                nn.BatchNorm2d(filters, eps=0.001, momentum=0.01),
            ),
        )
        self.block = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        y = self.block(x)
        if self.residual:
            y = y + x
        return y


class MobileNet_V3_Small(nn.Module):
    """MobileNet_V3_Small: 3x224x224 -> 1000."""

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        self.features = nn.Sequential(
            nn.Sequential(
                nn.Conv2d(3, 16, 3, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(16, eps=0.001, momentum=0.01),
                nn.Hardswish(),
            ),
            InvertedResidual(16, 3, 16, 16, True, nn.ReLU, 2),
            InvertedResidual(16, 3, 72, 24, False, nn.ReLU, 2),
            InvertedResidual(24, 3, 88, 24, False, nn.ReLU, 1),
            InvertedResidual(24, 5, 96, 40, True, nn.Hardswish, 2),
            InvertedResidual(40, 5, 240, 40, True, nn.Hardswish, 1),
            InvertedResidual(40, 5, 240, 40, True, nn.Hardswish, 1),
            InvertedResidual(40, 5, 120, 48, True, nn.Hardswish, 1),
            InvertedResidual(48, 5, 144, 48, True, nn.Hardswish, 1),
            InvertedResidual(48, 5, 288, 96, True, nn.Hardswish, 2),
            InvertedResidual(96, 5, 576, 96, True, nn.Hardswish, 1),
            InvertedResidual(96, 5, 576, 96, True, nn.Hardswish, 1),
            nn.Sequential(
                nn.Conv2d(96, 576, 1, bias=False),
                nn.BatchNorm2d(576, eps=0.001, momentum=0.01),
                nn.Hardswish(),
            ),
        )
        self.classifier = nn.Sequential(
            nn.Linear(576, 1024),
            nn.Hardswish(),
            nn.Dropout(0.2),
            nn.Linear(1024, classes),
        )
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, image: Tensor) -> Tensor:
        x = self.features(image)  # 576x7x7
        x = F.adaptive_avg_pool2d(x, 1)  # 576x1x1
        x = torch.flatten(x, 1)  # 576
        return self.classifier(x)  # 1000
