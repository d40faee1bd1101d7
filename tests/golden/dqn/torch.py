"""DQN, generated from dqn.cnn by cnnspec 0.1.0.

Input: frames 4x84x84 (channels x height x width)
Output: output 18
Parameters: 1,693,362
Multiply-accumulates: 9,352,192
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class DQN(nn.Module):
    """DQN: 4x84x84 -> 18."""

    def __init__(self, actions: int = 18) -> None:
        super().__init__()
        self.conv_1 = nn.Conv2d(4, 32, 8, stride=4)
        self.conv_2 = nn.Conv2d(32, 64, 4, stride=2)
        self.conv_3 = nn.Conv2d(64, 64, 3)
        self.dense_1 = nn.Linear(3136, 512)
        self.dense_2 = nn.Linear(512, actions)
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)

    def forward(self, frames: Tensor) -> Tensor:
        x = F.relu(self.conv_1(frames), inplace=True)  # 32x20x20
        x = F.relu(self.conv_2(x), inplace=True)  # 64x9x9
        x = F.relu(self.conv_3(x), inplace=True)  # 64x7x7
        x = torch.flatten(x, 1)  # 3136
        x = F.relu(self.dense_1(x), inplace=True)  # 512
        return self.dense_2(x)  # 18
