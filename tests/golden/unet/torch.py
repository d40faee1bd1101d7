"""UNet, generated from unet.cnn by cnnspec 0.1.0.

Input: image 1x256x256 (channels x height x width)
Output: mask 2x256x256
Parameters: 31,030,658
Multiply-accumulates: 48,096,083,968
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn


class DoubleConv(nn.Module):
    """1x256x256 -> 64x256x256 at `down1`, the first of 9 uses."""

    def __init__(self, in_channels: int, width: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, width, 3, padding=1)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        x = F.relu(self.conv1(x), inplace=True)
        return F.relu(self.conv2(x), inplace=True)


class Up(nn.Module):
    """1024x16x16, 512x32x32 -> 512x32x32 at `up4`, the first of 4 uses."""

    def __init__(self, x_channels: int, bridge_channels: int) -> None:
        super().__init__()
        self.up = nn.ConvTranspose2d(x_channels, bridge_channels, 2, stride=2)
        self.merge = DoubleConv(bridge_channels + bridge_channels, bridge_channels)

    def forward(self, x: Tensor, bridge: Tensor) -> Tensor:
        raised = self.up(x)
        x = torch.cat((bridge, raised), dim=1)
        return self.merge(x)


class UNet(nn.Module):
    """UNet: 1x256x256 -> 2x256x256."""

    def __init__(self, classes: int = 2) -> None:
        super().__init__()
        self.down1 = DoubleConv(1, 64)
        self.max_pool_1 = nn.MaxPool2d(2)
        self.down2 = DoubleConv(64, 128)
        self.max_pool_2 = nn.MaxPool2d(2)
        self.down3 = DoubleConv(128, 256)
        self.max_pool_3 = nn.MaxPool2d(2)
        self.down4 = DoubleConv(256, 512)
        self.max_pool_4 = nn.MaxPool2d(2)
        self.down5 = DoubleConv(512, 1024)
        self.up4 = Up(1024, 512)
        self.up3 = Up(512, 256)
        self.up2 = Up(256, 128)
        self.up1 = Up(128, 64)
        self.score = nn.Conv2d(64, classes, 1)
        for module in self.modules():
            if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
                nn.init.xavier_uniform_(module.weight)
                nn.init.zeros_(module.bias)

    def forward(self, image: Tensor) -> Tensor:
        full = self.down1(image)  # 64x256x256
        half = self.max_pool_1(full)  # 64x128x128
        half = self.down2(half)  # 128x128x128
        quarter = self.max_pool_2(half)  # 128x64x64
        quarter = self.down3(quarter)  # 256x64x64
        eighth = self.max_pool_3(quarter)  # 256x32x32
        eighth = self.down4(eighth)  # 512x32x32
        bottom = self.max_pool_4(eighth)  # 512x16x16
        bottom = self.down5(bottom)  # 1024x16x16
        x = self.up4(bottom, eighth)  # 512x32x32
        x = self.up3(x, quarter)  # 256x64x64
        x = self.up2(x, half)  # 128x128x128
        x = self.up1(x, full)  # 64x256x256
        return self.score(x)  # 2x256x256
