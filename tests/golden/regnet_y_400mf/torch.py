"""RegNet_Y_400MF, generated from regnet.cnn by cnnspec 0.1.0.

Input: image 3x224x224 (channels x height x width)
Output: output 1000
Parameters: 4,344,144
Multiply-accumulates: 401,842,848
"""

from collections import OrderedDict
from collections.abc import Callable

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class SqueezeExcitation(nn.Module):
    """48x56x56 -> 48x56x56 at `trunk_output.block1.block1-0.f.se`, the first of
    16 uses.
    """

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


class ResBottleneck(nn.Module):
    """32x112x112 -> 48x56x56 at `trunk_output.block1.block1-0`, the first of 16
    uses.
    """

    def __init__(
        self,
        in_channels: int,
        width: int,
        group_width: int,
        squeeze: bool,
        stride: int = 1,
    ) -> None:
        super().__init__()
        self.proj: nn.Sequential | None = None
        if stride != 1 or in_channels != width:
            self.proj = nn.Sequential(
                nn.Conv2d(in_channels, width, 1, stride=stride, bias=False),
                nn.BatchNorm2d(width, eps=1e-5, momentum=0.1),
            )
        layers: OrderedDict[str, nn.Module] = OrderedDict()
        layers["a"] = nn.Sequential(
            nn.Conv2d(in_channels, width, 1, bias=False),
            nn.BatchNorm2d(width, eps=1e-5, momentum=0.1),
            nn.ReLU(inplace=True),
        )
        layers["b"] = nn.Sequential(
            nn.Conv2d(
                width,
                width,
                3,
                stride=stride,
                padding=1,
                groups=width // group_width,
                bias=False,
            ),
            nn.BatchNorm2d(width, eps=1e-5, momentum=0.1),
            nn.ReLU(inplace=True),
        )
        if squeeze:
            layers["se"] = SqueezeExcitation(width, in_channels // 4)
        layers["c"] = nn.Sequential(
            nn.Conv2d(width, width, 1, bias=False),
            nn.BatchNorm2d(width, eps=1e-5, momentum=0.1),
        )
        self.f = nn.Sequential(layers)

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x
        if self.proj is not None:
            shortcut = self.proj(x)
        y = self.f(x)
        return F.relu(shortcut + y, inplace=True)


class RegNet_Y_400MF(nn.Module):
    """RegNet_Y_400MF: 3x224x224 -> 1000."""

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 32, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(32, eps=1e-5, momentum=0.1),
            nn.ReLU(inplace=True),
        )
        self.trunk_output = nn.Sequential(
            OrderedDict(
                block1=nn.Sequential(
                    OrderedDict({"block1-0": ResBottleneck(32, 48, 8, True, stride=2)}),
                ),
                block2=nn.Sequential(
                    OrderedDict(
                        {
                            "block2-0": ResBottleneck(48, 104, 8, True, stride=2),
                            "block2-1": ResBottleneck(104, 104, 8, True),
                            "block2-2": ResBottleneck(104, 104, 8, True),
                        },
                    ),
                ),
                block3=nn.Sequential(
                    OrderedDict(
                        {
                            "block3-0": ResBottleneck(104, 208, 8, True, stride=2),
                            "block3-1": ResBottleneck(208, 208, 8, True),
                            "block3-2": ResBottleneck(208, 208, 8, True),
                            "block3-3": ResBottleneck(208, 208, 8, True),
                            "block3-4": ResBottleneck(208, 208, 8, True),
                            "block3-5": ResBottleneck(208, 208, 8, True),
                        },
                    ),
                ),
                block4=nn.Sequential(
                    OrderedDict(
                        {
                            "block4-0": ResBottleneck(208, 440, 8, True, stride=2),
                            "block4-1": ResBottleneck(440, 440, 8, True),
                            "block4-2": ResBottleneck(440, 440, 8, True),
                            "block4-3": ResBottleneck(440, 440, 8, True),
                            "block4-4": ResBottleneck(440, 440, 8, True),
                            "block4-5": ResBottleneck(440, 440, 8, True),
                        },
                    ),
                ),
            ),
        )
        self.fc = nn.Linear(440, classes)
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.xavier_uniform_(module.weight)
                if module.bias is not None:
                    nn.init.zeros_(module.bias)

    def forward(self, image: Tensor) -> Tensor:
        x = self.stem(image)  # 32x112x112
        x = self.trunk_output(x)  # 440x7x7
        x = F.adaptive_avg_pool2d(x, 1)  # 440x1x1
        x = torch.flatten(x, 1)  # 440
        return self.fc(x)  # 1000
