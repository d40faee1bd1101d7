"""VGG16, generated from vgg.cnn by cnnspec 0.1.0.

Input: image 3x224x224 (channels x height x width)
Output: output 1000
Parameters: 138,357,544
Multiply-accumulates: 15,470,264,320
"""

import torch.nn.functional as F
from torch import Tensor, nn


class Stage(nn.Module):
    """3x224x224 -> 64x112x112 at `block1`, the first of 5 uses."""

    def __init__(self, in_channels: int, width: int, depth: int) -> None:
        super().__init__()
        self.depth = depth
        channels = in_channels
        for i in range(1, depth + 1):
            self.add_module(f"conv{i}", nn.Conv2d(channels, width, 3, padding="same"))
            channels = width
        self.pool = nn.MaxPool2d(2)

    def forward(self, x: Tensor) -> Tensor:
        for i in range(1, self.depth + 1):
            x = F.relu(getattr(self, f"conv{i}")(x), inplace=True)
        return self.pool(x)


class VGG16(nn.Module):
    """VGG16: 3x224x224 -> 1000."""

    def __init__(self, classes: int = 1000) -> None:
        super().__init__()
        self.block1 = Stage(3, 64, 2)
        self.block2 = Stage(64, 128, 2)
        self.block3 = Stage(128, 256, 3)
        self.block4 = Stage(256, 512, 3)
        self.block5 = Stage(512, 512, 3)
        self.flatten = nn.Flatten()
        self.fc1 = nn.Linear(25088, 4096)
        self.fc2 = nn.Linear(4096, 4096)
        self.predictions = nn.Linear(4096, classes)
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.Linear)):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)

    def forward(self, image: Tensor) -> Tensor:
        x = self.block1(image)  # 64x112x112
        x = self.block2(x)  # 128x56x56
        x = self.block3(x)  # 256x28x28
        x = self.block4(x)  # 512x14x14
        x = self.block5(x)  # 512x7x7
        x = x.permute(0, 2, 3, 1)  # 7x7x512
        x = self.flatten(x)  # 25088
        x = F.relu(self.fc1(x), inplace=True)  # 4096
        x = F.relu(self.fc2(x), inplace=True)  # 4096
        return F.softmax(self.predictions(x), dim=1)  # 1000
