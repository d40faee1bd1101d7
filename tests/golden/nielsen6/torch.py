"""Nielsen6, generated from nielsen6.cnn by cnnspec 0.1.0.

Input: image 1x28x28 (channels x height x width)
Output: output 10
Parameters: 1,672,570
Multiply-accumulates: 3,218,000
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class Nielsen6(nn.Module):
    """Nielsen6: 1x28x28 -> 10."""

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        self.conv_1 = nn.Conv2d(1, 20, 5)
        self.max_pool_1 = nn.MaxPool2d(2)
        self.conv_2 = nn.Conv2d(20, 40, 5)
        self.max_pool_2 = nn.MaxPool2d(2)
        self.dropout_1 = nn.Dropout(0.5)
        self.dense_1 = nn.Linear(640, 1000)
        self.dropout_2 = nn.Dropout(0.5)
        self.dense_2 = nn.Linear(1000, 1000)
        self.dropout_3 = nn.Dropout(0.5)
        self.dense_3 = nn.Linear(1000, classes)
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)

    def forward(self, image: Tensor) -> Tensor:
        x = F.relu(self.conv_1(image), inplace=True)  # 20x24x24
        x = self.max_pool_1(x)  # 20x12x12
        x = F.relu(self.conv_2(x), inplace=True)  # 40x8x8
        x = self.max_pool_2(x)  # 40x4x4
        x = self.dropout_1(torch.flatten(x, 1))  # 640
        x = self.dropout_2(F.relu(self.dense_1(x), inplace=True))  # 1000
        x = self.dropout_3(F.relu(self.dense_2(x), inplace=True))  # 1000
        return F.softmax(self.dense_3(x), dim=1)  # 10
