"""Tanh_ConvNet, generated from tanh_convnet.cnn by cnnspec 0.1.0.

Input: image 1x16x16 (channels x height x width)
Output: output 10
Parameters: 2,326
Multiply-accumulates: 23,760
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Tanh_ConvNet(nn.Module):
    """Tanh_ConvNet: 1x16x16 -> 10."""

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        self.conv_1 = nn.Conv2d(1, 6, 5)
        self.avg_pool_1 = nn.AvgPool2d(2)
        self.dense_1 = nn.Linear(216, classes)
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)

    def forward(self, image: Tensor) -> Tensor:
        x = self.conv_1(image)  # 6x12x12
        x = self.avg_pool_1(x)  # 6x6x6
        x = torch.tanh(torch.flatten(x, 1))  # 216
        return F.log_softmax(self.dense_1(x), dim=1)  # 10
