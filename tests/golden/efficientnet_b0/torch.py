"""EfficientNet_B0, generated from efficientnet.cnn by cnnspec 0.1.0.

Input: image 3x224x224 (channels x height x width)
Output: output 1000
Parameters: 5,288,548
Multiply-accumulates: 385,814,752
"""

from collections.abc import Callable
from functools import partial

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


class StochasticDepth(nn.Module):
    """Drops each sample whole with probability ``p`` in training; scales the others."""

    def __init__(self, p: float) -> None:
        super().__init__()
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.p == 0:
            return x
        keep = 1 - self.p
        noise = x.new_empty(x.shape[0], *(1,) * (x.ndim - 1)).bernoulli_(keep)
        return x * noise.div_(keep)

    def extra_repr(self) -> str:
        return f"p={self.p}"


class SqueezeExcitation(nn.Module):
    """32x112x112 -> 32x112x112 at `features.1.0.block.1`, the first of 16 uses."""

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


class MBConv(nn.Module):
    """Figure 2 of the second paper, left.

    32x112x112 -> 16x112x112 at `features.1.0`, the first of 16 uses.
    """

    def __init__(
        self,
        in_channels: int,
        expansion: int,
        kernel: int,
        filters: int,
        norm: Callable[[int], nn.Module],
        rate: float,
        stride: int = 1,
    ) -> None:
        super().__init__()
        channels = (
            round_to(expansion * in_channels, 8) if expansion > 1 else in_channels
        )
        residual = stride == 1 and in_channels == filters
        layers: list[nn.Module] = []
        if expansion > 1:
            layers.append(
                nn.Sequential(
                    nn.Conv2d(
                        in_channels,
                        round_to(expansion * in_channels, 8),
                        1,
                        bias=False,
                    ),
                    norm(round_to(expansion * in_channels, 8)),
                    nn.SiLU(),
                ),
            )
        layers += [
            nn.Sequential(
                nn.Conv2d(
                    channels,
                    channels,
                    kernel,
                    stride=stride,
                    padding=kernel // 2,
                    groups=channels,
                    bias=False,
                ),
                norm(channels),
                nn.SiLU(),
            ),
            SqueezeExcitation(channels, in_channels // 4, act=nn.SiLU),
            nn.Sequential(nn.Conv2d(channels, filters, 1, bias=False), norm(filters)),
        ]
        self.block = nn.Sequential(*layers)
        self.stochastic_depth_1: StochasticDepth | None = None
        if residual:
            self.stochastic_depth_1 = StochasticDepth(rate)

    def forward(self, x: Tensor) -> Tensor:
        y = self.block(x)
        if self.stochastic_depth_1 is not None:
            y = self.stochastic_depth_1(y)
            y = y + x
        return y


class EfficientNet_B0(nn.Module):
    """EfficientNet_B0: 3x224x224 -> 1000."""

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        norm = partial(nn.BatchNorm2d, eps=1e-5, momentum=0.1)
        self.features = nn.Sequential(
            nn.Sequential(
                nn.Conv2d(3, 32, 3, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(32, eps=1e-5, momentum=0.1),
                nn.SiLU(),
            ),
            nn.Sequential(MBConv(32, 1, 3, 16, norm, 0.0)),
            nn.Sequential(
                MBConv(16, 6, 3, 24, norm, 0.0125, stride=2),
                MBConv(24, 6, 3, 24, norm, 0.025),
            ),
            nn.Sequential(
                MBConv(24, 6, 5, 40, norm, 0.1 * 3 / 8, stride=2),
                MBConv(40, 6, 5, 40, norm, 0.05),
            ),
            nn.Sequential(
                MBConv(40, 6, 3, 80, norm, 0.0625, stride=2),
                MBConv(80, 6, 3, 80, norm, 0.1 * 3 / 4),
                MBConv(80, 6, 3, 80, norm, 0.1 * 7 / 8),
            ),
            nn.Sequential(
                MBConv(80, 6, 5, 112, norm, 0.1),
                MBConv(112, 6, 5, 112, norm, 0.1125),
                MBConv(112, 6, 5, 112, norm, 0.125),
            ),
            nn.Sequential(
                MBConv(112, 6, 5, 192, norm, 0.1375, stride=2),
                MBConv(192, 6, 5, 192, norm, 0.1 * 3 / 2),
                MBConv(192, 6, 5, 192, norm, 0.1625),
                MBConv(192, 6, 5, 192, norm, 0.1 * 7 / 4),
            ),
            nn.Sequential(MBConv(192, 6, 3, 320, norm, 0.1875)),
            nn.Sequential(
                nn.Conv2d(320, 1280, 1, bias=False),
                nn.BatchNorm2d(1280, eps=1e-5, momentum=0.1),
                nn.SiLU(),
            ),
        )
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
