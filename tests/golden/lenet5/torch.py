"""LeNet5, generated from lenet.cnn by cnnspec 0.1.0.

Input: image 1x28x28 (channels x height x width)
Output: output 10
Parameters: 61,706
Multiply-accumulates: 416,520
"""

import torch
from torch import Tensor, nn


class LeNet5(nn.Module):
    """LeNet5: 1x28x28 -> 10."""

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        self.c1 = nn.Conv2d(1, 6, 5, padding=2)
        self.s2 = nn.AvgPool2d(2)
        self.c3 = nn.Conv2d(6, 16, 5)
        self.s4 = nn.AvgPool2d(2)
        self.c5 = nn.Linear(400, 120)
        self.f6 = nn.Linear(120, 84)
        self.scores = nn.Linear(84, classes)
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)

    def forward(self, image: Tensor) -> Tensor:
        x = torch.sigmoid(self.c1(image))  # 6x28x28
        x = self.s2(x)  # 6x14x14
        x = torch.sigmoid(self.c3(x))  # 16x10x10
        x = self.s4(x)  # 16x5x5
        x = torch.flatten(x, 1)  # 400
        x = torch.sigmoid(self.c5(x))  # 120
        x = torch.sigmoid(self.f6(x))  # 84
        return self.scores(x)  # 10
